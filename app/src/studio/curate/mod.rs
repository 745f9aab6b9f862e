//! The curating side: a heap of pictures becomes a data set. Pictures pass through a model once; then copies, limits of quality and
//! what a person says decide which stay, and everything follows at once.
//!
//! [`CuratedHeap`] knows, [`job`] fills it beside the frames, [`decisions`](HeapDecisions) are a person's; the panels draw both.

mod copies_pane;
mod job;
mod map_pane;
mod map_raster;
mod pictures_pane;
mod setup;
mod setup_pane;
mod thumbnails;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::explore::ModelSource;
use dinoscope_curate::heap::linkage::CopyBounds;
use dinoscope_curate::heap::{CuratedHeap, HandChoice, HeapDecisions, HeapOutcome, RowFate};
use dinoscope_curate::{CopiesOptions, QualityOptions};

use super::app_context::AppContext;
use super::background::task::BackgroundTask;
use super::settings_store::SettingsStore;
use crate::platform::curation;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::tasks::Wake;
use copies_pane::NearestHistogram;
use job::{CurationEnded, CurationEvent, CurationJob};
use map_pane::HeapMap;
use pictures_pane::PicturesShown;
use setup::CurationSetup;
use thumbnails::HeapThumbnails;

/// Pictures that are shown as similar to one.
const SIMILAR: usize = 48;
/// How curating stands, for tests and for who asks in a browser's console.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CurateSnapshot {
    /// Whether something is being done.
    pub going: bool,
    /// Pictures of the heap, without those that can't be used.
    pub pictures: usize,
    /// Those that stay.
    pub kept: usize,
    /// Copies that are left out.
    pub copies: usize,
    /// Those that lack something.
    pub poor: usize,
    /// Those that a person has left out.
    pub dropped: usize,
    /// Pictures that are selected.
    pub selected: usize,
    /// What went wrong.
    pub trouble: Option<String>,
}

/// A set that is to be trained on.
pub struct CuratedSet {
    /// Its table.
    pub table: PathBuf,
    /// The weights that its features come from.
    pub weights: String,
}

/// What becomes of a set once it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SetUse {
    Keep,
    Train,
}

/// The curating side of the studio.
pub struct CurateWorkspace {
    wake: Wake,
    setup: CurationSetup,
    job: Option<CurationJob>,
    heap: Option<Arc<CuratedHeap>>,
    histogram: NearestHistogram,
    decisions: HeapDecisions,
    /// What the decisions leave; made anew when they have changed.
    outcome: HeapOutcome,
    /// Changes with the outcome.
    version: u64,
    decided: Option<HeapDecisions>,
    selected: BTreeSet<u32>,
    /// What is shown of the heap, with what stands below each.
    shown: PicturesShown,
    /// What was selected last on the map, or found; with cosines where it resembles something.
    listed: Vec<(u32, Option<f32>)>,
    /// What it resembles.
    like: Option<String>,
    map: HeapMap,
    thumbnails: HeapThumbnails,
    trouble: Option<String>,
    note: Option<String>,
    saving: Option<(SetUse, BackgroundTask<Result<PathBuf, String>>)>,
    trained: Option<CuratedSet>,
    opened: Option<PathBuf>,
    /// The folder of Explore's pictures.
    gallery: Option<PathBuf>,
}

impl CurateWorkspace {
    /// Nothing is open, unless a folder of curation is named.
    pub fn new(app: &AppContext, set: Option<PathBuf>) -> Self {
        let setup = app.remembered.get("curate").unwrap_or_default();
        let mut workspace = Self {
            wake: app.wake.clone(),
            setup,
            job: None,
            heap: None,
            histogram: NearestHistogram::new(&[]),
            decisions: first_decisions(),
            outcome: HeapOutcome::default(),
            version: 0,
            decided: None,
            selected: BTreeSet::new(),
            shown: PicturesShown::default(),
            listed: Vec::new(),
            like: None,
            map: HeapMap::default(),
            thumbnails: HeapThumbnails::new(app.wake.clone()),
            trouble: None,
            note: None,
            saving: None,
            trained: None,
            opened: None,
            gallery: None,
        };
        if let Some(set) = set {
            workspace.open_set(set);
        }
        workspace
    }

    /// Opens a folder that was filled before.
    pub fn open_set(&mut self, folder: PathBuf) {
        self.setup.set = folder.display().to_string();
        self.trouble = None;
        self.job = Some(CurationJob::open(folder, &self.wake));
    }

    /// Takes in what was done. `gallery`: the folder of Explore's pictures.
    pub fn logic(&mut self, ctx: &egui::Context, app: &mut AppContext, gallery: Option<PathBuf>) {
        self.gallery = gallery;
        self.take_dialogs(app);
        while let Some(job) = &mut self.job {
            match job.receive() {
                Ok(Some(event)) => self.take(event, app),
                Ok(None) => break,
                Err(CurationEnded) => self.job = None,
            }
        }
        self.take_saved(app);
        self.decide();
        self.thumbnails.logic(ctx);
    }

    fn take(&mut self, event: CurationEvent, app: &mut AppContext) {
        match event {
            CurationEvent::At(..) => {}
            CurationEvent::Opened(heap, unreadable, first) => {
                self.note = first.map(|first| match unreadable {
                    1 => format!("1 picture can't be used: {first}"),
                    more => format!("{more} pictures can't be used; the first is {first}"),
                });
                if self.heap.as_ref().is_none_or(|known| known.folder != heap.folder) {
                    self.decisions = first_decisions();
                }
                // Rows are others when the heap has grown.
                self.decisions.hand.clear();
                self.histogram = NearestHistogram::new(&heap.nearest);
                self.heap = Some(heap);
                self.decided = None;
                self.select(BTreeSet::new());
                self.thumbnails.forget();
                self.map = HeapMap::default();
            }
            CurationEvent::Found(name, found) => {
                self.list_found(name, found);
            }
            CurationEvent::Failed(reason) => {
                ::log::error!("{reason}");
                app.failed("curating", reason.clone(), false);
                self.trouble = Some(reason);
            }
        }
    }

    fn take_dialogs(&mut self, app: &AppContext) {
        let dialogs = app.dialogs.clone();
        let one = |purpose| dialogs.answer(purpose).and_then(|paths| paths.into_iter().next());
        if let Some(folder) = one(DialogPurpose::CuratedPictures) {
            self.setup.take_pictures(&folder);
        }
        if let Some(folder) = one(DialogPurpose::CuratedSet) {
            match curation::is_set(&folder) {
                true => self.open_set(folder),
                false => self.setup.set = folder.display().to_string(),
            }
        }
        for purpose in [DialogPurpose::CuratedWeights, DialogPurpose::CuratedRun] {
            if let Some(path) = one(purpose) {
                self.setup.weights = Some(ModelSource::Path(path));
            }
        }
        if let Some(picture) = one(DialogPurpose::CuratedQuery) {
            self.find(app, picture);
        }
    }

    /// Embeds what the setup names.
    fn begin(&mut self, app: &AppContext) {
        self.trouble = None;
        let request = self.setup.request(app.devices.for_training());
        self.job = Some(CurationJob::embed(request, &self.wake));
    }

    /// Looks for pictures like one that is none of the heap.
    pub fn find(&mut self, app: &AppContext, picture: PathBuf) {
        let Some(heap) = self.heap.clone() else { return };
        let mut request = self.setup.request(app.devices.for_training());
        // Features of another model say nothing about these.
        request.source = setup::source_named(&heap.origin.weights);
        self.job = Some(CurationJob::find(request, heap, picture, &self.wake));
    }

    /// What the decisions leave, where they have changed.
    fn decide(&mut self) {
        let Some(heap) = &self.heap else { return };
        if self.decided.as_ref() != Some(&self.decisions) {
            self.outcome = heap.outcome(&self.decisions);
            self.decided = Some(self.decisions.clone());
            self.version += 1;
        }
    }

    /// Selects rows and lists them.
    fn select(&mut self, rows: BTreeSet<u32>) {
        self.listed = rows.iter().map(|row| (*row, None)).collect();
        (self.selected, self.like) = (rows, None);
        if !self.selected.is_empty() {
            self.shown = PicturesShown::Selected;
        }
    }

    /// Lists rows that resemble something, by how much.
    fn list_found(&mut self, like: String, found: Vec<(u32, f32)>) {
        self.shown = PicturesShown::Selected;
        self.listed = found.into_iter().map(|(row, similarity)| (row, Some(similarity))).collect();
        self.like = Some(like);
    }

    /// Lists what is most similar to a row.
    fn list_similar(&mut self, row: u32) {
        let Some(heap) = &self.heap else { return };
        let found: Vec<(u32, f32)> =
            std::iter::once((row, 1.0)).chain(heap.similar(row as usize, SIMILAR - 1)).collect();
        let like = file_name(&heap.table.rows[row as usize].key).to_owned();
        self.list_found(like, found);
    }

    /// A person decides about what is selected; `None` takes it back.
    fn decide_by_hand(&mut self, app: &mut AppContext, choice: Option<HandChoice>) {
        let before = self.decisions.hand.clone();
        for row in &self.selected {
            match choice {
                Some(choice) => _ = self.decisions.hand.insert(*row, choice),
                None => _ = self.decisions.hand.remove(row),
            }
        }
        if before == self.decisions.hand {
            return;
        }
        let some = crate::studio::train::words::some(self.selected.len(), "picture", "pictures");
        let said = match choice {
            Some(HandChoice::Drop) => format!("{some} left out."),
            Some(HandChoice::Keep) => format!("{some} kept."),
            None => format!("{some} decided as the others are."),
        };
        let folder = self.heap.as_ref().map(|heap| heap.folder.clone());
        app.offer_undo(said, move |parts| parts.curate.put_back(folder, before));
    }

    /// What a person had decided before.
    fn put_back(&mut self, folder: Option<PathBuf>, hand: BTreeMap<u32, HandChoice>) {
        if self.heap.as_ref().map(|heap| &heap.folder) == folder.as_ref() {
            self.decisions.hand = hand;
        }
    }

    /// Writes the table of what stays.
    fn save(&mut self, what: SetUse) {
        let Some(heap) = self.heap.clone() else { return };
        let decisions = self.decisions.clone();
        let write = move |_: &_| curation::save(&heap, &decisions);
        self.saving = Some((what, BackgroundTask::ask("set", &self.wake, write)));
    }

    fn take_saved(&mut self, app: &mut AppContext) {
        let Some((what, answer)) =
            self.saving.as_mut().and_then(|(what, work)| Some((*what, work.answer()?)))
        else {
            return;
        };
        self.saving = None;
        match answer.map_err(|_| "the set can't be written".to_owned()).and_then(|answer| answer) {
            Ok(table) if what == SetUse::Train => {
                let weights = self.heap.as_ref().map_or_else(String::new, |heap| heap.origin.weights.clone());
                self.trained = Some(CuratedSet { table, weights });
            }
            Ok(table) => app.toasts.good(format!("The set is in {}", table.display())),
            Err(reason) => app.toasts.bad(reason),
        }
    }

    /// A set that a person wants to train on.
    pub fn wants_trained(&mut self) -> Option<CuratedSet> {
        self.trained.take()
    }

    /// A picture that a person wants to look at in Explore.
    pub fn wants_opened(&mut self) -> Option<PathBuf> {
        self.opened.take()
    }

    /// Whether what will be drawn is still on its way.
    pub fn busy(&self) -> bool {
        self.job.is_some() || self.saving.is_some() || self.thumbnails.busy()
    }

    /// A number that grows as work comes further.
    pub fn progress(&self) -> u64 {
        self.version + self.job.as_ref().map_or(0, |job| job.at.1 as u64)
    }

    /// How it stands.
    pub fn snapshot(&self) -> CurateSnapshot {
        CurateSnapshot {
            going: self.job.is_some(),
            pictures: self.outcome.fates.len() - self.outcome.count(RowFate::Unreadable),
            kept: self.outcome.count(RowFate::Kept),
            copies: self.outcome.count(RowFate::Copy),
            poor: self.outcome.count(RowFate::Poor),
            dropped: self.outcome.count(RowFate::Dropped),
            selected: self.selected.len(),
            trouble: self.trouble.clone(),
        }
    }

    /// The window is gone.
    pub fn closed(&mut self) {
        self.job = None;
    }

    /// Keeps what a person would not want to choose again.
    pub fn remember(&self, remembered: &mut SettingsStore) {
        remembered.set("curate", &self.setup);
    }

    /// How far it is in a line, for the bar at the top.
    pub fn brief_ui(&self, ui: &mut egui::Ui) {
        let Some(job) = &self.job else { return };
        let (what, done, all) = &job.at;
        let share = if *all > 0 { format!(" · {} %", 100 * done / all) } else { String::new() };
        ui.add(egui::Label::new(format!("{}{share}", what.to_lowercase())).truncate());
    }
}

fn first_decisions() -> HeapDecisions {
    let copies =
        CopyBounds { threshold: CopiesOptions::THRESHOLD, agreement: Some(CopiesOptions::AGREEMENT) };
    HeapDecisions { quality: QualityOptions::none(""), copies, hand: BTreeMap::new() }
}

/// The last part of a key.
fn file_name(key: &str) -> &str {
    key.rsplit(['/', '\\']).next().unwrap_or(key)
}
