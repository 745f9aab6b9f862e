//! The loss of depth: scale-invariant in logarithms, with an optional term for edges.
//!
//! Sources: SigLoss (Eigen et al. 2014, with the weights of DINOv2's depth evaluation): `sqrt(var(g) + 0.15 mean(g)²)`
//! with `g = ln(predicted + 0.001) - ln(true + 0.001)` over all pixels of a batch whose depth is known and the unbiased
//! variance. The gradient loss of the same code compares `g` two pixels apart, at four sizes. There a batch of four
//! dimensions is sliced as if it were one picture; here each picture is compared with itself, as meant.

/// Added before logarithms.
const EPSILON: f32 = 1e-3;
/// How much a wrong scale counts.
const SCALE: f64 = 0.15;
/// Every n-th pixel both ways, for each size of the gradient loss.
const STRIDES: [usize; 4] = [1, 2, 4, 6];
/// Pixels between the two that are compared.
const APART: usize = 2;
/// Below this the loss is 0 and its slope unknown.
const SMALLEST: f64 = 1e-9;

/// Predicted and true depth of one view, `[height * width]`; 0 is unknown.
pub(super) struct DepthMapPair<'a> {
    pub width: usize,
    pub predicted: &'a [f32],
    pub truth: &'a [f32],
}

impl DepthMapPair<'_> {
    /// `g` of every pixel; `None` where the truth is not known.
    fn ratios(&self) -> Vec<Option<f32>> {
        let ratio = |(predicted, truth): (&f32, &f32)| {
            (*truth > 0.0).then(|| (predicted + EPSILON).ln() - (truth + EPSILON).ln())
        };
        self.predicted.iter().zip(self.truth).map(ratio).collect()
    }
}

/// The loss of a batch, `gradient` being the weight of the gradient loss, and its slopes for every predicted pixel;
/// `None` with fewer than two known pixels.
pub(super) fn loss(planes: &[DepthMapPair<'_>], gradient: f64) -> Option<(f64, Vec<Vec<f32>>)> {
    let ratios: Vec<Vec<Option<f32>>> = planes.iter().map(DepthMapPair::ratios).collect();
    let known = || ratios.iter().flatten().flatten().map(|g| f64::from(*g));
    let count = known().count() as f64;
    if count < 2.0 {
        return None;
    }
    let mean = known().sum::<f64>() / count;
    let variance = known().map(|g| (g - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let value = (variance + SCALE * mean * mean).sqrt();
    let factor = if value > SMALLEST { 1.0 / value } else { 0.0 };
    let slope = |g: f32| factor * ((f64::from(g) - mean) / (count - 1.0) + SCALE * mean / count);
    let mut slopes: Vec<Vec<f64>> =
        ratios.iter().map(|of| of.iter().map(|g| g.map_or(0.0, slope)).collect()).collect();
    let mut total = value;
    if gradient > 0.0 {
        total += gradient * edges(planes, &ratios, gradient, &mut slopes);
    }
    let to_predicted = |(plane, slopes): (&DepthMapPair<'_>, Vec<f64>)| {
        plane.predicted.iter().zip(slopes).map(|(p, slope)| (slope / f64::from(p + EPSILON)) as f32).collect()
    };
    Some((total, planes.iter().zip(slopes).map(to_predicted).collect()))
}

/// The gradient loss; adds `weight` times its slopes for each `g`.
fn edges(
    planes: &[DepthMapPair<'_>],
    ratios: &[Vec<Option<f32>>],
    weight: f64,
    slopes: &mut [Vec<f64>],
) -> f64 {
    let mut total = 0.0;
    for stride in STRIDES {
        let (mut sum, mut known) = (0.0, 0usize);
        // Pixels that are compared, and which is larger.
        let mut pairs: Vec<(usize, usize, usize, f64)> = Vec::new();
        for (view, (plane, ratios)) in planes.iter().zip(ratios).enumerate() {
            let (width, height) = (plane.width, ratios.len() / plane.width.max(1));
            for y in (0..height).step_by(stride) {
                for x in (0..width).step_by(stride) {
                    let at = y * width + x;
                    let Some(here) = ratios[at] else { continue };
                    known += 1;
                    let step = APART * stride;
                    let below = (y + step < height).then(|| at + step * width);
                    let right = (x + step < width).then(|| at + step);
                    for other in [below, right].into_iter().flatten() {
                        let Some(there) = ratios[other] else { continue };
                        let difference = f64::from(here) - f64::from(there);
                        sum += difference.abs();
                        if difference != 0.0 {
                            pairs.push((view, at, other, difference.signum()));
                        }
                    }
                }
            }
        }
        let share = 1.0 / known.max(1) as f64;
        total += sum * share;
        for (view, at, other, sign) in pairs {
            slopes[view][at] += weight * share * sign;
            slopes[view][other] -= weight * share * sign;
        }
    }
    total
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::rng::{RngExt, stream};

    fn case() -> ([Vec<f32>; 2], [Vec<f32>; 2]) {
        let mut rng = stream(3, "depths", 0, 0);
        let mut noise = |n: usize| -> Vec<f32> { (0..n).map(|_| 1.0 + 4.0 * rng.random::<f32>()).collect() };
        let predicted = [noise(7 * 9), noise(15 * 13)];
        let mut truth = [noise(7 * 9), noise(15 * 13)];
        truth.iter_mut().for_each(|truth| truth.iter_mut().step_by(5).for_each(|value| *value = 0.0));
        (predicted, truth)
    }

    fn of(predicted: &[Vec<f32>; 2], truth: &[Vec<f32>; 2], gradient: f64) -> (f64, Vec<Vec<f32>>) {
        let plane = |i: usize, width| DepthMapPair { width, predicted: &predicted[i], truth: &truth[i] };
        loss(&[plane(0, 7), plane(1, 15)], gradient).unwrap()
    }

    #[test]
    fn the_value_is_that_of_the_formula() {
        // Three known pixels; g by hand, variance over n - 1.
        let (predicted, truth) = ([2.0f32, 3.0, 1.0, 7.0], [1.0f32, 4.0, 2.0, 0.0]);
        let g: Vec<f64> = (0..3)
            .map(|i| (f64::from(predicted[i]) + 1e-3).ln() - (f64::from(truth[i]) + 1e-3).ln())
            .collect();
        let mean = g.iter().sum::<f64>() / 3.0;
        let variance = g.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 2.0;
        let plane = DepthMapPair { width: 2, predicted: &predicted, truth: &truth };
        let (value, slopes) = loss(&[plane], 0.0).unwrap();
        assert!((value - (variance + 0.15 * mean * mean).sqrt()).abs() < 1e-6);
        assert_eq!(slopes[0][3], 0.0, "unknown pixels pull at nothing");

        // A column of three known pixels: one pair two apart at the full size, and only that.
        let plane = DepthMapPair { width: 1, predicted: &[2.0, 3.0, 1.0], truth: &truth[..3] };
        let (with, _) = loss(&[plane], 0.5).unwrap();
        assert!((with - value - 0.5 * (g[0] - g[2]).abs() / 3.0).abs() < 1e-6);
    }

    #[test]
    fn slopes_are_those_of_the_loss() {
        let (predicted, truth) = case();
        for gradient in [0.0, 0.5] {
            let (_, slopes) = of(&predicted, &truth, gradient);
            for (view, slopes) in slopes.iter().enumerate() {
                for (i, slope) in slopes.iter().enumerate() {
                    let at = |step: f32| {
                        let mut moved = predicted.clone();
                        moved[view][i] += step;
                        of(&moved, &truth, gradient).0
                    };
                    let want = (at(1e-3) - at(-1e-3)) / 2e-3;
                    assert!((f64::from(*slope) - want).abs() < 2e-5, "{view} {i}: {slope} is not {want}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_scale_costs_less_than_a_wrong_shape() {
        let (_, truth) = case();
        let scaled = truth.clone().map(|truth| truth.iter().map(|v| 1.5 * v.max(0.5)).collect());
        let (scale, _) = of(&scaled, &truth, 0.0);
        assert!((scale - 0.15f64.sqrt() * 1.5f64.ln()).abs() < 1e-3, "{scale}");
        let exact = truth.clone().map(|truth| truth.iter().map(|v| v.max(0.5)).collect());
        let (none, slopes) = of(&exact, &truth, 0.0);
        assert!(none < 1e-6 && slopes.iter().flatten().all(|s| s.is_finite()));
        let plane = DepthMapPair { width: 1, predicted: &[1.0, 2.0], truth: &[0.0, 2.0] };
        assert!(loss(&[plane], 0.0).is_none());
    }
}
