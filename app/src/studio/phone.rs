//! Panels where there is room for one column: on a phone, or in a very narrow window.

use super::layout::{Pane, Workspace};
use super::theme::space;
use super::widgets;

/// Points below which there is room for one column.
pub const WIDEST: f32 = 600.0;
/// Share of the height that the picture has while one explores.
const PICTURE: f32 = 0.5;

/// Which panel shows in each workspace.
#[derive(Clone, Copy, Debug)]
pub struct Phone {
    explore: Pane,
    train: Pane,
    evaluate: Pane,
}

impl Default for Phone {
    fn default() -> Self {
        Self { explore: Pane::Gallery, train: Pane::Recipe, evaluate: Pane::Question }
    }
}

const EXPLORE: [(Pane, &str); 3] = [(Pane::Gallery, "Pictures"), (Pane::View, "View"), (Pane::Log, "Log")];
const TRAIN: [(Pane, &str); 5] = [
    (Pane::Recipe, "Recipe"),
    (Pane::Watched, "Pictures"),
    (Pane::Health, "Run"),
    (Pane::Curves, "Curves"),
    (Pane::Log, "Log"),
];

const EVALUATE: [(Pane, &str); 4] = [
    (Pane::Question, "Question"),
    (Pane::Findings, "Findings"),
    (Pane::Evidence, "Evidence"),
    (Pane::Log, "Log"),
];

impl Phone {
    /// Draws the workspace; `pane` draws a panel.
    pub fn ui(&mut self, ui: &mut egui::Ui, workspace: Workspace, mut pane: impl FnMut(&mut egui::Ui, Pane)) {
        let (shown, choices): (_, &[_]) = match workspace {
            Workspace::Explore => (&mut self.explore, &EXPLORE),
            Workspace::Train => (&mut self.train, &TRAIN),
            Workspace::Evaluate => (&mut self.evaluate, &EVALUATE),
        };
        if workspace == Workspace::Explore {
            let size = egui::vec2(ui.available_width(), (ui.available_height() * PICTURE).floor());
            let (place, _) = ui.allocate_exact_size(size, egui::Sense::hover());
            let mut above = ui.new_child(egui::UiBuilder::new().id_salt("picture").max_rect(place));
            above.set_clip_rect(place);
            pane(&mut above, Pane::Picture);
        }
        egui::Frame::new().inner_margin(egui::Margin::symmetric(12, 6)).show(ui, |ui| {
            widgets::segmented(ui, "Panel", shown, choices);
        });
        ui.add_space(space::XS);
        pane(ui, *shown);
    }
}
