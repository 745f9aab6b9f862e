//! The evaluating side: how good features are, found out by evaluations that train nothing but small heads.
//!
//! A [`EvaluationConfig`] says what is asked, a [`EvaluationJob`] answers it beside the frames, [`EvaluationHistory`] keep the answers of this session.

mod config;
mod footer;
mod job;
mod pictures;
mod projection_chart;
mod results_pane;
mod samples_pane;
mod setup_pane;
mod words;

use pictures::{images, preloaded};
use projection_chart::{dark_theme, projection_data};
use results_pane::{export, history};

use std::path::PathBuf;

use dinoscope_core::data::source::idx::IdxSource;
use dinoscope_core::eval::cache::FeatureDiskCache;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::files;

use config::EvaluationWeights;
pub use config::{EvaluationConfig, EvaluationDataOrigin};
pub use dinoscope_core::eval::catalogue::EvaluationKind;
use history::{EvaluationHistory, EvaluationRecord};
use job::{EvaluationEnded, EvaluationJob, EvaluationJobEvent, EvaluationRequest};
use projection_chart::ProjectionChart;
pub use projection_chart::ProjectionPointImage;
use samples_pane::EnlargedImage;
use setup_pane::EvaluationDataLookup;

use super::app_context::AppContext;
use super::background::task::{BackgroundTask, TaskFailedError};
use super::settings_store::SettingsStore;
use super::theme;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::{HAS_DISK, storage};

/// Weights that the other workspaces have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AvailableWeights {
    /// What Explore looks with.
    pub explored: Option<ModelSource>,
    /// The newest checkpoint of the run that Train shows.
    pub trained: Option<PathBuf>,
    /// Whether Explore is still opening weights.
    pub opening: bool,
    /// The folder that the gallery's pictures come from.
    pub gallery: Option<PathBuf>,
}

impl AvailableWeights {
    fn explored_name(&self) -> String {
        self.explored.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string)
    }

    fn trained_name(&self) -> String {
        match &self.trained {
            Some(path) => ModelSource::Path(path.clone()).to_string(),
            None => "no checkpoint yet".to_owned(),
        }
    }
}

/// How evaluating stands, for tests and for who asks in a browser's console.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EvaluateSnapshot {
    /// Whether an evaluation goes on.
    pub going: bool,
    /// Findings so far: title, weights and the figure to quote, the newest last.
    pub found: Vec<(String, String, Option<f64>)>,
    /// What could not be found out the last time, and why.
    pub troubles: Vec<String>,
}

/// The evaluating side of the studio.
pub struct EvaluateWorkspace {
    setup: EvaluationConfig,
    offer: AvailableWeights,
    lookup: EvaluationDataLookup,
    job: Option<EvaluationJob>,
    /// Begins as soon as the weights are there: for screenshots.
    at_once: bool,
    results: EvaluationHistory,
    troubles: Vec<String>,
    large: Option<EnlargedImage>,
    chart: ProjectionChart,
    saving: Vec<BackgroundTask<Result<String, String>>>,
    /// Most pixels that a side of a picture on the screen can have.
    widest: usize,
}

impl EvaluateWorkspace {
    /// Nothing evaluated yet; what is asked is as it was left. With a wish it is evaluated at once.
    pub fn new(app: &AppContext, setup: Option<EvaluationConfig>) -> Self {
        let at_once = setup.is_some();
        let mut setup: EvaluationConfig =
            setup.or_else(|| app.remembered.get("evaluate")).unwrap_or_default();
        // What was given on another visit is not here any more.
        if !HAS_DISK && setup.path().is_some_and(|path| !files::exists(path)) {
            setup.path.clear();
        }
        Self {
            setup,
            offer: AvailableWeights::default(),
            lookup: EvaluationDataLookup::default(),
            job: None,
            at_once,
            results: EvaluationHistory::default(),
            troubles: Vec::new(),
            large: None,
            chart: ProjectionChart::default(),
            saving: Vec::new(),
            widest: 2048,
        }
    }

    /// Takes in what was found. `seen` says whether the workspace shows: what nobody sees is told in the corner.
    pub fn logic(&mut self, ctx: &egui::Context, app: &mut AppContext, offer: AvailableWeights, seen: bool) {
        self.offer = offer;
        self.widest = ctx.input(|input| input.max_texture_side);
        self.lookup.logic(&self.setup, &app.wake);
        self.take_dialogs(app);
        self.take_in(app, seen);
        self.take_in_saved(app);
        self.chart.logic(ctx);
        if self.at_once && self.job.is_none() {
            match self.start_blocker(&self.offer) {
                None => {
                    self.at_once = false;
                    let offer = self.offer.clone();
                    self.begin(app, &offer);
                }
                // Nothing comes any more that could change it.
                Some(_) if !self.offer.opening && !self.lookup.busy() => {
                    self.at_once = false;
                    self.trouble(app, "--evaluate".to_owned(), "there are no weights to evaluate".to_owned());
                }
                Some(_) => {}
            }
        }
    }

    fn take_dialogs(&mut self, app: &AppContext) {
        let dialogs = app.dialogs.clone();
        let first = |purpose| dialogs.answer(purpose).and_then(|paths| paths.into_iter().next());
        for purpose in [DialogPurpose::EvaluatedWeights, DialogPurpose::EvaluatedRun] {
            if let Some(path) = first(purpose) {
                self.setup.weights = EvaluationWeights::These(ModelSource::Path(path));
            }
        }
        for purpose in [DialogPurpose::EvaluatedFolder, DialogPurpose::EvaluatedFile] {
            // Who chooses pictures and labels together means the pictures.
            let paths = dialogs.answer(purpose).unwrap_or_default();
            let pictures = paths.iter().find(|path| IdxSource::recognizes(path)).or(paths.first());
            if let Some(path) = pictures {
                (self.setup.place, self.setup.path) =
                    (EvaluationDataOrigin::Disk, path.display().to_string());
                self.lookup.again();
            }
        }
        // A page answers once for each file, a desktop with the folder.
        while let Some(path) = first(DialogPurpose::SaveResults) {
            self.save(app, path);
        }
    }

    /// Something could not be evaluated.
    fn trouble(&mut self, app: &mut AppContext, what: String, reason: String) {
        self.troubles.push(format!("{what}: {reason}"));
        app.failed(what, reason, false);
    }

    fn take_in(&mut self, app: &mut AppContext, seen: bool) {
        while let Some(job) = &mut self.job {
            match job.receive() {
                Ok(None) => return,
                Ok(Some(EvaluationJobEvent::At(_))) => {}
                Ok(Some(EvaluationJobEvent::Found(finding))) => {
                    if !seen {
                        app.toasts.good(told(&finding));
                    }
                    ::log::info!("{}", told(&finding));
                    self.results.add(*finding);
                }
                Ok(Some(EvaluationJobEvent::Not(kind, reason))) => {
                    self.trouble(app, kind.title().to_owned(), reason)
                }
                Ok(Some(EvaluationJobEvent::Failed(reason))) => {
                    app.failed("the evaluation", reason.clone(), false);
                    self.troubles.push(reason);
                }
                Err(EvaluationEnded) => {
                    if let Some(reason) = job.refused() {
                        app.failed("the evaluation", reason, false);
                        self.troubles.push(reason.to_owned());
                    }
                    self.job = None;
                    if !seen && !self.troubles.is_empty() {
                        app.toasts.watch("Not everything could be evaluated: Evaluate says why.");
                    }
                }
            }
        }
    }

    /// Which weights are meant.
    fn source(&self, offer: &AvailableWeights) -> Result<ModelSource, &'static str> {
        match &self.setup.weights {
            EvaluationWeights::Explored => {
                offer.explored.clone().ok_or("Explore is still opening its weights.")
            }
            EvaluationWeights::Trained => {
                let path = offer.trained.clone().ok_or("Train shows no run with a checkpoint.")?;
                Ok(ModelSource::Path(path))
            }
            EvaluationWeights::These(source) => Ok(source.clone()),
        }
    }

    /// Why nothing can be evaluated now.
    fn start_blocker(&self, offer: &AvailableWeights) -> Option<String> {
        if let Err(reason) = self.source(offer) {
            return Some(reason.to_owned());
        }
        if self.setup.kinds.is_empty() {
            return Some("Choose an evaluation.".to_owned());
        }
        if !self.setup.is_scenes() && self.setup.path().is_none() {
            return Some("Choose the pictures.".to_owned());
        }
        self.lookup.trouble().map(|_| "These pictures can't be used: see above.".to_owned())
    }

    fn begin(&mut self, app: &mut AppContext, offer: &AvailableWeights) {
        let Ok(source) = self.source(offer) else { return };
        self.troubles.clear();
        // A test leaves nothing behind.
        let cache = if storage::KEEPS_FEATURES && !app.fresh {
            FeatureDiskCache::of_program()
        } else {
            FeatureDiskCache::off()
        };
        let device = app.devices.for_training();
        let order =
            EvaluationRequest { source, device, setup: self.setup.clone(), cache, widest: self.widest };
        self.job = Some(EvaluationJob::start(order, &app.wake));
    }

    /// Asks where figures and pictures of the finding that shows go: for a folder, in a page for each file.
    fn ask_where(&self, app: &AppContext) {
        let Some((_, finding)) = self.results.chosen() else { return };
        if HAS_DISK {
            app.dialogs.ask(DialogPurpose::SaveResults, "");
        } else {
            export::names(finding).iter().for_each(|name| app.dialogs.ask(DialogPurpose::SaveResults, name));
        }
    }

    fn save(&mut self, app: &AppContext, to: PathBuf) {
        let Some((_, finding)) = self.results.chosen() else { return };
        let finding = finding.clone();
        let work = async move || match HAS_DISK {
            true => export::save_all(&finding, &to),
            false => export::save_one(&finding, &to),
        };
        self.saving.push(BackgroundTask::ask_async("export", &app.wake, work));
    }

    fn take_in_saved(&mut self, app: &mut AppContext) {
        self.saving.retain_mut(|work| match work.answer() {
            None => true,
            Some(Ok(Ok(saved))) => {
                app.toasts.good(saved);
                false
            }
            Some(Ok(Err(reason))) => {
                app.toasts.bad(reason);
                false
            }
            Some(Err(TaskFailedError)) => {
                app.toasts.bad("The finding could not be saved.");
                false
            }
        });
    }

    /// Whose features are evaluated, on which pictures, how; its foot begins.
    pub fn setup_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        let offer = self.offer.clone();
        egui::Panel::bottom("judge").resizable(false).frame(egui::Frame::new()).show(ui, |ui| {
            self.foot_ui(ui, app, &offer);
        });
        egui::Frame::new().show(ui, |ui| self.sections_ui(ui, app, &offer));
    }

    /// What was found.
    pub fn results_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        self.found_ui(ui, app);
    }

    /// Pictures of what was found.
    pub fn samples_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        self.draw_samples(ui, &app.wake);
    }

    /// A picture of a map that a person wants to look at in Explore.
    pub fn wants_opened(&mut self) -> Option<ProjectionPointImage> {
        self.chart.wants_opened()
    }

    /// What lies over everything.
    pub fn over_ui(&mut self, ctx: &egui::Context) {
        self.large_ui(ctx);
    }

    /// How far it is in a line, for the bar at the top.
    pub fn brief_ui(&self, ui: &mut egui::Ui) {
        let Some(job) = &self.job else { return };
        let t = theme::tokens(ui);
        let icon = egui::RichText::new(theme::icons::BARS).font(theme::fonts::icon(16.0)).color(t.accent);
        ui.label(icon).on_hover_text("Judging");
        ui.add(egui::Label::new(footer::brief(job)).truncate());
    }

    /// How it stands.
    pub fn snapshot(&self) -> EvaluateSnapshot {
        let found = self.results.iter().map(|finding| {
            let quoted = finding.outcome.headline().map(|figure| figure.value);
            (finding.outcome.title.clone(), finding.weights.clone(), quoted)
        });
        EvaluateSnapshot {
            going: self.job.is_some(),
            found: found.collect(),
            troubles: self.troubles.clone(),
        }
    }

    /// Another number whenever it has come further.
    pub fn progress(&self) -> u64 {
        let at = self.job.as_ref().and_then(EvaluationJob::at);
        let steps = at.map_or(0, |at| at.done + at.step.map_or(0, |step| step.done + step.doing.len()));
        (steps + self.results.iter().count() + self.troubles.len()) as u64
    }

    /// Whether what will be drawn is still on its way.
    pub fn busy(&self) -> bool {
        self.job.is_some()
            || self.chart.busy()
            || self.lookup.busy()
            || !self.saving.is_empty()
            || self.at_once
    }

    /// The window is gone.
    pub fn closed(&mut self) {
        self.job = None;
    }

    /// Keeps what is asked.
    pub fn remember(&self, remembered: &mut SettingsStore) {
        remembered.set("evaluate", &self.setup);
    }
}

/// `Nearest neighbours of starter weights: top-1 81.2 % (78.0–84.1)`
fn told(finding: &EvaluationRecord) -> String {
    let quoted = finding.outcome.headline();
    let quoted = quoted.map_or(String::new(), |figure| format!(": {} {}", figure.name, figure.text()));
    format!("{} of {}{quoted}", finding.outcome.title, finding.weights)
}
