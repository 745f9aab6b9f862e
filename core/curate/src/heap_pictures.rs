//! The pictures of a heap before anything is known of them: where they are, and whether they have changed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use dinoscope_data::archive;
use dinoscope_data::source::gathered::{SourceOptions, gather};

use crate::CurateError;

/// A picture of the heap.
pub struct HeapPicture {
    /// Its file, or where it is in an archive.
    pub path: PathBuf,
    /// The class that its place gives it.
    pub label: Option<String>,
}

/// The pictures of some places, each once.
///
/// # Errors
/// When a place can't be read, or holds pictures that are no files.
pub fn heap(places: &[PathBuf]) -> Result<Vec<HeapPicture>, CurateError> {
    let how = SourceOptions { labels: true, ..SourceOptions::default() };
    let mut seen = HashSet::new();
    let mut heap = Vec::new();
    for opened in gather(places, how)? {
        let name = opened.name.clone();
        let source = opened.whole(how).source;
        for i in 0..source.len() {
            let path = source.file(i).ok_or_else(|| {
                CurateError::Option(format!(
                    "{name} has pictures that are no files of their own: curation takes folders, lists and archives"
                ))
            })?;
            let label = source.label(i).and_then(|label| source.classes().get(label).cloned());
            if seen.insert(path.clone()) {
                heap.push(HeapPicture { path, label });
            }
        }
    }
    Ok(heap)
}

/// What a picture is called in tables: its path from the root of the disk, so that tables may lie anywhere.
pub fn key(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// What a file is known by without reading it; what is in an archive changes with that.
pub fn stamp(path: &Path) -> String {
    let file = archive::located(path).map_or_else(|| path.to_owned(), |(archive, _)| archive);
    let Ok(about) = std::fs::metadata(file) else { return "missing".to_owned() };
    let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} {}", about.len(), time.unwrap_or_default().as_nanos())
}
