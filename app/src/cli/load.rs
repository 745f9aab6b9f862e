//! What several words need: devices, weights from wherever they are, folders for runs.

use std::path::{Path, PathBuf};

use super::terminal::note;
use super::{device_note, settings};
use anyhow::Result;
use dinoscope_core::burn::tensor::Device;
use dinoscope_core::device::{Chosen, DeviceChoice, choose};
use dinoscope_core::explore::{self, ModelSource};
use dinoscope_core::model::Vit;

/// What `--device` says, else what the person has settled for all commands.
pub fn choice(flag: Option<&str>) -> Result<DeviceChoice> {
    Ok(match flag {
        Some(name) => name.parse()?,
        None => settings::get().device.value,
    })
}

/// Turns `--device` into a device; where it computes is said once when that may surprise.
pub fn device(flag: Option<&str>, quiet: bool) -> Result<Chosen> {
    let mut chosen = choose(choice(flag)?)?;
    if let Some(note) = chosen.note.take().filter(|_| !quiet) {
        device_note::keep(note);
    }
    Ok(chosen)
}

/// A backbone from what a person names.
pub fn backbone(named: &Path, device: &Device, quiet: bool) -> Result<Vit> {
    let model = explore::open(&ModelSource::named(&named.to_string_lossy()), device, &mut |_, _| true)?;
    if !quiet {
        for note in &model.notes {
            note!("{}: {note}", model.file);
        }
    }
    Ok(model.backbone)
}

/// The first of `NAME-001`, `NAME-002`, … in the folder for runs that does not exist.
pub fn fresh_run(name: &str) -> PathBuf {
    let runs = &settings::get().runs.value;
    (1..).map(|i| runs.join(format!("{name}-{i:03}"))).find(|p| !p.exists()).unwrap_or_default()
}

/// What a person names as a run keeps it: absolute where it is a file or folder, else the name as it is (a pulled
/// model, the starter weights).
pub fn lasting_name(named: &Path) -> Result<String> {
    let path = if named.exists() { std::path::absolute(named)? } else { named.to_owned() };
    Ok(path.to_string_lossy().into_owned())
}
