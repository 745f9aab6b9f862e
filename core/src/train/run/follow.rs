//! A run as it lies on disk, followed while another process writes it.

use crate::files::{self, File, Metadata};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use web_time::SystemTime;

use crate::train::checkpoint;
use crate::train::film;
use crate::train::recipe::Recipe;
use crate::train::run::{MetricsLine, RunError, RunFolder, io};
use crate::train::run_lock::{self, RunLockStatus};
use crate::train::watch::WatchFrameKind;

/// What is new in a run's folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFolderChanges {
    /// Lines that were added to `metrics.jsonl`.
    pub lines: Vec<MetricsLine>,
    /// `metrics.jsonl` was written anew, as a run that goes on from an earlier checkpoint does: what was given before
    /// holds no more, and everything is given again.
    pub restarted: bool,
    /// Steps done at the moments of which there are new pictures.
    pub pictures: Vec<u64>,
    /// Steps done at new checkpoints.
    pub checkpoints: Vec<u64>,
    /// There is more in `metrics.jsonl` than was read: the next call gives it at once.
    pub more: bool,
    /// The run has ended: nobody trains it, and it has its report or a checkpoint of the last step. Not news but a
    /// state: it stays true, until the run goes on.
    pub finished: bool,
    /// Whether somebody trains it. A state as well.
    pub held: RunLockStatus,
    /// The recipe, at first and whenever its file was written.
    pub recipe: Option<Recipe>,
}

impl RunFolderChanges {
    /// Whether there is nothing new.
    pub fn is_empty(&self) -> bool {
        *self == Self { finished: self.finished, held: self.held.clone(), ..Self::default() }
    }
}

/// Length and time of a file: while both stay, nobody has written to it.
type Stamp = (u64, Option<SystemTime>);

/// Bytes of `metrics.jsonl` that one look takes in: a long run's are given in parts.
const AT_ONCE: u64 = 4 << 20;

/// Follows a run.
#[derive(Debug)]
pub struct RunFolderReader {
    folder: RunFolder,
    recipe: Option<Stamp>,
    /// Steps of the whole run.
    total: u64,
    metrics: Option<Stamp>,
    /// Bytes of `metrics.jsonl` that have been given as lines.
    given: u64,
    /// The last of these lines: another one in its place means another file.
    last: Vec<u8>,
    pictures: IterationFiles,
    checkpoints: IterationFiles,
}

/// Direct subfolders of `folder` that hold runs, that which was written to last first.
pub fn runs_in(folder: &Path) -> Vec<PathBuf> {
    let subfolders = files::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut runs: Vec<(Option<SystemTime>, PathBuf)> = subfolders
        .filter_map(|path| {
            let run = RunFolder::open(&path).ok()?;
            let files = [run.metrics_file(), run.recipe_file()];
            Some((files.iter().filter_map(|file| files::metadata(file).ok()?.modified().ok()).max(), path))
        })
        .collect();
    runs.sort();
    runs.into_iter().rev().map(|(_, path)| path).collect()
}

impl RunFolderReader {
    /// Starts following the run in `path`; the first [`RunFolderReader::poll`] gives all that is there.
    ///
    /// # Errors
    /// When there is no run.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let folder = RunFolder::open(path).map_err(|_| RunError::NoRun(path.display().to_string()))?;
        Ok(Self {
            folder,
            recipe: None,
            total: u64::MAX,
            metrics: None,
            given: 0,
            last: Vec::new(),
            pictures: IterationFiles::default(),
            checkpoints: IterationFiles::default(),
        })
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// All that is new since the last look, in one part or several.
    ///
    /// # Errors
    /// As [`RunFolderReader::poll`]; what was taken before holds.
    pub fn poll_all(&mut self, mut take: impl FnMut(RunFolderChanges)) -> Result<(), RunError> {
        loop {
            let changes = self.poll()?;
            let more = changes.more;
            take(changes);
            if !more {
                return Ok(());
            }
        }
    }

    /// What is new since the last call; of `metrics.jsonl` only what was added is read, and not too much at once.
    ///
    /// # Errors
    /// When the folder is gone, or a file of it can't be read. The next call may succeed.
    pub fn poll(&mut self) -> Result<RunFolderChanges, RunError> {
        if !files::is_dir(self.folder.path()) {
            return Err(RunError::Gone(self.folder.path().display().to_string()));
        }
        let known = self.recipe;
        let mut changes = RunFolderChanges { recipe: self.new_recipe()?, ..RunFolderChanges::default() };
        (changes.lines, changes.restarted, changes.more) = match self.new_lines() {
            Ok(new) => new,
            Err(error) => {
                // Told with the next call that succeeds.
                self.recipe = known;
                return Err(error);
            }
        };
        if changes.restarted {
            (self.pictures, self.checkpoints) = Default::default();
            if changes.recipe.is_none() {
                changes.recipe = self.folder.recipe().ok();
            }
        }
        // The attention is written last: with it all pictures of a moment are there.
        let whole = |path: &Path| film::iteration(path, WatchFrameKind::Attention);
        changes.pictures = self.pictures.update(&self.folder.pictures(), || {
            let entries = files::read_dir(self.folder.pictures()).into_iter().flatten().flatten();
            entries.filter_map(|entry| Some((whole(&entry.path())?, entry.path()))).collect()
        });
        changes.checkpoints = self
            .checkpoints
            .update(&self.folder.checkpoints(), || checkpoint::list(&self.folder.checkpoints()));
        changes.held = run_lock::held(self.folder.path());
        changes.finished = self.finished(&changes.held);
        Ok(changes)
    }

    fn new_recipe(&mut self) -> Result<Option<Recipe>, RunError> {
        let now = stamp(&self.folder.recipe_file());
        // A file that is being replaced is there again in a moment.
        if now.is_none() || now == self.recipe {
            return Ok(None);
        }
        // One that can't be read is reported once, and again when it was written.
        self.recipe = now;
        let recipe = self.folder.recipe()?;
        self.total = recipe.train.iterations;
        Ok(Some(recipe))
    }

    /// Lines that were added, or those from the first on and true when the file is another one; and whether there are
    /// more.
    fn new_lines(&mut self) -> Result<(Vec<MetricsLine>, bool, bool), RunError> {
        let path = self.folder.metrics_file();
        let Some(now) = stamp(&path) else {
            let restarted = self.given > 0;
            (self.metrics, self.given, self.last) = Default::default();
            return Ok((Vec::new(), restarted, false));
        };
        if self.metrics == Some(now) {
            return Ok((Vec::new(), false, false));
        }
        let mut file = File::open(&path).map_err(io("read", &path))?;
        let restarted = !self.goes_on(&mut file).map_err(io("read", &path))?;
        if restarted {
            (self.given, self.last) = Default::default();
        }
        let mut added = Vec::new();
        file.seek(SeekFrom::Start(self.given)).map_err(io("read", &path))?;
        file.take(AT_ONCE).read_to_end(&mut added).map_err(io("read", &path))?;
        let more = added.len() as u64 == AT_ONCE;
        self.metrics = (!more).then_some(now);

        // The rest of a line that is still being written, or was cut here, is read with the next lines. What has no end
        // at all is no line.
        let unending = if more { added.len() } else { 0 };
        let whole = added.iter().rposition(|byte| *byte == b'\n').map_or(unending, |end| end + 1);
        added.truncate(whole);
        self.given += whole as u64;
        let lines: Vec<&[u8]> = added.split_inclusive(|byte| *byte == b'\n').collect();
        if let Some(line) = lines.last() {
            self.last = line.to_vec();
        }
        Ok((lines.into_iter().filter_map(MetricsLine::parse).collect(), restarted, more))
    }

    /// Whether the last line that was given stands where it stood.
    fn goes_on(&self, file: &mut File) -> std::io::Result<bool> {
        if file.metadata()?.len() < self.given {
            return Ok(false);
        }
        let mut there = vec![0; self.last.len()];
        file.seek(SeekFrom::Start(self.given - self.last.len() as u64))?;
        file.read_exact(&mut there)?;
        Ok(there == self.last)
    }

    fn finished(&self, held: &RunLockStatus) -> bool {
        let time = |path: PathBuf| stamp(&path).and_then(|(_, time)| time);
        let reported = || match held {
            // A run that goes on takes its report away.
            RunLockStatus::Nobody => files::is_file(self.folder.report_file()),
            // Nothing but times can tell for what was trained by older versions.
            _ => {
                let report = time(self.folder.report_file());
                report.is_some() && report >= time(self.folder.metrics_file())
            }
        };
        let complete = || self.checkpoints.seen.keys().any(|iteration| *iteration >= self.total);
        !held.is_held() && (complete() || reported())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    files::metadata(path).ok().map(|found| of(&found))
}

fn of(found: &Metadata) -> Stamp {
    (found.len(), found.modified().ok())
}

/// Files of a folder by iteration, and which of them are new or were replaced.
#[derive(Debug, Default)]
struct IterationFiles {
    seen: BTreeMap<u64, Option<SystemTime>>,
    /// The folder's own time when it was looked into.
    folder: Option<SystemTime>,
}

/// A folder's time may be that of two changes; after so long the next change has another.
const GRAIN: Duration = Duration::from_secs(2);

impl IterationFiles {
    /// Iterations with new files; does not look into a folder that has not changed.
    fn update(&mut self, folder: &Path, list: impl FnOnce() -> Vec<(u64, PathBuf)>) -> Vec<u64> {
        let now = stamp(folder).and_then(|(_, time)| time);
        if now.is_some() && now == self.folder {
            return Vec::new();
        }
        let settled = |time: &SystemTime| time.elapsed().is_ok_and(|age| age > GRAIN);
        self.folder = now.filter(settled);
        let time = |path: PathBuf| stamp(&path).and_then(|(_, time)| time);
        let found = list().into_iter().map(|(iteration, path)| (iteration, time(path))).collect();
        let before = std::mem::replace(&mut self.seen, found);
        let is_new = |(iteration, time): &(&u64, &Option<SystemTime>)| before.get(iteration) != Some(time);
        self.seen.iter().filter(is_new).map(|(iteration, _)| *iteration).collect()
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
