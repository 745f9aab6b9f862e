//! Archives as a place of pictures: read as a folder of the same files would be, but for the classes that an archive says
//! itself (WebDataset's `KEY.cls` beside `KEY.jpg`, a column of a Parquet file).

use std::path::{Path, PathBuf};

use super::folder::FolderSource;
use crate::DataError;
use crate::archive::{self, ArchiveListing, class_order};

/// The pictures at `paths` in an archive with the classes that it says; `None` where it says none.
///
/// # Errors
/// When the archive can't be read.
pub(super) fn with_own_classes(file: &Path, paths: &[PathBuf]) -> Result<Option<FolderSource>, DataError> {
    let listing = archive::listed(file)?;
    if !listing.has_classes() {
        return Ok(None);
    }
    let below = |path: &PathBuf| path.strip_prefix(file).unwrap_or(path).to_owned();
    let named: Vec<(PathBuf, Option<String>)> =
        paths.iter().map(|path| (below(path), class_of(&listing, path))).collect();
    let classes = match listing.classes_in_order() {
        [] => class_order(named.iter().filter_map(|(_, class)| class.clone()).collect()),
        told => told.to_vec(),
    };
    let label =
        |class: Option<String>| class.and_then(|class| classes.iter().position(|known| *known == class));
    let entries = named.into_iter().map(|(path, class)| (path, label(class))).collect();
    Ok(Some(FolderSource::listed(file, entries, classes.clone())))
}

fn class_of(listing: &ArchiveListing, path: &Path) -> Option<String> {
    let (_, name) = archive::located(path)?;
    listing.class(&name).map(str::to_owned)
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "archive_tests.rs"]
mod tests;
