//! Matrix products through the `gemm` crate, with strides, so that nothing is transposed or copied first.

/// A matrix in a slice.
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> MatrixView<'a> {
    /// Rows one after the other.
    ///
    /// # Panics
    /// When the slice is shorter.
    pub fn new(values: &'a [f32], rows: usize, cols: usize) -> Self {
        assert!(values.len() >= rows * cols, "{rows} x {cols} values, not {}", values.len());
        Self { values, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// Rows become columns; nothing moves.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = scale · a b`, or `out += scale · a b` when `add`; `out` is `[a.rows, b.cols]`, rows one after the other.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply(out: &mut [f32], a: MatrixView, b: MatrixView, scale: f32, add: bool) {
    assert_eq!(a.cols, b.rows, "the inner sides of a product");
    assert!(out.len() >= a.rows * b.cols, "{} x {} values, not {}", a.rows, b.cols, out.len());
    let raw = |m: &MatrixView| RawMatrix {
        at: m.values.as_ptr(),
        row_stride: m.row_stride as isize,
        col_stride: m.col_stride as isize,
    };
    // SAFETY: the assertions here and in `MatrixView::new` keep all three inside their slices.
    unsafe {
        let out = (out.as_mut_ptr(), b.cols as isize);
        multiply_raw([a.rows, a.cols, b.cols], out, raw(&a), raw(&b), scale, add, true);
    }
}

/// A matrix somewhere in memory.
#[derive(Clone, Copy, Debug)]
pub struct RawMatrix {
    /// The first value.
    pub at: *const f32,
    /// Values from one row to the next.
    pub row_stride: isize,
    /// Values from one column to the next.
    pub col_stride: isize,
}

/// `out = scale · a b` (`+=` when `add`) with `[m, k, n]` sides; `out` is a pointer and its row stride.
///
/// `spread` uses all cores.
///
/// # Safety
/// All three matrices lie in memory that is valid for them, and nothing else touches `out`.
pub unsafe fn multiply_raw(
    [m, k, n]: [usize; 3],
    (out, out_stride): (*mut f32, isize),
    a: RawMatrix,
    b: RawMatrix,
    scale: f32,
    add: bool,
    spread: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    // Below this a product is done before another core has woken up.
    let spread = spread && m * n * k > 1 << 18;
    #[cfg(not(target_family = "wasm"))]
    let parallel = if spread && rayon::current_num_threads() > 1 {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    #[cfg(target_family = "wasm")]
    let parallel = {
        let _ = spread;
        gemm::Parallelism::None
    };
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            out_stride,
            add,
            a.at,
            a.col_stride,
            a.row_stride,
            b.at,
            b.col_stride,
            b.row_stride,
            1.0,
            scale,
            false,
            false,
            false,
            parallel,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_orientations() {
        let (m, k, n) = (5, 7, 3);
        let a: Vec<f32> = (0..m * k).map(|i| (i as f32 * 0.7).sin()).collect();
        let b: Vec<f32> = (0..k * n).map(|i| (i as f32 * 0.3).cos()).collect();
        let at: Vec<f32> = (0..m * k).map(|i| a[(i % m) * k + i / m]).collect();
        let bt: Vec<f32> = (0..k * n).map(|i| b[(i % k) * n + i / k]).collect();
        let want = |i: usize, j: usize| (0..k).map(|x| a[i * k + x] * b[x * n + j]).sum::<f32>();
        for (a, b) in [
            (MatrixView::new(&a, m, k), MatrixView::new(&b, k, n)),
            (MatrixView::new(&at, k, m).transposed(), MatrixView::new(&b, k, n)),
            (MatrixView::new(&a, m, k), MatrixView::new(&bt, n, k).transposed()),
        ] {
            let mut out = vec![f32::NAN; m * n];
            multiply(&mut out, a, b, 2.0, false);
            multiply(&mut out, a, b, 1.0, true);
            for (i, got) in out.iter().enumerate() {
                assert!((got - 3.0 * want(i / n, i % n)).abs() < 1e-5);
            }
        }
    }
}
