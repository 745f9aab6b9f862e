//! Where settings and runs are kept: in the page's own file system; the browser keeps the settings from there.

use std::path::{Path, PathBuf};

/// Whether what is remembered is written by the studio itself soon after it has changed: the page asks for it, and hands
/// it to the browser.
pub const WRITTEN_BY_STUDIO: bool = false;

/// Whether features of evaluations are kept for the next time: a page's memory is for pictures.
pub const KEEPS_FEATURES: bool = false;

/// Where the settings are kept.
pub fn settings_file() -> Option<PathBuf> {
    Some(PathBuf::from("/settings/studio.json"))
}

/// What is said about where the settings are kept: the path is none of a disk.
pub fn settings_place() -> Option<String> {
    Some("kept in this browser".to_owned())
}

/// Where runs are kept.
pub fn runs_folder() -> PathBuf {
    PathBuf::from("/runs")
}

/// A path that doesn't depend on where the program was started: each of a page's is.
///
/// # Errors
/// Never here.
pub fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    Ok(path.to_owned())
}
