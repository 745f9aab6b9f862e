//! Every field of a recipe, generated from its table: name, value, meaning, unit, range, and the way back.

use dinoscope_core::train::fields::{self, FIELDS, RecipeField, RecipeFieldKind};
use egui::{Align, Layout, Stroke, TextEdit, Ui, vec2};

use crate::platform::HAS_DISK;
use crate::studio::theme::{self, icons, space};
use crate::studio::train::actions::TrainAction;
use crate::studio::train::draft::{RecipeDraft, number, section_of};
use crate::studio::widgets;

/// Sections of a recipe with what they are called.
const SECTIONS: [(&str, &str); 12] = [
    ("model", "Model"),
    ("crops", "Crops"),
    ("mask", "Masks"),
    ("head", "Heads"),
    ("loss", "Loss"),
    ("gram", "Gram teacher"),
    ("optim", "Optimiser"),
    ("start", "Initial weights"),
    ("distill", "Distillation"),
    ("train", "Training"),
    ("evaluate", "Evaluation"),
    ("data", "Data"),
];

/// Draws all sections, or the fields that a search finds: of a run that goes on, or `held` and only to be looked at.
pub fn ui(
    ui: &mut Ui,
    draft: &mut RecipeDraft,
    search: &str,
    (going, held): (bool, bool),
    actions: &mut Vec<TrainAction>,
) {
    let search = search.trim().to_lowercase();
    if search.is_empty() {
        for (section, title) in SECTIONS {
            let wrong = draft.errors_in(section);
            let changed = draft.changed_in(section);
            let header = widgets::section(ui, title, false, |ui| {
                if held {
                    ui.disable();
                }
                FIELDS
                    .iter()
                    .filter(|f| section_of(f.key) == section)
                    .for_each(|f| field(ui, draft, f, going, actions));
            });
            count(ui, header.rect, changed, wrong);
        }
        return;
    }
    if held {
        ui.disable();
    }
    let mut found = 0;
    for f in FIELDS.iter().filter(|f| f.key != "preset" && matches(f, &search)) {
        found += 1;
        field(ui, draft, f, going, actions);
    }
    if found == 0 {
        widgets::hint(ui, "No field has this in its name or meaning.");
    }
}

/// Whether every word that is searched for is in a field's name or meaning.
fn matches(field: &RecipeField, search: &str) -> bool {
    let text = format!("{} {} {}", field.key, label(field.key), field.meaning).to_lowercase();
    search.split_whitespace().all(|word| text.contains(word))
}

/// How many fields of a section are changed or wrong, at the right of its header.
fn count(ui: &Ui, header: egui::Rect, changed: usize, wrong: usize) {
    let t = theme::tokens(ui);
    let (text, colour) = match (changed, wrong) {
        (0, 0) => return,
        (_, 1..) => (format!("{wrong} wrong"), t.bad),
        _ => (format!("{changed} changed"), t.accent),
    };
    let at = header.right_center() - vec2(space::XS, 0.0);
    let font = egui::FontId::proportional(theme::fonts::SMALL);
    ui.painter().text(at, egui::Align2::RIGHT_CENTER, text, font, colour);
}

/// What a field is called: the last part of its name, in words.
pub fn label(key: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    let words: Vec<String> = last.split('_').map(word).collect();
    let text = words.join(" ");
    let mut letters = text.chars();
    match letters.next() {
        // iBOT keeps its small letter.
        Some(first) if !text.starts_with("iBOT") => first.to_uppercase().chain(letters).collect(),
        _ => text,
    }
}

fn word(word: &str) -> String {
    match word {
        "lr" => "LR",
        "ffn" => "feed-forward",
        "dim" => "width",
        "ibot" => "iBOT",
        "dino" => "DINO",
        "koleo" => "KoLeo",
        "optim" => "optimiser",
        "scale" => "area",
        other => other,
    }
    .to_owned()
}

/// One field: its value in a row with the way back, and below it what it means or what is wrong.
fn field(ui: &mut Ui, draft: &mut RecipeDraft, f: &RecipeField, going: bool, actions: &mut Vec<TrainAction>) {
    let t = theme::tokens(ui);
    let name = label(f.key);
    let changed = draft.is_changed(f.key);
    let wrong = draft.error(f.key).map(str::to_owned);
    let top = ui.cursor().min;
    ui.horizontal(|ui| {
        let width = ui.available_width() - theme::row(ui) - space::S;
        ui.allocate_ui_with_layout(vec2(width, theme::row(ui)), Layout::top_down(Align::Min), |ui| {
            ui.set_width(width);
            if input(ui, draft, f, &name, wrong.is_some()) && going && f.live {
                actions.push(TrainAction::Live(f.key));
            }
        });
        if changed {
            let what = format!("Put {} back to {}", f.key, draft.default_text(f.key));
            if widgets::icon_button(ui, icons::RESUME, &what).clicked() {
                draft.put_back(f.key);
                if going && f.live {
                    actions.push(TrainAction::Live(f.key));
                }
            }
        } else {
            ui.allocate_exact_size(vec2(theme::row(ui), theme::row(ui)), egui::Sense::hover());
        }
    });
    match &wrong {
        Some(what) => ui.add(egui::Label::new(theme::small(what).color(t.bad)).wrap()),
        None => widgets::hint(ui, &about(draft, f, going)),
    }
    .on_hover_text(f.key);
    if changed || wrong.is_some() {
        let bottom = ui.min_rect().bottom();
        let bar = egui::Rect::from_min_max(egui::pos2(top.x - 8.0, top.y), egui::pos2(top.x - 5.0, bottom));
        ui.painter().rect_filled(bar, 1.0, if wrong.is_some() { t.bad } else { t.accent });
    }
    ui.add_space(space::S);
}

/// Meaning, range, what the preset says, and whether a run takes it over.
fn about(draft: &RecipeDraft, f: &RecipeField, going: bool) -> String {
    let mut text = format!("{}.", f.meaning);
    let kind = fields::kind(f.key);
    if matches!(kind, Some(RecipeFieldKind::Whole | RecipeFieldKind::Number | RecipeFieldKind::Pair)) {
        let unit = if f.unit.is_empty() { String::new() } else { format!(" {}", f.unit) };
        text += &format!(" {} to {}{unit}", number(f.range.0), number(f.range.1));
        text += &format!("; {}: {}.", draft.preset_name(), draft.default_text(f.key));
    } else if draft.is_changed(f.key) {
        text += &format!(" {}: {}.", draft.preset_name(), draft.default_text(f.key));
    }
    match (going, f.live) {
        (true, true) => text += " Changes at once.",
        (true, false) => text += " Needs a new run.",
        (false, _) => {}
    }
    text
}

/// The value itself. True when a person is done with changing it.
fn input(ui: &mut Ui, draft: &mut RecipeDraft, f: &RecipeField, name: &str, wrong: bool) -> bool {
    let text = draft.text(f.key);
    match fields::kind(f.key) {
        Some(RecipeFieldKind::Switch) => {
            let mut on = text == "true";
            let changed = widgets::switch(ui, name, &mut on).changed();
            if changed {
                draft.set(f.key, on.to_string());
            }
            changed
        }
        Some(RecipeFieldKind::Choice(words)) => {
            let mut value = text;
            let items: Vec<(String, String)> =
                words.iter().map(|w| ((*w).to_owned(), (*w).to_owned())).collect();
            let changed = widgets::choice_row(ui, name, &mut value, &items).changed();
            if changed {
                draft.set(f.key, value);
            }
            changed
        }
        Some(RecipeFieldKind::Pair) => {
            let (low, high) = text.split_once(',').unwrap_or((text.as_str(), ""));
            let (mut low, mut high) = (low.trim().to_owned(), high.trim().to_owned());
            widgets::row(ui, name, |ui, width| {
                let each = (width - space::S) / 2.0;
                let a = line(ui, &mut low, each, "", wrong);
                let b = line(ui, &mut high, each, "", wrong);
                if a.changed() || b.changed() {
                    draft.set(f.key, format!("{low}, {high}"));
                }
                a.lost_focus() || b.lost_focus()
            })
        }
        // Without a disk files have paths that nobody knows: they are given and chosen, not typed.
        Some(RecipeFieldKind::Path) if !HAS_DISK => {
            widgets::path_row(ui, name, &mut { text }, "");
            false
        }
        _ => {
            let mut value = text;
            widgets::row(ui, name, |ui, width| {
                let response = line(ui, &mut value, width, f.unit, wrong);
                if response.changed() {
                    draft.set(f.key, value.clone());
                }
                response.lost_focus()
            })
        }
    }
}

/// A line to write into, with a border that says when something is wrong.
fn line(ui: &mut Ui, text: &mut String, width: f32, unit: &str, wrong: bool) -> egui::Response {
    let t = theme::tokens(ui);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        let rest = if wrong { t.bad } else { t.border };
        widgets.inactive.bg_stroke = Stroke::new(1.0, rest);
        widgets.hovered.bg_stroke = Stroke::new(1.0, if wrong { t.bad } else { t.muted });
        let mut edit = TextEdit::singleline(text).desired_width(width).align(egui::Align2::LEFT_CENTER);
        // A long unit would leave no room for the number.
        if !unit.is_empty() && unit.len() < 12 && width > 110.0 {
            edit = edit.suffix(egui::RichText::new(unit.to_owned()).color(t.muted));
        }
        ui.add_sized([width, theme::row(ui)], edit)
    })
    .inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_by_words_and_found_by_them() {
        let names = ["optim.base_lr", "head.ibot_prototypes", "loss.koleo", "model.ffn"].map(label);
        assert_eq!(names, ["Base LR", "iBOT prototypes", "KoLeo", "Feed-forward"]);
        let found =
            |search: &str| FIELDS.iter().filter(|f| matches(f, search)).map(|f| f.key).collect::<Vec<_>>();
        assert_eq!(found("train.batch"), ["train.batch"]);
        assert!(found("learning rate").contains(&"optim.layer_decay"), "by meaning");
        assert!(found("local crops").contains(&"crops.locals"));
        assert!(found("zebra").is_empty());
    }

    #[test]
    fn every_field_is_in_a_section() {
        for f in FIELDS.iter().filter(|f| f.key != "preset") {
            assert!(SECTIONS.iter().any(|(section, _)| *section == section_of(f.key)), "{}", f.key);
        }
    }
}
