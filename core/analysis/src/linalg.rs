//! Products of many rows with many rows, fast enough for exact nearest neighbours on two cores.
//!
//! Rows are packed into panels of [`LANES`], interleaved, so that the inner loop reads both sides
//! in order and keeps a tile of sums in registers. On x86 the AVX2 version is chosen at run time.

use dinoscope_base::parallel::for_chunks;

/// Rows in a panel.
pub const LANES: usize = 16;

/// The products of one panel with another: `[LANES, LANES]`.
pub type Block = [[f32; LANES]; LANES];

/// Row vectors in panels: `[panels, dim, LANES]`, the last panel filled up with zero rows.
pub struct PackedPanels {
    rows: usize,
    dim: usize,
    data: Vec<f32>,
}

impl PackedPanels {
    /// Packs `[rows, dim]`, row-major.
    pub fn new(source: &[f32], rows: usize, dim: usize) -> Self {
        Self::with(rows, dim, |row, k| source[row * dim + k])
    }

    /// Packs a matrix given by its elements.
    pub fn with(rows: usize, dim: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut data = vec![0.0; rows.div_ceil(LANES) * dim * LANES];
        for row in 0..rows {
            let panel = &mut data[row / LANES * dim * LANES..][..dim * LANES];
            for k in 0..dim {
                panel[k * LANES + row % LANES] = at(row, k);
            }
        }
        Self { rows, dim, data }
    }

    /// How many rows were packed.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many panels there are.
    pub fn panels(&self) -> usize {
        self.rows.div_ceil(LANES)
    }

    /// Rows of a panel that are not filling.
    pub fn rows_in(&self, panel: usize) -> usize {
        (self.rows - panel * LANES).min(LANES)
    }

    fn panel(&self, index: usize) -> &[f32] {
        &self.data[index * self.dim * LANES..][..self.dim * LANES]
    }

    /// Inner products of the rows of one panel with those of a panel of `other`, which has the same `dim`.
    pub fn block(&self, panel: usize, other: &PackedPanels, other_panel: usize, out: &mut Block) {
        debug_assert_eq!(self.dim, other.dim);
        let (a, b) = (self.panel(panel), other.panel(other_panel));
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has both.
            unsafe { block_avx2(a, b, out) };
            return;
        }
        strips::<2, false>(a, b, out);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn block_avx2(a: &[f32], b: &[f32], out: &mut Block) {
    strips::<4, true>(a, b, out);
}

/// A block in strips of `M` rows; `M` such that the sums of a strip fit the registers.
#[inline(always)]
fn strips<const M: usize, const FMA: bool>(a: &[f32], b: &[f32], out: &mut Block) {
    for (strip, rows) in out.chunks_exact_mut(M).enumerate() {
        let mut sums = [[0f32; LANES]; M];
        for (x, y) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
            for (r, sum) in sums.iter_mut().enumerate() {
                let x = x[strip * M + r];
                for c in 0..LANES {
                    // Without the instruction, `mul_add` would be a slow function call.
                    sum[c] = if FMA { x.mul_add(y[c], sum[c]) } else { sum[c] + x * y[c] };
                }
            }
        }
        rows.copy_from_slice(&sums);
    }
}

/// Inner product, in eight sums, so that the processor adds eight at once.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (x, y) in a.iter().zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f64>()
}

/// `xᵀx` of `[n, dim]` data, as a full `[dim, dim]` matrix.
///
/// Sums of 512 rows in f32, sums of those in f64: the order never depends on the number of threads.
pub fn scatter(x: &[f32], n: usize, dim: usize) -> Vec<f64> {
    const ROWS: usize = 512;
    let chunks: Vec<PackedPanels> = (0..n.div_ceil(ROWS))
        .map(|c| {
            let start = c * ROWS;
            PackedPanels::with(dim, ROWS.min(n - start), |row, k| x[(start + k) * dim + row])
        })
        .collect();
    symmetric(dim, &chunks)
}

/// `xxᵀ` of `[n, dim]` data, as a full `[n, n]` matrix.
pub fn gram(x: &[f32], n: usize, dim: usize) -> Vec<f64> {
    symmetric(n, &[PackedPanels::new(x, n, dim)])
}

/// The sum over `parts` of the products of all their `n` rows with each other.
fn symmetric(n: usize, parts: &[PackedPanels]) -> Vec<f64> {
    let mut out = vec![0f64; n * n];
    for_chunks(&mut out, LANES * n.max(1), |i, rows| {
        let mut block = [[0.0; LANES]; LANES];
        for part in parts {
            // The upper half; the lower is its mirror.
            for j in i..part.panels() {
                part.block(i, part, j, &mut block);
                for (row, products) in rows.chunks_exact_mut(n).zip(&block) {
                    for (sum, product) in row[j * LANES..].iter_mut().zip(products) {
                        *sum += f64::from(*product);
                    }
                }
            }
        }
    });
    for i in 0..n {
        for j in 0..i {
            out[i * n + j] = out[j * n + i];
        }
    }
    out
}

/// Rows of `[n, dim]` divided by their length; rows of zeros stay zeros.
pub fn normalise_rows(data: &[f32], dim: usize) -> Vec<f32> {
    let mut out = data.to_vec();
    for_chunks(&mut out, dim.max(1), |_, row| {
        let length = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        // As in the reference: a tiny floor instead of a division by zero.
        let scale = 1.0 / length.max(1e-12);
        row.iter_mut().for_each(|v| *v = (f64::from(*v) * scale) as f32);
    });
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::rng;

    fn noise(n: usize) -> Vec<f32> {
        let mut stream = rng::stream(3, "linalg", 0, 0);
        (0..n).map(|_| rng::normal(&mut stream)).collect()
    }

    #[test]
    fn blocks_equal_plain_products() {
        for (n, m, dim) in [(1, 1, 1), (16, 16, 3), (17, 33, 192), (5, 40, 7)] {
            let (a, b) = (noise(n * dim), noise(m * dim));
            let (pa, pb) = (PackedPanels::new(&a, n, dim), PackedPanels::new(&b, m, dim));
            let mut block = [[0.0; LANES]; LANES];
            let mut plain = [[0.0; LANES]; LANES];
            for i in 0..pa.panels() {
                for j in 0..pb.panels() {
                    pa.block(i, &pb, j, &mut block);
                    strips::<2, false>(pa.panel(i), pb.panel(j), &mut plain);
                    for r in 0..pa.rows_in(i) {
                        for c in 0..pb.rows_in(j) {
                            let (row, col) = (i * LANES + r, j * LANES + c);
                            let want: f64 = (0..dim)
                                .map(|k| f64::from(a[row * dim + k]) * f64::from(b[col * dim + k]))
                                .sum();
                            assert!((f64::from(block[r][c]) - want).abs() < 1e-4, "{n} {m} {dim}");
                            assert!((f64::from(plain[r][c]) - want).abs() < 1e-4, "{n} {m} {dim}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn scatter_and_gram_equal_plain_sums() {
        for (n, dim) in [(1, 1), (3, 20), (1030, 18)] {
            let x = noise(n * dim);
            let (s, g) = (scatter(&x, n, dim), gram(&x, n, dim));
            for i in 0..dim {
                for j in 0..dim {
                    let want: f64 =
                        (0..n).map(|r| f64::from(x[r * dim + i]) * f64::from(x[r * dim + j])).sum();
                    assert!((s[i * dim + j] - want).abs() < 1e-3);
                }
            }
            let (i, j) = (n - 1, n / 2);
            let want: f64 = (0..dim).map(|k| f64::from(x[i * dim + k]) * f64::from(x[j * dim + k])).sum();
            assert!((g[i * n + j] - want).abs() < 1e-4 && g[i * n + j] == g[j * n + i]);
        }
    }
}
