//! What a run does beside its steps, said while it is done: before the first step that is most of the waiting.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::protocol::{RunChannels, RunEvent};
use super::recipe::Recipe;

/// Between two words about the same.
const BETWEEN: Duration = Duration::from_millis(250);

/// Something beside the steps, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideTaskProgress {
    /// Steps done.
    pub iteration: u64,
    /// Whether the model is as random weights are: none that the run began with.
    pub untrained: bool,
    /// What is being done.
    pub task: SideTask,
    /// How much of it is done; pictures, or whatever an evaluation counts.
    pub done: usize,
    /// How much there is to do; 0 where nobody knows.
    pub total: usize,
}

/// What is being done beside the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SideTask {
    /// PCA and attention of the watched pictures.
    Watched,
    /// k-NN with the features of the labelled pictures, and what belongs to it.
    Knn,
    /// Crops of pictures that are to find each other.
    Crops,
    /// The other evaluations that the recipe asks for.
    Evaluation,
}

impl SideTask {
    /// In JSON: `watched`, `knn`, `crops` or `evaluation`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Knn => "knn",
            Self::Crops => "crops",
            Self::Evaluation => "evaluation",
        }
    }
}

impl SideTaskProgress {
    /// For a person: `Judging the untrained model: 640 of 1800 pictures`.
    pub fn text(&self) -> String {
        let model = if self.untrained { "the untrained model" } else { "the model" };
        let (what, of) = match self.task {
            SideTask::Watched => (format!("Looking at the watched pictures with {model}"), ""),
            SideTask::Knn => (format!("Judging {model}"), " pictures"),
            SideTask::Crops => (format!("Finding crops again with {model}"), " pictures"),
            SideTask::Evaluation => (format!("Judging {model} further"), ""),
        };
        match self.total {
            0 => what,
            total => format!("{what}: {} of {total}{of}", self.done),
        }
    }

    /// The share that is done, where it is known.
    pub fn share(&self) -> Option<f32> {
        (self.total > 0).then(|| self.done as f32 / self.total as f32)
    }
}

/// Tells how far something is, at its beginning and then now and again.
pub(super) struct SideTaskReporter<'a> {
    port: &'a RunChannels,
    aside: SideTaskProgress,
    last: Option<Instant>,
}

impl<'a> SideTaskReporter<'a> {
    /// Nothing is said yet.
    pub fn new(port: &'a RunChannels, recipe: &Recipe, iteration: u64, task: SideTask) -> Self {
        let untrained = iteration == 0 && recipe.start.weights.is_empty();
        Self { port, aside: SideTaskProgress { iteration, untrained, task, done: 0, total: 0 }, last: None }
    }

    /// So much is done. Holds while the run is paused; whether to go on, which a run that is to stop does not.
    pub async fn progress(&mut self, done: usize, total: usize) -> bool {
        if self.last.is_none_or(|last| last.elapsed() >= BETWEEN) {
            self.last = Some(Instant::now());
            self.port.emit(RunEvent::Aside(SideTaskProgress { done, total, ..self.aside })).await;
        }
        self.port.goes_on().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_said_in_words() {
        let aside = |iteration, task, done, total| {
            let untrained = iteration == 0;
            SideTaskProgress { iteration, untrained, task, done, total }
        };
        let said = [
            aside(0, SideTask::Knn, 640, 1800).text(),
            aside(60, SideTask::Knn, 0, 0).text(),
            aside(0, SideTask::Watched, 2, 6).text(),
            aside(60, SideTask::Evaluation, 1, 3).text(),
            // What begins with weights is not untrained.
            SideTaskProgress { untrained: false, ..aside(0, SideTask::Crops, 64, 300) }.text(),
        ];
        let wanted = [
            "Judging the untrained model: 640 of 1800 pictures",
            "Judging the model",
            "Looking at the watched pictures with the untrained model: 2 of 6",
            "Judging the model further: 1 of 3",
            "Finding crops again with the model: 64 of 300 pictures",
        ];
        assert_eq!(said, wanted);
        assert_eq!(
            (aside(0, SideTask::Knn, 1, 4).share(), aside(0, SideTask::Knn, 1, 0).share()),
            (Some(0.25), None)
        );
    }
}
