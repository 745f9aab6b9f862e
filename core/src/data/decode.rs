//! Files and bytes to pictures: any supported format, turned upright, 8-bit RGB, within limits.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{DataError, Picture};
use crate::files;

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
    let size = files::metadata(path).map_err(read)?.len();
    if size > MAX_BYTES {
        let reason = format!("the file has {} MiB; at most {} are read", size >> 20, MAX_BYTES >> 20);
        return Err(DataError::Decode { name, reason });
    }
    let bytes = files::read(path).map_err(read)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    /// Three columns, two rows: red, green, blue; black, grey, white. Each "pixel" is 16 real ones a side, for JPEG.
    fn test_card() -> RgbImage {
        const COLORS: [[u8; 3]; 6] =
            [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [128, 128, 128], [255, 255, 255]];
        RgbImage::from_fn(48, 32, |x, y| Rgb(COLORS[(x / 16 + 3 * (y / 16)) as usize]))
    }

    fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
        picture.rgb.as_chunks::<3>().0[y * picture.width + x]
    }

    fn reason(bytes: &[u8]) -> String {
        let message = decode_bytes("holiday.jpg", bytes).unwrap_err().to_string();
        assert!(message.starts_with("holiday.jpg is not a usable picture: "), "{message}");
        message
    }

    /// A JPEG with an EXIF segment that holds nothing but an orientation.
    fn oriented(orientation: u8) -> Vec<u8> {
        let mut exif =
            b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
        exif[29] = orientation;
        let mut bytes = encode(test_card(), ImageFormat::Jpeg);
        bytes.splice(2..2, exif);
        bytes
    }

    /// The header of a BMP file of 24-bit pixels, and none of its pixels.
    fn bmp_header(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend([1, 0, 24, 0]);
        bytes.resize(54, 0);
        bytes
    }

    #[test]
    fn every_format_is_decoded_whatever_its_name() {
        let card = test_card();
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
            let picture = decode_bytes("wrong.gif", &encode(card.clone(), format)).unwrap();
            assert_eq!((picture.width, picture.height), (48, 32));
            assert_eq!(&picture.rgb, card.as_raw(), "{format:?}");
        }
        for format in [ImageFormat::Jpeg, ImageFormat::Gif] {
            let picture = decode_bytes("wrong.png", &encode(card.clone(), format)).unwrap();
            let worst = picture.rgb.iter().zip(card.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst < Some(90), "{format:?}: {worst:?}");
            assert_eq!(pixel(&picture, 40, 24).map(|byte| byte >> 4), [15; 3]);
        }
    }

    #[test]
    fn pictures_are_turned_upright() {
        let upright = decode_bytes("1", &oriented(1)).unwrap();
        assert!(pixel(&upright, 4, 4)[0] > 200, "red at the top left");
        let turned = decode_bytes("6", &oriented(6)).unwrap();
        assert_eq!((turned.width, turned.height), (32, 48));
        assert!(pixel(&turned, 27, 4)[0] > 200, "red at the top right");
        assert!(pixel(&turned, 27, 43)[2] > 200, "blue at the bottom right");
        let mirrored = decode_bytes("2", &oriented(2)).unwrap();
        assert!(pixel(&mirrored, 43, 4)[0] > 200, "red at the top right");
        assert_eq!(decode_bytes("99", &oriented(99)).unwrap(), upright);
    }

    #[test]
    fn deep_grey_and_palette_pictures_become_8_bit_rgb() {
        let deep = ImageBuffer::from_pixel(2, 1, Rgb([0x8080u16, 0xffff, 0]));
        assert_eq!(
            decode_bytes("", &encode(deep, ImageFormat::Png)).unwrap().rgb,
            [128, 255, 0, 128, 255, 0]
        );
        let deep_grey = ImageBuffer::from_pixel(1, 1, Luma([0x4040u16]));
        assert_eq!(decode_bytes("", &encode(deep_grey, ImageFormat::Png)).unwrap().rgb, [64; 3]);
        let grey = GrayImage::from_pixel(1, 1, Luma([7]));
        assert_eq!(decode_bytes("", &encode(grey, ImageFormat::Png)).unwrap().rgb, [7; 3]);
        // Red, green, blue, and a transparent dark grey.
        let palette = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x02\x03\0\0\0\x0f\xd8\xe5\xb7\
            \0\0\0\x0cPLTE\xff\0\0\0\xff\0\0\0\xff\t\t\t\\q~\x86\0\0\0\x04tRNS\xff\xff\xff\0@*\xa9\xf4\
            \0\0\0\x0cIDATx\x9cc\x10`\xd8\0\0\0\xe4\0\xc1'\xa8\xe8W\0\0\0\0IEND\xaeB`\x82";
        let picture = decode_bytes("", palette).unwrap();
        assert_eq!(picture.rgb, [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]);
    }

    #[test]
    fn transparency_is_laid_on_white() {
        let picture = RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 50, [0, 128, 255][x as usize]]));
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let decoded = decode_bytes("", &encode(picture.clone(), format)).unwrap();
            assert_eq!(decoded.rgb, [255, 255, 255, 227, 127, 152, 200, 0, 50], "{format:?}");
        }
    }

    #[test]
    fn of_an_animation_the_first_frame_is_taken() {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for red in [255, 0] {
            encoder
                .encode_frame(image::Frame::new(RgbaImage::from_pixel(2, 2, Rgba([red, 0, 0, 255]))))
                .unwrap();
        }
        drop(encoder);
        assert_eq!(pixel(&decode_bytes("", &bytes).unwrap(), 0, 0), [255, 0, 0]);
    }

    #[test]
    fn a_cut_off_file_is_refused_or_was_complete_already() {
        for format in [
            ImageFormat::Jpeg,
            ImageFormat::Png,
            ImageFormat::WebP,
            ImageFormat::Gif,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
        ] {
            let bytes = encode(test_card(), format);
            let whole = decode_bytes("", &bytes).unwrap();
            for cut in 1..bytes.len() {
                if let Ok(picture) = decode_bytes("", &bytes[..cut]) {
                    assert_eq!(picture, whole, "{format:?}, {cut} of {} bytes", bytes.len());
                }
            }
        }
        assert!(reason(&oriented(6)[..400]).contains("breaks off"));
    }

    #[test]
    fn what_is_no_picture_is_told_apart() {
        assert!(reason(b"").contains("the file is empty"));
        assert!(reason(b"<html>404 Not Found</html>").contains("JPEG, PNG"));
        assert!(reason(b"\0\0\0\x18ftypheic").contains("HEIC"));
        assert!(reason(b"\x89PNG\r\n\x1a\nrubbish").contains("damaged or incomplete"));
    }

    #[test]
    fn pictures_beyond_the_limits_are_refused_with_their_size() {
        let wide = reason(&bmp_header(20_000, 10));
        assert!(wide.contains("20000 × 10") && wide.contains("16384 a side"), "{wide}");
        let large = reason(&bmp_header(16_384, 16_384));
        assert!(large.contains("134 megapixels") && large.contains("make it smaller"), "{large}");
        assert!(reason(&bmp_header(0, 16)).contains("holiday.jpg"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = decode_file(Path::new("no/such/picture.png")).unwrap_err().to_string();
        assert!(message.contains("can't read no/such/picture.png"), "{message}");
    }
}
