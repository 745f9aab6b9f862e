//! What a Vision Transformer is made of: sizes only, no weights.

use serde::{Deserialize, Serialize};

use super::grid::PatchGrid;
use super::rope::RopeConfig;
use dinoscope_data::channels::ChannelStatistics;

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
pub struct PosEmbedInterpolation {
    /// Added to the target size when the sampling step is computed; 0.1 in released models without registers.
    pub offset: f64,
    /// Antialiased bicubic; true in released models with registers.
    pub antialias: bool,
}

impl PosEmbedInterpolation {
    /// Released models without registers, and all official training recipes.
    pub const OFFSET: Self = Self { offset: 0.1, antialias: false };
    /// Released `_reg` models.
    pub const ANTIALIAS: Self = Self { offset: 0.0, antialias: true };
    /// Hugging Face `Dinov2Model`: explicit output size.
    pub const SIZE: Self = Self { offset: 0.0, antialias: false };
}

/// Epsilon of the LayerNorms of the official code and all released weights.
pub const NORM_EPS: f64 = 1e-6;

fn norm_eps() -> f64 {
    NORM_EPS
}

/// Whether a LayerNorm can be computed with this epsilon: a number that is not negative.
pub fn is_norm_eps(eps: f64) -> bool {
    eps >= 0.0 && (eps as f32).is_finite()
}

/// Epsilon of the LayerNorms of DINOv3.
pub const ROPE_NORM_EPS: f64 = 1e-5;

fn yes() -> bool {
    true
}

/// The shape of a backbone. State dicts tell all of it but heads, `norm_eps`, `interpolation` and `drop_path`, and of a
/// grid that is not square only how many positions it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VitConfig {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// The stored position grid in patches (37 x 37 in released weights: 518 / 14); with rotary positions, where nothing is
    /// stored, that of the pictures which the model is meant for.
    pub grid: PatchGrid,
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
    /// Whether keys have a part in it; not in DINOv3, where theirs stays 0.
    #[serde(default = "yes")]
    pub key_bias: bool,
    /// Rotary positions in the place of a table (DINOv3).
    #[serde(default)]
    pub rope: Option<RopeConfig>,
    /// Added to the variance in every LayerNorm; [`NORM_EPS`] in released weights, and in files from before it was kept.
    #[serde(default = "norm_eps")]
    pub norm_eps: f64,
    /// How positions are resampled.
    pub interpolation: PosEmbedInterpolation,
    /// Stochastic-depth rate of every block (uniform), used in training only.
    pub drop_path: f64,
    /// What its pictures are normalised by, and how many channels they have.
    #[serde(default = "ChannelStatistics::image_net")]
    pub pixels: ChannelStatistics,
}

/// Hidden width of a SwiGLU that was asked for `requested`: two thirds, rounded up to a multiple of 8.
pub fn swiglu_hidden(requested: usize) -> usize {
    (requested * 2 / 3).div_ceil(8) * 8
}

impl VitConfig {
    /// A backbone with the official defaults and a square grid for `image` pixels: MLP of ratio 4, LayerScale 1e-5, no registers, offset interpolation.
    pub fn new(image: usize, patch: usize, dim: usize, depth: usize, heads: usize) -> Self {
        Self {
            patch,
            grid: PatchGrid::square(image / patch),
            dim,
            depth,
            heads,
            ffn: FfnKind::Mlp,
            hidden: 4 * dim,
            registers: 0,
            layerscale: Some(1e-5),
            qkv_bias: true,
            key_bias: true,
            rope: None,
            norm_eps: NORM_EPS,
            interpolation: PosEmbedInterpolation::OFFSET,
            drop_path: 0.0,
            pixels: ChannelStatistics::image_net(),
        }
    }

    /// The same backbone with SwiGLU blocks (hidden width from a requested ratio of 4).
    pub fn with_swiglu(mut self) -> Self {
        self.ffn = FfnKind::SwiGlu;
        self.hidden = swiglu_hidden(4 * self.dim);
        self
    }

    /// The same backbone for pictures of so many channels.
    pub fn with_channels(mut self, channels: usize) -> Self {
        self.pixels = ChannelStatistics::usual(channels);
        self
    }

    /// The same backbone with `registers` register tokens; positions as the caller set them.
    pub fn with_registers(mut self, registers: usize) -> Self {
        self.registers = registers;
        self
    }

    /// The same backbone with rotary positions as DINOv3 has them: keys without a bias, an epsilon of 1e-5.
    pub fn with_rope(mut self) -> Self {
        (self.rope, self.key_bias, self.norm_eps) = (Some(RopeConfig::default()), false, ROPE_NORM_EPS);
        self
    }

    /// Channels of its pictures.
    pub fn channels(&self) -> usize {
        self.pixels.channels()
    }

    /// Dimensions of a head.
    pub fn head_width(&self) -> usize {
        self.dim / self.heads.max(1)
    }

    /// Tokens that stand before the patches: CLS and registers.
    pub fn prefix(&self) -> usize {
        1 + self.registers
    }

    /// Height and width in pixels of the image whose grid is stored.
    pub fn image(&self) -> (usize, usize) {
        (self.grid.rows * self.patch, self.grid.cols * self.patch)
    }

    /// Shorter side in pixels of the image whose grid is stored: of squares that fit into it the largest.
    pub fn side(&self) -> usize {
        self.grid.short() * self.patch
    }

    /// Shorter side in pixels that whole pictures are resized to where nobody asks for another: that of the grid, and at
    /// least 32 patches.
    pub fn view_side(&self) -> usize {
        self.grid.short().max(32) * self.patch
    }

    /// Number of trainable values, mask token included.
    pub fn parameters(&self) -> usize {
        let d = self.dim;
        let positions = if self.rope.is_some() { 0 } else { (1 + self.grid.area()) * d };
        let tokens = d * (1 + self.registers + 1) + positions;
        let patch = self.channels() * self.patch * self.patch * d + d;
        let attention = 3 * d * d + if self.qkv_bias { 3 * d } else { 0 } + d * d + d;
        let ffn = match self.ffn {
            FfnKind::Mlp => 2 * d * self.hidden + self.hidden + d,
            FfnKind::SwiGlu => 3 * d * self.hidden + 2 * self.hidden + d,
        };
        let scale = if self.layerscale.is_some() { 2 * d } else { 0 };
        tokens + patch + self.depth * (attention + ffn + scale + 4 * d) + 2 * d
    }
}
