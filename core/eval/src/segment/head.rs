//! The linear head: batch norm and a 1x1 convolution, and the cross-entropy that it learns from.
//!
//! Source: mmsegmentation's `BNHead` as released with DINOv2. Norm and convolution are one product; logits are enlarged
//! to the size of the labels.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::dense::axis::enlarge;
use crate::dense::extractor::{DenseExample, DenseFeatureMap};
use crate::dense::training::DenseHead;
use crate::parameter::HeadParameter;
use dinoscope_base::parallel::for_chunks;
use dinoscope_base::rng::{normal, stream};
use dinoscope_data::source::dense::IGNORED;

/// Added to variances.
const EPSILON: f64 = 1e-5;
/// How much a batch counts in the statistics that are used for judging.
const MOMENTUM: f64 = 0.1;

/// Batch norm and 1x1 convolution.
#[derive(Clone, Debug)]
pub(super) struct SegmentationHead {
    /// `[1, dim]`
    gain: HeadParameter<2>,
    /// `[1, dim]`
    shift: HeadParameter<2>,
    /// `[classes, dim]`
    weight: HeadParameter<2>,
    /// `[classes, 1]`
    bias: HeadParameter<2>,
    /// Statistics through time.
    running: BatchNormStats,
    /// Learns from every n-th pixel both ways.
    every: usize,
}

/// Mean and variance of every feature, `[1, dim]` each.
#[derive(Clone, Debug)]
struct BatchNormStats {
    mean: Tensor<2>,
    variance: Tensor<2>,
}

impl SegmentationHead {
    /// A head as the reference begins: gain 1, weights of deviation 0.01, everything else 0.
    pub fn new(dim: usize, classes: usize, every: usize, seed: u64, device: &Device) -> Self {
        let mut rng = stream(seed, "segmentation head", 0, 0);
        let weight = (0..classes * dim).map(|_| 0.01 * normal(&mut rng)).collect();
        Self {
            gain: HeadParameter::new(vec![1.0; dim], [1, dim], device),
            shift: HeadParameter::new(vec![0.0; dim], [1, dim], device),
            weight: HeadParameter::new(weight, [classes, dim], device),
            bias: HeadParameter::new(vec![0.0; classes], [classes, 1], device),
            running: BatchNormStats {
                mean: Tensor::zeros([1, dim], device),
                variance: Tensor::ones([1, dim], device),
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
        let bias = self.bias.value.clone() + weight.clone().matmul(offset.transpose());
        (weight * scale).matmul(map.patches.clone().transpose()) + bias
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
        let mix = |old: &mut Tensor<2>, new: Tensor<2>| {
            *old = old.clone() * (1.0 - MOMENTUM) + new * MOMENTUM;
        };
        mix(&mut self.running.mean, batch.mean);
        mix(&mut self.running.variance, batch.variance * unbiased);
    }
}

impl DenseHead<u8> for SegmentationHead {
    fn parameters(&mut self) -> Vec<&mut HeadParameter<2>> {
        vec![&mut self.gain, &mut self.shift, &mut self.weight, &mut self.bias]
    }

    fn learn(&mut self, views: &[(DenseFeatureMap, &DenseExample<u8>)]) -> Option<Tensor<1>> {
        let cells = Tensor::cat(views.iter().map(|(map, _)| map.patches.clone()).collect(), 0);
        let count = cells.dims()[0];
        let (variance, mean) = cells.var_mean_bias(0);
        let statistics = BatchNormStats { mean, variance };
        let known = views.iter().flat_map(|(_, example)| &example.truth).filter(|class| **class != IGNORED);
        let pixels = known.count();
        // A view on each core: the enlarged logits of no more are in memory.
        let mut learned: Vec<(Self, Option<Tensor<1>>)> = match pixels {
            0 => Vec::new(),
            _ => views.iter().map(|_| (self.twin(), None)).collect(),
        };
        for_chunks(&mut learned, 1, |i, learned| {
            let ((map, example), (twin, slot)) = (&views[i], &mut learned[0]);
            let loss = twin.loss(map, example, &statistics) / pixels as f64;
            twin.collect(loss.backward());
            *slot = Some(loss.without_autodiff());
        });
        self.update_running_stats(statistics, count);
        let loss = |(twin, loss)| {
            self.absorb(twin);
            loss
        };
        learned.into_iter().filter_map(loss).reduce(|sum, loss| sum + loss)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "head_tests.rs"]
mod tests;
