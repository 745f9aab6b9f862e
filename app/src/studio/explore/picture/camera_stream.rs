//! The camera: a picture that changes, looked at again and again, as fast as the model is.

use std::sync::Arc;

use dinoscope_core::data::Picture;
use dinoscope_core::explore::PictureId;

use crate::platform::camera;
use crate::studio::app_context::AppContext;
use crate::studio::explore::ExploreWorkspace;
use crate::studio::explore::gallery_loader::reduced;
use crate::studio::explore::pixel_store::ImageOrigin;

/// Longest side of a camera's picture.
const SIDE: usize = 640;

/// A picture that changes.
pub struct CameraStream {
    id: Option<PictureId>,
    /// Pictures so far.
    frame: u64,
    /// The one that was seen last.
    seen: u64,
}

impl CameraStream {
    /// The picture that changes, once there is one.
    pub fn picture(&self) -> Option<PictureId> {
        self.id
    }

    /// Whether it is this picture that changes.
    pub fn is(&self, id: PictureId) -> bool {
        self.id == Some(id)
    }
}

impl ExploreWorkspace {
    /// Whether the camera is on, or being asked for.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Asks for the camera, or gives it back.
    pub(in crate::studio::explore) fn toggle_camera(&mut self, app: &AppContext) {
        match self.live.take() {
            Some(_) => camera::stop(),
            None => {
                camera::start(app.wake.clone());
                self.live = Some(CameraStream { id: None, frame: 0, seen: 0 });
            }
        }
    }

    /// A number that changes with the picture, for what is made from it.
    pub(in crate::studio::explore) fn version(&self, id: PictureId) -> u64 {
        self.live.as_ref().filter(|live| live.id == Some(id)).map_or(0, |live| live.seen)
    }

    /// The number of the newest picture; 0 for one that does not change.
    pub(in crate::studio::explore) fn newest(&self, id: PictureId) -> u64 {
        self.live.as_ref().filter(|live| live.id == Some(id)).map_or(0, |live| live.frame)
    }

    /// The number of the newest picture, if it was not looked at yet.
    pub(in crate::studio::explore) fn unseen(&self, id: PictureId) -> Option<u64> {
        let live = self.live.as_ref().filter(|live| live.id == Some(id) && live.frame != live.seen)?;
        Some(live.frame)
    }

    /// A picture was looked at.
    pub(in crate::studio::explore) fn live_seen(&mut self, id: PictureId) {
        if let Some(live) = self.live.as_mut().filter(|live| live.id == Some(id)) {
            live.seen = live.frame;
        }
    }

    /// Takes the camera's next picture once the last one was looked at.
    pub(in crate::studio::explore) fn live_logic(&mut self, ctx: &egui::Context, app: &mut AppContext) {
        let Some(live) = &mut self.live else { return };
        if let Some(reason) = camera::trouble() {
            self.live = None;
            camera::stop();
            app.toasts.bad(format!("The camera can't be used: {reason}"));
            return;
        }
        // Closed like any other picture.
        if live.id.is_some_and(|id| self.gallery.item(id).is_none()) {
            self.live = None;
            camera::stop();
            return;
        }
        ctx.request_repaint();
        if live.frame != live.seen || self.painter.busy() {
            return;
        }
        let Some(picture) = camera::frame(SIDE) else { return };
        live.frame += 1;
        self.show_live(ctx, picture);
    }

    fn show_live(&mut self, ctx: &egui::Context, picture: Picture) {
        let (size, image) = ([picture.width, picture.height], reduced(&picture, SIDE));
        let origin = ImageOrigin::Memory(Arc::new(picture));
        let known = self.live.as_ref().and_then(|live| live.id);
        let id = match known {
            Some(id) => id,
            None => self.gallery.add("camera".to_owned(), origin.clone()),
        };
        if let Some(live) = &mut self.live {
            live.id = Some(id);
        }
        self.gallery.change(id, origin);
        self.gallery.thumb(ctx, id, image.clone(), size);
        self.gallery.shown(ctx, id, image, size);
    }
}
