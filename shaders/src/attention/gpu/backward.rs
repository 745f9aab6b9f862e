//! The backward pass, scores computed anew from `qkv` and `lse`.
//!
//! With `P = exp(S - lse)`, `dP = dO Vᵀ`, `D = rowsum(dO ∘ O)` and `dS = P ∘ (dP - D)`: `dQ = dS K / √width`,
//! `dK = dSᵀ Q / √width`, `dV = Pᵀ dO` (FlashAttention, appendix B.4). One pass owns queries and sums `dQ`, one owns
//! keys and sums `dK` and `dV`: every element is written once, by one thread, in a fixed order of summation.

use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::plan::{ACROSS, AttentionSpec, AttentionTiling, DOWN, UNITS, of_out, of_qkv, of_row};
use super::tile::{
    accumulate, across, clear, down, entry, fetch, has_rows, own, place, products, share, store,
};
use super::{PackedSequences, check};
use crate::ShaderError;
use crate::cube::{arg, empty, groups};

/// The gradient of `qkv`.
///
/// - `qkv`: what [`forward`](super::forward) was given; `out`, `lse`: what it returned.
/// - `d_out`: the gradient of `out`, `[tokens, heads, width]` of `spec.elem`, contiguous.
/// - returns `d_qkv` `[tokens, 3, heads, width]` of `spec.elem`.
///
/// # Errors
/// A buffer is too short, or the device has no such elements or too little workgroup memory for the width.
pub fn backward(
    client: &Client,
    qkv: &Handle,
    out: &Handle,
    lse: &Handle,
    d_out: &Handle,
    packed: &PackedSequences,
    spec: &AttentionSpec,
) -> Result<Handle, ShaderError> {
    let plan = spec.backward_plan()?;
    let rows = check(client, packed, spec, &[("qkv", qkv, 3), ("out", out, 1), ("d_out", d_out, 1)])?;
    let float = f32::elem_type_native();
    crate::cube::expect_len("attention backward", "lse", lse, rows, float)?;
    let d_qkv = empty(client, rows * 3 * spec.width, spec.elem);
    if rows == 0 {
        return Ok(d_qkv);
    }
    let delta = empty(client, rows, float);
    let list = packed.list(plan.own())?;
    let units = CubeDim::new_1d(UNITS as u32);
    let (x, z) = groups("attention backward", rows, DOWN)?;
    // SAFETY: buffers have the lengths that are named; rows are checked against `rows` in the first kernel and lie in
    // the work list, and so inside of `tokens`, in the others.
    unsafe {
        delta_kernel::launch_unchecked(
            client,
            CubeCount::Static(x, 1, z),
            units,
            arg(out, rows * spec.width),
            arg(d_out, rows * spec.width),
            arg(&delta, rows),
            rows as u32,
            plan,
            spec.elem,
            spec.vector(),
        );
        queries_kernel::launch_unchecked(
            client,
            list.count(spec.heads),
            units,
            arg(qkv, rows * 3 * spec.width),
            arg(d_out, rows * spec.width),
            arg(lse, rows),
            arg(&delta, rows),
            arg(&list.entries, list.len() * 4),
            arg(&d_qkv, rows * 3 * spec.width),
            plan,
            spec.elem,
            spec.vector(),
            plan.cols,
        );
        keys_kernel::launch_unchecked(
            client,
            list.count(spec.heads),
            units,
            arg(qkv, rows * 3 * spec.width),
            arg(d_out, rows * spec.width),
            arg(lse, rows),
            arg(&delta, rows),
            arg(&list.entries, list.len() * 4),
            arg(&d_qkv, rows * 3 * spec.width),
            plan,
            spec.elem,
            spec.vector(),
            plan.cols,
        );
    }
    Ok(d_qkv)
}

/// `delta[row] = Σ out · d_out`: eight rows a workgroup, eight threads a row.
#[cube(launch_unchecked)]
fn delta_kernel<E: Float, N: Size>(
    out: &[Vector<E, N>],
    d_out: &[Vector<E, N>],
    delta: &mut [f32],
    count: u32,
    #[comptime] plan: AttentionTiling,
    #[define(E)] _elem: ElemType,
    #[define(N)] _vector: usize,
) {
    let tx = across();
    let row = (CUBE_POS_X + CUBE_COUNT_X * CUBE_POS_Z) as usize * DOWN + down();
    let mut parts = Shared::<[f32]>::new_slice(UNITS);
    let mut sum = f32::new(0.0);
    if row < count as usize {
        for k in 0..comptime!(plan.held()) {
            let chunk = tx + k * ACROSS;
            if chunk < comptime!(plan.chunks) {
                let at = row * comptime!(plan.chunks) + chunk;
                let product = Vector::<f32, N>::cast_from(out[at]) * Vector::<f32, N>::cast_from(d_out[at]);
                #[unroll]
                for e in 0..N::value() {
                    sum += product.extract(e);
                }
            }
        }
    }
    parts[UNIT_POS as usize] = sum;
    sync_cube();
    if tx == 0 && row < count as usize {
        let mut whole = f32::new(0.0);
        #[unroll]
        for c in 0..ACROSS {
            whole += parts[down() * ACROSS + c];
        }
        delta[row] = whole;
    }
}

/// `dQ`: owns queries and their `dO`, steps through keys.
#[cube(launch_unchecked)]
fn queries_kernel<E: Float, N: Size, C: Size>(
    qkv: &[Vector<E, N>],
    d_out: &[Vector<E, N>],
    lse: &[f32],
    delta: &[f32],
    work: &[Vector<u32, Const<4>>],
    d_qkv: &mut [Vector<E, N>],
    #[comptime] plan: AttentionTiling,
    #[define(E)] _elem: ElemType,
    #[define(N)] _vector: usize,
    #[define(C)] _cols: usize,
) {
    let rows = comptime!(plan.rows);
    let cols = comptime!(plan.cols);
    let entry = entry(work);
    let first = entry.extract(0usize) as usize;
    let begin = entry.extract(1usize) as usize;
    let end = entry.extract(2usize) as usize;
    let queries_at = of_qkv(0usize, plan);
    let keys_at = of_qkv(1usize, plan);
    let values_at = of_qkv(2usize, plan);

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.own() * plan.chunks));
    let mut gradients = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.own() * plan.chunks));
    let mut stream = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.stream() * plan.stride()));
    let mut weights = Shared::<[Vector<f32, C>]>::new_slice(comptime!(plan.own() * ACROSS));
    let mut registers = Array::<Vector<E, N>>::new(comptime!(plan.fetched()));
    let mut scores = Array::<f32>::new(comptime!(rows * cols));
    let mut slopes = Array::<f32>::new(comptime!(rows * cols));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(rows * plan.held()));
    clear(&mut sums, comptime!(rows * plan.held()));

    let tx = across();
    let ty = down();
    let live = has_rows(first, end, plan);
    let scale = f32::new(comptime!(plan.scale()));
    own(qkv, &queries_at, &mut queries, first, end, scale, plan);
    own(d_out, &of_out(plan), &mut gradients, first, end, 1.0, plan);
    fetch(qkv, &values_at, &mut registers, begin, end, plan);

    let mut row_lse = Array::<f32>::new(rows);
    let mut row_delta = Array::<f32>::new(rows);
    let mut factor = Array::<f32>::new(rows);
    #[unroll]
    for i in 0..rows {
        let token = first + ty * rows + i;
        row_lse[i] = 0.0;
        row_delta[i] = 0.0;
        factor[i] = scale;
        if token < end {
            row_lse[i] = lse[of_row(token)];
            row_delta[i] = delta[of_row(token)];
        }
    }

    let steps = (end - begin).div_ceil(comptime!(plan.stream()).runtime());
    for step in 0..steps {
        let key = begin + step * comptime!(plan.stream());
        place(&registers, &mut stream, 1.0, plan);
        sync_cube();

        fetch(qkv, &keys_at, &mut registers, key, end, plan);
        if live {
            products(&gradients, &stream, &mut slopes, plan);
        }
        sync_cube();

        place(&registers, &mut stream, 1.0, plan);
        sync_cube();

        fetch(qkv, &values_at, &mut registers, key + comptime!(plan.stream()), end, plan);
        if live {
            products(&queries, &stream, &mut scores, plan);
            #[unroll]
            for i in 0..rows {
                #[unroll]
                for j in 0..cols {
                    let at = comptime!(i * cols + j);
                    // A key past the end has score 0, which may be far above lse: it is left out, not multiplied by 0.
                    let slope = (scores[at] - row_lse[i]).exp() * (slopes[at] - row_delta[i]);
                    slopes[at] = select(key + tx + j * ACROSS < end, slope, f32::new(0.0));
                }
            }
            share(&slopes, &mut weights, plan);
        }
        sync_cube();

        if live {
            accumulate(&weights, &stream, &mut sums, plan);
        }
        sync_cube();
    }
    store(&sums, &factor, d_qkv, &queries_at, first, end, plan);
}

/// `dK` and `dV`: owns keys and values, steps through queries.
#[cube(launch_unchecked)]
fn keys_kernel<E: Float, N: Size, C: Size>(
    qkv: &[Vector<E, N>],
    d_out: &[Vector<E, N>],
    lse: &[f32],
    delta: &[f32],
    work: &[Vector<u32, Const<4>>],
    d_qkv: &mut [Vector<E, N>],
    #[comptime] plan: AttentionTiling,
    #[define(E)] _elem: ElemType,
    #[define(N)] _vector: usize,
    #[define(C)] _cols: usize,
) {
    let rows = comptime!(plan.rows);
    let cols = comptime!(plan.cols);
    let held = comptime!(plan.held());
    let entry = entry(work);
    let first = entry.extract(0usize) as usize;
    let begin = entry.extract(1usize) as usize;
    let end = entry.extract(2usize) as usize;
    let queries_at = of_qkv(0usize, plan);
    let keys_at = of_qkv(1usize, plan);
    let values_at = of_qkv(2usize, plan);
    let gradients_at = of_out(plan);

    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.own() * plan.chunks));
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.own() * plan.chunks));
    let mut stream = Shared::<[Vector<f32, N>]>::new_slice(comptime!(plan.stream() * plan.stride()));
    let mut weights = Shared::<[Vector<f32, C>]>::new_slice(comptime!(plan.own() * ACROSS));
    let mut slopes_shared = Shared::<[Vector<f32, C>]>::new_slice(comptime!(plan.own() * ACROSS));
    // Queries are needed twice in a step, with `dO` in between; they wait in registers. Both are read a step ahead.
    let mut queries = Array::<Vector<E, N>>::new(comptime!(plan.fetched()));
    let mut gradients = Array::<Vector<E, N>>::new(comptime!(plan.fetched()));
    let mut scores = Array::<f32>::new(comptime!(rows * cols));
    let mut slopes = Array::<f32>::new(comptime!(rows * cols));
    let mut column_lse = Array::<f32>::new(cols);
    let mut column_delta = Array::<f32>::new(cols);
    let mut key_sums = Array::<Vector<f32, N>>::new(comptime!(rows * held));
    let mut value_sums = Array::<Vector<f32, N>>::new(comptime!(rows * held));
    clear(&mut key_sums, comptime!(rows * held));
    clear(&mut value_sums, comptime!(rows * held));

    let tx = across();
    let live = has_rows(first, end, plan);
    let scale = f32::new(comptime!(plan.scale()));
    own(qkv, &keys_at, &mut keys, first, end, 1.0, plan);
    own(qkv, &values_at, &mut values, first, end, 1.0, plan);
    fetch(qkv, &queries_at, &mut queries, begin, end, plan);
    fetch(d_out, &gradients_at, &mut gradients, begin, end, plan);

    let steps = (end - begin).div_ceil(comptime!(plan.stream()).runtime());
    for step in 0..steps {
        let query = begin + step * comptime!(plan.stream());
        let next = query + comptime!(plan.stream());
        #[unroll]
        for j in 0..cols {
            let token = query + tx + j * ACROSS;
            column_lse[j] = 0.0;
            column_delta[j] = 0.0;
            if token < end {
                column_lse[j] = lse[of_row(token)];
                column_delta[j] = delta[of_row(token)];
            }
        }
        place(&queries, &mut stream, scale, plan);
        sync_cube();

        if live {
            products(&keys, &stream, &mut scores, plan);
            #[unroll]
            for i in 0..rows {
                #[unroll]
                for j in 0..cols {
                    let at = comptime!(i * cols + j);
                    scores[at] = select(
                        query + tx + j * ACROSS < end,
                        (scores[at] - column_lse[j]).exp(),
                        f32::new(0.0),
                    );
                }
            }
            share(&scores, &mut weights, plan);
        }
        sync_cube();

        place(&gradients, &mut stream, 1.0, plan);
        sync_cube();

        fetch(d_out, &gradients_at, &mut gradients, next, end, plan);
        if live {
            products(&values, &stream, &mut slopes, plan);
            #[unroll]
            for i in 0..rows {
                #[unroll]
                for j in 0..cols {
                    let at = comptime!(i * cols + j);
                    slopes[at] = scores[at] * (slopes[at] - column_delta[j]);
                }
            }
            share(&slopes, &mut slopes_shared, plan);
            accumulate(&weights, &stream, &mut value_sums, plan);
        }
        sync_cube();

        place(&queries, &mut stream, scale, plan);
        sync_cube();

        fetch(qkv, &queries_at, &mut queries, next, end, plan);
        if live {
            accumulate(&slopes_shared, &stream, &mut key_sums, plan);
        }
        sync_cube();
    }

    let mut factor = Array::<f32>::new(rows);
    #[unroll]
    for i in 0..rows {
        factor[i] = 1.0;
    }
    store(&key_sums, &factor, d_qkv, &keys_at, first, end, plan);
    store(&value_sums, &factor, d_qkv, &values_at, first, end, plan);
}
