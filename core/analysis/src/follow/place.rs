//! Places in a frame: as shares of it, which people and files have, and in patches, in which they are followed.

use super::{FollowOptions, PatchFollower, TrackedPlace};
use crate::{AnalysisError, PatchFeatures};

impl FollowOptions {
    /// Those without a wish, for frames of so many patches: a place goes no farther from one frame to the next than a quarter of
    /// the frame's shorter side.
    pub fn usual(rows: usize, cols: usize) -> Self {
        Self { radius: rows.min(cols) as f32 / 4.0, ..Self::default() }
    }
}

impl TrackedPlace {
    /// Where it is in the frame: shares of its width and height from the left upper corner.
    pub fn share(&self, rows: usize, cols: usize) -> [f32; 2] {
        [(self.col + 0.5) / cols as f32, (self.row + 0.5) / rows as f32]
    }

    /// How far it is from a point of the frame (shares of width and height), in patches.
    pub fn patches_from(&self, [x, y]: [f32; 2], rows: usize, cols: usize) -> f32 {
        let [own_x, own_y] = self.share(rows, cols);
        ((own_x - x) * cols as f32).hypot((own_y - y) * rows as f32)
    }
}

/// Row and column of a point of the frame (shares of width and height), in patches. In the outermost half patch that is the
/// middle of the patch: there is none farther out to be between.
pub fn in_patches([x, y]: [f32; 2], rows: usize, cols: usize) -> (f32, f32) {
    let along = |share: f32, count: usize| (share * count as f32 - 0.5).clamp(0.0, count.max(1) as f32 - 1.0);
    (along(y, rows), along(x, cols))
}

impl PatchFollower {
    /// Follows what is at a point of the first frame (shares of width and height); where that is.
    ///
    /// # Errors
    /// When the frame holds no features.
    pub fn from_share(
        first: &PatchFeatures,
        share: [f32; 2],
        options: FollowOptions,
    ) -> Result<(Self, TrackedPlace), AnalysisError> {
        let (row, col) = in_patches(share, first.rows, first.cols);
        let follower = Self::new(first, (row, col), options)?;
        Ok((follower, TrackedPlace { row, col, similarity: 1.0, seen: true }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_patches_are_the_same_places() {
        assert_eq!(in_patches([0.5, 0.5], 4, 8), (1.5, 3.5));
        assert_eq!(in_patches([0.0, 1.0], 4, 8), (3.0, 0.0), "the middle of the outermost patch");
        let place = TrackedPlace { row: 1.5, col: 3.5, similarity: 1.0, seen: true };
        assert_eq!(place.share(4, 8), [0.5, 0.5]);
        assert!((place.patches_from([0.5 + 1.0 / 8.0, 0.5], 4, 8) - 1.0).abs() < 1e-6);
        assert_eq!(FollowOptions::usual(16, 24).radius, 4.0);
    }

    #[test]
    fn a_point_anywhere_in_the_frame_can_be_followed() {
        let first = PatchFeatures { rows: 2, cols: 3, dim: 1, data: vec![1.0; 6] };
        for share in [[0.0, 0.0], [1.0, 1.0], [0.4, 0.7]] {
            let (_, place) = PatchFollower::from_share(&first, share, FollowOptions::usual(2, 3)).unwrap();
            assert!(place.patches_from(share, 2, 3) < 0.75 && place.seen, "{place:?}");
        }
        let none = PatchFeatures { rows: 0, cols: 0, dim: 1, data: Vec::new() };
        assert!(PatchFollower::from_share(&none, [0.5; 2], FollowOptions::default()).is_err());
    }
}
