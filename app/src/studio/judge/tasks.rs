//! From what is asked, and the pictures that it is asked of, to what the evaluations take.

use dinoscope_core::eval::depth::{DepthTask, Range};
use dinoscope_core::eval::embedding::{MapTask, TsneOptions, Way};
use dinoscope_core::eval::retrieve::{RetrieveTask, Sought};
use dinoscope_core::eval::segment::SegmentTask;
use dinoscope_core::eval::spread::SpreadTask;
use dinoscope_core::eval::suite::Task;
use dinoscope_core::eval::whole::knn::{FewShot, KnnTask};
use dinoscope_core::eval::whole::linear::LinearTask;
use dinoscope_core::eval::whole::logistic::LogisticTask;
use dinoscope_core::model::VitConfig;

use super::kind::Kind;
use super::pictures::Pictures;
use super::wish::Wish;

/// How often a few pictures of each class are drawn.
const TRIES: usize = 5;

impl Kind {
    /// The task on these pictures; none when they are of another kind.
    pub fn task(self, pictures: &Pictures, wish: &Wish, config: &VitConfig) -> Option<Task> {
        let whole = pictures.labelled().cloned();
        let dense = pictures.dense().cloned();
        let all = pictures.all().cloned();
        let window = Some(wish.window(config));
        match self {
            Self::Map => self.map(pictures).map(Task::Map),
            Self::Retrieve => all.map(|source| {
                Task::Retrieve(RetrieveTask { sought: Sought::SameClass(source), whole: false })
            }),
            Self::Spread => all.map(|source| Task::Spread(SpreadTask { source })),
            Self::Knn => {
                let few = wish.shots.map(|per_class| FewShot { per_class, tries: TRIES });
                whole.map(|data| Task::Knn(data, KnnTask { few, ..KnnTask::default() }))
            }
            Self::Linear => whole.map(|data| Task::Linear(data, LinearTask::default())),
            Self::Logistic => whole.map(|data| Task::Logistic(data, LogisticTask::default())),
            Self::Segment => {
                dense.map(|data| Task::Segment(data, SegmentTask { window, ..SegmentTask::default() }))
            }
            Self::Depth => {
                let usual = DepthTask::default();
                let unit = if wish.is_scenes() { "half objects".to_owned() } else { usual.unit.clone() };
                let blocks = usual.blocks.min(config.depth);
                // Scenes have a unit of their own.
                let range = wish.range.filter(|_| !wish.is_scenes()).map(Range::bounds);
                dense.map(|data| Task::Depth(data, DepthTask { window, blocks, unit, range, ..usual }))
            }
        }
    }

    /// The map that is to be made of these pictures, by the evaluation that makes one.
    pub fn map(self, pictures: &Pictures) -> Option<MapTask> {
        let source = pictures.all().filter(|_| self == Self::Map)?.clone();
        Some(MapTask { source, way: Way::Tsne(TsneOptions::default()) })
    }
}
