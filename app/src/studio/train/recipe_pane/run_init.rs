//! What a run begins with: nothing, trained weights, a frozen teacher, or a finished run that is adapted.
//!
//! The choice becomes a recipe: opening weights tells their sizes, so that is done beside the frames.

use std::path::Path;

use dinoscope_core::explore::STARTER_NAME;
use dinoscope_core::train::recipe::{DistillMethod, presets};
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::{Recipe, adapt, distill_recipe, own as own_recipe, start};

use crate::platform::tasks::Wake;
use crate::studio::background::task::BackgroundTask;
use crate::studio::train::draft::RecipeDraft;
use crate::studio::train::start_blocker::StartBlocker;

/// What a run begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunInitKind {
    /// Random weights.
    #[default]
    Nothing,
    /// A trained backbone.
    Weights,
    /// Random weights, and a frozen teacher.
    Teacher,
    /// A run, on larger pictures.
    Run,
}

/// What was chosen, and how far it is taken over.
#[derive(Default)]
pub struct RunInitState {
    /// What with.
    pub way: RunInitKind,
    /// The weights, the teacher or the run.
    pub named: String,
    /// What is learned of a teacher; what suits it without.
    pub method: Option<DistillMethod>,
    /// Side of the pictures that a run is adapted to.
    pub resolution: usize,
    /// Length of the adaptation; an eighth of the run's without.
    pub steps: Option<u64>,
    /// What `work` and `said` are about.
    applied: String,
    /// The recipe before anything was taken over.
    before: Option<Recipe>,
    work: Option<BackgroundTask<Result<Recipe, String>>>,
    /// What came of it.
    said: Option<Result<String, String>>,
    seen: Option<u64>,
}

impl RunInitState {
    /// Whether weights are being opened.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// What came of the choice: a sentence, or what is wrong.
    pub fn said(&self) -> Option<Result<&str, &str>> {
        self.said.as_ref().map(|said| said.as_deref().map_err(String::as_str))
    }

    /// Another way to begin. What another way had taken over goes: until something is chosen nothing is begun with.
    pub fn choose(&mut self, way: RunInitKind, draft: &mut RecipeDraft) {
        self.way = way;
        self.named.clear();
        self.put_back(draft);
    }

    /// The recipe as it was before anything was taken over.
    fn put_back(&mut self, draft: &mut RecipeDraft) {
        (self.said, self.work) = (None, None);
        self.applied.clear();
        let before = self.before.take().map(|before| with_pictures_of(before, draft));
        let before = before.or_else(|| draft.recipe().ok().map(|recipe| plain(recipe)));
        let Some(before) = before.map(|before| from_nothing(before, draft)) else { return };
        let same = draft.recipe().is_ok_and(|recipe| **recipe == before);
        if let Some(before) = RecipeDraft::of(&before).ok().filter(|_| !same) {
            draft.adopt(before);
        }
    }

    /// What is still in the way of a run that begins as was chosen; without it the recipe would be trained as it is,
    /// which is another run.
    pub fn start_blocker(&self, recipe: &Recipe) -> Option<StartBlocker> {
        let missing = match self.way {
            RunInitKind::Nothing => "",
            RunInitKind::Weights => "Choose the weights.",
            RunInitKind::Teacher => "Choose a teacher.",
            RunInitKind::Run => "Choose a run.",
        };
        let named = self.named.trim();
        let startup = (self.way, if self.way == RunInitKind::Nothing { "" } else { named });
        if self.way != RunInitKind::Nothing {
            if named.is_empty() {
                return Some(StartBlocker::Missing(missing.to_owned()));
            }
            if named != self.applied {
                return Some(StartBlocker::Missing(format!("Press Enter to open {named}.")));
            }
            if self.busy() {
                return Some(StartBlocker::Missing(format!("Opening {named} …")));
            }
            if let Some(Err(reason)) = &self.said {
                return Some(StartBlocker::Wrong(reason.clone()));
            }
        }
        if !recipe.distill.is_on() && !recipe.distill.teacher.is_empty() {
            let what = "a teacher is named, but Method says that nothing is learned from it (Distillation)";
            return Some(StartBlocker::Wrong(what.to_owned()));
        }
        (begins(recipe) != startup).then(|| StartBlocker::Missing("Choose what to begin with.".to_owned()))
    }

    /// Takes the choice over into the recipe.
    pub fn apply(&mut self, draft: &mut RecipeDraft, wake: &Wake) {
        let named = self.named.trim().to_owned();
        if named.is_empty() {
            self.put_back(draft);
            return;
        }
        self.applied = named.clone();
        let own = match (&self.before, draft.recipe()) {
            (Some(before), _) => with_pictures_of(before.clone(), draft),
            (None, Ok(recipe)) => plain(recipe),
            (None, Err(reason)) => {
                self.said = Some(Err(reason));
                return;
            }
        };
        self.before = Some(own.clone());
        let (way, method, resolution, steps) = (self.way, self.method, self.resolution, self.steps);
        self.said = None;
        self.work = Some(BackgroundTask::ask("begin", wake, move |_| match way {
            RunInitKind::Nothing => Ok(own),
            RunInitKind::Weights => from_weights(&own, &named),
            RunInitKind::Teacher => distill_recipe::recipe(&own, &named, method).map_err(|e| e.to_string()),
            RunInitKind::Run => adapted(&own, &named, resolution, steps),
        }));
    }

    /// Another preset for what begins: sizes that do not come from weights follow it.
    pub fn preset_chosen(&mut self, draft: &mut RecipeDraft, wake: &Wake) {
        self.before = draft.recipe().ok().map(|recipe| plain(recipe));
        if matches!(self.way, RunInitKind::Weights | RunInitKind::Teacher) {
            self.apply(draft, wake);
        }
    }

    /// Takes in what was opened.
    pub fn listen(&mut self, draft: &mut RecipeDraft) {
        if let Some(work) = &mut self.work {
            match work.receive() {
                Some(Ok(recipe)) => {
                    self.work = None;
                    self.said = Some(match RecipeDraft::of(&recipe) {
                        Ok(taken) => {
                            draft.adopt(taken);
                            Ok(words(&recipe))
                        }
                        Err(error) => Err(error.to_string()),
                    });
                }
                Some(Err(reason)) => {
                    (self.work, self.said) = (None, Some(Err(reason)));
                    if draft.recipe().is_ok_and(|recipe| begins(recipe).0 == RunInitKind::Nothing) {
                        // Nothing was taken over: fields that change from now on are a person's.
                        self.before = None;
                    }
                }
                None if work.over() => {
                    (self.work, self.said) = (None, Some(Err("the weights can't be opened".to_owned())));
                }
                None => {}
            }
        }
        // A name that is being typed is not overwritten by what was chosen before it.
        let typing = !self.applied.is_empty() && self.named.trim() != self.applied;
        if self.work.is_none() && self.seen != Some(draft.version()) && !typing {
            self.seen = Some(draft.version());
            self.reflect(draft);
        }
    }

    /// A recipe that came from elsewhere, or was edited by hand, says how it begins.
    fn reflect(&mut self, draft: &RecipeDraft) {
        let Ok(recipe) = draft.recipe() else { return };
        let (way, named) = begins(recipe);
        if way == RunInitKind::Nothing {
            // What is only chosen and not taken over yet stays chosen.
            if self.said.as_ref().is_some_and(Result::is_ok) {
                (self.way, self.said, self.before) = (RunInitKind::Nothing, None, None);
                self.named.clear();
                self.applied.clear();
            }
            return;
        }
        if self.way != way || self.named != *named {
            (self.way, self.named, self.applied) = (way, named.to_owned(), named.trim().to_owned());
            self.said = Some(Ok(words(recipe)));
        }
        if way == RunInitKind::Teacher {
            self.method = Some(recipe.distill.method);
        }
    }
}

/// How a recipe begins, and with what.
fn begins(recipe: &Recipe) -> (RunInitKind, &str) {
    match (&recipe.distill, recipe.start.weights.as_str()) {
        (distill, _) if distill.is_on() => (RunInitKind::Teacher, &distill.teacher),
        (_, "") => (RunInitKind::Nothing, ""),
        (_, weights) if recipe.start.heads => (RunInitKind::Run, weights),
        (_, weights) => (RunInitKind::Weights, weights),
    }
}

/// An earlier recipe with the pictures that were chosen since.
fn with_pictures_of(mut earlier: Recipe, draft: &RecipeDraft) -> Recipe {
    if let Ok(now) = draft.recipe() {
        earlier.data.path.clone_from(&now.data.path);
        (earlier.data.labels, earlier.data.depth_range) = (now.data.labels, now.data.depth_range);
    }
    earlier
}

/// A recipe that begins with nothing: small steps that keep what weights know, and the few that a teacher needs, get nowhere
/// then, so that the smallest preset for that takes the place of theirs.
fn from_nothing(recipe: Recipe, draft: &RecipeDraft) -> Recipe {
    match Recipe::preset("nano") {
        Ok(nano) if [own_recipe::NAME, presets::DEMO].contains(&recipe.preset.as_str()) => {
            with_pictures_of(nano, draft)
        }
        _ => recipe,
    }
}

/// The recipe without anything to begin with.
fn plain(recipe: &Recipe) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.start = Default::default();
    recipe.distill = Default::default();
    recipe
}

fn from_weights(own: &Recipe, named: &str) -> Result<Recipe, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    if own.preset == own_recipe::NAME {
        let mut recipe = own_recipe::recipe(named).map_err(|e| text(&e))?;
        recipe.data = own.data.clone();
        return Ok(recipe);
    }
    let weights = start::open("start.weights", named).map_err(|e| text(&e))?;
    let mut recipe = start::recipe_for(own, &weights.config).map_err(|e| text(&e))?;
    recipe.start.weights = named.to_owned();
    recipe.start.hold_backbone = recipe.optim.warmup;
    recipe.with_overrides(&[]).map_err(|e| text(&e))
}

fn adapted(own: &Recipe, named: &str, resolution: usize, steps: Option<u64>) -> Result<Recipe, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut run = RunFolder::open(Path::new(named)).and_then(|run| run.recipe()).map_err(|e| text(&e))?;
    let resolution = if resolution == 0 { 2 * run.crops.global_size } else { resolution };
    // Where to learn from is the person's choice now as ever.
    (run.data, run.train.workers) = (own.data.clone(), own.train.workers);
    adapt::recipe(&run, Path::new(named), resolution, steps).map_err(|e| text(&e))
}

/// What was taken over, in a sentence.
fn words(recipe: &Recipe) -> String {
    let (crops, train) = (&recipe.crops, &recipe.train);
    match recipe.distill.method {
        DistillMethod::Heads => {
            "The student learns what the teacher's heads say of crops and patches.".to_owned()
        }
        DistillMethod::Similarity => {
            "The student learns how similar the teacher finds pictures, and patches within one.".to_owned()
        }
        DistillMethod::Regression => "The student learns the teacher's features themselves.".to_owned(),
        DistillMethod::None if recipe.start.heads => format!(
            "Goes on from the run's student, teacher and heads with crops of {} pixels for {} steps.",
            crops.global_size, train.iterations
        ),
        DistillMethod::None if recipe.preset == own_recipe::NAME => format!(
            "{} go on learning on these pictures for {} steps of {}, of which the first {} are for their new heads \
             alone; at the end before and after are shown. Nothing, above, begins without them.",
            match recipe.start.weights.as_str() {
                STARTER_NAME => "The starter weights",
                _ => "These weights",
            },
            train.iterations,
            train.batch,
            recipe.start.hold_backbone
        ),
        DistillMethod::None => format!(
            "The backbone is taken over; its heads are new and learn alone for {} steps.",
            recipe.start.hold_backbone
        ),
    }
}

#[cfg(test)]
#[path = "run_init_tests.rs"]
mod tests;
