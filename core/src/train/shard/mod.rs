//! A run's state in shards: what each of several ranks holds of student, teacher and moments (`train.shard`).
//!
//! After ZeRO (Rajbhandari et al. 2020) and fully sharded data parallelism (Zhao et al. 2023). A network's parameters are cut unit
//! by unit ([`ShardPlan`]); a unit is gathered when it is needed, and gradients are added up where their part is kept. The
//! numbers are those of replicas: sums are made in the order of ranks either way.
//!
//! | | `none` | `optimizer` | `full` |
//! |---|---|---|---|
//! | moments | whole | a part | a part |
//! | weights that the optimizer updates | whole | a part | a part |
//! | student in a pass | whole | whole | a branch of a block at a time; heads for a pass |
//! | gradients | whole | whole, then a part | a branch at a time, then a part |
//! | teacher in a pass | whole | a branch at a time; heads for a pass | the same |

mod exchange;
mod plan;
mod saving;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::network::Network;
use super::recipe::ShardKind;
use super::state::TrainerState;
use crate::fused::{ShardLayout, gathered};
use crate::model::block::{BlockShards, BranchShard};
use crate::model::params::{self, Named};
use crate::ssl::ranks::on_host;
use crate::ssl::{Collective, RankGroup, RankWire};
use exchange::PassExchange;
pub use plan::{ShardPlan, ShardSegment, ShardUnit};
pub(in crate::train) use saving::WholeState;
pub(in crate::train) use update::update;

/// This rank's part of each unit, `[n]` each, on the plain device.
type UnitParts = Vec<Tensor<1>>;

/// What a rank holds of a run's state, and how it comes by the rest.
#[derive(Debug)]
pub struct TrainShards {
    kind: ShardKind,
    plan: ShardPlan,
    /// Shapes of each unit's parameters as they are gathered.
    shapes: Vec<Arc<Vec<Vec<usize>>>>,
    group: RankGroup,
    device: Device,
    student: UnitParts,
    teacher: UnitParts,
    /// Moments of AdamW.
    first: UnitParts,
    second: UnitParts,
    /// The student's parts with a graph, while a step goes on that gathers them.
    leaves: UnitParts,
    /// What carries them in the present pass.
    pass: Option<Arc<PassExchange>>,
}

impl TrainShards {
    /// Cuts what every rank has whole.
    fn new(state: &mut TrainerState, kind: ShardKind, group: &RankGroup) -> Self {
        let plan = ShardPlan::new(&state.teacher, group.rank(), group.ranks());
        let device = state.teacher.backbone.cls_token.val().device();
        let shapes = |unit: &ShardUnit| {
            Arc::new(match unit.is_branch() {
                true => unit.parameters.iter().map(|(_, shape)| shape.clone()).collect(),
                false => vec![vec![unit.length()]],
            })
        };
        let shapes = plan.units.iter().map(shapes).collect();
        let cut = |mut values: Named| -> UnitParts {
            let of = |(at, unit): (usize, &ShardUnit)| {
                let all = unit.parameters.iter().flat_map(|(name, shape)| match values.remove(name) {
                    Some(values) => on_host(values),
                    // Moments before the first step.
                    None => vec![0.0; shape.iter().product()],
                });
                let part = plan.cut(at, &all.collect::<Vec<_>>());
                let length = part.len();
                Tensor::from_data(TensorData::new(part, [length]), &device)
            };
            plan.units.iter().enumerate().map(of).collect()
        };
        let student = cut(params::values(&state.student));
        let teacher = cut(params::values(&state.teacher));
        let first = cut(std::mem::take(&mut state.optimizer.first));
        let second = cut(std::mem::take(&mut state.optimizer.second));
        let (group, leaves, pass) = (group.clone(), Vec::new(), None);
        Self { kind, plan, shapes, group, device, student, teacher, first, second, leaves, pass }
    }

    /// Bytes that this rank holds between two steps of student (as the optimizer updates it), teacher and moments.
    pub fn bytes(&self) -> u64 {
        let lists = [&self.student, &self.teacher, &self.first, &self.second];
        lists.into_iter().flatten().map(|part| 4 * part.dims()[0] as u64).sum()
    }

    /// Whether the student too is whole only while it is needed.
    fn is_full(&self) -> bool {
        self.kind == ShardKind::Full
    }

    /// The network without values: those of its parameters are one 0 each.
    fn emptied(&self, network: Network, device: &Device) -> Network {
        let mut network = params::replace(network, |name| {
            let (_, shape) = self.parameter(name)?;
            Some((Tensor::zeros([1], device), vec![1; shape.len()]))
        });
        network.backbone.blocks.iter_mut().for_each(|block| block.shards = None);
        network
    }

    /// Unit and shape of a parameter.
    fn parameter(&self, name: &str) -> Option<(usize, &Vec<usize>)> {
        let unit = self.plan.unit_of(name)?;
        let (_, shape) = self.plan.units[unit].parameters.iter().find(|(of, _)| of == name)?;
        Some((unit, shape))
    }

    /// What carries the units of `parts` in a pass.
    fn exchange(&self, parts: &UnitParts) -> Arc<PassExchange> {
        let branches = self.plan.units.iter().zip(parts).enumerate();
        let branches = branches.filter(|(_, (unit, _))| unit.is_branch());
        Arc::new(PassExchange::new(&self.group, branches.map(|(at, (_, part))| (at, part.clone())).collect()))
    }

    /// The network of `parts` for one pass: what is no branch of a block is gathered now, branches when they run.
    fn assembled(&self, network: Network, parts: &UnitParts, exchange: &Arc<PassExchange>) -> Network {
        let layout =
            |unit: usize| ShardLayout { unit, shapes: self.shapes[unit].clone(), exchange: exchange.clone() };
        let mut network = params::replace(network, |name| {
            let (unit, shape) = self.parameter(name)?;
            if self.plan.units[unit].is_branch() {
                return None;
            }
            Some((gathered::<1>(parts[unit].clone(), layout(unit)), shape.clone()))
        });
        let mut shards: BTreeMap<&str, BranchShard> = BTreeMap::new();
        for (at, (unit, part)) in self.plan.units.iter().zip(parts).enumerate() {
            if unit.is_branch() {
                shards.insert(&unit.name, BranchShard { part: part.clone(), layout: layout(at) });
            }
        }
        for (at, block) in network.backbone.blocks.iter_mut().enumerate() {
            let mut of = |kind: &str| shards.remove(format!("backbone.blocks.{at}.{kind}").as_str());
            block.shards = of("attention")
                .zip(of("feed_forward"))
                .map(|(attention, feed_forward)| BlockShards { attention, feed_forward });
        }
        network
    }

    /// The network of `parts` with all values, where they are to be kept here; all ranks have to ask. Values come as they are,
    /// whatever numbers travel in a step.
    fn whole(&self, network: Network, parts: &UnitParts, keep: bool) -> Network {
        let mut values = WholeUnits::new(self, parts, RankWire::F32);
        params::replace(network, |name| {
            let (_, shape) = self.parameter(name)?;
            let values = values.take(name)?;
            let length = values.len();
            keep.then(|| (Tensor::from_data(TensorData::new(values, [length]), &self.device), shape.clone()))
        })
    }

    /// The student with the values that its parts have now.
    fn refilled(&self, student: Network) -> Network {
        let mut values = WholeUnits::new(self, &self.student, self.group.wire());
        params::update(student, |name, old| match values.take(name) {
            Some(values) => {
                let length = values.len();
                Tensor::from_data(TensorData::new(values, [length]), &self.device)
            }
            None => old,
        })
    }
}

/// All values of parameters, unit by unit in their order: no more than one unit is held.
struct WholeUnits<'a> {
    shards: &'a TrainShards,
    parts: &'a UnitParts,
    group: RankGroup,
    unit: Option<usize>,
    values: BTreeMap<String, Vec<f32>>,
}

impl<'a> WholeUnits<'a> {
    /// Units travel in the numbers of `wire`.
    fn new(shards: &'a TrainShards, parts: &'a UnitParts, wire: RankWire) -> Self {
        Self { shards, parts, group: shards.group.with_wire(wire), unit: None, values: BTreeMap::new() }
    }

    /// The values of a parameter. All ranks have to ask for all of them, in the order of the network.
    fn take(&mut self, name: &str) -> Option<Vec<f32>> {
        let unit = self.shards.plan.unit_of(name)?;
        if self.unit != Some(unit) {
            self.unit = Some(unit);
            let all = self.group.gather_values(on_host(self.parts[unit].clone()));
            let mut start = 0;
            let of = |(name, shape): &(String, Vec<usize>)| {
                let end = start + shape.iter().product::<usize>();
                let values = all[start..end].to_vec();
                start = end;
                (name.clone(), values)
            };
            self.values = self.shards.plan.units[unit].parameters.iter().map(of).collect();
        }
        self.values.remove(name)
    }
}

impl TrainerState {
    /// Shares the state out to the ranks of `group`, each of which has it whole and equal; nothing changes where there are no others, or
    /// replicas are wanted.
    pub fn share_out(&mut self, kind: ShardKind, group: &RankGroup) {
        if kind == ShardKind::None || group.is_alone() {
            return;
        }
        let shards = TrainShards::new(self, kind, group);
        self.teacher = shards.emptied(self.teacher.clone(), &shards.device);
        if shards.is_full() {
            self.student = shards.emptied(self.student.clone(), &shards.device.clone().autodiff());
        } else if group.wire() != RankWire::F32 {
            // As it is after an update.
            self.student = shards.refilled(self.student.clone());
        }
        self.shards = Some(shards);
    }

    /// Before the passes of a step.
    pub(in crate::train) fn begin_step(&mut self) {
        if let Some(shards) = self.shards.as_mut().filter(|shards| shards.is_full()) {
            shards.leaves =
                shards.student.iter().map(|part| part.clone().autodiff().require_grad()).collect();
        }
    }

    /// Before each pass of the student: it can run once, and be followed by one backward pass.
    pub(in crate::train) fn begin_pass(&mut self) {
        if let Some(shards) = self.shards.as_mut().filter(|shards| shards.is_full()) {
            let pass = shards.exchange(&shards.student);
            self.student = shards.assembled(self.student.clone(), &shards.leaves, &pass);
            shards.pass = Some(pass);
        }
    }

    /// Lets go of what the student has gathered for a pass; its graph keeps what the way back needs.
    pub(in crate::train) fn end_pass(&mut self) {
        if let Some(shards) = self.shards.as_ref().filter(|shards| shards.is_full()) {
            self.student = shards.emptied(self.student.clone(), &shards.device.clone().autodiff());
        }
    }

    /// The teacher for one pass.
    pub(in crate::train) fn teacher_for_pass(&self) -> Network {
        match &self.shards {
            Some(shards) => {
                let pass = shards.exchange(&shards.teacher);
                shards.assembled(self.teacher.clone(), &shards.teacher, &pass)
            }
            None => self.teacher.clone(),
        }
    }

    /// The teacher with all its values, where it is to be kept; all ranks have to ask.
    pub(in crate::train) fn whole_teacher(&self, keep: bool) -> Network {
        match &self.shards {
            Some(shards) => shards.whole(self.teacher.clone(), &shards.teacher, keep),
            None => self.teacher.clone(),
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "shard_tests.rs"]
mod tests;
