//! One step of feature distillation: a student of any width, depth and patch learns what a frozen backbone sees.
//!
//! For teachers whose heads nobody published. Two ways, as LightlyTrain's: `similarity` (its version 3) compares how
//! alike pictures, and patches within one, are to each other; `regression` (its version 2, with the CLS token beside
//! the patches) fits the features themselves. What the heads of a teacher say is distilled by [`super::step`].

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor, TensorData};

use super::batch::MicroBatch;
use super::frozen_teacher::{FrozenTeacher, TeacherOutput};
use super::metrics::{DeviceMetrics, feature_rank};
use super::network::{DistillProjections, Network};
use super::recipe::{DistillMethod, Recipe};
use super::schedule::ScheduledValues;
use super::state::TrainerState;
use super::update::{accumulate_gradients, update};
use crate::fused::l2_norm;
use crate::fused::packing::BatchPlace;
use crate::model::PosEmbedInterpolation;
use crate::model::block::{DropPath, VitForwardOptions};
use crate::model::params::Named;
use crate::model::pos_embed::resize_weights;
use crate::model::rope::RopeDraws;
use crate::model::vit::VitInput;
use crate::rng::{RngExt, stream};
use crate::ssl::Collective;
use crate::ssl::square_maps::{bilinear_weights, resize_square_maps};

/// Below this length a feature is not stretched to the unit sphere.
const EPS: f64 = 1e-12;

/// The losses of one part, as they are displayed, and the student's CLS features.
struct DistillLosses {
    total: Tensor<1>,
    cls: Tensor<1>,
    patches: Tensor<1>,
    /// Cosine of projected student and teacher, mean over views.
    cls_cosine: Tensor<1>,
    /// The same of patches; only features themselves can be compared so.
    patch_cosine: Option<Tensor<1>>,
    features: Tensor<2>,
}

/// One step over a batch that was cut into `parts`; see [`super::step::step`].
pub(super) fn step<C: Collective>(
    state: &mut TrainerState,
    frozen: &FrozenTeacher,
    parts: &[MicroBatch],
    recipe: &Recipe,
    now: &ScheduledValues,
    collective: &C,
    inspect: impl FnOnce(&Named),
) -> DeviceMetrics {
    let mut metrics = DeviceMetrics::default();

    // Both see the same views, blended where the recipe says so.
    let views: Vec<Tensor<4>> =
        parts.iter().enumerate().map(|(i, part)| blended(part, recipe, state, i)).collect();
    let told: Vec<TeacherOutput> = parts
        .iter()
        .zip(&views)
        .map(|(part, views)| part.told.clone().unwrap_or_else(|| frozen.look(views.clone(), recipe)))
        .collect();

    // The queue holds this batch before the loss is taken.
    let queue = (recipe.distill.method == DistillMethod::Similarity).then(|| {
        let of = |told: &TeacherOutput| in_batch_order(l2_norm(told.cls.clone(), EPS), collective);
        let new = told.iter().map(of).collect();
        let queue = refilled(state.queue.take(), Tensor::cat(new, 0), queue_size(recipe, state.pictures));
        state.queue = Some(queue.clone());
        queue
    });

    let images: usize = parts.iter().map(|part| part.images).sum();
    let mut gradients = Named::new();
    let mut shown: Vec<(f64, DistillLosses)> = Vec::new();
    state.begin_step();
    for (index, (views, told)) in views.into_iter().zip(&told).enumerate() {
        state.begin_pass();
        let share = parts[index].images as f64 / images as f64;
        let losses = losses(state, views, told, queue.as_ref(), (recipe, index), collective);
        accumulate_gradients(state, losses.total.clone().mul_scalar(share), &mut gradients);
        shown.push((share, losses));
    }
    update(state, gradients, recipe, now, collective, &mut metrics, inspect);
    report(shown, &mut metrics, collective);
    metrics
}

/// How many teacher vectors the queue holds: a quarter to half of the pictures, at most 8192, unless the recipe says.
pub fn queue_size(recipe: &Recipe, pictures: usize) -> usize {
    if recipe.distill.queue > 0 {
        return recipe.distill.queue;
    }
    // LightlyTrain's steps.
    const STEPS: [(usize, usize); 9] = [
        (50, 16),
        (100, 32),
        (250, 64),
        (500, 128),
        (1000, 256),
        (2000, 512),
        (4000, 1024),
        (10_000, 2048),
        (20_000, 4096),
    ];
    STEPS.iter().find(|(most, _)| pictures <= *most).map_or(8192, |(_, size)| *size)
}

/// New vectors before the old ones, at most `size`.
fn refilled(queue: Option<Tensor<2>>, new: Tensor<2>, size: usize) -> Tensor<2> {
    let all = match queue {
        Some(queue) => Tensor::cat(vec![new, queue], 0),
        None => new,
    };
    let rows = all.dims()[0];
    all.narrow(0, 0, rows.min(size))
}

/// Rows of the views of a part's images, `[views images, dim]`, on all ranks: the first views of all images, then the second,
/// as one process has them.
fn in_batch_order<C: Collective>(rows: Tensor<2>, collective: &C) -> Tensor<2> {
    const VIEWS: usize = 2;
    let ([count, dim], ranks) = (rows.dims(), collective.ranks());
    if ranks == 1 {
        return rows;
    }
    let all = collective.gather(rows).reshape([ranks, VIEWS, count / VIEWS, dim]);
    all.permute([1, 0, 2, 3]).reshape([ranks * count, dim])
}

/// The global crops, each blended with another that this process has: one weight for the whole batch (Zhang et al. 2017).
fn blended(part: &MicroBatch, recipe: &Recipe, state: &TrainerState, index: usize) -> Tensor<4> {
    let views = part.global.clone();
    if !recipe.distill.mixup {
        return views;
    }
    let count = views.dims()[0];
    let mut rng = stream(recipe.train.seed, "mixup", state.iteration, index as u64);
    let weight: f64 = rng.random();
    let mut order: Vec<i32> = (0..count as i32).collect();
    for i in 0..count {
        order.swap(i, rng.random_range(i..count));
    }
    let order = Tensor::<1, Int>::from_data(TensorData::new(order, [count]), &views.device());
    views.clone().mul_scalar(weight) + views.select(0, order).mul_scalar(1.0 - weight)
}

fn losses<C: Collective>(
    state: &TrainerState,
    views: Tensor<4>,
    told: &TeacherOutput,
    queue: Option<&Tensor<2>>,
    (recipe, index): (&Recipe, usize),
    collective: &C,
) -> DistillLosses {
    let Network { backbone, projections: Some(to_teacher), .. } = &state.student else {
        unreachable!("a student that learns features has projections")
    };
    let rng = &mut stream(recipe.train.seed, "drop path", state.iteration, index as u64);
    let (rank, ranks) = (collective.rank(), collective.ranks());
    let place = BatchPlace { rank, ranks, images: views.dims()[0] / 2 };
    let mut drop = DropPath { rate: recipe.model.drop_path, rng, place };
    let rng = &mut stream(recipe.train.seed, "rope", state.iteration, index as u64);
    let mut moves = RopeDraws { augmentation: recipe.model.rope_augmentation(), rng };
    let pass = VitForwardOptions {
        drop: Some(&mut drop),
        rope: Some(&mut moves),
        precision: recipe.train.precision.into(),
        checkpoint: recipe.train.checkpoint_activations,
    };
    let features = backbone.forward_packed(&[VitInput { images: views, masks: None }], pass).swap_remove(0);
    let cls = to_teacher.cls.forward(features.cls.clone());
    let patches = on_grid(features.patches, told.grid, to_teacher);
    let cosine = |a: Tensor<2>, b: Tensor<2>| (l2_norm(a, EPS) * l2_norm(b, EPS)).sum_dim(1).mean();
    let cls_cosine = cosine(cls.clone(), told.cls.clone());

    let d = &recipe.distill;
    let (of_cls, of_patches, patch_cosine) = match queue {
        Some(queue) => {
            let (student, teacher) = (l2_norm(cls, EPS), l2_norm(told.cls.clone(), EPS));
            let to_queue = |x: Tensor<2>| x.matmul(queue.clone().transpose());
            let of_cls = divergence(to_queue(teacher), to_queue(student), d.temperature);
            let [views, tokens, _] = patches.dims();
            let alike = |x: Tensor<3>| {
                let [views, tokens, dim] = x.dims();
                let x = l2_norm(x.reshape([views * tokens, dim]), EPS).reshape([views, tokens, dim]);
                x.clone().matmul(x.swap_dims(1, 2))
            };
            let rows = |x: Tensor<3>| x.reshape([views * tokens, tokens]);
            let of_patches =
                divergence(rows(alike(told.patches.clone())), rows(alike(patches)), d.temperature);
            (of_cls, of_patches, None)
        }
        None => {
            let flat = |x: Tensor<3>| {
                let [views, tokens, dim] = x.dims();
                x.reshape([views * tokens, dim])
            };
            let (student, teacher) = (flat(patches), flat(told.patches.clone()));
            let of_cls = (cls - told.cls.clone()).square().mean();
            let of_patches = (student.clone() - teacher.clone()).square().mean();
            (of_cls, of_patches, Some(cosine(student, teacher)))
        }
    };
    let of_patches = of_patches.mul_scalar(d.patch_weight);
    DistillLosses {
        total: of_cls.clone() + of_patches.clone(),
        cls: of_cls,
        patches: of_patches,
        cls_cosine,
        patch_cosine,
        features: features.cls,
    }
}

/// `KL(teacher ‖ student)` of softmaxes over similarities, mean over rows, `[1]`.
fn divergence(teacher: Tensor<2>, student: Tensor<2>, temperature: f64) -> Tensor<1> {
    let (teacher, student) = (teacher.div_scalar(temperature), student.div_scalar(temperature));
    let log_ratio = log_softmax(teacher.clone(), 1) - log_softmax(student, 1);
    (softmax(teacher, 1) * log_ratio).sum_dim(1).mean()
}

/// Patch tokens `[views, patches, dim]` of a square grid, projected and resampled (bilinear) to the teacher's grid.
fn on_grid(patches: Tensor<3>, grid: usize, to_teacher: &DistillProjections) -> Tensor<3> {
    let [views, tokens, dim] = patches.dims();
    let projected = to_teacher.patches.forward(patches.reshape([views * tokens, dim]));
    let dim = projected.dims()[1];
    let own = tokens.isqrt();
    if own == grid {
        return projected.reshape([views, tokens, dim]);
    }
    let map =
        resize_square_maps(projected.reshape([views, own, own, dim]), grid, bilinear_weights(own, grid));
    map.reshape([views, grid * grid, dim])
}

/// Views `[views, 3, height, width]` of another side: bicubic with antialiasing.
pub(super) fn resize_views(views: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, _] = views.dims();
    if height == side {
        return views;
    }
    let smooth = PosEmbedInterpolation { antialias: true, offset: 0.0 };
    let weights = resize_weights(height, side, smooth);
    resize_square_maps(views.permute([0, 2, 3, 1]), side, weights).permute([0, 3, 1, 2])
}

/// One of the losses, where it is computed.
type Shown<'a> = &'a dyn Fn(&DistillLosses) -> Option<Tensor<1>>;

fn report<C: Collective>(shown: Vec<(f64, DistillLosses)>, metrics: &mut DeviceMetrics, collective: &C) {
    let sum = |value: Shown<'_>| {
        let parts = shown
            .iter()
            .filter_map(|(share, losses)| Some(value(losses)?.without_autodiff().mul_scalar(*share)));
        parts.reduce(|sum, part| sum + part)
    };
    let figures: [(&str, Shown<'_>); 5] = [
        ("loss", &|losses| Some(losses.total.clone())),
        ("distill_cls_loss", &|losses| Some(losses.cls.clone())),
        ("distill_patch_loss", &|losses| Some(losses.patches.clone())),
        ("cls_cosine", &|losses| Some(losses.cls_cosine.clone())),
        ("patch_cosine", &|losses| losses.patch_cosine.clone()),
    ];
    for (name, value) in figures {
        if let Some(value) = sum(value) {
            metrics.push(name, value);
        }
    }
    let features: Vec<_> =
        shown.iter().map(|(_, losses)| losses.features.clone().without_autodiff()).collect();
    let all = collective.clone();
    metrics.push_deferred(["feature_rank"], move || vec![feature_rank(all.gather(Tensor::cat(features, 0)))]);
}

#[cfg(test)]
#[path = "distill_tests.rs"]
mod tests;
