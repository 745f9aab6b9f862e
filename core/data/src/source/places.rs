//! Where pictures come from: one place, or several that are read as one collection.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::builtin::{BuiltinPictures, SharedPlace};
use super::matched::named;

/// One place or several: folders, lists, IDX files, words for built-in pictures, each with a share or without. Never empty.
///
/// In a recipe one place is a word, as it always was, and several are a list: `path = ["a", "b"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePaths(Vec<String>);

impl SourcePaths {
    /// These places, without those that are named twice; `None` when there are none.
    pub fn new(places: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut all: Vec<String> = Vec::new();
        for place in places {
            if !all.contains(&place) {
                all.push(place);
            }
        }
        (!all.is_empty()).then_some(Self(all))
    }

    /// What a person has written in one line: a place, or several as a list, `["a", "b"]`.
    pub fn from_text(text: &str) -> Self {
        let list = || {
            let table = format!("v = {}", text.trim()).parse::<toml::Table>().ok()?;
            let items = table.get("v")?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned));
            Self::new(items.collect::<Option<Vec<_>>>()?)
        };
        text.trim_start().starts_with('[').then(list).flatten().unwrap_or_else(|| text.into())
    }

    /// The same as one line, which [`SourcePaths::from_text`] reads.
    pub fn text(&self) -> String {
        match self.0.as_slice() {
            [one] => one.clone(),
            all => toml::Value::from(all.to_vec()).to_string(),
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Each of them as a path.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.iter().map(PathBuf::from).collect()
    }

    /// The only one; `None` of several.
    pub fn only(&self) -> Option<&str> {
        match self.0.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Each of them with what it stands for and its share.
    ///
    /// # Errors
    /// A word for built-in pictures that there are none of, or shares for some places and not for others.
    pub fn shared(&self) -> Result<Vec<SharedPlace>, String> {
        let all = self.iter().map(SharedPlace::read).collect::<Result<Vec<_>, _>>()?;
        if let Some(without) = all.iter().find(|place| place.share.is_none())
            && let Some(with) = all.iter().find(|place| place.share.is_some())
        {
            return Err(format!(
                "{} has a share and {} has none: give each place one, as in {}*0.5, or none at all",
                with.place, without.place, without.place
            ));
        }
        Ok(all)
    }

    /// Whether all of them are drawn by the program itself.
    pub fn is_builtin(&self) -> bool {
        self.iter().all(|place| builtin(place).is_some())
    }

    /// Whether one of them is drawn by the program itself.
    pub fn has_builtin(&self) -> bool {
        self.iter().any(|place| builtin(place).is_some())
    }

    /// The places that are not drawn, without their shares.
    pub fn given(&self) -> impl Iterator<Item = String> {
        self.iter().filter_map(|text| {
            let place = SharedPlace::read(text).ok()?;
            place.builtin.is_none().then_some(place.place)
        })
    }
}

/// The built-in pictures that a place stands for, with a share or without.
pub fn builtin(place: &str) -> Option<BuiltinPictures> {
    SharedPlace::read(place).ok()?.builtin
}

/// In a sentence.
impl fmt::Display for SourcePaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named(&self.0))
    }
}

impl From<&str> for SourcePaths {
    fn from(place: &str) -> Self {
        Self(vec![place.to_owned()])
    }
}

impl From<&Path> for SourcePaths {
    fn from(place: &Path) -> Self {
        Self(vec![place.to_string_lossy().into_owned()])
    }
}

impl PartialEq<str> for SourcePaths {
    fn eq(&self, other: &str) -> bool {
        self.only() == Some(other)
    }
}

impl PartialEq<&str> for SourcePaths {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl PartialEq<String> for SourcePaths {
    fn eq(&self, other: &String) -> bool {
        self == other.as_str()
    }
}

impl Serialize for SourcePaths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] if serializer.is_human_readable() => one.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

/// As people write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrManyPaths {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for SourcePaths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = match deserializer.is_human_readable() {
            true => match OneOrManyPaths::deserialize(deserializer)? {
                OneOrManyPaths::One(one) => vec![one],
                OneOrManyPaths::Several(all) => all,
            },
            false => Vec::deserialize(deserializer)?,
        };
        Self::new(all).ok_or_else(|| D::Error::custom("a place that pictures come from is needed"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn several() -> SourcePaths {
        SourcePaths::new(["/a, b".to_owned(), "/c \"d\"\\".to_owned(), "/a, b".to_owned()]).unwrap()
    }

    #[test]
    fn one_is_a_word_and_several_are_a_list() {
        assert_eq!(several().paths().len(), 2, "none twice");
        assert!(SourcePaths::new([]).is_none());
        for text in ["scenes", "/my [photos]", "[1, 2]", "[photos]", ""] {
            assert_eq!(SourcePaths::from_text(text), text);
            assert_eq!(SourcePaths::from_text(text).text(), text);
        }
        assert_eq!(SourcePaths::from_text(&several().text()), several());
        assert_eq!(SourcePaths::from_text(" [\"one\"] "), "one");
        assert!(
            SourcePaths::from("scenes").is_builtin()
                && !several().has_builtin()
                && several().only().is_none()
        );
        assert_eq!(several().to_string(), "/a, b, /c \"d\"\\");
    }

    #[test]
    fn drawn_places_are_told_from_others_and_shares_are_for_all_or_none() {
        let paths =
            |places: &[&str]| SourcePaths::new(places.iter().map(|place| (*place).to_owned())).unwrap();
        let both = paths(&["scenes:varied*0.5", "procedural*0.25"]);
        assert!(both.is_builtin() && both.given().next().is_none());
        let shares: Vec<_> = both.shared().unwrap().iter().map(|place| place.share).collect();
        assert_eq!(shares, [Some(0.5), Some(0.25)]);
        let mixed = paths(&["photos", "scenes"]);
        assert!(mixed.has_builtin() && !mixed.is_builtin());
        assert_eq!(mixed.given().collect::<Vec<_>>(), ["photos"]);
        let said = paths(&["scenes*0.5", "procedural"]).shared().unwrap_err();
        assert!(said.contains("procedural*0.5"), "{said}");
        assert!(paths(&["scenes:odd"]).shared().is_err() && !paths(&["scenes:odd"]).has_builtin());
    }

    #[test]
    fn files_and_the_wire_hold_both() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Data {
            path: SourcePaths,
        }
        for places in [SourcePaths::from("photos"), several()] {
            let data = Data { path: places };
            assert_eq!(toml::from_str::<Data>(&toml::to_string(&data).unwrap()).unwrap(), data);
            assert_eq!(serde_json::from_str::<Data>(&serde_json::to_string(&data).unwrap()).unwrap(), data);
            assert_eq!(postcard::from_bytes::<Data>(&postcard::to_allocvec(&data).unwrap()).unwrap(), data);
        }
        assert_eq!(toml::to_string(&Data { path: "photos".into() }).unwrap(), "path = \"photos\"\n");
        assert!(toml::from_str::<Data>("path = []").is_err());
    }
}
