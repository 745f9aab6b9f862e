//! Checkpoints of a run: written beside and renamed, so that a killed process leaves the last one whole.
//!
//! `checkpoints/000500/` holds `student.safetensors` and `teacher.safetensors` (official key names with
//! `backbone.`, `dino_head.`, `ibot_head.`), `optimizer.safetensors` (moments, centres and the loss scale) and
//! `state.json`, which has the digests of all of them. `colours.safetensors` holds the colours of the watched pictures.

pub(super) mod checkpoint_saving;
pub(super) mod finite_check;
pub(super) mod tensors;

use crate::files;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::frozen_teacher::FrozenTeacher;
use super::recipe::{DistillMethod, Recipe};
use super::state::TrainerState;
use super::watch_colours::{self, WatchPcaBasis};
use crate::model::params::{self, Named, read};
use crate::weights::{HostTensor, StateDict};
use finite_check::not_finite;

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
    crate::bytes::shown(*bytes)
}

/// What `state.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointManifest {
    /// Steps done. Order of the data, crops and masks follow from it and the seed.
    pub iteration: u64,
    /// Seed of all random draws; each is keyed by its purpose and iteration, so there is no generator state.
    pub seed: u64,
    /// Updates of the optimizer.
    pub optimizer_steps: u64,
    /// SHA-256 of each file beside it, and under its own name that of all these lines without it. Checkpoints of older
    /// versions have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sha256: BTreeMap<String, String>,
}

/// Name of the file that holds [`CheckpointManifest`].
const STATE: &str = "state.json";
/// The tensor files.
const FILES: [&str; 3] = ["student.safetensors", "teacher.safetensors", "optimizer.safetensors"];

impl CheckpointManifest {
    /// Digest of everything but itself.
    fn digest(&self) -> Result<String, serde_json::Error> {
        let mut bare = self.clone();
        bare.sha256.remove(STATE);
        Ok(tensors::hex(Sha256::new_with_prefix(serde_json::to_vec(&bare)?)))
    }

    /// Reads a checkpoint's, which must be whole and that of the folder that it lies in.
    fn read(path: &Path) -> Result<Self, CheckpointError> {
        let file = path.join(STATE);
        let text = files::read_to_string(&file).map_err(io("read", &file))?;
        let progress: Self = serde_json::from_str(&text).map_err(|e| content(&file, e))?;
        if let Some(digest) = progress.sha256.get(STATE)
            && *digest != progress.digest().map_err(|e| content(&file, e))?
        {
            return Err(content(&file, "it is damaged: its SHA-256 is not the one that it names"));
        }
        let folder = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if folder != folder_name(progress.iteration) {
            let reason = format!("it is of step {}, but lies in the folder {folder}", progress.iteration);
            return Err(content(&file, reason));
        }
        if progress.optimizer_steps != progress.iteration {
            let (steps, done) = (progress.optimizer_steps, progress.iteration);
            return Err(content(&file, format!("it claims {steps} updates in {done} steps")));
        }
        Ok(progress)
    }
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
    let Ok(entries) = files::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|e| Some((iteration_of(e.file_name().to_str()?)?, e.path())))
        .filter(|(iteration, path)| {
            let state = path.join(STATE);
            files::is_file(&state) && !of_another(*iteration, &state)
        })
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
    state: &TrainerState,
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
    let progress = CheckpointManifest {
        iteration: state.iteration,
        seed: recipe.train.seed,
        optimizer_steps: state.optimizer.steps,
        sha256: BTreeMap::new(),
    };

    let parts = [("student", &student), ("teacher", &teacher), ("optimizer", &optimizer)];
    if let Some(found) = not_finite(parts) {
        return Err(CheckpointError::NotFinite { found });
    }
    files::create_dir_all(dir).map_err(io("create", dir))?;
    has_room(dir, 4 * numbers(parts) + HEADERS)?;
    let target = dir.join(folder_name(state.iteration));
    let partial = dir.join(format!(".{}.{}.tmp", folder_name(state.iteration), files::process()));
    let _ = files::remove_dir_all(&partial);
    let config = serde_json::to_string(&state.student.backbone.config).map_err(|e| content(&partial, e))?;
    if let Err(failed) = write_parts(&partial, parts, state.colours.as_ref(), &config, progress) {
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
    colours: Option<&WatchPcaBasis>,
    config: &str,
    mut progress: CheckpointManifest,
) -> Result<(), CheckpointError> {
    files::create_dir(folder).map_err(io("create", folder))?;
    for (file, (_, dict)) in FILES.into_iter().zip(parts) {
        let digest = tensors::write(&folder.join(file), dict, config)?;
        progress.sha256.insert(file.to_owned(), digest);
    }
    if let Some(colours) = colours {
        progress.sha256.insert(watch_colours::FILE.to_owned(), colours.write(folder)?);
    }
    let digest = progress.digest().map_err(|e| content(folder, e))?;
    progress.sha256.insert(STATE.to_owned(), digest);
    let text = serde_json::to_string_pretty(&progress).map_err(|e| content(folder, e))?;
    write_synced(&folder.join(STATE), text.as_bytes())?;
    sync_folder(folder);
    Ok(())
}

/// Fills a fresh state from a checkpoint; `frozen` is what the run distils, which no checkpoint holds.
///
/// # Errors
/// Names the file and the keys that are missing or of another size.
pub fn load(
    recipe: &Recipe,
    frozen: Option<FrozenTeacher>,
    path: &Path,
    device: &Device,
) -> Result<TrainerState, CheckpointError> {
    let progress = CheckpointManifest::read(path)?;
    let file = path.join(STATE);
    if progress.seed != recipe.train.seed {
        let reason = format!(
            "it was made with train.seed = {}, the recipe says {}: the run would not go on as it began",
            progress.seed, recipe.train.seed
        );
        return Err(content(&file, reason));
    }
    let mut state = TrainerState::distilling(recipe, frozen, device);
    let fill = |name: &str, network: super::Network| {
        let file = path.join(name);
        let dict = tensors::read(&file, progress.sha256.get(name))?;
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
    let [student, teacher, optimizer] = FILES;
    state.student = fill(student, state.student)?;
    state.teacher = fill(teacher, state.teacher)?;
    let file = path.join(optimizer);
    let optimizer = tensors::read(&file, progress.sha256.get(optimizer))?;
    if let Some(reason) = unfit(&optimizer, &state, recipe, &progress) {
        return Err(content(&file, reason));
    }
    let moments = |group: &str| -> Named {
        let of_group = |(key, t): (&String, &HostTensor)| {
            let name = key.strip_prefix(group)?.strip_prefix('.')?;
            let data = TensorData::new(t.data.clone(), [t.data.len()]);
            Some((name.to_owned(), Tensor::from_data(data, device)))
        };
        optimizer.iter().filter_map(of_group).collect()
    };
    if let Some(scale) = optimizer.get("loss_scale").filter(|_| state.loss_scale.is_on()) {
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
    state.colours = colours_of(path);
    Ok(state)
}

/// Colours of the watched pictures that a checkpoint was written with, where it was and they are whole.
pub(super) fn colours_of(path: &Path) -> Option<WatchPcaBasis> {
    let progress = CheckpointManifest::read(path).ok()?;
    WatchPcaBasis::read(path, progress.sha256.get(watch_colours::FILE))
}

/// What does not fit in the optimizer's file: a moment that is missing or of another size than its parameter, or another
/// value that is.
fn unfit(
    optimizer: &StateDict,
    state: &TrainerState,
    recipe: &Recipe,
    progress: &CheckpointManifest,
) -> Option<String> {
    let begun = progress.iteration > 0;
    let mut sizes = BTreeMap::new();
    params::visit(&state.student, |seen| {
        sizes.insert(seen.name.to_owned(), seen.shape.iter().product::<usize>());
    });
    for group in ["first", "second"] {
        for (name, size) in &sizes {
            let key = format!("{group}.{name}");
            match optimizer.get(&key) {
                Some(moment) if moment.data.len() != *size => {
                    let found = moment.data.len();
                    return Some(format!("{key} has {found} values, its parameter {size}"));
                }
                None if begun => return Some(format!("{key} is missing")),
                _ => {}
            }
        }
        let of_group =
            |key: &&String| key.strip_prefix(group).and_then(|rest| rest.strip_prefix('.')).is_some();
        let foreign = |key: &&String| !sizes.contains_key(&key[group.len() + 1..]);
        if let Some(key) = optimizer.keys().filter(of_group).find(foreign) {
            return Some(format!("{key} is of no parameter of this model"));
        }
    }
    let scale = optimizer.get("loss_scale").map(|scale| scale.data.len());
    if state.loss_scale.is_on() && scale.unwrap_or(if begun { 0 } else { 2 }) != 2 {
        return Some("loss_scale is missing or does not have 2 values".to_owned());
    }
    if recipe.distill.method == DistillMethod::Similarity {
        let dim = state.frozen.as_ref().map_or(0, |frozen| frozen.backbone.config.dim);
        let fits = |queue: &HostTensor| matches!(queue.shape[..], [rows, width] if rows > 0 && width == dim);
        if !optimizer.get("queue").map_or(!begun, fits) {
            return Some(format!("queue is missing or does not have rows of {dim} values"));
        }
    }
    None
}

/// Whether a checkpoint is complete and, as far as digests were written down, undamaged.
pub fn is_whole(path: &Path) -> bool {
    let Ok(progress) = CheckpointManifest::read(path) else { return false };
    FILES.iter().all(|name| {
        let file = path.join(name);
        match progress.sha256.get(*name) {
            Some(digest) => tensors::digest(&file).is_ok_and(|found| found == *digest),
            None => files::is_file(&file),
        }
    })
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
    let hidden = path.with_file_name(format!(".{name}.{}.old.tmp", files::process()));
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
