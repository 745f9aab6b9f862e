//! Decoding and drawing pictures: on the thread that asks.

use std::path::Path;

use dinoscope_core::data::decode::animation::{ReducedFrames, reduced_frames};
use dinoscope_core::data::decode::{DecodeOptions, DecodedPicture};
use dinoscope_core::data::source::scenes;
use dinoscope_core::data::{DataError, Picture, decode as core_decode};

/// Kinds of files beside pictures that frames can be had of: no video is decoded here.
pub const VIDEOS: &[&str] = &[];

/// Whether pictures of files can be had from [`decode`] alone.
pub const BY_WORKER_ALONE: bool = false;

/// Seconds that nothing may have been asked before the sample picture is looked at.
pub const SAMPLE_IDLE: f64 = 0.0;

/// How many decode at once: as many as there are cores, and no more than memory for whole pictures is well spent on.
pub fn decoders() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 4)
}

/// Decodes a file to the size that is enough, or with all its pixels, and with the channels that are asked for.
///
/// # Errors
/// It is no picture, or can't be read. A decoder that panics is a broken file, not the end of the thread.
pub async fn decode(path: &Path, options: DecodeOptions) -> Result<DecodedPicture, DataError> {
    let decoded = std::panic::catch_unwind(|| core_decode::decode_file_as(path, options));
    decoded.unwrap_or_else(|panic| {
        let reason = dinoscope_core::device::panic_text(panic);
        Err(DataError::Source { path: path.display().to_string(), reason })
    })
}

/// At most `most` frames of a file, an animation or one picture, none of their sides longer than `side` pixels.
///
/// # Errors
/// It is no picture, or can't be read.
pub async fn frames(path: &Path, side: usize, most: usize) -> Result<ReducedFrames, DataError> {
    reduced_frames(path, side, most)
}

/// Draws a scene.
///
/// # Errors
/// Never here.
pub async fn scene(seed: u64, index: usize, side: usize) -> Result<Picture, DataError> {
    Ok(scenes::draw(seed, index, side).picture)
}
