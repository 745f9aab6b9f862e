//! What several words need: devices, weights from wherever they are, folders for runs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use dinoscope_core::burn::tensor::Device;
use dinoscope_core::device::{Chosen, DeviceChoice, choose};
use dinoscope_core::model::{Vit, params};
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::weights::{self, download};

use super::Mistake;

/// Turns `--device` into a device and says once where it computes when that may surprise.
pub fn device(name: &str, quiet: bool) -> Result<Chosen> {
    let mut chosen = choose(name.parse::<DeviceChoice>()?)?;
    if let Some(note) = chosen.note.take().filter(|_| !quiet) {
        eprintln!("{note}");
    }
    Ok(chosen)
}

/// A file of weights from what a person names: a file, a Hugging Face folder, a checkpoint, a run, or the name of
/// a released model that was pulled before.
pub fn weights_path(named: &Path) -> Result<PathBuf> {
    if named.join("teacher.safetensors").is_file() {
        return Ok(named.join("teacher.safetensors"));
    }
    if let Ok(run) = RunFolder::open(named) {
        return match run.latest_checkpoint() {
            Some((_, path)) => Ok(path.join("teacher.safetensors")),
            None => bail!(Mistake(format!("the run {} has no checkpoint yet", named.display()))),
        };
    }
    if named.exists() {
        return Ok(named.to_owned());
    }
    let name = named.to_string_lossy();
    if download::find(&name).is_some() {
        let cached = download::target(&name, &download::default_cache())?;
        if cached.is_file() {
            return Ok(cached);
        }
        bail!(Mistake(format!("{name} is not here yet: `dinoscope weights pull {name}` fetches it")));
    }
    bail!(Mistake(format!(
        "{name} does not exist: give a weights file, a Hugging Face folder, a run or checkpoint folder, or the name \
         of a released model such as dinov2_vits14"
    )))
}

/// A backbone from what a person names.
pub fn backbone(named: &Path, device: &Device, quiet: bool) -> Result<Vit> {
    let path = weights_path(named)?;
    let checkpoint = weights::load(&path)?;
    if !quiet {
        for note in &checkpoint.notes {
            eprintln!("{}: {note}", path.display());
        }
    }
    let fresh = Vit::init(&checkpoint.config, 0, device);
    let (vit, missing) = params::load(fresh, &checkpoint.backbone, |path| path.to_owned());
    if let [first, ..] = missing.as_slice() {
        bail!(Mistake(format!("{} lacks {first} and {} other keys", path.display(), missing.len() - 1)));
    }
    Ok(vit)
}

/// The first of `runs/NAME-001`, `runs/NAME-002`, … that does not exist.
pub fn fresh_run(name: &str) -> PathBuf {
    (1..).map(|i| Path::new("runs").join(format!("{name}-{i:03}"))).find(|p| !p.exists()).unwrap_or_default()
}
