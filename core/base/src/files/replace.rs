//! Files that are there whole or not at all, also after a power cut: written beside their place, synced, renamed, and the
//! folder synced.

use std::io::{BufWriter, Error, ErrorKind, IntoInnerError, Result, Write};
use std::path::{Path, PathBuf};

use super::{File, process, remove_file, rename, sync_folder};

/// Where a file or folder is written before it is whole: no other process has the same.
pub fn partial(place: impl AsRef<Path>) -> PathBuf {
    let mut name = place.as_ref().as_os_str().to_owned();
    name.push(format!(".{}.tmp", process()));
    PathBuf::from(name)
}

/// Writes `bytes` to a file so that a reader, or a crash, never meets half of it: beside its place, synced, renamed over
/// what was there.
///
/// # Errors
/// What the system says; then what was there before stays.
pub fn write_and_rename(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    fill_and_rename(path, |out| out.write_all(bytes.as_ref()))
}

/// Writes a file in its place, and has it on the disk when this returns: for folders that are renamed when they are whole.
///
/// # Errors
/// What the system says.
pub fn write_synced(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.sync_all()
}

/// [`write_and_rename`] of what `fill` writes.
///
/// # Errors
/// What `fill` or the system says; then what was there before stays.
pub fn fill_and_rename<E: From<Error>>(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let path = path.as_ref();
    if path.file_name().is_none() {
        return Err(Error::new(ErrorKind::InvalidInput, "this names no file").into());
    }
    let partial = partial(path);
    let written = (|| {
        let mut out = BufWriter::new(File::create(&partial)?);
        fill(&mut out)?;
        out.into_inner().map_err(IntoInnerError::into_error)?.sync_all()?;
        rename(&partial, path)?;
        path.parent().into_iter().for_each(sync_folder);
        Ok(())
    })();
    if written.is_err() {
        // Half a file is of no use to anyone, and the error that matters is the first one.
        let _ = remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept.json");
        write_and_rename(&path, "old").unwrap();
        let broken = fill_and_rename(&path, |out| {
            out.write_all(b"half of")?;
            Err(Error::other("no more"))
        });
        assert_eq!(broken.unwrap_err().to_string(), "no more");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        write_and_rename(&path, "new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["kept.json"], "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_and_rename(dir.path().join("not/there"), "x").is_err());
        assert!(write_and_rename("..", "x").is_err());
    }
}
