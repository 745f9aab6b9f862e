//! The chosen picture, large, with what is shown over it; another one beside it where there is one.

pub(super) mod camera_stream;
pub(super) mod canvas;
pub(super) mod colour_bar;
pub(super) mod shortcuts;

use dinoscope_core::analysis::similarity::PatchCorrespondence;
use dinoscope_core::explore::PictureId;
use egui::{Color32, CursorIcon, Pos2, Rect, Sense, Stroke, StrokeKind, TextureHandle, Vec2, pos2, vec2};

use super::paint::{OverlayKind, OverlaySlot};
use super::settings::OverlayArrangement;
use super::{ExplorePanel, ExploreWorkspace, PatchLocation};
use crate::platform::camera;
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, icons, space};
use crate::studio::{touch, widgets};
use canvas::{ImagePlacement, right_of};

/// Letters of a picture's name in the line below it.
const NAME: usize = 48;

pub(super) const WHOLE: Rect = Rect { min: Pos2 { x: 0.0, y: 0.0 }, max: Pos2 { x: 1.0, y: 1.0 } };

impl ExploreWorkspace {
    /// The panel.
    pub fn picture_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        if self.gallery.is_empty() {
            self.invitation(ui, app);
            return;
        }
        shortcuts::handle(self, app, ui.ctx());
        // Delete may have closed it.
        let Some(chosen) = self.gallery.chosen() else {
            self.invitation(ui, app);
            return;
        };
        if shortcuts::copies(ui.ctx())
            && let Some(text) = self.copied()
        {
            app.toasts.info(format!("Copied: {}", text.replace('\t', "  ")));
            ui.ctx().copy_text(text);
        }
        let status = theme::row(ui);
        let all = ui.available_rect_before_wrap();
        let place = Rect::from_min_max(all.min, pos2(all.right(), all.bottom() - status));
        ui.painter().rect_filled(place, 0, theme::tokens(ui.ctx()).window);
        let pointed = match self.gallery.second() {
            _ if self.compares() => self.compared_ui(ui, place, chosen),
            None => self.one(ui, place, chosen, "large picture").1,
            Some(second) => {
                let gap = space::S;
                let (left, right) = place.split_left_right_at_fraction(0.5);
                let left = left.with_max_x(left.right() - gap / 2.0);
                let right = right.with_min_x(right.left() + gap / 2.0);
                let (a, in_a) = self.one(ui, left, chosen, "large picture");
                let (b, in_b) = self.one(ui, right, second, "second picture");
                if self.settings.panel == ExplorePanel::Match {
                    self.lines(ui, a, b, chosen, second);
                }
                in_a.or(in_b)
            }
        };
        // Only now: what shows in this frame was made for the last one's patch.
        if self.hover != pointed {
            self.hover = pointed;
            ui.ctx().request_repaint();
        }
        let bar = Rect::from_min_max(pos2(all.left(), all.bottom() - status), all.max);
        let mut bar_ui = ui.new_child(egui::UiBuilder::new().max_rect(bar.shrink2(vec2(12.0, 0.0))));
        self.status(&mut bar_ui, chosen);
        ui.advance_cursor_after_rect(all);
    }

    /// Switches the camera on and off, where there is one.
    pub(super) fn camera_button(&mut self, ui: &mut egui::Ui, app: &AppContext) {
        if !camera::available() {
            return;
        }
        let mut on = self.is_live();
        let label = if on { "Stop the camera" } else { "Camera" };
        if widgets::toggle_icon(ui, icons::CAMERA, label, &mut on).clicked() {
            self.toggle_camera(app);
        }
    }

    /// A picture's texture, its size where that is known, and the size that it is drawn by.
    pub(super) fn pixels_of(&mut self, id: PictureId) -> (Option<TextureHandle>, Option<[usize; 2]>, Vec2) {
        let texture = self.gallery.texture(id);
        let whole = self.gallery.item(id).and_then(|item| item.size);
        let size = match (whole, &texture) {
            (Some([w, h]), _) => vec2(w as f32, h as f32),
            (None, Some(texture)) => texture.size_vec2(),
            (None, None) => vec2(1.0, 1.0),
        };
        (texture, whole, size)
    }

    /// One picture in its place, with its layer; and the patch under the pointer, if it is in this one.
    pub(super) fn one(
        &mut self,
        ui: &mut egui::Ui,
        place: Rect,
        id: PictureId,
        name: &str,
    ) -> (ImagePlacement, Option<PatchLocation>) {
        let t = theme::tokens(ui.ctx());
        let (texture, whole, size) = self.pixels_of(id);
        let title = self.gallery.item(id).map_or(String::new(), |item| item.name.clone());
        let alone = self.gallery.second().is_none() && !self.compares();
        let side_by_side = self.settings.arrangement == OverlayArrangement::Side && alone;
        let side_by_side = side_by_side && self.settings.panel != ExplorePanel::Match;
        let (main, beside) = match side_by_side {
            true => {
                let (left, right) = place.split_left_right_at_fraction(0.5);
                (left.with_max_x(left.right() - 4.0), Some(right.with_min_x(right.left() + 4.0)))
            }
            false => (place, None),
        };
        let response = ui.interact(place, ui.scope_id().with(name), Sense::click_and_drag());
        response.widget_info(|| {
            let what = self.settings.panel.words();
            let model = match self.compares() {
                true => format!(", as model A sees it, {}", self.model_name()),
                false => String::new(),
            };
            egui::WidgetInfo::labeled(egui::Role::Image, true, format!("{name}: {title}, {what}{model}"))
        });
        let placed = self.canvas.placed(main, size);
        if self.gallery.chosen() == Some(id) {
            let Rect { min, max } = placed.rect;
            let pixels = placed.rect.width() * ui.ctx().pixels_per_point();
            self.canvas.scale = whole.map(|[width, _]| pixels / width.max(1) as f32);
            self.canvas.place = Some([min.x, min.y, max.x, max.y].map(|side| side.round() as i32));
        }
        let other = beside.map(|beside| self.canvas.placed(beside, size));
        let under = match (&other, ui.input(|input| input.pointer.hover_pos())) {
            (Some(other), Some(pointer)) if other.clip.contains(pointer) => *other,
            _ => placed,
        };
        if !self.swipe_handle(ui, &response, placed, beside.is_some()) {
            self.canvas.handle(ui, &response, under, size);
        }

        let base = |at: ImagePlacement| {
            if let Some(texture) = &texture {
                ui.painter_at(at.clip).image(texture.id(), at.rect, WHOLE, Color32::WHITE);
            }
        };
        base(placed);
        let slot = |kind| OverlaySlot { picture: id, kind };
        let layer = match self.settings.panel {
            ExplorePanel::Pca => self.painter.layer(slot(OverlayKind::Pca)),
            ExplorePanel::Attention => self.painter.layer(slot(OverlayKind::Attention(self.settings.head))),
            ExplorePanel::Similarity if self.spot().is_some() => {
                self.painter.layer(slot(OverlayKind::Similarity))
            }
            ExplorePanel::Similarity | ExplorePanel::Match => None,
        };
        if let Some(layer) = layer {
            let tint = |opacity: f32| Color32::from_white_alpha((opacity.clamp(0.0, 1.0) * 255.0) as u8);
            match (self.settings.arrangement, other) {
                (_, Some(other)) => {
                    ui.painter_at(other.clip).image(layer, other.rect, WHOLE, Color32::WHITE);
                }
                (OverlayArrangement::Swipe, None) => {
                    let x = placed.clip.left() + self.settings.swipe * placed.clip.width();
                    let (part, uv) = right_of(placed.rect, x);
                    ui.painter_at(placed.clip).image(layer, part, uv, Color32::WHITE);
                    self.draw_handle(ui, placed, x);
                }
                _ => {
                    let opacity = self.settings.opacity;
                    ui.painter_at(placed.clip).image(layer, placed.rect, WHOLE, tint(opacity));
                }
            }
        } else if let Some(other) = other {
            base(other);
        }
        let pointed = self.point(ui, id, &response, under);
        // The pointer may be over the same picture as another model sees it.
        let marked = pointed.or(self.hover.filter(|_| self.compares()));
        for at in [Some(placed), other].into_iter().flatten() {
            self.outline(ui, id, at, marked);
        }
        if response.has_focus() {
            ui.painter().rect_stroke(place, 0, Stroke::new(theme::RING, t.accent), StrokeKind::Inside);
        }
        let way = self.way(id);
        if let Some(reason) = self.failures.get(&(id, way)) {
            let text = format!("This picture can't be looked at: {reason}");
            note(ui, place, &text, t.bad);
        } else if self.model.is_some() && !self.results.kept.contains_key(&(id, way)) {
            let text = match layer {
                Some(_) => "Looking… What shows is from before.",
                None if self.looking().is_some_and(|looking| looking.stopped) => "Not looked at: stopped.",
                None => "Looking…",
            };
            note(ui, place, text, t.muted);
        }
        (placed, pointed)
    }

    /// The patch under the pointer, and a click that pins it.
    fn point(
        &mut self,
        ui: &egui::Ui,
        id: PictureId,
        response: &egui::Response,
        placed: ImagePlacement,
    ) -> Option<PatchLocation> {
        let seen = self.seen(id)?;
        let pointer = response.hover_pos().filter(|_| response.contains_pointer())?;
        let spot = PatchLocation { picture: id, patch: placed.patch(pointer, seen.rows, seen.cols)? };
        self.pin(response, spot);
        if matches!(self.settings.panel, ExplorePanel::Similarity | ExplorePanel::Attention) {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        Some(spot)
    }

    /// A click pins a patch, or lets it go.
    pub(super) fn pin(&mut self, response: &egui::Response, spot: PatchLocation) {
        if response.double_clicked() {
            // The first of the two clicks was none.
            self.pinned = self.canvas.before_click;
        } else if response.clicked() {
            self.canvas.before_click = self.pinned;
            self.pinned = if self.pinned == Some(spot) { None } else { Some(spot) };
        }
    }

    /// Frames around the patch under the pointer and the pinned one.
    fn outline(
        &mut self,
        ui: &egui::Ui,
        id: PictureId,
        placed: ImagePlacement,
        pointed: Option<PatchLocation>,
    ) {
        let Some(seen) = self.seen(id) else { return };
        let t = theme::tokens(ui.ctx());
        let frame = |spot: Option<PatchLocation>, colour: Color32, width: f32| {
            if let Some(spot) = spot.filter(|spot| spot.picture == id) {
                let rect = placed.patch_rect(spot.patch, seen.rows, seen.cols);
                frame_patch(ui, placed, rect, colour, width);
            }
        };
        frame(pointed, Color32::WHITE, 1.0);
        frame(self.pinned, t.accent, 2.0);
    }

    /// Moves the swipe handle; true while it is being moved.
    pub(super) fn swipe_handle(
        &mut self,
        ui: &egui::Ui,
        response: &egui::Response,
        placed: ImagePlacement,
        beside: bool,
    ) -> bool {
        if self.settings.arrangement != OverlayArrangement::Swipe
            || beside
            || self.settings.panel == ExplorePanel::Match
        {
            return false;
        }
        let x = placed.clip.left() + self.settings.swipe * placed.clip.width();
        let id = response.id.with("swipe");
        let start = ui.input(|input| input.pointer.press_origin());
        let near = |point: Pos2| (point.x - x).abs() < 12.0;
        if response.hover_pos().is_some_and(near) {
            ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
        }
        if response.drag_started() {
            ui.data_mut(|data| data.insert_temp(id, start.is_some_and(near)));
        }
        let holds: bool = response.dragged() && ui.data(|data| data.get_temp(id)).unwrap_or(false);
        if holds && let Some(pointer) = response.interact_pointer_pos() {
            self.settings.swipe =
                ((pointer.x - placed.clip.left()) / placed.clip.width().max(1.0)).clamp(0.0, 1.0);
        }
        holds
    }

    pub(super) fn draw_handle(&self, ui: &egui::Ui, placed: ImagePlacement, x: f32) {
        let painter = ui.painter_at(placed.clip);
        painter.vline(x, placed.clip.y_range(), Stroke::new(3.0, Color32::from_black_alpha(120)));
        painter.vline(x, placed.clip.y_range(), Stroke::new(1.5, Color32::WHITE));
        let knob = pos2(x, placed.clip.center().y);
        painter.circle(knob, 9.0, Color32::WHITE, Stroke::new(1.0, Color32::from_black_alpha(120)));
        let font = egui::FontId::proportional(13.0);
        painter.text(knob, egui::Align2::CENTER_CENTER, icons::SWIPE, font, Color32::BLACK);
    }

    /// Lines between patches that belong together.
    pub(super) fn lines(
        &mut self,
        ui: &egui::Ui,
        a: ImagePlacement,
        b: ImagePlacement,
        first: PictureId,
        second: PictureId,
    ) {
        let (Some(seen_a), Some(seen_b)) = (self.seen(first), self.seen(second)) else { return };
        let Some((key, matches)) = &self.painter.matches else { return };
        if Some(*key) != self.canvas.matching {
            return;
        }
        let ends = [(a, (seen_a.rows, seen_a.cols), first), (b, (seen_b.rows, seen_b.cols), second)];
        draw_lines(ui, ends, matches, self.hover);
    }

    /// The line below the picture: what is under the pointer, always in the same places.
    fn status(&mut self, ui: &mut egui::Ui, chosen: PictureId) {
        let seen = self.seen(chosen);
        let item = self.gallery.item(chosen).map(|item| (item.name.clone(), item.size));
        let roomy = ui.available_width() > 440.0;
        // From the right: what a long name leaves no room for is the name's end.
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let fit = touch::words(ui, "Fit the whole picture", "Fit the whole picture (0)");
            if widgets::icon_button(ui, icons::ZOOM_FIT, fit).clicked() {
                self.canvas.fit();
            }
            let fitted = if self.canvas.is_fitted() { "fitted, " } else { "" };
            let scale = self.canvas.scale.unwrap_or(1.0);
            widgets::hint(ui, &format!("{fitted}{:.0} %", 100.0 * scale)).on_hover_text(
                "100 % is one pixel of the screen for each of the picture. Double click: 1:1, or fit.",
            );
            self.progress_ui(ui);
            if let Some(pointed) = self.pointed(roomy) {
                widgets::hint(ui, &pointed).on_hover_text("Ctrl+C copies it.");
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                if let Some((name, size)) = item {
                    let size = size.map_or(String::new(), |[w, h]| format!("  {w} × {h}"));
                    let mut short: String = name.chars().take(NAME).collect();
                    if short.len() < name.len() {
                        short.push('…');
                    }
                    let text = theme::small(format!("{short}{size}"));
                    ui.add(egui::Label::new(text).truncate());
                }
                if let Some(seen) = seen.as_ref().filter(|_| roomy) {
                    let text =
                        format!("{} × {} patches  {:.0} ms", seen.rows, seen.cols, 1000.0 * seen.seconds);
                    let colour = theme::tokens(ui.ctx()).muted;
                    ui.add(egui::Label::new(theme::small(&text).color(colour)).truncate());
                }
            });
        });
    }
}

/// Lines between patches of two pictures, each with its place, rows and columns; those of the patch under the pointer are strong.
pub(super) fn draw_lines(
    ui: &egui::Ui,
    [(a, grid_a, first), (b, grid_b, second)]: [(ImagePlacement, (usize, usize), PictureId); 2],
    matches: &[PatchCorrespondence],
    hovered: Option<PatchLocation>,
) {
    // Pictures are no lighter in the light theme.
    let series = theme::ThemeTokens::of(egui::Theme::Dark).series;
    let painter = ui.painter_at(a.clip.union(b.clip));
    for (i, found) in matches.iter().enumerate() {
        if found.a >= grid_a.0 * grid_a.1 || found.b >= grid_b.0 * grid_b.1 {
            continue;
        }
        let from = a.patch_rect(found.a, grid_a.0, grid_a.1).center();
        let to = b.patch_rect(found.b, grid_b.0, grid_b.1).center();
        if !a.clip.contains(from) || !b.clip.contains(to) {
            continue;
        }
        let spots = [
            PatchLocation { picture: first, patch: found.a },
            PatchLocation { picture: second, patch: found.b },
        ];
        let strong = hovered.is_some_and(|spot| spots.contains(&spot));
        let colour = series[i % series.len()];
        let (width, colour) = if strong { (3.0, colour) } else { (1.5, colour.gamma_multiply(0.8)) };
        painter.line_segment([from, to], Stroke::new(width + 1.5, Color32::from_black_alpha(90)));
        painter.line_segment([from, to], Stroke::new(width, colour));
        for point in [from, to] {
            painter.circle(point, 3.0, colour, Stroke::new(1.0, Color32::from_black_alpha(160)));
        }
    }
}

/// A frame around a patch that is to be seen on any picture.
pub(super) fn frame_patch(ui: &egui::Ui, placed: ImagePlacement, rect: Rect, colour: Color32, width: f32) {
    let painter = ui.painter_at(placed.clip);
    let dark = Stroke::new(width + 1.5, Color32::from_black_alpha(160));
    painter.rect_stroke(rect, 1, dark, StrokeKind::Outside);
    painter.rect_stroke(rect, 1, Stroke::new(width, colour), StrokeKind::Outside);
}

/// A line of text in the lower left corner of a place.
pub(super) fn note(ui: &egui::Ui, place: Rect, text: &str, colour: Color32) {
    let t = theme::tokens(ui.ctx());
    let font = egui::TextStyle::Body.resolve(ui.style());
    let galley = ui.painter().layout(text.to_owned(), font, colour, place.width() - 48.0);
    let rect = Rect::from_min_size(
        pos2(place.left() + 12.0, place.bottom() - galley.size().y - 28.0),
        galley.size() + vec2(16.0, 12.0),
    );
    let painter = ui.painter_at(place);
    painter.rect_filled(rect, theme::RADIUS, t.panel.gamma_multiply(0.92));
    painter.galley(rect.min + vec2(8.0, 6.0), galley, colour);
}
