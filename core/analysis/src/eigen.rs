//! The few largest eigenpairs of a symmetric matrix, and the rotation that fits one cloud of points to another.
//!
//! All in f64 and without randomness that could differ between runs: the same features give the
//! same colours on every machine with the same arithmetic.

use super::linalg::dot;
use dinoscope_base::rng;

/// One eigenvalue with its unit eigenvector.
#[derive(Clone, Debug)]
pub struct EigenPair {
    /// The eigenvalue.
    pub value: f64,
    /// Its eigenvector, of length 1.
    pub vector: Vec<f64>,
}

/// Vectors carried beyond the wanted ones; they make convergence depend on a far smaller eigenvalue.
const SPARE: usize = 6;
/// Residual, relative to the largest eigenvalue, at which a pair counts as found.
const TOLERANCE: f64 = 1e-6;
/// Reached only when eigenvalues nearly coincide; then any direction among them is as good.
const MAX_ITERATIONS: usize = 120;

/// The `k` largest eigenpairs of a positive semi-definite `[n, n]` matrix, largest first.
///
/// Subspace iteration with Rayleigh–Ritz projection from a fixed start. Fewer than `k` pairs come
/// back when `n < k`. The largest coefficient of each vector is positive.
pub fn largest(matrix: &[f64], n: usize, k: usize) -> Vec<EigenPair> {
    let p = (k + SPARE).min(n);
    if k == 0 || n == 0 {
        return Vec::new();
    }
    let mut stream = rng::stream(0, "eigen", n as u64, k as u64);
    let mut basis: Vec<Vec<f64>> =
        (0..p).map(|_| (0..n).map(|_| f64::from(rng::normal(&mut stream))).collect()).collect();
    orthonormalise(&mut basis);
    let mut values = vec![0.0; p];
    for _ in 0..MAX_ITERATIONS {
        let images = multiply(matrix, n, &basis);
        let small: Vec<f64> = (0..p * p).map(|i| dot(&basis[i / p], &images[i % p])).collect();
        let (found, turn) = jacobi(small, p);
        // Both turned by the same rotation: Ritz vectors and their images, no second product needed.
        basis = combine(&basis, &turn, p, n);
        let images = combine(&images, &turn, p, n);
        values = found;
        let largest = values[0].abs();
        let residual = |j: usize| -> f64 {
            let pairs = images[j].iter().zip(&basis[j]);
            pairs.map(|(a, v)| (a - values[j] * v).powi(2)).sum::<f64>().sqrt()
        };
        if (0..k.min(p)).all(|j| residual(j) <= TOLERANCE * largest) {
            break;
        }
        basis = images;
        orthonormalise(&mut basis);
    }
    let mut pairs: Vec<EigenPair> = values
        .into_iter()
        .zip(basis)
        .map(|(value, mut vector)| {
            let peak = vector.iter().copied().fold(0.0f64, |m, v| if v.abs() > m.abs() { v } else { m });
            if peak < 0.0 {
                vector.iter_mut().for_each(|v| *v = -*v);
            }
            EigenPair { value, vector }
        })
        .collect();
    pairs.truncate(k);
    pairs
}

/// The matrix times each vector.
fn multiply(matrix: &[f64], n: usize, vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let p = vectors.len();
    // Interleaved, so that one pass over the matrix serves all vectors.
    let mixed: Vec<f64> = (0..n * p).map(|i| vectors[i % p][i / p]).collect();
    let mut out = vec![0.0; n * p];
    dinoscope_base::parallel::for_chunks(&mut out, p.max(1), |row, sums| {
        for (weight, values) in matrix[row * n..][..n].iter().zip(mixed.chunks_exact(p)) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
    });
    (0..p).map(|j| (0..n).map(|i| out[i * p + j]).collect()).collect()
}

/// Column `j` of the result is the sum of `vectors[i] * turn[i, j]`.
fn combine(vectors: &[Vec<f64>], turn: &[f64], p: usize, n: usize) -> Vec<Vec<f64>> {
    (0..p)
        .map(|j| {
            let mut sum = vec![0.0; n];
            for (i, vector) in vectors.iter().enumerate() {
                for (s, v) in sum.iter_mut().zip(vector) {
                    *s += turn[i * p + j] * v;
                }
            }
            sum
        })
        .collect()
}

/// Gram–Schmidt, twice for accuracy. A vector that depends on those before it becomes zero.
fn orthonormalise(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let vector = &mut rest[0];
        let start = dot(vector, vector).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(vector, other);
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
        }
        let length = dot(vector, vector).sqrt();
        let scale = if length > 1e-12 * start && length > 0.0 { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|v| *v *= scale);
    }
}

/// All eigenvalues of a small symmetric matrix, largest first, and its eigenvectors as columns of `[n, n]`.
pub fn jacobi(matrix: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (found, vectors) = dinoscope_shaders::cpu::jacobi(matrix, n);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| found[*j].total_cmp(&found[*i]));
    let values = order.iter().map(|i| found[*i]).collect();
    (values, (0..n * n).map(|i| vectors[i / n * n + order[i % n]]).collect())
}

/// The orthogonal `R` (rotation or reflection) with the smallest `|AR - B|`, from `M = AᵀB`.
///
/// Orthogonal Procrustes (Schönemann 1966): `R = UVᵀ` where `M = USVᵀ`. Directions in which `M` says
/// nothing are completed to an orthonormal basis, so `R` is orthogonal for every finite `M`.
pub fn procrustes(m: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let mtm: Vec<f64> = (0..9).map(|i| (0..3).map(|k| m[k][i / 3] * m[k][i % 3]).sum::<f64>()).collect();
    let (values, v) = jacobi(mtm, 3);
    let column = |j: usize| -> [f64; 3] { std::array::from_fn(|i| v[i * 3 + j]) };
    let mut u: Vec<Vec<f64>> = Vec::new();
    for j in 0..3 {
        // Singular values are roots of these; below this the direction is rounding.
        let known = values[j] > 1e-20 * values[0].max(f64::MIN_POSITIVE);
        let image: Vec<f64> = (0..3).map(|r| dot(&m[r], &column(j))).collect();
        // The right singular vector itself is the guess that changes least.
        let mut candidates = vec![column(j).to_vec()];
        candidates.extend((0..3).map(|axis| (0..3).map(|i| f64::from(u8::from(i == axis))).collect()));
        if known {
            candidates.insert(0, image);
        }
        for candidate in candidates {
            let length = dot(&candidate, &candidate).sqrt();
            let mut trial = u.clone();
            trial.push(candidate.iter().map(|x| x / length).collect());
            let parallel = trial[..j].iter().any(|o| dot(o, &trial[j]).abs() > 0.99);
            orthonormalise(&mut trial);
            if !parallel && dot(&trial[j], &trial[j]) > 0.5 {
                u = trial;
                break;
            }
        }
    }
    std::array::from_fn(|r| std::array::from_fn(|c| (0..3).map(|j| u[j][r] * v[c * 3 + j]).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_eigenpairs() {
        // [[2, 1], [1, 2]]: 3 along (1, 1), 1 along (1, -1).
        let pairs = largest(&[2.0, 1.0, 1.0, 2.0], 2, 2);
        assert!((pairs[0].value - 3.0).abs() < 1e-9 && (pairs[1].value - 1.0).abs() < 1e-9);
        assert!(
            (pairs[0].vector[0] - 0.5f64.sqrt()).abs() < 1e-6
                && (pairs[0].vector[1] - 0.5f64.sqrt()).abs() < 1e-6
        );
        // The second difference matrix has eigenvalues 2 - 2 cos(pi j / (n + 1)).
        let n = 20usize;
        let m: Vec<f64> = (0..n * n)
            .map(|i| match (i / n).abs_diff(i % n) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            })
            .collect();
        for (j, pair) in largest(&m, n, 3).iter().enumerate() {
            let want = 2.0 - 2.0 * (std::f64::consts::PI * (n - j) as f64 / (n + 1) as f64).cos();
            assert!((pair.value - want).abs() < 1e-6, "{j}: {} for {want}", pair.value);
        }
    }

    #[test]
    fn awkward_matrices() {
        assert!(largest(&[], 0, 3).is_empty());
        let zero = largest(&[0.0; 25], 5, 3);
        assert!(zero.iter().all(|p| p.value == 0.0 && p.vector.iter().all(|v| v.is_finite())));
        // Rank one.
        let x = [1.0, -2.0, 3.0, 0.5];
        let m: Vec<f64> = (0..16).map(|i| x[i / 4] * x[i % 4]).collect();
        let pairs = largest(&m, 4, 3);
        assert!((pairs[0].value - 14.25).abs() < 1e-9 && pairs[1].value.abs() < 1e-9);
        // All eigenvalues equal: any orthonormal vectors will do.
        let eye: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i / 20 == i % 20))).collect();
        let pairs = largest(&eye, 20, 3);
        assert!(pairs.iter().all(|p| (p.value - 1.0).abs() < 1e-9));
        assert!(dot(&pairs[0].vector, &pairs[1].vector).abs() < 1e-9);
    }

    #[test]
    fn procrustes_finds_rotations_and_stays_orthogonal() {
        let (s, c) = (0.6, 0.8);
        let turn = [[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, -1.0]];
        let weights = [9.0, 4.0, 1.0];
        let m = std::array::from_fn(|i| std::array::from_fn(|j| weights[i] * turn[i][j]));
        let found = procrustes(&m);
        for i in 0..3 {
            for j in 0..3 {
                assert!((found[i][j] - turn[i][j]).abs() < 1e-9, "{found:?}");
            }
        }
        let flat = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0; 3]];
        for m in [[[0.0; 3]; 3], flat, [[0.0, 0.0, 5.0], [0.0; 3], [0.0; 3]], [[1e-200; 3]; 3]] {
            let r = procrustes(&m);
            for i in 0..3 {
                for j in 0..3 {
                    let product: f64 = (0..3).map(|k| r[i][k] * r[j][k]).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9, "{m:?}: {r:?}");
                }
            }
        }
    }
}
