//! The feed-forward network of a block: MLP or SwiGLU.

use burn::module::Module;
use burn::tensor::Device;

use super::config::{FfnKind, VitConfig};
use super::layers::{Linear, WeightInit};
use crate::fused::FeedForwardKind;

/// Either `fc2(gelu(fc1(x)))` or `w3(silu(gate) * value)`; the fields of the other kind are `None`.
#[derive(Module, Debug)]
pub struct Ffn {
    /// MLP: `dim` to `hidden`.
    pub fc1: Option<Linear>,
    /// MLP: `hidden` to `dim`.
    pub fc2: Option<Linear>,
    /// SwiGLU: `dim` to `2 hidden`, gate first, then value.
    pub w12: Option<Linear>,
    /// SwiGLU: `hidden` to `dim`.
    pub w3: Option<Linear>,
}

impl Ffn {
    /// Randomly initialised, of the kind and width that `config` asks for.
    pub fn init(config: &VitConfig, draw: &mut WeightInit, device: &Device) -> Self {
        let (dim, hidden) = (config.dim, config.hidden);
        match config.ffn {
            FfnKind::Mlp => Self {
                fc1: Some(Linear::init(dim, hidden, true, draw, device)),
                fc2: Some(Linear::init(hidden, dim, true, draw, device)),
                w12: None,
                w3: None,
            },
            FfnKind::SwiGlu => Self {
                fc1: None,
                fc2: None,
                w12: Some(Linear::init(dim, 2 * hidden, true, draw, device)),
                w3: Some(Linear::init(hidden, dim, true, draw, device)),
            },
        }
    }

    /// What kind it is, and its first and second layer.
    pub(super) fn layers(&self) -> Option<(FeedForwardKind, &Linear, &Linear)> {
        match (&self.fc1, &self.fc2, &self.w12, &self.w3) {
            (Some(fc1), Some(fc2), _, _) => Some((FeedForwardKind::Mlp, fc1, fc2)),
            (_, _, Some(w12), Some(w3)) => Some((FeedForwardKind::SwiGlu, w12, w3)),
            _ => None,
        }
    }
}
