//! The presets with what they mean, one below the other.

use dinoscope_core::train::network::NetworkConfig;
use dinoscope_core::train::{Recipe, presets};
use egui::accesskit::Role;
use egui::{Align2, FontId, Sense, Ui, WidgetInfo, vec2};

use super::words;
use crate::studio::theme::{self, fonts, space};
use crate::studio::widgets;

/// A preset in a line.
pub struct Offer {
    /// Its name.
    pub name: &'static str,
    /// Size, steps, pictures a step.
    pub line: String,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether it is one of the small ones, for one GPU or none.
    pub small: bool,
}

/// All presets, smallest first.
pub fn offers() -> Vec<Offer> {
    presets::NAMES.iter().filter_map(|name| offer(name)).collect()
}

fn offer(name: &'static str) -> Option<Offer> {
    let recipe = Recipe::preset(name).ok()?;
    let parameters = NetworkConfig::from(&recipe).backbone.parameters();
    let line = format!(
        "{} weights · {} steps of {} pictures",
        words::short(parameters as f64),
        words::count(recipe.train.iterations),
        words::count(recipe.train.batch as u64)
    );
    let purpose = match name {
        "nano" => "Minutes on a processor",
        "tiny" => "An hour on a laptop's GPU",
        "small" => "A day on one desktop GPU",
        "vitl16-short" => "ImageNet-1k, a day on 32 GPUs",
        _ => "The official long recipe, many GPUs",
    };
    Some(Offer { name, line, purpose, small: matches!(name, "nano" | "tiny" | "small") })
}

/// Draws them. The name of the one that was chosen now.
pub fn ui(ui: &mut Ui, offers: &[Offer], chosen: &str) -> Option<&'static str> {
    let mut picked = None;
    ui.spacing_mut().item_spacing.y = space::XS;
    for offer in offers.iter().filter(|offer| offer.small) {
        if row(ui, offer, chosen) {
            picked = Some(offer.name);
        }
    }
    let official = offers.iter().any(|offer| !offer.small && offer.name == chosen);
    widgets::section(ui, "Official presets", official, |ui| {
        for offer in offers.iter().filter(|offer| !offer.small) {
            if row(ui, offer, chosen) {
                picked = Some(offer.name);
            }
        }
    });
    picked
}

fn row(ui: &mut Ui, offer: &Offer, chosen: &str) -> bool {
    let t = theme::tokens(ui);
    let on = offer.name == chosen;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::click());
    response.widget_info(|| {
        let label = format!("Preset {}: {}; {}", offer.name, offer.purpose, offer.line);
        WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), on, label)
    });
    if ui.is_rect_visible(rect) {
        let ground = match (on, response.hovered()) {
            (true, _) => t.accent_soft,
            (false, true) => t.hovered,
            (false, false) => t.raised,
        };
        let painter = ui.painter().with_clip_rect(ui.clip_rect().intersect(rect));
        painter.rect_filled(rect, theme::RADIUS, ground);
        let stroke = egui::Stroke::new(if response.has_focus() { theme::RING } else { 1.0 }, t.accent);
        if on || response.has_focus() {
            painter.rect_stroke(rect, theme::RADIUS, stroke, egui::StrokeKind::Inside);
        }
        let small = FontId::proportional(fonts::SMALL);
        let left = rect.left() + 10.0;
        let name = FontId::new(fonts::BODY, fonts::semibold());
        let top = rect.top() + 7.0;
        let at = painter.text(egui::pos2(left, top), Align2::LEFT_TOP, offer.name, name, t.text);
        let beside = egui::pos2(at.right() + space::S, top + 1.0);
        let cut = |text: &str, from: f32| {
            let mode = Some(egui::TextWrapMode::Truncate);
            egui::WidgetText::from(text).into_galley(ui, mode, rect.right() - 8.0 - from, small.clone())
        };
        painter.galley_with_override_text_color(beside, cut(offer.purpose, beside.x), t.muted);
        let line = cut(&offer.line, left);
        let below = egui::pos2(left, rect.bottom() - 7.0 - line.size().y);
        painter.galley_with_override_text_color(below, line, t.muted);
    }
    let clicked = response.clicked() && !on;
    response.on_hover_text(format!("{}\n{}", offer.purpose, offer.line));
    clicked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_offered_with_its_size() {
        let offers = offers();
        assert_eq!(offers.len(), presets::NAMES.len());
        assert!(offers[0].small && offers[0].line.contains("240 steps of 32 pictures"));
        let vitl14 = offers.iter().find(|offer| offer.name == "vitl14");
        assert!(vitl14.is_some_and(|offer| !offer.small && offer.line.contains("625,000 steps")));
    }
}
