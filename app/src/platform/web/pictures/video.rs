//! Frames of video files, as far as the browser can play them.

use std::path::Path;

use dinoscope_core::data::decode::animation::ReducedFrames;
use dinoscope_core::data::{DataError, Picture};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;

use super::super::host;

/// File name extensions of videos, in lower case.
pub const EXTENSIONS: [&str; 6] = ["mp4", "m4v", "webm", "mov", "mkv", "ogv"];

/// Whether a file is a video by its extension.
pub fn is_video(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// At most `most` frames, spread evenly over a video, none of their sides longer than `side` pixels.
///
/// # Errors
/// The browser can't play it.
pub async fn frames(path: &Path, side: usize, most: usize) -> Result<ReducedFrames, DataError> {
    let refused = |reason: String| DataError::Source { path: path.display().to_string(), reason };
    let host = host::get().ok_or_else(|| refused("the page is gone".to_owned()))?;
    let asked = host.video_frames(&path.to_string_lossy(), side as u32, most as u32);
    let told = JsFuture::from(asked).await.map_err(|thrown| refused(host::words(&thrown)))?;
    let frames = told.dyn_ref::<Array>().and_then(cut);
    frames.ok_or_else(|| refused("the browser gave no frames".to_owned()))
}

fn cut(told: &Array) -> Option<ReducedFrames> {
    let number = |at: u32| told.get(at).as_f64().map(|side| side as usize);
    let (size, width, height) = ((number(0)?, number(1)?), number(2)?, number(3)?);
    let rgba = told.get(4).dyn_into::<Uint8Array>().ok()?.to_vec();
    let frame = |rgba: &[u8]| {
        let rgb = rgba.as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]);
        Picture::of_rgb(width, height, rgb.collect())
    };
    let frames = rgba.chunks_exact((4 * width * height).max(1)).map(frame).collect();
    Some(ReducedFrames { frames, size, more: false })
}
