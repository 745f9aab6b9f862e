//! The projection head: MLP, L2 normalisation, weight-normalised prototypes.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::fused::{l2_norm, weight_norm};

use super::layers::{Linear, WeightInit, constant, uniform};

/// Sizes of a projection head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DinoHeadConfig {
    /// Width of the backbone.
    pub dim: usize,
    /// Number of prototypes, K.
    pub prototypes: usize,
    /// Width of the MLP's hidden layers (2048 upstream).
    pub hidden: usize,
    /// Width before the prototypes (256 or 384 upstream).
    pub bottleneck: usize,
    /// Linear layers in the MLP (3 upstream); one means a single linear map.
    pub layers: usize,
}

impl DinoHeadConfig {
    /// Input and output width of each linear layer of the MLP.
    pub fn widths(&self) -> Vec<(usize, usize)> {
        let last = self.layers.max(1) - 1;
        let width = |edge: usize| match edge {
            0 => self.dim,
            e if e == last + 1 => self.bottleneck,
            _ => self.hidden,
        };
        (0..=last).map(|i| (width(i), width(i + 1))).collect()
    }

    /// Number of trainable values.
    pub fn parameters(&self) -> usize {
        self.widths().iter().map(|(i, o)| i * o + o).sum::<usize>() + self.prototypes * (self.bottleneck + 1)
    }
}

/// A DINO or iBOT head (Caron et al. 2021): cosine similarities to prototypes, times a gain per prototype.
#[derive(Module, Debug)]
pub struct DinoHead {
    /// Linear layers with a GELU between them.
    pub mlp: Vec<Linear>,
    /// The prototypes.
    pub last_layer: PrototypeLayer,
}

/// Prototypes as a weight-normalised linear layer without bias: row k is `g_k v_k / |v_k|`.
#[derive(Module, Debug)]
pub struct PrototypeLayer {
    /// `[K, 1]`, starts at 1 and is trained, unlike DINO's first version.
    pub weight_g: Param<Tensor<2>>,
    /// `[K, bottleneck]`
    pub weight_v: Param<Tensor<2>>,
}

impl DinoHead {
    /// Randomly initialised.
    pub fn init(config: &DinoHeadConfig, draw: &mut WeightInit, device: &Device) -> Self {
        let mlp = config.widths().into_iter().map(|(i, o)| Linear::init(i, o, true, draw, device)).collect();
        // PyTorch's default for linears: the head's own initialisation runs before this layer exists.
        let bound = 1.0 / (config.bottleneck as f32).sqrt();
        let weight_v = uniform([config.prototypes, config.bottleneck], bound, draw, device);
        Self {
            mlp,
            last_layer: PrototypeLayer { weight_g: constant([config.prototypes, 1], 1.0, device), weight_v },
        }
    }

    /// `[rows, dim]` to logits `[rows, K]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.project(x).matmul(self.last_layer.directions().transpose())
    }

    /// The MLP and its L2 normalisation: `[rows, dim]` to `[rows, bottleneck]`. Logits are these times the
    /// [directions](Prototypes::directions).
    pub fn project(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.mlp.len() - 1;
        let bottleneck = self
            .mlp
            .iter()
            .enumerate()
            .fold(x, |x, (i, layer)| if i < last { layer.forward_gelu(x) } else { layer.forward(x) });
        l2_norm(bottleneck, 1e-12)
    }

    /// Official key of a parameter path: `mlp.1` is `mlp.2` there, because GELUs are counted too.
    pub fn official_key(&self, path: &str) -> String {
        let mut parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        if parts[0] == "mlp" && parts.len() > 2 {
            if self.mlp.len() == 1 {
                parts.remove(1);
            } else if let Ok(layer) = parts[1].parse::<usize>() {
                parts[1] = (2 * layer).to_string();
            }
        }
        parts.join(".")
    }
}

impl PrototypeLayer {
    /// The rows that logits are taken with, `[K, bottleneck]`.
    pub fn directions(&self) -> Tensor<2> {
        // No epsilon: PyTorch's weight norm has none.
        weight_norm(self.weight_v.val(), self.weight_g.val().reshape([-1]))
    }
}
