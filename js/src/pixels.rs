//! A browser's pixels, red, green, blue and opacity, to pictures and back.

use dinoscope_core::data::Picture;

use crate::failure::JsApiError;

/// Most pixels in all, as for files.
const MAX_PIXELS: usize = dinoscope_core::data::decode::MAX_PIXELS as usize;

/// A picture from `[height, width, 4]`. Transparency is laid on white, as it is in files.
///
/// # Errors
/// When there are no pixels, too many, or another number than the size says.
pub fn from_rgba(rgba: &[u8], width: usize, height: usize) -> Result<Picture, JsApiError> {
    let pixels = width.saturating_mul(height);
    if !(1..=MAX_PIXELS).contains(&pixels) {
        let given = format!("{width} × {height}");
        return Err(JsApiError::argument("the image's size", given, format!("1 to {MAX_PIXELS} pixels")));
    }
    if rgba.len() != 4 * pixels {
        let expected = format!("{} for {width} × {height}", 4 * pixels);
        return Err(JsApiError::argument("the number of the image's bytes", rgba.len(), expected));
    }
    let rgb = rgba.as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, alpha]| {
        let alpha = u32::from(alpha);
        [red, green, blue].map(|v| ((u32::from(v) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
    });
    Ok(Picture::of_rgb(width, height, rgb.collect()))
}

/// A picture of four channels from `[height, width, 4]`: the opacity is one of them, and nothing is laid on white.
///
/// # Errors
/// As [`from_rgba`].
pub fn with_opacity(rgba: &[u8], width: usize, height: usize) -> Result<Picture, JsApiError> {
    from_rgba(rgba, width, height)?;
    let planes: Vec<Vec<u8>> =
        (0..4).map(|channel| rgba.iter().skip(channel).step_by(4).copied().collect()).collect();
    Ok(Picture::of_planes(width, height, &planes))
}

/// `[height, width, 4]`, fully opaque.
pub fn to_rgba(picture: &Picture) -> Vec<u8> {
    picture.rgb.as_chunks::<3>().0.iter().flat_map(|&[red, green, blue]| [red, green, blue, 255]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparency_is_laid_on_white() {
        let rgba = [200, 0, 50, 0, 200, 0, 50, 128, 200, 0, 50, 255];
        let picture = from_rgba(&rgba, 3, 1).unwrap();
        // As of files: see the decoder's test.
        assert_eq!(picture.rgb, [255, 255, 255, 227, 127, 152, 200, 0, 50]);
        assert_eq!(to_rgba(&picture)[8..], [200, 0, 50, 255]);
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(from_rgba(&[], 0, 5).unwrap_err().code(), "argument");
        assert!(from_rgba(&[0; 8], 1, 1).unwrap_err().to_string().contains("expected 4 for 1 × 1"));
        assert!(from_rgba(&[], usize::MAX, 2).is_err());
    }
}
