//! A place followed through the pictures of the camera, as they come.

use std::collections::VecDeque;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::follow::{FollowOptions, PatchFollower};

use super::track::FoundPlace;

/// Pictures whose places are drawn as the way that it came.
const WAY: usize = 40;

/// A place through pictures that come one after another.
#[derive(Default)]
pub struct LiveFollow {
    /// Whether the panel shows the camera.
    pub on: bool,
    /// What was clicked and waits for the next picture: shares of width and height.
    clicked: Option<[f32; 2]>,
    follower: Option<PatchFollower>,
    threshold: f32,
    /// Where it was in the last pictures, the newest last.
    pub way: VecDeque<FoundPlace>,
}

impl LiveFollow {
    /// One that follows nothing yet.
    pub fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Follows what is there in the next picture.
    pub fn click(&mut self, share: [f32; 2]) {
        self.clicked = Some(share);
    }

    /// Follows nothing any more.
    pub fn clear(&mut self) {
        *self = Self::new(self.on);
    }

    /// Takes in the next picture. One that does not fit, because another model looks, ends it.
    pub fn frame(&mut self, features: &PatchFeatures, threshold: f32) {
        if self.clicked.is_none() && self.threshold != threshold {
            // The same thing from now on, as strictly as is wished now.
            if let Some(follower) = &mut self.follower {
                follower.set_threshold(threshold);
            }
        }
        self.threshold = threshold;
        let grid = (features.rows, features.cols);
        if let Some(share) = self.clicked.take() {
            let options = FollowOptions { threshold, ..FollowOptions::usual(grid.0, grid.1) };
            self.way.clear();
            self.follower = match PatchFollower::from_share(features, share, options) {
                Ok((follower, place)) => {
                    self.way.push_back(FoundPlace { place, grid });
                    Some(follower)
                }
                Err(_) => None,
            };
            return;
        }
        let Some(follower) = &mut self.follower else { return };
        match follower.next(features) {
            Ok(place) => self.way.push_back(FoundPlace { place, grid }),
            Err(_) => self.clear(),
        }
        while self.way.len() > WAY {
            self.way.pop_front();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Eight by eight patches, all of one kind but one.
    fn frame(at: Option<(usize, usize)>) -> PatchFeatures {
        let data = (0..64usize)
            .flat_map(|i| if at == Some((i / 8, i % 8)) { [1.0, 0.0] } else { [0.0, 1.0] })
            .collect();
        PatchFeatures { rows: 8, cols: 8, dim: 2, data }
    }

    #[test]
    fn what_was_clicked_is_followed_lost_and_found_again() {
        let mut live = LiveFollow { on: true, ..LiveFollow::default() };
        live.frame(&frame(Some((2, 2))), 0.5);
        assert!(live.way.is_empty(), "nothing was clicked");
        live.click([2.5 / 8.0, 2.5 / 8.0]);
        let mut last = |at: Option<(usize, usize)>| {
            live.frame(&frame(at), 0.5);
            let found = *live.way.back().unwrap();
            (found.place.row.round() as usize, found.place.col.round() as usize, found.place.seen)
        };
        assert_eq!(last(Some((2, 2))), (2, 2, true));
        assert_eq!(last(Some((3, 3))), (3, 3, true));
        assert_eq!(last(None), (3, 3, false), "it stays where it was seen last");
        assert_eq!(last(Some((4, 3))), (4, 3, true));
        assert_eq!(last(Some((0, 0))), (4, 3, false), "farther than it can go from one to the next");
        for _ in 0..100 {
            last(Some((4, 3)));
        }
        assert_eq!(live.way.len(), WAY);
        // Another model has other features.
        live.frame(&PatchFeatures { rows: 2, cols: 2, dim: 3, data: vec![1.0; 12] }, 0.5);
        assert!(live.on && live.way.is_empty());
    }

    #[test]
    fn a_threshold_counts_from_the_next_picture_on() {
        let mut live = LiveFollow::default();
        live.click([2.5 / 8.0, 2.5 / 8.0]);
        live.frame(&frame(Some((2, 2))), 0.5);
        let mut faint = frame(Some((2, 2)));
        faint.data[2 * (2 * 8 + 2)..][..2].copy_from_slice(&[0.8, 0.6]);
        live.frame(&faint, 0.5);
        assert!(live.way.back().unwrap().place.seen);
        live.frame(&faint, 0.9);
        assert!(!live.way.back().unwrap().place.seen);
    }
}
