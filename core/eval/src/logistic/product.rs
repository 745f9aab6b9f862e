//! Matrix products in f64 for the logistic regression, on all cores.

use dinoscope_base::parallel::for_chunks;

/// Columns of a tile; the right side's rows are a multiple of it.
pub(super) const COLS: usize = 8;
/// Rows of a tile: its sums fit the registers.
const ROWS: usize = 4;
/// Rows of a task.
const TASK: usize = 32;

/// `out = left right`, `[rows, cols]` from `[rows, inner]` and `[inner, cols]`; `cols` is a multiple of [`COLS`].
pub(super) fn product(out: &mut [f64], left: &[f64], right: &[f64], cols: usize) {
    for_chunks(out, TASK * cols, |task, out| {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has both.
            unsafe { rows_avx2(out, left, task * TASK, right, cols) };
            return;
        }
        rows::<false>(out, left, task * TASK, right, cols);
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn rows_avx2(out: &mut [f64], left: &[f64], first: usize, right: &[f64], cols: usize) {
    rows::<true>(out, left, first, right, cols);
}

#[inline(always)]
fn rows<const FMA: bool>(out: &mut [f64], left: &[f64], first: usize, right: &[f64], cols: usize) {
    let (count, inner) = (out.len() / cols, right.len() / cols);
    for start in (0..count).step_by(ROWS) {
        // The last tile repeats rows instead of running over the end.
        let left: [&[f64]; ROWS] =
            std::array::from_fn(|r| &left[(first + (start + r).min(count - 1)) * inner..][..inner]);
        for column in (0..cols).step_by(COLS) {
            let mut sums = [[0f64; COLS]; ROWS];
            for (k, right) in right.chunks_exact(cols).enumerate() {
                let right = &right[column..column + COLS];
                for (sum, left) in sums.iter_mut().zip(left) {
                    let x = left[k];
                    for (sum, y) in sum.iter_mut().zip(right) {
                        // Without the instruction, `mul_add` would be a slow function call.
                        *sum = if FMA { x.mul_add(*y, *sum) } else { *sum + x * y };
                    }
                }
            }
            for (r, sum) in sums.iter().enumerate().take(count - start) {
                out[(start + r) * cols + column..][..COLS].copy_from_slice(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_plain_sums() {
        for (n, inner, cols) in [(1, 1, 8), (37, 5, 16), (70, 33, 8)] {
            let x: Vec<f64> = (0..n * inner).map(|i| (i as f64 * 0.7).sin()).collect();
            let w: Vec<f64> = (0..inner * cols).map(|i| (i as f64 * 0.3).cos()).collect();
            let mut out = vec![f64::NAN; n * cols];
            product(&mut out, &x, &w, cols);
            let mut plain = vec![f64::NAN; n.min(TASK) * cols];
            rows::<false>(&mut plain, &x, 0, &w, cols);
            for i in 0..n {
                for c in 0..cols {
                    let want: f64 = (0..inner).map(|k| x[i * inner + k] * w[k * cols + c]).sum();
                    assert!((out[i * cols + c] - want).abs() < 1e-12);
                    assert!(i >= TASK || (plain[i * cols + c] - want).abs() < 1e-12);
                }
            }
        }
    }
}
