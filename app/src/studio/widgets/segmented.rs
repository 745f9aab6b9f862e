//! One of a few, side by side.

use egui::accesskit::Role;
use egui::{EventFilter, FontId, Key, Rect, Response, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::paint;
use crate::studio::theme::{self, ROW, fonts};

const INSET: f32 = 2.0;
const PADDING: f32 = 12.0;

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

fn group<T: PartialEq + Clone>(ui: &mut Ui, value: &mut T, items: &[(T, &str)]) -> Response {
    let t = theme::tokens(ui);
    let font = FontId::new(fonts::BODY, egui::FontFamily::Proportional);
    let widths: Vec<f32> = items
        .iter()
        .map(|(_, text)| paint::line(ui, text, f32::INFINITY, font.clone()).size().x.ceil() + 2.0 * PADDING)
        .collect();
    let wanted = widths.iter().sum::<f32>() + 2.0 * INSET;
    let width = wanted.min(ui.available_width()).max(2.0 * INSET);
    // Where there is too little room, each gives up the same share of its own.
    let share = (width - 2.0 * INSET) / (wanted - 2.0 * INSET).max(1.0);
    let (rect, mut all) = ui.allocate_exact_size(vec2(width, ROW), Sense::hover());
    ui.painter().rect_filled(rect, paint::corners(), t.raised);

    let chosen = items.iter().position(|(item, _)| item == value);
    let mut next = None;
    let mut left = rect.left() + INSET;
    let mut ids = Vec::with_capacity(items.len());
    for (index, ((_, text), wide)) in items.iter().zip(widths).enumerate() {
        let place =
            Rect::from_min_size(pos2(left, rect.top() + INSET), vec2(wide * share, ROW - 2.0 * INSET));
        left += wide * share;
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
        let galley = paint::line(ui, text, place.width() - 8.0, font.clone());
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
