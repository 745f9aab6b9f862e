//! How a head learns: the order of examples, the learning rate through time, the loop over steps.

use burn::tensor::{Gradients, Tensor};

use super::check;
use super::extractor::{DenseExample, DenseFeatureCache, DenseFeatureExtractor, DenseFeatureMap};
use crate::EvalProtocolError;
use crate::parameter::HeadParameter;
use crate::run::EvaluationError;
use crate::suite::{EvalProgress, EvalSubject};
use dinoscope_base::rng::{RngExt, stream};
use dinoscope_model::params::read;

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
/// Steps from one report to the next.
const REPORT: usize = 10;

impl DenseTrainingOptions {
    /// The learning rate of a step: falls in a straight line to 0 (polynomial decay of power 1), and rises before that.
    pub(crate) fn rate(&self, step: usize) -> f64 {
        let falling = self.lr * (1.0 - step as f64 / self.iterations.max(1) as f64);
        let warm_up = WARM_UP * self.iterations as f64;
        let short = (1.0 - step as f64 / warm_up.max(1.0)).max(0.0) * (1.0 - WARM_UP_FROM);
        falling * (1.0 - short)
    }
}

/// A head that learns from views.
pub(crate) trait DenseHead<T>: Clone {
    /// Everything that is learned.
    fn parameters(&mut self) -> Vec<&mut HeadParameter<2>>;

    /// The loss of some views, whose gradients are left with the parameters; `None` where too little of them is known.
    fn learn(&mut self, views: &[(DenseFeatureMap, &DenseExample<T>)]) -> Option<Tensor<1>>;

    /// The same head on a tape of its own: views are followed side by side.
    fn twin(&self) -> Self {
        let mut twin = self.clone();
        twin.parameters().into_iter().for_each(|parameter| *parameter = parameter.twin());
        twin
    }

    /// Leaves the gradients of a loss with the parameters.
    fn collect(&mut self, mut gradients: Gradients) {
        self.parameters().into_iter().for_each(|parameter| parameter.collect(&mut gradients));
    }

    /// Adds what a twin collected.
    fn absorb(&mut self, mut twin: Self) {
        self.parameters().into_iter().zip(twin.parameters()).for_each(|(own, of_twin)| own.absorb(of_twin));
    }
}

/// The training of one head.
pub(crate) struct DenseHeadTraining<'a> {
    pub options: &'a DenseTrainingOptions,
    /// Bytes that features may fill.
    pub memory: usize,
    pub seed: u64,
    pub subject: EvalSubject,
}

impl DenseHeadTraining<'_> {
    /// Trains a head; says how many views had to be looked at again and again.
    ///
    /// # Errors
    /// When features or the loss are not finite, the device fails, or `progress` says no.
    pub async fn run<T>(
        &self,
        head: &mut impl DenseHead<T>,
        extractor: &DenseFeatureExtractor<'_>,
        examples: &[DenseExample<T>],
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<usize, EvaluationError> {
        let subject = self.subject.name();
        let DenseTrainingOptions { iterations: total, batch, lr, weight_decay } = *self.options;
        let mut on_progress = async |done| {
            progress(EvalProgress { subject, doing: "features", done, total: examples.len() }).await
        };
        let cache = DenseFeatureCache::fill(extractor, examples, self.memory, &mut on_progress).await?;
        let mut order = DenseBatchSampler::new(examples.len(), self.seed);
        let mut last = None;
        for step in 0..total {
            let which = order.next(batch);
            let maps = cache.batch(&which).await?;
            let views: Vec<_> = maps.into_iter().zip(which.iter().map(|i| &examples[*i])).collect();
            if let Some(loss) = head.learn(&views) {
                let rate = self.options.rate(step);
                head.parameters().into_iter().for_each(|parameter| parameter.adamw(rate, weight_decay));
                last = Some(loss);
            }
            let done = step + 1;
            if done % REPORT == 0 || done == total {
                // A head that diverged never comes back: it is enough to look now and then, and waits for the device.
                if let Some(loss) = last.take() {
                    let finite = read(loss).await?.iter().all(|loss| loss.is_finite());
                    check("learning rate", lr, finite, "smaller: the head diverged")?;
                }
                if !progress(EvalProgress { subject, doing: "head", done, total }).await {
                    return Err(EvalProtocolError::Stopped.into());
                }
            }
        }
        Ok(cache.uncached_count())
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
