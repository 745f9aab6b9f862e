//! Views as words for a GPU, after checking that nothing in them leads outside.

use super::{ColourJitterStep, CropSpec, blur_weights, down_first, hue_shift};
use crate::ShaderError;

pub(super) const PROGRAM: &str = "augment";
/// Largest side of a view. The sum of grey over a larger one might not fit 32 bits.
const MAX_SIZE: usize = 4096;
/// Largest side of a crop.
const MAX_CROP: usize = 1 << 16;

/// Words of a view.
pub(super) const WORDS: usize = 17;
/// Byte of the crop's first pixel.
pub(super) const START: usize = 0;
/// Bytes from one row of the picture to the next.
pub(super) const STRIDE: usize = 1;
/// Columns of the crop; its rows follow.
pub(super) const CROP: usize = 2;
/// Bits below.
pub(super) const FLAGS: usize = 4;
/// Steps of jitter in order, four bits each.
pub(super) const ORDER: usize = 5;
/// Strengths of the four steps: factors as floats, shifts of hue as whole numbers.
pub(super) const STRENGTHS: usize = 6;
/// Which step is contrast; 4 if none is.
pub(super) const CONTRAST_AT: usize = 10;
/// Place in the result.
pub(super) const SLOT: usize = 11;
/// Five weights of the blur.
pub(super) const BLUR: usize = 12;

pub(super) const FLIP: u32 = 1;
pub(super) const GRAYSCALE: u32 = 2;
pub(super) const SOLARIZE: u32 = 4;
pub(super) const DOWN_FIRST: u32 = 8;
pub(super) const BLURRED: u32 = 16;

pub(super) const BRIGHTNESS: u32 = 1;
pub(super) const CONTRAST: u32 = 2;
pub(super) const SATURATION: u32 = 3;
pub(super) const HUE: u32 = 4;

/// Words of all views; `bytes` is how many `pixels` has.
pub(super) fn pack(views: &[CropSpec], size: usize, bytes: usize) -> Result<Vec<u32>, ShaderError> {
    check(views, size, bytes)?;
    let mut table = Vec::with_capacity(views.len() * WORDS);
    for view in views {
        let [left, top, width, height] = view.crop;
        let mut words = [0u32; WORDS];
        words[START] = (view.offset + 3 * (top * view.width + left)) as u32;
        words[STRIDE] = 3 * view.width as u32;
        words[CROP] = width as u32;
        words[CROP + 1] = height as u32;
        words[FLAGS] = [
            (view.flip, FLIP),
            (view.grayscale, GRAYSCALE),
            (view.solarize, SOLARIZE),
            (down_first(view, size), DOWN_FIRST),
            (view.blur.is_some(), BLURRED),
        ]
        .into_iter()
        .fold(0, |flags, (set, flag)| if set { flags | flag } else { flags });
        words[CONTRAST_AT] = 4;
        for (step, jitter) in view.jitter.iter().enumerate() {
            let (code, strength) = match *jitter {
                ColourJitterStep::Brightness(factor) => (BRIGHTNESS, factor.to_bits()),
                ColourJitterStep::Contrast(factor) => (CONTRAST, factor.to_bits()),
                ColourJitterStep::Saturation(factor) => (SATURATION, factor.to_bits()),
                ColourJitterStep::Hue(turns) => (HUE, hue_shift(turns)),
            };
            words[ORDER] |= code << (4 * step);
            words[STRENGTHS + step] = strength;
            if code == CONTRAST {
                words[CONTRAST_AT] = step as u32;
            }
        }
        words[SLOT] = view.slot as u32;
        if let Some(sigma) = view.blur {
            for (word, weight) in words[BLUR..].iter_mut().zip(blur_weights(sigma)) {
                *word = weight.to_bits();
            }
        }
        table.extend(words);
    }
    Ok(table)
}

fn check(views: &[CropSpec], size: usize, bytes: usize) -> Result<(), ShaderError> {
    let length = |what, found, expected| ShaderError::Length { program: PROGRAM, what, found, expected };
    let large = |count: usize, what: &str, allowed: String| {
        Err(ShaderError::TooLarge { program: PROGRAM, count, needed: format!("{count} {what}"), allowed })
    };
    if size == 0 || size > MAX_SIZE {
        return large(size, "pixels a side of a view", format!("1 to {MAX_SIZE}"));
    }
    if u32::try_from(bytes).is_err() {
        return large(bytes, "bytes of pixels", format!("{}", u32::MAX));
    }
    if u32::try_from(views.len() * 3 * size * size).is_err() {
        return large(views.len() * 3 * size * size, "values in the result", format!("{}", u32::MAX));
    }
    let mut taken = vec![false; views.len()];
    for view in views {
        let [left, top, width, height] = view.crop;
        let end = view.offset + 3 * view.width * view.height;
        if end > bytes {
            return Err(length("pixels", bytes, end));
        }
        if width == 0 || left + width > view.width {
            return Err(length("columns of a picture under its crop", view.width, left + width.max(1)));
        }
        if height == 0 || top + height > view.height {
            return Err(length("rows of a picture under its crop", view.height, top + height.max(1)));
        }
        if width.max(height) > MAX_CROP {
            return large(width.max(height), "pixels a side of a crop", format!("{MAX_CROP}"));
        }
        let contrasts =
            view.jitter.iter().filter(|jitter| matches!(jitter, ColourJitterStep::Contrast(_))).count();
        if contrasts > 1 {
            return Err(length("contrasts of a view", contrasts, 1));
        }
        if view.jitter.len() > 4 {
            return Err(length("jitter of a view", view.jitter.len(), 4));
        }
        match taken.get_mut(view.slot) {
            Some(taken) if !*taken => *taken = true,
            // Two views in one place leave another empty.
            Some(_) => return Err(length("views with a slot of their own", views.len() - 1, views.len())),
            None => return Err(length("slots", views.len(), view.slot + 1)),
        }
    }
    Ok(())
}
