//! Checkpoints of a run: written beside and renamed, so that a killed process leaves the last one whole.
//!
//! `checkpoints/000500/` holds `student.safetensors` and `teacher.safetensors` (official key names with
//! `backbone.`, `dino_head.`, `ibot_head.`), `optimizer.safetensors` (moments, centres and the loss scale) and `state.json`.

use crate::files;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::finite::not_finite;
use super::frozen::Frozen;
use super::recipe::Recipe;
use super::state::State;
use crate::model::params::{Named, read};
use crate::weights::{HostTensor, StateDict};

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
    /// A number of the state is NaN or infinite. Nothing was written, and nothing removed.
    #[error("the state holds numbers that are not finite ({found}): it is not kept")]
    NotFinite {
        /// Where: the first tensor, and how many more.
        found: String,
    },
}

/// Bytes for a person: `9.1 MB`.
pub(super) fn size(bytes: &u64) -> String {
    match *bytes as f64 {
        small if small < 1e5 => format!("{:.1} kB", small / 1e3),
        middle if middle < 1e9 => format!("{:.1} MB", middle / 1e6),
        large => format!("{:.1} GB", large / 1e9),
    }
}

/// What `state.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done. Order of the data, crops and masks follow from it and the seed.
    pub iteration: u64,
    /// Seed of all random draws; each is keyed by its purpose and iteration, so there is no generator state.
    pub seed: u64,
    /// Updates of the optimizer.
    pub optimizer_steps: u64,
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> CheckpointError + 'a {
    move |source| CheckpointError::Io { action, path: path.display().to_string(), source }
}

fn content(path: &Path, reason: impl ToString) -> CheckpointError {
    CheckpointError::Content { path: path.display().to_string(), reason: reason.to_string() }
}

/// Name of an iteration's folder: `000500`.
fn folder_name(iteration: u64) -> String {
    format!("{iteration:06}")
}

/// Complete checkpoints in `dir`, oldest first.
pub fn list(dir: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = files::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path())))
        .filter(|(_, path)| files::is_file(path.join("state.json")))
        .collect();
    found.sort();
    found
}

/// Bytes that a checkpoint takes of a network with so many values: student, teacher and two moments.
pub(super) fn bytes(parameters: usize) -> u64 {
    4 * 4 * parameters as u64 + HEADERS
}

/// Bytes beside the numbers themselves, rounded up: names and shapes, and what a file system needs for folders.
const HEADERS: u64 = 1 << 17;

/// Writes the state as a new checkpoint in `dir`, then removes all but the newest `keep` and any leftovers.
///
/// A state that holds a number that is not finite is no checkpoint: it would take the place of the last good one.
///
/// # Errors
/// When the state is not finite, there is no room for it, or the disk or the device refuses; earlier checkpoints stay as
/// they are in every case.
pub async fn save(
    state: &State,
    recipe: &Recipe,
    dir: &Path,
    keep: usize,
) -> Result<PathBuf, CheckpointError> {
    let student = state.student.state_dict().await?;
    let teacher = state.teacher.state_dict().await?;
    let mut optimizer = StateDict::new();
    for (group, moments) in [("first", &state.optimizer.first), ("second", &state.optimizer.second)] {
        for (name, value) in moments {
            let data = read(value.clone()).await?;
            optimizer.insert(format!("{group}.{name}"), HostTensor::new([data.len()], data));
        }
    }
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
    let progress = Progress {
        iteration: state.iteration,
        seed: recipe.train.seed,
        optimizer_steps: state.optimizer.steps,
    };

    let parts = [("student", &student), ("teacher", &teacher), ("optimizer", &optimizer)];
    if let Some(found) = not_finite(parts) {
        return Err(CheckpointError::NotFinite { found });
    }
    files::create_dir_all(dir).map_err(io("create", dir))?;
    has_room(dir, 4 * numbers(parts) + HEADERS)?;
    let target = dir.join(folder_name(state.iteration));
    let partial = dir.join(format!(".{}.tmp", folder_name(state.iteration)));
    let _ = files::remove_dir_all(&partial);
    let config = serde_json::to_string(&state.student.backbone.config).map_err(|e| content(&partial, e))?;
    if let Err(failed) = write_parts(&partial, parts, &config, &progress) {
        // Half a checkpoint is of no use, and the room may be what is missing.
        let _ = files::remove_dir_all(&partial);
        return Err(failed);
    }
    discard(&target);
    files::rename(&partial, &target).map_err(io("rename", &partial))?;
    sync_folder(dir);
    prune(dir, keep);
    Ok(target)
}

/// Numbers in all parts.
fn numbers(parts: Parts<'_>) -> u64 {
    parts.iter().flat_map(|(_, dict)| dict.values()).map(|tensor| tensor.data.len() as u64).sum()
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
    config: &str,
    progress: &Progress,
) -> Result<(), CheckpointError> {
    files::create_dir(folder).map_err(io("create", folder))?;
    for (file, dict) in parts {
        write_tensors(&folder.join(format!("{file}.safetensors")), dict, config)?;
    }
    let text = serde_json::to_string_pretty(progress).map_err(|e| content(folder, e))?;
    write_synced(&folder.join("state.json"), text.as_bytes())?;
    sync_folder(folder);
    Ok(())
}

/// Fills a fresh state from a checkpoint; `frozen` is what the run distils, which no checkpoint holds.
///
/// # Errors
/// Names the file and the keys that are missing or of another size.
pub fn load(
    recipe: &Recipe,
    frozen: Option<Frozen>,
    path: &Path,
    device: &Device,
) -> Result<State, CheckpointError> {
    let file = path.join("state.json");
    let text = files::read_to_string(&file).map_err(io("read", &file))?;
    let progress: Progress = serde_json::from_str(&text).map_err(|e| content(&file, e))?;
    if progress.seed != recipe.train.seed {
        let reason = format!(
            "it was made with train.seed = {}, the recipe says {}: the run would not go on as it began",
            progress.seed, recipe.train.seed
        );
        return Err(content(&file, reason));
    }
    let mut state = State::distilling(recipe, frozen, device);
    let fill = |name: &str, network: super::Network| {
        let file = path.join(name);
        let dict = read_tensors(&file)?;
        let (network, missing) = network.load(&dict);
        match missing.as_slice() {
            [] => Ok(network),
            [first, ..] => {
                let reason = format!(
                    "{} keys are missing or of another size, {first} among them: the recipe describes another model",
                    missing.len()
                );
                Err(content(&file, reason))
            }
        }
    };
    state.student = fill("student.safetensors", state.student)?;
    state.teacher = fill("teacher.safetensors", state.teacher)?;
    let file = path.join("optimizer.safetensors");
    let optimizer = read_tensors(&file)?;
    let moments = |group: &str| -> Named {
        let of_group = |(key, t): (&String, &HostTensor)| {
            let name = key.strip_prefix(group)?.strip_prefix('.')?;
            let data = TensorData::new(t.data.clone(), [t.data.len()]);
            Some((name.to_owned(), Tensor::from_data(data, device)))
        };
        optimizer.iter().filter_map(of_group).collect()
    };
    if let Some(scale) = optimizer.get("loss_scale").filter(|scale| scale.data.len() == 2) {
        let saved = Tensor::from_data(TensorData::new(scale.data.clone(), [2]), device);
        state.loss_scale = state.loss_scale.restored(saved);
    }
    if let Some(queue) = optimizer.get("queue")
        && let [rows, dim] = queue.shape[..]
    {
        state.queue = Some(Tensor::from_data(TensorData::new(queue.data.clone(), [rows, dim]), device));
    }
    state.optimizer.first = moments("first");
    state.optimizer.second = moments("second");
    state.optimizer.steps = progress.optimizer_steps;
    for (key, center) in [("center.dino", &mut state.centers.dino), ("center.ibot", &mut state.centers.ibot)]
    {
        let [_, k] = center.dims();
        match optimizer.get(key) {
            Some(t) if t.data.len() == k => {
                *center = Tensor::from_data(TensorData::new(t.data.clone(), [1, k]), device);
            }
            _ => return Err(content(&file, format!("{key} is missing or does not have {k} values"))),
        }
    }
    state.iteration = progress.iteration;
    Ok(state)
}

/// Writes float32 tensors with the backbone's sizes in the file's metadata, synced to disk.
fn write_tensors(path: &Path, dict: &StateDict, config: &str) -> Result<(), CheckpointError> {
    let mut views = Vec::with_capacity(dict.len());
    for (name, tensor) in dict {
        let bytes = bytemuck::cast_slice(&tensor.data);
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(|e| content(path, e))?;
        views.push((name, view));
    }
    let metadata = HashMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("dinoscope.config".to_owned(), config.to_owned()),
    ]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| content(path, e))?;
    write_synced(path, &bytes)
}

fn read_tensors(path: &Path) -> Result<StateDict, CheckpointError> {
    let bytes = files::read(path).map_err(io("read", path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| content(path, e))?;
    let mut dict = StateDict::new();
    for (name, view) in tensors.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(content(path, format!("{name} is {:?}, not F32", view.dtype())));
        }
        // The file may put tensors at any byte; f32 slices must be aligned.
        let data: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        dict.insert(name, HostTensor::new(view.shape().to_vec(), data));
    }
    if let Some(found) = not_finite([("tensor", &dict)]) {
        let reason = format!(
            "it holds numbers that are not finite ({found}): nothing good comes of it. Remove this checkpoint's folder to \
             go on from the one before"
        );
        return Err(content(path, reason));
    }
    Ok(dict)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let mut file = files::File::create(path).map_err(io("create", path))?;
    file.write_all(bytes).map_err(io("write", path))?;
    file.sync_all().map_err(io("write", path))
}

/// Makes a rename durable where folders can be synced; elsewhere the rename alone has to do.
fn sync_folder(path: &Path) {
    if let Ok(folder) = files::File::open(path) {
        let _ = folder.sync_all();
    }
}

/// Removes a checkpoint. It is renamed first, so that a process killed meanwhile leaves no half of it behind that
/// looks like a whole one.
fn discard(path: &Path) {
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return };
    let hidden = path.with_file_name(format!(".{name}.old.tmp"));
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
