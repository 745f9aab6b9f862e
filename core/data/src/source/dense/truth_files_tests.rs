//! What files of truths may hold, and what is said of those that can't be used.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::*;

fn png(values: &[u8], width: u32, height: u32, kind: ExtendedColorType) -> Vec<u8> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(values, width, height, kind).unwrap();
    out
}

/// A palette PNG: header, colours, transparency, and rows as they are stored, filter byte first.
fn palette(width: u32, height: u32, bits: u8, rows: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = SIGNATURE.to_vec();
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(&mut out, b"IHDR", &[&sides[..], &[bits, PALETTE, 0, 0, 0]].concat());
    chunk(&mut out, b"PLTE", &[[9, 9, 9], [200, 0, 0], [0, 200, 0], [9, 9, 9]].concat());
    chunk(&mut out, b"tRNS", &[0, 255]);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(rows).unwrap();
    chunk(&mut out, b"IDAT", &packed.finish().unwrap());
    chunk(&mut out, b"IEND", &[]);
    out
}

#[test]
fn class_indexes_are_those_of_palettes_and_of_grey() {
    let grey = png(&[0, 1, 255, 13, 14, 2], 3, 2, ExtendedColorType::L8);
    let want = PixelGrid { width: 3, height: 2, values: vec![0, 1, 255, 13, 14, 2] };
    assert_eq!(class_indexes(&grey).unwrap(), want);
    // The same colour twice, half transparent: the index counts.
    let eight = palette(3, 2, 8, &[0, 0, 3, 1, 0, 2, 2, 0]);
    assert_eq!(class_indexes(&eight).unwrap().values, [0, 3, 1, 2, 2, 0]);
    // Two bits a pixel: 0 3 1, then 2 2 0.
    let two = palette(3, 2, 2, &[0, 0b0011_0100, 0, 0b1010_0000]);
    assert_eq!(class_indexes(&two).unwrap().values, [0, 3, 1, 2, 2, 0]);
}

#[test]
fn what_is_no_class_index_is_refused_with_the_way_out() {
    let refusal = |bytes: &[u8]| class_indexes(bytes).unwrap_err();
    assert!(refusal(&png(&[1, 2, 3], 1, 1, ExtendedColorType::Rgb8)).contains("palette or 8-bit grey"));
    assert!(refusal(&png(&[0, 7], 1, 1, ExtendedColorType::L16)).contains("16 bits"));
    assert!(refusal(b"BM").contains("no PNG"));
    let whole = palette(3, 2, 8, &[0, 0, 3, 1, 0, 2, 2, 0]);
    for cut in [9, 20, 40, whole.len() - 20, whole.len() - 2] {
        assert!(class_indexes(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn depth_is_read_from_png_and_npy() {
    let deep = png(&[0, 0, 0xe8, 0x03, 1, 0, 0xff, 0xff], 2, 2, ExtendedColorType::L16);
    // The encoder takes the machine's order of bytes.
    for (step, unit) in [(1e-3, 1000.0), (1.0 / 256.0, 256.0), (1e-2, 100.0)] {
        let values = [0u16, 1000, 1, 65_535].map(|v| f32::from(v) / unit);
        assert_eq!(
            deep_grey(&deep, step).unwrap(),
            PixelGrid { width: 2, height: 2, values: values.to_vec() }
        );
    }
    assert!(deep_grey(&png(&[1], 1, 1, ExtendedColorType::L8), 1.0).unwrap_err().contains("16-bit"));
    assert!(deep_grey(b"", 1.0).is_err());

    let data = [1.5, 0.0, -2.0, f32::NAN, f32::INFINITY, 80.25];
    let want = PixelGrid { width: 3, height: 2, values: vec![1.5, 0.0, 0.0, 0.0, 0.0, 80.25] };
    for shape in [&[2, 3][..], &[1, 2, 3], &[2, 3, 1]] {
        let bytes = dinoscope_base::npy::encode(shape, &data).unwrap();
        assert_eq!(depth_array(&bytes).unwrap(), want, "{shape:?}");
    }
    let bytes = dinoscope_base::npy::encode(&[2, 3], &data).unwrap();
    let doubles: Vec<u8> = data.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    let head = String::from_utf8_lossy(&bytes[10..128]).replace("<f4", "<f8").into_bytes();
    let wide = [&bytes[..10], &head, &doubles].concat();
    assert_eq!(depth_array(&wide).unwrap(), want);
}

#[test]
fn arrays_that_are_no_depth_are_refused() {
    let bytes = dinoscope_base::npy::encode(&[2, 3], &[1.0; 6]).unwrap();
    let changed = |from: &str, to: &str| {
        let head = String::from_utf8_lossy(&bytes[10..128]).replace(from, to).into_bytes();
        depth_array(&[&bytes[..10], &head, &bytes[128..]].concat()).unwrap_err()
    };
    assert!(changed("<f4", "<i4").contains("<i4"));
    assert!(changed("False", "True ").contains("ascontiguousarray"));
    assert!(changed("(2, 3)", "(6,)  ").contains("shape"));
    assert!(changed("(2, 3)", "(2, 4)").contains("incomplete"));
    assert!(changed("(2, 3)", "(0, 3)").contains("pixels"));
    for cut in [0, 5, 9, 60, bytes.len() - 1] {
        assert!(depth_array(&bytes[..cut]).is_err());
    }
}

#[test]
fn a_tiff_holds_metres_or_steps() {
    use ::tiff::encoder::{TiffEncoder, colortype};
    let mut floats = Cursor::new(Vec::new());
    let depth = [1.5f32, 0.0, f32::NAN, f32::MAX, -9999.0, 80.25];
    TiffEncoder::new(&mut floats).unwrap().write_image::<colortype::Gray32Float>(3, 2, &depth).unwrap();
    let grid = tiff(floats.get_ref(), 0.5).unwrap();
    assert_eq!((grid.width, grid.height, grid.values), (3, 2, vec![1.5, 0.0, 0.0, 0.0, 0.0, 80.25]));
    let mut steps = Cursor::new(Vec::new());
    TiffEncoder::new(&mut steps).unwrap().write_image::<colortype::Gray16>(2, 1, &[512, 0]).unwrap();
    assert_eq!(tiff(steps.get_ref(), 1.0 / 256.0).unwrap().values, [2.0, 0.0]);
    let mut colours = Cursor::new(Vec::new());
    TiffEncoder::new(&mut colours).unwrap().write_image::<colortype::RGB8>(1, 1, &[1, 2, 3]).unwrap();
    assert!(tiff(colours.get_ref(), 1.0).unwrap_err().contains("3 bands"));
    let mut bytes = Cursor::new(Vec::new());
    TiffEncoder::new(&mut bytes).unwrap().write_image::<colortype::Gray8>(1, 1, &[1]).unwrap();
    assert!(tiff(bytes.get_ref(), 1.0).unwrap_err().contains("f32 in metres"));
    assert!(tiff(b"II*\0", 1.0).unwrap_err().contains("damaged"));
}
