//! How a head learns: the order of examples, the learning rate through time, AdamW.

use dinoscope_base::rng::{RngExt, stream};

/// How a linear head on frozen features is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseTrainingOptions {
    /// Steps; 40 000 as published for large data.
    pub iterations: usize,
    /// Views of a step; 16 as published.
    pub batch: usize,
    /// Learning rate at its highest: 1e-3 as published, more where there are few steps.
    pub lr: f64,
    /// Weight decay, on every parameter.
    pub weight_decay: f64,
}

/// Share of the steps over which the learning rate rises: 1500 of 40 000 as published.
const WARM_UP: f64 = 1500.0 / 40_000.0;
/// Where it starts, as a share.
const WARM_UP_FROM: f64 = 1e-6;

impl DenseTrainingOptions {
    /// The learning rate of a step: falls in a straight line to 0 (polynomial decay of power 1), and rises before that.
    pub(crate) fn rate(&self, step: usize) -> f64 {
        let falling = self.lr * (1.0 - step as f64 / self.iterations.max(1) as f64);
        let warm_up = WARM_UP * self.iterations as f64;
        let short = (1.0 - step as f64 / warm_up.max(1.0)).max(0.0) * (1.0 - WARM_UP_FROM);
        falling * (1.0 - short)
    }
}

/// AdamW with PyTorch's defaults (betas 0.9 and 0.999, epsilon 1e-8).
pub(crate) struct DenseHeadAdamW {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl DenseHeadAdamW {
    pub fn new(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count], steps: 0 }
    }

    /// One step along `slopes`.
    pub fn step(&mut self, values: &mut [f32], slopes: &[f32], rate: f64, weight_decay: f64) {
        const BETAS: (f64, f64) = (0.9, 0.999);
        const EPSILON: f64 = 1e-8;
        self.steps += 1;
        let (a, b) = (BETAS.0 as f32, BETAS.1 as f32);
        let keep = (1.0 - rate * weight_decay) as f32;
        let step = (rate / (1.0 - BETAS.0.powi(self.steps))) as f32;
        let root = (1.0 / (1.0 - BETAS.1.powi(self.steps)).sqrt()) as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, slope), (m, v)) in values.iter_mut().zip(slopes).zip(moments) {
            *m = a * *m + (1.0 - a) * slope;
            *v = b * *v + (1.0 - b) * slope * slope;
            *value = *value * keep - step * *m / (v.sqrt() * root + EPSILON as f32);
        }
    }
}

/// Batches of examples: each pass visits all of them in an order of its own.
pub(crate) struct DenseBatchSampler {
    seed: u64,
    pass: u64,
    left: Vec<usize>,
    count: usize,
}

impl DenseBatchSampler {
    pub fn new(count: usize, seed: u64) -> Self {
        Self { seed, pass: 0, left: Vec::new(), count }
    }

    /// The next `batch` examples.
    pub fn next(&mut self, batch: usize) -> Vec<usize> {
        let mut out = Vec::with_capacity(batch);
        while out.len() < batch && self.count > 0 {
            match self.left.pop() {
                Some(index) => out.push(index),
                None => {
                    let mut rng = stream(self.seed, "dense order", self.pass, 0);
                    self.pass += 1;
                    self.left = (0..self.count).collect();
                    for i in (1..self.count).rev() {
                        self.left.swap(i, rng.random_range(0..=i));
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls_in_straight_lines() {
        let training = DenseTrainingOptions { iterations: 400, batch: 1, lr: 0.1, weight_decay: 0.0 };
        assert!(training.rate(0) < 1e-6);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(training.rate(15), 0.1 * (1.0 - 15.0 / 400.0)), "15 of 400 steps are warm-up");
        assert!((training.rate(3) - 0.2 * 0.1 * (1.0 - 3.0 / 400.0)).abs() < 1e-6);
        assert!(near(training.rate(300), 0.025) && near(training.rate(400), 0.0));
        let short = DenseTrainingOptions { iterations: 4, ..training };
        assert!(short.rate(1) > 0.07, "a few steps are not all warm-up");
    }

    #[test]
    fn steps_are_those_of_torch() {
        // torch.optim.AdamW([1., -2.], lr=0.1, weight_decay=0.01), gradients [0.5, -1] then [0.25, 3].
        let mut values = [1.0, -2.0];
        let mut adam = DenseHeadAdamW::new(2);
        adam.step(&mut values, &[0.5, -1.0], 0.1, 0.01);
        assert!((values[0] - 0.899).abs() < 1e-6 && (values[1] + 1.898).abs() < 1e-6, "{values:?}");
        adam.step(&mut values, &[0.25, 3.0], 0.1, 0.01);
        // First moments 0.07 and 0.21, second 0.00031225 and 0.009999, corrected by 0.19 and 0.001999.
        let want = [
            0.899 * 0.999 - 0.1 * (0.07 / 0.19) / (0.000_312_25f64 / 0.001_999).sqrt(),
            -1.898 * 0.999 - 0.1 * (0.21 / 0.19) / (0.009_999f64 / 0.001_999).sqrt(),
        ];
        assert!(
            values.iter().zip(want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5),
            "{values:?} {want:?}"
        );
    }

    #[test]
    fn every_pass_visits_all() {
        let mut order = DenseBatchSampler::new(5, 3);
        let two: Vec<usize> = (0..5).flat_map(|_| order.next(2)).collect();
        for pass in two.chunks(5) {
            let mut seen = pass.to_vec();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
        assert_ne!(two[..5], two[5..]);
        assert_eq!(DenseBatchSampler::new(2, 1).next(5).len(), 5, "a batch may hold an example twice");
    }
}
