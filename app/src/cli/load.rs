//! What several words need: devices, weights from wherever they are, folders for runs.

use std::path::{Path, PathBuf};

use super::terminal::{note, out};
use super::{UsageError, device_note, ranks, settings};
use anyhow::{Result, bail};
use dinoscope_core::burn::tensor::Device;
use dinoscope_core::data::channels::takes_colours;
use dinoscope_core::device::{DeviceChoice, SelectedDevice, choose};
use dinoscope_core::explore::{self, ModelSource};
use dinoscope_core::fused::MatmulPrecision;
use dinoscope_core::model::{Vit, VitConfig};
use dinoscope_core::train::{Recipe, ResolvedRecipe};
use dinoscope_core::weights::HEADS_UNKNOWN;

/// What `--device` says, else what the person has settled for all commands.
pub fn choice(flag: Option<&str>) -> Result<DeviceChoice> {
    Ok(match flag {
        Some(name) => name.parse()?,
        None => settings::get().device.value,
    })
}

/// Turns `--device` into a device; where it computes is said once when that may surprise.
pub fn device(flag: Option<&str>, quiet: bool) -> Result<SelectedDevice> {
    let mut chosen = choose(ranks::device(choice(flag)?))?;
    if let Some(note) = chosen.note.take().filter(|_| !quiet) {
        device_note::keep(device_note::with_flag(note));
    }
    Ok(chosen)
}

/// A recipe that was resolved, with a word about what had to follow what was asked for.
pub fn noted(resolved: ResolvedRecipe) -> Recipe {
    for said in &resolved.notes {
        note!("{said}");
    }
    resolved.recipe
}

/// What a person names: weights in any form, `starter`, or one of several backbones of a file (`FILE#PART`).
pub fn source(named: &Path) -> ModelSource {
    ModelSource::named(&named.to_string_lossy())
}

/// What is named with `--weights NAME --part PART --heads N`.
pub fn with_part(named: &Path, part: Option<&str>, heads: Option<usize>) -> PathBuf {
    explore::with_part(named, part, heads)
}

/// `--matmul-precision f32|bf16`.
pub fn products(text: &str) -> Result<MatmulPrecision, String> {
    match text {
        "f32" => Ok(MatmulPrecision::F32),
        "bf16" => Ok(MatmulPrecision::Bf16),
        _ => Err("expected f32 or bf16".to_owned()),
    }
}

/// The precision that `chosen` multiplies matrices in when `asked` is wanted; a note where that is another one.
pub fn products_on(asked: MatmulPrecision, chosen: &SelectedDevice) -> MatmulPrecision {
    let on_gpu = chosen.gpu;
    if asked == MatmulPrecision::F32 || (!on_gpu && asked.is_available()) {
        return asked;
    }
    let why =
        if on_gpu { "a GPU does not multiply in it here" } else { "this processor has no bf16 products" };
    note!("--matmul-precision bf16: {why}; f32 it is");
    MatmulPrecision::F32
}

/// `--size N`, or the side of what positions are stored for, at most 224 pixels; a multiple of the patch.
pub fn crop_side(asked: Option<usize>, config: &VitConfig) -> Result<usize> {
    let size = asked.unwrap_or_else(|| config.side().min(224 / config.patch * config.patch));
    if size == 0 || !size.is_multiple_of(config.patch) {
        let patch = config.patch;
        bail!(UsageError(format!("--size {size} is not a multiple of the model's patch of {patch}")));
    }
    Ok(size)
}

/// Fails where pictures are colours and can't be made into the channels that a model takes.
pub fn colours_alone(channels: usize, what: &str, way_out: &str) -> Result<()> {
    if takes_colours(channels) {
        return Ok(());
    }
    bail!(UsageError(format!(
        "{what}: pictures have colours here, and the model takes {channels} channels; {way_out}"
    )))
}

/// `--heads N`.
pub fn heads(text: &str) -> Result<usize, String> {
    let heads = text.parse().ok().filter(|heads| (1..=1024).contains(heads));
    heads.ok_or_else(|| format!("{text} is no number of attention heads: give one from 1 to 1024"))
}

/// A backbone from what a person names. Its notes are said; where a program reads the output they are JSON objects among
/// it, `{"event":"note","input":…,"note":…}`.
pub fn backbone(named: &Path, device: &Device, json: bool) -> Result<Vit> {
    let model = explore::open(&source(named), device, &mut |_, _| true)?;
    for note in &model.notes {
        if json {
            out!("{}", serde_json::json!({ "event": "note", "input": model.file, "note": note }));
        } else {
            let way_out =
                if note.starts_with(HEADS_UNKNOWN) { "; --heads N says another number" } else { "" };
            note!("{}: {note}{way_out}", model.file);
        }
    }
    Ok(model.backbone)
}

/// Says what is worth knowing of weights that are read later on, before they are.
pub fn say_notes(named: &str) -> Result<()> {
    for note in explore::notes(&ModelSource::named(named))? {
        note!("{named}: {note}");
    }
    Ok(())
}

/// The first of `NAME-001`, `NAME-002`, … in the folder for runs that does not exist.
pub fn fresh_run(name: &str) -> PathBuf {
    let runs = &settings::get().runs.value;
    (1..).map(|i| runs.join(format!("{name}-{i:03}"))).find(|p| !p.exists()).unwrap_or_default()
}

/// What a person names as a run keeps it: absolute where it is a file or folder, else the name as it is (a pulled
/// model, the starter weights). A part of it stays behind it.
pub fn lasting_name(named: &Path) -> Result<String> {
    let (named, part) = explore::split_part(named);
    let path = if named.exists() { std::path::absolute(named)? } else { named };
    Ok(explore::with_part(&path, part.as_deref(), None).to_string_lossy().into_owned())
}
