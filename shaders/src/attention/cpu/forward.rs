//! The way there: a few queries against all keys at a time, whose scores stay in the first-level cache.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{CpuAttentionLayout, check};
use crate::cpu::{DisjointSlice, blocks, math, threads, unwritten};

/// Queries that are done at once: with two vectors of keys or values each, their sums fit the registers of every processor.
const QUERIES: usize = 6;
/// Vectors of keys or values at once.
const VECTORS: usize = 2;
/// Lanes of the widest vectors.
const MOST_LANES: usize = 16;
/// Queries of a part, at least: the head's keys are laid out anew for each.
const PART: usize = 16 * QUERIES;

/// `qkv` `[tokens, 3, heads, width]` to `(out [tokens, heads, width], lse [tokens, heads])`.
///
/// # Panics
/// When the sequences do not begin with the first token, or end beyond the last.
pub fn forward(qkv: &[f32], layout: CpuAttentionLayout) -> (Vec<f32>, Vec<f32>) {
    let CpuAttentionLayout { heads, width, .. } = layout;
    let (tokens, dim) = check(qkv, layout);
    // SAFETY: sequences cover all tokens, tasks all sequences and heads, parts all queries, and each writes its part of both.
    let (mut out, mut lse) = unsafe { (unwritten(tokens * dim), unwritten(tokens * heads)) };
    let (out_at, lse_at) = (DisjointSlice::new(&mut out), DisjointSlice::new(&mut lse));
    // Few heads of long sequences are divided, so that no core waits long for another.
    let longest = layout.starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0);
    let parts = (4 * threads()).div_ceil(layout.tasks().max(1)).min(longest.div_ceil(PART)).max(1);
    let block = if parts > 1 { 1 } else { layout.block() };
    blocks(layout.tasks() * parts, block, |tasks| {
        let mut buffers = HeadBuffers::default();
        for task in tasks {
            let (start, tokens, index) = layout.task(task / parts);
            let size = tokens.div_ceil(parts).next_multiple_of(QUERIES);
            let first = (task % parts * size).min(tokens);
            let queries = first..(first + size).min(tokens);
            if queries.is_empty() {
                continue;
            }
            let head =
                AttentionHead { qkv: &qkv[start * 3 * dim..], dim, first: index * width, width, tokens };
            let write = |query: usize, from: &[f32], log_sum: f32| {
                let (at, lse) = ((start + query) * dim + index * width, (start + query) * heads + index);
                // SAFETY: this part alone writes this query and head.
                unsafe {
                    out_at.part(at..at + width).copy_from_slice(from);
                    lse_at.part(lse..lse + 1)[0] = log_sum;
                }
            };
            pulp::Arch::new().dispatch(HeadQueries { head, queries, buffers: &mut buffers, write });
        }
    });
    (out, lse)
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct AttentionHead<'a> {
    /// From the sequence's first token on.
    qkv: &'a [f32],
    dim: usize,
    /// The head's first value within `dim`.
    first: usize,
    width: usize,
    tokens: usize,
}

impl AttentionHead<'_> {
    /// Query (0), key (1) or value (2) of a token, `[width]`.
    #[inline(always)]
    fn row(&self, token: usize, which: usize) -> &[f32] {
        let at = (3 * token + which) * self.dim + self.first;
        &self.qkv[at..at + self.width]
    }
}

/// Some queries of a head; `write` is given each one's number, output and log-sum-exp.
struct HeadQueries<'a, W> {
    head: AttentionHead<'a>,
    queries: Range<usize>,
    buffers: &'a mut HeadBuffers,
    write: W,
}

/// What is computed on the way, kept from one head to the next.
#[derive(Default)]
struct HeadBuffers {
    keys: Vec<f32>,
    values: Vec<f32>,
    rows: Vec<f32>,
    scores: Vec<f32>,
    out: Vec<f32>,
}

/// The first `len` values of a buffer, whatever they are: all of them are written before they are read.
fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        // SAFETY: whoever asks for room writes it first.
        *buffer = unsafe { unwritten(len) };
    }
    &mut buffer[..len]
}

impl<W: Fn(usize, &[f32], f32)> WithSimd for HeadQueries<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { head, queries, buffers, write } = self;
        let AttentionHead { width, tokens, .. } = head;
        let (padded, columns) = (tokens.next_multiple_of(S::F32_LANES), width.next_multiple_of(S::F32_LANES));
        let keys = packed_keys::<S>(&head, room(&mut buffers.keys, padded * width));
        let values = padded_values(&head, room(&mut buffers.values, tokens * columns));
        let rows = room(&mut buffers.rows, QUERIES * width);
        let scores = room(&mut buffers.scores, QUERIES * padded);
        let out = room(&mut buffers.out, QUERIES * columns);
        let scale = 1.0 / (width as f32).sqrt();
        for first in queries.clone().step_by(QUERIES) {
            // What is over at the end is the last query again.
            let query = |i: usize| (first + i).min(queries.end - 1);
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                row.iter_mut().zip(head.row(query(i), 0)).for_each(|(to, from)| *to = from * scale);
            }
            let largest = score(simd, keys, rows, scores, tokens);
            let mut sums = [0.0; QUERIES];
            for ((scores, &largest), sum) in scores.chunks_exact_mut(padded).zip(&largest).zip(&mut sums) {
                *sum = exponentials(simd, scores, largest);
            }
            weigh(simd, scores, values, &sums, out, tokens);
            for i in 0..QUERIES.min(queries.end - first) {
                write(first + i, &out[i * columns..i * columns + width], largest[i] + sums[i].ln());
            }
        }
    }
}

/// Lays keys out a few vectors at a time, `[groups, width, keys of a group]`; the last group is filled up with zeros to a
/// whole vector.
#[inline(always)]
fn packed_keys<'a, S: Simd>(head: &AttentionHead, packed: &'a mut [f32]) -> &'a [f32] {
    let (group, width) = (VECTORS * S::F32_LANES, head.width);
    for (index, packed) in packed.chunks_mut(group * width).enumerate() {
        let (first, side) = (index * group, packed.len() / width);
        let filled = side.min(head.tokens - first);
        if filled < side {
            packed.fill(0.0);
        }
        // Four at a time: values that are written together.
        for key in (0..filled / 4 * 4).step_by(4) {
            let [a, b, c, d] = std::array::from_fn(|i| head.row(first + key + i, 1));
            for (at, packed) in packed.chunks_exact_mut(side).enumerate() {
                packed[key..key + 4].copy_from_slice(&[a[at], b[at], c[at], d[at]]);
            }
        }
        for key in filled / 4 * 4..filled {
            let row = head.row(first + key, 1);
            packed.chunks_exact_mut(side).zip(row).for_each(|(packed, value)| packed[key] = *value);
        }
    }
    packed
}

/// Lays values out in rows, each filled up with zeros to whole vectors.
#[inline(always)]
fn padded_values<'a>(head: &AttentionHead, padded: &'a mut [f32]) -> &'a [f32] {
    let columns = padded.len() / head.tokens;
    for (token, row) in padded.chunks_exact_mut(columns).enumerate() {
        let (values, rest) = row.split_at_mut(head.width);
        values.copy_from_slice(head.row(token, 2));
        rest.fill(0.0);
    }
    padded
}

/// Scores of the queries, `[QUERIES, keys filled up]`, and the largest of each; what fills up scores negative infinity.
#[inline(always)]
fn score<S: Simd>(simd: S, keys: &[f32], rows: &[f32], scores: &mut [f32], tokens: usize) -> [f32; QUERIES] {
    let (width, padded) = (rows.len() / QUERIES, scores.len() / QUERIES);
    let mut largest = [simd.splat_f32s(f32::MIN); QUERIES];
    for (index, keys) in keys.chunks(VECTORS * S::F32_LANES * width).enumerate() {
        let (first, side) = (index * VECTORS * S::F32_LANES, keys.len() / width);
        let part = ScoredGroup { keys, rows, scores, padded, first, valid: side.min(tokens - first) };
        match side / S::F32_LANES {
            VECTORS => part.score::<S, VECTORS>(simd, &mut largest),
            _ => part.score::<S, 1>(simd, &mut largest),
        }
    }
    largest.map(|largest| simd.reduce_max_f32s(largest))
}

/// A group of keys, and where their scores go.
struct ScoredGroup<'a> {
    keys: &'a [f32],
    rows: &'a [f32],
    scores: &'a mut [f32],
    padded: usize,
    first: usize,
    /// Keys that do not fill up.
    valid: usize,
}

impl ScoredGroup<'_> {
    #[inline(always)]
    fn score<S: Simd, const N: usize>(self, simd: S, largest: &mut [S::f32s; QUERIES]) {
        let Self { keys, rows, scores, padded, first, valid } = self;
        let (side, width) = (N * S::F32_LANES, rows.len() / QUERIES);
        let query: [&[f32]; QUERIES] = std::array::from_fn(|i| &rows[i * width..][..width]);
        let mut sums = [[simd.splat_f32s(0.0); N]; QUERIES];
        if valid < side {
            // Whatever is added to it: the sum stays.
            let begin: [f32; VECTORS * MOST_LANES] =
                std::array::from_fn(|lane| if lane < valid { 0.0 } else { f32::NEG_INFINITY });
            sums = [vectors::<S, N>(&begin); QUERIES];
        }
        // The same loop as that of `weigh_columns`: as one function it takes a fifteenth longer here.
        for at in 0..width {
            let keys: [S::f32s; N] = vectors::<S, N>(&keys[at * side..]);
            for (sums, query) in sums.iter_mut().zip(&query) {
                let query = simd.splat_f32s(query[at]);
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum = simd.mul_add_e_f32s(key, query, *sum);
                }
            }
        }
        for ((scores, sums), largest) in scores.chunks_exact_mut(padded).zip(sums).zip(largest) {
            let scores = S::as_mut_simd_f32s(&mut scores[first..first + side]).0;
            for (score, sum) in scores.iter_mut().zip(sums) {
                *score = sum;
                *largest = simd.max_f32s(sum, *largest);
            }
        }
    }
}

/// `e^(score - largest)` in place of each score; gives their sum.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, scores: &mut [f32], largest: f32) -> f32 {
    let largest = simd.splat_f32s(largest);
    // Two sums side by side: none waits for the one before.
    let mut sums = [simd.splat_f32s(0.0); 2];
    for (index, score) in S::as_mut_simd_f32s(scores).0.iter_mut().enumerate() {
        *score = math::exp_of_vector(simd, simd.sub_f32s(*score, largest));
        sums[index % 2] = simd.add_f32s(sums[index % 2], *score);
    }
    simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]))
}

/// Means of the values, `[QUERIES, columns]`, weighted by the exponentials of the scores and divided by their sums.
#[inline(always)]
fn weigh<S: Simd>(
    simd: S,
    scores: &[f32],
    values: &[f32],
    sums: &[f32; QUERIES],
    out: &mut [f32],
    tokens: usize,
) {
    let columns = out.len() / QUERIES;
    let mut first = 0;
    while first < columns {
        let (values, out) = (&values[first..], &mut out[first..]);
        match (columns - first) / S::F32_LANES {
            1 => weigh_columns::<S, 1>(simd, scores, values, sums, out, [tokens, columns]),
            _ => weigh_columns::<S, VECTORS>(simd, scores, values, sums, out, [tokens, columns]),
        }
        first += VECTORS * S::F32_LANES;
    }
}

/// [`weigh`] for the first `N` vectors of columns.
#[inline(always)]
fn weigh_columns<S: Simd, const N: usize>(
    simd: S,
    scores: &[f32],
    values: &[f32],
    sums: &[f32; QUERIES],
    out: &mut [f32],
    [tokens, columns]: [usize; 2],
) {
    let padded = scores.len() / QUERIES;
    let weights: [&[f32]; QUERIES] = std::array::from_fn(|i| &scores[i * padded..][..tokens]);
    let mut totals = [[simd.splat_f32s(0.0); N]; QUERIES];
    for token in 0..tokens {
        let values: [S::f32s; N] = vectors::<S, N>(&values[token * columns..]);
        for (totals, weights) in totals.iter_mut().zip(&weights) {
            let weight = simd.splat_f32s(weights[token]);
            for (total, value) in totals.iter_mut().zip(values) {
                *total = simd.mul_add_e_f32s(value, weight, *total);
            }
        }
    }
    for ((out, totals), sum) in out.chunks_mut(columns).zip(totals).zip(sums) {
        let factor = simd.splat_f32s(1.0 / sum);
        let out = S::as_mut_simd_f32s(&mut out[..N * S::F32_LANES]).0;
        out.iter_mut().zip(totals).for_each(|(out, total)| *out = simd.mul_f32s(total, factor));
    }
}

/// The first `N` vectors of some values.
#[inline(always)]
fn vectors<S: Simd, const N: usize>(values: &[f32]) -> [S::f32s; N] {
    let (vectors, _) = S::as_simd_f32s(&values[..N * S::F32_LANES]);
    std::array::from_fn(|n| vectors[n])
}
