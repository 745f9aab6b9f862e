//! The linear head of depth: a 1x1 convolution to bins of distance, whose mean is the depth.
//!
//! Source: `BNHead` of DINOv2's depth evaluation (which has no batch norm): patch and CLS tokens of several blocks side
//! by side, enlarged four times, convolved to 256 logits; `relu(logit) + 0.1` over their sum are the shares of equally
//! spaced distances. Convolution and enlarging are both linear and commute, so the logits are enlarged, not the features.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::loss::{DepthMapPair, loss};
use crate::dense::axis::{InterpolationAxis, enlarge_maps};
use crate::dense::extractor::{DenseExample, DenseFeatureMap};
use crate::dense::frame::CenterPadding;
use crate::dense::training::DenseHead;
use crate::parameter::HeadParameter;
use dinoscope_base::parallel::for_chunks;
use dinoscope_base::rng::{RngExt, stream};

/// Distances that share out each pixel.
const BINS: usize = 256;
/// What every bin gets.
const FLOOR: f64 = 0.1;
/// How many times features are enlarged before depth is read off.
const FINE: usize = 4;

/// The convolution.
#[derive(Clone, Debug)]
pub(super) struct DepthHead {
    range: (f64, f64),
    /// The distances, from near to far, and ones: `[2, BINS]`.
    bins: Tensor<2>,
    /// Weight of patches, `[BINS, dim]`.
    patches: HeadParameter<2>,
    /// Weight of what goes to all cells, `[BINS, cls_dim]`.
    cls: Option<HeadParameter<2>>,
    /// `[BINS, 1]`
    bias: HeadParameter<2>,
    /// Weight of the gradient loss.
    gradient: f64,
}

impl DepthHead {
    /// A head with PyTorch's initial convolution, for depths from `min` to `max`.
    pub fn new(
        (dim, cls_dim): (usize, usize),
        (min, max): (f64, f64),
        gradient: f64,
        seed: u64,
        device: &Device,
    ) -> Self {
        let mut rng = stream(seed, "depth head", 0, 0);
        let bound = 1.0 / ((dim + cls_dim).max(1) as f32).sqrt();
        let mut drawn = |width: usize| {
            let values = (0..BINS * width).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0));
            HeadParameter::new(values.collect(), [BINS, width], device)
        };
        let step = (max - min) / (BINS - 1) as f64;
        let bins = (0..BINS).map(|i| (min + step * i as f64) as f32).chain([1.0; BINS]).collect();
        Self {
            range: (min, max),
            bins: Tensor::from_data(TensorData::new(bins, [2, BINS]), device),
            patches: drawn(dim),
            cls: (cls_dim > 0).then(|| drawn(cls_dim)),
            bias: drawn(1),
            gradient,
        }
    }

    /// Depth of every pixel of a view, `[height, width]`.
    pub fn predict(&self, map: &DenseFeatureMap, frame: &CenterPadding) -> Tensor<2> {
        self.depth(map, frame).clamp(self.range.0, self.range.1)
    }

    /// The same with no limits; of a twin on the tape.
    fn depth(&self, map: &DenseFeatureMap, frame: &CenterPadding) -> Tensor<2> {
        // The same for all cells: the bias and what the CLS tokens add.
        let mut common = self.bias.value.clone();
        if let (Some(weight), Some(cls)) = (&self.cls, &map.cls) {
            common = common + weight.value.clone().matmul(cls.clone().unsqueeze_dim(1));
        }
        let logits = self.patches.value.clone().matmul(map.patches.clone().transpose()) + common;
        let (rows, cols) = (frame.rows(), frame.cols());
        let down = InterpolationAxis::new(rows, FINE * rows);
        let across = InterpolationAxis::new(cols, FINE * cols);
        let on = relu(enlarge_maps(logits.reshape([BINS, rows, cols]), &down, &across));
        // Sums over the bins: of shares times distances, and of shares.
        let sums = self.bins.clone().matmul(on.reshape([BINS, FINE * FINE * rows * cols]));
        let sums = sums + self.bins.clone().sum_dim(1) * FLOOR;
        let depth = sums.clone().narrow(0, 0, 1) / sums.narrow(0, 1, 1);
        let (down, across) = frame.axes(FINE);
        enlarge_maps(depth.reshape([1, FINE * rows, FINE * cols]), &down, &across).squeeze_dim(0)
    }
}

impl DenseHead<f32> for DepthHead {
    fn parameters(&mut self) -> Vec<&mut HeadParameter<2>> {
        [&mut self.patches, &mut self.bias].into_iter().chain(&mut self.cls).collect()
    }

    fn learn(&mut self, views: &[(DenseFeatureMap, &DenseExample<f32>)]) -> Option<Tensor<1>> {
        let mut passed: Vec<(Self, Option<Tensor<2>>)> = views.iter().map(|_| (self.twin(), None)).collect();
        for_chunks(&mut passed, 1, |i, passed| {
            let ((map, example), (twin, depth)) = (&views[i], &mut passed[0]);
            *depth = Some(twin.depth(map, &example.view.frame));
        });
        // The loss sees all views together: it has a tape of its own, from their depths on.
        let leaf = |depth: &Tensor<2>| depth.clone().without_autodiff().autodiff().require_grad();
        let leaves: Vec<Tensor<2>> =
            passed.iter().filter_map(|(_, depth)| depth.as_ref().map(leaf)).collect();
        let pairs = leaves.iter().zip(views);
        let pairs = pairs.map(|(leaf, (_, example))| DepthMapPair::new(leaf.clone(), &example.truth));
        let loss = loss(&pairs.collect::<Vec<_>>(), self.gradient)?;
        let of_depths = loss.backward();
        let slopes: Vec<Option<Tensor<2>>> = leaves.iter().map(|leaf| leaf.grad(&of_depths)).collect();
        for_chunks(&mut passed, 1, |i, passed| {
            let (twin, depth) = &mut passed[0];
            if let (Some(depth), Some(slopes)) = (depth.take(), slopes[i].clone()) {
                twin.collect((depth * slopes).sum().backward());
            }
        });
        passed.into_iter().for_each(|(twin, _)| self.absorb(twin));
        Some(loss.without_autodiff())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::dense::axis::resize;
    use dinoscope_base::device::block_on;
    use dinoscope_base::rng::normal;
    use dinoscope_model::params::read;

    fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
        block_on(read(tensor.clone())).unwrap()
    }

    fn map(patches: Vec<f32>, cls: Vec<f32>) -> DenseFeatureMap {
        let (device, cells) = (Device::flex(), patches.len() / 3);
        DenseFeatureMap {
            patches: Tensor::from_data(TensorData::new(patches, [cells, 3]), &device),
            cls: Some(Tensor::from_data(TensorData::new(cls, [2]), &device)),
        }
    }

    #[test]
    fn depth_is_the_mean_of_the_bins() {
        let mut head = DepthHead::new((3, 2), (0.0, 255.0), 0.0, 1, &Device::flex());
        let frame = CenterPadding { width: 5, height: 4, patch: 8, exact: false };
        let mut depth = |logits: Vec<f32>| {
            head.bias = HeadParameter::new(logits, [BINS, 1], &Device::flex());
            let found = host(&head.predict(&map(vec![0.0; 3], vec![0.0; 2]), &frame));
            assert_eq!(found.len(), 20);
            found[7]
        };
        let mut logits = vec![-3.0; BINS];
        assert!((depth(logits.clone()) - 127.5).abs() < 1e-3, "all bins alike");
        logits[200] = 10.0;
        // 10.1 of 200 and 0.1 of each other bin.
        let want = (0.1 * (127.5 * 256.0) + 10.0 * 200.0) / (25.6 + 10.0);
        assert!((depth(logits) - want).abs() < 1e-3);
    }

    #[test]
    fn enlarging_logits_is_enlarging_features() {
        let mut rng = stream(8, "depth case", 0, 0);
        let mut noise = |n: usize| -> Vec<f32> { (0..n).map(|_| normal(&mut rng)).collect() };
        let head = DepthHead::new((3, 2), (0.5, 9.0), 0.0, 1, &Device::flex());
        for exact in [true, false] {
            let frame = CenterPadding { width: 9, height: 8, patch: 4, exact };
            let (rows, cols) = (frame.rows(), frame.cols());
            let (patches, cls) = (noise(3 * rows * cols), noise(2));
            // As it is written down: features of every finer cell, then the convolution.
            let down = InterpolationAxis::new(rows, FINE * rows);
            let across = InterpolationAxis::new(cols, FINE * cols);
            let channel = |c: usize| {
                let of: Vec<f32> = patches.iter().skip(c).step_by(3).copied().collect();
                resize(&of, &down, &across)
            };
            let channels = [0, 1, 2].map(channel);
            let (weight, of_cls) = (host(&head.patches.value), host(&head.cls.as_ref().unwrap().value));
            let bias = host(&head.bias.value);
            let depth = |cell: usize| {
                let (mut sum, mut weighted) = (0.0, 0.0);
                for bin in 0..BINS {
                    let common = bias[bin] + of_cls[2 * bin] * cls[0] + of_cls[2 * bin + 1] * cls[1];
                    let own = channels.iter().zip(&weight[3 * bin..]).map(|(x, w)| x[cell] * w).sum::<f32>();
                    let share = f64::from((common + own).max(0.0)) + 0.1;
                    sum += share;
                    weighted += share * (0.5 + 8.5 * bin as f64 / 255.0);
                }
                (weighted / sum) as f32
            };
            let depths: Vec<f32> = (0..channels[0].len()).map(depth).collect();
            let (down, across) = frame.axes(FINE);
            let want = resize(&depths, &down, &across);
            let found = host(&head.predict(&map(patches.clone(), cls.clone()), &frame));
            assert_eq!(found.len(), 72);
            assert!(found.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
}
