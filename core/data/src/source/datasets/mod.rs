//! Collections that others hand out, by a word where a path could stand: `fashion-mnist`, `digits`, `stamps`. Nothing is
//! downloaded: each is looked for in the few places that its package puts it in.

mod digits;
mod lookup;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PictureSource;
use super::idx::{IdxSource, IdxSplit};
use crate::DataError;
use dinoscope_base::files;

pub use digits::DigitsSource;
pub use lookup::{DATASETS_VARIABLE, DatasetLookup};

/// A collection that others hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicDataset {
    /// Zalando's Fashion-MNIST (Xiao et al. 2017): 60,000 grey pictures of ten kinds of clothes to learn from, 10,000 to
    /// test, 28 pixels a side.
    FashionMnist,
    /// The handwritten digits of scikit-learn: 1797 grey pictures of 8 pixels a side (Alpaydin and Kaynak 1998).
    Digits,
    /// The stamps of Tux Paint: photographs and drawings in folders by what they show.
    Stamps,
}

impl PublicDataset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FashionMnist, Self::Digits, Self::Stamps];

    /// The word that stands for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::FashionMnist => "fashion-mnist",
            Self::Digits => "digits",
            Self::Stamps => "stamps",
        }
    }

    /// What a place without a share names; `None` for a path, and where there is a file or folder of that name, which
    /// then is meant.
    pub fn named(place: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.word() == place).filter(|_| !files::exists(place))
    }

    /// As [`PublicDataset::named`], of a path.
    pub fn at(place: &Path) -> Option<Self> {
        Self::named(place.to_str()?)
    }

    /// What brings it, for a person.
    fn bringer(self) -> &'static str {
        match self {
            Self::FashionMnist => "the Debian package dataset-fashion-mnist",
            Self::Digits => "scikit-learn (pip install scikit-learn, or the Debian package python3-sklearn)",
            Self::Stamps => "the Debian package tuxpaint-stamps-default",
        }
    }

    /// What it consists of, for a person who brings it otherwise.
    fn holding(self) -> &'static str {
        match self {
            Self::FashionMnist => "its IDX files",
            Self::Digits => "digits.csv.gz",
            Self::Stamps => "the PNG files, a folder for each class",
        }
    }

    /// Its folder, or the one file that it is, on this computer.
    ///
    /// # Errors
    /// When it is not here: says what brings it and where it was looked for.
    pub fn located(self) -> Result<PathBuf, DataError> {
        self.located_by(&DatasetLookup::of_computer())
    }

    /// [`PublicDataset::located`] among other places.
    ///
    /// # Errors
    /// The same.
    pub fn located_by(self, lookup: &DatasetLookup) -> Result<PathBuf, DataError> {
        if cfg!(target_family = "wasm") {
            return Err(self.absent(format!(
                "this word stands for files of a computer, which a page does not see: give the page {} instead",
                self.holding()
            )));
        }
        let is_there = |path: &PathBuf| match self {
            Self::FashionMnist => IdxSource::recognizes(path),
            Self::Digits => files::is_file(path),
            Self::Stamps => files::is_dir(path),
        };
        lookup.candidates(self).into_iter().find(is_there).ok_or_else(|| {
            self.absent(format!(
                "it is not on this computer: install {}, or put {} into the folder {} of the one that {} names. Looked for \
                 in {}",
                self.bringer(),
                self.holding(),
                self.word(),
                DATASETS_VARIABLE,
                lookup.words(self)
            ))
        })
    }

    fn absent(self, reason: String) -> DataError {
        DataError::Source { path: self.word().to_owned(), reason }
    }

    /// The half to test, where it comes with one.
    ///
    /// # Errors
    /// When it is not here, or damaged.
    pub fn test_half(self) -> Result<Option<Arc<dyn PictureSource>>, DataError> {
        match self {
            Self::Stamps => Ok(None),
            _ => half(self, &self.located()?, IdxSplit::Test).map(Some),
        }
    }

    /// The folder that its pictures lie in as files; `None` where they are all in one file, or it is not here.
    pub fn folder(self) -> Option<PathBuf> {
        (self == Self::Stamps).then(|| self.located().ok()).flatten()
    }
}

impl fmt::Display for PublicDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One half of a collection that is a file, or two.
pub(super) fn half(
    set: PublicDataset,
    path: &Path,
    split: IdxSplit,
) -> Result<Arc<dyn PictureSource>, DataError> {
    Ok(match set {
        PublicDataset::Digits => Arc::new(DigitsSource::open(path, split)?),
        _ => Arc::new(IdxSource::open(path, split)?),
    })
}

/// Pictures that are not the mirror image of one beside them: with one in either half, a test would be half known.
pub(super) fn without_mirrored(pictures: Vec<PathBuf>) -> Vec<PathBuf> {
    let original = |path: &Path| {
        let stem = path.file_stem()?.to_str()?;
        let plain = stem.strip_suffix("_mirror").or_else(|| stem.strip_suffix("_flip"))?;
        Some(path.with_file_name(plain).with_extension(path.extension()?))
    };
    let known: std::collections::HashSet<PathBuf> = pictures.iter().cloned().collect();
    let is_own = |path: &PathBuf| original(path).is_none_or(|original| !known.contains(&original));
    pictures.into_iter().filter(is_own).collect()
}

/// A path as it is, or where the collection lies that stands in its place.
///
/// # Errors
/// When the collection is not here.
pub fn located(place: &Path) -> Result<Cow<'_, Path>, DataError> {
    match PublicDataset::at(place) {
        Some(set) => set.located().map(Cow::Owned),
        None => Ok(Cow::Borrowed(place)),
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "tests.rs"]
mod tests;
