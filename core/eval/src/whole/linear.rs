//! The linear probe: heads on the last blocks' tokens, with and without the mean patch, at thirteen learning rates; the
//! best one counts.
//!
//! Source: DINOv2's `eval/linear.py`, which chooses the head on the pictures that it reports. Here a tenth of the
//! training pictures is held out for that, unless the official way is asked for.

use std::ops::Range;

use burn::tensor::Device;

use super::super::confusion;
use super::super::descriptors::{DescriptorSizes, PictureDescriptor};
use super::super::gather::FeatureSet;
use super::super::knn::check_pair;
use super::super::linear::{LinearHeadOptions, LinearHeadScore, LinearHeadTrainer, RATES, tenth};
use super::super::outcome::{EvalMetric, EvalReport, EvalTableRow};
use super::super::run::EvaluationError;
use super::super::suite::{EvalContext, EvalProgress, EvalSubject, TrainTestFeatures};
use super::super::{Accuracy, EvalProtocolError};
use super::{accuracies, description};
use dinoscope_data::source::LabelledSplit;
use dinoscope_model::VitConfig;
use dinoscope_model::features::ImageFeatureSpec;

/// Steps from one report to the next.
const REPORT: usize = 10;

/// What is asked of the linear probe. The official recipe is 12,500 iterations of 1024 pictures, chosen on the test.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LinearTask {
    /// Learning rates for a batch of 256.
    pub rates: Vec<f64>,
    /// Pictures a step; without a wish an eighth of them, a power of two from 16 to 1024.
    pub batch: Option<usize>,
    /// How long heads are trained.
    pub length: LinearProbeLength,
    /// On which pictures the best head is chosen.
    pub select: HeadSelectionSet,
}

impl Default for LinearTask {
    fn default() -> Self {
        Self {
            rates: RATES.to_vec(),
            batch: None,
            length: LinearProbeLength::Iterations(1250),
            select: HeadSelectionSet::HeldOut,
        }
    }
}

/// How long heads are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum LinearProbeLength {
    /// Steps.
    Iterations(usize),
    /// Times that every picture is seen.
    Epochs(usize),
}

/// On which pictures the best head is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum HeadSelectionSet {
    /// A tenth of the training pictures, which no head is trained on.
    HeldOut,
    /// The test pictures, as the official code does: the result flatters.
    Test,
}

impl LinearTask {
    /// Pictures a step, of `count`.
    fn batch(&self, count: usize) -> usize {
        self.batch.unwrap_or_else(|| (1 << (count / 8).max(16).ilog2()).min(1024)).min(count)
    }

    fn iterations(&self, count: usize, batch: usize) -> usize {
        match self.length {
            LinearProbeLength::Iterations(n) => n,
            LinearProbeLength::Epochs(n) => (n * count).div_ceil(batch.max(1)),
        }
    }
}

/// Columns that a set of heads looks at, and what they are.
struct FeatureColumns {
    what: String,
    columns: Range<usize>,
}

impl FeatureColumns {
    /// Those of a backbone, or of what needs none.
    fn all(descriptor: Option<PictureDescriptor>, config: &VitConfig) -> Vec<Self> {
        if let Some(descriptor) = descriptor {
            return vec![Self { what: descriptor.words(), columns: 0..descriptor.dim() }];
        }
        let (blocks, dim) = (deepest(config), config.dim);
        let mut all = Vec::new();
        for n in if blocks > 1 { vec![1, blocks] } else { vec![1] } {
            for patches in [false, true] {
                let what = format!(
                    "{n} block{}{}",
                    if n == 1 { "" } else { "s" },
                    if patches { " + patches" } else { "" }
                );
                // The last block's CLS token stands beside the mean patch.
                let columns = (blocks - n) * dim..(blocks + usize::from(patches)) * dim;
                all.push(Self { what, columns });
            }
        }
        all
    }
}

/// Blocks that the deepest heads look at.
fn deepest(config: &VitConfig) -> usize {
    config.depth.min(4)
}

pub(in super::super) async fn evaluate(
    context: &EvalContext<'_>,
    labelled: &LabelledSplit,
    task: &LinearTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let mut out = EvalReport::of("Linear probe");
    let classes = labelled.train.classes();
    let config = &context.backbone.config;
    let wanted = ImageFeatureSpec { blocks: deepest(config), patch_mean: true };
    for &subject in EvalSubject::of_pictures(context.options.alone) {
        let sets = context.sets(subject, labelled, wanted, DescriptorSizes::PROBE, progress).await?;
        check_pair(&sets.train.view(), &sets.test.view(), classes.len())?;
        let seen = FeatureColumns::all(context.descriptor(subject, DescriptorSizes::PROBE), config);
        let probe =
            LinearProbe { task, classes: classes.len(), seed: context.options.seed, device: context.device };
        let found = probe.run(subject, &sets, &seen, progress).await?;
        out.rows.push(found.row(subject, &seen, classes.len()));
        out.notes.extend(sets.notes.iter().cloned());
        out.left_out.extend(sets.left_out.iter().cloned());
        if subject == EvalSubject::Weights {
            out.data = description(&sets, labelled);
            let (shown, notes) = confusion::shown(&found.predictions, &sets.test.labels, classes)?;
            out.pictures.push(shown);
            out.notes.extend(found.notes);
            out.notes.extend(notes);
        }
    }
    Ok(out)
}

/// The probe of one subject.
struct LinearProbe<'a> {
    task: &'a LinearTask,
    classes: usize,
    seed: u64,
    device: &'a Device,
}

/// The head that was chosen.
struct SelectedLinearHead {
    /// Which set of columns.
    set: usize,
    rate: f64,
    /// On the pictures that it was chosen with.
    chosen: LinearHeadScore,
    /// On the test pictures.
    test: LinearHeadScore,
    /// The class that it gives each test picture.
    predictions: Vec<u32>,
    held_out: bool,
    notes: Vec<String>,
}

impl LinearProbe<'_> {
    async fn run(
        &self,
        subject: EvalSubject,
        sets: &TrainTestFeatures,
        seen: &[FeatureColumns],
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<SelectedLinearHead, EvaluationError> {
        let task = self.task;
        let (train, held) = self.split(&sets.train)?;
        let train = train.as_ref().unwrap_or(&sets.train);
        let count = train.labels.len();
        let batch = task.batch(count);
        let total = task.iterations(count, batch);
        let options =
            LinearHeadOptions { rates: task.rates.clone(), batch, iterations: total, seed: self.seed };
        let columns: Vec<Range<usize>> = seen.iter().map(|seen| seen.columns.clone()).collect();
        let mut training =
            LinearHeadTrainer::new(train.view(), self.classes, &columns, &options, self.device)?;
        while let Some(done) = training.step() {
            let at = EvalProgress { subject: subject.name(), doing: "heads", done, total };
            if done % REPORT == 0 || done == total {
                training.wait().await?;
                if !progress(at).await {
                    return Err(EvalProtocolError::Stopped.into());
                }
            }
        }
        let judged = held.as_ref().unwrap_or(&sets.test).view();
        let mut scores = Vec::new();
        for heads in &training.heads {
            scores.push(heads.score(&judged).await?);
        }
        let Some((set, head)) = best(&scores) else {
            return Err(EvalProtocolError::Empty("learning rates").into());
        };
        let heads = &training.heads[set];
        let test = sets.test.view();
        let held_out = held.as_ref().map(|held| held.labels.len());
        Ok(SelectedLinearHead {
            set,
            rate: task.rates[head],
            chosen: scores[set][head],
            test: heads.score(&test).await?[head],
            predictions: heads.predictions(head, &test).await?,
            held_out: held_out.is_some(),
            notes: notes(&scores, seen, held_out, (count, batch, total)),
        })
    }

    /// Pictures to train on, when they are not all, and those that are held out.
    fn split(
        &self,
        train: &FeatureSet,
    ) -> Result<(Option<FeatureSet>, Option<FeatureSet>), EvalProtocolError> {
        if self.task.select == HeadSelectionSet::Test {
            return Ok((None, None));
        }
        let (held, rest) = tenth(train.labels.len(), self.seed);
        if rest.is_empty() {
            return Err(EvalProtocolError::Empty("training pictures beside those that are held out"));
        }
        Ok((Some(train.rows(&rest)), Some(train.rows(&held))))
    }
}

/// The head with the most right, the lowest loss among equals.
fn best(scores: &[Vec<LinearHeadScore>]) -> Option<(usize, usize)> {
    let all =
        scores.iter().enumerate().flat_map(|(set, heads)| (0..heads.len()).map(move |head| (set, head)));
    let loss = |s: &LinearHeadScore| if s.loss.is_nan() { f64::INFINITY } else { s.loss };
    all.reduce(|best, at| {
        let (a, b) = (&scores[best.0][best.1], &scores[at.0][at.1]);
        let better = (b.top1.correct, -loss(b)) > (a.top1.correct, -loss(a));
        if better { at } else { best }
    })
}

fn notes(
    scores: &[Vec<LinearHeadScore>],
    seen: &[FeatureColumns],
    held_out: Option<usize>,
    (count, batch, iterations): (usize, usize, usize),
) -> Vec<String> {
    let heads: usize = scores.iter().map(Vec::len).sum();
    let trained = format!("{heads} heads, {iterations} steps of {batch} pictures");
    let chosen = match held_out {
        Some(held) => format!("{trained}; trained on {count} pictures and chosen on {held} others"),
        None => format!("{trained}; chosen on the test pictures, as the official code does, which flatters"),
    };
    let of_set: Vec<String> = seen
        .iter()
        .zip(scores)
        .filter_map(|(seen, heads)| {
            let best: Accuracy = heads.iter().map(|s| s.top1).max_by_key(|top1| top1.correct)?;
            Some(format!("{} {:.1} %", seen.what, 100.0 * best.value()))
        })
        .collect();
    let mut notes = vec![chosen];
    if of_set.len() > 1 {
        notes.push(format!("the best heads on those pictures: {}", of_set.join(", ")));
    }
    notes
}

impl SelectedLinearHead {
    fn row(&self, subject: EvalSubject, seen: &[FeatureColumns], classes: usize) -> EvalTableRow {
        let mut figures = accuracies(self.test.top1, self.test.top5, classes);
        if self.held_out {
            figures.push(EvalMetric::accuracy("held-out top-1", self.chosen.top1));
        }
        let setting = format!("{}, lr {}", seen[self.set].what, self.rate);
        EvalTableRow { subject: subject.name().to_owned(), setting, figures }
    }
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
