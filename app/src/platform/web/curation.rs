//! Curating: a page has no disk that a set could lie on, and shows no workspace for it.

use std::path::{Path, PathBuf};

use dinoscope_curate::heap::{CuratedHeap, HeapDecisions};

use crate::platform::curation_request::{CurationProgress, CurationRequest};

/// Whether there is curating here.
pub const AVAILABLE: bool = false;

fn nowhere<T>() -> Result<T, String> {
    Err("pictures are curated by the program, not in a page".to_owned())
}

/// Whether a folder holds features.
pub fn is_set(_: &Path) -> bool {
    false
}

/// Never here.
///
/// # Errors
/// Always.
pub fn embed_and_open(
    _: &CurationRequest,
    _: CurationProgress<'_>,
) -> Result<(CuratedHeap, Vec<(String, String)>), String> {
    nowhere()
}

/// Never here.
///
/// # Errors
/// Always.
pub fn open_set(_: &Path, _: CurationProgress<'_>) -> Result<CuratedHeap, String> {
    nowhere()
}

/// Never here.
///
/// # Errors
/// Always.
pub fn features_of(_: &CurationRequest, _: &CuratedHeap, _: &Path) -> Result<Vec<f32>, String> {
    nowhere()
}

/// Never here.
///
/// # Errors
/// Always.
pub fn save(_: &CuratedHeap, _: &HeapDecisions) -> Result<PathBuf, String> {
    nowhere()
}
