//! Pictures of other channels than red, green and blue: grey, with opacity, TIFF of many bands or pages, `.npy`.
//!
//! Sources: TIFF 6.0 for pages (`NewSubfileType`: reduced copies are none), numpy/lib/format.py for `.npy`.

use std::io::Cursor;

use dinoscope_base::npy::{self, NpyArray};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::depth::{IntensityMapping, IntensityRange, SampleKind};
use super::{
    AS_THEY_ARE, DecodeOptions, DecodedPicture, damaged, explain, limit, tiff as tiff_file, tiff_entries,
    upright,
};
use crate::channels::{fitted, misfit};
use crate::{MAX_CHANNELS, Picture, RGB};

/// Directories of a TIFF file that are looked at: pages, and reduced copies between them.
const DIRECTORIES: usize = 4 * MAX_CHANNELS;

/// Whether a file is an array of numbers.
pub(super) fn is_array(bytes: &[u8]) -> bool {
    bytes.starts_with(npy::MAGIC)
}

/// Decodes a file as a picture of `options.channels`.
///
/// # Errors
/// What is wrong and the way out; also where the file has other channels, which can't be made into these.
pub(super) fn decode(bytes: &[u8], options: DecodeOptions, most: u64) -> Result<DecodedPicture, String> {
    let wanted = options.channels;
    let decoded = if is_array(bytes) {
        array(bytes, options, most)?
    } else if matches!(wanted, AS_THEY_ARE | 1) {
        // Whatever becomes colours becomes grey.
        super::decode(bytes, DecodeOptions { channels: RGB, ..options }, most)?
    } else if tiff_file::is_tiff(bytes) {
        pages(bytes, options, most)?
    } else {
        usual(bytes, options, most)?
    };
    if wanted == AS_THEY_ARE {
        return Ok(decoded);
    }
    let have = decoded.picture.channels;
    let picture = fitted(&decoded.picture, wanted).ok_or_else(|| misfit(have, wanted))?.into_owned();
    Ok(DecodedPicture { picture, ..decoded })
}

/// A file of a usual format, with its own channels.
fn usual(bytes: &[u8], options: DecodeOptions, most: u64) -> Result<DecodedPicture, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(most);
    reader.limits(limits);
    let mut decoder = match reader.into_decoder() {
        Ok(decoder) if decoder.color_type().has_alpha() || !decoder.color_type().has_color() => decoder,
        // Colours without more, and what can't be read, with its reasons.
        _ => return super::decode(bytes, DecodeOptions { channels: RGB, ..options }, most),
    };
    let room = limit::room_for(decoder.dimensions(), decoder.total_bytes(), most)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(|e| explain(e, most))?;
    let depth = super::stretch(&mut decoded, options.range);
    decoded.apply_orientation(orientation);
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let channels = usize::from(decoded.color().channel_count());
    let samples = match channels {
        1 => decoded.into_luma8().into_raw(),
        2 => decoded.into_luma_alpha8().into_raw(),
        _ => decoded.into_rgba8().into_raw(),
    };
    drop(room);
    let planes: Vec<Vec<u8>> =
        (0..channels).map(|c| samples.iter().skip(c).step_by(channels).copied().collect()).collect();
    Ok(DecodedPicture { picture: Picture::of_planes(width, height, &planes), size: (width, height), depth })
}

/// A TIFF file: the bands of all its pages behind each other. One page of one, three or four bands is read as ever.
fn pages(bytes: &[u8], options: DecodeOptions, most: u64) -> Result<DecodedPicture, String> {
    tiff_entries::check_pages(bytes, DIRECTORIES)?;
    let told = |e: tiff::TiffError| tiff_file::explain(&e, most);
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(told)?;
    let size = decoder.dimensions().map_err(told)?;
    let orientation = decoder.find_tag(Tag::Orientation).ok().flatten();
    let orientation = orientation.and_then(|v| Orientation::from_exif(v.into_u16().ok()?.min(255) as u8));
    let mut limits = tiff::decoder::Limits::default();
    let most_bytes = usize::try_from(most).unwrap_or(usize::MAX);
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (most_bytes, most_bytes);
    decoder = decoder.with_limits(limits);

    let (mut bands, mut kind, mut counted, mut room) = (Vec::new(), SampleKind::Bytes, 0, Vec::new());
    for page in 0..DIRECTORIES {
        if page > 0 {
            if !decoder.more_images() {
                break;
            }
            decoder.next_image().map_err(told)?;
        }
        let reduced =
            decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().unwrap_or(0) & 1 == 1;
        let of_page = decoder.dimensions().map_err(told)?;
        if page > 0 && reduced {
            continue;
        }
        if of_page != size {
            let (width, height) = of_page;
            return Err(format!(
                "its page {} has {width} × {height} pixels and the first {} × {}: the pages of one picture are alike",
                page + 1,
                size.0,
                size.1
            ));
        }
        counted += 1;
        let colour = decoder.colortype().map_err(told)?;
        let (count, layout) =
            (usize::from(colour.num_samples()), decoder.image_buffer_layout().map_err(told)?);
        if bands.len() + count > MAX_CHANNELS {
            return Err(format!("it has more than {MAX_CHANNELS} channels; save those that matter"));
        }
        // The numbers of all pages are kept until their range is known.
        let pixels = u64::from(size.0) * u64::from(size.1);
        let kept = pixels.saturating_mul(4 * (bands.len() + count) as u64);
        room.clear();
        room.push(limit::room_for(size, (layout.complete_len as u64).saturating_add(kept), most)?);
        let mut samples = DecodingResult::U8(Vec::new());
        let planar = decoder.read_image_to_buffer(&mut samples).map_err(told)?.planes > 1;
        kind = samples_kind(&samples);
        let numbers = tiff_file::numbers(&samples);
        let pixels = size.0 as usize * size.1 as usize;
        if pixels.checked_mul(count).is_none_or(|needed| numbers.len() < needed) {
            return Err(damaged("there are fewer samples than its size says"));
        }
        bands.extend((0..count).map(|band| -> Vec<f32> {
            match planar {
                true => numbers[band * pixels..][..pixels].to_vec(),
                false => numbers.iter().skip(band).step_by(count).take(pixels).copied().collect(),
            }
        }));
    }
    if counted == 1 && matches!(bands.len(), 1 | 3 | 4) && bands.len() != options.channels {
        drop(room);
        return usual_tiff(bytes, options, most);
    }
    let (planes, depth) = levels(&bands, kind, options.range);
    let picture = Picture::of_planes(size.0 as usize, size.1 as usize, &planes);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let (width, height) = (picture.width as u32, picture.height as u32);
    let turned = picture.map_layers(|layer| {
        let rgb = image::RgbImage::from_raw(width, height, layer.to_vec()).unwrap_or_default();
        upright(rgb, orientation)
    });
    let size = (turned.width, turned.height);
    Ok(DecodedPicture { picture: turned, size, depth })
}

/// One page whose bands are not those that are asked for: colours, from which others may be made.
fn usual_tiff(bytes: &[u8], options: DecodeOptions, most: u64) -> Result<DecodedPicture, String> {
    super::decode(bytes, DecodeOptions { channels: RGB, ..options }, most)
}

fn samples_kind(samples: &DecodingResult) -> SampleKind {
    match samples {
        DecodingResult::U8(_) => SampleKind::Bytes,
        DecodingResult::U16(_) => SampleKind::Words,
        DecodingResult::F16(_) | DecodingResult::F32(_) | DecodingResult::F64(_) => SampleKind::Floats,
        _ => SampleKind::Whole,
    }
}

/// An array of `[height, width]`, `[height, width, channels]` or `[channels, height, width]`: of the outer sides the
/// shorter one counts channels.
fn array(bytes: &[u8], options: DecodeOptions, most: u64) -> Result<DecodedPicture, String> {
    let NpyArray { kind, shape, data } = npy::parse(bytes)?;
    let (height, width, channels, first) = match shape[..] {
        [height, width] => (height, width, 1, true),
        [height, width, channels] if channels <= height => (height, width, channels, false),
        [channels, height, width] => (height, width, channels, true),
        _ => {
            return Err(format!(
                "it has the shape {shape:?}; a picture is [height, width], [height, width, channels] or [channels, height, width]"
            ));
        }
    };
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(format!("its shape {shape:?} has {channels} channels; 1 to {MAX_CHANNELS} are read"));
    }
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let pixels = height.saturating_mul(width);
    let needed = (pixels as u64).saturating_mul(5 * channels as u64);
    let room = limit::room_for((side(width), side(height)), needed, most)?;
    let (numbers, kind) = array_numbers(kind, data)?;
    if numbers.len() != pixels * channels {
        return Err("it is incomplete; save it again with numpy.save".to_owned());
    }
    let bands: Vec<Vec<f32>> = (0..channels)
        .map(|band| match first {
            true => numbers[band * pixels..][..pixels].to_vec(),
            false => numbers.iter().skip(band).step_by(channels).copied().collect(),
        })
        .collect();
    let (planes, depth) = levels(&bands, kind, options.range);
    drop(room);
    Ok(DecodedPicture { picture: Picture::of_planes(width, height, &planes), size: (width, height), depth })
}

/// The numbers of an array.
fn array_numbers(kind: &str, data: &[u8]) -> Result<(Vec<f32>, SampleKind), String> {
    fn of<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
    }
    let numbers = match kind {
        "|u1" => of(data, |[byte]| f32::from(byte)),
        "|b1" => of(data, |[byte]| if byte == 0 { 0.0 } else { 255.0 }),
        "|i1" => of(data, |[byte]| f32::from(byte as i8)),
        "<u2" => of(data, |bytes| f32::from(u16::from_le_bytes(bytes))),
        "<i2" => of(data, |bytes| f32::from(i16::from_le_bytes(bytes))),
        "<u4" => of(data, |bytes| u32::from_le_bytes(bytes) as f32),
        "<i4" => of(data, |bytes| i32::from_le_bytes(bytes) as f32),
        "<i8" => of(data, |bytes| i64::from_le_bytes(bytes) as f32),
        "<f2" => of(data, |bytes| half(u16::from_le_bytes(bytes))),
        "<f4" => of(data, f32::from_le_bytes),
        "<f8" => of(data, |bytes| f64::from_le_bytes(bytes) as f32),
        _ => {
            return Err(format!(
                "it holds {kind}; pictures are read from u8, u16 or f32 (`array.astype(\"float32\")`)"
            ));
        }
    };
    let kind = match kind {
        "|u1" | "|b1" => SampleKind::Bytes,
        "<u2" => SampleKind::Words,
        "<f2" | "<f4" | "<f8" => SampleKind::Floats,
        _ => SampleKind::Whole,
    };
    Ok((numbers, kind))
}

/// An IEEE 754 half as a float.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 31, f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    };
    if sign == 1 { -size } else { size }
}

/// 8-bit levels of bands, all of them between the same two numbers.
fn levels(
    bands: &[Vec<f32>],
    kind: SampleKind,
    range: IntensityRange,
) -> (Vec<Vec<u8>>, Option<IntensityMapping>) {
    let real = |value: f32| value.is_finite() && value.abs() < f32::MAX;
    let numbers = bands.iter().flatten().copied().filter(|value| real(*value));
    let found = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(f64::from(value)), high.max(f64::from(value)))
    });
    let depth = IntensityMapping::new(kind, found, range);
    let level = |value: &f32| depth.level(if real(*value) { f64::from(*value) } else { f64::NAN });
    let planes = bands.iter().map(|band| band.iter().map(level).collect()).collect();
    (planes, (kind != SampleKind::Bytes).then_some(depth))
}

#[cfg(test)]
#[path = "bands_tests.rs"]
mod tests;
