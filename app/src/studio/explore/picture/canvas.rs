//! Zooming, panning and pointing: where a picture lies on the screen.

use std::collections::HashSet;

use dinoscope_core::explore::{PictureId, ViewQuery};
use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// Screen points a picture's pixel may take at most.
const CLOSEST: f32 = 64.0;

/// What the large pictures keep from one frame to the next.
#[derive(Default)]
pub struct ImageViewerState {
    /// How much larger than fitted.
    zoom: Option<f32>,
    /// Where the middle of the view is in the picture, 0 to 1.
    middle: Vec2,
    /// Key of what the explorer was asked for last.
    pub wanted: u64,
    /// Key of the matches that were asked for last.
    pub matching: Option<u64>,
    /// A resolution that is being dragged.
    pub resolution: Option<usize>,
    /// Where the large picture lies: left, top, right, bottom, in whole points.
    pub place: Option<[i32; 4]>,
    /// Pixels of the screen that a pixel of the large picture takes, once its size is known.
    pub scale: Option<f32>,
    /// What was pinned before the last click.
    pub before_click: Option<crate::studio::explore::PatchLocation>,
    /// Since when something is being looked at, in the frames' time.
    pub looking_since: Option<f64>,
    /// Patches that were asked of the device.
    pub fetching: HashSet<(PictureId, ViewQuery)>,
}

/// A picture as it lies on the screen.
#[derive(Clone, Copy, Debug)]
pub struct ImagePlacement {
    /// Where its place is.
    pub clip: Rect,
    /// Where the whole picture would be.
    pub rect: Rect,
}

impl ImagePlacement {
    /// Where a point of the screen is in the picture, 0 to 1; nothing outside it.
    pub fn at(&self, point: Pos2) -> Option<Vec2> {
        if !self.clip.contains(point) || !self.rect.contains(point) {
            return None;
        }
        Some((point - self.rect.min) / self.rect.size())
    }

    /// The patch under a point of the screen, in reading order.
    pub fn patch(&self, point: Pos2, rows: usize, cols: usize) -> Option<usize> {
        let at = self.at(point)?;
        let along = |share: f32, count: usize| ((share * count as f32) as usize).min(count.saturating_sub(1));
        Some(along(at.y, rows) * cols + along(at.x, cols))
    }

    /// Where a patch is on the screen.
    pub fn patch_rect(&self, patch: usize, rows: usize, cols: usize) -> Rect {
        let size = vec2(self.rect.width() / cols.max(1) as f32, self.rect.height() / rows.max(1) as f32);
        let (row, col) = (patch / cols.max(1), patch % cols.max(1));
        Rect::from_min_size(self.rect.min + vec2(col as f32 * size.x, row as f32 * size.y), size)
    }
}

impl ImageViewerState {
    /// The whole picture again.
    pub fn fit(&mut self) {
        self.zoom = None;
    }

    /// Whether the whole picture shows as large as its place allows.
    pub fn is_fitted(&self) -> bool {
        self.zoom.is_none()
    }

    /// How many times larger than fitted.
    pub fn zoom(&self) -> f32 {
        self.zoom.unwrap_or(1.0)
    }

    /// Where a picture of `size` pixels lies in `place`.
    pub fn placed(&self, place: Rect, size: Vec2) -> ImagePlacement {
        let size = size.max(vec2(1.0, 1.0));
        let fitted = size * (place.width() / size.x).min(place.height() / size.y);
        match self.zoom {
            None => ImagePlacement { clip: place, rect: Rect::from_center_size(place.center(), fitted) },
            Some(zoom) => {
                let whole = fitted * zoom;
                ImagePlacement {
                    clip: place,
                    rect: Rect::from_min_size(place.center() - self.middle * whole, whole),
                }
            }
        }
    }

    /// Scrolling and pinching zoom about the pointer, dragging pans, a double click shows pixel for pixel or fits.
    pub fn handle(&mut self, ui: &egui::Ui, response: &egui::Response, placed: ImagePlacement, size: Vec2) {
        if response.double_clicked() {
            match response.interact_pointer_pos().filter(|_| self.is_fitted()) {
                Some(pointer) => {
                    self.one_to_one(pointer, placed, size / response.ctx.pixels_per_point());
                }
                None => self.fit(),
            }
            return;
        }
        if response.contains_pointer() {
            let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
            let factor = pinch * (scroll / 240.0).exp();
            if (factor - 1.0).abs() > 1e-4
                && let Some(pointer) = ui.input(|input| input.pointer.hover_pos())
            {
                self.zoom_by(factor, pointer, placed, size);
            }
        }
        if response.dragged() {
            let middle = (placed.clip.center() - placed.rect.min) / placed.rect.size();
            self.zoom = Some(self.zoom());
            self.middle =
                (middle - response.drag_delta() / placed.rect.size()).clamp(Vec2::ZERO, vec2(1.0, 1.0));
        }
    }

    /// A pixel of the picture for each of the screen, about `pointer`; `whole` is how large the picture is then.
    pub fn one_to_one(&mut self, pointer: Pos2, placed: ImagePlacement, whole: Vec2) {
        let fitted = placed.rect.size() / self.zoom();
        let zoom = whole.x / fitted.x.max(1.0);
        if (zoom - 1.0).abs() < 1e-3 {
            self.fit();
            return;
        }
        self.zoom = Some(zoom);
        self.middle = match zoom > 1.0 {
            true => {
                let at = (pointer - placed.rect.min) / placed.rect.size();
                (at + (placed.clip.center() - pointer) / whole).clamp(Vec2::ZERO, vec2(1.0, 1.0))
            }
            // All of it can be seen.
            false => vec2(0.5, 0.5),
        };
    }

    /// Zooms so that what is under `pointer` stays there.
    pub fn zoom_by(&mut self, factor: f32, pointer: Pos2, placed: ImagePlacement, size: Vec2) {
        let fitted = placed.rect.size() / self.zoom();
        let largest = (CLOSEST * size.x / fitted.x.max(1.0)).max(1.0);
        let zoom = (self.zoom() * factor).clamp(1.0, largest);
        if zoom <= 1.001 {
            self.fit();
            return;
        }
        let at = (pointer - placed.rect.min) / placed.rect.size();
        let whole = fitted * zoom;
        self.middle = at + (placed.clip.center() - pointer) / whole;
        self.middle = self.middle.clamp(Vec2::ZERO, vec2(1.0, 1.0));
        self.zoom = Some(zoom);
    }
}

/// The part of `uv` space that a layer over `rect` shows right of a swipe handle at `x`.
pub fn right_of(rect: Rect, x: f32) -> (Rect, Rect) {
    let x = x.clamp(rect.left(), rect.right());
    let part = Rect::from_min_max(pos2(x, rect.top()), rect.max);
    let share = if rect.width() > 0.0 { (x - rect.left()) / rect.width() } else { 0.0 };
    (part, Rect::from_min_max(pos2(share, 0.0), pos2(1.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Rect {
        Rect::from_min_size(pos2(100.0, 50.0), vec2(400.0, 200.0))
    }

    #[test]
    fn a_picture_fits_its_place_and_patches_are_found() {
        let placed = ImageViewerState::default().placed(place(), vec2(100.0, 100.0));
        assert_eq!(placed.rect, Rect::from_min_size(pos2(200.0, 50.0), vec2(200.0, 200.0)));
        assert_eq!(placed.patch(pos2(201.0, 51.0), 4, 4), Some(0));
        assert_eq!(placed.patch(pos2(399.9, 249.9), 4, 4), Some(15));
        assert_eq!(placed.patch(pos2(150.0, 100.0), 4, 4), None);
        assert_eq!(placed.patch_rect(5, 4, 4), Rect::from_min_size(pos2(250.0, 100.0), vec2(50.0, 50.0)));
    }

    #[test]
    fn zooming_keeps_what_is_under_the_pointer() {
        let mut canvas = ImageViewerState::default();
        let size = vec2(800.0, 400.0);
        let pointer = pos2(180.0, 90.0);
        let before = canvas.placed(place(), size);
        let at = before.at(pointer);
        canvas.zoom_by(3.0, pointer, before, size);
        let after = canvas.placed(place(), size);
        let (Some(at), Some(now)) = (at, after.at(pointer)) else { panic!("the pointer left the picture") };
        assert!((at - now).length() < 1e-4, "{at:?} {now:?}");
        assert!((canvas.zoom() - 3.0).abs() < 1e-5);
        canvas.zoom_by(0.01, pointer, after, size);
        assert_eq!(canvas.placed(place(), size).rect, before.rect);
    }

    #[test]
    fn one_to_one_keeps_what_is_under_the_pointer() {
        let mut canvas = ImageViewerState::default();
        let size = vec2(4000.0, 2000.0);
        let pointer = pos2(180.0, 90.0);
        let before = canvas.placed(place(), size);
        canvas.one_to_one(pointer, before, size);
        let after = canvas.placed(place(), size);
        assert!((after.rect.size() - size).length() < 0.1, "{after:?}");
        let (Some(at), Some(now)) = (before.at(pointer), after.at(pointer)) else { panic!("outside") };
        assert!((at - now).length() < 1e-4, "{at:?} {now:?}");
        // A picture that is smaller than its place stands in the middle.
        let mut canvas = ImageViewerState::default();
        let small = vec2(40.0, 20.0);
        canvas.one_to_one(pointer, canvas.placed(place(), small), small);
        let placed = canvas.placed(place(), small).rect;
        assert!(
            (placed.size() - small).length() < 1e-3 && (placed.center() - place().center()).length() < 1e-3
        );
    }

    #[test]
    fn swipe_parts_meet() {
        let rect = place();
        let (part, uv) = right_of(rect, 200.0);
        assert_eq!((part.left(), uv.left()), (200.0, 0.25));
        assert_eq!(right_of(rect, 0.0).0, rect);
        assert_eq!(right_of(rect, 9999.0).0.width(), 0.0);
    }
}
