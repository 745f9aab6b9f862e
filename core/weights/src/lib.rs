//! Weights files in and out: official `.pth`, Hugging Face, timm and safetensors, all to one set of key names.
//!
//! [`load`] and [`from_bytes`] read any of them and work out the model's shape from the tensors; [`save`] writes any
//! layout as safetensors; [`onnx`] writes graphs for other runtimes; [`inspect`] looks without using. Pickles are read, never executed (see `pickle.rs`). On the desktop, `download`
//! fetches the released models.
//!
//! The way of a file: `open` finds out its kind and lists its tensors (`pth`, `safetensors`), `backbone_keys` finds the
//! backbone among them, `plan` translates names, infers sizes and checks every shape, and only then are numbers read.

#[cfg(not(target_family = "wasm"))]
pub mod download;
mod error;
mod finite;
mod formats;
mod inspect;
mod layouts;
pub mod onnx;
mod pixels;
mod plan;
pub mod released;
mod rope_tensors;
mod save;

use formats::{dcp, open, pickle, pickle_torch, pth, pth_listing, safetensors, source};
use layouts::{
    backbone_keys, heads, hugging_face, hugging_face_rope, official, parts, pos_embed, shapes, sidecar,
    unsupported_models,
};

#[cfg(test)]
mod tests;

pub use dinoscope_base::state_dict::{HostTensor, StateDict};
use dinoscope_data::MAX_CHANNELS;
use dinoscope_model::config::VitConfig;
use dinoscope_model::grid::PatchGrid;
pub use error::WeightsError;
pub use hugging_face::{config_json, crop_side, mlp_ratio, preprocessor_json, shortest_edge};
pub use inspect::{
    TensorSummary, ValueSummary, WeightsSummary, inspect, inspect_bytes, inspect_bytes_part, inspect_part,
};
pub use layouts::{KEY_LAYOUTS, KeyLayout, KeyLayoutEntry};
pub use pixels::{change_channels, renormalize};
pub use plan::HEADS_UNKNOWN;
pub use safetensors::WeightsDtype;
pub use save::{save, save_as, save_with_heads, to_bytes};
pub use shapes::{check, expected_shapes, guess_heads, infer_config};
use sidecar::SidecarFiles;
use std::collections::BTreeMap;
use std::path::Path;

/// A weights file, read and checked.
#[derive(Clone, Debug)]
pub struct LoadedWeights {
    /// The backbone by official key names, without prefix or block chunks; exactly [`expected_shapes`] of `config`.
    pub backbone: StateDict,
    /// Projection heads that came along, by name (`dino_head`, `ibot_head`): `mlp.0.weight`, …,
    /// `last_layer.weight_g`, `last_layer.weight_v`.
    pub heads: BTreeMap<String, StateDict>,
    /// The backbone's shape.
    pub config: VitConfig,
    /// Whose names the file used.
    pub layout: KeyLayout,
    /// What a person may want to know: guesses made and tensors not used.
    pub notes: Vec<String>,
    /// Where it came from, for messages.
    pub file: String,
}

/// Read a weights file, an index of shards, or a folder that holds one (as Hugging Face's and distributed checkpoints do).
///
/// Of several backbones a teacher's or another average's is read; [`load_as`] chooses.
///
/// # Errors
/// If the file is not one, is damaged, or holds anything but a complete backbone of finite numbers; see [`WeightsError`].
pub fn load(path: &Path) -> Result<LoadedWeights, WeightsError> {
    load_as(path, WeightsLoadOptions::default())
}

/// [`load`] with what a person says about the file.
///
/// # Errors
/// As [`load`], when the file can't be what is said, and if there is no such part or there are several.
pub fn load_as(path: &Path, reading: WeightsLoadOptions) -> Result<LoadedWeights, WeightsError> {
    let (mut source, beside) = open::path(path)?;
    plan::resolve(&*source, &beside, reading)?.read(&mut *source)
}

/// The notes that [`load_as`] would give, without reading any numbers.
///
/// # Errors
/// As [`load_as`], but for what only the numbers tell.
pub fn notes(path: &Path, part: Option<&str>) -> Result<Vec<String>, WeightsError> {
    let (source, beside) = open::path(path)?;
    Ok(plan::resolve(&*source, &beside, WeightsLoadOptions { part, ..WeightsLoadOptions::default() })?.notes)
}

/// [`notes`] for bytes in memory.
///
/// # Errors
/// As [`notes`].
pub fn notes_of_bytes(name: &str, bytes: &[u8], part: Option<&str>) -> Result<Vec<String>, WeightsError> {
    let source = open::bytes(name, bytes)?;
    Ok(plan::resolve(
        &*source,
        &SidecarFiles::default(),
        WeightsLoadOptions { part, ..WeightsLoadOptions::default() },
    )?
    .notes)
}

/// Whether `path` can be opened as weights: its names and sizes are there, its numbers are not looked at.
///
/// # Errors
/// If it is no weights file, or is cut short.
pub fn check_opens(path: &Path) -> Result<(), WeightsError> {
    open::path(path).map(drop)
}

/// What a person says about a weights file that it may not say itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightsLoadOptions<'a> {
    /// How many attention heads it has, which official files do not say.
    pub heads: Option<usize>,
    /// Rows and columns of its positions.
    pub grid: Option<PatchGrid>,
    /// Which of several backbones: its prefix, a part of that between full stops, or a word of it (`teacher`, `ema`). It
    /// may say how many heads there are, too, and how many channels there shall be: `heads=6`, `teacher,heads=6`,
    /// `channels=1`.
    pub part: Option<&'a str>,
    /// How many channels a model of three colours shall have: one for grey pictures, or more.
    pub channels: Option<usize>,
}

impl WeightsLoadOptions<'_> {
    /// The same with heads and channels taken out of the part.
    ///
    /// # Errors
    /// If the part says a number of them that is none.
    fn split(self, file: &str) -> Result<Self, WeightsError> {
        let Some(said) = self.part.map(PartOfName::of) else { return Ok(self) };
        let number = |text: Option<&str>, key: &str, what: &str, most: usize| match text {
            None => Ok(None),
            Some(text) => match text.parse().ok().filter(|number| (1..=most).contains(number)) {
                Some(number) => Ok(Some(number)),
                None => {
                    let reason = format!("{key}{text} is no number of {what}, such as {key}6");
                    Err(WeightsError::Unsupported { file: file.into(), reason })
                }
            },
        };
        let heads = number(said.heads, PartOfName::HEADS, "attention heads", usize::MAX)?;
        let channels = number(said.channels, PartOfName::CHANNELS, "channels", MAX_CHANNELS)?;
        Ok(Self {
            part: said.part,
            heads: self.heads.or(heads),
            channels: self.channels.or(channels),
            ..self
        })
    }
}

/// What a part says, `NAME`, `heads=N`, `channels=N`, or several of these with commas between, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartOfName<'a> {
    /// The backbone.
    pub part: Option<&'a str>,
    /// How many heads, as it was written.
    pub heads: Option<&'a str>,
    /// How many channels, as it was written.
    pub channels: Option<&'a str>,
}

impl<'a> PartOfName<'a> {
    const HEADS: &'static str = "heads=";
    const CHANNELS: &'static str = "channels=";

    /// Takes `text` apart.
    pub fn of(text: &'a str) -> Self {
        let (mut said, mut rest) = (Self::default(), Some(text));
        // From the end: what stands before may be any name.
        while let Some(all) = rest {
            let (before, last) =
                all.rsplit_once(',').map_or((None, all), |(before, last)| (Some(before), last));
            match (last.strip_prefix(Self::HEADS), last.strip_prefix(Self::CHANNELS)) {
                (Some(heads), _) if said.heads.is_none() => said.heads = Some(heads),
                (_, Some(channels)) if said.channels.is_none() => said.channels = Some(channels),
                _ => break,
            }
            rest = before;
        }
        Self { part: rest.filter(|part| !part.is_empty() || said == Self::default()), ..said }
    }

    /// Put together again; `None` when it says nothing.
    pub fn text(self) -> Option<String> {
        let heads = self.heads.map(|heads| format!("{}{heads}", Self::HEADS));
        let channels = self.channels.map(|channels| format!("{}{channels}", Self::CHANNELS));
        let all: Vec<String> =
            self.part.map(str::to_owned).into_iter().chain(heads).chain(channels).collect();
        (!all.is_empty()).then(|| all.join(","))
    }
}

/// Read weights from memory; `name` is for messages.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<LoadedWeights, WeightsError> {
    from_bytes_as(name, bytes, WeightsLoadOptions::default())
}

/// [`from_bytes`] with what a person says about the file.
///
/// # Errors
/// As [`load_as`].
pub fn from_bytes_as(
    name: &str,
    bytes: &[u8],
    reading: WeightsLoadOptions,
) -> Result<LoadedWeights, WeightsError> {
    let mut source = open::bytes(name, bytes)?;
    plan::resolve(&*source, &SidecarFiles::default(), reading)?.read(&mut *source)
}

/// [`from_bytes`] with the contents of the `config.json` beside the file, which tells what tensors do not: heads, the
/// norms' epsilon, rows and columns of the positions.
///
/// # Errors
/// As [`load`].
pub fn from_bytes_with_config(
    name: &str,
    bytes: &[u8],
    config_json: Option<&[u8]>,
) -> Result<LoadedWeights, WeightsError> {
    let mut source = open::bytes(name, bytes)?;
    let beside = SidecarFiles { config: config_json.map(<[u8]>::to_vec), ..SidecarFiles::default() };
    plan::resolve(&*source, &beside, WeightsLoadOptions::default())?.read(&mut *source)
}
