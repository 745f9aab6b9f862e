//! The CPU twins of Sinkhorn–Knopp and softmax centering.

use crate::cpu::{DisjointSlice, blocks, chunk_rows, math, unwritten, wide};

/// Sinkhorn–Knopp over `logits` `[rows, K]`: targets `[rows, K]`; `weights` `[rows]` marks padding with 0.
///
/// Two scaling vectors change instead of the matrix. One global shift before the exponential keeps it finite and
/// changes nothing; a shift per row would change the result. A prototype or row without any mass gets zeros. There is
/// at least one iteration.
pub fn sinkhorn(logits: &[f32], weights: &[f32], temperature: f32, iterations: usize) -> Vec<f32> {
    let rows = weights.len();
    let k = logits.len() / rows.max(1);
    let block = chunk_rows(k);
    let n = rows.div_ceil(block);
    let mut largest = vec![f32::MIN; n];
    let at = DisjointSlice::new(&mut largest);
    blocks(rows, block, |part| {
        // SAFETY: a place for each block.
        let largest = unsafe { at.part(part.start / block..part.start / block + 1) };
        wide(
            #[inline(always)]
            || largest[0] = math::max(&logits[part.start * k..part.end * k]),
        );
    });
    let shift = math::max(&largest);
    let total = weights.iter().sum::<f32>().max(1.0);

    // SAFETY: the first iteration, of which there is at least one, writes every row before it reads it.
    let mut q = unsafe { unwritten(rows * k) };
    let iterations = iterations.max(1);
    let (mut u, mut v) = (weights.to_vec(), vec![1.0f32; k]);
    let mut partial = vec![0.0f32; n * k];
    for iteration in 0..iterations {
        let (q_at, sums) = (DisjointSlice::new(&mut q), DisjointSlice::new(&mut partial));
        // Columns: each prototype gets 1/K of the mass.
        blocks(rows, block, |part| {
            let index = part.start / block;
            // SAFETY: blocks are apart.
            let (q, sums) =
                unsafe { (q_at.part(part.start * k..part.end * k), sums.part(index * k..(index + 1) * k)) };
            wide(
                #[inline(always)]
                || {
                    sums.fill(0.0);
                    for (row, q) in part.zip(q.chunks_exact_mut(k)) {
                        if iteration == 0 {
                            let logits = &logits[row * k..(row + 1) * k];
                            for (q, logit) in q.iter_mut().zip(logits) {
                                *q = math::exp((logit - shift) / temperature) * weights[row];
                            }
                        }
                        sums.iter_mut().zip(q.iter()).for_each(|(sum, q)| *sum += u[row] * q);
                    }
                },
            );
        });
        v.fill(0.0);
        for sums in partial.chunks_exact(k.max(1)) {
            v.iter_mut().zip(sums).for_each(|(v, sum)| *v += sum);
        }
        v.iter_mut().for_each(|v| *v = 1.0 / at_least_tiny(*v * k as f32));
        // Rows: each sample gets 1/B.
        let u_at = DisjointSlice::new(&mut u);
        blocks(rows, block, |part| {
            // SAFETY: blocks are apart.
            let u = unsafe { u_at.part(part.clone()) };
            wide(
                #[inline(always)]
                || {
                    for (u, row) in u.iter_mut().zip(part) {
                        let q = &q[row * k..(row + 1) * k];
                        *u = weights[row] / at_least_tiny(math::sum(k, |j| q[j] * v[j]) * total);
                    }
                },
            );
        });
    }
    let q_at = DisjointSlice::new(&mut q);
    blocks(rows, block, |part| {
        // SAFETY: blocks are apart.
        let q = unsafe { q_at.part(part.start * k..part.end * k) };
        wide(
            #[inline(always)]
            || {
                for (row, q) in part.zip(q.chunks_exact_mut(k)) {
                    let u = u[row] * total;
                    q.iter_mut().zip(&v).for_each(|(q, v)| *q = *q * v * u);
                }
            },
        );
    });
    q
}

/// The value, or the smallest normal number if it is less; NaN stays NaN.
#[inline(always)]
fn at_least_tiny(value: f32) -> f32 {
    if value < f32::MIN_POSITIVE { f32::MIN_POSITIVE } else { value }
}

/// `softmax((logits - center) / temperature)`: `logits` `[rows, K]`, `center` `[K]`.
pub fn softmax_center(logits: &[f32], center: &[f32], temperature: f32) -> Vec<f32> {
    let k = center.len();
    let rows = logits.len() / k.max(1);
    // SAFETY: blocks cover every row, and write each value of it before they read it.
    let mut out = unsafe { unwritten(rows * k) };
    let parts = DisjointSlice::new(&mut out);
    blocks(rows, chunk_rows(k), |part| {
        // SAFETY: blocks are apart.
        let out = unsafe { parts.part(part.start * k..part.end * k) };
        wide(
            #[inline(always)]
            || {
                for (row, out) in part.zip(out.chunks_exact_mut(k)) {
                    let logits = &logits[row * k..(row + 1) * k];
                    for ((o, logit), center) in out.iter_mut().zip(logits).zip(center) {
                        *o = (logit - center) / temperature;
                    }
                    let max = math::max(out);
                    out.iter_mut().for_each(|o| *o = math::exp(*o - max));
                    let scale = 1.0 / math::sum_of(out);
                    out.iter_mut().for_each(|o| *o *= scale);
                }
            },
        );
    });
    out
}
