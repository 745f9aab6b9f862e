//! Formats, orientation, depth, limits: what is decoded and what is refused how.
#![allow(clippy::unwrap_used)]

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
    assert_eq!(decode_bytes("", &encode(deep, ImageFormat::Png)).unwrap().rgb, [128, 255, 0, 128, 255, 0]);
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
        encoder.encode_frame(image::Frame::new(RgbaImage::from_pixel(2, 2, Rgba([red, 0, 0, 255])))).unwrap();
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
    let large = reason(&bmp_header(30_000, 30_000));
    assert!(large.contains("30000 × 30000") && large.contains("DINOSCOPE_MAX_PICTURE_MIB"), "{large}");
    assert!(reason(&bmp_header(0, 16)).contains("holiday.jpg"));
    // 300 megapixels are within the usual limit, and long ones are: what fails is that no pixel follows.
    for (width, height) in [(20_000, 15_000), (60_000, 10)] {
        assert!(reason(&bmp_header(width, height)).contains("damaged or incomplete"));
    }
    let small = encode(test_card(), ImageFormat::Png);
    assert!(decode(&small, DecodeOptions::default(), 48 * 32 * 3).is_ok());
    assert!(decode(&small, DecodeOptions::default(), 48 * 32 * 3 - 1).unwrap_err().contains("48 × 32"));
}

#[test]
fn phones_pictures_and_other_kinds_are_named_with_the_way_out() {
    let ftyp = |brand: &str| [b"\0\0\0\x18ftyp".as_slice(), brand.as_bytes(), &[0; 20]].concat();
    for (bytes, what, way) in [
        (ftyp("heic"), "HEIC", "heif-convert"),
        (ftyp("mif1"), "HEIC", "sips"),
        (ftyp("avif"), "AVIF", "magick mogrify"),
        (ftyp("qt  "), "a video", "ffmpeg"),
        (ftyp("crx "), "raw", "darktable-cli"),
        (b"\xff\x0a\0\0".to_vec(), "JPEG XL", "djxl"),
        ([vec![0; 128], b"DICM".to_vec()].concat(), "DICOM", "dcmj2pnm"),
        (b"8BPS\0\x01".to_vec(), "Photoshop", "export it as JPEG"),
    ] {
        let said = reason(&bytes);
        assert!(said.contains(what) && said.contains(way) && !said.contains("damaged"), "{said}");
    }
}

/// A JPEG whose frame has another marker and another number of bits.
fn reframed(marker: u8, bits: u8) -> Vec<u8> {
    let mut bytes = encode(test_card(), ImageFormat::Jpeg);
    let at = bytes.windows(2).position(|pair| matches!(pair, [0xff, 0xc0..=0xc2])).unwrap();
    (bytes[at + 1], bytes[at + 4]) = (marker, bits);
    bytes
}

#[test]
fn variants_of_jpeg_that_are_not_read_are_called_so() {
    for (marker, bits, what) in [
        (0xc1, 12, "a JPEG of 12 bits"),
        (0xc3, 8, "a lossless JPEG"),
        (0xc3, 16, "a lossless JPEG"),
        (0xc9, 8, "arithmetic coding"),
        (0xca, 8, "arithmetic coding"),
        (0xcb, 8, "lossless JPEG with arithmetic"),
        (0xc5, 8, "hierarchical"),
        (0xf7, 8, "JPEG-LS"),
    ] {
        let said = reason(&reframed(marker, bits));
        assert!(said.contains(what) && said.contains("not supported"), "{said}");
        assert!(said.contains("OUT.png") && !said.contains("damaged"), "{said}");
    }
}

#[test]
fn deep_pictures_are_read_in_the_range_that_was_chosen() {
    // 12 bits in 16, and the same in 8 bits.
    let twelve = |v: u8| (f64::from(v) / 255.0 * 4095.0).round() as u16;
    let eight = GrayImage::from_fn(16, 16, |x, y| Luma([(y * 16 + x) as u8]));
    let deep = ImageBuffer::from_fn(16, 16, |x, y| Luma([twelve((y * 16 + x) as u8)]));
    let colour = ImageBuffer::from_fn(16, 16, |x, y| {
        let v = twelve((y * 16 + x) as u8);
        Rgba([v, v, v, 65_535])
    });
    let wanted = decode_bytes("", &encode(eight, ImageFormat::Png)).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        for bytes in [encode(deep.clone(), format), encode(DynamicImage::ImageRgba16(colour.clone()), format)]
        {
            let dark = decode_bytes_as("", &bytes, DecodeOptions::default()).unwrap();
            assert_eq!(*dark.picture.rgb.iter().max().unwrap(), 16);
            let depth = dark.depth.unwrap();
            assert_eq!((depth.found, depth.shown), ((0.0, 4095.0), (0.0, 65_535.0)));
            for range in [IntensityRange::File, "0..4095".parse().unwrap()] {
                let read = decode_bytes_as("", &bytes, range.into()).unwrap();
                let worst = read.picture.rgb.iter().zip(&wanted.rgb).map(|(a, b)| a.abs_diff(*b)).max();
                assert_eq!(worst, Some(0), "{format:?} {range}");
            }
        }
    }
    // 8 bits are what they are.
    let usual =
        decode_bytes_as("", &encode(test_card(), ImageFormat::Png), IntensityRange::File.into()).unwrap();
    assert_eq!((&usual.picture.rgb, usual.depth), (test_card().as_raw(), None));
}

#[test]
fn a_missing_file_is_named() {
    let message = decode_file(Path::new("no/such/picture.png")).unwrap_err().to_string();
    assert!(message.contains("can't read no/such/picture.png"), "{message}");
}
