//! Pictures in a folder beside files that tell what every pixel shows, or how far away it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::truth_files::{self, Grid};
use super::{Dense, DenseSource, DenseSplit, IGNORED, MAX_CLASSES, Truth};
use crate::analysis::linalg::for_chunks;
use crate::data::DataError;
use crate::data::decode::decode_file;
use crate::data::source::folder::pictures_in;
use crate::files;

/// Where the pictures lie.
const IMAGES: &str = "images";
/// Where the class indexes lie: PNG files with the pictures' names.
const LABELS: &str = "labels";
/// Where depth lies: 16-bit PNG files in millimetres or `.npy` files in metres, with the pictures' names.
const DEPTH: &str = "depth";
/// Names of the classes, one a line.
const NAMES: &str = "classes.txt";

/// The pictures in `images/` with their counterparts in `labels/` or `depth/`, matched by path without extension.
pub struct DenseFolder {
    truth: Truth,
    entries: Vec<Entry>,
    classes: Vec<String>,
}

struct Entry {
    /// For a person: relative to the folder.
    name: String,
    picture: PathBuf,
    truth: PathBuf,
}

impl DenseFolder {
    /// Opens a folder for one truth: `train/` and `val/` (or `test/`) in it, or else one collection of which `seed` chooses
    /// a fifth to judge.
    ///
    /// Names of classes come from `classes.txt`; without it every file of labels is read to find out how many there are.
    ///
    /// # Errors
    /// Names the folder or file that is missing or wrong, and what was expected there.
    pub fn split(path: &Path, truth: Truth, seed: u64) -> Result<DenseSplit, DataError> {
        let wrong = |reason: String| DataError::Source { path: path.display().to_string(), reason };
        if !files::is_dir(path) {
            return Err(wrong(format!("there is no such folder; it should hold {}", expected(truth))));
        }
        let half =
            |names: &[&str]| names.iter().map(|n| path.join(n)).find(|p| files::is_dir(p.join(IMAGES)));
        let mut parts = match (half(&["train"]), half(&["val", "test"])) {
            (Some(train), Some(test)) => vec![list(&train, truth)?, list(&test, truth)?],
            (Some(_), None) if !files::is_dir(path.join(IMAGES)) => {
                return Err(wrong(
                    "there is train/ but no val/ beside it; add the pictures to judge".to_owned(),
                ));
            }
            _ => vec![list(path, truth)?],
        };
        let classes = match truth {
            Truth::Depth => Vec::new(),
            Truth::Classes => {
                let file = [path.to_owned(), path.join("train")].map(|p| p.join(NAMES));
                match file.iter().find(|file| files::is_file(file)) {
                    Some(file) => class_names(file)?,
                    None => numbered(&parts.iter().flatten().map(|e| e.truth.as_path()).collect::<Vec<_>>())?,
                }
            }
        };
        let source =
            |entries| -> Arc<dyn DenseSource> { Arc::new(Self { truth, entries, classes: classes.clone() }) };
        match (parts.pop(), parts.pop()) {
            (Some(test), Some(train)) => Ok(DenseSplit { train: source(train), test: source(test) }),
            (Some(all), None) => DenseSplit::of(&source(all), seed).ok_or_else(|| {
                wrong(
                    "there is only one picture; some are needed to learn from and others to judge".to_owned(),
                )
            }),
            (None, _) => Err(wrong(format!("it should hold {}", expected(truth)))),
        }
    }
}

/// What a folder should look like, in words.
fn expected(truth: Truth) -> String {
    match truth {
        Truth::Classes => {
            format!("{IMAGES}/ with pictures and {LABELS}/ with a PNG of class indexes for each")
        }
        Truth::Depth => format!(
            "{IMAGES}/ with pictures and {DEPTH}/ with a 16-bit PNG (millimetres) or .npy (metres) for each"
        ),
    }
}

/// The pictures of a collection with their counterparts, in sorted order.
fn list(root: &Path, truth: Truth) -> Result<Vec<Entry>, DataError> {
    let wrong = |reason: String| DataError::Source { path: root.display().to_string(), reason };
    let (folder, endings): (&str, &[&str]) = match truth {
        Truth::Classes => (LABELS, &["png", "PNG"]),
        Truth::Depth => (DEPTH, &["png", "npy", "PNG"]),
    };
    let (images, truths) = (root.join(IMAGES), root.join(folder));
    for needed in [&images, &truths] {
        if !files::is_dir(needed) {
            let name = needed.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            return Err(wrong(format!("there is no {name}/ in it; it should hold {}", expected(truth))));
        }
    }
    let mut missing = Vec::new();
    let mut entries = Vec::new();
    for picture in pictures_in(&images)? {
        let relative = picture.strip_prefix(&images).unwrap_or(&picture);
        let beside = |ending: &&str| truths.join(relative.with_extension(ending));
        match endings.iter().map(beside).find(|file| files::is_file(file)) {
            Some(file) => {
                entries.push(Entry { name: relative.display().to_string(), truth: file, picture });
            }
            None => missing.push(relative.to_owned()),
        }
    }
    match missing.first() {
        None => Ok(entries),
        Some(first) => {
            let wanted: Vec<String> = endings[..endings.len() - 1]
                .iter()
                .map(|ending| format!("{folder}/{}", first.with_extension(ending).display()))
                .collect();
            let more = match missing.len() {
                1 => String::new(),
                n => format!(", nor for {} other pictures", n - 1),
            };
            Err(wrong(format!(
                "there is no {} for {IMAGES}/{}{more}; add it or take the picture out",
                wanted.join(" or "),
                first.display()
            )))
        }
    }
}

fn class_names(file: &Path) -> Result<Vec<String>, DataError> {
    let path = || file.display().to_string();
    let text = files::read_to_string(file).map_err(|source| DataError::Read { path: path(), source })?;
    let mut names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    match names.len() {
        1..=MAX_CLASSES => Ok(names),
        0 => {
            Err(DataError::Source { path: path(), reason: "it names no class; write one a line".to_owned() })
        }
        n => Err(DataError::Source {
            path: path(),
            reason: format!("it names {n} classes; at most {MAX_CLASSES} fit an index of 8 bits"),
        }),
    }
}

/// Names by number for as many classes as the files hold.
fn numbered(labels: &[&Path]) -> Result<Vec<String>, DataError> {
    let mut largest: Vec<Option<Result<u8, DataError>>> = labels.iter().map(|_| None).collect();
    for_chunks(&mut largest, 1, |i, slot| {
        let of = |grid: Grid<u8>| grid.values.into_iter().filter(|v| *v != IGNORED).max().unwrap_or(0);
        slot[0] = Some(indexes(labels[i]).map(of));
    });
    let mut most = 0;
    for found in largest.into_iter().flatten() {
        match found {
            Ok(found) => most = most.max(found),
            // Told again, and left out, when the picture is loaded.
            Err(DataError::Read { .. } | DataError::Decode { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((0..=most).map(|i| format!("class {i}")).collect())
}

fn read(file: &Path) -> Result<Vec<u8>, DataError> {
    files::read(file).map_err(|source| DataError::Read { path: file.display().to_string(), source })
}

fn indexes(file: &Path) -> Result<Grid<u8>, DataError> {
    let wrong = |reason| DataError::Source { path: file.display().to_string(), reason };
    truth_files::class_indexes(&read(file)?).map_err(wrong)
}

impl DenseSource for DenseFolder {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, index: usize) -> String {
        self.entries[index].name.clone()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize, truth: Truth) -> Result<Dense, DataError> {
        let entry = &self.entries[index];
        let wrong = |reason: String| DataError::Source { path: entry.truth.display().to_string(), reason };
        if truth != self.truth {
            return Err(wrong("the folder was opened for another truth".to_owned()));
        }
        let picture = decode_file(&entry.picture)?;
        let fits = |width: usize, height: usize| match (width, height) == (picture.width, picture.height) {
            true => Ok(()),
            false => Err(wrong(format!(
                "it has {width} × {height} pixels, but {} has {} × {}; both need the same size",
                entry.picture.display(),
                picture.width,
                picture.height
            ))),
        };
        match truth {
            Truth::Classes => {
                let grid = indexes(&entry.truth)?;
                fits(grid.width, grid.height)?;
                let classes = self.classes.len();
                let beyond = |v: &&u8| **v != IGNORED && usize::from(**v) >= classes;
                if let Some(value) = grid.values.iter().find(beyond) {
                    return Err(wrong(format!(
                        "it holds the value {value}, but the {classes} classes are 0 to {}; mend {NAMES}, or write \
                         {IGNORED} where a pixel should not count",
                        classes.saturating_sub(1)
                    )));
                }
                Ok(Dense { picture, classes: grid.values, depth: Vec::new() })
            }
            Truth::Depth => {
                let bytes = read(&entry.truth)?;
                let is_array = entry.truth.extension().is_some_and(|e| e == "npy");
                let grid = if is_array { truth_files::npy(&bytes) } else { truth_files::millimetres(&bytes) };
                let grid = grid.map_err(wrong)?;
                fits(grid.width, grid.height)?;
                Ok(Dense { picture, classes: Vec::new(), depth: grid.values })
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "folder_tests.rs"]
mod tests;
