//! The strip of frames: thumbnails along a rail that is a slider, with what was looked at, seen and lost.

use std::collections::HashMap;

use egui::accesskit::{Action, ActionData};
use egui::{
    Color32, EventFilter, Key, Rect, Sense, Stroke, StrokeKind, TextureHandle, TextureOptions, Ui, pos2, vec2,
};

use super::FollowPanel;
use crate::studio::explore::gallery_loader::reduced;
use crate::studio::theme;
use crate::studio::{touch, widgets};

/// Height of the thumbnails.
const THUMB: f32 = 40.0;
/// Height of the line below them.
const LINE: f32 = 8.0;
/// Thumbnails that are made in one frame of the window at most.
const MADE: usize = 4;
/// Thumbnails that are kept.
const KEPT: usize = 160;

/// Points that the strip is high.
pub fn height(ui: &Ui) -> f32 {
    let height = THUMB + LINE;
    if touch::is(ui) { height.max(theme::TOUCH) } else { height }
}

/// Thumbnails of frames.
#[derive(Default)]
pub struct StripThumbnails {
    made: HashMap<usize, TextureHandle>,
}

impl StripThumbnails {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.made.clear();
    }
}

impl FollowPanel {
    /// Draws it.
    pub(super) fn strip_ui(&mut self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        let size = vec2(ui.available_width(), height(ui));
        let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let count = self.loader.frames.len();
        let last = count.saturating_sub(1);
        if count > 1
            && let Some(pointer) =
                response.interact_pointer_pos().filter(|_| response.dragged() || response.clicked())
        {
            let share = (pointer.x - rect.left()) / rect.width().max(1.0);
            self.go(((share * count as f32).max(0.0) as usize).min(last));
        }
        self.strip_keys(ui, &response, last);
        let text = format!("{} of {count}", self.at + 1);
        let at = self.at as f64 + 1.0;
        widgets::say_slider(ui, &response, "Frame", at, (&(1.0..=count as f64), Some(1.0)), text);
        let painter = ui.painter_at(rect.expand(2.0));
        let thumbs = Rect::from_min_size(rect.min, vec2(rect.width(), THUMB));
        painter.rect_filled(thumbs, theme::RADIUS, t.raised);
        self.thumbnails(ui, thumbs, &painter);
        // What is known of each frame: nothing, looked at, seen, lost.
        let line = Rect::from_min_max(
            pos2(rect.left(), thumbs.bottom() + 3.0),
            pos2(rect.right(), thumbs.bottom() + 6.0),
        );
        painter.rect_filled(line, 1.5, t.pressed);
        let x = |frame: usize| rect.left() + rect.width() * frame as f32 / count.max(1) as f32;
        let mut runs: Vec<(usize, usize, Color32)> = Vec::new();
        for frame in 0..count {
            let colour = match (self.track.at(frame), self.masks.at(frame), self.looked_at(frame)) {
                (Some(found), ..) if found.place.seen => super::followed(),
                (None, Some(_), _) => super::followed(),
                (Some(_), ..) => super::lost(),
                (None, None, true) => t.border,
                _ => continue,
            };
            match runs.last_mut().filter(|(_, to, own)| *to == frame && *own == colour) {
                Some((_, to, _)) => *to = frame + 1,
                None => runs.push((frame, frame + 1, colour)),
            }
        }
        for (from, to, colour) in runs {
            let part = Rect::from_min_max(pos2(x(from), line.top()), pos2(x(to), line.bottom()));
            painter.rect_filled(part, 1.5, colour);
        }
        if count > 0 {
            let middle = 0.5 * (x(self.at) + x(self.at + 1));
            let head = Rect::from_min_max(
                pos2(middle - 1.5, rect.top() - 1.0),
                pos2(middle + 1.5, line.bottom() + 1.0),
            );
            painter.rect_filled(head.expand(1.0), 2.0, t.picture_shade);
            painter.rect_filled(head, 1.5, Color32::WHITE);
        }
        if response.has_focus() {
            let ring = Stroke::new(theme::RING, t.accent);
            painter.rect_stroke(thumbs, theme::RADIUS, ring, StrokeKind::Inside);
        }
    }

    /// As many thumbnails as fit, each of a frame in its middle.
    fn thumbnails(&mut self, ui: &Ui, place: Rect, painter: &egui::Painter) {
        let Some(first) = self.loader.frames.first() else { return };
        let aspect = first.picture.width as f32 / first.picture.height.max(1) as f32;
        let width = (THUMB * aspect).clamp(16.0, 160.0);
        let count = self.loader.frames.len();
        let shown = ((place.width() / width).round() as usize).clamp(1, count);
        let width = place.width() / shown as f32;
        let mut made = 0;
        if self.strip.made.len() > KEPT {
            self.strip.clear();
        }
        for i in 0..shown {
            let frame = (2 * i + 1) * count / (2 * shown);
            if !self.strip.made.contains_key(&frame) {
                if made == MADE {
                    ui.ctx().request_repaint();
                    continue;
                }
                made += 1;
                let image = reduced(&self.loader.frames[frame].picture, 2 * THUMB as usize);
                let texture = ui.ctx().load_texture("follow thumbnail", image, TextureOptions::LINEAR);
                self.strip.made.insert(frame, texture);
            }
            let Some(texture) = self.strip.made.get(&frame) else { continue };
            let own = Rect::from_min_size(
                pos2(place.left() + i as f32 * width, place.top()),
                vec2(width, place.height()),
            );
            painter.image(texture.id(), own, cover(texture.size_vec2(), own.size()), Color32::WHITE);
        }
    }

    fn strip_keys(&mut self, ui: &Ui, response: &egui::Response, last: usize) {
        let (mut forth, mut back) = (0, 0);
        if response.has_focus() {
            let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        }
        // The arrows belong to whatever has the keyboard; to the strip if nothing has it.
        let free = ui.memory(|memory| memory.focused().is_none()) && !egui::Popup::is_any_open(ui.ctx());
        if response.has_focus() || free {
            ui.input(|input| {
                forth = input.num_presses(Key::ArrowRight);
                back = input.num_presses(Key::ArrowLeft);
            });
            if ui.input(|input| input.key_pressed(Key::Home)) {
                self.go(0);
            }
            if ui.input(|input| input.key_pressed(Key::End)) {
                self.go(last);
            }
        }
        let set = ui.input(|input| {
            forth += input.num_accesskit_action_requests(response.id, Action::Increment);
            back += input.num_accesskit_action_requests(response.id, Action::Decrement);
            input.accesskit_action_requests(response.id, Action::SetValue).find_map(|request| {
                match request.data {
                    Some(ActionData::NumericValue(value)) => Some(value.round().max(1.0) as usize - 1),
                    _ => None,
                }
            })
        });
        if let Some(to) = set {
            self.go(to.min(last));
        } else if forth != back {
            self.go((self.at + forth).saturating_sub(back).min(last));
        }
    }
}

/// The part of a picture of one size that fills a place of another.
fn cover(picture: egui::Vec2, place: egui::Vec2) -> Rect {
    let scale = (place.x / picture.x.max(1.0)).max(place.y / picture.y.max(1.0)).max(1e-6);
    let part = place / (picture * scale);
    Rect::from_center_size(pos2(0.5, 0.5), part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_filled_without_bending_the_picture() {
        let part = cover(vec2(200.0, 100.0), vec2(40.0, 40.0));
        assert!((part.width() - 0.5).abs() < 1e-6 && (part.height() - 1.0).abs() < 1e-6, "{part:?}");
        let part = cover(vec2(50.0, 100.0), vec2(40.0, 40.0));
        assert!((part.width() - 1.0).abs() < 1e-6 && (part.height() - 0.5).abs() < 1e-6, "{part:?}");
    }
}
