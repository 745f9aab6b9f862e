//! From what is asked, and the pictures that it is asked of, to what the evaluations take.

use dinoscope_core::eval::depth::{DepthEvalRange, DepthTask};
use dinoscope_core::eval::embedding::{ProjectionTask, ReductionMethod, TsneOptions};
use dinoscope_core::eval::retrieve::{RetrievalTarget, RetrieveTask};
use dinoscope_core::eval::segment::SegmentTask;
use dinoscope_core::eval::spread::FeatureStatisticsTask;
use dinoscope_core::eval::suite::EvalTask;
use dinoscope_core::eval::whole::knn::{FewShotOptions, KnnTask};
use dinoscope_core::eval::whole::linear::LinearTask;
use dinoscope_core::eval::whole::logistic::LogisticTask;
use dinoscope_core::model::VitConfig;

use crate::studio::evaluate::config::EvaluationConfig;
use crate::studio::evaluate::kind::EvaluationKind;
use crate::studio::evaluate::pictures::EvaluationData;

/// How often a few pictures of each class are drawn.
const TRIES: usize = 5;

impl EvaluationKind {
    /// The task on these pictures; none when they are of another kind.
    pub fn task(
        self,
        pictures: &EvaluationData,
        wish: &EvaluationConfig,
        config: &VitConfig,
    ) -> Option<EvalTask> {
        let whole = pictures.labelled().cloned();
        let dense = pictures.dense().cloned();
        let all = pictures.all().cloned();
        let window = Some(wish.window(config));
        match self {
            Self::Map => self.map(pictures).map(EvalTask::Map),
            Self::Retrieve => all.map(|source| {
                EvalTask::Retrieve(RetrieveTask { sought: RetrievalTarget::SameClass(source), whole: false })
            }),
            Self::Spread => all.map(|source| EvalTask::Spread(FeatureStatisticsTask { source })),
            Self::Knn => {
                let few = wish.shots.map(|per_class| FewShotOptions { per_class, tries: TRIES });
                whole.map(|data| EvalTask::Knn(data, KnnTask { few, ..KnnTask::default() }))
            }
            Self::Linear => whole.map(|data| EvalTask::Linear(data, LinearTask::default())),
            Self::Logistic => whole.map(|data| EvalTask::Logistic(data, LogisticTask::default())),
            Self::Segment => {
                dense.map(|data| EvalTask::Segment(data, SegmentTask { window, ..SegmentTask::default() }))
            }
            Self::Depth => {
                let usual = DepthTask::default();
                let unit = if wish.is_scenes() { "half objects".to_owned() } else { usual.unit.clone() };
                let blocks = usual.blocks.min(config.depth);
                // Scenes have a unit of their own.
                let range = wish.range.filter(|_| !wish.is_scenes()).map(DepthEvalRange::bounds);
                dense.map(|data| EvalTask::Depth(data, DepthTask { window, blocks, unit, range, ..usual }))
            }
        }
    }

    /// The map that is to be made of these pictures, by the evaluation that makes one.
    pub fn map(self, pictures: &EvaluationData) -> Option<ProjectionTask> {
        let source = pictures.all().filter(|_| self == Self::Map)?.clone();
        Some(ProjectionTask { source, way: ReductionMethod::Tsne(TsneOptions::default()) })
    }
}
