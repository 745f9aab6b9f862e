//! The page's files: one [`MemoryFs`] for all of the program, behind `std::fs`'s names.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use web_time::SystemTime;

use super::memory::{FileChange, MemoryFileInfo, MemoryFs, Reader};

thread_local! {
    // A page and each of its workers have one thread.
    static MEMORY: RefCell<MemoryFs> = RefCell::new(MemoryFs::new());
}

fn with<T>(act: impl FnOnce(&mut MemoryFs) -> T) -> T {
    MEMORY.with_borrow_mut(act)
}

/// All of a file.
///
/// # Errors
/// As `std::fs::read`.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    with(|memory| memory.read(path.as_ref()))
}

/// All of a file, as text.
///
/// # Errors
/// As `std::fs::read_to_string`.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

/// Replaces a file, or makes it.
///
/// # Errors
/// As `std::fs::write`.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    with(|memory| memory.write(path.as_ref(), bytes.as_ref()))
}

/// Makes a folder.
///
/// # Errors
/// As `std::fs::create_dir`.
pub fn create_dir(path: impl AsRef<Path>) -> Result<()> {
    with(|memory| memory.create_dir(path.as_ref()))
}

/// Makes a folder and those that it lies in.
///
/// # Errors
/// As `std::fs::create_dir_all`.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    with(|memory| memory.create_dir_all(path.as_ref()))
}

/// Gives a file or folder another name.
///
/// # Errors
/// As `std::fs::rename`.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    with(|memory| memory.rename(from.as_ref(), to.as_ref()))
}

/// Takes a file away.
///
/// # Errors
/// As `std::fs::remove_file`.
pub fn remove_file(path: impl AsRef<Path>) -> Result<()> {
    with(|memory| memory.remove(path.as_ref(), false))
}

/// Takes a folder away, with all in it.
///
/// # Errors
/// As `std::fs::remove_dir_all`.
pub fn remove_dir_all(path: impl AsRef<Path>) -> Result<()> {
    with(|memory| match memory.about(path.as_ref())?.is_dir {
        true => memory.remove(path.as_ref(), true),
        false => Err(ErrorKind::NotADirectory.into()),
    })
}

/// Whether there is something at a path.
pub fn exists(path: impl AsRef<Path>) -> bool {
    metadata(path).is_ok()
}

/// Whether there is a file at a path.
pub fn is_file(path: impl AsRef<Path>) -> bool {
    metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether there is a folder at a path.
pub fn is_dir(path: impl AsRef<Path>) -> bool {
    metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whether a path says by itself where it leads. The standard library knows no system here, and calls every path relative.
pub fn is_absolute(path: impl AsRef<Path>) -> bool {
    path.as_ref().has_root()
}

/// The path itself: there are no links here.
///
/// # Errors
/// There is nothing there.
pub fn canonicalize(path: impl AsRef<Path>) -> Result<PathBuf> {
    metadata(&path).map(|_| path.as_ref().to_owned())
}

/// A page's files are its own.
pub fn process() -> u32 {
    0
}

/// Whether something is a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileType {
    is_dir: bool,
}

impl FileType {
    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.is_dir
    }
    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        !self.is_dir
    }
    /// There are no links.
    pub fn is_symlink(&self) -> bool {
        false
    }
}

/// What is known about a file or folder.
#[derive(Clone, Copy, Debug)]
pub struct Metadata(MemoryFileInfo);

#[expect(clippy::len_without_is_empty, reason = "as the standard library's")]
impl Metadata {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.0.len
    }
    /// What it is.
    pub fn file_type(&self) -> FileType {
        FileType { is_dir: self.0.is_dir }
    }
    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.0.is_dir
    }
    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        !self.0.is_dir
    }
    /// When it was changed last.
    ///
    /// # Errors
    /// Never here.
    pub fn modified(&self) -> Result<SystemTime> {
        Ok(self.0.modified)
    }
}

/// What is known about a file or folder.
///
/// # Errors
/// As `std::fs::metadata`.
pub fn metadata(path: impl AsRef<Path>) -> Result<Metadata> {
    with(|memory| memory.about(path.as_ref())).map(Metadata)
}

/// Something in a folder.
#[derive(Clone, Debug)]
pub struct DirEntry(PathBuf);

impl DirEntry {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.0.clone()
    }
    /// Its name.
    pub fn file_name(&self) -> OsString {
        self.0.file_name().unwrap_or_default().to_owned()
    }
    /// What it is.
    ///
    /// # Errors
    /// It is gone.
    pub fn file_type(&self) -> Result<FileType> {
        self.metadata().map(|found| found.file_type())
    }
    /// What is known about it.
    ///
    /// # Errors
    /// It is gone.
    pub fn metadata(&self) -> Result<Metadata> {
        metadata(&self.0)
    }
}

/// What is in a folder.
///
/// # Errors
/// As `std::fs::read_dir`.
pub fn read_dir(path: impl AsRef<Path>) -> Result<impl Iterator<Item = Result<DirEntry>>> {
    let found = with(|memory| memory.list(path.as_ref()))?;
    Ok(found.into_iter().map(|path| Ok(DirEntry(path))))
}

/// An open file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    at: u64,
    /// The content of a file that is kept outside: asked for once.
    outside: Option<Vec<u8>>,
}

impl File {
    /// Opens a file to read it.
    ///
    /// # Errors
    /// As `std::fs::File::open`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let outside = with(|memory| match memory.is_outside(&path) {
            true => memory.read(&path).map(Some),
            false => memory.about(&path).map(|_| None),
        })?;
        Ok(Self { path, at: 0, outside })
    }

    /// Makes a file, in place of the one that was there.
    ///
    /// # Errors
    /// As `std::fs::File::create`.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        write(&path, b"")?;
        Ok(Self { path: path.as_ref().to_owned(), at: 0, outside: None })
    }

    /// What is known about it.
    ///
    /// # Errors
    /// It is gone.
    pub fn metadata(&self) -> Result<Metadata> {
        metadata(&self.path)
    }

    /// Nothing to do: memory is as safe as it gets.
    ///
    /// # Errors
    /// Never here.
    pub fn sync_all(&self) -> Result<()> {
        Ok(())
    }
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let count = match &mut self.outside {
            Some(bytes) => {
                let rest = usize::try_from(self.at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                let count = rest.len().min(into.len());
                into[..count].copy_from_slice(&rest[..count]);
                count
            }
            None => with(|memory| memory.read_at(&self.path, self.at, into))?,
        };
        self.at += count as u64;
        Ok(count)
    }
}

/// At its end only, which is all that is asked for.
impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        with(|memory| memory.append(&self.path, bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.metadata()?.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "before the file's beginning"))?;
        Ok(self.at)
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    create_new: bool,
}

impl OpenOptions {
    /// To be said what for.
    pub fn new() -> Self {
        Self::default()
    }
    /// To add to it: what is written goes to the end in any case.
    pub fn append(&mut self, _: bool) -> &mut Self {
        self
    }
    /// To write to it.
    pub fn write(&mut self, _: bool) -> &mut Self {
        self
    }
    /// To make it, where it must not be yet.
    pub fn create_new(&mut self, new: bool) -> &mut Self {
        self.create_new = new;
        self
    }
    /// Opens it.
    ///
    /// # Errors
    /// As `std::fs::OpenOptions::open`.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File> {
        match (self.create_new, exists(&path)) {
            (true, true) => Err(Error::new(ErrorKind::AlreadyExists, "there is something of that name")),
            (true, false) => File::create(path),
            (false, _) => File::open(path),
        }
    }
}

/// Memory does not tell how much of it is left.
pub fn free(_: impl AsRef<Path>) -> Option<u64> {
    None
}

/// Nothing to do: memory is as safe as it gets.
pub fn sync_folder(_: impl AsRef<Path>) {}

/// Nothing to take back: what is written to memory is written whole.
///
/// # Errors
/// Never here.
pub fn cut(_: &File, _: u64) -> Result<()> {
    Ok(())
}

/// Who gives the content of files that are kept outside.
pub fn read_outside_with(reader: Reader) {
    with(|memory| memory.read_outside_with(reader));
}

/// Does what was done elsewhere.
pub fn apply(changes: Vec<FileChange>) {
    with(|memory| memory.apply(changes));
}

/// What makes another file system have the file or folder at a path, with all in it.
pub fn snapshot(path: impl AsRef<Path>) -> Vec<FileChange> {
    with(|memory| memory.snapshot(path.as_ref()))
}

/// What is changed, for another file system that is to be equal.
pub mod journal {
    use super::{FileChange, with};

    /// Writes down from now on.
    pub fn start() {
        with(|memory| memory.start_journal());
    }

    /// What was changed since the last call.
    pub fn drain() -> Vec<FileChange> {
        with(|memory| memory.drain_journal())
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
