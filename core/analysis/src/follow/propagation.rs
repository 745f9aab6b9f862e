//! Masks of a first frame carried through the frames behind it, without training.
//!
//! Source: DINO (Caron et al. 2021), the protocol of its video segmentation on DAVIS: a patch takes the labels of the five
//! patches of the first and of the last seven frames that are most like it, of those that are near its place.

use std::collections::VecDeque;

use crate::linalg::normalise_rows;
use crate::{AnalysisError, PatchFeatures, check_len};

/// The protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PropagationOptions {
    /// Frames before the present one that are asked, beside the first.
    pub context: usize,
    /// How many of the most similar patches are asked.
    pub top: usize,
    /// How far from its own place a patch asks, in patches along each axis.
    pub radius: usize,
    /// Similarities are divided by this.
    pub temperature: f32,
}

impl Default for PropagationOptions {
    /// Those of DINO.
    fn default() -> Self {
        Self { context: 7, top: 5, radius: 12, temperature: 0.1 }
    }
}

/// A frame that is asked.
#[derive(Clone, Debug)]
struct LabelledFrame {
    /// `[patches, dim]`, each of length 1.
    features: Vec<f32>,
    /// `[patches, classes]`
    labels: Vec<f32>,
}

/// Carries labels from frame to frame.
#[derive(Clone, Debug)]
pub struct MaskPropagator {
    rows: usize,
    cols: usize,
    dim: usize,
    classes: usize,
    first: LabelledFrame,
    before: VecDeque<LabelledFrame>,
    options: PropagationOptions,
}

impl MaskPropagator {
    /// Begins with the shares `labels` `[patches, classes]` of the first frame.
    ///
    /// # Errors
    /// When sizes don't fit each other or features are not finite.
    pub fn new(
        first: &PatchFeatures,
        labels: Vec<f32>,
        classes: usize,
        options: PropagationOptions,
    ) -> Result<Self, AnalysisError> {
        first.check()?;
        check_len("labels of patches", labels.len(), first.len() * classes)?;
        let features = normalise_rows(&first.data, first.dim);
        Ok(Self {
            rows: first.rows,
            cols: first.cols,
            dim: first.dim,
            classes,
            first: LabelledFrame { features, labels },
            before: VecDeque::new(),
            options,
        })
    }

    /// The labels of the next frame, `[patches, classes]`; they add up to 1 for each patch where those of the first do.
    ///
    /// # Errors
    /// When the frame is of another size or its features are not finite.
    pub fn next(&mut self, frame: &PatchFeatures) -> Result<Vec<f32>, AnalysisError> {
        frame.check()?;
        check_len("rows of patches", frame.rows, self.rows)?;
        check_len("columns of patches", frame.cols, self.cols)?;
        check_len("numbers of a patch", frame.dim, self.dim)?;
        let features = normalise_rows(&frame.data, self.dim);
        let mut labels = vec![0.0; frame.len() * self.classes];
        let classes = self.classes.max(1);
        dinoscope_base::parallel::for_chunks(&mut labels, classes, |patch, label| {
            self.ask(&features[patch * self.dim..(patch + 1) * self.dim], patch, label);
        });
        self.before.push_back(LabelledFrame { features, labels: labels.clone() });
        while self.before.len() > self.options.context {
            self.before.pop_front();
        }
        Ok(labels)
    }

    /// Adds up what the most similar patches around `patch` say.
    fn ask(&self, feature: &[f32], patch: usize, label: &mut [f32]) {
        let (row, col, radius) = (patch / self.cols, patch % self.cols, self.options.radius);
        let rows = row.saturating_sub(radius)..(row + radius + 1).min(self.rows);
        let cols = col.saturating_sub(radius)..(col + radius + 1).min(self.cols);
        // The most similar so far, best first.
        let mut best: Vec<(f32, &[f32])> = Vec::with_capacity(self.options.top + 1);
        for frame in std::iter::once(&self.first).chain(&self.before) {
            for r in rows.clone() {
                for c in cols.clone() {
                    let at = r * self.cols + c;
                    let other = &frame.features[at * self.dim..(at + 1) * self.dim];
                    let similarity = product(feature, other);
                    if best.len() == self.options.top && best.last().is_some_and(|last| last.0 >= similarity)
                    {
                        continue;
                    }
                    let place = best.partition_point(|found| found.0 >= similarity);
                    best.insert(
                        place,
                        (similarity, &frame.labels[at * self.classes..(at + 1) * self.classes]),
                    );
                    best.truncate(self.options.top);
                }
            }
        }
        let most = best.first().map_or(0.0, |found| found.0);
        let weight = |similarity: f32| ((similarity - most) / self.options.temperature).exp();
        let sum: f32 = best.iter().map(|found| weight(found.0)).sum();
        for (similarity, labels) in best {
            let share = weight(similarity) / sum;
            label.iter_mut().zip(labels).for_each(|(label, other)| *label += share * other);
        }
    }
}

/// The inner product, in sums side by side that a processor adds up at once.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DIM: usize = 6;

    /// 6 by 10 patches: an object of 2 by 2 at a column, before a background that varies a little.
    fn scene(col: usize) -> (PatchFeatures, Vec<bool>) {
        let mut data = Vec::new();
        let mut mask = Vec::new();
        for r in 0..6usize {
            for c in 0..10usize {
                let object = (2..4).contains(&r) && (col..col + 2).contains(&c);
                mask.push(object);
                let kind = if object { [1.0, 0.0] } else { [0.0, 1.0] };
                data.extend(kind);
                data.extend((0..DIM - 2).map(|j| 0.2 * ((r * 13 + c * 7 + j * 5) as f32).sin()));
            }
        }
        (PatchFeatures { rows: 6, cols: 10, dim: DIM, data }, mask)
    }

    fn labels(mask: &[bool]) -> Vec<f32> {
        mask.iter().flat_map(|&object| if object { [0.0, 1.0] } else { [1.0, 0.0] }).collect()
    }

    #[test]
    fn a_mask_goes_along_with_its_object() {
        let (first, mask) = scene(0);
        let mut propagator =
            MaskPropagator::new(&first, labels(&mask), 2, PropagationOptions::default()).unwrap();
        for col in 1..8 {
            let (frame, want) = scene(col);
            let found = propagator.next(&frame).unwrap();
            let object: Vec<bool> = found.chunks(2).map(|label| label[1] > label[0]).collect();
            assert_eq!(object, want, "column {col}");
            assert!(found.chunks(2).all(|label| (label[0] + label[1] - 1.0).abs() < 1e-5));
        }
        assert_eq!(propagator.before.len(), 7);
    }

    /// Patches ask around their place: what jumps further than the radius is lost.
    #[test]
    fn what_jumps_further_than_the_radius_is_lost() {
        let (first, mask) = scene(0);
        for (radius, found) in [(1, false), (12, true)] {
            let options = PropagationOptions { radius, ..PropagationOptions::default() };
            let mut propagator = MaskPropagator::new(&first, labels(&mask), 2, options).unwrap();
            let label = propagator.next(&scene(6).0).unwrap();
            assert_eq!(label[(2 * 10 + 6) * 2 + 1] > 0.5, found, "radius {radius}");
        }
    }

    #[test]
    fn the_most_similar_five_are_asked_by_their_similarity() {
        // One patch; frames of the past say 0.2 and 0.8 with cosines 1 and 0.9.
        let of = |x: f32, y: f32| PatchFeatures { rows: 1, cols: 1, dim: 2, data: vec![x, y] };
        let near = of(0.9, (1.0f32 - 0.81).sqrt());
        let options = PropagationOptions { top: 2, temperature: 0.1, ..PropagationOptions::default() };
        let mut propagator = MaskPropagator::new(&of(1.0, 0.0), vec![0.2], 1, options).unwrap();
        assert_eq!(propagator.next(&near).unwrap(), [0.2]);
        propagator.before[0].labels = vec![0.8];
        let label = propagator.next(&of(1.0, 0.0)).unwrap()[0];
        let (a, b) = (1.0, (-1.0f32).exp());
        assert!((label - (0.2 * a + 0.8 * b) / (a + b)).abs() < 1e-5, "{label}");
    }

    #[test]
    fn frames_of_other_sizes_are_refused() {
        let (first, mask) = scene(0);
        let default = PropagationOptions::default();
        assert!(MaskPropagator::new(&first, vec![0.0; 3], 2, default).is_err());
        let mut propagator = MaskPropagator::new(&first, labels(&mask), 2, default).unwrap();
        let other = PatchFeatures { rows: 10, cols: 6, ..first.clone() };
        assert!(propagator.next(&other).unwrap_err().to_string().contains("rows"));
        let mut broken = first;
        broken.data[0] = f32::INFINITY;
        assert!(propagator.next(&broken).is_err());
    }
}
