//! Another model beside the run: a released one, the starter weights or any file looks at the watched pictures once, and
//! its features show in the run's colours, next to what the run makes of them.

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::decode_file;
use dinoscope_core::explore::{
    InspectionRequest, ModelInfo, ModelSource, PatchTokens, PictureId, PictureInspection, QueryToken,
    ViewQuery,
};
use dinoscope_core::train::watch::WatchFrameKind;
use dinoscope_core::train::watch::beside::{colours_beside, colours_of_checkpoint};
use dinoscope_core::train::watch::watch_colours::WatchPcaBasis;

use super::WatchedPaneContext;
use super::contact_sheets::{ContactSheetKey, ContactSheetKind, ContactSheetSource};
use super::sheet_cells;
use crate::studio::app_context::AppContext;
use crate::studio::background::task::{BackgroundTask, TaskFailedError};
use crate::studio::models::second_model::{SecondModel, SecondModelEvent};

/// The model beside the run, and what it has seen.
pub struct BesideModel {
    /// Which it is.
    pub source: ModelSource,
    /// Its name, without folders.
    pub name: String,
    run: PathBuf,
    /// Pixels along a side of the patches of the run's model.
    patch: Option<usize>,
    /// Opens and looks; gone once everything was seen.
    second: Option<SecondModel>,
    /// The moment whose pictures were loaded last.
    loaded: Option<u64>,
    loading: Option<BackgroundTask<Result<Vec<Picture>, String>>>,
    views: Vec<Arc<Picture>>,
    seen: Vec<Option<Arc<PatchFeatures>>>,
    /// The moment whose colours it follows.
    turned: Option<u64>,
    turning: Option<BackgroundTask<Result<Picture, String>>>,
    sheet: Option<Arc<Picture>>,
    /// How often the sheet was made.
    made: u64,
    /// Why nothing shows.
    pub trouble: Option<String>,
}

impl BesideModel {
    /// A model that is asked for, beside the run in this folder.
    pub fn new(source: ModelSource, run: PathBuf) -> Self {
        let name = match &source {
            ModelSource::Path(path) => path
                .file_name()
                .map_or_else(|| source.to_string(), |name| name.to_string_lossy().into_owned()),
            _ => source.to_string(),
        };
        Self {
            source,
            name,
            run,
            patch: None,
            second: None,
            loaded: None,
            loading: None,
            views: Vec::new(),
            seen: Vec::new(),
            turned: None,
            turning: None,
            sheet: None,
            made: 0,
            trouble: None,
        }
    }

    /// Whether something is on its way.
    pub fn busy(&self) -> bool {
        self.trouble.is_none() && (self.sheet.is_none() || self.loading.is_some() || self.turning.is_some())
    }

    /// What it sees in the watched pictures, once it has looked.
    pub fn sheet(&self) -> Option<&Arc<Picture>> {
        self.sheet.as_ref()
    }

    /// The same for the pane's textures.
    pub fn contact_sheet(&self) -> Option<(ContactSheetKey, ContactSheetSource)> {
        let sheet = self.sheet.clone()?;
        let key =
            ContactSheetKey { run: self.run.clone(), iteration: self.made, what: ContactSheetKind::Beside };
        Some((key, ContactSheetSource::Picture(sheet, self.views.len())))
    }

    /// How far the model is, and a way to stop it.
    pub fn opening_ui(&self, ui: &mut egui::Ui) {
        if let Some(second) = &self.second {
            second.opening_ui(ui);
        }
    }

    /// Once a frame: looks at what is new. False where there is no such model, and nothing more will come.
    pub fn logic(&mut self, app: &mut AppContext, seen: &WatchedPaneContext<'_>) -> bool {
        if seen.view.folder != self.run {
            *self = Self::new(self.source.clone(), seen.view.folder.clone());
        }
        self.patch = seen.view.recipe.as_ref().map(|recipe| recipe.model.patch);
        self.load(app, seen);
        if !self.look(app) {
            return false;
        }
        self.turn(app, seen);
        true
    }

    /// The watched pictures of the newest moment, where they are not those that it has seen.
    fn load(&mut self, app: &AppContext, seen: &WatchedPaneContext<'_>) {
        if let Some(answer) = self.loading.as_mut().and_then(BackgroundTask::answer) {
            self.loading = None;
            match answer.unwrap_or_else(|TaskFailedError| Err("the pictures can't be read".to_owned())) {
                Ok(views) => self.take_views(views),
                Err(reason) => self.trouble = Some(reason),
            }
        }
        let newest = seen.moments().last().copied();
        if newest.is_none() || newest == self.loaded || self.loading.is_some() {
            return;
        }
        self.loaded = newest;
        match seen.look.filter(|look| Some(look.iteration) == newest) {
            Some(look) => self.take_views(look.frames.iter().map(|frame| frame.view.clone()).collect()),
            None => {
                let what = ContactSheetKind::Kind(WatchFrameKind::View);
                let file = seen.file(newest.unwrap_or_default(), what);
                let read = move || {
                    let sheet = decode_file(&file).map_err(|error| error.to_string())?;
                    Ok(sheet_cells::pictures(&sheet))
                };
                self.loading = Some(BackgroundTask::ask_async("watched", &app.wake, async move || read()));
            }
        }
    }

    fn take_views(&mut self, views: Vec<Picture>) {
        let same = views.len() == self.views.len()
            && views.iter().zip(&self.views).all(|(new, known)| *new == **known);
        if same || views.is_empty() {
            return;
        }
        self.trouble = None;
        self.seen = vec![None; views.len()];
        self.views = views.into_iter().map(Arc::new).collect();
        (self.turned, self.turning) = (None, None);
        // A model that is looking already is asked anew.
        if let Some(info) = self.second.as_ref().and_then(|second| second.info.clone()) {
            self.ask(&info);
        }
    }

    /// Has the model look at what it has not seen.
    fn look(&mut self, app: &mut AppContext) -> bool {
        if self.seen.iter().all(Option::is_some) || self.trouble.is_some() {
            self.second = None;
            return true;
        }
        if self.second.is_none() {
            let mut second = SecondModel::new(app);
            if !second.open(app, self.source.clone()) {
                return false;
            }
            self.second = Some(second);
        }
        while let Some(event) = self.second.as_mut().and_then(|second| second.next_event(app)) {
            match event {
                SecondModelEvent::Ready(info) => self.ask(&info),
                SecondModelEvent::Seen(picture, _, seen) => self.take_seen(picture, &seen),
                SecondModelEvent::Failed(_, _, reason) => self.trouble = Some(reason),
                SecondModelEvent::Refused | SecondModelEvent::Stopped => return false,
                SecondModelEvent::Lost(reason) => {
                    app.toasts.bad(format!("{} can't look any more: {reason}.", self.name));
                    return false;
                }
            }
        }
        true
    }

    /// Asks for all views at the size at which it has as many patches as the run's model.
    fn ask(&self, info: &ModelInfo) {
        let Some(second) = &self.second else { return };
        let (own, patch) = (info.config.patch, self.patch);
        let request = |(picture, view): (usize, &Arc<Picture>)| {
            let side = view.width.min(view.height);
            let resolution = (side / patch.unwrap_or(own)).max(1) * own;
            let way = ViewQuery { resolution, block: info.config.depth - 1, query: QueryToken::Cls };
            let view = view.clone();
            InspectionRequest {
                picture: picture as PictureId,
                way,
                load: Arc::new(move |_, _| {
                    let view = view.clone();
                    Box::pin(async move { Ok(view) })
                }),
                in_memory: true,
            }
        };
        second.want(self.views.iter().enumerate().map(request).collect());
    }

    fn take_seen(&mut self, picture: PictureId, seen: &PictureInspection) {
        let place = usize::try_from(picture).ok().and_then(|at| self.seen.get_mut(at));
        if let (Some(place), PatchTokens::Host(patches)) = (place, &seen.patches) {
            *place = Some(patches.clone());
        }
    }

    /// Turns its colours onto the run's newest ones.
    fn turn(&mut self, app: &AppContext, seen: &WatchedPaneContext<'_>) {
        if let Some(answer) = self.turning.as_mut().and_then(BackgroundTask::answer) {
            self.turning = None;
            match answer.unwrap_or_else(|TaskFailedError| Err("colours can't be computed".to_owned())) {
                Ok(sheet) => (self.sheet, self.made) = (Some(Arc::new(sheet)), self.made + 1),
                Err(reason) => self.trouble = Some(reason),
            }
        }
        let features: Option<Vec<_>> = self.seen.iter().cloned().collect();
        let Some(features) = features.filter(|features| !features.is_empty()) else { return };
        let newest = seen.moments().last().copied();
        if self.turning.is_some() || (self.turned == newest && self.turned.is_some()) {
            return;
        }
        self.turned = newest;
        let views: Vec<Picture> = self.views.iter().map(|view| (**view).clone()).collect();
        let live = seen.look.map(|look| WatchPcaBasis::of(look.pca.clone(), &views));
        let checkpoint = seen.view.newest_checkpoint().map(|(_, folder)| folder.to_owned());
        let turn = move || {
            let run = live.or_else(|| colours_of_checkpoint(&checkpoint?));
            colours_beside(&views, &features, run).map_err(|error| error.to_string())
        };
        self.turning = Some(BackgroundTask::ask_async("beside", &app.wake, async move || turn()));
    }
}
