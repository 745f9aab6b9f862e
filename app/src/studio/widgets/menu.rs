//! Menus that open below what was clicked.

use egui::{Popup, Response, Style};

use crate::studio::theme::ROW;

/// The style of what lies in a menu: entries with room to their left and right, as high as rows.
fn entries(style: &mut Style) {
    egui::containers::menu::menu_style(style);
    style.spacing.button_padding = egui::vec2(8.0, 4.0);
    style.spacing.interact_size.y = ROW;
}

/// A menu that opens below a button.
pub fn menu(button: &Response) -> Popup<'_> {
    Popup::menu(button).style(entries)
}

/// A menu that opens where the other button of the pointer was pressed.
pub fn context_menu(of: &Response) -> Popup<'_> {
    Popup::context_menu(of).style(entries)
}
