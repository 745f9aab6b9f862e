//! What a run begins with: nothing, trained weights, a frozen teacher, or a finished run that is adapted.
//!
//! The choice becomes a recipe: opening weights tells their sizes, so that is done beside the frames.

use std::path::Path;

use dinoscope_core::train::recipe::Distillation;
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::{Recipe, adapt, distill_recipe, start};

use super::draft::Draft;
use super::work::{Wake, Work};

/// What a run begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
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
pub struct Begin {
    /// What with.
    pub way: Way,
    /// The weights, the teacher or the run.
    pub named: String,
    /// What is learned of a teacher; what suits it without.
    pub method: Option<Distillation>,
    /// Side of the pictures that a run is adapted to.
    pub resolution: usize,
    /// Length of the adaptation; an eighth of the run's without.
    pub steps: Option<u64>,
    /// The recipe before anything was taken over.
    before: Option<Recipe>,
    work: Option<Work<Result<Recipe, String>>>,
    /// What came of it.
    said: Option<Result<String, String>>,
    seen: u64,
}

impl Begin {
    /// Whether weights are being opened.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// What came of the choice: a sentence, or what is wrong.
    pub fn said(&self) -> Option<Result<&str, &str>> {
        self.said.as_ref().map(|said| said.as_deref().map_err(String::as_str))
    }

    /// Another way to begin.
    pub fn choose(&mut self, way: Way, draft: &mut Draft) {
        (self.way, self.said, self.work) = (way, None, None);
        if way != Way::Nothing {
            return;
        }
        let before = self.before.take().or_else(|| draft.recipe().ok().map(|recipe| plain(recipe)));
        if let Some(before) = before.and_then(|recipe| Draft::of(&recipe).ok()) {
            draft.become_like(before);
        }
        self.named.clear();
    }

    /// Takes the choice over into the recipe.
    pub fn apply(&mut self, draft: &Draft, wake: &Wake) {
        let named = self.named.trim().to_owned();
        if named.is_empty() {
            self.said = None;
            return;
        }
        let own = match (&self.before, draft.recipe()) {
            (Some(before), _) => before.clone(),
            (None, Ok(recipe)) => plain(recipe),
            (None, Err(reason)) => {
                self.said = Some(Err(reason));
                return;
            }
        };
        self.before = Some(own.clone());
        let (way, method, resolution, steps) = (self.way, self.method, self.resolution, self.steps);
        self.said = None;
        self.work = Some(Work::ask("begin", wake, move |_| match way {
            Way::Nothing => Ok(own),
            Way::Weights => from_weights(&own, &named),
            Way::Teacher => distill_recipe::recipe(&own, &named, method).map_err(|e| e.to_string()),
            Way::Run => adapted(&own, &named, resolution, steps),
        }));
    }

    /// Another preset for what begins: sizes that do not come from weights follow it.
    pub fn preset_chosen(&mut self, draft: &Draft, wake: &Wake) {
        self.before = draft.recipe().ok().map(|recipe| plain(recipe));
        if matches!(self.way, Way::Weights | Way::Teacher) {
            self.apply(draft, wake);
        }
    }

    /// Takes in what was opened.
    pub fn listen(&mut self, draft: &mut Draft) {
        if let Some(work) = &mut self.work {
            match work.hear() {
                Some(Ok(recipe)) => {
                    self.work = None;
                    self.said = Some(match Draft::of(&recipe) {
                        Ok(taken) => {
                            draft.become_like(taken);
                            Ok(words(&recipe))
                        }
                        Err(error) => Err(error.to_string()),
                    });
                }
                Some(Err(reason)) => (self.work, self.said) = (None, Some(Err(reason))),
                None if work.over() => {
                    (self.work, self.said) = (None, Some(Err("the weights can't be opened".to_owned())));
                }
                None => {}
            }
        }
        if self.work.is_none() && self.seen != draft.version() {
            self.seen = draft.version();
            self.reflect(draft);
        }
    }

    /// A recipe that came from elsewhere, or was edited by hand, says how it begins.
    fn reflect(&mut self, draft: &Draft) {
        let Ok(recipe) = draft.recipe() else { return };
        let (way, named) = if recipe.distill.is_on() {
            (Way::Teacher, &recipe.distill.teacher)
        } else if recipe.start.weights.is_empty() {
            // What is only chosen and not taken over yet stays chosen.
            if self.said.as_ref().is_some_and(Result::is_ok) {
                (self.way, self.said, self.before) = (Way::Nothing, None, None);
                self.named.clear();
            }
            return;
        } else if recipe.start.heads {
            (Way::Run, &recipe.start.weights)
        } else {
            (Way::Weights, &recipe.start.weights)
        };
        if self.way != way || self.named != *named {
            (self.way, self.named) = (way, named.clone());
            self.said = Some(Ok(words(recipe)));
        }
        if way == Way::Teacher {
            self.method = Some(recipe.distill.method);
        }
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
        Distillation::Heads => {
            "The student learns what the teacher's heads say of crops and patches.".to_owned()
        }
        Distillation::Similarity => {
            "The student learns how similar the teacher finds pictures, and patches within one.".to_owned()
        }
        Distillation::Regression => "The student learns the teacher's features themselves.".to_owned(),
        Distillation::None if recipe.start.heads => format!(
            "Goes on from the run's student, teacher and heads with crops of {} pixels for {} steps.",
            crops.global_size, train.iterations
        ),
        Distillation::None => format!(
            "The backbone is taken over; its heads are new and learn alone for {} steps.",
            recipe.start.hold_backbone
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn heard(begin: &mut Begin, draft: &mut Draft) {
        let began = std::time::Instant::now();
        while begin.busy() {
            assert!(began.elapsed().as_secs() < 60, "no answer");
            begin.listen(draft);
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_teacher_is_taken_over_follows_the_preset_and_is_put_away() {
        let wake: Wake = Arc::new(|| ());
        let (mut begin, mut draft) = (Begin::default(), Draft::default());
        let nano = draft.recipe().unwrap().clone();
        begin.choose(Way::Teacher, &mut draft);
        begin.named = "starter".to_owned();
        begin.apply(&draft, &wake);
        heard(&mut begin, &mut draft);
        // The starter weights come without heads.
        assert!(begin.said().unwrap().unwrap().contains("how similar"), "{:?}", begin.said());
        let recipe = draft.recipe().unwrap().clone();
        assert_eq!((recipe.distill.method, recipe.crops.locals), (Distillation::Similarity, 0));

        draft.choose_preset("tiny");
        begin.preset_chosen(&draft, &wake);
        heard(&mut begin, &mut draft);
        let recipe = draft.recipe().unwrap().clone();
        assert_eq!((recipe.preset.as_str(), recipe.distill.method), ("tiny", Distillation::Similarity));

        draft.choose_preset("nano");
        begin.preset_chosen(&draft, &wake);
        heard(&mut begin, &mut draft);
        begin.choose(Way::Nothing, &mut draft);
        assert_eq!(**draft.recipe().unwrap(), *nano);
    }

    #[test]
    fn what_can_not_be_opened_says_why_and_changes_nothing() {
        let wake: Wake = Arc::new(|| ());
        let (mut begin, mut draft) = (Begin::default(), Draft::default());
        let before = draft.recipe().unwrap().clone();
        for way in [Way::Weights, Way::Teacher, Way::Run] {
            begin.choose(way, &mut draft);
            begin.named = "/no/such/place".to_owned();
            begin.apply(&draft, &wake);
            heard(&mut begin, &mut draft);
            assert!(begin.said().unwrap().unwrap_err().contains("/no/such/place"), "{:?}", begin.said());
            assert_eq!(draft.recipe().unwrap(), &before);
        }
    }

    #[test]
    fn a_recipe_from_elsewhere_shows_how_it_begins() {
        let (mut begin, mut draft) = (Begin::default(), Draft::default());
        draft.set("start.weights", "starter");
        begin.listen(&mut draft);
        assert_eq!((begin.way, begin.named.as_str()), (Way::Weights, "starter"));
        draft.put_back("start.weights");
        begin.listen(&mut draft);
        assert_eq!(begin.way, Way::Nothing);
    }
}
