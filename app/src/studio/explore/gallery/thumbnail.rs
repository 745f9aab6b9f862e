//! A picture in the strip: its thumbnail, its name, and how it stands.

use egui::{
    Align2, Color32, CornerRadius, FontId, Rect, Sense, Stroke, StrokeKind, TextureHandle, TextureId, Ui,
    vec2,
};

use crate::platform::names;
use crate::studio::explore::gallery::GalleryItem;
use crate::studio::explore::pixel_store::ImageOrigin;
use crate::studio::theme::{self, fonts, icons};
use crate::studio::{touch, widgets};

/// Height of a name below its picture.
pub const NAME: f32 = 18.0;
/// Characters of a long name's end that stay: `…_0031.jpg`.
const END: usize = 8;

/// What a person did with a picture of the strip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThumbnailAction {
    /// Shows it.
    Choose,
    /// Shows it beside the chosen one, or no more.
    Beside,
    /// Adds it to the selection, or takes it out.
    Select,
    /// Closes it.
    Close,
    /// Closes all that are selected.
    CloseSelected,
}

/// How a picture stands.
#[derive(Clone, Copy)]
pub struct ThumbnailState {
    /// It is the large one.
    pub chosen: bool,
    /// It is selected.
    pub marked: bool,
    /// Others are selected too.
    pub several: bool,
    /// It shows beside the large one.
    pub beside: bool,
}

/// Draws it; `over` is a layer over the thumbnail.
pub fn ui(
    ui: &mut Ui,
    item: &GalleryItem,
    side: f32,
    thumb: Option<&TextureHandle>,
    over: Option<TextureId>,
    state: ThumbnailState,
) -> Option<ThumbnailAction> {
    let t = theme::tokens(ui.ctx());
    let (place, response) = ui.allocate_exact_size(vec2(side, side + NAME), Sense::click());
    let rect = Rect::from_min_size(place.min, vec2(side, side));
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::Button, true, state.chosen, item.name.clone())
    });
    let painter = ui.painter();
    let radius = CornerRadius::same(theme::RADIUS);
    painter.rect_filled(rect, radius, t.raised);
    if let Some(thumb) = thumb {
        let uv = middle(thumb.size_vec2());
        for texture in [Some(thumb.id()), over].into_iter().flatten() {
            let shape =
                egui::epaint::RectShape::filled(rect, radius, Color32::WHITE).with_texture(texture, uv);
            painter.add(shape);
        }
    }
    let frame = |colour, width: f32, apart: f32| {
        painter.rect_stroke(rect.shrink(apart), radius, Stroke::new(width, colour), StrokeKind::Inside);
    };
    let selected = state.marked && state.several;
    if state.chosen || state.beside || selected {
        // Between frame and picture, so that the frame is seen on pictures of its own colour.
        frame(t.panel, 1.5, 3.0);
        frame(if state.beside && !state.chosen { t.watch } else { t.accent }, 3.0, 0.0);
    } else if response.hovered() {
        frame(t.border, 1.0, 0.0);
    }
    if selected {
        let at = rect.right_top() + vec2(-13.0, 13.0);
        painter.circle(at, 8.0, t.accent, Stroke::new(1.5, t.panel));
        painter.text(at, Align2::CENTER_CENTER, icons::CHECK, fonts::icon(11.0), t.on_accent);
    }
    if response.has_focus() {
        frame(t.text, theme::RING, 0.0);
    }
    let font = FontId::proportional(fonts::SMALL);
    let colour = if state.chosen || selected { t.text } else { t.muted };
    let width = |text: &str| painter.layout_no_wrap(text.to_owned(), font.clone(), colour).size().x;
    let name = shortened(&item.name, side, width);
    let at = rect.center_bottom() + vec2(0.0, 2.0);
    painter.text(at, Align2::CENTER_TOP, name, font.clone(), colour);

    let mut click = None;
    if response.clicked() {
        let modifiers = ui.input(|input| input.modifiers);
        click = Some(match modifiers {
            m if m.shift => ThumbnailAction::Beside,
            m if m.command => ThumbnailAction::Select,
            _ => ThumbnailAction::Choose,
        });
    }
    if response.has_focus() && ui.input(|input| input.key_pressed(egui::Key::Delete)) {
        click = Some(if selected { ThumbnailAction::CloseSelected } else { ThumbnailAction::Close });
    }
    widgets::context_menu(&response).show(|ui| {
        let select = if state.marked { "Take out of the selection" } else { "Add to the selection" };
        let mut entries = vec![
            ("Show beside the chosen picture", ThumbnailAction::Beside),
            (select, ThumbnailAction::Select),
            ("Close this picture", ThumbnailAction::Close),
        ];
        if selected {
            entries.push(("Close the selected pictures", ThumbnailAction::CloseSelected));
        }
        for (label, how) in entries {
            if ui.button(label).clicked() {
                click = Some(how);
                ui.close();
            }
        }
        if let ImageOrigin::File(path) = &item.origin
            && ui.button("Copy its path").clicked()
        {
            ui.ctx().copy_text(path.display().to_string());
            ui.close();
        }
    });
    let size = item.size.map_or(String::new(), |[w, h]| format!("\n{w} × {h}"));
    let hint =
        touch::words(ui, "", "\nShift+click: beside the chosen one · Ctrl+click: select · Delete: close");
    response.on_hover_text(format!("{}{size}{hint}", names::known(&item.called())));
    click
}

/// A name that fits: of a long one the middle is left out, as what differs is mostly at the end.
fn shortened(name: &str, room: f32, width: impl Fn(&str) -> f32) -> String {
    let whole = width(name);
    if whole <= room {
        return name.to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let end: String = letters[letters.len().saturating_sub(END)..].iter().collect();
    let most = letters.len().saturating_sub(END + 1);
    // About as many as there is room for; then exactly.
    let guess = (letters.len() as f32 * room / whole.max(1.0)) as usize;
    let with = |begin: usize| format!("{}…{end}", letters[..begin].iter().collect::<String>());
    let begin = guess.saturating_sub(END).min(most) + 2;
    (0..=begin.min(most))
        .rev()
        .map(with)
        .find(|text| width(text) <= room)
        .unwrap_or_else(|| format!("…{end}"))
}

/// The square in the middle of a picture.
fn middle(size: egui::Vec2) -> Rect {
    let (w, h) = (size.x.max(1.0), size.y.max(1.0));
    let part = vec2((h / w).min(1.0), (w / h).min(1.0));
    Rect::from_center_size(egui::pos2(0.5, 0.5), part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_ends() {
        let width = |text: &str| 6.0 * text.chars().count() as f32;
        assert_eq!(shortened("rocket.jpg", 76.0, width), "rocket.jpg");
        assert_eq!(shortened("IMG_20260714_0031.jpg", 76.0, width), "IMG…0031.jpg");
        assert_eq!(shortened("Größe über alles in der Welt.png", 76.0, width), "Grö…Welt.png");
        assert_eq!(shortened("abcdefghijklm", 10.0, width), "…fghijklm", "no room at all");
    }
}
