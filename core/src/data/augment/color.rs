//! Operations on single pixels, with the integer arithmetic of PIL.

use super::to_byte;
use crate::data::Picture;

/// Mirrors a picture left to right.
pub fn flip_horizontal(picture: &mut Picture) {
    for row in picture.rgb.chunks_exact_mut(3 * picture.width.max(1)) {
        row.as_chunks_mut::<3>().0.reverse();
    }
}

/// Blends with black: factor 0 is black, 1 changes nothing.
pub fn brightness(picture: &mut Picture, factor: f32) {
    map_bytes(picture, |byte| blend(0, byte, factor));
}

/// Blends with the picture's mean grey: factor 0 is flat grey, 1 changes nothing.
pub fn contrast(picture: &mut Picture, factor: f32) {
    let pixels = picture.rgb.as_chunks::<3>().0;
    let sum: u64 = pixels.iter().map(|rgb| u64::from(luma(rgb))).sum();
    let mean = (sum as f64 / pixels.len().max(1) as f64 + 0.5) as u8;
    map_bytes(picture, |byte| blend(mean, byte, factor));
}

/// Blends with the picture's grey version: factor 0 is grey, 1 changes nothing.
pub fn saturation(picture: &mut Picture, factor: f32) {
    for rgb in picture.rgb.as_chunks_mut::<3>().0 {
        let grey = luma(rgb);
        *rgb = rgb.map(|byte| blend(grey, byte, factor));
    }
}

/// Turns all colours on the colour circle by `shift` turns, −0.5 to 0.5, through PIL's 8-bit HSV.
pub fn hue(picture: &mut Picture, shift: f32) {
    // Toward zero and modulo 256, as numpy casts to uint8.
    let shift = (shift * 255.0) as i32 as u8;
    // Sixth of the circle, and how far into it, for each 8-bit hue.
    let circle: [(u8, f32); 256] = std::array::from_fn(|hue| {
        let sixths = hue as f32 * 6.0 / 255.0;
        (sixths as u8, sixths.fract())
    });
    for rgb in picture.rgb.as_chunks_mut::<3>().0 {
        let [h, s, v] = to_hsv(*rgb);
        *rgb = from_hsv(circle[usize::from(h.wrapping_add(shift))], s, v);
    }
}

/// Sets all three channels to the pixel's luma.
pub fn grayscale(picture: &mut Picture) {
    for rgb in picture.rgb.as_chunks_mut::<3>().0 {
        *rgb = [luma(rgb); 3];
    }
}

/// Inverts values of `threshold` and above.
pub fn solarize(picture: &mut Picture, threshold: u8) {
    for byte in &mut picture.rgb {
        *byte = if *byte >= threshold { 255 - *byte } else { *byte };
    }
}

/// PIL's fixed-point ITU-R 601 luma.
fn luma(rgb: &[u8; 3]) -> u8 {
    let [r, g, b] = rgb.map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

/// PIL's blend: from `a` (factor 0) to `b` (factor 1) and beyond, cut off rather than rounded.
fn blend(a: u8, b: u8, factor: f32) -> u8 {
    let (a, b) = (f32::from(a), f32::from(b));
    (a + factor * (b - a)) as u8
}

fn map_bytes(picture: &mut Picture, f: impl Fn(u8) -> u8) {
    let table: [u8; 256] = std::array::from_fn(|byte| f(byte as u8));
    for byte in &mut picture.rgb {
        *byte = table[usize::from(*byte)];
    }
}

/// PIL's conversion to 8-bit hue, saturation and value.
fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let max = r.max(g).max(b);
    let min = r.min(g).min(b);
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let below = |byte: u8| f32::from(max - byte) / range;
    let sixths = if r == max {
        below(b) - below(g)
    } else if g == max {
        2.0 + below(r) - below(b)
    } else {
        4.0 + below(g) - below(r)
    };
    let turns = sixths / 6.0;
    let turns = if turns < 0.0 { turns + 1.0 } else { turns };
    let cut = |share: f32| (share * 255.0) as i32 as u8;
    [cut(turns), cut(range / f32::from(max)), max]
}

/// PIL's conversion back from hue, as a sixth of the circle and how far into it, 8-bit saturation and value.
fn from_hsv((sixth, fraction): (u8, f32), s: u8, v: u8) -> [u8; 3] {
    let saturation = f32::from(s) / 255.0;
    let scaled = |share: f32| to_byte(f32::from(v) * (1.0 - share));
    let p = scaled(saturation);
    let q = scaled(saturation * fraction);
    let t = scaled(saturation * (1.0 - fraction));
    match sixth {
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        5 => [v, p, q],
        _ => [v, t, p],
    }
}
