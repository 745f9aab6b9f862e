//! High-resolution adaptation: the end of pre-training once more, on larger pictures (Oquab et al. 2023, section 5).

use std::path::Path;

use crate::train::recipe::{GramRecipe, InitRecipe, Recipe, RecipeError};

/// Learning rate of the adaptation as a share of the run's: the paper says "reduced" and no more.
pub const RATE: f64 = 0.25;

/// Iterations of the adaptation as a share of the run's, unless a person says. The paper's 10,000 of 625,000 assume
/// that long a run; short ones need a larger share to see the new size at all.
const SHARE: f64 = 0.125;

/// The recipe that adapts a finished run to global crops of about `resolution` pixels.
///
/// Student, teacher and heads are taken over, the positions resampled to the new grid. All schedules of the run are
/// compressed into the new length. Local crops stay as they are, as does the batch. A Gram loss holds patches to the
/// teacher that the run ends with (Siméoni et al. 2025, section 5.1). Built-in pictures are drawn larger by
/// as much as the crops: what is only stretched shows nothing new.
///
/// # Errors
/// When a size is out of the recipe's range.
pub fn recipe(
    run: &Recipe,
    weights: &Path,
    resolution: usize,
    iterations: Option<u64>,
) -> Result<Recipe, RecipeError> {
    let before = run.train.iterations;
    let after = iterations.unwrap_or(((before as f64 * SHARE).round() as u64).max(1));
    let squeezed = |length: u64| (length as f64 * after as f64 / before as f64).round() as u64;
    // Cadences of 0 stay 0, others at least one step.
    let cadence = |every: u64| if every == 0 { 0 } else { squeezed(every).max(1) };
    let mut recipe = run.clone();
    let patch = recipe.model.patch;
    recipe.crops.global_size = (resolution as f64 / patch as f64).round().max(1.0) as usize * patch;
    if recipe.data.path.has_builtin() {
        let larger = recipe.crops.global_size as f64 / run.crops.global_size as f64;
        recipe.data.scene_size = (run.data.scene_size as f64 * larger.max(1.0)).round() as usize;
    }
    let o = &mut recipe.optim;
    o.base_lr *= RATE;
    o.min_lr = o.min_lr.min(o.base_lr);
    (o.warmup, o.freeze_last_layer) = (squeezed(o.warmup), squeezed(o.freeze_last_layer));
    o.teacher_temp_warmup = squeezed(o.teacher_temp_warmup);
    // What the run ends with is what patches are held to, at once.
    recipe.gram = GramRecipe { start: 0, teacher: String::new(), size: 0, ..recipe.gram };
    let t = &mut recipe.train;
    t.iterations = after;
    t.picture_every = cadence(t.picture_every);
    t.evaluate_every = cadence(t.evaluate_every);
    t.checkpoint_every = cadence(t.checkpoint_every);
    recipe.start = InitRecipe { weights: weights.display().to_string(), heads: true, hold_backbone: 0 };
    // Checked as a whole, as if it had come from a file.
    recipe.with_overrides(&[])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_compressed_and_the_size_fits_the_patch() {
        let run = Recipe::preset("vits14").unwrap();
        let adapted = recipe(&run, Path::new("runs/a"), 518, Some(10_000)).unwrap();
        assert_eq!(adapted.crops.global_size, 518);
        assert_eq!(adapted.backbone().grid, crate::model::PatchGrid::square(37));
        let o = (adapted.optim.warmup, adapted.optim.teacher_temp_warmup, adapted.optim.freeze_last_layer);
        assert_eq!((adapted.train.iterations, o), (10_000, (1600, 600, 20)));
        assert_eq!(adapted.optim.base_lr, RATE * run.optim.base_lr);
        assert!(adapted.start.heads && adapted.start.weights == "runs/a");
        assert_eq!(adapted.crops.local_size, run.crops.local_size);
        assert_eq!(adapted.data.scene_size, (256.0f64 * 518.0 / 224.0).round() as usize);
        let smaller = recipe(&run, Path::new("r"), 98, None).unwrap();
        assert_eq!((smaller.crops.global_size, smaller.data.scene_size), (98, 256));
        let folder = run.with_overrides(&["data.path=\"photos\"".to_owned()]).unwrap();
        let large = recipe(&folder, Path::new("r"), 3920, None).unwrap();
        assert_eq!((large.crops.global_size, large.data.scene_size), (3920, 256));
        assert_eq!(recipe(&run, Path::new("r"), 512, None).unwrap().crops.global_size, 518);
        assert_eq!(recipe(&run, Path::new("r"), 518, None).unwrap().train.iterations, 78_125);
    }
}
