//! From the logits of windows to a class for every pixel: windows that overlap are averaged, several looks at one
//! picture (sizes, mirrored or not) are averaged as probabilities.
//!
//! Source: mmsegmentation's sliding-window inference and test-time augmentation. Logits of a look are enlarged twice, to
//! the size of the look and from there to that of the picture, as there; here a row at a time, so that memory does not
//! grow with the picture.

use dinoscope_shaders::cpu::math::exp;

use crate::dense::axis::{InterpolationAxis, blend};
use crate::dense::frame::CenterPadding;
use dinoscope_base::parallel::for_chunks;
use dinoscope_data::augment::CropBox;

/// A picture as it was looked at once.
pub(super) struct TtaPrediction {
    pub width: usize,
    pub height: usize,
    /// Left and right changed places.
    pub mirrored: bool,
    pub windows: Vec<WindowLogits>,
}

/// What the head says of one window.
pub(super) struct WindowLogits {
    pub place: CropBox,
    /// `[cells, classes]`
    pub logits: Vec<f32>,
    down: InterpolationAxis,
    across: InterpolationAxis,
}

impl WindowLogits {
    pub fn new(place: CropBox, frame: &CenterPadding, logits: Vec<f32>) -> Self {
        let (down, across) = frame.axes(1);
        Self { place, logits, down, across }
    }
}

/// Rows of the result that are made by one task.
const ROWS: usize = 8;

/// The class of every pixel of a picture, `[height, width]`.
pub(super) fn classes(looks: &[TtaPrediction], width: usize, height: usize, classes: usize) -> Vec<u8> {
    let axes: Vec<(InterpolationAxis, InterpolationAxis)> = looks
        .iter()
        .map(|look| (InterpolationAxis::new(look.height, height), InterpolationAxis::new(look.width, width)))
        .collect();
    let mut out = vec![0; width * height];
    for_chunks(&mut out, ROWS * width.max(1), |chunk, out| {
        let mut rows: Vec<LogitRowUpsampler<'_>> =
            looks.iter().map(|look| LogitRowUpsampler::new(look, classes)).collect();
        let mut scores = vec![0.0; width * classes];
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            scores.fill(0.0);
            for (rows, (down, across)) in rows.iter_mut().zip(&axes) {
                let tap = down.taps[chunk * ROWS + y];
                rows.load(tap.low, tap.high, tap.share);
                rows.vote(across, &mut scores, looks.len() > 1);
            }
            for (out, scores) in out.iter_mut().zip(scores.chunks_exact(classes)) {
                let best = (1..classes).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
                *out = best as u8;
            }
        }
    });
    out
}

/// Rows of a look, of which two neighbours at a time are needed.
struct LogitRowUpsampler<'a> {
    look: &'a TtaPrediction,
    classes: usize,
    /// Two rows `[look.width, classes]` and which they are.
    two: [(usize, Vec<f32>); 2],
    /// Their mix.
    mixed: Vec<f32>,
    /// One pixel.
    pixel: Vec<f32>,
}

impl<'a> LogitRowUpsampler<'a> {
    fn new(look: &'a TtaPrediction, classes: usize) -> Self {
        let row = vec![0.0; look.width * classes];
        let two = [(usize::MAX, row.clone()), (usize::MAX, row.clone())];
        Self { look, classes, two, mixed: row, pixel: vec![0.0; classes] }
    }

    /// Mixes two rows of the look.
    fn load(&mut self, low: usize, high: usize, share: f32) {
        for wanted in [low, high] {
            if self.two.iter().all(|(row, _)| *row != wanted) {
                // The one that is needed no more.
                let old = usize::from(self.two[0].0 == low || self.two[0].0 == high);
                self.two[old].0 = wanted;
                row(self.look, wanted, self.classes, &mut self.two[old].1);
            }
        }
        let at = |wanted: usize| usize::from(self.two[0].0 != wanted);
        blend(&self.two[at(low)].1, &self.two[at(high)].1, share, &mut self.mixed);
    }

    /// Adds the logits, or the probabilities, of a row of the picture to `[width, classes]` scores.
    fn vote(&mut self, across: &InterpolationAxis, scores: &mut [f32], probabilities: bool) {
        let (classes, width) = (self.classes, across.len());
        for x in 0..width {
            let tap = across.taps[if self.look.mirrored { width - 1 - x } else { x }];
            let at = |x: usize| &self.mixed[x * classes..][..classes];
            blend(at(tap.low), at(tap.high), tap.share, &mut self.pixel);
            if probabilities {
                let peak = self.pixel.iter().copied().fold(f32::MIN, f32::max);
                self.pixel.iter_mut().for_each(|value| *value = exp(*value - peak));
                let sum: f32 = self.pixel.iter().sum();
                self.pixel.iter_mut().for_each(|value| *value /= sum);
            }
            scores[x * classes..][..classes]
                .iter_mut()
                .zip(&self.pixel)
                .for_each(|(score, value)| *score += value);
        }
    }
}

/// Row `y` of a look: the mean of the windows at each pixel.
fn row(look: &TtaPrediction, y: usize, classes: usize, out: &mut [f32]) {
    out.fill(0.0);
    let mut counts = vec![0u32; look.width];
    for seen in &look.windows {
        let CropBox { left, top, width, height } = seen.place;
        if !(top..top + height).contains(&y) {
            continue;
        }
        let (tap, stride) = (seen.down.taps[y - top], seen.across.input * classes);
        let mut cells = vec![0.0; stride];
        let line = |row: usize| &seen.logits[row * stride..][..stride];
        blend(line(tap.low), line(tap.high), tap.share, &mut cells);
        for (x, tap) in seen.across.taps.iter().enumerate().take(width) {
            let (a, b) = (&cells[tap.low * classes..][..classes], &cells[tap.high * classes..][..classes]);
            for ((out, a), b) in out[(left + x) * classes..][..classes].iter_mut().zip(a).zip(b) {
                *out += a + tap.share * (b - a);
            }
            counts[left + x] += 1;
        }
    }
    for (pixel, count) in out.chunks_exact_mut(classes).zip(counts) {
        if count > 1 {
            pixel.iter_mut().for_each(|value| *value /= count as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::axis::resize;
    use crate::dense::frame::windows;
    use dinoscope_base::rng::{normal, stream};

    const CLASSES: usize = 3;

    fn look(width: usize, height: usize, mirrored: bool, seed: u64) -> TtaPrediction {
        let mut rng = stream(seed, "look", 0, 0);
        let seen = |place: CropBox| {
            let frame = CenterPadding { width: place.width, height: place.height, patch: 4, exact: false };
            let count = frame.rows() * frame.cols() * CLASSES;
            WindowLogits::new(place, &frame, (0..count).map(|_| normal(&mut rng)).collect())
        };
        TtaPrediction {
            width,
            height,
            mirrored,
            windows: windows(width, height, 8, 5).into_iter().map(seen).collect(),
        }
    }

    /// Logits of one class over a whole look, the plain way.
    fn plain(look: &TtaPrediction, class: usize) -> Vec<f32> {
        let (mut sums, mut counts) =
            (vec![0.0; look.width * look.height], vec![0.0; look.width * look.height]);
        for seen in &look.windows {
            let of: Vec<f32> = seen.logits.iter().skip(class).step_by(CLASSES).copied().collect();
            for (i, value) in resize(&of, &seen.down, &seen.across).into_iter().enumerate() {
                let CropBox { left, top, width, .. } = seen.place;
                let at = (top + i / width) * look.width + left + i % width;
                sums[at] += value;
                counts[at] += 1.0;
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| sum / count).collect()
    }

    #[test]
    fn windows_and_looks_are_averaged() {
        let (width, height) = (13, 21);
        let looks =
            [look(13, 21, false, 1), look(13, 21, true, 2), look(18, 29, false, 3), look(5, 6, true, 4)];
        for looks in [&looks[..1], &looks[2..3], &looks] {
            let mut scores = vec![[0.0f32; CLASSES]; width * height];
            for look in looks {
                let (down, across) =
                    (InterpolationAxis::new(look.height, height), InterpolationAxis::new(look.width, width));
                let logits: Vec<Vec<f32>> =
                    (0..CLASSES).map(|class| resize(&plain(look, class), &down, &across)).collect();
                for (i, scores) in scores.iter_mut().enumerate() {
                    let (x, y) = (i % width, i / width);
                    let at = y * width + if look.mirrored { width - 1 - x } else { x };
                    let sum: f32 = logits.iter().map(|of| of[at].exp()).sum();
                    for (score, of) in scores.iter_mut().zip(&logits) {
                        *score += if looks.len() > 1 { of[at].exp() / sum } else { of[at] };
                    }
                }
            }
            let found = classes(looks, width, height, CLASSES);
            for (found, scores) in found.iter().zip(&scores) {
                let best = scores.iter().copied().fold(f32::MIN, f32::max);
                assert!(best - scores[usize::from(*found)] < 1e-4, "{found}: {scores:?}");
            }
            assert!(found.contains(&0) && found.contains(&1) && found.contains(&2));
        }
    }
}
