//! Masks of a first frame carried through the frames behind it, without training.
//!
//! Source: DINO (Caron et al. 2021), the protocol of its video segmentation on DAVIS: a patch takes the labels of the five
//! patches of the first and of the last seven frames that are most like it, of those that are near its place.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::linalg::{Block, LANES, PackedPanels, normalise_rows};
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
#[derive(Clone)]
struct LabelledFrame {
    /// `[patches, dim]`, each of length 1.
    features: Arc<PackedPanels>,
    /// `[patches, classes]`
    labels: Vec<f32>,
}

/// Carries labels from frame to frame.
#[derive(Clone)]
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
        let features = packed(first);
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
        let features = self.fitting(frame)?;
        let mut labels = vec![0.0; frame.len() * self.classes];
        let each = LANES * self.classes.max(1);
        dinoscope_base::parallel::for_chunks(&mut labels, each, |panel, labels| {
            self.ask(&features, panel, labels);
        });
        self.keep(features, &labels);
        Ok(labels)
    }

    /// [`MaskPropagator::next`] with a `pause` that is awaited every few patches, so that a browser's event loop can
    /// turn, and answers whether to go on; nothing when it said no.
    ///
    /// # Errors
    /// As [`MaskPropagator::next`].
    pub async fn next_pausing(
        &mut self,
        frame: &PatchFeatures,
        mut pause: impl AsyncFnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, AnalysisError> {
        let features = self.fitting(frame)?;
        let mut labels = vec![0.0; frame.len() * self.classes];
        let each = LANES * self.classes.max(1);
        for (several, labels) in labels.chunks_mut(TURN * each).enumerate() {
            if !pause().await {
                return Ok(None);
            }
            dinoscope_base::parallel::for_chunks(labels, each, |panel, labels| {
                self.ask(&features, several * TURN + panel, labels);
            });
        }
        self.keep(features, &labels);
        Ok(Some(labels))
    }

    /// The features of a frame that has the size of the first, each of length 1.
    fn fitting(&self, frame: &PatchFeatures) -> Result<Arc<PackedPanels>, AnalysisError> {
        frame.check()?;
        check_len("rows of patches", frame.rows, self.rows)?;
        check_len("columns of patches", frame.cols, self.cols)?;
        check_len("numbers of a patch", frame.dim, self.dim)?;
        Ok(packed(frame))
    }

    /// Asks this frame, too, from now on.
    fn keep(&mut self, features: Arc<PackedPanels>, labels: &[f32]) {
        self.before.push_back(LabelledFrame { features, labels: labels.to_vec() });
        while self.before.len() > self.options.context {
            self.before.pop_front();
        }
    }

    /// Adds up what the most similar patches around each patch of a panel say, `[LANES, classes]` or as many as are left.
    fn ask(&self, features: &PackedPanels, panel: usize, labels: &mut [f32]) {
        let (first, count) = (panel * LANES, features.rows_in(panel));
        let radius = self.options.radius;
        // Rows and columns that a patch asks, ends included.
        let window = |patch: usize| {
            let around = |at: usize, count: usize| (at.saturating_sub(radius), (at + radius).min(count - 1));
            (around(patch / self.cols, self.rows), around(patch % self.cols, self.cols))
        };
        let windows: Vec<_> = (first..first + count).map(window).collect();
        // From the first row that any of them asks to the last.
        let (Some(((top, _), _)), Some(((_, bottom), _))) = (windows.first(), windows.last()) else { return };
        let others = top * self.cols / LANES..=(bottom * self.cols + self.cols - 1) / LANES;
        // The most similar so far, best first.
        let mut best: Vec<Vec<(f32, &[f32])>> = vec![Vec::with_capacity(self.options.top + 1); count];
        let mut products: Block = [[0.0; LANES]; LANES];
        for frame in std::iter::once(&self.first).chain(&self.before) {
            for other in others.clone() {
                features.block(panel, &frame.features, other, &mut products);
                for lane in 0..frame.features.rows_in(other) {
                    let at = other * LANES + lane;
                    let (row, col) = (at / self.cols, at % self.cols);
                    let label = &frame.labels[at * self.classes..(at + 1) * self.classes];
                    for ((best, (rows, cols)), products) in best.iter_mut().zip(&windows).zip(&products) {
                        let inside = rows.0 <= row && row <= rows.1 && cols.0 <= col && col <= cols.1;
                        if inside {
                            insert(best, self.options.top, products[lane], label);
                        }
                    }
                }
            }
        }
        for (label, best) in labels.chunks_mut(self.classes.max(1)).zip(best) {
            let most = best.first().map_or(0.0, |found| found.0);
            let weight = |similarity: f32| ((similarity - most) / self.options.temperature).exp();
            let sum: f32 = best.iter().map(|found| weight(found.0)).sum();
            for (similarity, labels) in best {
                let share = weight(similarity) / sum;
                label.iter_mut().zip(labels).for_each(|(label, other)| *label += share * other);
            }
        }
    }
}

/// Panels of patches between two pauses.
const TURN: usize = 4;

/// The features of a frame, each of length 1.
fn packed(frame: &PatchFeatures) -> Arc<PackedPanels> {
    let features = normalise_rows(&frame.data, frame.dim);
    Arc::new(PackedPanels::new(&features, frame.len(), frame.dim))
}

/// Puts a patch among the `top` most similar, behind those that are as similar.
fn insert<'a>(best: &mut Vec<(f32, &'a [f32])>, top: usize, similarity: f32, label: &'a [f32]) {
    if best.len() == top && best.last().is_some_and(|last| last.0 >= similarity) {
        return;
    }
    let place = best.partition_point(|found| found.0 >= similarity);
    best.insert(place, (similarity, label));
    best.truncate(top);
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
    fn pauses_change_nothing_and_may_end_it() {
        let (first, mask) = scene(0);
        let mut whole = MaskPropagator::new(&first, labels(&mask), 2, PropagationOptions::default()).unwrap();
        let mut pausing = whole.clone();
        for col in 1..4 {
            let (frame, _) = scene(col);
            let mut pauses = 0;
            let found = dinoscope_base::device::block_on(pausing.next_pausing(&frame, async || {
                pauses += 1;
                true
            }));
            assert_eq!(found.unwrap(), Some(whole.next(&frame).unwrap()));
            assert_eq!(pauses, 1, "one for 64 patches");
        }
        let ended = dinoscope_base::device::block_on(pausing.next_pausing(&scene(4).0, async || false));
        assert_eq!(ended.unwrap(), None);
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
