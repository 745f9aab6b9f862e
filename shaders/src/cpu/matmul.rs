//! Matrix products through the `gemm` crate, with strides, so that nothing is transposed or copied first.

/// What matrices hold: f32 or f64.
pub trait MatrixElement: Copy + 'static {
    /// The factor that changes nothing.
    const ONE: Self;
}

impl MatrixElement for f32 {
    const ONE: Self = 1.0;
}

impl MatrixElement for f64 {
    const ONE: Self = 1.0;
}

/// A matrix in a slice.
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a, T = f32> {
    values: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T: Copy> MatrixView<'a, T> {
    /// Rows one after the other.
    ///
    /// # Panics
    /// When the slice is shorter.
    pub fn new(values: &'a [T], rows: usize, cols: usize) -> Self {
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

    fn raw(&self) -> RawMatrix<T> {
        RawMatrix {
            at: self.values.as_ptr(),
            row_stride: self.row_stride as isize,
            col_stride: self.col_stride as isize,
        }
    }
}

/// `out = scale · a b`, or `out += scale · a b` when `add`; `out` is `[a.rows, b.cols]`, rows one after the other.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply<T: MatrixElement>(
    out: &mut [T],
    a: MatrixView<'_, T>,
    b: MatrixView<'_, T>,
    scale: T,
    add: bool,
) {
    let sides = checked_sides(out, &a, &b);
    // SAFETY: the assertions there and in `MatrixView::new` keep all three inside their slices.
    unsafe {
        let out = (out.as_mut_ptr(), b.cols as isize);
        multiply_raw(sides, out, a.raw(), b.raw(), scale, add, true);
    }
}

/// `[m, k, n]` of a product whose shapes fit.
fn checked_sides<T>(out: &[T], a: &MatrixView<'_, T>, b: &MatrixView<'_, T>) -> [usize; 3] {
    assert_eq!(a.cols, b.rows, "the inner sides of a product");
    assert!(out.len() >= a.rows * b.cols, "{} x {} values, not {}", a.rows, b.cols, out.len());
    [a.rows, a.cols, b.cols]
}

/// Whether [`multiply_in_bf16`] is another product than [`multiply`] on this processor.
pub fn has_bf16_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    return super::matmul_bf16::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// [`multiply`] with both factors rounded to bf16, where the processor is faster in those and the product is large enough to
/// gain by it; sums are f32.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply_in_bf16(out: &mut [f32], a: MatrixView<'_>, b: MatrixView<'_>, scale: f32, add: bool) {
    #[cfg(target_arch = "x86_64")]
    if a.rows * a.cols * b.cols > LEAST_BF16 && has_bf16_products() {
        let sides = checked_sides(out, &a, &b);
        // SAFETY: the assertions there and in `MatrixView::new` keep all three inside their slices.
        unsafe {
            super::matmul_bf16::multiply(sides, (out.as_mut_ptr(), b.cols), a.raw(), b.raw(), scale, add)
        };
        return;
    }
    multiply(out, a, b, scale, add);
}

/// Multiplications below which rounding costs more than it saves.
#[cfg(target_arch = "x86_64")]
const LEAST_BF16: usize = 1 << 19;

/// A matrix somewhere in memory.
#[derive(Clone, Copy, Debug)]
pub struct RawMatrix<T = f32> {
    /// The first value.
    pub at: *const T,
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
pub unsafe fn multiply_raw<T: MatrixElement>(
    [m, k, n]: [usize; 3],
    (out, out_stride): (*mut T, isize),
    a: RawMatrix<T>,
    b: RawMatrix<T>,
    scale: T,
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
            T::ONE,
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

    fn products_of_all_orientations<T: MatrixElement + std::fmt::Debug>(of: fn(f64) -> T, to: fn(T) -> f64) {
        let (m, k, n) = (5, 7, 3);
        let a: Vec<f64> = (0..m * k).map(|i| (i as f64 * 0.7).sin()).collect();
        let b: Vec<f64> = (0..k * n).map(|i| (i as f64 * 0.3).cos()).collect();
        let values =
            |at: &dyn Fn(usize) -> f64, count: usize| (0..count).map(|i| of(at(i))).collect::<Vec<T>>();
        let (plain_a, plain_b) = (values(&|i| a[i], m * k), values(&|i| b[i], k * n));
        let turned_a = values(&|i| a[(i % m) * k + i / m], m * k);
        let turned_b = values(&|i| b[(i % k) * n + i / k], k * n);
        let want = |i: usize, j: usize| (0..k).map(|x| a[i * k + x] * b[x * n + j]).sum::<f64>();
        for (a, b) in [
            (MatrixView::new(&plain_a, m, k), MatrixView::new(&plain_b, k, n)),
            (MatrixView::new(&turned_a, k, m).transposed(), MatrixView::new(&plain_b, k, n)),
            (MatrixView::new(&plain_a, m, k), MatrixView::new(&turned_b, n, k).transposed()),
        ] {
            let mut out = vec![of(f64::NAN); m * n];
            multiply(&mut out, a, b, of(2.0), false);
            multiply(&mut out, a, b, of(1.0), true);
            for (i, got) in out.iter().enumerate() {
                assert!((to(*got) - 3.0 * want(i / n, i % n)).abs() < 1e-5, "{i}: {got:?}");
            }
        }
    }

    #[test]
    fn products_of_all_orientations_in_both_precisions() {
        products_of_all_orientations(|value| value as f32, f64::from);
        products_of_all_orientations(|value| value, |value| value);
    }
}
