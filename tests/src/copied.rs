//! Pictures with a copy each whose truth is known: as copies differ in the wild, by crops, compression, blur, colours, mirrors
//! and text.

use std::fs;
use std::io::Error;
use std::path::Path;

use dinoscope_core::data::Picture;
use dinoscope_core::data::augment::{
    CropBox, brightness, contrast, flip_horizontal, gaussian_blur, hue, resize_to, resized_crop, saturation,
};
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::data::source::procedural::ProceduralSource;
use dinoscope_core::data::source::scenes::{SceneKind, ScenesSource};
use dinoscope_core::rng::{self, RngExt};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

/// How copies differ from what they are copies of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopyKind {
    /// A window of 70 to 95 % of both sides, anywhere.
    Crop,
    /// JPEG at a quality of 30.
    Jpeg,
    /// Gaussian blur of 1 to 2 hundredths of the side.
    Blur,
    /// Brightness, contrast and saturation by up to 30 %, hue by up to a twentieth.
    Colour,
    /// Left and right exchanged.
    Mirror,
    /// A word over it, up to nine tenths wide.
    Text,
    /// Half the size, both ways.
    Half,
}

impl CopyKind {
    /// Those that copies are judged by.
    pub const JUDGED: [Self; 6] =
        [Self::Crop, Self::Jpeg, Self::Blur, Self::Colour, Self::Mirror, Self::Text];

    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crop => "crop",
            Self::Jpeg => "jpeg",
            Self::Blur => "blur",
            Self::Colour => "colour",
            Self::Mirror => "mirror",
            Self::Text => "text",
            Self::Half => "half",
        }
    }

    /// A copy of this kind; what it leaves open is drawn from `seed`.
    pub fn apply(self, picture: &Picture, seed: u64) -> Picture {
        let mut stream = rng::stream(seed, "copy", 0, 0);
        let mut out = picture.clone();
        let (width, height) = (picture.width, picture.height);
        match self {
            Self::Crop => {
                let share = stream.random_range(0.7..0.95);
                let (across, down) = ((width as f64 * share) as usize, (height as f64 * share) as usize);
                let crop = CropBox {
                    left: stream.random_range(0..=width - across),
                    top: stream.random_range(0..=height - down),
                    width: across,
                    height: down,
                };
                return resized_crop(picture, crop, across, down);
            }
            Self::Jpeg => {}
            Self::Blur => {
                gaussian_blur(&mut out, width.min(height) as f32 * stream.random_range(0.01..0.02));
            }
            Self::Colour => {
                brightness(&mut out, stream.random_range(0.7..1.3));
                contrast(&mut out, stream.random_range(0.7..1.3));
                saturation(&mut out, stream.random_range(0.7..1.3));
                hue(&mut out, stream.random_range(-0.05..0.05));
            }
            Self::Mirror => flip_horizontal(&mut out),
            Self::Text => write_over(&mut out, &mut stream),
            Self::Half => return resize_to(picture, width / 2, height / 2),
        }
        out
    }
}

/// Letters of 5 × 7 dots, rows from the top, the leftmost dot in the fifth bit.
const LETTERS: [[u8; 7]; 8] = [
    [0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11],
    [0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e],
    [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f],
    [0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11],
    [0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11],
    [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
    [0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11],
    [0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04],
];

/// A white word with a black rim.
fn write_over(picture: &mut Picture, stream: &mut rng::Stream) {
    let word: Vec<[u8; 7]> =
        (0..stream.random_range(4..9usize)).map(|_| LETTERS[stream.random_range(0..8)]).collect();
    // A letter is six dots wide with the gap behind it.
    let dot = (picture.width as f64 * stream.random_range(0.6..0.9) / (6 * word.len()) as f64).max(1.0);
    let (across, down) = (dot * (6 * word.len()) as f64, dot * 7.0);
    let left = stream.random_range(0.0..=(picture.width as f64 - across).max(0.0));
    let top = stream.random_range(0.0..=(picture.height as f64 - down).max(0.0));
    let is_ink = |x: f64, y: f64| {
        let (x, y) = (((x - left) / dot).floor(), ((y - top) / dot).floor());
        let inside = x >= 0.0 && (0.0..7.0).contains(&y);
        let letter = word.get((x.max(0.0) / 6.0) as usize).filter(|_| inside);
        letter.is_some_and(|rows| (x as usize % 6) < 5 && rows[y as usize] >> (4 - x as usize % 6) & 1 == 1)
    };
    let rim = (dot / 3.0).max(1.0);
    for y in 0..picture.height {
        for x in 0..picture.width {
            let (px, py) = (x as f64 + 0.5, y as f64 + 0.5);
            let near = || {
                [(-rim, 0.0), (rim, 0.0), (0.0, -rim), (0.0, rim)]
                    .iter()
                    .any(|(dx, dy)| is_ink(px + dx, py + dy))
            };
            let value = if is_ink(px, py) {
                255
            } else if near() {
                0
            } else {
                continue;
            };
            picture.rgb[3 * (y * picture.width + x)..][..3].fill(value);
        }
    }
}

/// Writes a picture, as a JPEG file of this quality where the name says so.
///
/// # Errors
/// What the system says.
pub fn save(picture: &Picture, path: &Path, quality: u8) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let image = RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.rgb.clone())
        .ok_or_else(|| Error::other("pixels do not fit"))?;
    match path.extension().is_some_and(|kind| kind == "jpg") {
        true => image.write_with_encoder(JpegEncoder::new_with_quality(fs::File::create(path)?, quality)),
        false => image.save(path),
    }
    .map_err(Error::other)
}

/// Lays down `FOLDER/plain/N.png` and `FOLDER/KIND/N.*`, a copy of it, half of them scenes and half of them procedural; kinds
/// take turns.
///
/// # Errors
/// What the system says.
pub fn lay_down(folder: &Path, pairs: usize, kinds: &[CopyKind]) -> Result<(), Error> {
    let (scenes, drawn) =
        (ScenesSource::of_kind(SceneKind::Varied, 11, pairs, 128), ProceduralSource::new(12, pairs, 128));
    for i in 0..pairs {
        let picture = if i % 2 == 0 { scenes.load(i) } else { drawn.load(i) }.map_err(Error::other)?;
        save(&picture, &folder.join(format!("plain/{i:05}.png")), 100)?;
        // Both sources have copies of all kinds.
        let kind = kinds[i / 2 % kinds.len()];
        let ending = if kind == CopyKind::Jpeg { "jpg" } else { "png" };
        save(&kind.apply(&picture, i as u64), &folder.join(format!("{}/{i:05}.{ending}", kind.name())), 30)?;
    }
    Ok(())
}
