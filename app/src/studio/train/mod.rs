//! The training side: choose pictures and a recipe, start, and watch features form.
//!
//! [`RunView`](state::RunView) is what is known of a run, whoever runs it: [`session`] of ours, [`follow`] of one on
//! disk. The panels draw it and answer with [`actions`]. What takes time is done on other threads.

mod actions;
mod before_after;
mod charts;
mod closing;
mod panes;
mod recipe_pane;
mod run;
mod run_pane;
mod runs_menu;
mod title;
mod watched;
pub mod words;

use charts::{curves, gauges, plot, plot_data, readout, traces};
use recipe_pane::{
    controls, data_choice, draft, own_pictures, recipe_sync, run_init, runs_folder, start_blocker,
};
use run::{follow, run_file, session, state};
use watched::{contact_sheets, timeline};

use std::path::{Path, PathBuf};

use dinoscope_core::data::Picture;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::train::Recipe;

use crate::platform::tasks::Wake;
use crate::studio::background::task::BackgroundTask;
use actions::{DevicePick, TrainAction};
use closing::CloseDialogState;
use curves::CurvesPane;
use data_choice::TrainDataLookup;
use draft::RecipeDraft;
use follow::{FollowedRun, RunList};
use panes::seen;
use recipe_pane::RecipePane;
use recipe_sync::RecipeSync;
use runs_folder::RunsFolderField;
use session::{RunLocation, TrainSession};
use state::RunView;
use watched::WatchedPane;
use watched::beside::BesideModel;

use super::app_context::AppContext;
use super::settings_store::SettingsStore;
use super::widgets::StatusTone;
use crate::platform::runs;

/// A run that is to start at once: what `dinoscope train --screenshot-at` asks for.
#[derive(Clone, Debug)]
pub struct AutoStartRequest {
    /// Every value resolved.
    pub recipe: Recipe,
    /// Where the run is kept.
    pub folder: PathBuf,
    /// Go on from the folder's newest checkpoint.
    pub resume: bool,
    /// [`TrainWorkspace::busy`] until so many steps are done.
    pub until: Option<u64>,
}

/// How a run stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TrainSnapshot {
    /// Name of its folder.
    pub name: String,
    /// How it stands.
    pub phase: String,
    /// Steps done.
    pub done: u64,
    /// The newest loss.
    pub loss: Option<f64>,
    /// The loss of the first report.
    pub first_loss: Option<f64>,
    /// Steps done at the moments of which there are pictures.
    pub pictures: Vec<u64>,
    /// Steps done at the newest checkpoint.
    pub checkpoint: Option<u64>,
    /// What computes.
    pub device: String,
    /// The model beside the run, once it has looked.
    pub beside: Option<String>,
}

/// Which run the panels show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunSelection {
    /// Ours.
    #[default]
    Own,
    /// The one in this folder.
    Followed(PathBuf),
}

/// A message that stays until it is put away, with the ways out.
#[derive(Clone, Debug)]
struct TrainBanner {
    tone: StatusTone,
    text: String,
    ways: Vec<(String, TrainAction)>,
}

/// The training side of the studio.
pub struct TrainWorkspace {
    wake: Wake,
    draft: RecipeDraft,
    of_run: RecipeSync,
    root: RunsFolderField,
    own: Option<TrainSession>,
    followed: Vec<FollowedRun>,
    focus: RunSelection,
    shelf: RunList,
    lookup: TrainDataLookup,
    recipe: RecipePane,
    watched: WatchedPane,
    curves: CurvesPane,
    banner: Option<TrainBanner>,
    closing: CloseDialogState,
    /// Steps that whoever ordered the run waits for, and whether a frame was drawn since they were done.
    until: Option<(u64, bool)>,
    asked_checkpoint: bool,
    explore_wish: Option<ModelSource>,
    watch_wish: Option<Vec<Picture>>,
    gallery: Option<PathBuf>,
    reading: Option<BackgroundTask<Result<Recipe, String>>>,
    own_pictures: Option<own_pictures::OwnPicturesJob>,
    before_after: before_after::BeforeAfterWindow,
    saving: Option<BackgroundTask<Result<String, String>>>,
    packing: Option<run_file::RunArchiveJob>,
    unpacking: Option<run_file::Unpacking>,
    /// The run was held because nobody could see it.
    held: bool,
    actions: Vec<TrainAction>,
}

impl TrainWorkspace {
    /// Nothing runs yet. New runs are made in `runs`, if it is given, else where they were made the last time.
    pub fn new(app: &mut AppContext, runs: Option<PathBuf>) -> Self {
        let remembered =
            app.remembered.get::<String>("recipe").and_then(|text| Recipe::from_toml(&text, &[]).ok());
        let remembered = remembered.map(runs::remembered);
        let draft = remembered.and_then(|recipe| RecipeDraft::of(&recipe).ok()).unwrap_or_default();
        Self {
            wake: app.wake.clone(),
            draft,
            of_run: RecipeSync::default(),
            root: RunsFolderField::new(&app.remembered, runs),
            own: None,
            followed: Vec::new(),
            focus: RunSelection::Own,
            shelf: RunList::default(),
            lookup: TrainDataLookup::default(),
            recipe: RecipePane::default(),
            watched: WatchedPane::default(),
            curves: CurvesPane::default(),
            banner: None,
            closing: CloseDialogState::No,
            until: None,
            asked_checkpoint: false,
            explore_wish: None,
            watch_wish: None,
            gallery: None,
            reading: None,
            own_pictures: None,
            before_after: before_after::BeforeAfterWindow::default(),
            saving: None,
            packing: None,
            unpacking: None,
            held: false,
            actions: Vec::new(),
        }
    }

    /// Starts a run as if a person had.
    pub fn begin(&mut self, app: &mut AppContext, order: AutoStartRequest) {
        if let Ok(draft) = RecipeDraft::of(&order.recipe) {
            self.draft.adopt(draft);
        }
        self.until = order.until.map(|until| (until, false));
        self.begin_plan(
            app,
            order.recipe,
            RunLocation::Folder(order.folder),
            order.resume,
            DevicePick::Chosen,
        );
        self.of_run.begins(true);
    }

    /// Shows the run in a folder, and follows it while others write it.
    pub fn open_run(&mut self, folder: &Path) {
        self.follow(folder, true);
    }

    /// The folder of our own run that has not ended.
    pub fn own_folder(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|own| own.view.folder.clone())
    }

    /// Pictures to watch from now on: in the run that goes on, and in those to come.
    pub fn watch(&mut self, pictures: Vec<Picture>) {
        if pictures.is_empty() {
            return;
        }
        if let Some(own) = &self.own {
            own.watch(pictures.clone());
        }
        self.watch_wish = Some(pictures);
    }

    /// The folder that the gallery's pictures come from, to be offered as pictures to train on.
    pub fn offer_gallery(&mut self, folder: Option<PathBuf>) {
        self.gallery = folder;
    }

    /// Takes in what the run says.
    pub fn logic(&mut self, ctx: &egui::Context, app: &mut AppContext) {
        for act in std::mem::take(&mut self.actions) {
            self.carry_out(ctx, app, act);
        }
        self.take_answers(app);
        self.take_in_files(app);
        self.take_in_own_pictures(app);
        self.packing_logic(app);
        self.take_in_own(app);
        self.followed.iter_mut().for_each(FollowedRun::listen);
        self.forget_absent(app);
        self.follow_recipe();
        let root = self.root.path();
        self.root.listen(&self.wake);
        self.shelf.listen(&root, &self.wake);
        self.watched.export.listen(&mut app.toasts);
        self.lookup.listen();
        self.recipe.begin.listen(&mut self.draft);
        let recipe = self.drafted();
        if let Some(recipe) = &recipe {
            self.lookup.look(recipe, &self.wake);
        }
        let source = self.lookup.found().and_then(Result::ok).map(|found| found.train.clone());
        let version = self.draft.version();
        let recipe = recipe.as_ref().map(|recipe| (recipe, version));
        self.recipe.given.logic(ctx, &self.wake, recipe, source.as_ref());
        let seconds = ctx.input(|input| input.stable_dt);
        if let Some(seen) = seen(&self.own, &self.followed, &self.focus) {
            self.watched.play(seconds, &seen);
            self.watched.beside_logic(app, &seen);
            if self.watched.timeline.plays() {
                ctx.request_repaint();
            }
        }
        self.watched.sheet_cache.logic(ctx, &self.wake);
        self.before_after.logic(ctx);
        self.arrived();
    }

    /// The run that the panels show.
    fn view(&self) -> Option<&RunView> {
        seen(&self.own, &self.followed, &self.focus).map(|seen| seen.view)
    }

    /// What is known of the run in a folder.
    fn view_of(&self, folder: &Path) -> Option<&RunView> {
        let own = self.own.iter().map(|own| &own.view);
        own.chain(self.followed.iter().map(|followed| &followed.view)).find(|view| view.folder == folder)
    }

    fn focused_folder(&self) -> Option<PathBuf> {
        self.view().map(|view| view.folder.clone())
    }

    fn going(&self) -> bool {
        self.own.as_ref().is_some_and(TrainSession::is_going)
    }

    /// Whether a run of ours goes on, or holds.
    pub fn is_going(&self) -> bool {
        self.going()
    }

    /// How our run stands, for the window's title.
    pub fn title(&self) -> Option<String> {
        self.own.as_ref().map(|own| title::title(&own.view, self.held))
    }

    /// Holds our run while nobody can see it, and lets it go on afterwards.
    pub fn hidden(&mut self, hidden: bool) {
        let Some(own) = &mut self.own else { return };
        match hidden {
            true if own.is_running() => {
                own.pause();
                self.held = true;
            }
            false if std::mem::take(&mut self.held) => own.resume(),
            _ => {}
        }
    }

    /// How our run stands, in words and figures: for tests, and for who asks in a browser's console.
    pub fn snapshot(&self) -> Option<TrainSnapshot> {
        let view = self.view()?;
        Some(TrainSnapshot {
            name: view.name.clone(),
            phase: format!("{:?}", view.phase),
            done: view.done,
            loss: view.values.get("loss").copied(),
            first_loss: view.histories.get("loss").and_then(|history| history.first()),
            pictures: view.pictures.iter().copied().collect(),
            checkpoint: view.newest_checkpoint().map(|(step, _)| step),
            device: view.device.clone(),
            beside: self
                .watched
                .beside
                .as_ref()
                .filter(|beside| beside.sheet().is_some())
                .map(|b| b.name.clone()),
        })
    }

    /// A checkpoint that a person wants to look with.
    pub fn wants_explored(&mut self) -> Option<ModelSource> {
        self.explore_wish.take()
    }

    /// What lies over the panels: the question that closing a window with a run asks, and what a run has changed.
    pub fn closing_ui(&mut self, ctx: &egui::Context, _: &mut AppContext) {
        let run = self.before_after.run().map(Path::to_owned);
        let views = self.own.iter().map(|own| &own.view);
        let mut views = views.chain(self.followed.iter().map(|followed| &followed.view));
        self.before_after.ui(ctx, views.find(|view| Some(&view.folder) == run.as_ref()));
        self.closing.ui(ctx, self.own.as_mut());
    }

    /// Whether what will be drawn is still on its way.
    pub fn busy(&self) -> bool {
        // A run makes new pictures all the time: only those that somebody waits for count.
        let beside = self.watched.beside.as_ref().is_some_and(BesideModel::busy);
        let pictures = !self.going() && (self.watched.sheet_cache.busy() || beside);
        self.until.is_some()
            || pictures
            || self.recipe.given.busy()
            || self.is_reading()
            || self.own_pictures.is_some()
            || self.before_after.busy()
    }

    /// The window is gone.
    pub fn closed(&mut self) {
        if let Some(own) = &mut self.own {
            own.stop();
            own.wait(runs::PATIENCE);
        }
    }

    /// Keeps what a person would not want to choose again.
    pub fn remember(&self, remembered: &mut SettingsStore) {
        self.root.remember(remembered);
        let mine = self.of_run.mine().unwrap_or(&self.draft);
        if let Some(text) = mine.recipe().ok().and_then(|recipe| recipe.to_toml().ok()) {
            remembered.set("recipe", &text);
        }
    }
}
