//! The fused operations on burn's tape.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, ExtensionType, Flex, backend_extension};
use burn_cubecl::CubeBackend;

use super::branch::{AttentionPlan, BranchPlan, FeedForwardPlan};
use super::loss::TargetPairs;
use super::programs::{KernelOps, NeighbourState, NeighbourViews};
use super::shards::{self, ShardLayout};
use super::simple;

/// Parameters of a branch in their order. Where there are fewer than eight, the rest repeats the first.
#[derive(Clone, Debug, ExtensionType)]
pub struct BranchParamTensors<B: Backend> {
    p0: FloatTensor<B>,
    p1: FloatTensor<B>,
    p2: FloatTensor<B>,
    p3: FloatTensor<B>,
    p4: FloatTensor<B>,
    p5: FloatTensor<B>,
    p6: FloatTensor<B>,
    p7: FloatTensor<B>,
    count: usize,
}

impl<B: Backend> BranchParamTensors<B> {
    /// # Panics
    /// Without parameters; a branch has five at least.
    pub(super) fn new(list: Vec<FloatTensor<B>>) -> Self {
        let count = list.len();
        let mut rest = list.iter().cloned().chain(std::iter::repeat(list[0].clone()));
        let [p0, p1, p2, p3, p4, p5, p6, p7] =
            std::array::from_fn(|_| rest.next().unwrap_or_else(|| list[0].clone()));
        Self { p0, p1, p2, p3, p4, p5, p6, p7, count }
    }

    fn list(self) -> Vec<FloatTensor<B>> {
        let mut list = vec![self.p0, self.p1, self.p2, self.p3, self.p4, self.p5, self.p6, self.p7];
        list.truncate(self.count);
        list
    }
}

/// The fused operations as every device has them; call the functions of [`super`].
#[backend_extension(Cube, Flex, Autodiff)]
pub trait AutodiffOps: Backend {
    /// See [`super::layer_norm`].
    fn layer_norm_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self>;

    /// See [`super::l2_norm`].
    fn l2_norm_op(x: FloatTensor<Self>, eps: f64) -> FloatTensor<Self>;

    /// See [`super::weight_norm`].
    fn weight_norm_op(v: FloatTensor<Self>, gain: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`super::neighbour_distances`].
    fn neighbour_distances_op(x: FloatTensor<Self>, of: NeighbourViews) -> FloatTensor<Self>;

    /// See [`super::linear`].
    fn linear_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// See [`super::linear_gelu`].
    fn linear_gelu_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// See [`super::attention_branch`].
    fn attention_branch_op(
        x: FloatTensor<Self>,
        #[extension_type] parameters: BranchParamTensors<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self>;

    /// See [`super::feed_forward_branch`].
    fn feed_forward_branch_op(
        x: FloatTensor<Self>,
        #[extension_type] parameters: BranchParamTensors<Self>,
        plan: FeedForwardPlan,
    ) -> FloatTensor<Self>;

    /// See [`super::gathered`].
    fn gathered_op(part: FloatTensor<Self>, layout: ShardLayout) -> FloatTensor<Self>;

    /// See [`super::cross_entropy`]; loss and entropy.
    fn cross_entropy_op(
        z: FloatTensor<Self>,
        directions: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        pairs: Arc<TargetPairs>,
        temperature: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

macro_rules! without_graph {
    ($($backend:ty),*) => { $(impl AutodiffOps for $backend {
        fn layer_norm_op(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            eps: f64,
        ) -> FloatTensor<Self> {
            <Self as KernelOps>::layer_norm(x, None, weight, bias, eps).0
        }

        fn l2_norm_op(x: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
            <Self as KernelOps>::l2_norm(x, None, eps).0
        }

        fn weight_norm_op(v: FloatTensor<Self>, gain: FloatTensor<Self>) -> FloatTensor<Self> {
            <Self as KernelOps>::l2_norm(v, Some(gain), 0.0).0
        }

        fn neighbour_distances_op(x: FloatTensor<Self>, of: NeighbourViews) -> FloatTensor<Self> {
            <Self as KernelOps>::neighbour_distances(x, of).0
        }

        fn linear_op(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            simple::linear::<Self>(x, weight, bias)
        }

        fn linear_gelu_op(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            <Self as KernelOps>::gelu(<Self as KernelOps>::matmul(x, false, weight, true), bias)
        }

        fn attention_branch_op(
            x: FloatTensor<Self>,
            parameters: BranchParamTensors<Self>,
            plan: AttentionPlan,
        ) -> FloatTensor<Self> {
            shards::forward::<Self, _>(&plan, x, &parameters.list()).0
        }

        fn feed_forward_branch_op(
            x: FloatTensor<Self>,
            parameters: BranchParamTensors<Self>,
            plan: FeedForwardPlan,
        ) -> FloatTensor<Self> {
            shards::forward::<Self, _>(&plan, x, &parameters.list()).0
        }

        fn gathered_op(part: FloatTensor<Self>, layout: ShardLayout) -> FloatTensor<Self> {
            layout.gather::<Self>(&part).swap_remove(0)
        }

        fn cross_entropy_op(
            z: FloatTensor<Self>,
            directions: FloatTensor<Self>,
            targets: FloatTensor<Self>,
            pairs: Arc<TargetPairs>,
            temperature: f64,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let (loss, _, entropy) = Self::cross_entropy(z, directions, targets, &pairs, temperature);
            (loss, entropy)
        }
    })* };
}
without_graph!(Flex, CubeBackend);

/// Operands of an operation: `x` and at most eight parameters; places that are not needed hold constants.
const OPERANDS: usize = 9;

/// Hands each operand that is on the tape its gradient.
fn register<B: Backend>(
    grads: &mut Gradients,
    parents: impl IntoIterator<Item = Option<NodeId>>,
    gradients: impl IntoIterator<Item = Option<FloatTensor<B>>>,
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let (Some(parent), Some(gradient)) = (parent, gradient) {
            grads.register::<B>(parent, gradient);
        }
    }
}

#[derive(Debug)]
struct BranchBackward<P>(P);

/// Kept for the way back: `x`, the parameters (or this process's part of them), and what the branch saved unless it is computed again.
#[derive(Clone, Debug)]
struct BranchState<B: KernelOps, P: BranchPlan> {
    x: FloatTensor<B>,
    parameters: Vec<FloatTensor<B>>,
    saved: Option<P::Saved<B>>,
}

impl<B: KernelOps, P: BranchPlan> Backward<B, OPERANDS> for BranchBackward<P> {
    type State = BranchState<B, P>;

    fn backward(self, ops: Ops<Self::State, OPERANDS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let BranchState { x, parameters, saved } = ops.state;
        let (dx, gradients) = shards::backward::<B, P>(&self.0, x, &parameters, saved, gradient);
        register::<B>(
            grads,
            ops.parents.map(|node| node.map(|node| node.id)),
            std::iter::once(dx).chain(gradients).map(Some),
        );
    }
}

fn branch<B: KernelOps, C: CheckpointStrategy, P: BranchPlan>(
    x: FloatTensor<Autodiff<B, C>>,
    parameters: Vec<FloatTensor<Autodiff<B, C>>>,
    plan: P,
) -> FloatTensor<Autodiff<B, C>> {
    let constant = || Autodiff::<B, C>::from_inner(x.primitive().clone()).node();
    let nodes = std::array::from_fn(|i| match i {
        0 => x.node(),
        i => parameters.get(i - 1).map_or_else(constant, |p| p.node()),
    });
    let values: Vec<_> = parameters.iter().map(|p| p.primitive().clone()).collect();
    let input = x.primitive().clone();
    match BranchBackward(plan.clone()).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (y, saved) = shards::forward::<B, P>(&plan, input.clone(), &values);
            let saved = saved.filter(|_| !plan.checkpoint());
            prep.finish(BranchState { x: input, parameters: values, saved }, y)
        }
        OpsKind::UnTracked(prep) => prep.finish(shards::forward::<B, P>(&plan, input, &values).0),
    }
}

#[derive(Debug)]
struct NormBackward;

impl<B: KernelOps> Backward<B, 3> for NormBackward {
    /// `x`, weight, statistics.
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, weight, stats) = ops.state;
        let (dx, dw, db) = <B as KernelOps>::layer_norm_backward(x, None, weight, stats, gradient, None);
        register::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), [dx, dw, db].map(Some));
    }
}

/// With the floor of a row's length.
#[derive(Debug)]
struct L2NormBackward(f64);

impl<B: KernelOps> Backward<B, 1> for L2NormBackward {
    /// `x`, one over the lengths of its rows.
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, inverse) = ops.state;
        let (dx, _) = B::l2_norm_backward(x, None, inverse, gradient, self.0);
        register::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), [Some(dx)]);
    }
}

#[derive(Debug)]
struct WeightNormBackward;

impl<B: KernelOps> Backward<B, 2> for WeightNormBackward {
    /// `v`, gain, one over the lengths of the rows of `v`.
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (v, gain, inverse) = ops.state;
        let (dv, d_gain) = B::l2_norm_backward(v, Some(gain), inverse, gradient, 0.0);
        register::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), [dv, d_gain].map(Some));
    }
}

#[derive(Debug)]
struct NeighbourBackward(NeighbourViews);

impl<B: KernelOps> Backward<B, 1> for NeighbourBackward {
    /// `x`, and what the program left.
    type State = (FloatTensor<B>, NeighbourState<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, state) = ops.state;
        let dx = B::neighbour_distances_backward(x, state, self.0, gradient);
        register::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), [Some(dx)]);
    }
}

#[derive(Debug)]
struct LinearBackward;

impl<B: KernelOps> Backward<B, 3> for LinearBackward {
    /// `x`, weight.
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, weight) = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = simple::linear_backward::<B>(x, weight, gradient, wanted);
        register::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), gradients);
    }
}

#[derive(Debug)]
struct LinearGeluBackward;

impl<B: KernelOps> Backward<B, 3> for LinearGeluBackward {
    /// `x`, weight, bias, the product without its bias.
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, weight, bias, hidden) = ops.state;
        let (d_hidden, _, d_bias) = <B as KernelOps>::gelu_backward(hidden, bias, gradient);
        let wanted = [ops.parents[0].is_some(), ops.parents[1].is_some(), false];
        let [dx, dw, _] = simple::linear_backward::<B>(x, weight, d_hidden, wanted);
        register::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), [dx, dw, Some(d_bias)]);
    }
}

#[derive(Debug)]
struct GatheredBackward(ShardLayout);

impl<B: KernelOps> Backward<B, 1> for GatheredBackward {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        self.0.scatter::<B>(vec![grads.consume::<B>(&ops.node)]);
    }
}

#[derive(Debug)]
struct CrossEntropyBackward;

#[derive(Clone, Debug)]
struct CrossEntropyState<B: Backend> {
    z: FloatTensor<B>,
    directions: FloatTensor<B>,
    targets: FloatTensor<B>,
    /// For the way back, as the program left them.
    stats: FloatTensor<B>,
    pairs: Arc<TargetPairs>,
    temperature: f64,
}

impl<B: KernelOps> Backward<B, 2> for CrossEntropyBackward {
    type State = CrossEntropyState<B>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let CrossEntropyState { z, directions, targets, stats, pairs, temperature } = ops.state;
        let (dz, dd) =
            B::cross_entropy_backward(z, directions, targets, &pairs, temperature, stats, gradient);
        register::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), [dz, dd].map(Some));
    }
}

impl<B: KernelOps + AutodiffOps, C: CheckpointStrategy> AutodiffOps for Autodiff<B, C> {
    fn layer_norm_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        let (xv, wv, bv) = (x.primitive().clone(), weight.primitive().clone(), bias.primitive().clone());
        let (y, stats) = <B as KernelOps>::layer_norm(xv.clone(), None, wv.clone(), bv, eps);
        match NormBackward.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((xv, wv, stats), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn l2_norm_op(x: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        let (y, inverse) = B::l2_norm(x.primitive().clone(), None, eps);
        match L2NormBackward(eps).prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.into_primitive(), inverse), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn weight_norm_op(v: FloatTensor<Self>, gain: FloatTensor<Self>) -> FloatTensor<Self> {
        let (value, scale) = (v.primitive().clone(), gain.primitive().clone());
        let (y, inverse) = B::l2_norm(value.clone(), Some(scale.clone()), 0.0);
        match WeightNormBackward.prepare::<C>([v.node(), gain.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((value, scale, inverse), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn neighbour_distances_op(x: FloatTensor<Self>, of: NeighbourViews) -> FloatTensor<Self> {
        let (distance, state) = B::neighbour_distances(x.primitive().clone(), of);
        match NeighbourBackward(of).prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.into_primitive(), state), distance),
            OpsKind::UnTracked(prep) => prep.finish(distance),
        }
    }

    fn linear_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (xv, wv) = (x.primitive().clone(), weight.primitive().clone());
        let nodes = [x.node(), weight.node(), bias.node()];
        let y = simple::linear::<B>(xv.clone(), wv.clone(), bias.into_primitive());
        match LinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((xv, wv), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn linear_gelu_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (xv, wv, bv) = (x.primitive().clone(), weight.primitive().clone(), bias.primitive().clone());
        let hidden = <B as KernelOps>::matmul(xv.clone(), false, wv.clone(), true);
        let y = <B as KernelOps>::gelu(hidden.clone(), bv.clone());
        let nodes = [x.node(), weight.node(), bias.node()];
        match LinearGeluBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((xv, wv, bv, hidden), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn attention_branch_op(
        x: FloatTensor<Self>,
        parameters: BranchParamTensors<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self> {
        branch::<B, C, _>(x, parameters.list(), plan)
    }

    fn feed_forward_branch_op(
        x: FloatTensor<Self>,
        parameters: BranchParamTensors<Self>,
        plan: FeedForwardPlan,
    ) -> FloatTensor<Self> {
        branch::<B, C, _>(x, parameters.list(), plan)
    }

    fn gathered_op(part: FloatTensor<Self>, layout: ShardLayout) -> FloatTensor<Self> {
        let whole = layout.gather::<B>(part.primitive()).swap_remove(0);
        match GatheredBackward(layout).prepare::<C>([part.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((), whole),
            OpsKind::UnTracked(prep) => prep.finish(whole),
        }
    }

    fn cross_entropy_op(
        z: FloatTensor<Self>,
        directions: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        pairs: Arc<TargetPairs>,
        temperature: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [z.node(), directions.node()];
        let (z, directions, targets) =
            (z.into_primitive(), directions.into_primitive(), targets.into_primitive());
        let (loss, stats, entropy) =
            B::cross_entropy(z.clone(), directions.clone(), targets.clone(), &pairs, temperature);
        let loss = match CrossEntropyBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(CrossEntropyState { z, directions, targets, stats, pairs, temperature }, loss)
            }
            OpsKind::UnTracked(prep) => prep.finish(loss),
        };
        (loss, Self::from_inner(entropy))
    }
}
