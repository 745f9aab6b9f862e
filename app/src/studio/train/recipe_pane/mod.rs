//! The recipe pane: pictures, preset, fields, what the model will be given; its foot starts the run.

pub(super) mod controls;
pub(super) mod data_choice;
pub(super) mod draft;
pub(super) mod fields_ui;
pub(super) mod input_preview;
pub(super) mod own_pictures;
pub(super) mod preset_list;
pub(super) mod recipe_sync;
pub(super) mod run_init;
pub(super) mod run_init_ui;
pub(super) mod runs_folder;
pub(super) mod start_blocker;

use std::path::Path;

use dinoscope_core::data::source::builtin::BuiltinPictures;
use egui::Ui;

use super::actions::TrainAction;
use super::follow::RunListEntry;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::tasks::Wake;
use crate::platform::typed;
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets;
use data_choice::{TrainDataLookup, short};
use draft::RecipeDraft;
use input_preview::InputPreviewState;
use preset_list::PresetEntry;
use run_init::RunInitState;

/// What the pane keeps.
pub struct RecipePane {
    offers: Vec<PresetEntry>,
    search: String,
    /// What the run begins with.
    pub begin: RunInitState,
    /// Crops and masks of the next batch.
    pub given: InputPreviewState,
    /// The folder that was typed last, so that it is there again after a look at the scenes.
    folder: String,
}

impl Default for RecipePane {
    fn default() -> Self {
        Self {
            offers: preset_list::offers(),
            search: String::new(),
            begin: RunInitState::default(),
            given: InputPreviewState::default(),
            folder: String::new(),
        }
    }
}

/// What the pane has to know of the rest.
pub struct RecipePaneContext<'a> {
    /// Whether a run of ours goes on, which takes over some fields at once.
    pub going: bool,
    /// The run whose recipe this is, where it is only to be looked at.
    pub run: Option<&'a str>,
    /// The folder that the gallery's pictures come from.
    pub gallery: Option<&'a Path>,
    /// Runs to begin with.
    pub runs: &'a [RunListEntry],
}

#[derive(Clone, Copy, PartialEq)]
enum TrainDataKind {
    Scenes,
    Procedural,
    Folder,
}

impl RecipePane {
    /// Draws everything above the foot.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        draft: &mut RecipeDraft,
        lookup: &mut TrainDataLookup,
        of: &RecipePaneContext<'_>,
        wake: &Wake,
        actions: &mut Vec<TrainAction>,
    ) {
        widgets::scroll(ui, "recipe", |ui| {
            if let Some(run) = of.run {
                widgets::subheading(ui, &format!("The recipe of {run}"));
                widgets::hint(ui, "What that run was given.");
            }
            // Only looked at: sections open, and nothing in them changes.
            let held = |ui: &mut Ui| {
                if of.run.is_some() {
                    ui.disable();
                }
            };
            widgets::section(ui, "Pictures", true, |ui| {
                held(ui);
                self.pictures(ui, draft, lookup, of.gallery, actions);
            });
            widgets::section(ui, "Begin with", true, |ui| {
                held(ui);
                run_init_ui::ui(ui, &mut self.begin, draft, of.runs, wake, actions);
            });
            widgets::section(ui, "Preset", true, |ui| {
                held(ui);
                if let Some(name) = preset_list::ui(ui, &self.offers, draft.preset_name()) {
                    actions.push(TrainAction::Preset(name.to_owned()));
                }
            });
            widgets::section(ui, "What the model will be given", false, |ui| self.given.ui(ui));
            self.tools(ui, draft, of.run.is_some(), actions);
            fields_ui::ui(ui, draft, &self.search, (of.going, of.run.is_some()), actions);
        });
    }

    fn pictures(
        &mut self,
        ui: &mut Ui,
        draft: &mut RecipeDraft,
        lookup: &mut TrainDataLookup,
        gallery: Option<&Path>,
        actions: &mut Vec<TrainAction>,
    ) {
        let path = draft.text("data.path");
        let builtin = BuiltinPictures::named(path.trim()).ok().flatten();
        let before = match builtin {
            Some(BuiltinPictures::Scenes(_)) => TrainDataKind::Scenes,
            Some(BuiltinPictures::Procedural) => TrainDataKind::Procedural,
            None => TrainDataKind::Folder,
        };
        let mut kind = before;
        widgets::segmented(
            ui,
            "Pictures to train on",
            &mut kind,
            &[
                (TrainDataKind::Scenes, "Built-in scenes"),
                (TrainDataKind::Procedural, "Procedural"),
                (TrainDataKind::Folder, "A folder"),
            ],
        );
        if kind != before {
            let text = match kind {
                TrainDataKind::Scenes => "scenes".to_owned(),
                TrainDataKind::Procedural => "procedural".to_owned(),
                TrainDataKind::Folder => self.folder.clone(),
            };
            if before == TrainDataKind::Folder {
                self.folder = path.clone();
            }
            draft.set("data.path", text);
        }
        if kind == TrainDataKind::Folder {
            let mut text = draft.text("data.path");
            let field = widgets::path_row(ui, "Folder", &mut text, "");
            if field.lost_focus() {
                typed::tidy(&mut text);
            }
            if field.changed() || field.lost_focus() {
                draft.set("data.path", text);
            }
            ui.horizontal_wrapped(|ui| {
                if widgets::button(ui, icons::FOLDER_OPEN, "Choose …").clicked() {
                    actions.push(TrainAction::Ask(DialogPurpose::TrainingData, String::new()));
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
        self.found(ui, draft, lookup);
    }

    /// What the pictures turned out to be; nothing of others than those that are named.
    fn found(&self, ui: &mut Ui, draft: &RecipeDraft, lookup: &TrainDataLookup) {
        let t = theme::tokens(ui);
        let path = draft.text("data.path");
        if path.trim().is_empty() {
            widgets::hint(ui, "A folder of pictures, with all its subfolders.");
            return;
        }
        match lookup.found().filter(|_| lookup.is_for(&path)) {
            None => _ = widgets::hint(ui, "Looking …"),
            Some(Ok(found)) => {
                let classes = if found.labelled { "" } else { " Without classes no k-NN is measured." };
                widgets::hint(ui, &format!("{}.{classes}", found.description));
                if let Some(caution) = &found.caution {
                    ui.add(egui::Label::new(theme::small(caution).color(t.watch)).wrap());
                }
            }
            Some(Err(reason)) => _ = ui.add(egui::Label::new(theme::small(reason).color(t.bad)).wrap()),
        };
    }

    /// Searching, opening, saving, putting everything back.
    fn tools(&mut self, ui: &mut Ui, draft: &mut RecipeDraft, held: bool, actions: &mut Vec<TrainAction>) {
        ui.horizontal(|ui| {
            widgets::subheading(ui, "Fields");
            widgets::icons_at_end(ui, 3);
            let back = |ui: &mut Ui| widgets::icon_button(ui, icons::RESUME, "Put all fields back");
            if ui.add_enabled_ui(!held && draft.changed_in("") > 0, back).inner.clicked() {
                actions.push(TrainAction::PutAllBack);
            }
            if widgets::icon_button(ui, icons::FOLDER_OPEN, "Open a recipe").clicked() {
                actions.push(TrainAction::Ask(DialogPurpose::OpenRecipe, String::new()));
            }
            if widgets::icon_button(ui, icons::SAVE, "Save the recipe as TOML").clicked() {
                let name = format!("{}.toml", draft.preset_name());
                actions.push(TrainAction::Ask(DialogPurpose::SaveRecipe, name));
            }
        });
        widgets::search_field(ui, &mut self.search, "Search the fields");
        ui.add_space(space::XS);
    }
}
