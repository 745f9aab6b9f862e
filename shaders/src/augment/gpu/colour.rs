//! Operations on single pixels; a pixel is a word with red in its lowest byte.

use cubecl::prelude::*;

use super::super::table::{BRIGHTNESS, CONTRAST, HUE, ORDER, SATURATION, STRENGTHS};

/// Three channels to a word.
#[cube]
pub(super) fn join(r: u32, g: u32, b: u32) -> u32 {
    r | (g << 8u32) | (b << 16u32)
}

/// One channel of a word.
#[cube]
pub(super) fn channel(pixel: u32, #[comptime] index: u32) -> u32 {
    (pixel >> comptime!(8 * index)) & 255u32
}

/// PIL's fixed-point ITU-R 601 luma.
#[cube]
pub(super) fn luma(pixel: u32) -> u32 {
    (channel(pixel, 0u32) * 19595u32
        + channel(pixel, 1u32) * 38470u32
        + channel(pixel, 2u32) * 7471u32
        + 32768u32)
        >> 16u32
}

/// The nearest byte.
#[cube]
pub(super) fn to_byte(value: f32) -> u32 {
    u32::cast_from(clamp(value, 0.0f32, 255.0f32) + 0.5f32)
}

/// Carries out step `index` of the jitter whose view begins at `view` in the table; `mean` is the view's mean grey.
#[cube]
pub(super) fn jitter(pixel: u32, table: &[u32], view: usize, index: u32, mean: u32) -> u32 {
    let code = (table[view + ORDER] >> (4u32 * index)) & 15u32;
    let strength = table[view + STRENGTHS + index as usize];
    let factor = f32::reinterpret(strength);
    let mut out = pixel;
    if code == BRIGHTNESS {
        out = blend(0u32, pixel, factor);
    } else if code == CONTRAST {
        out = blend(mean, pixel, factor);
    } else if code == SATURATION {
        out = blend(luma(pixel), pixel, factor);
    } else if code == HUE {
        out = turn(pixel, strength);
    }
    out
}

/// PIL's blend of every channel with a grey, cut off rather than rounded.
#[cube]
fn blend(grey: u32, pixel: u32, factor: f32) -> u32 {
    let grey = f32::cast_from(grey);
    join(
        blend_channel(grey, channel(pixel, 0u32), factor),
        blend_channel(grey, channel(pixel, 1u32), factor),
        blend_channel(grey, channel(pixel, 2u32), factor),
    )
}

#[cube]
fn blend_channel(grey: f32, value: u32, factor: f32) -> u32 {
    u32::cast_from(clamp(grey + factor * (f32::cast_from(value) - grey), 0.0f32, 255.0f32))
}

/// Another hue, by `shift` of 256 parts of the colour circle, in whole numbers.
#[cube]
fn turn(pixel: u32, shift: u32) -> u32 {
    let r = channel(pixel, 0u32);
    let g = channel(pixel, 1u32);
    let b = channel(pixel, 2u32);
    let largest = max(max(r, g), b);
    let range = largest - min(min(r, g), b);
    let mut out = pixel;
    if range != 0u32 {
        // `6 * range` more than it is, which keeps it positive, and less again where it can be.
        let mut around = 6u32 * range;
        if r == largest {
            around += g - b;
        } else if g == largest {
            around += 2u32 * range + b - r;
        } else {
            around += 4u32 * range + r - g;
        }
        if around >= 6u32 * range {
            around -= 6u32 * range;
        }
        let hue = (255u32 * around / (6u32 * range) + shift) & 255u32;
        let saturation = 255u32 * range / largest;

        let sixth = 6u32 * hue / 255u32;
        let fraction = 6u32 * hue - 255u32 * sixth;
        let p = (2u32 * largest * (255u32 - saturation) + 255u32) / 510u32;
        let q = between(largest, saturation, fraction);
        let t = between(largest, saturation, 255u32 - fraction);
        if sixth == 1u32 {
            out = join(q, largest, p);
        } else if sixth == 2u32 {
            out = join(p, largest, t);
        } else if sixth == 3u32 {
            out = join(p, q, largest);
        } else if sixth == 4u32 {
            out = join(t, p, largest);
        } else if sixth == 5u32 {
            out = join(largest, p, q);
        } else {
            out = join(largest, t, p);
        }
    }
    out
}

/// A channel on its way from the largest value to the smallest.
#[cube]
fn between(largest: u32, saturation: u32, fraction: u32) -> u32 {
    (2u32 * largest * (65025u32 - saturation * fraction) + 65025u32) / 130050u32
}
