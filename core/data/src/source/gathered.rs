//! What places hold: folders (in halves or whole), lists, archives, IDX files and single pictures, opened by the same doors for
//! training and for evaluations.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PictureSource;
use super::archive::with_own_classes;
use super::datasets::{self, PublicDataset};
use super::folder::FolderSource;
use super::halves::SplitFolder;
use super::idx::{IdxSource, IdxSplit};
use super::joined::{NamedSource, SourceShare};
use super::listed::{self, PictureList};
use super::listing::{SkippedFileCounts, is_picture, list};
use super::pattern;
use crate::DataError;
use crate::archive::is_archive;
use crate::decode::DecodeOptions;
use dinoscope_base::files;

/// How pictures are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceOptions {
    /// With their classes.
    pub labels: bool,
    /// How their files are decoded.
    pub decode: DecodeOptions,
}

/// What a place holds.
pub enum SourceContent {
    /// Pictures in one piece.
    Whole(Arc<dyn PictureSource>),
    /// Pictures to learn from beside others to test.
    Halves(Box<SplitFolder>),
}

/// What a place holds, under its name.
pub struct OpenedSource {
    /// The last part of its path.
    pub name: String,
    /// Its pictures.
    pub holds: SourceContent,
    /// Whether it has a column of classes that nobody asked for.
    pub unused_labels: bool,
    /// How many of all pictures come from its place.
    pub share: Option<SourceShare>,
}

impl OpenedSource {
    fn new(name: String, holds: SourceContent) -> Self {
        Self { name, holds, unused_labels: false, share: None }
    }

    /// All of it in one piece.
    pub fn whole(self, how: SourceOptions) -> NamedSource {
        let source = match self.holds {
            SourceContent::Whole(source) => source,
            // Their names are no classes all the same.
            SourceContent::Halves(halves) => Arc::new(halves.all(how.labels)),
        };
        NamedSource { name: self.name, source, share: self.share }
    }
}

/// Opens places: a folder (nested), a list ([`listed`]) of pictures, folders and patterns, an archive, a pattern, an IDX file or
/// folder, a single picture, the word of a collection that others hand out ([`PublicDataset`]; its half to learn from). A list gives a part for the pictures that it names and one for each of its folders.
///
/// The pictures that a list or a pattern names are read like the folder that they all lie in would be, if nothing else
/// lay there; a list with a column of classes has those in place of the subfolders.
///
/// # Errors
/// Names the place and what was expected there.
pub fn gather(places: &[PathBuf], how: SourceOptions) -> Result<Vec<OpenedSource>, DataError> {
    let mut all = Vec::new();
    for place in places {
        if let Some(set) = PublicDataset::at(place) {
            all.push(of_dataset(set, how)?);
            continue;
        }
        match place.to_str().filter(|text| pattern::is_pattern(text)) {
            _ if files::is_dir(place) => all.push(of_folder(place, how)?),
            _ if listed::is_parquet_list(place) => of_list(place, how, &mut all)?,
            _ if is_archive(place) && files::exists(place) => all.push(of_archive(place, how)?),
            Some(text) if !files::exists(place) => of_pattern(text, how, &mut all)?,
            _ if listed::is_list(place) && !IdxSource::recognizes(place) => of_list(place, how, &mut all)?,
            _ => all.push(of_file(place, how)?),
        }
    }
    Ok(all)
}

fn of_dataset(set: PublicDataset, how: SourceOptions) -> Result<OpenedSource, DataError> {
    let place = set.located()?;
    let source = match set {
        PublicDataset::Stamps => {
            // What lies between the pictures, sounds and texts, belongs there: nobody has to be told.
            let pictures = datasets::without_mirrored(list(&place)?.0);
            Arc::new(FolderSource::of_files(&place, &pictures, how.labels).decoded_as(how.decode))
        }
        _ => datasets::half(set, &place, IdxSplit::Train)?,
    };
    Ok(OpenedSource::new(set.word().to_owned(), SourceContent::Whole(source)))
}

/// The last part of a path.
fn name_of(path: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let whole = || name(&files::canonicalize(path).ok()?);
    name(path).or_else(whole).unwrap_or_else(|| path.display().to_string())
}

fn of_folder(folder: &Path, how: SourceOptions) -> Result<OpenedSource, DataError> {
    if IdxSource::recognizes(folder) {
        return of_file(folder, how);
    }
    let (pictures, left_out) = list(folder)?;
    Ok(OpenedSource::new(name_of(folder), of_pictures(folder, &pictures, left_out, how)))
}

/// Pictures that lie in `root`, sorted.
fn of_pictures(
    root: &Path,
    pictures: &[PathBuf],
    left_out: SkippedFileCounts,
    how: SourceOptions,
) -> SourceContent {
    match SplitFolder::of(root, pictures) {
        Some(halves) => SourceContent::Halves(Box::new(halves.beside(left_out).decoded_as(how.decode))),
        None => {
            let folder = FolderSource::of_files(root, pictures, how.labels);
            SourceContent::Whole(Arc::new(folder.beside(left_out).decoded_as(how.decode)))
        }
    }
}

fn of_file(file: &Path, how: SourceOptions) -> Result<OpenedSource, DataError> {
    let name = name_of(file);
    if IdxSource::recognizes(file) {
        return Ok(OpenedSource::new(
            name,
            SourceContent::Whole(Arc::new(IdxSource::open(file, IdxSplit::Train)?)),
        ));
    }
    let source = FolderSource::open(file, how.labels)?.decoded_as(how.decode);
    // What is no picture, an archive for instance, is told before anything is begun with it.
    source.load(0)?;
    Ok(OpenedSource::new(name, SourceContent::Whole(Arc::new(source))))
}

fn of_archive(file: &Path, how: SourceOptions) -> Result<OpenedSource, DataError> {
    let (pictures, left_out) = list(file)?;
    let own = if how.labels { with_own_classes(file, &pictures)? } else { None };
    let holds = match own {
        Some(source) => SourceContent::Whole(Arc::new(source.beside(left_out).decoded_as(how.decode))),
        None => of_pictures(file, &pictures, left_out, how),
    };
    Ok(OpenedSource::new(name_of(file), holds))
}

fn of_pattern(text: &str, how: SourceOptions, all: &mut Vec<OpenedSource>) -> Result<(), DataError> {
    let wrong = |reason: String| DataError::Source { path: text.to_owned(), reason };
    let (mut pictures, mut left_out) = (Vec::new(), SkippedFileCounts::default());
    let before = all.len();
    for path in pattern::matches(text).map_err(wrong)? {
        if files::is_dir(&path) {
            all.push(of_folder(&path, how)?);
        } else if is_archive(&path) {
            all.push(of_archive(&path, how)?);
        } else if is_picture(&path) {
            pictures.push(path);
        } else {
            left_out.add(&path);
        }
    }
    if !pictures.is_empty() {
        let root = root_of(&pictures);
        all.push(OpenedSource::new(name_of(&root), of_pictures(&root, &pictures, left_out, how)));
    } else if all.len() == before {
        let besides = left_out.note().map(|note| format!(". {note}")).unwrap_or_default();
        return Err(wrong(format!("no pictures fit this pattern{besides}")));
    }
    Ok(())
}

fn of_list(file: &Path, how: SourceOptions, all: &mut Vec<OpenedSource>) -> Result<(), DataError> {
    let wrong = |reason: String| DataError::Source { path: file.display().to_string(), reason };
    let list_read = listed::read(file)?;
    let unit = list_read.unit();
    let PictureList { entries, labelled, .. } = list_read;
    if entries.is_empty() {
        return Err(wrong("it names no pictures".to_owned()));
    }
    let with_labels = labelled && how.labels;
    // Files with their classes: in a table folders and patterns have one too.
    let mut pictures: HashMap<PathBuf, (Option<String>, usize)> = HashMap::new();
    let mut missing: Vec<(usize, PathBuf)> = Vec::new();
    for entry in entries {
        let path = listed::place(file, &entry.path);
        let about = files::metadata(&path);
        let found = match about {
            Ok(about) if about.is_dir() && with_labels => list(&path)?.0,
            Ok(about) if about.is_dir() => {
                all.push(of_folder(&path, how)?);
                continue;
            }
            Ok(_) if is_archive(&path) => {
                all.push(of_archive(&path, how)?);
                continue;
            }
            Ok(_) => vec![path],
            Err(_) if listed::is_member(&path) => vec![path],
            Err(_) => match path.to_str().filter(|text| pattern::is_pattern(text)) {
                Some(text) if with_labels => {
                    let found = pattern::matches(text)
                        .map_err(|why| wrong(format!("{unit} {} names {text}: {why}", entry.line)))?;
                    found.into_iter().filter(|path| is_picture(path)).collect()
                }
                Some(text) => {
                    of_pattern(text, how, all)?;
                    continue;
                }
                None => {
                    missing.push((entry.line, path));
                    continue;
                }
            },
        };
        for picture in found {
            let (label, line) = pictures.entry(picture.clone()).or_insert((entry.label.clone(), entry.line));
            if with_labels && *label != entry.label {
                let word = |label: &Option<String>| label.clone().unwrap_or_else(|| "none".to_owned());
                return Err(wrong(format!(
                    "{unit}s {line} and {} give {} two classes: {} and {}",
                    entry.line,
                    picture.display(),
                    word(label),
                    word(&entry.label)
                )));
            }
        }
    }
    if let Some((line, path)) = missing.first() {
        let others = match missing.len() - 1 {
            0 => String::new(),
            1 => "; 1 other is missing too".to_owned(),
            n => format!("; {n} others are missing too"),
        };
        return Err(wrong(format!(
            "{unit} {line} names {}, which is not there{others}. Relative paths count from the list's folder",
            path.display()
        )));
    }
    let mut files: Vec<PathBuf> = pictures.keys().cloned().collect();
    files.sort();
    let Some(first) = files.first() else { return Ok(()) };
    // A single picture is looked at before anything is begun with it, as where it is named itself.
    if files.len() == 1 {
        FolderSource::open(first, false)?.decoded_as(how.decode).load(0)?;
    }
    let root = root_of(&files);
    let name = name_of(file);
    let holds = if with_labels {
        let label = |file: &PathBuf| pictures.get(file).and_then(|(label, _)| label.as_ref());
        let classes: BTreeSet<&String> = files.iter().filter_map(label).collect();
        let classes: Vec<String> = classes.into_iter().cloned().collect();
        let entry = |file: &PathBuf| {
            let class = label(file).and_then(|name| classes.binary_search(name).ok());
            (file.strip_prefix(&root).unwrap_or(file).to_owned(), class)
        };
        let entries = files.iter().map(entry).collect();
        SourceContent::Whole(Arc::new(
            FolderSource::listed(&root, entries, classes.clone()).decoded_as(how.decode),
        ))
    } else {
        of_pictures(&root, &files, SkippedFileCounts::default(), how)
    };
    all.push(OpenedSource { unused_labels: labelled && !how.labels, ..OpenedSource::new(name, holds) });
    Ok(())
}

/// The folder that files lie in, all of them.
fn root_of(files: &[PathBuf]) -> PathBuf {
    let folder = |file: &PathBuf| file.parent().unwrap_or(Path::new("")).to_owned();
    let mut root = files.first().map(folder).unwrap_or_default();
    for file in files {
        while !file.starts_with(&root) {
            root = root.parent().unwrap_or(Path::new("")).to_owned();
        }
    }
    root
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "gathered_tests.rs"]
mod tests;
