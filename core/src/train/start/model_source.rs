//! From what a person names to a backbone: a file, a folder, a run, a released model, the starter weights.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;

use crate::files;
use crate::model::{Vit, params};
use crate::train::archive::{self, ArchiveError};
use crate::train::checkpoint::iteration_of;
use crate::train::checkpoint::verify::{FileVerdict, verify_file};
use crate::train::run::RunFolder;
use crate::weights::{self, LoadedWeights, PartOfName, WeightsError, WeightsLoadOptions, WeightsSummary};

/// Small weights that come with the program, trained by it on pictures that it draws itself.
#[cfg(not(target_family = "wasm"))]
const STARTER: &[u8] = dinoscope_assets::STARTER_WEIGHTS;

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
    /// `starter` for the weights that come with the program, anything else for a path or the name of a pulled model, with
    /// `#PART` behind it for one of several backbones (see [`split_part`]).
    pub fn named(name: &str) -> Self {
        if is_starter(Path::new(name)) { Self::Starter } else { Self::Path(name.into()) }
    }
}

/// Whether the weights that come with the program are meant; a file of that name goes first.
fn is_starter(named: &Path) -> bool {
    named == Path::new(STARTER_NAME) && !files::exists(named)
}

/// What stands between a path and a part.
const PART: char = '#';

/// A path, and the part of it that `PATH#PART` names: the prefix of one of several backbones, or a word of it (see
/// [`weights::WeightsLoadOptions`]); `student` or `teacher` of a run. A file that has the whole name is that file.
pub fn split_part(named: &Path) -> (PathBuf, Option<String>) {
    let split = named.to_str().filter(|_| !files::exists(named)).and_then(|text| text.rsplit_once(PART));
    match split.filter(|(path, part)| !path.is_empty() && !part.is_empty() && !part.contains(['/', '\\'])) {
        Some((path, part)) => (path.into(), Some(part.into())),
        None => (named.into(), None),
    }
}

/// `named` with a part and a number of heads that were named beside it; they count before those of the name.
pub fn with_part(named: &Path, part: Option<&str>, heads: Option<usize>) -> PathBuf {
    let (path, of_name) = split_part(named);
    let heads = heads.map(|heads| heads.to_string());
    let said = of_name.as_deref().map_or(PartOfName::default(), PartOfName::of);
    let said = PartOfName { part: part.or(said.part), heads: heads.as_deref().or(said.heads), ..said };
    let Some(text) = said.text() else { return named.into() };
    let mut name = path.into_os_string();
    name.push(format!("{PART}{text}"));
    name.into()
}

/// The run that a file or folder of weights belongs to, and the steps after which they were saved: told from the path
/// `RUN/checkpoints/000500`.
pub fn run_of_weights(path: &Path) -> Option<(PathBuf, u64)> {
    path.ancestors().take(2).find_map(|checkpoint| {
        let step = iteration_of(checkpoint.file_name()?.to_str()?)?;
        let checkpoints = checkpoint.parent()?;
        (checkpoints.file_name()? == "checkpoints").then_some(())?;
        Some((checkpoints.parent()?.to_owned(), step))
    })
}

/// What it is called: `nano-001 after 500 steps`, `starter weights`.
impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starter => f.write_str("starter weights"),
            Self::Path(path) => {
                if let Some((run, step)) = run_of_weights(path) {
                    let name = run.file_name().unwrap_or(run.as_os_str()).to_string_lossy();
                    return write!(f, "{name} after {step} steps");
                }
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
    /// A checkpoint's file that is not what was written.
    #[error("{file}: {reason}; `dinoscope weights verify RUN` shows which checkpoints of a run are whole")]
    Damaged {
        /// The file.
        file: String,
        /// How it differs.
        reason: String,
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
/// newest teacher, an archive of a run as it is, or a released model that was pulled before. With `#student`, a run's or
/// checkpoint's student; any other part is left to who reads the file.
///
/// # Errors
/// Says what is missing and how to get it.
pub fn weights_file(named: &Path) -> Result<PathBuf, ModelError> {
    located(named).map(|(file, _)| file)
}

/// [`weights_file`], with the part of it that is meant still behind it: names the same weights when the run has gone on.
///
/// # Errors
/// As [`weights_file`].
pub fn resolve_weights_path(named: &Path) -> Result<PathBuf, ModelError> {
    located(named).map(|(file, part)| with_part(&file, part.as_deref(), None))
}

/// The file, and which part of it.
fn located(named: &Path) -> Result<(PathBuf, Option<String>), ModelError> {
    let (named, part) = split_part(named);
    let heads = || PartOfName { part: None, ..PartOfName::of(part.as_deref().unwrap_or_default()) }.text();
    if files::is_file(named.join("teacher.safetensors")) {
        return Ok((named.join(of_run(&named, part.as_deref())?), heads()));
    }
    if let Ok(run) = RunFolder::open(&named) {
        return match run.latest_checkpoint() {
            Some((_, path)) => Ok((path.join(of_run(&named, part.as_deref())?), heads())),
            None => Err(ModelError::NoCheckpoint(named.display().to_string())),
        };
    }
    if files::exists(&named) {
        return Ok((named, part));
    }
    let name = named.to_string_lossy().into_owned();
    #[cfg(not(target_family = "wasm"))]
    if weights::download::find(&name).is_some() {
        let cached = weights::download::target(&name, &weights::download::default_cache())?;
        return if cached.is_file() { Ok((cached, part)) } else { Err(ModelError::NotPulled(name)) };
    }
    Err(ModelError::NotFound(name))
}

/// The file of a checkpoint of ours that is called `part`.
fn of_run(named: &Path, part: Option<&str>) -> Result<&'static str, ModelError> {
    match part.and_then(|part| PartOfName::of(part).part).unwrap_or("teacher") {
        "teacher" => Ok("teacher.safetensors"),
        "student" => Ok("student.safetensors"),
        other => {
            let reason =
                format!("has no part {other}; a run has `teacher` (what is read by default) and `student`");
            let file = named.display().to_string();
            Err(WeightsError::Unsupported { file, reason }.into())
        }
    }
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
pub fn checkpoint(source: &ModelSource) -> Result<LoadedWeights, ModelError> {
    checkpoint_as(source, WeightsLoadOptions::default())
}

/// [`checkpoint`] with what a person says about the file.
///
/// # Errors
/// See [`ModelError`].
pub fn checkpoint_as(source: &ModelSource, reading: WeightsLoadOptions) -> Result<LoadedWeights, ModelError> {
    match source {
        ModelSource::Starter => starter(),
        ModelSource::Bytes { name, bytes } => read(&ResolvedWeights::of_bytes(name, bytes)?, reading),
        ModelSource::Path(path) if is_starter(path) => starter(),
        ModelSource::Path(path) => {
            let found = ResolvedWeights::of_file(path)?;
            found.check()?;
            read(&found, reading)
        }
        ModelSource::Released(name) => read(&ResolvedWeights::of_file(Path::new(name))?, reading),
    }
}

/// What a person may want to know of weights before they are read: guesses made and tensors not used.
///
/// # Errors
/// See [`ModelError`].
pub fn notes(source: &ModelSource) -> Result<Vec<String>, ModelError> {
    let found = match source {
        ModelSource::Starter => return Ok(Vec::new()),
        ModelSource::Path(path) if is_starter(path) => return Ok(Vec::new()),
        ModelSource::Bytes { name, bytes } => ResolvedWeights::of_bytes(name, bytes)?,
        ModelSource::Path(path) => ResolvedWeights::of_file(path)?,
        ModelSource::Released(name) => ResolvedWeights::of_file(Path::new(name))?,
    };
    Ok(match &found {
        ResolvedWeights::File(file, part) => weights::notes(file, part.as_deref())?,
        ResolvedWeights::Bytes { name, bytes, part } => {
            weights::notes_of_bytes(name, bytes, part.as_deref())?
        }
    })
}

/// A look into what a person names, without using it.
///
/// # Errors
/// See [`ModelError`].
pub fn inspect(source: &ModelSource) -> Result<WeightsSummary, ModelError> {
    let found = match source {
        ModelSource::Starter => ResolvedWeights::of_starter()?,
        ModelSource::Path(path) if is_starter(path) => ResolvedWeights::of_starter()?,
        ModelSource::Bytes { name, bytes } => ResolvedWeights::of_bytes(name, bytes)?,
        ModelSource::Path(path) => ResolvedWeights::of_file(path)?,
        ModelSource::Released(name) => ResolvedWeights::of_file(Path::new(name))?,
    };
    Ok(match &found {
        ResolvedWeights::File(file, part) => weights::inspect_part(file, part.as_deref())?,
        ResolvedWeights::Bytes { name, bytes, part } => {
            weights::inspect_bytes_part(name, bytes, part.as_deref())?
        }
    })
}

/// Weights that were found: on the disk, or in memory.
enum ResolvedWeights<'a> {
    File(PathBuf, Option<String>),
    Bytes { name: String, bytes: Cow<'a, [u8]>, part: Option<String> },
}

impl<'a> ResolvedWeights<'a> {
    /// A weights file, or what an archive of a run holds.
    fn of_file(named: &Path) -> Result<Self, ModelError> {
        let (file, part) = located(named)?;
        if !archive::is_archive(&file) {
            return Ok(Self::File(file, part));
        }
        let name = file.display().to_string();
        let bytes = files::read(&file).map_err(|source| ModelError::Archive {
            file: name.clone(),
            source: ArchiveError::Io { action: "read", path: name.clone(), source },
        })?;
        Ok(match teacher_or_student(&name, &bytes, part.as_deref())? {
            Some(inner) => Self::Bytes { name, bytes: inner.into(), part: None },
            // It is no archive of a run after all.
            None => Self::Bytes { name, bytes: bytes.into(), part },
        })
    }

    /// The content of a weights file, or of an archive with a run.
    fn of_bytes(name: &str, bytes: &'a [u8]) -> Result<Self, ModelError> {
        let inner = teacher_or_student(name, bytes, None)?;
        Ok(Self::Bytes { name: name.to_owned(), bytes: inner.map_or(bytes.into(), Cow::Owned), part: None })
    }

    /// Whether a checkpoint's file is what was written; of others nothing is known.
    fn check(&self) -> Result<(), ModelError> {
        let Self::File(file, _) = self else { return Ok(()) };
        match verify_file(file).map(|found| found.verdict) {
            Some(FileVerdict::Damaged(reason)) => {
                Err(ModelError::Damaged { file: file.display().to_string(), reason })
            }
            _ => Ok(()),
        }
    }

    fn of_starter() -> Result<Self, ModelError> {
        #[cfg(not(target_family = "wasm"))]
        let bytes = Cow::Borrowed(STARTER);
        #[cfg(target_family = "wasm")]
        let bytes = Cow::Owned(files::read(STARTER_FILE).map_err(|_| ModelError::NoStarter)?);
        Ok(Self::Bytes { name: "starter weights".to_owned(), bytes, part: None })
    }
}

/// The newest weights in an archive of a run; nothing where the bytes are no such archive.
fn teacher_or_student(name: &str, bytes: &[u8], part: Option<&str>) -> Result<Option<Vec<u8>>, ModelError> {
    let damaged = |source| ModelError::Archive { file: name.to_owned(), source };
    let Some(teacher) = archive::teacher(bytes).map_err(damaged)? else { return Ok(None) };
    let file = of_run(Path::new(name), part)?;
    if file == "teacher.safetensors" {
        return Ok(Some(teacher));
    }
    let found = archive::entries(bytes, |name| name.ends_with(&format!("/{file}"))).map_err(damaged)?;
    let newest = found.and_then(|found| found.into_values().next_back());
    newest.map(Some).ok_or_else(|| damaged(ArchiveError::NoRun("a checkpoint")))
}

fn starter() -> Result<LoadedWeights, ModelError> {
    read(&ResolvedWeights::of_starter()?, WeightsLoadOptions::default())
}

/// What was found, read as `reading` says; a part that the name itself has counts as well.
fn read(found: &ResolvedWeights, reading: WeightsLoadOptions) -> Result<LoadedWeights, ModelError> {
    Ok(match found {
        ResolvedWeights::File(file, part) => {
            weights::load_as(file, WeightsLoadOptions { part: part.as_deref().or(reading.part), ..reading })?
        }
        ResolvedWeights::Bytes { name, bytes, part } => weights::from_bytes_as(
            name,
            bytes,
            WeightsLoadOptions { part: part.as_deref().or(reading.part), ..reading },
        )?,
    })
}

fn on_device(checkpoint: LoadedWeights, device: &Device) -> Result<OpenModel, ModelError> {
    let LoadedWeights { backbone: dict, config, notes, file, .. } = checkpoint;
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
    let mut on_progress = |done, total| match progress(done, total) {
        true => ControlFlow::Continue(()),
        false => {
            stopped = true;
            ControlFlow::Break(())
        }
    };
    let cache = weights::download::default_cache();
    match weights::download::WeightsDownloadRequest::new(name, &cache).pull(&mut on_progress) {
        Err(_) if stopped => Err(ModelError::Stopped(name.to_owned())),
        pulled => Ok(pulled?.path),
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

    #[test]
    fn the_starter_weights_are_meant_wherever_they_are_named() {
        for source in [ModelSource::named("starter"), ModelSource::Path("starter".into())] {
            assert!(checkpoint(&source).is_ok() && notes(&source).unwrap().is_empty());
            let seen = inspect(&source).unwrap();
            assert!(seen.problem.is_none() && seen.parameters > 0, "{seen:?}");
        }
    }

    #[test]
    fn weights_of_a_run_are_called_after_it() {
        let of = |path: &str| ModelSource::Path(path.into()).to_string();
        assert_eq!(of("/runs/nano-001/checkpoints/000500"), "nano-001 after 500 steps");
        assert_eq!(of("/runs/nano-001/checkpoints/000500/teacher.safetensors"), "nano-001 after 500 steps");
        assert_eq!(of("/weights/checkpoints.pth"), "checkpoints.pth");
        assert_eq!(of("/somewhere/000500"), "000500");
        assert_eq!(ModelSource::Starter.to_string(), "starter weights");
        let (run, step) = run_of_weights(Path::new("/runs/a/checkpoints/000007")).unwrap();
        assert_eq!((run, step), (PathBuf::from("/runs/a"), 7));
    }

    #[test]
    fn a_part_stands_behind_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("my#file.pth");
        std::fs::write(&odd, "x").unwrap();
        assert_eq!(split_part(&odd), (odd.clone(), None), "a file that has the name");
        let parted = with_part(&odd, Some("teacher"), None);
        assert_eq!(split_part(&parted), (odd.clone(), Some("teacher".into())));
        assert_eq!(split_part(&with_part(&parted, Some("model.ema"), None)).1.unwrap(), "model.ema");
        assert_eq!(with_part(&odd, None, None), odd);
        let of = |named: &Path| split_part(named).1.unwrap();
        let both = with_part(&parted, None, Some(6));
        assert_eq!(of(&both), "teacher,heads=6");
        assert_eq!(of(&with_part(&both, Some("ema"), None)), "ema,heads=6");
        assert_eq!(of(&with_part(&both, None, Some(12))), "teacher,heads=12");
        assert_eq!(of(&with_part(&odd, None, Some(3))), "heads=3");
        assert_eq!(split_part(Path::new("a#b/c")), ("a#b/c".into(), None), "a folder's name");
        assert_eq!(resolve_weights_path(&parted).unwrap(), parted);
    }

    #[test]
    fn a_checkpoint_of_ours_has_a_student_too() {
        let folder = tempfile::tempdir().unwrap();
        let LoadedWeights { mut backbone, heads, config, .. } = checkpoint(&ModelSource::Starter).unwrap();
        for name in ["teacher", "student"] {
            let file = folder.path().join(format!("{name}.safetensors"));
            weights::save_with_heads(&file, &backbone, &heads, &config).unwrap();
            backbone.get_mut("norm.bias").unwrap().data.fill(0.25);
        }
        let bias = |part| {
            let source = ModelSource::Path(with_part(folder.path(), part, None));
            checkpoint(&source).map(|read| read.backbone["norm.bias"].data[0]).map_err(|e| e.to_string())
        };
        assert_eq!(bias(Some("student")), Ok(0.25));
        assert!(bias(None).unwrap() != 0.25 && bias(None) == bias(Some("teacher")));
        let error = bias(Some("critic")).unwrap_err();
        assert!(error.contains("no part critic") && error.contains("student"), "{error}");
    }
}
