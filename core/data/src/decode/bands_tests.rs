//! Grey, opacity, pages, bands and arrays.
#![allow(clippy::unwrap_used)]

use image::{ImageFormat, Luma, LumaA, Rgb, Rgba};
use tiff::encoder::{TiffEncoder, colortype};

use super::*;
use crate::decode::{LeastPictureSize, decode_bytes_as};

fn options(channels: usize) -> DecodeOptions {
    DecodeOptions { channels, ..DecodeOptions::default() }
}

fn read(bytes: &[u8], channels: usize) -> Picture {
    decode_bytes_as("a", bytes, options(channels)).unwrap().picture
}

fn refusal(bytes: &[u8], channels: usize) -> String {
    decode_bytes_as("a.x", bytes, options(channels)).unwrap_err().to_string()
}

fn values(picture: &Picture) -> Vec<Vec<u8>> {
    (0..picture.channels).map(|c| picture.channel(c).collect()).collect()
}

fn png<P: image::PixelWithColorType<Subpixel = u8>>(pixels: &[P]) -> Vec<u8> {
    let mut picture = image::ImageBuffer::<P, Vec<u8>>::new(pixels.len() as u32, 1);
    picture.pixels_mut().zip(pixels).for_each(|(to, from)| *to = *from);
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// Pages of one by two numbers.
fn stack<C: colortype::ColorType<Inner = T>, T>(pages: &[[T; 2]]) -> Vec<u8>
where
    [T]: tiff::encoder::TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    for page in pages {
        encoder.write_image::<C>(2, 1, page).unwrap();
    }
    bytes.into_inner()
}

fn array(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [npy::MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
}

#[test]
fn usual_pictures_become_the_channels_that_are_asked_for() {
    let grey = png(&[Luma([7]), Luma([200])]);
    assert_eq!(values(&read(&grey, 1)), [[7, 200]]);
    assert_eq!(values(&read(&grey, 2)), [[7, 200], [255, 255]]);
    assert_eq!(values(&read(&grey, 4)), [[7, 200], [7, 200], [7, 200], [255, 255]]);
    let seen = png(&[LumaA([7, 0]), LumaA([200, 100])]);
    assert_eq!(values(&read(&seen, 2)), [[7, 200], [0, 100]], "not laid on white");
    assert_eq!(values(&read(&seen, 1))[0][0], 255, "laid on white");
    let colours = png(&[Rgb([10, 200, 30]), Rgb([1, 2, 3])]);
    assert_eq!(values(&read(&colours, 1)), [[124, 2]]);
    assert_eq!(values(&read(&colours, 4)), [[10, 1], [200, 2], [30, 3], [255, 255]]);
    let opaque = png(&[Rgba([10, 200, 30, 0]), Rgba([1, 2, 3, 128])]);
    assert_eq!(values(&read(&opaque, 4)), [[10, 1], [200, 2], [30, 3], [0, 128]], "not laid on white");
    let message = refusal(&colours, 5);
    assert!(
        message.contains("a.x") && message.contains("3 channels") && message.contains(".npy"),
        "{message}"
    );
    assert!(refusal(&opaque, 2).contains("4 channels"));
    assert!(refusal(b"nothing", 4).contains("convert it"));
}

#[test]
fn pages_of_a_tiff_are_channels() {
    let five: Vec<[u8; 2]> = (0..5).map(|page| [10 * page, 10 * page + 1]).collect();
    let bytes = stack::<colortype::Gray8, u8>(&five);
    let picture = read(&bytes, 5);
    assert_eq!(values(&picture), five);
    assert_eq!((picture.width, picture.height), (2, 1));
    assert_eq!(
        read(&bytes, 3).rgb,
        [0, 0, 0, 1, 1, 1],
        "with three channels it is what it was: its first page"
    );
    assert!(refusal(&bytes, 4).contains("5 channels"));
    let deep = stack::<colortype::Gray16, u16>(&[[0, 65_535], [32_768, 257]]);
    assert_eq!(values(&read(&deep, 2)), [[0, 255], [128, 1]]);
    let floats = stack::<colortype::Gray32Float, f32>(&[[-1.0, f32::NAN], [3.0, 1.0]]);
    assert_eq!(values(&read(&floats, 2)), [[0, 0], [255, 128]], "all bands between the same numbers");
    let coloured = stack::<colortype::RGBA8, u8>(&[]);
    assert!(refusal(&coloured, 4).contains("a.x"));
}

#[test]
fn pages_that_are_not_alike_are_refused_and_reduced_copies_passed_over() {
    let of = |sizes: &[(u32, u32)], kind: Option<u32>| {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
        for (index, (width, height)) in sizes.iter().enumerate() {
            let mut image = encoder.new_image::<colortype::Gray8>(*width, *height).unwrap();
            if let Some(kind) = kind.filter(|_| index == 1) {
                image.encoder().write_tag(Tag::NewSubfileType, kind).unwrap();
            }
            image.write_data(&vec![index as u8; (width * height) as usize]).unwrap();
        }
        bytes.into_inner()
    };
    let message = refusal(&of(&[(2, 2), (1, 1)], None), 2);
    assert!(message.contains("page 2") && message.contains("1 × 1"), "{message}");
    let picture = read(&of(&[(2, 2), (1, 1), (2, 2)], Some(1)), 2);
    assert_eq!(values(&picture), [[0; 4], [2; 4]]);
    let many: Vec<[u8; 2]> = vec![[0; 2]; MAX_CHANNELS + 1];
    assert!(refusal(&stack::<colortype::Gray8, u8>(&many), 5).contains("more than 64"));
}

#[test]
fn bands_of_a_page_are_channels() {
    let four = {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
        encoder.write_image::<colortype::RGBA8>(1, 2, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        bytes.into_inner()
    };
    assert_eq!(values(&read(&four, 4)), [[1, 5], [2, 6], [3, 7], [4, 8]]);
    assert_eq!(values(&read(&stack::<colortype::Gray8, u8>(&[[9, 8]]), 4))[..2], [[9, 8], [9, 8]]);
}

#[test]
fn arrays_are_pictures() {
    let five: Vec<u8> = (0..30).collect();
    let behind = read(&array("|u1", "6, 1, 5", &five), 5);
    assert_eq!((behind.width, behind.height, behind.channels), (1, 6, 5));
    assert_eq!(values(&behind)[1], [1, 6, 11, 16, 21, 26]);
    let before = read(&array("|u1", "2, 5, 3", &five), 2);
    assert_eq!((before.width, before.height), (3, 5));
    assert_eq!(values(&before)[1], (15..30).collect::<Vec<u8>>());
    let grey = array("<f4", "1, 2", &[0.25f32.to_le_bytes(), 1.0f32.to_le_bytes()].concat());
    assert_eq!(read(&grey, 1).rgb, [64, 64, 64, 255, 255, 255]);
    assert_eq!(read(&grey, 3).rgb, [64, 64, 64, 255, 255, 255], "and grey becomes colours");
    assert_eq!(read(&array("|u1", "2, 5, 3", &five), AS_THEY_ARE).channels, 2);
    assert_eq!(read(&png(&[Luma([7])]), AS_THEY_ARE).rgb, [7, 7, 7]);
    let halves: Vec<u8> = [0x3800u16, 0x3c00, 0x0001, 0x7e00].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(values(&read(&array("<f2", "2, 2", &halves), 1)), [[128, 255, 0, 0]]);
    assert_eq!([half(0xc000), half(0xfc00)], [-2.0, f32::NEG_INFINITY]);
    let words: Vec<u8> = [0u16, 65_535].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(values(&read(&array("<u2", "1, 2", &words), 1)), [[0, 255]]);
}

#[test]
fn arrays_that_are_no_pictures_are_refused() {
    for (bytes, wanted, said) in [
        (array("|u1", "4,", &[0; 4]), 1, "shape [4]"),
        (array("|u1", "2, 2, 5", &[0; 19]), 5, "incomplete"),
        (array("<c8", "1, 1", &[0; 8]), 1, "<c8"),
        (array("|u1", "0, 5", &[]), 1, "no pixels"),
        (array("|u1", "65, 65, 65", &[0; 65 * 65 * 65]), 1, "65 channels"),
        (array("|u1", "99999999999, 99999999999", &[]), 1, "at most"),
        (array("|u1", "2, 2", &[0; 4]), 5, "one channel"),
        (npy::MAGIC.to_vec(), 3, "numpy.save"),
    ] {
        let message = refusal(&bytes, wanted);
        assert!(message.contains(said) && message.contains("a.x"), "{message}");
    }
}

#[test]
fn every_channel_is_reduced_alike() {
    let planes: Vec<u8> = (0..5 * 64 * 64).map(|i| (i / (64 * 64) * 40 + i % 7) as u8).collect();
    let least = Some(LeastPictureSize { pixels: 256, shorter: 16, longer: 16 });
    let decoded =
        decode_bytes_as("a", &array("|u1", "5, 64, 64", &planes), DecodeOptions { least, ..options(5) })
            .unwrap();
    assert_eq!((decoded.picture.width, decoded.picture.channels, decoded.size), (16, 5, (64, 64)));
    for (c, values) in values(&decoded.picture).iter().enumerate() {
        assert!(values.iter().all(|v| v.abs_diff((c * 40 + 3) as u8) <= 3), "{c}: {values:?}");
    }
}
