//! How features are spread over their space: how many directions they use, how near two views of a picture are, and
//! how evenly pictures lie on the sphere. Needs no labels.
//!
//! Sources: RankMe (Garrido et al. 2023), from the effective rank of Roy and Vetterli 2007; alignment and uniformity
//! (Wang and Isola 2020). The participation ratio is that of a run's own metrics.

mod picture;
mod task;
mod values;

use super::EvalProtocolError;
use dinoscope_analysis::linalg::{self, LANES, PackedPanels};
use dinoscope_base::parallel;

pub use task::FeatureStatisticsTask;
pub(super) use task::evaluate;

/// How much each direction carries.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSpectrum {
    /// Variances along the principal directions, largest first.
    pub variances: Vec<f64>,
    /// Singular values of the features as they are, without taking off their mean, largest first.
    pub singular: Vec<f64>,
}

impl FeatureSpectrum {
    /// Of `[pictures, dim]` features, row-major.
    ///
    /// # Errors
    /// When there are none, lengths do not fit, or a number is not finite.
    pub fn of(features: &[f32], dim: usize) -> Result<Self, EvalProtocolError> {
        if features.is_empty() || dim == 0 {
            return Err(EvalProtocolError::Empty("features"));
        }
        if !features.len().is_multiple_of(dim) {
            let found = features.len() % dim;
            return Err(EvalProtocolError::Shape {
                what: "numbers left over of features",
                found,
                expected: 0,
            });
        }
        if let Some(at) = features.iter().position(|v| !v.is_finite()) {
            return Err(EvalProtocolError::NotFinite { set: "judged", index: at / dim });
        }
        let pictures = features.len() / dim;
        let plain: Vec<f64> = features.iter().map(|v| f64::from(*v)).collect();
        let mut mean = vec![0f64; dim];
        for row in plain.chunks_exact(dim) {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / pictures as f64);
        }
        let centred: Vec<f64> =
            plain.chunks_exact(dim).flat_map(|row| row.iter().zip(&mean).map(|(v, m)| v - m)).collect();
        let squares = |data: &[f64]| values::of_products(data, pictures, dim);
        Ok(Self {
            variances: squares(&centred).into_iter().map(|v| v.max(0.0) / pictures as f64).collect(),
            singular: squares(&plain).into_iter().map(|v| v.max(0.0).sqrt()).collect(),
        })
    }

    /// The exponential of the entropy of the singular values' shares: as many directions, used evenly, would have it.
    pub fn rank_me(&self) -> f64 {
        // As in the source; it keeps the logarithm finite.
        const EPSILON: f64 = 1e-7;
        let total: f64 = self.singular.iter().sum();
        if total <= 0.0 {
            return 0.0;
        }
        let entropy = |p: f64| -p * p.ln();
        self.singular.iter().map(|s| entropy(s / total + EPSILON)).sum::<f64>().exp()
    }

    /// Participation ratio of the variances: `(Σ v)² / Σ v²`; 0 where nothing varies.
    pub fn participation(&self) -> f64 {
        let sum: f64 = self.variances.iter().sum();
        let squares: f64 = self.variances.iter().map(|v| v * v).sum();
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    }
}

/// Squared distances on the unit sphere between the features of two views of each picture; their mean is the alignment.
///
/// Both are `[pictures, dim]`, row-major, and need not be normalised.
pub fn alignments(first: &[f32], second: &[f32], dim: usize) -> Vec<f64> {
    let (first, second) = (linalg::normalise_rows(first, dim), linalg::normalise_rows(second, dim));
    let apart = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum();
    first.chunks_exact(dim.max(1)).zip(second.chunks_exact(dim.max(1))).map(apart).collect()
}

/// The logarithm of the mean of `exp(-2 d²)` over all pairs of pictures, `d` being their distance on the unit sphere:
/// 0 where all are alike, about -4 where they lie evenly on a sphere of many dimensions.
///
/// `None` for fewer than two pictures.
pub fn uniformity(features: &[f32], dim: usize) -> Option<f64> {
    let pictures = features.len().checked_div(dim)?;
    if pictures < 2 {
        return None;
    }
    let packed = PackedPanels::new(&linalg::normalise_rows(features, dim), pictures, dim);
    let mut sums = vec![0f64; packed.panels()];
    parallel::for_chunks(&mut sums, 1, |own, sum| {
        let mut block = [[0.0; LANES]; LANES];
        for other in own..packed.panels() {
            packed.block(own, &packed, other, &mut block);
            for (row, products) in block[..packed.rows_in(own)].iter().enumerate() {
                // On the diagonal each pair once, and none of a picture with itself.
                let from = if own == other { row + 1 } else { 0 };
                for cosine in products[..packed.rows_in(other)].iter().skip(from) {
                    let squared = (2.0 - 2.0 * f64::from(*cosine)).max(0.0);
                    sum[0] += (-2.0 * squared).exp();
                }
            }
        }
    });
    let pairs = (pictures * (pictures - 1) / 2) as f64;
    Some((sums.iter().sum::<f64>() / pairs).ln())
}

#[cfg(test)]
mod tests;
