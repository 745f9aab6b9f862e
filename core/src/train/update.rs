//! What follows a step's losses: gradients, clipping, AdamW, the teacher's moving average; over all ranks.

use burn::tensor::{Tensor, TensorData};

use super::metrics::DeviceMetrics;
use super::network::Network;
use super::optimizer::SUB_MODULES;
use super::recipe::Recipe;
use super::schedule::ScheduledValues;
use super::shard;
use super::state::TrainerState;
use crate::model::params::{self, Named, take_gradients};
use crate::ssl::Collective;
use crate::ssl::ranks::on_host;

/// Gradients of a part's loss with respect to the student, added to those of other parts; the end of its pass.
pub(super) fn accumulate_gradients(state: &mut TrainerState, loss: Tensor<1>, gradients: &mut Named) {
    state.end_pass();
    let mut graph = state.loss_scale.applied(loss).backward();
    let shared = state.shards.as_mut().and_then(shard::TrainShards::take_gradients);
    for (name, gradient) in shared.unwrap_or_else(|| take_gradients(&state.student, &mut graph)) {
        let sum = match gradients.remove(&name) {
            Some(so_far) => so_far + gradient,
            None => gradient,
        };
        gradients.insert(name, sum);
    }
}

/// The second half of a step: gradients over all ranks, clipping per sub-module, AdamW, the teacher's moving average.
pub(super) fn update<C: Collective>(
    state: &mut TrainerState,
    mut gradients: Named,
    recipe: &Recipe,
    now: &ScheduledValues,
    collective: &C,
    metrics: &mut DeviceMetrics,
    inspect: impl FnOnce(&Named),
) {
    if collective.ranks() > 1 && state.shards.is_none() {
        mean_over_ranks(&state.student, &mut gradients, collective);
    }
    inspect(&gradients);

    // Clipping per sub-module, AdamW, and the teacher, which follows after the student moved.
    let found = match state.shards.take() {
        Some(mut shards) => {
            let found = shard::update(state, &mut shards, gradients, now, &recipe.optim);
            state.shards = Some(shards);
            found
        }
        None => {
            let networks = (state.student.clone(), state.teacher.clone());
            let (networks, found) =
                state.optimizer.step(networks, gradients, now, &recipe.optim, &state.loss_scale);
            (state.student, state.teacher) = networks;
            found
        }
    };
    for (module, norm) in SUB_MODULES.into_iter().zip(found.norms) {
        let there = match module {
            "dino_head" => state.student.dino_head.is_some(),
            "ibot_head" => state.student.ibot_head.is_some(),
            _ => true,
        };
        if there {
            metrics.push(format!("grad_norm_{module}"), norm);
        }
    }
    if let Some(scale) = state.loss_scale.observe(found.overflow) {
        metrics.push("loss_scale", scale);
    }
    state.iteration += 1;
}

/// The mean of the gradients over all ranks, in one sum. A parameter that has none on some rank, as where all crops that a
/// branch keeps are elsewhere, counts as 0 there; one that has none anywhere keeps none.
fn mean_over_ranks<C: Collective>(student: &Network, gradients: &mut Named, collective: &C) {
    let values = params::values(student);
    let there = collective.any(values.keys().map(|name| gradients.contains_key(name)).collect());
    let of = |(name, value): (String, Tensor<1>)| {
        let own = gradients.remove(&name).unwrap_or_else(|| value.zeros_like().without_autodiff());
        (name, own)
    };
    let parameters =
        values.into_iter().zip(there).filter_map(|(parameter, there)| there.then_some(parameter));
    let (names, own): (Vec<String>, Vec<Tensor<1>>) = parameters.map(of).unzip();
    if own.is_empty() {
        return;
    }
    let (device, sizes) = (own[0].device(), own.iter().map(|gradient| gradient.dims()[0]).collect());
    let means = collective.mean_values(on_host(Tensor::cat(own, 0)));
    let length = means.len();
    let means = Tensor::<1>::from_data(TensorData::new(means, [length]), &device).split_with_sizes(sizes, 0);
    gradients.extend(names.into_iter().zip(means));
}
