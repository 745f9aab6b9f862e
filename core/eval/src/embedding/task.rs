//! The map as an evaluation: from pictures to points, and how much of the neighbourhoods they keep.

use std::sync::Arc;

use super::super::EvalProtocolError;
use super::super::data;
use super::super::descriptors::DescriptorSizes;
use super::super::numbered::{alone, from};
use super::super::outcome::{CaptionedPicture, EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow};
use super::super::run::EvaluationError;
use super::super::suite::{EvalContext, EvalProgress, EvalSubject};
use super::distances::{nearest, nearest_points, on_the_sphere};
use super::{ProjectionMap, TsneOptimizer, TsneOptions, framed, picture};
use dinoscope_analysis::{linalg, pca};
use dinoscope_data::source::PictureSource;
use dinoscope_model::features::ImageFeatureSpec;

/// Most pictures: memory and time grow with their square.
const MOST: usize = 5000;
/// Neighbours that figures are about.
const NEAR: usize = 10;
/// Steps of t-SNE between two reports.
const STEPS: usize = 10;

/// What is asked of a map.
#[derive(Clone)]
pub struct ProjectionTask {
    /// The pictures, at most 5000; labels become colours, but are not needed.
    pub source: Arc<dyn PictureSource>,
    /// How the map is made.
    pub way: ReductionMethod,
}

/// How a map is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReductionMethod {
    /// t-SNE: keeps neighbours together; distances between groups mean little.
    Tsne(TsneOptions),
    /// The two principal components: quick, keeps what varies most.
    Pca,
}

/// A map of the weights' features with what was found out about it.
#[derive(Clone, Debug)]
pub struct ProjectionResult {
    /// Figures, and a picture for each that was judged.
    pub outcome: EvalReport,
    /// The maps themselves.
    pub maps: ProjectionMaps,
}

/// The same pictures on several maps.
#[derive(Clone, Debug)]
pub struct ProjectionMaps {
    /// As the weights see them.
    pub map: ProjectionMap,
    /// As what they are compared with sees them, in the order of the report's pictures.
    pub beside: Vec<ProjectionMap>,
}

pub(in super::super) async fn evaluate(
    context: &EvalContext<'_>,
    task: &ProjectionTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    Ok(map(context, task, progress).await?.outcome)
}

/// Makes a map, and judges it. `progress` is awaited between steps and answers whether to go on.
///
/// # Errors
/// When there are fewer than four pictures or more than 5000, features can't be used, the device fails, or `progress`
/// says no.
pub async fn map(
    context: &EvalContext<'_>,
    task: &ProjectionTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<ProjectionResult, EvaluationError> {
    let (source, count) = (task.source.as_ref(), task.source.len());
    if !(4..=MOST).contains(&count) {
        let expected = "from 4 to 5000: set a limit, or take more pictures";
        return Err(
            EvalProtocolError::Option { option: "pictures of a map", value: count as f64, expected }.into()
        );
    }
    let mut outcome = EvalReport::of("Feature map");
    let mut maps = Vec::new();
    for &subject in EvalSubject::all(context.options.alone) {
        let sets = context
            .sets(subject, &alone(&task.source), ImageFeatureSpec::CLS, DescriptorSizes::SEARCH, progress)
            .await?;
        let (features, dim) = (&sets.train.features, sets.train.dim);
        if let Some(at) = features.iter().position(|v| !v.is_finite()) {
            return Err(EvalProtocolError::NotFinite { set: "mapped", index: at / dim.max(1) }.into());
        }
        let distances = on_the_sphere(features, dim);
        let made = ReducedPoints::new(subject, task.way, features, dim, &distances, progress).await?;
        let pictures: Vec<usize> = sets.train.labels.iter().map(|label| *label as usize).collect();
        let map = ProjectionMap {
            way: made.way,
            points: framed(&made.points),
            labels: pictures.iter().map(|i| source.label(*i).map(|label| label as u32)).collect(),
            classes: source.classes().to_vec(),
            names: pictures.iter().map(|i| source.name(*i)).collect(),
            pictures,
        };
        outcome.rows.push(row(subject, &map, &distances, made.divergence));
        outcome.notes.extend(sets.notes);
        outcome.left_out.extend(sets.left_out);
        outcome.pictures.push(shown(subject, &map));
        if subject == EvalSubject::Weights {
            let (pictures, classes, way) = (map.points.len(), map.classes.len(), &map.way);
            outcome.data = format!("{pictures} pictures, {}, {way}{}", data::classes(classes), from(source));
        }
        maps.push(map);
    }
    outcome.notes.push(format!(
        "of the {NEAR} nearest: how many are of the same class, in features and on the map, and how many of those in \
         features are also among those on the map"
    ));
    let mut maps = maps.into_iter();
    // The weights come first.
    let map = maps.next().ok_or(EvalProtocolError::Empty("pictures"))?;
    Ok(ProjectionResult { outcome, maps: ProjectionMaps { map, beside: maps.collect() } })
}

/// Points as they came out.
struct ReducedPoints {
    way: String,
    points: Vec<[f32; 2]>,
    divergence: Option<f64>,
}

impl ReducedPoints {
    async fn new(
        subject: EvalSubject,
        way: ReductionMethod,
        features: &[f32],
        dim: usize,
        distances: &[f32],
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<Self, EvaluationError> {
        let points = components(&linalg::normalise_rows(features, dim), dim);
        let ReductionMethod::Tsne(options) = way else {
            return Ok(Self { way: "two principal components".to_owned(), points, divergence: None });
        };
        let mut tsne = TsneOptimizer::new(distances, &points, &options)?;
        while tsne.advance() {
            let (done, total) = (tsne.done(), tsne.total());
            if done.is_multiple_of(STEPS) || done == total {
                let at = EvalProgress { subject: subject.name(), doing: "t-SNE", done, total };
                if !progress(at).await {
                    return Err(EvalProtocolError::Stopped.into());
                }
            }
        }
        let way = format!("t-SNE with a perplexity of {:.0}", tsne.perplexity());
        Ok(Self { way, points: tsne.points(), divergence: Some(tsne.divergence()) })
    }
}

/// The first two principal components of `[pictures, dim]` features.
fn components(features: &[f32], dim: usize) -> Vec<[f32; 2]> {
    let principal = pca::principal(features, dim, 2);
    let along = |row: &[f32], k: usize| -> f32 {
        let centred = row.iter().zip(&principal.mean).map(|(v, m)| f64::from(v - m));
        centred.zip(&principal.directions[k]).map(|(v, d)| v * d).sum::<f64>() as f32
    };
    features.chunks_exact(dim).map(|row| [along(row, 0), along(row, 1)]).collect()
}

fn row(
    subject: EvalSubject,
    map: &ProjectionMap,
    distances: &[f32],
    divergence: Option<f64>,
) -> EvalTableRow {
    let points = map.points.len();
    let in_features = nearest(distances, points, NEAR);
    let on_map = nearest_points(&map.points, NEAR);
    // The share of neighbours for which something holds, of those for which it can be said.
    let share = |near: &[Vec<u32>], holds: &dyn Fn(usize, u32) -> Option<bool>| {
        let pairs = near.iter().enumerate().flat_map(|(i, near)| near.iter().map(move |j| (i, *j)));
        let said: Vec<bool> = pairs.filter_map(|(i, j)| holds(i, j)).collect();
        let held = said.iter().filter(|held| **held).count();
        (!said.is_empty()).then(|| held as f64 / said.len() as f64)
    };
    let alike = |i: usize, j: u32| Some(map.labels[i]? == map.labels[j as usize]?);
    let kept = |i: usize, j: u32| Some(on_map[i].contains(&j));
    let shares = [
        ("same class in features", share(&in_features, &alike)),
        ("same class on the map", share(&on_map, &alike)),
        ("neighbours kept", share(&in_features, &kept)),
    ];
    let figure =
        |(name, share): (&str, Option<f64>)| Some(EvalMetric::plain(name, share?, EvalMetricUnit::Share));
    let mut figures: Vec<EvalMetric> = shares.into_iter().filter_map(figure).collect();
    if let Some(divergence) = divergence {
        figures.push(EvalMetric::plain("divergence", divergence, EvalMetricUnit::Less));
    }
    EvalTableRow { subject: subject.name().to_owned(), setting: String::new(), figures }
}

fn shown(subject: EvalSubject, map: &ProjectionMap) -> CaptionedPicture {
    let (name, whose) = match subject {
        EvalSubject::Weights => ("points", "Features"),
        EvalSubject::Untrained => ("untrained", "Features of the untrained model"),
        EvalSubject::RawPixels => ("pixels", "Raw pixels"),
        EvalSubject::ColourHistogram => ("colours", "Colour histograms"),
        EvalSubject::Hog => ("gradients", "Histograms of oriented gradients"),
    };
    CaptionedPicture {
        name: name.to_owned(),
        caption: format!(
            "{whose} of {} pictures, {}: near to each other are those that look alike.",
            map.points.len(),
            map.way
        ),
        picture: picture(map, whose),
        kept: Vec::new(),
    }
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
        task: &ProjectionTask,
        options: &EvalOptions,
        stop_at: &str,
    ) -> Result<ProjectionResult, EvaluationError> {
        let device = Device::flex();
        let backbone = Vit::init(&VitConfig::new(28, 14, 12, 1, 2), 5, &device);
        let mut on_progress = async |at: EvalProgress| at.doing != stop_at;
        block_on(map(&EvalContext { backbone: &backbone, options, device: &device }, task, &mut on_progress))
    }

    fn quick() -> ReductionMethod {
        ReductionMethod::Tsne(TsneOptions { steps: 400, ..TsneOptions::default() })
    }

    #[test]
    fn pictures_without_a_class_count_neither_for_nor_against() {
        let points: Vec<[f32; 2]> = (0..30).map(|i| [i as f32 / 30.0, 0.0]).collect();
        let distances: Vec<f32> = (0..900usize).map(|at| (at / 30).abs_diff(at % 30) as f32).collect();
        let of = |labels: Vec<Option<u32>>| {
            let map = ProjectionMap {
                way: String::new(),
                points: points.clone(),
                labels,
                classes: vec!["cat".to_owned()],
                names: vec![String::new(); 30],
                pictures: (0..30).collect(),
            };
            let row = row(EvalSubject::Weights, &map, &distances, None);
            row.figures.into_iter().map(|figure| (figure.name, figure.value)).collect::<Vec<_>>()
        };
        let some = of((0..30).map(|i| (i < 2).then_some(0)).collect());
        assert_eq!(some[0], ("same class in features".to_owned(), 1.0), "{some:?}");
        let one = of((0..30).map(|i| (i == 0).then_some(0)).collect());
        assert_eq!(one.len(), 1, "nothing can be said of classes: {one:?}");
    }

    #[test]
    fn maps_of_all_that_is_judged() {
        let source: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 40, 28));
        let mapped =
            judged(&ProjectionTask { source: source.clone(), way: quick() }, &EvalOptions::new(28), "")
                .unwrap();
        let ProjectionResult { outcome, maps: ProjectionMaps { map, beside } } = mapped;
        assert!(beside.len() == 2 && beside.iter().all(|other| other.pictures == map.pictures));
        let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
        assert_eq!(subjects, ["weights", "untrained", "raw pixels"]);
        let names: Vec<&str> = outcome.pictures.iter().map(|shown| shown.name.as_str()).collect();
        assert_eq!(names, ["points", "untrained", "pixels"]);
        assert_eq!(
            (map.points.len(), map.labels.len(), map.names.len(), map.classes.len()),
            (40, 40, 40, 12)
        );
        assert_eq!(map.pictures, (0..40).collect::<Vec<_>>());
        assert_eq!(map.labels[7].map(|label| label as usize), source.label(7));
        // 39 / 3 neighbours at most.
        assert!(map.way.ends_with("13"), "{}", map.way);
        let figures: Vec<&str> = outcome.rows[0].figures.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(
            figures,
            ["same class in features", "same class on the map", "neighbours kept", "divergence"]
        );
        // Arrangements at random would keep 10 of 39.
        assert!(outcome.rows.iter().all(|row| row.figures[2].value > 0.4), "{:?}", outcome.rows);
        // By the door of all evaluations the same comes out.
        let device = Device::flex();
        let backbone = Vit::init(&VitConfig::new(28, 14, 12, 1, 2), 5, &device);
        let task = EvalTask::Map(ProjectionTask { source, way: quick() });
        let options = EvalOptions { alone: true, ..EvalOptions::new(28) };
        let again = block_on(catalogue::evaluate(&task, &backbone, &options, &device, &mut async |_| true));
        assert_eq!(again.unwrap().rows, outcome.rows[..1]);
    }

    #[test]
    fn principal_components_need_no_labels() {
        let source: Arc<dyn PictureSource> = Arc::new(IndexAsLabel(Arc::new(ScenesSource::new(1, 12, 28))));
        let options = EvalOptions { alone: true, ..EvalOptions::new(28) };
        struct Plain(Arc<dyn PictureSource>);
        impl PictureSource for Plain {
            fn len(&self) -> usize {
                self.0.len()
            }
            fn name(&self, index: usize) -> String {
                self.0.name(index)
            }
            fn label(&self, _: usize) -> Option<usize> {
                None
            }
            fn classes(&self) -> &[String] {
                &[]
            }
            fn load(&self, index: usize) -> Result<dinoscope_data::Picture, dinoscope_data::DataError> {
                self.0.load(index)
            }
        }
        let mapped = judged(
            &ProjectionTask { source: Arc::new(Plain(source)), way: ReductionMethod::Pca },
            &options,
            "",
        )
        .unwrap();
        assert!(mapped.maps.map.labels.iter().all(Option::is_none));
        assert_eq!(mapped.outcome.rows[0].figures.len(), 1);
        // The first component varies most.
        let spread = |k: usize| -> f32 {
            let values = mapped.maps.map.points.iter().map(|p| p[k]);
            values.clone().fold(f32::MIN, f32::max) - values.fold(f32::MAX, f32::min)
        };
        assert!(spread(0) == 2.0 || spread(1) == 2.0);
    }

    #[test]
    fn components_lie_along_the_largest_variance() {
        let rows: Vec<f32> = (0..20).flat_map(|i| [1.0, 3.0 * (i % 5) as f32, (i / 5) as f32]).collect();
        let points = components(&rows, 3);
        assert!((points[4][0] - points[0][0]).abs() > 11.9 && (points[4][1] - points[0][1]).abs() < 1e-3);
        assert!((points[15][1] - points[0][1]).abs() > 2.9);
    }

    #[test]
    fn it_stops_and_refuses() {
        let source: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 8, 28));
        let task = ProjectionTask { source, way: quick() };
        for stop_at in ["features", "t-SNE"] {
            assert!(judged(&task, &EvalOptions::new(28), stop_at).unwrap_err().is_stopped(), "{stop_at}");
        }
        for count in [3, 5001] {
            let task = ProjectionTask {
                source: Arc::new(ScenesSource::new(1, count, 28)),
                way: ReductionMethod::Pca,
            };
            let error = judged(&task, &EvalOptions::new(28), "").unwrap_err().to_string();
            assert!(error.contains("from 4 to 5000"), "{error}");
        }
    }
}
