//! Whether pictures differ at all: from one picture, or from copies of one, nothing can be learned.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::source::PictureSource;
use dinoscope_base::files;

/// Most files whose content is compared.
const COMPARED: usize = 64;
/// Most bytes that are compared of each.
const BYTES: u64 = 32 << 20;

/// Why nothing can be learned from these files, in a sentence; `None` where they differ, or can't be read.
///
/// There is only one, or all of them have the same bytes. Lengths are compared first, of all files; the content only of
/// those of equal length, and only until one differs.
pub fn note(files: &[PathBuf]) -> Option<String> {
    match files {
        [] => None,
        [_] => Some(alone()),
        files => are_copies(files).then(|| copies(files.len())),
    }
}

/// The same for a source of pictures. Looks at its files, so it is asked for once, away from what is drawn.
pub fn note_of(source: &dyn PictureSource) -> Option<String> {
    if source.len() == 1 {
        return Some(alone());
    }
    // Of a large source the first files differ already: no list of all of them is made for that.
    let first = source.file(0)?;
    let length = length(&first)?;
    let mut all = vec![first];
    for index in 1..source.len() {
        let file = source.file(index)?;
        if self::length(&file)? != length {
            return None;
        }
        all.push(file);
    }
    note(&all)
}

fn alone() -> String {
    format!("there is only 1 picture, and from one alone a model can't learn: {WHY}. Bring more pictures")
}

fn copies(count: usize) -> String {
    format!(
        "the {count} pictures are copies of one, and from one alone a model can't learn: {WHY}. Bring others"
    )
}

/// What training lives on.
const WHY: &str = "it learns what makes pictures differ";

fn are_copies(all: &[PathBuf]) -> bool {
    let Some((first, others)) = all.split_first() else { return false };
    let Some(long) = length(first) else { return false };
    if !others.iter().all(|file| length(file) == Some(long)) {
        return false;
    }
    let Some(content) = beginning(first) else { return false };
    // Spread over all of them.
    let step = others.len().div_ceil(COMPARED).max(1);
    others.iter().step_by(step).all(|file| beginning(file).as_ref() == Some(&content))
}

/// Bytes of a file.
fn length(file: &Path) -> Option<u64> {
    files::metadata(file).ok().map(|about| about.len())
}

/// The bytes of a file, of a very long one the first.
fn beginning(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    files::File::open(file).ok()?.take(BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::folder::FolderSource;
    use crate::source::scenes::ScenesSource;

    fn folder(contents: &[&[u8]]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let written = contents.iter().enumerate().map(|(i, content)| {
            let file = folder.path().join(format!("{i}.png"));
            std::fs::write(&file, content).unwrap();
            file
        });
        let written = written.collect();
        (folder, written)
    }

    #[test]
    fn one_picture_and_copies_of_one_are_told() {
        let (alone, file) = folder(&[b"one"]);
        assert!(note(&file).unwrap().contains("only 1 picture"));
        let (copied, eight) = folder(&[b"same".as_slice(); 8]);
        let said = note(&eight).unwrap();
        assert!(said.contains("the 8 pictures are copies of one") && said.contains("can't learn"), "{said}");
        for (folder, said) in [(alone, "only 1 picture"), (copied, "8 pictures are copies")] {
            let source = FolderSource::open(folder.path(), false).unwrap();
            assert!(note_of(&source).unwrap().contains(said));
        }
        assert!(note_of(&ScenesSource::new(0, 1, 32)).unwrap().contains("only 1 picture"));
    }

    #[test]
    fn pictures_that_differ_and_files_that_are_not_there_are_not() {
        assert_eq!(note(&folder(&[b"same", b"same", b"sane"]).1), None, "of the same length");
        let (other, files) = folder(&[b"same", b"same", b"longer"]);
        assert_eq!(note(&files), None, "of another length");
        assert_eq!(note_of(&FolderSource::open(other.path(), false).unwrap()), None);
        assert_eq!(note(&[PathBuf::from("/no/such/1.png"), PathBuf::from("/no/such/2.png")]), None);
        assert_eq!((note(&[]), note_of(&ScenesSource::new(0, 2, 32))), (None, None));
    }
}
