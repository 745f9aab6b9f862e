//! Pictures to patch tokens.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::layers::{WeightInit, uniform};
use crate::fused;

/// A convolution whose stride is its kernel, kept under its official name `patch_embed.proj`.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// The convolution.
    pub proj: PatchProjection,
}

/// Weights of the patch convolution.
#[derive(Module, Debug)]
pub struct PatchProjection {
    /// `[dim, channels, patch, patch]`
    pub weight: Param<Tensor<4>>,
    /// `[dim]`
    pub bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    /// PyTorch's default for convolutions: uniform over ±1/√(channels patch²). The ViT's own initialisation skips it.
    pub fn init(channels: usize, patch: usize, dim: usize, draw: &mut WeightInit, device: &Device) -> Self {
        let bound = 1.0 / ((channels * patch * patch) as f32).sqrt();
        let weight = uniform([dim, channels, patch, patch], bound, draw, device);
        Self { proj: PatchProjection { weight, bias: uniform([dim], bound, draw, device) } }
    }

    /// `[batch, channels, height, width]` to `[batch, (height / patch) (width / patch), dim]`, patches row by row.
    ///
    /// Patches do not overlap, so the convolution is a rearrangement and one matrix product.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let [dim, channels, patch, _] = self.proj.weight.dims();
        let [batch, _, height, width] = images.dims();
        let (rows, cols) = (height / patch, width / patch);
        let values = channels * patch * patch;
        let patches = images
            .reshape([batch, channels, rows, patch, cols, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch * rows * cols, values]);
        let weight = self.proj.weight.val().reshape([dim, values]);
        fused::linear(patches, weight, self.proj.bias.val()).reshape([batch, rows * cols, dim])
    }
}
