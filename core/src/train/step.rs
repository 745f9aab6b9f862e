//! One step of DINOv2, start to end (Oquab et al. 2023, section 4).
//!
//! Teacher targets, the student's packed pass, three losses, backward, clipping per sub-module, AdamW, the
//! teacher's moving average. Nothing is read back from the device in here.
//!
//! Distillation (section 5) is the same step with another teacher: frozen, larger, with heads of its own. Nothing is
//! masked then, and iBOT takes the patches that the batch names. The moving average goes on, and is what is kept.
//!
//! Gram anchoring (Siméoni et al. 2025, section 4) is a fourth loss, where a recipe has it.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::batch::MicroBatch;
use super::distill;
use super::gram_teacher;
use super::metrics::{DeviceMetrics, cls_patch_cosine, feature_rank, prototype_use};
use super::recipe::{KoleoGroup, Recipe};
use super::schedule::ScheduledValues;
use super::state::TrainerState;
use super::update::{accumulate_gradients, update};
use crate::fused::cross_entropy;
use crate::fused::packing::{BatchPlace, CropGroup};
use crate::model::block::{DropPath, VitForwardOptions};
use crate::model::params::Named;
use crate::model::rope::RopeDraws;
use crate::model::vit::{PackedTokens, VitInput};
use crate::rng::stream;
use crate::ssl::centering::{sinkhorn_knopp, softmax_center, update_center};
use crate::ssl::dino::{self, dino_loss, dino_loss_parts};
use crate::ssl::gram::gram_loss;
use crate::ssl::ibot::{self, ibot_loss};
use crate::ssl::koleo::{KoleoLoss, koleo};
use crate::ssl::{Centering, Collective, STUDENT_TEMPERATURE, entropy};

/// What the teacher says about one part of the batch; a constant for the student.
struct TeacherTargets {
    /// `[2 images, K]`
    cls: Tensor<2>,
    /// `[rows, K]`
    patches: Tensor<2>,
}

/// The terms of the objective that every run has: key of the figure, and what its curve is called.
pub const TERMS: [(&str, &str); 4] = [
    ("dino_global_loss", "DINO global"),
    ("dino_local_loss", "DINO local"),
    ("ibot_loss", "iBOT"),
    ("koleo_loss", "KoLeo"),
];

/// Key of the Gram loss, which only some runs have.
pub const GRAM_LOSS: &str = "gram_loss";

/// Losses of one part.
struct PretrainLosses {
    /// What is optimised.
    total: Tensor<1>,
    /// What is displayed.
    figures: DeferredFigures,
}

/// Worked out only where somebody reads them.
type DeferredFigures = Box<dyn FnOnce() -> LossFigures + Send>;

/// What is displayed of a part's losses, without a graph.
struct LossFigures {
    /// Of each of [`TERMS`], in their order, as the official log has it: KoLeo and iBOT are half of what is optimised.
    terms: [Tensor<1>; TERMS.len()],
    /// The Gram loss times its weight, where it counts.
    gram: Option<Tensor<1>>,
    /// Distance to the nearest neighbour, mean over images and views.
    neighbour_distance: Tensor<1>,
    /// Entropy of the student's CLS predictions for the global crops, mean over them.
    entropy: Tensor<1>,
    /// Student CLS features of the global crops.
    cls: Tensor<2>,
}

/// One step over a batch that was cut into `parts` (one, unless gradients are accumulated).
///
/// Accumulation is exact: the teacher's targets and KoLeo's neighbours are taken over all parts before any
/// gradient is. Returns the step's figures; `gradients` of the student before clipping (and
/// still times the loss scale, where there is one) go to `inspect`.
pub fn step<C: Collective>(
    state: &mut TrainerState,
    parts: &[MicroBatch],
    recipe: &Recipe,
    now: &ScheduledValues,
    collective: &C,
    inspect: impl FnOnce(&Named),
) -> DeviceMetrics {
    let _products = recipe.train.matmul_precision.scope();
    if recipe.distill.of_features()
        && let Some(frozen) = state.frozen.clone()
    {
        return distill::step(state, &frozen, parts, recipe, now, collective, inspect);
    }
    let mut metrics = DeviceMetrics::default();
    gram_teacher::renew(state, recipe);
    state.begin_step();

    // The teacher sees all global crops, unmasked, and never has a graph.
    let targets = teacher_targets(state, parts, recipe, now, collective, &mut metrics);

    // The student: all crops of a part in one packed pass; gradients add up over the parts.
    let others = cls_of_all_parts(state, parts, recipe, collective);
    let mut gradients = Named::new();
    let mut figures: Option<DeferredFigures> = None;
    for (index, (part, targets)) in parts.iter().zip(&targets).enumerate() {
        state.begin_pass();
        let losses = student_losses(
            state,
            parts,
            index,
            part,
            targets,
            &others,
            recipe,
            now.backbone_frozen,
            collective,
        );
        accumulate_gradients(state, losses.total, &mut gradients);
        figures = Some(match figures {
            Some(before) => Box::new(move || before().add((losses.figures)())),
            None => losses.figures,
        });
    }
    update(state, gradients, recipe, now, collective, &mut metrics, inspect);
    if let Some(figures) = figures {
        let with_gram = state.gram.is_some() && parts.iter().all(|part| part.gram.is_some());
        let collective = collective.clone();
        metrics.push_deferred(LossFigures::names(with_gram), move || figures().values(&collective));
    }
    metrics
}

/// Targets for every part, centred over the whole batch; the softmax centres move on.
fn teacher_targets<C: Collective>(
    state: &mut TrainerState,
    parts: &[MicroBatch],
    recipe: &Recipe,
    now: &ScheduledValues,
    collective: &C,
    metrics: &mut DeviceMetrics,
) -> Vec<TeacherTargets> {
    // A frozen teacher, where one is distilled; else the student's moving average.
    let frozen = state.frozen.as_ref().and_then(|frozen| Some((&frozen.backbone, frozen.heads()?)));
    let teacher = frozen.is_none().then(|| state.teacher_for_pass());
    let own = teacher.as_ref().map(|teacher| (&teacher.backbone, teacher.heads()));
    let Some((backbone, (dino_head, patch_head))) = frozen.or(own) else {
        unreachable!("one of the two is there")
    };
    let (mut cls, mut patches, mut norms) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let crops = [VitInput { images: part.global.clone(), masks: None }];
        let pass =
            VitForwardOptions { precision: recipe.train.precision.into(), ..VitForwardOptions::default() };
        let tokens = backbone.forward_tokens(&crops, pass);
        let prefix = backbone.config.prefix();
        norms.push(patch_norms(&tokens, prefix));
        if norms.len() == 1 {
            let (CropGroup { count, tokens: length }, normed) =
                (tokens.packing.groups[0], tokens.normed.clone());
            metrics.push_deferred(["cls_patch_cosine"], move || {
                let dim = normed.dims()[1];
                vec![cls_patch_cosine(normed.reshape([count, length, dim]), prefix)]
            });
        }
        let seen = tokens.normed.select(0, part.head_rows(&tokens.packing, prefix));
        let (cls_rows, rows) = (2 * part.images, seen.dims()[0]);
        cls.push(dino_head.forward(seen.clone().narrow(0, 0, cls_rows)));
        patches.push(patch_head.forward(seen.narrow(0, cls_rows, rows - cls_rows)));
    }
    // What it gathered goes before the student gathers.
    drop(teacher);
    let cls_rows: Vec<usize> = cls.iter().map(|t| t.dims()[0]).collect();
    let patch_rows: Vec<usize> = patches.iter().map(|t| t.dims()[0]).collect();
    let (cls, patches) = (Tensor::cat(cls, 0), Tensor::cat(patches, 0));
    let valid = Tensor::cat(parts.iter().map(|p| p.mask_valid.clone()).collect(), 0);

    let temperature = now.teacher_temperature;
    let (cls, patches) = match recipe.loss.centering {
        Centering::SinkhornKnopp => (
            sinkhorn_knopp(cls, temperature, None, collective),
            sinkhorn_knopp(patches, temperature, Some(valid), collective),
        ),
        Centering::Softmax => {
            // This batch is centred by the ones before it; its own statistics count from the next on.
            let centers = &mut state.centers;
            let targets = (
                softmax_center(cls.clone(), centers.dino.clone(), temperature),
                softmax_center(patches.clone(), centers.ibot.clone(), temperature),
            );
            centers.dino = update_center(centers.dino.clone(), cls, None, collective);
            centers.ibot = update_center(centers.ibot.clone(), patches, Some(valid), collective);
            targets
        }
    };
    let (seen, all) = (cls.clone(), collective.clone());
    metrics.push_deferred(["teacher_entropy", "prototype_use"], move || {
        vec![entropy(seen.clone()).mean(), prototype_use(all.mean(seen.mean_dim(0)))]
    });
    let all = collective.clone();
    metrics.push_deferred(["patch_norm_mean", "patch_norm_max"], move || {
        let norms = Tensor::cat(norms, 0);
        vec![norms.clone().mean(), all.max(norms.max())]
    });

    let cls = cls.split_with_sizes(cls_rows, 0);
    let patches = patches.split_with_sizes(patch_rows, 0);
    cls.into_iter().zip(patches).map(|(cls, patches)| TeacherTargets { cls, patches }).collect()
}

/// L2 norms of the global crops' patch tokens before the final norm, `[crops * patches]`: outliers show up here.
fn patch_norms(tokens: &PackedTokens, prefix: usize) -> Tensor<1> {
    let CropGroup { count, tokens: length } = tokens.packing.groups[0];
    let [_, dim] = tokens.prenorm.dims();
    let crops = tokens.prenorm.clone().narrow(0, 0, count * length).reshape([count, length, dim]);
    let patches = crops.narrow(1, prefix, length - prefix).reshape([count * (length - prefix), dim]);
    patches.square().sum_dim(1).sqrt().reshape([-1])
}

/// CLS features of every part and view without a graph, for KoLeo over the whole batch; where it is over all ranks, of
/// those too, in their order. Empty with a single part, whose own pass has them all.
fn cls_of_all_parts<C: Collective>(
    state: &mut TrainerState,
    parts: &[MicroBatch],
    recipe: &Recipe,
    collective: &C,
) -> Vec<[Tensor<2>; 2]> {
    if parts.len() == 1 {
        return Vec::new();
    }
    state.begin_pass();
    let state = &*state;
    let pass = |(index, part)| {
        let seen = student_pass(state, index, part, recipe, collective).seen.without_autodiff();
        let own = views(seen, part.images);
        match recipe.loss.koleo_group {
            KoleoGroup::Rank => own,
            KoleoGroup::All => own.map(|view| collective.gather(view)),
        }
    };
    parts.iter().enumerate().map(pass).collect()
}

/// KoLeo of each view of a part: over all images of the step that are here, or on all ranks. `seen` has the part's own
/// features, which gradients flow into.
fn spread_of_views<C: Collective>(
    seen: &Tensor<2>,
    (index, parts): (usize, &[MicroBatch]),
    others: &[[Tensor<2>; 2]],
    group: KoleoGroup,
    collective: &C,
) -> Vec<KoleoLoss> {
    let images = parts[index].images;
    let (rank, ranks) = match group {
        KoleoGroup::Rank => (0, 1),
        KoleoGroup::All => (collective.rank(), collective.ranks()),
    };
    if others.is_empty() && ranks == 1 {
        return vec![koleo(seen.clone(), 2, images)];
    }
    let of_view = |(view, own): (usize, Tensor<2>)| {
        let of_part = |i: usize| {
            let all = match others.get(i) {
                Some(part) => part[view].clone(),
                None => collective.gather(own.clone().without_autodiff()),
            };
            if i != index {
                return vec![all];
            }
            // The same numbers, with a graph.
            let rows = all.dims()[0];
            let (before, behind) = (rank * images, (rank + 1) * images);
            let before = (before > 0).then(|| all.clone().narrow(0, 0, before));
            let behind = (behind < rows).then(|| all.clone().narrow(0, behind, rows - behind));
            before.into_iter().chain([own.clone()]).chain(behind).collect()
        };
        let all: Vec<Tensor<2>> = (0..parts.len()).flat_map(of_part).collect();
        koleo(Tensor::cat(all, 0), 1, ranks * parts.iter().map(|part| part.images).sum::<usize>())
    };
    views(seen.clone(), images).into_iter().enumerate().map(of_view).collect()
}

/// The student's packed pass over masked global crops and local crops, after the final norm.
struct StudentPass {
    /// What heads see, in the order of [`MicroBatch::head_rows`].
    seen: Tensor<2>,
    /// All patches of the global crops, `[2 images, patches, dim]`, where a Gram teacher looks at them too.
    patches: Option<Tensor<3>>,
}

impl StudentPass {
    /// The same numbers, which no gradient goes through.
    fn detach(self) -> Self {
        Self { seen: self.seen.detach(), patches: self.patches.map(Tensor::detach) }
    }
}

/// The same draws every time it is called; those of all ranks together are those of one process.
fn student_pass<C: Collective>(
    state: &TrainerState,
    index: usize,
    part: &MicroBatch,
    recipe: &Recipe,
    collective: &C,
) -> StudentPass {
    let masks = (!recipe.distill.is_on()).then(|| part.masks.clone());
    let mut crops = vec![VitInput { images: part.global.clone(), masks }];
    crops.extend(part.local.clone().map(|images| VitInput { images, masks: None }));
    let rng = &mut stream(recipe.train.seed, "drop path", state.iteration, index as u64);
    let place = BatchPlace { rank: collective.rank(), ranks: collective.ranks(), images: part.images };
    let mut drop = DropPath { rate: recipe.model.drop_path, rng, place };
    let backbone = &state.student.backbone;
    let rng = &mut stream(recipe.train.seed, "rope", state.iteration, index as u64);
    let mut moves = RopeDraws { augmentation: recipe.model.rope_augmentation(), rng };
    let tokens = backbone.forward_tokens(
        &crops,
        VitForwardOptions {
            drop: Some(&mut drop),
            rope: Some(&mut moves),
            precision: recipe.train.precision.into(),
            checkpoint: recipe.train.checkpoint_activations,
        },
    );
    let prefix = backbone.config.prefix();
    let patches = part.gram.is_some().then(|| {
        let CropGroup { count, tokens: length } = tokens.packing.groups[0];
        let dim = tokens.normed.dims()[1];
        let crops = tokens.normed.clone().narrow(0, 0, count * length).reshape([count, length, dim]);
        crops.narrow(1, prefix, length - prefix)
    });
    let rows = part.head_rows(&tokens.packing, prefix);
    StudentPass { seen: tokens.normed.select(0, rows), patches }
}

/// Losses of one part, scaled so that the parts add up to the batch's.
#[allow(clippy::too_many_arguments)]
fn student_losses<C: Collective>(
    state: &TrainerState,
    parts: &[MicroBatch],
    index: usize,
    part: &MicroBatch,
    targets: &TeacherTargets,
    others: &[[Tensor<2>; 2]],
    recipe: &Recipe,
    backbone_frozen: bool,
    collective: &C,
) -> PretrainLosses {
    let pass = student_pass(state, index, part, recipe, collective);
    // Without a graph behind its features nothing reaches a backbone that is frozen.
    let StudentPass { seen, patches: all_patches } = if backbone_frozen { pass.detach() } else { pass };

    // Heads act on single tokens: what shares a head goes through it together.
    let student = &state.student;
    let cls_rows = (2 + part.locals) * part.images;
    let patch_rows = seen.dims()[0] - cls_rows;
    let cls_and_patches =
        |x: &Tensor<2>| (x.clone().narrow(0, 0, cls_rows), x.clone().narrow(0, cls_rows, patch_rows));
    let (dino_head, _) = student.heads();
    let directions = dino_head.last_layer.directions();
    let (cls_z, patch_z, patch_directions) = match &student.ibot_head {
        Some(head) => {
            let (cls, patches) = cls_and_patches(&seen);
            (dino_head.project(cls), head.project(patches), head.last_layer.directions())
        }
        None => {
            let (cls, patches) = cls_and_patches(&dino_head.project(seen.clone()));
            (cls, patches, directions.clone())
        }
    };
    let cross_entropy_against = |z, directions, targets: &Tensor<2>, pairs| {
        cross_entropy(z, directions, targets.clone(), Arc::new(pairs), STUDENT_TEMPERATURE)
    };
    let cls = cross_entropy_against(cls_z, directions, &targets.cls, dino::pairs(part.images, part.locals));
    let patches = cross_entropy_against(patch_z, patch_directions, &targets.patches, ibot::pairs(patch_rows));

    let images: usize = parts.iter().map(|p| p.images).sum();
    let share = part.images as f64 / images as f64;
    let dino = dino_loss(cls.loss.clone(), part.locals, part.images).mul_scalar(share);
    let ibot = ibot_loss(patches.loss, part.mask_weights.clone(), 2 * images);

    // KoLeo spreads the CLS features of each view, over all images of the step.
    let group = recipe.loss.koleo_group;
    let spread = spread_of_views(&seen, (index, parts), others, group, collective);
    let distances: Vec<Tensor<1>> = spread.iter().map(|view| view.distance.clone()).collect();
    let koleo_sum = spread.into_iter().map(|view| view.loss).reduce(|sum, loss| sum + loss);
    let koleo_sum: Tensor<1> = koleo_sum.unwrap_or_else(|| dino.clone().zeros_like());

    // How alike patches are to each other stays as an earlier teacher has it, which sees them unmasked and in more pixels.
    let gram = state.gram.as_ref().zip(part.gram.clone()).zip(all_patches);
    let gram = gram.map(|((teacher, crops), all_patches)| {
        let targets = teacher.look(crops, all_patches.dims()[1].isqrt());
        gram_loss(all_patches, targets).mul_scalar(share * recipe.loss.gram)
    });

    let w = &recipe.loss;
    // Gradients are averaged over ranks; of a loss over all of them each has only what flows into its own features.
    let koleo_weight = match group {
        KoleoGroup::Rank => w.koleo,
        KoleoGroup::All => w.koleo * collective.ranks() as f64,
    };
    let mut total = dino.mul_scalar(w.dino)
        + koleo_sum.clone().mul_scalar(koleo_weight)
        + ibot.clone().mul_scalar(w.ibot);
    if let Some(gram) = &gram {
        total = total + gram.clone();
    }
    let (loss, locals, images) = (recipe.loss.clone(), part.locals, part.images);
    let [rows, ibot, koleo_sum] = [cls.loss, ibot, koleo_sum].map(Tensor::without_autodiff);
    let distances: Vec<Tensor<1>> = distances.into_iter().map(Tensor::without_autodiff).collect();
    let (entropy, seen, gram) = (cls.entropy, seen.without_autodiff(), gram.map(Tensor::without_autodiff));
    let figures = Box::new(move || {
        let dino = dino_loss_parts(rows, locals, images);
        LossFigures {
            terms: [
                dino.global.mul_scalar(share * loss.dino),
                dino.local.mul_scalar(share * loss.dino),
                ibot.mul_scalar(0.5 * loss.ibot),
                // The same in every part; a share of it from each adds up to the whole.
                koleo_sum.mul_scalar(0.5 * loss.koleo * share),
            ],
            gram,
            neighbour_distance: Tensor::cat(distances, 0).mean().mul_scalar(share),
            entropy: entropy.narrow(0, 0, 2 * images).mean().mul_scalar(share),
            cls: seen.narrow(0, 0, 2 * images),
        }
    });
    PretrainLosses { total, figures }
}

/// CLS features of the global crops by view: the first rows that heads see.
fn views(seen: Tensor<2>, images: usize) -> [Tensor<2>; 2] {
    [seen.clone().narrow(0, 0, images), seen.narrow(0, images, images)]
}

impl LossFigures {
    /// Names of [`LossFigures::values`].
    fn names(with_gram: bool) -> impl Iterator<Item = &'static str> {
        let terms = TERMS.into_iter().map(|(key, _)| key).chain(with_gram.then_some(GRAM_LOSS));
        terms.chain(["loss", "neighbour_distance", "student_entropy", "feature_rank"])
    }

    fn values<C: Collective>(self, collective: &C) -> Vec<Tensor<1>> {
        let terms: Vec<Tensor<1>> = self.terms.into_iter().chain(self.gram).collect();
        let loss = terms.iter().cloned().reduce(|sum, term| sum + term);
        let others = [self.neighbour_distance, self.entropy, feature_rank(collective.gather(self.cls))];
        terms.into_iter().chain(loss).chain(others).collect()
    }

    /// With those of another part.
    fn add(self, next: Self) -> Self {
        Self {
            terms: std::array::from_fn(|term| self.terms[term].clone() + next.terms[term].clone()),
            gram: self.gram.zip(next.gram).map(|(gram, next)| gram + next),
            neighbour_distance: self.neighbour_distance + next.neighbour_distance,
            entropy: self.entropy + next.entropy,
            cls: Tensor::cat(vec![self.cls, next.cls], 0),
        }
    }
}
