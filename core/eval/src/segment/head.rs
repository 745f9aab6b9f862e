//! The linear head: batch norm and a 1x1 convolution, and the cross-entropy that it learns from.
//!
//! Source: mmsegmentation's `BNHead` as released with DINOv2. Norm and convolution are one product; logits are enlarged
//! to the size of the labels.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::dense::axis::enlarge_positions;
use crate::dense::extractor::{DenseExample, DenseFeatureMap};
use crate::dense::training::DenseHead;
use crate::parameter::HeadParameter;
use dinoscope_base::parallel::for_chunks;
use dinoscope_base::rng::{normal, stream};
use dinoscope_data::source::dense::IGNORED;
use dinoscope_model::fused::softmax_center;

/// Added to variances.
const EPSILON: f64 = 1e-5;
/// How much a batch counts in the statistics that are used for judging.
const MOMENTUM: f64 = 0.1;

/// Classes, where they are not few, are as many as processors add side by side; those behind the last never count.
const LANES: usize = 32;
const FEW: usize = 8;
const NEVER: f32 = -1e30;

/// Batch norm and 1x1 convolution.
#[derive(Clone, Debug)]
pub(super) struct SegmentationHead {
    classes: usize,
    /// `[1, dim]`
    gain: HeadParameter<2>,
    /// `[1, dim]`
    shift: HeadParameter<2>,
    /// `[padded, dim]`, padded being the classes and room behind them.
    weight: HeadParameter<2>,
    /// `[1, padded]`
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
        let padded = if classes > FEW { classes.next_multiple_of(LANES) } else { classes };
        let mut weight: Vec<f32> = (0..classes * dim).map(|_| 0.01 * normal(&mut rng)).collect();
        weight.resize(padded * dim, 0.0);
        let mut bias = vec![0.0; classes];
        bias.resize(padded, NEVER);
        Self {
            classes,
            gain: HeadParameter::new(vec![1.0; dim], [1, dim], device),
            shift: HeadParameter::new(vec![0.0; dim], [1, dim], device),
            weight: HeadParameter::new(weight, [padded, dim], device),
            bias: HeadParameter::new(bias, [1, padded], device),
            running: BatchNormStats {
                mean: Tensor::zeros([1, dim], device),
                variance: Tensor::ones([1, dim], device),
            },
            every,
        }
    }

    /// Logits of every cell, `[cells, classes]`, with the statistics of training.
    pub fn logits(&self, map: &DenseFeatureMap) -> Tensor<2> {
        self.apply(map, &self.running).narrow(1, 0, self.classes)
    }

    /// `[cells, padded]`; the norm is folded into the convolution.
    fn apply(&self, map: &DenseFeatureMap, statistics: &BatchNormStats) -> Tensor<2> {
        let BatchNormStats { mean, variance } = statistics.clone();
        let scale = self.gain.value.clone() / (variance + EPSILON).sqrt();
        let offset = self.shift.value.clone() - mean * scale.clone();
        let weight = self.weight.value.clone();
        let bias = self.bias.value.clone() + offset.matmul(weight.clone().transpose());
        map.patches.clone().matmul((weight * scale).transpose()) + bias
    }

    /// The cross-entropy of a view, `scale` times that of each pixel that counts, `[1]`; leaves its gradients with this twin.
    fn follow(
        &mut self,
        map: &DenseFeatureMap,
        example: &DenseExample<u8>,
        statistics: &BatchNormStats,
        scale: f64,
    ) -> Tensor<1> {
        let (down, across) = example.view.frame.axes(1);
        let (down, across) = (down.every(self.every), across.every(self.every));
        let logits = self.apply(map, statistics);
        let ([_, padded], pixels) = (logits.dims(), example.truth.len());
        let logits = enlarge_positions(logits.reshape([down.input, across.input, padded]), &down, &across);
        let logits = logits.reshape([pixels, padded]);
        let device = map.patches.device();
        let shares = softmax_center(logits.clone(), Tensor::zeros([padded], &device), 1.0);
        // What does not count meets class 0, and its loss and slopes are multiplied with 0.
        let each = |f: fn(u8) -> i32| -> Tensor<2, Int> {
            let values = example.truth.iter().map(|class| f(*class)).collect();
            Tensor::from_data(TensorData::new(values, [pixels, 1]), &device)
        };
        let labels = each(|class| if class == IGNORED { 0 } else { i32::from(class) });
        let counts = each(|class| i32::from(class != IGNORED)).float() * scale;
        // None is 0, so that the logarithm stays a number, unless the head is none.
        let right = shares.clone().gather(1, labels.clone()) + f32::MIN_POSITIVE;
        // What a softmax and its cross-entropy do is known without a tape: shares, less 1 for the right class.
        let ones = Tensor::ones([pixels, 1], &device).neg();
        let slopes = shares.scatter(1, labels, ones, IndexingUpdateOp::Add) * counts.clone();
        self.collect((logits * slopes).sum().backward());
        (right.log() * counts).sum().neg()
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
            *slot = Some(twin.follow(map, example, &statistics, 1.0 / pixels as f64));
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
