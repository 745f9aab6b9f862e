//! The backbone composed of burn's own operations, as it would be written without programs of our own.
//!
//! It is what the fused path is measured against, and a second opinion on what it computes. Weights are those of any
//! [`Vit`]; nothing of the model's own code is used but the resampling of positions and the layout of the sequence.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData, activation, module};

use crate::fused::packing::{CropGroup, CropSubset, SequencePacking};
use crate::model::attention::SelfAttention;
use crate::model::block::{DropPath, TransformerBlock};
use crate::model::ffn::Ffn;
use crate::model::layers::{LayerNorm, LayerScale, Linear};
use crate::model::pos_embed::resample;
use crate::model::rope::{RopeGrid, RopeWarp, rope_table};
use crate::model::vit::VitInput;
use crate::model::{Vit, VitOutput};

/// All crops in one packed pass, as [`Vit::forward_packed`].
pub fn forward(vit: &Vit, crops: &[VitInput], mut drop: Option<&mut DropPath>) -> Vec<VitOutput> {
    let (tokens, groups): (Vec<_>, Vec<_>) = crops.iter().map(|crops| prepare(vit, crops)).unzip();
    let packing = SequencePacking { groups };
    let tables = rope_tables(vit, crops);
    let of = BlockInputs { heads: vit.config.heads, tables: &tables };
    let x = vit.blocks.iter().fold(below(tokens), |x, b| block(b, of, x, &packing, drop.as_deref_mut()));
    let normed = norm(&vit.norm, x.clone());
    let prefix = vit.config.prefix();
    let cut = |x: &Tensor<2>, start: usize, group: CropGroup| {
        let rows = x.clone().narrow(0, start, group.count * group.tokens);
        rows.reshape([group.count, group.tokens, vit.config.dim])
    };
    let each = packing.spans().map(|(start, group)| {
        let normed = cut(&normed, start, group);
        VitOutput {
            cls: normed.clone().narrow(1, 0, 1).squeeze_dim(1),
            registers: (prefix > 1).then(|| normed.clone().narrow(1, 1, prefix - 1)),
            patches: normed.narrow(1, prefix, group.tokens - prefix),
            prenorm: cut(&x, start, group),
        }
    });
    each.collect()
}

/// What all blocks are given beside their tokens.
#[derive(Clone, Copy)]
struct BlockInputs<'a> {
    heads: usize,
    /// Cosines and sines of each group's tokens, `[tokens, width]`; none where positions are added.
    tables: &'a [Tensor<2>],
}

/// Rotary positions of each group of crops.
fn rope_tables(vit: &Vit, crops: &[VitInput]) -> Vec<Tensor<2>> {
    let Some(rope) = &vit.config.rope else { return Vec::new() };
    let (width, patch) = (vit.config.head_width(), vit.config.patch);
    let of = |crops: &VitInput| {
        let [_, _, height, width_in_pixels] = crops.images.dims();
        let (prefix, rows, cols) = (vit.config.prefix(), height / patch, width_in_pixels / patch);
        let values = rope_table(&rope.periods(width), RopeGrid { prefix, rows, cols }, RopeWarp::NONE);
        let shape = [prefix + rows * cols, width];
        Tensor::from_data(TensorData::new(values, shape), &crops.images.device().without_autodiff())
    };
    crops.iter().map(of).collect()
}

/// `x cos + rotated(x) sin`, the halves of each head as real and imaginary parts: `[count, heads, tokens, width]`.
fn turned(x: Tensor<4>, table: &Tensor<2>) -> Tensor<4> {
    let width = x.dims()[3];
    let whole = |part: usize| {
        let half = table.clone().narrow(1, part * width / 2, width / 2);
        Tensor::cat(vec![half.clone(), half], 1).unsqueeze::<4>()
    };
    let (first, second) = (x.clone().narrow(3, 0, width / 2), x.clone().narrow(3, width / 2, width / 2));
    x * whole(0) + Tensor::cat(vec![second.neg(), first], 3) * whole(1)
}

/// Self-attention inside each crop of a packed sequence: `softmax(q kᵀ / √width) v`, the scores written out. `tables` are
/// the rotary positions of each group, or none.
pub fn attention(
    own: &SelfAttention,
    heads: usize,
    x: Tensor<2>,
    packing: &SequencePacking,
    tables: &[Tensor<2>],
) -> Tensor<2> {
    let qkv = linear(&own.qkv, x);
    let width = qkv.dims()[1] / 3 / heads;
    let of_group = |(index, (start, group)): (usize, (usize, CropGroup))| {
        let rows = group.count * group.tokens;
        let part = if packing.groups.len() == 1 { qkv.clone() } else { qkv.clone().narrow(0, start, rows) };
        let part = part.reshape([group.count, group.tokens, 3, heads, width]).permute([2, 0, 3, 1, 4]);
        let part = |i| part.clone().narrow(0, i, 1).squeeze_dim::<4>(0);
        let (mut q, mut k, v) = (part(0).mul_scalar((width as f32).powf(-0.5)), part(1), part(2));
        if let Some(table) = tables.get(index) {
            (q, k) = (turned(q, table), turned(k, table));
        }
        let mixed = activation::softmax(q.matmul(k.transpose()), 3).matmul(v);
        mixed.swap_dims(1, 2).reshape([rows, heads * width])
    };
    linear(&own.proj, below(packing.spans().enumerate().map(of_group).collect()))
}

/// Crops to flat tokens `[batch * tokens, dim]`.
fn prepare(vit: &Vit, crops: &VitInput) -> (Tensor<2>, CropGroup) {
    let [batch, channels, height, width] = crops.images.dims();
    let (patch, dim) = (vit.config.patch, vit.config.dim);
    let (rows, cols, values) = (height / patch, width / patch, channels * patch * patch);
    let cut = crops.images.clone().reshape([batch, channels, rows, patch, cols, patch]);
    let cut = cut.permute([0, 2, 4, 1, 3, 5]).reshape([batch * rows * cols, values]);
    let proj = &vit.patch_embed.proj;
    let weight = proj.weight.val().reshape([dim, values]).transpose();
    let patches: Tensor<2> = module::linear(cut, weight, Some(proj.bias.val()));
    let mut patches = patches.reshape([batch, rows * cols, dim]);
    if let Some(masks) = &crops.masks {
        let shape = [batch, rows * cols, dim];
        let token = vit.mask_token.val().unsqueeze::<3>().expand(shape);
        patches = patches.mask_where(masks.clone().unsqueeze_dim::<3>(2).expand(shape), token);
    }
    let mut class = vit.cls_token.val();
    if let Some(table) = &vit.pos_embed {
        let positions = resample(table.val(), vit.config.grid, rows, cols, vit.config.interpolation);
        class = class + positions.clone().narrow(1, 0, 1);
        patches = patches + positions.narrow(1, 1, rows * cols);
    }
    let mut parts = vec![class.expand([batch, 1, dim])];
    if let Some(registers) = &vit.register_tokens {
        parts.push(registers.val().expand([batch, vit.config.registers, dim]));
    }
    parts.push(patches);
    let tokens = vit.config.prefix() + rows * cols;
    (Tensor::cat(parts, 1).reshape([batch * tokens, dim]), CropGroup { count: batch, tokens })
}

fn block(
    own: &TransformerBlock,
    of: BlockInputs,
    x: Tensor<2>,
    packing: &SequencePacking,
    mut drop: Option<&mut DropPath>,
) -> Tensor<2> {
    let mut draw = || drop.as_deref_mut().and_then(|d| packing.draw_subset(d.rate, d.rng, d.place));
    let x = residual(x, packing, draw(), |x, packing| {
        scaled(&own.ls1, attention(&own.attn, of.heads, norm(&own.norm1, x), packing, of.tables))
    });
    residual(x, packing, draw(), |x, _| scaled(&own.ls2, ffn(&own.mlp, norm(&own.norm2, x))))
}

/// `x + branch(x)`; with a subset the branch sees only the kept crops.
fn residual(
    x: Tensor<2>,
    packing: &SequencePacking,
    subset: Option<CropSubset>,
    branch: impl FnOnce(Tensor<2>, &SequencePacking) -> Tensor<2>,
) -> Tensor<2> {
    let Some(CropSubset { packing, rows, scale }) = subset else {
        return x.clone() + branch(x, packing);
    };
    let device = x.device().without_autodiff();
    let kept = rows.len();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [kept]), &device);
    let scale = Tensor::<2>::from_data(TensorData::new(scale, [kept, 1]), &device);
    let out = branch(x.clone().select(0, rows.clone()), &packing) * scale;
    x.select_assign(0, rows, out, IndexingUpdateOp::Add)
}

fn ffn(own: &Ffn, x: Tensor<2>) -> Tensor<2> {
    match (&own.fc1, &own.fc2, &own.w12, &own.w3) {
        (Some(fc1), Some(fc2), _, _) => linear(fc2, activation::gelu(linear(fc1, x))),
        (_, _, Some(w12), Some(w3)) => {
            let packed = linear(w12, x);
            let hidden = packed.dims()[1] / 2;
            let gate = packed.clone().narrow(1, 0, hidden);
            linear(w3, activation::silu(gate) * packed.narrow(1, hidden, hidden))
        }
        _ => x,
    }
}

fn linear(own: &Linear, x: Tensor<2>) -> Tensor<2> {
    module::linear(x, own.weight.val().transpose(), own.bias.as_ref().map(|b| b.val()))
}

/// LayerNorm of burn's own.
pub fn norm(own: &LayerNorm, x: Tensor<2>) -> Tensor<2> {
    module::layer_norm(x, own.weight.val(), Some(own.bias.val()), own.eps())
}

fn scaled(own: &Option<LayerScale>, x: Tensor<2>) -> Tensor<2> {
    match own {
        Some(scale) => x * scale.gamma.val().unsqueeze(),
        None => x,
    }
}

fn below(mut parts: Vec<Tensor<2>>) -> Tensor<2> {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Tensor::cat(parts, 0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::bench::packing::{largest_difference, relative_difference};
    use crate::bench::prepared::{cubes, noise};
    use crate::fused::packing::BatchPlace;
    use crate::model::block::VitForwardOptions;
    use crate::model::params::take_gradients;
    use crate::model::{PatchGrid, VitConfig};
    use crate::rng::stream;
    use burn::tensor::{Bool, Device};

    /// The model's own path and the plain one: features and gradients, with masks, registers, SwiGLU and dropping.
    #[test]
    fn is_what_the_model_computes() {
        let device = Device::flex();
        let base = VitConfig { layerscale: Some(0.5), norm_eps: 0.3, ..VitConfig::new(16, 4, 24, 2, 2) };
        let wide = VitConfig { grid: PatchGrid::new(2, 5), ..base.clone() };
        let turned = base.clone().with_rope().with_registers(1);
        for config in [base.clone(), base.with_swiglu().with_registers(2), wide, turned] {
            let vit = Vit::init(&config, 3, &device.clone().autodiff());
            let masked: Vec<bool> = (0..4 * 16).map(|i| i % 3 == 0).collect();
            let masks = Tensor::<2, Bool>::from_data(TensorData::new(masked, [4, 16]), &device);
            let crops = [
                VitInput { images: noise([4, 3, 16, 16], 1, &device), masks: Some(masks) },
                VitInput { images: noise([6, 3, 8, 12], 2, &device), masks: None },
            ];
            for rate in [0.0, 0.4] {
                let pass = |plain: bool| {
                    let rng = &mut stream(5, "drop path", 0, 0);
                    let mut drop = DropPath { rate, rng, place: BatchPlace::WHOLE };
                    if plain {
                        forward(&vit, &crops, Some(&mut drop))
                    } else {
                        vit.forward_packed(
                            &crops,
                            VitForwardOptions { drop: Some(&mut drop), ..VitForwardOptions::default() },
                        )
                    }
                };
                let (own, plain) = (pass(false), pass(true));
                assert!(largest_difference(&own, &plain) < 2e-5, "{}", largest_difference(&own, &plain));
                let [a, b] = [own, plain].map(|f| take_gradients(&vit, &mut cubes(&f).backward()));
                assert_eq!(a.len(), b.len());
                let off = relative_difference(&a, &b);
                assert!(off < 1e-4, "gradients are {off} off at rate {rate}");
            }
        }
    }
}
