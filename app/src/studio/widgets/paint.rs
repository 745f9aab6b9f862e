//! What the widgets have in common when they paint: grounds, rings and lines of text.

use std::sync::Arc;

use egui::text::Galley;
use egui::{
    Color32, CornerRadius, FontId, Rect, Response, Stroke, StrokeKind, TextWrapMode, Ui, WidgetText, pos2,
};

use crate::studio::theme::{RADIUS, RING, ThemeTokens, fonts};

/// The ground of something clickable: at rest, under the pointer, pressed.
pub(super) fn ground(response: &Response, rest: Color32, t: &ThemeTokens) -> Color32 {
    if response.is_pointer_button_down_on() {
        t.pressed
    } else if response.hovered() || response.highlighted() {
        t.hovered
    } else {
        rest
    }
}

/// Rounded corners of everything.
pub(super) fn corners() -> CornerRadius {
    CornerRadius::same(RADIUS)
}

/// The ring around what has the keyboard.
pub(super) fn ring(ui: &Ui, response: &Response, rect: Rect, colour: Color32) {
    if response.has_focus() {
        ui.painter().rect_stroke(rect, corners(), Stroke::new(RING, colour), StrokeKind::Inside);
    }
}

/// One line of text, cut with … at `width`.
pub(super) fn line(ui: &Ui, text: &str, width: f32, font: FontId) -> Arc<Galley> {
    WidgetText::from(text).into_galley(ui, Some(TextWrapMode::Truncate), width.max(0.0), font)
}

/// Paints `galley` with its middle at the height of `rect`'s and its left edge at `left`.
pub(super) fn text_at(ui: &Ui, galley: Arc<Galley>, left: f32, rect: Rect, colour: Color32) {
    let top = rect.center().y - 0.5 * galley.size().y;
    ui.painter().galley_with_override_text_color(pos2(left, top), galley, colour);
}

/// Paints an icon in the middle of `rect`.
pub(super) fn icon(ui: &Ui, icon: &str, rect: Rect, size: f32, colour: Color32) {
    let galley = ui.painter().layout_no_wrap(icon.to_owned(), fonts::icon(size), colour);
    let at = rect.center() - 0.5 * galley.size();
    ui.painter().galley(at, galley, colour);
}
