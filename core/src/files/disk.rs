//! The system's files.

use std::path::Path;

pub use std::fs::{
    DirEntry, File, Metadata, OpenOptions, canonicalize, create_dir, create_dir_all, metadata, read,
    read_dir, read_to_string, remove_dir_all, remove_file, rename, write,
};

/// Whether there is something at a path.
pub fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().exists()
}

/// Whether there is a file at a path.
pub fn is_file(path: impl AsRef<Path>) -> bool {
    path.as_ref().is_file()
}

/// Whether there is a folder at a path.
pub fn is_dir(path: impl AsRef<Path>) -> bool {
    path.as_ref().is_dir()
}

/// A number that no other process has now, for names of files that are not whole yet.
pub fn process() -> u32 {
    std::process::id()
}
