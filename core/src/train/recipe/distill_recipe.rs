//! The recipe of a distillation: a student's own, with a frozen teacher and what the published ways change.

use crate::train::recipe::{BlurPreset, DistillMethod, Recipe};
use crate::train::start::{self, WeightInitError};

/// Peak learning rate of the paper's distillation, at its batch of 2048 (Oquab et al. 2023, appendix).
const PAPER_RATE: f64 = 1e-3;
/// LightlyTrain's learning rate for AdamW, at a batch of 1536.
const FEATURE_RATE: f64 = 5e-4;
/// Values of the teacher's patch targets beyond which only a share of the patches is taken by default (1 GiB).
const MOST_TARGETS: f64 = 268_435_456.0;

/// What a student sees that learns a teacher's features: two large crops without blur, and mixtures of them.
pub(super) fn see_features(recipe: &mut Recipe) {
    recipe.crops.locals = 0;
    recipe.crops.global_scale = [0.14, 1.0];
    recipe.crops.blur = BlurPreset::None;
    recipe.crops.solarize = 0.0;
    recipe.distill.mixup = true;
    recipe.optim.clip = 1.0;
}

/// The recipe that distils `teacher` into the student that `student` describes.
///
/// Without a method, what heads say where the teacher has heads and the student's patch, else similarity. Presets for
/// one machine keep their learning rate, which their few steps need.
///
/// # Errors
/// When the teacher can't be opened.
pub fn recipe(
    student: &Recipe,
    teacher: &str,
    method: Option<DistillMethod>,
) -> Result<Recipe, WeightInitError> {
    let weights = start::open("distill.teacher", teacher)?;
    let of_heads = weights.heads.contains_key("dino_head") && weights.config.patch == student.model.patch;
    let method = match method {
        Some(method) => method,
        None if of_heads => DistillMethod::Heads,
        None => DistillMethod::Similarity,
    };
    let mut recipe = student.clone();
    recipe.distill.method = method;
    recipe.distill.teacher = teacher.to_owned();
    recipe.model.drop_path = 0.0;
    let official = recipe.preset.starts_with("vit");
    match method {
        DistillMethod::Heads => {
            recipe = start::recipe_with_heads(&recipe, &weights);
            if official {
                recipe.train.batch = 2048;
                recipe.optim.base_lr = PAPER_RATE / (2048.0f64 / 1024.0).sqrt();
            }
            let grid = recipe.crops.global_size / recipe.model.patch;
            let rows = (2 * recipe.train.batch / recipe.train.accumulate * grid * grid) as f64;
            let prototypes = match recipe.head.separate_ibot {
                true => recipe.head.ibot_prototypes,
                false => recipe.head.prototypes,
            };
            let share = MOST_TARGETS / (rows * prototypes as f64);
            recipe.distill.patches =
                if share >= 1.0 { 1.0 } else { (share * 1000.0).floor().max(1.0) / 1000.0 };
        }
        DistillMethod::Similarity | DistillMethod::Regression => {
            see_features(&mut recipe);
            if official {
                recipe.train.batch = 1536;
                recipe.optim.base_lr = FEATURE_RATE / (1536.0f64 / 1024.0).sqrt();
                recipe.optim.weight_decay = 0.04;
                recipe.optim.weight_decay_end = 0.04;
                (recipe.optim.layer_decay, recipe.optim.patch_embed_lr) = (1.0, 1.0);
            }
        }
        DistillMethod::None => recipe.distill.teacher.clear(),
    }
    // Checked as a whole, as if it had come from a file.
    Ok(recipe.with_overrides(&[])?)
}
