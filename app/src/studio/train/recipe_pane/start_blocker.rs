//! What is in the way of a start: something that is still to be chosen, or something that is wrong.

use egui::Ui;

use crate::studio::theme;
use crate::studio::train::TrainWorkspace;

/// What is in the way of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartBlocker {
    /// Something is not chosen yet, or still on its way. No fault of anybody's.
    Missing(String),
    /// What was chosen or typed can't be used.
    Wrong(String),
}

impl StartBlocker {
    /// In a sentence.
    pub fn text(&self) -> String {
        match self {
            Self::Missing(text) => text.clone(),
            Self::Wrong(reason) => format!("Can't start: {reason}"),
        }
    }

    /// Draws the sentence, red only where something is wrong.
    pub fn ui(&self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        let colour = if matches!(self, Self::Wrong(_)) { t.bad } else { t.muted };
        ui.add(egui::Label::new(theme::small(self.text()).color(colour)).wrap());
    }
}

impl TrainWorkspace {
    /// What is in the way of a run with what stands in the recipe pane.
    pub(in crate::studio::train) fn start_blocker(&self) -> Option<StartBlocker> {
        let wrong = |reason: &str| Some(StartBlocker::Wrong(reason.to_owned()));
        if self.draft.text("data.path").trim().is_empty() {
            return Some(StartBlocker::Missing("Choose the pictures.".to_owned()));
        }
        let recipe = match self.draft.recipe() {
            Ok(recipe) => recipe,
            Err(reason) => return wrong(&reason),
        };
        if let Some(obstacle) = self.recipe.begin.start_blocker(recipe) {
            return Some(obstacle);
        }
        match (self.lookup.found(), self.root.trouble()) {
            // Why is said where they are chosen.
            (Some(Err(_)), _) => wrong("the pictures can't be used, see above."),
            (_, Some(trouble)) => wrong(trouble),
            _ => None,
        }
    }
}
