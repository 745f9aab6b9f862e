//! A state from a checkpoint, which is looked at before anything of it is used.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use crate::model::params::Named;
use crate::train::Network;
use crate::train::checkpoint::manifest::{CheckpointManifest, FILES, GRAM, STATE};
use crate::train::checkpoint::{CheckpointError, content, fitness, tensors};
use crate::train::frozen_teacher::FrozenTeacher;
use crate::train::gram_teacher::GramTeacher;
use crate::train::model_source::{self, ModelSource};
use crate::train::recipe::Recipe;
use crate::train::state::TrainerState;
use crate::train::watch_colours::{self, WatchPcaBasis};
use crate::weights::{HostTensor, StateDict};

/// Fills a fresh state from a checkpoint; `frozen` is what the run distils, which no checkpoint holds.
///
/// # Errors
/// Names the file and what is wrong with it: damage, or what does not fit the recipe.
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
    if progress.iteration > recipe.train.iterations {
        let (done, all) = (progress.iteration, recipe.train.iterations);
        return Err(content(&file, format!("it is of step {done}, and train.iterations = {all}")));
    }
    let mut state = TrainerState::distilling(recipe, frozen, device);
    let backbone = state.student.backbone.config.clone();
    let opened = |name: &str| -> Result<StateDict, CheckpointError> {
        let file = path.join(name);
        let (dict, config) = tensors::read_with_config(&file, progress.sha256.get(name))?;
        match fitness::of_config(config.as_deref(), &backbone) {
            None => Ok(dict),
            Some(reason) => Err(content(&file, reason)),
        }
    };
    let fill = |name: &str, network: Network| {
        let dict = opened(name)?;
        match fitness::of_network(&dict, &network) {
            None => Ok(network.load(&dict).0),
            Some(reason) => Err(content(&path.join(name), reason)),
        }
    };
    let [student, teacher, optimizer] = FILES;
    state.student = fill(student, state.student)?;
    state.teacher = fill(teacher, state.teacher)?;
    let dict = opened(optimizer)?;
    if let Some(reason) = fitness::of_optimizer(&dict, &state, recipe, &progress) {
        return Err(content(&path.join(optimizer), reason));
    }
    restore(&mut state, &dict, device);
    state.gram = gram_of(recipe, &progress, path, device)?;
    state.optimizer.steps = progress.optimizer_steps;
    state.iteration = progress.iteration;
    state.colours = colours_of(path);
    Ok(state)
}

/// The Gram teacher, where the run has one by now.
fn gram_of(
    recipe: &Recipe,
    progress: &CheckpointManifest,
    path: &Path,
    device: &Device,
) -> Result<Option<GramTeacher>, CheckpointError> {
    let file = path.join(GRAM);
    let wrong = |reason: String| content(&file, reason);
    let named = recipe.loss.gram > 0.0 && !recipe.gram.teacher.is_empty();
    let begun = progress.iteration > 0 && recipe.has_gram(progress.iteration - 1);
    match progress.sha256.get(GRAM) {
        None if named || begun => Err(wrong("it is missing, and the recipe has loss.gram".to_owned())),
        None => Ok(None),
        Some(_) if !named && !begun => {
            Err(wrong("it is there, which a run of this loss.gram does not have yet".to_owned()))
        }
        Some(digest) => {
            // As what was written; then as any file of weights, whose sizes are looked at before they are believed.
            tensors::read(&file, Some(digest))?;
            let weights = model_source::checkpoint(&ModelSource::named(&file.display().to_string()));
            let weights = weights.map_err(|error| wrong(error.to_string()))?;
            GramTeacher::loaded(&weights, device).map(Some).map_err(|error| wrong(error.to_string()))
        }
    }
}

/// Takes over what the optimizer's file holds, which was found to fit.
fn restore(state: &mut TrainerState, dict: &StateDict, device: &Device) {
    let flat =
        |t: &HostTensor| Tensor::<1>::from_data(TensorData::new(t.data.clone(), [t.data.len()]), device);
    let moments = |group: &str| -> Named {
        let of_group = |(key, t): (&String, &HostTensor)| {
            Some((key.strip_prefix(group)?.strip_prefix('.')?.to_owned(), flat(t)))
        };
        dict.iter().filter_map(of_group).collect()
    };
    state.optimizer.first = moments("first");
    state.optimizer.second = moments("second");
    if let Some(scale) = dict.get("loss_scale") {
        state.loss_scale = state.loss_scale.clone().restored(flat(scale));
    }
    if let Some(queue) = dict.get("queue")
        && let [rows, dim] = queue.shape[..]
    {
        state.queue = Some(Tensor::from_data(TensorData::new(queue.data.clone(), [rows, dim]), device));
    }
    for (key, center) in [("center.dino", &mut state.centers.dino), ("center.ibot", &mut state.centers.ibot)]
    {
        if let Some(found) = dict.get(key) {
            let data = TensorData::new(found.data.clone(), [1, found.data.len()]);
            *center = Tensor::from_data(data, device);
        }
    }
}

/// Colours of the watched pictures that a checkpoint was written with, where it was and they are whole.
pub(in crate::train) fn colours_of(path: &Path) -> Option<WatchPcaBasis> {
    let progress = CheckpointManifest::read(path).ok()?;
    WatchPcaBasis::read(path, progress.sha256.get(watch_colours::FILE))
}

/// Whether the colours that a checkpoint was written with are undamaged; nothing is learned from them.
///
/// # Errors
/// When they, or what says so, are damaged.
pub(in crate::train) fn check_colours(path: &Path) -> Result<(), CheckpointError> {
    let progress = CheckpointManifest::read(path)?;
    match progress.sha256.contains_key(watch_colours::FILE) {
        true => progress.check_file(path, watch_colours::FILE),
        false => Ok(()),
    }
}

/// Whether a checkpoint is complete and, as far as digests were written down, undamaged.
pub fn is_whole(path: &Path) -> bool {
    let Ok(progress) = CheckpointManifest::read(path) else { return false };
    progress.files().into_iter().all(|name| progress.check_file(path, name).is_ok())
}
