//! Ranks that are threads of a test: what each has is laid down for all.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use bytemuck::Pod;

use super::{Pending, RankGroup, RankTransport};

/// What all ranks see.
struct Table {
    state: Mutex<TableState>,
    turned: Condvar,
}

struct TableState {
    laid: Vec<Option<Vec<u8>>>,
    /// What was laid down in the round before, until all have taken it.
    round: Arc<Vec<Vec<u8>>>,
    rounds: u64,
    /// Ranks that have ended.
    gone: Vec<usize>,
    /// Seconds that each has waited.
    waited: Vec<f64>,
}

/// A process of a run, played by a thread. Where one is dropped, the others fail instead of waiting for it.
pub struct ThreadRank {
    rank: usize,
    ranks: usize,
    table: Arc<Table>,
}

impl ThreadRank {
    /// All ranks of a run of so many.
    pub fn all(ranks: usize) -> Vec<RankGroup> {
        let state = TableState {
            laid: vec![None; ranks],
            round: Arc::default(),
            rounds: 0,
            gone: Vec::new(),
            waited: vec![0.0; ranks],
        };
        let table = Arc::new(Table { state: Mutex::new(state), turned: Condvar::new() });
        let of = |rank| RankGroup::new(Arc::new(Self { rank, ranks, table: table.clone() }));
        (0..ranks).map(of).collect()
    }

    /// Lays `own` down, and takes what all have once all have laid theirs.
    fn round(&self, own: Vec<u8>) -> Result<Arc<Vec<Vec<u8>>>, String> {
        let mut state = self.table.state.lock().unwrap();
        let (before, began) = (state.rounds, Instant::now());
        state.laid[self.rank] = Some(own);
        if state.laid.iter().all(Option::is_some) {
            state.round = Arc::new(state.laid.iter_mut().filter_map(Option::take).collect());
            state.rounds += 1;
            self.table.turned.notify_all();
        }
        while state.rounds == before {
            if let Some(rank) = state.gone.first() {
                return Err(format!("rank {rank} has ended"));
            }
            state = self.table.turned.wait(state).unwrap();
        }
        state.waited[self.rank] += began.elapsed().as_secs_f64();
        Ok(state.round.clone())
    }

    fn values<T: Pod>(&self, own: &[T]) -> Result<Vec<Vec<T>>, String> {
        let round = self.round(bytemuck::cast_slice(own).to_vec())?;
        assert!(
            round.iter().all(|other| other.len() == size_of_val(own)),
            "ranks send values of unequal number"
        );
        Ok(round.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect())
    }

    fn parts<T: Pod>(&self, own: &[T]) -> Result<Vec<T>, String> {
        let each = own.len() / self.ranks;
        let all = self.values(own)?;
        Ok(all.iter().flat_map(|other| other[self.rank * each..][..each].iter().copied()).collect())
    }
}

impl Drop for ThreadRank {
    fn drop(&mut self) {
        if let Ok(mut state) = self.table.state.lock() {
            state.gone.push(self.rank);
        }
        self.table.turned.notify_all();
    }
}

/// Nothing is on its way between threads: what is started is there.
fn ready<T: Send + 'static>(result: Result<Vec<T>, String>) -> Pending<T> {
    Box::new(move || result)
}

impl RankTransport for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }
    fn ranks(&self) -> usize {
        self.ranks
    }
    fn host(&self) -> &str {
        "a thread"
    }
    fn gather_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, String> {
        let length = own.len();
        let round = self.round(own)?;
        assert!(round.iter().all(|other| other.len() == length), "ranks send texts of unequal length");
        Ok(round.concat())
    }
    fn start_gather_floats(&self, own: Vec<f32>) -> Pending<f32> {
        ready(self.values(&own).map(|all| all.concat()))
    }
    fn start_exchange_floats(&self, own: Vec<f32>) -> Pending<f32> {
        ready(self.parts(&own))
    }
    fn start_gather_halves(&self, own: Vec<u16>) -> Pending<u16> {
        ready(self.values(&own).map(|all| all.concat()))
    }
    fn start_exchange_halves(&self, own: Vec<u16>) -> Pending<u16> {
        ready(self.parts(&own))
    }
    fn waited(&self) -> f64 {
        self.table.state.lock().unwrap().waited[self.rank]
    }
    fn broadcast_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(self.round(own)?[0].clone())
    }
}
