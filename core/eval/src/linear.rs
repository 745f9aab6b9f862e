//! Linear heads on features that stay as they are, many at once: what the linear probe trains.
//!
//! Source: DINOv2's `eval/linear.py`: `Linear` from N(0, 0.01) with bias 0, cross-entropy, SGD with momentum 0.9, no
//! weight decay, a cosine down to 0, learning rates in proportion to the batch (lr · batch / 256). Heads never see each
//! other; those that look at the same columns share one matrix product.

use std::ops::Range;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, ExecutionError, Int, Tensor, TensorData};

use super::knn::LabelledFeatures;
use super::parameter::HeadParameter;
use super::{Accuracy, EvalProtocolError};
use dinoscope_base::parallel;
use dinoscope_base::rng::{self, RngExt};
use dinoscope_model::fused::linear;
use dinoscope_model::params::read;

/// The learning rates of the published grid, for a batch of 256.
pub const RATES: [f64; 13] = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1];

/// Momentum of SGD.
const MOMENTUM: f64 = 0.9;
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
    /// Effective learning rates, `[heads, 1]`.
    rates: Tensor<2>,
    /// `[heads * classes, columns]`
    weights: HeadParameter<2>,
    /// `[heads * classes]`
    bias: HeadParameter<1>,
}

impl LinearHeads {
    fn new(
        classes: usize,
        columns: Range<usize>,
        options: &LinearHeadOptions,
        batch: usize,
        set: usize,
        device: &Device,
    ) -> Self {
        let heads = options.rates.len();
        let mut stream = rng::stream(options.seed, "linear heads", set as u64, 0);
        let shape = [heads * classes, columns.len()];
        let weights = (0..shape[0] * shape[1]).map(|_| INITIAL * rng::normal(&mut stream)).collect();
        let rates = options.rates.iter().map(|rate| (rate * batch as f64 / 256.0) as f32).collect();
        Self {
            classes,
            rates: Tensor::from_data(TensorData::new(rates, [heads, 1]), device),
            weights: HeadParameter::new(weights, shape, device),
            bias: HeadParameter::new(vec![0.0; shape[0]], [shape[0]], device),
            columns,
        }
    }

    /// The columns that these heads look at, `[rows, columns]`, of rows with all.
    fn cut(&self, rows: &Tensor<2>) -> Tensor<2> {
        rows.clone().narrow(1, self.columns.start, self.columns.len())
    }

    /// One step of SGD on a batch with all columns; `factor` is where the cosine is.
    fn descend(&mut self, rows: &Tensor<2>, labels: &Tensor<3, Int>, factor: f64) {
        let ([batch, _], [heads, _]) = (rows.dims(), self.rates.dims());
        let (mut weights, mut bias) = (self.weights.twin(), self.bias.twin());
        let logits = linear(self.cut(rows), weights.value.clone(), bias.value.clone());
        let logits = log_softmax(logits.reshape([batch, heads, self.classes]), 2);
        let losses = logits.gather(2, labels.clone().repeat_dim(1, heads)).mean_dim(0).neg();
        // A head's gradients come out times its own rate: one velocity and one factor move all of them.
        let mut gradients = (losses.reshape([heads, 1]) * self.rates.clone()).sum().backward();
        weights.collect(&mut gradients);
        bias.collect(&mut gradients);
        self.weights.absorb(&mut weights);
        self.bias.absorb(&mut bias);
        self.weights.sgd(factor, MOMENTUM);
        self.bias.sgd(factor, MOMENTUM);
    }

    /// Logits of all rows of `set`, [`ROWS`] at a time: the first row, and `[rows, heads * classes]`.
    async fn each_logits(
        &self,
        set: &LabelledFeatures<'_>,
        mut each: impl FnMut(usize, Vec<f32>),
    ) -> Result<(), ExecutionError> {
        for start in (0..set.labels.len()).step_by(ROWS) {
            let rows = tensor(set, start..(start + ROWS).min(set.labels.len()), &self.rates.device());
            let logits = linear(self.cut(&rows), self.weights.value.clone(), self.bias.value.clone());
            each(start, read(logits).await?);
        }
        Ok(())
    }

    /// How good each head is on `set`.
    ///
    /// # Errors
    /// When the device fails to hand over its memory.
    pub(super) async fn score(
        &self,
        set: &LabelledFeatures<'_>,
    ) -> Result<Vec<LinearHeadScore>, ExecutionError> {
        let (total, classes, [heads, _]) = (set.labels.len(), self.classes, self.rates.dims());
        let all = Accuracy { correct: 0, total };
        let mut scored = vec![LinearHeadScore { top1: all, top5: all, loss: 0.0 }; heads];
        self.each_logits(set, |start, logits| {
            let mut found = vec![(0, 0.0); logits.len() / classes];
            parallel::for_chunks(&mut found, heads, |row, found| {
                let right = set.labels[start + row] as usize;
                let all = logits[row * heads * classes..].chunks_exact(classes);
                found.iter_mut().zip(all).for_each(|(found, logits)| *found = rank(logits, right));
            });
            for (i, (rank, loss)) in found.into_iter().enumerate() {
                let scored = &mut scored[i % heads];
                scored.top1.correct += usize::from(rank < 1);
                scored.top5.correct += usize::from(rank < 5);
                scored.loss += loss / total as f64;
            }
        })
        .await?;
        Ok(scored)
    }

    /// The class that one head gives each row of `set`.
    ///
    /// # Errors
    /// When the device fails to hand over its memory.
    pub(super) async fn predictions(
        &self,
        head: usize,
        set: &LabelledFeatures<'_>,
    ) -> Result<Vec<u32>, ExecutionError> {
        let (classes, [width]) = (self.classes, self.bias.value.dims());
        let mut out = Vec::with_capacity(set.labels.len());
        self.each_logits(set, |_, logits| {
            out.extend(logits.chunks_exact(width).map(|row| largest(&row[head * classes..][..classes])));
        })
        .await?;
        Ok(out)
    }
}

/// Some rows with all columns, `[rows, dim]`.
fn tensor(set: &LabelledFeatures<'_>, rows: impl Iterator<Item = usize>, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = rows.flat_map(|i| &set.data[i * set.dim..][..set.dim]).copied().collect();
    let count = values.len() / set.dim.max(1);
    Tensor::from_data(TensorData::new(values, [count, set.dim]), device)
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
    device: Device,
}

impl<'a> LinearHeadTrainer<'a> {
    /// Heads for each of `sets` of columns, yet to be trained. `train` was checked.
    pub(super) fn new(
        train: LabelledFeatures<'a>,
        classes: usize,
        sets: &[Range<usize>],
        options: &LinearHeadOptions,
        device: &Device,
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
            .map(|(i, columns)| LinearHeads::new(classes, columns.clone(), options, batch, i, device))
            .collect();
        let (iterations, seed) = (options.iterations, options.seed);
        let (order, device) = ((Vec::new(), 0), device.clone());
        Ok(Self { train, heads, iterations, batch, seed, done: 0, order, passes: 0, device })
    }

    /// One step of all heads; how many are done now, or `None` when all were before.
    pub(super) fn step(&mut self) -> Option<usize> {
        if self.done >= self.iterations {
            return None;
        }
        let chosen: Vec<usize> = (0..self.batch).map(|_| self.next()).collect();
        let labels = chosen.iter().map(|i| self.train.labels[*i] as i32).collect();
        let labels = Tensor::from_data(TensorData::new(labels, [self.batch, 1, 1]), &self.device);
        let rows = tensor(&self.train, chosen.into_iter(), &self.device);
        let turn = std::f64::consts::PI * self.done as f64 / self.iterations as f64;
        let factor = 0.5 * (1.0 + turn.cos());
        parallel::for_chunks(&mut self.heads, 1, |_, heads| heads[0].descend(&rows, &labels, factor));
        self.done += 1;
        Some(self.done)
    }

    /// Waits for the device, so that progress is what was done and not what was asked for.
    ///
    /// # Errors
    /// When the device fails to hand over its memory.
    pub(super) async fn wait(&self) -> Result<(), ExecutionError> {
        for heads in &self.heads {
            read(heads.bias.value.clone()).await?;
        }
        Ok(())
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
