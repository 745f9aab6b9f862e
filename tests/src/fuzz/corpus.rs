//! Valid files to begin with, small and made by code but for two of PyTorch's own.

use std::io::{Cursor, Read as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context, Result};
use dinoscope_core::model::config::VitConfig;
use dinoscope_core::weights::{HostTensor, KeyLayout, StateDict, expected_shapes, to_bytes};
use image::{DynamicImage, ImageFormat};
use zip::write::SimpleFileOptions;

/// A small backbone as safetensors.
///
/// # Errors
/// When it can't be written.
pub fn weights(layout: KeyLayout) -> Result<(VitConfig, Vec<u8>)> {
    let config = VitConfig::new(16, 8, 8, 1, 2);
    let tensors = expected_shapes(&config).into_iter().map(|(name, shape)| {
        let numbers = (0..shape.iter().product()).map(|at| (at % 7) as f32 * 0.1).collect();
        (name, HostTensor::new(shape, numbers))
    });
    let backbone: StateDict = tensors.collect();
    Ok((config.clone(), to_bytes(&backbone, &config, layout)?))
}

/// A file below `tests/fixtures/weights/`.
///
/// # Errors
/// When it is not there.
pub fn fixture(name: &str) -> Result<Vec<u8>> {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let file = PathBuf::from(manifest).join("fixtures/weights").join(name);
    std::fs::read(&file).with_context(|| format!("reading {}", file.display()))
}

/// The files of a zip archive by name, in their order.
///
/// # Errors
/// When it is none.
pub fn unzip(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut all = Vec::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at)?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        all.push((entry.name()?.into_owned(), content));
    }
    Ok(all)
}

/// A zip archive of these files, not compressed.
///
/// # Errors
/// When a name can't be one.
pub fn zip<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in files {
        zip.start_file(name, options)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A picture as a file.
///
/// # Errors
/// When the format does not hold pictures of that kind.
pub fn picture(picture: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

/// The same PNG with the right checksum on every chunk, as far as it has any.
pub fn sealed_png(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(end) = (at + 8).checked_add(length).filter(|end| end + 4 <= bytes.len()) else { break };
        let sum = crc32(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    bytes
}

/// The checksum of PNG and zip.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
