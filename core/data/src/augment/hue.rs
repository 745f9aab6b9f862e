//! Turning colours on the colour circle through PIL's 8-bit HSV.

use super::planes::PlanarPicture;
use super::wide::{to_byte, to_byte_down, wide};
use crate::Picture;

/// Turns all colours on the colour circle by `shift` turns, −0.5 to 0.5, through PIL's 8-bit HSV.
pub fn hue(picture: &mut Picture, shift: f32) {
    PlanarPicture::of(picture, |planes| turn(planes, shift));
}

/// [`hue`] of planes.
pub(super) fn turn(planes: &mut PlanarPicture, shift: f32) {
    // Toward zero and modulo 256, as numpy casts to uint8.
    let shift = (shift * 255.0) as i32 as u8;
    turn_all(planes.channels_mut(), shift);
}

wide! {
    fn turn_all<'a>(channels: [&'a mut [u8]; 3], shift: u8) {
        let [reds, greens, blues] = channels;
        for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
            (*red, *green, *blue) = turn_pixel(*red, *green, *blue, shift);
        }
    }
}

/// A pixel to 8-bit hue, saturation and value, and back with another hue. Both ways are free of branches, so that
/// several pixels go through side by side.
#[inline(always)]
fn turn_pixel(r: u8, g: u8, b: u8, shift: u8) -> (u8, u8, u8) {
    let max = r.max(g).max(b);
    let range = max - r.min(g).min(b);
    // Where all channels are equal, hue and saturation are 0 whatever they are divided by.
    let divisor = f32::from(range.max(1));
    let (from, first, second) = if r == max {
        (0.0, b, g)
    } else if g == max {
        (2.0, r, b)
    } else {
        (4.0, g, r)
    };
    let turns = (from + f32::from(max - first) / divisor - f32::from(max - second) / divisor) / 6.0;
    let turns = if turns < 0.0 { turns + 1.0 } else { turns };
    let hue = to_byte_down(turns * 255.0).wrapping_add(shift);
    let saturation = to_byte_down(f32::from(range) / f32::from(max.max(1)) * 255.0);

    let sixths = f32::from(hue) * 6.0 / 255.0;
    let sixth = to_byte_down(sixths);
    let fraction = sixths - f32::from(sixth);
    let saturation = f32::from(saturation) / 255.0;
    let value = f32::from(max);
    let p = to_byte(value * (1.0 - saturation));
    let q = to_byte(value * (1.0 - saturation * fraction));
    let t = to_byte(value * (1.0 - saturation * (1.0 - fraction)));
    match sixth {
        1 => (q, max, p),
        2 => (p, max, t),
        3 => (p, q, max),
        4 => (t, p, max),
        5 => (max, p, q),
        _ => (max, t, p),
    }
}
