//! A graph in the folder that transformers.js loads: `onnx/model.onnx`, and the two files of a Hugging Face folder that
//! say what it is and what pictures it takes.

use std::path::Path;

use serde_json::{Value, json};

use super::{OnnxInputSize, file};
use crate::save::write_atomically;
use crate::{StateDict, WeightsDtype, WeightsError, hugging_face};
use dinoscope_base::files;
use dinoscope_model::config::VitConfig;

/// Where in the folder the graph is.
pub const MODEL: &str = "onnx/model.onnx";

/// Endings of files that a person may name by mistake.
const FILES: [&str; 6] = ["safetensors", "pth", "pt", "bin", "ckpt", "json"];

/// Writes `backbone` (official names) as the folder `path` with [`MODEL`], `config.json` and
/// `preprocessor_config.json`. The config says that numbers are f32, so that transformers.js does not look for a
/// quantised file; pictures are cropped to a square, or resized to a fixed size that is none.
///
/// # Errors
/// As [`super::save`]; also if `path` is a file, or is called as one.
pub fn save_folder(
    path: &Path,
    backbone: &StateDict,
    config: &VitConfig,
    size: OnnxInputSize,
) -> Result<(), WeightsError> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    if files::is_file(path) || ending.is_some_and(|ending| FILES.contains(&&ending[..])) {
        let reason = "name a file that ends in .onnx, or a folder for transformers.js".to_string();
        return Err(WeightsError::Unsupported { file: path.display().to_string(), reason });
    }
    let mut json: Value = serde_json::from_str(&hugging_face::config_json(config, WeightsDtype::F32)?)
        .map_err(|e| WeightsError::format("config.json", e.to_string()))?;
    let in_two = super::save_longest(&path.join(MODEL), backbone, config, size, file::LONGEST)?;
    json["transformers.js_config"] = match in_two {
        true => json!({ "dtype": "fp32", "use_external_data_format": true }),
        false => json!({ "dtype": "fp32" }),
    };
    let json = format!("{json:#}\n");
    let pictures = match size {
        OnnxInputSize::Free => hugging_face::preprocessor_json(config),
        OnnxInputSize::Fixed { height, width } => hugging_face::preprocessor(height, width, &config.pixels),
    };
    write_atomically(&path.join("preprocessor_config.json"), |out| out.write_all(pictures.as_bytes()))?;
    write_atomically(&path.join("config.json"), |out| out.write_all(json.as_bytes()))
}
