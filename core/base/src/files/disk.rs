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

/// Whether a path says by itself where it leads.
#[expect(clippy::disallowed_methods, reason = "what is asked for in its place")]
pub fn is_absolute(path: impl AsRef<Path>) -> bool {
    path.as_ref().is_absolute()
}

/// A number that no other process has now, for names of files that are not whole yet.
pub fn process() -> u32 {
    std::process::id()
}

/// Bytes that this program may still write in a folder; `None` where the system does not tell.
pub fn free(folder: impl AsRef<Path>) -> Option<u64> {
    if full::is(folder.as_ref()) {
        return Some(0);
    }
    room(folder.as_ref())
}

/// Folders that tests pretend to have no room. No program does; a look at an empty list is all that it costs.
pub mod full {
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    static FULL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    /// From now on there is no room in a folder, or there is again.
    pub fn set(folder: &Path, full: bool) {
        let mut folders = FULL.lock().unwrap_or_else(PoisonError::into_inner);
        folders.retain(|known| known != folder);
        if full {
            folders.push(folder.to_owned());
        }
    }

    pub(super) fn is(folder: &Path) -> bool {
        FULL.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|full| folder.starts_with(full))
    }
}

#[cfg(unix)]
fn room(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;

    let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero byte, and there is room for what is written behind the second pointer.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has filled it, as it said.
    let found = unsafe { found.assume_init() };
    if found.f_blocks == 0 {
        return None;
    }
    // Their widths differ between systems.
    #[allow(clippy::unnecessary_cast)]
    Some((found.f_bavail as u64).saturating_mul(found.f_frsize as u64))
}

#[cfg(not(unix))]
fn room(_: &Path) -> Option<u64> {
    None
}

/// Makes what was made, renamed and removed in a folder outlast a power cut, where the system syncs folders. Elsewhere the
/// change alone has to do, as it does where the drive refuses.
pub fn sync_folder(folder: impl AsRef<Path>) {
    #[cfg(unix)]
    {
        // The folder of a plain name is the one that the program runs in.
        let folder = match folder.as_ref() {
            path if path.as_os_str().is_empty() => Path::new("."),
            path => path,
        };
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// Whether an open file is still the one at a path. Where the system can't tell, an open file can't be taken away.
pub fn is_at(file: &File, path: impl AsRef<Path>) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let identity = |about: Metadata| (about.dev(), about.ino());
        match (file.metadata(), metadata(path)) {
            (Ok(open), Ok(there)) => identity(open) == identity(there),
            (Ok(_), Err(error)) => error.kind() != std::io::ErrorKind::NotFound,
            // Nothing speaks against it.
            (Err(_), _) => true,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

/// Takes back what was written beyond `length`.
///
/// # Errors
/// When the system refuses.
pub fn cut(file: &File, length: u64) -> std::io::Result<()> {
    file.set_len(length)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn a_folder_has_room_and_what_is_not_there_has_none() {
        let dir = std::env::temp_dir();
        assert!(super::free(&dir).is_some_and(|free| free < 1 << 60));
        assert_eq!(super::free(dir.join("not/there")), None);
        // No disk behind it.
        assert_eq!(super::free("/proc"), None);
    }

    #[test]
    fn a_file_that_was_taken_away_or_replaced_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        let file = super::File::create(&path).unwrap();
        assert!(super::is_at(&file, &path));
        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        assert!(!super::is_at(&file, &path));
        std::fs::write(&path, "another").unwrap();
        assert!(!super::is_at(&file, &path));
    }
}
