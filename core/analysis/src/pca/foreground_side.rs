//! Which side of the first component is foreground: its sign says nothing, so something else has to.

use serde::{Deserialize, Serialize};

/// A smaller correlation between a score and what speaks for a side says nothing.
const UNCLEAR: f64 = 0.002;
/// Above this correlation the places of patches, and where the model looks, overrule the previous fit.
const CLEAR: f64 = 0.25;

/// What decided which side is foreground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForegroundCue {
    /// The first component itself: its scores fall with the distance from the middle.
    FirstComponent,
    /// Where the model looks: that spoke more clearly than the distance.
    Attention,
    /// A person has turned it round.
    Hand,
}

impl ForegroundCue {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::FirstComponent => "first component",
            Self::Attention => "attention",
            Self::Hand => "inverted by hand",
        }
    }
}

/// Whether the first component has to change its sign for foreground to be positive, and why; see
/// [`Pca::fit`](crate::pca::Pca::fit).
///
/// `scores` are those of all pictures one after another, with mean 0; `attention`, where there is some, that of each picture
/// over its patches in the same order; `previous` the scores of the same patches in the previous fit, with their sign decided.
pub(crate) fn flip(
    scores: &[f64],
    shapes: &[(usize, usize)],
    attention: Option<&[f32]>,
    previous: Option<&[f64]>,
) -> (bool, ForegroundCue) {
    let spread = (scores.iter().map(|s| s * s).sum::<f64>() / scores.len() as f64).sqrt();
    let (mut outside, mut places, mut seen, mut looks) = (0.0, 0usize, 0.0, 0usize);
    let mut start = 0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for &(rows, cols) in shapes {
        let part = start..start + rows * cols;
        let of_picture = &scores[part.clone()];
        // Pictures that are all border have no inside to compare with.
        if rows > 2 && cols > 2 {
            outside += product(&distances(rows, cols), of_picture);
            places += rows * cols;
        }
        if let Some(attention) = attention.and_then(|attention| attention.get(part.clone())) {
            seen += product(&standard(attention.iter().map(|v| f64::from(*v)).collect()), of_picture);
            looks += rows * cols;
        }
        start = part.end;
    }
    let share =
        |sum: f64, count: usize| if count > 0 && spread > 0.0 { sum / count as f64 / spread } else { 0.0 };
    let (outside, seen) = (share(outside, places), share(seen, looks));
    let side =
        if seen.abs() > outside.abs() { ForegroundCue::Attention } else { ForegroundCue::FirstComponent };
    // What speaks for the side that is negative now.
    let evidence = outside - seen;
    let agreement: f64 = previous.map_or(0.0, |previous| product(previous, scores));
    if agreement != 0.0 && evidence.abs() < CLEAR {
        return (agreement < 0.0, side);
    }
    if evidence.abs() >= UNCLEAR {
        return (evidence > 0.0, side);
    }
    let smaller = scores.iter().filter(|s| **s > 0.0).count() > scores.iter().filter(|s| **s < 0.0).count();
    (smaller, ForegroundCue::FirstComponent)
}

/// How far each patch lies from the middle, squared, with mean 0 and variance 1 over the picture. The outermost patches
/// alone would decide by little, and otherwise for a picture that is mirrored or cut by a few pixels.
fn distances(rows: usize, cols: usize) -> Vec<f64> {
    let from_middle = |at: usize, of: usize| (2.0 * at as f64 / (of - 1) as f64 - 1.0).abs();
    let far = |i: usize| from_middle(i / cols, rows).max(from_middle(i % cols, cols)).powi(2);
    standard((0..rows * cols).map(far).collect())
}

/// Values with mean 0 and variance 1; all 0 where they do not differ.
fn standard(mut values: Vec<f64>) -> Vec<f64> {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    values.iter_mut().for_each(|v| *v -= mean);
    let deviation = (values.iter().map(|v| v * v).sum::<f64>() / count).sqrt();
    // Numbers that are none speak for nothing.
    let scale = if deviation.is_finite() && deviation > 0.0 { 1.0 / deviation } else { 0.0 };
    values.iter_mut().for_each(|v| *v = if scale > 0.0 { *v * scale } else { 0.0 });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of objects from the left to the right: no distance from the middle tells them from the background.
    fn halves(sign: f64) -> Vec<f64> {
        (0..64).map(|i| sign * if i % 8 < 4 { 1.0 } else { -1.0 }).collect()
    }

    #[test]
    fn attention_decides_where_the_places_say_little() {
        let looks: Vec<f32> = (0..64).map(|i| if i % 8 < 4 { 0.03 } else { 0.001 }).collect();
        for sign in [1.0, -1.0] {
            let (flipped, side) = flip(&halves(sign), &[(8, 8)], Some(&looks), None);
            assert_eq!((flipped, side), (sign < 0.0, ForegroundCue::Attention));
        }
        // The same looks the other way round.
        let away: Vec<f32> = looks.iter().rev().copied().collect();
        assert!(flip(&halves(1.0), &[(8, 8)], Some(&away), None).0);
    }

    #[test]
    fn places_decide_where_attention_is_even_or_missing() {
        let middle = |i: usize| matches!((i / 8, i % 8), (2..=5, 2..=5));
        let scores: Vec<f64> = (0..64).map(|i| if middle(i) { 3.0 } else { -1.0 }).collect();
        for attention in [None, Some([0.1f32; 64].as_slice()), Some([f32::NAN; 64].as_slice())] {
            assert_eq!(flip(&scores, &[(8, 8)], attention, None), (false, ForegroundCue::FirstComponent));
        }
    }

    #[test]
    fn the_previous_fit_decides_where_both_say_little() {
        let scores = halves(1.0);
        let before: Vec<f64> = scores.iter().map(|v| -v).collect();
        assert!(flip(&scores, &[(8, 8)], None, Some(&before)).0);
        assert!(!flip(&scores, &[(8, 8)], None, Some(&scores)).0);
    }

    /// An object in the middle, a band around it, and a border that lies between them: 12 × 12 patches.
    fn framed(border: f64) -> Vec<f64> {
        let scores = (0..144).map(|i| {
            let ring = |at: usize| at.min(11 - at);
            match ring(i / 12).min(ring(i % 12)) {
                0 => border,
                1 | 2 => -1.0,
                _ => 1.0,
            }
        });
        let scores: Vec<f64> = scores.collect();
        let mean = scores.iter().sum::<f64>() / 144.0;
        scores.into_iter().map(|score| score - mean).collect()
    }

    #[test]
    fn a_border_that_says_little_turns_nothing_round() {
        for border in [-0.4, -0.25, -0.2, -0.1, 0.0, 0.1] {
            let scores = framed(border);
            let turned: Vec<f64> = scores.iter().map(|score| -score).collect();
            assert!(!flip(&scores, &[(12, 12)], None, None).0, "{border}");
            assert!(flip(&turned, &[(12, 12)], None, None).0, "{border}");
            // What was there before wins where places say little.
            assert!(flip(&scores, &[(2, 72)], None, Some(&turned)).0);
        }
    }
}
