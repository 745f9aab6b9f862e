//! Pictures with labels in two halves: what is learned from, and what is judged.

use std::sync::Arc;

use super::PictureSource;

/// Labelled pictures: some to learn from, others whose labels are predicted.
#[derive(Clone)]
pub struct LabelledSplit {
    /// Whose labels are known.
    pub train: Arc<dyn PictureSource>,
    /// Whose labels are predicted.
    pub test: Arc<dyn PictureSource>,
}
