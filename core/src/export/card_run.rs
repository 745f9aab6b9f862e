//! What a card says about the run that weights come from: recipe, figures, evaluations.

use crate::eval::Accuracy;
use crate::eval::outcome::EvalReport;
use crate::files;
use crate::train::Recipe;
use crate::train::archive::{self, ArchiveError};
use crate::train::checkpoint;
use crate::train::run::{MetricsLine, RunError, RunFolder};
use std::path::Path;

/// Folder of a run in which its evaluations are kept, an [`EvalReport`] in each JSON file.
const EVALUATIONS: &str = "evaluations";

/// A run, as far as a card tells of it.
#[derive(Clone, Debug)]
pub struct ModelCardRun {
    /// Name of its folder.
    pub name: String,
    /// All its values.
    pub recipe: Recipe,
    /// Steps that the weights have seen.
    pub iteration: u64,
    /// Its figures up to then.
    pub lines: Vec<MetricsLine>,
    /// Evaluations that were kept with it, in order of their files' names.
    pub outcomes: Vec<EvalReport>,
}

/// Why a run could not be told of.
#[derive(Debug, thiserror::Error)]
pub enum ModelCardError {
    /// Its folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It is in one file.
    #[error("{file}: {source}")]
    Archive {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: ArchiveError,
    },
    /// The file can't be read.
    #[error("can't read {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ModelCardRun {
    /// The run that `named` is, is a checkpoint of, or holds as an archive; `None` for anything else.
    ///
    /// # Errors
    /// When there is a run whose recipe can't be read, or a damaged archive.
    pub fn of(named: &Path) -> Result<Option<Self>, ModelCardError> {
        if archive::is_archive(named) {
            return Self::in_archive(named);
        }
        if let Ok(run) = RunFolder::open(named) {
            let newest = run.latest_checkpoint().map_or(0, |(iteration, _)| iteration);
            return Self::in_folder(&run, newest).map(Some);
        }
        // A checkpoint, or a file in one: run/checkpoints/000500/teacher.safetensors.
        for checkpoint in named.ancestors().take(2) {
            let step =
                checkpoint.file_name().and_then(|name| checkpoint::iteration_of(&name.to_string_lossy()));
            let run = checkpoint.ancestors().nth(2).map(RunFolder::open);
            if let (Some(step), Some(Ok(run))) = (step, run) {
                return Self::in_folder(&run, step).map(Some);
            }
        }
        Ok(None)
    }

    fn in_folder(run: &RunFolder, iteration: u64) -> Result<Self, ModelCardError> {
        let mut outcomes = Vec::new();
        if let Ok(found) = files::read_dir(run.path().join(EVALUATIONS)) {
            let mut found: Vec<_> = found.flatten().map(|entry| entry.path()).collect();
            found.sort();
            for file in found.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "json")) {
                let bytes = files::read(&file)
                    .map_err(|source| ModelCardError::Io { file: file.display().to_string(), source })?;
                outcomes.extend(serde_json::from_slice(&bytes).ok());
            }
        }
        Ok(Self {
            name: name(run.path()),
            recipe: run.recipe()?,
            iteration,
            lines: until(run.lines(), iteration),
            outcomes,
        })
    }

    fn in_archive(file: &Path) -> Result<Option<Self>, ModelCardError> {
        let shown = file.display().to_string();
        let bytes = files::read(file).map_err(|source| ModelCardError::Io { file: shown.clone(), source })?;
        let wanted = |name: &str| {
            let state = name.starts_with("checkpoints/") && name.ends_with("/state.json");
            let evaluation = name.starts_with("evaluations/") && name.ends_with(".json");
            name == "recipe.toml" || name == "metrics.jsonl" || state || evaluation
        };
        let found = archive::entries(&bytes, wanted)
            .map_err(|source| ModelCardError::Archive { file: shown.clone(), source })?;
        let Some(found) = found else { return Ok(None) };
        let text = |name: &str| {
            found.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
        };
        let recipe = Recipe::from_toml(&text("recipe.toml"), &[])
            .map_err(|source| RunError::Recipe { path: format!("{shown}: recipe.toml"), source })?;
        let step = |name: &String| name.split('/').nth(1).and_then(checkpoint::iteration_of);
        let iteration =
            found.keys().filter(|name| name.starts_with("checkpoints/")).filter_map(step).max().unwrap_or(0);
        // Line by line: one that is damaged spoils no other.
        let lines = found.get("metrics.jsonl").map_or(&[][..], Vec::as_slice).split(|byte| *byte == b'\n');
        let lines = lines.filter_map(MetricsLine::parse).collect();
        let evaluations = found.iter().filter(|(name, _)| name.starts_with("evaluations/"));
        Ok(Some(Self {
            name: name(&file.with_extension("")),
            recipe,
            iteration,
            lines: until(lines, iteration),
            outcomes: evaluations.filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect(),
        }))
    }

    /// The newest value of a figure.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.lines.iter().rev().find_map(|line| line.values.get(name).copied().flatten())
    }

    /// The newest accuracy that was measured under a name in [`MetricsLine::values`]: `knn`.
    pub fn accuracy(&self, name: &str) -> Option<Accuracy> {
        let count = |part: &str| self.last(&format!("{name}_{part}")).map(|value| value as usize);
        Some(Accuracy { correct: count("correct")?, total: count("total").filter(|total| *total > 0)? })
    }
}

/// Figures of the steps that a checkpoint has seen: steps are counted from 0, evaluations say how many were done.
fn until(lines: Vec<MetricsLine>, iteration: u64) -> Vec<MetricsLine> {
    let seen = |line: &MetricsLine| {
        line.iteration < iteration || (line.iteration == iteration && !line.values.contains_key("loss"))
    };
    lines.into_iter().filter(seen).collect()
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
}
