//! Which model looks: the starter weights, a file, a run, a released one.

pub(super) mod address;
pub(super) mod model_fetch;

use std::path::Path;

use dinoscope_core::explore::{ModelInfo, ModelSource, split_part, with_part};
use dinoscope_core::files;
use dinoscope_core::weights::{HEADS_UNKNOWN, PartOfName};

use super::ExploreWorkspace;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::{HAS_DISK, models};
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, icons};
use crate::studio::widgets;

/// Whether a path that was dropped or pasted is a model and no picture.
pub fn is_weights(path: &Path) -> bool {
    let (path, _) = split_part(path);
    let kinds = ["safetensors", "pth", "pt", "bin", "ckpt", "distcp"];
    let by_name = path.extension().and_then(|kind| kind.to_str());
    let holds = |name: &str| files::is_file(path.join(name));
    by_name.is_some_and(|kind| kinds.iter().any(|known| kind.eq_ignore_ascii_case(known)))
        || path.to_string_lossy().ends_with(".index.json")
        || holds("recipe.toml")
        || holds("teacher.safetensors")
        || holds(".metadata")
        || (holds("config.json") && ["model.safetensors", "pytorch_model.bin"].into_iter().any(holds))
}

impl ExploreWorkspace {
    /// The chooser, and what is known about the model.
    pub(super) fn model_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        let name = self.model_name();
        // Of two models each has its letter.
        let (letter, which) = if self.compares() { ("A  ", "Model A") } else { ("", "Model") };
        let width = ui.available_width();
        let button = egui::Button::new(format!("{}  {letter}{name}", icons::MODEL))
            .truncate()
            .min_size(egui::vec2(width, theme::button(ui)));
        let response = ui.add(button);
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("{which}: {name}"))
        });
        match source_menu(&response, app) {
            Some(SourceChoice::Model(source)) => self.use_model(app, source),
            Some(SourceChoice::Dialog) => self.asked_for_second = false,
            None => {}
        }
        self.opening_ui(ui);
        if let Some(model) = &self.model {
            widgets::hint(ui, &config_words(model));
            for text in &model.notes {
                widgets::hint(ui, text);
            }
        }
        let heads = self.model.as_ref().and_then(|model| heads_choice(ui, model, "heads"));
        if let Some(source) = heads {
            self.use_model(app, source);
        }
        self.compared_pane(ui, app);
    }
}

/// What was chosen in a menu of models.
pub(super) enum SourceChoice {
    /// This one.
    Model(ModelSource),
    /// What a dialog will say.
    Dialog,
}

/// A menu below a button with all that can look.
pub(super) fn source_menu(button: &egui::Response, app: &AppContext) -> Option<SourceChoice> {
    let mut chosen = None;
    widgets::menu(button).show(|ui| {
        ui.set_min_width(260.0);
        // A key closes no menu by itself.
        let entry = |ui: &mut egui::Ui, text: &str| {
            let clicked = ui.button(text).clicked();
            if clicked {
                ui.close();
            }
            clicked
        };
        if entry(ui, "Starter weights") {
            chosen = Some(SourceChoice::Model(ModelSource::Starter));
        }
        if entry(ui, "A file of weights…") {
            app.dialogs.ask(DialogPurpose::OpenWeights, "");
            chosen = Some(SourceChoice::Dialog);
        }
        if HAS_DISK && entry(ui, "A run or a folder of weights…") {
            app.dialogs.ask(DialogPurpose::OpenRun, "");
            chosen = Some(SourceChoice::Dialog);
        }
        ui.separator();
        widgets::hint(ui, "Released by Meta AI, under its own licence");
        for (name, state) in models::released() {
            if entry(ui, &format!("{name}   {state}")) {
                chosen = Some(SourceChoice::Model(ModelSource::Released(name)));
            }
        }
    });
    chosen
}

/// A model's sizes in words.
pub(super) fn config_words(model: &ModelInfo) -> String {
    let c = &model.config;
    let registers = if c.registers > 0 { format!(", {} registers", c.registers) } else { String::new() };
    let positions = if c.rope.is_some() { ", rotary positions" } else { "" };
    format!(
        "{:.1} M parameters, {} blocks, {} wide, {} heads, patch {}{registers}{positions}",
        model.parameters as f64 / 1e6,
        c.depth,
        c.dim,
        c.heads,
        c.patch
    )
}

/// The number of heads of a file that does not say it, to be said by who knows; the model with that number.
pub(super) fn heads_choice(ui: &mut egui::Ui, model: &ModelInfo, salt: &str) -> Option<ModelSource> {
    let ModelSource::Path(path) = &model.source else { return None };
    let (dim, heads) = (model.config.dim, model.config.heads);
    let told = split_part(path).1.is_some_and(|part| PartOfName::of(&part).heads.is_some());
    if !told && !model.notes.iter().any(|note| note.starts_with(HEADS_UNKNOWN)) {
        return None;
    }
    let mut chosen = heads;
    let called = |heads: usize| format!("{heads} heads of {}", dim / heads);
    let shown = egui::ComboBox::from_id_salt(salt).selected_text(called(heads)).show_ui(ui, |ui| {
        for heads in (1..=dim / 8).filter(|heads| dim.is_multiple_of(*heads) && dim / heads <= 256) {
            ui.selectable_value(&mut chosen, heads, called(heads));
        }
    });
    let hint =
        "The file does not say how many attention heads it has. With a wrong number features are wrong.";
    let name = format!("Attention heads: {}", called(heads));
    let labelled = || egui::WidgetInfo::labeled(egui::Role::ComboBox, true, &name);
    shown.response.on_hover_text(hint).widget_info(labelled);
    (chosen != heads).then(|| ModelSource::Path(with_part(path, None, Some(chosen))))
}
