//! A run's folder: what stands where, and how it is read back.
//!
//! `recipe.toml`, `metrics.jsonl`, `tensorboard/`, `checkpoints/`, `pictures/`, `report.html`.

use crate::files;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::fields;
use super::metrics::Values;
use super::recipe::{Recipe, RecipeError};

/// Why a run's folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The disk refused.
    #[error("can't {action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// TensorBoard's event file.
    #[error(transparent)]
    Tensorboard(#[from] super::tensorboard::TensorboardError),
    /// A new run would overwrite an old one.
    #[error("{0} already holds a run: go on with --resume, or choose another --out")]
    Occupied(String),
    /// There is nothing to go on from.
    #[error("{0} holds no run that could go on: start it without --resume")]
    Empty(String),
    /// A folder without a run.
    #[error("{0} holds no run: there is no recipe.toml in it")]
    NoRun(String),
    /// The folder was there before.
    #[error("{0} is gone: the run was moved or deleted")]
    Gone(String),
    /// The run on disk was made with other values.
    #[error(
        "{path} was made with another recipe: {field} differs; go on without changing it, or choose another --out"
    )]
    Changed {
        /// The run's folder.
        path: String,
        /// The first field that differs.
        field: String,
    },
    /// The recipe on disk can't be read.
    #[error("{path}: {source}")]
    Recipe {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: RecipeError,
    },
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The step, counted from 0, that the figures belong to; for evaluations the steps done.
    pub iteration: u64,
    /// Figures by name. A figure that is not finite is written as null.
    #[serde(flatten)]
    pub values: std::collections::BTreeMap<String, Option<f64>>,
}

impl Line {
    /// A line for some figures.
    pub fn new(iteration: u64, values: &Values) -> Self {
        let finite = |v: &f64| v.is_finite().then_some(*v);
        Self { iteration, values: values.iter().map(|(k, v)| (k.clone(), finite(v))).collect() }
    }
}

/// A run's folder on disk.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> RunError + 'a {
    move |source| RunError::Io { action, path: path.display().to_string(), source }
}

/// Writes a text file of the run, whole or not at all: beside, then renamed.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), RunError> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".tmp");
    let partial = PathBuf::from(partial);
    files::write(&partial, text).map_err(io("write", &partial))?;
    files::rename(&partial, file).map_err(io("rename", &partial))
}

impl RunFolder {
    /// Makes the folder of a new run and writes its resolved recipe.
    ///
    /// # Errors
    /// When it already holds a run, or the disk refuses.
    pub fn create(path: &Path, recipe: &Recipe) -> Result<Self, RunError> {
        let run = Self { path: path.to_owned() };
        if files::exists(run.recipe_file()) {
            return Err(RunError::Occupied(path.display().to_string()));
        }
        for folder in [run.checkpoints(), run.pictures(), run.tensorboard()] {
            files::create_dir_all(&folder).map_err(io("create", &folder))?;
        }
        run.write_recipe(recipe)?;
        Ok(run)
    }

    /// Opens the folder of a run that is to go on with `recipe`.
    ///
    /// # Errors
    /// When there is no run, or it was made with other values than `recipe` has.
    pub fn reopen(path: &Path, recipe: &Recipe) -> Result<Self, RunError> {
        let run = Self { path: path.to_owned() };
        let before = run.recipe()?;
        if let Some(field) = first_difference(&before, recipe) {
            return Err(RunError::Changed { path: path.display().to_string(), field });
        }
        run.write_recipe(recipe)?;
        Ok(run)
    }

    /// An existing run, for looking at it.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let run = Self { path: path.to_owned() };
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
        self.path.join("checkpoints")
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

    /// All lines of `metrics.jsonl`; a last line that was cut off is left out.
    pub fn lines(&self) -> Vec<Line> {
        let text = files::read_to_string(self.metrics_file()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Opens `metrics.jsonl` for appending, without what came after `iteration` steps: a run that goes on
    /// from a checkpoint writes those lines again.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn metrics_from(&self, iteration: u64) -> Result<MetricsLog, RunError> {
        let file = self.metrics_file();
        let kept: String = self
            .lines()
            .into_iter()
            // Step lines carry the step's own number, evaluations the number of steps done.
            .filter(|l| {
                l.iteration < iteration || (l.iteration == iteration && !l.values.contains_key("loss"))
            })
            .filter_map(|line| serde_json::to_string(&line).ok())
            .map(|line| line + "\n")
            .collect();
        replace(&file, &kept)?;
        let out = files::OpenOptions::new().append(true).open(&file).map_err(io("open", &file))?;
        Ok(MetricsLog { file, out })
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
}

impl MetricsLog {
    /// Appends one line.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, line: &Line) -> Result<(), RunError> {
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

    /// A log at any place, for tests.
    #[cfg(test)]
    pub(super) fn at(file: &Path) -> Result<Self, RunError> {
        let out = files::OpenOptions::new().append(true).open(file).map_err(io("open", file))?;
        Ok(Self { file: file.to_owned(), out })
    }
}

/// Name of the first field in which two recipes differ that must not change within a run.
fn first_difference(a: &Recipe, b: &Recipe) -> Option<String> {
    let differ = fields::differences(a, b).unwrap_or_default();
    differ.into_iter().find(|key| !fields::live(key)).map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::train::metrics::of_pairs as values;

    #[test]
    fn a_run_is_not_overwritten_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let recipe = Recipe::preset("nano").unwrap();
        assert!(RunFolder::reopen(&path, &recipe).unwrap_err().to_string().contains("without --resume"));
        RunFolder::create(&path, &recipe).unwrap();
        assert!(RunFolder::create(&path, &recipe).unwrap_err().to_string().contains("--resume"));
        let free = recipe.with_overrides(&["train.checkpoint_every=7".into()]).unwrap();
        RunFolder::reopen(&path, &free).unwrap();
        let other = recipe.with_overrides(&["optim.clip=1".into()]).unwrap();
        let message = RunFolder::reopen(&path, &other).unwrap_err().to_string();
        assert!(message.contains("optim.clip"), "{message}");
    }

    #[test]
    fn metrics_go_on_where_the_checkpoint_stands() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&dir.path().join("run"), &Recipe::preset("nano").unwrap()).unwrap();
        let mut log = run.metrics_from(0).unwrap();
        for i in 0..5 {
            log.append(&Line::new(i, &values(&[("loss", if i == 3 { f64::NAN } else { i as f64 })])))
                .unwrap();
        }
        log.append(&Line::new(3, &values(&[("knn", 0.5)]))).unwrap();
        drop(log);
        files::write(run.metrics_file(), files::read_to_string(run.metrics_file()).unwrap() + "{\"iterat")
            .unwrap();
        assert_eq!(run.lines().len(), 6);
        assert_eq!(run.lines()[3].values["loss"], None);
        run.metrics_from(3).unwrap();
        let kept: Vec<u64> = run.lines().iter().map(|l| l.iteration).collect();
        assert_eq!(kept, [0, 1, 2, 3]);
    }
}
