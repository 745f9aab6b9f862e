//! The second model on its way here, and away again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_core::explore::{
    ExplorerEvent, ModelInfo, ModelSource, PatchTokens, STARTER_FILE, STARTER_NAME,
};

use super::ComparedModel;
use crate::platform::model_download::{ModelDownload, ModelDownloadEvent};
use crate::platform::{HAS_DISK, explorer, models};
use crate::studio::app_context::AppContext;
use crate::studio::explore::model::model_fetch::so_far;
use crate::studio::explore::{Bytes, ExploreWorkspace};
use crate::studio::widgets;

/// A model on its way, and the one that is here.
#[derive(Default)]
pub struct OtherArrival {
    /// What a person asked for and is not here yet.
    asked: Option<ModelSource>,
    /// What was asked for when the one came that looks.
    looking: Option<ModelSource>,
    /// Bytes of a download.
    bytes: Option<Bytes>,
    download: Option<ModelDownload>,
    /// What there is to say about the network.
    word: String,
    /// A file that was fetched, with its address: whether it is a model is not known yet.
    fetched: Option<(PathBuf, String)>,
}

impl OtherArrival {
    /// The one that is on its way, else the one that looks.
    pub fn shown(&self) -> Option<&ModelSource> {
        self.asked.as_ref().or(self.looking.as_ref())
    }

    /// Whether one is on its way.
    pub fn opens(&self) -> bool {
        self.asked.is_some()
    }

    /// A model is here: the one that was asked for last, or one before it.
    fn ready(&mut self, source: &ModelSource) {
        let file = self.fetched.as_ref().map(|(path, _)| ModelSource::Path(path.clone()));
        let expected = file.as_ref().or(self.asked.as_ref());
        if expected.is_some_and(|expected| expected != source) {
            self.looking = Some(source.clone());
            return;
        }
        self.looking = self.asked.take().or_else(|| Some(source.clone()));
        if let Some((_, address)) = self.fetched.take() {
            models::opened(&address, true);
        }
    }

    /// Bytes of a download so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.map_or(0, |(done, _)| done)
    }
}

impl ComparedModel {
    /// Asks for a model; the one before looks until it is here. The reason where it can't be asked for.
    fn open(&mut self, app: &AppContext, source: ModelSource) -> Result<(), String> {
        ::log::info!("opening {source} to compare with");
        self.arrival.asked = Some(source.clone());
        (self.arrival.bytes, self.arrival.download) = (None, None);
        self.arrival.word.clear();
        match models::fetch(&source, &app.wake) {
            Some(download) => self.arrival.download = Some(download?),
            None => self.explorer.model(source),
        }
        Ok(())
    }

    /// The model looks from now on.
    fn ready(&mut self, info: Arc<ModelInfo>) {
        ::log::info!("comparing with {}", info.source);
        for note in &info.notes {
            ::log::info!("{}: {note}", info.file);
        }
        self.arrival.ready(&info.source);
        self.forget();
        self.head = self.head.filter(|head| *head < info.config.heads);
        self.shape.fit_to(&info.config);
        self.model = Some(info);
    }

    /// How far it is, and a way to stop it.
    pub fn opening_ui(&mut self, ui: &mut egui::Ui) {
        if !self.arrival.opens() {
            return;
        }
        let (share, text) = so_far(self.arrival.bytes, &self.arrival.word);
        if widgets::progress_with_cancel(ui, share, &text) {
            self.explorer.stop_download();
            if let Some(download) = &self.arrival.download {
                download.stop();
            }
        }
    }
}

impl ExploreWorkspace {
    /// Looks with a second model too from now on.
    pub fn compare_with(&mut self, app: &mut AppContext, source: ModelSource) {
        if self.compared.is_none() {
            self.compared = Some(Box::new(ComparedModel::new(app, &self.settings)));
            self.first_in_memory(app);
        }
        let opened = self.compared.as_mut().map(|other| other.open(app, source));
        if let Some(Err(reason)) = opened {
            self.other_refused(app, reason);
        }
    }

    /// Looks with the first model alone again.
    pub fn stop_comparing(&mut self, app: &AppContext) {
        if self.compared.take().is_some() {
            self.first_in_memory(app);
        }
    }

    /// Another device computes, or another one must begin: the same second model there.
    pub(in crate::studio::explore) fn compared_again(&mut self, app: &mut AppContext) {
        let Some(other) = &mut self.compared else { return };
        other.explorer = explorer::start_beside(&app.devices.chosen, app.devices.draws, &app.wake);
        other.forget();
        let source = other.arrival.shown().cloned();
        let opened = match (source, other.arrival.download.is_some()) {
            (Some(source), false) => other.open(app, source),
            _ => Ok(()),
        };
        self.first_in_memory(app);
        if let Err(reason) = opened {
            self.other_refused(app, reason);
        }
    }

    /// What two models have seen is compared in memory, also where a GPU would draw the first one's from its own buffers.
    fn first_in_memory(&mut self, app: &AppContext) {
        if !app.devices.draws {
            return;
        }
        let on_device = |seen: &dinoscope_core::explore::PictureInspection| {
            matches!(seen.patches, PatchTokens::Device(_))
        };
        let compares = self.compares();
        self.results.kept.retain(|_, (seen, _)| on_device(seen) != compares);
        self.painter.fit_again();
        self.canvas.wanted = 0;
    }

    /// There is no such model: the one before stays, or none.
    fn other_refused(&mut self, app: &mut AppContext, reason: String) {
        let Some(other) = &mut self.compared else { return };
        let source = other.arrival.asked.take();
        let reason = match other.arrival.fetched.take() {
            Some((path, address)) => {
                models::opened(&address, false);
                reason.replace(&path.display().to_string(), &address)
            }
            None => reason,
        };
        ::log::error!("{reason}");
        app.failed(source.map_or_else(String::new, |source| source.to_string()), reason.clone(), true);
        app.toasts.bad(reason);
        if self.compared.as_ref().is_some_and(|other| other.model.is_none()) {
            self.stop_comparing(app);
        }
    }

    /// Takes in what the second model says and has made.
    pub(in crate::studio::explore) fn compared_logic(&mut self, ctx: &egui::Context, app: &mut AppContext) {
        self.other_download(app);
        while let Some(report) =
            self.compared.as_ref().and_then(|other| other.explorer.reports.try_recv().ok())
        {
            self.take_other_report(report, app);
        }
        let Some(other) = &mut self.compared else { return };
        other.painter.logic(ctx);
        let error = other.painter.error.take();
        if let Some(error) = other.take_figures().or(error) {
            ::log::warn!("{error}");
            app.toasts.watch(error);
        }
    }

    fn take_other_report(&mut self, report: ExplorerEvent, app: &mut AppContext) {
        let Some(other) = &mut self.compared else { return };
        match report {
            ExplorerEvent::Downloading(done, total) => other.arrival.bytes = Some((done, total)),
            ExplorerEvent::Ready(info) => other.ready(info),
            ExplorerEvent::NoModel(reason) => self.other_refused(app, reason),
            ExplorerEvent::Seen(picture, way, seen) => {
                other.results.put(picture, way, seen);
                let newest = self.newest(picture);
                if let Some(other) = self.compared.as_mut().filter(|_| newest > 0) {
                    other.live_seen = newest;
                }
            }
            ExplorerEvent::Failed(picture, way, reason) => {
                ::log::warn!("{reason}");
                other.failures.insert((picture, way), reason.clone());
                app.failed(self.gallery.called(picture), reason, false);
            }
            ExplorerEvent::Fetched(..) => {}
            ExplorerEvent::Lost(reason) => {
                app.toasts.bad(format!("The second model can't look any more: {reason}."));
                self.stop_comparing(app);
            }
        }
    }

    fn other_download(&mut self, app: &mut AppContext) {
        loop {
            let Some(other) = &mut self.compared else { return };
            let Some(news) = other.arrival.download.as_ref().and_then(|load| load.events.try_recv().ok())
            else {
                return;
            };
            match news {
                ModelDownloadEvent::Bytes(done, total, word) => {
                    other.arrival.bytes = (done > 0).then_some((done, total));
                    other.arrival.word = word;
                }
                ModelDownloadEvent::Here(path) => {
                    let address =
                        other.arrival.download.take().map_or_else(String::new, |load| load.address.clone());
                    if path == Path::new(STARTER_FILE) {
                        other.explorer.model(ModelSource::Starter);
                    } else {
                        other.arrival.fetched = Some((path.clone(), address));
                        other.explorer.model(ModelSource::Path(path));
                    }
                }
                ModelDownloadEvent::Failed(reason) => {
                    other.arrival.download = None;
                    self.other_refused(app, reason);
                }
                ModelDownloadEvent::Stopped => {
                    (other.arrival.download, other.arrival.asked) = (None, None);
                    if other.model.is_none() {
                        self.stop_comparing(app);
                    }
                }
            }
        }
    }

    /// Name or address of the second model, for the page's address; nothing for none, and for one that has none.
    pub fn compared_address(&self) -> Option<&str> {
        match self.compared.as_ref()?.arrival.shown()? {
            ModelSource::Starter => Some(STARTER_NAME),
            ModelSource::Released(name) => Some(name),
            ModelSource::Path(_) | ModelSource::Bytes { .. } => None,
        }
    }

    /// The second model, where it will be there at the next start too.
    pub(in crate::studio::explore) fn kept_source(&self) -> Option<ModelSource> {
        self.compared_source().filter(|source| match source {
            ModelSource::Starter | ModelSource::Released(_) => true,
            ModelSource::Path(_) => HAS_DISK,
            ModelSource::Bytes { .. } => false,
        })
    }

    /// The first model has changed: what says something about both is of another one.
    pub(in crate::studio::explore) fn compared_anew(&mut self) {
        if let Some(other) = &mut self.compared {
            other.forget_agreement();
            (other.hover_at, other.pinned_at) = (None, None);
        }
    }

    /// A number that grows as the second model's work comes further.
    pub(in crate::studio::explore) fn compared_progress(&self) -> u64 {
        self.compared.as_ref().map_or(0, |other| {
            other.results.kept.len() as u64 + other.agreed.len() as u64 + other.arrival.bytes()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_keeps_the_name_that_it_was_asked_by() {
        let (first, file) =
            (ModelSource::Path("/a.pth".into()), ModelSource::Path("/models/small.safetensors".into()));
        let released = ModelSource::Released("dinov2-small".to_owned());
        let mut arrival = OtherArrival { asked: Some(released.clone()), ..OtherArrival::default() };
        // One that was asked for before comes late.
        arrival.ready(&first);
        assert!(arrival.opens() && arrival.looking.as_ref() == Some(&first));
        arrival.fetched = Some(("/models/small.safetensors".into(), "https://a.place/small".to_owned()));
        arrival.ready(&file);
        assert!(!arrival.opens() && arrival.shown() == Some(&released), "a file that was fetched for it");
    }
}
