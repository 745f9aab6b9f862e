//! The parts of a step one by one, each on inputs of the step's sizes.
//!
//! On a GPU the time is the device's own, between two timestamps; on the CPU it is wall clock. Parts of the student
//! are measured forward and backward.

use std::sync::Arc;

use burn::tensor::{Device, ProfileOptions, Tensor, TimingMethod};
use serde_json::json;

use super::BenchError;
use super::attention::{branch, parameters};
use super::measure::{BenchMeasurement, BenchRunner, TimingStats};
use super::prepared::{StepFixture, cubes, noise};
use super::row::{BenchResult, BenchWorkload};
use crate::device::block_on;
use crate::fused::SequencePacking;
use crate::fused::{self, FeedForwardKind, FeedForwardPlan, TargetPairs, cross_entropy, feed_forward_branch};
use crate::model::block::{TransformerBlock, VitForwardOptions};
use crate::model::layers::Linear;
use crate::model::layers::WeightInit;
use crate::model::params::{self, Named};
use crate::model::{Vit, VitConfig};
use crate::rng::stream;
use crate::ssl::centering::sinkhorn_knopp;
use crate::ssl::koleo::koleo;
use crate::ssl::{OneProcess, STUDENT_TEMPERATURE, dino, ibot};
use crate::train::Recipe;
use crate::train::flops;

/// A part of a step.
pub(super) struct StepComponent {
    pub(super) name: &'static str,
    flops: u64,
    pub(super) work: Box<dyn FnMut() + Send>,
}

/// Measures every part.
///
/// # Errors
/// When the device fails.
pub fn run(recipe: &Recipe, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let prepared = StepFixture::new(recipe, &bench.device);
    let mut rows = Vec::new();
    for mut part in parts(&prepared) {
        for _ in 0..bench.warmup {
            (part.work)();
        }
        let (mut seconds, mut on_device) = (Vec::new(), true);
        while bench.pace.more(&seconds) {
            let (taken, device) = timed(&bench.device, &mut *part.work)?;
            seconds.push(taken);
            on_device &= device;
        }
        let seconds = TimingStats::of(&seconds);
        // Parts are different things: none of them is a multiple of another.
        let measured = BenchMeasurement { way: part.name, seconds, ratio: 1.0, memory: None };
        let work = BenchWorkload { flops: part.flops, ..BenchWorkload::default() };
        let mut sizes = prepared.sizes();
        sizes["clock"] = json!(if on_device { "device" } else { "wall" });
        rows.push(BenchResult::new("programs", prepared.what(), sizes, measured, work, bench));
        if bench.first_only {
            break;
        }
    }
    Ok(rows)
}

/// Seconds of one run, and whether the device's own clock told them.
fn timed(device: &Device, work: &mut (dyn FnMut() + Send)) -> Result<(f64, bool), BenchError> {
    device.sync()?;
    let ((), profile) = device.profile_with(ProfileOptions::default().flush(), work)?;
    let on_device = profile.timing_method() == TimingMethod::Device;
    let ticks = block_on(profile.resolve());
    Ok((ticks.map_or(0.0, |ticks| ticks.duration().as_secs_f64()), on_device))
}

/// All parts, on inputs that are ready.
pub(super) fn parts(prepared: &StepFixture) -> Vec<StepComponent> {
    let mut list = backbone(prepared);
    list.extend(objective(prepared));
    list.push(update(prepared));
    list
}

fn part(name: &'static str, flops: u64, work: impl FnMut() + Send + 'static) -> StepComponent {
    StepComponent { name, flops, work: Box::new(work) }
}

/// A gradient for every element of `y`, and the way back.
fn back(y: Tensor<2>) {
    drop((y.clone().square() * y).mean().backward());
}

/// Patches and the final norm; the two branches of a block; all of the teacher's.
fn backbone(prepared: &StepFixture) -> Vec<StepComponent> {
    let recipe = &prepared.recipe;
    let (config, groups) = (recipe.backbone(), flops::groups(recipe));
    let autodiff = prepared.device().clone().autodiff();
    let packing = Arc::new(SequencePacking { groups: groups.clone() });
    let precision: fused::ComputePrecision = recipe.train.precision.into();
    let block = TransformerBlock::init(&config, &mut WeightInit::Random(stream(0, "bench", 1, 0)), &autodiff);
    let x: Tensor<2> = noise([packing.len(), config.dim], 10, prepared.device());
    let input = move || x.clone().autodiff().require_grad();

    let shallow = VitConfig { depth: 0, ..config.clone() };
    let (vit, crops) = (Vit::init(&shallow, 0, &autodiff), prepared.crops());
    let embedding = flops::backbone(&shallow, &groups, 0.0);
    let mut list = vec![part("patches and final norm", 3 * embedding, move || {
        drop(cubes(&vit.forward_packed(&crops, VitForwardOptions::default())).backward());
    })];

    let one = flops::backbone(&VitConfig { depth: 1, ..config.clone() }, &groups, 0.0) - embedding;
    let mlp = &block.mlp;
    let (kind, inner, outer) = match (&mlp.fc1, &mlp.fc2, &mlp.w12, &mlp.w3) {
        (Some(fc1), Some(fc2), _, _) => (FeedForwardKind::Mlp, fc1.clone(), fc2.clone()),
        (_, _, Some(w12), Some(w3)) => (FeedForwardKind::SwiGlu, w12.clone(), w3.clone()),
        _ => return list,
    };
    let size = |linear: &Linear| linear.weight.val().dims().iter().product::<usize>();
    let feed_forward = 2 * (packing.len() * (size(&inner) + size(&outer))) as u64;
    let (own, x, all) = (block.clone(), input.clone(), packing.clone());
    list.push(part("attention branch", 3 * (one - feed_forward), move || {
        back(branch(&own, x(), &all, precision))
    }));
    let (own, x) = (block, input);
    list.push(part("feed-forward branch", 3 * feed_forward, move || {
        let (gamma, eps) = (own.ls2.is_some(), own.norm2.eps());
        let plan =
            FeedForwardPlan { subset: None, kind, gamma, eps, precision, checkpoint: false, shards: None };
        back(feed_forward_branch(x(), parameters(&own.norm2, &inner, &outer, &own.ls2), plan));
    }));

    let (teacher, global) = (prepared.state.teacher.backbone.clone(), prepared.parts[0].global.clone());
    list.push(part("teacher's backbone", flops::backbone(&config, &groups[..1], 0.0), move || {
        drop(teacher.forward(global.clone(), None));
    }));
    list
}

/// Heads, targets and losses.
fn objective(prepared: &StepFixture) -> Vec<StepComponent> {
    let recipe = &prepared.recipe;
    let device = prepared.device();
    let (images, locals) = (recipe.train.batch, recipe.crops.locals);
    let padded = prepared.parts[0].mask_indices.len();
    let config = recipe.dino_head();
    let (cls_rows, k) = ((2 + locals) * images, config.prototypes);
    let temperature = prepared.now.teacher_temperature;
    let mlp = crate::model::DinoHeadConfig { prototypes: 0, ..config.clone() };

    let head = prepared.state.student.heads().0.clone();
    let tokens: Tensor<2> = noise([cls_rows + padded, config.dim], 11, device);
    let project = head.clone();
    let mut list =
        vec![part("head, to the bottleneck", 3 * flops::head(&mlp, cls_rows + padded), move || {
            back(project.project(tokens.clone().autodiff().require_grad()));
        })];

    let logits = |rows: usize, slot| -> Tensor<2> { noise([rows, k], slot, device).mul_scalar(0.1) };
    let (on_cls, on_patches) = (logits(2 * images, 12), logits(padded, 13));
    let targets = sinkhorn_knopp(on_cls.clone(), temperature, None, &OneProcess);
    let patch_targets = sinkhorn_knopp(on_patches.clone(), temperature, None, &OneProcess);
    list.push(part("Sinkhorn, class tokens", 0, move || {
        drop(sinkhorn_knopp(on_cls.clone(), temperature, None, &OneProcess));
    }));
    list.push(part("Sinkhorn, patches", 0, move || {
        drop(sinkhorn_knopp(on_patches.clone(), temperature, None, &OneProcess));
    }));

    let mut loss = |name, rows: usize, targets: Tensor<2>, pairs: TargetPairs| {
        let (head, pairs) = (head.clone(), Arc::new(pairs));
        let z: Tensor<2> = noise([rows, config.bottleneck], 14, device);
        let flops = 3 * 2 * (rows * config.bottleneck * k) as u64;
        list.push(part(name, flops, move || {
            let (z, directions) = (z.clone().autodiff().require_grad(), head.last_layer.directions());
            let rows = cross_entropy(z, directions, targets.clone(), pairs.clone(), STUDENT_TEMPERATURE);
            drop(rows.loss.mean().backward());
        }));
    };
    loss("cross-entropy, class tokens", cls_rows, targets, dino::pairs(images, locals));
    loss("cross-entropy, patches", padded, patch_targets, ibot::pairs(padded));

    let cls: Tensor<2> = noise([images, config.dim], 15, device);
    list.push(part("KoLeo, one view", 0, move || {
        drop(koleo(cls.clone().autodiff().require_grad(), 1, images).loss.backward());
    }));
    list
}

/// Clipping, AdamW and the teacher's moving average.
fn update(prepared: &StepFixture) -> StepComponent {
    let state = &prepared.state;
    let (now, optim, loss_scale) = (prepared.now, prepared.recipe.optim.clone(), state.loss_scale.clone());
    let gradients: Named =
        params::values(&state.student).into_iter().map(|(name, v)| (name, v.mul_scalar(0.01))).collect();
    let mut networks = (state.student.clone(), state.teacher.clone());
    let mut optimizer = state.optimizer.clone();
    part("clipping, AdamW, moving average", 0, move || {
        networks = optimizer.step(networks.clone(), gradients.clone(), &now, &optim, &loss_scale).0;
    })
}
