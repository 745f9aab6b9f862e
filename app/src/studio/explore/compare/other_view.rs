//! A picture as the second model sees it, beside the first one's: zoomed, pointed at and pinned together.

use dinoscope_core::explore::PictureId;
use egui::{Color32, CursorIcon, Rect, Sense, Stroke, StrokeKind, TextureId, Vec2};

use crate::studio::explore::paint::{OverlayKind, OverlaySlot};
use crate::studio::explore::picture::canvas::{ImagePlacement, right_of};
use crate::studio::explore::picture::{WHOLE, frame_patch, note};
use crate::studio::explore::settings::OverlayArrangement;
use crate::studio::explore::{ExplorePanel, ExploreWorkspace, PatchLocation};
use crate::studio::theme;

impl ExploreWorkspace {
    /// The picture in its place with the second model's layer; the first model's patch under the pointer and where that is, if
    /// the pointer is over this one.
    pub(super) fn other_picture(
        &mut self,
        ui: &mut egui::Ui,
        place: Rect,
        id: PictureId,
        name: &str,
    ) -> (ImagePlacement, Option<(PatchLocation, Vec2)>) {
        let (texture, _, size) = self.pixels_of(id);
        let placed = self.canvas.placed(place, size);
        let response =
            ui.interact(place, ui.scope_id().with(("second model", name)), Sense::click_and_drag());
        response.widget_info(|| {
            let title = self.gallery.item(id).map_or(String::new(), |item| item.name.clone());
            let model = self.compared.as_ref().map_or_else(String::new, |other| other.second.name());
            let what = self.settings.panel.words();
            let text = format!("{name} as model B sees it, {model}: {title}, {what}");
            egui::WidgetInfo::labeled(egui::Role::Image, true, text)
        });
        if !self.swipe_handle(ui, &response, placed, false) {
            self.canvas.handle(ui, &response, placed, size);
        }
        if let Some(texture) = &texture {
            ui.painter_at(placed.clip).image(texture.id(), placed.rect, WHOLE, Color32::WHITE);
        }
        let layer = self.other_layer(id);
        if let Some(layer) = layer {
            if self.settings.arrangement == OverlayArrangement::Swipe {
                let x = placed.clip.left() + self.settings.swipe * placed.clip.width();
                let (part, uv) = right_of(placed.rect, x);
                ui.painter_at(placed.clip).image(layer, part, uv, Color32::WHITE);
                self.draw_handle(ui, placed, x);
            } else {
                let alpha = (self.settings.opacity.clamp(0.0, 1.0) * 255.0) as u8;
                let tint = Color32::from_white_alpha(alpha);
                ui.painter_at(placed.clip).image(layer, placed.rect, WHOLE, tint);
            }
        }
        let pointed = self.point_at_other(ui, id, &response, placed);
        self.other_outline(ui, id, placed, pointed.map(|(spot, _)| spot));
        let t = theme::tokens(ui.ctx());
        if response.has_focus() {
            ui.painter().rect_stroke(place, 0, Stroke::new(theme::RING, t.accent), StrokeKind::Inside);
        }
        self.other_note(ui, place, id, layer.is_some());
        (placed, pointed)
    }

    fn other_layer(&self, id: PictureId) -> Option<TextureId> {
        let other = self.compared.as_ref()?;
        let kind = match self.settings.panel {
            ExplorePanel::Pca => OverlayKind::Pca,
            ExplorePanel::Attention => OverlayKind::Attention(other.head),
            ExplorePanel::Similarity if self.spot().is_some() => OverlayKind::Similarity,
            _ => return None,
        };
        other.painter.layer(OverlaySlot { picture: id, kind })
    }

    /// What is under the pointer, as a patch of the first model, and a click that pins it.
    fn point_at_other(
        &mut self,
        ui: &egui::Ui,
        id: PictureId,
        response: &egui::Response,
        placed: ImagePlacement,
    ) -> Option<(PatchLocation, Vec2)> {
        let pointer = response.hover_pos().filter(|_| response.contains_pointer())?;
        let at = placed.at(pointer)?;
        let spot = self.first_spot(id, at)?;
        self.pin(response, spot);
        if matches!(self.settings.panel, ExplorePanel::Similarity | ExplorePanel::Attention) {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        Some((spot, at))
    }

    /// Frames around this model's patches at the places of the one under the pointer and the pinned one.
    fn other_outline(
        &self,
        ui: &egui::Ui,
        id: PictureId,
        placed: ImagePlacement,
        pointed: Option<PatchLocation>,
    ) {
        let t = theme::tokens(ui.ctx());
        let marks = [(pointed.or(self.hover), Color32::WHITE, 1.0), (self.pinned, t.accent, 2.0)];
        for (spot, colour, width) in marks {
            let Some(spot) = spot.filter(|spot| spot.picture == id).and_then(|spot| self.beside_spot(spot))
            else {
                continue;
            };
            let Some((rows, cols)) = self.other_grid(id) else { continue };
            frame_patch(ui, placed, placed.patch_rect(spot.patch, rows, cols), colour, width);
        }
    }

    /// Rows and columns of the second model's patches.
    fn other_grid(&self, id: PictureId) -> Option<(usize, usize)> {
        self.compared.as_ref()?.results.grid(id, self.other_way(id)?.resolution)
    }

    /// Why nothing shows, or nothing new.
    fn other_note(&self, ui: &egui::Ui, place: Rect, id: PictureId, shows: bool) {
        let Some(other) = &self.compared else { return };
        let t = theme::tokens(ui.ctx());
        let Some(way) = self.other_way(id) else {
            return note(ui, place, "Opening the model…", t.muted);
        };
        if let Some(reason) = other.failures.get(&(id, way)) {
            note(ui, place, &format!("This picture can't be looked at: {reason}"), t.bad);
        } else if other.results.peek(id, way).is_none() {
            note(ui, place, if shows { "Looking… What shows is from before." } else { "Looking…" }, t.muted);
        }
    }
}
