//! Menus that open below what was clicked.

use egui::{Id, Popup, Response, Style, Ui};

use crate::studio::theme::ROW;

/// The style of what lies in a menu: entries with room to their left and right, as high as rows.
fn entries(style: &mut Style) {
    egui::containers::menu::menu_style(style);
    style.spacing.button_padding = egui::vec2(8.0, 4.0);
    style.spacing.interact_size.y = ROW;
}

/// A menu that opens below a button.
pub fn menu(button: &Response) -> Popup<'_> {
    give_back(button);
    Popup::menu(button).style(entries)
}

/// One of several in a list that opens, and closes once one is chosen: a key closes none by itself. Whether another one is
/// chosen now.
pub fn list_entry<T: PartialEq>(ui: &mut Ui, value: &mut T, item: T, text: &str) -> bool {
    let response = ui.selectable_value(value, item, text);
    if response.clicked() {
        ui.close();
    }
    response.changed()
}

/// Gives the keyboard back to a button whose list has closed, where the keyboard was in that list.
pub fn give_back(button: &Response) {
    let ctx = &button.ctx;
    let list = Popup::default_response_id(button);
    let key = list.with("keyboard");
    let focused = ctx.memory(|memory| memory.focused());
    if Popup::is_id_open(ctx, list) {
        if let Some(focused) = focused {
            ctx.data_mut(|data| data.insert_temp(key, focused));
        }
        return;
    }
    let last = ctx.data_mut(|data| {
        let last: Option<Id> = data.get_temp(key);
        data.remove::<Id>(key);
        last
    });
    // Unless it has gone somewhere else of its own accord.
    if last.is_some_and(|last| focused.is_none_or(|focused| focused == last)) {
        button.request_focus();
        ctx.request_repaint();
    }
}

/// A menu that opens where the other button of the pointer was pressed.
pub fn context_menu(of: &Response) -> Popup<'_> {
    Popup::context_menu(of).style(entries)
}
