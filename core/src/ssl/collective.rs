//! Sums and maxima that the method takes over the whole batch, wherever its parts live.

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
    /// The largest of each element of `tensor` over all processes, on every process.
    fn max<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D>;
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
    fn max<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        tensor
    }
}

#[cfg(test)]
pub(super) mod threads {
    use std::sync::{Arc, Barrier, Mutex};

    use burn::tensor::TensorData;

    use super::*;

    /// A process of a run, played by a thread: what each has is laid down for all.
    pub struct ThreadRank {
        rank: usize,
        table: Arc<Mutex<Vec<Vec<f32>>>>,
        barrier: Arc<Barrier>,
    }

    impl ThreadRank {
        /// All ranks of a run of so many.
        pub fn all(count: usize) -> Vec<Self> {
            let table = Arc::new(Mutex::new(vec![Vec::new(); count]));
            let barrier = Arc::new(Barrier::new(count));
            let rank = |rank| Self { rank, table: table.clone(), barrier: barrier.clone() };
            (0..count).map(rank).collect()
        }

        /// Its number, from 0.
        pub fn rank(&self) -> usize {
            self.rank
        }

        fn fold<const D: usize>(&self, tensor: Tensor<D>, of: impl Fn(f32, f32) -> f32) -> Tensor<D> {
            let (shape, device) = (tensor.shape(), tensor.device());
            self.table.lock().unwrap()[self.rank] = tensor.into_data().iter::<f32>().collect();
            self.barrier.wait();
            let laid = self.table.lock().unwrap().clone();
            // Nobody lays down the next before all have read this.
            self.barrier.wait();
            let mut rest = laid.into_iter();
            let mut folded = rest.next().unwrap();
            rest.for_each(|other| folded.iter_mut().zip(other).for_each(|(a, b)| *a = of(*a, b)));
            Tensor::from_data(TensorData::new(folded, shape), &device)
        }
    }

    impl Collective for ThreadRank {
        fn ranks(&self) -> usize {
            self.table.lock().unwrap().len()
        }
        fn sum<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
            self.fold(tensor, |a, b| a + b)
        }
        fn max<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
            self.fold(tensor, f32::max)
        }
    }
}
