//! Pictures with labels in two halves: what is learned from, and what is judged.

use std::sync::Arc;

use super::Source;

/// Labelled pictures: some to learn from, others whose labels are predicted.
#[derive(Clone)]
pub struct Labelled {
    /// Whose labels are known.
    pub train: Arc<dyn Source>,
    /// Whose labels are predicted.
    pub test: Arc<dyn Source>,
}
