//! What a run and whoever watches it say to each other: commands in, events out.
//!
//! The command line, the window, the page and the tests are consumers of the same stream. Events are ordered and
//! small; bulky state stays in a slot that holds only the newest value. An error that ends a run is the stream's
//! last item, everything recoverable is a [`RunEvent::Warning`].

use super::Recipe;
use super::checkpoint::CheckpointError;
use super::health::RunHealth;
use super::memory::MemoryStats;
use super::metrics::Values;
use super::ranks::RunRanks;
use super::run::{RunError, RunFolder};
use super::schedule::ScheduledValues;
use super::side_task::SideTaskProgress;
use super::sources::RunDataSources;
use super::start::WeightInitError;
use super::teacher_cache::TeacherCacheError;
use super::watch::WatchSnapshot;
use crate::data::{DataError, Picture};
use crate::device::SelectedDevice;
use crate::eval::Accuracy;
use crate::eval::agreement::TeacherAgreement;
use crate::eval::knn::KnnResult;
use crate::eval::outcome::EvalReport;
use crate::ssl::ranks::RankFailure;
use async_channel::{Receiver, Sender, TryRecvError};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What a person may ask of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RunCommand {
    /// Hold after the current step, or between two batches of what is measured.
    Pause,
    /// Go on.
    Resume,
    /// Finish the step, save, end. What is measured meanwhile is left.
    Stop,
    /// Save after the current step.
    Checkpoint,
    /// Show features of these pictures from now on.
    Watch(Vec<Picture>),
    /// Take over what may change while a run goes on ([`RecipeField::live`](super::fields::Field::live)).
    Change(Box<Recipe>),
}

/// What happens in a run, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RunEvent {
    /// The run is set up.
    Started {
        /// Every value resolved.
        recipe: Box<Recipe>,
        /// What computes.
        device: String,
        /// What is trained on.
        data: String,
        /// Trainable values of backbone and heads.
        parameters: usize,
        /// Steps already done, when a run goes on.
        iteration: u64,
    },
    /// Figures of a step.
    Step(Box<StepReport>),
    /// Something beside the steps has begun or gone on; over with the next event of another kind.
    Aside(SideTaskProgress),
    /// New pictures of the watched images; they are in the slot and, with a folder, on disk.
    Pictures {
        /// Steps done.
        iteration: u64,
        /// The strip that was written.
        path: Option<PathBuf>,
    },
    /// k-NN accuracy of the teacher's CLS features.
    Evaluation {
        /// Steps done.
        iteration: u64,
        /// What was measured.
        accuracy: KnnResult,
        /// The same neighbours on raw pixels; measured once, at the start.
        raw_pixels: Option<KnnResult>,
        /// What the student has in common with a frozen teacher, where one is distilled.
        agreement: Option<TeacherAgreement>,
    },
    /// How often two crops of one picture find each other by the teacher's CLS features.
    Crops {
        /// Steps done.
        iteration: u64,
        /// What was measured.
        accuracy: Accuracy,
        /// The same of the crops' pixels; measured once, at the start.
        raw_pixels: Option<Accuracy>,
    },
    /// What else was measured of the teacher's features.
    Judged {
        /// Steps done.
        iteration: u64,
        /// Which evaluation: `linear`, `segment` or `depth`.
        name: String,
        /// What was found.
        outcome: Box<EvalReport>,
    },
    /// A checkpoint is on disk.
    Checkpoint {
        /// Steps done.
        iteration: u64,
        /// Its folder.
        path: PathBuf,
    },
    /// Live fields of another recipe were taken over.
    Changed {
        /// What holds from now on.
        recipe: Box<Recipe>,
        /// Other fields in which the recipe that was asked for differs: they need a new run.
        needs_restart: Vec<String>,
    },
    /// Something a person should know; the run goes on.
    Warning(String),
    /// The run holds.
    Paused,
    /// The run goes on.
    Resumed,
    /// The run ended in order.
    Finished(Box<RunCompletion>),
}

/// Figures of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepReport {
    /// The step, counted from 0.
    pub iteration: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// Losses and health figures by name.
    pub values: Values,
    /// Learning rate and other schedules of the step.
    pub schedule: ScheduledValues,
    /// Steps per second since the last report.
    pub steps_per_second: f64,
    /// Pictures per second since the last report.
    pub images_per_second: f64,
    /// Share of that time spent waiting for pictures.
    pub waited: f64,
    /// What the figures mean.
    pub health: RunHealth,
    /// Memory in use, where the device or the system tells.
    pub memory: Option<MemoryStats>,
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunCompletion {
    /// Steps done.
    pub iteration: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The report.
    pub report: Option<PathBuf>,
    /// Pictures that could not be used: name and reason.
    pub skipped: Vec<(String, String)>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Pictures.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Pictures of the watched images.
    #[error(transparent)]
    Analysis(#[from] crate::analysis::AnalysisError),
    /// Weights to start from, or a teacher.
    #[error(transparent)]
    Start(#[from] WeightInitError),
    /// What a frozen teacher says, on disk.
    #[error(transparent)]
    Taught(#[from] TeacherCacheError),
    /// k-NN.
    #[error(transparent)]
    Evaluation(#[from] crate::eval::run::EvaluationError),
    /// The loss is no number any more, or what the state holds.
    #[error("not finite any more, noticed at step {iteration}: {health} {kept}")]
    NotFinite {
        /// The step at which it was noticed, counted from 0.
        iteration: u64,
        /// What the figures say, or which weights, moments or centres it is.
        health: String,
        /// Which checkpoint is still good.
        kept: String,
    },
    /// The device gave up.
    #[error("the device failed: {reason}\n{hint}")]
    Device {
        /// What it said.
        reason: String,
        /// Sizes, and what to lower.
        hint: String,
    },
    /// Processes that share the run lost each other.
    #[error(transparent)]
    Ranks(#[from] RankFailure),
    /// A batch that processes can't share evenly.
    #[error(
        "train.batch = {batch} can't be shared out to {ranks} ranks in {parts} part(s) of a step: it has to be a multiple of {}, for \
         instance --set train.batch={wanted}, or start another number of ranks", ranks * parts
    )]
    Shares {
        /// Pictures of a step.
        batch: usize,
        /// Parts that each rank cuts its share into.
        parts: usize,
        /// Processes.
        ranks: usize,
        /// The next batch that can be.
        wanted: usize,
    },
    /// Processes that share the run began with different things.
    #[error(
        "{place} differs in {what}: start every rank with the same program, the same command and the same files"
    )]
    Apart {
        /// The rank, and where it is.
        place: String,
        /// What differs.
        what: String,
    },
    /// What another rank says: nothing is left to say here.
    #[error("the run has ended on another rank, which says why")]
    Elsewhere,
    /// What somewhere else said, for instance a worker of the page.
    #[error("{text}")]
    Told {
        /// The whole message.
        text: String,
    },
}

/// An [`EngineError`] that can be sent: the kinds that something hangs on, and the text of all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SerializableEngineError {
    /// [`EngineError::NotFinite`].
    NotFinite {
        /// The step at which it was noticed, counted from 0.
        iteration: u64,
        /// What the figures say, or which weights, moments or centres it is.
        health: String,
        /// Which checkpoint is still good.
        kept: String,
    },
    /// [`EngineError::Device`].
    Device {
        /// What it said.
        reason: String,
        /// Sizes, and what to lower.
        hint: String,
    },
    /// Any other, in words.
    Told(String),
}

impl From<EngineError> for SerializableEngineError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFinite { iteration, health, kept } => Self::NotFinite { iteration, health, kept },
            EngineError::Device { reason, hint } => Self::Device { reason, hint },
            other => Self::Told(other.to_string()),
        }
    }
}

impl From<SerializableEngineError> for EngineError {
    fn from(ended: SerializableEngineError) -> Self {
        match ended {
            SerializableEngineError::NotFinite { iteration, health, kept } => {
                Self::NotFinite { iteration, health, kept }
            }
            SerializableEngineError::Device { reason, hint } => Self::Device { reason, hint },
            SerializableEngineError::Told(text) => Self::Told { text },
        }
    }
}

/// Everything a run needs.
pub struct TrainJob {
    /// What to do.
    pub recipe: Recipe,
    /// What computes.
    pub device: SelectedDevice,
    /// Pictures.
    pub sources: RunDataSources,
    /// Pictures whose features are shown as they form.
    pub watch: Vec<Picture>,
    /// Where the run is kept; nothing is written without one.
    pub folder: Option<RunFolder>,
    /// Go on from the folder's newest checkpoint.
    pub resume: bool,
    /// The other processes that share the run, if any.
    pub ranks: RunRanks,
}

/// The newest pictures of the watched images.
pub type Slot = Arc<Mutex<Option<Arc<WatchSnapshot>>>>;

/// A turn of the browser's event loop.
#[cfg(target_family = "wasm")]
pub type Breath = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Gives a [`Breath`]: what is on its way gets in, and other tasks go on, before the future is done.
#[cfg(target_family = "wasm")]
pub type YieldNow = Arc<dyn Fn() -> Breath>;

/// What is called when there is something new to see; from the run's thread, so it must be quick.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A run from the outside.
///
/// A run whose handle is dropped, with every copy of `commands`, ends as with [`RunCommand::CancelFlag`]: after the step, with a
/// checkpoint.
pub struct RunHandle {
    /// Commands in.
    pub commands: Sender<RunCommand>,
    /// Events out; ends after `RunCompletion` or an error.
    pub events: Receiver<Result<RunEvent, EngineError>>,
    /// The newest pictures.
    pub latest: Slot,
}

/// Nobody holds the other end of a run any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandsClosed;

/// The run's side of the channels.
pub(crate) struct RunChannels {
    commands: Receiver<RunCommand>,
    /// Commands that came in while something else was done, in their order.
    waiting: RefCell<VecDeque<RunCommand>>,
    /// Whether the run holds between two steps.
    pub paused: Cell<bool>,
    /// Whether it held beside the steps, so that the time is not theirs.
    held: Cell<bool>,
    events: Sender<Result<RunEvent, EngineError>>,
    latest: Slot,
    wake: Wake,
    #[cfg(target_family = "wasm")]
    yield_now: YieldNow,
}

impl RunChannels {
    /// The next command, if there is one; an error when whoever started the run is gone.
    pub fn command(&self) -> Result<Option<RunCommand>, CommandsClosed> {
        if let Some(command) = self.waiting.borrow_mut().pop_front() {
            return Ok(Some(command));
        }
        match self.commands.try_recv() {
            Ok(command) => Ok(Some(command)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Closed) => Err(CommandsClosed),
        }
    }

    /// Waits for the next command.
    pub async fn next_command(&self) -> Result<RunCommand, CommandsClosed> {
        let first = self.waiting.borrow_mut().pop_front();
        match first {
            Some(command) => Ok(command),
            None => self.commands.recv().await.map_err(|_| CommandsClosed),
        }
    }

    /// Whether the run is told to stop. Commands stay where they are.
    fn is_to_stop(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        while let Ok(command) = self.commands.try_recv() {
            waiting.push_back(command);
        }
        self.commands.is_closed() || waiting.iter().any(|command| matches!(command, RunCommand::Stop))
    }

    /// For what takes long beside the steps, between two parts of it: lets a page's event loop turn, holds while the run is
    /// paused, and says whether to go on, which a run that is to stop does not. Whatever else is asked for meanwhile, as a
    /// checkpoint, lets it come to its end: there the run goes on holding and does that.
    pub async fn goes_on(&self) -> bool {
        self.yield_now().await;
        // What is asked for while the run holds is done at once.
        if self.paused.get() {
            return !self.is_to_stop();
        }
        let mut paused = false;
        loop {
            if self.is_to_stop() {
                return false;
            }
            let wanted = self.take_pauses().unwrap_or(paused);
            if wanted != paused {
                self.emit(if wanted { RunEvent::Paused } else { RunEvent::Resumed }).await;
            }
            paused = wanted;
            if !paused {
                return true;
            }
            if !self.waiting.borrow().is_empty() {
                self.paused.set(true);
                return true;
            }
            self.held.set(true);
            let Ok(command) = self.commands.recv().await else { return false }; // whoever paused is gone
            self.waiting.borrow_mut().push_back(command);
        }
    }

    /// Takes out what waits of pausing and going on; which of them was asked for last.
    fn take_pauses(&self) -> Option<bool> {
        let mut last = None;
        self.waiting.borrow_mut().retain(|command| {
            let pause = match command {
                RunCommand::Pause => true,
                RunCommand::Resume => false,
                _ => return true,
            };
            last = Some(pause);
            false
        });
        last
    }

    /// Whether the run held beside the steps since this was asked last.
    pub fn take_held(&self) -> bool {
        self.held.take()
    }

    /// Lets a browser's event loop turn, so that commands get in; elsewhere threads need no such thing.
    pub async fn yield_now(&self) {
        #[cfg(target_family = "wasm")]
        (self.yield_now)().await;
    }

    /// Sends an event; when nobody listens any more the run goes on for its folder's sake.
    pub async fn emit(&self, event: RunEvent) {
        self.send(Ok(event)).await;
    }

    /// Puts pictures into the slot.
    pub fn show(&self, look: Arc<WatchSnapshot>) {
        if let Ok(mut slot) = self.latest.lock() {
            *slot = Some(look);
        }
        (self.wake)();
    }

    pub async fn send(&self, item: Result<RunEvent, EngineError>) {
        let _ = self.events.send(item).await;
        (self.wake)();
    }
}

/// The two ends of a run.
pub(crate) fn channels(
    wake: Wake,
    #[cfg(target_family = "wasm")] yield_now: YieldNow,
) -> (RunHandle, RunChannels) {
    let (commands, commands_in) = async_channel::unbounded();
    let (events_out, events) = async_channel::unbounded();
    let latest = Slot::default();
    let port = RunChannels {
        commands: commands_in,
        waiting: RefCell::default(),
        paused: Cell::new(false),
        held: Cell::new(false),
        events: events_out,
        latest: latest.clone(),
        wake,
        #[cfg(target_family = "wasm")]
        yield_now,
    };
    (RunHandle { commands, events, latest }, port)
}
