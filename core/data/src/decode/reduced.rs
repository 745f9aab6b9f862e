//! Photographs at the size that they are needed in: most have many more pixels than any crop of them.

use image::RgbImage;
use jpeg_decoder::{Decoder, PixelFormat};
use serde::{Deserialize, Serialize};

use crate::Picture;
use crate::augment::{CropRecipe, resize_to};

/// The least size at which a picture is good for what is done with it: all of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeastPictureSize {
    /// Pixels in all.
    pub pixels: u64,
    /// Pixels of its shorter side.
    pub shorter: u32,
    /// Pixels of its longer side.
    pub longer: u32,
}

impl LeastPictureSize {
    /// The size at which no crop of a recipe has to be enlarged, and the whole picture can be looked at with a shorter side
    /// of `shorter`.
    ///
    /// The narrowest crop has the smallest share of the picture and the most extreme aspect `r`: its short side is
    /// `sqrt(pixels · share · r)`, rounded.
    pub fn of_crops(recipe: &CropRecipe, shorter: usize) -> Self {
        let narrow = recipe.aspect.0.min(1.0 / recipe.aspect.1);
        let pixels = |side: usize, share: f64| ((side as f64 + 0.5).powi(2) / (share * narrow)).ceil() as u64;
        let largest = recipe.global_size.max(recipe.gram.map_or(0, |gram| gram.size));
        let global = pixels(largest, recipe.global_scale.0);
        let local = if recipe.locals > 0 { pixels(recipe.local_size, recipe.local_scale.0) } else { 0 };
        // Of a picture of extreme aspect, the largest crop in the middle is taken.
        let shorter = shorter.max(largest);
        let shorter = u32::try_from(shorter).unwrap_or(u32::MAX);
        Self { pixels: global.max(local), shorter, longer: 0 }
    }

    /// What is good for both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pixels: self.pixels.max(other.pixels),
            shorter: self.shorter.max(other.shorter),
            longer: self.longer.max(other.longer),
        }
    }

    /// What a picture of this width and height is reduced to; `None` where it is small enough as it is.
    pub fn of(self, width: usize, height: usize) -> Option<(usize, usize)> {
        let (w, h) = (width as f64, height as f64);
        let by_pixels = (self.pixels as f64 / (w * h)).sqrt();
        let by_sides = (f64::from(self.shorter) / w.min(h)).max(f64::from(self.longer) / w.max(h));
        let factor = by_pixels.max(by_sides);
        // A picture without pixels stays what it is.
        if factor.is_nan() || factor >= 1.0 {
            return None;
        }
        let side = |length: f64| (length * factor).ceil().max(1.0) as usize;
        let size = (side(w).min(width), side(h).min(height));
        (size != (width, height)).then_some(size)
    }
}

/// A picture reduced to its least size, with antialiasing.
pub(super) fn reduced(picture: Picture, least: LeastPictureSize) -> Picture {
    match least.of(picture.width, picture.height) {
        Some((width, height)) => resize_to(&picture, width, height),
        None => picture,
    }
}

/// A JPEG of `size` decoded at an eighth, a quarter or half of it, the smallest that is at least `least`: its coefficients are turned
/// into fewer pixels, so that most of the work is not done. Not upright yet.
///
/// `None` where it has to be decoded whole: it is small, its colours are of another kind, or this decoder does not
/// take it, whose reasons are not the ones that a person is told.
pub(super) fn scaled_jpeg(bytes: &[u8], size: (u32, u32), least: LeastPictureSize) -> Option<RgbImage> {
    let (width, height) = least.of(size.0 as usize, size.1 as usize)?;
    if 2 * width > size.0 as usize || 2 * height > size.1 as usize {
        return None;
    }
    let mut decoder = Decoder::new(bytes);
    let wished = [width, height].map(|side| u16::try_from(side).unwrap_or(u16::MAX));
    let (across, down) = decoder.scale(wished[0], wished[1]).ok()?;
    let pixels = decoder.decode().ok()?;
    let rgb = match decoder.info()?.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        PixelFormat::L16 | PixelFormat::CMYK32 => return None,
    };
    let made = RgbImage::from_raw(u32::from(across), u32::from(down), rgb)?;
    // What is over at the right and below is a pixel of its own, however little it is.
    let divisor = (f64::from(size.0) / f64::from(across)).ceil();
    let side = |whole: u32| ((f64::from(whole) / divisor).round() as u32).max(1);
    let (width, height) = (side(size.0), side(size.1));
    if (width, height) == made.dimensions() {
        return Some(made);
    }
    Some(image::imageops::crop_imm(&made, 0, 0, width, height).to_image())
}

#[cfg(test)]
#[path = "reduced_tests.rs"]
mod tests;
