//! Colours of one model's features turned onto those of another model: the same part of a thing in the same colour.
//!
//! Two models have nothing in common but the pictures. So the three scores of each patch are compared, place by place. Both
//! clouds of scores are made round (whitened), the second is turned onto the first by orthogonal Procrustes, and takes on the
//! first one's shape: whatever invertible map lies between the two is undone, and what really differs stays different.

use super::{ForegroundResult, Pca, PcaAlignment, PcaOptions, percentile};
use crate::patch_grid::on_grid;
use crate::{AnalysisError, PatchFeatures, check_len, eigen};

/// A 3 × 3 matrix.
type Square = [[f64; 3]; 3];

/// Directions with less than this share of the largest deviation are rounding.
const FLAT: f64 = 1e-4;

/// Mean and covariance of a cloud of scores.
struct ScoreCloud {
    mean: [f64; 3],
    covariance: Square,
}

impl ScoreCloud {
    fn of(scores: impl Iterator<Item = [f64; 3]> + Clone) -> Self {
        let n = (scores.clone().count() as f64).max(1.0);
        let mean: [f64; 3] = std::array::from_fn(|c| scores.clone().map(|s| s[c]).sum::<f64>() / n);
        let product =
            |r: usize, c: usize| scores.clone().map(|s| (s[r] - mean[r]) * (s[c] - mean[c])).sum::<f64>();
        Self { mean, covariance: std::array::from_fn(|r| std::array::from_fn(|c| product(r, c) / n)) }
    }

    /// Square root of the covariance, or its inverse; directions without extent stay at 0 either way.
    fn root(&self, inverse: bool) -> Square {
        let flat: Vec<f64> = self.covariance.iter().flatten().copied().collect();
        let (values, vectors) = eigen::jacobi(flat, 3);
        let deviation = |j: usize| values[j].max(0.0).sqrt();
        let floor = FLAT * deviation(0);
        let weight = |j: usize| match (deviation(j), inverse) {
            (size, _) if size <= floor || size == 0.0 => 0.0,
            (size, true) => 1.0 / size,
            (size, false) => size,
        };
        let entry =
            |r: usize, c: usize| (0..3).map(|j| vectors[r * 3 + j] * weight(j) * vectors[c * 3 + j]).sum();
        std::array::from_fn(|r| std::array::from_fn(|c| entry(r, c)))
    }
}

fn times(a: &Square, b: &Square) -> Square {
    std::array::from_fn(|r| std::array::from_fn(|c| (0..3).map(|k| a[r][k] * b[k][c]).sum()))
}

fn apply(v: [f64; 3], by: &Square) -> [f64; 3] {
    std::array::from_fn(|c| (0..3).map(|r| v[r] * by[r][c]).sum())
}

/// Scores and foreground of both models at the same places.
struct PlacePairs {
    own: Vec<[f64; 3]>,
    theirs: Vec<[f64; 3]>,
    own_foreground: Vec<bool>,
    their_foreground: Vec<bool>,
}

impl PlacePairs {
    /// Places are the patches of `reference`'s pictures.
    fn of(
        pca: &Pca,
        own: &[&PatchFeatures],
        reference: &Pca,
        theirs: &[&PatchFeatures],
    ) -> Result<Self, AnalysisError> {
        let mut pairs = Self {
            own: Vec::new(),
            theirs: Vec::new(),
            own_foreground: Vec::new(),
            their_foreground: Vec::new(),
        };
        for (own, theirs) in own.iter().zip(theirs) {
            let (a, b) = (reference.project(theirs)?, pca.project(own)?);
            let on = |data: Vec<f32>, dim: usize| {
                let grid = PatchFeatures { rows: own.rows, cols: own.cols, dim, data };
                on_grid(&grid, theirs.rows, theirs.cols).data
            };
            let scores = |flat: &[f32]| -> Vec<[f64; 3]> {
                flat.as_chunks::<3>().0.iter().map(|s| s.map(f64::from)).collect()
            };
            let is_object = |share: &f32| *share >= 0.5;
            pairs.theirs.extend(scores(&a.scores));
            pairs.own.extend(scores(&on(b.scores, 3)));
            pairs.their_foreground.extend(a.foreground.iter().map(is_object));
            pairs.own_foreground.extend(on(b.foreground, 1).iter().map(is_object));
        }
        Ok(pairs)
    }

    /// Of all places, the share that is on the same side of both splits.
    fn same_side(&self) -> f64 {
        let pairs = self.own_foreground.iter().zip(&self.their_foreground);
        pairs.filter(|(a, b)| a == b).count() as f64 / self.own.len().max(1) as f64
    }

    /// Which places count: those that are foreground in both, or all where these are too few to fix a rotation.
    fn counted(&self) -> Vec<bool> {
        let both: Vec<bool> =
            self.own_foreground.iter().zip(&self.their_foreground).map(|(a, b)| *a && *b).collect();
        let enough = both.iter().filter(|both| **both).count() >= both.len().div_ceil(50).max(4);
        if enough { both } else { vec![true; both.len()] }
    }
}

impl Pca {
    /// Fits colours to one model's features of some pictures and turns them onto the colours that `reference` gives to another
    /// model's features of the same pictures. Widths and grids may differ; where they do, scores are brought onto the other
    /// model's grid to be compared.
    ///
    /// The range of colours is that of the turned scores. Where both split objects from background, the side is chosen that
    /// agrees with the other model's.
    ///
    /// # Errors
    /// As [`Pca::fit`]; also where there are not as many pictures of both.
    pub fn fit_beside(
        own: &[&PatchFeatures],
        reference: &Pca,
        theirs: &[&PatchFeatures],
        options: &PcaOptions,
    ) -> Result<Pca, AnalysisError> {
        check_len("pictures of the other model", theirs.len(), own.len())?;
        let mut pca = Pca::fit(own, None, options)?;
        let mut pairs = PlacePairs::of(&pca, own, reference, theirs)?;
        let split = |pca: &Pca| matches!(pca.foreground, ForegroundResult::Split(_));
        if split(&pca) && split(reference) && pairs.same_side() < 0.5 {
            pca = Pca::fit(own, None, &PcaOptions { invert: !options.invert, ..options.clone() })?;
            pairs = PlacePairs::of(&pca, own, reference, theirs)?;
        }
        pca.turn_onto(&pairs, options);
        Ok(pca)
    }

    fn turn_onto(&mut self, pairs: &PlacePairs, options: &PcaOptions) {
        let counted = pairs.counted();
        let of = |scores: &[[f64; 3]]| -> Vec<[f64; 3]> {
            scores.iter().zip(&counted).filter(|(_, counts)| **counts).map(|(s, _)| *s).collect()
        };
        let (own, theirs) = (of(&pairs.own), of(&pairs.theirs));
        let (own_cloud, their_cloud) =
            (ScoreCloud::of(own.iter().copied()), ScoreCloud::of(theirs.iter().copied()));
        let (to_round, to_theirs) = (own_cloud.root(true), their_cloud.root(false));
        let round = |s: &[f64; 3], cloud: &ScoreCloud, by: &Square| {
            apply(std::array::from_fn(|c| s[c] - cloud.mean[c]), by)
        };
        let their_round = their_cloud.root(true);
        let mut cross = Square::default();
        for (own, theirs) in own.iter().zip(&theirs) {
            let (b, a) = (round(own, &own_cloud, &to_round), round(theirs, &their_cloud, &their_round));
            for (row, b) in cross.iter_mut().zip(b) {
                row.iter_mut().zip(a).for_each(|(sum, a)| *sum += b * a);
            }
        }
        let turn = times(&times(&to_round, &eigen::procrustes(&cross)), &to_theirs);

        let before = self.variance();
        let total =
            before.iter().sum::<f64>() / f64::from(self.explained.iter().sum::<f32>()).max(f64::MIN_POSITIVE);
        self.scores.iter_mut().for_each(|s| *s = apply(*s, &turn));
        let [x, y, z] = &mut self.directions;
        for ((x, y), z) in x.iter_mut().zip(y).zip(z) {
            [*x, *y, *z] = apply([*x, *y, *z], &turn);
        }
        self.alignment = PcaAlignment::Scores;
        let after = self.variance();
        self.explained = std::array::from_fn(|c| {
            let length: f64 = self.directions[c].iter().map(|v| v * v).sum();
            if length > 0.0 && total > 0.0 { (after[c] / length / total) as f32 } else { 0.0 }
        });
        self.spread = after.iter().sum::<f64>().sqrt();
        let (low, high) = options.percentiles;
        for c in 0..3 {
            let kept = self.scores.iter().zip(&self.mask).filter(|(_, keep)| **keep);
            let mut column: Vec<f64> = kept.map(|(s, _)| s[c]).collect();
            column.sort_by(f64::total_cmp);
            self.range.lo[c] = percentile(&column, low) as f32;
            self.range.hi[c] = percentile(&column, high) as f32;
        }
    }

    /// Mean square of each score over the foreground.
    fn variance(&self) -> [f64; 3] {
        let kept = || self.scores.iter().zip(&self.mask).filter(|(_, keep)| **keep).map(|(s, _)| s);
        let n = (kept().count() as f64).max(1.0);
        std::array::from_fn(|c| kept().map(|s| s[c] * s[c]).sum::<f64>() / n)
    }
}

#[cfg(test)]
#[path = "pca_turn_tests.rs"]
mod tests;
