//! A widget's name, and the keys that do the same.

use egui::{KeyboardShortcut, Response, RichText};

use crate::studio::theme;

/// What a widget is called, with its keyboard shortcut if it has one. A text alone will do.
#[derive(Clone, Copy, Debug)]
pub struct WidgetLabel<'a> {
    /// The name.
    pub text: &'a str,
    /// The shortcut, which whoever owns the widget listens for.
    pub keys: Option<KeyboardShortcut>,
}

impl<'a> From<&'a str> for WidgetLabel<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, keys: None }
    }
}

impl<'a> From<&'a String> for WidgetLabel<'a> {
    fn from(text: &'a String) -> Self {
        Self { text, keys: None }
    }
}

impl<'a> From<(&'a str, KeyboardShortcut)> for WidgetLabel<'a> {
    fn from((text, keys): (&'a str, KeyboardShortcut)) -> Self {
        Self { text, keys: Some(keys) }
    }
}

impl WidgetLabel<'_> {
    /// Tells assistive technology the shortcut, and shows a tooltip: always where the name can't be read (`hidden`),
    /// elsewhere only if there is a shortcut to tell.
    pub(super) fn explain(&self, response: Response, hidden: bool) -> Response {
        let keys = self.keys.map(|keys| response.ctx.format_shortcut(&keys));
        if let Some(keys) = &keys {
            response
                .ctx
                .accesskit_node_builder(response.id, |node| node.set_keyboard_shortcut(keys.as_str()));
        }
        if !hidden && keys.is_none() {
            return response;
        }
        let contents = |ui: &mut egui::Ui| {
            // A row of text, not of things to click.
            ui.spacing_mut().interact_size.y = 20.0;
            ui.horizontal(|ui| {
                ui.label(self.text);
                if let Some(keys) = &keys {
                    ui.label(RichText::new(keys).color(theme::tokens(ui).muted));
                }
            });
        };
        // Who walks with the keyboard reads an icon's name as well.
        if hidden && response.has_focus() && !response.hovered() {
            response.show_tooltip_ui(contents);
            response
        } else {
            response.on_hover_ui(contents)
        }
    }
}
