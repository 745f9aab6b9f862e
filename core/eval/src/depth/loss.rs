//! The loss of depth: scale-invariant in logarithms, with an optional term for edges.
//!
//! Sources: SigLoss (Eigen et al. 2014, with the weights of DINOv2's depth evaluation): `sqrt(var(g) + 0.15 mean(g)²)`
//! with `g = ln(predicted + 0.001) - ln(true + 0.001)` over all pixels of a batch whose depth is known and the unbiased
//! variance. The gradient loss of the same code compares `g` two pixels apart, at four sizes. There a batch of four
//! dimensions is sliced as if it were one picture; here each picture is compared with itself, as meant.

use burn::tensor::{Slice, Tensor, TensorData};

/// Added before logarithms.
const EPSILON: f32 = 1e-3;
/// How much a wrong scale counts.
const SCALE: f64 = 0.15;
/// Every n-th pixel both ways, for each size of the gradient loss.
const STRIDES: [usize; 4] = [1, 2, 4, 6];
/// Pixels between the two that are compared.
const APART: usize = 2;
/// Added to squares before their root, whose slope at 0 is unknown.
const SMALLEST: f64 = 1e-18;

/// Predicted and true depth of one view.
pub(super) struct DepthMapPair<'a> {
    /// `[height * width]`; 0 is unknown.
    truth: &'a [f32],
    /// `g` of every pixel where the truth is known, 0 elsewhere, `[height, width]`.
    ratios: Tensor<2>,
    /// 1 where the truth is known, 0 elsewhere, `[height, width]`.
    known: Tensor<2>,
}

impl<'a> DepthMapPair<'a> {
    /// `predicted` is `[height, width]`.
    pub fn new(predicted: Tensor<2>, truth: &'a [f32]) -> Self {
        let (shape, device) = (predicted.dims(), predicted.device().without_autodiff());
        let of = |each: fn(f32) -> f32| -> Tensor<2> {
            let values = truth.iter().map(|depth| each(*depth)).collect();
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        let known = of(|depth| f32::from(u8::from(depth > 0.0)));
        let ratios = ((predicted + EPSILON).log() - of(|depth| (depth + EPSILON).ln())) * known.clone();
        Self { truth, ratios, known }
    }

    /// How many of every `stride`-th pixels both ways are known.
    fn count(&self, stride: usize) -> usize {
        let [_, width] = self.known.dims();
        let lines = self.truth.chunks_exact(width.max(1)).step_by(stride);
        lines.flat_map(|line| line.iter().step_by(stride)).filter(|depth| **depth > 0.0).count()
    }

    /// The sum of differences between every `stride`-th pixels, down and across.
    fn edges(&self, stride: usize) -> Tensor<1> {
        let thin = |x: &Tensor<2>| x.clone().slice([Slice::with_step(0, None, stride as isize); 2]);
        let (ratios, known) = (thin(&self.ratios), thin(&self.known));
        let along = |dim: usize| {
            let length = ratios.dims()[dim].saturating_sub(APART);
            let ends = |x: &Tensor<2>| [0, APART].map(|from| x.clone().narrow(dim, from, length));
            (length > 0).then(|| {
                let ([here, there], [a, b]) = (ends(&ratios), ends(&known));
                ((here - there).abs() * a * b).sum()
            })
        };
        [along(0), along(1)]
            .into_iter()
            .flatten()
            .fold(self.ratios.clone().sum() * 0.0, |sum, edges| sum + edges)
    }
}

/// The loss of a batch, `[1]`, `gradient` being the weight of the gradient loss; `None` with fewer than two known pixels.
pub(super) fn loss(views: &[DepthMapPair<'_>], gradient: f64) -> Option<Tensor<1>> {
    let count = |stride: usize| views.iter().map(|view| view.count(stride)).sum::<usize>();
    let pixels = count(1) as f64;
    if pixels < 2.0 {
        return None;
    }
    let flat = |of: for<'a> fn(&'a DepthMapPair<'_>) -> &'a Tensor<2>| -> Tensor<1> {
        Tensor::cat(views.iter().map(|view| of(view).clone().reshape([view.truth.len()])).collect(), 0)
    };
    let (ratios, known) = (flat(|view| &view.ratios), flat(|view| &view.known));
    let mean = ratios.clone().sum() / pixels;
    let variance = ((ratios - mean.clone()) * known).square().sum() / (pixels - 1.0);
    let mut total = (variance + mean.square() * SCALE + SMALLEST).sqrt();
    if gradient > 0.0 {
        for stride in STRIDES {
            let weight = gradient / count(stride).max(1) as f64;
            total = views.iter().fold(total, |total, view| total + view.edges(stride) * weight);
        }
    }
    Some(total)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dinoscope_base::rng::{RngExt, stream};

    fn case() -> ([Vec<f32>; 2], [Vec<f32>; 2]) {
        let mut rng = stream(3, "depths", 0, 0);
        let mut noise = |n: usize| -> Vec<f32> { (0..n).map(|_| 1.0 + 4.0 * rng.random::<f32>()).collect() };
        let predicted = [noise(7 * 9), noise(15 * 13)];
        let mut truth = [noise(7 * 9), noise(15 * 13)];
        truth.iter_mut().for_each(|truth| truth.iter_mut().step_by(5).for_each(|value| *value = 0.0));
        (predicted, truth)
    }

    /// The loss, and what it pulls at.
    fn of(
        predicted: &[Vec<f32>],
        truth: &[Vec<f32>],
        widths: &[usize],
        gradient: f64,
    ) -> (f64, Vec<Vec<f32>>) {
        let leaf = |(values, width): (&Vec<f32>, &usize)| {
            let shape = [values.len() / width, *width];
            let values = TensorData::new(values.clone(), shape);
            Tensor::<2>::from_data(values, &Device::flex()).autodiff().require_grad()
        };
        let leaves: Vec<Tensor<2>> = predicted.iter().zip(widths).map(leaf).collect();
        let pairs: Vec<DepthMapPair<'_>> =
            leaves.iter().zip(truth).map(|(leaf, truth)| DepthMapPair::new(leaf.clone(), truth)).collect();
        let loss = loss(&pairs, gradient).unwrap();
        let gradients = loss.backward();
        let host = |tensor: Tensor<2>| tensor.into_data().iter().collect();
        let pulls = leaves.iter().map(|leaf| host(leaf.grad(&gradients).unwrap()));
        (loss.into_data().iter::<f64>().sum(), pulls.collect())
    }

    #[test]
    fn the_value_is_that_of_the_formula() {
        // Three known pixels; g by hand, variance over n - 1.
        let (predicted, truth) = ([vec![2.0f32, 3.0, 1.0, 7.0]], [vec![1.0f32, 4.0, 2.0, 0.0]]);
        let g: Vec<f64> = (0..3)
            .map(|i| (f64::from(predicted[0][i]) + 1e-3).ln() - (f64::from(truth[0][i]) + 1e-3).ln())
            .collect();
        let mean = g.iter().sum::<f64>() / 3.0;
        let variance = g.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 2.0;
        let (value, pulls) = of(&predicted, &truth, &[2], 0.0);
        assert!((value - (variance + 0.15 * mean * mean).sqrt()).abs() < 1e-6);
        assert_eq!(pulls[0][3], 0.0, "unknown pixels pull at nothing");

        // A column of three known pixels: one pair two apart at the full size, and only that.
        let (with, _) = of(&[predicted[0][..3].to_vec()], &[truth[0][..3].to_vec()], &[1], 0.5);
        assert!((with - value - 0.5 * (g[0] - g[2]).abs() / 3.0).abs() < 1e-6);
    }

    #[test]
    fn edges_are_those_of_known_neighbours() {
        let (predicted, truth) = case();
        let widths = [7, 15];
        let g = |view: usize, i: usize| {
            let [p, t] = [&predicted, &truth].map(|of| f64::from(of[view][i]) + 1e-3);
            (truth[view][i] > 0.0).then(|| p.ln() - t.ln())
        };
        let mut want = 0.0;
        for stride in STRIDES {
            let (mut sum, mut known) = (0.0, 0);
            for (view, width) in widths.into_iter().enumerate() {
                let height = truth[view].len() / width;
                for (y, x) in
                    (0..height).step_by(stride).flat_map(|y| (0..width).step_by(stride).map(move |x| (y, x)))
                {
                    let Some(here) = g(view, y * width + x) else { continue };
                    known += 1;
                    let far = 2 * stride;
                    let below = (y + far < height).then(|| g(view, (y + far) * width + x)).flatten();
                    let right = (x + far < width).then(|| g(view, y * width + x + far)).flatten();
                    sum +=
                        [below, right].into_iter().flatten().map(|there| (here - there).abs()).sum::<f64>();
                }
            }
            want += sum / f64::from(known);
        }
        let [with, without] = [0.5, 0.0].map(|weight| of(&predicted, &truth, &widths, weight).0);
        assert!((with - without - 0.5 * want).abs() < 1e-5, "{with} {without} {want}");
    }

    #[test]
    fn a_wrong_scale_costs_less_than_a_wrong_shape() {
        let (_, truth) = case();
        let scaled = truth.clone().map(|truth| truth.iter().map(|v| 1.5 * v.max(0.5)).collect());
        let (scale, _) = of(&scaled, &truth, &[7, 15], 0.0);
        assert!((scale - 0.15f64.sqrt() * 1.5f64.ln()).abs() < 1e-3, "{scale}");
        let exact = truth.clone().map(|truth| truth.iter().map(|v| v.max(0.5)).collect());
        let (none, pulls) = of(&exact, &truth, &[7, 15], 0.0);
        assert!(none < 1e-6 && pulls.iter().flatten().all(|pull| pull.is_finite()));
        let one = Tensor::from_data([[1.0], [2.0]], &Device::flex());
        assert!(loss(&[DepthMapPair::new(one, &[0.0, 2.0])], 0.0).is_none());
    }
}
