//! The spread of features as an evaluation: from pictures to figures and the spectrum.

use std::sync::Arc;

use super::super::EvalProtocolError;
use super::super::dense::bootstrap::intervals;
use super::super::descriptors::DescriptorSizes;
use super::super::numbered::{alone, from};
use super::super::outcome::{CaptionedPicture, EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow};
use super::super::run::EvaluationError;
use super::super::suite::{EvalContext, EvalProgress, EvalSubject};
use super::{FeatureSpectrum, alignments, picture, uniformity};
use dinoscope_base::parallel::for_chunks;
use dinoscope_base::rng::stream;
use dinoscope_data::Picture;
use dinoscope_data::augment::{CropRecipe, ViewKind, ViewPlan};
use dinoscope_data::source::PictureSource;
use dinoscope_model::features::{ImageFeatureSpec, embed};

/// What is asked: how the features of these pictures are spread. Labels are not needed.
#[derive(Clone)]
pub struct FeatureStatisticsTask {
    /// The pictures; about ten times as many as a feature has numbers is enough.
    pub source: Arc<dyn PictureSource>,
}

pub(in super::super) async fn evaluate(
    context: &EvalContext<'_>,
    task: &FeatureStatisticsTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let mut out = EvalReport::of("Spread of features");
    let labelled = alone(&task.source);
    let mut spectra = Vec::new();
    for &subject in EvalSubject::all(context.options.alone) {
        let sets =
            context.sets(subject, &labelled, ImageFeatureSpec::CLS, DescriptorSizes::PROBE, progress).await?;
        let (features, dim) = (&sets.train.features, sets.train.dim);
        let spectrum = FeatureSpectrum::of(features, dim)?;
        let spread = uniformity(features, dim).ok_or(EvalProtocolError::Empty("second picture"))?;
        let apart = aligned(context, subject, task.source.as_ref(), progress).await?;
        out.rows.push(row(subject, &spectrum, &apart, spread, context.options.seed));
        out.notes.extend(sets.notes);
        out.left_out.extend(sets.left_out);
        if subject == EvalSubject::Weights {
            let pictures = sets.train.labels.len();
            let from = from(task.source.as_ref());
            out.data = format!("{pictures} pictures and two views of each, features of {dim} numbers{from}");
            if pictures <= 2 * dim {
                out.notes.push(format!(
                    "ranks are too low with {pictures} pictures for {dim} numbers: they can't be above either"
                ));
            }
        }
        spectra.push((subject, spectrum));
    }
    out.notes.push(
        "RankMe: exp of the entropy of the singular values; participation: (Σv)²/Σv² of the variances; alignment: \
         squared distance of two views; uniformity: log of the mean exp(-2d²) of all pairs"
            .to_owned(),
    );
    let lines: Vec<picture::SpectrumCurve<'_>> = spectra
        .iter()
        .map(|(subject, spectrum)| picture::SpectrumCurve {
            name: subject.name(),
            variances: &spectrum.variances,
        })
        .collect();
    out.pictures.push(CaptionedPicture {
        name: "spectrum".to_owned(),
        caption: "How much each principal direction of the features carries, relative to the first. A line that falls \
                  steeply or ends early means that the directions behind it are not used."
            .to_owned(),
        picture: picture::draw(&lines),
        kept: Vec::new(),
    });
    Ok(out)
}

fn row(
    subject: EvalSubject,
    spectrum: &FeatureSpectrum,
    apart: &[f64],
    spread: f64,
    seed: u64,
) -> EvalTableRow {
    let mean = |times: &[u32]| {
        let sum: f64 = apart.iter().zip(times).map(|(v, times)| v * f64::from(*times)).sum();
        vec![sum / apart.len() as f64]
    };
    let alignment = EvalMetric {
        name: "alignment".to_owned(),
        value: apart.iter().sum::<f64>() / apart.len().max(1) as f64,
        interval: intervals(apart.len(), seed, mean).into_iter().next().flatten(),
        unit: EvalMetricUnit::Less,
    };
    EvalTableRow {
        subject: subject.name().to_owned(),
        setting: String::new(),
        figures: vec![
            EvalMetric::plain("RankMe", spectrum.rank_me(), EvalMetricUnit::More),
            EvalMetric::plain("participation", spectrum.participation(), EvalMetricUnit::More),
            alignment,
            EvalMetric::plain("uniformity", spread, EvalMetricUnit::Less),
        ],
    }
}

/// Squared distances between two augmented views of each picture that can be loaded.
async fn aligned(
    context: &EvalContext<'_>,
    subject: EvalSubject,
    source: &dyn PictureSource,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<Vec<f64>, EvaluationError> {
    let backbone = &*context.backbone_of(subject);
    let (size, total) = (context.options.size, source.len());
    let batch = context.options.batch.max(1);
    let mut apart = Vec::with_capacity(total);
    for start in (0..total).step_by(batch) {
        let mut pairs: Vec<Option<[Picture; 2]>> = vec![None; batch.min(total - start)];
        for_chunks(&mut pairs, 1, |i, pair| {
            pair[0] = source.load(start + i).ok().map(|p| views(&p, size, context.options.seed, start + i));
        });
        let [first, second] =
            [0, 1].map(|k| -> Vec<Picture> { pairs.iter().flatten().map(|pair| pair[k].clone()).collect() });
        if !first.is_empty() {
            let mut sides = Vec::new();
            for views in [&first, &second] {
                sides.push(match context.descriptor(subject, DescriptorSizes::PROBE) {
                    Some(descriptor) => views.iter().flat_map(|view| descriptor.of(view)).collect(),
                    None => embed(backbone, views, ImageFeatureSpec::CLS, context.device).await?,
                });
            }
            let dim = sides[0].len() / first.len();
            apart.extend(alignments(&sides[0], &sides[1], dim));
        }
        let done = (start + batch).min(total);
        if !progress(EvalProgress { subject: subject.name(), doing: "two views", done, total }).await {
            return Err(EvalProtocolError::Stopped.into());
        }
    }
    Ok(apart)
}

/// Two global crops of a picture as training draws them, keyed by the seed and the picture's position.
fn views(picture: &Picture, size: usize, seed: u64, index: usize) -> [Picture; 2] {
    let recipe = CropRecipe { global_size: size, ..CropRecipe::default() };
    [ViewKind::Global1, ViewKind::Global2].map(|kind| {
        let mut rng = stream(seed, "two views", index as u64, kind as u64);
        ViewPlan::draw(&mut rng, kind, picture.width, picture.height, &recipe).apply(picture, size)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::Device;

    use super::super::super::catalogue::{self, EvalTask};
    use super::super::super::numbered::IndexAsLabel;
    use super::super::super::suite::EvalOptions;
    use super::*;
    use dinoscope_base::device::block_on;
    use dinoscope_data::source::scenes::ScenesSource;
    use dinoscope_model::{Vit, VitConfig};

    fn judged(
        source: Arc<dyn PictureSource>,
        options: &EvalOptions,
        stop_at: &str,
    ) -> Result<EvalReport, EvaluationError> {
        let device = Device::flex();
        let backbone = Vit::init(&VitConfig::new(28, 14, 12, 1, 2), 5, &device);
        let mut on_progress = async |at: EvalProgress| at.doing != stop_at;
        let task = EvalTask::Spread(FeatureStatisticsTask { source });
        block_on(catalogue::evaluate(&task, &backbone, options, &device, &mut on_progress))
    }

    #[test]
    fn pictures_without_labels_are_enough() {
        let source: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 20, 28));
        let outcome = judged(source.clone(), &EvalOptions::new(28), "").unwrap();
        let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
        assert_eq!(subjects, ["weights", "untrained", "raw pixels"]);
        let names: Vec<&str> = outcome.rows[0].figures.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["RankMe", "participation", "alignment", "uniformity"]);
        for row in &outcome.rows {
            let value = |i: usize| row.figures[i].value;
            assert!((1.0..=20.0).contains(&value(0)) && (1.0..=20.0).contains(&value(1)), "{row:?}");
            assert!((0.0..=4.0).contains(&value(2)) && value(3) < 0.0, "{row:?}");
            let (low, high) = row.figures[2].interval.unwrap();
            assert!(low < value(2) && value(2) < high);
        }
        assert!(outcome.notes.iter().any(|note| note.contains("too low")), "{:?}", outcome.notes);
        assert_eq!(outcome.pictures.len(), 1);
        // Batches, and whether pictures have labels, make no difference.
        let options = EvalOptions { alone: true, batch: 7, ..EvalOptions::new(28) };
        let other = judged(Arc::new(IndexAsLabel(source)), &options, "").unwrap();
        for (a, b) in other.rows[0].figures.iter().zip(&outcome.rows[0].figures) {
            assert!((a.value - b.value).abs() < 1e-3 * b.value.abs(), "{a:?} {b:?}");
        }
    }

    #[test]
    fn views_differ_and_repeat() {
        let picture = ScenesSource::new(1, 1, 40).load(0).unwrap();
        let [a, b] = views(&picture, 28, 3, 0);
        assert_eq!((a.width, a.height), (28, 28));
        assert!(a != b);
        assert_eq!(views(&picture, 28, 3, 0), [a.clone(), b]);
        assert!(views(&picture, 28, 3, 1)[0] != a && views(&picture, 28, 4, 0)[0] != a);
    }

    #[test]
    fn it_stops_and_refuses() {
        let source: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 5, 28));
        for stop_at in ["features", "two views"] {
            assert!(judged(source.clone(), &EvalOptions::new(28), stop_at).unwrap_err().is_stopped());
        }
        let one: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 1, 28));
        let error = judged(one, &EvalOptions::new(28), "").unwrap_err().to_string();
        assert!(error.contains("second picture"), "{error}");
    }
}
