//! One of a few, side by side.

use egui::accesskit::Role;
use egui::{EventFilter, FontId, Key, Rect, Response, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::paint;
use crate::studio::theme::{self, fonts};
use crate::studio::touch;

const INSET: f32 = 2.0;
/// Beside each text, where there is room.
const PADDING: f32 = 12.0;
/// Beside each text, where there is little.
const LEAST: f32 = 4.0;

/// One of `items` is chosen. Tab reaches the chosen one, arrow keys move the choice.
pub fn segmented<T: PartialEq + Clone>(
    ui: &mut Ui,
    label: &str,
    value: &mut T,
    items: &[(T, &str)],
) -> Response {
    let builder = UiBuilder::new()
        .id_salt(("segmented", label))
        .accessibility_role(Role::RadioGroup)
        .accessibility_label(label);
    ui.scope_builder(builder, |ui| group(ui, value, items)).inner
}

/// A row's; where fingers choose, each choice is as high as they need.
fn height(ui: &Ui) -> f32 {
    if touch::is(ui) { theme::row(ui) + 2.0 * INSET } else { theme::row(ui) }
}

fn group<T: PartialEq + Clone>(ui: &mut Ui, value: &mut T, items: &[(T, &str)]) -> Response {
    let t = theme::tokens(ui);
    let font = FontId::new(fonts::BODY, egui::FontFamily::Proportional);
    // What fingers work is as wide as it is high.
    let least = if touch::is(ui) { theme::row(ui) - 2.0 * LEAST } else { 0.0 };
    let texts: Vec<f32> = items
        .iter()
        .map(|(_, text)| paint::line(ui, text, f32::INFINITY, font.clone()).size().x.ceil().max(least))
        .collect();
    let text = texts.iter().sum::<f32>();
    let count = items.len() as f32;
    // Where there is too little room, first the air goes, then each gives up the same share of its own.
    let room = ui.available_width() - 2.0 * INSET;
    let air = ((room - text) / (2.0 * count.max(1.0))).floor().clamp(LEAST, PADDING);
    let wanted = text + 2.0 * air * count;
    let share = (room / wanted.max(1.0)).clamp(0.0, 1.0);
    let width = wanted * share + 2.0 * INSET;
    let height = height(ui);
    let (rect, mut all) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
    ui.painter().rect_filled(rect, paint::corners(), t.raised);

    let chosen = items.iter().position(|(item, _)| item == value);
    let mut next = None;
    let mut left = rect.left() + INSET;
    let mut ids = Vec::with_capacity(items.len());
    for (index, ((_, text), own)) in items.iter().zip(texts).enumerate() {
        let wide = (own + 2.0 * air) * share;
        let place = Rect::from_min_size(pos2(left, rect.top() + INSET), vec2(wide, height - 2.0 * INSET));
        left += wide;
        let on = chosen == Some(index);
        // One stop for the keyboard: the chosen one, or the first where none is.
        let stop = on || (chosen.is_none() && index == 0);
        let id = ui.unique_id().with(index);
        ids.push(id);
        let mut response = ui.interact(place, id, if stop { Sense::click() } else { Sense::CLICK });
        if response.clicked() {
            next = Some(index);
        }
        if response.has_focus() {
            let filter =
                EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
            let step = ui.input(|input| {
                let forth = input.num_presses(Key::ArrowRight) + input.num_presses(Key::ArrowDown);
                let back = input.num_presses(Key::ArrowLeft) + input.num_presses(Key::ArrowUp);
                forth as i64 - back as i64
            });
            if step != 0 {
                next = Some((index as i64 + step).rem_euclid(items.len() as i64) as usize);
            }
        }
        if next == Some(index) && !on {
            response.mark_changed();
        }
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), on, text));
        let (ground, colour) = match (on, response.hovered()) {
            (true, _) => (t.accent_soft, t.accent),
            (false, true) => (t.hovered, t.text),
            (false, false) => (egui::Color32::TRANSPARENT, t.muted),
        };
        ui.painter().rect_filled(place, 4.0, ground);
        let galley = paint::line(ui, text, place.width() - 2.0 * LEAST, font.clone());
        let cut = galley.elided;
        paint::text_at(ui, galley.clone(), place.center().x - 0.5 * galley.size().x, place, colour);
        paint::ring(ui, &response, place, t.accent);
        if cut {
            response = response.on_hover_text(*text);
        }
        all |= response;
    }
    if let Some(next) = next
        && chosen != Some(next)
        && let Some((item, _)) = items.get(next)
    {
        *value = item.clone();
        all.mark_changed();
        // The keyboard goes with the choice.
        if let Some(id) = ids.get(next)
            && ids.iter().any(|id| ui.memory(|memory| memory.has_focus(*id)))
        {
            ui.memory_mut(|memory| memory.request_focus(*id));
        }
    }
    all
}
