//! Keeps the colours of one fit where the previous fit had them: signs, order and rotation of components.

use super::eigen;
use super::pca::{Alignment, Pca};

/// A smaller correlation between a score and its distance from the middle says nothing about where the background is.
const UNCLEAR: f64 = 0.002;
/// Above this correlation the places of patches overrule the previous fit.
const CLEAR: f64 = 0.25;

/// Whether the first component has to change its sign for foreground to be positive; see [`Pca::fit`].
///
/// `scores` are those of all pictures one after another, with mean 0; `previous` those of the same
/// patches in the previous fit, with their sign decided.
pub(super) fn flip_first(scores: &[f64], shapes: &[(usize, usize)], previous: Option<&[f64]>) -> bool {
    let spread = (scores.iter().map(|s| s * s).sum::<f64>() / scores.len() as f64).sqrt();
    let (mut outside, mut count) = (0.0, 0usize);
    let mut start = 0;
    for &(rows, cols) in shapes {
        // Pictures that are all border have no inside to compare with.
        if rows > 2 && cols > 2 {
            let far = distances(rows, cols);
            outside += far.iter().zip(&scores[start..]).map(|(far, score)| far * score).sum::<f64>();
            count += far.len();
        }
        start += rows * cols;
    }
    let evidence = if count > 0 && spread > 0.0 { outside / count as f64 / spread } else { 0.0 };
    let agreement: f64 = previous.map_or(0.0, |p| p.iter().zip(scores).map(|(a, b)| a * b).sum());
    if agreement != 0.0 && evidence.abs() < CLEAR {
        return agreement < 0.0;
    }
    if evidence.abs() >= UNCLEAR {
        return evidence > 0.0;
    }
    scores.iter().filter(|s| **s > 0.0).count() > scores.iter().filter(|s| **s < 0.0).count()
}

/// How far each patch lies from the middle, squared, with mean 0 and variance 1 over the picture. The outermost patches
/// alone would decide by little, and otherwise for a picture that is mirrored or cut by a few pixels.
fn distances(rows: usize, cols: usize) -> Vec<f64> {
    let from_middle = |at: usize, of: usize| (2.0 * at as f64 / (of - 1) as f64 - 1.0).abs();
    let far = |i: usize| from_middle(i / cols, rows).max(from_middle(i % cols, cols)).powi(2);
    let mut far: Vec<f64> = (0..rows * cols).map(far).collect();
    let mean = far.iter().sum::<f64>() / far.len() as f64;
    far.iter_mut().for_each(|v| *v -= mean);
    let deviation = (far.iter().map(|v| v * v).sum::<f64>() / far.len() as f64).sqrt();
    far.iter_mut().for_each(|v| *v /= deviation);
    far
}

/// Turns directions and scores of `pca` towards those of `previous`, and notes how.
pub(super) fn follow(pca: &mut Pca, previous: &Pca) {
    let turn = if pca.shapes == previous.shapes {
        pca.alignment = Alignment::Scores;
        eigen::procrustes(&cross_scores(pca, previous))
    } else if pca.dim == previous.dim {
        pca.alignment = Alignment::Components;
        signed_permutation(&std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                pca.directions[i].iter().zip(&previous.directions[j]).map(|(a, b)| a * b).sum()
            })
        }))
    } else {
        return;
    };
    let apply =
        |v: [f64; 3]| -> [f64; 3] { std::array::from_fn(|c| (0..3).map(|r| v[r] * turn[r][c]).sum()) };
    pca.scores.iter_mut().for_each(|s| *s = apply(*s));
    let [x, y, z] = &mut pca.directions;
    for ((x, y), z) in x.iter_mut().zip(y).zip(z) {
        [*x, *y, *z] = apply([*x, *y, *z]);
    }
}

/// `AᵀB` of new and previous scores, centred, over the patches that are foreground in both fits;
/// over all patches where those are too few to fix a rotation.
fn cross_scores(pca: &Pca, previous: &Pca) -> [[f64; 3]; 3] {
    let both: Vec<bool> = pca.mask.iter().zip(&previous.mask).map(|(a, b)| *a && *b).collect();
    let enough = both.iter().filter(|b| **b).count() >= both.len().div_ceil(50).max(4);
    let pairs: Vec<(&[f64; 3], &[f64; 3])> = pca
        .scores
        .iter()
        .zip(&previous.scores)
        .zip(&both)
        .filter(|(_, both)| **both || !enough)
        .map(|(pair, _)| pair)
        .collect();
    let n = pairs.len() as f64;
    let mean = |c: usize| {
        let sum = pairs.iter().fold((0.0, 0.0), |s, (a, b)| (s.0 + a[c], s.1 + b[c]));
        (sum.0 / n, sum.1 / n)
    };
    let means = [mean(0), mean(1), mean(2)];
    std::array::from_fn(|i| {
        std::array::from_fn(|j| pairs.iter().map(|(a, b)| (a[i] - means[i].0) * (b[j] - means[j].1)).sum())
    })
}

/// The signed permutation matrix that agrees best with `cosines` of new (row) and previous (column) components.
fn signed_permutation(cosines: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let agreement = |order: &[usize; 3]| -> f64 { (0..3).map(|i| cosines[i][order[i]].abs()).sum() };
    let best = ORDERS.into_iter().fold(ORDERS[0], |b, o| if agreement(&o) > agreement(&b) { o } else { b });
    let mut turn = [[0.0; 3]; 3];
    for (i, j) in best.into_iter().enumerate() {
        turn[i][j] = if cosines[i][j] < 0.0 { -1.0 } else { 1.0 };
    }
    turn
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(!flip_first(&scores, &[(12, 12)], None), "{border}");
            assert!(flip_first(&turned, &[(12, 12)], None), "{border}");
            // What was there before wins where places say little.
            assert!(flip_first(&scores, &[(2, 72)], Some(&turned)));
        }
    }
}
