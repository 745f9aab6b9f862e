//! Pictures of the gallery for the training side: watched while a model learns.

use dinoscope_core::data::Picture;
use dinoscope_core::features::whole_view;

use crate::studio::background::task::BackgroundTask;
use crate::studio::explore::ExploreWorkspace;

/// Most pictures that are watched.
const MOST: usize = 12;
/// Shorter side of a picture that is handed over: more than any view of a small model.
const SIDE: usize = 512;

/// Pictures on their way to the training side.
#[derive(Default)]
pub struct WatchedImageChannel(Option<BackgroundTask<Vec<Picture>>>);

impl ExploreWorkspace {
    /// Loads the selected pictures beside the frames; [`ExploreWorkspace::wants_watched`] has them when they are there.
    pub(in crate::studio::explore) fn watch_selection(&mut self) {
        let wanted: Vec<_> = self
            .gallery
            .selection()
            .into_iter()
            .take(MOST)
            .filter_map(|id| self.gallery.origin(id).map(|origin| (id, origin)))
            .collect();
        let pixels = self.intake.pixels.clone();
        let work = async move || {
            let small = |picture: std::sync::Arc<Picture>| match picture.width.min(picture.height) {
                side if side > SIDE => whole_view(&picture, SIDE, 1),
                _ => (*picture).clone(),
            };
            let mut pictures = Vec::with_capacity(wanted.len());
            for (id, origin) in wanted {
                pictures.extend(pixels.load(id, &origin).await.ok().map(small));
            }
            pictures
        };
        self.watch = WatchedImageChannel(Some(BackgroundTask::ask_async("watch", &self.export.wake(), work)));
    }

    /// Pictures that are to be watched while training, once.
    pub fn wants_watched(&mut self) -> Option<Vec<Picture>> {
        let answer = self.watch.0.as_mut()?.answer()?;
        self.watch.0 = None;
        answer.ok().filter(|pictures| !pictures.is_empty())
    }
}
