//! The feed-forward network of a block: MLP or SwiGLU.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};

use super::config::{FfnKind, VitConfig};
use super::layers::Linear;
use crate::rng::Stream;

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
    pub fn init(config: &VitConfig, rng: &mut Stream, device: &Device) -> Self {
        let (dim, hidden) = (config.dim, config.hidden);
        match config.ffn {
            FfnKind::Mlp => Self {
                fc1: Some(Linear::init(dim, hidden, true, rng, device)),
                fc2: Some(Linear::init(hidden, dim, true, rng, device)),
                w12: None,
                w3: None,
            },
            FfnKind::SwiGlu => Self {
                fc1: None,
                fc2: None,
                w12: Some(Linear::init(dim, 2 * hidden, true, rng, device)),
                w3: Some(Linear::init(hidden, dim, true, rng, device)),
            },
        }
    }

    /// `[tokens, dim]` to `[tokens, dim]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match (&self.fc1, &self.fc2, &self.w12, &self.w3) {
            // The exact GELU (erf), not the tanh approximation.
            (Some(fc1), Some(fc2), _, _) => fc2.forward(activation::gelu(fc1.forward(x))),
            (_, _, Some(w12), Some(w3)) => {
                let packed = w12.forward(x);
                let hidden = packed.dims()[1] / 2;
                let gate = packed.clone().narrow(1, 0, hidden);
                let value = packed.narrow(1, hidden, hidden);
                w3.forward(activation::silu(gate) * value)
            }
            _ => x,
        }
    }
}
