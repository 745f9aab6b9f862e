//! "Train on these": trained weights go on learning on a person's own pictures, in minutes.

use crate::model::VitConfig;
use crate::train::recipe::{Recipe, RecipeError};
use crate::train::start::{self, WeightInitError};

/// Name of the preset.
pub const NAME: &str = "own";

/// Largest side of the global crops: released models keep positions for larger pictures than they learned most from.
const LARGEST: usize = 224;

/// The recipe that goes on from `weights`: the preset with their architecture, and with crops of the size that they were
/// trained at.
///
/// # Errors
/// When the weights can't be opened.
pub fn recipe(weights: &str) -> Result<Recipe, WeightInitError> {
    let opened = start::open("start.weights", weights)?;
    let mut recipe = fitted(&Recipe::preset(NAME)?, &opened.config)?;
    recipe.start.weights = weights.to_owned();
    // Checked as a whole, as if it had come from a file.
    Ok(recipe.with_overrides(&[])?)
}

/// The recipe with the backbone that weights have, global crops as large as their grid of positions, and local ones of
/// half their side.
///
/// # Errors
/// When a size is out of the recipe's range.
pub fn fitted(own: &Recipe, config: &VitConfig) -> Result<Recipe, RecipeError> {
    let mut recipe = own.clone();
    let side = config.grid.rows.min(config.grid.cols) * config.patch;
    recipe.crops.global_size = side.min(LARGEST);
    recipe.crops.local_size = recipe.crops.global_size / 2;
    start::recipe_for(&recipe, config)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::PatchGrid;

    #[test]
    fn the_starter_is_gone_on_from_as_it_is() {
        let own = recipe("starter").unwrap();
        assert_eq!(own, Recipe::preset(NAME).unwrap(), "the preset has the sizes of the starter weights");
        assert!(own.start.weights == "starter" && !own.start.heads && own.start.hold_backbone > 0);
        assert!(own.optim.base_lr < Recipe::preset("nano").unwrap().optim.base_lr / 5.0, "small steps");
        assert!(own.loss.koleo > 0.0 && own.optim.momentum_end == 1.0);
        assert!(recipe("no/such/weights").unwrap_err().to_string().contains("no/such/weights"));
    }

    #[test]
    fn sizes_are_those_of_the_weights() {
        let of = |side: usize, patch: usize| {
            let config =
                VitConfig { grid: PatchGrid::square(side / patch), ..VitConfig::new(side, patch, 48, 3, 3) };
            fitted(&Recipe::preset(NAME).unwrap(), &config).unwrap()
        };
        let small = of(96, 16);
        let sizes = (small.model.dim, small.model.depth, small.crops.global_size, small.crops.local_size);
        assert_eq!(sizes, (48, 3, 96, 48));
        // Of 37 x 37 positions, as released models have them.
        let large = of(518, 14);
        assert_eq!((large.crops.global_size, large.crops.local_size), (224, 112));
        assert_eq!(large.optim, Recipe::preset(NAME).unwrap().optim);
    }
}
