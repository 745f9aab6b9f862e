//! The second launch: jitter from contrast on, grayscale, blur, solarize, normalise.

use cubecl::prelude::*;

use super::super::table::{BLUR, BLURRED, CONTRAST_AT, FLAGS, GRAYSCALE, SLOT, SOLARIZE, WORDS};
use super::colour::{channel, jitter, join, luma, to_byte};
use super::{TILE, UNITS, sum_of_all};

/// Taps of the blur either side of the middle one.
const RADIUS: u32 = 4;
/// Side of a tile with the pixels around it that its blur reaches.
const WIDE: u32 = TILE + 2 * RADIUS;

/// A position inside `0..len` for one that is `RADIUS` more and may lie outside: mirrored at the border pixel, which
/// is not repeated.
#[cube]
fn mirrored(position: u32, len: u32) -> u32 {
    let period = max(2u32 * (len - 1u32), 1u32);
    let away = select(position < RADIUS, RADIUS - position, position - RADIUS) % period;
    min(min(away, period - away), len - 1u32)
}

/// - `made`, `sums`: what the first launch left; `out`: `[views, 3, size, size]`.
/// - a value of channel c is `byte * factor_c + offset_c`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn kernel(
    made: &[u32],
    table: &[u32],
    sums: &[u32],
    out: &mut [f32],
    size: u32,
    factor_r: f32,
    factor_g: f32,
    factor_b: f32,
    offset_r: f32,
    offset_g: f32,
    offset_b: f32,
) {
    let mut words = Shared::<[u32]>::new_slice(comptime!((WIDE * WIDE) as usize));
    let mut reds = Shared::<[f32]>::new_slice(comptime!((TILE * WIDE) as usize));
    let mut greens = Shared::<[f32]>::new_slice(comptime!((TILE * WIDE) as usize));
    let mut blues = Shared::<[f32]>::new_slice(comptime!((TILE * WIDE) as usize));
    let tiles = (size + comptime!(TILE - 1)) / TILE;
    let tile = min(CUBE_POS_X + CUBE_COUNT_X * CUBE_POS_Z, tiles * tiles - 1u32);
    let view = CUBE_POS_Y as usize * WORDS;
    let flags = table[view + FLAGS];
    let across = UNIT_POS % TILE;
    let down = UNIT_POS / TILE;
    let left = (tile % tiles) * TILE;
    let top = (tile / tiles) * TILE;

    // Mean grey of the view, rounded.
    let mut sum = 0u32;
    let mut at = UNIT_POS;
    while at < tiles * tiles {
        sum += sums[(CUBE_POS_Y * tiles * tiles + at) as usize];
        at += UNITS;
    }
    let sum = sum_of_all(&mut words, sum);
    let count = size * size;
    let mut mean = sum / count;
    if 2u32 * (sum - mean * count) >= count {
        mean += 1u32;
    }
    // What all have read is written anew below.
    sync_cube();

    let blurred = (flags & BLURRED) != 0u32;
    let mut at = UNIT_POS;
    while at < comptime!(WIDE * WIDE) {
        let x = at % WIDE;
        let y = at / WIDE;
        // Below the radius the difference wraps, and is large.
        let inner = x - RADIUS < TILE && y - RADIUS < TILE;
        if blurred || inner {
            let x = mirrored(left + x, size);
            let y = mirrored(top + y, size);
            let mut pixel = made[((CUBE_POS_Y * size + y) * size + x) as usize];
            for index in table[view + CONTRAST_AT]..4u32 {
                pixel = jitter(pixel, table, view, index, mean);
            }
            if (flags & GRAYSCALE) != 0u32 {
                let grey = luma(pixel);
                pixel = join(grey, grey, grey);
            }
            words[at as usize] = pixel;
        }
        at += UNITS;
    }
    sync_cube();

    let middle = f32::reinterpret(table[view + BLUR]);
    if blurred {
        let mut at = UNIT_POS;
        while at < comptime!(TILE * WIDE) {
            let pixel = words[(at + comptime!(RADIUS * WIDE)) as usize];
            let mut r = middle * f32::cast_from(channel(pixel, 0u32));
            let mut g = middle * f32::cast_from(channel(pixel, 1u32));
            let mut b = middle * f32::cast_from(channel(pixel, 2u32));
            #[unroll]
            for distance in 1..comptime!(RADIUS + 1) {
                let share = f32::reinterpret(table[view + comptime!(BLUR + distance as usize)]);
                let above = words[(at + comptime!((RADIUS - distance) * WIDE)) as usize];
                let below = words[(at + comptime!((RADIUS + distance) * WIDE)) as usize];
                r += share * f32::cast_from(channel(above, 0u32) + channel(below, 0u32));
                g += share * f32::cast_from(channel(above, 1u32) + channel(below, 1u32));
                b += share * f32::cast_from(channel(above, 2u32) + channel(below, 2u32));
            }
            reds[at as usize] = r;
            greens[at as usize] = g;
            blues[at as usize] = b;
            at += UNITS;
        }
    }
    sync_cube();

    let mut pixel = words[((down + RADIUS) * WIDE + across + RADIUS) as usize];
    if blurred {
        let at = down * WIDE + across;
        let mut r = middle * reds[(at + RADIUS) as usize];
        let mut g = middle * greens[(at + RADIUS) as usize];
        let mut b = middle * blues[(at + RADIUS) as usize];
        #[unroll]
        for distance in 1..comptime!(RADIUS + 1) {
            let share = f32::reinterpret(table[view + comptime!(BLUR + distance as usize)]);
            let before = (at + comptime!(RADIUS - distance)) as usize;
            let after = (at + comptime!(RADIUS + distance)) as usize;
            r += share * (reds[before] + reds[after]);
            g += share * (greens[before] + greens[after]);
            b += share * (blues[before] + blues[after]);
        }
        pixel = join(to_byte(r), to_byte(g), to_byte(b));
    }
    let mut r = channel(pixel, 0u32);
    let mut g = channel(pixel, 1u32);
    let mut b = channel(pixel, 2u32);
    if (flags & SOLARIZE) != 0u32 {
        r = select(r >= 128u32, 255u32 - r, r);
        g = select(g >= 128u32, 255u32 - g, g);
        b = select(b >= 128u32, 255u32 - b, b);
    }
    let x = left + across;
    let y = top + down;
    if x < size && y < size {
        let plane = count as usize;
        let at = table[view + SLOT] as usize * 3 * plane + (y * size + x) as usize;
        out[at] = f32::cast_from(r) * factor_r + offset_r;
        out[at + plane] = f32::cast_from(g) * factor_g + offset_g;
        out[at + 2 * plane] = f32::cast_from(b) * factor_b + offset_b;
    }
}
