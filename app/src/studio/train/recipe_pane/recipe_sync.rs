//! The recipe pane follows the run that is shown: what one looks at is what stands there. A new run begins with it once a
//! person says so; what they had composed themselves waits meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::train::{Recipe, paths};

use crate::studio::train::draft::RecipeDraft;
use crate::studio::train::run_init::RunInitState;
use crate::studio::train::{RunSelection, TrainWorkspace};

/// Which run it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RunIdentity {
    /// Ours, counted.
    Own(u64),
    /// One on disk.
    Followed(PathBuf),
}

/// How the recipe pane follows.
#[derive(Default)]
pub struct RecipeSync {
    /// The run that was shown last.
    seen: Option<RunIdentity>,
    showing: Option<ShownRunRecipe>,
    /// How many runs of ours have begun.
    begun: u64,
    /// Whether the newest of ours was begun with what stood in the pane.
    of_pane: bool,
}

/// The recipe of a run stands in the pane.
struct ShownRunRecipe {
    name: String,
    recipe: Arc<Recipe>,
    /// What a person had there.
    mine: RecipeDraft,
}

impl RecipeSync {
    /// A run of ours begins; with what stands in the pane, or with a recipe that lies on disk.
    pub fn begins(&mut self, of_pane: bool) {
        self.begun += 1;
        self.of_pane = of_pane;
    }

    /// What stands in the pane is for a new run from now on.
    pub fn let_go(&mut self) {
        self.showing = None;
    }

    /// What a person had in the pane, where it waits.
    pub fn mine(&self) -> Option<&RecipeDraft> {
        self.showing.as_ref().map(|showing| &showing.mine)
    }
}

impl TrainWorkspace {
    /// Shows the recipe of the run that is shown, when that is another one than before.
    pub(in crate::studio::train) fn follow_recipe(&mut self) {
        let Some(view) = self.view() else {
            self.of_run.seen = None;
            self.back_to_mine();
            return;
        };
        let (name, recipe, folder) = (view.name.clone(), view.recipe.clone(), view.folder.clone());
        // Of a run that is only just looked at nothing is known yet.
        let Some(recipe) = recipe else { return };
        let own = self.own.as_ref().is_some_and(|own| own.view.folder == folder);
        let which = if own { RunIdentity::Own(self.of_run.begun) } else { RunIdentity::Followed(folder) };
        if self.of_run.seen.as_ref() == Some(&which) {
            self.refresh(&name, &recipe);
            return;
        }
        self.of_run.seen = Some(which);
        if own && self.of_run.of_pane {
            self.back_to_mine();
            return;
        }
        let Ok(shown) = RecipeDraft::of(&recipe) else {
            // Made by a version with other presets: there is nothing to show it with.
            self.back_to_mine();
            return;
        };
        let before = self.of_run.showing.take();
        if before.is_none() && self.is_drafted(&recipe) {
            return;
        }
        let left = self.replace_draft(shown);
        let mine = before.map_or(left, |showing| showing.mine);
        self.of_run.showing = Some(ShownRunRecipe { name, recipe, mine });
    }

    /// Takes over what has changed in a recipe that only shows.
    fn refresh(&mut self, name: &str, recipe: &Arc<Recipe>) {
        let locked = self.locked().is_some();
        let Some(showing) = &mut self.of_run.showing else { return };
        name.clone_into(&mut showing.name);
        if Arc::ptr_eq(&showing.recipe, recipe) {
            return;
        }
        let changed = *showing.recipe != **recipe;
        showing.recipe = recipe.clone();
        if let Some(draft) = RecipeDraft::of(recipe).ok().filter(|_| locked && changed) {
            self.replace_draft(draft);
        }
    }

    /// Whether what stands in the pane is this recipe.
    fn is_drafted(&self, recipe: &Recipe) -> bool {
        let drafted = self.draft.recipe().ok().and_then(|drafted| paths::with_absolute_paths(drafted).ok());
        drafted.is_some_and(|drafted| drafted == *recipe)
    }

    fn replace_draft(&mut self, draft: RecipeDraft) -> RecipeDraft {
        // How it begins is read from the recipe.
        self.recipe.begin = RunInitState::default();
        self.draft.replace(draft)
    }

    /// The run whose recipe stands in the pane only to be looked at. That of a run of ours that goes on can be changed.
    pub(in crate::studio::train) fn locked(&self) -> Option<&str> {
        let live = self.focus == RunSelection::Own && self.going();
        self.of_run.showing.as_ref().filter(|_| !live).map(|showing| showing.name.as_str())
    }

    /// What a person had in the pane before a run's recipe stood there.
    pub(in crate::studio::train) fn back_to_mine(&mut self) {
        if let Some(showing) = self.of_run.showing.take() {
            self.replace_draft(showing.mine);
        }
    }
}
