//! Ranks that are processes of an MPI job.

use dinoscope_mpi::{MpiError, MpiWorld, PendingCall};

use super::{Pending, RankTransport};

/// The processes of an MPI job.
#[derive(Clone, Debug)]
pub struct MpiRanks(pub MpiWorld);

fn said(error: MpiError) -> String {
    error.to_string()
}

fn pending<T: Send + 'static>(started: Result<PendingCall<Vec<T>>, MpiError>) -> Pending<T> {
    Box::new(move || started.and_then(PendingCall::wait).map_err(said))
}

impl RankTransport for MpiRanks {
    fn rank(&self) -> usize {
        self.0.facts().rank
    }
    fn ranks(&self) -> usize {
        self.0.facts().ranks
    }
    fn host(&self) -> &str {
        &self.0.facts().host
    }
    fn gather_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, String> {
        self.0.all_gather(own).map_err(said)
    }
    fn start_gather_floats(&self, own: Vec<f32>) -> Pending<f32> {
        pending(self.0.start_all_gather(own))
    }
    fn start_exchange_floats(&self, own: Vec<f32>) -> Pending<f32> {
        pending(self.0.start_all_to_all(own))
    }
    fn start_gather_halves(&self, own: Vec<u16>) -> Pending<u16> {
        pending(self.0.start_all_gather(own))
    }
    fn start_exchange_halves(&self, own: Vec<u16>) -> Pending<u16> {
        pending(self.0.start_all_to_all(own))
    }
    fn waited(&self) -> f64 {
        self.0.waited()
    }
    fn broadcast_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, String> {
        self.0.broadcast(own).map_err(said)
    }
}
