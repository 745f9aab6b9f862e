//! A run's folder: what stands where, and how it is read back.
//!
//! `recipe.toml`, `metrics.jsonl`, `tensorboard/`, `checkpoints/`, `pictures/`, `report.html`; `data.json` (what it learns
//! from), `changes.jsonl` (what was changed on the way), `run.lock` (who trains it).

pub mod archive;
pub mod follow;
pub mod resume;
pub mod resume_point;
mod run_error;
pub mod run_lock;
pub mod run_notes;

use crate::files;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint;
use super::metrics_lines;
use super::recipe::Recipe;
use run_lock::{RunLock, RunLockError};

pub use super::metrics_lines::MetricsLine;
pub use run_error::RunError;

/// A run's folder on disk. Whoever made or reopened it to train has its lock, until the last copy is dropped.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    lock: Option<Arc<RunLock>>,
}

pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> RunError + 'a {
    move |source| RunError::Io { action, path: path.display().to_string(), source }
}

/// The first of `PATH.SUFFIX`, `PATH.SUFFIX-2`, … at which there is nothing.
pub(super) fn unused(path: &Path, suffix: &str) -> PathBuf {
    let named = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { format!(".{suffix}") } else { format!(".{suffix}-{number}") });
        PathBuf::from(name)
    };
    (1..).map(named).find(|name| !files::exists(name)).unwrap_or_else(|| named(1))
}

/// Writes a text file of the run, whole or not at all.
pub(in crate::train) fn replace(file: &Path, text: &str) -> Result<(), RunError> {
    files::write_and_rename(file, text).map_err(io("write", file))
}

/// What a run writes into its folder and would not find there: names, the folders' with a stroke.
const OURS: [&str; 11] = [
    "metrics.jsonl",
    "report.html",
    "film.png",
    "data.json",
    "pixels.json",
    "changes.jsonl",
    "teacher.features",
    "checkpoints/",
    "evaluations/",
    "pictures/",
    "tensorboard/",
];

impl RunFolder {
    /// Makes the folder of a new run and writes its resolved recipe.
    ///
    /// # Errors
    /// When it already holds a run or files that a run would overwrite, another process just made one there, or the
    /// disk refuses.
    pub fn create(path: &Path, recipe: &Recipe) -> Result<Self, RunError> {
        Self::create_with(path, recipe, false)
    }

    /// [`RunFolder::create`], also over files that are no run's.
    ///
    /// # Errors
    /// As there, but for such files.
    pub fn create_over(path: &Path, recipe: &Recipe) -> Result<Self, RunError> {
        Self::create_with(path, recipe, true)
    }

    fn create_with(path: &Path, recipe: &Recipe, over: bool) -> Result<Self, RunError> {
        let mut run = Self { path: path.to_owned(), lock: None };
        let occupied = |run: &Self| match files::exists(run.recipe_file()) {
            true => Err(RunError::Occupied(path.display().to_string())),
            false => Ok(()),
        };
        occupied(&run)?;
        let there: Vec<&str> = OURS.into_iter().filter(|name| is_something(&path.join(name))).collect();
        if !over && !there.is_empty() {
            return Err(RunError::Overwrites { path: path.display().to_string(), what: there.join(", ") });
        }
        files::create_dir_all(path).map_err(io("create", path))?;
        run.lock()?;
        // Somebody may have been faster.
        occupied(&run)?;
        if over {
            resume::clear(&run);
        }
        for folder in [run.checkpoints(), run.pictures(), run.tensorboard()] {
            files::create_dir_all(&folder).map_err(io("create", &folder))?;
        }
        run.write_recipe(recipe)?;
        Ok(run)
    }

    /// Opens the folder of a run that is to go on with `recipe`. Nothing is written yet: that happens when everything
    /// that the run needs is there.
    ///
    /// # Errors
    /// When there is no run, another process trains it, or it was made with other values than `recipe` has. What does not
    /// touch what is computed may differ, and so may where things lie and, up to the steps that are done, the length.
    pub fn reopen(path: &Path, recipe: &Recipe) -> Result<Self, RunError> {
        let mut run = Self { path: path.to_owned(), lock: None };
        resume::check(&run, recipe)?;
        run.lock()?;
        // As it is now that nobody else changes it.
        resume::check(&run, recipe)?;
        Ok(run)
    }

    fn lock(&mut self) -> Result<(), RunError> {
        let path = || self.path.display().to_string();
        match RunLock::take(&self.path) {
            Ok(lock) => self.lock = Some(Arc::new(lock)),
            Err(RunLockError::Io(source)) => {
                return Err(io("lock", &self.path.join(run_lock::FILE))(source));
            }
            Err(RunLockError::Taken { by, sure }) => {
                let by = by.map_or_else(|| "whose number can't be read".to_owned(), |by| by.to_string());
                let way_out = match sure {
                    true => String::new(),
                    false => format!(
                        ". This drive keeps no locks: if that process has ended, delete {}",
                        self.path.join(run_lock::FILE).display()
                    ),
                };
                return Err(RunError::Taken { path: path(), by, way_out });
            }
        }
        Ok(())
    }

    /// Whether the folder is there and nobody else's, before something is put into it. A lock whose file was deleted is
    /// taken again.
    ///
    /// # Errors
    /// When the folder is gone, or another process has taken the lock meanwhile.
    pub(super) fn ensure_ours(&self) -> Result<(), RunError> {
        if !files::exists(self.recipe_file()) {
            return Err(RunError::Gone(self.path.display().to_string()));
        }
        let Some(lock) = &self.lock else { return Ok(()) };
        lock.ensure(&self.path).map_err(|error| match error {
            RunLockError::Io(source) => io("lock", &self.path.join(run_lock::FILE))(source),
            RunLockError::Taken { by, .. } => RunError::LostLock {
                path: self.path.join(run_lock::FILE).display().to_string(),
                by: by.map_or_else(|| "another process".to_owned(), |by| by.to_string()),
            },
        })
    }

    /// What a person should know of the lock of a run that is trained.
    pub(super) fn note_of_lock(&self) -> Option<String> {
        let promised = self.lock.as_ref().is_some_and(|lock| !lock.by_system());
        promised.then(|| {
            format!(
                "the drive of {} keeps no locks: other programs are held off this run only by what {} says",
                self.path.display(),
                run_lock::FILE
            )
        })
    }

    /// An existing run, for looking at it.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let run = Self { path: path.to_owned(), lock: None };
        match files::is_file(run.recipe_file()) {
            true => Ok(run),
            false => Err(RunError::Empty(path.display().to_string())),
        }
    }

    /// The resolved recipe on disk.
    ///
    /// # Errors
    /// When there is none or it can't be read.
    pub fn recipe(&self) -> Result<Recipe, RunError> {
        let file = self.recipe_file();
        if !files::is_file(&file) {
            return Err(RunError::Empty(self.path.display().to_string()));
        }
        let text = files::read_to_string(&file).map_err(io("read", &file))?;
        Recipe::from_toml(&text, &[])
            .map_err(|source| RunError::Recipe { path: file.display().to_string(), source })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// `recipe.toml`
    pub fn recipe_file(&self) -> PathBuf {
        self.path.join("recipe.toml")
    }
    /// `metrics.jsonl`
    pub fn metrics_file(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }
    /// `checkpoints/`
    pub fn checkpoints(&self) -> PathBuf {
        Self::checkpoints_of(self.path())
    }

    /// The same of a run that this process does not hold.
    pub fn checkpoints_of(path: &Path) -> PathBuf {
        path.join("checkpoints")
    }
    /// `pictures/`
    pub fn pictures(&self) -> PathBuf {
        self.path.join("pictures")
    }
    /// `tensorboard/`
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }
    /// `report.html`
    pub fn report_file(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// The newest complete checkpoint.
    pub fn latest_checkpoint(&self) -> Option<(u64, PathBuf)> {
        checkpoint::list(&self.checkpoints()).pop()
    }

    /// All lines of `metrics.jsonl`; what can't be read is left out. Of a long run that is much: see
    /// [`RunFolder::each_line`].
    pub fn lines(&self) -> Vec<MetricsLine> {
        let mut all = Vec::new();
        // What was read until it could be read no more is better than nothing.
        let _ = self.each_line(|line| all.push(line));
        all
    }

    /// Calls `each` for every line of `metrics.jsonl`, in order; what can't be read is left out.
    ///
    /// # Errors
    /// When the file is there and the disk refuses.
    pub fn each_line(&self, each: impl FnMut(MetricsLine)) -> Result<(), RunError> {
        metrics_lines::each(&self.metrics_file(), each)
    }

    /// Opens `metrics.jsonl` for appending, without what came after `iteration` steps: a run that goes on
    /// from a checkpoint writes those lines again. What stays keeps every byte; of a file with damaged lines a copy is
    /// kept, and [`MetricsLog::notes`] says so.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn metrics_from(&self, iteration: u64) -> Result<MetricsLog, RunError> {
        let file = self.metrics_file();
        let apart = self.recipe().map_or(1, |recipe| recipe.train.report_every);
        let notes = metrics_lines::rewind(&file, iteration, apart)?.sentences();
        let out = files::OpenOptions::new().append(true).open(&file).map_err(io("open", &file))?;
        Ok(MetricsLog { file, out, notes })
    }

    /// Writes the resolved recipe, in place of the one that was there.
    pub(super) fn write_recipe(&self, recipe: &Recipe) -> Result<(), RunError> {
        let file = self.recipe_file();
        let text = recipe
            .to_toml()
            .map_err(|source| RunError::Recipe { path: file.display().to_string(), source })?;
        replace(&file, &text)
    }
}

/// `metrics.jsonl`, open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    file: PathBuf,
    out: files::File,
    notes: Vec<String>,
}

impl MetricsLog {
    /// What a person should know of the lines that were there.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Appends one line.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, line: &MetricsLine) -> Result<(), RunError> {
        let mut text = serde_json::to_string(line).map_err(|e| RunError::Io {
            action: "write",
            path: self.file.display().to_string(),
            source: e.into(),
        })?;
        text.push('\n');
        let before = self.out.metadata().map(|about| about.len());
        self.out.write_all(text.as_bytes()).map_err(|failed| {
            // No half of a line, which the next one would be glued to.
            if let Ok(before) = before {
                let _ = files::cut(&self.out, before);
            }
            io("write", &self.file)(failed)
        })
    }

    /// Has on the disk what was appended.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<(), RunError> {
        self.out.sync_all().map_err(io("write", &self.file))
    }

    /// A log at any place, for tests.
    #[cfg(test)]
    pub(super) fn at(file: &Path) -> Result<Self, RunError> {
        let out = files::OpenOptions::new().append(true).open(file).map_err(io("open", file))?;
        Ok(Self { file: file.to_owned(), out, notes: Vec::new() })
    }
}

/// Whether there is a file, or a folder with something in it.
fn is_something(path: &Path) -> bool {
    match files::read_dir(path) {
        Ok(mut inside) => inside.next().is_some(),
        Err(_) => files::exists(path),
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
