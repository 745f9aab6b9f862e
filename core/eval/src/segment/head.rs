//! The linear head: batch norm and a 1x1 convolution, with exact gradients.
//!
//! Source: mmsegmentation's `BNHead` as released with DINOv2. What is below the head is frozen, so its gradient is one
//! product: with `x` the features, `n` the normalised ones and `G` the slopes of the logits, all parameters follow from
//! `GᵀX` and the column sums of `G`.

use dinoscope_shaders::cpu::{MatrixView, multiply};

use super::loss::{LANES, cross_entropy};
use crate::dense::axis::InterpolationAxis;
use crate::dense::extractor::DenseFeatureMap;
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
    pub dim: usize,
    pub classes: usize,
    /// Gain `[dim]`, shift `[dim]`, weight `[classes, dim]`, bias `[classes]`.
    pub values: Vec<f32>,
    /// Statistics through time.
    running: BatchNormStats,
}

/// Mean and variance of every feature.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BatchNormStats {
    pub mean: Vec<f64>,
    pub variance: Vec<f64>,
    /// Cells they were taken from.
    pub count: usize,
}

/// A view to learn from.
pub(super) struct SegmentationSample<'a> {
    pub map: &'a DenseFeatureMap,
    pub down: &'a InterpolationAxis,
    pub across: &'a InterpolationAxis,
    /// `[down.len(), across.len()]`
    pub truth: &'a [u8],
}

impl SegmentationHead {
    /// A head as the reference begins: gain 1, weights of deviation 0.01, everything else 0.
    pub fn new(dim: usize, classes: usize, seed: u64) -> Self {
        let mut rng = stream(seed, "segmentation head", 0, 0);
        let mut values = vec![0.0; (2 + classes) * dim + classes];
        values[..dim].fill(1.0);
        values[2 * dim..(2 + classes) * dim].fill_with(|| 0.01 * normal(&mut rng));
        let running = BatchNormStats { mean: vec![0.0; dim], variance: vec![1.0; dim], count: 0 };
        Self { dim, classes, values, running }
    }

    fn parts(&self) -> (&[f32], &[f32], &[f32], &[f32]) {
        let (gain, rest) = self.values.split_at(self.dim);
        let (shift, rest) = rest.split_at(self.dim);
        let (weight, bias) = rest.split_at(self.classes * self.dim);
        (gain, shift, weight, bias)
    }

    /// Classes with room for whole vectors.
    fn padded(&self) -> usize {
        self.classes.next_multiple_of(LANES)
    }

    /// Norm and convolution as one: weight `[padded, dim]` and bias `[padded]`, so low behind the classes that those
    /// never count.
    fn folded(&self, statistics: &BatchNormStats) -> (Vec<f32>, Vec<f32>) {
        const NEVER: f32 = -1e30;
        let (gain, shift, weight, bias) = self.parts();
        let dim = self.dim;
        let scale: Vec<f64> =
            (0..dim).map(|d| f64::from(gain[d]) / (statistics.variance[d] + EPSILON).sqrt()).collect();
        let offset: Vec<f64> =
            (0..dim).map(|d| f64::from(shift[d]) - statistics.mean[d] * scale[d]).collect();
        let mut folded = vec![0.0; self.padded() * dim];
        let mut biases = vec![NEVER; self.padded()];
        for class in 0..self.classes {
            let row = &weight[class * dim..][..dim];
            for ((out, weight), scale) in folded[class * dim..].iter_mut().zip(row).zip(&scale) {
                *out = (f64::from(*weight) * scale) as f32;
            }
            let sum: f64 = row.iter().zip(&offset).map(|(weight, offset)| f64::from(*weight) * offset).sum();
            biases[class] = (f64::from(bias[class]) + sum) as f32;
        }
        (folded, biases)
    }

    /// Logits of every cell, `[cells, classes]`, with the statistics of training.
    pub fn logits(&self, map: &DenseFeatureMap) -> Vec<f32> {
        let (weight, bias) = self.folded(&self.running);
        let padded = logits(map, self.dim, &weight, &bias);
        padded.chunks_exact(self.padded()).flat_map(|row| &row[..self.classes]).copied().collect()
    }

    /// The mean cross-entropy over all pixels that count, and the gradient of [`SegmentationHead::values`]; `None` when no pixel counts.
    pub fn gradient(
        &self,
        samples: &[SegmentationSample<'_>],
        statistics: &BatchNormStats,
    ) -> Option<(f64, Vec<f32>)> {
        let counted =
            |sample: &SegmentationSample<'_>| sample.truth.iter().filter(|class| **class != IGNORED).count();
        let pixels: usize = samples.iter().map(counted).sum();
        if pixels == 0 {
            return None;
        }
        let (weight, bias) = self.folded(statistics);
        let (dim, padded) = (self.dim, self.padded());
        let mut parts: Vec<SegmentationGradient> =
            samples.iter().map(|_| SegmentationGradient::default()).collect();
        for_chunks(&mut parts, 1, |i, part| {
            let logits = logits(samples[i].map, dim, &weight, &bias);
            part[0] = SegmentationGradient::new(&samples[i], dim, &logits, padded, 1.0 / pixels as f32);
        });
        let mut all =
            SegmentationGradient { loss: 0.0, products: vec![0.0; padded * dim], sums: vec![0.0; padded] };
        for part in &parts {
            all.loss += part.loss;
            all.products.iter_mut().zip(&part.products).for_each(|(all, part)| *all += part);
            all.sums.iter_mut().zip(&part.sums).for_each(|(all, part)| *all += part);
        }
        Some((all.loss / pixels as f64, self.parameter_gradients(&all, statistics)))
    }

    /// From `GᵀX` and the sums of `G` to the slopes of all parameters.
    fn parameter_gradients(&self, all: &SegmentationGradient, statistics: &BatchNormStats) -> Vec<f32> {
        let (gain, shift, weight, _) = self.parts();
        let (dim, classes) = (self.dim, self.classes);
        let mut out = vec![0.0f32; self.values.len()];
        let (of_gain, rest) = out.split_at_mut(dim);
        let (of_shift, rest) = rest.split_at_mut(dim);
        let (of_weight, of_bias) = rest.split_at_mut(classes * dim);
        for (class, (of_bias, &sum)) in of_bias.iter_mut().zip(&all.sums).enumerate() {
            *of_bias = sum;
            for d in 0..dim {
                let at = class * dim + d;
                let centred = f64::from(all.products[at]) - f64::from(sum) * statistics.mean[d];
                let normalised = (centred / (statistics.variance[d] + EPSILON).sqrt()) as f32;
                of_weight[at] = gain[d] * normalised + shift[d] * sum;
                of_gain[d] += weight[at] * normalised;
                of_shift[d] += weight[at] * sum;
            }
        }
        out
    }

    /// Takes the statistics of a batch into those that are used for judging.
    pub fn update_running_stats(&mut self, batch: &BatchNormStats) {
        let unbiased = batch.count as f64 / batch.count.saturating_sub(1).max(1) as f64;
        let mix = |old: &mut f64, new: f64| *old += MOMENTUM * (new - *old);
        self.running.mean.iter_mut().zip(&batch.mean).for_each(|(old, new)| mix(old, *new));
        self.running.variance.iter_mut().zip(&batch.variance).for_each(|(old, new)| mix(old, unbiased * new));
    }
}

impl BatchNormStats {
    /// Of all cells of some maps together.
    pub fn of(maps: &[&DenseFeatureMap], dim: usize) -> Self {
        // Around the first cell, so that a common offset costs no digits.
        let origin: Vec<f32> = maps.first().map_or(vec![0.0; dim], |map| map.patches[..dim].to_vec());
        let mut sums: Vec<[Vec<f32>; 2]> = maps.iter().map(|_| [vec![0.0; dim], vec![0.0; dim]]).collect();
        for_chunks(&mut sums, 1, |i, sums| {
            let [first, second] = &mut sums[0];
            for row in maps[i].patches.chunks_exact(dim) {
                for (((first, second), value), origin) in
                    first.iter_mut().zip(second.iter_mut()).zip(row).zip(&origin)
                {
                    let value = value - origin;
                    *first += value;
                    *second += value * value;
                }
            }
        });
        let count: usize = maps.iter().map(|map| map.patches.len() / dim.max(1)).sum();
        let mean_of = |k: usize, d: usize| {
            sums.iter().map(|sums| f64::from(sums[k][d])).sum::<f64>() / count.max(1) as f64
        };
        let mut out = Self { mean: Vec::with_capacity(dim), variance: Vec::with_capacity(dim), count };
        for (d, origin) in origin.iter().enumerate() {
            let (first, second) = (mean_of(0, d), mean_of(1, d));
            out.mean.push(f64::from(*origin) + first);
            out.variance.push((second - first * first).max(0.0));
        }
        out
    }
}

/// What a view adds: its loss, `GᵀX` `[padded, dim]`, the column sums of `G` `[padded]`.
#[derive(Default)]
struct SegmentationGradient {
    loss: f64,
    products: Vec<f32>,
    sums: Vec<f32>,
}

impl SegmentationGradient {
    fn new(sample: &SegmentationSample<'_>, dim: usize, logits: &[f32], padded: usize, scale: f32) -> Self {
        let (loss, slopes) = cross_entropy(logits, padded, sample, scale);
        let cells = slopes.len() / padded;
        let mut products = vec![0.0; padded * dim];
        let (x, slopes_matrix) =
            (MatrixView::new(&sample.map.patches, cells, dim), MatrixView::new(&slopes, cells, padded));
        multiply(&mut products, slopes_matrix.transposed(), x, 1.0, false);
        let mut sums = vec![0.0; padded];
        for row in slopes.chunks_exact(padded) {
            sums.iter_mut().zip(row).for_each(|(sum, slope)| *sum += slope);
        }
        Self { loss, products, sums }
    }
}

/// `x Wᵀ + b`, `[cells, padded]`.
fn logits(map: &DenseFeatureMap, dim: usize, weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let (cells, padded) = (map.patches.len() / dim.max(1), bias.len());
    let mut out: Vec<f32> = bias.iter().copied().cycle().take(cells * padded).collect();
    let (x, weight) = (MatrixView::new(&map.patches, cells, dim), MatrixView::new(weight, padded, dim));
    multiply(&mut out, x, weight.transposed(), 1.0, true);
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "head_tests.rs"]
mod tests;
