//! A model beside another one: on its way here, looking, and away again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_core::explore::{
    ExplorerEvent, ExplorerHandle, ModelInfo, ModelSource, PictureId, PictureInspection, STARTER_FILE,
    ViewQuery,
};

use super::{DownloadedBytes, so_far};
use crate::platform::model_download::{ModelDownload, ModelDownloadEvent};
use crate::platform::{explorer, models};
use crate::studio::app_context::AppContext;
use crate::studio::widgets;

/// What a second model says.
pub enum SecondModelEvent {
    /// It looks from now on; what was seen before belongs to another one.
    Ready(Arc<ModelInfo>),
    /// It has seen a picture.
    Seen(PictureId, ViewQuery, Arc<PictureInspection>),
    /// A picture can't be looked at.
    Failed(PictureId, ViewQuery, String),
    /// There is no such model: the one before stays, or none. A person has been told.
    Refused,
    /// A person has stopped its download: the one before stays, or none.
    Stopped,
    /// The device is gone, and why.
    Lost(String),
}

/// A second model.
pub struct SecondModel {
    explorer: ExplorerHandle,
    arrival: ModelArrival,
    /// The one that looks.
    pub info: Option<Arc<ModelInfo>>,
}

/// A model on its way, and the one that is here.
#[derive(Default)]
struct ModelArrival {
    /// What a person asked for and is not here yet.
    asked: Option<ModelSource>,
    /// What was asked for when the one came that looks.
    looking: Option<ModelSource>,
    bytes: Option<DownloadedBytes>,
    download: Option<ModelDownload>,
    /// What there is to say about the network.
    word: String,
    /// A file that was fetched, with its address: whether it is a model is not known yet.
    fetched: Option<(PathBuf, String)>,
}

impl ModelArrival {
    fn shown(&self) -> Option<&ModelSource> {
        self.asked.as_ref().or(self.looking.as_ref())
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
}

impl SecondModel {
    /// Nobody looks yet. What it will see is always in memory.
    pub fn new(app: &AppContext) -> Self {
        Self { explorer: started(app), arrival: ModelArrival::default(), info: None }
    }

    /// The one that is on its way, else the one that looks.
    pub fn source(&self) -> Option<&ModelSource> {
        self.arrival.shown()
    }

    /// What a person knows it by.
    pub fn name(&self) -> String {
        self.source().map_or_else(String::new, ToString::to_string)
    }

    /// Whether one is on its way.
    pub fn opens(&self) -> bool {
        self.arrival.asked.is_some()
    }

    /// Bytes of a download so far.
    pub fn bytes(&self) -> u64 {
        self.arrival.bytes.map_or(0, |(done, _)| done)
    }

    /// What to look at, in place of what was wanted before.
    pub fn want(&self, wanted: Vec<dinoscope_core::explore::InspectionRequest>) {
        self.explorer.want(wanted);
    }

    /// Asks for a model; the one before looks until it is here. False where it can't be asked for, which a person is told.
    pub fn open(&mut self, app: &mut AppContext, source: ModelSource) -> bool {
        ::log::info!("opening {source} to compare with");
        self.arrival.asked = Some(source.clone());
        (self.arrival.bytes, self.arrival.download) = (None, None);
        self.arrival.word.clear();
        match models::fetch(&source, &app.wake) {
            Some(Ok(download)) => self.arrival.download = Some(download),
            None => self.explorer.model(source),
            Some(Err(reason)) => {
                self.refused(app, reason);
                return false;
            }
        }
        true
    }

    /// Another device computes, or another thread must begin: the same model there. False where it can't be had.
    pub fn again(&mut self, app: &mut AppContext) -> bool {
        self.explorer = started(app);
        let source = self.arrival.shown().cloned();
        match (source, self.arrival.download.is_some()) {
            (Some(source), false) => self.open(app, source),
            _ => true,
        }
    }

    /// There is no such model: the one before stays, or none.
    fn refused(&mut self, app: &mut AppContext, reason: String) {
        let source = self.arrival.asked.take();
        let reason = match self.arrival.fetched.take() {
            Some((path, address)) => {
                models::opened(&address, false);
                reason.replace(&path.display().to_string(), &address)
            }
            None => reason,
        };
        ::log::error!("{reason}");
        app.failed(source.map_or_else(String::new, |source| source.to_string()), reason.clone(), true);
        app.toasts.bad(reason);
    }

    /// How far it is, and a way to stop it.
    pub fn opening_ui(&self, ui: &mut egui::Ui) {
        if !self.opens() {
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

    /// What it says next; downloads go on meanwhile.
    pub fn next_event(&mut self, app: &mut AppContext) -> Option<SecondModelEvent> {
        if let Some(event) = self.download_event(app) {
            return Some(event);
        }
        loop {
            match self.explorer.reports.try_recv().ok()? {
                ExplorerEvent::Downloading(done, total) => self.arrival.bytes = Some((done, total)),
                ExplorerEvent::Ready(info) => {
                    ::log::info!("comparing with {}", info.source);
                    for note in &info.notes {
                        ::log::info!("{}: {note}", info.file);
                    }
                    self.arrival.ready(&info.source);
                    self.info = Some(info.clone());
                    return Some(SecondModelEvent::Ready(info));
                }
                ExplorerEvent::NoModel(reason) => {
                    self.refused(app, reason);
                    return Some(SecondModelEvent::Refused);
                }
                ExplorerEvent::Seen(picture, way, seen) => {
                    return Some(SecondModelEvent::Seen(picture, way, seen));
                }
                ExplorerEvent::Failed(picture, way, reason) => {
                    ::log::warn!("{reason}");
                    return Some(SecondModelEvent::Failed(picture, way, reason));
                }
                ExplorerEvent::Fetched(..) => {}
                ExplorerEvent::Lost(reason) => return Some(SecondModelEvent::Lost(reason)),
            }
        }
    }

    fn download_event(&mut self, app: &mut AppContext) -> Option<SecondModelEvent> {
        loop {
            match self.arrival.download.as_ref()?.events.try_recv().ok()? {
                ModelDownloadEvent::Bytes(done, total, word) => {
                    self.arrival.bytes = (done > 0).then_some((done, total));
                    self.arrival.word = word;
                }
                ModelDownloadEvent::Here(path) => {
                    let address =
                        self.arrival.download.take().map_or_else(String::new, |load| load.address.clone());
                    if path == Path::new(STARTER_FILE) {
                        self.explorer.model(ModelSource::Starter);
                    } else {
                        self.arrival.fetched = Some((path.clone(), address));
                        self.explorer.model(ModelSource::Path(path));
                    }
                }
                ModelDownloadEvent::Failed(reason) => {
                    self.arrival.download = None;
                    self.refused(app, reason);
                    return Some(SecondModelEvent::Refused);
                }
                ModelDownloadEvent::Stopped => {
                    (self.arrival.download, self.arrival.asked) = (None, None);
                    return Some(SecondModelEvent::Stopped);
                }
            }
        }
    }
}

fn started(app: &AppContext) -> ExplorerHandle {
    explorer::start_beside(&app.devices.chosen, app.devices.draws, &app.wake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_keeps_the_name_that_it_was_asked_by() {
        let (first, file) =
            (ModelSource::Path("/a.pth".into()), ModelSource::Path("/models/small.safetensors".into()));
        let released = ModelSource::Released("dinov2-small".to_owned());
        let mut arrival = ModelArrival { asked: Some(released.clone()), ..ModelArrival::default() };
        // One that was asked for before comes late.
        arrival.ready(&first);
        assert!(arrival.asked.is_some() && arrival.looking.as_ref() == Some(&first));
        arrival.fetched = Some(("/models/small.safetensors".into(), "https://a.place/small".to_owned()));
        arrival.ready(&file);
        assert!(
            arrival.asked.is_none() && arrival.shown() == Some(&released),
            "a file that was fetched for it"
        );
    }
}
