//! TIFF files that hold more than usual pictures: floats, signed and 32-bit numbers, separate and many bands.
//!
//! Sources: TIFF 6.0, and for BigTIFF the specification of the libtiff project. What `image` decodes is left to it.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{SampleFormat, Tag};
use tiff::{ColorType, TiffError};

use super::depth::{IntensityMapping, IntensityRange, SampleKind};
use super::{DecodedPicture, damaged, kinds, limit, over_white, tiff_entries, upright};

/// The number that stands for "nothing was measured here", as text.
const GDAL_NODATA: Tag = Tag::Unknown(42_113);

/// Whether bytes begin as a TIFF file does, classic or big.
pub(crate) fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].into_iter().any(|magic| bytes.starts_with(magic))
}

/// Whether a TIFF file stores more than 8 bits a sample, or numbers that are no levels of a picture.
pub(super) fn is_deep<R: std::io::Read + std::io::Seek>(file: R) -> Result<bool, String> {
    let mut decoder = Decoder::new(file).map_err(|e| explain(&e, 0))?;
    let colour = decoder.colortype().map_err(|e| explain(&e, 0))?;
    Ok(colour.bit_depth() > 8 || format(&mut decoder) != SampleFormat::Uint)
}

fn format<R: std::io::Read + std::io::Seek>(decoder: &mut Decoder<R>) -> SampleFormat {
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).ok().flatten();
    formats.and_then(|all| SampleFormat::from_u16(*all.first()?)).unwrap_or(SampleFormat::Uint)
}

/// Decodes a file of which `image` can't; `None` for what it can.
///
/// # Errors
/// What is wrong and the way out.
pub(super) fn decode(
    bytes: &[u8],
    range: IntensityRange,
    most: u64,
) -> Result<Option<DecodedPicture>, String> {
    let told = |e: TiffError| explain(&e, most);
    tiff_entries::check(bytes)?;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(told)?;
    let colour = decoder.colortype().map_err(told)?;
    let format = format(&mut decoder);
    let layout = decoder.image_buffer_layout().map_err(told)?;
    let usual = matches!(
        colour,
        ColorType::Gray(1 | 8 | 16)
            | ColorType::RGB(8 | 16)
            | ColorType::RGBA(8 | 16)
            | ColorType::CMYK(8 | 16)
    );
    if usual && format == SampleFormat::Uint && layout.planes == 1 {
        return Ok(None);
    }
    let (width, height) = decoder.dimensions().map_err(told)?;
    let room = limit::room_for((width, height), layout.complete_len as u64, most)?;
    let orientation = decoder.find_tag(Tag::Orientation).ok().flatten();
    let orientation = orientation.and_then(|v| Orientation::from_exif(v.into_u16().ok()?.min(255) as u8));
    let nothing = decoder.find_tag(GDAL_NODATA).ok().flatten();
    let nothing: Option<f64> =
        nothing.and_then(|v| v.into_string().ok()?.trim_matches(['\0', ' ']).parse().ok());

    let mut limits = Limits::default();
    let bytes = usize::try_from(most).unwrap_or(usize::MAX);
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (bytes, bytes);
    let mut decoder = decoder.with_limits(limits);
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(told)?;
    let bands = usize::from(colour.num_samples());
    let form = TiffSampleLayout {
        pixels: width as usize * height as usize,
        bands,
        planar: layout.planes > 1,
        colours: colours(colour)?,
    };
    let levels = match &samples {
        DecodingResult::U8(v) => form.levels(v, |v| f64::from(*v), SampleKind::Bytes, 255.0, nothing, range),
        DecodingResult::U16(v) => {
            form.levels(v, |v| f64::from(*v), SampleKind::Words, 65_535.0, nothing, range)
        }
        DecodingResult::U32(v) => {
            form.levels(v, |v| f64::from(*v), SampleKind::Whole, u32::MAX.into(), nothing, range)
        }
        DecodingResult::U64(v) => {
            form.levels(v, |v| *v as f64, SampleKind::Whole, u64::MAX as f64, nothing, range)
        }
        DecodingResult::I8(v) => {
            form.levels(v, |v| f64::from(*v), SampleKind::Whole, i8::MAX.into(), nothing, range)
        }
        DecodingResult::I16(v) => {
            form.levels(v, |v| f64::from(*v), SampleKind::Whole, i16::MAX.into(), nothing, range)
        }
        DecodingResult::I32(v) => {
            form.levels(v, |v| f64::from(*v), SampleKind::Whole, i32::MAX.into(), nothing, range)
        }
        DecodingResult::I64(v) => {
            form.levels(v, |v| *v as f64, SampleKind::Whole, i64::MAX as f64, nothing, range)
        }
        DecodingResult::F16(v) => {
            form.levels(v, |v| f64::from(v.to_f32()), SampleKind::Floats, 1.0, nothing, range)
        }
        DecodingResult::F32(v) => form.levels(v, |v| f64::from(*v), SampleKind::Floats, 1.0, nothing, range),
        DecodingResult::F64(v) => form.levels(v, |v| *v, SampleKind::Floats, 1.0, nothing, range),
    };
    let (rgb, depth) = levels.ok_or_else(|| damaged("there are fewer samples than its size says"))?;
    let rgb =
        image::RgbImage::from_raw(width, height, rgb).ok_or_else(|| damaged("its size does not fit"))?;
    let picture = upright(rgb, orientation.unwrap_or(Orientation::NoTransforms));
    drop(room);
    let size = (picture.width, picture.height);
    let depth = (depth.samples != SampleKind::Bytes).then_some(depth);
    Ok(Some(DecodedPicture { picture, size, depth }))
}

/// What the bands of a pixel mean.
#[derive(Clone, Copy)]
enum TiffColourModel {
    /// The first band is grey.
    Grey,
    /// The first three bands are red, green and blue.
    Rgb,
    /// A fourth band is the opacity.
    Rgba,
    /// Brightness and two differences of colour, as in JPEG.
    YCbCr,
}

fn colours(colour: ColorType) -> Result<TiffColourModel, String> {
    Ok(match colour {
        ColorType::Gray(_) => TiffColourModel::Grey,
        ColorType::RGB(_) => TiffColourModel::Rgb,
        ColorType::RGBA(_) => TiffColourModel::Rgba,
        ColorType::YCbCr(8) => TiffColourModel::YCbCr,
        // Grey with opacity, or two channels of a microscope; satellites have more.
        ColorType::Multiband { num_samples: ..=2, .. } => TiffColourModel::Grey,
        ColorType::Multiband { .. } => TiffColourModel::Rgb,
        other => return Err(kinds::unsupported(&format!("TIFF of {other:?}"))),
    })
}

/// Where the samples of a picture stand.
struct TiffSampleLayout {
    pixels: usize,
    bands: usize,
    /// One band after the other, instead of one pixel after the other.
    planar: bool,
    colours: TiffColourModel,
}

impl TiffSampleLayout {
    /// `[pixels, 3]` levels of `samples`; `None` where there are too few.
    fn levels<T>(
        &self,
        samples: &[T],
        number: impl Fn(&T) -> f64,
        stored: SampleKind,
        opaque: f64,
        nothing: Option<f64>,
        range: IntensityRange,
    ) -> Option<(Vec<u8>, IntensityMapping)> {
        if self.pixels == 0 || samples.len() < self.pixels.checked_mul(self.bands)? {
            return None;
        }
        let at = |pixel: usize, band: usize| {
            let place = if self.planar { band * self.pixels + pixel } else { pixel * self.bands + band };
            let value = number(&samples[place]);
            // The largest float stands for "nothing" too.
            let real = nothing != Some(value) && value.abs() < f64::from(f32::MAX);
            if real { value } else { f64::NAN }
        };
        let shown = if matches!(self.colours, TiffColourModel::Grey) { 1 } else { 3 };
        let mut found = (f64::INFINITY, f64::NEG_INFINITY);
        for pixel in 0..self.pixels {
            for value in (0..shown).map(|band| at(pixel, band)) {
                // `min` and `max` leave out what is no number.
                found = (found.0.min(value), found.1.max(value));
            }
        }
        let depth = IntensityMapping::new(stored, found, range);
        let mut rgb = Vec::with_capacity(3 * self.pixels);
        for pixel in 0..self.pixels {
            let level = |band| depth.level(at(pixel, band));
            rgb.extend(match self.colours {
                TiffColourModel::Grey => [level(0); 3],
                TiffColourModel::Rgb => [level(0), level(1), level(2)],
                TiffColourModel::Rgba => {
                    let alpha = (255.0 * at(pixel, 3) / opaque).round() as u8;
                    [level(0), level(1), level(2)].map(|colour| over_white(colour, alpha))
                }
                TiffColourModel::YCbCr => from_ycbcr([at(pixel, 0), at(pixel, 1), at(pixel, 2)]),
            });
        }
        Some((rgb, depth))
    }
}

/// ITU-R BT.601 over the whole range, as in JFIF.
fn from_ycbcr([y, cb, cr]: [f64; 3]) -> [u8; 3] {
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round() as u8)
}

/// The numbers of a page, as floats.
pub(super) fn numbers(samples: &DecodingResult) -> Vec<f32> {
    match samples {
        DecodingResult::U8(v) => v.iter().map(|v| f32::from(*v)).collect(),
        DecodingResult::U16(v) => v.iter().map(|v| f32::from(*v)).collect(),
        DecodingResult::U32(v) => v.iter().map(|v| *v as f32).collect(),
        DecodingResult::U64(v) => v.iter().map(|v| *v as f32).collect(),
        DecodingResult::I8(v) => v.iter().map(|v| f32::from(*v)).collect(),
        DecodingResult::I16(v) => v.iter().map(|v| f32::from(*v)).collect(),
        DecodingResult::I32(v) => v.iter().map(|v| *v as f32).collect(),
        DecodingResult::I64(v) => v.iter().map(|v| *v as f32).collect(),
        DecodingResult::F16(v) => v.iter().map(|v| v.to_f32()).collect(),
        DecodingResult::F32(v) => v.clone(),
        DecodingResult::F64(v) => v.iter().map(|v| *v as f32).collect(),
    }
}

pub(super) fn explain(error: &TiffError, most: u64) -> String {
    match error {
        TiffError::UnsupportedError(e) => kinds::unsupported(&format!("TIFF: {e}")),
        TiffError::LimitsExceeded => limit::said(most),
        e => damaged(&e.to_string()),
    }
}

#[cfg(test)]
#[path = "tiff_tests.rs"]
mod tests;
