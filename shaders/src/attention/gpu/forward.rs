//! The forward pass: a workgroup owns queries and steps through the keys of their sequence.

use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::plan::{ACROSS, AttentionSpec, AttentionTiling, UNITS, of_out, of_qkv, of_row};
use super::tile::{
    LOWEST, accumulate, across, clear, down, entry, fetch, has_rows, own, place, products, share, store,
};
use super::{PackedSequences, check};
use crate::ShaderError;
use crate::cube::{arg, empty};

/// `out` and `lse` of `qkv`.
///
/// - `qkv`: `[tokens, 3, heads, width]` of `spec.elem`, contiguous, queries not scaled.
/// - returns `out` `[tokens, heads, width]` of `spec.elem` and `lse` `[tokens, heads]` f32.
///
/// # Errors
/// `qkv` is too short, or the device has no such elements or too little workgroup memory for the width.
pub fn forward(
    client: &Client,
    qkv: &Handle,
    packed: &PackedSequences,
    spec: &AttentionSpec,
) -> Result<(Handle, Handle), ShaderError> {
    let plan = spec.forward_plan()?;
    let rows = check(client, packed, spec, &[("qkv", qkv, 3)])?;
    let out = empty(client, rows * spec.width, spec.elem);
    let lse = empty(client, rows, f32::elem_type_native());
    if rows > 0 {
        let list = packed.list(plan.own())?;
        // SAFETY: buffers have the lengths that are named; the kernel reads and writes rows of the work list only,
        // which lie inside of `tokens`.
        unsafe {
            forward_kernel::launch_unchecked(
                client,
                list.count(spec.heads),
                CubeDim::new_1d(UNITS as u32),
                arg(qkv, rows * 3 * spec.width),
                arg(&list.entries, list.len() * 4),
                arg(&out, rows * spec.width),
                arg(&lse, rows),
                plan,
                spec.elem,
                spec.vector(),
                plan.cols,
                plan.rows,
            );
        }
    }
    Ok((out, lse))
}

/// `N`: elements of a load; `C`: columns of a thread; `R`: rows of a thread.
#[cube(launch_unchecked)]
fn forward_kernel<E: Float, N: Size, C: Size, R: Size>(
    qkv: &[Vector<E, N>],
    work: &[Vector<u32, Const<4>>],
    out: &mut [Vector<E, N>],
    lse: &mut [f32],
    #[comptime] plan: AttentionTiling,
    #[define(E)] _elem: ElemType,
    #[define(N)] _vector: usize,
    #[define(C)] _cols: usize,
    #[define(R)] _rows: usize,
) {
    let rows = comptime!(plan.rows);
    let cols = comptime!(plan.cols);
    let entry = entry(work);
    let first = entry.extract(0usize) as usize;
    let begin = entry.extract(1usize) as usize;
    let end = entry.extract(2usize) as usize;
    let keys_at = of_qkv(1usize, plan);
    let values_at = of_qkv(2usize, plan);

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.own() * plan.chunks));
    let mut stream = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.stream() * plan.stride()));
    let mut weights = Shared::<[Vector<f32, C>]>::new_slice(comptime!(plan.own() * ACROSS));
    let mut parts = Shared::<[Vector<f32, R>]>::new_slice(UNITS);
    let mut registers = Array::<Vector<E, N>>::new(comptime!(plan.fetched()));
    let mut scores = Array::<f32>::new(comptime!(rows * cols));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(rows * plan.held()));
    clear(&mut sums, comptime!(rows * plan.held()));
    // Of each row: the highest score so far, and the sum of exp(score - highest) over this thread's columns.
    let mut highest = Vector::<f32, R>::new(LOWEST);
    let mut total = Vector::<f32, R>::new(0.0);

    let tx = across();
    let ty = down();
    let live = has_rows(first, end, plan);
    own(qkv, &of_qkv(0usize, plan), &mut queries, first, end, f32::new(comptime!(plan.scale())), plan);
    fetch(qkv, &keys_at, &mut registers, begin, end, plan);

    let steps = (end - begin).div_ceil(comptime!(plan.stream()).runtime());
    for step in 0..steps {
        let key = begin + step * comptime!(plan.stream());
        place(&registers, &mut stream, 1.0, plan);
        sync_cube();

        fetch(qkv, &values_at, &mut registers, key, end, plan);
        let mut peak = Vector::<f32, R>::new(LOWEST);
        if live {
            products(&queries, &stream, &mut scores, plan);
            #[unroll]
            for i in 0..rows {
                let mut top = f32::new(LOWEST);
                #[unroll]
                for j in 0..cols {
                    let score = select(key + tx + j * ACROSS < end, scores[i * cols + j], f32::new(LOWEST));
                    scores[i * cols + j] = score;
                    top = max(top, score);
                }
                peak.insert(i, top);
            }
        }
        parts[UNIT_POS as usize] = peak;
        sync_cube();

        if live {
            let mut now = highest;
            #[unroll]
            for c in 0..ACROSS {
                now = max(now, parts[ty * ACROSS + c]);
            }
            let decay = (highest - now).exp();
            highest = now;
            #[unroll]
            for i in 0..rows {
                let mut sum = total.extract(i) * decay.extract(i);
                #[unroll]
                for j in 0..cols {
                    // A key past the end weighs nothing, whatever exp makes of its score.
                    let weight = select(
                        key + tx + j * ACROSS < end,
                        (scores[i * cols + j] - now.extract(i)).exp(),
                        f32::new(0.0),
                    );
                    scores[i * cols + j] = weight;
                    sum += weight;
                }
                total.insert(i, sum);
                #[unroll]
                for k in 0..comptime!(plan.held()) {
                    sums[i * comptime!(plan.held()) + k] *= Vector::<f32, N>::new(decay.extract(i));
                }
            }
            share(&scores, &mut weights, plan);
        }
        // All scores were computed before the last barrier, so the keys are done with.
        place(&registers, &mut stream, 1.0, plan);
        sync_cube();

        fetch(qkv, &keys_at, &mut registers, key + comptime!(plan.stream()), end, plan);
        if live {
            accumulate(&weights, &stream, &mut sums, plan);
        }
        sync_cube();
    }

    parts[UNIT_POS as usize] = total;
    sync_cube();
    let mut whole = Vector::<f32, R>::new(0.0);
    #[unroll]
    for c in 0..ACROSS {
        whole += parts[ty * ACROSS + c];
    }
    let mut factor = Array::<f32>::new(rows);
    #[unroll]
    for i in 0..rows {
        factor[i] = 1.0 / whole.extract(i);
    }
    store(&sums, &factor, out, &of_out(plan), first, end, plan);
    if tx == 0 {
        #[unroll]
        for i in 0..rows {
            let token = first + ty * rows + i;
            if token < end {
                lse[of_row(token)] = highest.extract(i) + whole.extract(i).ln();
            }
        }
    }
}
