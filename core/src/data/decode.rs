//! Files and bytes to pictures: any supported format, turned upright, 8-bit RGB, within limits.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{DataError, Picture};

/// File name extensions of the formats that can be decoded, in lower case.
pub const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"];
/// The formats that can be decoded, for messages.
pub const FORMATS: &str = "JPEG, PNG, WebP, GIF, BMP or TIFF";
/// Most pixels a side; larger pictures are refused before their pixels are decoded.
pub const MAX_SIDE: u32 = 16_384;
/// Most pixels in all: room for cameras of 100 megapixels.
pub const MAX_PIXELS: u64 = 1 << 27;

/// Most bytes that a decoder may allocate, and the largest file that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Decodes a picture file; see [`decode_bytes`].
///
/// # Errors
/// [`DataError::Read`] when the file can't be read, [`DataError::Decode`] when it is no usable picture.
pub fn decode_file(path: &Path) -> Result<Picture, DataError> {
    let name = path.display().to_string();
    let read = |source| DataError::Read { path: name.clone(), source };
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > MAX_BYTES {
        let reason = format!("the file has {} MiB; at most {} are read", size >> 20, MAX_BYTES >> 20);
        return Err(DataError::Decode { name, reason });
    }
    let bytes = std::fs::read(path).map_err(read)?;
    decode_bytes(&name, &bytes)
}

/// Decodes a picture from the content of a file.
///
/// The format is told from the content, whatever the name. The result is upright (the EXIF orientation is
/// applied) and 8-bit RGB: deeper colour is reduced, grey and CMYK are converted, transparency is laid on white,
/// and of an animation the first frame is taken. Colour profiles are ignored, as the reference does.
///
/// # Errors
/// [`DataError::Decode`] says, for a picture called `name`, what is wrong and the way out.
pub fn decode_bytes(name: &str, bytes: &[u8]) -> Result<Picture, DataError> {
    decode(bytes).map_err(|reason| DataError::Decode { name: name.to_owned(), reason })
}

fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let Some(format) = reader.format().filter(ImageFormat::reading_enabled) else {
        return Err(unknown_format(bytes));
    };
    if format == ImageFormat::Jpeg && !has_end_of_image(bytes) {
        return Err("the JPEG breaks off before its end; copy or export it again".to_owned());
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(explain)?;

    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("it has no pixels ({width} × {height})"));
    }
    if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS || decoder.total_bytes() > MAX_BYTES {
        return Err(format!(
            "it has {width} × {height} pixels of {} bytes; at most {MAX_SIDE} a side, {} megapixels and {} MiB in \
             all are decoded; make it smaller first",
            decoder.color_type().bytes_per_pixel(),
            MAX_PIXELS / 1_000_000,
            MAX_BYTES >> 20,
        ));
    }
    // A picture with broken EXIF data is still a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(explain)?;
    let mut upright = DynamicImage::ImageRgb8(match decoded.color().has_alpha() {
        true => on_white(decoded),
        false => decoded.into_rgb8(),
    });
    upright.apply_orientation(orientation);
    let rgb = upright.into_rgb8();
    Ok(Picture { width: rgb.width() as usize, height: rgb.height() as usize, rgb: rgb.into_raw() })
}

fn on_white(picture: DynamicImage) -> image::RgbImage {
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut rgb = image::RgbImage::new(width, height);
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [colors @ .., alpha] = from.0.map(u32::from);
        to.0 = colors.map(|color| ((color * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    rgb
}

/// Whether JPEG data runs to its end marker. The decoder doesn't tell: it fills what is missing with grey.
fn has_end_of_image(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Segments, with their lengths, up to the start of the first scan. EXIF thumbnails in them have end markers too.
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        if marker == 0xda {
            // Inside scans, 0xff is followed by zero or a restart marker unless it is a marker itself.
            return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]);
        }
        at += match marker {
            0xff => 1,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
    }
    false
}

fn unknown_format(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        "the file is empty".to_owned()
    } else if bytes.get(4..8) == Some(b"ftyp") {
        format!("it is HEIC, AVIF or a video, which can't be read; export it as {FORMATS}")
    } else {
        format!("its content is not {FORMATS}; convert it to one of these, or leave it out")
    }
}

fn explain(error: ImageError) -> String {
    match error {
        ImageError::Unsupported(e) => format!("{e}; export it again in a common variant of {FORMATS}"),
        ImageError::Limits(_) => {
            format!("it takes more than {} MiB to decode; make it smaller first", MAX_BYTES >> 20)
        }
        e => format!("it is damaged or incomplete ({e}); copy or export it again"),
    }
}
