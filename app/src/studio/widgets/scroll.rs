//! What is longer than its place: the bar stands beside the controls, never over them.

use egui::{Id, ScrollArea, Ui, UiBuilder};

use crate::studio::theme::GUTTER;

/// Points between what the keyboard has come to and the edge.
const MARGIN: f32 = 8.0;

/// A column that scrolls. Its bar has a gutter of its own: in the margin of the panel where there is one, so that nothing
/// is narrower than above and below it, else at the edge. The gutter is there with and without a bar: nothing jumps.
pub fn scroll<R>(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    scroll_with(ui, name, ScrollArea::vertical().auto_shrink(false), |ui, area| {
        area.show(ui, |ui| {
            beside_bar(ui);
            let shown = add(ui);
            follow_focus(ui);
            shown
        })
        .inner
    })
}

/// What the keyboard has just come to is scrolled into sight.
fn follow_focus(ui: &Ui) {
    let focused = ui.memory(|memory| memory.focused());
    let last = ui.unique_id().with("focused");
    if ui.data_mut(|data| std::mem::replace(data.get_temp_mut_or_default::<Option<Id>>(last), focused))
        == focused
    {
        return;
    }
    let Some(there) = focused.and_then(|id| ui.ctx().read_response(id)) else { return };
    let mine = there.layer_id == ui.layer_id() && ui.min_rect().contains(there.rect.center());
    if mine && !ui.clip_rect().contains_rect(there.rect) {
        ui.scroll_to_rect(there.rect.expand(MARGIN), None);
    }
}

/// The same for an area with ways of its own; `show` is given a place that includes the gutter, and leaves that free by
/// [`beside_bar`].
pub fn scroll_with<R>(
    ui: &mut Ui,
    name: &str,
    area: ScrollArea,
    show: impl FnOnce(&mut Ui, ScrollArea) -> R,
) -> R {
    let place = ui.available_rect_before_wrap();
    let margin = (ui.clip_rect().right() - place.right()).clamp(0.0, GUTTER);
    let mut child = ui.new_child(
        UiBuilder::new()
            .id_salt(name)
            .max_rect(place.with_max_x(place.right() + margin))
            .layout(*ui.layout()),
    );
    // The gutter is kept free by `beside_bar`.
    child.spacing_mut().scroll.floating_allocated_width = 0.0;
    let shown = show(&mut child, area.id_salt(name));
    let used = child.min_rect();
    ui.advance_cursor_after_rect(used.with_max_x(used.right().min(place.right()).max(used.left())));
    shown
}

/// Leaves the gutter free for the bar, inside an area that scrolls.
pub fn beside_bar(ui: &mut Ui) {
    ui.spacing_mut().scroll.floating_allocated_width = GUTTER;
    ui.set_width((ui.available_width() - GUTTER).max(0.0));
}
