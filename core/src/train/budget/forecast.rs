//! What a run will take, told before it starts: memory, and time on the device that was chosen.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};

use crate::bytes;
use crate::data::source::LabelledSplit;
use crate::data::source::PictureSource;
use crate::eval::crops::MOST_PICTURES;
use crate::ssl::CropMasks;
use crate::train::flops;
use crate::train::memory::{MemoryEstimate, estimate, estimate_of_rank};
use crate::train::recipe::Recipe;

/// Share of the speed of plain matrix products that a whole step reaches: norms, activations, losses and the optimizer
/// take their time too. On two cores of a CPU `nano` took what this tells, and `tiny` six tenths of it.
const EFFICIENCY: f64 = 0.4;

/// Operations of one product that the speed is measured with, at most.
const MEASURED: u64 = 1 << 30;

/// What a run will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunForecast {
    /// Memory of a part of a step.
    pub memory: MemoryEstimate,
    /// Time, where the device's speed is known.
    pub seconds: Option<f64>,
}

impl RunForecast {
    /// What `recipe` will take on one of `ranks`, with its part of the batch, on so many `pictures` from step `from` on at `speed`
    /// operations a second; `labelled` is looked at by k-NN.
    pub fn new(
        recipe: &Recipe,
        ranks: usize,
        pictures: usize,
        labelled: Option<&LabelledSplit>,
        from: u64,
        speed: Option<f64>,
    ) -> Self {
        let operations = operations(recipe, pictures, labelled, from);
        Self {
            memory: estimate_of_rank(recipe, ranks),
            seconds: speed.map(|speed| operations / (speed * EFFICIENCY)),
        }
    }
}

/// Operations from step `from` to the end, as [`flops`] counts them, with those of k-NN and of crop retrieval.
fn operations(recipe: &Recipe, pictures: usize, labelled: Option<&LabelledSplit>, from: u64) -> f64 {
    let steps = recipe.train.iterations.saturating_sub(from);
    let grid = (recipe.crops.global_size / recipe.model.patch).pow(2);
    let masked = match recipe.distill.is_on() {
        true => 0,
        false => CropMasks::upper_bound(&recipe.mask, 2 * recipe.train.batch, grid),
    };
    let training = steps as f64 * flops::step(recipe, masked) as f64;
    let every = recipe.train.evaluate_every;
    let looked_at = labelled.map_or(0, |of| PictureSource::len(&*of.train) + PictureSource::len(&*of.test));
    let (Some(rounds), Some(mut group)) =
        (steps.checked_div(every), flops::groups(recipe).into_iter().next())
    else {
        return training;
    };
    // Two crops of each, and each as a whole for its neighbours.
    group.count = looked_at + 3 * pictures.min(MOST_PICTURES);
    // Once more before the first step.
    let rounds = rounds + u64::from(from == 0);
    training + rounds as f64 * flops::backbone(&recipe.backbone(), &[group], 0.0) as f64
}

/// Operations a second of matrix products as large as those of a recipe's step, on a device. Takes a fraction of a second;
/// `None` where the device does not answer.
pub async fn speed(recipe: &Recipe, device: &Device) -> Option<f64> {
    let (dim, hidden) = (recipe.model.dim, 4 * recipe.model.dim);
    let a_row = 2 * (dim * hidden) as u64;
    let tokens: usize = flops::groups(recipe).iter().map(|group| group.count * group.tokens).sum();
    let rows = tokens.min((MEASURED / a_row.max(1)) as usize).max(1);
    let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Default, device);
    let (tokens, weights) = (random([rows, dim]), random([dim, hidden]));
    let product = async || {
        let began = Instant::now();
        // Read back, so that it has been computed.
        let one = tokens.clone().matmul(weights.clone()).slice([0..1, 0..1]);
        one.into_data_async().await.ok().map(|_| began.elapsed().as_secs_f64())
    };
    // The first ones find out how, and wake the device up.
    product().await?;
    product().await?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        best = best.min(product().await?);
    }
    (best > 0.0).then(|| (rows as u64 * a_row) as f64 / best)
}

/// Why a step can't be computed on a device that binds at most `limit` bytes at once, and what helps; `None` where it can.
pub fn too_large(recipe: &Recipe, limit: u64) -> Option<String> {
    let MemoryEstimate { largest, .. } = estimate(recipe);
    (largest > limit).then(|| {
        format!(
            "one tensor of a step takes {} and this device holds at most {} at once: this can't run. Raise \
             train.accumulate (exact), or lower train.batch (now {})",
            bytes::shown(largest),
            bytes::shown(limit),
            recipe.train.batch
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::block_on;
    use crate::train::sources;

    fn nano(pairs: &[&str]) -> Recipe {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()
    }

    #[test]
    fn time_grows_with_steps_batch_and_what_is_measured() {
        let seconds = |recipe: &Recipe, from| {
            let sources = sources::open(recipe).unwrap();
            let (pictures, labelled) = (sources.train.len(), sources.labelled.as_ref());
            RunForecast::new(recipe, 1, pictures, labelled, from, Some(1e10)).seconds.unwrap()
        };
        let quiet = ["train.evaluate_every=0", "train.iterations=100", "optim.warmup=0"];
        let plain = seconds(&nano(&quiet), 0);
        let half = seconds(&nano(&quiet), 50);
        assert!((plain / half - 2.0).abs() < 1e-6, "{plain} {half}");
        let larger = seconds(&nano(&[&quiet[..], &["train.batch=64"]].concat()), 0);
        assert!((larger / plain - 2.0).abs() < 0.1, "{larger} {plain}");
        let looked =
            seconds(&nano(&["train.evaluate_every=10", "train.iterations=100", "optim.warmup=0"]), 0);
        assert!(looked > 1.1 * plain, "{looked} {plain}");
        assert_eq!(RunForecast::new(&nano(&[]), 1, 300, None, 0, None).seconds, None);
    }

    #[test]
    fn a_device_tells_its_speed() {
        let speed = block_on(speed(&nano(&[]), &Device::flex())).unwrap();
        assert!((1e7..1e14).contains(&speed), "{speed}");
    }

    #[test]
    fn a_batch_that_does_not_fit_says_what_helps() {
        let said = too_large(&nano(&["train.batch=8192"]), 128 << 20).unwrap();
        assert!(said.contains("at most 134 MB") && said.contains("train.accumulate"), "{said}");
        assert_eq!(too_large(&nano(&["train.batch=2"]), 128 << 20), None);
    }
}
