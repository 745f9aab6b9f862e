//! The CPU twin of the eigenvector program, in 64 bits.

use crate::cpu::jacobi;
use crate::display::common::for_chunks;
use crate::display::eigenvectors::{Eigenvectors, VECTORS};

/// Of a vector's length left after projection: the rest is rounding.
const DEPENDENT: f64 = 1e-4;
/// Of the largest eigenvalue: sums in 32 bits know no smaller ones.
const NOISE: f64 = 1e-5;

/// The leading eigenvectors of a symmetric positive semi-definite matrix, by subspace iteration.
///
/// - `covariance`: `[dim, dim]`.
/// - `given`: `[k, dim]` with 1 to 8 vectors to start from, for instance those of the previous
///   picture; zeros where there are none. `k` vectors are found; those beyond the wanted ones speed
///   the others up, and as start of the next picture make sure that nothing is overlooked.
/// - `iterations`: products with the matrix. The error shrinks by the ratio of the first eigenvalue
///   not carried to the wanted one in each of them.
/// - `follow`: the first three take the order and signs in which they agree best with the given ones.
///
/// Largest eigenvalue first, the coefficient of largest size of each vector positive (the first of those
/// within a thousandth of it), unless `follow` says otherwise. An eigenvalue below 10⁻⁵ of the largest is rounding: it becomes 0 and its vector
/// zero. Elements that are not finite count as 0.
///
/// # Panics
/// When the lengths do not belong together or `k` is not 1 to 8.
pub fn eigenvectors_cpu(
    covariance: &[f32],
    dim: usize,
    given: &[f32],
    iterations: usize,
    follow: bool,
) -> Eigenvectors {
    let k = given.len() / dim.max(1);
    assert!(
        covariance.len() == dim * dim && given.len() == k * dim && (1..=VECTORS).contains(&k),
        "{k} vectors of {dim}"
    );
    let diagonal = || (0..dim).map(|c| f64::from(finite(covariance[c * dim + c])));
    let most = diagonal().fold(0.0, f64::max);
    let inverse = if most > 1e-36 { 1.0 / most } else { 0.0 };
    let start = |v: &f32| f64::from(finite(*v).clamp(-1.0, 1.0));
    let mut basis: Vec<Vec<f64>> = given.chunks_exact(dim).map(|v| v.iter().map(start).collect()).collect();
    let given = basis.clone();
    gram_schmidt(&mut basis);
    for _ in 0..iterations {
        basis = multiply(covariance, dim, inverse, &basis);
        gram_schmidt(&mut basis);
    }
    let image = multiply(covariance, dim, inverse, &basis);
    let mut small = vec![0.0; k * k];
    for i in 0..k {
        for j in 0..k {
            small[i * k + j] = 0.5 * (dot(&basis[i], &image[j]) + dot(&basis[j], &image[i]));
        }
    }
    let (found, turn) = jacobi(small, k);
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|i, j| found[*j].total_cmp(&found[*i]));
    let floor = NOISE * found[order[0]].max(0.0);
    let mut pairs: Vec<(f64, Vec<f64>)> =
        order.iter().map(|m| (found[*m], ritz(&basis, &turn, *m, k, floor, &found))).collect();
    if follow {
        follow_given(&mut pairs, &given);
    }
    Eigenvectors {
        components: pairs.iter().flat_map(|(_, v)| v.iter().map(|v| *v as f32)).collect(),
        values: pairs
            .iter()
            .map(|(value, _)| if *value > floor { (value * most) as f32 } else { 0.0 })
            .collect(),
        trace: diagonal().sum::<f64>() as f32,
    }
}

fn finite(v: f32) -> f32 {
    if v.is_finite() { v } else { 0.0 }
}

/// A number in -1..1 for each place, the same everywhere: where a given basis says nothing.
fn noise(vector: usize, column: usize) -> f64 {
    let mut h = (vector as u32)
        .wrapping_mul(0x9e37_79b9)
        .wrapping_add((column as u32).wrapping_mul(0x85eb_ca6b))
        .wrapping_add(0x27d4_eb2f);
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^= h >> 16;
    f64::from(h >> 8) / 8_388_608.0 - 1.0
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The matrix times each vector, times `scale`.
fn multiply(matrix: &[f32], dim: usize, scale: f64, vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    // Interleaved, so that one pass over the matrix serves all vectors.
    let mixed: Vec<[f64; VECTORS]> =
        (0..dim).map(|c| std::array::from_fn(|m| vectors.get(m).map_or(0.0, |v| v[c]))).collect();
    let mut out = vec![[0.0; VECTORS]; dim];
    for_chunks(&mut out, 16, |chunk, rows| {
        for (row, sums) in matrix[chunk * 16 * dim..].chunks_exact(dim).zip(rows) {
            for (weight, values) in row.iter().zip(&mixed) {
                let weight = f64::from(finite(*weight));
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            sums.iter_mut().for_each(|s| *s *= scale);
        }
    });
    (0..vectors.len()).map(|m| out.iter().map(|row| row[m]).collect()).collect()
}

/// In order. The first of two passes puts noise in the place of what depends on the vectors before
/// it; where even noise depends, all dimensions are taken and the vector is zero.
fn gram_schmidt(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let vector = &mut rest[0];
        for pass in 0..2 {
            let own = dot(vector, vector);
            let along: Vec<f64> = before.iter().map(|other| dot(vector, other)).collect();
            for (other, along) in before.iter().zip(along) {
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
            let left = dot(vector, vector);
            // Also where 32 bits would have lost everything.
            let dependent = left <= DEPENDENT * DEPENDENT * own || left < 1e-38;
            if dependent && pass == 0 {
                vector.iter_mut().enumerate().for_each(|(c, v)| *v = noise(i, c));
            } else {
                let factor = if dependent { 0.0 } else { 1.0 / left.sqrt() };
                vector.iter_mut().for_each(|v| *v *= factor);
            }
        }
    }
}

/// Eigenvector `m`, its sign chosen; zero where its value is rounding.
fn ritz(basis: &[Vec<f64>], turn: &[f64], m: usize, k: usize, floor: f64, found: &[f64]) -> Vec<f64> {
    let mut vector = vec![0.0; basis[0].len()];
    if found[m] > floor {
        for (i, b) in basis.iter().enumerate() {
            vector.iter_mut().zip(b).for_each(|(v, b)| *v += turn[i * k + m] * b);
        }
        let largest = vector.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let peak = vector.iter().find(|v| v.abs() >= 0.999 * largest).copied().unwrap_or(0.0);
        if peak < 0.0 {
            vector.iter_mut().for_each(|v| *v = -*v);
        }
    }
    vector
}

/// Order and signs of the first three as in the given ones.
fn follow_given(pairs: &mut [(f64, Vec<f64>)], given: &[Vec<f64>]) {
    /// The new component for each place.
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]];
    let n = pairs.len().min(3);
    let agree: Vec<Vec<f64>> =
        pairs[..n].iter().map(|(_, v)| given[..n].iter().map(|g| dot(v, g)).collect()).collect();
    let sum = |order: &[usize; 3]| (0..n).map(|j| agree[order[j]][j].abs()).sum::<f64>();
    let fitting = ORDERS.into_iter().filter(|order| order[..n].iter().all(|i| *i < n));
    let best = fitting.fold((ORDERS[0], -1.0), |best, order| {
        let sum = sum(&order);
        if sum > best.1 { (order, sum) } else { best }
    });
    let before = pairs[..n].to_vec();
    for j in 0..n {
        let from = best.0[j];
        pairs[j] = before[from].clone();
        if agree[from][j] < 0.0 {
            pairs[j].1.iter_mut().for_each(|v| *v = -*v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second difference matrix, whose eigenvalues are 2 - 2 cos(pi j / (n + 1)).
    fn differences(n: usize) -> Vec<f32> {
        let at = |i: usize| match (i / n).abs_diff(i % n) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        };
        (0..n * n).map(at).collect()
    }

    #[test]
    fn known_eigenpairs() {
        let two = eigenvectors_cpu(&[2.0, 1.0, 1.0, 2.0], 2, &[0.0; 4], 40, false);
        assert!((two.values[0] - 3.0).abs() < 1e-6 && (two.values[1] - 1.0).abs() < 1e-6 && two.trace == 4.0);
        let half = 0.5f32.sqrt();
        assert!(
            (two.components[0] - half).abs() < 1e-6 && (two.components[1] - half).abs() < 1e-6,
            "{two:?}"
        );

        let n = 12;
        let matrix = differences(n);
        let found = eigenvectors_cpu(&matrix, n, &vec![0.0; 8 * n], 60, false);
        for (j, value) in found.values[..3].iter().enumerate() {
            let angle = std::f64::consts::PI * (n - j) as f64 / (n + 1) as f64;
            assert!((f64::from(*value) - (2.0 - 2.0 * angle.cos())).abs() < 1e-6, "{j}: {value}");
            let v = &found.components[j * n..][..n];
            for i in 0..n {
                let image: f32 = (0..n).map(|c| matrix[i * n + c] * v[c]).sum();
                assert!((image - value * v[i]).abs() < 1e-5, "{j} is no eigenvector: {v:?}");
            }
            // Symmetric or antisymmetric: of two equal coefficients the first decides.
            let largest = v.iter().fold(0f32, |m, v| m.max(v.abs()));
            assert!(v.iter().find(|v| v.abs() > 0.999 * largest).is_some_and(|v| *v > 0.0), "{v:?}");
        }
    }

    #[test]
    fn a_good_start_needs_one_step() {
        let n = 30;
        let matrix = differences(n);
        let exact = eigenvectors_cpu(&matrix, n, &vec![0.0; 8 * n], 3000, false);
        let cold = eigenvectors_cpu(&matrix, n, &vec![0.0; 8 * n], 1, false);
        let warm = eigenvectors_cpu(&matrix, n, &exact.components, 1, false);
        let error = |found: &Eigenvectors| (found.values[0] - exact.values[0]).abs();
        assert!(error(&warm) < 1e-6 && error(&cold) > 1e-2, "{} and {}", error(&warm), error(&cold));
    }

    #[test]
    fn rounding_is_no_direction() {
        // Two directions, and a third one a million times weaker than the first.
        let diagonal = [4.0, 0.0, 1.0, 4e-6];
        let matrix: Vec<f32> = (0..16).map(|i| if i / 4 == i % 4 { diagonal[i / 4] } else { 0.0 }).collect();
        let found = eigenvectors_cpu(&matrix, 4, &[0.0; 12], 30, false);
        assert!((found.values[0] - 4.0).abs() < 1e-6 && (found.values[1] - 1.0).abs() < 1e-6, "{found:?}");
        assert!(found.values[2] == 0.0 && found.components[8..].iter().all(|v| *v == 0.0), "{found:?}");
    }
}
