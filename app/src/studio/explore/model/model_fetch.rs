//! A model on its way here: how far it is, what becomes of it, and what looks where it can't be had.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_core::explore::{ModelInfo, ModelSource, STARTER_FILE};

use crate::platform::model_download::{ModelDownload, ModelDownloadEvent};
use crate::platform::{HAS_DISK, models};
use crate::studio::app_context::AppContext;
use crate::studio::explore::{ExploreWorkspace, InspectionCache};
use crate::studio::models::so_far;
use crate::studio::toasts::{ActionId, Toast};
use crate::studio::widgets::{self, StatusTone};

/// Actions of toasts that open a model once more: this number, and which of those that failed.
const AGAIN: u64 = 0x6d6f_6465_6c00;

/// A model on its way here.
#[derive(Default)]
pub struct ModelFetchState {
    download: Option<ModelDownload>,
    /// What was fetched, and whether it is a model is not known yet.
    fetched: Option<FetchedModelFile>,
    /// What there is to say about the network; nothing while all is well.
    word: String,
    /// Models that could not be had, and that a person may ask for again.
    failed: Vec<ModelSource>,
}

/// A file from the network.
struct FetchedModelFile {
    path: PathBuf,
    address: String,
    /// What was asked for.
    asked: ModelSource,
}

impl ModelFetchState {
    /// Whether something is being fetched.
    fn is_under_way(&self) -> bool {
        self.download.is_some()
    }

    /// Whether this is the file of a model that was just fetched.
    fn was_fetched(&self, source: &ModelSource) -> bool {
        self.fetched.as_ref().is_some_and(|fetched| *source == ModelSource::Path(fetched.path.clone()))
    }
}

impl ExploreWorkspace {
    /// Looks with another model from now on; until it is here, with the one that is there.
    pub fn use_model(&mut self, app: &mut AppContext, source: ModelSource) {
        ::log::info!("opening {source}");
        self.named.ask(&source, self.arrival.was_fetched(&source));
        self.opening = Some((source.clone(), None));
        self.arrival.download = None;
        self.arrival.word.clear();
        match models::fetch(&source, &app.wake) {
            Some(Ok(download)) => self.arrival.download = Some(download),
            Some(Err(reason)) => self.no_model(source, reason, false, app),
            None => self.explorer.model(source),
        }
    }

    /// The first model: the starter weights look until another one is here.
    pub(in crate::studio::explore) fn first_model(
        &mut self,
        app: &mut AppContext,
        asked: Option<ModelSource>,
    ) {
        let source = asked.unwrap_or(ModelSource::Starter);
        if models::FETCHED_FIRST && matches!(source, ModelSource::Released(_)) {
            self.explorer.model(ModelSource::Starter);
        }
        self.use_model(app, source);
    }

    /// A new explorer has none: the model that the last one had. What is on its way still comes.
    pub(in crate::studio::explore) fn model_again(&mut self, app: &mut AppContext) {
        let source = self.model.as_ref().map_or(ModelSource::Starter, |model| model.source.clone());
        match self.arrival.is_under_way() {
            true => self.explorer.model(source),
            false => self.use_model(app, source),
        }
    }

    /// A model looks from now on.
    pub(in crate::studio::explore) fn model_ready(&mut self, info: Arc<ModelInfo>, app: &AppContext) {
        ::log::info!("looking with {} on {}", info.source, app.devices.chosen.name);
        for note in &info.notes {
            ::log::info!("{}: {note}", info.file);
        }
        if self.opening.as_ref().is_some_and(|(source, _)| *source == info.source) {
            self.opening = None;
        }
        self.finalize_download(&info.source, true);
        self.results = InspectionCache::default();
        self.failures.clear();
        self.fetched.clear();
        self.canvas.fetching.clear();
        // What is wanted is wanted of this model.
        self.canvas.wanted = 0;
        self.painter.forget();
        self.compared_anew();
        self.pinned = None;
        self.hover = None;
        self.settings.fit_to(&info.config);
        self.named.ready(&info.source);
        self.model = Some(info);
    }

    /// A model can't be opened.
    pub(in crate::studio::explore) fn model_refused(&mut self, reason: String, app: &mut AppContext) {
        if self.arrival.is_under_way() {
            // It was the one that looks until the other is here.
            ::log::error!("{reason}");
            app.toasts.bad(reason);
            return;
        }
        let source = self.opening.take().map_or(ModelSource::Starter, |(source, _)| source);
        let (source, reason) = match self.finalize_download(&source, false) {
            Some(fetched) => {
                let path = fetched.path.display().to_string();
                (fetched.asked, reason.replace(&path, &fetched.address))
            }
            None => (source, reason),
        };
        // A file that lies on no disk is the same the next time.
        let again = HAS_DISK || matches!(source, ModelSource::Released(_));
        self.no_model(source, reason, again, app);
    }

    /// Says why there is no such model, with a way to try `again`, and looks with what there is: the model before, else
    /// the starter weights.
    fn no_model(&mut self, source: ModelSource, reason: String, again: bool, app: &mut AppContext) {
        ::log::error!("{reason}");
        self.opening = None;
        app.failed(source.to_string(), reason.clone(), true);
        let toast = Toast::new(StatusTone::Bad, reason);
        let toast = match again {
            true => toast.action("Try again", self.try_again(source.clone())),
            false => toast,
        };
        app.toasts.add(toast);
        self.fall_back(&source, app);
    }

    /// Where no model is there, the starter weights look. Not where nobody sees the window: what was asked for failed.
    fn fall_back(&mut self, failed: &ModelSource, app: &mut AppContext) {
        if self.model.is_none() && *failed != ModelSource::Starter && !app.fresh {
            self.use_model(app, ModelSource::Starter);
        }
    }

    fn try_again(&mut self, source: ModelSource) -> ActionId {
        let at = self.arrival.failed.iter().position(|failed| *failed == source).unwrap_or_else(|| {
            self.arrival.failed.push(source);
            self.arrival.failed.len() - 1
        });
        ActionId(AGAIN + at as u64)
    }

    /// A person chose what a toast offers.
    pub fn chose(&mut self, app: &mut AppContext, ActionId(number): ActionId) {
        let at = number.checked_sub(AGAIN).and_then(|at| usize::try_from(at).ok());
        if let Some(source) = at.and_then(|at| self.arrival.failed.get(at)).cloned() {
            self.use_model(app, source);
        }
    }

    /// How far the model is that is on its way.
    pub(in crate::studio::explore) fn opening_ui(&mut self, ui: &mut egui::Ui) {
        let Some((_, bytes)) = &self.opening else { return };
        let (share, text) = so_far(*bytes, &self.arrival.word);
        if widgets::progress_with_cancel(ui, share, &text) {
            self.explorer.stop_download();
            if let Some(download) = &self.arrival.download {
                download.stop();
            }
        }
    }
}

impl ExploreWorkspace {
    /// Takes in how far the download of a model is, and opens it once it is here.
    pub(in crate::studio::explore) fn fetch_logic(&mut self, app: &mut AppContext) {
        while let Some(news) =
            self.arrival.download.as_ref().and_then(|download| download.events.try_recv().ok())
        {
            let asked = self.opening.as_ref().map_or(ModelSource::Starter, |(source, _)| source.clone());
            match news {
                ModelDownloadEvent::Bytes(done, total, word) => {
                    if let Some((_, bytes)) = &mut self.opening {
                        *bytes = (done > 0).then_some((done, total));
                    }
                    self.arrival.word = word;
                }
                ModelDownloadEvent::Here(path) if path == Path::new(STARTER_FILE) => {
                    self.arrival.download = None;
                    self.use_model(app, ModelSource::Starter);
                }
                ModelDownloadEvent::Here(path) => {
                    let address =
                        self.arrival.download.take().map_or_else(String::new, |d| d.address.clone());
                    self.arrival.fetched = Some(FetchedModelFile { path: path.clone(), address, asked });
                    self.use_model(app, ModelSource::Path(path));
                }
                ModelDownloadEvent::Failed(reason) => {
                    self.arrival.download = None;
                    self.no_model(asked, reason, true, app);
                }
                ModelDownloadEvent::Stopped => {
                    self.arrival.download = None;
                    self.opening = None;
                    self.fall_back(&asked, app);
                }
            }
        }
    }

    /// Whether a file from the network is a model is known now: the page keeps it, or forgets it.
    fn finalize_download(&mut self, source: &ModelSource, good: bool) -> Option<FetchedModelFile> {
        let is_it = |fetched: &mut FetchedModelFile| *source == ModelSource::Path(fetched.path.clone());
        let fetched = self.arrival.fetched.take_if(is_it)?;
        models::opened(&fetched.address, good);
        Some(fetched)
    }
}
