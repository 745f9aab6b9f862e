//! A batch that needs no pictures: what the benchmarks of a step start from.

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};

use super::BenchError;
use super::row::BenchWorkload;
use crate::device::block_on;
use crate::model::VitOutput;
use crate::model::block::VitForwardOptions;
use crate::model::vit::VitInput;
use crate::rng::{RngExt, normal, stream};
use crate::ssl::OneProcess;
use crate::train::batch::{HostCrops, MicroBatch, split};
use crate::train::flops;
use crate::train::preparation::{MASK_ROWS, draw_masks};
use crate::train::schedule::{ScheduledValues, TrainSchedules};
use crate::train::step::step;
use crate::train::{Recipe, TrainerState};

/// Values from a standard normal distribution, the same for the same `slot`.
pub fn noise<const D: usize>(shape: [usize; D], slot: u64, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(host_noise(shape.iter().product(), slot), shape), device)
}

fn host_noise(count: usize, slot: u64) -> Vec<f32> {
    let rng = &mut stream(0, "bench", slot, 0);
    if count > 1 << 20 {
        // Only the size matters: sums of uniform draws come quicker and look alike.
        return (0..count).map(|_| 2.0 * (rng.random::<f32>() + rng.random::<f32>()) - 2.0).collect();
    }
    (0..count).map(|_| normal(rng)).collect()
}

/// A state in the middle of its schedules and a batch for it.
pub struct StepFixture {
    /// What is trained.
    pub recipe: Recipe,
    /// Student, teacher, optimizer.
    pub state: TrainerState,
    /// The batch, in as many parts as the recipe accumulates.
    pub parts: Vec<MicroBatch>,
    /// Scheduled values; the last layers are not frozen any more.
    pub now: ScheduledValues,
    /// Masked patches, without padding.
    pub masked: usize,
    device: Device,
}

impl StepFixture {
    /// Draws everything for a recipe, on the plain device.
    pub fn new(recipe: &Recipe, device: &Device) -> Self {
        let c = &recipe.crops;
        let of = |views: usize, side: usize, slot| {
            host_noise(views * recipe.train.batch * recipe.data.channels * side * side, slot)
        };
        let (global, local) = (of(2, c.global_size, 3), of(c.locals, c.local_size, 4));
        let gram = match recipe.loss.gram > 0.0 {
            true => of(2, recipe.gram_size(), 5),
            false => Vec::new(),
        };
        let crops = HostCrops {
            global: &global,
            local: &local,
            gram: &gram,
            images: recipe.train.batch,
            locals: c.locals,
            global_size: c.global_size,
            local_size: c.local_size,
            gram_size: recipe.gram_size(),
            channels: recipe.data.channels,
        };
        let masks = draw_masks(recipe, 0);
        let masked = masks.masked.iter().filter(|masked| **masked).count();
        Self {
            state: TrainerState::new(recipe, device),
            parts: split(crops, &masks, recipe.train.accumulate, MASK_ROWS, device),
            now: TrainSchedules::new(recipe).at(recipe.train.iterations / 2),
            masked,
            recipe: recipe.clone(),
            device: device.clone(),
        }
    }

    /// One training step.
    pub fn step(&mut self) -> crate::train::metrics::DeviceMetrics {
        step(&mut self.state, &self.parts, &self.recipe, &self.now, &OneProcess, |_| ())
    }

    /// The loss of one more step.
    ///
    /// # Errors
    /// When the device fails.
    pub fn loss(&mut self) -> Result<f64, BenchError> {
        let values = block_on(self.step().read())?;
        Ok(values.get("loss").copied().unwrap_or(f64::NAN))
    }

    /// The student's crops of the first part: masked global ones, then local ones.
    pub fn crops(&self) -> Vec<VitInput> {
        let part = &self.parts[0];
        let mut crops = vec![VitInput { images: part.global.clone(), masks: Some(part.masks.clone()) }];
        crops.extend(part.local.clone().map(|images| VitInput { images, masks: None }));
        crops
    }

    /// How the recipe lets the student compute, without stochastic depth.
    pub fn pass(&self) -> VitForwardOptions<'_, '_> {
        let train = &self.recipe.train;
        VitForwardOptions {
            drop: None,
            rope: None,
            precision: train.precision.into(),
            checkpoint: train.checkpoint_activations,
        }
    }

    /// Tokens of the student's crops.
    pub fn student_tokens(&self) -> usize {
        flops::groups(&self.recipe).iter().map(|group| group.count * group.tokens).sum()
    }

    /// Tokens of a step: the student's, and the teacher's global crops.
    pub fn tokens(&self) -> usize {
        let teacher = flops::groups(&self.recipe)[0];
        self.student_tokens() + teacher.count * teacher.tokens
    }

    /// What a step does.
    pub fn work(&self) -> BenchWorkload {
        let flops = flops::step(&self.recipe, self.masked);
        BenchWorkload { images: self.recipe.train.batch, tokens: self.tokens(), flops }
    }

    /// Operations of the student's backbone, forward and backward, at a rate of stochastic depth.
    pub fn student_flops(&self, drop: f64) -> u64 {
        3 * flops::backbone(&self.recipe.backbone(), &flops::groups(&self.recipe), drop)
    }

    /// Where everything lies, without autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// In words.
    pub fn what(&self) -> String {
        let (m, c) = (&self.recipe.model, &self.recipe.crops);
        format!(
            "ViT dim {} depth {} heads {} patch {}, batch {}, crops 2 × {} + {} × {}, K {}",
            m.dim,
            m.depth,
            m.heads,
            m.patch,
            self.recipe.train.batch,
            c.global_size,
            c.locals,
            c.local_size,
            self.recipe.head.prototypes
        )
    }

    /// What another program needs to do the same step.
    pub fn sizes(&self) -> Value {
        let (r, n) = (&self.recipe, &self.now);
        json!({
            "model": r.model, "crops": r.crops, "mask": r.mask, "head": r.head, "loss": r.loss, "optim": r.optim,
            "batch": r.train.batch, "accumulate": r.train.accumulate, "masked": self.masked, "now": n,
        })
    }
}

/// Something like a loss of every output of a pass: the sum over crop sizes of the mean cubes of class and patch
/// features, `[1]`.
///
/// Cubes reach every output with a gradient of its own; squares would not, because the final norm makes their mean a
/// constant.
pub fn cubes(features: &[VitOutput]) -> Tensor<1> {
    let mean = |x: Tensor<1>| (x.clone().square() * x).mean();
    let each =
        features.iter().map(|f| mean(f.cls.clone().reshape([-1])) + mean(f.patches.clone().reshape([-1])));
    let mut sum: Option<Tensor<1>> = None;
    for one in each {
        sum = Some(match sum {
            Some(sum) => sum + one,
            None => one,
        });
    }
    match sum {
        Some(sum) => sum,
        None => unreachable!("a pass has at least one crop size"),
    }
}
