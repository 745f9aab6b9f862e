//! All eigenpairs of a small symmetric matrix.

/// Cyclic Jacobi rotations of `[k, k]`: eigenvalues in no order, eigenvectors as columns. Slow for large matrices, exact and
/// unconditional for small ones.
pub fn jacobi(mut a: Vec<f64>, k: usize) -> (Vec<f64>, Vec<f64>) {
    let mut turn: Vec<f64> = (0..k * k).map(|i| f64::from(u8::from(i / k == i % k))).collect();
    let size: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..60 {
        let off: f64 = (0..k * k).filter(|i| i / k != i % k).map(|i| a[i] * a[i]).sum();
        if off <= 1e-30 * size {
            break;
        }
        for p in 0..k {
            for q in p + 1..k {
                let apq = a[p * k + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * k + q] - a[p * k + p]) / (2.0 * apq);
                let tan = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cos = 1.0 / (tan * tan + 1.0).sqrt();
                let sin = tan * cos;
                for m in 0..k {
                    let (x, y) = (a[m * k + p], a[m * k + q]);
                    (a[m * k + p], a[m * k + q]) = (cos * x - sin * y, sin * x + cos * y);
                }
                for m in 0..k {
                    let (x, y) = (a[p * k + m], a[q * k + m]);
                    (a[p * k + m], a[q * k + m]) = (cos * x - sin * y, sin * x + cos * y);
                    let (x, y) = (turn[m * k + p], turn[m * k + q]);
                    (turn[m * k + p], turn[m * k + q]) = (cos * x - sin * y, sin * x + cos * y);
                }
            }
        }
    }
    ((0..k).map(|i| a[i * k + i]).collect(), turn)
}
