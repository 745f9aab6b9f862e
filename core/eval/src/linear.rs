//! Linear heads on features that stay as they are, many at once: what the linear probe trains.
//!
//! Source: DINOv2's `eval/linear.py`: `Linear` from N(0, 0.01) with bias 0, cross-entropy, SGD with momentum 0.9, no
//! weight decay, a cosine down to 0, learning rates in proportion to the batch (lr · batch / 256). Heads never see each
//! other; those that look at the same columns share one matrix product.

use std::ops::Range;

use dinoscope_shaders::cpu::{MatrixView, multiply};

use super::knn::LabelledFeatures;
use super::{Accuracy, EvalProtocolError};
use dinoscope_base::parallel;
use dinoscope_base::rng::{self, RngExt};

/// The learning rates of the published grid, for a batch of 256.
pub const RATES: [f64; 13] = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1];

/// Momentum of SGD.
const MOMENTUM: f32 = 0.9;
/// Standard deviation of the weights before the first step.
const INITIAL: f32 = 0.01;
/// Rows that are scored at a time.
const ROWS: usize = 256;

/// How heads are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHeadOptions {
    /// Learning rates for a batch of 256; each gives a head.
    pub rates: Vec<f64>,
    /// Pictures a step; at most all there are.
    pub batch: usize,
    /// Steps.
    pub iterations: usize,
    /// Of the initial weights and the order of pictures.
    pub seed: u64,
}

/// How good one head is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinearHeadScore {
    /// The class with the highest logit is right.
    pub top1: Accuracy,
    /// The right class is among the five highest.
    pub top5: Accuracy,
    /// Mean cross-entropy; not finite for a head that diverged.
    pub loss: f64,
}

/// Heads that look at the same columns, one for each learning rate.
pub(super) struct LinearHeads {
    columns: Range<usize>,
    classes: usize,
    /// Effective learning rates.
    rates: Vec<f32>,
    /// `[heads * classes, columns]`
    weights: Vec<f32>,
    /// `[heads * classes]`
    bias: Vec<f32>,
    /// Like `weights`, already multiplied with the momentum for the next step.
    velocity: Vec<f32>,
    bias_velocity: Vec<f32>,
}

impl LinearHeads {
    fn new(
        classes: usize,
        columns: Range<usize>,
        options: &LinearHeadOptions,
        batch: usize,
        set: usize,
    ) -> Self {
        let rows = options.rates.len() * classes;
        let mut stream = rng::stream(options.seed, "linear heads", set as u64, 0);
        let weights = (0..rows * columns.len()).map(|_| INITIAL * rng::normal(&mut stream)).collect();
        Self {
            classes,
            rates: options.rates.iter().map(|rate| (rate * batch as f64 / 256.0) as f32).collect(),
            velocity: vec![0.0; rows * columns.len()],
            weights,
            bias: vec![0.0; rows],
            bias_velocity: vec![0.0; rows],
            columns,
        }
    }

    /// The columns that these heads look at, of some rows: `[rows, columns]`.
    fn cut(&self, features: &LabelledFeatures<'_>, rows: impl Iterator<Item = usize>) -> Vec<f32> {
        let dim = features.dim;
        let row = |i: usize| &features.data[i * dim..][self.columns.clone()];
        rows.flat_map(|i| row(i).iter().copied()).collect()
    }

    /// `[rows, heads * classes]`
    fn logits(&self, x: &[f32]) -> Vec<f32> {
        let (dim, width) = (self.columns.len(), self.bias.len());
        let rows = x.len() / dim.max(1);
        let mut out = self.bias.repeat(rows);
        let weights = MatrixView::new(&self.weights, width, dim).transposed();
        multiply(&mut out, MatrixView::new(x, rows, dim), weights, 1.0, true);
        out
    }

    /// One step of SGD on a batch; `factor` is where the cosine is.
    fn descend(&mut self, x: &[f32], labels: &[u32], factor: f32) {
        let (dim, classes, width) = (self.columns.len(), self.classes, self.bias.len());
        let rows = labels.len();
        let mut gradient = self.logits(x);
        let scale = 1.0 / rows as f32;
        parallel::for_chunks(&mut gradient, width, |row, logits| {
            for logits in logits.chunks_exact_mut(classes) {
                softmax(logits);
                logits[labels[row] as usize] -= 1.0;
                logits.iter_mut().for_each(|g| *g *= scale);
            }
        });
        let by_class = MatrixView::new(&gradient, rows, width).transposed();
        multiply(&mut self.velocity, by_class, MatrixView::new(x, rows, dim), 1.0, true);
        for row in gradient.chunks_exact(width) {
            self.bias_velocity.iter_mut().zip(row).for_each(|(v, g)| *v += g);
        }
        let rates = &self.rates;
        let go = |head: usize, weights: &mut [f32], velocity: &mut [f32]| {
            let rate = rates[head] * factor;
            for (w, v) in weights.iter_mut().zip(velocity) {
                *w -= rate * *v;
                *v *= MOMENTUM;
            }
        };
        let size = classes * dim;
        let mut pairs: Vec<_> =
            self.weights.chunks_exact_mut(size).zip(self.velocity.chunks_exact_mut(size)).collect();
        parallel::for_chunks(&mut pairs, 1, |head, pair| {
            pair.iter_mut().for_each(|(weights, velocity)| go(head, weights, velocity));
        });
        let pairs =
            self.bias.chunks_exact_mut(classes).zip(self.bias_velocity.chunks_exact_mut(classes)).enumerate();
        pairs.for_each(|(head, (bias, velocity))| go(head, bias, velocity));
    }

    /// How good each head is on `set`.
    pub(super) fn score(&self, set: &LabelledFeatures<'_>) -> Vec<LinearHeadScore> {
        let (total, classes, heads) = (set.labels.len(), self.classes, self.rates.len());
        let mut scored = vec![LinearHeadScore::default(); heads];
        for start in (0..total).step_by(ROWS) {
            let end = (start + ROWS).min(total);
            let logits = self.logits(&self.cut(set, start..end));
            let mut found = vec![(0, 0.0); (end - start) * heads];
            parallel::for_chunks(&mut found, heads, |row, found| {
                let right = set.labels[start + row] as usize;
                let all = logits[row * heads * classes..].chunks_exact(classes);
                found.iter_mut().zip(all).for_each(|(found, logits)| *found = rank(logits, right));
            });
            for found in found.chunks_exact(heads) {
                for (scored, (rank, loss)) in scored.iter_mut().zip(found) {
                    scored.top1.correct += usize::from(*rank < 1);
                    scored.top5.correct += usize::from(*rank < 5);
                    scored.loss += loss / total as f64;
                }
            }
        }
        for scored in &mut scored {
            (scored.top1.total, scored.top5.total) = (total, total);
        }
        scored
    }

    /// The class that one head gives each row of `set`.
    pub(super) fn predictions(&self, head: usize, set: &LabelledFeatures<'_>) -> Vec<u32> {
        let (classes, width) = (self.classes, self.bias.len());
        let mut out = Vec::with_capacity(set.labels.len());
        for start in (0..set.labels.len()).step_by(ROWS) {
            let end = (start + ROWS).min(set.labels.len());
            let logits = self.logits(&self.cut(set, start..end));
            out.extend(logits.chunks_exact(width).map(|row| largest(&row[head * classes..][..classes])));
        }
        out
    }
}

/// Logits become probabilities.
fn softmax(logits: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - largest).exp();
        sum += *logit;
    }
    logits.iter_mut().for_each(|p| *p /= sum);
}

/// How many classes are above the right one, and the cross-entropy. Among equals the lower class comes first; nothing
/// that is not finite is right.
fn rank(logits: &[f32], right: usize) -> (usize, f64) {
    if !logits[right].is_finite() {
        return (usize::MAX, f64::INFINITY);
    }
    let mine = logits[right];
    let ahead = logits
        .iter()
        .enumerate()
        .filter(|(c, logit)| **logit > mine || (**logit == mine && *c < right))
        .count();
    let top = logits.iter().copied().fold(mine, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    (ahead, sum.ln() + f64::from(top - mine))
}

/// The class with the highest number, the lowest among equals.
pub(super) fn largest<T: Copy + PartialOrd>(values: &[T]) -> u32 {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (1..values.len()).fold(0, better) as u32
}

/// Heads of several sets of columns on their way.
pub(super) struct LinearHeadTrainer<'a> {
    train: LabelledFeatures<'a>,
    /// For each set of columns.
    pub(super) heads: Vec<LinearHeads>,
    iterations: usize,
    batch: usize,
    seed: u64,
    done: usize,
    /// Pictures in the order of this pass, and how many of them have been seen.
    order: (Vec<usize>, usize),
    passes: u64,
}

impl<'a> LinearHeadTrainer<'a> {
    /// Heads for each of `sets` of columns, yet to be trained. `train` was checked.
    pub(super) fn new(
        train: LabelledFeatures<'a>,
        classes: usize,
        sets: &[Range<usize>],
        options: &LinearHeadOptions,
    ) -> Result<Self, EvalProtocolError> {
        for (option, value) in [("batch", options.batch), ("iterations", options.iterations)] {
            if value == 0 {
                return Err(EvalProtocolError::Option { option, value: 0.0, expected: "1 or more" });
            }
        }
        if let Some(&value) = options.rates.iter().find(|rate| !(**rate > 0.0 && rate.is_finite())) {
            return Err(EvalProtocolError::Option { option: "learning rate", value, expected: "above 0" });
        }
        if options.rates.is_empty() {
            return Err(EvalProtocolError::Empty("learning rates"));
        }
        let batch = options.batch.min(train.labels.len());
        let heads = sets
            .iter()
            .enumerate()
            .map(|(i, columns)| LinearHeads::new(classes, columns.clone(), options, batch, i))
            .collect();
        let (iterations, seed) = (options.iterations, options.seed);
        Ok(Self { train, heads, iterations, batch, seed, done: 0, order: (Vec::new(), 0), passes: 0 })
    }

    /// One step of all heads; how many are done now, or `None` when all were before.
    pub(super) fn step(&mut self) -> Option<usize> {
        if self.done >= self.iterations {
            return None;
        }
        let chosen: Vec<usize> = (0..self.batch).map(|_| self.next()).collect();
        let labels: Vec<u32> = chosen.iter().map(|i| self.train.labels[*i]).collect();
        let turn = std::f64::consts::PI * self.done as f64 / self.iterations as f64;
        let factor = (0.5 * (1.0 + turn.cos())) as f32;
        for heads in &mut self.heads {
            let x = heads.cut(&self.train, chosen.iter().copied());
            heads.descend(&x, &labels, factor);
        }
        self.done += 1;
        Some(self.done)
    }

    /// The next picture: every pass is in an order of its own, and batches run over its end.
    fn next(&mut self) -> usize {
        let (order, seen) = &mut self.order;
        if *seen == order.len() {
            *order = (0..self.train.labels.len()).collect();
            *seen = 0;
            shuffle(order, self.seed, "linear order", self.passes);
            self.passes += 1;
        }
        *seen += 1;
        order[*seen - 1]
    }
}

/// Every order equally likely.
pub(super) fn shuffle(indices: &mut [usize], seed: u64, purpose: &str, pass: u64) {
    let mut stream = rng::stream(seed, purpose, pass, 0);
    for i in 0..indices.len() {
        let j = stream.random_range(i..indices.len());
        indices.swap(i, j);
    }
}

/// A tenth of `count` pictures at random, at least one, and the others; both in rising order.
pub(super) fn tenth(count: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut all: Vec<usize> = (0..count).collect();
    shuffle(&mut all, seed, "held out", 0);
    let mut rest = all.split_off((count / 10).max(1).min(count));
    all.sort_unstable();
    rest.sort_unstable();
    (all, rest)
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
