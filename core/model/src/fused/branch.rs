//! The two residual branches of a block, forward and backward.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{FloatDType, TensorMetadata};
use dinoscope_shaders::rope::RopeTurn;

use super::composed::{cast, full};
use super::programs::{KeptCrops, KernelOps};
use super::shards::ShardLayout;
use crate::fused::packing::{CropSubset, SequencePacking};

/// Numbers that a branch computes with; the residual stream, norms and softmax are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComputePrecision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with 10 of mantissa; gradients need a loss scale.
    F16,
    /// 16 bits with the range of f32.
    Bf16,
}

impl ComputePrecision {
    fn float(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::Bf16 => FloatDType::BF16,
        }
    }
}

/// How an attention branch runs. Its parameters: norm's weight and bias, qkv's weight and bias (if there is one),
/// the projection's weight and bias, gamma (if there is one); behind them the table of rotary positions (if there is one),
/// which has no gradient.
#[derive(Clone, Debug)]
pub struct AttentionPlan {
    /// All crops.
    pub packing: Arc<SequencePacking>,
    /// The crops that are computed, where some are dropped.
    pub subset: Option<Arc<CropSubset>>,
    /// Attention heads.
    pub heads: usize,
    /// Whether qkv has a bias.
    pub qkv_bias: bool,
    /// Whether the keys' part of it is trained.
    pub key_bias: bool,
    /// Whether queries and keys are turned by their position.
    pub rope: bool,
    /// Whether there is a LayerScale.
    pub gamma: bool,
    /// Epsilon of the norm.
    pub eps: f64,
    /// Numbers to compute with.
    pub precision: ComputePrecision,
    /// Keep only the input and compute the rest again on the way back.
    pub checkpoint: bool,
    /// Where processes share the parameters: in place of them stands this process's part.
    pub shards: Option<ShardLayout>,
}

/// Kind of feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForwardKind {
    /// `fc2(gelu(fc1(x)))`
    Mlp,
    /// `w3(silu(gate) value)`
    SwiGlu,
}

/// How a feed-forward branch runs. Its parameters: norm's weight and bias, weight and bias of the first and of the
/// second layer, gamma (if there is one).
#[derive(Clone, Debug)]
pub struct FeedForwardPlan {
    /// The crops that are computed, where some are dropped.
    pub subset: Option<Arc<CropSubset>>,
    /// Kind of network.
    pub kind: FeedForwardKind,
    /// Whether there is a LayerScale.
    pub gamma: bool,
    /// Epsilon of the norm.
    pub eps: f64,
    /// Numbers to compute with.
    pub precision: ComputePrecision,
    /// Keep only the input and compute the rest again on the way back.
    pub checkpoint: bool,
    /// Where processes share the parameters: in place of them stands this process's part.
    pub shards: Option<ShardLayout>,
}

/// What both kinds of branch have: how to run, and what to keep.
pub(super) trait BranchPlan: Clone + std::fmt::Debug + Send + 'static {
    /// What the backward pass needs beside `x` and the parameters.
    type Saved<B: KernelOps>: Clone + std::fmt::Debug + Send + 'static;

    fn checkpoint(&self) -> bool;

    /// How processes share the parameters, where they do.
    fn shards(&self) -> Option<&ShardLayout>;

    /// The crops that are computed, where some are dropped.
    fn subset(&self) -> Option<&CropSubset>;

    /// Whether stochastic depth left nothing to compute here.
    fn is_empty(&self) -> bool {
        self.subset().is_some_and(|subset| subset.rows.is_empty())
    }

    /// `x` `[tokens, dim]` to `[tokens, dim]`.
    fn forward<B: KernelOps>(
        &self,
        x: FloatTensor<B>,
        parameters: &[FloatTensor<B>],
    ) -> (FloatTensor<B>, Self::Saved<B>);

    /// Gradients of `x` and of the parameters in their order.
    fn backward<B: KernelOps>(
        &self,
        x: FloatTensor<B>,
        parameters: &[FloatTensor<B>],
        saved: Self::Saved<B>,
        gradient: FloatTensor<B>,
    ) -> (FloatTensor<B>, Vec<FloatTensor<B>>);
}

/// Kept by an attention branch.
#[derive(Clone, Debug)]
pub(super) struct AttentionSaved<B: KernelOps> {
    kept: Option<KeptCrops<B>>,
    stats: FloatTensor<B>,
    normed: FloatTensor<B>,
    qkv: FloatTensor<B>,
    out: FloatTensor<B>,
    lse: FloatTensor<B>,
}

impl AttentionPlan {
    fn packing(&self) -> &SequencePacking {
        self.subset.as_ref().map_or(&self.packing, |subset| &subset.packing)
    }

    /// The table of rotary positions among the parameters.
    fn rope_table<'a, B: KernelOps>(&self, parameters: &'a [FloatTensor<B>]) -> Option<&'a FloatTensor<B>> {
        parameters.last().filter(|_| self.rope)
    }

    /// Gradient of qkv's bias `[3 dim]` from that of its output: the keys' third is 0 where it is not trained.
    fn bias_gradient<B: KernelOps>(&self, d_qkv: FloatTensor<B>) -> FloatTensor<B> {
        let sums = B::column_sums(d_qkv);
        if self.key_bias {
            return sums;
        }
        let dim = sums.shape().num_elements() / 3;
        let part = |at: usize| B::float_slice(sums.clone(), &[(at * dim..(at + 1) * dim).into()]);
        B::float_cat(vec![part(0), B::float_mul_scalar(part(1), 0.0.into()), part(2)], 0)
    }
}

impl BranchPlan for AttentionPlan {
    type Saved<B: KernelOps> = AttentionSaved<B>;

    fn checkpoint(&self) -> bool {
        self.checkpoint
    }

    fn shards(&self) -> Option<&ShardLayout> {
        self.shards.as_ref()
    }

    fn subset(&self) -> Option<&CropSubset> {
        self.subset.as_deref()
    }

    fn forward<B: KernelOps>(
        &self,
        x: FloatTensor<B>,
        parameters: &[FloatTensor<B>],
    ) -> (FloatTensor<B>, AttentionSaved<B>) {
        let p = BranchWeights::<B>::new(parameters, self.qkv_bias, self.gamma);
        let to = self.precision.float();
        let kept = self.subset.clone().map(|subset| B::kept(subset, &x.device()));
        let (normed, stats) = <B as KernelOps>::layer_norm(
            x.clone(),
            kept.as_ref(),
            p.norm[0].clone(),
            p.norm[1].clone(),
            self.eps,
        );
        let normed = cast::<B>(normed, to);
        let qkv = <B as KernelOps>::matmul(normed.clone(), false, cast::<B>(p.first.clone(), to), true);
        let qkv = match (self.rope_table::<B>(parameters), p.first_bias.cloned()) {
            (Some(table), bias) => {
                let (table, packing) = (table.clone(), self.packing());
                B::rotate(qkv, bias, table, packing, self.heads, RopeTurn::Forward)
            }
            (None, Some(bias)) => B::add_bias(qkv, bias),
            (None, None) => qkv,
        };
        let (out, lse) = <B as KernelOps>::attention(qkv.clone(), self.packing(), self.heads);
        let weight = cast::<B>(p.second.clone(), to);
        let y = B::project(x, kept.as_ref(), out.clone(), weight, p.second_bias.clone(), p.gamma.cloned());
        (y, AttentionSaved { kept, stats, normed, qkv, out, lse })
    }

    fn backward<B: KernelOps>(
        &self,
        x: FloatTensor<B>,
        parameters: &[FloatTensor<B>],
        saved: AttentionSaved<B>,
        gradient: FloatTensor<B>,
    ) -> (FloatTensor<B>, Vec<FloatTensor<B>>) {
        let p = BranchWeights::<B>::new(parameters, self.qkv_bias, self.gamma);
        let AttentionSaved { kept, stats, normed, qkv, out, lse } = saved;
        let to = self.precision.float();
        let branch = cast::<B>(B::gather_scaled(gradient.clone(), kept.as_ref()), to);
        let d_out = p.behind_last(&branch, to);
        let mut d_qkv =
            <B as KernelOps>::attention_backward(qkv, out.clone(), lse, d_out, self.packing(), self.heads);
        if let Some(table) = self.rope_table::<B>(parameters) {
            d_qkv = B::rotate(d_qkv, None, table.clone(), self.packing(), self.heads, RopeTurn::Back);
        }
        let last = p.last_gradients(branch, out);

        let mut gradients = vec![full::<B>(<B as KernelOps>::matmul(d_qkv.clone(), true, normed, false))];
        if self.qkv_bias {
            gradients.push(self.bias_gradient::<B>(d_qkv.clone()));
        }
        gradients.extend(last);
        let d_normed = <B as KernelOps>::matmul(d_qkv, false, cast::<B>(p.first.clone(), to), false);
        let (dx, dw, db) = <B as KernelOps>::layer_norm_backward(
            x,
            kept.as_ref(),
            p.norm[0].clone(),
            stats,
            d_normed,
            Some(gradient),
        );
        gradients.splice(0..0, [dw, db]);
        (dx, gradients)
    }
}

/// Kept by a feed-forward branch; the activation is computed again.
#[derive(Clone, Debug)]
pub(super) struct FeedForwardSaved<B: KernelOps> {
    kept: Option<KeptCrops<B>>,
    stats: FloatTensor<B>,
    normed: FloatTensor<B>,
    hidden: FloatTensor<B>,
}

impl BranchPlan for FeedForwardPlan {
    type Saved<B: KernelOps> = FeedForwardSaved<B>;

    fn checkpoint(&self) -> bool {
        self.checkpoint
    }

    fn shards(&self) -> Option<&ShardLayout> {
        self.shards.as_ref()
    }

    fn subset(&self) -> Option<&CropSubset> {
        self.subset.as_deref()
    }

    fn forward<B: KernelOps>(
        &self,
        x: FloatTensor<B>,
        parameters: &[FloatTensor<B>],
    ) -> (FloatTensor<B>, FeedForwardSaved<B>) {
        let p = BranchWeights::<B>::new(parameters, true, self.gamma);
        let to = self.precision.float();
        let kept = self.subset.clone().map(|subset| B::kept(subset, &x.device()));
        let (normed, stats) = <B as KernelOps>::layer_norm(
            x.clone(),
            kept.as_ref(),
            p.norm[0].clone(),
            p.norm[1].clone(),
            self.eps,
        );
        let normed = cast::<B>(normed, to);
        let hidden = <B as KernelOps>::matmul(normed.clone(), false, cast::<B>(p.first.clone(), to), true);
        let bias = p.bias();
        let active = match self.kind {
            FeedForwardKind::Mlp => <B as KernelOps>::gelu(hidden.clone(), bias),
            FeedForwardKind::SwiGlu => <B as KernelOps>::swiglu(hidden.clone(), bias),
        };
        let weight = cast::<B>(p.second.clone(), to);
        let y = B::project(x, kept.as_ref(), active, weight, p.second_bias.clone(), p.gamma.cloned());
        (y, FeedForwardSaved { kept, stats, normed, hidden })
    }

    fn backward<B: KernelOps>(
        &self,
        x: FloatTensor<B>,
        parameters: &[FloatTensor<B>],
        saved: FeedForwardSaved<B>,
        gradient: FloatTensor<B>,
    ) -> (FloatTensor<B>, Vec<FloatTensor<B>>) {
        let p = BranchWeights::<B>::new(parameters, true, self.gamma);
        let FeedForwardSaved { kept, stats, normed, hidden } = saved;
        let to = self.precision.float();
        let branch = cast::<B>(B::gather_scaled(gradient.clone(), kept.as_ref()), to);
        let d_active = p.behind_last(&branch, to);
        let (d_hidden, active, d_bias) = match self.kind {
            FeedForwardKind::Mlp => <B as KernelOps>::gelu_backward(hidden, p.bias(), d_active),
            FeedForwardKind::SwiGlu => <B as KernelOps>::swiglu_backward(hidden, p.bias(), d_active),
        };
        let last = p.last_gradients(branch, active);
        let d_first = full::<B>(<B as KernelOps>::matmul(d_hidden.clone(), true, normed, false));
        let d_normed = <B as KernelOps>::matmul(d_hidden, false, cast::<B>(p.first.clone(), to), false);
        let (dx, dw, db) = <B as KernelOps>::layer_norm_backward(
            x,
            kept.as_ref(),
            p.norm[0].clone(),
            stats,
            d_normed,
            Some(gradient),
        );
        let mut gradients = vec![dw, db, d_first, d_bias];
        gradients.extend(last);
        (dx, gradients)
    }
}

/// Parameters of a branch by what they are.
struct BranchWeights<'a, B: KernelOps> {
    norm: &'a [FloatTensor<B>],
    first: &'a FloatTensor<B>,
    first_bias: Option<&'a FloatTensor<B>>,
    second: &'a FloatTensor<B>,
    second_bias: &'a FloatTensor<B>,
    gamma: Option<&'a FloatTensor<B>>,
}

impl<'a, B: KernelOps> BranchWeights<'a, B> {
    fn new(all: &'a [FloatTensor<B>], first_bias: bool, gamma: bool) -> Self {
        let second = if first_bias { 4 } else { 3 };
        Self {
            norm: &all[..2],
            first: &all[2],
            first_bias: first_bias.then(|| &all[3]),
            second: &all[second],
            second_bias: &all[second + 1],
            gamma: gamma.then(|| &all[second + 2]),
        }
    }

    fn bias(&self) -> FloatTensor<B> {
        // `new` was told that there is one.
        self.first_bias.unwrap_or(self.second_bias).clone()
    }

    /// The gradient behind the last layer and its LayerScale.
    fn behind_last(&self, gradient: &FloatTensor<B>, to: FloatDType) -> FloatTensor<B> {
        let weight = match self.gamma {
            Some(gamma) => B::scale_rows(self.second.clone(), gamma.clone()),
            None => self.second.clone(),
        };
        <B as KernelOps>::matmul(gradient.clone(), false, cast::<B>(weight, to), false)
    }

    /// Gradients of the last layer's weight, bias and LayerScale.
    fn last_gradients(&self, gradient: FloatTensor<B>, input: FloatTensor<B>) -> Vec<FloatTensor<B>> {
        let d_bias = B::column_sums(gradient.clone());
        let d_weight = full::<B>(<B as KernelOps>::matmul(gradient, true, input, false));
        match self.gamma {
            None => vec![d_weight, d_bias],
            Some(gamma) => {
                let (weight, bias) = (self.second.clone(), self.second_bias.clone());
                let (w, b, g) = B::weight_gradients(d_weight, d_bias, weight, bias, gamma.clone());
                vec![w, b, g]
            }
        }
    }
}
