//! The second half of a step in shards: each rank updates its part of student and teacher.

use burn::tensor::{Tensor, TensorData};

use crate::fused::{ClipFactors, GradNorms, ParamUpdate, squared_norms, update_clipped};
use crate::model::params::Named;
use crate::ssl::Collective;
use crate::ssl::ranks::on_host;
use crate::train::optimizer::{group, hyperparams, module_of};
use crate::train::recipe::OptimRecipe;
use crate::train::schedule::ScheduledValues;
use crate::train::shard::{ShardSegment, ShardUnit, TrainShards};
use crate::train::state::TrainerState;

impl TrainShards {
    /// Gradients of what was gathered for a pass, after its way back: this rank's part of the means over all ranks, by unit. Units that
    /// the loss does not reach are absent; nothing where the student is whole.
    pub(in crate::train) fn take_gradients(&mut self) -> Option<Named> {
        let gradients = self.pass.take()?.take_gradients();
        let of = |(unit, part): (usize, Vec<f32>)| {
            let length = part.len();
            let part = Tensor::from_data(TensorData::new(part, [length]), &self.device);
            (self.plan.units[unit].name.clone(), part)
        };
        Some(gradients.into_iter().map(of).collect())
    }

    /// This rank's part of the means over all ranks of whole `gradients`, by unit. A parameter that has none on some rank counts as 0
    /// there; a unit that has none anywhere keeps none.
    fn scattered(&self, mut gradients: Named) -> Named {
        let reached = |unit: &ShardUnit| unit.parameters.iter().any(|(name, _)| gradients.contains_key(name));
        let there = self.group.any(self.plan.units.iter().map(reached).collect());
        let mut of = |unit: &ShardUnit| {
            let mut all = Vec::with_capacity(unit.length() + self.group.ranks());
            for (name, shape) in &unit.parameters {
                match gradients.remove(name) {
                    Some(gradient) => all.extend(on_host(gradient)),
                    None => all.resize(all.len() + shape.iter().product::<usize>(), 0.0),
                }
            }
            all.resize(all.len().next_multiple_of(self.group.ranks()), 0.0);
            let part = self.group.scatter_means(all);
            let length = part.len();
            (unit.name.clone(), Tensor::from_data(TensorData::new(part, [length]), &self.device))
        };
        self.plan.units.iter().zip(there).filter(|(_, there)| *there).map(|(unit, _)| of(unit)).collect()
    }

    /// Clips by norms over all ranks, and updates this rank's parts of student and teacher. `gradients` are its parts by unit.
    fn step(
        &mut self,
        mut gradients: Named,
        state: &TrainerState,
        now: &ScheduledValues,
        recipe: &OptimRecipe,
    ) -> GradNorms<Tensor<1>> {
        let rates = hyperparams(state.optimizer.steps, now, recipe, &state.loss_scale);
        let by_module =
            gradients.iter().map(|(unit, gradient)| (module_of(unit), gradient.clone())).collect();
        let squares = Tensor::cat(squared_norms(by_module, &self.device), 0);
        let modules = squares.dims()[0];
        let squares = self.group.sum(squares).split_with_sizes(vec![1; modules], 0);
        let clip = ClipFactors::new(squares, state.loss_scale.value(), &rates);

        let depth = state.student.backbone.config.depth;
        for unit in 0..self.plan.units.len() {
            let (segments, gradient) =
                (self.plan.segments(unit), gradients.remove(&self.plan.units[unit].name));
            let Some(filled) = segments.last().map(|last| last.at.end) else { continue };
            let parts = [&self.student, &self.teacher, &self.first, &self.second].map(|of| of[unit].clone());
            let update = |segment: &ShardSegment| {
                let cut = |part: &Tensor<1>| part.clone().narrow(0, segment.at.start, segment.at.len());
                let [value, teacher, first, second] = parts.each_ref().map(cut);
                let group = group(&segment.name, depth, recipe.layer_decay, recipe.patch_embed_lr);
                ParamUpdate {
                    value,
                    teacher,
                    first,
                    second,
                    gradient: gradient.as_ref().map(cut),
                    module: module_of(&segment.name),
                    lr: group.lr * if group.is_last_layer { now.last_layer_lr } else { now.lr },
                    decay: group.weight_decay * now.weight_decay,
                }
            };
            let updated = update_clipped(segments.iter().map(update).collect(), &clip, &rates);
            let joined = |of: fn(&ParamUpdate<Tensor<1>>) -> &Tensor<1>, before: &Tensor<1>| {
                let mut list: Vec<_> = updated.iter().map(|update| of(update).clone()).collect();
                let length = before.dims()[0];
                // What the last part is filled up with.
                list.extend((filled < length).then(|| before.clone().narrow(0, filled, length - filled)));
                Tensor::cat(list, 0)
            };
            let [student, teacher, first, second] = &parts;
            self.student[unit] = joined(|update| &update.value, student);
            self.teacher[unit] = joined(|update| &update.teacher, teacher);
            self.first[unit] = joined(|update| &update.first, first);
            self.second[unit] = joined(|update| &update.second, second);
        }
        clip.found
    }
}

/// The second half of a step of a state in shards, which `shards` was taken out of; gradients are those of the passes.
pub(in crate::train) fn update(
    state: &mut TrainerState,
    shards: &mut TrainShards,
    gradients: Named,
    now: &ScheduledValues,
    recipe: &OptimRecipe,
) -> GradNorms<Tensor<1>> {
    state.optimizer.steps += 1;
    let gradients = if shards.is_full() { gradients } else { shards.scattered(gradients) };
    // The graph is gone, and with it what it held of them.
    shards.leaves.clear();
    let found = shards.step(gradients, state, now, recipe);
    if !shards.is_full() {
        state.student = shards.refilled(state.student.clone());
    }
    found
}
