//! The pictures under a folder, and the other files that lie between them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::archive::{self, is_archive};
use crate::decode::{self, conversion_hint};
use dinoscope_base::files;

/// Kinds of files that a note names.
const NAMED: usize = 5;

/// Files that are no pictures, by their extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkippedFileCounts {
    kinds: BTreeMap<String, usize>,
    /// What a person should know of archives.
    archives: Vec<String>,
}

impl SkippedFileCounts {
    /// Counts a file.
    pub fn add(&mut self, path: &Path) {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        *self.kinds.entry(extension).or_default() += 1;
    }

    /// Counts those of another list too.
    pub fn merge(&mut self, other: &Self) {
        for (extension, count) in &other.kinds {
            *self.kinds.entry(extension.clone()).or_default() += count;
        }
        self.archives.extend(other.archives.iter().cloned());
    }

    /// How many there are, and of which kinds, in a sentence: `12 files of other kinds were left out: 9 .heic, 3 .mov`,
    /// with the way out where there is one for pictures of that kind; and what is wrong with archives. `None` when there is
    /// nothing to say.
    pub fn note(&self) -> Option<String> {
        let all: Vec<String> =
            self.note_of_kinds().into_iter().chain(self.archives.iter().cloned()).collect();
        (!all.is_empty()).then(|| all.join(". "))
    }

    fn note_of_kinds(&self) -> Option<String> {
        let total: usize = self.kinds.values().sum();
        let said = match total {
            0 => return None,
            1 => "1 file of another kind was left out".to_owned(),
            n => format!("{n} files of other kinds were left out"),
        };
        let mut note = format!("{said}: {}", self.kinds());
        if let Some(way) = self.by_number().find_map(|(extension, _)| conversion_hint(extension)) {
            note = format!("{note}; {way}");
        }
        Some(note)
    }

    /// The most frequent first.
    fn by_number(&self) -> impl Iterator<Item = (&str, usize)> {
        let mut kinds: Vec<(&str, usize)> = self.kinds.iter().map(|(e, n)| (e.as_str(), *n)).collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kinds.into_iter()
    }

    /// `9 .heic, 3 .mov`
    fn kinds(&self) -> String {
        let word = |(extension, count): (&str, usize)| match extension {
            "" => format!("{count} without an extension"),
            _ => format!("{count} .{extension}"),
        };
        let mut words: Vec<String> = self.by_number().take(NAMED).map(word).collect();
        let rest: usize = self.by_number().skip(NAMED).map(|(_, count)| count).sum();
        if rest > 0 {
            words.push(format!("{rest} others"));
        }
        words.join(", ")
    }
}

/// The pictures in a folder and all its subfolders in sorted order, or the single file that `path` names, whatever its
/// extension.
///
/// Files count by their extension ([`decode::EXTENSIONS`]; where there is none of them, `.npy`); hidden files and folders are
/// left out, links are followed.
///
/// # Errors
/// When `path` or a folder in it can't be read, or holds no pictures.
pub fn pictures_in(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    list(path).map(|(files, _)| files)
}

/// [`pictures_in`], and what else lies there.
///
/// # Errors
/// As [`pictures_in`].
pub fn list(path: &Path) -> Result<(Vec<PathBuf>, SkippedFileCounts), DataError> {
    let metadata = files::metadata(path).map_err(|source| read_error(path, source))?;
    let (mut files, mut left_out) = (Vec::new(), SkippedFileCounts::default());
    if !metadata.is_dir() {
        return match is_archive(path) {
            true => of_archive(path),
            false => Ok((vec![path.to_owned()], left_out)),
        };
    }
    let (mut archives, mut arrays) = (Vec::new(), Vec::new());
    walk(path, &mut HashSet::new(), &mut files, &mut archives, &mut arrays, &mut left_out)?;
    // Beside pictures, arrays are most often what was made of those: features, depth.
    match files.is_empty() && archives.is_empty() {
        true => files = arrays,
        false => arrays.iter().for_each(|array| left_out.add(array)),
    }
    if files.is_empty() && !archives.is_empty() {
        for archive in &archives {
            let (members, besides) = of_archive(archive)?;
            files.extend(members);
            left_out.merge(&besides);
        }
        return Ok((files, left_out));
    }
    // Where pictures lie beside them, archives are most often where those came from.
    archives.iter().for_each(|archive| left_out.add(archive));
    if files.is_empty() {
        let extensions = decode::EXTENSIONS.join(", ");
        let besides = left_out.note().map(|note| format!(". {note}")).unwrap_or_default();
        return Err(DataError::Source {
            path: path.display().to_string(),
            reason: format!(
                "there are no pictures in this folder or its subfolders (files ending in {extensions}){besides}"
            ),
        });
    }
    Ok((files, left_out))
}

fn walk(
    folder: &Path,
    seen: &mut HashSet<PathBuf>,
    files: &mut Vec<PathBuf>,
    archives: &mut Vec<PathBuf>,
    arrays: &mut Vec<PathBuf>,
    left_out: &mut SkippedFileCounts,
) -> Result<(), DataError> {
    let failed = |source| read_error(folder, source);
    // Each folder once, however many links lead to it, so that links can't lead round in circles.
    if !seen.insert(files::canonicalize(folder).map_err(failed)?) {
        return Ok(());
    }
    let mut entries =
        files::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
    entries.sort_by_key(files::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let mut kind = entry.file_type().map_err(failed)?;
        if kind.is_symlink() {
            match files::metadata(&path) {
                Ok(target) => kind = target.file_type(),
                // A link to nothing.
                Err(_) => continue,
            }
        }
        if kind.is_dir() {
            walk(&path, seen, files, archives, arrays, left_out)?;
        } else if kind.is_file() {
            match () {
                () if is_picture(&path) => files.push(path),
                // What a list names lies elsewhere.
                () if is_archive(&path) && !super::is_parquet_list(&path) => archives.push(path),
                () if is_array(&path) => arrays.push(path),
                () => left_out.add(&path),
            }
        }
    }
    Ok(())
}

/// The pictures in an archive, sorted by name; those that a Parquet file names, in its order.
fn of_archive(archive: &Path) -> Result<(Vec<PathBuf>, SkippedFileCounts), DataError> {
    if super::is_parquet_list(archive) {
        let named = super::read(archive)?.entries;
        let files = named.iter().map(|entry| super::place(archive, &entry.path)).collect();
        return Ok((files, SkippedFileCounts::default()));
    }
    let listing = archive::listed(archive)?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let notes = listing.notes().into_iter().map(|note| format!("{name}: {note}"));
    let mut left_out = SkippedFileCounts { archives: notes.collect(), ..SkippedFileCounts::default() };
    let mut names: Vec<&str> = Vec::new();
    for member in listing.members() {
        let path = Path::new(&member.name);
        let hidden = || member.name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
        match () {
            () if (member.is_row() || is_picture(path)) && !hidden() => names.push(&member.name),
            () if is_beside_pictures(path) || hidden() => {}
            () => left_out.add(path),
        }
    }
    if names.is_empty() {
        let besides = left_out.note().map(|note| format!(". {note}")).unwrap_or_default();
        let reason = format!(
            "there are no pictures in it (files ending in {}){besides}",
            decode::EXTENSIONS.join(", ")
        );
        return Err(DataError::Source { path: archive.display().to_string(), reason });
    }
    names.sort_by(|a, b| Path::new(a).cmp(Path::new(b)));
    Ok((names.into_iter().map(|name| archive.join(name)).collect(), left_out))
}

/// Whether a member of an archive says something of the picture of its name, as WebDataset has it, and is not missed.
fn is_beside_pictures(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["cls", "json", "txt", "id"].contains(&extension))
}

/// Whether a file's extension is that of a picture that can be decoded.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension
        .is_some_and(|extension| decode::EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// Whether a file is an array of numbers by its extension: a picture where no others lie.
fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"))
}

fn read_error(path: &Path, source: std::io::Error) -> DataError {
    DataError::Read { path: path.display().to_string(), source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn left_out(names: &[&str]) -> SkippedFileCounts {
        let mut all = SkippedFileCounts::default();
        names.iter().for_each(|name| all.add(Path::new(name)));
        all
    }

    #[test]
    fn other_files_are_counted_by_kind_with_the_way_out() {
        assert_eq!(SkippedFileCounts::default().note(), None);
        let phone = left_out(&["1.HEIC", "2.heic", "a.MOV", "b/3.heic"]).note().unwrap();
        assert!(phone.starts_with("4 files of other kinds were left out: 3 .heic, 1 .mov; "), "{phone}");
        assert!(phone.contains("heif-convert"), "{phone}");
        let many = left_out(&["a.a", "a.b", "a.c", "a.d", "a.e", "a.f", "README", "README"]).note().unwrap();
        assert_eq!(
            many,
            "8 files of other kinds were left out: 2 without an extension, 1 .a, 1 .b, 1 .c, 1 .d, 2 others"
        );
        let mut both = left_out(&["a.txt"]);
        both.merge(&left_out(&["b.txt"]));
        assert_eq!(both, left_out(&["a.txt", "b.txt"]));
    }

    #[test]
    fn a_folder_of_a_phones_pictures_says_how_they_are_converted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("IMG_1.HEIC"), "phone").unwrap();
        let said = pictures_in(folder.path()).unwrap_err().to_string();
        assert!(said.contains("no pictures") && said.contains("1 .heic") && said.contains("sips"), "{said}");
    }
}
