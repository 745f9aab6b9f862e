//! What a backend must be able to do for the fused operations; out of burn's own operations unless it can better.

use std::sync::Arc;

use burn::backend::Backend;
use burn::backend::tensor::{Device, FloatTensor, IntTensor};
use dinoscope_shaders::rope::{RopeSequences, RopeTurn};

use super::composed;
use super::loss::TargetPairs;
use super::update::{GradNorms, ParamUpdate, UpdateArenas, UpdateHyperparams};
use crate::fused::packing::{CropSubset, SequencePacking};

/// The crops that a branch keeps, on the device.
#[derive(Clone, Debug)]
pub struct KeptCrops<B: Backend> {
    /// What was drawn.
    pub subset: Arc<CropSubset>,
    /// `[kept]`: rows of the flat sequence.
    pub rows: IntTensor<B>,
    /// `[kept, 1]`: crops in the group over crops kept.
    pub scale: FloatTensor<B>,
}

/// Which rows are each other's neighbours: the first `views * per_view`, each within its view.
#[derive(Clone, Copy, Debug)]
pub struct NeighbourViews {
    /// How many views.
    pub views: usize,
    /// Rows of a view.
    pub per_view: usize,
    /// Floor of a row's length, and added to every difference.
    pub eps: f64,
}

impl NeighbourViews {
    /// Rows of all views.
    pub fn rows(self) -> usize {
        self.views * self.per_view
    }
}

/// What the way back of the neighbours' distances needs.
#[derive(Clone, Debug)]
pub struct NeighbourState<B: Backend> {
    /// `[rows, dim]`, L2-normalised.
    pub y: FloatTensor<B>,
    /// `[rows]`: one over the lengths.
    pub inverse: FloatTensor<B>,
    /// `[rows]`
    pub nearest: IntTensor<B>,
    /// `[rows]`
    pub distance: FloatTensor<B>,
}

/// Three tensors, named where they are made.
pub type Three<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// The groups of a packing, as rotary positions take them.
pub(super) fn sequences(packing: &SequencePacking) -> Vec<RopeSequences> {
    packing.groups.iter().map(|group| RopeSequences { count: group.count, tokens: group.tokens }).collect()
}

/// `cu_seqlens` of a packing.
pub(super) fn starts(packing: &SequencePacking) -> Vec<u32> {
    let mut starts = vec![0u32];
    for (start, group) in packing.spans() {
        starts.extend((1..=group.count).map(|i| (start + i * group.tokens) as u32));
    }
    starts
}

/// The programs. Shapes and meaning stand in the module of the same name in `dinoscope_shaders`.
///
/// The default of each is composed of burn's operations: it runs on any backend and in any precision, and is what
/// the others are compared with.
pub trait KernelOps: Backend {
    /// Puts a subset on the device.
    fn kept(subset: Arc<CropSubset>, device: &Device<Self>) -> KeptCrops<Self> {
        composed::kept(subset, device)
    }

    /// `a b`, each `[.., ..]` and transposed where asked.
    fn matmul(a: FloatTensor<Self>, flip_a: bool, b: FloatTensor<Self>, flip_b: bool) -> FloatTensor<Self> {
        composed::matmul::<Self>(a, flip_a, b, flip_b)
    }

    /// `[rows, width]` to `[width]`.
    fn column_sums(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::column_sums::<Self>(x)
    }

    /// `x + bias` on every row.
    fn add_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::add_bias::<Self>(x, bias)
    }

    /// `(y, stats)`
    fn layer_norm(
        x: FloatTensor<Self>,
        kept: Option<&KeptCrops<Self>>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::layer_norm(x, kept, weight, bias, eps)
    }

    /// Gradients of `x` (with `past`, what went around the branch), `weight`, `bias`.
    fn layer_norm_backward(
        x: FloatTensor<Self>,
        kept: Option<&KeptCrops<Self>>,
        weight: FloatTensor<Self>,
        stats: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        past: Option<FloatTensor<Self>>,
    ) -> Three<Self> {
        composed::layer_norm_backward(x, kept, weight, stats, dy, past)
    }

    /// `(y, inverse)`: `gain · x / max(|x|, eps)` of every row in f32, and one over each row's length `[rows]`.
    fn l2_norm(
        x: FloatTensor<Self>,
        gain: Option<FloatTensor<Self>>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::l2_norm::<Self>(x, gain, eps)
    }

    /// Gradients of `x` and of the gain `[rows]`.
    fn l2_norm_backward(
        x: FloatTensor<Self>,
        gain: Option<FloatTensor<Self>>,
        inverse: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::l2_norm_backward::<Self>(x, gain, inverse, dy, eps)
    }

    /// `qkv + bias` with queries and keys turned by their positions' rows of `table` `[positions, width]`.
    fn rotate(
        qkv: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        table: FloatTensor<Self>,
        packing: &SequencePacking,
        heads: usize,
        turn: RopeTurn,
    ) -> FloatTensor<Self> {
        composed::rotate::<Self>(qkv, bias, table, packing, heads, turn)
    }

    /// `qkv` `[tokens, 3 dim]` to `(out [tokens, dim], lse [tokens, heads])`.
    fn attention(
        qkv: FloatTensor<Self>,
        packing: &SequencePacking,
        heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::attention::<Self>(qkv, packing, heads)
    }

    /// Gradient of `qkv`.
    fn attention_backward(
        qkv: FloatTensor<Self>,
        out: FloatTensor<Self>,
        lse: FloatTensor<Self>,
        d_out: FloatTensor<Self>,
        packing: &SequencePacking,
        heads: usize,
    ) -> FloatTensor<Self> {
        composed::attention_backward::<Self>(qkv, out, lse, d_out, packing, heads)
    }

    /// `gelu(hidden + bias)`
    fn gelu(hidden: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::gelu::<Self>(hidden, bias)
    }

    /// `(gradient of hidden, activation, gradient of bias)`
    fn gelu_backward(
        hidden: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> Three<Self> {
        composed::gelu_backward::<Self>(hidden, bias, gradient)
    }

    /// `silu(gate) · value` of `hidden + bias`
    fn swiglu(hidden: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::swiglu::<Self>(hidden, bias)
    }

    /// `(gradient of hidden, activation, gradient of bias)`
    fn swiglu_backward(
        hidden: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> Three<Self> {
        composed::swiglu_backward::<Self>(hidden, bias, gradient)
    }

    /// The last linear layer of a branch with its LayerScale, added to `x`: `x[rows] += scale gamma (a Wᵀ + b)`.
    fn project(
        x: FloatTensor<Self>,
        kept: Option<&KeptCrops<Self>>,
        a: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        composed::project(x, kept, a, weight, bias, gamma)
    }

    /// `scale · gradient[rows]`; the gradient itself where no crop was dropped.
    fn gather_scaled(gradient: FloatTensor<Self>, kept: Option<&KeptCrops<Self>>) -> FloatTensor<Self> {
        composed::gather_scaled(gradient, kept)
    }

    /// The weight with each output scaled by `gamma`: `[out, in]`.
    fn scale_rows(weight: FloatTensor<Self>, gamma: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::scale_rows::<Self>(weight, gamma)
    }

    /// Gradients of weight, bias and gamma, from those of the scaled layer.
    fn weight_gradients(
        d_weight: FloatTensor<Self>,
        d_bias: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
    ) -> Three<Self> {
        composed::weight_gradients::<Self>(d_weight, d_bias, weight, bias, gamma)
    }

    /// `(loss, stats, entropy)`: loss and entropy are `[rows]`, the statistics are for the way back.
    fn cross_entropy(
        z: FloatTensor<Self>,
        directions: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        pairs: &TargetPairs,
        temperature: f64,
    ) -> Three<Self> {
        composed::cross_entropy::<Self>(z, directions, targets, pairs, temperature)
    }

    /// Gradients of `z` and `directions`.
    fn cross_entropy_backward(
        z: FloatTensor<Self>,
        directions: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        pairs: &TargetPairs,
        temperature: f64,
        stats: FloatTensor<Self>,
        d_loss: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::cross_entropy_backward::<Self>(z, directions, targets, pairs, temperature, stats, d_loss)
    }

    /// How far away the nearest neighbour of each row of the unit sphere is, `[rows]`, with what the way back needs.
    fn neighbour_distances(
        x: FloatTensor<Self>,
        of: NeighbourViews,
    ) -> (FloatTensor<Self>, NeighbourState<Self>) {
        composed::neighbour_distances::<Self>(x, of)
    }

    /// Gradient of `x`, with zeros in the rows that are in no view.
    fn neighbour_distances_backward(
        x: FloatTensor<Self>,
        state: NeighbourState<Self>,
        of: NeighbourViews,
        d_distance: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::neighbour_distances_backward::<Self>(x, state, of, d_distance)
    }

    /// Σ x² over all of several tensors, `[1]`; 0 without tensors.
    fn squared_norm(tensors: Vec<FloatTensor<Self>>, device: &Device<Self>) -> FloatTensor<Self> {
        composed::squared_norm::<Self>(tensors, device)
    }

    /// One update of AdamW for every parameter, and the teacher's step; `factors` `[1]` scale each sub-module's
    /// gradients.
    fn adamw(
        parameters: Vec<ParamUpdate<FloatTensor<Self>>>,
        factors: &[FloatTensor<Self>],
        rates: &UpdateHyperparams,
    ) -> Vec<ParamUpdate<FloatTensor<Self>>> {
        composed::adamw::<Self>(parameters, factors, rates)
    }

    /// Norms, clipping and [`KernelOps::adamw`].
    fn optimise(
        parameters: Vec<ParamUpdate<FloatTensor<Self>>>,
        loss_scale: Option<FloatTensor<Self>>,
        rates: &UpdateHyperparams,
        _: &mut UpdateArenas,
    ) -> (Vec<ParamUpdate<FloatTensor<Self>>>, GradNorms<FloatTensor<Self>>) {
        composed::optimise::<Self>(parameters, loss_scale, rates)
    }
}
