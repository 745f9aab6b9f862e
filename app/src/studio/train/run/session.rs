//! A run of ours: how it begins, what it is told, what it says.

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::data::Picture;
use dinoscope_core::device::SelectedDevice;
use dinoscope_core::engine::{RunCommand, RunHandle, RunRanks, TrainJob};
use dinoscope_core::files;
use dinoscope_core::train::follow::RunFolderReader;
use dinoscope_core::train::health::RunHealth;
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::sources;
use dinoscope_core::train::watch::WatchSnapshot;
use dinoscope_core::train::{Recipe, paths, resume};

use crate::platform::runs;
use crate::platform::tasks::Wake;
use crate::studio::background::task::{BackgroundTask, CancelFlag};
use crate::studio::train::state::{RunPhase, RunView};
use crate::studio::train::words;

/// Where a run is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunLocation {
    /// The first of `PRESET-001`, `PRESET-002`, … in this folder that does not exist.
    Below(PathBuf),
    /// Here.
    Folder(PathBuf),
}

/// Everything that a run needs to begin.
pub struct RunLaunchPlan {
    /// Every value resolved.
    pub recipe: Recipe,
    /// Where it is kept.
    pub place: RunLocation,
    /// Go on from the folder's newest checkpoint.
    pub resume: bool,
    /// What computes.
    pub device: SelectedDevice,
    /// Pictures to watch in place of some of those that are trained on.
    pub watch: Option<Vec<Picture>>,
}

/// A run that has begun.
pub struct StartedRun {
    handle: RunHandle,
    view: RunView,
}

/// Events that one frame takes in at most; what is left comes with the next one.
const EVENTS: usize = 2000;

/// A run of ours.
pub struct TrainSession {
    state: TrainSessionState,
    /// What is known of it.
    pub view: RunView,
    /// The newest pictures of the watched images.
    pub look: Option<Arc<WatchSnapshot>>,
    /// The live fields that were asked for last.
    asked: Option<Recipe>,
    /// A warning that may turn out to be what the figures of the next report mean.
    pending: Option<String>,
}

enum TrainSessionState {
    Beginning(BackgroundTask<Result<StartedRun, String>>),
    Going(RunHandle),
    Over,
}

/// What a frame may want to tell the person about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrainSessionEvent {
    /// It could not begin.
    NotBegun(String),
    /// It ended too early; the view says why.
    Failed,
    /// It ended in order; the view says how.
    Finished,
    /// A checkpoint was written that a person asked for.
    Checkpoint(u64),
    /// Something to know.
    Warning(String),
    /// The figures say that it goes wrong.
    Wrong,
}

impl TrainSession {
    /// Begins: opens the pictures and the folder and starts the engine, all on a thread of its own.
    pub fn begin(plan: RunLaunchPlan, wake: &Wake) -> Self {
        let folder = plan.place.shown(&plan.recipe);
        let mut view = RunView::new(&folder, RunPhase::Preparing);
        view.set_recipe(plan.recipe.clone());
        let for_engine = wake.clone();
        let work = BackgroundTask::ask("begin", wake, move |stop| begin(plan, for_engine, stop));
        Self { state: TrainSessionState::Beginning(work), view, look: None, asked: None, pending: None }
    }

    /// Takes in what the run says.
    pub fn listen(&mut self) -> Vec<TrainSessionEvent> {
        let mut news = Vec::new();
        if let TrainSessionState::Beginning(work) = &mut self.state {
            let answer = work.receive();
            let lost = answer.is_none() && work.over();
            match answer {
                Some(Ok(begun)) => {
                    self.state = TrainSessionState::Going(begun.handle);
                    let stopping = self.view.phase == RunPhase::Stopping;
                    self.view = begun.view;
                    if stopping {
                        self.stop();
                    }
                }
                Some(Err(reason)) => self.not_begun(reason, &mut news),
                None if lost => self.not_begun("the run could not be started".to_owned(), &mut news),
                None => {}
            }
        }
        for _ in 0..EVENTS {
            let TrainSessionState::Going(handle) = &self.state else { break };
            match handle.events.try_recv() {
                Ok(Ok(event)) => self.on_event(event, &mut news),
                Ok(Err(error)) => {
                    self.take_look();
                    self.view.fail(&error);
                    self.state = TrainSessionState::Over;
                    news.push(TrainSessionEvent::Failed);
                }
                Err(async_channel::TryRecvError::Empty) => break,
                Err(async_channel::TryRecvError::Closed) => self.state = TrainSessionState::Over,
            }
        }
        self.take_look();
        news
    }

    /// The newest pictures, unless they are being put there just now.
    fn take_look(&mut self) {
        if let TrainSessionState::Going(handle) = &self.state
            && let Ok(slot) = handle.latest.try_lock()
            && let Some(look) = slot.as_ref()
        {
            self.look = Some(look.clone());
        }
    }

    fn not_begun(&mut self, reason: String, news: &mut Vec<TrainSessionEvent>) {
        self.state = TrainSessionState::Over;
        self.view.phase = RunPhase::Finished { stopped: true };
        news.push(TrainSessionEvent::NotBegun(reason));
    }

    fn on_event(&mut self, event: dinoscope_core::engine::RunEvent, news: &mut Vec<TrainSessionEvent>) {
        use dinoscope_core::engine::RunEvent;
        if let Some(text) = self.pending.take() {
            let same = |health: &RunHealth| health.sentences.join(" ") == text;
            news.push(match &event {
                RunEvent::Step(step) if same(&step.health) => TrainSessionEvent::Wrong,
                _ => TrainSessionEvent::Warning(text),
            });
        }
        match &event {
            RunEvent::Checkpoint { iteration, .. } => news.push(TrainSessionEvent::Checkpoint(*iteration)),
            RunEvent::Warning(text) => self.pending = Some(words::without_flags(text)),
            RunEvent::Finished(_) => news.push(TrainSessionEvent::Finished),
            _ => {}
        }
        let finished = matches!(event, RunEvent::Finished(_));
        self.view.take_event(event);
        if finished {
            self.take_look();
            self.state = TrainSessionState::Over;
        }
    }

    /// Whether it still does something.
    pub fn is_going(&self) -> bool {
        !matches!(self.state, TrainSessionState::Over)
    }

    fn tell(&self, command: RunCommand) {
        if let TrainSessionState::Going(handle) = &self.state {
            // A run that has just ended needs no telling.
            let _ = handle.commands.try_send(command);
        }
    }

    /// Holds after the step, or after the part of an evaluation that it is at.
    pub fn pause(&mut self) {
        if self.is_running() {
            self.view.phase = RunPhase::Pausing;
        }
        self.tell(RunCommand::Pause);
    }

    /// Goes on. A pause that was not taken yet is taken back without a word.
    pub fn resume(&mut self) {
        if self.view.phase == RunPhase::Pausing {
            self.view.phase = RunPhase::Running;
        }
        self.tell(RunCommand::Resume);
    }

    /// Finishes the step, saves, ends.
    pub fn stop(&mut self) {
        if self.is_going() {
            self.view.phase = RunPhase::Stopping;
            self.tell(RunCommand::Stop);
        }
    }

    /// Saves after the step.
    pub fn checkpoint(&self) {
        self.tell(RunCommand::Checkpoint);
    }

    /// Shows features of other pictures from now on.
    pub fn watch(&self, pictures: Vec<Picture>) {
        self.tell(RunCommand::Watch(pictures));
    }

    /// Takes over the live fields of a recipe, unless they were asked for already.
    pub fn change(&mut self, wanted: &Recipe) {
        if matches!(self.state, TrainSessionState::Going(_)) && self.asked.as_ref() != Some(wanted) {
            self.asked = Some(wanted.clone());
            self.tell(RunCommand::Change(Box::new(wanted.clone())));
        }
    }

    /// Whether it holds or goes on, as far as is known.
    pub fn is_running(&self) -> bool {
        matches!(self.state, TrainSessionState::Going(_)) && self.view.phase == RunPhase::Running
    }

    /// Waits until it has ended, but not longer than `patience`. For the end of the program, when no frame is held up.
    pub fn wait(&mut self, patience: std::time::Duration) {
        let start = web_time::Instant::now();
        while self.is_going() && start.elapsed() < patience {
            self.listen();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl RunLocation {
    /// The folder as far as it is known without looking at the disk.
    fn shown(&self, recipe: &Recipe) -> PathBuf {
        match self {
            Self::Below(runs) => runs.join(format!("{}-…", recipe.preset)),
            Self::Folder(folder) => folder.clone(),
        }
    }
}

fn begin(plan: RunLaunchPlan, wake: Wake, stop: &CancelFlag) -> Result<StartedRun, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let RunLaunchPlan { recipe, place, resume, device, watch } = plan;
    let recipe = runs::with_inputs(recipe, resume)?;
    let recipe = paths::with_absolute_paths(&recipe).map_err(|e| told(&e))?;
    let sources = sources::open(&recipe).map_err(|e| match &place {
        RunLocation::Folder(folder) if resume => told(&resume::moved_data(folder, &e)),
        _ => told(&e),
    })?;
    let watch = watch.unwrap_or_else(|| runs::watched(&sources, &recipe));
    if stop.asked() {
        return Err("stopped before it began".to_owned());
    }
    let folder = open_folder(&place, &recipe, resume)?;
    let mut view = RunView::new(folder.path(), RunPhase::Preparing);
    if resume && let Ok(mut run) = RunFolderReader::open(folder.path()) {
        // Without what it had before the run goes on as well.
        let _ = run.poll_all(|changes| view.take_changes(changes));
        view.phase = RunPhase::Preparing;
    }
    view.set_recipe(recipe.clone());
    let job =
        TrainJob { recipe, device, sources, watch, folder: Some(folder), resume, ranks: RunRanks::default() };
    Ok(StartedRun { handle: runs::start(job, wake)?, view })
}

/// How many numbers a run's folder may have.
const NUMBERS: usize = 100_000;

fn open_folder(place: &RunLocation, recipe: &Recipe, resume: bool) -> Result<RunFolder, String> {
    match place {
        RunLocation::Folder(folder) if resume => RunFolder::reopen(folder, recipe).map_err(|e| e.to_string()),
        RunLocation::Folder(folder) => RunFolder::create(folder, recipe).map_err(|e| e.to_string()),
        RunLocation::Below(runs) => {
            let free = (1..NUMBERS)
                .map(|i| runs.join(format!("{}-{i:03}", recipe.preset)))
                .find(|p| !files::exists(p));
            let free =
                free.ok_or_else(|| format!("{} is full of runs: choose another folder", runs.display()))?;
            RunFolder::create(&free, recipe).map_err(|e| e.to_string())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_get_the_first_free_number() {
        let root = tempfile::tempdir().unwrap();
        let recipe = Recipe::preset("nano").unwrap();
        let place = RunLocation::Below(root.path().join("runs"));
        for number in ["nano-001", "nano-002"] {
            let folder = open_folder(&place, &recipe, false).unwrap();
            assert_eq!(folder.path(), root.path().join("runs").join(number));
        }
        let taken = RunLocation::Folder(root.path().join("runs/nano-001"));
        assert!(open_folder(&taken, &recipe, false).unwrap_err().contains("already holds a run"));
        open_folder(&taken, &recipe, true).unwrap();
    }
}
