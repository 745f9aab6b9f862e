//! Keeps the colours of one fit where the previous fit had them: signs, order and rotation of components.

use crate::eigen;
use crate::pca::{Pca, PcaAlignment};

/// Turns directions and scores of `pca` towards those of `previous`, and notes how.
pub(crate) fn follow(pca: &mut Pca, previous: &Pca) {
    let turn = if pca.shapes == previous.shapes {
        pca.alignment = PcaAlignment::Scores;
        eigen::procrustes(&cross_scores(pca, previous))
    } else if pca.dim == previous.dim {
        pca.alignment = PcaAlignment::Components;
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
