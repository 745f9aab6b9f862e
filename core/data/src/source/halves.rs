//! Folders that come in halves: `train/CLASS/…` to learn from beside `val/CLASS/…` to test, as most data sets are handed
//! out (`training` and `validation`, `Train` and `Test`, one folder further down, or `CLASS/train/…`). The halves are
//! never classes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::PictureSource;
use super::folder::FolderSource;
use super::listing::SkippedFileCounts;
use crate::decode::DecodeOptions;
use crate::{DataError, Picture};

/// What pictures are for, by the name of their folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatasetSplit {
    /// To learn from.
    Train,
    /// To judge, and to choose with.
    Validation,
    /// To judge once, at the end.
    Test,
}

/// What may stand beside a role in the name of a folder: `train_set`, `ILSVRC2012_img_val`, `test images`.
const BESIDE: [&str; 17] = [
    "", "set", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photos", "split",
    "folder", "seg", "ilsvrc", "imagenet", "files",
];

impl DatasetSplit {
    /// The role that a folder's name says, in any case and with numbers (`train2017`); none for names of other things.
    pub fn of(name: &str) -> Option<Self> {
        let mut role = None;
        for word in name.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
            let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
            let bare = word.strip_suffix("set").filter(|bare| !bare.is_empty()).unwrap_or(word);
            let found = match bare {
                "train" | "training" | "trn" | "trainval" => Self::Train,
                "val" | "valid" | "validation" | "validate" | "dev" | "eval" | "evaluation" => {
                    Self::Validation
                }
                "test" | "testing" | "tst" => Self::Test,
                _ if BESIDE.contains(&word) => continue,
                _ => return None,
            };
            if role.replace(found).is_some() {
                return None;
            }
        }
        role
    }
}

/// A picture's place in a folder of halves.
struct SplitFolderEntry {
    path: PathBuf,
    /// The folder of its half, as a person reads it; none where it lies beside the halves.
    half: Option<String>,
    class: Option<String>,
}

/// A folder of which one part is to learn from and another to test.
pub struct SplitFolder {
    root: PathBuf,
    places: Vec<SplitFolderEntry>,
    /// The half to learn from, and its classes.
    train: (String, BTreeSet<String>),
    /// The other folders, those to learn from first, then those to test.
    others: Vec<(DatasetSplit, String, BTreeSet<String>)>,
    /// How files of more than 8 bits are read.
    decode: DecodeOptions,
    /// Files of other kinds in all of it.
    left_out: SkippedFileCounts,
}

impl SplitFolder {
    /// Reads the halves off the places of pictures, all of which lie in `root`; none where the folder has no halves.
    ///
    /// It has some when every folder with pictures in it is called as a half is, one to learn from and one to test
    /// being among them: a class that is called `train` beside `car` stays a class.
    pub fn of(root: &Path, files: &[PathBuf]) -> Option<Self> {
        let parts: Vec<Vec<String>> = files.iter().map(|file| parts(root, file)).collect();
        let base = base(&parts);
        let first: BTreeSet<&str> = folders(&parts, base).collect();
        let roles: Vec<Option<DatasetSplit>> = first.iter().map(|name| DatasetSplit::of(name)).collect();
        let halves = if roles.iter().all(Option::is_some) {
            roles
        } else if roles.iter().all(Option::is_none) && classes_hold_halves(&parts, base) {
            folders(&parts, base + 1).map(DatasetSplit::of).collect()
        } else {
            return None;
        };
        let has = |wanted: &dyn Fn(DatasetSplit) -> bool| halves.iter().flatten().any(|role| wanted(*role));
        if !has(&|role| role == DatasetSplit::Train) || !has(&|role| role != DatasetSplit::Train) {
            return None;
        }
        let inverse = !first.iter().all(|name| DatasetSplit::of(name).is_some());
        Self::read(root, files, &parts, base, inverse)
    }

    fn read(
        root: &Path,
        files: &[PathBuf],
        parts: &[Vec<String>],
        base: usize,
        inverse: bool,
    ) -> Option<Self> {
        let short = root.file_name().map(|name| name.to_string_lossy().into_owned());
        let above: Vec<&str> = short
            .iter()
            .map(String::as_str)
            .chain(parts.first()?[..base].iter().map(String::as_str))
            .collect();
        let called = |name: &str| {
            let middle = if inverse { vec!["*"] } else { Vec::new() };
            above.iter().copied().chain(middle).chain([name]).collect::<Vec<_>>().join("/")
        };
        let mut found: Vec<(DatasetSplit, String, BTreeSet<String>)> = Vec::new();
        let mut places = Vec::new();
        for (file, parts) in files.iter().zip(parts) {
            let path = file.strip_prefix(root).unwrap_or(file).to_owned();
            let at = base + usize::from(inverse);
            let half = parts.get(at).filter(|_| parts.len() > at + 1);
            let Some((name, role)) = half.and_then(|name| Some((name, DatasetSplit::of(name)?))) else {
                places.push(SplitFolderEntry { path, half: None, class: None });
                continue;
            };
            let class = if inverse { Some(parts[base].clone()) } else { class(&parts[at + 1..], role) };
            let half = called(name);
            match found.iter_mut().find(|(_, known, _)| *known == half) {
                Some((.., classes)) => classes.extend(class.clone()),
                None => found.push((role, half.clone(), class.clone().into_iter().collect())),
            }
            places.push(SplitFolderEntry { path, half: Some(half), class });
        }
        // In the order of their roles; of two with one role the one with classes first.
        found.sort_by_key(|(role, name, classes)| (*role, classes.is_empty(), name.clone()));
        let mut found = found.into_iter();
        let (_, name, classes) = found.next()?;
        Some(Self {
            root: root.to_owned(),
            places,
            train: (name, classes),
            others: found.collect(),
            decode: DecodeOptions::default(),
            left_out: SkippedFileCounts::default(),
        })
    }

    /// The half that judges: the first of those to test with that has a class of the half to learn from.
    fn judge(&self) -> Option<&str> {
        let judges = |role: DatasetSplit, classes: &BTreeSet<String>| {
            role != DatasetSplit::Train && !classes.is_disjoint(&self.train.1)
        };
        self.others.iter().find(|(role, _, classes)| judges(*role, classes)).map(|(_, name, _)| name.as_str())
    }

    /// The same, decoded as wished.
    #[must_use]
    pub fn decoded_as(self, decode: DecodeOptions) -> Self {
        Self { decode, ..self }
    }

    /// The same, with the files of other kinds that lie between the pictures.
    #[must_use]
    pub fn beside(self, left_out: SkippedFileCounts) -> Self {
        Self { left_out, ..self }
    }

    /// Whether the half to learn from has classes, some of which another half has as well.
    pub fn can_judge(&self) -> bool {
        self.judge().is_some()
    }

    /// Whether any half has classes.
    pub fn has_classes(&self) -> bool {
        !self.train.1.is_empty()
    }

    /// The half to learn from, with its classes if `labels`.
    pub fn train(&self, labels: bool) -> SplitFolderSource {
        self.part(&self.train.0, labels)
    }

    /// The half to test, with its classes; none unless [`SplitFolder::can_judge`].
    pub fn judged(&self) -> Option<SplitFolderSource> {
        let judge = self.judge()?;
        let mut half = self.part(judge, true);
        let rest = self.others.iter().map(|(_, name, _)| name.as_str()).filter(|name| *name != judge);
        half.notes.extend(rest.map(|name| format!("{name} is not looked at")));
        Some(half)
    }

    /// All halves together, each picture with the class that it has in its half, if `labels`.
    pub fn all(&self, labels: bool) -> SplitFolderSource {
        let names: Vec<&str> = std::iter::once(&self.train.0)
            .chain(self.others.iter().map(|(_, name, _)| name))
            .map(String::as_str)
            .collect();
        let origin = format!("{} together", listed(&names));
        self.half(|_| true, labels, origin)
    }

    /// What the halves are called: `root/train and root/val`.
    pub fn names(&self) -> String {
        let judge = self.judge().or_else(|| self.others.last().map(|(_, name, _)| name.as_str()));
        listed(&[&self.train.0, judge.unwrap_or_default()])
    }

    fn part(&self, name: &str, labels: bool) -> SplitFolderSource {
        let mut half = self.half(|half| half == Some(name), labels, name.to_owned());
        let beside = self.places.iter().filter(|place| place.half.is_none()).count();
        if name == self.train.0 && beside > 0 {
            half.notes.push(format!("pictures beside the halves are not looked at: {beside}"));
        }
        half
    }

    fn half(&self, holds: impl Fn(Option<&str>) -> bool, labels: bool, origin: String) -> SplitFolderSource {
        let places: Vec<&SplitFolderEntry> =
            self.places.iter().filter(|place| holds(place.half.as_deref())).collect();
        let classes: BTreeSet<&String> = places.iter().filter_map(|place| place.class.as_ref()).collect();
        let classes: Vec<String> = if labels { classes.into_iter().cloned().collect() } else { Vec::new() };
        let label = |place: &SplitFolderEntry| classes.binary_search(place.class.as_ref()?).ok();
        let entries = places.iter().map(|place| (place.path.clone(), label(place))).collect();
        let of = FolderSource::listed(&self.root, entries, classes.clone());
        let of = of.decoded_as(self.decode).beside(self.left_out.clone());
        SplitFolderSource { of, origin, notes: Vec::new() }
    }
}

/// `a`, `a and b`, `a, b and c`
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The parts of a path below the root, the file's name last.
fn parts(root: &Path, file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(root).unwrap_or(file);
    inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

/// Names of folders at a depth, one for each picture in one of them.
fn folders(parts: &[Vec<String>], at: usize) -> impl Iterator<Item = &str> {
    parts.iter().filter(move |parts| parts.len() > at + 1).map(move |parts| parts[at].as_str())
}

/// How far down the folders begin to differ: archives unpack into one folder, which is neither a half nor a class.
fn base(parts: &[Vec<String>]) -> usize {
    let mut base = 0;
    while let Some(first) = parts.first().and_then(|parts| parts.get(base))
        && DatasetSplit::of(first).is_none()
        && parts.iter().all(|parts| parts.len() > base + 1 && parts[base] == *first)
    {
        base += 1;
    }
    base
}

/// Whether every picture lies directly in a half of its class: `CLASS/train/1.png`.
fn classes_hold_halves(parts: &[Vec<String>], base: usize) -> bool {
    let inside = |parts: &&Vec<String>| parts.len() > base + 1;
    parts
        .iter()
        .filter(inside)
        .all(|parts| parts.len() == base + 3 && DatasetSplit::of(&parts[base + 1]).is_some())
}

/// The class of a picture by its path in a half: the first folder, or the second where the half lies in a folder of its
/// own name (`training_set/training_set/CLASS`).
fn class(inside: &[String], role: DatasetSplit) -> Option<String> {
    let folders = &inside[..inside.len().saturating_sub(1)];
    match folders {
        [first, rest @ ..] if DatasetSplit::of(first) == Some(role) => rest.first().cloned(),
        [first, ..] => Some(first.clone()),
        [] => None,
    }
}

/// One half of a folder, or all of them together.
pub struct SplitFolderSource {
    of: FolderSource,
    origin: String,
    notes: Vec<String>,
}

impl PictureSource for SplitFolderSource {
    fn len(&self) -> usize {
        self.of.len()
    }
    fn name(&self, index: usize) -> String {
        self.of.name(index)
    }
    fn label(&self, index: usize) -> Option<usize> {
        self.of.label(index)
    }
    fn classes(&self) -> &[String] {
        self.of.classes()
    }
    fn file(&self, index: usize) -> Option<PathBuf> {
        self.of.file(index)
    }
    fn decoding(&self, index: usize) -> u64 {
        self.of.decoding(index)
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        self.of.load(index)
    }
    fn origin(&self) -> Option<&str> {
        Some(&self.origin)
    }
    fn notes(&self) -> &[String] {
        &self.notes
    }
    fn file_notes(&self) -> Vec<String> {
        self.of.file_notes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "halves_tests.rs"]
mod tests;
