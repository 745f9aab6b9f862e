//! How far two models agree about the patches of a picture, whatever their widths, signs and units.
//!
//! Linear centred kernel alignment (Kornblith et al. 2019) compares which patches are similar to which, by amount. Its plain
//! estimate is near 1 for anything with more numbers than patches, so that the debiased one is taken (Song et al. 2012, equation
//! 5), which is 0 on average for features that have nothing in common. Of several pictures its terms add up (Nguyen et al. 2021,
//! equation 3). The share of nearest neighbours that both models have (mutual k-NN, Huh et al. 2024) looks at order alone.

use std::iter::Sum;

use dinoscope_base::parallel::for_chunks;

use super::linalg::{LANES, PackedPanels, gram, normalise_rows, scatter};
use super::patch_grid::on_grid;
use super::{AnalysisError, PatchFeatures};

/// Neighbours of a patch that are compared.
pub const PATCH_NEIGHBOURS: usize = 10;

/// What linear CKA is a quotient of: unbiased estimates of the Hilbert–Schmidt independence criterion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CkaTerms {
    /// Of both models' features.
    cross: f64,
    /// Of the first model's with themselves.
    first: f64,
    /// Of the second model's with themselves.
    second: f64,
}

impl CkaTerms {
    /// Linear CKA, debiased: 1 where features agree up to rotation, scale and shift, about 0 where they have nothing in common.
    /// `None` where either varies nowhere.
    pub fn cka(&self) -> Option<f64> {
        let both = (self.first * self.second).sqrt();
        (both > 0.0).then(|| (self.cross / both).clamp(-1.0, 1.0))
    }
}

/// How far two models agree about patches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PatchAgreement {
    /// What CKA is made of.
    pub terms: CkaTerms,
    /// Shares of shared neighbours, added up over pictures.
    shared: f64,
    /// Pictures that have enough patches for neighbours.
    counted: usize,
    /// Pictures.
    pub pictures: usize,
}

impl PatchAgreement {
    /// Linear CKA over all pictures, each centred by itself.
    pub fn cka(&self) -> Option<f64> {
        self.terms.cka()
    }

    /// The share of each patch's nearest patches of its picture that both models have, 0 to 1, as a mean over pictures.
    pub fn neighbours(&self) -> Option<f64> {
        (self.counted > 0).then(|| self.shared / self.counted as f64)
    }
}

impl Sum for PatchAgreement {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            terms: CkaTerms {
                cross: a.terms.cross + b.terms.cross,
                first: a.terms.first + b.terms.first,
                second: a.terms.second + b.terms.second,
            },
            shared: a.shared + b.shared,
            counted: a.counted + b.counted,
            pictures: a.pictures + b.pictures,
        })
    }
}

/// How far two models agree about one picture. Where their grids differ, the finer one is brought onto the coarser: patches in
/// between that nobody computed would be neighbours of each other.
///
/// # Errors
/// On wrong lengths and on numbers that are not finite.
pub fn agreement(a: &PatchFeatures, b: &PatchFeatures) -> Result<PatchAgreement, AnalysisError> {
    a.check()?;
    b.check()?;
    let coarser = if a.len() <= b.len() { a } else { b };
    let (rows, cols) = (coarser.rows, coarser.cols);
    let (a, b) = (on_grid(a, rows, cols), on_grid(b, rows, cols));
    let shared = shared_neighbours(&a, &b, PATCH_NEIGHBOURS);
    Ok(PatchAgreement {
        terms: cka_terms(&a, &b),
        shared: shared.unwrap_or(0.0),
        counted: usize::from(shared.is_some()),
        pictures: 1,
    })
}

/// Columns with mean 0, scaled to at most 1, and what they were divided by; nothing where they vary by rounding alone.
fn centred(features: &PatchFeatures) -> Option<(Vec<f32>, f64)> {
    let dim = features.dim;
    let mut sums = vec![0f64; dim];
    for patch in features.data.chunks_exact(dim.max(1)) {
        sums.iter_mut().zip(patch).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    let mean: Vec<f64> = sums.iter().map(|sum| sum / features.len().max(1) as f64).collect();
    let apart = |patch: &[f32]| patch.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m).collect::<Vec<f64>>();
    let patches = || features.data.chunks_exact(dim.max(1));
    let largest = |values: &[f64]| values.iter().fold(0f64, |most, v| most.max(v.abs()));
    let scale = patches().fold(0f64, |most, patch| most.max(largest(&apart(patch))));
    if scale <= 1e-6 * largest(&mean) || scale == 0.0 {
        return None;
    }
    Some((patches().flat_map(|patch| apart(patch).into_iter().map(|v| (v / scale) as f32)).collect(), scale))
}

/// The terms of linear CKA of two models' features on one grid.
///
/// With `K = XXᵀ` and `L = YYᵀ` of centred features the estimate needs `⟨K, L⟩ = |XᵀY|²` and their diagonals alone (Kornblith's
/// form in features), so that either the patches' products or the numbers' are computed, whichever are fewer.
fn cka_terms(a: &PatchFeatures, b: &PatchFeatures) -> CkaTerms {
    let n = a.len();
    // Below four the estimate is not defined.
    let (Some((x, x_scale)), Some((y, y_scale)), true) = (centred(a), centred(b), n >= 4) else {
        return CkaTerms::default();
    };
    let squares = |x: &[f32], dim: usize| -> Vec<f64> {
        x.chunks_exact(dim).map(|row| row.iter().map(|v| f64::from(*v).powi(2)).sum()).collect()
    };
    let (x_rows, y_rows) = (squares(&x, a.dim), squares(&y, b.dim));
    let products = if n < a.dim + b.dim {
        products_of_patches(&gram(&x, n, a.dim), &gram(&y, n, b.dim))
    } else {
        products_of_numbers(&x, &y, n, (a.dim, b.dim))
    };
    let count = n as f64;
    let debiased = |product: f64, one: &[f64], other: &[f64]| {
        let diagonal: f64 = one.iter().zip(other).map(|(p, q)| p * q).sum();
        let sizes = one.iter().sum::<f64>() * other.iter().sum::<f64>();
        let whole = product - count / (count - 2.0) * diagonal + sizes / ((count - 1.0) * (count - 2.0));
        whole / (count * (count - 3.0))
    };
    let (x_scale, y_scale) = (x_scale * x_scale, y_scale * y_scale);
    CkaTerms {
        cross: debiased(products[0], &x_rows, &y_rows) * x_scale * y_scale,
        first: debiased(products[1], &x_rows, &x_rows) * x_scale * x_scale,
        second: debiased(products[2], &y_rows, &y_rows) * y_scale * y_scale,
    }
}

/// `⟨K, L⟩`, `⟨K, K⟩` and `⟨L, L⟩` of Gram matrices, `[n, n]` each.
fn products_of_patches(k: &[f64], l: &[f64]) -> [f64; 3] {
    k.iter()
        .zip(l)
        .fold([0.0; 3], |[both, first, second], (k, l)| [both + k * l, first + k * k, second + l * l])
}

/// The same from features: `|XᵀY|²`, `|XᵀX|²` and `|YᵀY|²` are parts of one product of `[X Y]` with itself.
fn products_of_numbers(x: &[f32], y: &[f32], n: usize, (p, q): (usize, usize)) -> [f64; 3] {
    let beside: Vec<f32> =
        x.chunks_exact(p).zip(y.chunks_exact(q)).flat_map(|(x, y)| x.iter().chain(y).copied()).collect();
    let all = scatter(&beside, n, p + q);
    let mut sums = [0.0; 3];
    for (i, row) in all.chunks_exact(p + q).enumerate() {
        let (left, right) = row.split_at(p);
        let squares = |part: &[f64]| part.iter().map(|v| v * v).sum::<f64>();
        if i < p {
            sums[0] += squares(right);
            sums[1] += squares(left);
        } else {
            sums[2] += squares(right);
        }
    }
    sums
}

/// The share of each patch's `k` nearest others by cosine that two models have in common, 0 to 1; `None` where there are no more
/// than `k` others, and all of them are neighbours.
fn shared_neighbours(a: &PatchFeatures, b: &PatchFeatures, k: usize) -> Option<f64> {
    let n = a.len();
    if n <= k + 1 || k == 0 || a.dim == 0 || b.dim == 0 {
        return None;
    }
    let (of_a, of_b) = (nearest_patches(a, k), nearest_patches(b, k));
    let common = |(a, b): (&[u32], &[u32])| a.iter().filter(|patch| b.contains(patch)).count();
    let shared: usize = of_a.chunks_exact(k).zip(of_b.chunks_exact(k)).map(common).sum();
    Some(shared as f64 / (n * k) as f64)
}

/// The `k` most similar other patches of each patch, `[n, k]`, the most similar first; of equals the earlier.
fn nearest_patches(features: &PatchFeatures, k: usize) -> Vec<u32> {
    let n = features.len();
    let rows = PackedPanels::new(&normalise_rows(&features.data, features.dim), n, features.dim);
    let mut best = vec![(f32::NEG_INFINITY, 0u32); n * k];
    for_chunks(&mut best, LANES * k, |panel, best| {
        let mut block = [[0.0; LANES]; LANES];
        for other in 0..rows.panels() {
            rows.block(panel, &rows, other, &mut block);
            for (lane, (best, products)) in best.chunks_exact_mut(k).zip(&block).enumerate() {
                let own = panel * LANES + lane;
                for (at, similarity) in products[..rows.rows_in(other)].iter().enumerate() {
                    let patch = other * LANES + at;
                    if patch != own && *similarity > best[k - 1].0 {
                        let place = best.partition_point(|(kept, _)| *kept >= *similarity);
                        best[place..].rotate_right(1);
                        best[place] = (*similarity, patch as u32);
                    }
                }
            }
        }
    });
    best.into_iter().map(|(_, patch)| patch).collect()
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
