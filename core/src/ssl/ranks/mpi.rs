//! Ranks that are processes of an MPI job.

use dinoscope_mpi::{MpiError, MpiWorld};

use super::RankTransport;

/// The processes of an MPI job.
#[derive(Clone, Debug)]
pub struct MpiRanks(pub MpiWorld);

fn said(error: MpiError) -> String {
    error.to_string()
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
    fn gather_floats(&self, own: Vec<f32>) -> Result<Vec<f32>, String> {
        self.0.all_gather(own).map_err(said)
    }
    fn exchange_floats(&self, own: Vec<f32>) -> Result<Vec<f32>, String> {
        self.0.all_to_all(own).map_err(said)
    }
    fn gather_halves(&self, own: Vec<u16>) -> Result<Vec<u16>, String> {
        self.0.all_gather(own).map_err(said)
    }
    fn exchange_halves(&self, own: Vec<u16>) -> Result<Vec<u16>, String> {
        self.0.all_to_all(own).map_err(said)
    }
    fn waited(&self) -> f64 {
        self.0.waited()
    }
    fn broadcast_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, String> {
        self.0.broadcast(own).map_err(said)
    }
}
