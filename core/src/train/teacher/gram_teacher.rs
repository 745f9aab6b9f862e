//! The Gram teacher: an earlier teacher whose patches say how alike those of the student should be (Siméoni et al. 2025,
//! section 4).
//!
//! It begins as a file or as the run's own teacher at `gram.start`, and may be replaced by that later on. It sees the global
//! crops in more pixels, and its patches are brought to the student's grid.

use burn::tensor::{Device, Tensor};

use crate::model::vit::LayerSelection;
use crate::model::{Vit, params};
use crate::ssl::gram::resample_patches;
use crate::train::distill::resize_views;
use crate::train::recipe::Recipe;
use crate::train::start::{self, WeightInitError};
use crate::train::state::TrainerState;
use crate::weights::LoadedWeights;

const FIELD: &str = "gram.teacher";

/// A backbone that does not learn. Lives on the plain device.
#[derive(Clone, Debug)]
pub struct GramTeacher {
    /// It may have another width, depth and patch than the student's.
    pub backbone: Vit,
}

impl GramTeacher {
    /// Opens what the recipe names; `None` where the run's own teacher is to be taken, or none is needed.
    ///
    /// # Errors
    /// When it can't be opened, or a tensor is missing.
    pub fn open(recipe: &Recipe, device: &Device) -> Result<Option<Self>, WeightInitError> {
        if recipe.loss.gram == 0.0 || recipe.gram.teacher.is_empty() {
            return Ok(None);
        }
        let mut weights = start::open(FIELD, &recipe.gram.teacher)?;
        start::bring_pixels(FIELD, &mut weights, &recipe.pixels())?;
        Self::loaded(&weights, device).map(Some)
    }

    /// A backbone with these weights.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn loaded(weights: &LoadedWeights, device: &Device) -> Result<Self, WeightInitError> {
        let (backbone, missing) = start::backbone(weights, device);
        match missing.first() {
            None => Ok(Self { backbone }),
            Some(key) => Err(WeightInitError::Other {
                field: FIELD,
                file: weights.file.clone(),
                found: format!("without {key}"),
                wanted: start::describe(&weights.config),
                way_out: "check the file".to_owned(),
            }),
        }
    }

    /// A copy of a backbone, which stays as it is when that moves on.
    pub fn copy_of(backbone: &Vit) -> Self {
        // A tensor of its own each: a GPU's optimizer changes the others in place.
        Self { backbone: params::update(backbone.clone(), |_, values| values.mul_scalar(1.0)) }
    }

    /// Patches of `crops` `[crops, 3, side, side]` after the final norm, on a grid of `grid` by `grid`: `[crops, grid², dim]`.
    pub fn look(&self, crops: Tensor<4>, grid: usize) -> Tensor<3> {
        let patch = self.backbone.config.patch;
        let [_, _, side, _] = crops.dims();
        let own = ((side as f64 / patch as f64).round() as usize).max(1);
        let crops = resize_views(crops, own * patch);
        let last = self.backbone.intermediate_layers(crops, LayerSelection::Last(1), true).pop();
        let Some(last) = last else { unreachable!("one block is asked for") };
        resample_patches(last.patches, own, grid)
    }
}

/// Whether the run's own teacher takes the place of the Gram teacher before the step of this iteration.
pub fn takes_over(recipe: &Recipe, iteration: u64) -> bool {
    if !recipe.has_gram(iteration) {
        return false;
    }
    let (gram, since) = (&recipe.gram, iteration - recipe.gram.start);
    if since == 0 {
        return gram.teacher.is_empty();
    }
    match since.checked_div(gram.renew_every) {
        Some(renewals) => since.is_multiple_of(gram.renew_every) && renewals <= gram.renewals,
        None => false,
    }
}

/// Makes the run's own teacher the Gram teacher, where that is due.
pub fn renew(state: &mut TrainerState, recipe: &Recipe) {
    if takes_over(recipe, state.iteration) {
        state.gram = Some(GramTeacher::copy_of(&state.whole_teacher(true).backbone));
    }
}

#[cfg(test)]
#[path = "gram_teacher_tests.rs"]
mod tests;
