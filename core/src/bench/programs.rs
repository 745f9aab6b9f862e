//! The parts of a step one by one, each on inputs of the step's sizes.
//!
//! On a GPU the time is the device's own, between two timestamps; on the CPU it is wall clock. Parts of the student
//! are measured forward and backward.

use burn::tensor::{Device, ProfileOptions, Tensor};
use serde_json::json;

use super::BenchError;
use super::flops;
use super::measure::{Bench, Measured, Spread};
use super::prepared::{Prepared, noise, there_and_back};
use super::row::{Row, Work};
use crate::device::block_on;
use crate::model::params::{self, Named};
use crate::model::{DinoHead, Vit, VitConfig};
use crate::ssl::centering::sinkhorn_knopp;
use crate::ssl::dino::dino_loss;
use crate::ssl::koleo::koleo;
use crate::ssl::{OneProcess, student_log_probabilities};
use crate::train::Recipe;
use crate::train::optimizer::clip;

/// A part of a step.
struct Part {
    name: &'static str,
    flops: u64,
    work: Box<dyn FnMut() + Send>,
}

/// Measures every part.
///
/// # Errors
/// When the device fails.
pub fn run(recipe: &Recipe, bench: &mut Bench) -> Result<Vec<Row>, BenchError> {
    let prepared = Prepared::new(recipe, &bench.device);
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
        let seconds = Spread::of(&seconds);
        // Parts are different things: none of them is a multiple of another.
        let measured = Measured { way: part.name, seconds, ratio: 1.0, memory: None };
        let work = Work { flops: part.flops, ..Work::default() };
        let clock = if on_device { "device" } else { "wall" };
        let mut sizes = prepared.sizes();
        sizes["clock"] = json!(clock);
        rows.push(Row::new("programs", prepared.what(), sizes, measured, work, bench));
        if bench.first_only {
            break;
        }
    }
    Ok(rows)
}

/// Seconds of one run, and whether the device's own clock told them.
fn timed(device: &Device, work: &mut (dyn FnMut() + Send)) -> Result<(f64, bool), BenchError> {
    device.sync()?;
    let ((), profile) = device.profile_with(ProfileOptions::default().flush(), || work())?;
    let on_device = profile.timing_method() == burn::tensor::TimingMethod::Device;
    let ticks = block_on(profile.resolve());
    Ok((ticks.map_or(0.0, |ticks| ticks.duration().as_secs_f64()), on_device))
}

fn parts(prepared: &Prepared) -> Vec<Part> {
    let recipe = &prepared.recipe;
    let device = prepared.device().clone();
    let autodiff = device.clone().autodiff();
    let config = recipe.backbone();
    let groups = flops::groups(recipe);
    let (images, locals) = (recipe.train.batch, recipe.crops.locals);
    let padded = prepared.parts[0].mask_valid.dims()[0];
    let k = recipe.head.prototypes;
    let mut list = Vec::new();
    let mut add = |name, flops, work: Box<dyn FnMut() + Send>| list.push(Part { name, flops, work });

    // A backbone without blocks: patches, positions, the final norm. Then one block more.
    for (name, depth) in [("embedding and final norm", 0), ("the same with one block", 1)] {
        let shallow = VitConfig { depth, ..config.clone() };
        let vit = Vit::init(&shallow, 0, &autodiff);
        let crops = prepared.crops();
        let flops = 3 * flops::backbone(&shallow, &groups, 0.0);
        let back = move || drop(there_and_back(&vit, |v, d| v.forward_packed(&crops, d), None));
        add(name, flops, Box::new(back));
    }
    let teacher = prepared.state.teacher.clone();
    let (vit, global) = (teacher.backbone.clone(), prepared.parts[0].global.clone());
    let flops_teacher = flops::backbone(&config, &groups[..1], 0.0);
    add("teacher's backbone", flops_teacher, Box::new(move || drop(vit.forward(global.clone(), None))));

    let rows = images * (2 + locals) + padded;
    let head: DinoHead = prepared.state.student.dino_head.clone();
    let x: Tensor<2> = noise([rows, config.dim], 11, &device);
    let flops_head = 3 * flops::head(&recipe.dino_head(), rows);
    let back = move || {
        let logits = head.forward(x.clone().autodiff().require_grad());
        drop((logits.clone().square() * logits).mean().backward());
    };
    add("student's head", flops_head, Box::new(back));

    let logits: Tensor<2> = noise([2 * images, k], 12, &device).mul_scalar(0.1);
    let temperature = prepared.now.teacher_temperature;
    let on_cls = logits.clone();
    add(
        "Sinkhorn, class tokens",
        0,
        Box::new(move || {
            drop(sinkhorn_knopp(on_cls.clone(), temperature, None, &OneProcess));
        }),
    );
    let masked: Tensor<2> = noise([padded, k], 13, &device).mul_scalar(0.1);
    let valid = prepared.parts[0].mask_valid.clone();
    add(
        "Sinkhorn, patches",
        0,
        Box::new(move || {
            drop(sinkhorn_knopp(masked.clone(), temperature, Some(valid.clone()), &OneProcess));
        }),
    );

    let targets = sinkhorn_knopp(logits, temperature, None, &OneProcess);
    let student: Tensor<2> = noise([images * (2 + locals), k], 14, &device).mul_scalar(0.1);
    add(
        "DINO loss",
        0,
        Box::new(move || {
            let log = student_log_probabilities(student.clone().autodiff().require_grad());
            let global = log.clone().narrow(0, 0, 2 * images);
            let local = (locals > 0).then(|| log.narrow(0, 2 * images, locals * images));
            let loss = dino_loss(targets.clone(), local, global, locals, images);
            drop((loss.local + loss.global).backward());
        }),
    );
    let cls: Tensor<2> = noise([images, config.dim], 15, &device);
    add(
        "KoLeo",
        0,
        Box::new(move || {
            drop(koleo(cls.clone().autodiff().require_grad()).loss.backward());
        }),
    );

    let student = prepared.state.student.clone();
    let gradients: Named =
        params::values(&student).into_iter().map(|(n, v)| (n, v.mul_scalar(0.01))).collect();
    let to_clip = gradients.clone();
    let limit = recipe.optim.clip;
    add(
        "clipping",
        0,
        Box::new(move || {
            let mut gradients = to_clip.clone();
            drop(clip(&mut gradients, "backbone", limit));
            drop(clip(&mut gradients, "dino_head", limit));
        }),
    );
    let mut optimizer = prepared.state.optimizer.clone();
    // Moments exist from the first update on.
    drop(optimizer.step(student.clone(), &gradients, &prepared.now, &recipe.optim));
    let (now, optim, mut moving) = (prepared.now, recipe.optim.clone(), student.clone());
    add(
        "AdamW",
        0,
        Box::new(move || {
            moving = optimizer.step(moving.clone(), &gradients, &now, &optim);
        }),
    );
    let (mut following, momentum) = (teacher, prepared.now.momentum);
    add("teacher follows", 0, Box::new(move || following = following.clone().follow(&student, momentum)));
    list
}
