//! The linear head: batch norm and a 1x1 convolution, and the cross-entropy that it learns from.
//!
//! Source: mmsegmentation's `BNHead` as released with DINOv2. Norm and convolution are one product; logits are enlarged
//! to the size of the labels.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::dense::axis::enlarge;
use crate::dense::extractor::{DenseExample, DenseFeatureMap};
use crate::dense::training::DenseHead;
use crate::parameter::HeadParameter;
use dinoscope_base::rng::{normal, stream};
use dinoscope_data::source::dense::IGNORED;

/// Added to variances.
const EPSILON: f64 = 1e-5;
/// How much a batch counts in the statistics that are used for judging.
const MOMENTUM: f64 = 0.1;

/// Batch norm and 1x1 convolution.
#[derive(Clone, Debug)]
pub(super) struct SegmentationHead {
    /// `[dim]`
    gain: HeadParameter<1>,
    /// `[dim]`
    shift: HeadParameter<1>,
    /// `[classes, dim]`
    weight: HeadParameter<2>,
    /// `[classes]`
    bias: HeadParameter<1>,
    /// Statistics through time.
    running: BatchNormStats,
    /// Learns from every n-th pixel both ways.
    every: usize,
}

/// Mean and variance of every feature, `[dim]` each.
#[derive(Clone, Debug)]
struct BatchNormStats {
    mean: Tensor<1>,
    variance: Tensor<1>,
}

impl SegmentationHead {
    /// A head as the reference begins: gain 1, weights of deviation 0.01, everything else 0.
    pub fn new(dim: usize, classes: usize, every: usize, seed: u64, device: &Device) -> Self {
        let mut rng = stream(seed, "segmentation head", 0, 0);
        let weight = (0..classes * dim).map(|_| 0.01 * normal(&mut rng)).collect();
        Self {
            gain: HeadParameter::new(vec![1.0; dim], [dim], device),
            shift: HeadParameter::new(vec![0.0; dim], [dim], device),
            weight: HeadParameter::new(weight, [classes, dim], device),
            bias: HeadParameter::new(vec![0.0; classes], [classes], device),
            running: BatchNormStats {
                mean: Tensor::zeros([dim], device),
                variance: Tensor::ones([dim], device),
            },
            every,
        }
    }

    /// Logits of every cell, `[cells, classes]`, with the statistics of training.
    pub fn logits(&self, map: &DenseFeatureMap) -> Tensor<2> {
        self.apply(map, &self.running).without_autodiff().transpose()
    }

    /// `[classes, cells]`; the norm is folded into the convolution.
    fn apply(&self, map: &DenseFeatureMap, statistics: &BatchNormStats) -> Tensor<2> {
        let BatchNormStats { mean, variance } = statistics.clone();
        let scale = self.gain.value.clone() / (variance + EPSILON).sqrt();
        let offset = self.shift.value.clone() - mean * scale.clone();
        let weight = self.weight.value.clone();
        let bias = self.bias.value.clone().unsqueeze_dim(1) + weight.clone().matmul(offset.unsqueeze_dim(1));
        (weight * scale.unsqueeze()).matmul(map.patches.clone().transpose()) + bias
    }

    /// The cross-entropy of a view, summed over the pixels that count, `[1]`.
    fn loss(
        &self,
        map: &DenseFeatureMap,
        example: &DenseExample<u8>,
        statistics: &BatchNormStats,
    ) -> Tensor<1> {
        let (down, across) = example.view.frame.axes(1);
        let (down, across) = (down.every(self.every), across.every(self.every));
        let logits = self.apply(map, statistics);
        let ([classes, _], pixels) = (logits.dims(), example.truth.len());
        let logits = enlarge(logits.reshape([classes, down.input, across.input]), &down, &across);
        let logits = logits.reshape([classes, pixels]);
        let peak = logits.clone().detach().max_dim(0);
        let total = (logits.clone() - peak.clone()).exp().sum_dim(0).log() + peak;
        // What does not count meets class 0, and its loss is multiplied with 0.
        let each = |f: fn(u8) -> i32| {
            TensorData::new(example.truth.iter().map(|class| f(*class)).collect(), [1, pixels])
        };
        let device = map.patches.device();
        let label = |class| if class == IGNORED { 0 } else { i32::from(class) };
        let right = logits.gather(0, Tensor::<2, Int>::from_data(each(label), &device));
        let counts = Tensor::<2, Int>::from_data(each(|class| i32::from(class != IGNORED)), &device);
        ((total - right) * counts.float()).sum()
    }

    /// Takes the statistics of a batch of `cells` into those that are used for judging.
    fn update_running_stats(&mut self, batch: BatchNormStats, cells: usize) {
        let unbiased = cells as f64 / cells.saturating_sub(1).max(1) as f64;
        let mix = |old: &mut Tensor<1>, new: Tensor<1>| {
            *old = old.clone() * (1.0 - MOMENTUM) + new * MOMENTUM;
        };
        mix(&mut self.running.mean, batch.mean);
        mix(&mut self.running.variance, batch.variance * unbiased);
    }
}

impl DenseHead<u8> for SegmentationHead {
    fn learn(&mut self, views: &[(DenseFeatureMap, &DenseExample<u8>)]) -> Option<Tensor<1>> {
        let cells = Tensor::cat(views.iter().map(|(map, _)| map.patches.clone()).collect(), 0);
        let count = cells.dims()[0];
        let statistics = BatchNormStats::of(cells);
        let known = views.iter().flat_map(|(_, example)| &example.truth).filter(|class| **class != IGNORED);
        let pixels = known.count();
        // View by view: the enlarged logits of one at a time are in memory.
        let learn = |(map, example): &(DenseFeatureMap, &DenseExample<u8>)| {
            let loss = self.loss(map, example, &statistics) / pixels as f64;
            let mut gradients = loss.backward();
            for parameter in [&mut self.gain, &mut self.shift, &mut self.bias] {
                parameter.collect(&mut gradients);
            }
            self.weight.collect(&mut gradients);
            loss.without_autodiff()
        };
        let loss = (pixels > 0).then(|| views.iter().map(learn).reduce(|sum, loss| sum + loss)).flatten();
        self.update_running_stats(statistics, count);
        loss
    }

    fn step(&mut self, rate: f64, weight_decay: f64) {
        for parameter in [&mut self.gain, &mut self.shift, &mut self.bias] {
            parameter.adamw(rate, weight_decay);
        }
        self.weight.adamw(rate, weight_decay);
    }
}

impl BatchNormStats {
    /// Of `[cells, dim]` features.
    fn of(cells: Tensor<2>) -> Self {
        let (variance, mean) = cells.var_mean_bias(0);
        Self { mean: mean.squeeze_dim(0), variance: variance.squeeze_dim(0) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "head_tests.rs"]
mod tests;
