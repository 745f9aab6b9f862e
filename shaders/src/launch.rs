//! What the CubeCL programs share: checked buffer arguments, grids that fit every device, sums inside a workgroup.
//!
//! Bounds that hold everywhere, browsers included: 256 invocations a workgroup, 16 KiB of its memory, eight storage
//! buffers (one of them is the launch's own, for scalars), 65535 workgroups a side.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::{ShaderError, dispatch};

/// Invocations of a workgroup where nothing else is said.
pub const UNITS: u32 = 256;
/// Stands for no value yet where a maximum is sought: infinities have no literal in WGSL.
pub(crate) const LOWEST: f32 = -3.0e38;
/// Workgroups along one dimension.
const SIDE: u32 = 65535;
/// A view into a buffer starts at a multiple of this many floats (256 bytes).
pub const ALIGN: usize = 64;

/// Whether programs may store `elem` on this device (`f16` and `bf16` are not everywhere).
pub fn supports(client: &Client, elem: ElemType) -> bool {
    client.properties().supports_type(elem)
}

/// Memory for `elements` of `bytes` each, with whatever was there before.
pub fn empty(client: &Client, elements: usize, bytes: usize) -> Handle {
    client.empty(elements * bytes)
}

/// `elements` floats of zero.
pub fn zeros(client: &Client, elements: usize) -> Handle {
    filled(client, elements, 0.0)
}

/// `elements` floats of `value`.
pub fn filled(client: &Client, elements: usize, value: f32) -> Handle {
    let out = empty(client, elements, 4);
    if elements > 0 {
        let whole = out.clone();
        // SAFETY: the kernel writes below `elements` only, which is what `out` holds.
        unsafe {
            fill_kernel::launch_unchecked(
                client,
                grid(elements, UNITS as usize),
                CubeDim::new_1d(UNITS),
                BufferArg::from_raw_parts(whole, elements),
                elements as u32,
                value,
            );
        }
    }
    out
}

/// A copy of the first `elements` floats of `source`.
pub fn copy(
    program: &'static str,
    client: &Client,
    source: &Handle,
    elements: usize,
) -> Result<Handle, ShaderError> {
    let out = empty(client, elements, 4);
    if elements > 0 {
        let from = buffer(program, "source of a copy", source, elements, 4)?;
        // SAFETY: `buffer` checked the length of the source, and `out` was made as long.
        unsafe {
            copy_kernel::launch_unchecked(
                client,
                grid(elements, UNITS as usize),
                CubeDim::new_1d(UNITS),
                from,
                BufferArg::from_raw_parts(out.clone(), elements),
                elements as u32,
            );
        }
    }
    Ok(out)
}

/// `handle` as an argument of a launch, after checking that it holds `elements` of `bytes` each.
///
/// # Errors
/// It is shorter, or longer than 32-bit indices reach.
pub fn buffer(
    program: &'static str,
    what: &'static str,
    handle: &Handle,
    elements: usize,
    bytes: usize,
) -> Result<BufferArg, ShaderError> {
    let found = handle.size_in_used() as usize / bytes;
    if found < elements {
        return Err(ShaderError::Length { program, what, found, expected: elements });
    }
    if u32::try_from(elements).is_err() {
        let needed = format!("{elements} indices ({what})");
        return Err(ShaderError::TooLarge {
            program,
            count: elements,
            needed,
            allowed: format!("{}", u32::MAX),
        });
    }
    // SAFETY: the length was checked above.
    Ok(unsafe { BufferArg::from_raw_parts(handle.clone(), elements) })
}

/// The part of `handle` (floats) that starts at `offset` and holds `length`, both in floats.
///
/// # Errors
/// The part does not start at a multiple of [`ALIGN`], or leaves the buffer.
pub fn view(handle: &Handle, offset: usize, length: usize) -> Result<Handle, ShaderError> {
    let whole = handle.size_in_used() as usize / 4;
    if !offset.is_multiple_of(ALIGN) || offset + length > whole {
        return Err(ShaderError::Length {
            program: "view",
            what: "arena",
            found: whole,
            expected: offset + length,
        });
    }
    Ok(handle.clone().offset_start(offset as u64 * 4).offset_end((whole - offset - length) as u64 * 4))
}

/// Workgroups for `count` things with `per_group` in each, folded into rows where one dimension is too short.
pub fn grid(count: usize, per_group: usize) -> CubeCount {
    // 65535 squared is more than 32-bit indices reach, which `buffer` has checked.
    let (x, y) = dispatch::rows(count, per_group, SIDE).unwrap_or((SIDE, SIDE));
    CubeCount::Static(x, y, 1)
}

/// How a row of `width` values is spread over a workgroup: lanes a row, and values a lane.
pub fn lanes(width: usize) -> (u32, u32) {
    let lanes = match width {
        0..=128 => 32,
        129..=512 => 64,
        _ => UNITS,
    };
    (lanes, width.div_ceil(lanes as usize).max(1) as u32)
}

/// The widest vector that divides `width` and that every device loads at once.
pub fn vector_size(width: usize) -> usize {
    [4, 2].into_iter().find(|n| width.is_multiple_of(*n)).unwrap_or(1)
}

/// Blocks of rows for programs whose invocations walk down columns: `(blocks, rows in each)`.
///
/// Few enough that summing their partial results is cheap, many enough to fill a GPU.
pub fn row_blocks(rows: usize) -> (usize, usize) {
    let depth = rows.div_ceil(512).max(16);
    (rows.div_ceil(depth).max(1), depth)
}

/// Sums of the columns of `x`, `[rows, width]` stored as `elem`: `[width]` floats. Zeros without rows.
///
/// # Errors
/// `x` is too short.
pub fn sum_columns(
    client: &Client,
    x: &Handle,
    rows: usize,
    width: usize,
    elem: ElemType,
) -> Result<Handle, ShaderError> {
    if rows * width == 0 {
        return Ok(zeros(client, width));
    }
    let vector = vector_size(width);
    let (blocks, depth) = row_blocks(rows);
    let partial = empty(client, blocks * width, 4);
    let x = buffer("sum_columns", "x", x, rows * width, elem.size())?;
    let sums = buffer("sum_columns", "partial sums", &partial, blocks * width, 4)?;
    let across = (width / vector).div_ceil(COLUMNS as usize) as u32;
    // SAFETY: lengths were checked; `vector` divides `width`.
    unsafe {
        strip_sums_kernel::launch_unchecked(
            client,
            CubeCount::Static(across, blocks as u32, 1),
            CubeDim::new_1d(COLUMNS),
            vector,
            x,
            sums,
            rows as u32,
            (width / vector) as u32,
            depth as u32,
            elem,
        );
    }
    column_sums("sum_columns", client, &partial, blocks, width)
}

/// Sums of the columns of `partial`, `[rows, split]` and `[rows, width - split]` side by side: `[split]`, `[width - split]`.
///
/// The order of additions depends on the shape alone, so that a repeated step gives the same bits.
pub(crate) fn column_sums_pair(
    program: &'static str,
    client: &Client,
    partial: &Handle,
    rows: usize,
    width: usize,
    split: usize,
) -> Result<(Handle, Handle), ShaderError> {
    let (first, second) = (empty(client, split, 4), empty(client, width - split, 4));
    let from = buffer(program, "partial sums", partial, rows * width, 4)?;
    // SAFETY: lengths were checked or are those of the new buffers.
    unsafe {
        column_sums_pair_kernel::launch_unchecked(
            client,
            CubeCount::Static(width.div_ceil(COLUMNS as usize) as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            from,
            BufferArg::from_raw_parts(first.clone(), split),
            BufferArg::from_raw_parts(second.clone(), width - split),
            rows as u32,
            width as u32,
            split as u32,
        );
    }
    Ok((first, second))
}

/// Sums of the columns of `partial` `[rows, width]`: `[width]`.
pub(crate) fn column_sums(
    program: &'static str,
    client: &Client,
    partial: &Handle,
    rows: usize,
    width: usize,
) -> Result<Handle, ShaderError> {
    let out = empty(client, width, 4);
    let from = buffer(program, "partial sums", partial, rows * width, 4)?;
    // SAFETY: as above.
    unsafe {
        column_sums_kernel::launch_unchecked(
            client,
            CubeCount::Static(width.div_ceil(COLUMNS as usize) as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            from,
            BufferArg::from_raw_parts(out.clone(), width),
            rows as u32,
            width as u32,
        );
    }
    Ok(out)
}

/// Columns that one workgroup sums.
const COLUMNS: u32 = 32;

#[cube(launch_unchecked)]
fn fill_kernel(out: &mut [f32], count: u32, value: f32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = value;
    }
}

#[cube(launch_unchecked)]
fn copy_kernel(source: &[f32], out: &mut [f32], count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = source[at];
    }
}

#[cube(launch_unchecked)]
fn strip_sums_kernel<E: Float, N: Size>(
    x: &[Vector<E, N>],
    partial: &mut [Vector<f32, N>],
    rows: u32,
    width: u32,
    depth: u32,
    #[define(E)] _elem: ElemType,
) {
    let column = (CUBE_POS_X * COLUMNS + UNIT_POS) as usize;
    let begin = CUBE_POS_Y * depth;
    let width = width as usize;
    if column < width {
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for row in begin..min(begin + depth, rows) {
            sum += Vector::cast_from(x[row as usize * width + column]);
        }
        partial[CUBE_POS_Y as usize * width + column] = sum;
    }
}

#[cube(launch_unchecked)]
fn column_sums_kernel(partial: &[f32], out: &mut [f32], rows: u32, width: u32) {
    let column = CUBE_POS_X * COLUMNS + UNIT_POS % COLUMNS;
    let sum = column_sum(partial, column, rows, width);
    if UNIT_POS < COLUMNS && column < width {
        out[column as usize] = sum;
    }
}

#[cube(launch_unchecked)]
fn column_sums_pair_kernel(
    partial: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    rows: u32,
    width: u32,
    split: u32,
) {
    let column = CUBE_POS_X * COLUMNS + UNIT_POS % COLUMNS;
    let sum = column_sum(partial, column, rows, width);
    if UNIT_POS < COLUMNS && column < width {
        if column < split {
            first[column as usize] = sum;
        } else {
            second[(column - split) as usize] = sum;
        }
    }
}

/// Sum of one column by the units whose position is the same modulo [`COLUMNS`]; valid in the first of them.
#[cube]
fn column_sum(partial: &[f32], column: u32, rows: u32, width: u32) -> f32 {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut sum = 0.0f32;
    if column < width {
        let mut row = UNIT_POS / COLUMNS;
        while row < rows {
            sum += partial[row as usize * width as usize + column as usize];
            row += comptime!(UNITS / COLUMNS);
        }
    }
    shared[UNIT_POS as usize] = sum;
    sync_cube();
    #[unroll]
    for step in 1..comptime!((UNITS / COLUMNS).ilog2() + 1) {
        let half = comptime!(UNITS >> step);
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
    }
    shared[(UNIT_POS % COLUMNS) as usize]
}

/// The row that this unit has a part in where a row is spread over `lanes` units, and whether there is one: units past the end
/// repeat the last row, so that all meet at the barriers, and write nothing.
#[cube]
pub(crate) fn own_row(rows: u32, #[comptime] lanes: u32) -> (u32, bool) {
    let wanted = CUBE_POS as u32 * comptime!(UNITS / lanes) + UNIT_POS / lanes;
    (min(wanted, rows - 1), wanted < rows)
}

/// Sum over the `lanes` units of a row, in all of them; every unit of the workgroup must call it.
#[cube]
pub(crate) fn row_sum(shared: &mut Shared<[f32]>, value: f32, #[comptime] lanes: u32) -> f32 {
    let lane = UNIT_POS % lanes;
    // What was here before has been read by all.
    sync_cube();
    shared[UNIT_POS as usize] = value;
    sync_cube();
    #[unroll]
    for step in 1..comptime!(lanes.ilog2() + 1) {
        let half = comptime!(lanes >> step);
        if lane < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
    }
    shared[(UNIT_POS - lane) as usize]
}

/// Two sums at the price of one, as [`row_sum`].
#[cube]
pub(crate) fn row_sum_pair(
    shared: &mut Shared<[f32]>,
    other: &mut Shared<[f32]>,
    a: f32,
    b: f32,
    #[comptime] lanes: u32,
) -> (f32, f32) {
    let lane = UNIT_POS % lanes;
    sync_cube();
    shared[UNIT_POS as usize] = a;
    other[UNIT_POS as usize] = b;
    sync_cube();
    #[unroll]
    for step in 1..comptime!(lanes.ilog2() + 1) {
        let half = comptime!(lanes >> step);
        if lane < half {
            let from = (UNIT_POS + half) as usize;
            let a = shared[from];
            let b = other[from];
            shared[UNIT_POS as usize] += a;
            other[UNIT_POS as usize] += b;
        }
        sync_cube();
    }
    let first = (UNIT_POS - lane) as usize;
    (shared[first], other[first])
}

/// Largest value over the units of a workgroup, in all of them; not-a-numbers are passed over.
#[cube]
pub(crate) fn cube_max(shared: &mut Shared<[f32]>, value: f32) -> f32 {
    sync_cube();
    shared[UNIT_POS as usize] = value;
    sync_cube();
    #[unroll]
    for step in 1..comptime!(UNITS.ilog2() + 1) {
        let half = comptime!(UNITS >> step);
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            let own = shared[UNIT_POS as usize];
            shared[UNIT_POS as usize] = select(other > own, other, own);
        }
        sync_cube();
    }
    shared[0]
}

/// Where `token` stands in the ascending `rows` of length `kept`, or `kept` if it does not.
#[cube]
pub(crate) fn position_of(rows: &[u32], kept: u32, token: u32) -> u32 {
    let mut low = 0u32;
    let mut high = kept;
    while low < high {
        let middle = (low + high) / 2;
        if rows[middle as usize] < token {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let there = rows[min(low, kept - 1) as usize] == token;
    select(there && low < kept, low, kept)
}

/// Whether a float is neither infinite nor not-a-number, by its bits: WGSL may assume that floats are finite.
#[cube]
pub(crate) fn finite(value: f32) -> bool {
    u32::reinterpret(value) & 0x7f80_0000u32 != 0x7f80_0000u32
}
