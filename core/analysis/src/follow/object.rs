//! The object at a place: the patches around it that look like it.

use crate::similarity::to_all;
use crate::{AnalysisError, PatchFeatures};

/// Shares of patches, `[patches]`: 1 for patch `at` and all that hang together with it and are at least so similar to it, 0
/// for the rest.
///
/// # Errors
/// When the features are not finite or there is no such patch.
pub fn object_at(features: &PatchFeatures, at: usize, threshold: f32) -> Result<Vec<f32>, AnalysisError> {
    let query = features.patch(at).ok_or(AnalysisError::Empty("patches at the place"))?;
    let similarities = to_all(query, features)?;
    let (rows, cols) = (features.rows, features.cols);
    let mut shares = vec![0.0; similarities.len()];
    let mut next = vec![at];
    shares[at] = 1.0;
    while let Some(patch) = next.pop() {
        let (row, col) = (patch / cols, patch % cols);
        let around = [
            (row > 0).then(|| patch - cols),
            (row + 1 < rows).then(|| patch + cols),
            (col > 0).then(|| patch - 1),
            (col + 1 < cols).then(|| patch + 1),
        ];
        for near in around.into_iter().flatten() {
            if shares[near] == 0.0 && similarities[near] >= threshold {
                shares[near] = 1.0;
                next.push(near);
            }
        }
    }
    Ok(shares)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_together_and_looks_alike_is_an_object() {
        // Two things of one look, a gap between them, in two rows of five.
        let thing = [1.0, 0.0];
        let ground = [0.2, 1.0];
        let row = [thing, thing, ground, ground, thing];
        let data = row.iter().chain(&row).flatten().copied().collect();
        let features = PatchFeatures { rows: 2, cols: 5, dim: 2, data };
        let found = object_at(&features, 0, 0.5).unwrap();
        assert_eq!(found, [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(object_at(&features, 4, 0.5).unwrap()[4..], [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(object_at(&features, 0, -1.0).unwrap().iter().all(|share| *share == 1.0));
        assert!(object_at(&features, 10, 0.5).is_err());
    }
}
