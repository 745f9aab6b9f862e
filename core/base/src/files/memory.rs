//! A file system in memory, which can say what was changed in it, so that another one can be made equal.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use web_time::SystemTime;

/// Something that was done to files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileChange {
    /// A file holds this from now on.
    Write {
        /// The file.
        path: PathBuf,
        /// All of it.
        #[serde(with = "crate::wire::bytes")]
        bytes: Vec<u8>,
    },
    /// A file has more at its end.
    Append {
        /// The file.
        path: PathBuf,
        /// What was added.
        #[serde(with = "crate::wire::bytes")]
        bytes: Vec<u8>,
    },
    /// A file or folder has another name.
    Rename {
        /// Where it was.
        from: PathBuf,
        /// Where it is.
        to: PathBuf,
    },
    /// A file, or a folder with all in it, is gone.
    Remove {
        /// Where it was.
        path: PathBuf,
    },
    /// There is a folder.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// There is a file that somebody else keeps; its content is asked for when it is read.
    Outside {
        /// The file.
        path: PathBuf,
        /// Bytes.
        size: u64,
    },
}

/// Gives the content of a file that is kept outside.
pub type Reader = Box<dyn Fn(&Path) -> Result<Vec<u8>>>;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum MemoryFsNode {
    Folder(SystemTime),
    File(Vec<u8>, SystemTime),
    Outside(u64, SystemTime),
}

/// What is known about a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFileInfo {
    /// Bytes; 0 for a folder.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// When it was changed last; of a folder, when something in it came or went.
    pub modified: SystemTime,
}

/// The file system. Relative paths count from the root.
pub struct MemoryFs {
    nodes: BTreeMap<PathBuf, MemoryFsNode>,
    journal: Option<Vec<FileChange>>,
    outside: Option<Reader>,
}

impl Default for MemoryFs {
    fn default() -> Self {
        Self::new()
    }
}

/// A path from the root, without `.` and `..`.
pub(super) fn whole(path: &Path) -> PathBuf {
    let mut whole = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::ParentDir => _ = whole.pop(),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    whole
}

fn error(kind: ErrorKind, path: &Path, what: &str) -> Error {
    Error::new(kind, format!("{}: {what}", path.display()))
}

impl MemoryFs {
    /// With nothing in it but the root.
    pub fn new() -> Self {
        let nodes = BTreeMap::from([(PathBuf::from("/"), MemoryFsNode::Folder(SystemTime::now()))]);
        Self { nodes, journal: None, outside: None }
    }

    /// Why there is nothing at a path.
    fn missing(&self, path: &Path) -> Error {
        let at = whole(path);
        match at.ancestors().skip(1).find_map(|above| self.nodes.get(above)) {
            Some(MemoryFsNode::Folder(_)) | None => {
                error(ErrorKind::NotFound, path, "there is no such file or folder")
            }
            Some(_) => error(ErrorKind::NotADirectory, path, "it would lie in a file"),
        }
    }

    /// Who gives the content of files that are kept outside.
    pub fn read_outside_with(&mut self, reader: Reader) {
        self.outside = Some(reader);
    }

    /// Writes down from now on what is changed.
    pub fn start_journal(&mut self) {
        self.journal.get_or_insert_default();
    }

    /// What was changed since the last call, in order.
    pub fn drain_journal(&mut self) -> Vec<FileChange> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Does what was done elsewhere. Folders that are missing are made.
    pub fn apply(&mut self, changes: Vec<FileChange>) {
        for change in changes {
            let done = match change {
                FileChange::Write { path, bytes } => self
                    .make_room(&path)
                    .and_then(|()| self.put(&path, MemoryFsNode::File(bytes, SystemTime::now()))),
                FileChange::Append { path, bytes } => {
                    self.make_room(&path).and_then(|()| self.append(&path, &bytes))
                }
                FileChange::Rename { from, to } => self.make_room(&to).and_then(|()| self.rename(&from, &to)),
                FileChange::Remove { path } => self.remove(&path, true),
                FileChange::Folder { path } => self.create_dir_all(&path),
                FileChange::Outside { path, size } => {
                    let node = MemoryFsNode::Outside(size, SystemTime::now());
                    self.make_room(&path).and_then(|()| self.put(&path, node))
                }
            };
            // What was done there can be done here, unless somebody else was here meanwhile: then theirs stays.
            let _ = done;
        }
    }

    fn make_room(&mut self, path: &Path) -> Result<()> {
        whole(path).parent().map_or(Ok(()), |parent| self.create_dir_all(parent))
    }

    /// Writes down a change, where that is asked for.
    fn note(&mut self, change: impl FnOnce() -> FileChange) {
        let Some(journal) = &mut self.journal else { return };
        match (journal.last_mut(), change()) {
            // Of several whole contents only the last one counts.
            (Some(FileChange::Write { path: last, bytes: held }), FileChange::Write { path, bytes })
                if *last == path =>
            {
                *held = bytes;
            }
            // What is written piece by piece is told as one.
            (
                Some(
                    FileChange::Write { path: last, bytes: held }
                    | FileChange::Append { path: last, bytes: held },
                ),
                FileChange::Append { path, bytes },
            ) if *last == path => held.extend(bytes),
            (_, change) => journal.push(change),
        }
    }

    fn touch(&mut self, path: &Path) {
        if let Some(MemoryFsNode::Folder(time)) = path.parent().and_then(|parent| self.nodes.get_mut(parent))
        {
            *time = SystemTime::now();
        }
    }

    /// Puts a file where its folder is.
    fn put(&mut self, path: &Path, node: MemoryFsNode) -> Result<()> {
        let path = whole(path);
        match path.parent().map(|parent| self.nodes.get(parent)) {
            Some(Some(MemoryFsNode::Folder(_))) => {}
            Some(Some(_)) => return Err(error(ErrorKind::NotADirectory, &path, "it would lie in a file")),
            _ => return Err(self.missing(&path)),
        }
        if let Some(MemoryFsNode::Folder(_)) = self.nodes.get(&path) {
            return Err(error(ErrorKind::IsADirectory, &path, "it is a folder"));
        }
        self.note(|| match &node {
            MemoryFsNode::File(bytes, _) => FileChange::Write { path: path.clone(), bytes: bytes.clone() },
            MemoryFsNode::Outside(size, _) => FileChange::Outside { path: path.clone(), size: *size },
            MemoryFsNode::Folder(_) => FileChange::Folder { path: path.clone() },
        });
        if self.nodes.insert(path.clone(), node).is_none() {
            self.touch(&path);
        }
        Ok(())
    }

    /// Replaces a file, or makes it.
    ///
    /// # Errors
    /// Its folder is missing, or it is a folder itself.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.put(path, MemoryFsNode::File(bytes.to_vec(), SystemTime::now()))
    }

    /// Adds to a file, or makes it.
    ///
    /// # Errors
    /// Its folder is missing, or it is a folder itself.
    pub fn append(&mut self, path: &Path, more: &[u8]) -> Result<()> {
        let at = whole(path);
        match self.nodes.get_mut(&at) {
            Some(MemoryFsNode::File(bytes, time)) => {
                bytes.extend_from_slice(more);
                *time = SystemTime::now();
                self.note(|| FileChange::Append { path: at, bytes: more.to_vec() });
                Ok(())
            }
            Some(MemoryFsNode::Outside(..)) => {
                Err(error(ErrorKind::PermissionDenied, path, "it is kept outside"))
            }
            _ => self.put(path, MemoryFsNode::File(more.to_vec(), SystemTime::now())),
        }
    }

    /// Whether somebody else keeps the file.
    pub fn is_outside(&self, path: &Path) -> bool {
        matches!(self.nodes.get(&whole(path)), Some(MemoryFsNode::Outside(..)))
    }

    /// All of a file.
    ///
    /// # Errors
    /// There is none, it is a folder, or who keeps it can't read it.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let at = whole(path);
        match (self.nodes.get(&at), &self.outside) {
            (Some(MemoryFsNode::File(bytes, _)), _) => Ok(bytes.clone()),
            (Some(MemoryFsNode::Outside(..)), Some(reader)) => reader(&at),
            (Some(MemoryFsNode::Outside(..)), None) => {
                Err(error(ErrorKind::Unsupported, path, "it can only be read in a worker"))
            }
            (Some(MemoryFsNode::Folder(_)), _) => Err(error(ErrorKind::IsADirectory, path, "it is a folder")),
            (None, _) => Err(self.missing(path)),
        }
    }

    /// Part of a file, from `from`, as much as fits.
    ///
    /// # Errors
    /// As [`MemoryFs::read`].
    pub fn read_at(&self, path: &Path, from: u64, into: &mut [u8]) -> Result<usize> {
        let mut copy = |bytes: &[u8]| {
            let rest = usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            count
        };
        match self.nodes.get(&whole(path)) {
            Some(MemoryFsNode::File(bytes, _)) => Ok(copy(bytes)),
            _ => Ok(copy(&self.read(path)?)),
        }
    }

    /// What is known about a file or folder.
    ///
    /// # Errors
    /// There is none.
    pub fn about(&self, path: &Path) -> Result<MemoryFileInfo> {
        let about = |len, is_dir, modified| MemoryFileInfo { len, is_dir, modified };
        match self.nodes.get(&whole(path)) {
            Some(MemoryFsNode::Folder(time)) => Ok(about(0, true, *time)),
            Some(MemoryFsNode::File(bytes, time)) => Ok(about(bytes.len() as u64, false, *time)),
            Some(MemoryFsNode::Outside(size, time)) => Ok(about(*size, false, *time)),
            None => Err(self.missing(path)),
        }
    }

    /// Names in a folder, in order.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let at = whole(path);
        match self.nodes.get(&at) {
            Some(MemoryFsNode::Folder(_)) => {}
            Some(_) => return Err(error(ErrorKind::NotADirectory, path, "it is no folder")),
            None => return Err(self.missing(path)),
        }
        let below = self.below(&at).filter(|inside| inside.parent() == Some(at.as_path()));
        Ok(below.cloned().collect())
    }

    /// What lies below a folder, however deep.
    fn below(&self, at: &Path) -> impl Iterator<Item = &PathBuf> {
        let nodes = self.nodes.range(at.to_owned()..).skip(1);
        let at = at.to_owned();
        nodes.map(|(path, _)| path).take_while(move |path| path.starts_with(&at))
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// There is something of that name, or what it would lie in is missing.
    pub fn create_dir(&mut self, path: &Path) -> Result<()> {
        let at = whole(path);
        if self.nodes.contains_key(&at) {
            return Err(error(ErrorKind::AlreadyExists, path, "there is something of that name"));
        }
        self.put(&at, MemoryFsNode::Folder(SystemTime::now()))
    }

    /// Makes a folder and those that it lies in, as far as they are missing.
    ///
    /// # Errors
    /// One of them is a file.
    pub fn create_dir_all(&mut self, path: &Path) -> Result<()> {
        let at = whole(path);
        let mut folders: Vec<&Path> = at.ancestors().collect();
        folders.reverse();
        for folder in folders {
            match self.nodes.get(folder) {
                Some(MemoryFsNode::Folder(_)) => {}
                Some(_) if folder == at => {
                    return Err(error(ErrorKind::AlreadyExists, folder, "it is a file"));
                }
                Some(_) => return Err(error(ErrorKind::NotADirectory, folder, "it is a file")),
                None => self.put(folder, MemoryFsNode::Folder(SystemTime::now()))?,
            }
        }
        Ok(())
    }

    /// Gives a file or folder another name. A file in its way is replaced, and so is an empty folder.
    ///
    /// # Errors
    /// There is nothing to rename, or something in its way.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let (old, new) = (whole(from), whole(to));
        let Some(node) = self.nodes.get(&old) else { return Err(self.missing(from)) };
        if old == new {
            return Ok(());
        }
        let is_folder = matches!(node, MemoryFsNode::Folder(_));
        if new.starts_with(&old) {
            return Err(error(ErrorKind::InvalidInput, to, "a folder can't lie in itself"));
        }
        match (self.nodes.get(&new), is_folder) {
            (Some(MemoryFsNode::Folder(_)), false) => {
                return Err(error(ErrorKind::IsADirectory, to, "it is a folder"));
            }
            (Some(MemoryFsNode::Folder(_)), true) if self.below(&new).next().is_some() => {
                return Err(error(ErrorKind::DirectoryNotEmpty, to, "it is not empty"));
            }
            (Some(MemoryFsNode::File(..) | MemoryFsNode::Outside(..)), true) => {
                return Err(error(ErrorKind::NotADirectory, to, "it is a file"));
            }
            _ => {}
        }
        if !matches!(new.parent().map(|parent| self.nodes.get(parent)), Some(Some(MemoryFsNode::Folder(_)))) {
            return Err(self.missing(to));
        }
        let inside: Vec<PathBuf> = std::iter::once(old.clone()).chain(self.below(&old).cloned()).collect();
        for path in inside {
            let (Some(node), Ok(rest)) = (self.nodes.remove(&path), path.strip_prefix(&old)) else {
                continue;
            };
            let place = if rest.as_os_str().is_empty() { new.clone() } else { new.join(rest) };
            self.nodes.insert(place, node);
        }
        self.touch(&old);
        self.touch(&new);
        self.note(|| FileChange::Rename { from: old, to: new });
        Ok(())
    }

    /// Takes a file away; with `folders`, a folder with all in it.
    ///
    /// # Errors
    /// There is nothing, or it is a folder where a file was meant.
    pub fn remove(&mut self, path: &Path, folders: bool) -> Result<()> {
        let at = whole(path);
        match self.nodes.get(&at) {
            None => return Err(self.missing(path)),
            Some(MemoryFsNode::Folder(_)) if !folders => {
                return Err(error(ErrorKind::IsADirectory, path, "it is a folder"));
            }
            Some(_) => {}
        }
        let inside: Vec<PathBuf> = self.below(&at).cloned().collect();
        inside.iter().for_each(|path| _ = self.nodes.remove(path));
        if at != Path::new("/") {
            self.nodes.remove(&at);
        }
        self.touch(&at);
        self.note(|| FileChange::Remove { path: at });
        Ok(())
    }

    /// What makes another file system have the file or folder at a path, with all in it.
    pub fn snapshot(&self, path: &Path) -> Vec<FileChange> {
        let at = whole(path);
        let here = self.nodes.contains_key(&at).then(|| at.clone());
        let all = here.into_iter().chain(self.below(&at).cloned());
        let change = |path: PathBuf| match self.nodes.get(&path)? {
            MemoryFsNode::Folder(_) => Some(FileChange::Folder { path }),
            MemoryFsNode::File(bytes, _) => Some(FileChange::Write { bytes: bytes.clone(), path }),
            MemoryFsNode::Outside(size, _) => Some(FileChange::Outside { size: *size, path }),
        };
        all.filter_map(change).collect()
    }

    /// Bytes of all files that lie here.
    pub fn total_bytes(&self) -> u64 {
        let size = |node: &MemoryFsNode| {
            if let MemoryFsNode::File(bytes, _) = node { bytes.len() as u64 } else { 0 }
        };
        self.nodes.values().map(size).sum()
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
