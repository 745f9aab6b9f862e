//! The frame, large, with what was followed in it; where a person clicks and paints.

use dinoscope_core::analysis::follow::drawing::{INSIDE, of_pixels};
use dinoscope_core::analysis::follow::{in_patches, object_at};
use egui::accesskit::Action;
use egui::{
    Color32, ColorImage, CursorIcon, EventFilter, Key, Pos2, Rect, Response, Sense, Stroke, StrokeKind,
    TextureHandle, TextureId, TextureOptions, Ui, Vec2, pos2, vec2,
};

use super::masks::stroke;
use super::track::FoundPlace;
use super::{FollowMode, FollowPanel, MaskTool, followed, lost};
use crate::studio::explore::canvas::{ImagePlacement, ImageViewerState};
use crate::studio::theme;

const WHOLE: Rect = Rect { min: Pos2 { x: 0.0, y: 0.0 }, max: Pos2 { x: 1.0, y: 1.0 } };
/// Pixels of a mask's texture for each patch, along each axis.
const FINE: usize = 6;
/// How much of what is below a mask shows through, of 255.
const TINT: u8 = 130;

/// What the large frame keeps from one frame of the window to the next.
#[derive(Default)]
pub struct FollowCanvas {
    view: ImageViewerState,
    /// The frame that was uploaded.
    frame: Option<(u64, usize, TextureHandle)>,
    /// The mask that was uploaded.
    mask: Option<(u64, usize, TextureHandle)>,
    /// Where the brush was last, in patches.
    brush: Option<[f32; 2]>,
}

/// What is drawn.
struct CanvasPicture {
    texture: TextureId,
    size: Vec2,
    label: String,
}

impl FollowPanel {
    /// The frame that shows.
    pub(super) fn frame_ui(&mut self, ui: &mut Ui, size: Vec2) {
        let Some(frame) = self.loader.frames.get(self.at).cloned() else { return };
        let key = (self.loader.set, self.at);
        let there = self.canvas.frame.as_ref().filter(|(set, at, _)| (*set, *at) == key);
        let texture = match there {
            Some((.., texture)) => texture.clone(),
            None => {
                let picture = &frame.picture;
                let image = ColorImage::from_rgb([picture.width, picture.height], &picture.rgb);
                let texture = ui.ctx().load_texture("follow frame", image, TextureOptions::LINEAR);
                self.canvas.frame = Some((key.0, key.1, texture.clone()));
                texture
            }
        };
        let label = format!("frame {} of {}", self.at + 1, self.loader.frames.len());
        let picture = CanvasPicture {
            texture: texture.id(),
            size: vec2(frame.picture.width as f32, frame.picture.height as f32),
            label,
        };
        let (response, placed) = self.picture_ui(ui, size, &picture);
        self.mask_layer(ui, placed);
        self.draw_way(ui, placed);
        match self.mode {
            FollowMode::Place => self.point(ui, &response, placed),
            FollowMode::Mask => self.paint(ui, &response, placed),
        }
    }

    /// The camera's picture.
    pub(super) fn live_ui(&mut self, ui: &mut Ui, size: Vec2, texture: Option<TextureHandle>) {
        let Some(texture) = texture else {
            let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
            ui.painter().rect_filled(rect, theme::RADIUS, theme::tokens(ui).window);
            return;
        };
        let picture = CanvasPicture {
            texture: texture.id(),
            size: texture.size_vec2(),
            label: "picture of the camera".to_owned(),
        };
        let (response, placed) = self.picture_ui(ui, size, &picture);
        let way: Vec<FoundPlace> = self.live.way.iter().copied().collect();
        draw_line(ui, placed, way.iter().copied(), 1.0);
        if let Some(last) = way.last() {
            draw_ring(ui, placed, last);
        }
        if let Some(share) = clicked(ui, &response, placed) {
            self.live.click(share);
        }
        if response.contains_pointer() {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
    }

    fn picture_ui(&mut self, ui: &mut Ui, size: Vec2, picture: &CanvasPicture) -> (Response, ImagePlacement) {
        let t = theme::tokens(ui);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let label = format!("large {}", picture.label);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
        let placed = self.canvas.view.placed(rect, picture.size);
        // Painting has the pointer: what it drags is the brush.
        if self.mode == FollowMode::Place || self.live.on {
            self.canvas.view.handle(ui, &response, placed, picture.size);
        }
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, theme::RADIUS, t.window);
        painter.image(picture.texture, placed.rect, WHOLE, Color32::WHITE);
        if response.has_focus() {
            painter.rect_stroke(rect, theme::RADIUS, Stroke::new(theme::RING, t.accent), StrokeKind::Inside);
        }
        (response, placed)
    }

    /// A click says what is followed; with the keyboard the place is moved patch by patch.
    fn point(&mut self, ui: &Ui, response: &Response, placed: ImagePlacement) {
        if response.contains_pointer() {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        if let Some(share) = clicked(ui, response, placed) {
            self.track.click(self.at, share);
            self.playing = None;
            ui.ctx().request_repaint();
            return;
        }
        if !response.has_focus() {
            return;
        }
        let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        let Some((rows, cols)) = self.grid(self.at) else { return };
        let by = |input: &egui::InputState, forth, back| {
            input.num_presses(forth) as f32 - input.num_presses(back) as f32
        };
        let (across, down) = ui.input(|input| {
            (by(input, Key::ArrowRight, Key::ArrowLeft), by(input, Key::ArrowDown, Key::ArrowUp))
        });
        if across == 0.0 && down == 0.0 {
            return;
        }
        let [x, y] = self.track.at(self.at).map_or([0.5, 0.5], |found| found.share());
        let inside = |at: f32| at.clamp(0.0, 1.0);
        self.track.click(self.at, [inside(x + across / cols as f32), inside(y + down / rows as f32)]);
        self.playing = None;
    }

    /// The brush, and the object at a click.
    fn paint(&mut self, ui: &Ui, response: &Response, placed: ImagePlacement) {
        let features = self.features.get(self.at).and_then(Option::as_ref).cloned();
        self.masks.painting = false;
        let Some(features) = features else { return };
        let grid = (features.rows, features.cols);
        let patches = |share: [f32; 2]| [share[0] * grid.1 as f32, share[1] * grid.0 as f32];
        if self.tool == MaskTool::Object {
            if response.contains_pointer() {
                ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
            }
            if let Some(share) = clicked(ui, response, placed) {
                let (row, col) = in_patches(share, grid.0, grid.1);
                let at = row.round() as usize * grid.1 + col.round() as usize;
                match object_at(&features, at, self.threshold) {
                    Ok(shares) => self.masks.paint(self.at, shares, grid),
                    Err(error) => self.masks.failed = Some(error.to_string()),
                }
                self.playing = None;
            }
            return;
        }
        let patch = placed.rect.width() / grid.1.max(1) as f32;
        if let Some(pointer) = response.hover_pos().filter(|_| response.contains_pointer()) {
            let ring = ui.painter_at(placed.clip);
            let radius = (self.brush * patch).max(0.5 * patch);
            ring.circle_stroke(pointer, radius, Stroke::new(2.5, Color32::from_black_alpha(140)));
            ring.circle_stroke(pointer, radius, Stroke::new(1.2, Color32::WHITE));
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        let at = match response.is_pointer_button_down_on() {
            true => response.interact_pointer_pos().map(|pointer| {
                let share = (pointer - placed.rect.min) / placed.rect.size();
                patches([share.x, share.y])
            }),
            // Whoever cannot point, paints in the middle.
            false => clicked(ui, response, placed).map(patches),
        };
        self.masks.painting = response.is_pointer_button_down_on();
        let Some(to) = at else {
            self.canvas.brush = None;
            return;
        };
        let from = self.canvas.brush.replace(to).unwrap_or(to);
        let mut shares = match self.masks.at(self.at) {
            Some(shares) if shares.len() == features.len() => shares.to_vec(),
            _ => vec![0.0; features.len()],
        };
        let value = if self.tool == MaskTool::Paint { 1.0 } else { 0.0 };
        stroke(&mut shares, grid, from, to, self.brush, value);
        let same = self.masks.at(self.at).is_some_and(|own| **own == shares);
        if !same {
            self.masks.paint(self.at, shares, grid);
            self.playing = None;
        }
    }

    /// The mask of the frame.
    fn mask_layer(&mut self, ui: &Ui, placed: ImagePlacement) {
        let (Some(shares), Some(grid)) = (self.masks.at(self.at), self.grid(self.at)) else { return };
        let key = (self.masks.version, self.at);
        let there = self.canvas.mask.as_ref().is_some_and(|(version, at, _)| (*version, *at) == key);
        if !there {
            let size = [FINE * grid.1, FINE * grid.0];
            let Ok(pixels) = of_pixels(shares, grid, size) else { return };
            let [r, g, b, _] = followed().to_array();
            let tint = Color32::from_rgba_unmultiplied(r, g, b, TINT);
            let pixels = pixels
                .iter()
                .map(|share| if *share > INSIDE { tint } else { Color32::TRANSPARENT })
                .collect();
            let image = ColorImage::new(size, pixels);
            match &mut self.canvas.mask {
                Some((version, at, texture)) => {
                    texture.set(image, TextureOptions::LINEAR);
                    (*version, *at) = key;
                }
                None => {
                    let texture = ui.ctx().load_texture("follow mask", image, TextureOptions::LINEAR);
                    self.canvas.mask = Some((key.0, key.1, texture));
                }
            }
        }
        if let Some((.., texture)) = &self.canvas.mask {
            ui.painter_at(placed.clip).image(texture.id(), placed.rect, WHOLE, Color32::WHITE);
        }
    }

    /// The way of the place: what is past strong, what is to come faint; and where it is.
    fn draw_way(&self, ui: &Ui, placed: ImagePlacement) {
        let past = self.track.all().take_while(|(frame, _)| *frame <= self.at).map(|(_, found)| found);
        let future = self.track.all().skip_while(|(frame, _)| *frame < self.at).map(|(_, found)| found);
        draw_line(ui, placed, future, 0.35);
        draw_line(ui, placed, past, 1.0);
        if let Some(found) = self.track.at(self.at) {
            draw_ring(ui, placed, &found);
        }
    }
}

/// Where a frame was clicked, as shares of it; in its middle where it was used without a pointer.
fn clicked(ui: &Ui, response: &Response, placed: ImagePlacement) -> Option<[f32; 2]> {
    if !response.clicked() {
        return None;
    }
    if ui.input(|input| input.num_accesskit_action_requests(response.id, Action::Click)) > 0 {
        return Some([0.5, 0.5]);
    }
    match response.interact_pointer_pos() {
        Some(pointer) => placed.at(pointer).map(|at| [at.x, at.y]),
        None => Some([0.5, 0.5]),
    }
}

fn on_screen(placed: ImagePlacement, found: &FoundPlace) -> Pos2 {
    let [x, y] = found.share();
    placed.rect.lerp_inside(vec2(x, y))
}

fn draw_line(ui: &Ui, placed: ImagePlacement, way: impl Iterator<Item = FoundPlace>, strength: f32) {
    let points: Vec<(Pos2, bool)> = way.map(|found| (on_screen(placed, &found), found.place.seen)).collect();
    let painter = ui.painter_at(placed.clip);
    for pair in points.windows(2) {
        let colour = if pair[1].1 { followed() } else { lost() };
        let line = [pair[0].0, pair[1].0];
        painter.line_segment(line, Stroke::new(4.0, Color32::from_black_alpha((110.0 * strength) as u8)));
        painter.line_segment(line, Stroke::new(2.0, colour.gamma_multiply(strength)));
    }
}

/// The place: a ring, which fades where the place is lost.
fn draw_ring(ui: &Ui, placed: ImagePlacement, found: &FoundPlace) {
    let at = on_screen(placed, found);
    let painter = ui.painter_at(placed.clip);
    let (colour, strength) = if found.place.seen { (followed(), 1.0) } else { (lost(), 0.55) };
    let shade = Color32::from_black_alpha((170.0 * strength) as u8);
    painter.circle_stroke(at, 9.0, Stroke::new(5.0, shade));
    painter.circle_stroke(at, 9.0, Stroke::new(2.5, colour.gamma_multiply(strength)));
    let dot = Rect::from_center_size(pos2(at.x, at.y), vec2(3.0, 3.0));
    painter.rect_filled(dot, 1.5, Color32::WHITE.gamma_multiply(strength));
}
