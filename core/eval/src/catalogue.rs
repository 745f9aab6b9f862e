//! Every evaluation that there is: its id, its words, what it needs, the task that it makes of pictures, and who makes it.
//!
//! The command line, the studio, what is measured during a run and the documentation take them from this table.

use burn::tensor::Device;
use dinoscope_data::source::LabelledSplit;
use dinoscope_data::source::dense::DenseSplit;
use dinoscope_model::{Vit, VitConfig};
use serde::{Deserialize, Serialize};

use super::EvalProtocolError;
use super::crops::{self, CropRetrievalTask};
use super::data::EvaluationData;
use super::depth::{self, DepthEvalRange, DepthTask};
use super::embedding::{self, ProjectionTask, ReductionMethod, TsneOptions};
use super::follow::{self, FollowTask};
use super::masks::{self, MasksTask};
use super::outcome::EvalReport;
use super::retrieve::{self, RetrievalTarget, RetrieveTask};
use super::run::EvaluationError;
use super::segment::{self, SegmentTask};
use super::spread::{self, FeatureStatisticsTask};
use super::suite::{EvalContext, EvalOptions, EvalProgress};
use super::whole::knn::{self, FewShotOptions, KnnTask};
use super::whole::linear::{self, LinearTask};
use super::whole::logistic::{self, LogisticTask};

/// An evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EvaluationKind {
    /// Weighted nearest neighbours.
    Knn,
    /// Pictures as points in the plane.
    Map,
    /// Linear heads trained with SGD.
    Linear,
    /// Logistic regression to its optimum.
    Logistic,
    /// What is found for each picture among the others.
    Retrieve,
    /// How features are spread over their space.
    Spread,
    /// How often crops of one picture find each other.
    Crops,
    /// What pixels show.
    Segment,
    /// How far away pixels are.
    Depth,
    /// Where the object of a picture is, without any training.
    Masks,
    /// Whether what moves is found again.
    Follow,
}

/// What is to be found out, on which pictures.
#[derive(Clone)]
pub enum EvalTask {
    /// Weighted nearest neighbours.
    Knn(LabelledSplit, KnnTask),
    /// Linear heads trained with SGD.
    Linear(LabelledSplit, LinearTask),
    /// Logistic regression to its optimum.
    Logistic(LabelledSplit, LogisticTask),
    /// What pixels show, with a linear head.
    Segment(DenseSplit, SegmentTask),
    /// How far away pixels are, with a linear head.
    Depth(DenseSplit, DepthTask),
    /// Where the object of a picture is, without any training.
    Masks(DenseSplit, MasksTask),
    /// Whether what moves is found again.
    Follow(FollowTask),
    /// What is found for each picture among others.
    Retrieve(RetrieveTask),
    /// How features are spread over their space.
    Spread(FeatureStatisticsTask),
    /// How often crops of one picture find each other.
    Crops(CropRetrievalTask),
    /// Pictures as points in the plane.
    Map(ProjectionTask),
}

/// What has to be known about pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelRequirement {
    /// A class of each picture.
    Labels,
    /// Nothing; classes are of use.
    Nothing,
    /// A class of each pixel.
    Classes,
    /// The depth of each pixel.
    Depth,
    /// How things move from frame to frame.
    Motion,
}

impl LabelRequirement {
    /// The evaluations that need it, for a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Labels => "Classes",
            Self::Nothing => "All pictures",
            Self::Classes => "Classes of pixels",
            Self::Depth => "Depth",
            Self::Motion => "Motion",
        }
    }
}

/// What a person chooses of the tasks in the studio; the command line has options for all the rest.
#[derive(Clone, Copy, Debug)]
pub struct TaskChoices<'a> {
    /// The backbone's configuration.
    pub config: &'a VitConfig,
    /// Side of the windows in which pixels are evaluated.
    pub window: usize,
    /// So many pictures of each class for nearest neighbours; all without.
    pub shots: Option<usize>,
    /// Depths that count; those of the pictures without.
    pub range: Option<DepthEvalRange>,
    /// The pictures are the built-in scenes, which have a unit of depth of their own.
    pub scenes: bool,
}

/// How often a few pictures of each class are drawn.
const TRIES: usize = 5;

/// A row of the table.
pub struct EvaluationEntry {
    /// The evaluation.
    pub kind: EvaluationKind,
    /// Its word on the command line and in names of files.
    pub id: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it tells, in a few words.
    pub hint: &'static str,
    /// What is measured.
    pub measures: &'static str,
    /// How, with the options of the command line; Markdown.
    pub protocol: &'static str,
    /// What has to be known about the pictures.
    pub needs: LabelRequirement,
    /// The figure of a run in which it is written down, where it can be made while a run goes on.
    pub run_figure: Option<&'static str>,
    /// The task on these pictures; none where they are of another kind.
    pub task: fn(&EvaluationData, &TaskChoices<'_>) -> Option<EvalTask>,
}

/// All evaluations, as they are offered.
pub static EVALUATIONS: &[EvaluationEntry] = &[
    EvaluationEntry {
        kind: EvaluationKind::Knn,
        id: "knn",
        title: "Nearest neighbours",
        hint: "Whether pictures of a class lie together",
        measures: "class of a picture by its nearest neighbours",
        protocol: "weights softmax(cosine / 0.07); `--k 10,20,100,200`; `--few-shot N --tries T`",
        needs: LabelRequirement::Labels,
        run_figure: Some("knn_top1"),
        task: |data, choices| {
            let few = choices.shots.map(|per_class| FewShotOptions { per_class, tries: TRIES });
            Some(EvalTask::Knn(data.labelled()?.clone(), KnnTask { few, ..KnnTask::default() }))
        },
    },
    EvaluationEntry {
        kind: EvaluationKind::Map,
        id: "map",
        title: "Map",
        hint: "Pictures as points, alike ones together",
        measures: "where pictures lie",
        protocol: "t-SNE in two dimensions as one HTML file with a thumbnail under the pointer",
        needs: LabelRequirement::Nothing,
        run_figure: None,
        task: |data, _| {
            let (source, way) = (data.all()?.clone(), ReductionMethod::Tsne(TsneOptions::default()));
            Some(EvalTask::Map(ProjectionTask { source, way }))
        },
    },
    EvaluationEntry {
        kind: EvaluationKind::Linear,
        id: "linear",
        title: "Linear probe",
        hint: "What a linear head reads off",
        measures: "class by the best of many linear heads",
        protocol: "the official grid: CLS of the last 1 or 4 blocks, with or without the mean patch, 13 learning rates, \
                   all trained at once with SGD on features that are kept; the head is chosen on a held-out tenth \
                   (`--select test`: as the official code)",
        needs: LabelRequirement::Labels,
        run_figure: Some("linear_top1"),
        task: |data, _| Some(EvalTask::Linear(data.labelled()?.clone(), LinearTask::default())),
    },
    EvaluationEntry {
        kind: EvaluationKind::Logistic,
        id: "logistic",
        title: "Logistic regression",
        hint: "The same to its optimum, without learning rates",
        measures: "class by logistic regression to its optimum",
        protocol: "L2, the official 45 values of C, chosen on a tenth; L-BFGS in float64",
        needs: LabelRequirement::Labels,
        run_figure: None,
        task: |data, _| Some(EvalTask::Logistic(data.labelled()?.clone(), LogisticTask::default())),
    },
    EvaluationEntry {
        kind: EvaluationKind::Retrieve,
        id: "retrieve",
        title: "Retrieval",
        hint: "What is found for each picture among the others",
        measures: "whether the nearest pictures are the right ones (mAP)",
        protocol: "same class, or `--truth FILE` of revisited Oxford and Paris (Medium, Hard)",
        needs: LabelRequirement::Nothing,
        run_figure: None,
        task: |data, _| {
            let sought = RetrievalTarget::SameClass(data.all()?.clone());
            Some(EvalTask::Retrieve(RetrieveTask { sought, whole: false }))
        },
    },
    EvaluationEntry {
        kind: EvaluationKind::Spread,
        id: "spread",
        title: "Spread",
        hint: "Rank, alignment, uniformity; needs no classes",
        measures: "how features fill their space",
        protocol: "rank of the spectrum, alignment of two views, uniformity",
        needs: LabelRequirement::Nothing,
        run_figure: None,
        task: |data, _| Some(EvalTask::Spread(FeatureStatisticsTask { source: data.all()?.clone() })),
    },
    EvaluationEntry {
        kind: EvaluationKind::Crops,
        id: "crops",
        title: "Crop retrieval",
        hint: "Whether two crops of a picture find each other; needs no classes",
        measures: "how often two crops of one picture find each other among all pictures",
        protocol: "two global crops of up to 512 pictures as training draws them, nearest by the cosine of CLS features",
        needs: LabelRequirement::Nothing,
        run_figure: Some("crops_top1"),
        task: |data, _| {
            Some(EvalTask::Crops(CropRetrievalTask {
                source: data.all()?.clone(),
                most: crops::MOST_PICTURES,
            }))
        },
    },
    EvaluationEntry {
        kind: EvaluationKind::Segment,
        id: "segment",
        title: "Segmentation",
        hint: "What each pixel shows, from its patch",
        measures: "what every pixel shows (mIoU)",
        protocol: "batch norm and a linear layer on the patch tokens, AdamW; sliding windows; `--ms`: four blocks, five \
                   sizes, mirrored",
        needs: LabelRequirement::Classes,
        run_figure: Some("segment_miou"),
        task: |data, choices| {
            let task = SegmentTask { window: Some(choices.window), ..SegmentTask::default() };
            Some(EvalTask::Segment(data.dense()?.clone(), task))
        },
    },
    EvaluationEntry {
        kind: EvaluationKind::Depth,
        id: "depth",
        title: "Depth",
        hint: "How far away each pixel is, from its patch",
        measures: "how far away every pixel is (RMSE, δ)",
        protocol: "256 bins on four blocks with their CLS token; `--range nyu`, `kitti` or MIN,MAX; SigLoss, \
                   `--gradient 0.5`",
        needs: LabelRequirement::Depth,
        run_figure: Some("depth_rmse"),
        task: |data, choices| {
            let usual = DepthTask::default();
            let blocks = usual.blocks.min(choices.config.depth);
            let unit = if choices.scenes { "half objects".to_owned() } else { usual.unit.clone() };
            let range = choices.range.filter(|_| !choices.scenes).map(DepthEvalRange::bounds);
            let window = Some(choices.window);
            Some(EvalTask::Depth(data.dense()?.clone(), DepthTask { window, blocks, unit, range, ..usual }))
        },
    },
    EvaluationEntry {
        kind: EvaluationKind::Masks,
        id: "masks",
        title: "Object masks",
        hint: "Where the object is; nothing is trained",
        measures: "which pixels are the object (mean IoU), without any training",
        protocol: "the foreground side of each picture's first principal component, and the `--mass 0.6` of the CLS token's \
                   attention in the last block; beside all of the picture and a box in the middle",
        needs: LabelRequirement::Classes,
        run_figure: None,
        task: |data, choices| {
            let task = MasksTask { window: Some(choices.window), ..MasksTask::default() };
            Some(EvalTask::Masks(data.dense()?.clone(), task))
        },
    },
    EvaluationEntry {
        kind: EvaluationKind::Follow,
        id: "follow",
        title: "Following",
        hint: "Whether a place is found again as things move; nothing is trained",
        measures: "in how many frames of moving scenes a place is found again within 1.5 patches, and how well masks of the \
                   first frame are carried on (J)",
        protocol: "a place by the best match of its patch near where it was, as `dinoscope follow`; masks by DINO's protocol \
                   on DAVIS; `--scenes 24 --frames 60`; `--resolution`, `--block`; beside raw pixels, the colour of patches, \
                   and whoever says that nothing moves",
        needs: LabelRequirement::Motion,
        run_figure: None,
        task: |data, _| Some(EvalTask::Follow(FollowTask::new(data.moving()?))),
    },
];

impl EvaluationKind {
    /// All of them, as they are offered.
    pub fn all() -> impl Iterator<Item = Self> {
        EVALUATIONS.iter().map(|entry| entry.kind)
    }

    /// The evaluation with this id.
    pub fn with_id(id: &str) -> Option<Self> {
        EVALUATIONS.iter().find(|entry| entry.id == id).map(|entry| entry.kind)
    }

    /// Its row of the table.
    pub fn entry(self) -> &'static EvaluationEntry {
        // A test holds that there is one for each.
        EVALUATIONS.iter().find(|entry| entry.kind == self).unwrap_or(&EVALUATIONS[0])
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// Its word on the command line and in names of files.
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    /// What has to be known about the pictures.
    pub fn needs(self) -> LabelRequirement {
        self.entry().needs
    }
}

/// Makes an evaluation.
///
/// `progress` is awaited between steps, so that a browser's event loop can turn, and answers whether to go on.
///
/// # Errors
/// See [`EvaluationError`]; [`EvaluationError::is_stopped`] when `progress` said no.
pub async fn evaluate(
    task: &EvalTask,
    backbone: &Vit,
    options: &EvalOptions,
    device: &Device,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let patch = backbone.config.patch;
    if options.size == 0 || !options.size.is_multiple_of(patch) {
        let (value, expected) = (options.size as f64, "a multiple of the backbone's patch");
        return Err(EvalProtocolError::Option { option: "size", value, expected }.into());
    }
    let context = EvalContext { backbone, options, device };
    match task {
        EvalTask::Knn(data, task) => knn::evaluate(&context, data, task, progress).await,
        EvalTask::Linear(data, task) => linear::evaluate(&context, data, task, progress).await,
        EvalTask::Logistic(data, task) => logistic::evaluate(&context, data, task, progress).await,
        EvalTask::Segment(data, task) => segment::evaluate(&context, data, task, progress).await,
        EvalTask::Depth(data, task) => depth::evaluate(&context, data, task, progress).await,
        EvalTask::Masks(data, task) => masks::evaluate(&context, data, task, progress).await,
        EvalTask::Follow(task) => follow::evaluate(&context, task, progress).await,
        EvalTask::Retrieve(task) => retrieve::evaluate(&context, task, progress).await,
        EvalTask::Spread(task) => spread::evaluate(&context, task, progress).await,
        EvalTask::Crops(task) => crops::evaluate(&context, task, progress).await,
        EvalTask::Map(task) => embedding::evaluate(&context, task, progress).await,
    }
}

/// The table for people who read the documentation.
pub fn markdown() -> String {
    let mut out = String::from("| word | what is measured | protocol |\n|---|---|---|\n");
    for EvaluationEntry { id, measures, protocol, .. } in EVALUATIONS {
        out.push_str(&format!("| `{id}` | {measures} | {protocol} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_evaluation_is_in_the_table_once_under_words_of_its_own() {
        // Another variant makes this match fail to compile: its row belongs into the table.
        let is_known = |kind| match kind {
            EvaluationKind::Knn | EvaluationKind::Map | EvaluationKind::Linear | EvaluationKind::Logistic => {
                true
            }
            EvaluationKind::Retrieve | EvaluationKind::Spread | EvaluationKind::Crops => true,
            EvaluationKind::Segment | EvaluationKind::Depth | EvaluationKind::Masks => true,
            EvaluationKind::Follow => true,
        };
        assert!(EvaluationKind::all().all(is_known));
        assert_eq!(EvaluationKind::all().collect::<BTreeSet<_>>().len(), EVALUATIONS.len());
        type Words = fn(&EvaluationEntry) -> &'static str;
        let all: [Words; 3] = [|entry| entry.id, |entry| entry.title, |entry| entry.hint];
        for words in all {
            assert_eq!(EVALUATIONS.iter().map(words).collect::<BTreeSet<_>>().len(), EVALUATIONS.len());
        }
        for entry in EVALUATIONS {
            assert_eq!(entry.kind.entry().id, entry.id);
            assert_eq!(EvaluationKind::with_id(entry.id), Some(entry.kind));
        }
    }
}
