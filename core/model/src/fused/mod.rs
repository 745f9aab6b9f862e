//! The operations that a step spends its time in, fused, with backward passes written out by hand.
//!
//! A residual branch is one operation on the tape: it keeps what its backward needs and nothing else, gathers the
//! crops that stochastic depth left, and adds its result in one pass (Oquab et al. 2023, section 5). Each is made of
//! [`KernelOps`], which every backend has: composed out of burn's operations, the CPU twins on the CPU backend,
//! CubeCL on GPUs.

mod branch;
mod composed;
mod cpu;
mod gpu;
mod graphless;
mod loss;
mod matmul_precision;
mod optimiser;
pub mod packing;
mod programs;
mod shards;
mod simple;
mod tape;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod update;

use std::sync::Arc;

use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::Tensor;

pub use branch::{AttentionPlan, ComputePrecision, FeedForwardKind, FeedForwardPlan};
pub use graphless::{sinkhorn, softmax_center};
pub use loss::TargetPairs;
pub use matmul_precision::{MatmulPrecision, MatmulPrecisionScope};
pub use packing::SequencePacking;
pub use programs::{KernelOps, NeighbourViews};
pub use shards::{ShardExchange, ShardLayout};
pub use tape::{AutodiffOps, BranchParamTensors};
pub use update::{
    ClipFactors, GradNorms, MODULES, ParamUpdate, UpdateArenas, UpdateHyperparams, optimise, squared_norms,
    update_clipped,
};

/// LayerNorm over the last dimension, `[rows, dim]` to `[rows, dim]`.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::layer_norm_op(x, weight, bias, eps))
}

/// Rows divided by `max(|row|, eps)`, `[rows, dim]` to `[rows, dim]`.
pub fn l2_norm(x: Tensor<2>, eps: f64) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::l2_norm_op(x.into_dispatch(), eps))
}

/// Weight normalisation: row k is `gain_k v_k / |v_k|`. `v` `[rows, dim]`, `gain` `[rows]`.
pub fn weight_norm(v: Tensor<2>, gain: Tensor<1>) -> Tensor<2> {
    let (v, gain) = (v.into_dispatch(), gain.into_dispatch());
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::weight_norm_op(v, gain))
}

/// How far away the nearest neighbour is on the unit sphere, for the first `of.views * of.per_view` rows of `x`
/// `[rows, dim]`, each within its view: `[of.rows()]`. Gradients flow into both ends of each pair.
pub fn neighbour_distances(x: Tensor<2>, of: NeighbourViews) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::neighbour_distances_op(x.into_dispatch(), of))
}

/// `x Wᵀ + b`, `[rows, in]` to `[rows, out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::linear_op(x, weight, bias))
}

/// `gelu(x Wᵀ + b)`, `[rows, in]` to `[rows, out]`.
pub fn linear_gelu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::linear_gelu_op(x, weight, bias))
}

/// `x + scale · gamma · attention(norm(x))` over packed crops, `[tokens, dim]` to `[tokens, dim]`.
pub fn attention_branch(x: Tensor<2>, parameters: Vec<BranchParameter>, plan: AttentionPlan) -> Tensor<2> {
    let parameters = BranchParamTensors::new(parameters.into_iter().map(|p| p.0).collect());
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::attention_branch_op(x.into_dispatch(), parameters, plan))
}

/// `x + scale · gamma · ffn(norm(x))`, `[tokens, dim]` to `[tokens, dim]`.
pub fn feed_forward_branch(
    x: Tensor<2>,
    parameters: Vec<BranchParameter>,
    plan: FeedForwardPlan,
) -> Tensor<2> {
    let parameters = BranchParamTensors::new(parameters.into_iter().map(|p| p.0).collect());
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::feed_forward_branch_op(
        x.into_dispatch(),
        parameters,
        plan,
    ))
}

/// The one parameter of `layout`, in its shape, out of this process's `part` `[n]` and those of the others. Its gradient is sent off
/// ([`ShardExchange::scatter_means`]), where the part requires one.
pub fn gathered<const D: usize>(part: Tensor<1>, layout: ShardLayout) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as AutodiffOps>::gathered_op(part.into_dispatch(), layout))
}

/// A parameter of a branch, whatever its shape.
pub struct BranchParameter(DispatchTensor);

impl<const D: usize> From<Tensor<D>> for BranchParameter {
    fn from(tensor: Tensor<D>) -> Self {
        Self(tensor.into_dispatch())
    }
}

/// Cross-entropy of student rows against the teacher's targets.
#[derive(Clone, Debug)]
pub struct CrossEntropyOutput {
    /// `[rows]`: sum over the row's targets.
    pub loss: Tensor<1>,
    /// `[rows]`: entropy of the student's softmax, without a graph.
    pub entropy: Tensor<1>,
}

/// Cross-entropy of `z` `[rows, bottleneck]` against `targets` `[target rows, K]` over prototypes `directions`
/// `[K, bottleneck]`; the logits exist one chunk at a time.
pub fn cross_entropy(
    z: Tensor<2>,
    directions: Tensor<2>,
    targets: Tensor<2>,
    pairs: Arc<TargetPairs>,
    temperature: f64,
) -> CrossEntropyOutput {
    let (z, directions, targets) = (z.into_dispatch(), directions.into_dispatch(), targets.into_dispatch());
    let (loss, entropy) =
        <Dispatch as AutodiffOps>::cross_entropy_op(z, directions, targets, pairs, temperature);
    CrossEntropyOutput { loss: Tensor::from_dispatch(loss), entropy: Tensor::from_dispatch(entropy) }
}
