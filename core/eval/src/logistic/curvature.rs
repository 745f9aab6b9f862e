//! What is known beforehand of the second derivative, so that the search takes tens of moves instead of thousands.
//!
//! Source: Böhning 1992, Multinomial logistic regression algorithm: wherever one is, the second derivative of the mean
//! loss is at most `½ (I - 11ᵀ/K) ⊗ XᵀX/n`. The inverse of `½ XᵀX/n + penalty` therefore says how far to go along each
//! direction of the features, however unlike their spreads are.

use dinoscope_analysis::linalg::dot;
use dinoscope_base::parallel::for_chunks;

/// Pivots are at least this share of the largest: rounding leaves no more of them.
const FLOOR: f64 = 1e-13;

/// `½ XᵀX/n` of centred features.
#[derive(Clone)]
pub(super) struct HessianBound {
    dim: usize,
    /// `[dim, dim]`
    half: Vec<f64>,
}

impl HessianBound {
    /// From features by column, `[dim, pictures]`.
    pub(super) fn new(columns: &[f64], dim: usize, pictures: usize) -> Self {
        let column = |i: usize| &columns[i * pictures..(i + 1) * pictures];
        let mut half = vec![0.0; dim * dim];
        for_chunks(&mut half, dim.max(1), |i, row| {
            for (j, value) in row.iter_mut().enumerate().take(i + 1) {
                *value = 0.5 * dot(column(i), column(j)) / pictures as f64;
            }
        });
        for i in 0..dim {
            for j in 0..i {
                half[j * dim + i] = half[i * dim + j];
            }
        }
        Self { dim, half }
    }

    /// The inverse with `penalty` on the diagonal, `[dim, dim]`.
    pub(super) fn inverse(&self, penalty: f64) -> Vec<f64> {
        let n = self.dim;
        let mut lower = self.half.clone();
        (0..n).for_each(|i| lower[i * n + i] += penalty);
        let largest = (0..n).map(|i| lower[i * n + i]).fold(0.0, f64::max);
        let floor = (FLOOR * largest).max(f64::MIN_POSITIVE);
        // Cholesky, row by row.
        for i in 0..n {
            let (before, row) = lower.split_at_mut(i * n);
            for j in 0..i {
                row[j] = (row[j] - dot(&row[..j], &before[j * n..][..j])) / before[j * n + j];
            }
            row[i] = (row[i] - dot(&row[..i], &row[..i])).max(floor).sqrt();
        }
        // Its inverse M, also lower; then MᵀM, for which its columns lie in rows.
        let mut inverse = vec![0.0; n * n];
        for i in 0..n {
            let (before, row) = inverse.split_at_mut(i * n);
            let scale = 1.0 / lower[i * n + i];
            for j in 0..i {
                let share = lower[i * n + j] * scale;
                row[..=j].iter_mut().zip(&before[j * n..][..=j]).for_each(|(r, m)| *r -= share * m);
            }
            row[i] = scale;
        }
        let mut columns = lower;
        for_chunks(&mut columns, n.max(1), |i, column| {
            column.iter_mut().enumerate().for_each(|(k, value)| *value = inverse[k * n + i]);
        });
        let mut out = inverse;
        for_chunks(&mut out, n.max(1), |i, row| {
            for (j, value) in row.iter_mut().enumerate() {
                let from = i.max(j);
                *value = dot(&columns[i * n + from..(i + 1) * n], &columns[j * n + from..(j + 1) * n]);
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_matrix() {
        // More pictures than numbers, and fewer: then the penalty alone keeps it from being singular.
        for (dim, pictures) in [(1, 3), (13, 40), (30, 7)] {
            let columns: Vec<f64> =
                (0..dim * pictures).map(|i| (i as f64 * 0.9).sin() + 0.1 * i as f64 % 1.3).collect();
            let curvature = HessianBound::new(&columns, dim, pictures);
            let inverse = curvature.inverse(1e-3);
            for i in 0..dim {
                for j in 0..dim {
                    let plain: f64 =
                        (0..pictures).map(|p| columns[i * pictures + p] * columns[j * pictures + p]).sum();
                    assert!((curvature.half[i * dim + j] - 0.5 * plain / pictures as f64).abs() < 1e-12);
                    let at = |k: usize| curvature.half[i * dim + k] + if i == k { 1e-3 } else { 0.0 };
                    let product: f64 = (0..dim).map(|k| at(k) * inverse[k * dim + j]).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-8, "{dim} {i} {j} {product}");
                }
            }
        }
        // Nothing at all is no reason to fail.
        assert!(HessianBound::new(&[0.0; 6], 2, 3).inverse(0.0).iter().all(|v| v.is_finite()));
        // Where features tell nothing, the penalty is all there is.
        assert_eq!(HessianBound::new(&[0.0; 6], 2, 3).inverse(0.25), [4.0, 0.0, 0.0, 4.0]);
    }
}
