//! A state in shards for a checkpoint, which knows of none.

use crate::ssl::RankWire;
use crate::train::shard::{TrainShards, UnitParts, WholeUnits};
use crate::train::state::TrainerState;
use crate::weights::{HostTensor, StateDict};

/// Student, teacher and moments as the files of a checkpoint have them, on the host.
#[derive(Debug, Default)]
pub(in crate::train) struct WholeState {
    /// By official key.
    pub student: StateDict,
    /// By official key.
    pub teacher: StateDict,
    /// `first.` and `second.` before the parameter's name; empty before the first step.
    pub moments: StateDict,
}

impl TrainShards {
    /// Brings all parts together on the rank that keeps them. All ranks have to ask; each holds one unit at a time.
    pub(in crate::train) fn whole_state(&self, state: &TrainerState, keep: bool) -> WholeState {
        let mut all = WholeState::default();
        let network = |parts: &UnitParts, into: &mut StateDict| {
            self.each_parameter(parts, |name, shape, values| {
                if keep {
                    let key = state.student.official_key(name);
                    into.insert(key, HostTensor { shape: shape.to_vec(), data: values });
                }
            });
        };
        network(&self.student, &mut all.student);
        network(&self.teacher, &mut all.teacher);
        if state.optimizer.steps > 0 {
            for (group, parts) in [("first", &self.first), ("second", &self.second)] {
                self.each_parameter(parts, |name, _, values| {
                    if keep {
                        all.moments
                            .insert(format!("{group}.{name}"), HostTensor::new([values.len()], values));
                    }
                });
            }
        }
        all
    }

    fn each_parameter(&self, parts: &UnitParts, mut take: impl FnMut(&str, &[usize], Vec<f32>)) {
        let mut values = WholeUnits::new(self, parts, RankWire::F32);
        for (name, shape) in self.plan.units.iter().flat_map(|unit| &unit.parameters) {
            if let Some(values) = values.take(name) {
                take(name, shape, values);
            }
        }
    }
}
