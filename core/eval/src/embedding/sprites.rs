//! Small copies of all pictures of a map on one sheet.

use dinoscope_analysis::AnalysisError;
use dinoscope_analysis::canvas::{GRID, PictureCanvas};
use dinoscope_base::parallel::for_chunks;
use dinoscope_data::Picture;
use dinoscope_data::augment::eval_view;
use dinoscope_data::source::PictureSource;

/// Quality of the sheet as JPEG: small copies of photographs need no more.
const QUALITY: u8 = 82;

/// Small copies side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct SpriteSheet {
    /// Pixels of a copy's side.
    pub side: usize,
    /// Copies in a row.
    pub columns: usize,
    /// All of them, row by row; grey where a picture could not be loaded.
    pub sheet: Picture,
}

impl SpriteSheet {
    /// Copies of the given pictures of a source, in their order: larger ones where there are few.
    pub fn of(source: &dyn PictureSource, pictures: &[usize]) -> Self {
        let side = if pictures.len() <= 1000 { 72 } else { 48 };
        let columns = (pictures.len() as f64).sqrt().ceil().max(1.0) as usize;
        let mut sheet = PictureCanvas::new(columns * side, pictures.len().div_ceil(columns) * side, GRID);
        // Some at a time: large pictures must not all be in memory.
        for (round, some) in pictures.chunks(64).enumerate() {
            let mut copies: Vec<Option<Picture>> = vec![None; some.len()];
            for_chunks(&mut copies, 1, |i, copy| {
                copy[0] = source.load(some[i]).ok().map(|picture| eval_view(&picture, side));
            });
            for (i, copy) in copies.iter().enumerate() {
                let at = round * 64 + i;
                if let Some(copy) = copy {
                    sheet.paste(copy, at % columns * side, at / columns * side);
                }
            }
        }
        Self { side, columns, sheet: sheet.picture() }
    }

    /// The bytes of the sheet as a JPEG file.
    ///
    /// # Errors
    /// When the sheet is larger than the format allows.
    pub fn jpeg(&self) -> Result<Vec<u8>, AnalysisError> {
        let Picture { width, height, rgb, .. } = &self.sheet;
        let mut out = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, QUALITY);
        let (w, h) = (*width as u32, *height as u32);
        image::ImageEncoder::write_image(encoder, rgb, w, h, image::ExtendedColorType::Rgb8)
            .map_err(|source| AnalysisError::Encode { width: *width, height: *height, source })?;
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_data::source::scenes::ScenesSource;

    #[test]
    fn copies_lie_in_reading_order() {
        let source = ScenesSource::new(1, 90, 40);
        let pictures: Vec<usize> = (0..70).map(|i| 89 - i).collect();
        let sprites = SpriteSheet::of(&source, &pictures);
        assert_eq!((sprites.side, sprites.columns), (72, 9));
        assert_eq!((sprites.sheet.width, sprites.sheet.height), (9 * 72, 8 * 72));
        for at in [0, 8, 65, 69] {
            let copy = eval_view(&source.load(pictures[at]).unwrap(), 72);
            let (left, top) = (at % 9 * 72, at / 9 * 72);
            let line = &sprites.sheet.rgb[((top + 5) * sprites.sheet.width + left) * 3..][..72 * 3];
            assert_eq!(line, &copy.rgb[5 * 72 * 3..][..72 * 3], "{at}");
        }
        let back = image::load_from_memory(&sprites.jpeg().unwrap()).unwrap();
        assert_eq!((back.width() as usize, back.height() as usize), (9 * 72, 8 * 72));
    }
}
