//! Panels where there is room for one column: on a phone, or in a very narrow window.

use crate::studio::panels::{NarrowPlace, StudioPane, Workspace};
use crate::studio::theme::space;
use crate::studio::widgets;

/// Points below which there is room for one column.
pub const WIDEST: f32 = 600.0;
/// Share of the height that a panel has which shows above the others.
const ABOVE: f32 = 0.5;

/// Which panel shows in each workspace.
#[derive(Clone, Copy, Debug)]
pub struct NarrowLayout {
    explore: StudioPane,
    train: StudioPane,
    evaluate: StudioPane,
    curate: StudioPane,
}

impl Default for NarrowLayout {
    fn default() -> Self {
        Self {
            explore: StudioPane::Gallery,
            train: StudioPane::Recipe,
            evaluate: StudioPane::Setup,
            curate: StudioPane::Heap,
        }
    }
}

impl NarrowLayout {
    /// Draws the workspace; `pane` draws a panel.
    pub fn ui(
        &mut self,
        ui: &mut egui::Ui,
        workspace: Workspace,
        mut pane: impl FnMut(&mut egui::Ui, StudioPane),
    ) {
        let shown = match workspace {
            Workspace::Explore => &mut self.explore,
            Workspace::Train => &mut self.train,
            Workspace::Evaluate => &mut self.evaluate,
            Workspace::Curate => &mut self.curate,
        };
        let mut choices = Vec::new();
        for entry in workspace.panels() {
            match entry.narrow {
                NarrowPlace::Choice(name) => choices.push((entry.pane, name)),
                NarrowPlace::Above => {
                    let size = egui::vec2(ui.available_width(), (ui.available_height() * ABOVE).floor());
                    let (place, _) = ui.allocate_exact_size(size, egui::Sense::hover());
                    let mut above = ui.new_child(egui::UiBuilder::new().id_salt("picture").max_rect(place));
                    above.set_clip_rect(place);
                    pane(&mut above, entry.pane);
                }
            }
        }
        egui::Frame::new().inner_margin(egui::Margin::symmetric(12, 6)).show(ui, |ui| {
            widgets::segmented(ui, "Panel", shown, &choices);
        });
        ui.add_space(space::XS);
        pane(ui, *shown);
    }
}
