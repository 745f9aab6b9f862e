//! Files with a number for every pixel: class indexes as PNG, depth as PNG, TIFF or `.npy`.
//!
//! Sources: the PNG specification (third edition) for chunks, numpy/lib/format.py for `.npy`.

use std::io::Cursor;

use flate2::Crc;
use image::{DynamicImage, ImageReader, Limits};
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use crate::decode::{self, MAX_PIXELS, MAX_SIDE};
use dinoscope_base::npy::{self, NpyArray};

/// A number for every pixel, row by row.
#[derive(Debug, PartialEq)]
pub(super) struct PixelGrid<T> {
    pub width: usize,
    pub height: usize,
    pub values: Vec<T>,
}

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Colour types of the PNG header.
const GREY: u8 = 0;
const PALETTE: u8 = 3;

/// The class index of every pixel of a PNG: the index of a palette's entry, or the level of 8-bit grey.
///
/// # Errors
/// What is wrong and the way out, without the name of the file.
pub(super) fn class_indexes(bytes: &[u8]) -> Result<PixelGrid<u8>, String> {
    let (plain, bits) = as_grey(bytes)?;
    let told = |error: crate::DataError| match error {
        crate::DataError::Decode { reason, .. } => reason,
        error => error.to_string(),
    };
    let picture = decode::decode_bytes("", &plain).map_err(told)?;
    // Fewer than 8 bits were stretched to the whole range.
    let step = 255 / ((1u16 << bits) - 1) as u8;
    let values = picture.rgb.as_chunks::<3>().0.iter().map(|[index, ..]| index / step).collect();
    Ok(PixelGrid { width: picture.width, height: picture.height, values })
}

/// The same PNG with its numbers declared as levels of grey, so that a decoder hands them over as they are; and how many
/// bits each has.
///
/// Samples of a palette and of grey are stored alike; only the header, the palette and transparency say which they are.
fn as_grey(bytes: &[u8]) -> Result<(Vec<u8>, u8), String> {
    let mut rest = bytes
        .strip_prefix(SIGNATURE)
        .ok_or("it is no PNG; save the class of every pixel as a palette or 8-bit grey PNG")?;
    let mut out = SIGNATURE.to_vec();
    let mut bits = None;
    while !rest.is_empty() {
        let damaged = "it is damaged or incomplete; copy or export it again";
        let (length, after) = rest.split_first_chunk::<4>().ok_or(damaged)?;
        let (kind, after) = after.split_first_chunk::<4>().ok_or(damaged)?;
        let (data, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(damaged)?;
        rest = after.get(4..).ok_or(damaged)?;
        match kind {
            b"IHDR" => {
                let mut header = <[u8; 13]>::try_from(data).map_err(|_| damaged)?;
                let (depth, colour) = (header[8], header[9]);
                match colour {
                    GREY | PALETTE if matches!(depth, 1 | 2 | 4 | 8) => {}
                    GREY | PALETTE => {
                        return Err(format!(
                            "it has {depth} bits a pixel; class indexes need 8-bit grey or a palette"
                        ));
                    }
                    _ => {
                        return Err(
                            "it holds colours, not class indexes; save it as a palette or 8-bit grey \
                             PNG in which each value is the index of a class"
                                .to_owned(),
                        );
                    }
                }
                bits = Some(depth);
                header[9] = GREY;
                chunk(&mut out, kind, &header);
            }
            b"IDAT" | b"IEND" => chunk(&mut out, kind, data),
            _ => {}
        }
    }
    Ok((out, bits.ok_or("it has no header; copy or export it again")?))
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(kind);
    out.extend(data);
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    out.extend(crc.sum().to_be_bytes());
}

/// Depth in metres from a 16-bit grey PNG, a step of which is `step` metres; 0 stays 0.
///
/// # Errors
/// What is wrong and the way out, without the name of the file.
pub(super) fn deep_grey(bytes: &[u8], step: f64) -> Result<PixelGrid<f32>, String> {
    let damaged =
        |error: image::ImageError| format!("it is damaged or incomplete ({error}); copy or export it again");
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    reader.limits(limits);
    match reader.decode().map_err(damaged)? {
        DynamicImage::ImageLuma16(picture) => Ok(PixelGrid {
            width: picture.width() as usize,
            height: picture.height() as usize,
            values: picture.as_raw().iter().map(|steps| (f64::from(*steps) * step) as f32).collect(),
        }),
        _ => {
            Err("it is not 16-bit grey; save depth as a 16-bit grey PNG, or as .npy or TIFF of f32 in metres"
                .to_owned())
        }
    }
}

/// Depth from a TIFF file of one band: floats are metres, whole numbers of 16 bits steps of `step` metres. What is not above
/// 0, not finite, or declared as missing becomes 0.
///
/// # Errors
/// What is wrong and the way out, without the name of the file.
pub(super) fn tiff(bytes: &[u8], step: f64) -> Result<PixelGrid<f32>, String> {
    let damaged =
        |error: tiff::TiffError| format!("it is damaged or incomplete ({error}); copy or export it again");
    decode::check_tiff_entries(bytes)?;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || !(1..=MAX_PIXELS).contains(&pixels) {
        let most = MAX_PIXELS / 1_000_000;
        return Err(format!("it has {width} × {height} pixels; between one and {most} megapixels are read"));
    }
    let bands = decoder.colortype().map_err(damaged)?.num_samples();
    if bands != 1 {
        return Err(format!("it has {bands} bands; depth is one: save it alone, as f32 in metres"));
    }
    let nothing = decoder.find_tag(Tag::Unknown(42_113)).ok().flatten();
    let nothing: Option<f64> =
        nothing.and_then(|v| v.into_string().ok()?.trim_matches(['\0', ' ']).parse().ok());
    let mut samples = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut samples).map_err(damaged)?;
    let metre = |value: f64, step: f64| match value > 0.0 && nothing != Some(value) {
        true => Some((value * step) as f32).filter(|metres| metres.is_finite()).unwrap_or_default(),
        false => 0.0,
    };
    let values: Vec<f32> = match &samples {
        DecodingResult::F16(v) => v.iter().map(|v| metre(f64::from(v.to_f32()), 1.0)).collect(),
        DecodingResult::F32(v) => v.iter().map(|v| metre(f64::from(*v), 1.0)).collect(),
        DecodingResult::F64(v) => v.iter().map(|v| metre(*v, 1.0)).collect(),
        DecodingResult::U16(v) => v.iter().map(|v| metre(f64::from(*v), step)).collect(),
        _ => {
            return Err("it holds neither floats nor 16-bit numbers; save depth as TIFF or .npy of f32 in metres, or as \
                        a 16-bit grey PNG"
                .to_owned());
        }
    };
    // The largest float stands for "nothing" too.
    let values: Vec<f32> = values.into_iter().map(|v| if v < f32::MAX { v } else { 0.0 }).collect();
    if values.len() as u64 != pixels {
        return Err("it is damaged or incomplete; copy or export it again".to_owned());
    }
    Ok(PixelGrid { width: width as usize, height: height as usize, values })
}

/// Depth in metres from an `.npy` file of `[height, width]` numbers, also with sides of 1 before or behind; what is
/// not above 0 or not finite becomes 0.
///
/// # Errors
/// What is wrong and the way out, without the name of the file.
pub(super) fn depth_array(bytes: &[u8]) -> Result<PixelGrid<f32>, String> {
    let NpyArray { kind, shape: sides, data } = npy::parse(bytes)?;
    let long: Vec<usize> = sides.iter().copied().filter(|side| *side != 1).collect();
    let (height, width) = match (long.as_slice(), sides.as_slice()) {
        ([height, width], _) | (_, [height, width]) => (*height, *width),
        _ => return Err(format!("it has the shape {sides:?}; depth has a row for each row of pixels")),
    };
    let pixels = width.checked_mul(height).filter(|pixels| *pixels as u64 <= MAX_PIXELS);
    let pixels = pixels.filter(|pixels| *pixels > 0).ok_or_else(|| {
        let most = MAX_PIXELS / 1_000_000;
        format!("it has {width} × {height} pixels; between one and {most} megapixels are read")
    })?;
    let values: Vec<f32> = match kind {
        "<f4" => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        "<f8" => data.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        _ => return Err(format!("it holds {kind}; depth is read from f32 (`array.astype(\"float32\")`)")),
    };
    if values.len() != pixels {
        return Err("it is incomplete; save it again with numpy.save".to_owned());
    }
    let values = values.into_iter().map(|v| if v > 0.0 && v.is_finite() { v } else { 0.0 }).collect();
    Ok(PixelGrid { width, height, values })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "truth_files_tests.rs"]
mod tests;
