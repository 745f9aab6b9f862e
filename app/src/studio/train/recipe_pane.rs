//! The recipe pane: pictures, preset, fields, what the model will be given; its foot starts the run.

use std::path::Path;

use egui::Ui;

use super::acts::Act;
use super::begin::Begin;
use super::begin_ui;
use super::data_pick::{Lookup, short};
use super::draft::Draft;
use super::fields_ui;
use super::follow::Listed;
use super::given::Given;
use super::preset_pick::{self, Offer};
use super::work::Wake;
use crate::studio::platform::Purpose;
use crate::studio::theme::{self, icons, space};
use crate::studio::typed;
use crate::studio::widgets;

/// What the pane keeps.
pub struct RecipePane {
    offers: Vec<Offer>,
    search: String,
    /// What the run begins with.
    pub begin: Begin,
    /// Crops and masks of the next batch.
    pub given: Given,
    /// The folder that was typed last, so that it is there again after a look at the scenes.
    folder: String,
}

impl Default for RecipePane {
    fn default() -> Self {
        Self {
            offers: preset_pick::offers(),
            search: String::new(),
            begin: Begin::default(),
            given: Given::default(),
            folder: String::new(),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Scenes,
    Folder,
}

impl RecipePane {
    /// Draws everything above the foot.
    #[allow(clippy::too_many_arguments)]
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        draft: &mut Draft,
        lookup: &mut Lookup,
        gallery: Option<&Path>,
        runs: &[Listed],
        going: bool,
        wake: &Wake,
        acts: &mut Vec<Act>,
    ) {
        widgets::scroll(ui, "recipe", |ui| {
            widgets::section(ui, "Pictures", true, |ui| self.pictures(ui, draft, lookup, gallery, acts));
            widgets::section(ui, "Begin with", true, |ui| {
                begin_ui::ui(ui, &mut self.begin, draft, runs, wake, acts);
            });
            widgets::section(ui, "Preset", true, |ui| {
                if let Some(name) = preset_pick::ui(ui, &self.offers, draft.preset_name()) {
                    acts.push(Act::Preset(name.to_owned()));
                }
            });
            widgets::section(ui, "What the model will be given", false, |ui| self.given.ui(ui));
            ui.add_space(space::XS);
            self.tools(ui, draft, acts);
            fields_ui::ui(ui, draft, &self.search, going, acts);
        });
    }

    fn pictures(
        &mut self,
        ui: &mut Ui,
        draft: &mut Draft,
        lookup: &mut Lookup,
        gallery: Option<&Path>,
        acts: &mut Vec<Act>,
    ) {
        let path = draft.text("data.path");
        let before = if path == "scenes" { Kind::Scenes } else { Kind::Folder };
        let mut kind = before;
        widgets::segmented(
            ui,
            "Pictures to train on",
            &mut kind,
            &[(Kind::Scenes, "Built-in scenes"), (Kind::Folder, "A folder")],
        );
        if kind != before {
            let text = if kind == Kind::Scenes { "scenes".to_owned() } else { self.folder.clone() };
            if kind == Kind::Scenes {
                self.folder = path.clone();
            }
            draft.set("data.path", text);
        }
        if kind == Kind::Folder {
            let mut text = draft.text("data.path");
            let field = widgets::text_row(ui, "Folder", &mut text, "");
            if field.lost_focus() {
                typed::tidy(&mut text);
            }
            if field.changed() || field.lost_focus() {
                draft.set("data.path", text);
            }
            ui.horizontal_wrapped(|ui| {
                if widgets::button(ui, icons::FOLDER_OPEN, "Choose …").clicked() {
                    acts.push(Act::Ask(Purpose::TrainingData, String::new()));
                }
                if let Some(folder) = gallery {
                    let label = format!("The gallery's: {}", short(&folder.to_string_lossy()));
                    if widgets::button(ui, icons::GALLERY, &label).clicked() {
                        draft.set("data.path", folder.to_string_lossy());
                        lookup.again();
                    }
                }
            });
            let mut labels = draft.text("data.labels") == "true";
            if widgets::switch(ui, "Subfolders are classes", &mut labels).changed() {
                draft.set("data.labels", labels.to_string());
            }
        }
        self.found(ui, lookup);
    }

    fn found(&self, ui: &mut Ui, lookup: &Lookup) {
        let t = theme::tokens(ui);
        match lookup.found() {
            None => widgets::hint(ui, "Looking …"),
            Some(Ok(found)) if found.labelled => widgets::hint(ui, &format!("{}.", found.description)),
            Some(Ok(found)) => {
                widgets::hint(ui, &format!("{}. Without classes no k-NN is measured.", found.description))
            }
            Some(Err(reason)) => ui.add(egui::Label::new(theme::small(reason).color(t.bad)).wrap()),
        };
    }

    /// Searching, opening, saving, putting everything back.
    fn tools(&mut self, ui: &mut Ui, draft: &mut Draft, acts: &mut Vec<Act>) {
        ui.horizontal(|ui| {
            ui.label(theme::strong("Fields"));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if widgets::icon_button(ui, icons::SAVE, "Save the recipe as TOML").clicked() {
                    let name = format!("{}.toml", draft.preset_name());
                    acts.push(Act::Ask(Purpose::SaveRecipe, name));
                }
                if widgets::icon_button(ui, icons::FOLDER_OPEN, "Open a recipe").clicked() {
                    acts.push(Act::Ask(Purpose::OpenRecipe, String::new()));
                }
                let back = |ui: &mut Ui| widgets::icon_button(ui, icons::RESUME, "Put all fields back");
                if ui.add_enabled_ui(draft.changed_in("") > 0, back).inner.clicked() {
                    acts.push(Act::PutAllBack);
                }
            });
        });
        widgets::search_field(ui, &mut self.search, "Search the fields");
        ui.add_space(space::XS);
    }
}
