//! A place followed through pictures: where its feature is found again, frame after frame.
//!
//! What is looked for is the feature of the first frame, so that errors don't add up from frame to frame; where things
//! look alike, a radius keeps the search near the last place. Places are told in patches, (0, 0) being the middle of the
//! first patch, and lie between patches where several of them say so.

pub mod drawing;
mod object;
mod place;
pub mod propagation;
pub mod track;

use super::similarity::to_all;
use super::{AnalysisError, PatchFeatures};
pub use object::object_at;
pub use place::in_patches;

/// How a place is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FollowOptions {
    /// A best match that is less similar than this is none: the place is out of sight.
    pub threshold: f32,
    /// How far from the last place that was seen it may be in the next frame, in patches; infinite for anywhere. It grows by
    /// as much with every frame in which the place is out of sight.
    pub radius: f32,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self { threshold: 0.5, radius: f32::INFINITY }
    }
}

/// Where a place is in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackedPlace {
    /// In patches from the middle of the first row.
    pub row: f32,
    /// In patches from the middle of the first column.
    pub col: f32,
    /// Cosine of the best patch with what is looked for.
    pub similarity: f32,
    /// Whether that is enough; where not, row and column are those of the last frame in which it was.
    pub seen: bool,
}

/// Follows one place.
#[derive(Clone, Debug)]
pub struct PatchFollower {
    /// `[dim]`
    query: Vec<f32>,
    last: TrackedPlace,
    /// Frames since it was seen.
    lost: usize,
    options: FollowOptions,
}

/// How much less similar a neighbour of the best patch has to be to count for a third of it.
const SHARPNESS: f32 = 0.05;

impl PatchFollower {
    /// Follows what is at `row` and `col` of the first frame, in patches.
    ///
    /// # Errors
    /// When the place is outside of the frame, or the frame holds no features.
    pub fn new(
        first: &PatchFeatures,
        (row, col): (f32, f32),
        options: FollowOptions,
    ) -> Result<Self, AnalysisError> {
        first.check()?;
        let inside = |at: f32, count: usize| at.is_finite() && at > -0.5 && at < count as f32 - 0.5;
        if first.is_empty() || !inside(row, first.rows) || !inside(col, first.cols) {
            let found = if inside(row, first.rows) { col } else { row };
            let (found, expected) = (found.max(0.0) as usize, first.rows.min(first.cols));
            return Err(AnalysisError::Shape { what: "place in patches", found, expected });
        }
        let query = between(first, row, col);
        let last = TrackedPlace { row, col, similarity: 1.0, seen: true };
        Ok(Self { query, last, lost: 0, options })
    }

    /// Takes another threshold from the next frame on.
    pub fn set_threshold(&mut self, threshold: f32) {
        self.options.threshold = threshold;
    }

    /// Where it is in the next frame.
    ///
    /// # Errors
    /// When the frame's features are of another width or not finite.
    pub fn next(&mut self, frame: &PatchFeatures) -> Result<TrackedPlace, AnalysisError> {
        let similarities = to_all(&self.query, frame)?;
        let radius = self.options.radius * (1 + self.lost) as f32;
        let near = |index: usize| {
            let (row, col) = (index / frame.cols, index % frame.cols);
            let (down, across) = (row as f32 - self.last.row, col as f32 - self.last.col);
            down.hypot(across) <= radius
        };
        let allowed = (0..similarities.len()).filter(|&index| near(index));
        let best =
            allowed.reduce(|best, index| if similarities[index] > similarities[best] { index } else { best });
        let Some(best) = best else {
            self.last = TrackedPlace { similarity: 0.0, seen: false, ..self.last };
            self.lost += 1;
            return Ok(self.last);
        };
        let similarity = similarities[best];
        self.last = if similarity >= self.options.threshold {
            let (row, col) = middle(&similarities, frame.cols, best);
            self.lost = 0;
            TrackedPlace { row, col, similarity, seen: true }
        } else {
            self.lost += 1;
            TrackedPlace { similarity, seen: false, ..self.last }
        };
        Ok(self.last)
    }
}

/// The feature between patches, by how near they are: `[dim]`.
fn between(picture: &PatchFeatures, row: f32, col: f32) -> Vec<f32> {
    let mut out = vec![0.0; picture.dim];
    let axis = |at: f32, count: usize| {
        let at = at.clamp(0.0, count as f32 - 1.0);
        let low = (at as usize).min(count.saturating_sub(2));
        [(low, 1.0 - (at - low as f32)), ((low + 1).min(count - 1), at - low as f32)]
    };
    for (row, of_row) in axis(row, picture.rows) {
        for (col, of_col) in axis(col, picture.cols) {
            let weight = of_row * of_col;
            if let Some(patch) = picture.patch(row * picture.cols + col).filter(|_| weight > 0.0) {
                // Each as a direction: lengths of patches say nothing about what they show.
                let length = patch.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
                out.iter_mut().zip(patch).for_each(|(out, x)| *out += weight * x / length);
            }
        }
    }
    out
}

/// The middle of the best patch and those around it that are nearly as similar.
fn middle(similarities: &[f32], cols: usize, best: usize) -> (f32, f32) {
    let (row, col, rows) = (best / cols, best % cols, similarities.len() / cols);
    let (mut sum, mut down, mut across) = (0.0, 0.0, 0.0);
    for r in row.saturating_sub(1)..(row + 2).min(rows) {
        for c in col.saturating_sub(1)..(col + 2).min(cols) {
            let weight = ((similarities[r * cols + c] - similarities[best]) / SHARPNESS).exp();
            sum += weight;
            down += weight * r as f32;
            across += weight * c as f32;
        }
    }
    (down / sum, across / sum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DIM: usize = 8;

    /// A feature that is like no other.
    fn feature(i: usize) -> Vec<f32> {
        (0..DIM).map(|j| ((i * 31 + j * 17) as f32 * 0.7).sin() + 0.01 * j as f32).collect()
    }

    /// A window of 6 by 8 patches onto a wall of features, moved by rows and columns.
    fn window(down: usize, across: usize) -> PatchFeatures {
        let data = (0..6).flat_map(|r| (0..8).flat_map(move |c| feature((r + down) * 97 + c + across)));
        PatchFeatures { rows: 6, cols: 8, dim: DIM, data: data.collect() }
    }

    #[test]
    fn what_moves_is_found_where_it_has_gone() {
        let first = window(2, 3);
        let mut follower = PatchFollower::new(&first, (3.0, 4.0), FollowOptions::default()).unwrap();
        for (down, across) in [(2, 3), (1, 3), (0, 2), (2, 0), (4, 5)] {
            let found = follower.next(&window(down, across)).unwrap();
            let want = (3.0 + 2.0 - down as f32, 4.0 + 3.0 - across as f32);
            assert!(
                (found.row - want.0).abs() < 0.5 && (found.col - want.1).abs() < 0.5,
                "{found:?} {want:?}"
            );
            assert!(found.seen && found.similarity > 0.99);
        }
    }

    #[test]
    fn what_has_gone_is_out_of_sight_and_keeps_its_last_place() {
        let options = FollowOptions { threshold: 0.999, ..FollowOptions::default() };
        let mut follower = PatchFollower::new(&window(0, 0), (0.0, 0.0), options).unwrap();
        let before = follower.next(&window(0, 0)).unwrap();
        let gone = follower.next(&window(3, 3)).unwrap();
        assert!(!gone.seen && (gone.row, gone.col) == (before.row, before.col), "{gone:?}");
        assert!(follower.next(&window(0, 0)).unwrap().seen, "it comes back");
    }

    #[test]
    fn a_radius_keeps_to_the_one_that_is_near() {
        // The same thing twice.
        let two = |at: usize| {
            let mut data = vec![0.0; 12 * DIM];
            for (i, patch) in data.chunks_exact_mut(DIM).enumerate() {
                patch.copy_from_slice(&feature(if i == at || i == 11 { 500 } else { i }));
            }
            PatchFeatures { rows: 1, cols: 12, dim: DIM, data }
        };
        for (radius, near) in [(2.5, true), (f32::INFINITY, false)] {
            let options = FollowOptions { radius, ..FollowOptions::default() };
            let mut follower = PatchFollower::new(&two(1), (0.0, 1.0), options).unwrap();
            let mut without = two(3);
            without.data[3 * DIM..4 * DIM].copy_from_slice(&feature(77));
            assert!(follower.next(&two(2)).unwrap().col < 3.0);
            let found = follower.next(&without).unwrap();
            assert_eq!(found.col < 6.0, near, "radius {radius}: {found:?}");
        }
    }

    /// What was out of sight is looked for further away, frame by frame.
    #[test]
    fn the_search_widens_while_nothing_is_seen() {
        let options = FollowOptions { threshold: 0.999, radius: 2.0 };
        let with = |at: Option<usize>| {
            let mut data: Vec<f32> = (0..12).flat_map(feature).collect();
            if let Some(at) = at {
                data[at * DIM..(at + 1) * DIM].copy_from_slice(&feature(503));
            }
            PatchFeatures { rows: 1, cols: 12, dim: DIM, data }
        };
        let mut follower = PatchFollower::new(&with(Some(1)), (0.0, 1.0), options).unwrap();
        assert!(!follower.next(&with(Some(6))).unwrap().seen, "5 patches off");
        assert!(!follower.next(&with(Some(6))).unwrap().seen, "within 4 by now");
        assert!(follower.next(&with(Some(6))).unwrap().seen, "within 6 by now");
        assert!(!follower.next(&with(Some(1))).unwrap().seen, "2 once more");
    }

    #[test]
    fn places_between_patches_are_looked_for_and_told() {
        let first = window(0, 0);
        let follower = PatchFollower::new(&first, (1.5, 2.0), FollowOptions::default()).unwrap();
        let of = |row: usize| {
            let patch = first.patch(row * 8 + 2).unwrap();
            let length = patch.iter().map(|x| x * x).sum::<f32>().sqrt();
            patch.iter().map(|x| x / length).collect::<Vec<f32>>()
        };
        let half: Vec<f32> = of(1).iter().zip(of(2)).map(|(a, b)| (a + b) / 2.0).collect();
        assert!(follower.query.iter().zip(half).all(|(a, b)| (a - b).abs() < 1e-6));
        let found = follower.clone().next(&first).unwrap();
        assert!((1.0..=2.0).contains(&found.row), "{found:?}");
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let first = window(0, 0);
        for place in [(-1.0, 0.0), (0.0, 8.0), (6.0, 0.0), (f32::NAN, 0.0)] {
            let error = PatchFollower::new(&first, place, FollowOptions::default()).unwrap_err();
            assert!(error.to_string().contains("place"), "{error}");
        }
        let mut follower = PatchFollower::new(&first, (0.0, 0.0), FollowOptions::default()).unwrap();
        let narrow = PatchFeatures { rows: 1, cols: 1, dim: 3, data: vec![1.0; 3] };
        assert!(follower.next(&narrow).is_err());
        let mut broken = window(0, 0);
        broken.data[5] = f32::NAN;
        assert!(follower.next(&broken).is_err());
        let nothing = PatchFeatures { rows: 0, cols: 0, dim: DIM, data: Vec::new() };
        assert!(!follower.next(&nothing).unwrap().seen);
    }
}
