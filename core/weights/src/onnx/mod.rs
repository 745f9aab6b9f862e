//! Backbones as ONNX files, for the many runtimes that read them: onnxruntime, transformers.js, OpenVINO, CoreML tools.
//!
//! Input and outputs have the names of Hugging Face's exports: `pixel_values` `[batch, channels, height, width]`, normalised
//! as [`super::preprocessor_json`] says; `last_hidden_state` `[batch, 1 + registers + patches, dim]` and
//! `pooler_output` `[batch, dim]`, the CLS token, both after the final norm. Operators are those of opset 17, numbers
//! are f32. The writer is our own: ONNX is a handful of messages in protocol buffers.

mod backbone;
mod file;
mod folder;
mod graph;
mod positions;
mod proto;
mod rope;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::save::write_atomically;
use super::{StateDict, WeightsError, check};
use dinoscope_model::config::VitConfig;
pub use folder::{MODEL, save_folder};

/// Which pictures an exported model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnnxInputSize {
    /// Any size; positions are resampled, or rotary ones computed, inside the graph. Pixels beyond the last whole patch are not seen.
    Free,
    /// One size, with the position table resampled beforehand.
    Fixed {
        /// Pixels, a multiple of the patch.
        height: usize,
        /// Pixels, a multiple of the patch.
        width: usize,
    },
}

/// Longest side of a fixed size in pixels; a table beyond it would be larger than most models.
const MAX_SIDE: usize = 1 << 14;

impl FromStr for OnnxInputSize {
    type Err = String;

    /// `free`, a side in pixels, or height and width as in `224x448`.
    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
        let fixed = match text.split_once('x') {
            Some((height, width)) => side(height).zip(side(width)),
            None => side(text).map(|side| (side, side)),
        };
        match fixed {
            _ if text == "free" => Ok(Self::Free),
            Some((height, width)) => Ok(Self::Fixed { height, width }),
            None => Err(format!(
                "expected free, a side in pixels such as 224, or height and width such as 224x448; up to {MAX_SIDE}"
            )),
        }
    }
}

impl fmt::Display for OnnxInputSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Fixed { height, width } => write!(f, "{height}x{width}"),
        }
    }
}

/// Writes `backbone` (official names) as the ONNX file `path`. Models of more than 2 GB, which is as long as such a
/// file can be, get a second one beside it for their numbers, `path` with `_data` at its end. Each file is written
/// beside its place and renamed.
///
/// # Errors
/// If `backbone` is not what `config` describes, if `size` is no multiple of the patch, or if the disk refuses.
pub fn save(
    path: &Path,
    backbone: &StateDict,
    config: &VitConfig,
    size: OnnxInputSize,
) -> Result<(), WeightsError> {
    save_longest(path, backbone, config, size, file::LONGEST).map(|_| ())
}

/// [`save`], with the length in bytes above which numbers get a file of their own; whether they did.
fn save_longest(
    path: &Path,
    backbone: &StateDict,
    config: &VitConfig,
    size: OnnxInputSize,
    longest: u64,
) -> Result<bool, WeightsError> {
    let name = path.display().to_string();
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) {
        let reason = "an ONNX model is a file whose name ends in .onnx".to_string();
        return Err(WeightsError::Unsupported { file: name, reason });
    }
    let graph = build(&name, backbone, config, size)?;
    let model = file::OnnxModelWriter::new(&graph, config, size);
    if model.length() <= longest {
        write_atomically(path, |out| model.write(out))?;
        return Ok(false);
    }
    let beside = path.file_name().map(|name| format!("{}_data", name.to_string_lossy())).unwrap_or_default();
    let model = model.with_numbers_in(&beside);
    write_atomically(&path.with_file_name(&beside), |out| model.write_numbers(out))?;
    write_atomically(path, |out| model.write(out))?;
    Ok(true)
}

/// The file that [`save`] would write, in memory: what a browser offers for download.
///
/// # Errors
/// As [`save`], and for models of more than 2 GB, which need a second file.
pub fn to_bytes(
    backbone: &StateDict,
    config: &VitConfig,
    size: OnnxInputSize,
) -> Result<Vec<u8>, WeightsError> {
    let graph = build("model.onnx", backbone, config, size)?;
    let model = file::OnnxModelWriter::new(&graph, config, size);
    if model.length() > file::LONGEST {
        let reason = "more than 2 GB, which one ONNX file can't hold; save it as files".to_string();
        return Err(WeightsError::Unsupported { file: "model.onnx".into(), reason });
    }
    let mut out = Vec::new();
    model.write(&mut out).map_err(|e| WeightsError::io("model.onnx", "write", e))?;
    Ok(out)
}

fn build<'a>(
    file: &str,
    backbone: &'a StateDict,
    config: &VitConfig,
    size: OnnxInputSize,
) -> Result<graph::OnnxGraph<'a>, WeightsError> {
    check(backbone, config, file)?;
    if let OnnxInputSize::Fixed { height, width } = size
        && let Some(side) = [height, width].into_iter().find(|side| *side == 0 || side % config.patch != 0)
    {
        let below = side / config.patch * config.patch;
        let near = if below == 0 { String::new() } else { format!("{below} or ") };
        let reason = format!(
            "a side of {side} pixels is no multiple of the model's patch of {}; {near}{} is",
            config.patch,
            below + config.patch
        );
        return Err(WeightsError::Unsupported { file: file.into(), reason });
    }
    backbone::graph(backbone, config, size)
}
