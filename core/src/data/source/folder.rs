//! Pictures in a folder and its subfolders, or a single picture file.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Source;
use crate::data::decode::{self, decode_file};
use crate::data::{DataError, Picture};

/// Memory that one source may fill with decoded pictures. Pictures beyond it are decoded on each load, never
/// kept in another's place: when every pass visits all pictures once, replacing would only lower the hits.
const CACHE_BYTES: usize = 256 << 20;

/// Picture files under a folder, in sorted order.
pub struct FolderSource {
    root: PathBuf,
    entries: Vec<Entry>,
    classes: Vec<String>,
    /// Bytes of decoded pictures that may still be kept.
    room: AtomicUsize,
}

struct Entry {
    /// Relative to the root.
    path: PathBuf,
    label: Option<usize>,
    kept: OnceLock<Picture>,
}

impl FolderSource {
    /// Lists the pictures in a folder and all its subfolders, or takes a single picture file.
    ///
    /// Files count by their extension ([`decode::EXTENSIONS`]); hidden files and folders are left out, links are
    /// followed. With `labels`, the class of a picture is the subfolder of `path` that it lies in, however deep;
    /// pictures directly in `path` have none. Nothing is decoded yet.
    ///
    /// # Errors
    /// When `path` or a folder in it can't be read, or holds no pictures.
    pub fn open(path: &Path, labels: bool) -> Result<Self, DataError> {
        let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
        let (root, files) = if metadata.is_dir() {
            let mut files = Vec::new();
            walk(path, &mut HashSet::new(), &mut files)?;
            (path, files)
        } else {
            (path.parent().unwrap_or(Path::new("")), vec![path.to_owned()])
        };
        if files.is_empty() {
            let extensions = decode::EXTENSIONS.join(", ");
            return Err(DataError::Source {
                path: path.display().to_string(),
                reason: format!(
                    "there are no pictures in this folder or its subfolders (files ending in {extensions})"
                ),
            });
        }
        let mut classes: Vec<String> = Vec::new();
        let entries = files
            .iter()
            .map(|file| {
                let path = file.strip_prefix(root).unwrap_or(file).to_owned();
                let label = class(&path).filter(|_| labels).map(|name| {
                    // Files are sorted, so those of a class follow each other.
                    if classes.last() != Some(&name) {
                        classes.push(name);
                    }
                    classes.len() - 1
                });
                Entry { path, label, kept: OnceLock::new() }
            })
            .collect();
        Ok(Self { root: root.to_owned(), entries, classes, room: AtomicUsize::new(CACHE_BYTES) })
    }
}

impl Source for FolderSource {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, index: usize) -> String {
        self.entries[index].path.display().to_string()
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.entries[index].label
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize) -> Result<Picture, DataError> {
        let entry = &self.entries[index];
        if let Some(picture) = entry.kept.get() {
            return Ok(picture.clone());
        }
        let picture = decode_file(&self.root.join(&entry.path))?;
        let bytes = picture.rgb.len();
        let reserve = |room: usize| room.checked_sub(bytes);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok()
            && entry.kept.set(picture.clone()).is_err()
        {
            // Another thread was faster.
            self.room.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(picture)
    }
}

fn class(path: &Path) -> Option<String> {
    let mut components = path.components();
    let first = components.next()?;
    components.next().map(|_| first.as_os_str().to_string_lossy().into_owned())
}

fn walk(folder: &Path, seen: &mut HashSet<PathBuf>, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let failed = |source| read_error(folder, source);
    // Each folder once, however many links lead to it, so that links can't lead round in circles.
    if !seen.insert(folder.canonicalize().map_err(failed)?) {
        return Ok(());
    }
    let mut entries =
        fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let mut kind = entry.file_type().map_err(failed)?;
        if kind.is_symlink() {
            match fs::metadata(&path) {
                Ok(target) => kind = target.file_type(),
                // A link to nothing.
                Err(_) => continue,
            }
        }
        if kind.is_dir() {
            walk(&path, seen, files)?;
        } else if kind.is_file() && is_picture(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension
        .is_some_and(|extension| decode::EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

fn read_error(path: &Path, source: std::io::Error) -> DataError {
    DataError::Read { path: path.display().to_string(), source }
}
