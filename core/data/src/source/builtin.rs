//! Pictures that the program draws itself, by the words that stand where a path could: `scenes`, `scenes:varied`,
//! `procedural`.

use std::fmt;
use std::sync::Arc;

use super::PictureSource;
use super::datasets::PublicDataset;
use super::procedural::ProceduralSource;
use super::scenes::{SceneKind, ScenesSource};
use dinoscope_base::files;

/// Words for built-in pictures, for messages.
pub const BUILTIN_WORDS: &str = "scenes, scenes:easy, scenes:varied or procedural";

/// Pictures that the program draws itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinPictures {
    /// Scenes of a kind; of the one that is usual where none is named.
    Scenes(Option<SceneKind>),
    /// Procedural pictures.
    Procedural,
}

impl BuiltinPictures {
    /// What a place without a share names; `None` for a path.
    ///
    /// # Errors
    /// A word that begins as those of built-in pictures do and names none, with those that there are.
    pub fn named(place: &str) -> Result<Option<Self>, String> {
        let (word, kind) = match place.split_once(':') {
            Some((word, kind)) => (word, Some(kind)),
            None => (place, None),
        };
        match (word, kind) {
            ("scenes", None) => Ok(Some(Self::Scenes(None))),
            ("scenes", Some(kind)) => Ok(Some(Self::Scenes(Some(kind.parse()?)))),
            ("procedural", None) => Ok(Some(Self::Procedural)),
            ("procedural", Some(_)) => Err(format!("built-in pictures are {BUILTIN_WORDS}")),
            _ => Ok(None),
        }
    }

    /// The pictures `0..count` of a seed, `size` pixels a side; scenes of no named kind are of `usual`.
    pub fn open(self, usual: SceneKind, seed: u64, count: usize, size: usize) -> Arc<dyn PictureSource> {
        self.open_in_views(usual, seed, count, size, 1)
    }

    /// [`BuiltinPictures::open`] with so many views of each scene to train on; a procedural picture is only itself.
    pub fn open_in_views(
        self,
        usual: SceneKind,
        seed: u64,
        count: usize,
        size: usize,
        views: usize,
    ) -> Arc<dyn PictureSource> {
        match self {
            Self::Scenes(kind) => {
                Arc::new(ScenesSource::of_kind(kind.unwrap_or(usual), seed, count, size).in_views(views))
            }
            Self::Procedural => Arc::new(ProceduralSource::new(seed, count, size)),
        }
    }
}

impl fmt::Display for BuiltinPictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenes(None) => f.write_str("scenes"),
            Self::Scenes(Some(kind)) => write!(f, "scenes:{kind}"),
            Self::Procedural => f.write_str("procedural"),
        }
    }
}

/// A place that pictures come from, and the share of them that come from there.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedPlace {
    /// The place as it was named, without its share.
    pub place: String,
    /// The built-in pictures that it stands for.
    pub builtin: Option<BuiltinPictures>,
    /// Its share beside the others' shares.
    pub share: Option<f64>,
}

impl SharedPlace {
    /// Reads `PLACE` or `PLACE*SHARE`: `procedural*0.5`, `photos*2`. A path that is there as it was written has no share, and
    /// neither has a pattern.
    ///
    /// # Errors
    /// A word for built-in pictures that there are none of.
    pub fn read(text: &str) -> Result<Self, String> {
        let whole = |builtin| Self { place: text.to_owned(), builtin, share: None };
        let Some((place, share)) = share_of(text) else { return Ok(whole(BuiltinPictures::named(text)?)) };
        let builtin = BuiltinPictures::named(place)?;
        let is_there = files::exists(place) || PublicDataset::named(place).is_some();
        if builtin.is_none() && (files::exists(text) || !is_there) {
            return Ok(whole(None));
        }
        Ok(Self { place: place.to_owned(), builtin, share: Some(share) })
    }

    /// Whether it is a word, for built-in pictures or a collection that others hand out, and no path.
    pub fn is_word(&self) -> bool {
        self.builtin.is_some() || PublicDataset::named(&self.place).is_some()
    }
}

/// The share behind the last `*`, where there is a number above 0, and what stands before it.
fn share_of(text: &str) -> Option<(&str, f64)> {
    let (place, number) = text.rsplit_once('*')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let share: f64 = is_number.then(|| number.parse().ok()).flatten()?;
    let ends_in_pattern = place.ends_with(['/', '\\', '*']) || place.is_empty();
    (share > 0.0 && !ends_in_pattern).then_some((place, share))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_built_in_pictures_and_wrong_ones_name_those_that_there_are() {
        let named = |place| BuiltinPictures::named(place).unwrap();
        assert_eq!(named("scenes"), Some(BuiltinPictures::Scenes(None)));
        assert_eq!(named("scenes:easy"), Some(BuiltinPictures::Scenes(Some(SceneKind::Easy))));
        assert_eq!(named("scenes:varied"), Some(BuiltinPictures::Scenes(Some(SceneKind::Varied))));
        assert_eq!(named("procedural"), Some(BuiltinPictures::Procedural));
        for path in ["photos", "/scenes", "./scenes", "scenes/a", "C:\\scenes", ""] {
            assert_eq!(named(path), None, "{path}");
        }
        for (wrong, said) in [("scenes:hard", "easy or varied"), ("procedural:fire", BUILTIN_WORDS)] {
            let error = BuiltinPictures::named(wrong).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        for word in ["scenes", "scenes:easy", "scenes:varied", "procedural"] {
            assert_eq!(named(word).unwrap().to_string(), word);
        }
    }

    #[test]
    fn a_share_follows_a_star_and_patterns_have_none() {
        let read = |text: &str| SharedPlace::read(text).map(|place| (place.place, place.share)).unwrap();
        let own = |text: &str, share| (text.to_owned(), share);
        assert_eq!(read("procedural*0.5"), own("procedural", Some(0.5)));
        assert_eq!(read("scenes:varied*2"), own("scenes:varied", Some(2.0)));
        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos").display().to_string();
        assert_eq!(read(&format!("{photos}*0.5")), own(&format!("{photos}*0.5"), None), "not there");
        std::fs::create_dir(&photos).unwrap();
        assert_eq!(read(&format!("{photos}*0.5")), own(&photos, Some(0.5)));
        for whole in ["scenes", "photos/*.jpg", "photos/*", "*", "a*0", "scenes/*2", "a*b"] {
            assert_eq!(read(whole), own(whole, None));
        }
        assert_eq!(read("stamps*0.5"), own("stamps", Some(0.5)), "a word is there wherever its files are");
        let is_word = |text: &str| SharedPlace::read(text).unwrap().is_word();
        assert!(["scenes", "procedural*2", "stamps", "digits*3"].into_iter().all(is_word));
        assert!(!["photos", "./stamps", "src", "photos*2"].into_iter().any(is_word));
        assert!(SharedPlace::read("scenes:odd*0.5").unwrap_err().contains("easy or varied"));
    }
}
