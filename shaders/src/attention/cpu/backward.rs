//! The way back through packed attention.

use super::{CpuAttentionLayout, check};
use crate::cpu::{DisjointSlice, RawMatrix, blocks, math, multiply_raw, unwritten, wide};

/// Scores that are held at once by a thread: 256 KiB, which leaves room in a second-level cache.
const SCORES: usize = 1 << 16;
/// Queries of a block at most.
const MOST_QUERIES: usize = 128;

/// Queries whose scores against `tokens` keys are held at once.
fn queries(tokens: usize) -> usize {
    let most = (SCORES / tokens.max(1)).clamp(8, MOST_QUERIES).min(tokens.max(1));
    tokens.div_ceil(tokens.div_ceil(most).max(1)).max(1)
}

/// One head of `[tokens, columns]` values, from a token on.
///
/// # Safety
/// The token and head lie inside the values.
unsafe fn view(values: *const f32, columns: usize, token: usize, offset: usize) -> RawMatrix {
    // SAFETY: the caller's promise.
    RawMatrix {
        at: unsafe { values.add(token * columns + offset) },
        row_stride: columns as isize,
        col_stride: 1,
    }
}

fn transposed(m: RawMatrix) -> RawMatrix {
    RawMatrix { row_stride: m.col_stride, col_stride: m.row_stride, ..m }
}

/// The way back: the gradient of `qkv`, from the gradient of `out` and what [`super::forward`] gave.
///
/// # Panics
/// When the sequences do not begin with the first token, or end beyond the last.
pub fn backward(
    qkv: &[f32],
    out: &[f32],
    lse: &[f32],
    d_out: &[f32],
    layout: CpuAttentionLayout,
) -> Vec<f32> {
    let CpuAttentionLayout { heads, width, .. } = layout;
    let (tokens, dim) = check(qkv, layout);
    assert!(out.len() >= tokens * dim && d_out.len() >= tokens * dim && lse.len() >= tokens * heads);
    // SAFETY: as in `forward`; of each token's part a task first writes, then adds.
    let mut d_qkv = unsafe { unwritten(tokens * 3 * dim) };
    let gradient = DisjointSlice::new(&mut d_qkv);
    let scale = 1.0 / (width as f32).sqrt();
    blocks(layout.tasks(), layout.block(), |tasks| {
        let (mut scores, mut slopes) = (Vec::new(), Vec::new());
        for (start, n, head) in tasks.map(|task| layout.task(task)).filter(|task| task.1 > 0) {
            let step = queries(n);
            scores.resize(step * n, 0.0);
            slopes.resize(step * n, 0.0);
            // SAFETY: all tokens lie inside, which was checked.
            let part = |which, token| unsafe {
                view(qkv.as_ptr(), 3 * dim, start + token, which * dim + head * width)
            };
            let d_part = |which: usize, token: usize| {
                let at = (start + token) * 3 * dim + which * dim + head * width;
                // SAFETY: inside `d_qkv`; this task alone writes these rows and columns.
                (unsafe { gradient.pointer().add(at) }, 3 * dim as isize)
            };
            for first in (0..n).step_by(step) {
                let m = step.min(n - first);
                let add = first > 0;
                // SAFETY: as above; `scores` and `slopes` hold `step` rows of `n`.
                unsafe {
                    let d_out = view(d_out.as_ptr(), dim, start + first, head * width);
                    let at = (scores.as_mut_ptr(), n as isize);
                    multiply_raw(
                        [m, width, n],
                        at,
                        part(0, first),
                        transposed(part(1, 0)),
                        scale,
                        false,
                        false,
                    );
                    let at = (slopes.as_mut_ptr(), n as isize);
                    multiply_raw([m, width, n], at, d_out, transposed(part(2, 0)), 1.0, false, false);
                }
                wide(
                    #[inline(always)]
                    || {
                        let rows = scores.chunks_exact_mut(n).zip(slopes.chunks_exact_mut(n)).take(m);
                        for (i, (scores, slopes)) in rows.enumerate() {
                            let token = start + first + i;
                            let lse = lse[token * heads + head];
                            let (out, d_out) =
                                (&out[token * dim + head * width..], &d_out[token * dim + head * width..]);
                            let along = math::sum(width, |j| out[j] * d_out[j]);
                            for (score, slope) in scores.iter_mut().zip(slopes.iter_mut()) {
                                *score = math::exp(*score - lse);
                                *slope = *score * (*slope - along) * scale;
                            }
                        }
                    },
                );
                // SAFETY: as above.
                unsafe {
                    let (probabilities, slopes) =
                        (view(scores.as_ptr(), n, 0, 0), view(slopes.as_ptr(), n, 0, 0));
                    let d_out = view(d_out.as_ptr(), dim, start + first, head * width);
                    multiply_raw([m, n, width], d_part(0, first), slopes, part(1, 0), 1.0, false, false);
                    multiply_raw(
                        [n, m, width],
                        d_part(1, 0),
                        transposed(slopes),
                        part(0, first),
                        1.0,
                        add,
                        false,
                    );
                    multiply_raw(
                        [n, m, width],
                        d_part(2, 0),
                        transposed(probabilities),
                        d_out,
                        1.0,
                        add,
                        false,
                    );
                }
            }
        }
    });
    d_qkv
}
