//! Fields to write into.

use egui::accesskit::Role;
use egui::{Align2, Key, Label, Rect, Response, RichText, TextEdit, Ui, WidgetInfo, vec2};

use super::row::{row, row_for, width_of, with_border};
use super::{WidgetLabel, icon_button};
use crate::platform::HAS_DISK;
use crate::platform::names;
use crate::studio::theme::{self, fonts, icons};

/// Between a field's edge and its text, on either side.
const FIELD_MARGIN: f32 = 6.0;

/// A row with a line of text. `hint` shows while it is empty.
pub fn text_row<'a>(
    ui: &mut Ui,
    label: impl Into<WidgetLabel<'a>>,
    text: &mut String,
    hint: &str,
) -> Response {
    // A hint that is cut helps nobody.
    let needs = width_of(ui, hint) + 2.0 * FIELD_MARGIN;
    row_for(ui, label.into(), needs, |ui, width| {
        let response = with_border(ui, |ui| {
            ui.add_sized(
                [width, theme::row(ui)],
                TextEdit::singleline(text).hint_text(hint).desired_width(width).align(Align2::LEFT_CENTER),
            )
        });
        // For egui a hint is a name, and the row's own would be lost.
        ui.accesskit_node_builder(response.id, |node| {
            if node.placeholder().is_some() {
                node.clear_placeholder();
                node.set_description(hint);
            }
        });
        response
    })
}

/// A row with a file or folder. In a page it can only be given, and is shown by its name.
pub fn path_row<'a>(
    ui: &mut Ui,
    label: impl Into<WidgetLabel<'a>>,
    path: &mut String,
    hint: &str,
) -> Response {
    if HAS_DISK {
        return text_row(ui, label, path, hint);
    }
    let known = names::known(path.trim());
    let named = if known.is_empty() { "drop it on the page, or choose it" } else { known.as_ref() };
    row(ui, label, |ui, width| {
        ui.set_max_width(width);
        ui.add(Label::new(named).truncate())
    })
}

/// A field that looks for something; Escape and the cross empty it.
pub fn search_field(ui: &mut Ui, text: &mut String, hint: &str) -> Response {
    let width = ui.available_width().min(320.0);
    let t = theme::tokens(ui);
    with_border(ui, |ui| {
        let glass = RichText::new(icons::SEARCH).font(fonts::icon(fonts::ICON)).color(t.muted);
        let filled = !text.is_empty();
        let edit = TextEdit::singleline(text).hint_text(hint).prefix(glass).align(Align2::LEFT_CENTER);
        let side = theme::row(ui);
        let mut response = ui.add_sized([width, side], edit);
        // Escape has taken the keyboard away already.
        let mut clear = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Escape));
        if filled {
            let at = Rect::from_center_size(
                response.rect.right_center() - vec2(0.5 * side, 0.0),
                vec2(side, side),
            );
            clear |= ui.put(at, |ui: &mut Ui| icon_button(ui, icons::CLOSE, "Empty the field")).clicked();
        }
        if clear {
            text.clear();
            response.mark_changed();
        }
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::SearchInput, ui.is_enabled(), hint);
            info.current_text_value = Some(text.clone());
            info
        });
        response
    })
}
