//! The Vision Transformer of DINOv2 and its projection heads, the operations that it is made of, and what it says of
//! pictures.

pub mod attention;
pub mod block;
pub mod config;
pub mod features;
pub mod ffn;
pub mod fused;
pub mod grid;
pub mod head;
pub mod layers;
pub mod params;
pub mod patch_embed;
pub mod pos_embed;
pub mod presets;
pub mod rope;
pub mod vit;

#[cfg(test)]
mod tests;

pub use config::{FfnKind, NORM_EPS, PosEmbedInterpolation, ROPE_NORM_EPS, VitConfig, swiglu_hidden};
pub use grid::PatchGrid;
pub use head::{DinoHead, DinoHeadConfig};
pub use rope::{RopeAugmentation, RopeConfig};
pub use vit::{LayerOutput, LayerSelection, Vit, VitInput, VitOutput};
