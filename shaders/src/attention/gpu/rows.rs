//! Attention probabilities of chosen queries, for attention maps.

use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::packed::AttentionWorkList;
use super::plan::{AttentionSpec, AttentionTiling, UNITS, of_qkv, of_row};
use super::tile::LOWEST;
use super::{PackedSequences, check};
use crate::ShaderError;
use crate::cube::{arg, empty};

/// What each of `queries` (tokens of the batch) attends to: `[queries, heads, longest]` f32, where column `k` is the
/// `k`-th token of the query's sequence and columns past its end are zero.
///
/// `longest` is [`PackedSequences::longest`]; `qkv` is as for [`forward`](super::forward). The whole matrix of a
/// sequence never exists, so this is affordable for a class token or a picked patch of every picture.
///
/// # Errors
/// A query is no token of the batch; else as for [`forward`](super::forward).
pub fn rows(
    client: &Client,
    qkv: &Handle,
    packed: &PackedSequences,
    spec: &AttentionSpec,
    queries: &[u32],
) -> Result<Handle, ShaderError> {
    const PROGRAM: &str = "attention rows";
    let plan = spec.forward_plan()?;
    let tokens = check(client, packed, spec, &[("qkv", qkv, 3)])?;
    let entries = queries
        .iter()
        .map(|query| match packed.around(*query) {
            Some((begin, end)) => Ok([*query, begin, end, 0]),
            None => Err(ShaderError::Length {
                program: PROGRAM,
                what: "token of a query",
                found: *query as usize,
                expected: packed.tokens(),
            }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let longest = packed.longest();
    let count = queries.len() * spec.heads * longest;
    if u32::try_from(count).is_err() {
        let (needed, allowed) = (format!("{count} probabilities"), u32::MAX.to_string());
        return Err(ShaderError::TooLarge { program: PROGRAM, count, needed, allowed });
    }
    let out = empty(client, count, f32::elem_type_native());
    if count > 0 {
        let list = AttentionWorkList::upload(client, PROGRAM, entries)?;
        // SAFETY: buffers have the lengths that are named; entries past the last query are told apart by their number.
        unsafe {
            rows_kernel::launch_unchecked(
                client,
                list.count(spec.heads),
                CubeDim::new_1d(UNITS as u32),
                arg(qkv, tokens * 3 * spec.width),
                arg(&list.entries, list.len() * 4),
                arg(&out, count),
                queries.len() as u32,
                longest as u32,
                plan,
                spec.elem,
                spec.vector(),
            );
        }
    }
    Ok(out)
}

/// One workgroup a query and head; its threads take every 64th key. Scores wait in `out` until the sum is known.
#[cube(launch_unchecked)]
fn rows_kernel<E: Float, N: Size>(
    qkv: &[Vector<E, N>],
    work: &[Vector<u32, Const<4>>],
    out: &mut [f32],
    count: u32,
    longest: u32,
    #[comptime] plan: AttentionTiling,
    #[define(E)] _elem: ElemType,
    #[define(N)] _vector: usize,
) {
    let chunks = comptime!(plan.chunks);
    let number = CUBE_POS_X + CUBE_COUNT_X * CUBE_POS_Z;
    let entry = work[number as usize];
    let begin = entry.extract(1usize) as usize;
    let length = entry.extract(2usize) as usize - begin;
    let row = of_row(number as usize) * longest as usize;
    let keys = of_qkv(1usize, plan);
    let queries = of_qkv(0usize, plan);

    let mut query = Shared::<[Vector<f32, N>]>::new_slice(chunks);
    let mut parts = Shared::<[f32]>::new_slice(UNITS);
    for i in 0..comptime!(chunks.div_ceil(UNITS)) {
        let chunk = UNIT_POS as usize + i * UNITS;
        if chunk < chunks {
            query[chunk] = Vector::<f32, N>::cast_from(
                qkv[queries.base + entry.extract(0usize) as usize * queries.pitch + chunk],
            ) * Vector::<f32, N>::new(f32::new(comptime!(plan.scale())));
        }
    }
    sync_cube();

    let mut highest = f32::new(LOWEST);
    let mut total = f32::new(0.0);
    let mut key = UNIT_POS as usize;
    while key < length {
        let at = keys.base + (begin + key) * keys.pitch;
        let mut score = f32::new(0.0);
        for c in 0..chunks {
            let left = query[c];
            let right = Vector::<f32, N>::cast_from(qkv[at + c]);
            #[unroll]
            for e in 0..N::value() {
                score += left.extract(e) * right.extract(e);
            }
        }
        out[row + key] = score;
        let now = max(highest, score);
        total = total * (highest - now).exp() + (score - now).exp();
        highest = now;
        key += UNITS;
    }

    parts[UNIT_POS as usize] = highest;
    sync_cube();
    let mut top = f32::new(LOWEST);
    for i in 0..UNITS {
        top = max(top, parts[i]);
    }
    sync_cube();
    parts[UNIT_POS as usize] = total * (highest - top).exp();
    sync_cube();
    let mut whole = f32::new(0.0);
    for i in 0..UNITS {
        whole += parts[i];
    }

    if number < count {
        let mut key = UNIT_POS as usize;
        while key < longest as usize {
            let mut weight = f32::new(0.0);
            if key < length {
                weight = (out[row + key] - top).exp() / whole;
            }
            out[row + key] = weight;
            key += UNITS;
        }
    }
}
