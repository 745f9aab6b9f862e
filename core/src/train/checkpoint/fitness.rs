//! Whether what a checkpoint holds fits the recipe: names, shapes, ranges.
//!
//! Digests say that a file is what was written; this says that what was written can be gone on from. A checkpoint of an
//! older version has this alone.

use std::collections::BTreeMap;

use crate::model::VitConfig;
use crate::model::params;
use crate::train::Network;
use crate::train::checkpoint::manifest::CheckpointManifest;
use crate::train::loss_scale;
use crate::train::recipe::{DistillMethod, Recipe};
use crate::train::state::TrainerState;
use crate::weights::{HostTensor, StateDict};

/// Rows of the longest queue where the recipe does not say how long it is.
const LONGEST_QUEUE: usize = 8192;

/// What does not fit in a network's file.
pub(super) fn of_network(dict: &StateDict, network: &Network) -> Option<String> {
    let mut shapes = BTreeMap::new();
    params::visit(network, |seen| {
        shapes.insert(network.official_key(seen.name), seen.shape);
    });
    let of_another = "the recipe describes another model";
    let wrong: Vec<&String> = shapes
        .iter()
        .filter(|(key, shape)| dict.get(*key).is_none_or(|found| found.shape != **shape))
        .map(|(key, _)| key)
        .collect();
    if let [first, ..] = wrong.as_slice() {
        let count = wrong.len();
        return Some(format!(
            "{count} keys are missing or of another size, {first} among them: {of_another}"
        ));
    }
    let foreign: Vec<&String> = dict.keys().filter(|key| !shapes.contains_key(*key)).collect();
    let first = foreign.first()?;
    Some(format!(
        "it holds {} tensors that are none of this model, {first} among them: {of_another}",
        foreign.len()
    ))
}

/// Whether the sizes that were written into a file are those of the recipe's backbone: of some, as the number of heads,
/// the tensors say nothing. `None` also where none were written.
pub(super) fn of_config(written: Option<&str>, backbone: &VitConfig) -> Option<String> {
    let written = written?;
    // Through the same text, which rounds numbers in the same way.
    let own = serde_json::to_string(backbone).ok()?;
    let read = |text: &str| serde_json::from_str::<VitConfig>(text);
    match (read(written), read(&own)) {
        (Ok(there), Ok(here)) if there == here => None,
        (Ok(_), _) => {
            Some(format!("it was made with {written}, the recipe says {own}: that is another model"))
        }
        (Err(error), _) => Some(format!("the sizes that are written in it can't be read: {error}")),
    }
}

/// What does not fit in the optimizer's file: a moment that is missing or of another size than its parameter, or another
/// value that is; squares that are negative; anything that no run keeps.
pub(super) fn of_optimizer(
    dict: &StateDict,
    state: &TrainerState,
    recipe: &Recipe,
    progress: &CheckpointManifest,
) -> Option<String> {
    let begun = progress.iteration > 0;
    let mut sizes = BTreeMap::new();
    params::visit(&state.student, |seen| {
        sizes.insert(seen.name.to_owned(), seen.shape.iter().product::<usize>());
    });
    for (name, size) in &sizes {
        for group in ["first", "second"] {
            let key = format!("{group}.{name}");
            match dict.get(&key) {
                Some(moment) if moment.shape != [*size] => {
                    let found = moment.data.len();
                    return Some(format!(
                        "{key} has {found} values in the shape {:?}, its parameter {size}",
                        moment.shape
                    ));
                }
                Some(moment) if group == "second" && moment.data.iter().any(|value| *value < 0.0) => {
                    return Some(format!("{key} is negative, which a mean of squares can't be"));
                }
                None if begun => return Some(format!("{key} is missing")),
                _ => {}
            }
        }
    }
    of_centers(dict, state)
        .or_else(|| of_loss_scale(dict.get("loss_scale"), state, begun))
        .or_else(|| of_queue(dict.get("queue"), state, recipe, progress))
        .or_else(|| {
            let moment = |key: &str| {
                key.split_once('.').is_some_and(|(group, name)| {
                    ["first", "second"].contains(&group) && sizes.contains_key(name)
                })
            };
            let other = ["center.dino", "center.ibot", "loss_scale", "queue"];
            let foreign = dict.keys().find(|key| !moment(key) && !other.contains(&key.as_str()))?;
            Some(format!("{foreign} is of no parameter of this model"))
        })
}

fn of_centers(dict: &StateDict, state: &TrainerState) -> Option<String> {
    let centers = [("center.dino", &state.centers.dino), ("center.ibot", &state.centers.ibot)];
    centers.into_iter().find_map(|(key, center)| {
        let [_, k] = center.dims();
        let fits = dict.get(key).is_some_and(|found| found.shape == [1, k]);
        (!fits).then(|| format!("{key} is missing or does not have {k} values"))
    })
}

fn of_loss_scale(found: Option<&HostTensor>, state: &TrainerState, begun: bool) -> Option<String> {
    match found {
        Some(_) if !state.loss_scale.is_on() => {
            Some("loss_scale is there, which a run of this train.precision does not have".to_owned())
        }
        None if begun && state.loss_scale.is_on() => {
            Some("loss_scale is missing or does not have 2 values".to_owned())
        }
        Some(found) => match found.data[..] {
            [scale, calm] if loss_scale::is_possible(scale, calm) => None,
            [scale, calm] => Some(format!("loss_scale is {scale} after {calm} steps, which it never is")),
            _ => Some("loss_scale is missing or does not have 2 values".to_owned()),
        },
        None => None,
    }
}

fn of_queue(
    found: Option<&HostTensor>,
    state: &TrainerState,
    recipe: &Recipe,
    progress: &CheckpointManifest,
) -> Option<String> {
    if recipe.distill.method != DistillMethod::Similarity {
        return found.map(|_| "queue is there, which a run of this distill.method does not have".to_owned());
    }
    let dim = state.frozen.as_ref().map_or(0, |frozen| frozen.backbone.config.dim);
    let missing = || Some(format!("queue is missing or does not have rows of {dim} values"));
    let Some(queue) = found else { return if progress.iteration > 0 { missing() } else { None } };
    let [rows, width] = queue.shape[..] else { return missing() };
    // Two views of each picture of each step, and no more than the queue is long.
    let seen = (2 * recipe.train.batch as u64).saturating_mul(progress.iteration);
    let longest = recipe.distill.queue.max(LONGEST_QUEUE) as u64;
    match rows as u64 {
        0 => missing(),
        _ if width != dim => missing(),
        rows if rows > seen.min(longest) => {
            Some(format!("queue has {rows} rows, which {} steps do not give", progress.iteration))
        }
        _ => None,
    }
}
