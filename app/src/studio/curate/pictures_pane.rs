//! The pictures pane: what is selected, or what stays or is left out and why, as far as one scrolls.

use dinoscope_curate::heap::RowFate;
use egui::{Align2, FontId, Rect, Sense, Stroke, StrokeKind, Ui, vec2};

use super::{CurateWorkspace, file_name};
use crate::studio::theme::{self, fonts, icons, space};
use crate::studio::widgets;

/// Side of a picture, in points.
const SIDE: f32 = 104.0;
/// Height of the words below it.
const WORDS: f32 = 18.0;
const GAP: f32 = 8.0;

/// Which pictures show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PicturesShown {
    /// What is selected.
    Selected,
    /// Those of a fate.
    Fate(RowFate),
}

impl Default for PicturesShown {
    fn default() -> Self {
        Self::Fate(RowFate::Kept)
    }
}

const CHOICES: [(PicturesShown, &str); 5] = [
    (PicturesShown::Selected, "Listed"),
    (PicturesShown::Fate(RowFate::Kept), "Stay"),
    (PicturesShown::Fate(RowFate::Copy), "Copies"),
    (PicturesShown::Fate(RowFate::Poor), "Poor"),
    (PicturesShown::Fate(RowFate::Dropped), "Left out"),
];

impl CurateWorkspace {
    /// Draws the pane.
    pub fn heap_pictures_ui(&mut self, ui: &mut Ui) {
        let Some(heap) = self.heap.clone() else {
            ui.add_space(ui.available_height() * 0.2);
            widgets::empty_state(
                ui,
                icons::IMAGES,
                "No pictures yet",
                "Those that stay, and those that do not, show here.",
            );
            return;
        };
        ui.horizontal(|ui| {
            widgets::segmented(ui, "Which pictures show", &mut self.shown, &CHOICES);
            let some = self.shown != PicturesShown::Selected || !self.listed.is_empty();
            let all = |ui: &mut Ui| widgets::icon_button(ui, icons::CHECK_CIRCLE, "Select all");
            if ui.add_enabled_ui(some, all).inner.clicked() {
                self.selected = self.shown_rows().into_iter().map(|(row, _)| row).collect();
            }
        });
        if let Some(name) = self.like.as_ref().filter(|_| self.shown == PicturesShown::Selected) {
            widgets::hint(ui, &format!("Most similar to {name}, the nearest first, with their cosines."));
        }
        ui.add_space(space::XS);
        let rows = self.shown_rows();
        if rows.is_empty() {
            widgets::hint(ui, "There are none.");
            return;
        }
        let columns = (((ui.available_width() - 12.0 + GAP) / (SIDE + GAP)).floor() as usize).max(1);
        let lines = rows.len().div_ceil(columns);
        let area = egui::ScrollArea::vertical().id_salt("heap pictures").auto_shrink(false);
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        area.show_rows(ui, SIDE + WORDS, lines, |ui, seen| {
            for line in seen {
                ui.horizontal(|ui| {
                    for (row, similarity) in rows.iter().skip(line * columns).take(columns) {
                        let key = heap.table.rows[*row as usize].key.clone();
                        self.cell_ui(ui, *row, &key, *similarity);
                    }
                });
            }
        });
    }

    /// What shows, with a cosine where it resembles something.
    fn shown_rows(&self) -> Vec<(u32, Option<f32>)> {
        match self.shown {
            PicturesShown::Selected => self.listed.clone(),
            PicturesShown::Fate(fate) => {
                let of = self.outcome.fates.iter().enumerate().filter(|(_, known)| **known == fate);
                of.map(|(row, _)| (row as u32, None)).collect()
            }
        }
    }

    /// A click selects a picture, with Shift or Ctrl beside others; a double click opens it in Explore.
    fn cell_ui(&mut self, ui: &mut Ui, row: u32, key: &str, similarity: Option<f32>) {
        let (rect, response) = ui.allocate_exact_size(vec2(SIDE, SIDE + WORDS), Sense::click());
        let place = Rect::from_min_size(rect.min, vec2(SIDE, SIDE));
        let selected = self.selected.contains(&row);
        let name = file_name(key);
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, selected, name));
        let t = theme::tokens(ui);
        let texture = self.thumbnails.get(row, key).flatten();
        let texture = texture.map(|texture| (texture.id(), texture.size_vec2()));
        super::copies_pane::picture(ui, place, texture, &t);
        let frame = if response.has_focus() {
            Some((theme::RING, t.text))
        } else if selected {
            Some((2.0, t.accent))
        } else {
            response.hovered().then_some((1.0, t.border))
        };
        if let Some((width, colour)) = frame {
            ui.painter().rect_stroke(place, 3.0, Stroke::new(width, colour), StrokeKind::Inside);
        }
        let text = similarity.map_or_else(|| name.to_owned(), |similarity| format!("{similarity:.3}"));
        let font = FontId::proportional(fonts::SMALL);
        let galley = ui.painter().layout_no_wrap(text.clone(), font.clone(), t.muted);
        let at = place.center_bottom() + vec2(0.0, 2.0);
        let painter = ui.painter_at(rect);
        match galley.size().x <= SIDE {
            true => _ = painter.text(at, Align2::CENTER_TOP, text, font, t.muted),
            // The end of a long name tells more than its beginning.
            false => {
                _ = painter.text(
                    place.right_bottom() + vec2(0.0, 2.0),
                    Align2::RIGHT_TOP,
                    text,
                    font,
                    t.muted,
                )
            }
        }
        let why = self.why(row);
        let response = response.on_hover_text(format!("{key}\n{why}"));
        if response.double_clicked() {
            self.opened = Some(key.into());
        } else if response.clicked() {
            let more = ui.input(|input| input.modifiers.shift || input.modifiers.command);
            // What one looks through stays as it is.
            let was = self.selected.contains(&row);
            if !more {
                self.selected.clear();
            }
            match more && was {
                true => _ = self.selected.remove(&row),
                false => _ = self.selected.insert(row),
            }
        }
    }

    /// Why a picture stays or does not, in a few words.
    fn why(&self, row: u32) -> String {
        let Some(heap) = &self.heap else { return String::new() };
        let by_hand = self.decisions.hand.contains_key(&row);
        match self.outcome.fates.get(row as usize) {
            Some(RowFate::Kept) if by_hand => "Kept by hand.".to_owned(),
            Some(RowFate::Kept) => "It stays.".to_owned(),
            Some(RowFate::Copy) => "A copy of one that stays.".to_owned(),
            Some(RowFate::Poor) => {
                let fault = self.decisions.quality.fault(&heap.table.rows[row as usize]).unwrap_or_default();
                format!("Left out: {fault}.")
            }
            Some(RowFate::Dropped) => "Left out by hand.".to_owned(),
            Some(RowFate::Unreadable) | None => "It can't be used.".to_owned(),
        }
    }
}
