//! Runs on disk beside ours: what the folder of runs holds, and those that are followed while others write them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dinoscope_core::files;
use dinoscope_core::train::follow::{RunFolderChanges, RunFolderReader, runs_in};
use dinoscope_core::train::run_lock::RunLockStatus;

use web_time::Instant;

use crate::platform::tasks::Wake;
use crate::platform::tasks::sleep;
use crate::studio::background::task::{BackgroundTask, CancelFlag, TaskEventSender};
use crate::studio::train::state::{RunPhase, RunView};

/// Between two looks at a folder.
const EVERY: Duration = Duration::from_secs(1);

/// What the thread that follows says.
enum FollowedRunEvent {
    /// All that is known, and how long ago its figures were written.
    Whole(Box<RunView>, Option<Duration>),
    /// What is new.
    More(Box<RunFolderChanges>),
    /// Why nothing can be read at the moment.
    Trouble(String),
    /// There is no run, and nothing is followed.
    Absent(String),
}

/// A run that is followed.
pub struct FollowedRun {
    /// What is known of it.
    pub view: RunView,
    /// Whether its curves are shown beside the others.
    pub shown: bool,
    /// Why nothing can be read at the moment.
    pub trouble: Option<String>,
    /// That there is no run, where there is none.
    pub absent: Option<String>,
    /// Whether anything was heard of it yet.
    pub heard: bool,
    /// When its figures were written last.
    written: Option<Instant>,
    work: BackgroundTask<FollowedRunEvent>,
}

impl FollowedRun {
    /// Starts following.
    pub fn new(folder: &Path, wake: &Wake) -> Self {
        let path = folder.to_owned();
        let work = BackgroundTask::start_async("follow", wake, async move |events, stop| {
            follow(&path, events, stop).await
        });
        let view = RunView::new(folder, RunPhase::Followed);
        Self { view, shown: true, trouble: None, absent: None, heard: false, written: None, work }
    }

    /// Takes in what is new.
    pub fn listen(&mut self) {
        while let Some(news) = self.work.receive() {
            self.heard = true;
            match news {
                FollowedRunEvent::Whole(view, age) => {
                    (self.view, self.trouble) = (*view, None);
                    self.written = age.and_then(|age| Instant::now().checked_sub(age));
                }
                FollowedRunEvent::More(changes) => {
                    if !changes.lines.is_empty() {
                        self.written = Some(Instant::now());
                    }
                    self.view.take_changes(*changes);
                    self.trouble = None;
                }
                FollowedRunEvent::Trouble(reason) => self.trouble = Some(reason),
                FollowedRunEvent::Absent(reason) => self.absent = Some(reason),
            }
        }
    }
}

impl FollowedRun {
    /// Whether somebody goes on with it. Where its lock can't tell, somebody seems to while its last figures are no older
    /// than some reports take.
    pub fn is_written(&self) -> bool {
        match self.view.held {
            RunLockStatus::By(_) => return true,
            RunLockStatus::Nobody => return false,
            RunLockStatus::Unknown => {}
        }
        let every = self.view.recipe.as_ref().map_or(1, |recipe| recipe.train.report_every) as f64;
        let report = every / self.view.pace.steps_per_second.max(1e-3);
        let patience = Duration::from_secs_f64((5.0 * report).clamp(20.0, 3600.0));
        self.view.phase == RunPhase::Followed && self.written.is_some_and(|at| at.elapsed() < patience)
    }
}

async fn follow(path: &Path, events: TaskEventSender<FollowedRunEvent>, stop: CancelFlag) {
    let mut follower = None;
    // How it stood with the run when it was last spoken of; nothing before that.
    let mut told = None;
    while !stop.asked() {
        let changes = match poll(path, &mut follower) {
            Ok(changes) => changes,
            Err(reason) if follower.is_none() => return events.say(FollowedRunEvent::Absent(reason)),
            Err(reason) => {
                events.say(FollowedRunEvent::Trouble(reason));
                nap(&stop).await;
                continue;
            }
        };
        let (state, mut more) = (Some((changes.finished, changes.held.clone())), changes.more);
        if changes.restarted || told.is_none() {
            // Many figures are put in order here, not in a frame.
            let mut view = RunView::new(path, RunPhase::Followed);
            view.take_changes(changes);
            while more
                && !stop.asked()
                && let Ok(changes) = poll(path, &mut follower)
            {
                more = changes.more;
                view.take_changes(changes);
            }
            let written = files::metadata(path.join("metrics.jsonl")).and_then(|file| file.modified()).ok();
            events.say(FollowedRunEvent::Whole(Box::new(view), written.and_then(|at| at.elapsed().ok())));
        } else if !changes.is_empty() || told != state {
            events.say(FollowedRunEvent::More(Box::new(changes)));
        }
        told = state;
        if !more {
            nap(&stop).await;
        }
    }
}

fn poll(path: &Path, follower: &mut Option<RunFolderReader>) -> Result<RunFolderChanges, String> {
    if follower.is_none() {
        *follower = Some(RunFolderReader::open(path).map_err(|e| e.to_string())?);
    }
    match follower {
        Some(follower) => follower.poll().map_err(|e| e.to_string()),
        None => Ok(RunFolderChanges::default()),
    }
}

async fn nap(stop: &CancelFlag) {
    let naps = 10;
    for _ in 0..naps {
        if stop.asked() {
            return;
        }
        sleep(EVERY / naps).await;
    }
}

/// A run in the folder of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunListEntry {
    /// Its folder.
    pub path: PathBuf,
    /// Name of the folder.
    pub name: String,
}

/// The runs of a folder, looked up in the background.
#[derive(Default)]
pub struct RunList {
    /// The runs, that which was written to last first.
    pub runs: Vec<RunListEntry>,
    work: Option<BackgroundTask<Vec<RunListEntry>>>,
    looked: Option<PathBuf>,
}

impl RunList {
    /// Looks into `runs`, unless it is being looked into.
    pub fn look(&mut self, runs: &Path, wake: &Wake) {
        if self.work.is_some() {
            return;
        }
        let runs = runs.to_owned();
        self.looked = Some(runs.clone());
        self.work = Some(BackgroundTask::ask("runs", wake, move |_| {
            runs_in(&runs).into_iter().filter_map(listed).collect()
        }));
    }

    /// Takes in what was found; looks when another folder is meant than before.
    pub fn listen(&mut self, runs: &Path, wake: &Wake) {
        if let Some(work) = &mut self.work {
            match work.receive() {
                Some(runs) => (self.runs, self.work) = (runs, None),
                None if work.over() => self.work = None,
                None => {}
            }
        }
        if self.looked.as_deref() != Some(runs) {
            self.look(runs, wake);
        }
    }
}

fn listed(path: PathBuf) -> Option<RunListEntry> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(RunListEntry { path, name })
}
