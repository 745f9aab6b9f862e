//! Features of labelled collections: what an evaluation of whole pictures looks at.

use burn::tensor::Device;

use super::EvalProtocolError;
use super::cache::{CachedFeatures, Name, name};
use super::descriptors::PictureDescriptor;
use super::knn::LabelledFeatures;
use super::run::EvaluationError;
use dinoscope_base::parallel;
use dinoscope_data::Picture;
use dinoscope_data::source::PictureSource;
use dinoscope_model::Vit;
use dinoscope_model::features::{ImageFeatureSpec, LabelledViewBatch, embed, labelled_views};

/// Pictures that are loaded at once where no backbone says how many it takes.
const PICTURE_BATCH: usize = 64;

/// Features of a collection, and what could not be loaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureSet {
    /// Numbers for each picture.
    pub dim: usize,
    /// `[pictures, dim]`, row-major.
    pub features: Vec<f32>,
    /// Label of each row.
    pub labels: Vec<u32>,
    /// Name and reason of pictures that were left out.
    pub skipped: Vec<(String, String)>,
}

impl FeatureSet {
    /// As the protocols take them.
    pub fn view(&self) -> LabelledFeatures<'_> {
        LabelledFeatures { dim: self.dim, data: &self.features, labels: &self.labels }
    }

    /// Some columns of every row.
    pub fn columns(&self, from: usize, to: usize) -> Self {
        let rows = self.features.chunks_exact(self.dim.max(1));
        let features = rows.flat_map(|row| row[from..to].iter().copied()).collect();
        Self { dim: to - from, features, labels: self.labels.clone(), skipped: self.skipped.clone() }
    }

    /// Some rows, in the order that they are named.
    pub fn rows(&self, rows: &[usize]) -> Self {
        let row = |i: &usize| self.features[i * self.dim..(i + 1) * self.dim].iter().copied();
        let labels = rows.iter().map(|i| self.labels[*i]).collect();
        Self { dim: self.dim, features: rows.iter().flat_map(row).collect(), labels, skipped: Vec::new() }
    }

    fn take(&mut self, views: LabelledViewBatch) {
        self.labels.extend(views.labels);
        self.skipped.extend(views.skipped);
    }
}

/// Features of all labelled pictures of a source. `on_progress` is told how many are done and answers whether to go on.
///
/// # Errors
/// When the device fails, or `on_progress` says no.
pub async fn gather(
    backbone: &Vit,
    source: &dyn PictureSource,
    wanted: ImageFeatureSpec,
    (size, batch): (usize, usize),
    device: &Device,
    on_progress: &mut impl AsyncFnMut(usize) -> bool,
) -> Result<FeatureSet, EvaluationError> {
    let mut kept = CachedFeatures::new(wanted.width(backbone.config.dim), 0);
    ImageFeatureExtractor { backbone, wanted, size, batch, device }
        .gather(source, &mut kept, on_progress)
        .await
}

/// How features are computed.
pub(super) struct ImageFeatureExtractor<'a> {
    pub backbone: &'a Vit,
    pub wanted: ImageFeatureSpec,
    pub size: usize,
    pub batch: usize,
    pub device: &'a Device,
}

impl ImageFeatureExtractor<'_> {
    /// [`gather`] that takes from `kept` what is there, and puts there what is not.
    pub(super) async fn gather(
        &self,
        source: &dyn PictureSource,
        kept: &mut CachedFeatures,
        on_progress: &mut impl AsyncFnMut(usize) -> bool,
    ) -> Result<FeatureSet, EvaluationError> {
        let dim = self.wanted.width(self.backbone.config.dim);
        let mut out = FeatureSet { dim, ..FeatureSet::default() };
        for LabelledViewBatch { views, labels, skipped } in labelled_views(source, self.size, self.batch) {
            out.features.extend(self.embed(views, kept).await?);
            out.labels.extend(labels);
            out.skipped.extend(skipped);
            if !on_progress(out.labels.len() + out.skipped.len()).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        Ok(out)
    }

    /// `[views, width]`, some of it perhaps known already.
    async fn embed(
        &self,
        views: Vec<Picture>,
        kept: &mut CachedFeatures,
    ) -> Result<Vec<f32>, EvaluationError> {
        let (backbone, wanted, device) = (self.backbone, self.wanted, self.device);
        if views.is_empty() {
            return Ok(Vec::new());
        }
        if kept.is_off() {
            return Ok(embed(backbone, &views, wanted, device).await?);
        }
        let mut names: Vec<Name> = vec![[0; 32]; views.len()];
        parallel::for_chunks(&mut names, 1, |i, slot| slot[0] = name(&views[i]));
        let mut rows: Vec<Option<Vec<f32>>> =
            names.iter().map(|name| kept.find(name).map(<[f32]>::to_vec)).collect();
        if !kept.checked
            && let Some((view, before)) =
                views.iter().zip(&rows).find_map(|(v, row)| Some((v, row.as_ref()?)))
        {
            let now = embed(backbone, std::slice::from_ref(view), wanted, device).await?;
            if !is_near(before, &now) {
                kept.forget();
                rows.fill(None);
            }
            kept.checked = true;
        }
        let unknown = views.into_iter().zip(&rows).filter(|(_, row)| row.is_none());
        let unknown: Vec<Picture> = unknown.map(|(view, _)| view).collect();
        kept.used += rows.len() - unknown.len();
        if !unknown.is_empty() {
            let now = embed(backbone, &unknown, wanted, device).await?;
            let mut fresh = now.chunks_exact(wanted.width(backbone.config.dim));
            for (name, row) in names.iter().zip(&mut rows).filter(|(_, row)| row.is_none()) {
                if let Some(found) = fresh.next() {
                    kept.add(*name, found);
                    *row = Some(found.to_vec());
                }
            }
        }
        Ok(rows.into_iter().flatten().flatten().collect())
    }
}

/// The same but for rounding, which differs between batches.
fn is_near(a: &[f32], b: &[f32]) -> bool {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let apart = square(&mut a.iter().zip(b).map(|(x, y)| x - y));
    a.len() == b.len() && apart <= 1e-6 * square(&mut b.iter().copied())
}

/// Numbers of the same views without a backbone: what features are compared with.
///
/// # Errors
/// When `on_progress` says no.
pub async fn gather_descriptors(
    source: &dyn PictureSource,
    size: usize,
    descriptor: PictureDescriptor,
    on_progress: &mut impl AsyncFnMut(usize) -> bool,
) -> Result<FeatureSet, EvaluationError> {
    let mut out = FeatureSet { dim: descriptor.dim(), ..FeatureSet::default() };
    for views in labelled_views(source, size, PICTURE_BATCH) {
        out.describe(views, descriptor);
        if !on_progress(out.labels.len() + out.skipped.len()).await {
            return Err(EvalProtocolError::Stopped.into());
        }
    }
    Ok(out)
}

/// Raw pixels of the same views at full size, without a pause.
pub(super) fn all_pixels(source: &dyn PictureSource, size: usize) -> FeatureSet {
    let descriptor = PictureDescriptor::Pixels { side: size };
    let mut out = FeatureSet { dim: descriptor.dim(), ..FeatureSet::default() };
    labelled_views(source, size, PICTURE_BATCH).for_each(|views| out.describe(views, descriptor));
    out
}

impl FeatureSet {
    /// Adds rows for views, on all cores.
    fn describe(&mut self, views: LabelledViewBatch, descriptor: PictureDescriptor) {
        let mut rows: Vec<Vec<f32>> = vec![Vec::new(); views.views.len()];
        parallel::for_chunks(&mut rows, 1, |i, row| row[0] = descriptor.of(&views.views[i]));
        self.features.extend(rows.into_iter().flatten());
        self.take(views);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::device::block_on;
    use dinoscope_data::source::scenes::ScenesSource;
    use dinoscope_model::VitConfig;

    #[test]
    fn a_row_is_the_last_blocks_cls_tokens_and_the_mean_patch() {
        let device = Device::flex();
        let config = VitConfig::new(28, 14, 12, 3, 2);
        let backbone = Vit::init(&config, 5, &device);
        let source = ScenesSource::new(1, 5, 32);
        let of = |wanted, batch| {
            let mut heard = Vec::new();
            let mut on_progress = async |done| {
                heard.push(done);
                true
            };
            let found = block_on(gather(&backbone, &source, wanted, (28, batch), &device, &mut on_progress));
            (found.unwrap(), heard)
        };
        let (deep, heard) = of(ImageFeatureSpec { blocks: 2, patch_mean: true }, 2);
        assert_eq!(heard, [2, 4, 5]);
        assert_eq!((deep.dim, deep.features.len(), deep.labels.len()), (36, 5 * 36, 5));
        let (cls, _) = of(ImageFeatureSpec::CLS, 5);
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-5);
        assert!(near(&cls.features, &deep.columns(12, 24).features), "the last block's come last");
        // What the backbone says of the first picture by its other door.
        let view = labelled_views(&source, 28, 1).next().unwrap().views.swap_remove(0);
        let seen = block_on(dinoscope_model::features::view_features(&backbone, &view, &device)).unwrap();
        assert!(near(&seen.cls, &deep.features[12..24]));
        let mean: Vec<f32> =
            (0..12).map(|c| seen.patches.data.iter().skip(c).step_by(12).sum::<f32>() / 4.0).collect();
        assert!(near(&mean, &deep.features[24..36]));
    }

    #[test]
    fn pictures_are_described_in_order_and_anyone_may_stop() {
        let source = ScenesSource::new(1, 3, 32);
        let of = |descriptor, go_on| {
            block_on(gather_descriptors(&source, 28, descriptor, &mut async move |_| go_on))
        };
        let pixels = PictureDescriptor::Pixels { side: 4 };
        let small = of(pixels, true).unwrap();
        assert_eq!((small.dim, small.features.len()), (48, 3 * 48));
        assert_eq!(all_pixels(&source, 28).dim, 3 * 28 * 28);
        // What the pictures are described by is what the backbone sees: the view.
        let views = labelled_views(&source, 28, 3).next().unwrap().views;
        for descriptor in [PictureDescriptor::ColourHistogram, PictureDescriptor::Hog { cells: 4 }] {
            let rows: Vec<f32> = views.iter().flat_map(|view| descriptor.of(view)).collect();
            assert_eq!(of(descriptor, true).unwrap().features, rows);
        }
        let stopped = of(pixels, false);
        assert!(matches!(stopped, Err(EvaluationError::Protocol(EvalProtocolError::Stopped))));
    }
}
