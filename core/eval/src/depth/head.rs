//! The linear head of depth: a 1x1 convolution to bins of distance, whose mean is the depth.
//!
//! Source: `BNHead` of DINOv2's depth evaluation (which has no batch norm): patch and CLS tokens of several blocks side
//! by side, enlarged four times, convolved to 256 logits; `relu(logit) + 0.1` over their sum are the shares of equally
//! spaced distances. Convolution and enlarging are both linear and commute, so the logits are enlarged, not the features.

use dinoscope_shaders::cpu::{MatrixView, multiply, wide};

use super::loss::{DepthMapPair, loss};
use crate::dense::axis::{InterpolationAxis, add, adjoint, blend, resize};
use crate::dense::extractor::DenseFeatureMap;
use crate::dense::frame::CenterPadding;
use dinoscope_base::parallel::for_chunks;
use dinoscope_base::rng::{RngExt, stream};

/// Distances that share out each pixel.
const BINS: usize = 256;
/// What every bin gets.
const FLOOR: f32 = 0.1;
/// How many times features are enlarged before depth is read off.
const FINE: usize = 4;
/// Numbers that are added side by side.
const LANES: usize = 16;

/// The convolution.
#[derive(Clone, Debug)]
pub(super) struct DepthHead {
    dim: usize,
    cls_dim: usize,
    /// The distances, from near to far.
    bins: Vec<f32>,
    /// Weight of patches `[BINS, dim]`, of what goes to all cells `[BINS, cls_dim]`, bias `[BINS]`.
    pub values: Vec<f32>,
}

/// A view to learn from.
pub(super) struct DepthHeadSample<'a> {
    pub map: &'a DenseFeatureMap,
    pub frame: &'a CenterPadding,
    /// `[height * width]`; 0 is unknown.
    pub truth: &'a [f32],
}

/// A view on its way through the head.
#[derive(Default)]
struct DepthHeadPass {
    /// `[cells, BINS]`
    logits: Vec<f32>,
    /// Depth of every pixel.
    predicted: Vec<f32>,
    /// Slopes of the weights of patches, of the rest, and of the bias.
    slopes: [Vec<f32>; 3],
}

impl DepthHead {
    /// A head with PyTorch's initial convolution, for depths from `min` to `max`.
    pub fn new(dim: usize, cls_dim: usize, (min, max): (f64, f64), seed: u64) -> Self {
        let mut rng = stream(seed, "depth head", 0, 0);
        let bound = 1.0 / ((dim + cls_dim).max(1) as f32).sqrt();
        let values = (0..BINS * (dim + cls_dim + 1)).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0));
        let step = (max - min) / (BINS - 1) as f64;
        let bins = (0..BINS).map(|i| (min + step * i as f64) as f32).collect();
        Self { dim, cls_dim, bins, values: values.collect() }
    }

    /// Depth of every pixel of a view.
    pub fn predict(&self, map: &DenseFeatureMap, frame: &CenterPadding) -> Vec<f32> {
        let (near, far) = (self.bins[0], self.bins[BINS - 1]);
        let predicted = self.enlarged(&self.logits(map), frame);
        predicted.into_iter().map(|depth| depth.clamp(near, far)).collect()
    }

    /// The loss of a batch and the gradient of [`DepthHead::values`]; `None` when too little is known. `gradient` is the
    /// weight of the gradient loss.
    pub fn gradient(&self, samples: &[DepthHeadSample<'_>], gradient: f64) -> Option<(f64, Vec<f32>)> {
        let mut passed: Vec<DepthHeadPass> = samples.iter().map(|_| DepthHeadPass::default()).collect();
        for_chunks(&mut passed, 1, |i, passed| {
            passed[0].logits = self.logits(samples[i].map);
            passed[0].predicted = self.enlarged(&passed[0].logits, samples[i].frame);
        });
        let planes: Vec<DepthMapPair<'_>> = samples
            .iter()
            .zip(&passed)
            .map(|(DepthHeadSample { frame, truth, .. }, DepthHeadPass { predicted, .. })| DepthMapPair {
                width: frame.width,
                predicted,
                truth,
            })
            .collect();
        let (value, slopes) = loss(&planes, gradient)?;
        for_chunks(&mut passed, 1, |i, passed| {
            let DepthHeadSample { map, frame, .. } = &samples[i];
            let of_logits = self.logit_gradients(&passed[0].logits, frame, &slopes[i]);
            passed[0].slopes = self.products(map, &of_logits);
        });
        let mut out = vec![0.0; self.values.len()];
        for passed in &passed {
            let mut rest = out.as_mut_slice();
            for part in &passed.slopes {
                let (own, after) = rest.split_at_mut(part.len());
                own.iter_mut().zip(part).for_each(|(sum, slope)| *sum += slope);
                rest = after;
            }
        }
        Some((value, out))
    }

    fn parts(&self) -> (&[f32], &[f32], &[f32]) {
        let (patches, rest) = self.values.split_at(BINS * self.dim);
        let (cls, bias) = rest.split_at(BINS * self.cls_dim);
        (patches, cls, bias)
    }

    /// `[cells, BINS]`
    fn logits(&self, map: &DenseFeatureMap) -> Vec<f32> {
        let (patches, cls, bias) = self.parts();
        let cells = map.patches.len() / self.dim.max(1);
        // The same for all cells: the bias and what the CLS tokens add.
        let mut common = bias.to_vec();
        if self.cls_dim > 0 {
            let (weight, tokens) =
                (MatrixView::new(cls, BINS, self.cls_dim), MatrixView::new(&map.cls, self.cls_dim, 1));
            multiply(&mut common, weight, tokens, 1.0, true);
        }
        let mut out = common.repeat(cells);
        let (x, weight) =
            (MatrixView::new(&map.patches, cells, self.dim), MatrixView::new(patches, BINS, self.dim));
        multiply(&mut out, x, weight.transposed(), 1.0, true);
        out
    }

    /// Logits of cells to depth of pixels.
    fn enlarged(&self, logits: &[f32], frame: &CenterPadding) -> Vec<f32> {
        let (down, across) = fine(frame);
        let stride = across.input * BINS;
        let (mut row, mut pixel) = (vec![0.0; stride], vec![0.0; BINS]);
        let mut depths = Vec::with_capacity(down.len() * across.len());
        wide(
            #[inline(always)]
            || {
                for tap in &down.taps {
                    let (low, high) =
                        (&logits[tap.low * stride..][..stride], &logits[tap.high * stride..][..stride]);
                    blend(low, high, tap.share, &mut row);
                    for tap in &across.taps {
                        let (low, high) = (&row[tap.low * BINS..][..BINS], &row[tap.high * BINS..][..BINS]);
                        blend(low, high, tap.share, &mut pixel);
                        depths.push(mean(&pixel, &self.bins).0);
                    }
                }
            },
        );
        let (down, across) = frame.axes(FINE);
        resize(&depths, &down, &across)
    }

    /// What slopes of the pixels' depth are for the logits of the cells.
    fn logit_gradients(&self, logits: &[f32], frame: &CenterPadding, of_pixels: &[f32]) -> Vec<f32> {
        let (down, across) = frame.axes(FINE);
        let of_depths = adjoint(of_pixels, &down, &across);
        let (down, across) = fine(frame);
        let stride = across.input * BINS;
        let (mut row, mut of_row, mut pixel) = (vec![0.0; stride], vec![0.0; stride], vec![0.0; BINS]);
        let mut out = vec![0.0; logits.len()];
        wide(
            #[inline(always)]
            || {
                let lines = of_depths.chunks_exact(across.len().max(1));
                for (tap, line) in down.taps.iter().zip(lines) {
                    let (low, high) = (tap.low * stride, tap.high * stride);
                    blend(&logits[low..][..stride], &logits[high..][..stride], tap.share, &mut row);
                    of_row.fill(0.0);
                    for (across, slope) in across.taps.iter().zip(line) {
                        let (low, high) = (across.low * BINS, across.high * BINS);
                        blend(&row[low..][..BINS], &row[high..][..BINS], across.share, &mut pixel);
                        let (depth, sum) = mean(&pixel, &self.bins);
                        let factor = slope / sum;
                        for (value, bin) in pixel.iter_mut().zip(&self.bins) {
                            *value = if *value > 0.0 { factor * (bin - depth) } else { 0.0 };
                        }
                        add(&mut of_row[low..][..BINS], &pixel, 1.0 - across.share);
                        add(&mut of_row[high..][..BINS], &pixel, across.share);
                    }
                    add(&mut out[low..][..stride], &of_row, 1.0 - tap.share);
                    add(&mut out[high..][..stride], &of_row, tap.share);
                }
            },
        );
        out
    }

    /// From slopes of the logits to those of the three parts of [`DepthHead::values`].
    fn products(&self, map: &DenseFeatureMap, of_logits: &[f32]) -> [Vec<f32>; 3] {
        let cells = of_logits.len() / BINS;
        let mut patches = vec![0.0; BINS * self.dim];
        let slopes = MatrixView::new(of_logits, cells, BINS).transposed();
        multiply(&mut patches, slopes, MatrixView::new(&map.patches, cells, self.dim), 1.0, false);
        let mut bias = vec![0.0; BINS];
        of_logits.chunks_exact(BINS).for_each(|row| add(&mut bias, row, 1.0));
        let cls = bias.iter().flat_map(|slope| map.cls.iter().map(move |token| slope * token)).collect();
        [patches, cls, bias]
    }
}

/// Cells as finer cells.
fn fine(frame: &CenterPadding) -> (InterpolationAxis, InterpolationAxis) {
    let (rows, cols) = (frame.rows(), frame.cols());
    (InterpolationAxis::new(rows, FINE * rows), InterpolationAxis::new(cols, FINE * cols))
}

/// The mean distance that the logits of a pixel stand for, and what their shares are divided by.
#[inline(always)]
fn mean(logits: &[f32], bins: &[f32]) -> (f32, f32) {
    let (mut sums, mut weighted) = ([0.0f32; LANES], [0.0f32; LANES]);
    for (logits, bins) in logits.as_chunks::<LANES>().0.iter().zip(bins.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let share = if logits[lane] > 0.0 { logits[lane] } else { 0.0 } + FLOOR;
            sums[lane] += share;
            weighted[lane] += share * bins[lane];
        }
    }
    let sum: f32 = sums.iter().sum();
    (weighted.iter().sum::<f32>() / sum, sum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::rng::normal;

    fn case() -> (DepthHead, Vec<DenseFeatureMap>, Vec<CenterPadding>, Vec<Vec<f32>>) {
        let mut rng = stream(8, "depth case", 0, 0);
        let frames = vec![
            CenterPadding { width: 9, height: 8, patch: 4, exact: true },
            CenterPadding { width: 5, height: 11, patch: 4, exact: false },
        ];
        let mut noise = |n: usize| -> Vec<f32> { (0..n).map(|_| normal(&mut rng)).collect() };
        let maps: Vec<DenseFeatureMap> = frames
            .iter()
            .map(|frame| DenseFeatureMap { patches: noise(3 * frame.rows() * frame.cols()), cls: noise(2) })
            .collect();
        let truths = frames
            .iter()
            .map(|frame| noise(frame.width * frame.height).iter().map(|v| (3.0 + v).max(0.0)).collect())
            .collect();
        let mut head = DepthHead::new(3, 2, (0.5, 9.0), 1);
        // Away from the kinks: three of four bins are on everywhere, the others off.
        for (i, bias) in head.values[5 * BINS..].iter_mut().enumerate() {
            *bias += if i % 4 == 3 { -5.0 } else { 5.0 };
        }
        (head, maps, frames, truths)
    }

    #[test]
    fn slopes_are_those_of_the_loss() {
        let (head, maps, frames, truths) = case();
        let samples: Vec<DepthHeadSample<'_>> =
            (0..2).map(|i| DepthHeadSample { map: &maps[i], frame: &frames[i], truth: &truths[i] }).collect();
        for weight in [0.0, 0.5] {
            let (_, slopes) = head.gradient(&samples, weight).unwrap();
            // Along every direction at once, and along single values of each part.
            let direction: Vec<f32> = (0..slopes.len()).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
            let along = |direction: &[f32], step: f32| {
                let mut moved = head.clone();
                moved.values.iter_mut().zip(direction).for_each(|(value, d)| *value += step * d);
                moved.gradient(&samples, weight).unwrap().0
            };
            let check = |direction: &[f32], step: f32| {
                let want = (along(direction, step) - along(direction, -step)) / f64::from(2.0 * step);
                let got: f64 = slopes.iter().zip(direction).map(|(a, b)| f64::from(a * b)).sum();
                assert!((got - want).abs() < 1e-4 + 0.01 * want.abs(), "{got} is not {want}");
            };
            check(&direction, 1e-3);
            for i in [3 * 8, 3 * 250 + 2, BINS * 3 + 2 * 90 + 1, BINS * 5 + 12] {
                let mut one = vec![0.0; slopes.len()];
                one[i] = 1.0;
                check(&one, 0.05);
            }
            assert_eq!(slopes[BINS * 5 + 7], 0.0, "a bin that is off learns nothing");
        }
    }

    #[test]
    fn depth_is_the_mean_of_the_bins() {
        let bins: Vec<f32> = (0..BINS).map(|i| i as f32).collect();
        let mut logits = vec![-3.0; BINS];
        assert!((mean(&logits, &bins).0 - 127.5).abs() < 1e-3, "all bins alike");
        logits[200] = 10.0;
        // 10.1 of 200 and 0.1 of each other bin.
        let want = (0.1 * (127.5 * 256.0) + 10.0 * 200.0) / (25.6 + 10.0);
        assert!((mean(&logits, &bins).0 - want).abs() < 1e-3);
    }

    #[test]
    fn enlarging_logits_is_enlarging_features() {
        let (head, maps, frames, _) = case();
        let (map, frame) = (&maps[0], &frames[0]);
        let (down, across) = fine(frame);
        // As it is written down: features of every finer cell, then the convolution.
        let channel = |c: usize| -> Vec<f32> {
            let of: Vec<f32> = map.patches.iter().skip(c).step_by(3).copied().collect();
            resize(&of, &down, &across)
        };
        let channels: Vec<Vec<f32>> = (0..3).map(channel).collect();
        let patches = (0..channels[0].len()).flat_map(|i| channels.iter().map(move |c| c[i])).collect();
        let logits = head.logits(&DenseFeatureMap { patches, cls: map.cls.clone() });
        let depths: Vec<f32> = logits.chunks_exact(BINS).map(|pixel| mean(pixel, &head.bins).0).collect();
        let (down, across) = frame.axes(FINE);
        let want = resize(&depths, &down, &across);
        let found = head.predict(map, frame);
        assert_eq!(found.len(), 72);
        assert!(found.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
