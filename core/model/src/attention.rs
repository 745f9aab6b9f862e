//! Multi-head self-attention inside each crop of a packed sequence.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation::softmax};

use super::config::VitConfig;
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
    key_bias: bool,
}

impl SelfAttention {
    /// Randomly initialised.
    pub fn init(config: &VitConfig, draw: &mut WeightInit, device: &Device) -> Self {
        let dim = config.dim;
        Self {
            qkv: Linear::init(dim, 3 * dim, config.qkv_bias, draw, device),
            proj: Linear::init(dim, dim, true, draw, device),
            heads: config.heads,
            key_bias: config.key_bias,
        }
    }

    /// Whether the keys' part of the bias is trained; where not, it is 0 and stays so.
    pub fn has_key_bias(&self) -> bool {
        self.key_bias
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Softmax of queries against keys, `[count, heads, queries, tokens]`, for one group of crops.
    ///
    /// `query` picks one query token; `None` computes all of them. `rope` `[tokens, width]` turns queries and keys.
    pub fn probabilities(
        &self,
        x: Tensor<2>,
        group: CropGroup,
        query: Option<usize>,
        rope: Option<&Tensor<2>>,
    ) -> Tensor<4> {
        let [mut q, mut k, _] = self.split(self.qkv.forward(x), group);
        if let Some(table) = rope {
            (q, k) = (turned(q, table), turned(k, table));
        }
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

/// `[count, heads, tokens, width]` turned by the cosines and sines of `table` `[tokens, width]`.
fn turned(x: Tensor<4>, table: &Tensor<2>) -> Tensor<4> {
    let half = x.dims()[3] / 2;
    let [cos, sin] = [0, half].map(|at| table.clone().narrow(1, at, half).unsqueeze::<4>());
    let [a, b] = [0, half].map(|at| x.clone().narrow(3, at, half));
    Tensor::cat(vec![a.clone() * cos.clone() - b.clone() * sin.clone(), b * cos + a * sin], 3)
}

/// Rows of all parts below each other.
pub(super) fn concatenate(mut parts: Vec<Tensor<2>>) -> Tensor<2> {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Tensor::cat(parts, 0),
    }
}
