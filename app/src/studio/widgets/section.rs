//! A part of a panel that can be folded away.

use egui::accesskit::Role;
use egui::collapsing_header::CollapsingState;
use egui::{Color32, FontId, Id, Rect, Response, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::paint;
use crate::studio::theme::{self, fonts, icons, space};

/// A header that opens and closes what `add` draws; egui remembers which. The response is the header's.
pub fn section(ui: &mut Ui, title: &str, default_open: bool, add: impl FnOnce(&mut Ui)) -> Response {
    let id = ui.make_persistent_id(("section", title));
    let mut state = CollapsingState::load_with_default_open(ui, id, default_open);
    let builder = UiBuilder::new()
        .id_salt(("heading", title))
        .accessibility_role(Role::Heading)
        .accessibility_label(title);
    let response = ui.scope_builder(builder, |ui| header(ui, title, id, &mut state)).inner;
    state.show_body_unindented(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        add(ui);
        ui.add_space(space::XS);
    });
    response
}

/// What opens and closes it.
fn header(ui: &mut Ui, title: &str, id: Id, state: &mut CollapsingState) -> Response {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), theme::button(ui)), Sense::hover());
    let mut response = ui.interact(rect, id, Sense::click());
    if response.clicked() {
        state.toggle(ui);
        response.mark_changed();
    }
    let open = state.is_open();
    response.widget_info(|| WidgetInfo::labeled(Role::DisclosureTriangle, ui.is_enabled(), title));
    ui.accesskit_node_builder(id, |node| node.set_expanded(open));
    if ui.is_rect_visible(rect) {
        let t = theme::tokens(ui);
        // The title stays on the panel's edge; the ground reaches beyond it.
        let wide = rect.expand2(vec2(space::S, 0.0));
        ui.painter().rect_filled(wide, paint::corners(), paint::ground(&response, Color32::TRANSPARENT, &t));
        let caret = if open { icons::CARET_DOWN } else { icons::CARET_RIGHT };
        let place =
            Rect::from_min_size(pos2(rect.left() - 2.0, rect.top()), vec2(fonts::ICON, rect.height()));
        paint::icon(ui, caret, place, 14.0, t.muted);
        let left = rect.left() + 20.0;
        let galley = paint::line(ui, title, rect.right() - left, FontId::new(fonts::BODY, fonts::semibold()));
        paint::text_at(ui, galley, left, rect, t.text);
        paint::ring(ui, &response, wide, t.accent);
    }
    response
}
