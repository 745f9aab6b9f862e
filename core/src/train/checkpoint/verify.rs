//! Looking at checkpoints without going on from them: which files are whole, and what is wrong with the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files;
use crate::train::checkpoint::manifest::{CheckpointManifest, STATE};
use crate::train::checkpoint::{CheckpointError, all, iteration_of, tensors};

/// What was found of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileVerdict {
    /// It has the digest that was written down for it.
    Whole,
    /// It can be read, but no digest was written down for it: damage that leaves it readable can't be seen.
    Unknown,
    /// It is not what was written.
    Damaged(String),
}

/// A file that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedFile {
    /// The file.
    pub path: PathBuf,
    /// What was found.
    pub verdict: FileVerdict,
}

impl VerifiedFile {
    fn of(path: PathBuf, found: Result<FileVerdict, CheckpointError>) -> Self {
        let verdict = found.unwrap_or_else(|error| FileVerdict::Damaged(error.reason()));
        Self { path, verdict }
    }

    /// Whether it is not what was written.
    pub fn is_damaged(&self) -> bool {
        matches!(self.verdict, FileVerdict::Damaged(_))
    }
}

/// Whether a folder is a checkpoint's, whole or not.
pub fn is_checkpoint(folder: &Path) -> bool {
    let named = folder.file_name().and_then(|name| name.to_str()).and_then(iteration_of);
    files::is_file(folder.join(STATE)) || (named.is_some() && files::is_dir(folder))
}

/// Looks at every file of a checkpoint, `state.json` first.
pub fn verify(folder: &Path) -> Vec<VerifiedFile> {
    let state = folder.join(STATE);
    let manifest = match manifest_of(folder) {
        Ok(manifest) => manifest,
        // What it says of the others can't be relied on.
        Err(error) => return vec![VerifiedFile::of(state, Err(error))],
    };
    let mut found = vec![VerifiedFile::of(state, Ok(of_itself(&manifest)))];
    found.extend(manifest.files().into_iter().map(|name| file_of(&manifest, folder, name)));
    found
}

/// Looks at one file of a checkpoint; `None` where it lies beside no `state.json` that names it.
pub fn verify_file(file: &Path) -> Option<VerifiedFile> {
    let (folder, name) = (file.parent()?, file.file_name()?.to_str()?);
    if name == STATE {
        return verify(folder).into_iter().next();
    }
    let manifest = CheckpointManifest::read_anywhere(folder).ok()?;
    manifest.files().contains(&name).then(|| file_of(&manifest, folder, name))
}

/// Looks at all checkpoints of a run, the oldest first; `folder` is the one that they lie in.
pub fn verify_all(folder: &Path) -> Vec<VerifiedFile> {
    all(folder).iter().flat_map(|(_, path)| verify(path)).collect()
}

/// Looks at the checkpoints among the files of a run that lies in one file, by their names there.
pub fn verify_packed(entries: &BTreeMap<String, Vec<u8>>) -> Vec<VerifiedFile> {
    let mut found = Vec::new();
    for (name, bytes) in entries.iter().filter(|(name, _)| name.ends_with(&format!("/{STATE}"))) {
        let state = PathBuf::from(name);
        let manifest = match CheckpointManifest::parse(bytes, &state) {
            Ok(manifest) => manifest,
            Err(error) => {
                found.push(VerifiedFile::of(state, Err(error)));
                continue;
            }
        };
        let folder = &name[..name.len() - STATE.len()];
        let verdict = |name: &str| match (entries.get(&format!("{folder}{name}")), manifest.sha256.get(name))
        {
            (None, _) => FileVerdict::Damaged("it is missing".to_owned()),
            (Some(_), None) => FileVerdict::Unknown,
            (Some(bytes), Some(digest)) if tensors::digest_of(bytes) == *digest => FileVerdict::Whole,
            _ => FileVerdict::Damaged(tensors::DAMAGED.to_owned()),
        };
        found.push(VerifiedFile { path: state, verdict: of_itself(&manifest) });
        found.extend(manifest.files().into_iter().map(|name| VerifiedFile {
            path: PathBuf::from(format!("{folder}{name}")),
            verdict: verdict(name),
        }));
    }
    found
}

/// What is known of a `state.json` that was read: its own digest, where it has any, was right.
fn of_itself(manifest: &CheckpointManifest) -> FileVerdict {
    if manifest.sha256.is_empty() { FileVerdict::Unknown } else { FileVerdict::Whole }
}

/// A folder that a run would take for its own must be that of its step; a copy may have any name.
fn manifest_of(folder: &Path) -> Result<CheckpointManifest, CheckpointError> {
    match folder.file_name().and_then(|name| name.to_str()).and_then(iteration_of) {
        Some(_) => CheckpointManifest::read(folder),
        None => CheckpointManifest::read_anywhere(folder),
    }
}

fn file_of(manifest: &CheckpointManifest, folder: &Path, name: &str) -> VerifiedFile {
    let path = folder.join(name);
    let found = manifest.check_file(folder, name).and_then(|()| match manifest.sha256.contains_key(name) {
        true => Ok(FileVerdict::Whole),
        false => tensors::read(&path, None).map(|_| FileVerdict::Unknown),
    });
    VerifiedFile::of(path, found)
}
