//! What carries units between ranks.

use crate::fused::ShardExchange;
use crate::ssl::{Collective, RankGroup};

/// The ranks of a run, as operations on shared parameters see them.
#[derive(Clone, Debug)]
pub(super) struct RankExchange(pub RankGroup);

impl ShardExchange for RankExchange {
    fn processes(&self) -> usize {
        self.0.ranks()
    }
    fn gather(&self, own: Vec<f32>) -> Vec<f32> {
        self.0.gather_values(own)
    }
    fn scatter_means(&self, all: Vec<f32>) -> Vec<f32> {
        self.0.scatter_means(all)
    }
}
