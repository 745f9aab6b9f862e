//! Widgets that only say something.

use egui::accesskit::Role;
use egui::{FontFamily, FontId, Label, Layout, Response, RichText, Sense, Ui, WidgetInfo, vec2};

use super::{paint, row};
use crate::studio::theme::{self, fonts, space};

/// How something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusTone {
    /// It is just so.
    #[default]
    Neutral,
    /// It is the one that counts.
    Accent,
    /// All is well.
    Good,
    /// Worth a look.
    Watch,
    /// Wrong.
    Bad,
}

impl StatusTone {
    /// The colour of text in this tone.
    pub fn colour(self, t: &theme::ThemeTokens) -> egui::Color32 {
        match self {
            Self::Neutral => t.muted,
            Self::Accent => t.accent,
            Self::Good => t.good,
            Self::Watch => t.watch,
            Self::Bad => t.bad,
        }
    }

    /// The ground under it.
    pub fn ground(self, t: &theme::ThemeTokens) -> egui::Color32 {
        match self {
            Self::Neutral => t.raised,
            Self::Accent => t.accent_soft,
            Self::Good => t.good_soft,
            Self::Watch => t.watch_soft,
            Self::Bad => t.bad_soft,
        }
    }
}

/// A small note.
pub fn hint(ui: &mut Ui, text: &str) -> Response {
    let colour = theme::tokens(ui).muted;
    ui.add(Label::new(theme::small(text).color(colour)))
}

/// A large title.
pub fn heading(ui: &mut Ui, text: &str) -> Response {
    as_heading(ui.label(theme::heading(text)), text)
}

/// The title of a part of a panel; cut where there is no room for all of it.
pub fn subheading(ui: &mut Ui, text: &str) -> Response {
    as_heading(ui.add(Label::new(theme::strong(text)).truncate()), text)
}

/// Who listens goes from one heading to the next.
fn as_heading(said: Response, text: &str) -> Response {
    said.ctx.accesskit_node_builder(said.id, |node| {
        node.set_role(Role::Heading);
        node.clear_value();
        node.set_label(text);
    });
    said
}

/// A word on a ground of its own.
pub fn badge(ui: &mut Ui, text: &str, tone: StatusTone) -> Response {
    let font = FontId::new(fonts::SMALL, FontFamily::Proportional);
    let galley = paint::line(ui, text, ui.available_width() - 16.0, font);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x.ceil() + 16.0, 20.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, ui.is_enabled(), text));
    let t = theme::tokens(ui);
    ui.painter().rect_filled(rect, 4.0, tone.ground(&t));
    let cut = galley.elided;
    paint::text_at(ui, galley, rect.left() + 8.0, rect, tone.colour(&t));
    if cut { response.on_hover_text(text) } else { response }
}

/// A name and a value that can be selected and copied. The response is the value's.
pub fn property(ui: &mut Ui, name: &str, value: &str) -> Response {
    let (left, right) = row::columns(ui.available_width());
    let colour = theme::tokens(ui).muted;
    let cells = |ui: &mut Ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, 0.0);
        let cell = |ui: &mut Ui, width: f32, label: Label| {
            ui.allocate_ui_with_layout(vec2(width, fonts::LINE), Layout::top_down(egui::Align::Min), |ui| {
                ui.set_width(width);
                ui.add(label)
            })
            .inner
        };
        let line = |text: &str| RichText::new(text).line_height(Some(fonts::LINE));
        let name = cell(ui, left, Label::new(line(name).color(colour)).wrap());
        cell(ui, right, Label::new(line(value)).selectable(true).wrap()).labelled_by(name.id)
    };
    if left == right { ui.vertical(cells).inner } else { ui.horizontal_top(cells).inner }
}

/// What a place is for while there is nothing in it. The response is of the whole.
pub fn empty_state(ui: &mut Ui, icon: &str, title: &str, hint: &str) -> Response {
    let t = theme::tokens(ui);
    ui.vertical_centered(|ui| {
        ui.spacing_mut().item_spacing.y = space::S;
        let (rect, _) = ui.allocate_exact_size(vec2(64.0, 64.0), Sense::hover());
        ui.painter().circle_filled(rect.center(), 32.0, t.raised);
        paint::icon(ui, icon, rect, 32.0, t.muted);
        ui.add_space(space::S);
        heading(ui, title);
        let text = RichText::new(hint).color(t.muted).line_height(Some(fonts::LINE));
        // Lines as long as can be read at ease.
        let width = ui.available_width().min(360.0);
        ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(egui::Align::Center), |ui| {
            ui.set_max_width(width);
            ui.add(Label::new(text).wrap());
        });
    })
    .response
}
