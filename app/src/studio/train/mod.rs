//! The training side: choose pictures and a recipe, start, and watch features form.
//!
//! [`RunView`](state::RunView) is what is known of a run, whoever runs it: [`session`] of ours, [`follow`] of one on
//! disk. The panels draw it and answer with [`acts`]. What takes time is [`work`] on other threads.

mod acts;
mod charts;
mod closing;
mod controls;
mod curves;
mod darkroom;
mod data_pick;
mod draft;
mod fields_ui;
mod film_export;
mod follow;
mod gauges;
mod given;
mod plot;
mod plot_data;
mod preset_pick;
mod readout;
mod recipe_pane;
mod root;
mod run_pane;
mod runs_menu;
mod session;
mod state;
mod timeline;
mod timeline_ui;
mod traces;
mod watched;
mod words;
mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dinoscope_core::data::Picture;
use dinoscope_core::device::DeviceChoice;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::train::Recipe;

use acts::{Act, On};
use closing::Closing;
use curves::Curves;
use data_pick::Lookup;
use draft::Draft;
use follow::{Followed, Shelf};
use recipe_pane::RecipePane;
use root::Root;
use session::{News, Place, Session};
use state::{Phase, RunView};
use watched::{Seen, WatchedPane};
use work::{Wake, Work};

use super::house::{Devices, House};
use super::remembered::Remembered;
use super::theme;
use super::toasts::ActionId;
use super::widgets::Tone;

/// A run that is to start at once: what `dinoscope train --screenshot-at` asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Every value resolved.
    pub recipe: Recipe,
    /// Where the run is kept.
    pub folder: PathBuf,
    /// Go on from the folder's newest checkpoint.
    pub resume: bool,
    /// [`Train::busy`] until so many steps are done.
    pub until: Option<u64>,
}

/// Which run the panels show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    /// Ours.
    #[default]
    Own,
    /// The one in this folder.
    Followed(PathBuf),
}

/// A message that stays until it is put away, with the ways out.
#[derive(Clone, Debug)]
struct Banner {
    tone: Tone,
    text: String,
    ways: Vec<(String, Act)>,
}

/// How long the end of the program waits for a run to save.
const PATIENCE: Duration = Duration::from_secs(60);

/// The training side of the studio.
pub struct Train {
    wake: Wake,
    draft: Draft,
    root: Root,
    own: Option<Session>,
    followed: Vec<Followed>,
    focus: Focus,
    shelf: Shelf,
    lookup: Lookup,
    recipe: RecipePane,
    watched: WatchedPane,
    curves: Curves,
    banner: Option<Banner>,
    closing: Closing,
    /// Steps that whoever ordered the run waits for, and whether a frame was drawn since they were done.
    until: Option<(u64, bool)>,
    asked_checkpoint: bool,
    explore_wish: Option<ModelSource>,
    watch_wish: Option<Vec<Picture>>,
    gallery: Option<PathBuf>,
    reading: Option<Work<Result<Recipe, String>>>,
    saving: Option<Work<Result<String, String>>>,
    acts: Vec<Act>,
}

impl Train {
    /// Nothing runs yet.
    pub fn new(house: &mut House) -> Self {
        let remembered =
            house.remembered.get::<String>("recipe").and_then(|text| Recipe::from_toml(&text, &[]).ok());
        let draft = remembered.and_then(|recipe| Draft::of(&recipe).ok()).unwrap_or_default();
        Self {
            wake: house.wake.clone(),
            draft,
            root: Root::new(&house.remembered),
            own: None,
            followed: Vec::new(),
            focus: Focus::Own,
            shelf: Shelf::default(),
            lookup: Lookup::default(),
            recipe: RecipePane::default(),
            watched: WatchedPane::default(),
            curves: Curves::default(),
            banner: None,
            closing: Closing::No,
            until: None,
            asked_checkpoint: false,
            explore_wish: None,
            watch_wish: None,
            gallery: None,
            reading: None,
            saving: None,
            acts: Vec::new(),
        }
    }

    /// Starts a run as if a person had.
    pub fn begin(&mut self, house: &mut House, order: Order) {
        if let Ok(draft) = Draft::of(&order.recipe) {
            self.draft = draft;
        }
        self.until = order.until.map(|until| (until, false));
        self.begin_plan(house, order.recipe, Place::Folder(order.folder), order.resume, On::Chosen);
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
    pub fn logic(&mut self, ctx: &egui::Context, house: &mut House) {
        for act in std::mem::take(&mut self.acts) {
            self.carry_out(ctx, house, act);
        }
        self.take_answers(house);
        self.hear_files(house);
        self.hear_own(house);
        self.followed.iter_mut().for_each(Followed::listen);
        let root = self.root.path();
        self.root.listen(&self.wake);
        self.shelf.listen(&root, &self.wake);
        self.watched.export.listen(&mut house.toasts);
        self.lookup.listen();
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
            if self.watched.timeline.plays() {
                ctx.request_repaint();
            }
        }
        self.watched.darkroom.logic(ctx, &self.wake);
        self.arrived();
    }

    /// Takes in what our run says.
    fn hear_own(&mut self, house: &mut House) {
        let Some(own) = &mut self.own else { return };
        for news in own.listen() {
            match news {
                News::NotBegun(reason) => {
                    house.toasts.bad(format!("The run could not start: {reason}"));
                    let text = format!("The run could not start.\n{reason}");
                    self.banner = Some(Banner {
                        tone: Tone::Bad,
                        text,
                        ways: vec![("Try again".to_owned(), Act::Start)],
                    });
                    self.own = None;
                    return;
                }
                News::Failed => {
                    let Some(own) = &self.own else { return };
                    if let Phase::Failed(failure) = &own.view.phase {
                        ::log::error!("{}: {}", own.view.name, failure.text);
                        house
                            .toasts
                            .bad(format!("{} has failed. What to do stands above Start.", own.view.name));
                    }
                    self.banner = acts::banner_of_failure(&own.view);
                    self.shelf.look(&self.root.path(), &self.wake);
                    return;
                }
                News::Finished => {
                    let Some(own) = &self.own else { return };
                    ::log::info!("{} has ended after {} steps", own.view.name, own.view.done);
                    match own.view.is_complete() {
                        true => house.toasts.good(format!("{} has finished.", own.view.name)),
                        false => house.toasts.info(format!("{} is saved and can go on.", own.view.name)),
                    }
                    self.shelf.look(&self.root.path(), &self.wake);
                    return;
                }
                News::Checkpoint(step) => {
                    if std::mem::take(&mut self.asked_checkpoint) {
                        house.toasts.good(format!("Checkpoint after {step} steps"));
                    }
                }
                News::Warning(text) => {
                    ::log::warn!("{text}");
                    if !text.starts_with("skipped ") {
                        house.toasts.watch(text);
                    }
                }
            }
        }
    }

    /// Whether what was ordered has been done and shows.
    fn arrived(&mut self) {
        let Some((until, drawn)) = &mut self.until else { return };
        let done = self.own.as_ref().is_none_or(|own| own.view.done > *until || !own.is_going());
        // Only a frame that was drawn since then knows what pictures are missing.
        let shown = done && *drawn && !self.watched.darkroom.busy();
        *drawn = done;
        if shown {
            self.until = None;
        }
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
        self.own.as_ref().is_some_and(Session::is_going)
    }

    /// A checkpoint that a person wants to look with.
    pub fn wants_explored(&mut self) -> Option<ModelSource> {
        self.explore_wish.take()
    }

    /// The question that closing a window with a run asks.
    pub fn closing_ui(&mut self, ctx: &egui::Context, _: &mut House) {
        self.closing.ui(ctx, self.own.as_mut());
    }

    /// Something in a toast was clicked.
    pub fn toast_action(&mut self, _: &mut House, _: ActionId) {}

    /// Whether what will be drawn is still on its way.
    pub fn busy(&self) -> bool {
        // A run makes new pictures all the time: only those that somebody waits for count.
        let pictures = !self.going() && self.watched.darkroom.busy();
        self.until.is_some() || pictures || self.recipe.given.busy()
    }

    /// The window is gone.
    pub fn closed(&mut self) {
        if let Some(own) = &mut self.own {
            own.stop();
            own.wait(PATIENCE);
        }
    }

    /// Keeps what a person would not want to choose again.
    pub fn remember(&self, remembered: &mut Remembered) {
        self.root.remember(remembered);
        if let Some(text) = self.drafted().and_then(|recipe| recipe.to_toml().ok()) {
            remembered.set("recipe", &text);
        }
    }

    /// The run in a line, for the bar at the top.
    pub fn brief_ui(&mut self, ui: &mut egui::Ui) {
        let Some(own) = &self.own else { return };
        let t = theme::tokens(ui);
        let view = &own.view;
        let (word, tone) = run_pane::phase_word(view, true);
        ui.label(
            egui::RichText::new(run_pane::phase_icon(view))
                .font(theme::fonts::icon(16.0))
                .color(tone.colour(&t)),
        )
        .on_hover_text(word);
        ui.add(egui::Label::new(brief(view)).truncate()).on_hover_text(format!("{}: {word}", view.name));
    }

    /// Pictures, preset, recipe, start.
    pub fn recipe_ui(&mut self, ui: &mut egui::Ui, house: &mut House) {
        self.keys(ui);
        let found = self.lookup.found().map(|found| found.map(|_| ()));
        let recipe = match (self.draft.recipe(), found) {
            (Err(reason), _) => Err(reason),
            (Ok(_), Some(Err(reason))) => Err(reason.to_owned()),
            (Ok(recipe), _) => Ok(recipe.clone()),
        };
        let limit = limit(&house.devices);
        let foot = controls::Foot {
            recipe: recipe.as_deref().map_err(Clone::clone),
            own: self.own.as_ref().map(|own| &own.view),
            banner: self.banner.as_ref(),
            limit,
            trouble: self.root.trouble(),
        };
        let mut acts = Vec::new();
        let mut text = self.root.text.clone();
        egui::Panel::bottom("start").resizable(false).frame(egui::Frame::new()).show(ui, |ui| {
            controls::ui(ui, &foot, &mut text, &mut acts);
        });
        self.root.text = text;
        let gallery = self.gallery.clone();
        let going = self.going();
        egui::Frame::new().show(ui, |ui| {
            self.recipe.ui(ui, &mut self.draft, &mut self.lookup, gallery.as_deref(), going, &mut acts);
        });
        self.acts.extend(acts);
    }

    /// Space pauses and goes on, when nothing else has the keyboard.
    fn keys(&mut self, ui: &egui::Ui) {
        let free = ui.memory(|memory| memory.focused().is_none());
        if !free || !ui.input_mut(|input| input.consume_shortcut(&controls::SPACE)) {
            return;
        }
        match self.own.as_ref().map(|own| &own.view.phase) {
            Some(Phase::Running) => self.acts.push(Act::Pause),
            Some(Phase::Paused) => self.acts.push(Act::Resume),
            _ => {}
        }
    }

    /// The watched pictures and the timeline.
    pub fn watched_ui(&mut self, ui: &mut egui::Ui, _: &mut House) {
        let seen = seen(&self.own, &self.followed, &self.focus);
        self.watched.ui(ui, seen.as_ref(), &mut self.acts);
    }

    /// Losses and schedules.
    pub fn curves_ui(&mut self, ui: &mut egui::Ui, _: &mut House) {
        let first = seen(&self.own, &self.followed, &self.focus).map(|seen| seen.view);
        let beside: Vec<&Followed> = self.followed.iter().filter(|followed| followed.shown).collect();
        let own = self.own.iter().map(|own| &own.view);
        let others = own.chain(beside.iter().map(|followed| &followed.view));
        let others = others.filter(|view| first.is_none_or(|first| first.folder != view.folder));
        let shown = curves::Shown {
            runs: first.into_iter().chain(others).collect(),
            shelf: &self.shelf,
            beside: beside.iter().map(|followed| followed.view.folder.as_path()).collect(),
        };
        self.curves.ui(ui, &shown, &mut self.acts);
    }

    /// What the figures mean.
    pub fn health_ui(&mut self, ui: &mut egui::Ui, _: &mut House) {
        let own = self.own.iter().map(|own| (Focus::Own, own.view.name.clone()));
        let followed = self.followed.iter().map(|followed| {
            let view = &followed.view;
            (Focus::Followed(view.folder.clone()), format!("{} (followed)", view.name))
        });
        let of = self.followed.iter().find(|f| self.focus == Focus::Followed(f.view.folder.clone()));
        let shown = run_pane::Shown {
            view: self.view(),
            own: self.focus == Focus::Own,
            trouble: of.and_then(|followed| followed.trouble.as_deref()),
            written: of.is_some_and(Followed::is_written),
            focus: self.focus.clone(),
            all: own.chain(followed).collect(),
            going: self.going(),
            shelf: self.shelf.runs.iter().map(|run| (run.path.clone(), run.name.clone())).collect(),
        };
        let mut acts = Vec::new();
        run_pane::ui(ui, &shown, &mut acts);
        self.acts.extend(acts);
    }
}

/// The run that the panels show.
fn seen<'a>(own: &'a Option<Session>, followed: &'a [Followed], focus: &Focus) -> Option<Seen<'a>> {
    let ours = || own.as_ref().map(|own| Seen { view: &own.view, look: own.look.as_ref() });
    match focus {
        Focus::Own => ours(),
        Focus::Followed(folder) => {
            let found = followed.iter().find(|followed| followed.view.folder == *folder);
            found.map(|followed| Seen { view: &followed.view, look: None }).or_else(ours)
        }
    }
}

/// What the chosen GPU can bind at once.
fn limit(devices: &Devices) -> Option<u64> {
    let adapter = match devices.choice {
        DeviceChoice::Cpu => None,
        DeviceChoice::Gpu(index) => devices.adapters.get(index),
        DeviceChoice::Auto => devices.adapters.iter().find(|adapter| adapter.is_hardware()),
    };
    adapter.map(|adapter| adapter.max_binding)
}

/// `step 120/240 · loss 5.43 · 2 min left`
fn brief(view: &RunView) -> String {
    if view.phase == Phase::Preparing {
        return "preparing".to_owned();
    }
    let mut text = format!("step {}/{}", words::count(view.done), words::count(view.total));
    if let Some(loss) = view.history("loss").and_then(plot_data::History::last) {
        text += &format!(" · loss {}", words::figure(loss));
    }
    match (&view.phase, view.left()) {
        (Phase::Running, Some(left)) => text += &format!(" · {} left", words::duration(left)),
        (Phase::Paused, _) => text += " · paused",
        (Phase::Stopping, _) => text += " · stopping",
        (Phase::Failed(_), _) => text += " · failed",
        _ => {}
    }
    text
}
