//! What carries units between ranks while a network passes: the next branch's parameters come, and the last one's gradients go, beside
//! the present one's work.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

use crate::fused::ShardExchange;
use crate::ssl::ranks::{PendingValues, on_host};
use crate::ssl::{Collective, RankGroup};

/// One pass of a network, forward and back, or forward alone and again.
#[derive(Debug)]
pub(super) struct PassExchange {
    group: RankGroup,
    state: Mutex<PassState>,
}

/// Where the pass is.
#[derive(Debug)]
struct PassState {
    /// Number of each branch's unit and this rank's part of it, in the order of the network.
    branches: Vec<(usize, Tensor<1>)>,
    /// The branch that was gathered last.
    at: Option<usize>,
    /// Whether it is on the way back.
    is_back: bool,
    /// The branch that will be wanted next.
    ahead: Option<(usize, PendingValues)>,
    /// The unit whose gradients are on their way.
    going: Option<(usize, PendingValues)>,
    /// This rank's part of the gradients' means, by unit.
    gradients: BTreeMap<usize, Vec<f32>>,
}

impl PassExchange {
    /// For a network whose `branches` have these units and parts.
    pub(super) fn new(group: &RankGroup, branches: Vec<(usize, Tensor<1>)>) -> Self {
        let state = PassState {
            branches,
            at: None,
            is_back: false,
            ahead: None,
            going: None,
            gradients: BTreeMap::new(),
        };
        Self { group: group.clone(), state: Mutex::new(state) }
    }

    /// This rank's part of the gradients' means, by unit; of those that the way back reached.
    pub(super) fn take_gradients(&self) -> BTreeMap<usize, Vec<f32>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.arrive();
        std::mem::take(&mut state.gradients)
    }
}

impl PassState {
    /// Waits for the gradients that are on their way.
    fn arrive(&mut self) {
        if let Some((unit, going)) = self.going.take() {
            self.gradients.insert(unit, going.wait());
        }
    }

    /// The branch that is wanted after `at`, which is wanted now.
    fn next(&mut self, at: usize) -> Option<usize> {
        let last = self.branches.len() - 1;
        // The way back begins where the way there ended; another way there begins at the first one.
        self.is_back = match self.at {
            Some(before) if before == at => true,
            Some(before) if self.is_back => at < before,
            _ => false,
        };
        self.at = Some(at);
        match self.is_back {
            true => at.checked_sub(1),
            false => (at < last).then_some(at + 1),
        }
    }
}

impl ShardExchange for PassExchange {
    fn processes(&self) -> usize {
        self.group.ranks()
    }

    fn gather(&self, unit: usize, own: &dyn Fn() -> Vec<f32>) -> Vec<f32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = state.ahead.take().filter(|(of, _)| *of == unit);
        let pending = ahead.map_or_else(|| self.group.start_gather_values(own()), |(_, pending)| pending);
        let all = pending.wait();
        let at = state.branches.iter().position(|(of, _)| *of == unit);
        if let Some(next) = at.and_then(|at| state.next(at)) {
            let (unit, part) = state.branches[next].clone();
            state.ahead = Some((unit, self.group.start_gather_values(on_host(part))));
        }
        all
    }

    fn scatter_means(&self, unit: usize, all: Vec<f32>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // No more than one unit's: a slow network must not pile them up.
        state.arrive();
        state.going = Some((unit, self.group.start_scatter_means(all)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_next_branch_is_the_one_that_a_pass_wants_next() {
        let part = || Tensor::zeros([1], &Device::flex());
        let branches = (0..3).map(|unit| (10 + unit, part())).collect();
        let exchange = PassExchange::new(&RankGroup::default(), branches);
        let mut state = exchange.state.lock().unwrap();
        // There twice, as a teacher looks at two parts of a batch, and back. Nothing is sent for between passes.
        let wanted = [
            (0, Some(1)),
            (1, Some(2)),
            (2, None),
            (0, Some(1)),
            (1, Some(2)),
            (2, None),
            (2, Some(1)),
            (1, Some(0)),
            (0, None),
        ];
        for (at, next) in wanted {
            assert_eq!(state.next(at), next, "after {at}");
        }
    }
}
