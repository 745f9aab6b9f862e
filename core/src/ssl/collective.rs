//! Sums and maxima that the method takes over the whole batch, wherever its parts live.

use burn::tensor::Tensor;

/// How the processes of one training run add things up.
///
/// Everything that the method sums over all images of a step goes through this: Sinkhorn's totals, softmax centres,
/// gradients, figures. A run in one process uses [`OneProcess`], one of several a
/// [`RankGroup`](super::ranks::RankGroup). All processes call the same in the same order, with tensors of the same shape.
pub trait Collective: Clone + Send + 'static {
    /// Number of processes.
    fn ranks(&self) -> usize;
    /// The number of this one, from 0.
    fn rank(&self) -> usize;
    /// The sum of `tensor` over all processes, on every process; to the bit the same on each.
    fn sum<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D>;
    /// The largest of each element of `tensor` over all processes, on every process.
    fn max<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D>;
    /// Rows of all processes below each other, in the order of their numbers: `[rows, …]` to `[ranks rows, …]`, on the
    /// device of `tensor` and without a graph.
    fn gather<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D>;
    /// Whether it is so on any process.
    fn any(&self, own: Vec<bool>) -> Vec<bool>;
    /// The means of long lists over all processes, on every process: gradients. A run may have them rounded on their way.
    fn mean_values(&self, own: Vec<f32>) -> Vec<f32>;

    /// The mean of `tensor` over all processes, on every process.
    fn mean<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self.ranks() {
            1 => tensor,
            ranks => self.sum(tensor).div_scalar(ranks as f64),
        }
    }
}

/// A run in a single process: every sum is already complete.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneProcess;

impl Collective for OneProcess {
    fn ranks(&self) -> usize {
        1
    }
    fn rank(&self) -> usize {
        0
    }
    fn sum<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        tensor
    }
    fn max<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        tensor
    }
    fn gather<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        tensor
    }
    fn any(&self, own: Vec<bool>) -> Vec<bool> {
        own
    }
    fn mean_values(&self, own: Vec<f32>) -> Vec<f32> {
        own
    }
}
