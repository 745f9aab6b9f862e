//! Colours turned from one model's onto the other's, and agreement in figures: computed beside the frames.

use std::sync::Arc;

use async_channel::Receiver;
use dinoscope_core::analysis::agreement::{PatchAgreement, agreement};
use dinoscope_core::analysis::pca::{Pca, PcaOptions};
use dinoscope_core::analysis::{AnalysisError, PatchFeatures};
use dinoscope_core::explore::PictureId;

use super::ComparedModel;
use crate::platform::tasks::Wake;
use crate::studio::background::work_queue::SharedWorkQueue;

/// A picture, and how both models look at it.
pub type AgreementKey = (PictureId, u64);

/// Features of one picture: the first model's, the second's.
pub type FeaturePair = [Arc<PatchFeatures>; 2];

/// Colours to be fitted to the second model's features.
pub struct TurnJob {
    /// Changes whenever the result would.
    pub key: u64,
    /// The first model's colours.
    pub reference: Arc<Pca>,
    /// The pictures.
    pub pairs: Vec<FeaturePair>,
    /// Split objects from background.
    pub foreground: bool,
}

/// What is to be done.
enum ComparisonTask {
    Turn(TurnJob),
    Agree(AgreementKey, FeaturePair),
}

/// What was found.
enum ComparisonResult {
    Turned(u64, usize, Result<Arc<Pca>, String>),
    Agreed(AgreementKey, Result<PatchAgreement, String>),
}

#[derive(Default)]
struct ComparisonQueue {
    turn: Option<TurnJob>,
    agree: Vec<(AgreementKey, FeaturePair)>,
}

/// Who computes it, from the outside.
pub struct ComparisonWorker {
    queue: SharedWorkQueue<ComparisonQueue>,
    results: Receiver<ComparisonResult>,
}

impl ComparisonWorker {
    /// Starts it.
    pub fn start(wake: Wake) -> Self {
        let names = ("compare", "models can't be compared");
        let (queue, results) =
            SharedWorkQueue::with_results(ComparisonQueue::default(), names, next, work, wake);
        Self { queue, results }
    }

    /// Turns colours, in place of those that have not begun.
    pub fn turn(&self, job: TurnJob) {
        self.queue.write(|wanted| wanted.turn = Some(job));
    }

    /// Compares these pictures, the first first, in place of those that have not begun.
    pub fn agree(&self, pairs: Vec<(AgreementKey, FeaturePair)>) {
        self.queue.write(|wanted| wanted.agree = pairs);
    }
}

fn next(wanted: &mut ComparisonQueue) -> Option<ComparisonTask> {
    if let Some(job) = wanted.turn.take() {
        return Some(ComparisonTask::Turn(job));
    }
    let pair = (!wanted.agree.is_empty()).then(|| wanted.agree.remove(0));
    pair.map(|(key, pair)| ComparisonTask::Agree(key, pair))
}

fn work(task: ComparisonTask) -> ComparisonResult {
    match task {
        ComparisonTask::Turn(job) => {
            let turned = turned(&job).map(Arc::new).map_err(|error| error.to_string());
            ComparisonResult::Turned(job.key, job.pairs.len(), turned)
        }
        ComparisonTask::Agree(key, [a, b]) => {
            ComparisonResult::Agreed(key, agreement(&a, &b).map_err(|error| error.to_string()))
        }
    }
}

fn turned(job: &TurnJob) -> Result<Pca, AnalysisError> {
    let options = PcaOptions { foreground: job.foreground, smoothing: 0.0, ..PcaOptions::default() };
    let of =
        |side: usize| -> Vec<&PatchFeatures> { job.pairs.iter().map(|pair| pair[side].as_ref()).collect() };
    Pca::fit_beside(&of(1), &job.reference, &of(0), &options)
}

impl ComparedModel {
    /// Takes in what was found; the last thing that went wrong.
    pub(super) fn take_figures(&mut self) -> Option<String> {
        let mut failed = None;
        while let Ok(result) = self.worker.results.try_recv() {
            match result {
                ComparisonResult::Turned(key, pictures, turned) => {
                    // Of a model or pictures that are no longer compared.
                    if self.turning != Some(key) {
                        continue;
                    }
                    self.turning = None;
                    match turned {
                        Ok(pca) => self.painter.set_basis(key, pictures, pca),
                        Err(error) => failed = Some(error),
                    }
                }
                ComparisonResult::Agreed(key, found) => {
                    if !self.agreeing.contains(&key) {
                        continue;
                    }
                    self.agreeing.retain(|waiting| *waiting != key);
                    // Features that can't be compared have nothing to say, once.
                    self.agreed.insert(key, found.unwrap_or_default());
                }
            }
        }
        failed
    }

    /// Whether figures or colours are on their way.
    pub(super) fn computes(&self) -> bool {
        self.turning.is_some() || !self.agreeing.is_empty()
    }
}
