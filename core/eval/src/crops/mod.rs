//! Crop retrieval: how often two crops of one picture find each other among the crops of all pictures. No labels are
//! needed, so that any collection of pictures can be judged by it.
//!
//! Two global crops of each picture are drawn as pre-training draws them, each passes through the backbone, and the nearest
//! of all second crops is sought for every first crop (instance discrimination, Wu et al. 2018, without a memory bank).

mod task;

use std::ops::Range;

use burn::tensor::Device;
use dinoscope_analysis::linalg::{self, PackedPanels};
use dinoscope_base::parallel::for_chunks;
use dinoscope_base::rng::stream;
use dinoscope_data::Picture;
use dinoscope_data::augment::{CropRecipe, ViewKind, ViewPlan};
use dinoscope_data::source::PictureSource;
use dinoscope_model::Vit;
use dinoscope_model::features::{ImageFeatureSpec, embed, reason};

use super::descriptors::{DescriptorSizes, PictureDescriptor};
use super::knn::search;
use super::run::EvaluationError;
use super::{Accuracy, EvalProtocolError};

pub use task::CropRetrievalTask;
pub(super) use task::evaluate;

/// Most pictures that are looked at: as many as give an interval of about four points to either side.
pub const MOST_PICTURES: usize = 512;

/// Pictures that are loaded at once where no backbone says how many it takes.
const PIXEL_BATCH: usize = 64;

/// Two crops of each of some pictures: the same ones whenever they are asked for, so that figures from before and after a
/// training are about the same crops.
#[derive(Clone)]
pub struct CropPairs<'a> {
    source: &'a dyn PictureSource,
    recipe: CropRecipe,
    seed: u64,
    chosen: Vec<usize>,
}

/// How often crops were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CropRetrieval {
    /// First crops whose nearest second crop is of the same picture.
    pub top1: Accuracy,
    /// Name and reason of pictures that could not be loaded.
    pub skipped: Vec<(String, String)>,
}

impl CropRetrieval {
    /// The accuracy, where there was a second picture that could have been found.
    pub fn accuracy(&self) -> Option<Accuracy> {
        Some(self.top1).filter(|top1| top1.total > 1)
    }
}

/// Crops of a batch of pictures: of each picture the first one, then of each the second one.
struct PairBatch {
    views: Vec<Picture>,
    skipped: Vec<(String, String)>,
}

impl<'a> CropPairs<'a> {
    /// Crops of at most `most` pictures from all over `source`, drawn as `recipe` says by `seed` and the picture's place in
    /// the source. A picture that a source gives more than once counts once.
    pub fn new(source: &'a dyn PictureSource, recipe: CropRecipe, seed: u64, most: usize) -> Self {
        let mut chosen = evenly(source.len(), most);
        let mut names = std::collections::HashSet::new();
        chosen.retain(|index| names.insert(source.name(*index)));
        Self { source, recipe, seed, chosen }
    }

    /// How many pictures there are crops of, before any is loaded.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    fn batch(&self, places: Range<usize>) -> PairBatch {
        type Loaded = Option<Result<[Picture; 2], String>>;
        let mut slots: Vec<(usize, Loaded)> =
            self.chosen[places].iter().map(|index| (*index, None)).collect();
        for_chunks(&mut slots, 1, |_, slot| {
            for (index, loaded) in slot {
                let picture = self.source.load(*index);
                *loaded = Some(match picture {
                    Ok(picture) => Ok(self.crops(&picture, *index)),
                    Err(error) => Err(reason(&error)),
                });
            }
        });
        let (mut first, mut second, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for (index, loaded) in slots {
            match loaded {
                Some(Ok([a, b])) => {
                    first.push(a);
                    second.push(b);
                }
                Some(Err(reason)) => skipped.push((self.source.name(index), reason)),
                None => {}
            }
        }
        first.extend(second);
        PairBatch { views: first, skipped }
    }

    /// The two global crops of a picture.
    fn crops(&self, picture: &Picture, index: usize) -> [Picture; 2] {
        [ViewKind::Global1, ViewKind::Global2].map(|kind| {
            let mut rng = stream(self.seed, "crop retrieval", index as u64, kind as u64);
            let plan = ViewPlan::draw(&mut rng, kind, picture.width, picture.height, &self.recipe);
            plan.apply(picture, self.recipe.global_size)
        })
    }

    /// With the CLS features of `backbone`, `batch` pictures at once. `progress` hears pictures done and in all, and answers
    /// whether to go on.
    ///
    /// # Errors
    /// When the device fails, a feature is not finite, or `progress` says no.
    pub async fn of_backbone(
        &self,
        backbone: &Vit,
        batch: usize,
        device: &Device,
        progress: impl AsyncFnMut(usize, usize) -> bool,
    ) -> Result<CropRetrieval, EvaluationError> {
        let features =
            async |views: &[Picture]| Ok(embed(backbone, views, ImageFeatureSpec::CLS, device).await?);
        self.measure(batch.max(1), features, progress).await
    }

    /// With the pixels of the crops: what no learning gives.
    ///
    /// # Errors
    /// When `progress` says no.
    pub async fn of_pixels(
        &self,
        progress: impl AsyncFnMut(usize, usize) -> bool,
    ) -> Result<CropRetrieval, EvaluationError> {
        let side = DescriptorSizes::SEARCH.pixels.min(self.recipe.global_size);
        let descriptor = PictureDescriptor::Pixels { side };
        let pixels = async |views: &[Picture]| -> Result<Vec<f32>, EvaluationError> {
            Ok(views.iter().flat_map(|view| descriptor.of(view)).collect())
        };
        self.measure(PIXEL_BATCH, pixels, progress).await
    }

    async fn measure(
        &self,
        batch: usize,
        mut features: impl AsyncFnMut(&[Picture]) -> Result<Vec<f32>, EvaluationError>,
        mut progress: impl AsyncFnMut(usize, usize) -> bool,
    ) -> Result<CropRetrieval, EvaluationError> {
        let (mut first, mut second, mut out) = (Vec::new(), Vec::new(), CropRetrieval::default());
        let mut dim = 0;
        for start in (0..self.len()).step_by(batch) {
            let end = (start + batch).min(self.len());
            let PairBatch { views, skipped } = self.batch(start..end);
            out.skipped.extend(skipped);
            if !views.is_empty() {
                let found = features(&views).await?;
                dim = found.len() / views.len();
                let (a, b) = found.split_at(found.len() / 2);
                first.extend_from_slice(a);
                second.extend_from_slice(b);
            }
            if !progress(end, self.len()).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        out.top1 = found(&first, &second, dim)?;
        Ok(out)
    }
}

/// At most `most` of `count` places, from all over them.
pub fn evenly(count: usize, most: usize) -> Vec<usize> {
    let chosen = count.min(most);
    (0..chosen).map(|i| i * count / chosen).collect()
}

/// How many rows of `first` have the row of the same number as the nearest of all in `second`, by their cosine; both
/// `[pictures, dim]`. Of equally near ones the first counts.
///
/// # Errors
/// When a number is not finite.
pub fn found(first: &[f32], second: &[f32], dim: usize) -> Result<Accuracy, EvalProtocolError> {
    let total = first.len() / dim.max(1);
    if total == 0 {
        return Ok(Accuracy::default());
    }
    for side in [first, second] {
        if let Some(at) = side.iter().position(|value| !value.is_finite()) {
            return Err(EvalProtocolError::NotFinite { set: "cropped", index: at / dim });
        }
    }
    let packed = |side: &[f32]| PackedPanels::new(&linalg::normalise_rows(side, dim), total, dim);
    let nearest = search(&packed(first), &packed(second), 1);
    let own =
        nearest.iter().enumerate().filter(|(row, near)| near.first().is_some_and(|n| n.1 as usize == *row));
    Ok(Accuracy { correct: own.count(), total })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
