//! Checkpoints of a run: written beside and renamed, so that a killed process leaves the last one whole.
//!
//! `checkpoints/000500/` holds `student.safetensors` and `teacher.safetensors` (official key names with
//! `backbone.`, `dino_head.`, `ibot_head.`), `optimizer.safetensors` (moments, centres and the loss scale) and
//! `state.json`, which has the digests of all of them and its own. `gram.safetensors` holds the Gram teacher's backbone where
//! there is one, `colours.safetensors` the colours of the watched pictures. Every file and the folder are on the disk before the folder gets its name, and that is when this returns.

pub(super) mod checkpoint_saving;
pub(super) mod finite_check;
mod fitness;
mod loading;
mod manifest;
pub(super) mod tensors;
pub mod verify;

use crate::files;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::ExecutionError;
use serde::Deserialize;

use super::recipe::Recipe;
use super::shard::WholeState;
use super::state::TrainerState;
use super::watch_colours::{self, WatchPcaBasis};
use crate::model::VitConfig;
use crate::model::params::{self, read};
use crate::weights::{HostTensor, StateDict};
use finite_check::not_finite;
pub(super) use loading::{check_colours, colours_of};
pub use loading::{is_whole, load};
pub use manifest::CheckpointManifest;
use manifest::{FILES, GRAM, STATE};

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
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
    /// A file of the checkpoint is damaged or does not belong to this recipe.
    #[error("checkpoint {path}: {reason}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The device failed while its memory was read.
    #[error("the device failed while a checkpoint was written: {0}")]
    Device(#[from] ExecutionError),
    /// The disk is too full. Nothing was written.
    #[error(
        "there is no room for a checkpoint in {path}: it takes {} and {} are free; make room, or keep fewer by train.keep_checkpoints",
        size(.needed), size(.free)
    )]
    NoRoom {
        /// The folder of the run's checkpoints.
        path: String,
        /// Bytes that the checkpoint takes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// There are checkpoints, and none of them can be gone on from.
    #[error(
        "none of the checkpoints in {path} can be gone on from, the newest for this reason: {newest}. Put one back from a \
         copy, or begin anew with {way_out}"
    )]
    NoneWhole {
        /// The folder of the run's checkpoints.
        path: String,
        /// What is wrong with the newest one.
        newest: Box<CheckpointError>,
        /// The command that saves most.
        way_out: String,
    },
    /// A number of the state is NaN or infinite. Nothing was written, and nothing removed.
    #[error("the state holds numbers that are not finite ({found}): it is not kept")]
    NotFinite {
        /// Where: the first tensor, and how many more.
        found: String,
    },
}

impl CheckpointError {
    /// What is wrong, without the file's name where it has one.
    fn reason(&self) -> String {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                "it is missing".to_owned()
            }
            Self::Io { action, source, .. } => format!("can't {action} it: {source}"),
            Self::Content { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }
}

/// Bytes for a person: `9.1 MB`.
pub(super) fn size(bytes: &u64) -> String {
    crate::bytes::shown(*bytes)
}

pub(super) fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> CheckpointError + 'a {
    move |source| CheckpointError::Io { action, path: path.display().to_string(), source }
}

pub(super) fn content(path: &Path, reason: impl ToString) -> CheckpointError {
    CheckpointError::Content { path: path.display().to_string(), reason: reason.to_string() }
}

/// Name of an iteration's folder: `000500`.
fn folder_name(iteration: u64) -> String {
    format!("{iteration:06}")
}

/// No run is longer: `train.iterations` ends here.
const MOST: u64 = 1_000_000_000;

/// Steps done of the checkpoint whose folder has this name; `None` for names that no checkpoint has.
pub fn iteration_of(folder: &str) -> Option<u64> {
    let iteration = folder.parse().ok().filter(|iteration| *iteration <= MOST)?;
    (folder == folder_name(iteration)).then_some(iteration)
}

/// All folders in `dir` with a checkpoint's name, oldest first: whole, damaged or empty.
pub(super) fn all(dir: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = files::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((iteration_of(entry.file_name().to_str()?)?, entry.path())))
        .filter(|(_, path)| files::is_dir(path))
        .collect();
    found.sort();
    found
}

/// Complete checkpoints in `dir`, oldest first. A folder whose `state.json` is of another step is none.
pub fn list(dir: &Path) -> Vec<(u64, PathBuf)> {
    #[derive(Deserialize)]
    struct CheckpointIteration {
        iteration: u64,
    }
    // What can't be read is damaged, which whoever wants it is told.
    let of_another = |iteration: u64, state: &Path| {
        let says = files::read(state)
            .ok()
            .and_then(|text| serde_json::from_slice::<CheckpointIteration>(&text).ok());
        says.is_some_and(|says| says.iteration != iteration)
    };
    let complete = |(iteration, path): &(u64, PathBuf)| {
        let state = path.join(STATE);
        files::is_file(&state) && !of_another(*iteration, &state)
    };
    all(dir).into_iter().filter(complete).collect()
}

/// Bytes that a checkpoint takes of a network with so many values: student, teacher and two moments.
pub(super) fn bytes(parameters: usize) -> u64 {
    4 * 4 * parameters as u64 + HEADERS
}

/// Bytes beside the numbers themselves, rounded up: names and shapes, and what a file system needs for folders.
const HEADERS: u64 = 1 << 17;

/// The numbers of a state, on the host.
async fn on_host(state: &TrainerState) -> Result<WholeState, CheckpointError> {
    let mut moments = StateDict::new();
    for (group, values) in [("first", &state.optimizer.first), ("second", &state.optimizer.second)] {
        for (name, value) in values {
            let data = read(value.clone()).await?;
            moments.insert(format!("{group}.{name}"), HostTensor::new([data.len()], data));
        }
    }
    Ok(WholeState {
        student: state.student.state_dict().await?,
        teacher: state.teacher.state_dict().await?,
        moments,
    })
}

/// Writes the state as a new checkpoint in `dir`, then removes all but the newest `keep` and any leftovers. Of a state in shards `shared`
/// is what all ranks have brought together.
///
/// A state that holds a number that is not finite is no checkpoint: it would take the place of the last good one.
///
/// # Errors
/// When the state is not finite, there is no room for it, or the disk or the device refuses; earlier checkpoints stay as
/// they are in every case.
pub(in crate::train) async fn save(
    state: &TrainerState,
    shared: Option<WholeState>,
    recipe: &Recipe,
    dir: &Path,
    keep: usize,
) -> Result<PathBuf, CheckpointError> {
    let WholeState { student, teacher, moments: mut optimizer } = match shared {
        Some(shared) => shared,
        None => on_host(state).await?,
    };
    for (name, center) in [("center.dino", &state.centers.dino), ("center.ibot", &state.centers.ibot)] {
        let data = read(center.clone()).await?;
        optimizer.insert(name.to_owned(), HostTensor::new([1, data.len()], data));
    }
    if let Some(queue) = &state.queue {
        let shape = queue.dims();
        optimizer.insert("queue".to_owned(), HostTensor::new(shape, read(queue.clone()).await?));
    }
    if let Some(scale) = state.loss_scale.saved() {
        let data = read(scale).await?;
        optimizer.insert("loss_scale".to_owned(), HostTensor::new([data.len()], data));
    }
    let progress = CheckpointManifest {
        iteration: state.iteration,
        seed: recipe.train.seed,
        optimizer_steps: state.optimizer.steps,
        sha256: BTreeMap::new(),
    };

    let gram = match &state.gram {
        Some(gram) => Some(params::state_dict(&gram.backbone, |path| format!("backbone.{path}")).await?),
        None => None,
    };

    let parts = [("student", &student), ("teacher", &teacher), ("optimizer", &optimizer)];
    let all = || parts.into_iter().chain(gram.iter().map(|gram| ("gram", gram)));
    if let Some(found) = not_finite(all()) {
        return Err(CheckpointError::NotFinite { found });
    }
    files::create_dir_all(dir).map_err(io("create", dir))?;
    has_room(dir, 4 * numbers(all()) + HEADERS)?;
    let target = dir.join(folder_name(state.iteration));
    let partial = dir.join(format!(".{}.{}.tmp", folder_name(state.iteration), files::process()));
    let _ = files::remove_dir_all(&partial);
    let sizes = |config: &VitConfig| serde_json::to_string(config).map_err(|e| content(&partial, e));
    let config = sizes(&state.student.backbone.config)?;
    let beside = match state.gram.as_ref().zip(gram.as_ref()) {
        Some((gram, dict)) => Some((dict, sizes(&gram.backbone.config)?)),
        None => None,
    };
    if let Err(failed) = write_parts(&partial, parts, beside, state.colours.as_ref(), &config, progress) {
        // Half a checkpoint is of no use, and the room may be what is missing.
        let _ = files::remove_dir_all(&partial);
        return Err(failed);
    }
    put(&partial, &target).map_err(io("rename", &partial))?;
    prune(dir, keep);
    Ok(target)
}

/// Gives a checkpoint that is whole its name. What had it, which is no checkpoint that could be gone on from, goes when the
/// new one is there.
fn put(partial: &Path, target: &Path) -> std::io::Result<()> {
    let before = hidden(target);
    let replaces = files::exists(target) && files::rename(target, &before).is_ok();
    if let Err(failed) = files::rename(partial, target) {
        if replaces {
            let _ = files::rename(&before, target);
        }
        return Err(failed);
    }
    target.parent().into_iter().for_each(files::sync_folder);
    if replaces {
        let _ = files::remove_dir_all(&before);
    }
    Ok(())
}

/// Numbers in all parts.
fn numbers<'a>(parts: impl Iterator<Item = (&'a str, &'a StateDict)>) -> u64 {
    parts.flat_map(|(_, dict)| dict.values()).map(|tensor| tensor.data.len() as u64).sum()
}

/// Whether the disk has room for so many bytes more, where it tells.
fn has_room(dir: &Path, needed: u64) -> Result<(), CheckpointError> {
    match files::free(dir) {
        Some(free) if free < needed => {
            Err(CheckpointError::NoRoom { path: dir.display().to_string(), needed, free })
        }
        _ => Ok(()),
    }
}

/// The tensor files of a checkpoint by name.
type Parts<'a> = [(&'a str, &'a StateDict); 3];

fn write_parts(
    folder: &Path,
    parts: Parts<'_>,
    gram: Option<(&StateDict, String)>,
    colours: Option<&WatchPcaBasis>,
    config: &str,
    mut progress: CheckpointManifest,
) -> Result<(), CheckpointError> {
    files::create_dir(folder).map_err(io("create", folder))?;
    for (file, (_, dict)) in FILES.into_iter().zip(parts) {
        let digest = tensors::write(&folder.join(file), dict, config)?;
        progress.sha256.insert(file.to_owned(), digest);
    }
    if let Some((dict, config)) = gram {
        progress.sha256.insert(GRAM.to_owned(), tensors::write(&folder.join(GRAM), dict, &config)?);
    }
    if let Some(colours) = colours {
        progress.sha256.insert(watch_colours::FILE.to_owned(), colours.write(folder)?);
    }
    progress.write(folder)?;
    files::sync_folder(folder);
    Ok(())
}

/// What a folder is called while it goes.
fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.old.tmp", files::process()))
}

/// Removes a checkpoint. It is renamed first, so that a process killed meanwhile leaves no half of it behind that
/// looks like a whole one.
fn discard(path: &Path) {
    let hidden = hidden(path);
    if files::rename(path, &hidden).is_ok() {
        let _ = files::remove_dir_all(&hidden);
    }
}

fn prune(dir: &Path, keep: usize) {
    let complete = list(dir);
    for (_, path) in complete.iter().take(complete.len().saturating_sub(keep)) {
        discard(path);
    }
    for entry in files::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|n| n.starts_with('.') && n.ends_with(".tmp")) {
            let _ = files::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "crafted_tests.rs"]
mod crafted_tests;
