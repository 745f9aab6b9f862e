//! Sums that the method takes over the whole batch, wherever its parts live.

use burn::tensor::Tensor;

/// How the processes of one training run add things up.
///
/// Everything that the method sums over all images of a step goes through this: Sinkhorn's totals,
/// softmax centres, gradients. A run in one process uses [`OneProcess`].
pub trait Collective {
    /// Number of processes.
    fn ranks(&self) -> usize;
    /// The sum of `tensor` over all processes, on every process.
    fn sum<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D>;
}

/// A run in a single process: every sum is already complete.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneProcess;

impl Collective for OneProcess {
    fn ranks(&self) -> usize {
        1
    }
    fn sum<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        tensor
    }
}
