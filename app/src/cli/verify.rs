//! `dinoscope weights verify`: whether checkpoints and weights are what was written.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use dinoscope_core::explore;
use dinoscope_core::train::archive;
use dinoscope_core::train::checkpoint::verify::{self, FileVerdict, VerifiedFile};
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::weights::download;

use super::status::CliExitStatus;
use super::terminal::{out, warning};
use super::{UsageError, load};

/// Looks at what a path names and says a line of each file; a fault where one is damaged.
pub fn run(path: &Path, json: bool) -> Result<CliExitStatus> {
    let found = look(path)?;
    for file in &found {
        let (word, reason) = match &file.verdict {
            FileVerdict::Whole => ("whole", None),
            FileVerdict::Unknown => {
                ("unknown", Some("it can be read, and no SHA-256 says what it should be"))
            }
            FileVerdict::Damaged(reason) => ("damaged", Some(reason.as_str())),
        };
        if json {
            let file = file.path.display().to_string();
            out!("{}", serde_json::json!({ "file": file, "verdict": word, "reason": reason }));
        } else {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            out!("{word:<8} {}{reason}", file.path.display());
        }
    }
    let damaged = found.iter().filter(|file| file.is_damaged()).count();
    if damaged == 0 {
        return Ok(CliExitStatus::Done);
    }
    let (of, are) = (found.len(), if damaged == 1 { "is" } else { "are" });
    warning!("{damaged} of {of} files {are} damaged: a run goes on from its newest checkpoint that is whole");
    Ok(CliExitStatus::Fault)
}

/// What is found of a checkpoint's folder, a run's with all its checkpoints, a run in one file, or weights.
fn look(path: &Path) -> Result<Vec<VerifiedFile>> {
    // `.` is the folder that it means, whose name says the step.
    let path = &match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    };
    if let Ok(run) = RunFolder::open(path) {
        return some(verify::verify_all(&run.checkpoints()), path);
    }
    if verify::is_checkpoint(path) {
        return Ok(verify::verify(path));
    }
    if path.is_dir() {
        let inside = verify::verify_all(path);
        return if inside.is_empty() { Ok(vec![weights(path.clone())?]) } else { Ok(inside) };
    }
    if archive::is_archive(path) {
        return packed(path);
    }
    match verify::verify_file(path) {
        Some(file) => Ok(vec![file]),
        None => Ok(vec![weights(explore::weights_file(path)?)?]),
    }
}

fn some(found: Vec<VerifiedFile>, path: &Path) -> Result<Vec<VerifiedFile>> {
    if found.is_empty() {
        bail!(UsageError(format!("{} has no checkpoint to look at yet", path.display())));
    }
    Ok(found)
}

/// The checkpoint of a run in one file.
fn packed(path: &Path) -> Result<Vec<VerifiedFile>> {
    let entries = std::fs::read(path).map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
    match archive::entries(&entries, |name| name.starts_with("checkpoints/")) {
        Ok(Some(entries)) => some(verify::verify_packed(&entries), path),
        Ok(None) => Ok(vec![weights(path.to_owned())?]),
        Err(error) => {
            Ok(vec![VerifiedFile { path: path.to_owned(), verdict: FileVerdict::Damaged(error.to_string()) }])
        }
    }
}

/// Weights that belong to no checkpoint: by the SHA-256 that was kept when they were pulled, else whether they can be read.
fn weights(path: PathBuf) -> Result<VerifiedFile> {
    let verdict = match download::is_as_fetched(&path)? {
        Some(true) => FileVerdict::Whole,
        Some(false) => {
            let reason = "its SHA-256 is not the one that was kept when it was pulled: pull it once more";
            FileVerdict::Damaged(reason.to_owned())
        }
        None => match explore::inspect(&load::source(&path)) {
            Ok(found) if found.non_finite > 0 => {
                FileVerdict::Damaged(format!("it holds {} values that are not finite", found.non_finite))
            }
            Ok(_) => FileVerdict::Unknown,
            Err(error) => FileVerdict::Damaged(error.to_string()),
        },
    };
    Ok(VerifiedFile { path, verdict })
}
