//! Pictures in a folder beside files that tell what every pixel shows, or how far away it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::truth_files::{self, PixelGrid};
use super::{
    DenseReadOptions, DenseSample, DenseSampleFiles, DenseSource, DenseSplit, DenseTruthKind, IGNORED,
    MAX_CLASSES,
};
use crate::DataError;
use crate::decode::{decode_file_as, is_tiff};
use crate::source::folder::pictures_in;
use crate::source::halves::DatasetSplit;
use dinoscope_base::files;
use dinoscope_base::parallel::for_chunks;

/// Where the pictures lie.
const IMAGES: &str = "images";
/// Where the class indexes lie: PNG files with the pictures' names.
const LABELS: &str = "labels";
/// Where depth lies: 16-bit PNG files ([`DepthUnit`](super::DepthUnit)) or `.npy` files in metres, with the pictures' names.
const DEPTH: &str = "depth";
/// Names of the classes, one a line.
const NAMES: &str = "classes.txt";
/// Names of the classes of masks that tell an object from its background.
const BINARY: [&str; 2] = ["background", "object"];

/// The pictures in `images/` with their counterparts in `labels/` or `depth/`, matched by path without extension.
pub struct DenseFolder {
    truth: DenseTruthKind,
    reading: DenseReadOptions,
    entries: Vec<DenseFolderEntry>,
    classes: Vec<String>,
    /// What its half is called, where it is one.
    origin: Option<String>,
    /// What the numbers in its files mean.
    measure: Option<String>,
}

struct DenseFolderEntry {
    /// For a person: relative to the folder.
    name: String,
    picture: PathBuf,
    truth: PathBuf,
    /// Of both files, in the folder that was named.
    files: DenseSampleFiles,
}

/// Pictures of a folder, or of one half of it.
struct DenseListing {
    /// Where `images/` lies.
    root: PathBuf,
    entries: Vec<DenseFolderEntry>,
    origin: Option<String>,
}

impl DenseFolder {
    /// Opens a folder for one truth: `train/` and `val/` (or `test/`, in any case and as [`DatasetSplit`] knows them) in it or in
    /// its `images/`, or else one collection of which `seed` chooses a fifth to test.
    ///
    /// Names of classes come from `classes.txt`; without it every file of labels is read to find out how many there are.
    ///
    /// # Errors
    /// Names the folder or file that is missing or wrong, and what was expected there.
    pub fn split(
        path: &Path,
        truth: DenseTruthKind,
        reading: DenseReadOptions,
        seed: u64,
    ) -> Result<DenseSplit, DataError> {
        let wrong = |reason: String| DataError::Source { path: path.display().to_string(), reason };
        if !files::is_dir(path) {
            return Err(wrong(format!("there is no such folder; it should hold {}", expected(truth))));
        }
        let truth = truth.in_files();
        let mut parts = parts(path, truth)?;
        let classes = match truth {
            DenseTruthKind::Depth => Vec::new(),
            DenseTruthKind::Classes | DenseTruthKind::Object => classes(path, &parts, reading)?,
        };
        let source = |part: DenseListing| -> Arc<dyn DenseSource> {
            let is_png = |entry: &DenseFolderEntry| {
                entry.truth.extension().is_some_and(|of| of.eq_ignore_ascii_case("png"))
            };
            let png = truth == DenseTruthKind::Depth && part.entries.iter().any(is_png);
            let measure = png.then(|| format!("depth from 16-bit PNG at {}", reading.unit));
            let DenseListing { entries, origin, .. } = part;
            Arc::new(Self { truth, reading, entries, classes: classes.clone(), origin, measure })
        };
        match (parts.pop(), parts.pop()) {
            (Some(test), Some(train)) => Ok(DenseSplit { train: source(train), test: source(test) }),
            (Some(all), None) => DenseSplit::of(&source(all), seed).ok_or_else(|| {
                wrong(
                    "there is only one picture; some are needed to learn from and others to test".to_owned(),
                )
            }),
            (None, _) => Err(wrong(format!("it should hold {}", expected(truth)))),
        }
    }
}

/// The collection, or a half to learn from and one to test.
fn parts(path: &Path, truth: DenseTruthKind) -> Result<Vec<DenseListing>, DataError> {
    let wrong =
        |reason: &str| DataError::Source { path: path.display().to_string(), reason: reason.to_owned() };
    let short = path.file_name().map_or(String::new(), |name| format!("{}/", name.to_string_lossy()));
    let halves = halves(path)?;
    let of = |role| halves.iter().find(|(is, _)| *is == role).map(|(_, name)| name);
    match (of(DatasetSplit::Train), of(DatasetSplit::Validation).or(of(DatasetSplit::Test))) {
        (Some(train), Some(test)) => {
            let half = |name: &String| -> Result<DenseListing, DataError> {
                let root = path.join(name);
                let entries = list(&root, &format!("{name}/"), truth)?;
                Ok(DenseListing { root, entries, origin: Some(format!("{short}{name}")) })
            };
            return Ok(vec![half(train)?, half(test)?]);
        }
        (Some(_), None) if !files::is_dir(path.join(IMAGES)) => {
            return Err(wrong("there is train/ but no val/ beside it; add the pictures to test"));
        }
        _ => {}
    }
    let all = list(path, "", truth)?;
    // images/train/1.jpg, labels/train/1.png
    let half = |entry: &DenseFolderEntry| {
        let first = Path::new(&entry.name).components().next()?.as_os_str().to_string_lossy().into_owned();
        (Path::new(&entry.name).components().count() > 1).then_some(())?;
        Some((DatasetSplit::of(&first)?, first))
    };
    let roles: Vec<Option<(DatasetSplit, String)>> = all.iter().map(half).collect();
    let has = |wanted: DatasetSplit| roles.iter().flatten().any(|(role, _)| *role == wanted);
    let judge = if has(DatasetSplit::Validation) { DatasetSplit::Validation } else { DatasetSplit::Test };
    if roles.iter().any(Option::is_none) || !has(DatasetSplit::Train) || !has(judge) {
        return Ok(vec![DenseListing { root: path.to_owned(), entries: all, origin: None }]);
    }
    let mut parts = [DatasetSplit::Train, judge].map(|_| DenseListing {
        root: path.to_owned(),
        entries: Vec::new(),
        origin: None,
    });
    for (entry, (role, name)) in all.into_iter().zip(roles.into_iter().flatten()) {
        let Some(at) = [DatasetSplit::Train, judge].iter().position(|is| *is == role) else { continue };
        parts[at].origin = Some(format!("{short}{IMAGES}/{name}"));
        parts[at].entries.push(entry);
    }
    Ok(parts.into())
}

/// Folders in a folder that are halves by their names and hold pictures, in the order of their names.
fn halves(path: &Path) -> Result<Vec<(DatasetSplit, String)>, DataError> {
    let failed = |source| DataError::Read { path: path.display().to_string(), source };
    let entries = files::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
    let mut halves: Vec<(DatasetSplit, String)> = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| files::is_dir(path.join(name).join(IMAGES)))
        .filter_map(|name| Some((DatasetSplit::of(&name)?, name)))
        .collect();
    halves.sort();
    Ok(halves)
}

/// Names of the classes of pixels.
fn classes(path: &Path, parts: &[DenseListing], reading: DenseReadOptions) -> Result<Vec<String>, DataError> {
    let wrong = |path: &Path, reason: String| DataError::Source { path: path.display().to_string(), reason };
    let first = parts.first().map(|part| part.root.clone());
    let file = [Some(path.to_owned()), first].map(|folder| Some(folder?.join(NAMES)));
    let named = match file.iter().flatten().find(|file| files::is_file(file)) {
        Some(file) => Some((file, class_names(file)?)),
        None => None,
    };
    match named {
        Some((file, names)) if reading.binary && names.len() != 2 => {
            let count = names.len();
            Err(wrong(file, format!("it names {count} classes, but object and background are two")))
        }
        Some((_, names)) => Ok(names),
        None if reading.binary => Ok(BINARY.map(str::to_owned).to_vec()),
        None => {
            let files: Vec<&Path> =
                parts.iter().flat_map(|part| &part.entries).map(|e| e.truth.as_path()).collect();
            match numbered(&files)? {
                LabelMapSummary { ignored: true, most: 0 } => Err(wrong(path, one_class("0"))),
                LabelMapSummary { most, .. } => Ok((0..=most).map(|i| format!("class {i}")).collect()),
            }
        }
    }
}

/// What is said of labels in which one class and [`IGNORED`] are all there is.
pub fn one_class(class: &str) -> String {
    format!(
        "the labels hold {class} and {IGNORED} alone, and {IGNORED} means “not counted”: one class is left. If {IGNORED} is \
         the object in masks of two values, --binary takes it for one (in the studio: “{IGNORED} is the object”); else \
         write the index of a class where {IGNORED} stands"
    )
}

/// What a folder should look like, in words.
fn expected(truth: DenseTruthKind) -> String {
    match truth {
        DenseTruthKind::Classes | DenseTruthKind::Object => {
            format!("{IMAGES}/ with pictures and {LABELS}/ with a PNG of class indexes for each")
        }
        DenseTruthKind::Depth => {
            format!(
                "{IMAGES}/ with pictures and {DEPTH}/ with a 16-bit PNG, or .npy or TIFF of floats (metres), for each"
            )
        }
    }
}

/// The pictures of a collection with their counterparts, in sorted order; `before` stands before their names.
fn list(root: &Path, before: &str, truth: DenseTruthKind) -> Result<Vec<DenseFolderEntry>, DataError> {
    let wrong = |reason: String| DataError::Source { path: root.display().to_string(), reason };
    // Those that are told of, and how else they may be written.
    let (folder, endings, others): (&str, &[&str], &[&str]) = match truth {
        DenseTruthKind::Classes | DenseTruthKind::Object => (LABELS, &["png"], &["PNG"]),
        DenseTruthKind::Depth => (DEPTH, &["png", "npy", "tif"], &["PNG", "tiff", "TIF", "TIFF"]),
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
        match endings.iter().chain(others).map(beside).find(|file| files::is_file(file)) {
            Some(file) => {
                let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
                let name = relative.display().to_string();
                let [of_picture, of_truth] = [format!("{IMAGES}/{name}"), shown]
                    .map(|file| format!("{before}{file}").replace('\\', "/"));
                let files = DenseSampleFiles { picture: of_picture, truth: of_truth };
                entries.push(DenseFolderEntry { name, truth: file, picture, files });
            }
            None => missing.push(relative.to_owned()),
        }
    }
    match missing.first() {
        None => Ok(entries),
        Some(first) => {
            let wanted: Vec<String> = endings
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

/// What labels hold.
struct LabelMapSummary {
    /// The largest index of a class.
    most: u8,
    /// Whether some pixels do not count.
    ignored: bool,
}

/// What all files of labels hold together.
fn numbered(labels: &[&Path]) -> Result<LabelMapSummary, DataError> {
    let mut largest: Vec<Option<Result<LabelMapSummary, DataError>>> = labels.iter().map(|_| None).collect();
    for_chunks(&mut largest, 1, |i, slot| {
        let of = |grid: PixelGrid<u8>| LabelMapSummary {
            most: grid.values.iter().copied().filter(|v| *v != IGNORED).max().unwrap_or(0),
            ignored: grid.values.contains(&IGNORED),
        };
        slot[0] = Some(indexes(labels[i]).map(of));
    });
    let (mut all, mut first) = (None, None);
    for found in largest.into_iter().flatten() {
        match (found, &mut all) {
            (Ok(found), None) => all = Some(found),
            (Ok(found), Some(LabelMapSummary { most, ignored })) => {
                *most = found.most.max(*most);
                *ignored |= found.ignored;
            }
            // Told again, and left out, when the picture is loaded.
            (Err(error), _) => first = first.or(Some(error)),
        }
    }
    match (all, first) {
        (Some(all), _) => Ok(all),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(LabelMapSummary { most: 0, ignored: false }),
    }
}

/// Whether a truth is a file of numbers rather than a picture.
fn is_array(truth: &Path) -> bool {
    truth.extension().is_some_and(|ending| ending == "npy")
}

fn read(file: &Path) -> Result<Vec<u8>, DataError> {
    files::read(file).map_err(|source| DataError::Read { path: file.display().to_string(), source })
}

fn indexes(file: &Path) -> Result<PixelGrid<u8>, DataError> {
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

    fn files(&self, index: usize) -> Option<DenseSampleFiles> {
        Some(self.entries[index].files.clone())
    }

    fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    fn measure(&self) -> Option<&str> {
        self.measure.as_deref()
    }

    fn load(&self, index: usize, truth: DenseTruthKind) -> Result<DenseSample, DataError> {
        let entry = &self.entries[index];
        let wrong = |reason: String| DataError::Source { path: entry.truth.display().to_string(), reason };
        if truth.in_files() != self.truth {
            return Err(wrong("the folder was opened for another truth".to_owned()));
        }
        let picture = decode_file_as(&entry.picture, self.reading.decode)?.picture;
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
            DenseTruthKind::Classes | DenseTruthKind::Object => {
                let mut grid = indexes(&entry.truth)?;
                fits(grid.width, grid.height)?;
                if self.reading.binary {
                    grid.values.iter_mut().for_each(|value| *value = (*value).min(1));
                }
                let classes = self.classes.len();
                let beyond = |v: &&u8| **v != IGNORED && usize::from(**v) >= classes;
                if let Some(value) = grid.values.iter().find(beyond) {
                    return Err(wrong(format!(
                        "it holds the value {value}, but the {classes} classes are 0 to {}; mend {NAMES}, or write \
                         {IGNORED} where a pixel should not count",
                        classes.saturating_sub(1)
                    )));
                }
                if truth == DenseTruthKind::Object {
                    let known = grid.values.iter_mut().filter(|value| **value != IGNORED);
                    known.for_each(|value| *value = (*value).min(1));
                }
                Ok(DenseSample { picture, classes: grid.values, depth: Vec::new() })
            }
            DenseTruthKind::Depth => {
                let bytes = read(&entry.truth)?;
                let step = self.reading.unit.metres();
                let grid = match (is_array(&entry.truth), is_tiff(&bytes)) {
                    (true, _) => truth_files::depth_array(&bytes),
                    (false, true) => truth_files::tiff(&bytes, step),
                    (false, false) => truth_files::deep_grey(&bytes, step),
                };
                let grid = grid.map_err(wrong)?;
                fits(grid.width, grid.height)?;
                Ok(DenseSample { picture, classes: Vec::new(), depth: grid.values })
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "folder_tests.rs"]
mod tests;
