//! What a Vision Transformer is made of: sizes only, no weights.

use serde::{Deserialize, Serialize};

/// The feed-forward network of every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FfnKind {
    /// `fc2(gelu(fc1(x)))`.
    Mlp,
    /// `w3(silu(gate) * value)` with `gate` and `value` packed in `w12`.
    SwiGlu,
}

/// How the position table is resampled to another grid (see [`super::pos_embed`]).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interpolation {
    /// Added to the target size when the sampling step is computed; 0.1 in released models without registers.
    pub offset: f64,
    /// Antialiased bicubic; true in released models with registers.
    pub antialias: bool,
}

impl Interpolation {
    /// Released models without registers, and all official training recipes.
    pub const OFFSET: Self = Self { offset: 0.1, antialias: false };
    /// Released `_reg` models.
    pub const ANTIALIAS: Self = Self { offset: 0.0, antialias: true };
    /// Hugging Face `Dinov2Model`: explicit output size.
    pub const SIZE: Self = Self { offset: 0.0, antialias: false };
}

/// The shape of a backbone. Everything but `interpolation` and `drop_path` can be read off a state dict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VitConfig {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Side of the stored position grid in patches (37 in released weights: 518 / 14).
    pub grid: usize,
    /// Width of a token.
    pub dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; `dim` is a multiple of it.
    pub heads: usize,
    /// Kind of feed-forward network.
    pub ffn: FfnKind,
    /// Its hidden width (`4 * dim` for the MLP, [`swiglu_hidden`] for SwiGLU).
    pub hidden: usize,
    /// Register tokens (Darcet et al. 2023); 0 for none.
    pub registers: usize,
    /// Initial value of LayerScale, or `None` for blocks without it.
    pub layerscale: Option<f32>,
    /// Whether `qkv` has a bias.
    pub qkv_bias: bool,
    /// How positions are resampled.
    pub interpolation: Interpolation,
    /// Stochastic-depth rate of every block (uniform), used in training only.
    pub drop_path: f64,
}

/// Hidden width of a SwiGLU that was asked for `requested`: two thirds, rounded up to a multiple of 8.
pub fn swiglu_hidden(requested: usize) -> usize {
    (requested * 2 / 3).div_ceil(8) * 8
}

impl VitConfig {
    /// A backbone with the official defaults: MLP of ratio 4, LayerScale 1e-5, no registers, offset interpolation.
    pub fn new(image: usize, patch: usize, dim: usize, depth: usize, heads: usize) -> Self {
        Self {
            patch,
            grid: image / patch,
            dim,
            depth,
            heads,
            ffn: FfnKind::Mlp,
            hidden: 4 * dim,
            registers: 0,
            layerscale: Some(1e-5),
            qkv_bias: true,
            interpolation: Interpolation::OFFSET,
            drop_path: 0.0,
        }
    }

    /// The same backbone with SwiGLU blocks (hidden width from a requested ratio of 4).
    pub fn with_swiglu(mut self) -> Self {
        self.ffn = FfnKind::SwiGlu;
        self.hidden = swiglu_hidden(4 * self.dim);
        self
    }

    /// The same backbone with `registers` register tokens; positions as the caller set them.
    pub fn with_registers(mut self, registers: usize) -> Self {
        self.registers = registers;
        self
    }

    /// Tokens that stand before the patches: CLS and registers.
    pub fn prefix(&self) -> usize {
        1 + self.registers
    }

    /// Side in pixels of the image whose grid is stored.
    pub fn image(&self) -> usize {
        self.grid * self.patch
    }

    /// Number of trainable values, mask token included.
    pub fn parameters(&self) -> usize {
        let d = self.dim;
        let tokens = d * (1 + self.registers + 1) + (1 + self.grid * self.grid) * d;
        let patch = 3 * self.patch * self.patch * d + d;
        let attention = 3 * d * d + if self.qkv_bias { 3 * d } else { 0 } + d * d + d;
        let ffn = match self.ffn {
            FfnKind::Mlp => 2 * d * self.hidden + self.hidden + d,
            FfnKind::SwiGlu => 3 * d * self.hidden + 2 * self.hidden + d,
        };
        let scale = if self.layerscale.is_some() { 2 * d } else { 0 };
        tokens + patch + self.depth * (attention + ffn + scale + 4 * d) + 2 * d
    }
}
