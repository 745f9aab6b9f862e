//! All eigenvalues of a symmetric matrix, without its eigenvectors.
//!
//! Householder reflections make the matrix tridiagonal; the number of negative pivots of a shifted tridiagonal matrix
//! is the number of eigenvalues below the shift (Sturm), so that halving finds each one. Nothing can fail to converge.

use dinoscope_analysis::linalg::dot;
use dinoscope_base::parallel::for_chunks;

/// Rows that one thread takes at a time.
const ROWS: usize = 16;

/// Eigenvalues of `xᵀx` for `[rows, columns]` data, largest first: as many as the smaller side has.
///
/// In f64 throughout: roots of these are wanted, and rounding to 1e-7 of the largest would be 3e-4 of its root.
pub(super) fn of_products(data: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    // Both `xᵀx` and `xxᵀ` have them; the smaller matrix is enough.
    let (n, length) = (rows.min(columns), rows.max(columns));
    let vectors: Vec<f64> = if rows <= columns {
        data.to_vec()
    } else {
        (0..n * length).map(|i| data[i % length * columns + i / length]).collect()
    };
    let mut matrix = vec![0f64; n * n];
    for_chunks(&mut matrix, ROWS * n.max(1), |chunk, some| {
        for (i, row) in some.chunks_exact_mut(n).enumerate() {
            let i = chunk * ROWS + i;
            for (j, value) in row.iter_mut().enumerate().skip(i) {
                *value = dot(&vectors[i * length..][..length], &vectors[j * length..][..length]);
            }
        }
    });
    for i in 0..n {
        for j in 0..i {
            matrix[i * n + j] = matrix[j * n + i];
        }
    }
    eigenvalues(matrix, n)
}

/// Eigenvalues of a symmetric `[n, n]` matrix, largest first.
pub(super) fn eigenvalues(matrix: Vec<f64>, n: usize) -> Vec<f64> {
    let (diagonal, beside) = tridiagonal(matrix, n);
    // All eigenvalues lie within these (Gershgorin).
    let at = |i: usize| beside.get(i).map_or(0.0, |v: &f64| v.abs());
    let reach = |i: usize| if i == 0 { at(0) } else { at(i - 1) + at(i) };
    let low = (0..n).map(|i| diagonal[i] - reach(i)).fold(f64::INFINITY, f64::min);
    let high = (0..n).map(|i| diagonal[i] + reach(i)).fold(f64::NEG_INFINITY, f64::max);
    let mut values = vec![0f64; n];
    for_chunks(&mut values, ROWS, |chunk, some| {
        for (i, value) in some.iter_mut().enumerate() {
            let wanted = n - 1 - (chunk * ROWS + i);
            let (mut low, mut high) = (low, high);
            // Until nothing lies between the two.
            loop {
                let middle = low + (high - low) / 2.0;
                if middle <= low || middle >= high {
                    break;
                }
                if below(&diagonal, &beside, middle) > wanted { high = middle } else { low = middle }
            }
            *value = low + (high - low) / 2.0;
        }
    });
    values
}

/// How many eigenvalues of a tridiagonal matrix lie below `shift`.
fn below(diagonal: &[f64], beside: &[f64], shift: f64) -> usize {
    let mut count = 0;
    let mut pivot = 1.0;
    for (i, value) in diagonal.iter().enumerate() {
        let before = if i == 0 { 0.0 } else { beside[i - 1] * beside[i - 1] / pivot };
        pivot = value - shift - before;
        if pivot == 0.0 {
            pivot = f64::MIN_POSITIVE;
        }
        count += usize::from(pivot < 0.0);
    }
    count
}

/// The diagonal, `[n]`, and what stands beside it, `[n - 1]`, of a tridiagonal matrix with the same eigenvalues.
fn tridiagonal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut diagonal = vec![0.0; n];
    let mut beside = vec![0.0; n.saturating_sub(1)];
    for k in 0..n {
        diagonal[k] = a[k * n + k];
        let rest = n - k - 1;
        if rest == 0 {
            break;
        }
        // The reflection that turns the rest of row `k` onto its first place.
        let mut mirror = a[k * n + k + 1..(k + 1) * n].to_vec();
        let length = dot(&mirror, &mirror).sqrt();
        let first = mirror[0];
        let turned = if first > 0.0 { -length } else { length };
        beside[k] = turned;
        if rest == 1 {
            beside[k] = first;
            continue;
        }
        mirror[0] -= turned;
        let squared = dot(&mirror, &mirror);
        if squared == 0.0 {
            continue;
        }
        // A' = A - m wᵀ - w mᵀ, for m of unit length.
        let scale = squared.sqrt().recip();
        mirror.iter_mut().for_each(|v| *v *= scale);
        let mut image = vec![0f64; rest];
        let below = &a[(k + 1) * n..];
        for_chunks(&mut image, 64, |chunk, some| {
            for (i, value) in some.iter_mut().enumerate() {
                *value = 2.0 * dot(&below[(chunk * 64 + i) * n + k + 1..][..rest], &mirror);
            }
        });
        let along = dot(&mirror, &image);
        let other: Vec<f64> = image.iter().zip(&mirror).map(|(p, m)| p - along * m).collect();
        for_chunks(&mut a[(k + 1) * n..], 64 * n, |chunk, some| {
            for (i, row) in some.chunks_exact_mut(n).enumerate() {
                let (m, w) = (mirror[chunk * 64 + i], other[chunk * 64 + i]);
                for ((value, x), y) in row[k + 1..].iter_mut().zip(&mirror).zip(&other) {
                    *value -= m * y + w * x;
                }
            }
        });
    }
    (diagonal, beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinoscope_base::rng;

    #[test]
    fn known_eigenvalues() {
        // The second difference matrix has eigenvalues 2 - 2 cos(pi j / (n + 1)).
        for n in [1usize, 2, 3, 40] {
            let matrix = (0..n * n)
                .map(|i| match (i / n).abs_diff(i % n) {
                    0 => 2.0,
                    1 => -1.0,
                    _ => 0.0,
                })
                .collect();
            for (j, value) in eigenvalues(matrix, n).iter().enumerate() {
                let wanted = 2.0 - 2.0 * (std::f64::consts::PI * (n - j) as f64 / (n + 1) as f64).cos();
                assert!((value - wanted).abs() < 1e-12, "{n} {j}: {value} for {wanted}");
            }
        }
        assert!(eigenvalues(Vec::new(), 0).is_empty());
        assert_eq!(eigenvalues(vec![0.0; 25], 5), [0.0; 5]);
        // All equal, and of rank one.
        let extractor = (0..400).map(|i| f64::from(u8::from(i / 20 == i % 20))).collect();
        assert!(eigenvalues(extractor, 20).iter().all(|v| (v - 1.0).abs() < 1e-12));
        let x = [1.0, -2.0, 3.0, 0.5];
        let one = eigenvalues((0..16).map(|i| x[i / 4] * x[i % 4]).collect(), 4);
        assert!((one[0] - 14.25).abs() < 1e-12 && one[1..].iter().all(|v| v.abs() < 1e-12), "{one:?}");
    }

    #[test]
    fn dense_matrices_agree_with_rotations() {
        for (rows, columns) in [(30, 17), (17, 30), (200, 150)] {
            let mut stream = rng::stream(4, "eigenvalues", rows as u64, 0);
            let data: Vec<f64> = (0..rows * columns).map(|_| f64::from(rng::normal(&mut stream))).collect();
            let found = of_products(&data, rows, columns);
            let n = rows.min(columns);
            assert_eq!(found.len(), n);
            // The sum and the sum of squares are those of the matrix itself.
            let product = |i: usize, j: usize| -> f64 {
                (0..rows).map(|r| data[r * columns + i] * data[r * columns + j]).sum()
            };
            let trace: f64 = (0..columns).map(|i| product(i, i)).sum();
            let squares: f64 =
                (0..columns * columns).map(|i| product(i / columns, i % columns).powi(2)).sum();
            assert!((found.iter().sum::<f64>() / trace - 1.0).abs() < 1e-12);
            assert!((found.iter().map(|v| v * v).sum::<f64>() / squares - 1.0).abs() < 1e-12);
            if n == 17 {
                let of = |i: usize, j: usize| match rows < columns {
                    true => (0..columns).map(|c| data[i * columns + c] * data[j * columns + c]).sum(),
                    false => product(i, j),
                };
                let (wanted, _) =
                    dinoscope_analysis::eigen::jacobi((0..n * n).map(|i| of(i / n, i % n)).collect(), n);
                assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-10 * wanted[0]));
            }
        }
    }
}
