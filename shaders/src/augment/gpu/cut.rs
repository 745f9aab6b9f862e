//! The first launch: crop, resize, mirror, and jitter up to contrast.

use cubecl::prelude::*;

use super::super::table::{CONTRAST_AT, CROP, DOWN_FIRST, FLAGS, FLIP, START, STRIDE, WORDS};
use super::colour::{channel, jitter, join, luma, to_byte};
use super::{TILE, UNITS, sum_of_all};

/// The inputs that one output is a weighted sum of.
#[derive(CubeType, Clone, Copy)]
struct GpuResizeTaps {
    first: u32,
    end: u32,
    /// The middle of the output among the inputs: a whole number and what is over, which keeps floats small.
    whole: u32,
    fraction: f32,
    stretch: f32,
}

#[cube]
fn taps(position: u32, input: u32, output: u32) -> GpuResizeTaps {
    let numerator = (2u32 * position + 1u32) * input;
    let whole = numerator / (2u32 * output);
    let fraction = f32::cast_from(numerator - whole * 2u32 * output) / f32::cast_from(2u32 * output);
    // Shrinking widens the filter, which is the antialiasing.
    let stretch = max(f32::cast_from(input) / f32::cast_from(output), 1.0f32);
    let first = i32::cast_from(whole) + i32::cast_from((fraction - 2.0f32 * stretch + 0.5f32).floor());
    let end = whole + u32::cast_from((fraction + 2.0f32 * stretch + 0.5f32).floor());
    GpuResizeTaps { first: u32::cast_from(max(first, 0i32)), end: min(end, input), whole, fraction, stretch }
}

/// Keys' cubic with a = −0.5, of input `at`.
#[cube]
fn weight(taps: &GpuResizeTaps, at: u32) -> f32 {
    let distance = f32::cast_from(i32::cast_from(at) - i32::cast_from(taps.whole));
    let x = ((distance - taps.fraction + 0.5f32) / taps.stretch).abs();
    let near = (1.5f32 * x - 2.5f32) * x * x + 1.0f32;
    let far = ((2.5f32 - 0.5f32 * x) * x - 4.0f32) * x + 2.0f32;
    select(x < 1.0f32, near, select(x < 2.0f32, far, 0.0f32))
}

/// The pixel whose first byte is `at`.
#[cube]
fn read(pixels: &[u32], at: u32) -> u32 {
    let word = (at >> 2u32) as usize;
    let shift = (at & 3u32) * 8u32;
    let mut bits = pixels[word] >> shift;
    if shift > 8u32 {
        bits |= pixels[word + 1] << (32u32 - shift);
    }
    bits
}

/// - `pixels`: bytes of all pictures; `table`: a view a row of workgroups.
/// - `made`: a word for each pixel of each view; `sums`: the sum of luma of each tile.
///
/// A workgroup makes a tile. It walks along the axis that is resized last, sixteen input positions at a time: for
/// these every invocation makes one pixel that is resized along the first axis, and then takes from them what its own
/// output needs. Neighbouring tiles share a little of that work, and nothing in between leaves the workgroup.
#[cube(launch_unchecked)]
pub(super) fn kernel(pixels: &[u32], table: &[u32], made: &mut [u32], sums: &mut [u32], size: u32) {
    let mut between = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let mut steps = Shared::<[u32]>::new_slice(1usize);
    let tiles = (size + comptime!(TILE - 1)) / TILE;
    // Units past the last tile repeat it: all meet at the barriers, and equal values are written.
    let tile = min(CUBE_POS_X + CUBE_COUNT_X * CUBE_POS_Z, tiles * tiles - 1u32);
    let view = CUBE_POS_Y as usize * WORDS;
    let flags = table[view + FLAGS];
    let down_first = (flags & DOWN_FIRST) != 0u32;
    let across = UNIT_POS % TILE;
    let down = UNIT_POS / TILE;
    let left = (tile % tiles) * TILE;
    let top = (tile / tiles) * TILE;
    let last = size - 1u32;
    let right = min(left + comptime!(TILE - 1), last);
    let bottom = min(top + comptime!(TILE - 1), last);
    let x = min(left + across, last);
    let y = min(top + down, last);

    // Columns of the resized crop, which flipping mirrors.
    let flip = (flags & FLIP) != 0u32;
    let column = select(flip, last - x, x);
    let lowest_column = select(flip, last - right, left);
    let highest_column = select(flip, last - left, right);

    let width = table[view + CROP];
    let height = table[view + CROP + 1];
    let stride = table[view + STRIDE];
    let start = table[view + START];

    // The axis that is resized first, and the one along which the workgroup walks.
    let first = taps(select(down_first, y, column), select(down_first, height, width), size);
    let second_input = select(down_first, width, height);
    let second = taps(select(down_first, column, y), second_input, size);
    let begin = taps(select(down_first, lowest_column, top), second_input, size).first;
    let end = taps(select(down_first, highest_column, bottom), second_input, size).end;
    let first_step = select(down_first, stride, 3u32);
    let second_step = select(down_first, 3u32, stride);
    // Which of the sixteen positions is this invocation's, and where the results for its own output lie. Neighbours
    // read neighbouring pixels either way.
    let mine = select(down_first, across, down);
    let own = select(down_first, down, across);

    if UNIT_POS == 0u32 {
        steps[0] = (end - begin + comptime!(TILE - 1)) / TILE;
    }
    let steps = workgroup_uniform_load(&steps[0]);

    let mut red = 0.0f32;
    let mut green = 0.0f32;
    let mut blue = 0.0f32;
    let mut weights = 0.0f32;
    for step in 0..steps {
        let from = begin + step * TILE;
        let at = from + mine;
        if at < end {
            let mut r = 0.0f32;
            let mut g = 0.0f32;
            let mut b = 0.0f32;
            let mut whole = 0.0f32;
            for tap in first.first..first.end {
                let pixel = read(pixels, start + at * second_step + tap * first_step);
                let share = weight(&first, tap);
                r += share * f32::cast_from(channel(pixel, 0u32));
                g += share * f32::cast_from(channel(pixel, 1u32));
                b += share * f32::cast_from(channel(pixel, 2u32));
                whole += share;
            }
            between[(own * TILE + mine) as usize] =
                join(to_byte(r / whole), to_byte(g / whole), to_byte(b / whole));
        }
        sync_cube();
        for tap in max(second.first, from)..max(min(second.end, from + TILE), max(second.first, from)) {
            let pixel = between[(own * TILE + tap - from) as usize];
            let share = weight(&second, tap);
            red += share * f32::cast_from(channel(pixel, 0u32));
            green += share * f32::cast_from(channel(pixel, 1u32));
            blue += share * f32::cast_from(channel(pixel, 2u32));
            weights += share;
        }
        sync_cube();
    }
    let mut pixel = join(to_byte(red / weights), to_byte(green / weights), to_byte(blue / weights));
    let stop = table[view + CONTRAST_AT];
    for index in 0..stop {
        pixel = jitter(pixel, table, view, index, 0u32);
    }

    let inside = left + across < size && top + down < size;
    let grey = select(inside, luma(pixel), 0u32);
    let sum = sum_of_all(&mut between, grey);
    if UNIT_POS == 0u32 {
        sums[(CUBE_POS_Y * tiles * tiles + tile) as usize] = sum;
    }
    if inside {
        made[((CUBE_POS_Y * size + y) * size + x) as usize] = pixel;
    }
}
