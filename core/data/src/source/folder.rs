//! Pictures in a folder and its subfolders, or a single picture file.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::PictureSource;
use super::listing::{SkippedFileCounts, list};
use crate::decode::survey::depth_note;
use crate::decode::{DecodeOptions, decode_file_as};
use crate::{DataError, Picture, budget};

pub use super::listing::pictures_in;

/// Memory that one source may fill with decoded pictures. Pictures beyond it are decoded on each load, never
/// kept in another's place: when every pass visits all pictures once, replacing would only lower the hits.
const CACHE_BYTES: usize = 256 << 20;

/// Picture files under a folder, in sorted order.
pub struct FolderSource {
    root: PathBuf,
    entries: Vec<FolderSourceEntry>,
    classes: Vec<String>,
    left_out: SkippedFileCounts,
    decode: DecodeOptions,
    /// Bytes of decoded pictures that may still be kept.
    room: AtomicUsize,
}

struct FolderSourceEntry {
    /// Relative to the root.
    path: PathBuf,
    label: Option<usize>,
    kept: OnceLock<Picture>,
    /// What [`PictureSource::decoding`] found.
    decoding: OnceLock<u64>,
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
        let (files, left_out) = list(path)?;
        Ok(Self::of_files(path, &files, labels).beside(left_out))
    }

    /// The pictures that [`list`] found in `path`, with their classes if `labels`.
    pub fn of_files(path: &Path, files: &[PathBuf], labels: bool) -> Self {
        // A folder, an archive, or a folder in an archive.
        let is_root = !matches!(files, [only] if only == path);
        let root = if is_root { path } else { path.parent().unwrap_or(Path::new("")) };
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
                (path, label)
            })
            .collect();
        Self::listed(root, entries, classes)
    }

    /// Pictures at paths below `root`, each with its class as an index into `classes`.
    pub(super) fn listed(root: &Path, entries: Vec<(PathBuf, Option<usize>)>, classes: Vec<String>) -> Self {
        let entry = |(path, label)| FolderSourceEntry {
            path,
            label,
            kept: OnceLock::new(),
            decoding: OnceLock::new(),
        };
        Self {
            root: root.to_owned(),
            entries: entries.into_iter().map(entry).collect(),
            classes,
            left_out: SkippedFileCounts::default(),
            decode: DecodeOptions::default(),
            room: AtomicUsize::new(CACHE_BYTES),
        }
    }

    /// The same, with the files of other kinds that lie beside the pictures.
    #[must_use]
    pub fn beside(self, left_out: SkippedFileCounts) -> Self {
        Self { left_out, ..self }
    }

    /// The same, decoded as wished.
    #[must_use]
    pub fn decoded_as(self, decode: DecodeOptions) -> Self {
        Self { decode, ..self }
    }
}

impl PictureSource for FolderSource {
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

    fn file(&self, index: usize) -> Option<PathBuf> {
        Some(self.root.join(&self.entries[index].path))
    }

    fn decoding(&self, index: usize) -> u64 {
        let entry = &self.entries[index];
        match entry.kept.get() {
            Some(picture) => picture.bytes() as u64,
            None => *entry.decoding.get_or_init(|| budget::decoding(&self.root.join(&entry.path))),
        }
    }

    fn load(&self, index: usize) -> Result<Picture, DataError> {
        let entry = &self.entries[index];
        if let Some(picture) = entry.kept.get() {
            return Ok(picture.clone());
        }
        let picture = decode_file_as(&self.root.join(&entry.path), self.decode)?.picture;
        let bytes = picture.bytes();
        let reserve = |room: usize| room.checked_sub(bytes);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok()
            && entry.kept.set(picture.clone()).is_err()
        {
            // Another thread was faster.
            self.room.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(picture)
    }

    fn file_notes(&self) -> Vec<String> {
        let files: Vec<PathBuf> = self.entries.iter().map(|entry| self.root.join(&entry.path)).collect();
        self.left_out.note().into_iter().chain(depth_note(&files, self.decode.range)).collect()
    }
}

fn class(path: &Path) -> Option<String> {
    let mut components = path.components();
    let first = components.next()?;
    components.next().map(|_| first.as_os_str().to_string_lossy().into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::decode::depth::IntensityRange;
    use dinoscope_testing::folder;

    fn names(source: &FolderSource) -> Vec<String> {
        (0..source.len()).map(|index| source.name(index).replace('\\', "/")).collect()
    }

    #[test]
    fn pictures_are_found_in_sorted_order() {
        let folder = folder(&[
            "b/2.png",
            "top.PNG",
            "b/deep/er/1.bmp",
            "a/x.gif",
            ".hidden/1.png",
            "a/._x.png",
            "notes.txt",
        ]);
        let source = FolderSource::open(folder.path(), false).unwrap();
        assert_eq!(names(&source), ["a/x.gif", "b/2.png", "b/deep/er/1.bmp", "top.PNG"]);
        assert!(source.classes().is_empty());
        assert_eq!(source.label(0), None);
        for _ in 0..2 {
            assert_eq!(source.load(2).unwrap().rgb, [2, 0, 0], "decoded, then remembered");
        }
        assert_eq!(source.room.load(Ordering::Relaxed), CACHE_BYTES - 3);
        assert_eq!(source.file_notes(), ["1 file of another kind was left out: 1 .txt"]);
    }

    #[test]
    fn deep_pictures_are_noted_and_read_as_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let deep = image::ImageBuffer::from_fn(2, 1, |x, _| image::Luma([4095 * x as u16]));
        deep.save(folder.path().join("scan.png")).unwrap();
        let source = FolderSource::open(folder.path(), false).unwrap();
        assert!(source.file_notes()[0].contains("0..4095"), "{:?}", source.file_notes());
        assert_eq!(source.load(0).unwrap().rgb, [0, 0, 0, 16, 16, 16]);
        let source =
            FolderSource::open(folder.path(), false).unwrap().decoded_as(IntensityRange::File.into());
        assert!(source.file_notes().is_empty());
        assert_eq!(source.load(0).unwrap().rgb, [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn classes_are_the_first_subfolders() {
        let folder = folder(&["owl/1.png", "cat/deep/1.png", "cat/2.png", "top.png", "empty/notes.txt"]);
        let source = FolderSource::open(folder.path(), true).unwrap();
        assert_eq!(source.classes(), ["cat", "owl"]);
        assert_eq!(names(&source), ["cat/2.png", "cat/deep/1.png", "owl/1.png", "top.png"]);
        let labels: Vec<_> = (0..4).map(|index| source.label(index)).collect();
        assert_eq!(labels, [Some(0), Some(0), Some(1), None]);
    }

    #[test]
    fn a_single_file_is_a_source() {
        let folder = folder(&["one.png", "two.png"]);
        let source = FolderSource::open(&folder.path().join("two.png"), true).unwrap();
        assert_eq!(names(&source), ["two.png"]);
        assert_eq!((source.load(0).unwrap().rgb[0], source.label(0)), (1, None));
    }

    #[test]
    fn a_folder_without_pictures_is_refused() {
        let folder = folder(&["notes.txt", ".hidden.png"]);
        let message = FolderSource::open(folder.path(), false).err().unwrap().to_string();
        assert!(
            message.contains(&folder.path().display().to_string()) && message.contains("webp"),
            "{message}"
        );
        let message = FolderSource::open(Path::new("no/such/folder"), false).err().unwrap().to_string();
        assert!(message.contains("can't read no/such/folder"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let elsewhere = folder(&["far.png"]);
        let folder = folder(&["a/1.png"]);
        symlink(folder.path(), folder.path().join("a/round")).unwrap();
        symlink(elsewhere.path(), folder.path().join("b")).unwrap();
        symlink(elsewhere.path().join("far.png"), folder.path().join("link.png")).unwrap();
        symlink("nowhere", folder.path().join("dangling.png")).unwrap();
        let source = FolderSource::open(folder.path(), false).unwrap();
        assert_eq!(names(&source), ["a/1.png", "b/far.png", "link.png"]);
    }
}
