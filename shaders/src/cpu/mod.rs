//! What the CPU twins share: wide loops, work on all cores, matrix products, and functions that vectorise.

mod jacobi;
pub mod math;
mod matmul;
#[cfg(target_arch = "x86_64")]
mod matmul_bf16;
mod parallel;

pub use jacobi::jacobi;
pub use matmul::{
    MatrixElement, MatrixView, RawMatrix, has_bf16_products, multiply, multiply_in_bf16, multiply_raw,
};
pub use parallel::{DisjointSlice, blocks, chunk_rows, threads};

/// Runs `f` compiled for the widest vectors of this machine (AVX-512, AVX2, NEON, wasm's SIMD).
///
/// What `f` calls must be inlined into it (`#[inline(always)]`), or it stays as narrow as the rest of the program.
#[inline(always)]
pub fn wide<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// A buffer whose every value the caller is about to write: clearing it first would cost another pass over memory.
///
/// In tests it is full of NaN, so that a value that was not written shows.
///
/// # Safety
/// Each value is written before it is read, and before the buffer is given to anyone who may read it.
pub unsafe fn unwritten(len: usize) -> Vec<f32> {
    let mut buffer = Vec::<f32>::with_capacity(len);
    // SAFETY: there is room for as many, every bit pattern is an f32, and the caller writes each before it is read.
    #[allow(clippy::uninit_vec)]
    unsafe {
        buffer.set_len(len);
    }
    if cfg!(any(test, debug_assertions)) {
        buffer.fill(f32::NAN);
    }
    buffer
}

/// Sum of every column of `[rows, width]` values, in blocks that do not depend on the number of threads.
pub fn column_sums(values: &[f32], width: usize) -> Vec<f32> {
    let rows = values.len() / width.max(1);
    let block = 2 * chunk_rows(width);
    let mut partial = vec![0.0f32; rows.div_ceil(block) * width];
    let sums = DisjointSlice::new(&mut partial);
    blocks(rows, block, |part| {
        let index = part.start / block;
        // SAFETY: blocks are apart.
        let sums = unsafe { sums.part(index * width..(index + 1) * width) };
        wide(
            #[inline(always)]
            || {
                for row in values[part.start * width..part.end * width].chunks_exact(width) {
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            },
        );
    });
    let mut total = vec![0.0; width];
    for sums in partial.chunks_exact(width.max(1)) {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    total
}

/// Adds `row` to every row of `values`, which are used up.
pub fn add_rows(mut values: Vec<f32>, row: &[f32]) -> Vec<f32> {
    let width = row.len();
    let parts = DisjointSlice::new(&mut values);
    blocks(parts.len() / width.max(1), chunk_rows(width), |rows| {
        // SAFETY: blocks are apart.
        let values = unsafe { parts.part(rows.start * width..rows.end * width) };
        wide(
            #[inline(always)]
            || {
                for values in values.chunks_exact_mut(width) {
                    values.iter_mut().zip(row).for_each(|(value, add)| *value += add);
                }
            },
        );
    });
    values
}
