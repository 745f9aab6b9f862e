//! Readers of pictures, through the limits that hold for what a person drops in.

use anyhow::Result;
use dinoscope_core::analysis::npy;
use dinoscope_core::data::decode::{DecodeOptions, LeastPictureSize, decode_bytes_as};
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba};

use super::mutate::FuzzMutator;
use super::{FuzzReader, FuzzTarget, corpus, told};

/// The targets of this file.
pub const TARGETS: &[FuzzTarget] = &[
    FuzzTarget { name: "jpeg", reads: "JPEG", open: |_| open(ImageFormat::Jpeg) },
    FuzzTarget { name: "png", reads: "PNG", open: |_| open(ImageFormat::Png) },
    FuzzTarget { name: "webp", reads: "WebP", open: |_| open(ImageFormat::WebP) },
    FuzzTarget { name: "gif", reads: "GIF", open: |_| open(ImageFormat::Gif) },
    FuzzTarget { name: "bmp", reads: "BMP", open: |_| open(ImageFormat::Bmp) },
    FuzzTarget { name: "tiff", reads: "TIFF", open: |_| open(ImageFormat::Tiff) },
    FuzzTarget {
        name: "pages",
        reads: "TIFF of several pages",
        open: |_| Ok(Box::new(BandsReader::pages())),
    },
    FuzzTarget { name: "array", reads: "pictures (.npy)", open: |_| Ok(Box::new(BandsReader::arrays()?)) },
];

/// Channels of the pictures that [`BandsReader`] begins with.
const CHANNELS: usize = 5;

/// Reads pictures of several channels.
struct BandsReader {
    corpus: Vec<Vec<u8>>,
    words: &'static [&'static [u8]],
}

impl BandsReader {
    fn pages() -> Self {
        // Tags of size, samples, strips and kind of page, and the first bytes of a directory.
        let words: &[&[u8]] = &[
            b"\x00\x01\x03\x00",
            b"\x02\x01\x03\x00",
            b"\x11\x01\x04\x00",
            b"\x15\x01\x03\x00",
            b"\x17\x01\x04\x00",
            b"\xfe\x00\x04\x00",
            b"\x1c\x01\x03\x00",
            b"\x09\x00",
        ];
        Self { corpus: vec![stack(CHANNELS as u32)], words }
    }

    fn arrays() -> Result<Self> {
        let numbers: Vec<f32> = (0..CHANNELS * 42).map(|i| i as f32 / 7.0).collect();
        let corpus =
            vec![npy::encode(&[CHANNELS, 6, 7], &numbers)?, npy::encode(&[6, 7, CHANNELS], &numbers)?];
        let words: &[&[u8]] = &[
            b"'descr': '<f4'",
            b"'|u1'",
            b"'<u2'",
            b"'<f2'",
            b"'<f8'",
            b"'shape': (",
            b"True",
            b"99999999999",
        ];
        Ok(Self { corpus, words })
    }
}

/// A TIFF file of so many pages of four by three grey pixels.
fn stack(pages: u32) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    for page in 1..=pages {
        // Behind nine entries and the place of the next directory.
        let data = out.len() as u32 + 2 + 9 * 12 + 4;
        let entries: [(u16, u16, u32); 9] = [
            (256, 3, 4),
            (257, 3, 3),
            (258, 3, 8),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, data),
            (277, 3, 1),
            (278, 3, 3),
            (279, 4, 12),
        ];
        out.extend(9u16.to_le_bytes());
        for (tag, kind, value) in entries {
            out.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            out.extend([1u32.to_le_bytes(), value.to_le_bytes()].concat());
        }
        out.extend(if page < pages { data + 12 } else { 0 }.to_le_bytes());
        out.extend((0..12).map(|i| (20 * page + i) as u8));
    }
    out
}

impl FuzzReader for BandsReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        self.corpus.clone()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        self.words
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let options = DecodeOptions { channels: CHANNELS, ..DecodeOptions::default() };
        let picture = decode_bytes_as("changed", bytes, options).map_err(told)?.picture;
        assert_eq!(picture.channels, CHANNELS);
        assert_eq!(picture.layers().count(), 2, "layers that are not there");
        assert_eq!(picture.rgb.len(), picture.width * picture.height * 3, "pixels that are not there");
        Ok(())
    }
}

struct PictureReader {
    format: ImageFormat,
    corpus: Vec<Vec<u8>>,
}

fn open(format: ImageFormat) -> Result<Box<dyn FuzzReader>> {
    let level = |x: u32, y: u32| (x * 37 + y * 59) as u8;
    let mut pictures: Vec<DynamicImage> =
        vec![RgbImage::from_fn(19, 17, |x, y| Rgb([level(x, y), level(y, x), 128])).into()];
    if matches!(format, ImageFormat::Png | ImageFormat::Tiff) {
        let deep = ImageBuffer::from_fn(9, 7, |x, y| Rgba([u16::from(level(x, y)) << 4, 9, 65_535, 1 << y]));
        let grey = ImageBuffer::from_fn(9, 7, |x, y| Luma([u16::from(level(x, y)) << 8]));
        pictures.extend([DynamicImage::from(deep), grey.into()]);
    }
    let corpus = pictures.iter().map(|picture| corpus::picture(picture, format)).collect::<Result<_>>()?;
    Ok(Box::new(PictureReader { format, corpus }))
}

impl FuzzReader for PictureReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        self.corpus.clone()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        match self.format {
            ImageFormat::Jpeg => &[
                b"\xff\xd8",
                b"\xff\xc0",
                b"\xff\xc2",
                b"\xff\xc4",
                b"\xff\xda",
                b"\xff\xdb",
                b"\xff\xdd",
                b"\xff\xd0",
                b"\xff\xe1Exif\0\0",
                b"\xff\xee",
                b"\xff\xd9",
            ],
            ImageFormat::Png => &[
                b"IHDR",
                b"PLTE",
                b"tRNS",
                b"IDAT",
                b"IEND",
                b"acTL",
                b"fcTL",
                b"fdAT",
                b"iCCP",
                b"eXIf",
                b"\0\0\0\0",
            ],
            ImageFormat::WebP => {
                &[b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF"]
            }
            ImageFormat::Gif => {
                &[b"GIF89a", b"GIF87a", b"\x21\xf9\x04", b"\x2c", b"\x3b", b"\x21\xff", b"\x21\xfe"]
            }
            ImageFormat::Bmp => {
                &[b"BM", b"\x28\0\0\0", b"\x7c\0\0\0", b"\x01\0\0\0", b"\x02\0\0\0", b"\x03\0\0\0"]
            }
            _ => &[
                b"II*\0",
                b"MM\0*",
                b"II+\0",
                b"\x00\x01\x03\x00",
                b"\x01\x01\x04\x00",
                b"\x11\x01",
                b"\x17\x01",
                b"\x44\x01",
                b"\x03\x01",
            ],
        }
    }

    fn sealed(&self, mutator: &mut FuzzMutator, bytes: Vec<u8>) -> Vec<u8> {
        if self.format == ImageFormat::Png && !mutator.once_in(8) { corpus::sealed_png(bytes) } else { bytes }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        // As the loader asks for it, and as the gallery does.
        let least = DecodeOptions {
            least: Some(LeastPictureSize { pixels: 16, shorter: 4, longer: 0 }),
            ..DecodeOptions::default()
        };
        let reduced = decode_bytes_as("changed", bytes, least).map(drop).map_err(told);
        // As a model of other channels asks for it: opacity stays, and all pages of a TIFF are read.
        let four = DecodeOptions { channels: 4, ..DecodeOptions::default() };
        if let Ok(seen) = decode_bytes_as("changed", bytes, four) {
            assert_eq!(seen.picture.channels, 4);
            assert_eq!(seen.picture.beyond.len(), seen.picture.rgb.len(), "a layer that is not whole");
        }
        let whole = decode_bytes_as("changed", bytes, DecodeOptions::default()).map_err(told)?;
        let picture = &whole.picture;
        assert_eq!(picture.rgb.len(), picture.width * picture.height * 3, "pixels that are not there");
        reduced
    }
}
