//! The studio: pictures in, what a model sees out, and models that learn. Drawn by whoever has a window.
//!
//! It holds no science: it asks [`dinoscope_core::explore`] and [`dinoscope_core::engine`], and shows what they say.

pub mod about;
pub mod access;
pub mod addresses;
pub mod app_context;
pub mod background;
pub mod borders;
pub mod curate;
pub mod evaluate;
pub mod explore;
pub mod kept;
pub mod layout;
pub mod log_pane;
pub mod models;
pub mod panels;
pub mod path_dialog;
pub mod settings_store;
pub mod theme;
pub mod toasts;
pub mod top_bar;
pub mod train;
pub mod undo;
pub mod url_state;
pub mod widgets;

pub use access::{aria_tree, long_press, phone, touch};

use std::path::PathBuf;
use std::sync::Arc;

use addresses::AddressEvent;
use app_context::{AppContext, RenderBackend};
use curate::CurateWorkspace;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::train::archive;
use evaluate::EvaluateWorkspace;
use explore::ExploreWorkspace;
use layout::StudioLayout;
use panels::{PaneBehavior, Workspace};
use train::TrainWorkspace;

use crate::platform::curation;
use crate::platform::dialogs::FileDialogs;
use crate::platform::storage;
use crate::platform::tasks::Wake;

/// What a window shows, whoever draws it.
pub trait AppFrontend {
    /// Before each frame, also of a hidden window: takes in what other threads have sent. No drawing.
    fn logic(&mut self, ctx: &egui::Context);
    /// Draws everything.
    fn ui(&mut self, ui: &mut egui::Ui);
    /// Whether work is on its way whose result will be drawn: a screenshot waits for it.
    fn busy(&self) -> bool;
    /// Another number whenever that work has come further.
    fn progress(&self) -> u64 {
        0
    }
    /// What was asked for and could not be had.
    fn failures(&self) -> &[app_context::RequestFailure] {
        &[]
    }
    /// Whether anything of what was asked for shows.
    fn shows(&self) -> bool {
        true
    }
    /// The window is closed: saves what is remembered.
    fn closed(&mut self);
}

/// How a studio begins.
#[derive(Clone, Default)]
pub struct StartupOptions {
    /// `auto`, `gpu:N` or `cpu`; what was remembered without.
    pub device: Option<dinoscope_core::device::DeviceChoice>,
    /// Pictures and folders to open.
    pub pictures: Vec<PathBuf>,
    /// A model in place of the starter weights.
    pub weights: Option<ModelSource>,
    /// A second model to compare with; the one that was remembered without.
    pub against: Option<ModelSource>,
    /// What to show of the first picture.
    pub panel: Option<explore::ExplorePanel>,
    /// Which workspace shows.
    pub workspace: Workspace,
    /// A run that starts at once.
    pub train: Option<train::AutoStartRequest>,
    /// A run to show.
    pub run: Option<PathBuf>,
    /// What is evaluated at once.
    pub evaluate: Option<evaluate::EvaluationConfig>,
    /// A folder of curation to open.
    pub curate: Option<PathBuf>,
    /// Something the person should know first, for instance why the window had to be opened again.
    pub note: Option<String>,
    /// The folder that new runs are made in; the one that was remembered without.
    pub runs: Option<PathBuf>,
    /// How it looks; as was remembered without.
    pub theme: Option<egui::ThemePreference>,
    /// Remembers nothing and starts from nothing remembered: for screenshots and tests.
    pub fresh: bool,
}

/// What the window is called.
const NAME: &str = "Dinoscope";

/// The whole application.
pub struct StudioApp {
    app: AppContext,
    layout: StudioLayout,
    explore: ExploreWorkspace,
    train: TrainWorkspace,
    evaluate: EvaluateWorkspace,
    curate: CurateWorkspace,
    /// What the window was last called.
    title: String,
    path_dialog: path_dialog::PathDialog,
    /// When what is remembered was looked at last, in egui's time.
    remembered: f64,
}

/// Seconds between looks at what is to be remembered: a program that is killed has lost no more.
const REMEMBER: f64 = 1.0;

impl StudioApp {
    /// A studio that `drawing` draws.
    pub fn new(ctx: &egui::Context, drawing: RenderBackend, startup: StartupOptions) -> Self {
        theme::install(ctx);
        ctx.add_plugin(long_press::LongPressPlugin::default());
        let wake: Wake = {
            let ctx = ctx.clone();
            Arc::new(move || ctx.request_repaint())
        };
        let mut app = AppContext::new(ctx, drawing, &startup, wake);
        let mut layout = StudioLayout::new(&app.remembered);
        layout.workspace = startup.workspace;
        let mut explore = ExploreWorkspace::new(&mut app, &startup);
        explore.open(&app, startup.pictures);
        let mut train = TrainWorkspace::new(&mut app, startup.runs);
        if let Some(run) = &startup.run {
            train.open_run(run);
        }
        if let Some(note) = startup.note {
            app.toasts.bad(note);
        }
        if let Some(order) = startup.train {
            train.begin(&mut app, order);
        }
        let evaluate = EvaluateWorkspace::new(&app, startup.evaluate);
        let curate = CurateWorkspace::new(&app, startup.curate);
        Self {
            app,
            layout,
            explore,
            train,
            evaluate,
            curate,
            title: String::new(),
            path_dialog: path_dialog::PathDialog::default(),
            remembered: 0.0,
        }
    }

    /// What the window, or the browser's tab, is called: the program, and how a run stands.
    pub fn title(&self) -> String {
        match self.train.title() {
            Some(run) => format!("{run} · {NAME}"),
            None => NAME.to_owned(),
        }
    }

    /// Whether the window can't be drawn any more.
    pub fn is_lost(&self) -> bool {
        self.app.drawing_lost.lock().is_ok_and(|lost| lost.is_some())
    }

    /// Why it can't be drawn any more.
    pub fn lost_reason(&self) -> Option<String> {
        self.app.drawing_lost.lock().ok().and_then(|lost| lost.clone())
    }

    /// Writes down what is to be remembered.
    pub fn remember(&mut self) {
        self.layout.remember(&mut self.app.remembered);
        self.explore.remember(&mut self.app.remembered);
        self.train.remember(&mut self.app.remembered);
        self.evaluate.remember(&mut self.app.remembered);
        self.curate.remember(&mut self.app.remembered);
        self.app.remembered.save();
    }

    /// Writes down what has changed soon after it has: a program may be killed.
    fn remember_soon(&mut self, ctx: &egui::Context) {
        if !storage::WRITTEN_BY_STUDIO || !self.app.remembered.is_kept() {
            return;
        }
        let now = ctx.input(|input| input.time);
        let passed = now - self.remembered;
        if passed >= REMEMBER {
            self.remembered = now;
            self.remember();
        } else {
            // Also when this was the last frame for long.
            ctx.request_repaint_after_secs((REMEMBER - passed) as f32 + 0.05);
        }
    }

    /// What another window needs to go on where this one ends: pictures, model, the run.
    pub fn hand_over(&self, note: String) -> StartupOptions {
        StartupOptions {
            device: Some(dinoscope_core::device::DeviceChoice::Cpu),
            pictures: self.explore.files(),
            weights: self.explore.model_source(),
            against: self.explore.compared_source(),
            workspace: self.layout.workspace,
            run: self.train.own_folder(),
            note: Some(note),
            fresh: self.app.fresh,
            ..StartupOptions::default()
        }
    }

    /// How everything stands: for tests, and for who asks in a browser's console.
    pub fn snapshot(&self) -> serde_json::Value {
        serde_json::json!({
            "workspace": self.layout.workspace,
            "device": self.app.devices.chosen.name,
            "busy": self.busy(),
            "explore": self.explore.snapshot(),
            "follow": self.explore.follow_snapshot(),
            "model": self.explore.model_source().map(|source| source.to_string()),
            "against": self.explore.compared_source().map(|source| source.to_string()),
            "train": self.train.snapshot(),
            "evaluate": self.evaluate.snapshot(),
            "curate": self.curate.snapshot(),
            "going": self.train.is_going(),
            "toasts": self.app.toasts.texts(),
        })
    }

    /// The training side.
    pub fn train(&self) -> &TrainWorkspace {
        &self.train
    }

    /// The evaluating side.
    pub fn evaluate(&self) -> &EvaluateWorkspace {
        &self.evaluate
    }

    /// The curating side.
    pub fn curate(&self) -> &CurateWorkspace {
        &self.curate
    }

    /// The exploring side.
    pub fn explore(&self) -> &ExploreWorkspace {
        &self.explore
    }

    /// What both sides share.
    pub fn app_context(&self) -> &AppContext {
        &self.app
    }

    /// Opens what a person gave: pictures, folders, weights, a run in one file, or a recipe.
    pub fn open(&mut self, paths: Vec<PathBuf>) {
        let is_recipe =
            |path: &PathBuf| path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("toml"));
        let (recipes, paths): (Vec<_>, Vec<_>) = paths.into_iter().partition(is_recipe);
        if let Some(recipe) = recipes.into_iter().next() {
            self.layout.workspace = Workspace::Train;
            self.train.open_recipe(recipe);
        }
        let (runs, others): (Vec<_>, Vec<_>) =
            paths.into_iter().partition(|path| archive::may_hold_run(path));
        if !others.is_empty() {
            self.layout.workspace = Workspace::Explore;
            self.explore.dropped(&mut self.app, others);
        }
        for run in runs {
            self.layout.workspace = Workspace::Train;
            self.train.open_archive(&run);
        }
    }

    /// Holds a run while nobody can see it, and lets it go on afterwards: for a page that is hidden.
    pub fn hidden(&mut self, hidden: bool) {
        self.train.hidden(hidden);
    }

    /// The answers of dialogs, given from outside.
    pub fn dialogs(&self) -> &FileDialogs {
        &self.app.dialogs
    }

    /// Looks with another model.
    pub fn look_with(&mut self, source: ModelSource) {
        self.layout.workspace = Workspace::Explore;
        self.explore.use_model(&mut self.app, source);
    }

    /// Opens what lies at an address: a picture, weights, or a run in one file.
    pub fn open_address(&mut self, address: &str) {
        self.app.addresses.open(address);
    }

    /// What became of addresses that were opened.
    fn take_addresses(&mut self) {
        while let Some(event) = self.app.addresses.next_event() {
            match event {
                AddressEvent::Weights(address) => self.look_with(ModelSource::Released(address)),
                AddressEvent::Here(path) => self.open(vec![path]),
                AddressEvent::Note(text) => self.tell(text),
                AddressEvent::Failed(reason) => self.show_error(reason),
            }
        }
    }

    /// Something that is worth a look.
    pub fn tell(&mut self, text: String) {
        self.app.toasts.watch(text);
    }

    /// Something that the person should know.
    pub fn show_error(&mut self, text: String) {
        self.app.toasts.bad(text);
    }

    /// Something that was asked for and not understood.
    pub fn show_warning(&mut self, text: String) {
        self.app.toasts.watch(text);
    }

    /// What the curating side has done, and what a person wants done with it.
    fn curate_logic(&mut self, ctx: &egui::Context) {
        self.curate.logic(ctx, &mut self.app, self.explore.folder());
        if let Some(set) = self.curate.wants_trained() {
            self.layout.workspace = Workspace::Train;
            self.train.train_on_list(set.table, set.weights);
        }
        if let Some(path) = self.curate.wants_opened() {
            self.layout.workspace = Workspace::Explore;
            self.explore.open(&self.app, vec![path]);
        }
    }

    /// Files, folders and pictures that were dropped or pasted anywhere.
    fn take_in(&mut self, ctx: &egui::Context) {
        let (dropped, pasted) = ctx.input(|input| {
            let pasted: Vec<_> = input.events.iter().filter_map(pasted).collect();
            (input.raw.dropped_files.clone(), pasted)
        });
        let typing = ctx.egui_wants_keyboard_input();
        if !dropped.is_empty() {
            self.open(dropped.iter().map(|file| file.path().to_owned()).collect());
        }
        self.explore.await_pasted(ctx, &mut self.app, !pasted.is_empty());
        for paste in pasted {
            match paste {
                ClipboardContent::Picture(picture) => {
                    self.layout.workspace = Workspace::Explore;
                    self.explore.pasted(&picture);
                }
                ClipboardContent::Text(text) if !typing => self.explore.pasted_text(&mut self.app, &text),
                ClipboardContent::Text(_) => {}
            }
        }
    }
}

enum ClipboardContent {
    Picture(Arc<egui::ColorImage>),
    Text(String),
}

fn pasted(event: &egui::Event) -> Option<ClipboardContent> {
    match event {
        egui::Event::PasteImage(picture) => Some(ClipboardContent::Picture(picture.clone())),
        egui::Event::Paste(text) => Some(ClipboardContent::Text(text.clone())),
        _ => None,
    }
}

/// The newest checkpoint of the run that Train shows, where it is one of ours.
fn shown_checkpoint(train: &TrainWorkspace) -> Option<PathBuf> {
    let (folder, shown) = (train.own_folder()?, train.snapshot()?);
    let own = folder.file_name().is_some_and(|name| name.to_string_lossy() == shown.name);
    Some(folder.join("checkpoints").join(format!("{:06}", shown.checkpoint.filter(|_| own)?)))
}

impl AppFrontend for StudioApp {
    fn logic(&mut self, ctx: &egui::Context) {
        touch::notice(ctx);
        self.app.logic(ctx);
        self.take_addresses();
        self.explore.logic(ctx, &mut self.app);
        self.train.logic(ctx, &mut self.app);
        let title = self.title();
        if title != self.title {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
        self.train.offer_gallery(self.explore.folder());
        if let Some(pictures) = self.explore.wants_watched() {
            self.app.toasts.good(format!("{} pictures will be watched while training.", pictures.len()));
            self.train.watch(pictures);
        }
        if let Some(wanted) = self.explore.wants_trained() {
            self.layout.workspace = Workspace::Train;
            self.train.train_on(wanted.opened, wanted.files, wanted.weights);
        }
        if let Some(source) = self.train.wants_explored() {
            self.layout.workspace = Workspace::Explore;
            self.explore.use_model(&mut self.app, source);
        }
        let offer = evaluate::AvailableWeights {
            explored: self.explore.model_source(),
            trained: shown_checkpoint(&self.train),
            opening: self.explore.opens(),
            gallery: self.explore.folder(),
        };
        let seen = self.layout.workspace == Workspace::Evaluate;
        self.evaluate.logic(ctx, &mut self.app, offer, seen);
        if let Some(opened) = self.evaluate.wants_opened() {
            self.layout.workspace = Workspace::Explore;
            match opened {
                evaluate::ProjectionPointImage::File(path) => self.explore.open(&self.app, vec![path]),
                evaluate::ProjectionPointImage::Picture(name, picture) => {
                    self.explore.open_image(name, &picture);
                }
            }
        }
        if curation::AVAILABLE {
            self.curate_logic(ctx);
        }
        self.remember_soon(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui) {
        let ctx = ui.ctx().clone();
        self.take_in(&ctx);
        let Self { app, layout, explore, train, evaluate, curate, .. } = self;
        top_bar::ui(ui, app, layout, train, evaluate, curate);
        layout.ui(ui, &mut PaneBehavior { app, explore, train, evaluate, curate, tabs: Vec::new() });
        evaluate.over_ui(&ctx);
        about::ui(&ctx, &mut self.app);
        self.train.closing_ui(&ctx, &mut self.app);
        self.path_dialog.ui(&ctx, &self.app.dialogs);
        explore::drop_hint(&ctx);
        let chosen = self.app.toasts.show(&ctx);
        if let Some(chosen) = chosen {
            self.explore.chose(&mut self.app, chosen);
        }
        let back = chosen.and_then(|chosen| self.app.undo.take(chosen));
        let keys = !ctx.text_edit_focused() && ctx.input_mut(|input| input.consume_shortcut(&undo::UNDO));
        let last = if keys { self.app.undo.last(&mut self.app.toasts) } else { None };
        if let Some(back) = back.or(last) {
            let Self { layout, explore, train, evaluate, curate, .. } = self;
            back(&mut undo::UndoTargets { explore, train, evaluate, curate, layout });
            ctx.request_repaint();
        }
    }

    fn busy(&self) -> bool {
        self.explore.busy() || self.train.busy() || self.evaluate.busy() || self.curate.busy()
    }

    fn progress(&self) -> u64 {
        let steps = self.train.snapshot().map_or(0, |run| run.done);
        [steps, self.evaluate.progress(), self.explore.progress(), self.curate.progress()]
            .iter()
            .fold(0, |sum, part| sum.wrapping_add(*part))
    }

    fn failures(&self) -> &[app_context::RequestFailure] {
        &self.app.failures
    }

    fn shows(&self) -> bool {
        self.explore.snapshot().pictures > 0
            || self.train.shows()
            || !self.evaluate.snapshot().found.is_empty()
            || self.curate.snapshot().pictures > 0
    }

    fn closed(&mut self) {
        self.train.closed();
        self.evaluate.closed();
        self.curate.closed();
        self.remember();
    }
}
