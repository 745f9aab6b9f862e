//! The CPU twin of packed attention: blocks of queries, so that scores never outgrow the cache.

use crate::cpu::{DisjointSlice, RawMatrix, blocks, math, multiply_raw, unwritten, wide};

/// Scores that are held at once by a thread: 256 KiB, which leaves room in a second-level cache.
const SCORES: usize = 1 << 16;
/// Queries of a block at most.
const MOST_QUERIES: usize = 128;

/// How the tokens are laid out.
#[derive(Clone, Copy, Debug)]
pub struct CpuAttentionLayout<'a> {
    /// `[sequences + 1]`: first token of each sequence, and the end of the last.
    pub starts: &'a [u32],
    /// Attention heads.
    pub heads: usize,
    /// Values of a head.
    pub width: usize,
}

impl CpuAttentionLayout<'_> {
    fn tokens(&self) -> usize {
        self.starts.last().map_or(0, |&end| end as usize)
    }

    /// Sequences and heads, each pair once.
    fn tasks(&self) -> usize {
        self.starts.len().saturating_sub(1) * self.heads
    }

    /// First token, length and head of a task.
    fn task(&self, index: usize) -> (usize, usize, usize) {
        let (sequence, head) = (index / self.heads, index % self.heads);
        let start = self.starts[sequence] as usize;
        (start, self.starts[sequence + 1] as usize - start, head)
    }

    /// Queries whose scores against `tokens` keys are held at once.
    fn queries(&self, tokens: usize) -> usize {
        let most = (SCORES / tokens.max(1)).clamp(8, MOST_QUERIES).min(tokens.max(1));
        tokens.div_ceil(tokens.div_ceil(most).max(1)).max(1)
    }

    /// Small sequences are done several to a block.
    fn block(&self) -> usize {
        let average = self.tokens() / self.starts.len().saturating_sub(1).max(1);
        (4096 / (average * average).max(1)).clamp(1, 16)
    }
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

fn check(qkv: &[f32], layout: CpuAttentionLayout) -> (usize, usize) {
    let (tokens, dim) = (layout.tokens(), layout.heads * layout.width);
    // From the first token on and without gaps: what lies outside of every sequence would never be written.
    let ordered = layout.starts.first().is_none_or(|first| *first == 0)
        && layout.starts.windows(2).all(|pair| pair[0] <= pair[1]);
    assert!(
        ordered && qkv.len() >= tokens * 3 * dim,
        "attention over {tokens} tokens of {dim} in {}",
        qkv.len()
    );
    (tokens, dim)
}

/// `qkv` `[tokens, 3, heads, width]` to `(out [tokens, heads, width], lse [tokens, heads])`.
///
/// # Panics
/// When the sequences do not begin with the first token, or end beyond the last.
pub fn forward(qkv: &[f32], layout: CpuAttentionLayout) -> (Vec<f32>, Vec<f32>) {
    let CpuAttentionLayout { heads, width, .. } = layout;
    let (tokens, dim) = check(qkv, layout);
    // SAFETY: sequences cover all tokens, tasks all sequences and heads, and each writes its part of both.
    let (mut out, mut lse) = unsafe { (unwritten(tokens * dim), unwritten(tokens * heads)) };
    let (out_at, lse_at) = (DisjointSlice::new(&mut out), DisjointSlice::new(&mut lse));
    let scale = 1.0 / (width as f32).sqrt();
    blocks(layout.tasks(), layout.block(), |tasks| {
        let mut scores = Vec::new();
        for (start, n, head) in tasks.map(|task| layout.task(task)).filter(|task| task.1 > 0) {
            let step = layout.queries(n);
            scores.resize(step * n, 0.0);
            // SAFETY: all tokens lie inside, which was checked.
            let part = |which, token| unsafe {
                view(qkv.as_ptr(), 3 * dim, start + token, which * dim + head * width)
            };
            for first in (0..n).step_by(step) {
                let m = step.min(n - first);
                let at = (scores.as_mut_ptr(), n as isize);
                // SAFETY: `scores` holds `step` rows of `n`.
                unsafe {
                    multiply_raw(
                        [m, width, n],
                        at,
                        part(0, first),
                        transposed(part(1, 0)),
                        scale,
                        false,
                        false,
                    )
                };
                let mut sums = [0.0f32; MOST_QUERIES];
                wide(
                    #[inline(always)]
                    || {
                        for (i, (row, sum)) in scores.chunks_exact_mut(n).take(m).zip(&mut sums).enumerate() {
                            let max = math::max(row);
                            row.iter_mut().for_each(|s| *s = math::exp(*s - max));
                            *sum = math::sum(n, |j| row[j]);
                            let at = (start + first + i) * heads + head;
                            // SAFETY: this task alone writes this query and head.
                            let lse = unsafe { lse_at.part(at..at + 1) };
                            lse[0] = max + sum.ln();
                        }
                    },
                );
                let at = (start + first) * dim + head * width;
                // SAFETY: these rows and columns of `out` are this task's alone; `scores` as above.
                unsafe {
                    let probabilities = view(scores.as_ptr(), n, 0, 0);
                    let out = (out_at.pointer().add(at), dim as isize);
                    multiply_raw([m, n, width], out, probabilities, part(2, 0), 1.0, false, false);
                }
                for (i, sum) in sums[..m].iter().enumerate() {
                    // SAFETY: as above.
                    let row = unsafe { out_at.part(at + i * dim..at + i * dim + width) };
                    row.iter_mut().for_each(|value| *value /= sum);
                }
            }
        }
    });
    (out, lse)
}

/// The way back: the gradient of `qkv`, from the gradient of `out` and what [`forward`] gave.
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
            let step = layout.queries(n);
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
