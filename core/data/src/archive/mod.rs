//! Files in archives: tar (WebDataset's shards among them), zip, and the rows of Parquet files (Hugging Face's datasets), read
//! where they lie and never unpacked.
//!
//! What an archive holds is listed once, by its headers; a member is then read by its place in the file, in any order and
//! from any thread. A member's path is the archive's with its name behind it, `photos.zip/owl/2.jpg`, and wherever
//! pictures are named by paths such a one will do.

mod listing;
mod member;
#[cfg(not(target_family = "wasm"))]
mod parquet_listing;
#[cfg(not(target_family = "wasm"))]
pub mod parquet_paths;
mod tar_listing;
mod zip_listing;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use web_time::SystemTime;

use crate::DataError;
use dinoscope_base::files;
pub use listing::{ArchiveListing, class_order};
pub use member::{ArchiveMember, MemberPlace};

/// Kinds of archives, by the ends of their names.
const EXTENSIONS: [&str; 3] = ["tar", "zip", "parquet"];
/// Those that can only be read from their beginning.
const PACKED: [&str; 5] = [".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"];

/// Whether a path is that of an archive, by its name.
pub fn is_archive(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)) || is_packed(path)
}

fn is_packed(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    PACKED.iter().any(|end| name.ends_with(end))
}

/// The archive and the name in it that a path stands for; `None` for paths of files.
pub fn located(path: &Path) -> Option<(PathBuf, String)> {
    let archive = path.ancestors().skip(1).find(|above| is_archive(above) && files::is_file(above))?;
    let name = path.strip_prefix(archive).ok()?;
    let parts: Vec<String> = name.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    Some((archive.to_owned(), parts.join("/")))
}

/// The content of the member that a path stands for, of `most` bytes at most; `None` for paths of files.
///
/// # Errors
/// When there is no such member, it is larger, or the archive is damaged.
pub fn read(path: &Path, most: u64) -> Option<Result<Vec<u8>, DataError>> {
    let (archive, name) = located(path)?;
    let read = || {
        let listing = listed(&archive)?;
        let missing = || DataError::Source {
            path: archive.display().to_string(),
            reason: format!("there is no {name} in it"),
        };
        let member = listing.member(&name).ok_or_else(missing)?;
        listing.read(&archive, member, most)
    };
    Some(read())
}

/// A listing, and what the file was like when it was made.
struct KeptListing {
    length: u64,
    modified: Option<SystemTime>,
    listing: Arc<ArchiveListing>,
}

static LISTINGS: LazyLock<Mutex<HashMap<PathBuf, KeptListing>>> = LazyLock::new(Mutex::default);

/// What an archive holds; listed again when the file has changed.
///
/// # Errors
/// When the file can't be read, or is no archive.
pub fn listed(archive: &Path) -> Result<Arc<ArchiveListing>, DataError> {
    let wrong =
        |reason: &str| DataError::Source { path: archive.display().to_string(), reason: reason.to_owned() };
    if is_packed(archive) {
        return Err(wrong(
            "a packed tar can only be read from its beginning, and pictures are read in any order: unpack it to a .tar \
             first (gunzip, unxz)",
        ));
    }
    let about = files::metadata(archive)
        .map_err(|source| DataError::Read { path: archive.display().to_string(), source })?;
    let (length, modified) = (about.len(), about.modified().ok());
    let kept = || LISTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = kept().get(archive).filter(|kept| (kept.length, kept.modified) == (length, modified))
    {
        return Ok(found.listing.clone());
    }
    let extension = archive.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let listing = match extension.to_ascii_lowercase().as_str() {
        "zip" => zip_listing::list(archive)?,
        "parquet" => table(archive)?,
        _ => tar_listing::list(archive)?,
    };
    let listing = Arc::new(listing);
    kept().insert(archive.to_owned(), KeptListing { length, modified, listing: listing.clone() });
    Ok(listing)
}

#[cfg(not(target_family = "wasm"))]
fn table(path: &Path) -> Result<ArchiveListing, DataError> {
    parquet_listing::list(path)
}

/// What a page is made of has no room for it.
#[cfg(target_family = "wasm")]
fn table(path: &Path) -> Result<ArchiveListing, DataError> {
    let reason = "Parquet files are read by the desktop program".to_owned();
    Err(DataError::Source { path: path.display().to_string(), reason })
}
