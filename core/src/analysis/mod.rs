//! What features look like: colours from principal components, attention maps, similarity between patches.
//!
//! Everything here works on plain vectors that callers have read back from the device, so that it
//! runs the same in a browser, on a desktop and in a test.

/// The patch tokens of one picture, in reading order.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchFeatures {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub cols: usize,
    /// Numbers per patch.
    pub dim: usize,
    /// `[rows * cols, dim]`, row-major: the final-normed patch tokens without class token and registers.
    pub data: Vec<f32>,
}
