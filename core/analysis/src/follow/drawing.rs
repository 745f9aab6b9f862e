//! What was followed, drawn into its frame: a ring with the way that it came, or the mask laid over.

use crate::AnalysisError;
use crate::canvas::{Colour, PictureCanvas, mixed};
use crate::image_out::{UpsampleFilter, upsample_values};
use dinoscope_data::Picture;

/// Colour of what is followed.
pub const FOLLOWED: Colour = [255, 138, 31];
/// Colour of what is out of sight.
pub const LOST: Colour = [150, 150, 150];
/// A patch or pixel with a larger share belongs to the mask.
pub const INSIDE: f32 = 0.5;

/// A frame with the mask over it, where there is one (`[height * width]`, shares), and the place at the end of its way so far
/// (shares of width and height), with whether it is seen.
pub fn draw_frame(picture: &Picture, mask: Option<&[f32]>, way: &[[f32; 2]], seen: bool) -> Picture {
    let mut canvas = PictureCanvas::new(picture.width, picture.height, [0, 0, 0]);
    match mask {
        Some(mask) => canvas.paste(&tinted(picture, mask), 0, 0),
        None => canvas.paste(picture, 0, 0),
    }
    let (width, height) = (picture.width as f32, picture.height as f32);
    let size = (width.min(height) / 40.0).max(4.0);
    let colour = if seen { FOLLOWED } else { LOST };
    let at = |share: &[f32; 2]| [share[0] * width, share[1] * height];
    for pair in way.windows(2) {
        canvas.line(at(&pair[0]), at(&pair[1]), (size / 6.0).max(1.0), mixed(colour, [255; 3], 0.4));
    }
    if let Some([x, y]) = way.last().map(at) {
        canvas.disc(x, y, size * 1.25, size * 0.65, [0, 0, 0], 0.5);
        canvas.disc(x, y, size * 1.15, size * 0.75, colour, 1.0);
    }
    canvas.picture()
}

/// The picture with a mask laid over it.
fn tinted(picture: &Picture, mask: &[f32]) -> Picture {
    let pixels = picture.rgb.as_chunks::<3>().0.iter().zip(mask);
    let rgb = pixels
        .flat_map(|(pixel, share)| if *share > INSIDE { mixed(*pixel, FOLLOWED, 0.55) } else { *pixel });
    Picture::of_rgb(picture.width, picture.height, rgb.collect())
}

/// Shares of patches, `[rows * cols]`, as shares of the pixels of a picture of `[width, height]`, `[height * width]`.
///
/// # Errors
/// When there are not as many shares as patches.
pub fn of_pixels(
    labels: &[f32],
    (rows, cols): (usize, usize),
    [width, height]: [usize; 2],
) -> Result<Vec<f32>, AnalysisError> {
    upsample_values(labels, rows, cols, width, height, UpsampleFilter::Bilinear)
}

/// A mask in white on black.
pub fn mask_picture(shares: &[f32], [width, height]: [usize; 2]) -> Picture {
    let rgb = shares.iter().flat_map(|share| [if *share > INSIDE { 255 } else { 0 }; 3]).collect();
    Picture::of_rgb(width, height, rgb)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_where_the_place_is_and_grey_once_it_is_lost() {
        let picture = Picture::of_rgb(80, 60, [40, 50, 60].repeat(80 * 60));
        let at = |drawn: &Picture, x: usize, y: usize| -> [u8; 3] {
            let i = 3 * (y * 80 + x);
            drawn.rgb[i..i + 3].try_into().unwrap()
        };
        let way = [[0.25, 0.5], [0.5, 0.5]];
        for (seen, colour) in [(true, FOLLOWED), (false, LOST)] {
            let drawn = draw_frame(&picture, None, &way, seen);
            let ring = (36..45).map(|x| at(&drawn, x, 30)).filter(|pixel| *pixel == colour).count();
            assert!(ring > 0, "the ring about (40, 30)");
            assert_ne!(at(&drawn, 28, 30), [40, 50, 60], "the way that it came");
            assert_eq!(at(&drawn, 70, 10), [40, 50, 60]);
        }
    }

    #[test]
    fn a_mask_is_laid_over_its_pixels() {
        let picture = Picture::of_rgb(4, 2, vec![10; 24]);
        let shares = of_pixels(&[1.0, 0.0], (1, 2), [4, 2]).unwrap();
        let drawn = draw_frame(&picture, Some(&shares), &[], true);
        assert!(drawn.rgb[0] > 100 && drawn.rgb[9] == 10, "{:?}", drawn.rgb);
        let mask = mask_picture(&shares, [4, 2]);
        assert_eq!(mask.rgb[..12], [255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0]);
        assert!(of_pixels(&[1.0], (1, 2), [4, 2]).is_err());
    }
}
