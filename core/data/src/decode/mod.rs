//! Files and bytes to pictures: any supported format, turned upright, 8-bit RGB, within limits.

pub mod animation;
mod bands;
pub mod depth;
mod kinds;
mod limit;
mod quiet;
mod reduced;
pub mod survey;
mod tiff;
mod tiff_entries;

use std::io::Cursor;
use std::path::Path;
pub(crate) use tiff::is_tiff;
pub(crate) use tiff_entries::check as check_tiff_entries;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{DataError, Picture, RGB, archive};
use depth::{IntensityMapping, IntensityRange, SampleKind};
use dinoscope_base::files;

pub use kinds::conversion_hint;
pub use reduced::LeastPictureSize;

/// File name extensions of the formats that can be decoded, in lower case.
pub const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"];
/// The formats that can be decoded, for messages.
pub const FORMATS: &str = "JPEG, PNG, WebP, GIF, BMP or TIFF";
/// Most pixels a side that any of the formats has.
pub const MAX_SIDE: u32 = 65_535;
/// Most pixels of what belongs to a picture and is no picture file: depth, and what a page hands over.
pub const MAX_PIXELS: u64 = 1 << 27;

/// A decoded picture, and what its file held where that was deeper than 8 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedPicture {
    /// Upright, 8-bit RGB.
    pub picture: Picture,
    /// Width and height of the file's picture, upright, of which `picture` may be a reduced copy.
    pub size: (usize, usize),
    /// The file's numbers; `None` for 8 bits and fewer.
    pub depth: Option<IntensityMapping>,
}

impl DecodedPicture {
    /// Whether the picture is whole, or large enough for what asks for this size; all pixels are asked for without one.
    pub fn suffices(&self, least: Option<LeastPictureSize>) -> bool {
        let have = (self.picture.width, self.picture.height);
        let reduced = least.and_then(|least| least.of(self.size.0, self.size.1));
        have == self.size || reduced.is_some_and(|(width, height)| have.0 >= width && have.1 >= height)
    }
}

/// How much of a picture's file is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecodeOptions {
    /// What becomes black and white in files of more than 8 bits.
    pub range: IntensityRange,
    /// The size that is enough; all pixels where there is none.
    pub least: Option<LeastPictureSize>,
    /// How many channels: with three, every file becomes colours; [`AS_THEY_ARE`] is good for looking at.
    pub channels: usize,
}

/// As many channels as an array has; colours of every other file.
pub const AS_THEY_ARE: usize = 0;

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { range: IntensityRange::default(), least: None, channels: RGB }
    }
}

impl From<IntensityRange> for DecodeOptions {
    fn from(range: IntensityRange) -> Self {
        Self { range, ..Self::default() }
    }
}

/// Decodes a picture file; see [`decode_bytes`].
///
/// # Errors
/// [`DataError::Read`] when the file can't be read, [`DataError::Decode`] when it is no usable picture.
pub fn decode_file(path: &Path) -> Result<Picture, DataError> {
    decode_file_as(path, DecodeOptions::default()).map(|decoded| decoded.picture)
}

/// [`decode_file`] with a choice of size, and of what becomes black and white where the file is deeper than 8 bits.
///
/// # Errors
/// As [`decode_file`].
pub fn decode_file_as(path: &Path, options: DecodeOptions) -> Result<DecodedPicture, DataError> {
    decode_bytes_as(&path.display().to_string(), &file_bytes(path)?, options)
}

/// The content of a picture file, or of one in an archive.
///
/// # Errors
/// When it can't be read, or is larger than any picture that is decoded.
pub fn file_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let name = path.display().to_string();
    let read = |source| DataError::Read { path: name.clone(), source };
    let most = limit::bytes();
    if let Some(member) = archive::read(path, most) {
        return member;
    }
    let size = files::metadata(path).map_err(read)?.len();
    if size > most {
        let reason = format!("the file has {}; {}", dinoscope_base::bytes::shown(size), limit::said(most));
        return Err(DataError::Decode { name, reason });
    }
    files::read(path).map_err(read)
}

/// Decodes a picture from the content of a file.
///
/// The format is told from the content, whatever the name. The result is upright (the EXIF orientation is
/// applied) and 8-bit RGB: deeper colour is reduced as [`IntensityRange::Fixed`] says, grey and CMYK are converted,
/// transparency is laid on white, and of an animation the first frame is taken. Colour profiles are ignored, as the
/// reference does. With another number of channels than three they stay as they are: grey, grey and opacity, colours and
/// opacity, the bands of all pages of a TIFF, the last or first side of an `.npy` file. Pictures that are decoded at the same time together stay within the limit of a single one.
///
/// # Errors
/// [`DataError::Decode`] says, for a picture called `name`, what is wrong and the way out; also where the decoder
/// itself breaks down.
pub fn decode_bytes(name: &str, bytes: &[u8]) -> Result<Picture, DataError> {
    decode_bytes_as(name, bytes, DecodeOptions::default()).map(|decoded| decoded.picture)
}

/// [`decode_bytes`] with a choice of size, and of what becomes black and white where the file is deeper than 8 bits.
///
/// # Errors
/// As [`decode_bytes`].
pub fn decode_bytes_as(
    name: &str,
    bytes: &[u8],
    options: DecodeOptions,
) -> Result<DecodedPicture, DataError> {
    let most = limit::bytes();
    let reduced = |decoded: DecodedPicture| match options.least {
        Some(least) => DecodedPicture { picture: reduced::reduced(decoded.picture, least), ..decoded },
        None => decoded,
    };
    catch_panic(|| decode(bytes, options, most).map(reduced))
        .map_err(|reason| DataError::Decode { name: name.to_owned(), reason })
}

/// Runs a decoder of another crate. Some files make one panic; that is a fault of the file, not of the whole program.
fn catch_panic<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    quiet::caught(work).unwrap_or_else(|panic| {
        Err(format!(
            "it is damaged in a way that its decoder breaks down over ({panic}); copy or export it again"
        ))
    })
}

fn decode(bytes: &[u8], options: DecodeOptions, most: u64) -> Result<DecodedPicture, String> {
    let DecodeOptions { range, least, channels } = options;
    if channels != RGB || bands::is_array(bytes) {
        return bands::decode(bytes, options, most);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    if tiff::is_tiff(bytes) {
        if let Some(decoded) = tiff::decode(bytes, range, most)? {
            return Ok(decoded);
        }
        // `image` knows the classic signature alone, but reads both.
        reader.set_format(ImageFormat::Tiff);
    }
    let Some(format) = reader.format().filter(ImageFormat::reading_enabled) else {
        return Err(kinds::unknown_format(bytes));
    };
    if format == ImageFormat::Jpeg {
        kinds::check_jpeg(bytes)?;
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(most);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| explain(e, most))?;

    let (width, height) = decoder.dimensions();
    let room = limit::room_for((width, height), decoder.total_bytes(), most)?;
    // A picture with broken EXIF data is still a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let size = match is_turned(orientation) {
        true => (height as usize, width as usize),
        false => (width as usize, height as usize),
    };
    let scaled = least.filter(|_| format == ImageFormat::Jpeg);
    if let Some(rgb) = scaled.and_then(|least| reduced::scaled_jpeg(bytes, (width, height), least)) {
        return Ok(DecodedPicture { picture: upright(rgb, orientation), size, depth: None });
    }
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(|e| explain(e, most))?;
    let depth = stretch(&mut decoded, range);
    let rgb = match decoded.color().has_alpha() {
        true => on_white(decoded),
        false => decoded.into_rgb8(),
    };
    let picture = upright(rgb, orientation);
    drop(room);
    Ok(DecodedPicture { picture, size, depth })
}

/// Whether width and height change places.
fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Turns a picture as its file says.
fn upright(rgb: image::RgbImage, orientation: Orientation) -> Picture {
    let mut upright = DynamicImage::ImageRgb8(rgb);
    upright.apply_orientation(orientation);
    let rgb = upright.into_rgb8();
    Picture::of_rgb(rgb.width() as usize, rgb.height() as usize, rgb.into_raw())
}

/// What 16-bit samples held; they are stretched to their whole range unless that is what they are taken as anyway.
fn stretch(picture: &mut DynamicImage, range: IntensityRange) -> Option<IntensityMapping> {
    let (samples, channels): (&mut [u16], usize) = match picture {
        DynamicImage::ImageLuma16(p) => (&mut **p, 1),
        DynamicImage::ImageLumaA16(p) => (&mut **p, 2),
        DynamicImage::ImageRgb16(p) => (&mut **p, 3),
        DynamicImage::ImageRgba16(p) => (&mut **p, 4),
        _ => return None,
    };
    // Behind the colours stands the opacity.
    let colours = channels - usize::from(channels.is_multiple_of(2));
    let of_pixels = || samples.chunks_exact(channels).flat_map(|pixel| &pixel[..colours]);
    let found = of_pixels().fold((u16::MAX, 0), |(low, high), v| (low.min(*v), high.max(*v)));
    let depth = IntensityMapping::new(SampleKind::Words, (f64::from(found.0), f64::from(found.1)), range);
    if range != IntensityRange::Fixed {
        let levels: Vec<u16> =
            (0..=u16::MAX).map(|v| (65_535.0 * depth.share(f64::from(v))).round() as u16).collect();
        for pixel in samples.chunks_exact_mut(channels) {
            pixel[..colours].iter_mut().for_each(|v| *v = levels[usize::from(*v)]);
        }
    }
    Some(depth)
}

fn on_white(picture: DynamicImage) -> image::RgbImage {
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut rgb = image::RgbImage::new(width, height);
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [colors @ .., alpha] = from.0;
        to.0 = colors.map(|color| over_white(color, alpha));
    }
    rgb
}

fn over_white(color: u8, alpha: u8) -> u8 {
    let (color, alpha) = (u32::from(color), u32::from(alpha));
    ((color * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn explain(error: ImageError, most: u64) -> String {
    match error {
        ImageError::Unsupported(e) => kinds::unsupported(&e.to_string()),
        ImageError::Limits(_) => limit::said(most),
        e => damaged(&e.to_string()),
    }
}

fn damaged(error: &str) -> String {
    format!("it is damaged or incomplete ({error}); copy or export it again")
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
