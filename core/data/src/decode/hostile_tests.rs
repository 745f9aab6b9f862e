//! Files that were changed at random, and decoders that break down.
#![allow(clippy::unwrap_used)]

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba};

use super::*;
use dinoscope_base::rng::{RngExt, stream};

#[test]
fn a_decoder_that_panics_is_a_damaged_file_with_its_name() {
    let broken = |reason: String| DataError::Decode { name: "holiday.png".to_owned(), reason };
    let range = |end: usize| [0u8; 2][..end].to_vec();
    let failed = catch_panic(|| Ok(range(std::hint::black_box(3)))).map_err(broken).unwrap_err().to_string();
    assert!(failed.starts_with("holiday.png is not a usable picture: it is damaged"), "{failed}");
    assert!(failed.contains("range end index 3"), "{failed}");
    assert_eq!(catch_panic(|| Ok(7)), Ok(7));
}

/// Small pictures of all formats, and of several depths.
fn pictures() -> Vec<Vec<u8>> {
    let encode = |picture: DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let level = |x: u32, y: u32| (x * 37 + y * 59) as u8;
    let rgb = RgbImage::from_fn(9, 7, |x, y| Rgb([level(x, y), level(y, x), 128]));
    let deep = ImageBuffer::from_fn(9, 7, |x, y| Rgba([u16::from(level(x, y)) << 4, 9, 65_535, 1 << y]));
    let grey = ImageBuffer::from_fn(9, 7, |x, y| Luma([u16::from(level(x, y)) << 8]));
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
    ];
    let mut all: Vec<Vec<u8>> =
        formats.into_iter().map(|format| encode(rgb.clone().into(), format)).collect();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        all.push(encode(DynamicImage::ImageRgba16(deep.clone()), format));
        all.push(encode(grey.clone().into(), format));
    }
    let mut float = Cursor::new(Vec::new());
    let numbers: Vec<f32> = (0..63).map(|v| v as f32 - 20.5).collect();
    ::tiff::encoder::TiffEncoder::new_big(&mut float)
        .unwrap()
        .write_image::<::tiff::encoder::colortype::Gray32Float>(9, 7, &numbers)
        .unwrap();
    all.push(float.into_inner());
    // Red, green, blue, and a transparent dark grey: a palette with opacity.
    all.push(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x02\x03\0\0\0\x0f\xd8\xe5\xb7\
          \0\0\0\x0cPLTE\xff\0\0\0\xff\0\0\0\xff\t\t\t\\q~\x86\0\0\0\x04tRNS\xff\xff\xff\0@*\xa9\xf4\
          \0\0\0\x0cIDATx\x9cc\x10`\xd8\0\0\0\xe4\0\xc1'\xa8\xe8W\0\0\0\0IEND\xaeB`\x82"
            .to_vec(),
    );
    all
}

/// Checksums that decoders insist on are set right, so that changes reach what lies behind them.
fn mend_png(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4).and_then(|b| Some(u32::from_be_bytes(b.try_into().ok()?)))
    {
        let end = at + 8 + length as usize;
        let Some(content) = bytes.get(at + 4..end) else { return };
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let Some(place) = bytes.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
}

/// Bytes are changed, cut off, repeated; whatever comes of it, decoding ends with a picture or a reason.
#[test]
fn no_damage_gets_through_as_a_panic() {
    const ROUNDS: u64 = 400;
    let mut refused = 0;
    for (kind, whole) in pictures().into_iter().enumerate() {
        decode_bytes("whole", &whole).unwrap();
        for round in 0..ROUNDS {
            let mut rng = stream(11, "damage", kind as u64, round);
            let mut bytes = whole.clone();
            for _ in 0..rng.random_range(1..=4) {
                let at = rng.random_range(0..bytes.len());
                match rng.random_range(0..6) {
                    0 => bytes[at] ^= 1 << rng.random_range(0..8),
                    1 => bytes[at] = 0xff,
                    2 => bytes[at] = 0,
                    3 => bytes[at] = rng.random_range(0..=255u32) as u8,
                    4 => bytes.truncate(at.max(1)),
                    _ => {
                        let part = bytes[at..bytes.len().min(at + 6)].to_vec();
                        bytes.splice(at..at, part);
                    }
                }
            }
            if bytes.starts_with(b"\x89PNG") && round % 2 == 0 {
                mend_png(&mut bytes);
            }
            // Small pictures stay small, or are refused: nobody waits for gigabytes here.
            match catch_panic(|| decode(&bytes, DecodeOptions::default(), 16 << 20)) {
                Ok(DecodedPicture { picture, .. }) => {
                    assert_eq!(picture.rgb.len(), 3 * picture.width * picture.height);
                }
                Err(reason) => {
                    assert!(!reason.is_empty());
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}
