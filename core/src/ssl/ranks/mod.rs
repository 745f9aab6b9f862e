//! The processes of a run that several share: who they are, and what they add up.
//!
//! Whatever carries the values ([`RankTransport`]: MPI, or threads in tests), sums are made here, in the order of ranks, so
//! that they are to the bit the same on every rank and in every run with as many ranks. MPI promises neither for its own.

#[cfg(not(target_family = "wasm"))]
mod mpi;
#[cfg(test)]
pub(crate) mod threads;
mod wire;

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

pub use super::collective::Collective;

#[cfg(not(target_family = "wasm"))]
pub use mpi::MpiRanks;
pub use wire::RankWire;

/// Up to so many values each rank sends all it has to all others and adds by itself; longer ones are shared out, each rank
/// adds a part, and the sums go round: twice the values in place of as many as there are ranks.
const SHORT: usize = 4096;

/// Values on their way between ranks: called, it waits for them, or says what went wrong between the processes.
pub type Pending<T> = Box<dyn FnOnce() -> Result<Vec<T>, String> + Send>;

/// Carries values between the ranks of a run. All ranks make the same calls in the same order, with equal lengths.
pub trait RankTransport: Send + Sync {
    /// This rank, from 0.
    fn rank(&self) -> usize;
    /// How many there are.
    fn ranks(&self) -> usize;
    /// Name of this rank's machine.
    fn host(&self) -> &str;
    /// What all have, in the order of ranks.
    ///
    /// # Errors
    /// What went wrong between the processes.
    fn gather_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, String>;
    /// The same of numbers, on its way while this rank does something else.
    fn start_gather_floats(&self, own: Vec<f32>) -> Pending<f32>;
    /// Part `i` of `own`, cut into as many equal parts as there are ranks, goes to rank `i`; what the others have for this
    /// one comes back, in the order of ranks. On its way while this rank does something else.
    fn start_exchange_floats(&self, own: Vec<f32>) -> Pending<f32>;
    /// [`start_gather_floats`](Self::start_gather_floats) of 16-bit numbers, which are not looked at.
    fn start_gather_halves(&self, own: Vec<u16>) -> Pending<u16>;
    /// [`start_exchange_floats`](Self::start_exchange_floats) of 16-bit numbers, which are not looked at.
    fn start_exchange_halves(&self, own: Vec<u16>) -> Pending<u16>;
    /// Seconds that this rank has waited for others so far.
    fn waited(&self) -> f64;
    /// What rank 0 has, in place of `own`.
    ///
    /// # Errors
    /// What went wrong between the processes.
    fn broadcast_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, String>;
}

/// The ranks of a run lost each other: nothing that they compute is worth anything from here on.
///
/// Sums stand in the middle of a step, where burn reports a lost device by a panic. This is a panic with this value, without
/// a message of its own; the engine makes the error of it that ends the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rank {rank} of {ranks} on {host} lost the others: {reason}")]
pub struct RankFailure {
    /// The rank that noticed.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
    /// Its machine.
    pub host: String,
    /// What went wrong.
    pub reason: String,
}

/// The ranks of a run; one process alone where there are no others.
#[derive(Clone, Default)]
pub struct RankGroup {
    transport: Option<Arc<dyn RankTransport>>,
    wire: RankWire,
}

impl std::fmt::Debug for RankGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.ranks())
    }
}

impl RankGroup {
    /// The ranks that a transport connects; one alone is as none.
    pub fn new(transport: Arc<dyn RankTransport>) -> Self {
        Self { transport: (transport.ranks() > 1).then_some(transport), wire: RankWire::F32 }
    }

    /// The same ranks, between which long lists ([`gather_values`](Self::gather_values), [`scatter_means`](Self::scatter_means),
    /// [`mean_values`](Collective::mean_values)) travel in other numbers.
    #[must_use]
    pub fn with_wire(&self, wire: RankWire) -> Self {
        Self { wire, ..self.clone() }
    }

    /// The numbers that long lists travel in.
    pub fn wire(&self) -> RankWire {
        self.wire
    }

    /// Whether there are no others.
    pub fn is_alone(&self) -> bool {
        self.transport.is_none()
    }

    /// Whether this rank writes, prints and takes commands.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Where this rank is, for messages: `rank 1 of 4 on node07`.
    pub fn place(&self) -> String {
        let host = self.transport.as_ref().map_or("this machine", |transport| transport.host());
        format!("rank {} of {} on {host}", self.rank(), self.ranks())
    }

    /// The bytes of every rank, in the order of ranks; of any lengths.
    ///
    /// # Errors
    /// The others are lost.
    pub fn gather_bytes(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, RankFailure> {
        let Some(transport) = &self.transport else { return Ok(vec![own]) };
        let length = (own.len() as u64).to_le_bytes().to_vec();
        let lengths = self.checked(transport.gather_bytes(length))?;
        let lengths: Vec<usize> =
            lengths.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes) as usize).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        if longest == 0 {
            return Ok(vec![Vec::new(); self.ranks()]);
        }
        let mut padded = own;
        padded.resize(longest, 0);
        let all = self.checked(transport.gather_bytes(padded))?;
        Ok(all.chunks_exact(longest).zip(lengths).map(|(bytes, length)| bytes[..length].to_vec()).collect())
    }

    /// Rank 0's bytes, of any length, on every rank; those of the others do not count.
    ///
    /// # Errors
    /// The others are lost.
    pub fn broadcast_bytes(&self, own: Vec<u8>) -> Result<Vec<u8>, RankFailure> {
        let Some(transport) = &self.transport else { return Ok(own) };
        let length = (own.len() as u64).to_le_bytes().to_vec();
        let length = self.checked(transport.broadcast_bytes(length))?;
        let length = length.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes) as usize);
        let mut values = if self.is_first() { own } else { Vec::new() };
        values.resize(length, 0);
        self.checked(transport.broadcast_bytes(values))
    }

    /// The means of some numbers over all ranks.
    ///
    /// # Errors
    /// The others are lost.
    pub fn means(&self, own: Vec<f32>) -> Result<Vec<f64>, RankFailure> {
        let Some(transport) = &self.transport else { return Ok(own.into_iter().map(f64::from).collect()) };
        let count = own.len();
        let all = self.checked(transport.start_gather_floats(own)())?;
        let of = |at: usize| all.iter().skip(at).step_by(count).map(|value| f64::from(*value)).sum::<f64>();
        Ok((0..count).map(|at| of(at) / self.ranks() as f64).collect())
    }

    /// Seconds that this rank has waited for others so far.
    pub fn waited(&self) -> f64 {
        self.transport.as_ref().map_or(0.0, |transport| transport.waited())
    }

    /// What all ranks have, each as many values, in the order of ranks: shared weights.
    pub fn start_gather_values(&self, own: Vec<f32>) -> PendingValues {
        let work = match &self.transport {
            Some(transport) => self.wire.start_gather(&**transport, own),
            None => Box::new(move || Ok(own)),
        };
        PendingValues { group: self.clone(), work }
    }

    /// [`start_gather_values`](Self::start_gather_values), waited for. In the middle of a step, see [`RankFailure`].
    pub fn gather_values(&self, own: Vec<f32>) -> Vec<f32> {
        self.start_gather_values(own).wait()
    }

    /// This rank's part of the means over all ranks of `own`, whose number of values all ranks divide: gradients.
    pub fn start_scatter_means(&self, own: Vec<f32>) -> PendingValues {
        let (each, group) = (own.len() / self.ranks(), self.clone());
        let work: Pending<f32> = match &self.transport {
            Some(transport) => {
                let pending = self.wire.start_exchange(&**transport, own);
                Box::new(move || {
                    let mut sums = folded(&pending()?, each, |a, b| a + b);
                    group.divide(&mut sums);
                    Ok(sums)
                })
            }
            None => Box::new(move || Ok(own)),
        };
        PendingValues { group: self.clone(), work }
    }

    /// [`start_scatter_means`](Self::start_scatter_means), waited for. In the middle of a step, see [`RankFailure`].
    pub fn scatter_means(&self, own: Vec<f32>) -> Vec<f32> {
        self.start_scatter_means(own).wait()
    }

    fn divide(&self, sums: &mut [f32]) {
        let ranks = self.ranks() as f32;
        sums.iter_mut().for_each(|sum| *sum /= ranks);
    }

    /// `work` on values in the middle of a step; they stay as they are where there are no others.
    fn amid_step(
        &self,
        own: Vec<f32>,
        work: impl FnOnce(&dyn RankTransport, Vec<f32>) -> Result<Vec<f32>, String>,
    ) -> Vec<f32> {
        let Some(transport) = &self.transport else { return own };
        match work(&**transport, own) {
            Ok(values) => values,
            Err(reason) => std::panic::resume_unwind(Box::new(self.failure(reason))),
        }
    }

    /// This rank's part of the sums over all ranks: part `rank` of as many equal ones as there are ranks, the last filled up
    /// with zeros.
    fn reduce_scatter(
        &self,
        transport: &dyn RankTransport,
        mut own: Vec<f32>,
        wire: RankWire,
    ) -> Result<Vec<f32>, String> {
        let each = own.len().div_ceil(self.ranks());
        own.resize(each * self.ranks(), 0.0);
        Ok(folded(&wire.start_exchange(transport, own)()?, each, |a, b| a + b))
    }

    /// The sums over all ranks, on every rank.
    fn sums(&self, transport: &dyn RankTransport, own: Vec<f32>, wire: RankWire) -> Result<Vec<f32>, String> {
        let count = own.len();
        if count <= SHORT {
            return Ok(folded(&wire.start_gather(transport, own)()?, count, |a, b| a + b));
        }
        let part = self.reduce_scatter(transport, own, wire)?;
        let mut all = wire.start_gather(transport, part)()?;
        all.truncate(count);
        Ok(all)
    }

    fn checked<T>(&self, result: Result<T, String>) -> Result<T, RankFailure> {
        result.map_err(|reason| self.failure(reason))
    }

    fn failure(&self, reason: String) -> RankFailure {
        let host = self.transport.as_ref().map_or("this machine", |transport| transport.host()).to_owned();
        RankFailure { rank: self.rank(), ranks: self.ranks(), host, reason }
    }

    /// `work` on a tensor's values, in the middle of a step: see [`RankFailure`].
    fn on_values<const D: usize>(
        &self,
        tensor: Tensor<D>,
        rows: usize,
        work: impl FnOnce(&dyn RankTransport, Vec<f32>) -> Result<Vec<f32>, String>,
    ) -> Tensor<D> {
        if self.is_alone() {
            return tensor;
        }
        let tensor = tensor.without_autodiff();
        let (mut shape, device) = (tensor.dims(), tensor.device());
        let values = self.amid_step(on_host(tensor), work);
        shape[0] *= rows;
        Tensor::from_data(TensorData::new(values, shape), &device)
    }
}

/// A long list on its way between ranks.
pub struct PendingValues {
    group: RankGroup,
    work: Pending<f32>,
}

impl std::fmt::Debug for PendingValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "on its way to {:?}", self.group)
    }
}

impl PendingValues {
    /// What comes of it. In the middle of a step, see [`RankFailure`].
    pub fn wait(self) -> Vec<f32> {
        match (self.work)() {
            Ok(values) => values,
            Err(reason) => std::panic::resume_unwind(Box::new(self.group.failure(reason))),
        }
    }
}

/// A tensor's values; waits for the device.
pub fn on_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data();
    data.try_to_vec::<f32>().unwrap_or_else(|_| data.iter::<f32>().collect())
}

/// Parts of `each` values, folded in their order.
fn folded(all: &[f32], each: usize, of: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let mut parts = all.chunks_exact(each.max(1));
    let mut sums = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, value)| *sum = of(*sum, *value));
    }
    sums
}

impl Collective for RankGroup {
    fn ranks(&self) -> usize {
        self.transport.as_ref().map_or(1, |transport| transport.ranks())
    }
    fn rank(&self) -> usize {
        self.transport.as_ref().map_or(0, |transport| transport.rank())
    }
    fn sum<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        self.on_values(tensor, 1, |transport, own| self.sums(transport, own, RankWire::F32))
    }
    fn mean_values(&self, own: Vec<f32>) -> Vec<f32> {
        let mut sums = self.amid_step(own, |transport, own| self.sums(transport, own, self.wire));
        self.divide(&mut sums);
        sums
    }
    fn max<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        self.on_values(tensor, 1, |transport, own| {
            let count = own.len();
            Ok(folded(&transport.start_gather_floats(own)()?, count, f32::max))
        })
    }
    fn gather<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        self.on_values(tensor, self.ranks(), |transport, own| transport.start_gather_floats(own)())
    }
    fn any(&self, own: Vec<bool>) -> Vec<bool> {
        let Some(transport) = &self.transport else { return own };
        let count = own.len();
        match transport.gather_bytes(own.into_iter().map(u8::from).collect()) {
            Ok(all) => (0..count).map(|at| all.iter().skip(at).step_by(count).any(|is| *is > 0)).collect(),
            Err(reason) => std::panic::resume_unwind(Box::new(self.failure(reason))),
        }
    }
}

#[cfg(test)]
#[path = "ranks_tests.rs"]
mod tests;
