//! The objective of DINOv2: DINO, iBOT and KoLeo losses, teacher centering, block masking; and DINOv3's Gram loss.

pub mod centering;
pub mod collective;
pub mod dino;
pub mod gram;
pub mod ibot;
pub mod koleo;
pub mod masking;
pub mod ranks;
pub mod square_maps;

pub use centering::Centering;
pub use collective::{Collective, OneProcess};
pub use masking::{CropMasks, MaskRecipe};
pub use ranks::{RankGroup, RankWire};

use burn::tensor::Tensor;

/// Temperature of the student's softmax, the same in every recipe.
pub const STUDENT_TEMPERATURE: f64 = 0.1;

/// Entropy of each row of probabilities, `[rows, K]` to `[rows, 1]`; 0 log 0 counts as 0.
pub fn entropy(probabilities: Tensor<2>) -> Tensor<2> {
    let log = probabilities.clone().clamp_min(1e-30).log();
    (probabilities * log).sum_dim(1).neg()
}
