//! The exploring side: pictures in, what the model sees in them out.

mod compare;
mod export;
mod follow;
mod gallery;
mod inspection_progress;
mod inspection_requests;
mod model;
mod paint;
mod picture;
mod sample;
mod settings;
mod snapshot;
mod view_pane;
mod welcome;

use gallery::{gallery_loader, pixel_store, watch};
use model::{address, model_fetch};
use picture::{camera_stream, canvas, shortcuts};

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::data::Picture;
use dinoscope_core::explore::{
    ExplorerEvent, ExplorerHandle, ModelInfo, ModelSource, PatchTokens, PictureId, PictureInspection,
    ViewQuery,
};
use serde::{Deserialize, Serialize};

use super::StartupOptions;
use super::app_context::AppContext;
use super::models::DownloadedBytes;
use super::settings_store::SettingsStore;
use super::theme;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::{clipboard, explorer};
pub use follow::FollowSnapshot;
use gallery::Gallery;
pub use gallery::train_on::GalleryTrainRequest;
use gallery_loader::{GalleryLoader, GalleryLoaderEvent};
pub use inspection_progress::InspectionProgress;
pub use model::is_weights;
use paint::OverlayPainter;
use pixel_store::ImageOrigin;
use settings::ExploreSettings;
pub use snapshot::{ComparisonSnapshot, ExploreSnapshot};

/// What is shown over a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExplorePanel {
    /// Principal components of the patch features as colours.
    #[default]
    Pca,
    /// Where a token looks.
    Attention,
    /// What is similar to the patch under the pointer.
    Similarity,
    /// Patches of two pictures that belong together.
    Match,
}

impl ExplorePanel {
    /// What shows over a picture, for who can't see it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Pca => "principal components",
            Self::Attention => "attention",
            Self::Similarity => "similarity",
            Self::Match => "matches",
        }
    }
}

/// A patch of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PatchLocation {
    /// The picture.
    pub picture: PictureId,
    /// The patch, in reading order.
    pub patch: usize,
}

/// Bytes of results that are kept.
const KEPT: usize = 512 << 20;

/// Results, the most recently used ones.
#[derive(Default)]
struct InspectionCache {
    kept: HashMap<(PictureId, ViewQuery), (Arc<PictureInspection>, u64)>,
    clock: u64,
}

impl InspectionCache {
    fn get(&mut self, picture: PictureId, way: ViewQuery) -> Option<Arc<PictureInspection>> {
        self.clock += 1;
        let clock = self.clock;
        self.kept.get_mut(&(picture, way)).map(|(seen, used)| {
            *used = clock;
            seen.clone()
        })
    }

    fn put(&mut self, picture: PictureId, way: ViewQuery, seen: Arc<PictureInspection>) {
        self.clock += 1;
        self.kept.insert((picture, way), (seen, self.clock));
        let bytes = |kept: &HashMap<_, (Arc<PictureInspection>, u64)>| -> usize {
            kept.values().map(|(s, _)| s.bytes()).sum()
        };
        while self.kept.len() > 1 && bytes(&self.kept) > KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.kept.remove(&oldest);
            }
        }
    }
}

/// The exploring side of the studio.
pub struct ExploreWorkspace {
    gallery: Gallery,
    /// Files and folders that were opened.
    opened: Vec<PathBuf>,
    settings: ExploreSettings,
    intake: GalleryLoader,
    explorer: ExplorerHandle,
    model: Option<Arc<ModelInfo>>,
    live: Option<camera_stream::CameraStream>,
    arrival: model_fetch::ModelFetchState,
    /// What was asked for and is not there yet, with bytes of its download.
    opening: Option<(ModelSource, Option<DownloadedBytes>)>,
    named: address::ModelAddresses,
    sample: sample::WelcomeSample,
    results: InspectionCache,
    failures: HashMap<(PictureId, ViewQuery), String>,
    /// What was looked at when a person stopped it.
    stopped: Option<u64>,
    fetched: HashMap<(PictureId, ViewQuery), Arc<PatchFeatures>>,
    painter: OverlayPainter,
    /// A second model beside the first.
    compared: Option<Box<compare::ComparedModel>>,
    /// Whether the weights that a dialog asks for are the second model's.
    canvas: canvas::ImageViewerState,
    hover: Option<PatchLocation>,
    pinned: Option<PatchLocation>,
    export: export::ExploreExporter,
    follow: follow::FollowPanel,
    watch: watch::WatchedImageChannel,
    /// What a person wants to train on.
    train_on: Option<GalleryTrainRequest>,
    /// Whether the middle of the first picture is pinned once it was looked at: nobody points in a screenshot.
    pin_middle: bool,
    /// A path that is being typed.
    path: String,
    /// Frames within which what was asked of the clipboard is still to come.
    pasting: Option<u32>,
    /// How many pictures could not be read since the last toast, and the first reason.
    unreadable: (usize, String),
}

impl ExploreWorkspace {
    /// Opens the first model; pictures come later.
    pub fn new(app: &mut AppContext, startup: &StartupOptions) -> Self {
        let mut settings: ExploreSettings = app.remembered.get("view").unwrap_or_default();
        if let Some(panel) = startup.panel {
            settings.panel = panel;
        }
        let mut explore = Self {
            gallery: Gallery::default(),
            opened: Vec::new(),
            settings,
            intake: GalleryLoader::start(&app.wake),
            explorer: explorer::start(&app.devices.chosen, app.devices.draws, &app.wake),
            model: None,
            live: None,
            arrival: model_fetch::ModelFetchState::default(),
            opening: None,
            named: address::ModelAddresses::default(),
            sample: sample::WelcomeSample::default(),
            results: InspectionCache::default(),
            failures: HashMap::new(),
            stopped: None,
            fetched: HashMap::new(),
            painter: OverlayPainter::new(&app.drawing, app.wake.clone()),
            compared: None,
            canvas: canvas::ImageViewerState::default(),
            hover: None,
            pinned: None,
            export: export::ExploreExporter::new(app.wake.clone()),
            follow: follow::FollowPanel::default(),
            watch: watch::WatchedImageChannel::default(),
            train_on: None,
            pin_middle: startup.fresh && startup.panel == Some(ExplorePanel::Similarity),
            path: String::new(),
            pasting: None,
            unreadable: (0, String::new()),
        };
        explore.first_model(app, startup.weights.clone());
        if let Some(against) = startup.against.clone().or(explore.settings.against.take()) {
            explore.compare_with(app, against);
        }
        explore
    }

    /// Opens pictures and folders.
    pub fn open(&mut self, _: &AppContext, paths: Vec<PathBuf>) {
        if !paths.is_empty() {
            self.gallery.walking += 1;
            self.opened.extend(paths.iter().cloned());
            self.intake.pixels.walk(paths);
        }
    }

    /// Opens what was dropped on the window: pictures, folders, or weights.
    pub fn dropped(&mut self, app: &mut AppContext, paths: Vec<PathBuf>) {
        let (weights, pictures): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.into_iter().partition(|path| model::is_weights(path));
        if let Some(path) = weights.into_iter().next() {
            self.use_model(app, ModelSource::Path(path));
        }
        self.open(app, pictures);
    }

    /// Opens a picture from the clipboard.
    pub fn pasted(&mut self, image: &egui::ColorImage) {
        self.gallery.pasted += 1;
        self.open_image(format!("pasted {}", self.gallery.pasted), image);
    }

    /// Opens a picture that is in memory.
    pub fn open_image(&mut self, name: String, image: &egui::ColorImage) {
        let rgb = image.pixels.iter().flat_map(|p| [p.r(), p.g(), p.b()]).collect();
        let picture = Picture::of_rgb(image.size[0], image.size[1], rgb);
        self.gallery.add(name, ImageOrigin::Memory(Arc::new(picture)));
    }

    /// Asks for what the clipboard holds.
    pub(super) fn ask_paste(&mut self, ctx: &egui::Context) {
        clipboard::paste(ctx);
        self.pasting = clipboard::FRAMES;
    }

    /// A clipboard that holds nothing of use answers with nothing at all: that has to be said.
    pub fn await_pasted(&mut self, ctx: &egui::Context, app: &mut AppContext, came: bool) {
        match self.pasting {
            Some(_) if came => self.pasting = None,
            Some(0) => {
                self.pasting = None;
                app.toasts.info(clipboard::NOTHING);
            }
            Some(left) => {
                self.pasting = Some(left - 1);
                ctx.request_repaint();
            }
            None => {}
        }
    }

    /// Opens the files, or what lies at the addresses, that a pasted text names.
    pub fn pasted_text(&mut self, app: &mut AppContext, text: &str) {
        let (paths, addresses) = (clipboard::paths(text), clipboard::addresses(text));
        if paths.is_empty() && addresses.is_empty() {
            app.toasts.info(clipboard::NOTHING);
        }
        addresses.iter().for_each(|address| app.addresses.open(address));
        // Weights are looked with, as when they are dropped.
        self.dropped(app, paths);
    }

    /// Adds the scenes that the program draws itself.
    pub fn add_scenes(&mut self) {
        let first = self.gallery.scenes;
        for index in first..first + 12 {
            self.gallery.add(format!("scene {index}"), ImageOrigin::Scene(index));
        }
        self.gallery.scenes += 12;
    }

    /// The files of all pictures that are files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.gallery.files()
    }

    /// Where the model that looks came from.
    pub fn model_source(&self) -> Option<ModelSource> {
        self.model.as_ref().map(|model| model.source.clone())
    }

    /// The folder that was opened with the first picture that is a file, else the one that it lies in.
    pub fn folder(&self) -> Option<PathBuf> {
        let first = self.gallery.folder()?;
        let opened = self.opened.iter().find(|opened| first.starts_with(opened));
        Some(opened.cloned().unwrap_or(first))
    }

    /// Takes in what the threads have sent and asks for what is missing.
    pub fn logic(&mut self, ctx: &egui::Context, app: &mut AppContext) {
        if std::mem::take(&mut app.device_changed) {
            self.change_device(app);
        }
        self.take_dialogs(app);
        self.take_news(ctx, app);
        while let Ok(report) = self.explorer.reports.try_recv() {
            self.take_report(report, app);
        }
        self.fetch_logic(app);
        self.painter.logic(ctx);
        self.compared_logic(ctx, app);
        self.live_logic(ctx, app);
        if let Some(error) = self.painter.error.take() {
            ::log::warn!("{error}");
            app.toasts.watch(error);
        }
        self.export.logic(app);
        self.export_logic(app);
        self.choose_for_panel();
        // A program that acts as a GPU takes far too long for something that nobody asked for.
        let slow = app.devices.on_gpu() && app.drawing.is_software();
        self.sample_logic(ctx, !slow, app.devices.on_gpu());
        self.follow_logic(ctx, app);
        self.ask(ctx);
    }

    /// What a panel needs to show anything: a second picture to match, and a patch where no pointer can point.
    fn choose_for_panel(&mut self) {
        if self.settings.panel == ExplorePanel::Match
            && self.gallery.second().is_none()
            && self.gallery.len() > 1
        {
            self.gallery.neighbour_beside();
        }
        if self.pin_middle
            && let Some(picture) = self.gallery.chosen()
            && let Some(seen) = self.seen(picture)
        {
            self.pin_middle = false;
            let patch = seen.rows / 2 * seen.cols + seen.cols / 2;
            self.pinned = Some(PatchLocation { picture, patch });
        }
    }

    fn take_dialogs(&mut self, app: &mut AppContext) {
        let dialogs = app.dialogs.clone();
        for purpose in [DialogPurpose::OpenPictures, DialogPurpose::OpenFolder] {
            if let Some(paths) = dialogs.answer(purpose) {
                self.open(app, paths);
            }
        }
        for purpose in [DialogPurpose::OpenWeights, DialogPurpose::OpenRun] {
            if let Some(path) = dialogs.answer(purpose).and_then(|paths| paths.into_iter().next()) {
                self.use_model(app, ModelSource::Path(path));
            }
        }
        for purpose in [DialogPurpose::SecondWeights, DialogPurpose::SecondRun] {
            if let Some(path) = dialogs.answer(purpose).and_then(|paths| paths.into_iter().next()) {
                self.compare_with(app, ModelSource::Path(path));
            }
        }
    }

    fn take_news(&mut self, ctx: &egui::Context, app: &mut AppContext) {
        while let Ok(news) = self.intake.news.try_recv() {
            match news {
                GalleryLoaderEvent::Found { files, refused, left_out } => {
                    left_out.into_iter().for_each(|said| app.toasts.watch(said));
                    self.gallery.walking = self.gallery.walking.saturating_sub(1);
                    for (path, reason) in refused {
                        app.failed(path, reason.clone(), true);
                        app.toasts.watch(reason);
                    }
                    if files.len() > 1 {
                        ::log::info!("{} pictures opened", files.len());
                    }
                    let alone = files.len() == 1;
                    for path in files {
                        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                        let id = self.gallery.add(name.unwrap_or_default(), ImageOrigin::File(path));
                        // Who opens one picture wants to see that one.
                        if alone {
                            self.gallery.choose(id);
                        }
                    }
                }
                GalleryLoaderEvent::Thumb(id, made) | GalleryLoaderEvent::Shown(id, made)
                    if made.is_err() =>
                {
                    let reason = made.err().unwrap_or_default();
                    ::log::warn!("{reason}");
                    app.failed(self.gallery.called(id), reason.clone(), true);
                    if self.gallery.refuse(id) {
                        self.unreadable.0 += 1;
                        self.unreadable.1 = reason;
                    }
                }
                GalleryLoaderEvent::Thumb(id, Ok((image, size))) => self.gallery.thumb(ctx, id, image, size),
                GalleryLoaderEvent::Shown(id, Ok((image, size))) => self.gallery.shown(ctx, id, image, size),
                GalleryLoaderEvent::Rough(id, Ok((image, size))) => {
                    self.gallery.roughly_shown(ctx, id, image, size);
                }
                GalleryLoaderEvent::Done(id) => self.intake.pixels.heard(id),
                GalleryLoaderEvent::Thumb(..)
                | GalleryLoaderEvent::Shown(..)
                | GalleryLoaderEvent::Rough(..) => {}
            }
        }
        // One message for a folder's worth of broken files, once they have all been tried.
        let (count, reason) = &self.unreadable;
        if *count > 0 && !self.gallery.loading() {
            match count {
                1 => app.toasts.watch(reason.clone()),
                n => app
                    .toasts
                    .watch(format!("{n} files could not be read; the log names them. The last: {reason}")),
            }
            self.unreadable = (0, String::new());
        }
    }

    fn take_report(&mut self, report: ExplorerEvent, app: &mut AppContext) {
        match report {
            ExplorerEvent::Downloading(done, total) => {
                if let Some((_, bytes)) = &mut self.opening {
                    *bytes = Some((done, total));
                }
            }
            ExplorerEvent::Ready(info) => self.model_ready(info, app),
            ExplorerEvent::NoModel(reason) => self.model_refused(reason, app),
            ExplorerEvent::Seen(picture, way, seen) if follow::FollowPanel::is_frame(picture) => {
                self.follow.seen(picture, way, &seen);
            }
            // It was being looked at when the second model came: once more, into memory.
            ExplorerEvent::Seen(_, _, seen)
                if self.compares() && matches!(seen.patches, PatchTokens::Device(_)) =>
            {
                self.canvas.wanted = 0;
            }
            ExplorerEvent::Seen(picture, way, seen) => {
                self.follow_live_seen(picture, &seen);
                self.results.put(picture, way, seen);
                self.live_seen(picture);
            }
            ExplorerEvent::Failed(picture, _, reason) if follow::FollowPanel::is_frame(picture) => {
                ::log::warn!("{reason}");
                self.follow.refused(picture, &reason);
            }
            ExplorerEvent::Failed(picture, way, reason) => {
                ::log::warn!("{reason}");
                app.failed(self.gallery.called(picture), reason.clone(), false);
                self.failures.insert((picture, way), reason);
            }
            ExplorerEvent::Fetched(picture, way, patches) => {
                if self.fetched.len() > 8 {
                    self.fetched.clear();
                }
                self.fetched.insert((picture, way), patches);
            }
            ExplorerEvent::Lost(reason) => self.lost(&reason, app),
        }
    }

    /// The explorer's thread has ended: says why and goes on with a new one, on the processor.
    fn lost(&mut self, reason: &str, app: &mut AppContext) {
        ::log::error!("the device failed: {reason}");
        if app.devices.draws {
            // It was the GPU that draws as well: whoever has the window must open another.
            if let Ok(mut lost) = app.drawing_lost.lock() {
                lost.get_or_insert_with(|| reason.to_owned());
            }
        }
        let on = app.devices.chosen.name.clone();
        app.toasts.bad(format!(
            "{on} failed ({reason}). Looking goes on with the processor; choose a device above."
        ));
        app.choose_device(dinoscope_core::device::DeviceChoice::Cpu);
        app.device_changed = false;
        self.begin_again(app);
        self.compared_again(app);
    }

    /// Computes on another device from now on.
    fn change_device(&mut self, app: &mut AppContext) {
        let devices = &app.devices;
        if !explorer::change_device(&self.explorer, &devices.chosen, devices.draws) {
            self.begin_again(app);
        }
        self.compared_again(app);
    }

    /// A new explorer, with the model that the last one had.
    fn begin_again(&mut self, app: &mut AppContext) {
        self.explorer = explorer::start(&app.devices.chosen, app.devices.draws, &app.wake);
        self.canvas.wanted = 0;
        self.model_again(app);
    }

    /// Keeps how one looks.
    pub fn remember(&self, remembered: &mut SettingsStore) {
        let against = self.kept_source();
        remembered.set("view", &ExploreSettings { against, ..self.settings.clone() });
    }

    /// Whether what will be drawn is still on its way.
    pub fn busy(&self) -> bool {
        self.opening.is_some()
            || self.gallery.loading()
            || self.painter.busy()
            || self.export.busy()
            || self.matching()
            || !self.missing().is_empty()
            || self.compared_busy()
            || self.sample.busy()
            || self.follow.busy(self.model.is_some())
    }
}

/// What hovers over the window with files, before they are dropped.
pub fn drop_hint(ctx: &egui::Context) {
    if ctx.input(|input| input.raw.hovered_files.is_empty()) {
        return;
    }
    let t = theme::tokens(ctx);
    let screen = ctx.content_rect();
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop hint"));
    let painter = ctx.layer_painter(layer);
    painter.rect_filled(screen, 0, t.drop_shade);
    let frame = screen.shrink(16.0);
    painter.rect_stroke(frame, 12, egui::Stroke::new(2.0, t.accent), egui::StrokeKind::Inside);
    let text = "Drop pictures, folders or weights";
    painter.text(
        screen.center(),
        egui::Align2::CENTER_CENTER,
        text,
        egui::TextStyle::Heading.resolve(&ctx.global_style()),
        t.text,
    );
}
