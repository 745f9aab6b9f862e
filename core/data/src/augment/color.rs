//! Operations on single pixels, with the integer arithmetic of PIL.

use super::planes::PlanarPicture;
use super::wide::{to_byte_down, wide};
use crate::Picture;
use crate::channels::luma;

/// Mirrors a picture left to right.
pub fn flip_horizontal(picture: &mut Picture) {
    for layers in [&mut picture.rgb, &mut picture.beyond] {
        for row in layers.chunks_exact_mut(3 * picture.width.max(1)) {
            row.as_chunks_mut::<3>().0.reverse();
        }
    }
}

/// Blends with black: factor 0 is black, 1 changes nothing.
pub fn brightness(picture: &mut Picture, factor: f32) {
    PlanarPicture::of(picture, |planes| brighten(planes, factor));
}

/// Blends with the picture's mean grey: factor 0 is flat grey, 1 changes nothing.
pub fn contrast(picture: &mut Picture, factor: f32) {
    PlanarPicture::of(picture, |planes| spread(planes, factor));
}

/// Blends with the picture's grey version: factor 0 is grey, 1 changes nothing.
pub fn saturation(picture: &mut Picture, factor: f32) {
    PlanarPicture::of(picture, |planes| saturate(planes, factor));
}

/// Sets all three channels to the pixel's luma.
pub fn grayscale(picture: &mut Picture) {
    PlanarPicture::of(picture, drop_color);
}

/// Inverts values of `threshold` and above.
pub fn solarize(picture: &mut Picture, threshold: u8) {
    invert_from(&mut picture.rgb, threshold);
}

/// [`brightness`] of planes.
pub(super) fn brighten(planes: &mut PlanarPicture, factor: f32) {
    blend_all(&mut planes.bytes, 0, factor);
}

/// [`contrast`] of planes.
pub(super) fn spread(planes: &mut PlanarPicture, factor: f32) {
    let pixels = planes.width * planes.height;
    let sum = sum_of_luma(planes.channels());
    let mean = (sum as f64 / pixels.max(1) as f64 + 0.5) as u8;
    blend_all(&mut planes.bytes, mean, factor);
}

/// Each channel blended with its own mean: what [`contrast`] is to channels that are no colours.
pub(super) fn spread_each(planes: &mut PlanarPicture, factor: f32) {
    let pixels = planes.width * planes.height;
    for plane in planes.channels_mut() {
        let sum: u64 = plane.iter().map(|value| u64::from(*value)).sum();
        let mean = (sum as f64 / pixels.max(1) as f64 + 0.5) as u8;
        blend_all(plane, mean, factor);
    }
}

/// [`saturation`] of planes.
pub(super) fn saturate(planes: &mut PlanarPicture, factor: f32) {
    blend_with_luma(planes.channels_mut(), factor);
}

/// [`grayscale`] of planes.
pub(super) fn drop_color(planes: &mut PlanarPicture) {
    blend_with_luma(planes.channels_mut(), 0.0);
}

/// [`solarize`] of bytes in any order.
pub(super) fn invert_from(bytes: &mut [u8], threshold: u8) {
    for byte in bytes {
        *byte = if *byte >= threshold { 255 - *byte } else { *byte };
    }
}

wide! {
    fn blend_all<'a>(bytes: &'a mut [u8], with: u8, factor: f32) {
        for byte in bytes {
            *byte = blend(with, *byte, factor);
        }
    }

    fn blend_with_luma<'a>(channels: [&'a mut [u8]; 3], factor: f32) {
        let [reds, greens, blues] = channels;
        for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
            let grey = luma(*red, *green, *blue);
            *red = blend(grey, *red, factor);
            *green = blend(grey, *green, factor);
            *blue = blend(grey, *blue, factor);
        }
    }

    fn sum_of_luma<'a>(channels: [&'a [u8]; 3]) -> u64 {
        let [reds, greens, blues] = channels;
        let mut sum = 0;
        // In pieces whose sums fit 32 bits.
        for ((reds, greens), blues) in reds.chunks(1 << 16).zip(greens.chunks(1 << 16)).zip(blues.chunks(1 << 16)) {
            let mut piece = 0;
            for ((&r, &g), &b) in reds.iter().zip(greens).zip(blues) {
                piece += u32::from(luma(r, g, b));
            }
            sum += u64::from(piece);
        }
        sum
    }
}

/// PIL's blend: from `a` (factor 0) to `b` (factor 1) and beyond, cut off rather than rounded.
#[inline(always)]
fn blend(a: u8, b: u8, factor: f32) -> u8 {
    let (a, b) = (f32::from(a), f32::from(b));
    to_byte_down(a + factor * (b - a))
}
