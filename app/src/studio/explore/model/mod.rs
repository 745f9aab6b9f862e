//! Which model looks: the starter weights, a file, a run, a released one.

pub(super) mod address;
pub(super) mod model_fetch;

use std::path::Path;

use dinoscope_core::explore::{ModelInfo, ModelSource, split_part, with_part};
use dinoscope_core::files;
use dinoscope_core::weights::{HEADS_UNKNOWN, PartOfName};

use super::ExploreWorkspace;
use crate::platform::dialogs::DialogPurpose;
use crate::studio::app_context::AppContext;
use crate::studio::models::{config_words, source_menu};
use crate::studio::theme::{self, icons};
use crate::studio::widgets;

/// What asks for the model: a file, a run.
const DIALOGS: [DialogPurpose; 2] = [DialogPurpose::OpenWeights, DialogPurpose::OpenRun];

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
        if let Some(source) = source_menu(&response, app, DIALOGS) {
            self.use_model(app, source);
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
