//! A map of features: pictures as points in the plane, near to each other where the model finds them alike.
//!
//! A [`ProjectionMap`] is data; who draws it is apart: [`picture`] for a file, [`page`] for a browser, the studio for itself.

mod distances;
mod marks;
mod page;
mod picture;
mod sprites;
mod task;
mod tsne;

use serde::{Deserialize, Serialize};

pub use marks::{ClassMarker, MarkerShape, mark};
pub use page::page;
pub use picture::picture;
pub use sprites::SpriteSheet;
pub(super) use task::evaluate;
pub use task::{ProjectionMaps, ProjectionResult, ProjectionTask, ReductionMethod, map};
pub use tsne::{TsneOptimizer, TsneOptions};

/// Pictures as points in the plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProjectionMap {
    /// What was done, in words: `t-SNE, perplexity 30`.
    pub way: String,
    /// `[points]`: across and up, all within -1 to 1, both to the same scale.
    pub points: Vec<[f32; 2]>,
    /// `[points]`: the class of each, an index into `classes`, where it has one.
    pub labels: Vec<Option<u32>>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `[points]`: what each picture is called.
    pub names: Vec<String>,
    /// `[points]`: the position of each picture in its source.
    pub pictures: Vec<usize>,
}

impl ProjectionMap {
    /// How many points there are of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for label in self.labels.iter().flatten() {
            if let Some(count) = counts.get_mut(*label as usize) {
                *count += 1;
            }
        }
        counts
    }
}

/// Points moved and scaled such that all lie within -1 to 1 and reach a side; the same scale across and up.
fn framed(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let end =
        |k: usize, first: f32, choose: fn(f32, f32) -> f32| points.iter().map(|p| p[k]).fold(first, choose);
    let (low, high): ([f32; 2], [f32; 2]) = (
        std::array::from_fn(|k| end(k, f32::INFINITY, f32::min)),
        std::array::from_fn(|k| end(k, f32::NEG_INFINITY, f32::max)),
    );
    let half = (high[0] - low[0]).max(high[1] - low[1]) / 2.0;
    let scale = if half > 0.0 && half.is_finite() { 1.0 / half } else { 0.0 };
    let place = |v: f32, k: usize| ((v - (low[k] + high[k]) / 2.0) * scale).clamp(-1.0, 1.0);
    points.iter().map(|[x, y]| [place(*x, 0), place(*y, 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framed_points_reach_a_side() {
        let framed_points = framed(&[[10.0, 1.0], [30.0, 1.0], [20.0, 6.0]]);
        assert_eq!(framed_points, [[-1.0, -0.25], [1.0, -0.25], [0.0, 0.25]]);
        assert_eq!(framed(&[[3.0, 4.0]; 2]), [[0.0; 2]; 2]);
        assert!(framed(&[]).is_empty());
    }
}
