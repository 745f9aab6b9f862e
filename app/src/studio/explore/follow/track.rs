//! The place in every frame: from what a person has clicked, on through the frames behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::follow::{FollowOptions, PatchFollower, TrackedPlace};

/// Where the place is in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundPlace {
    /// In patches.
    pub place: TrackedPlace,
    /// Rows and columns of patches.
    pub grid: (usize, usize),
}

impl FoundPlace {
    /// Shares of the frame's width and height.
    pub fn share(&self) -> [f32; 2] {
        self.place.share(self.grid.0, self.grid.1)
    }
}

/// A place through frames.
#[derive(Default)]
pub struct PlaceTrack {
    /// What a person has clicked, by frame: shares of width and height. From the second on they correct.
    clicked: BTreeMap<usize, [f32; 2]>,
    found: BTreeMap<usize, FoundPlace>,
    /// Who goes on from the last frame that was found.
    follower: Option<PatchFollower>,
    /// Why it can't go on.
    pub failed: Option<String>,
}

impl PlaceTrack {
    /// Whether nothing was clicked.
    pub fn is_empty(&self) -> bool {
        self.clicked.is_empty()
    }

    /// Takes what was clicked in a frame: the way up to there stays, from there on it is found anew. In the first frame of the
    /// way, or before it, everything begins anew.
    pub fn click(&mut self, frame: usize, share: [f32; 2]) {
        if self.clicked.first_key_value().is_none_or(|(first, _)| frame <= *first) {
            *self = Self::default();
        }
        self.clicked.retain(|at, _| *at < frame);
        self.clicked.insert(frame, share);
        self.found.retain(|at, _| *at < frame);
        (self.follower, self.failed) = (None, None);
    }

    /// Finds everything anew, from what was clicked.
    pub fn again(&mut self) {
        self.found.clear();
        (self.follower, self.failed) = (None, None);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Goes on through at most so many frames whose features are there; whether there is more to do now.
    pub fn advance(
        &mut self,
        features: &[Option<Arc<PatchFeatures>>],
        threshold: f32,
        mut budget: usize,
    ) -> bool {
        let Some((&first, _)) = self.clicked.first_key_value() else { return false };
        loop {
            let next = self.found.last_key_value().map_or(first, |(last, _)| last + 1);
            let there = features.get(next).and_then(Option::as_ref);
            let Some(features) = there.filter(|_| self.failed.is_none()) else { return false };
            if budget == 0 {
                return true;
            }
            budget -= 1;
            let options = FollowOptions { threshold, ..FollowOptions::usual(features.rows, features.cols) };
            let found = match (self.clicked.get(&next), &mut self.follower) {
                (Some(share), _) => {
                    PatchFollower::from_share(features, *share, options).map(|(own, place)| {
                        self.follower = Some(own);
                        place
                    })
                }
                (None, Some(follower)) => follower.next(features),
                (None, None) => return false,
            };
            match found {
                Ok(place) => {
                    let grid = (features.rows, features.cols);
                    self.found.insert(next, FoundPlace { place, grid });
                }
                Err(error) => self.failed = Some(format!("Frame {}: {error}", next + 1)),
            }
        }
    }

    /// Where it is in a frame.
    pub fn at(&self, frame: usize) -> Option<FoundPlace> {
        self.found.get(&frame).copied()
    }

    /// Where it is in all frames that it was found in or lost.
    pub fn all(&self) -> impl Iterator<Item = (usize, FoundPlace)> + '_ {
        self.found.iter().map(|(frame, found)| (*frame, *found))
    }

    /// How many frames are done.
    pub fn done(&self) -> usize {
        self.found.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// One row of ten patches, all different, but for one kind that stands at `at`; nowhere beyond the row.
    fn frame(at: usize) -> Option<Arc<PatchFeatures>> {
        let mut data = Vec::new();
        for col in 0..10usize {
            let mut patch = [0.0f32; 12];
            patch[if col == at { 11 } else { col }] = 1.0;
            data.extend(patch);
        }
        Some(Arc::new(PatchFeatures { rows: 1, cols: 10, dim: 12, data }))
    }

    fn columns(track: &PlaceTrack) -> Vec<(usize, i32, bool)> {
        let column = |found: FoundPlace| (found.share()[0] * 10.0).floor() as i32;
        track.all().map(|(frame, found)| (frame, column(found), found.place.seen)).collect()
    }

    #[test]
    fn it_goes_on_as_features_come_and_is_corrected_from_a_frame_on() {
        // The usual radius of one row is a quarter of a patch: the things stand still.
        let mut features = vec![frame(3), frame(3), None, frame(3), frame(99), frame(3)];
        let mut track = PlaceTrack::default();
        assert!(track.is_empty() && !track.advance(&features, 0.5, 9));
        track.click(0, [0.35, 0.5]);
        assert!(track.advance(&features, 0.5, 1), "there is more to do");
        assert!(!track.advance(&features, 0.5, 9), "the third is not there");
        assert_eq!(columns(&track), [(0, 3, true), (1, 3, true)]);
        features[2] = frame(3);
        assert!(!track.advance(&features, 0.5, 9));
        let all = [(0, 3, true), (1, 3, true), (2, 3, true), (3, 3, true), (4, 3, false), (5, 3, true)];
        assert_eq!(columns(&track), all, "lost where it is not, found again");
        track.click(2, [0.65, 0.5]);
        track.advance(&features, 0.5, 9);
        assert_eq!(columns(&track)[..4], [(0, 3, true), (1, 3, true), (2, 6, true), (3, 6, true)]);
        track.click(0, [0.05, 0.5]);
        assert_eq!(track.done(), 0);
        track.advance(&features, 0.5, 9);
        assert!(columns(&track).iter().all(|(_, column, _)| *column == 0), "everything begins anew");
    }

    #[test]
    fn frames_that_do_not_fit_are_said() {
        let other = PatchFeatures { rows: 1, cols: 10, dim: 3, data: vec![1.0; 30] };
        let features = [frame(3), Some(Arc::new(other))];
        let mut track = PlaceTrack::default();
        track.click(0, [0.35, 0.5]);
        assert!(!track.advance(&features, 0.5, 9));
        assert!(track.failed.as_ref().unwrap().starts_with("Frame 2: "), "{:?}", track.failed);
        track.again();
        assert!(track.failed.is_none() && !track.is_empty());
    }
}
