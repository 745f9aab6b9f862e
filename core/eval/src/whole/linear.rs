//! The linear probe: heads on the last blocks' tokens, with and without the mean patch, at thirteen learning rates; the
//! best one counts.
//!
//! Source: DINOv2's `eval/linear.py`, which chooses the head on the pictures that it reports. Here a tenth of the
//! training pictures is held out for that, unless the official way is asked for.

use std::ops::Range;

use super::super::confusion;
use super::super::gather::Collected;
use super::super::knn::check_pair;
use super::super::linear::{HeadsOptions, RATES, Scored, Training, tenth};
use super::super::outcome::{Figure, Outcome, Row};
use super::super::run::EvaluationError;
use super::super::suite::{Judge, Progress, Sets, Subject};
use super::super::{Accuracy, EvalError};
use super::{PIXELS, accuracies, description, pixels};
use dinoscope_data::source::Labelled;
use dinoscope_model::VitConfig;
use dinoscope_model::features::Wanted;

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
    pub length: Length,
    /// On which pictures the best head is chosen.
    pub select: Select,
}

impl Default for LinearTask {
    fn default() -> Self {
        Self { rates: RATES.to_vec(), batch: None, length: Length::Iterations(1250), select: Select::HeldOut }
    }
}

/// How long heads are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Length {
    /// Steps.
    Iterations(usize),
    /// Times that every picture is seen.
    Epochs(usize),
}

/// On which pictures the best head is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Select {
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
            Length::Iterations(n) => n,
            Length::Epochs(n) => (n * count).div_ceil(batch.max(1)),
        }
    }
}

/// Columns that a set of heads looks at, and what they are.
struct Seen {
    what: String,
    columns: Range<usize>,
}

impl Seen {
    fn all(subject: Subject, config: &VitConfig, sets: &Sets) -> Vec<Self> {
        if subject == Subject::RawPixels {
            return vec![Self { what: pixels(sets.train.dim), columns: 0..sets.train.dim }];
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
    judge: &Judge<'_>,
    labelled: &Labelled,
    task: &LinearTask,
    progress: &mut impl AsyncFnMut(Progress) -> bool,
) -> Result<Outcome, EvaluationError> {
    let mut out = Outcome::of("Linear probe");
    let classes = labelled.train.classes();
    let config = &judge.backbone.config;
    let wanted = Wanted { blocks: deepest(config), patch_mean: true };
    for &subject in Subject::all(judge.options.alone) {
        let sets = judge.sets(subject, labelled, wanted, PIXELS, progress).await?;
        check_pair(&sets.train.view(), &sets.test.view(), classes.len())?;
        let seen = Seen::all(subject, config, &sets);
        let probe = Probe { task, classes: classes.len(), seed: judge.options.seed };
        let found = probe.run(subject, &sets, &seen, progress).await?;
        out.rows.push(found.row(subject, &seen, classes.len()));
        out.notes.extend(sets.notes.iter().cloned());
        out.left_out.extend(sets.left_out.iter().cloned());
        if subject == Subject::Weights {
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
struct Probe<'a> {
    task: &'a LinearTask,
    classes: usize,
    seed: u64,
}

/// The head that was chosen.
struct Found {
    /// Which set of columns.
    set: usize,
    rate: f64,
    /// On the pictures that it was chosen with.
    chosen: Scored,
    /// On the test pictures.
    test: Scored,
    /// The class that it gives each test picture.
    predictions: Vec<u32>,
    held_out: bool,
    notes: Vec<String>,
}

impl Probe<'_> {
    async fn run(
        &self,
        subject: Subject,
        sets: &Sets,
        seen: &[Seen],
        progress: &mut impl AsyncFnMut(Progress) -> bool,
    ) -> Result<Found, EvaluationError> {
        let task = self.task;
        let (train, held) = self.split(&sets.train)?;
        let train = train.as_ref().unwrap_or(&sets.train);
        let count = train.labels.len();
        let batch = task.batch(count);
        let total = task.iterations(count, batch);
        let options = HeadsOptions { rates: task.rates.clone(), batch, iterations: total, seed: self.seed };
        let columns: Vec<Range<usize>> = seen.iter().map(|seen| seen.columns.clone()).collect();
        let mut training = Training::new(train.view(), self.classes, &columns, &options)?;
        while let Some(done) = training.step() {
            let at = Progress { subject: subject.name(), doing: "heads", done, total };
            if (done % REPORT == 0 || done == total) && !progress(at).await {
                return Err(EvalError::Stopped.into());
            }
        }
        let judged = held.as_ref().unwrap_or(&sets.test).view();
        let scores: Vec<Vec<Scored>> = training.heads.iter().map(|heads| heads.score(&judged)).collect();
        let Some((set, head)) = best(&scores) else {
            return Err(EvalError::Empty("learning rates").into());
        };
        let heads = &training.heads[set];
        let test = sets.test.view();
        let held_out = held.as_ref().map(|held| held.labels.len());
        Ok(Found {
            set,
            rate: task.rates[head],
            chosen: scores[set][head],
            test: heads.score(&test)[head],
            predictions: heads.predictions(head, &test),
            held_out: held_out.is_some(),
            notes: notes(&scores, seen, held_out, (count, batch, total)),
        })
    }

    /// Pictures to train on, when they are not all, and those that are held out.
    fn split(&self, train: &Collected) -> Result<(Option<Collected>, Option<Collected>), EvalError> {
        if self.task.select == Select::Test {
            return Ok((None, None));
        }
        let (held, rest) = tenth(train.labels.len(), self.seed);
        if rest.is_empty() {
            return Err(EvalError::Empty("training pictures beside those that are held out"));
        }
        Ok((Some(train.rows(&rest)), Some(train.rows(&held))))
    }
}

/// The head with the most right, the lowest loss among equals.
fn best(scores: &[Vec<Scored>]) -> Option<(usize, usize)> {
    let all =
        scores.iter().enumerate().flat_map(|(set, heads)| (0..heads.len()).map(move |head| (set, head)));
    let loss = |s: &Scored| if s.loss.is_nan() { f64::INFINITY } else { s.loss };
    all.reduce(|best, at| {
        let (a, b) = (&scores[best.0][best.1], &scores[at.0][at.1]);
        let better = (b.top1.correct, -loss(b)) > (a.top1.correct, -loss(a));
        if better { at } else { best }
    })
}

fn notes(
    scores: &[Vec<Scored>],
    seen: &[Seen],
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

impl Found {
    fn row(&self, subject: Subject, seen: &[Seen], classes: usize) -> Row {
        let mut figures = accuracies(self.test.top1, self.test.top5, classes);
        if self.held_out {
            figures.push(Figure::accuracy("held-out top-1", self.chosen.top1));
        }
        let setting = format!("{}, lr {}", seen[self.set].what, self.rate);
        Row { subject: subject.name().to_owned(), setting, figures }
    }
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
