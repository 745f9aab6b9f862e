//! One door to every evaluation: what is asked of which pictures, how it goes on, and what came of it.

use burn::tensor::Device;

use super::EvalError;
use super::gather::{Collected, gather, gather_pixels};
use super::outcome::Outcome;
use super::run::EvaluationError;
use super::whole::knn::{self, KnnTask};
use crate::features::Wanted;
use crate::model::Vit;
use crate::train::sources::Labelled;

/// What is to be found out, on which pictures.
#[derive(Clone)]
pub enum Task {
    /// Weighted nearest neighbours.
    Knn(Labelled, KnnTask),
}

/// What all evaluations have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Side of the centre crop in pixels; a multiple of the patch.
    pub size: usize,
    /// Pictures that pass through the backbone at once.
    pub batch: usize,
    /// Of the untrained model, and of every random choice.
    pub seed: u64,
    /// Leaves out what the weights are compared with: the untrained model and raw pixels.
    pub alone: bool,
}

impl Options {
    /// Pictures of `size`, everything else as it is without a wish.
    pub fn new(size: usize) -> Self {
        Self { size, batch: 64, seed: 0, alone: false }
    }
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being judged: [`Subject::name`].
    pub subject: &'static str,
    /// What is being done, in a word or two: `features`, `neighbours`.
    pub doing: &'static str,
    /// Steps that are done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The backbone in question.
    Weights,
    /// A backbone of the same shape with random weights.
    Untrained,
    /// The pictures themselves.
    RawPixels,
}

impl Subject {
    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Untrained => "untrained",
            Self::RawPixels => "raw pixels",
        }
    }

    /// All that are judged, in order.
    pub fn all(alone: bool) -> &'static [Self] {
        if alone { &[Self::Weights] } else { &[Self::Weights, Self::Untrained, Self::RawPixels] }
    }
}

/// Makes an evaluation.
///
/// `progress` is awaited between steps, so that a browser's event loop can turn, and answers whether to go on.
///
/// # Errors
/// See [`EvaluationError`]; [`EvaluationError::is_stopped`] when `progress` said no.
pub async fn evaluate(
    task: &Task,
    backbone: &Vit,
    options: &Options,
    device: &Device,
    progress: &mut impl AsyncFnMut(Progress) -> bool,
) -> Result<Outcome, EvaluationError> {
    let patch = backbone.config.patch;
    if options.size == 0 || !options.size.is_multiple_of(patch) {
        let (value, expected) = (options.size as f64, "a multiple of the backbone's patch");
        return Err(EvalError::Option { option: "size", value, expected }.into());
    }
    let judge = Judge { backbone, options, device };
    match task {
        Task::Knn(data, task) => knn::evaluate(&judge, data, task, progress).await,
    }
}

/// Whom an evaluation is about, and how and where it is made.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The backbone in question.
    pub backbone: &'a Vit,
    /// What all evaluations have in common.
    pub options: &'a Options,
    /// Where the backbone is.
    pub device: &'a Device,
}

/// Both halves of labelled pictures as numbers.
#[derive(Clone, Debug)]
pub struct Sets {
    /// To learn from.
    pub train: Collected,
    /// To judge with.
    pub test: Collected,
}

impl Judge<'_> {
    /// What `subject` makes of labelled pictures; of raw pixels a square of at most `pixels` a side.
    ///
    /// # Errors
    /// When the device fails or `progress` says no.
    pub async fn sets(
        &self,
        subject: Subject,
        labelled: &Labelled,
        wanted: Wanted,
        pixels: usize,
        progress: &mut impl AsyncFnMut(Progress) -> bool,
    ) -> Result<Sets, EvaluationError> {
        let Options { size, batch, seed, .. } = *self.options;
        let untrained;
        let backbone = match subject {
            Subject::Untrained => {
                untrained = Vit::init(&self.backbone.config, seed, self.device);
                &untrained
            }
            Subject::Weights | Subject::RawPixels => self.backbone,
        };
        let (first, total) = (labelled.train.len(), labelled.train.len() + labelled.test.len());
        let mut sets = Vec::new();
        for (before, source) in [(0, &labelled.train), (first, &labelled.test)] {
            let doing = "features";
            let mut hear = async |done| {
                progress(Progress { subject: subject.name(), doing, done: before + done, total }).await
            };
            let source = source.as_ref();
            sets.push(match subject {
                Subject::RawPixels => gather_pixels(source, size, pixels.min(size), &mut hear).await?,
                _ => gather(backbone, source, wanted, (size, batch), self.device, &mut hear).await?,
            });
        }
        let test = sets.pop().unwrap_or_default();
        Ok(Sets { train: sets.pop().unwrap_or_default(), test })
    }
}

impl Sets {
    /// Sentences about the pictures that were left out.
    pub fn skipped(&self) -> Vec<String> {
        const SHOWN: usize = 8;
        let all: Vec<&(String, String)> = self.train.skipped.iter().chain(&self.test.skipped).collect();
        let mut notes: Vec<String> =
            all.iter().take(SHOWN).map(|(name, reason)| format!("left out {name}: {reason}")).collect();
        if all.len() > SHOWN {
            notes.push(format!("left out {} more pictures", all.len() - SHOWN));
        }
        notes
    }
}
