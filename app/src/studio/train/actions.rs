//! What a person asks for in one of the panels, and how it is done.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_core::device::{self, SelectedDevice};
use dinoscope_core::explore::ModelSource;
use dinoscope_core::files;
use dinoscope_core::train::{Recipe, fields};

use super::draft::RecipeDraft;
use super::follow::FollowedRun;
use super::session::{RunLaunchPlan, RunLocation, TrainSession};
use super::state::{RunPhase, RunView};
use super::watched::beside::BesideModel;
use super::{RunSelection, TrainBanner, TrainWorkspace, words};
use crate::platform::dialogs::DialogPurpose;
use crate::platform::{names, runs};
use crate::studio::app_context::AppContext;
use crate::studio::background::task::BackgroundTask;
use crate::studio::widgets::StatusTone;

/// Which device computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevicePick {
    /// The one that the house has chosen.
    Chosen,
    /// The processor.
    Processor,
}

/// Something that a person asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainAction {
    /// Starts a run with the recipe.
    Start,
    /// Goes on with the run in this folder from its newest checkpoint.
    GoOn(PathBuf, DevicePick),
    /// Holds after the step.
    Pause,
    /// Goes on.
    Resume,
    /// Finishes the step, saves, ends.
    Stop,
    /// Saves after the step.
    Checkpoint,
    /// A field changes in the run that goes on.
    Live(&'static str),
    /// Looks with the model of a checkpoint.
    LookWith(PathBuf),
    /// Shows a file with whatever the system has for it.
    Open(PathBuf),
    /// Shows what the run in this folder has changed.
    BeforeAfter(PathBuf),
    /// Follows the run in this folder; in all panels, or its curves beside those of others.
    Follow(PathBuf, bool),
    /// Shows the curves of a followed run no more.
    Unfollow(PathBuf),
    /// Shows another run in all panels.
    Focus(RunSelection),
    /// Asks the person for something.
    Ask(DialogPurpose, String),
    /// Shows what this model sees beside the run.
    ShowBeside(ModelSource),
    /// Puts the message away.
    Dismiss,
    /// Looks for runs again.
    LookForRuns,
    /// Another preset.
    Preset(String),
    /// All fields as the preset says.
    PutAllBack,
    /// Packs the run in this folder into one file.
    Pack(PathBuf),
    /// The recipe of the run that is shown is for a new run from now on.
    UseRecipe,
    /// What a person had in the recipe pane before that.
    OwnRecipe,
}

impl TrainWorkspace {
    /// Does what was asked for.
    pub(super) fn carry_out(&mut self, ctx: &egui::Context, app: &mut AppContext, act: TrainAction) {
        match act {
            TrainAction::Start => self.start(app),
            TrainAction::GoOn(folder, on) => self.go_on(app, &folder, on),
            TrainAction::Pause => self.with_own(TrainSession::pause),
            TrainAction::Resume => self.with_own(TrainSession::resume),
            TrainAction::Stop => self.with_own(TrainSession::stop),
            TrainAction::Checkpoint => {
                self.asked_checkpoint = true;
                self.with_own(|own| own.checkpoint());
            }
            TrainAction::Live(key) => self.change_live(key),
            TrainAction::LookWith(path) => self.explore_wish = Some(ModelSource::Path(path)),
            TrainAction::Open(path) => runs::show_file(ctx, &path),
            TrainAction::BeforeAfter(folder) => self.before_after.open(&folder, &self.wake),
            TrainAction::Follow(path, whole) => self.follow(&path, whole),
            TrainAction::Unfollow(path) => {
                self.followed.iter_mut().filter(|f| f.view.folder == path).for_each(|f| f.shown = false)
            }
            TrainAction::Focus(focus) => self.set_focus(focus),
            TrainAction::Ask(purpose, name) => app.dialogs.ask(purpose, &name),
            TrainAction::ShowBeside(source) => self.show_beside(source),
            TrainAction::Dismiss => self.banner = None,
            TrainAction::Pack(folder) => self.pack(app, folder),
            TrainAction::Preset(name) => {
                let before = self.draft.clone();
                self.draft.choose_preset(&name);
                self.recipe.begin.preset_chosen(&mut self.draft, &self.wake);
                self.offer_draft(app, before);
            }
            TrainAction::PutAllBack => {
                let before = self.draft.clone();
                self.draft.put_all_back();
                self.offer_draft(app, before);
            }
            TrainAction::UseRecipe => self.of_run.let_go(),
            TrainAction::OwnRecipe => self.back_to_mine(),
            TrainAction::LookForRuns => self.shelf.look(&self.root.path(), &self.wake),
        }
    }

    /// Shows what another model sees in the watched pictures, beside the run.
    pub fn show_beside(&mut self, source: ModelSource) {
        if let Some(run) = self.focused_folder() {
            self.watched.beside = Some(BesideModel::new(source, run));
        }
    }

    /// Offers a recipe again whose changes are gone.
    fn offer_draft(&self, app: &mut AppContext, before: RecipeDraft) {
        let lost = before.changed_in("").saturating_sub(self.draft.changed_in(""));
        if lost > 0 {
            let said = format!("Put {} back.", words::some(lost, "changed field", "changed fields"));
            app.offer_undo(said, move |parts| parts.train.draft.adopt(before));
        }
    }

    fn with_own(&mut self, tell: impl FnOnce(&mut TrainSession)) {
        if let Some(own) = &mut self.own {
            tell(own);
        }
    }

    /// Starts a run with what stands in the recipe pane.
    fn start(&mut self, app: &mut AppContext) {
        if self.own.as_ref().is_some_and(TrainSession::is_going) {
            app.toasts.watch("A run is going on: stop it before another one starts.");
            return;
        }
        // The button is off then; a click may have been on its way.
        if self.locked().is_some() {
            return;
        }
        if let Some(obstacle) = self.start_blocker() {
            app.toasts.watch(obstacle.text());
            return;
        }
        let recipe = match self.draft.recipe() {
            Ok(recipe) => Recipe::clone(recipe),
            Err(reason) => {
                app.toasts.bad(reason);
                return;
            }
        };
        let place = RunLocation::Below(self.root.path());
        self.begin_plan(app, recipe, place, false, DevicePick::Chosen);
        self.of_run.begins(true);
    }

    /// Goes on with a run on disk, with the recipe that lies there.
    fn go_on(&mut self, app: &mut AppContext, folder: &Path, on: DevicePick) {
        if self.own.as_ref().is_some_and(TrainSession::is_going) {
            app.toasts.watch("A run is going on: stop it before another one starts.");
            return;
        }
        let recipe = self.view_of(folder).and_then(|view| view.recipe.clone());
        match recipe {
            Some(recipe) => {
                self.begin_plan(
                    app,
                    Recipe::clone(&recipe),
                    RunLocation::Folder(folder.to_owned()),
                    true,
                    on,
                );
                self.of_run.begins(false);
            }
            None => app.toasts.bad(format!("The recipe in {} can't be read.", folder.display())),
        }
    }

    pub(super) fn begin_plan(
        &mut self,
        app: &mut AppContext,
        recipe: Recipe,
        place: RunLocation,
        resume: bool,
        on: DevicePick,
    ) {
        let device: SelectedDevice = match on {
            DevicePick::Chosen => app.devices.for_training(),
            DevicePick::Processor => device::cpu(None),
        };
        let watch = self.watch_wish.clone();
        ::log::info!("starting a run of {} on {}", recipe.preset, device.name);
        if let RunLocation::Folder(folder) = &place {
            self.followed.retain(|followed| followed.view.folder != *folder);
        }
        self.own =
            Some(TrainSession::begin(RunLaunchPlan { recipe, place, resume, device, watch }, &self.wake));
        self.banner = None;
        self.asked_checkpoint = false;
        self.watched.timeline.follow();
        self.set_focus(RunSelection::Own);
    }

    /// A field of the recipe pane, in the run that goes on.
    fn change_live(&mut self, key: &'static str) {
        let Some(own) = &mut self.own else { return };
        let (Some(now), Ok(wanted)) = (own.view.recipe.clone(), self.draft.recipe()) else { return };
        let (Some(value), true) = (fields::get(wanted, key), fields::live(key)) else { return };
        if fields::get(&now, key).as_ref() == Some(&value) {
            return;
        }
        if let Ok(recipe) = fields::set(&now, key, value) {
            own.change(&recipe);
        }
    }

    /// Follows a run on disk.
    pub(super) fn follow(&mut self, path: &Path, whole: bool) {
        if self.own.as_ref().is_some_and(|own| own.view.folder == path) {
            self.set_focus(RunSelection::Own);
            return;
        }
        let at = self.followed.iter().position(|followed| followed.view.folder == path);
        let at = at.unwrap_or_else(|| {
            self.followed.push(FollowedRun::new(path, &self.wake));
            self.followed.len() - 1
        });
        if let Some(followed) = self.followed.get_mut(at) {
            followed.shown = true;
        }
        if whole {
            self.set_focus(RunSelection::Followed(path.to_owned()));
        }
    }

    pub(super) fn set_focus(&mut self, focus: RunSelection) {
        if self.focus != focus {
            self.watched.timeline.follow();
        }
        self.focus = focus;
    }

    /// Answers of the system's dialogs.
    pub(super) fn take_answers(&mut self, app: &mut AppContext) {
        let dialogs = app.dialogs.clone();
        let one = |purpose| dialogs.answer(purpose).and_then(|paths| paths.into_iter().next());
        if let Some(folder) = one(DialogPurpose::TrainingData) {
            self.draft.set("data.path", folder.to_string_lossy());
            self.lookup.again();
        }
        if let Some(folder) = one(DialogPurpose::RunsFolder) {
            self.root.choose(&folder);
            self.shelf.look(&self.root.path(), &self.wake);
        }
        if let Some(path) = one(DialogPurpose::BeginFile).or_else(|| one(DialogPurpose::BeginRun)) {
            self.recipe.begin.named = path.to_string_lossy().into_owned();
            self.recipe.begin.apply(&mut self.draft, &self.wake);
        }
        if let Some(path) = one(DialogPurpose::FollowRun) {
            match files::is_dir(&path) {
                true => self.follow(&path, true),
                false => self.open_archive(&path),
            }
        }
        if let Some(file) = one(DialogPurpose::OpenRecipe) {
            self.open_recipe(file);
        }
        if let Some(file) = one(DialogPurpose::SaveRecipe) {
            self.save_recipe(app, file);
        }
        if let Some(file) = one(DialogPurpose::SaveFilm) {
            let beside = self.watched.beside_for_film();
            self.watched.export.write_gif(self.focused_folder(), file, beside, &self.wake);
        }
        if let Some(folder) = one(DialogPurpose::SaveFrames) {
            let beside = self.watched.beside_for_film();
            self.watched.export.copy_pictures(self.focused_folder(), folder, beside, &self.wake);
        }
        if let Some(path) = one(DialogPurpose::BesideWeights).or_else(|| one(DialogPurpose::BesideRun)) {
            self.show_beside(ModelSource::Path(path));
        }
    }

    /// Reads a recipe from a file, for a new run.
    pub fn open_recipe(&mut self, file: PathBuf) {
        let read = move || {
            let text =
                files::read_to_string(&file).map_err(|e| format!("can't read {}: {e}", file.display()))?;
            Recipe::from_toml(&text, &[]).map_err(|e| format!("{}: {e}", file.display()))
        };
        self.reading = Some(BackgroundTask::ask("recipe", &self.wake, move |_| read()));
    }

    fn save_recipe(&mut self, app: &mut AppContext, file: PathBuf) {
        let text = match self.draft.recipe().map(|recipe| recipe.to_toml().map_err(|e| e.to_string())) {
            Ok(Ok(text)) => text,
            Ok(Err(reason)) | Err(reason) => {
                app.toasts.bad(reason);
                return;
            }
        };
        let write = move || {
            let said = format!("Saved {}", names::saved(&file));
            files::write(&file, text)
                .map(|()| said)
                .map_err(|e| format!("can't write {}: {e}", file.display()))
        };
        self.saving = Some(BackgroundTask::ask("recipe", &self.wake, move |_| write()));
    }

    /// What files that were read or written have come to.
    pub(super) fn take_in_files(&mut self, app: &mut AppContext) {
        if let Some(work) = &mut self.reading {
            match work.receive() {
                Some(Ok(recipe)) => {
                    self.reading = None;
                    match RecipeDraft::of(&recipe) {
                        Ok(draft) => {
                            let changed = words::some(draft.changed_in(""), "field", "fields");
                            let preset = draft.preset_name();
                            app.toasts.info(format!("Recipe opened: {preset} with {changed} changed"));
                            self.of_run.let_go();
                            self.draft.adopt(draft);
                        }
                        Err(error) => app.toasts.bad(error.to_string()),
                    }
                }
                Some(Err(reason)) => {
                    self.reading = None;
                    app.toasts.bad(reason);
                }
                None if work.over() => self.reading = None,
                None => {}
            }
        }
        if let Some(work) = &mut self.saving {
            match work.receive() {
                Some(Ok(said)) => app.toasts.good(said),
                Some(Err(reason)) => app.toasts.bad(reason),
                None => {}
            }
            if work.over() {
                self.saving = None;
            }
        }
    }

    /// The recipe in the pane, shared.
    pub(super) fn drafted(&self) -> Option<Arc<Recipe>> {
        self.draft.recipe().ok().cloned()
    }
}

/// What to do after a run of ours has ended too early: nothing is lost, and here are the ways on.
pub(super) fn banner_of_failure(view: &RunView) -> Option<TrainBanner> {
    let RunPhase::Failed(failure) = &view.phase else { return None };
    let folder = view.folder.clone();
    let (kept, mut ways) = match view.newest_checkpoint() {
        Some((step, _)) => (
            format!("The run is kept {}. It has everything up to step {step}.", names::kept(&folder)),
            vec![(format!("Go on from step {step}"), TrainAction::GoOn(folder.clone(), DevicePick::Chosen))],
        ),
        None => (format!("What was written is kept {}.", names::kept(&folder)), Vec::new()),
    };
    if failure.device && !ways.is_empty() {
        ways.push(("Go on on the processor".to_owned(), TrainAction::GoOn(folder, DevicePick::Processor)));
    }
    Some(TrainBanner { tone: StatusTone::Bad, text: format!("{}\n{kept}", failure.text), ways })
}

#[cfg(test)]
mod tests {
    use dinoscope_core::engine::{EngineError, RunEvent};

    use super::*;

    #[test]
    fn after_a_device_is_lost_the_run_goes_on_here_or_on_the_processor() {
        let mut view = RunView::new(Path::new("/runs/nano-001"), RunPhase::Running);
        assert!(banner_of_failure(&view).is_none());
        let lost = EngineError::Device { reason: "it is lost".to_owned(), hint: "try less".to_owned() };
        view.fail(&lost);
        let banner = banner_of_failure(&view).map(|banner| (banner.text, banner.ways.len()));
        assert!(banner.is_some_and(|(text, ways)| text.contains("/runs/nano-001") && ways == 0));
        view.take_event(RunEvent::Checkpoint {
            iteration: 60,
            path: PathBuf::from("/runs/nano-001/checkpoints/000060"),
        });
        let banner = banner_of_failure(&view);
        let actions: Vec<TrainAction> =
            banner.iter().flat_map(|banner| &banner.ways).map(|(_, act)| act.clone()).collect();
        let folder = PathBuf::from("/runs/nano-001");
        assert_eq!(
            actions,
            [
                TrainAction::GoOn(folder.clone(), DevicePick::Chosen),
                TrainAction::GoOn(folder, DevicePick::Processor)
            ]
        );
        assert!(
            banner
                .is_some_and(|banner| banner.text.contains("it is lost") && banner.text.contains("step 60"))
        );
        view.fail(&EngineError::NotFinite { iteration: 61, health: String::new(), kept: String::new() });
        assert_eq!(banner_of_failure(&view).map(|banner| banner.ways.len()), Some(1), "the device is well");
    }
}
