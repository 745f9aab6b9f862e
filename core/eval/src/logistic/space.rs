//! The space that features are looked at in.

use super::lbfgs::add;
use crate::knn::LabelledFeatures;
use dinoscope_analysis::linalg::dot;

/// A direction counts as one that earlier pictures span already when less than this share of its length is left.
const SPANNED: f64 = 1e-10;

/// The mean of the training pictures, and the axes that they span where they are few.
///
/// The optimum's weights lie in the span of the centred pictures: a part at right angles to it would change no logit and
/// add to the penalty. Along orthonormal axes of the span nothing else changes, and a fit costs as much as there are
/// pictures rather than as the features are wide.
pub(crate) struct FeatureSubspace {
    mean: Vec<f64>,
    /// `[axes, dim]`, orthonormal. Without them the features are taken as they are.
    axes: Option<Vec<f64>>,
}

impl FeatureSubspace {
    /// Looks at all pictures that something is to be learned from.
    pub(crate) fn new(set: &LabelledFeatures<'_>) -> Self {
        let mean = mean(set);
        let few = 2 * set.labels.len() <= set.dim;
        let axes = few.then(|| axes(set, &mean));
        Self { mean, axes }
    }

    /// Numbers of a picture.
    pub(crate) fn dim(&self) -> usize {
        let dim = self.mean.len();
        self.axes.as_ref().map_or(dim, |axes| axes.len() / dim.max(1))
    }

    /// Writes a picture's numbers: `features` is `[dim of the set]`, `out` `[dim]`.
    pub(crate) fn place(&self, features: &[f32], out: &mut [f64]) {
        let centred = centred(features, &self.mean);
        let Some(axes) = &self.axes else {
            out.iter_mut().zip(centred).for_each(|(to, v)| *to = v);
            return;
        };
        let centred: Vec<f64> = centred.collect();
        for (to, axis) in out.iter_mut().zip(axes.chunks_exact(self.mean.len().max(1))) {
            *to = dot(axis, &centred);
        }
    }
}

/// Mean of each number over the pictures of a set, `[dim]`.
fn mean(set: &LabelledFeatures<'_>) -> Vec<f64> {
    let mut mean = vec![0.0; set.dim];
    for row in set.data.chunks_exact(set.dim.max(1)) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
    }
    mean.iter_mut().for_each(|m| *m /= set.labels.len().max(1) as f64);
    mean
}

/// A picture's features less the mean.
fn centred(features: &[f32], mean: &[f64]) -> impl Iterator<Item = f64> {
    features.iter().zip(mean).map(|(v, m)| f64::from(*v) - m)
}

/// Orthonormal axes of the centred pictures, by Gram and Schmidt, each made orthogonal twice.
fn axes(set: &LabelledFeatures<'_>, mean: &[f64]) -> Vec<f64> {
    let mut axes: Vec<f64> = Vec::new();
    for row in set.data.chunks_exact(set.dim.max(1)) {
        let mut left: Vec<f64> = centred(row, mean).collect();
        let length = dot(&left, &left).sqrt();
        for _ in 0..2 {
            for axis in axes.chunks_exact(set.dim) {
                let along = dot(axis, &left);
                add(&mut left, -along, axis);
            }
        }
        let rest = dot(&left, &left).sqrt();
        if rest > SPANNED * length {
            axes.extend(left.iter().map(|v| v / rest));
        }
    }
    // Alike pictures span nothing: one number, which is 0 for all of them.
    if axes.is_empty() {
        axes.resize(set.dim, 0.0);
    }
    axes
}
