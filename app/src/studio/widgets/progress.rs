//! How far something is.

use egui::accesskit::Role;
use egui::{FontFamily, FontId, Rect, Response, Sense, Ui, WidgetInfo, pos2, vec2};

use super::{icon_button, paint};
use crate::studio::theme::{self, fonts, icons, space};

/// A bar under `text`. Without a fraction something is under way and nobody knows how far.
pub fn progress(ui: &mut Ui, fraction: impl Into<Option<f32>>, text: &str) -> Response {
    bar(ui, fraction.into(), text, ui.available_width())
}

/// The same with a way out: whether it was taken.
pub fn progress_with_cancel(ui: &mut Ui, fraction: impl Into<Option<f32>>, text: &str) -> bool {
    let fraction = fraction.into();
    ui.horizontal(|ui| {
        bar(ui, fraction, text, ui.available_width() - theme::row(ui) - space::S);
        icon_button(ui, icons::CLOSE, "Cancel").clicked()
    })
    .inner
}

fn bar(ui: &mut Ui, fraction: Option<f32>, text: &str, width: f32) -> Response {
    let fraction = fraction.filter(|fraction| fraction.is_finite()).map(|fraction| fraction.clamp(0.0, 1.0));
    let (rect, response) = ui.allocate_exact_size(vec2(width.max(32.0), 32.0), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, ui.is_enabled(), text);
        info.value = fraction.map(|fraction| f64::from(100.0 * fraction));
        info
    });
    ui.accesskit_node_builder(response.id, |node| {
        node.set_min_numeric_value(0.0);
        node.set_max_numeric_value(100.0);
    });
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let t = theme::tokens(ui);
    let font = FontId::new(fonts::SMALL, FontFamily::Proportional);
    let line = Rect::from_min_max(rect.min, pos2(rect.right(), rect.bottom() - 10.0));
    let percent = fraction.map_or(String::new(), |fraction| format!("{:.0}\u{a0}%", 100.0 * fraction));
    let percent = paint::line(ui, &percent, f32::INFINITY, font.clone());
    let room = rect.width() - percent.size().x - space::S;
    let percent_at = rect.right() - percent.size().x;
    paint::text_at(ui, paint::line(ui, text, room, font), rect.left(), line, t.text);
    paint::text_at(ui, percent, percent_at, line, t.muted);
    let rail =
        Rect::from_min_max(pos2(rect.left(), rect.bottom() - 7.0), pos2(rect.right(), rect.bottom() - 3.0));
    ui.painter().rect_filled(rail, 2.0, t.pressed);
    let (from, to) = match fraction {
        Some(fraction) => (0.0, fraction),
        None => {
            ui.request_repaint();
            let at = (ui.input(|input| input.time) * 0.6).fract() as f32 * 1.3 - 0.3;
            (at.max(0.0), (at + 0.3).min(1.0))
        }
    };
    let at = |part: f32| rail.left() + part * rail.width();
    if to > from {
        let done = Rect::from_min_max(pos2(at(from), rail.top()), pos2(at(to), rail.bottom()));
        ui.painter().rect_filled(done, 2.0, t.accent);
    }
    response
}
