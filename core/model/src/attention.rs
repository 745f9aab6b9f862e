//! Multi-head self-attention inside each crop of a packed sequence.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation::softmax};

use super::layers::{Linear, WeightInit};
use crate::fused::packing::CropGroup;

/// Self-attention with one fused projection for queries, keys and values.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `dim` to `3 dim`: rows of the weight are queries, keys, values, each head-major.
    pub qkv: Linear,
    /// `dim` to `dim`.
    pub proj: Linear,
    heads: usize,
}

impl SelfAttention {
    /// Randomly initialised.
    pub fn init(dim: usize, heads: usize, qkv_bias: bool, draw: &mut WeightInit, device: &Device) -> Self {
        Self {
            qkv: Linear::init(dim, 3 * dim, qkv_bias, draw, device),
            proj: Linear::init(dim, dim, true, draw, device),
            heads,
        }
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Softmax of queries against keys, `[count, heads, queries, tokens]`, for one group of crops.
    ///
    /// `query` picks one query token; `None` computes all of them.
    pub fn probabilities(&self, x: Tensor<2>, group: CropGroup, query: Option<usize>) -> Tensor<4> {
        let [q, k, _] = self.split(self.qkv.forward(x), group);
        let q = match query {
            Some(token) => q.narrow(2, token, 1),
            None => q,
        };
        softmax(q.matmul(k.transpose()), 3)
    }

    /// Queries (already scaled), keys and values of one group, each `[count, heads, tokens, dim / heads]`.
    fn split(&self, qkv: Tensor<2>, group: CropGroup) -> [Tensor<4>; 3] {
        let width = qkv.dims()[1] / 3 / self.heads;
        let qkv = qkv.reshape([group.count, group.tokens, 3, self.heads, width]).permute([2, 0, 3, 1, 4]);
        let part = |i| qkv.clone().narrow(0, i, 1).squeeze_dim::<4>(0);
        // Scaling the queries is one small pass; scaling the scores would be one over tokens².
        [part(0).mul_scalar((width as f32).powf(-0.5)), part(1), part(2)]
    }
}

/// Rows of all parts below each other.
pub(super) fn concatenate(mut parts: Vec<Tensor<2>>) -> Tensor<2> {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Tensor::cat(parts, 0),
    }
}
