//! Buttons: with an icon alone, with a name, the one loud button, and the one that takes something away.

use egui::accesskit::Role;
use egui::{Color32, FontFamily, FontId, Response, Sense, Ui, WidgetInfo, vec2};

use super::{WidgetLabel, paint};
use crate::studio::theme::{self, fonts};

/// Between icon and name.
const GAP: f32 = 6.0;
/// Beside what stands in a usual button.
const PADDING: f32 = 12.0;
/// An icon looks lighter than a letter at the edge: a little less room before it.
const OPTICAL: f32 = 2.0;

#[derive(Clone, Copy, PartialEq)]
enum ButtonVariant {
    Usual,
    Primary,
    Danger,
}

/// An icon to click. Its name is in the tooltip.
pub fn icon_button<'a>(ui: &mut Ui, icon: &str, label: impl Into<WidgetLabel<'a>>) -> Response {
    let label = label.into();
    let side = theme::row(ui);
    let response = ui.allocate_response(vec2(side, side), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), label.text));
    paint_icon_button(ui, icon, &response, false);
    label.explain(response, true)
}

/// An icon that is on or off. Its name is in the tooltip.
pub fn toggle_icon<'a>(
    ui: &mut Ui,
    icon: &str,
    label: impl Into<WidgetLabel<'a>>,
    on: &mut bool,
) -> Response {
    let label = label.into();
    let side = theme::row(ui);
    let mut response = ui.allocate_response(vec2(side, side), Sense::click());
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    response.widget_info(|| WidgetInfo::selected(Role::Button, ui.is_enabled(), *on, label.text));
    paint_icon_button(ui, icon, &response, *on);
    label.explain(response, true)
}

fn paint_icon_button(ui: &Ui, icon: &str, response: &Response, on: bool) {
    if !ui.is_rect_visible(response.rect) {
        return;
    }
    let t = theme::tokens(ui);
    let rest = if on { t.accent_soft } else { Color32::TRANSPARENT };
    let ground =
        if on && !response.is_pointer_button_down_on() { rest } else { paint::ground(response, rest, &t) };
    ui.painter().rect_filled(response.rect, paint::corners(), ground);
    let colour = match (on, response.hovered() || response.has_focus()) {
        (true, _) => t.accent,
        (false, true) => t.text,
        (false, false) => t.muted,
    };
    paint::icon(ui, icon, response.rect, 18.0, colour);
    paint::ring(ui, response, response.rect, t.accent);
}

/// A button with a name; without an icon if that is empty.
pub fn button<'a>(ui: &mut Ui, icon: &str, label: impl Into<WidgetLabel<'a>>) -> Response {
    named_button(ui, icon, label.into(), ButtonVariant::Usual)
}

/// The loud button. One in a view.
pub fn primary_button<'a>(ui: &mut Ui, icon: &str, label: impl Into<WidgetLabel<'a>>) -> Response {
    named_button(ui, icon, label.into(), ButtonVariant::Primary)
}

/// A button that takes something away.
pub fn danger_button<'a>(ui: &mut Ui, icon: &str, label: impl Into<WidgetLabel<'a>>) -> Response {
    named_button(ui, icon, label.into(), ButtonVariant::Danger)
}

/// Points that a usual button takes where there is room for its whole name.
pub fn button_width(ui: &Ui, icon: &str, label: &str) -> f32 {
    let font = FontId::new(fonts::BODY, FontFamily::Proportional);
    let text = paint::line(ui, label, f32::INFINITY, font).size().x;
    let before = if icon.is_empty() { 0.0 } else { fonts::ICON + GAP - OPTICAL };
    (2.0 * PADDING + before + text).ceil()
}

fn named_button(ui: &mut Ui, icon: &str, label: WidgetLabel<'_>, weight: ButtonVariant) -> Response {
    let (padding, family) = match weight {
        ButtonVariant::Primary => (16.0, fonts::semibold()),
        _ => (PADDING, FontFamily::Proportional),
    };
    let before = if icon.is_empty() { 0.0 } else { fonts::ICON + GAP };
    let room = ui.available_width() - 2.0 * padding - before;
    let galley = paint::line(ui, label.text, room, FontId::new(fonts::BODY, family));
    let optical = if icon.is_empty() { 0.0 } else { OPTICAL };
    let size = vec2((2.0 * padding - optical + before + galley.size().x).ceil(), theme::button(ui));
    let response = ui.allocate_response(size, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), label.text));
    let cut = galley.elided;
    if ui.is_rect_visible(response.rect) {
        let t = theme::tokens(ui);
        let loud = response.hovered() || response.is_pointer_button_down_on();
        let (ground, colour) = match weight {
            ButtonVariant::Usual => (paint::ground(&response, t.raised, &t), t.text),
            ButtonVariant::Primary if loud => (t.accent_hovered, t.on_accent),
            ButtonVariant::Primary => (t.accent, t.on_accent),
            ButtonVariant::Danger if loud => (t.bad_soft, t.bad),
            ButtonVariant::Danger => (t.raised, t.bad),
        };
        let rect = response.rect;
        ui.painter().rect_filled(rect, paint::corners(), ground);
        let mut left = rect.left() + padding - optical;
        if !icon.is_empty() {
            let place =
                egui::Rect::from_min_size(egui::pos2(left, rect.top()), vec2(fonts::ICON, rect.height()));
            paint::icon(ui, icon, place, fonts::ICON, colour);
            left += before;
        }
        paint::text_at(ui, galley, left, rect, colour);
        match weight {
            // An accent ring on the accent would not be seen.
            ButtonVariant::Primary => paint::ring(ui, &response, rect.shrink(2.0), t.on_accent),
            _ => paint::ring(ui, &response, rect, t.accent),
        }
    }
    label.explain(response, cut)
}
