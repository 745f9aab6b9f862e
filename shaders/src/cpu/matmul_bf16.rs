//! Matrix products of bf16 factors with f32 sums, on x86 processors that multiply pairs of them (`VDPBF16PS`: Zen 4, Cooper Lake,
//! Sapphire Rapids and later): twice as many operations as of f32 in the same time.
//!
//! The right factor is rounded and laid out once, the left one by whoever computes some of its rows, both so that the inner loop
//! reads in order; each element of the result is added up in registers.

use std::arch::x86_64::*;

use super::matmul::RawMatrix;
use super::{DisjointSlice, blocks, threads};

/// Rows of the result that are computed at once.
const ROWS: usize = 12;
/// Columns of the result that are computed at once: two vectors, so that with as many rows 24 sums stay in registers.
const COLS: usize = 32;
/// Inner pairs between two visits of the result: a panel of the right factor takes 48 KiB.
const DEPTH: usize = 384;
/// Rows of a task: what is rounded for it takes 144 KiB.
const TASK_ROWS: usize = 8 * ROWS;
/// Panels of the right factor that are laid out by one task.
const PACKED_PANELS: usize = 4;

/// Whether this processor has what [`multiply`] is made of.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// `out = scale · a b` (`+=` when `add`) with `[m, k, n]` sides and factors rounded to bf16, on all cores; `out` is a pointer and its
/// row stride.
///
/// # Safety
/// [`is_available`]; all three matrices lie in memory that is valid for them, and nothing else touches `out`.
pub unsafe fn multiply(
    [m, k, n]: [usize; 3],
    out: (*mut f32, usize),
    a: RawMatrix<f32>,
    b: RawMatrix<f32>,
    scale: f32,
    add: bool,
) {
    let (panels, row_tasks) = (n.div_ceil(COLS), m.div_ceil(TASK_ROWS));
    // Rows by columns, so that there is work for all cores where there are few rows.
    let col_tasks = (4 * threads()).div_ceil(row_tasks.max(1)).min(panels.div_ceil(PACKED_PANELS)).max(1);
    let panels_of_task = panels.div_ceil(col_tasks);
    let mut packed = AlignedPairs::new(panels * COLS * DEPTH.min(k.div_ceil(2)));
    let packed = packed.pairs();
    let (a, b, out) = (Shared(a), Shared(b), Shared(out));
    for first in (0..k).step_by(2 * DEPTH) {
        let inner = (k - first).min(2 * DEPTH);
        let panel_len = inner.div_ceil(2) * COLS;
        let parts = DisjointSlice::new(&mut *packed);
        blocks(panels, PACKED_PANELS, |range| {
            for panel in range {
                let b = b.get();
                // SAFETY: panels are apart, and the factor holds its `k` rows and `n` columns.
                unsafe {
                    let to = parts.part(panel * panel_len..(panel + 1) * panel_len);
                    let lanes = Lanes::new(b.at, [b.col_stride, b.row_stride], [panel * COLS, first]);
                    lanes.pack::<COLS>(to, COLS.min(n - panel * COLS), inner);
                }
            }
        });
        blocks(row_tasks * col_tasks, 1, |tasks| {
            let mut rows = vec![0u32; TASK_ROWS * inner.div_ceil(2)];
            for task in tasks {
                let top = task / col_tasks * TASK_ROWS;
                let first_panel = task % col_tasks * panels_of_task;
                let part = ResultPart {
                    rows: top..(top + TASK_ROWS).min(m),
                    panels: first_panel..(first_panel + panels_of_task).min(panels),
                    inner: first..first + inner,
                    columns: n,
                };
                // SAFETY: the caller's promise; parts are apart.
                unsafe { part.compute(out.get(), a.get(), packed, &mut rows, scale, add || first > 0) };
            }
        });
    }
}

/// Pairs that begin with a line of the cache: a vector that lies across two of them takes twice as long to load.
struct AlignedPairs(Vec<__m512i>);

impl AlignedPairs {
    fn new(count: usize) -> Self {
        // SAFETY: of these bits all patterns are valid, zeros too.
        Self(vec![unsafe { std::mem::zeroed() }; count.div_ceil(16)])
    }

    fn pairs(&mut self) -> &mut [u32] {
        let vectors = &mut *self.0;
        // SAFETY: as many bytes, of a type with less alignment and no invalid patterns.
        unsafe { std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), 16 * vectors.len()) }
    }
}

/// A pointer that all cores read, or write apart from each other.
#[derive(Clone, Copy)]
struct Shared<T>(T);

// SAFETY: `multiply` hands it to tasks whose parts are apart.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// Through the wrapper, which a closure then holds in place of the pointer.
    fn get(&self) -> T {
        self.0
    }
}

/// What one task computes.
struct ResultPart {
    rows: std::ops::Range<usize>,
    /// Panels of columns.
    panels: std::ops::Range<usize>,
    inner: std::ops::Range<usize>,
    /// Columns of the whole result.
    columns: usize,
}

impl ResultPart {
    /// # Safety
    /// As [`multiply`]; nothing else touches this part of `out`. `packed` holds all panels of the right factor, and there is
    /// room in `rows` for the left factor's.
    unsafe fn compute(
        self,
        (out, stride): (*mut f32, usize),
        a: RawMatrix<f32>,
        packed: &[u32],
        rows: &mut [u32],
        scale: f32,
        add: bool,
    ) {
        let pairs = self.inner.len().div_ceil(2);
        // Rows that lie one value after the other are rounded as they lie; columns are mixed in pairs.
        let mixed = a.row_stride == 1;
        let groups = |rows: std::ops::Range<usize>| {
            rows.clone().step_by(ROWS).map(move |top| (top, ROWS.min(rows.end - top)))
        };
        for (to, (top, count)) in rows.chunks_exact_mut(ROWS * pairs).zip(groups(self.rows.clone())) {
            // SAFETY: the factor holds these rows.
            unsafe {
                let lanes = Lanes::new(a.at, [a.row_stride, a.col_stride], [top, self.inner.start]);
                match mixed {
                    true => lanes.pack::<ROWS>(to, count, self.inner.len()),
                    false => lanes.round(to, count, self.inner.len()),
                }
            }
        }
        for panel in self.panels {
            let columns = &packed[panel * pairs * COLS..(panel + 1) * pairs * COLS];
            for (rows, (top, count)) in rows.chunks_exact(ROWS * pairs).zip(groups(self.rows.clone())) {
                // SAFETY: this part of the result is this task's; `count` and `width` end with the matrix.
                unsafe {
                    let at = out.add(top * stride + panel * COLS);
                    let width = COLS.min(self.columns - panel * COLS);
                    let tile = ResultTile { at, stride, count, width, scale, add };
                    match mixed {
                        true => tile.compute::<true>(rows, columns),
                        false => tile.compute::<false>(rows, columns),
                    }
                }
            }
        }
    }
}

/// [`ROWS`] by [`COLS`] elements of the result, or as many as there are.
struct ResultTile {
    at: *mut f32,
    stride: usize,
    count: usize,
    width: usize,
    scale: f32,
    add: bool,
}

impl ResultTile {
    /// `rows` are `[pairs, ROWS]` where they are `MIXED`, else `[ROWS, pairs]`; `columns` `[pairs, COLS]`.
    ///
    /// # Safety
    /// [`is_available`], and the tile is valid memory that nothing else touches.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn compute<const MIXED: bool>(self, rows: &[u32], columns: &[u32]) {
        let pairs = columns.len() / COLS;
        assert!(rows.len() >= ROWS * pairs);
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        // SAFETY: `pair` and `row` stay within both, which was asserted; the masks end with the tile.
        unsafe {
            for pair in 0..pairs {
                let column = columns.as_ptr().add(pair * COLS);
                let columns = [column, column.add(16)].map(|at| as_bf16(_mm512_loadu_si512(at.cast())));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let index = if MIXED { pair * ROWS + row } else { row * pairs + pair };
                    let factor = as_bf16(_mm512_set1_epi32(*rows.as_ptr().add(index) as i32));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbf16_ps(*sum, factor, column);
                    }
                }
            }
            let scale = _mm512_set1_ps(self.scale);
            for (row, sums) in sums.iter().enumerate().take(self.count) {
                for (half, &sum) in sums.iter().enumerate() {
                    let there = lanes(self.width.saturating_sub(16 * half));
                    let at = self.at.wrapping_add(row * self.stride + 16 * half);
                    let before =
                        if self.add { _mm512_maskz_loadu_ps(there, at) } else { _mm512_setzero_ps() };
                    _mm512_mask_storeu_ps(at, there, _mm512_fmadd_ps(sum, scale, before));
                }
            }
        }
    }
}

/// Rows of the left factor or columns of the right one, from one of them and an inner index on.
struct Lanes {
    at: *const f32,
    /// From one lane to the next.
    lane_stride: isize,
    /// From one inner value to the next.
    stride: isize,
}

impl Lanes {
    /// # Safety
    /// The element lies in the matrix.
    unsafe fn new(at: *const f32, [lane_stride, stride]: [isize; 2], [lane, inner]: [usize; 2]) -> Self {
        // SAFETY: the caller's promise.
        let at = unsafe { at.offset(lane as isize * lane_stride + inner as isize * stride) };
        Self { at, lane_stride, stride }
    }

    /// Pairs of inner values, `[pairs, N]`; zero beyond `count` lanes and `inner` values.
    ///
    /// # Safety
    /// [`is_available`], and the matrix holds these.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pack<const N: usize>(&self, to: &mut [u32], count: usize, inner: usize) {
        let pairs = inner.div_ceil(2);
        assert!(to.len() >= pairs * N);
        // SAFETY: masks end with the lanes and the inner values; `to` holds all pairs.
        unsafe {
            if self.lane_stride != 1 {
                to.fill(0);
                for lane in 0..count {
                    for first in (0..pairs).step_by(16) {
                        let mut values = [0u32; 16];
                        _mm512_storeu_si512(values.as_mut_ptr().cast(), self.rounded(lane, 2 * first, inner));
                        for (pair, value) in values.iter().enumerate().take(pairs - first) {
                            *to.get_unchecked_mut((first + pair) * N + lane) = *value;
                        }
                    }
                }
                return;
            }
            let order: [i16; 32] = std::array::from_fn(|i| (i / 2 + 16 * (i % 2)) as i16);
            let order = _mm512_loadu_si512(order.as_ptr().cast());
            for (pair, to) in to.chunks_exact_mut(N).enumerate().take(pairs) {
                let even = self.at.wrapping_offset(2 * pair as isize * self.stride);
                let odd = even.wrapping_offset(self.stride);
                for lane in (0..N).step_by(16) {
                    let there = lanes(count.saturating_sub(lane));
                    let even = _mm512_maskz_loadu_ps(there, even.wrapping_add(lane));
                    let there = if 2 * pair + 1 < inner { there } else { 0 };
                    let odd = _mm512_maskz_loadu_ps(there, odd.wrapping_add(lane));
                    let mixed = _mm512_permutexvar_epi16(order, as_bits(_mm512_cvtne2ps_pbh(odd, even)));
                    _mm512_mask_storeu_epi32(to.as_mut_ptr().add(lane).cast(), lanes(N - lane), mixed);
                }
            }
        }
    }

    /// Pairs of inner values as they lie, `[ROWS, pairs]`; zero beyond `count` lanes and `inner` values.
    ///
    /// # Safety
    /// As [`Self::pack`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn round(&self, to: &mut [u32], count: usize, inner: usize) {
        let pairs = inner.div_ceil(2);
        for (lane, to) in to.chunks_exact_mut(pairs).enumerate().take(ROWS) {
            if lane >= count {
                to.fill(0);
                continue;
            }
            for first in (0..pairs).step_by(16) {
                // SAFETY: the lane is there, and masks end with the inner values.
                unsafe {
                    let values = self.rounded(lane, 2 * first, inner);
                    _mm512_mask_storeu_epi32(to.as_mut_ptr().add(first).cast(), lanes(pairs - first), values);
                }
            }
        }
    }

    /// 32 inner values of a lane as 16 pairs; zero beyond `inner`.
    ///
    /// # Safety
    /// As [`Self::pack`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn rounded(&self, lane: usize, first: usize, inner: usize) -> __m512i {
        let row = self.at.wrapping_offset(lane as isize * self.lane_stride);
        let left = inner - first;
        // SAFETY: what is read ends with the inner values.
        unsafe {
            let [low, high] = if self.stride == 1 {
                let half = |at: usize| {
                    _mm512_maskz_loadu_ps(lanes(left.saturating_sub(at)), row.wrapping_add(first + at))
                };
                [half(0), half(16)]
            } else {
                let mut values = [0.0; 32];
                for (i, value) in values.iter_mut().enumerate().take(left) {
                    *value = *row.offset((first + i) as isize * self.stride);
                }
                [0, 16].map(|at| _mm512_loadu_ps(values.as_ptr().add(at)))
            };
            as_bits(_mm512_cvtne2ps_pbh(high, low))
        }
    }
}

/// A mask of the first lanes, 16 at most.
fn lanes(count: usize) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

fn as_bf16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits, of which all patterns are valid.
    unsafe { std::mem::transmute(bits) }
}

fn as_bits(values: __m512bh) -> __m512i {
    // SAFETY: as above.
    unsafe { std::mem::transmute(values) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::check::bench::noise;

    /// To the nearest of 8 bits of mantissa, ties to even.
    fn rounded(x: f32) -> f64 {
        let bits = x.to_bits();
        f64::from(f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
    }

    /// A matrix of `rows` by `cols` values, of which a row's or a column's lie `apart`.
    fn lying(values: &[f32], [rows, cols]: [usize; 2], turned: bool, apart: usize) -> (Vec<f32>, [isize; 2]) {
        let strides = if turned { [apart, rows * apart] } else { [cols * apart, apart] };
        let mut lying = vec![f32::NAN; rows * cols * apart];
        for (i, value) in values.iter().enumerate() {
            lying[i / cols * strides[0] + i % cols * strides[1]] = *value;
        }
        (lying, strides.map(|stride| stride as isize))
    }

    fn product(
        sides: [usize; 3],
        a: &(Vec<f32>, [isize; 2]),
        b: &(Vec<f32>, [isize; 2]),
        out: &mut [f32],
        add: bool,
    ) {
        let raw = |(values, [row_stride, col_stride]): &(Vec<f32>, [isize; 2])| RawMatrix {
            at: values.as_ptr(),
            row_stride: *row_stride,
            col_stride: *col_stride,
        };
        assert!(is_available() && out.len() >= sides[0] * sides[2]);
        // SAFETY: all matrices are as large as their sides say.
        unsafe { multiply(sides, (out.as_mut_ptr(), sides[2]), raw(a), raw(b), 0.5, add) };
    }

    #[test]
    fn products_of_rounded_factors_however_they_lie() {
        if !is_available() {
            return println!("skipped: this processor has no bf16 products");
        }
        for [m, k, n] in
            [[1, 1, 1], [13, 7, 33], [12, 32, 32], [97, 45, 5], [25, 2 * DEPTH + 3, 70], [200, 64, 300]]
        {
            let (a, b) = (noise(m * k, 1), noise(k * n, 2));
            let want = |i: usize, j: usize| {
                (0..k).map(|x| rounded(a[i * k + x]) * rounded(b[x * n + j])).sum::<f64>()
            };
            for case in 0..8 {
                let (turned_a, turned_b, apart) = (case & 1 > 0, case & 2 > 0, 1 + case / 4);
                let a = lying(&a, [m, k], turned_a, apart);
                let b = lying(&b, [k, n], turned_b, apart);
                let mut out = vec![f32::NAN; m * n];
                product([m, k, n], &a, &b, &mut out, false);
                product([m, k, n], &a, &b, &mut out, true);
                for (index, got) in out.iter().enumerate() {
                    let want = want(index / n, index % n);
                    let close = (f64::from(*got) - want).abs() < 2e-6 * (k as f64).sqrt().max(1.0);
                    assert!(close, "{m} x {k} x {n}, {case}, at {index}: {got} is not {want}");
                }
            }
        }
    }

    #[test]
    fn not_a_number_stays_in_its_row() {
        if !is_available() {
            return println!("skipped: this processor has no bf16 products");
        }
        let (mut a, b) = (noise(20 * 9, 3), noise(9 * 40, 4));
        a[5 * 9 + 2] = f32::NAN;
        let mut out = vec![0.0; 20 * 40];
        product([20, 9, 40], &(a, [9, 1]), &(b, [40, 1]), &mut out, false);
        assert!(
            out.chunks(40).enumerate().all(|(row, values)| values.iter().all(|x| x.is_nan() == (row == 5)))
        );
    }
}
