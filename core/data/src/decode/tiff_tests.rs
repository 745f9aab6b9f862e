//! Floats, signed and 32-bit numbers, bands, and BigTIFF.
#![allow(clippy::unwrap_used)]

use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::PhotometricInterpretation;

use super::*;
use crate::decode::{decode_bytes, decode_bytes_as};

const FIXED: IntensityRange = IntensityRange::Fixed;

/// A grey file of two by two numbers.
fn grey<C: colortype::ColorType<Inner = T>, T>(values: &[T]) -> Vec<u8>
where
    [T]: tiff::encoder::TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    TiffEncoder::new(&mut bytes).unwrap().write_image::<C>(2, 2, values).unwrap();
    bytes.into_inner()
}

/// Levels of grey and what was found, in the range given.
fn levels(bytes: &[u8], range: IntensityRange) -> (Vec<u8>, IntensityMapping) {
    let decoded = decode_bytes_as("", bytes, range.into()).unwrap();
    assert_eq!((decoded.picture.width, decoded.picture.height), (2, 2));
    let grey = decoded.picture.rgb.as_chunks::<3>().0.iter().map(|[red, green, blue]| {
        assert!(red == green && green == blue);
        *red
    });
    (grey.collect(), decoded.depth.unwrap())
}

#[test]
fn floats_from_0_to_1_are_taken_as_they_are_and_others_are_stretched() {
    let unit = grey::<colortype::Gray32Float, f32>(&[0.0, 0.25, 0.5, 0.8]);
    let (found, depth) = levels(&unit, FIXED);
    assert_eq!((found, depth.shown), (vec![0, 64, 128, 204], (0.0, 1.0)));
    let celsius = grey::<colortype::Gray32Float, f32>(&[-20.0, 0.0, 10.0, 80.0]);
    assert_eq!(levels(&celsius, FIXED).0, [0, 51, 77, 255]);
    assert_eq!(levels(&celsius, "0..100".parse().unwrap()).0, [0, 0, 26, 204]);
    let double = grey::<colortype::Gray64Float, f64>(&[1e9, 2e9, 3e9, 5e9]);
    assert_eq!(levels(&double, FIXED).0, [0, 64, 128, 255]);
}

#[test]
fn numbers_below_0_and_of_32_bits_are_stretched() {
    let signed = grey::<colortype::GrayI16, i16>(&[-1000, 0, 1000, 3000]);
    let (found, depth) = levels(&signed, FIXED);
    assert_eq!((found, depth.found), (vec![0, 64, 128, 255], (-1000.0, 3000.0)));
    assert_eq!(
        levels(&grey::<colortype::Gray32, u32>(&[0, 100_000, 200_000, 400_000]), FIXED).0,
        [0, 64, 128, 255]
    );
    assert_eq!(levels(&grey::<colortype::GrayI32, i32>(&[-4, -3, -2, 0]), FIXED).0, [0, 64, 128, 255]);
    assert_eq!(levels(&grey::<colortype::GrayI8, i8>(&[-128, -64, 0, 127]), FIXED).0, [0, 64, 128, 255]);
}

#[test]
fn what_is_no_number_is_black_and_moves_nothing() {
    let holes = grey::<colortype::Gray32Float, f32>(&[f32::NAN, 10.0, 20.0, f32::INFINITY]);
    assert_eq!(levels(&holes, FIXED).0, [0, 0, 255, 0]);
    let lowest = grey::<colortype::Gray32Float, f32>(&[f32::MIN, 10.0, 20.0, f32::MAX]);
    assert_eq!(levels(&lowest, FIXED).1.found, (10.0, 20.0));
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let mut picture = encoder.new_image::<colortype::GrayI16>(2, 2).unwrap();
    picture.encoder().write_tag(GDAL_NODATA, "-9999").unwrap();
    picture.write_data(&[-9999, 100, 200, 300]).unwrap();
    assert_eq!(levels(bytes.get_ref(), FIXED).0, [0, 0, 128, 255]);
}

#[test]
fn big_files_are_files() {
    let rgb: Vec<u8> = (0..12).map(|v| v * 20).collect();
    let mut bytes = Cursor::new(Vec::new());
    TiffEncoder::new_big(&mut bytes).unwrap().write_image::<colortype::RGB8>(2, 2, &rgb).unwrap();
    assert_eq!(bytes.get_ref()[..4], *b"II+\0");
    assert_eq!(decode_bytes("", bytes.get_ref()).unwrap().rgb, rgb);
    let mut bytes = Cursor::new(Vec::new());
    let values = [0f32, 0.2, 0.4, 1.0];
    TiffEncoder::new_big(&mut bytes).unwrap().write_image::<colortype::Gray32Float>(2, 2, &values).unwrap();
    assert_eq!(levels(bytes.get_ref(), FIXED).0, [0, 51, 102, 255]);
}

/// A classic file of 8-bit bands, written by hand: the encoder knows no bands.
fn bands(count: u16, planar: bool, photometric: u16) -> Vec<u8> {
    let value = |pixel: usize, band: usize| (60 * pixel + 10 * band) as u8;
    let (pixels, n) = (4, usize::from(count));
    let data: Vec<u8> = match planar {
        true => (0..n).flat_map(|band| (0..pixels).map(move |pixel| value(pixel, band))).collect(),
        false => (0..pixels).flat_map(|pixel| (0..n).map(move |band| value(pixel, band))).collect(),
    };
    // The numbers of strips, one for each band where these are apart, stand behind the directory.
    let strips = if planar { n } else { 1 };
    let tags = 10usize;
    let behind = (8 + 2 + 12 * tags + 4) as u32;
    let (offsets, lengths) = (behind, behind + 4 * strips as u32);
    let first = lengths + 4 * strips as u32;
    let length = (data.len() / strips) as u32;
    let one = |list: u32, single: u32| if strips == 1 { single } else { list };
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((tags as u16).to_le_bytes());
    for (tag, kind, number, value) in [
        (256u16, 4u16, 1u32, 2u32),
        (257, 4, 1, 2),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, photometric.into()),
        (273, 4, strips as u32, one(offsets, first)),
        (277, 3, 1, count.into()),
        (278, 4, 1, 2),
        (279, 4, strips as u32, one(lengths, length)),
        (284, 3, 1, if planar { 2 } else { 1 }),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    (0..strips as u32).for_each(|strip| bytes.extend((first + strip * length).to_le_bytes()));
    (0..strips).for_each(|_| bytes.extend(length.to_le_bytes()));
    bytes.extend(data);
    bytes
}

#[test]
fn of_many_bands_the_first_three_are_colours_and_of_few_the_first_is_grey() {
    let colour = [[0, 10, 20], [60, 70, 80], [120, 130, 140], [180, 190, 200]].concat();
    let grey = [[0; 3], [60; 3], [120; 3], [180; 3]].concat();
    let black_is_zero = PhotometricInterpretation::BlackIsZero.to_u16();
    for planar in [false, true] {
        for (count, wanted) in [(2, &grey), (3, &colour), (5, &colour), (8, &colour)] {
            let picture = decode_bytes("", &bands(count, planar, black_is_zero)).unwrap();
            assert_eq!(&picture.rgb, wanted, "{count} bands, planar: {planar}");
        }
        let rgb = PhotometricInterpretation::RGB.to_u16();
        assert_eq!(decode_bytes("", &bands(3, planar, rgb)).unwrap().rgb, colour);
    }
}

#[test]
fn what_is_not_read_is_called_unsupported_and_what_is_broken_damaged() {
    let reason = |bytes: &[u8]| decode_bytes("scan.tif", bytes).unwrap_err().to_string();
    let lab = reason(&bands(3, false, PhotometricInterpretation::CIELab.to_u16()));
    assert!(lab.contains("not supported") && !lab.contains("damaged"), "{lab}");
    let palette = reason(&bands(1, false, PhotometricInterpretation::RGBPalette.to_u16()));
    assert!(palette.contains("not supported") && !palette.contains("damaged"), "{palette}");
    let float = grey::<colortype::Gray32Float, f32>(&[0.0, 0.25, 0.5, 0.8]);
    for cut in 8..float.len() {
        match decode_bytes("scan.tif", &float[..cut]) {
            // All of the samples were there.
            Ok(picture) => assert_eq!(picture.rgb[9..], [204; 3]),
            Err(error) => assert!(error.to_string().contains("damaged or incomplete"), "{cut}: {error}"),
        }
    }
}
