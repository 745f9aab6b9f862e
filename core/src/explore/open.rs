//! From what a person names to a backbone: a file, a folder, a run, a released model, the starter weights.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;

use crate::files;
use crate::model::{Vit, params};
use crate::train::archive::{self, ArchiveError};
use crate::train::run::RunFolder;
use crate::weights::{self, Checkpoint, Reading, WeightsError};

/// Small weights that come with the program, trained by it on pictures that it draws itself.
#[cfg(not(target_family = "wasm"))]
const STARTER: &[u8] = include_bytes!("../../../assets/weights/starter.safetensors");

/// What they are called where weights are named.
pub const STARTER_NAME: &str = "starter";

/// Where a page puts them once it has loaded them; elsewhere they are part of the program.
pub const STARTER_FILE: &str = "/starter.safetensors";

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ModelSource {
    /// The weights that come with the program.
    Starter,
    /// A weights file, a Hugging Face folder, a checkpoint, or a run, also one in an archive (its newest checkpoint).
    Path(PathBuf),
    /// A released model by its name in the official hub, downloaded when it is not here yet.
    Released(String),
    /// The content of a weights file, for instance one that was dropped on a page.
    Bytes {
        /// Name for messages.
        name: String,
        /// What the file holds.
        #[serde(with = "crate::wire::bytes")]
        bytes: Arc<[u8]>,
    },
}

impl ModelSource {
    /// `starter` for the weights that come with the program, anything else for a path or the name of a pulled model.
    pub fn named(name: &str) -> Self {
        if name == STARTER_NAME && !files::exists(name) { Self::Starter } else { Self::Path(name.into()) }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starter => f.write_str("starter weights"),
            Self::Path(path) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                f.write_str(&name.unwrap_or_else(|| path.display().to_string()))
            }
            Self::Released(name) | Self::Bytes { name, .. } => f.write_str(name),
        }
    }
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Nothing has this name.
    #[error(
        "{0} does not exist: give a weights file, a Hugging Face folder, a run or checkpoint folder, or the name of a \
         released model such as dinov2_vits14"
    )]
    NotFound(String),
    /// A run without checkpoints.
    #[error("the run {0} has no checkpoint yet")]
    NoCheckpoint(String),
    /// A released model that was not downloaded.
    #[error("{0} is not here yet: `dinoscope weights pull {0}` fetches it")]
    NotPulled(String),
    /// The file does not hold what its shape says.
    #[error("{file} lacks {key} and {more} other keys")]
    Incomplete {
        /// The file.
        file: String,
        /// The first key that is missing.
        key: String,
        /// How many more.
        more: usize,
    },
    /// A run in one file that can't be used.
    #[error("{file}: {source}")]
    Archive {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: ArchiveError,
    },
    /// A page that is still loading.
    #[error("the starter weights have not been loaded")]
    NoStarter,
    /// The download was stopped.
    #[error("the download of {0} was stopped; it goes on from there the next time")]
    Stopped(String),
    /// The file can't be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The file of weights that a path names: the file itself, a Hugging Face folder, a checkpoint's teacher, a run's
/// newest teacher, an archive of a run as it is, or a released model that was pulled before.
///
/// # Errors
/// Says what is missing and how to get it.
pub fn weights_file(named: &Path) -> Result<PathBuf, ModelError> {
    if files::is_file(named.join("teacher.safetensors")) {
        return Ok(named.join("teacher.safetensors"));
    }
    if let Ok(run) = RunFolder::open(named) {
        return match run.latest_checkpoint() {
            Some((_, path)) => Ok(path.join("teacher.safetensors")),
            None => Err(ModelError::NoCheckpoint(named.display().to_string())),
        };
    }
    if files::exists(named) {
        return Ok(named.to_owned());
    }
    let name = named.to_string_lossy().into_owned();
    #[cfg(not(target_family = "wasm"))]
    if weights::download::find(&name).is_some() {
        let cached = weights::download::target(&name, &weights::download::default_cache())?;
        return if cached.is_file() { Ok(cached) } else { Err(ModelError::NotPulled(name)) };
    }
    Err(ModelError::NotFound(name))
}

/// A model that is ready to look with.
#[derive(Clone, Debug)]
pub struct OpenModel {
    /// The backbone, on its device.
    pub backbone: Vit,
    /// What a person may want to know: guesses made and tensors not used.
    pub notes: Vec<String>,
    /// The file, or a name.
    pub file: String,
}

/// Opens a model on a device. `progress` hears what is downloaded of how many bytes, and may say no.
///
/// # Errors
/// See [`ModelError`].
pub fn open(
    source: &ModelSource,
    device: &Device,
    progress: &mut dyn FnMut(u64, Option<u64>) -> bool,
) -> Result<OpenModel, ModelError> {
    let checkpoint = match source {
        ModelSource::Released(name) => weights::load(&released(name, progress)?)?,
        other => self::checkpoint(other)?,
    };
    on_device(checkpoint, device)
}

/// What a person names, read: backbone, and heads where they came along. Nothing is downloaded.
///
/// # Errors
/// See [`ModelError`].
pub fn checkpoint(source: &ModelSource) -> Result<Checkpoint, ModelError> {
    checkpoint_as(source, Reading::default())
}

/// [`checkpoint`] with what a person says about the file.
///
/// # Errors
/// See [`ModelError`].
pub fn checkpoint_as(source: &ModelSource, reading: Reading) -> Result<Checkpoint, ModelError> {
    match source {
        ModelSource::Starter => starter(),
        ModelSource::Bytes { name, bytes } => in_memory(name, bytes, reading),
        ModelSource::Path(path) => on_disk(&weights_file(path)?, reading),
        ModelSource::Released(name) => on_disk(&weights_file(Path::new(name))?, reading),
    }
}

#[cfg(not(target_family = "wasm"))]
fn starter() -> Result<Checkpoint, ModelError> {
    Ok(weights::from_bytes("starter weights", STARTER)?)
}

#[cfg(target_family = "wasm")]
fn starter() -> Result<Checkpoint, ModelError> {
    let bytes = files::read(STARTER_FILE).map_err(|_| ModelError::NoStarter)?;
    Ok(weights::from_bytes("starter weights", &bytes)?)
}

/// A weights file, or a run in an archive.
fn on_disk(file: &Path, reading: Reading) -> Result<Checkpoint, ModelError> {
    if !archive::is_archive(file) {
        return Ok(weights::load_as(file, reading)?);
    }
    let name = file.display().to_string();
    let bytes = files::read(file).map_err(|source| ModelError::Archive {
        file: name.clone(),
        source: ArchiveError::Io { action: "read", path: name.clone(), source },
    })?;
    in_memory(&name, &bytes, reading)
}

/// The content of a weights file, or of an archive with a run.
fn in_memory(name: &str, bytes: &[u8], reading: Reading) -> Result<Checkpoint, ModelError> {
    let teacher = archive::teacher(bytes);
    let teacher = teacher.map_err(|source| ModelError::Archive { file: name.to_owned(), source })?;
    Ok(weights::from_bytes_as(name, teacher.as_deref().unwrap_or(bytes), reading)?)
}

fn on_device(checkpoint: Checkpoint, device: &Device) -> Result<OpenModel, ModelError> {
    let Checkpoint { backbone: dict, config, notes, file, .. } = checkpoint;
    let (backbone, missing) = params::load(Vit::unloaded(&config, device), &dict, |path| path.to_owned());
    match missing.as_slice() {
        [] => Ok(OpenModel { backbone, notes, file }),
        [first, more @ ..] => Err(ModelError::Incomplete { file, key: first.clone(), more: more.len() }),
    }
}

#[cfg(not(target_family = "wasm"))]
fn released(name: &str, progress: &mut dyn FnMut(u64, Option<u64>) -> bool) -> Result<PathBuf, ModelError> {
    use std::ops::ControlFlow;
    let mut stopped = false;
    let mut hear = |done, total| match progress(done, total) {
        true => ControlFlow::Continue(()),
        false => {
            stopped = true;
            ControlFlow::Break(())
        }
    };
    let pulled = weights::download::pull(name, &weights::download::default_cache(), None, &mut hear, None);
    match pulled {
        Err(_) if stopped => Err(ModelError::Stopped(name.to_owned())),
        pulled => Ok(pulled?),
    }
}

#[cfg(target_family = "wasm")]
fn released(name: &str, _: &mut dyn FnMut(u64, Option<u64>) -> bool) -> Result<PathBuf, ModelError> {
    Err(ModelError::NotFound(name.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_weights_open() {
        let model = open(&ModelSource::Starter, &Device::flex(), &mut |_, _| true).unwrap();
        assert!(model.backbone.config.depth > 0 && model.notes.is_empty(), "{:?}", model.notes);
    }

    #[test]
    fn what_does_not_exist_is_named_with_the_way_out() {
        let message = |path: &str| weights_file(Path::new(path)).unwrap_err().to_string();
        assert!(message("no/such/file").contains("no/such/file") && message("x").contains("dinov2_vits14"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no weights").unwrap();
        let source = ModelSource::Path(folder.path().join("notes.txt"));
        let error = open(&source, &Device::flex(), &mut |_, _| true).unwrap_err().to_string();
        assert!(error.contains("notes.txt"), "{error}");
    }
}
