//! Parameters of which every process holds a part: whole for as long as an operation needs them, forward and backward.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{TensorData, read_sync};

use super::branch::BranchPlan;
use super::programs::KernelOps;

/// Carries values between the processes that share parameters. All make the same calls in the same order, with equal lengths.
pub trait ShardExchange: Debug + Send + Sync {
    /// How many processes there are.
    fn processes(&self) -> usize;
    /// What all processes have, in their order.
    fn gather(&self, own: Vec<f32>) -> Vec<f32>;
    /// This process's part of the means over all processes: part `i` of `all`, cut into as many equal parts as there are
    /// processes, belongs to process `i`.
    fn scatter_means(&self, all: Vec<f32>) -> Vec<f32>;
}

/// How parameters that lie one behind the other are cut into equal parts, the last filled up with zeros.
#[derive(Clone, Debug)]
pub struct ShardLayout {
    /// The parameters' shapes, in their order.
    pub shapes: Arc<Vec<Vec<usize>>>,
    /// The other processes.
    pub exchange: Arc<dyn ShardExchange>,
}

impl ShardLayout {
    /// Values of all parameters.
    fn length(&self) -> usize {
        self.shapes.iter().map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// All parameters, out of this process's `part` and those of the others.
    pub(super) fn gather<B: Backend>(&self, part: &FloatTensor<B>) -> Vec<FloatTensor<B>> {
        let device = part.device();
        let all = self.exchange.gather(host::<B>(part.clone()));
        let mut start = 0;
        let of_shape = |shape: &Vec<usize>| {
            let end = start + shape.iter().product::<usize>();
            let values = all[start..end].to_vec();
            start = end;
            B::float_from_data(TensorData::new(values, shape.clone()), &device)
        };
        self.shapes.iter().map(of_shape).collect()
    }

    /// This process's part of the means over all processes of the parameters' `gradients`; none where nothing was computed here.
    pub(super) fn scatter<B: Backend>(
        &self,
        gradients: Vec<FloatTensor<B>>,
        device: &Device<B>,
    ) -> FloatTensor<B> {
        let length = self.length();
        let mut all = Vec::with_capacity(length + self.exchange.processes());
        gradients.into_iter().for_each(|gradient| all.extend(host::<B>(gradient)));
        all.resize(length.next_multiple_of(self.exchange.processes()), 0.0);
        let part = self.exchange.scatter_means(all);
        let length = part.len();
        B::float_from_data(TensorData::new(part, [length]), device)
    }
}

/// A tensor's values.
///
/// # Panics
/// When the device fails to hand over its memory, as burn does in the middle of a pass.
fn host<B: Backend>(tensor: FloatTensor<B>) -> Vec<f32> {
    match read_sync(B::float_into_data(tensor)) {
        Ok(data) => data.try_to_vec::<f32>().unwrap_or_else(|_| data.iter::<f32>().collect()),
        Err(error) => panic!("{error}"),
    }
}

/// The parameters that a branch computes with; behind them what has no gradient.
fn whole<B: KernelOps, P: BranchPlan>(plan: &P, held: &[FloatTensor<B>]) -> Vec<FloatTensor<B>> {
    match plan.shards() {
        None => held.to_vec(),
        Some(layout) => {
            let mut all = layout.gather::<B>(&held[0]);
            all.extend(held[1..].iter().cloned());
            all
        }
    }
}

/// A branch forward. `held` has its parameters, or this process's part of them; they are let go afterwards. Nothing is saved where the
/// branch has no crops, whose parameters other processes may need all the same.
pub(super) fn forward<B: KernelOps, P: BranchPlan>(
    plan: &P,
    x: FloatTensor<B>,
    held: &[FloatTensor<B>],
) -> (FloatTensor<B>, Option<P::Saved<B>>) {
    let parameters = whole::<B, P>(plan, held);
    if plan.is_empty() {
        return (x, None);
    }
    let (y, saved) = plan.forward::<B>(x, &parameters);
    (y, Some(saved))
}

/// A branch backward: gradients of `x` and of `held`.
pub(super) fn backward<B: KernelOps, P: BranchPlan>(
    plan: &P,
    x: FloatTensor<B>,
    held: &[FloatTensor<B>],
    saved: Option<P::Saved<B>>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, Vec<FloatTensor<B>>) {
    let device = x.device();
    let parameters = whole::<B, P>(plan, held);
    let (dx, gradients) = match plan.is_empty() {
        true => (gradient, Vec::new()),
        false => {
            let saved = saved.unwrap_or_else(|| plan.forward::<B>(x.clone(), &parameters).1);
            plan.backward::<B>(x, &parameters, saved, gradient)
        }
    };
    // The next branch's are gathered once these are gone.
    drop(parameters);
    match plan.shards() {
        None => (dx, gradients),
        Some(layout) => (dx, vec![layout.scatter::<B>(gradients, &device)]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::block::{BlockShards, BranchShard};
    use crate::{Vit, VitConfig, params};

    /// A process by itself, which writes down what it is asked for.
    #[derive(Debug, Default)]
    struct Asked(Mutex<Vec<(&'static str, usize)>>);

    impl ShardExchange for Asked {
        fn processes(&self) -> usize {
            1
        }
        fn gather(&self, own: Vec<f32>) -> Vec<f32> {
            self.0.lock().unwrap().push(("gather", own.len()));
            own
        }
        fn scatter_means(&self, all: Vec<f32>) -> Vec<f32> {
            self.0.lock().unwrap().push(("scatter", all.len()));
            all
        }
    }

    #[test]
    fn branches_gather_what_they_need_and_again_on_the_way_back() {
        let device = Device::flex().autodiff();
        let plain = Vit::init(&VitConfig::new(28, 14, 12, 2, 2), 3, &device);
        let images = Tensor::random([2, 3, 28, 28], Distribution::Default, &device);
        let loss = |vit: &Vit| vit.forward(images.clone(), None).patches.square().sum();
        let mut gradients = loss(&plain).backward();
        let wanted = params::take_gradients(&plain, &mut gradients);

        let asked = Arc::new(Asked::default());
        let mut shared = plain.clone();
        let named = params::values(&plain);
        let mut shapes = Vec::new();
        params::visit(&plain, |seen| shapes.push((seen.name.to_owned(), seen.shape)));
        let mut leaves = Vec::new();
        for (at, block) in shared.blocks.iter_mut().enumerate() {
            let mut of = |fields: [&str; 3]| {
                let own = |name: &str| {
                    let rest = name.strip_prefix(&format!("blocks.{at}.")).unwrap_or_default();
                    fields.iter().any(|field| rest.starts_with(&format!("{field}.")))
                };
                let (names, shapes): (Vec<_>, Vec<_>) =
                    shapes.iter().filter(|(name, _)| own(name)).cloned().unzip();
                let values = names.iter().map(|name| named[name].clone()).collect();
                let part = Tensor::cat(values, 0).autodiff().require_grad();
                leaves.push((names, part.clone()));
                BranchShard {
                    part,
                    layout: ShardLayout { shapes: Arc::new(shapes), exchange: asked.clone() },
                }
            };
            let attention = of(["norm1", "attn", "ls1"]);
            block.shards = Some(BlockShards { attention, feed_forward: of(["norm2", "mlp", "ls2"]) });
        }
        // What the fields hold is not looked at.
        shared = params::replace(shared, |name| {
            let (_, shape) = shapes.iter().find(|(of, _)| of == name && name.starts_with("blocks."))?;
            Some((Tensor::zeros([1], &device), vec![1; shape.len()]))
        });
        let mut gradients = loss(&shared).backward();
        for (names, leaf) in leaves {
            let wanted = Tensor::cat(names.iter().map(|name| wanted[name].clone()).collect(), 0);
            assert_eq!(leaf.grad_remove(&mut gradients).unwrap().into_data(), wanted.into_data());
        }
        let asked = asked.0.lock().unwrap().clone();
        let kinds: Vec<&str> = asked.iter().map(|(kind, _)| *kind).collect();
        let there = ["gather"; 4];
        let back = ["gather", "scatter"].repeat(4);
        assert_eq!(kinds, [&there[..], &back[..]].concat(), "a branch at a time, and none is kept");
        let sizes =
            |range: std::ops::Range<usize>| asked[range].iter().map(|(_, size)| *size).collect::<Vec<_>>();
        let mut reversed = sizes(4..12);
        reversed.dedup();
        reversed.reverse();
        assert_eq!(sizes(0..4), reversed, "the last one first");
    }
}
