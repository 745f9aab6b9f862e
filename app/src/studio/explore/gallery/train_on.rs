//! "Train on these": the gallery's pictures for the training side, and what a run on them begins with.

use std::path::PathBuf;

use dinoscope_core::explore::{ModelSource, STARTER_NAME};

use crate::studio::explore::ExploreWorkspace;
use crate::studio::theme::icons;
use crate::studio::widgets;

/// From so many pictures of one's own on the strip offers to train on them; from fewer hardly anything is learned.
const OFFERED: usize = 8;

/// What a person wants to train on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GalleryTrainRequest {
    /// What was opened: files and folders.
    pub opened: Vec<PathBuf>,
    /// The files of all pictures that are open.
    pub files: Vec<PathBuf>,
    /// What looks at them, by its name.
    pub weights: String,
}

impl ExploreWorkspace {
    /// The button of the strip, where enough pictures are open.
    pub(in crate::studio::explore) fn train_on_strip(&mut self, ui: &mut egui::Ui) {
        if self.gallery.walking == 0 && self.gallery.files().len() >= OFFERED {
            self.train_on_button(ui);
        }
    }

    /// The button; off where there are no pictures of one's own.
    pub(in crate::studio::explore) fn train_on_button(&mut self, ui: &mut egui::Ui) {
        let files = self.gallery.files();
        let button = |ui: &mut egui::Ui| widgets::button(ui, icons::BRAIN, "Train on these");
        let response = ui.add_enabled_ui(!files.is_empty(), button).inner;
        let response = response
            .on_hover_text(
                "The model goes on learning on these pictures, for some minutes. Shows before and after.",
            )
            .on_disabled_hover_text("Open pictures of your own first.");
        if response.clicked() {
            let weights = match self.model_source() {
                Some(ModelSource::Path(path)) => path.to_string_lossy().into_owned(),
                Some(ModelSource::Released(name)) => name,
                // What has no name can't be gone on from.
                Some(ModelSource::Starter | ModelSource::Bytes { .. }) | None => STARTER_NAME.to_owned(),
            };
            self.train_on = Some(GalleryTrainRequest { opened: self.opened.clone(), files, weights });
        }
    }

    /// What a person wants to train on, once.
    pub fn wants_trained(&mut self) -> Option<GalleryTrainRequest> {
        self.train_on.take()
    }
}
