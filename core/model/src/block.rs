//! One pre-norm transformer block with LayerScale and batch-subset stochastic depth.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::attention::SelfAttention;
use super::config::VitConfig;
use super::ffn::Ffn;
use super::layers::{LayerNorm, LayerScale, Linear, WeightInit};
use super::rope::RopeDraws;
use crate::fused::packing::{BatchPlace, CropGroup, CropSubset, SequencePacking};
use crate::fused::{
    AttentionPlan, BranchParameter, ComputePrecision, FeedForwardPlan, ShardLayout, attention_branch,
    feed_forward_branch,
};
use dinoscope_base::rng::Stream;

/// `x + ls1(attn(norm1(x)))`, then `x + ls2(mlp(norm2(x)))`.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// Before attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: SelfAttention,
    /// Gain of the attention branch.
    pub ls1: Option<LayerScale>,
    /// Before the feed-forward network.
    pub norm2: LayerNorm,
    /// Feed-forward network.
    pub mlp: Ffn,
    /// Gain of the feed-forward branch.
    pub ls2: Option<LayerScale>,
    /// Where processes share the parameters: this one's part of them. What the fields above hold is not looked at then.
    #[module(skip)]
    pub shards: Option<BlockShards>,
}

/// The parameters of a block that processes share; each branch's are gathered just before it runs, and let go after.
#[derive(Clone, Debug)]
pub struct BlockShards {
    /// `norm1`, `attn` and `ls1`, in the order of their fields.
    pub attention: BranchShard,
    /// `norm2`, `mlp` and `ls2`, in the order of their fields.
    pub feed_forward: BranchShard,
}

/// This process's part of a branch's parameters.
#[derive(Clone, Debug)]
pub struct BranchShard {
    /// `[n]`; its gradient is sent off where it requires one.
    pub part: Tensor<1>,
    /// What it is a part of.
    pub layout: ShardLayout,
}

/// Stochastic depth of one forward pass: the rate, and where the draws come from.
#[derive(Debug)]
pub struct DropPath<'a> {
    /// Share of crops that skip a residual branch.
    pub rate: f64,
    /// Two draws a block: attention, then feed-forward.
    pub rng: &'a mut Stream,
    /// Which part of the batch the crops are.
    pub place: BatchPlace,
}

/// How a forward pass runs beside the model's own sizes.
#[derive(Debug, Default)]
pub struct VitForwardOptions<'a, 'b> {
    /// Stochastic depth, for training only.
    pub drop: Option<&'a mut DropPath<'b>>,
    /// Moves of rotary positions, for training only.
    pub rope: Option<&'a mut RopeDraws<'b>>,
    /// Numbers that the branches compute with.
    pub precision: ComputePrecision,
    /// Keep only the input of each branch for the backward pass and compute the rest again: less memory, a third
    /// more work.
    pub checkpoint: bool,
}

impl TransformerBlock {
    /// Randomly initialised.
    pub fn init(config: &VitConfig, draw: &mut WeightInit, device: &Device) -> Self {
        let scale = || config.layerscale.map(|value| LayerScale::init(config.dim, value, device));
        Self {
            norm1: LayerNorm::init(config.dim, config.norm_eps, device),
            attn: SelfAttention::init(config, draw, device),
            ls1: scale(),
            norm2: LayerNorm::init(config.dim, config.norm_eps, device),
            mlp: Ffn::init(config, draw, device),
            ls2: scale(),
            shards: None,
        }
    }

    /// `[tokens, dim]` to `[tokens, dim]`, one fused operation for each of the two branches. `rope` holds the cosines and
    /// sines of rotary positions, `[positions, width]`, the groups of `packing` below each other.
    pub fn forward(
        &self,
        x: Tensor<2>,
        packing: &Arc<SequencePacking>,
        rope: Option<&Tensor<2>>,
        pass: &mut VitForwardOptions,
    ) -> Tensor<2> {
        let mut draw = || {
            let drop = pass.drop.as_deref_mut()?;
            packing.draw_subset(drop.rate, drop.rng, drop.place).map(Arc::new)
        };
        let (first, second) = (draw(), draw());
        // Where several processes share a batch, all that is kept may be elsewhere.
        let shards = self.shards.as_ref();
        // Parameters that are shared are needed by those who keep something.
        let is_empty = |subset: &Option<Arc<CropSubset>>| {
            shards.is_none() && subset.as_ref().is_some_and(|s| s.rows.is_empty())
        };
        let held = |whole: Vec<BranchParameter>, shard: Option<&BranchShard>| match shard {
            Some(shard) => (vec![shard.part.clone().into()], Some(shard.layout.clone())),
            None => (whole, None),
        };
        let (precision, checkpoint) = (pass.precision, pass.checkpoint);

        let x = if is_empty(&first) {
            x
        } else {
            let whole = parameters(&self.norm1, &self.attn.qkv, &self.attn.proj, &self.ls1);
            let (mut list, shards) = held(whole, shards.map(|shards| &shards.attention));
            let plan = AttentionPlan {
                packing: packing.clone(),
                subset: first,
                heads: self.attn.heads(),
                qkv_bias: self.attn.qkv.bias.is_some(),
                key_bias: self.attn.has_key_bias(),
                gamma: self.ls1.is_some(),
                rope: rope.is_some(),
                eps: self.norm1.eps(),
                precision,
                checkpoint,
                shards,
            };
            list.extend(rope.map(|table| table.clone().into()));
            attention_branch(x, list, plan)
        };

        let Some((kind, inner, outer)) = self.mlp.layers().filter(|_| !is_empty(&second)) else { return x };
        let (gamma, eps) = (self.ls2.is_some(), self.norm2.eps());
        let whole = parameters(&self.norm2, inner, outer, &self.ls2);
        let (list, shards) = held(whole, shards.map(|shards| &shards.feed_forward));
        let plan = FeedForwardPlan { subset: second, kind, gamma, eps, precision, checkpoint, shards };
        feed_forward_branch(x, list, plan)
    }

    /// Attention probabilities of the tokens `x` that come in ([`SelfAttention::probabilities`]).
    pub fn attention(
        &self,
        x: Tensor<2>,
        group: CropGroup,
        query: Option<usize>,
        rope: Option<&Tensor<2>>,
    ) -> Tensor<4> {
        self.attn.probabilities(self.norm1.forward(x), group, query, rope)
    }
}

/// Parameters of a branch in the order that [`crate::fused`] takes them.
fn parameters(
    norm: &LayerNorm,
    inner: &Linear,
    outer: &Linear,
    scale: &Option<LayerScale>,
) -> Vec<BranchParameter> {
    let mut list: Vec<BranchParameter> =
        vec![norm.weight.val().into(), norm.bias.val().into(), inner.weight.val().into()];
    list.extend(inner.bias.as_ref().map(|bias| bias.val().into()));
    list.push(outer.weight.val().into());
    list.extend(outer.bias.as_ref().map(|bias| bias.val().into()));
    list.extend(scale.as_ref().map(|scale| scale.gamma.val().into()));
    list
}
