//! One pre-norm transformer block with LayerScale and batch-subset stochastic depth.

use burn::module::Module;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::attention::Attention;
use super::config::VitConfig;
use super::ffn::Ffn;
use super::layers::{LayerNorm, LayerScale};
use super::packing::{Packing, Subset};
use crate::rng::Stream;

/// `x + ls1(attn(norm1(x)))`, then `x + ls2(mlp(norm2(x)))`.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: Attention,
    /// Gain of the attention branch.
    pub ls1: Option<LayerScale>,
    /// Before the feed-forward network.
    pub norm2: LayerNorm,
    /// Feed-forward network.
    pub mlp: Ffn,
    /// Gain of the feed-forward branch.
    pub ls2: Option<LayerScale>,
}

/// Stochastic depth of one forward pass: the rate, and where the draws come from.
#[derive(Debug)]
pub struct DropPath<'a> {
    /// Share of crops that skip a residual branch.
    pub rate: f64,
    /// Two draws a block: attention, then feed-forward.
    pub rng: &'a mut Stream,
}

impl Block {
    /// Randomly initialised.
    pub fn init(config: &VitConfig, rng: &mut Stream, device: &Device) -> Self {
        let scale = || config.layerscale.map(|value| LayerScale::init(config.dim, value, device));
        Self {
            norm1: LayerNorm::init(config.dim, device),
            attn: Attention::init(config.dim, config.heads, config.qkv_bias, rng, device),
            ls1: scale(),
            norm2: LayerNorm::init(config.dim, device),
            mlp: Ffn::init(config, rng, device),
            ls2: scale(),
        }
    }

    /// `[tokens, dim]` to `[tokens, dim]`; `drop` is for training only.
    pub fn forward(&self, x: Tensor<2>, packing: &Packing, mut drop: Option<&mut DropPath>) -> Tensor<2> {
        let mut draw = || drop.as_deref_mut().and_then(|d| packing.draw_subset(d.rate, d.rng));
        let x = residual(x, packing, draw(), |x, packing| {
            scaled(&self.ls1, self.attn.forward(self.norm1.forward(x), packing))
        });
        residual(x, packing, draw(), |x, _| scaled(&self.ls2, self.mlp.forward(self.norm2.forward(x))))
    }
}

fn scaled(scale: &Option<LayerScale>, x: Tensor<2>) -> Tensor<2> {
    match scale {
        Some(scale) => scale.forward(x),
        None => x,
    }
}

/// `x + branch(x)`. With a subset the branch sees only the kept crops, so that dropping saves its work.
fn residual(
    x: Tensor<2>,
    packing: &Packing,
    subset: Option<Subset>,
    branch: impl FnOnce(Tensor<2>, &Packing) -> Tensor<2>,
) -> Tensor<2> {
    let Some(Subset { packing, rows, scale }) = subset else {
        return x.clone() + branch(x, packing);
    };
    let device = x.device().without_autodiff();
    let kept = rows.len();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [kept]), &device);
    let scale = Tensor::<2>::from_data(TensorData::new(scale, [kept, 1]), &device);
    let out = branch(x.clone().select(0, rows.clone()), &packing) * scale;
    x.select_assign(0, rows, out, IndexingUpdateOp::Add)
}
