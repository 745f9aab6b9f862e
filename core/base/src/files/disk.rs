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

/// Takes back what was written beyond `length`.
///
/// # Errors
/// When the system refuses.
pub fn cut(file: &File, length: u64) -> std::io::Result<()> {
    file.set_len(length)
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn a_folder_has_room_and_what_is_not_there_has_none() {
        let dir = std::env::temp_dir();
        assert!(super::free(&dir).is_some_and(|free| free < 1 << 60));
        assert_eq!(super::free(dir.join("not/there")), None);
        // No disk behind it.
        assert_eq!(super::free("/proc"), None);
    }
}
