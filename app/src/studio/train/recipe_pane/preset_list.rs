//! The presets with what they mean, one below the other.

use dinoscope_core::train::network::NetworkConfig;
use dinoscope_core::train::{Recipe, presets};
use egui::accesskit::Role;
use egui::{Align2, FontId, Sense, Stroke, StrokeKind, TextWrapMode, Ui, WidgetInfo, pos2, vec2};

use crate::studio::theme::{self, fonts, space};
use crate::studio::train::words;
use crate::studio::widgets;

/// A preset in a line.
pub struct PresetEntry {
    /// Its name.
    pub name: &'static str,
    /// Size of the backbone, steps, pictures a step.
    pub line: String,
    /// Trainable values, as they are told of a run.
    pub parameters: String,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether it is one of those that a person begins with, without a GPU.
    pub first: bool,
}

/// All presets, smallest first.
pub fn offers() -> Vec<PresetEntry> {
    presets::NAMES.iter().filter_map(|name| offer(name)).collect()
}

fn offer(name: &'static str) -> Option<PresetEntry> {
    let recipe = Recipe::preset(name).ok()?;
    let config = NetworkConfig::from(&recipe);
    let line = format!(
        "{BACKBONE}{} · {} steps of {} pictures",
        words::short(config.backbone.parameters() as f64),
        words::count(recipe.train.iterations),
        words::count(recipe.train.batch as u64)
    );
    let purpose = match name {
        "demo" => "A minute, from the starter",
        "own" => "Minutes, on your pictures",
        "nano" => "Minutes, from nothing",
        "tiny" => "An hour on a laptop's GPU",
        "small" => "A day on one desktop GPU",
        "vitl16-short" => "ImageNet-1k, a day on 32 GPUs",
        _ => "The official long recipe, many GPUs",
    };
    let parameters = words::parameters(&recipe, config.parameters());
    Some(PresetEntry { name, line, parameters, purpose, first: matches!(name, "demo" | "own" | "nano") })
}

/// Draws them. The name of the one that was chosen now.
pub fn ui(ui: &mut Ui, offers: &[PresetEntry], chosen: &str) -> Option<&'static str> {
    let mut picked = None;
    ui.spacing_mut().item_spacing.y = space::XS;
    for offer in offers.iter().filter(|offer| offer.first) {
        if row(ui, offer, chosen) {
            picked = Some(offer.name);
        }
    }
    let larger = offers.iter().any(|offer| !offer.first && offer.name == chosen);
    widgets::section(ui, "Larger presets", larger, |ui| {
        for offer in offers.iter().filter(|offer| !offer.first) {
            if row(ui, offer, chosen) {
                picked = Some(offer.name);
            }
        }
    });
    picked
}

/// Narrower, and what a preset is for gets a line of its own.
const NARROW: f32 = 250.0;
/// What the first number of a line is of; where there is no room, it has to do without.
const BACKBONE: &str = "backbone ";

fn row(ui: &mut Ui, offer: &PresetEntry, chosen: &str) -> bool {
    let t = theme::tokens(ui);
    let on = offer.name == chosen;
    let width = ui.available_width();
    let narrow = width < NARROW;
    let size = vec2(width, if narrow { 58.0 } else { theme::row(ui).max(39.0) });
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| {
        let label = format!(
            "Preset {}: {}; {}; parameters: {}",
            offer.name, offer.purpose, offer.line, offer.parameters
        );
        WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), on, label)
    });
    if ui.is_rect_visible(rect) {
        let ground = match (on, response.hovered()) {
            (true, _) => t.accent_soft,
            (false, true) => t.hovered,
            (false, false) => t.raised,
        };
        ui.painter().rect_filled(rect, theme::RADIUS, ground);
        let stroke = Stroke::new(if response.has_focus() { theme::RING } else { 1.0 }, t.accent);
        if on || response.has_focus() {
            ui.painter().rect_stroke(rect, theme::RADIUS, stroke, StrokeKind::Inside);
        }
        let (left, top) = (rect.left() + 10.0, rect.top() + 5.0);
        let name = FontId::new(fonts::BODY, fonts::semibold());
        let at = ui.painter().text(pos2(left, top), Align2::LEFT_TOP, offer.name, name, t.text);
        let small = |text: &str, at: egui::Pos2| {
            let (mode, font) = (Some(TextWrapMode::Truncate), FontId::proportional(fonts::SMALL));
            let room = rect.right() - 8.0 - at.x;
            let line = egui::WidgetText::from(text).into_galley(ui, mode, room, font);
            ui.painter().galley_with_override_text_color(at, line, t.muted);
        };
        let beside = if narrow { pos2(left, top + 17.0) } else { pos2(at.right() + space::S, top + 1.0) };
        small(offer.purpose, beside);
        let font = FontId::proportional(fonts::SMALL);
        let width = |text: &str| ui.painter().layout_no_wrap(text.to_owned(), font.clone(), t.muted).size().x;
        let forms = [offer.line.clone(), offer.line.replace(" pictures", "")];
        let line = forms.iter().find(|line| left + width(line) <= rect.right() - 8.0);
        let line = line.map_or(offer.line.trim_start_matches(BACKBONE), String::as_str);
        small(line, pos2(left, rect.bottom() - 20.0));
    }
    let clicked = response.clicked() && !on;
    response.on_hover_text(format!("{}\n{}\nParameters: {}", offer.purpose, offer.line, offer.parameters));
    clicked
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_offered_with_its_size() {
        let offers = offers();
        assert_eq!(offers.len(), presets::NAMES.len());
        let nano = offers.iter().find(|offer| offer.name == "nano").unwrap();
        assert!(nano.first && nano.line.contains("240 steps of 32 pictures"));
        // In the words in which a run tells it.
        assert!(nano.line.starts_with("backbone 473 k ·"), "{}", nano.line);
        assert_eq!(nano.parameters, "backbone 473 k, with heads 589 k");
        let vitl14 = offers.iter().find(|offer| offer.name == "vitl14");
        assert!(vitl14.is_some_and(|offer| !offer.first && offer.line.contains("625,000 steps")));
    }
}
