//! Weights to disk, in any layout, so that a killed process leaves either the old file or the new one.

use super::plan::CONFIG_KEY;
use super::safetensors::{self, OutputTensor, WeightsDtype};
use super::{KeyLayout, LoadedWeights, StateDict, WeightsError, check, hugging_face, official};
use dinoscope_base::files;
use dinoscope_model::config::VitConfig;
use dinoscope_model::grid::PatchGrid;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Write `backbone` (official names) in `layout`.
///
/// [`KeyLayout::Official`] and [`KeyLayout::Timm`] make one safetensors file at `path`, with `config` in its metadata so that
/// nothing has to be guessed when it is read again. [`KeyLayout::HuggingFace`] makes the folder `path` with
/// `model.safetensors`, `config.json` and `preprocessor_config.json`. Each file is written beside its place and renamed.
///
/// # Errors
/// If `backbone` is not what `config` describes, if the layout cannot express it, or if the disk refuses.
pub fn save(
    path: &Path,
    backbone: &StateDict,
    config: &VitConfig,
    layout: KeyLayout,
) -> Result<(), WeightsError> {
    save_as(path, backbone, config, layout, WeightsDtype::F32)
}

/// [`save`] with the numbers kept as `dtype`.
///
/// # Errors
/// As [`save`], and when a number is larger than the dtype can hold.
pub fn save_as(
    path: &Path,
    backbone: &StateDict,
    config: &VitConfig,
    layout: KeyLayout,
    dtype: WeightsDtype,
) -> Result<(), WeightsError> {
    let name = path.display().to_string();
    let (mut tensors, metadata) = outgoing(&name, backbone, config, layout)?;
    fits(&name, &tensors, dtype)?;
    if !layout.entry().is_folder {
        needs_safetensors(path)?;
        return write_atomically(path, |out| safetensors::write(out, &mut tensors, &metadata, dtype));
    }
    let json = hugging_face::config_json(config, dtype)?;
    let folded = config.rope.is_none().then(|| PatchGrid::of_area(config.grid.area())).flatten();
    if let Some(square) = folded.filter(|square| *square != config.grid) {
        let reason = format!(
            "transformers would read positions for {} patches as {square}: write --to timm or official, or --to onnx",
            config.grid
        );
        return Err(WeightsError::Unsupported { file: name, reason });
    }
    if files::is_file(path) {
        let reason = "is a file; a Hugging Face model is a folder, so name one".to_string();
        return Err(WeightsError::Unsupported { file: name, reason });
    }
    files::create_dir_all(path).map_err(|e| WeightsError::io(&name, "create", e))?;
    write_atomically(&path.join("model.safetensors"), |out| {
        safetensors::write(out, &mut tensors, &metadata, dtype)
    })?;
    let preprocessor = hugging_face::preprocessor_json(config);
    write_atomically(&path.join("preprocessor_config.json"), |out| out.write_all(preprocessor.as_bytes()))?;
    write_atomically(&path.join("config.json"), |out| out.write_all(json.as_bytes()))
}

/// Write backbone and heads in the official layout of a training file: `backbone.…`, `dino_head.…`, `ibot_head.…`.
///
/// # Errors
/// As [`save`].
pub fn save_with_heads(
    path: &Path,
    backbone: &StateDict,
    heads: &BTreeMap<String, StateDict>,
    config: &VitConfig,
) -> Result<(), WeightsError> {
    needs_safetensors(path)?;
    let (mut tensors, metadata) =
        outgoing(&path.display().to_string(), backbone, config, KeyLayout::Official)?;
    for tensor in &mut tensors {
        tensor.key.insert_str(0, "backbone.");
    }
    for (head, state) in heads {
        tensors.extend(official::as_is(state).into_iter().map(|mut tensor| {
            tensor.key.insert_str(0, &format!("{head}."));
            tensor
        }));
    }
    write_atomically(path, |out| safetensors::write(out, &mut tensors, &metadata, WeightsDtype::F32))
}

/// The safetensors file that [`save`] would write, in memory: what a browser offers for download. For
/// [`KeyLayout::HuggingFace`] this is `model.safetensors`; [`super::config_json`] makes the file beside it.
///
/// # Errors
/// If `backbone` is not what `config` describes.
pub fn to_bytes(
    backbone: &StateDict,
    config: &VitConfig,
    layout: KeyLayout,
) -> Result<Vec<u8>, WeightsError> {
    let (mut tensors, metadata) = outgoing("model", backbone, config, layout)?;
    let mut out = Vec::new();
    safetensors::write(&mut out, &mut tensors, &metadata, WeightsDtype::F32)
        .map_err(|e| WeightsError::io("model", "write", e))?;
    Ok(out)
}

impl LoadedWeights {
    /// Write the backbone in `layout`; see [`save`]. Heads are left out; [`save_with_heads`] keeps them.
    ///
    /// # Errors
    /// As [`save`].
    pub fn save(&self, path: &Path, layout: KeyLayout) -> Result<(), WeightsError> {
        save(path, &self.backbone, &self.config, layout)
    }
}

/// Every number is within what the dtype can hold.
fn fits(file: &str, tensors: &[OutputTensor<'_>], dtype: WeightsDtype) -> Result<(), WeightsError> {
    let beyond = |value: &f32| value.is_finite() && half::f16::from_f32(*value).is_infinite();
    let of = |tensor: &&OutputTensor<'_>| dtype == WeightsDtype::F16 && tensor.data.iter().any(beyond);
    let Some(tensor) = tensors.iter().find(of) else { return Ok(()) };
    let reason = format!("{} holds numbers above 65504, the largest of f16: write --dtype f32", tensor.key);
    Err(WeightsError::Unsupported { file: file.to_owned(), reason })
}

type Named<'a> = (Vec<OutputTensor<'a>>, Vec<(&'static str, String)>);

fn outgoing<'a>(
    file: &str,
    backbone: &'a StateDict,
    config: &VitConfig,
    layout: KeyLayout,
) -> Result<Named<'a>, WeightsError> {
    check(backbone, config, file)?;
    let own = serde_json::to_string(config).map_err(|e| WeightsError::format(file, e.to_string()))?;
    let mut metadata = vec![("format", "pt".to_string())];
    let tensors = (layout.entry().outgoing)(backbone, config);
    // A Hugging Face folder is read as `transformers` reads it, by its config.json alone.
    if !layout.entry().is_folder {
        metadata.push((CONFIG_KEY, own));
    }
    Ok((tensors, metadata))
}

/// A `.pth` that holds safetensors would confuse every other program.
fn needs_safetensors(path: &Path) -> Result<(), WeightsError> {
    if path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "pth" | "pt" | "bin" | "ckpt")) {
        let reason = "weights are written as safetensors only; name the file ….safetensors".to_string();
        return Err(WeightsError::Unsupported { file: path.display().to_string(), reason });
    }
    Ok(())
}

/// [`files::fill_and_rename`] with an error that names the file; its folder is made.
pub(crate) fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), WeightsError> {
    let name = path.display().to_string();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::create_dir_all(folder).map_err(|e| WeightsError::io(&name, "create the folder of", e))?;
    }
    files::fill_and_rename(path, |out| fill(out)).map_err(|e| WeightsError::io(&name, "write", e))
}
