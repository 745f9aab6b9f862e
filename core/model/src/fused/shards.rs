//! Parameters of which every process holds a part: whole for as long as an operation needs them, forward and backward.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{TensorData, read_sync};

use super::branch::BranchPlan;
use super::programs::KernelOps;

/// Carries values between the processes that share parameters, for one pass forward and back. All make the same calls in the same
/// order, with equal lengths.
pub trait ShardExchange: Debug + Send + Sync {
    /// How many processes there are.
    fn processes(&self) -> usize;
    /// What all processes have of a unit, in their order; `own` reads what this one has.
    fn gather(&self, unit: usize, own: &dyn Fn() -> Vec<f32>) -> Vec<f32>;
    /// Has the means over all processes taken of a unit's gradients, and keeps this process's part of them for whoever wants it after
    /// the pass: part `i` of `all`, cut into as many equal parts as there are processes, belongs to process `i`.
    fn scatter_means(&self, unit: usize, all: Vec<f32>);
}

/// How parameters that lie one behind the other are cut into equal parts, the last filled up with zeros.
#[derive(Clone, Debug)]
pub struct ShardLayout {
    /// Its number.
    pub unit: usize,
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
        let all = self.exchange.gather(self.unit, &|| host::<B>(part.clone()));
        let mut start = 0;
        let of_shape = |shape: &Vec<usize>| {
            let end = start + shape.iter().product::<usize>();
            let values = all[start..end].to_vec();
            start = end;
            B::float_from_data(TensorData::new(values, shape.clone()), &device)
        };
        self.shapes.iter().map(of_shape).collect()
    }

    /// Sends the parameters' `gradients` off; none where nothing was computed here.
    pub(super) fn scatter<B: Backend>(&self, gradients: Vec<FloatTensor<B>>) {
        let length = self.length();
        let mut all = Vec::with_capacity(length + self.exchange.processes());
        gradients.into_iter().for_each(|gradient| all.extend(host::<B>(gradient)));
        all.resize(length.next_multiple_of(self.exchange.processes()), 0.0);
        self.exchange.scatter_means(self.unit, all);
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

/// A branch backward: gradients of `x` and of `held`; of shared parameters none, which are sent off.
pub(super) fn backward<B: KernelOps, P: BranchPlan>(
    plan: &P,
    x: FloatTensor<B>,
    held: &[FloatTensor<B>],
    saved: Option<P::Saved<B>>,
    gradient: FloatTensor<B>,
) -> (FloatTensor<B>, Vec<FloatTensor<B>>) {
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
        Some(layout) => {
            layout.scatter::<B>(gradients);
            (dx, Vec::new())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::block::{BlockShards, BranchShard};
    use crate::{Vit, VitConfig, params};

    /// A process by itself, which writes down what it is asked for.
    #[derive(Debug, Default)]
    struct Asked {
        calls: Mutex<Vec<(&'static str, usize)>>,
        gradients: Mutex<BTreeMap<usize, Vec<f32>>>,
    }

    impl ShardExchange for Asked {
        fn processes(&self) -> usize {
            1
        }
        fn gather(&self, unit: usize, own: &dyn Fn() -> Vec<f32>) -> Vec<f32> {
            self.calls.lock().unwrap().push(("gather", unit));
            own()
        }
        fn scatter_means(&self, unit: usize, all: Vec<f32>) {
            self.calls.lock().unwrap().push(("scatter", unit));
            self.gradients.lock().unwrap().insert(unit, all);
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
        let mut units: Vec<Vec<String>> = Vec::new();
        for (at, block) in shared.blocks.iter_mut().enumerate() {
            let mut of = |fields: [&str; 3]| {
                let own = |name: &str| {
                    let rest = name.strip_prefix(&format!("blocks.{at}.")).unwrap_or_default();
                    fields.iter().any(|field| rest.starts_with(&format!("{field}.")))
                };
                let (names, shapes): (Vec<_>, Vec<_>) =
                    shapes.iter().filter(|(name, _)| own(name)).cloned().unzip();
                let values = names.iter().map(|name| named[name].clone()).collect();
                let (unit, shapes) = (units.len(), Arc::new(shapes));
                units.push(names);
                BranchShard {
                    part: Tensor::cat(values, 0).autodiff().require_grad(),
                    layout: ShardLayout { unit, shapes, exchange: asked.clone() },
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
        drop(loss(&shared).backward());
        let gradients = asked.gradients.lock().unwrap();
        for (unit, names) in units.iter().enumerate() {
            let wanted = Tensor::cat(names.iter().map(|name| wanted[name].clone()).collect(), 0);
            assert_eq!(gradients[&unit], wanted.into_data().iter::<f32>().collect::<Vec<_>>());
        }
        let there = (0..4).map(|unit| ("gather", unit));
        let back = (0..4).rev().flat_map(|unit| [("gather", unit), ("scatter", unit)]);
        let wanted: Vec<_> = there.chain(back).collect();
        assert_eq!(*asked.calls.lock().unwrap(), wanted, "a branch at a time, and none is kept");
    }
}
