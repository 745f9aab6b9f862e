//! Steps of one workgroup that the passes share. All of its threads call them together.
//!
//! Tiles lie in workgroup memory as f32 whatever the storage is, rows past the end of a sequence as zeros: what is
//! multiplied by a weight of zero must not be another sequence's NaN.

use cubecl::prelude::*;

use super::plan::{ACROSS, AttentionTiling, DOWN, StridedRows, UNITS};

/// Lower than any score, and finite: WGSL promises nothing about infinities.
pub(super) const LOWEST: f32 = -1.0e30;

/// Row of threads of this thread.
#[cube]
pub(super) fn down() -> usize {
    UNIT_POS as usize / ACROSS
}

/// Column of threads of this thread.
#[cube]
pub(super) fn across() -> usize {
    UNIT_POS as usize % ACROSS
}

/// The entry of the work list for this workgroup, in a way that lets its values steer barriers.
///
/// Values read from a buffer that may be written are not uniform in the eyes of WGSL, even if all threads read the same.
#[cube]
pub(super) fn entry(work: &[Vector<u32, Const<4>>]) -> Vector<u32, Const<4>> {
    let mut shared = Shared::<[Vector<u32, Const<4>>]>::new_slice(1usize);
    if UNIT_POS == 0 {
        shared[0] = work[(CUBE_POS_X + CUBE_COUNT_X * CUBE_POS_Z) as usize];
    }
    workgroup_uniform_load(&shared[0])
}

/// Reads this thread's vectors of rows `first ..` into registers, while the workgroup still computes with other tiles.
#[cube]
pub(super) fn fetch<E: Float, N: Size>(
    from: &[Vector<E, N>],
    at: &StridedRows,
    registers: &mut Array<Vector<E, N>>,
    first: usize,
    end: usize,
    #[comptime] plan: AttentionTiling,
) {
    let chunks = comptime!(plan.chunks);
    #[unroll]
    for i in 0..comptime!(plan.fetched()) {
        let index = UNIT_POS as usize + i * UNITS;
        let row = index / chunks;
        let mut value = Vector::<E, N>::new(E::new(0.0));
        if row < comptime!(plan.stream()) && first + row < end {
            value = from[at.base + (first + row) * at.pitch + index % chunks];
        }
        registers[i] = value;
    }
}

/// Writes what [`fetch`] read into the streamed tile, times `factor`.
#[cube]
pub(super) fn place<E: Float, N: Size>(
    registers: &Array<Vector<E, N>>,
    tile: &mut Shared<[Vector<f32, N>]>,
    factor: f32,
    #[comptime] plan: AttentionTiling,
) {
    let chunks = comptime!(plan.chunks);
    #[unroll]
    for i in 0..comptime!(plan.fetched()) {
        let index = UNIT_POS as usize + i * UNITS;
        let row = index / chunks;
        if row < comptime!(plan.stream()) {
            tile[row * comptime!(plan.stride()) + index % chunks] =
                Vector::<f32, N>::cast_from(registers[i]) * Vector::<f32, N>::new(factor);
        }
    }
}

/// Brings rows `first ..` into the owned tile, times `factor`.
#[cube]
pub(super) fn own<E: Float, N: Size>(
    from: &[Vector<E, N>],
    at: &StridedRows,
    tile: &mut Shared<[Vector<f32, N>]>,
    first: usize,
    end: usize,
    factor: f32,
    #[comptime] plan: AttentionTiling,
) {
    let chunks = comptime!(plan.chunks);
    for i in 0..comptime!(plan.owned()) {
        let index = UNIT_POS as usize + i * UNITS;
        let row = index / chunks;
        if row < comptime!(plan.own()) {
            let mut value = Vector::<f32, N>::new(0.0);
            if first + row < end {
                value =
                    Vector::<f32, N>::cast_from(from[at.base + (first + row) * at.pitch + index % chunks])
                        * Vector::<f32, N>::new(factor);
            }
            tile[index] = value;
        }
    }
}

/// `scores[i, j]`: products of this thread's owned rows with its streamed rows.
#[cube]
pub(super) fn products<N: Size>(
    own: &Shared<[Vector<f32, N>]>,
    stream: &Shared<[Vector<f32, N>]>,
    scores: &mut Array<f32>,
    #[comptime] plan: AttentionTiling,
) {
    let rows = comptime!(plan.rows);
    let cols = comptime!(plan.cols);
    let chunks = comptime!(plan.chunks);
    let stride = comptime!(plan.stride());
    let first = down() * rows * chunks;
    let tx = across();
    #[unroll]
    for i in 0..comptime!(rows * cols) {
        scores[i] = 0.0;
    }
    let mut right = Array::<Vector<f32, N>>::new(cols);
    for c in 0..chunks {
        #[unroll]
        for j in 0..cols {
            right[j] = stream[(tx + j * ACROSS) * stride + c];
        }
        #[unroll]
        for i in 0..rows {
            let left = own[first + i * chunks + c];
            #[unroll]
            for j in 0..cols {
                let mut sum = scores[i * cols + j];
                #[unroll]
                for e in 0..N::value() {
                    sum += left.extract(e) * right[j].extract(e);
                }
                scores[i * cols + j] = sum;
            }
        }
    }
}

/// Shares this thread's scores with its row of threads: `[own rows, threads across]` vectors of `cols`.
#[cube]
pub(super) fn share<C: Size>(
    scores: &Array<f32>,
    tile: &mut Shared<[Vector<f32, C>]>,
    #[comptime] plan: AttentionTiling,
) {
    let rows = comptime!(plan.rows);
    let cols = comptime!(plan.cols);
    let tx = across();
    let first = down() * rows;
    #[unroll]
    for i in 0..rows {
        let mut value = Vector::<f32, C>::new(0.0);
        #[unroll]
        for j in 0..cols {
            value.insert(j, scores[i * cols + j]);
        }
        tile[(first + i) * ACROSS + tx] = value;
    }
}

/// `sums[i, k] += weights[i, :] · stream[:, k]` for this thread's owned rows and its vectors `tx + 8 k` of a head.
#[cube]
pub(super) fn accumulate<N: Size, C: Size>(
    weights: &Shared<[Vector<f32, C>]>,
    stream: &Shared<[Vector<f32, N>]>,
    sums: &mut Array<Vector<f32, N>>,
    #[comptime] plan: AttentionTiling,
) {
    let rows = comptime!(plan.rows);
    let cols = comptime!(plan.cols);
    let held = comptime!(plan.held());
    let stride = comptime!(plan.stride());
    let first = down() * rows * ACROSS;
    let tx = across();
    let mut weight = Array::<Vector<f32, C>>::new(rows);
    for c in 0..ACROSS {
        #[unroll]
        for i in 0..rows {
            weight[i] = weights[first + i * ACROSS + c];
        }
        #[unroll]
        for j in 0..cols {
            let row = (c + j * ACROSS) * stride;
            #[unroll]
            for k in 0..held {
                let value = stream[row + held_chunk(tx, k, plan)];
                #[unroll]
                for i in 0..rows {
                    sums[i * held + k] += Vector::<f32, N>::new(weight[i].extract(j)) * value;
                }
            }
        }
    }
}

/// The vector of a head that is this thread's `k`-th. Threads past the last one repeat it and write nothing.
#[cube]
fn held_chunk(tx: usize, #[comptime] k: usize, #[comptime] plan: AttentionTiling) -> usize {
    let chunk = tx + k * ACROSS;
    if comptime!((k + 1) * ACROSS <= plan.chunks) {
        chunk
    } else {
        min(chunk, comptime!(plan.chunks - 1).runtime())
    }
}

/// Writes `sums * factor[row]` to rows `first ..` as far as their sequence goes.
#[cube]
pub(super) fn store<E: Float, N: Size>(
    sums: &Array<Vector<f32, N>>,
    factor: &Array<f32>,
    to: &mut [Vector<E, N>],
    at: &StridedRows,
    first: usize,
    end: usize,
    #[comptime] plan: AttentionTiling,
) {
    let rows = comptime!(plan.rows);
    let held = comptime!(plan.held());
    let tx = across();
    let token = first + down() * rows;
    #[unroll]
    for i in 0..rows {
        if token + i < end {
            let row = at.base + (token + i) * at.pitch;
            #[unroll]
            for k in 0..held {
                let chunk = tx + k * ACROSS;
                if chunk < comptime!(plan.chunks) {
                    to[row + chunk] =
                        Vector::<E, N>::cast_from(sums[i * held + k] * Vector::<f32, N>::new(factor[i]));
                }
            }
        }
    }
}

/// Whether this thread has any row before `end`. Rows past it are skipped by whole rows of threads, which on most
/// devices spares their subgroup the work.
#[cube]
pub(super) fn has_rows(first: usize, end: usize, #[comptime] plan: AttentionTiling) -> bool {
    first + down() * comptime!(plan.rows) < end
}

/// Sets all to zero.
#[cube]
pub(super) fn clear<N: Size>(sums: &mut Array<Vector<f32, N>>, #[comptime] count: usize) {
    #[unroll]
    for i in 0..count {
        sums[i] = Vector::<f32, N>::new(0.0);
    }
}

const _: () = assert!(DOWN * ACROSS == UNITS);
