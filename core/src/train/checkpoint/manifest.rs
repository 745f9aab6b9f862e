//! `state.json` of a checkpoint: where the run stands, and the digests of all files, its own among them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::train::checkpoint::{CheckpointError, content, folder_name, io, tensors};
use crate::train::watch_colours;

/// Name of the file that holds [`CheckpointManifest`].
pub(super) const STATE: &str = "state.json";
/// The tensor files.
pub(super) const FILES: [&str; 3] = ["student.safetensors", "teacher.safetensors", "optimizer.safetensors"];
/// The Gram teacher, in runs that have one.
pub(super) const GRAM: &str = "gram.safetensors";
/// Bytes that no `state.json` reaches: what is longer is none, and is not read.
const LONGEST: u64 = 1 << 16;

/// What `state.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointManifest {
    /// Steps done. Order of the data, crops and masks follow from it and the seed.
    pub iteration: u64,
    /// Seed of all random draws; each is keyed by its purpose and iteration, so there is no generator state.
    pub seed: u64,
    /// Updates of the optimizer.
    pub optimizer_steps: u64,
    /// SHA-256 of each file beside it, and under its own name that of all these lines without it. Checkpoints of older
    /// versions have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sha256: BTreeMap<String, String>,
}

impl CheckpointManifest {
    /// Digest of everything but itself.
    fn digest(&self) -> Result<String, serde_json::Error> {
        let mut bare = self.clone();
        bare.sha256.remove(STATE);
        Ok(tensors::digest_of(&serde_json::to_vec(&bare)?))
    }

    /// Writes it into a checkpoint's folder, with its own digest among those of the other files.
    pub(super) fn write(mut self, folder: &Path) -> Result<(), CheckpointError> {
        let file = folder.join(STATE);
        let digest = self.digest().map_err(|e| content(&file, e))?;
        self.sha256.insert(STATE.to_owned(), digest);
        let text = serde_json::to_string_pretty(&self).map_err(|e| content(&file, e))?;
        files::write_synced(&file, text).map_err(io("write", &file))
    }

    /// Reads a checkpoint's, which must be whole and that of the folder that it lies in.
    pub(super) fn read(path: &Path) -> Result<Self, CheckpointError> {
        let progress = Self::read_anywhere(path)?;
        let folder = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if folder != folder_name(progress.iteration) {
            let reason = format!("it is of step {}, but lies in the folder {folder}", progress.iteration);
            return Err(content(&path.join(STATE), reason));
        }
        Ok(progress)
    }

    /// Reads that of a folder of any name, for instance of one that was set aside.
    pub(super) fn read_anywhere(path: &Path) -> Result<Self, CheckpointError> {
        let file = path.join(STATE);
        let length = files::metadata(&file).map_err(io("read", &file))?.len();
        if length > LONGEST {
            return Err(content(&file, format!("it is damaged: {length} bytes are no checkpoint's state")));
        }
        let bytes = files::read(&file).map_err(io("read", &file))?;
        Self::parse(&bytes, &file)
    }

    /// What such a `file` says.
    pub(super) fn parse(bytes: &[u8], file: &Path) -> Result<Self, CheckpointError> {
        let damaged = |e: serde_json::Error| content(file, format!("it is damaged: {e}"));
        // Lists would do for serde.
        if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(content(file, "it is damaged: there is no JSON object in it"));
        }
        let progress: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        progress.check_digests(file)?;
        if progress.optimizer_steps != progress.iteration {
            let (steps, done) = (progress.optimizer_steps, progress.iteration);
            return Err(content(file, format!("it claims {steps} updates in {done} steps")));
        }
        Ok(progress)
    }

    /// Whether there are digests, all that there should be, and its own is right; or none at all, as in older versions.
    fn check_digests(&self, file: &Path) -> Result<(), CheckpointError> {
        if self.sha256.is_empty() {
            return Ok(());
        }
        let damaged = |reason: String| Err(content(file, format!("it is damaged: {reason}")));
        if let Some(name) = FILES.iter().chain([&STATE]).find(|name| !self.sha256.contains_key(**name)) {
            return damaged(format!("it names no SHA-256 of {name}"));
        }
        let ours = |name: &str| [STATE, GRAM, watch_colours::FILE].contains(&name) || FILES.contains(&name);
        if let Some(name) = self.sha256.keys().find(|name| !ours(name)) {
            return damaged(format!("it names {name}, which no checkpoint has"));
        }
        let found = self.digest().map_err(|e| content(file, e))?;
        match self.sha256.get(STATE) {
            Some(digest) if *digest == found => Ok(()),
            _ => damaged("its SHA-256 is not the one that it names".to_owned()),
        }
    }

    /// Names of the files beside it: those that it has digests of, else those that every checkpoint has.
    pub(super) fn files(&self) -> Vec<&str> {
        match self.sha256.is_empty() {
            true => FILES.to_vec(),
            false => self.sha256.keys().map(String::as_str).filter(|name| *name != STATE).collect(),
        }
    }

    /// Looks at one file: whether it is there and, as far as a digest was written down, undamaged.
    pub(super) fn check_file(&self, folder: &Path, name: &str) -> Result<(), CheckpointError> {
        let file = folder.join(name);
        if !files::is_file(&file) {
            return Err(content(&file, "it is missing"));
        }
        match self.sha256.get(name) {
            Some(digest) if tensors::digest(&file).map_err(io("read", &file))? != *digest => {
                Err(content(&file, tensors::DAMAGED))
            }
            _ => Ok(()),
        }
    }
}
