//! Several collections as one: classes are joined by their names, and no file is there twice.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PictureSource;
use super::halves::listed;
use crate::{DataError, Picture};
use dinoscope_base::files;

/// A collection, and what it is called beside others.
#[derive(Clone)]
pub struct NamedSource {
    /// For a person; that of another part may be the same.
    pub name: String,
    /// Its pictures.
    pub source: Arc<dyn PictureSource>,
    /// How many of all pictures come from its place; either all parts have one or none.
    pub share: Option<SourceShare>,
}

impl NamedSource {
    /// A collection without a share.
    pub fn new(name: String, source: Arc<dyn PictureSource>) -> Self {
        Self { name, source, share: None }
    }
}

/// How many of all pictures come from a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceShare {
    /// Which place: parts that a list names have one together.
    pub place: usize,
    /// Its share beside those of the other places; they need not add up to 1.
    pub share: f64,
}

/// Most pictures that shares may stretch a collection to.
const MOST_SHARED: f64 = 2e8;

/// Several collections, one behind the other. With shares, places that would fall short give their pictures more than once in a
/// pass, so that every picture of the others is in it.
pub struct ConcatSource {
    parts: Vec<NamedSource>,
    /// Part, and the picture in it.
    pictures: Vec<(usize, usize)>,
    classes: Vec<String>,
    /// The class here of each part's classes.
    labels: Vec<Vec<usize>>,
    origin: String,
    notes: Vec<String>,
}

/// Parts in one piece: a single one as it is, several joined. Files in `besides` are left out.
///
/// # Errors
/// When nothing is left.
pub fn join(
    mut parts: Vec<NamedSource>,
    besides: Option<&dyn PictureSource>,
) -> Result<Arc<dyn PictureSource>, DataError> {
    if parts.len() != 1 {
        return Ok(Arc::new(ConcatSource::new(parts, besides)?));
    }
    if besides.is_some() {
        let joined = ConcatSource::new(parts, besides)?;
        if joined.pictures.len() < joined.parts.iter().map(|part| part.source.len()).sum() {
            return Ok(Arc::new(joined));
        }
        parts = joined.parts;
    }
    let only = parts.pop().map(|part| part.source);
    only.ok_or_else(|| DataError::Source { path: String::new(), reason: "there are no pictures".to_owned() })
}

impl ConcatSource {
    fn new(mut parts: Vec<NamedSource>, besides: Option<&dyn PictureSource>) -> Result<Self, DataError> {
        tell_apart(&mut parts);
        let classes: BTreeSet<&String> = parts.iter().flat_map(|part| part.source.classes()).collect();
        let classes: Vec<String> = classes.into_iter().cloned().collect();
        let here = |name: &String| classes.binary_search(name).unwrap_or_default();
        let labels = parts.iter().map(|part| part.source.classes().iter().map(here).collect()).collect();
        let mut keys = CanonicalPaths::default();
        let kept = besides.map(|kept| (0..kept.len()).filter_map(|index| keys.of(kept, index)).collect());
        let kept: HashSet<PathBuf> = kept.unwrap_or_default();
        let mut seen = HashSet::new();
        let (mut twice, mut kept_back) = (0, 0);
        let mut pictures = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            for index in 0..part.source.len() {
                let file = keys.of(part.source.as_ref(), index);
                if file.as_ref().is_some_and(|file| kept.contains(file)) {
                    kept_back += 1;
                } else if file.is_some_and(|file| !seen.insert(file)) {
                    twice += 1;
                } else {
                    pictures.push((at, index));
                }
            }
        }
        let before = pictures.len();
        pictures = in_shares(&parts, pictures)?;
        let origins: Vec<&str> =
            parts.iter().map(|part| part.source.origin().unwrap_or(&part.name)).collect();
        let origin = listed(&origins);
        if pictures.is_empty() {
            let reason = "all of their pictures are kept to test: none are left to learn from".to_owned();
            return Err(DataError::Source { path: origin, reason });
        }
        let mut notes: Vec<String> = Vec::new();
        for note in parts.iter().flat_map(|part| part.source.notes()) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        if pictures.len() > before {
            let more = pictures.len() - before;
            notes.push(format!(
                "places that are too small for their share give pictures again: {more} of {}",
                pictures.len()
            ));
        }
        if twice > 0 {
            notes.push(format!("pictures that are there more than once count once: {twice} left out"));
        }
        if kept_back > 0 {
            notes.push(format!("pictures that are judged are not learned from: {kept_back} left out"));
        }
        Ok(Self { parts, pictures, classes, labels, origin, notes })
    }

    fn at(&self, index: usize) -> (&NamedSource, usize, usize) {
        let (part, index) = self.pictures[index];
        (&self.parts[part], part, index)
    }
}

/// As many of each place's pictures as its share asks for, the smallest number that leaves none out.
fn in_shares(parts: &[NamedSource], pictures: Vec<(usize, usize)>) -> Result<Vec<(usize, usize)>, DataError> {
    let mut places: BTreeMap<usize, (f64, Vec<(usize, usize)>)> = BTreeMap::new();
    for (part, index) in &pictures {
        let Some(share) = parts[*part].share else { return Ok(pictures) };
        places.entry(share.place).or_insert((share.share, Vec::new())).1.push((*part, *index));
    }
    let sum: f64 = places.values().map(|(share, _)| share).sum();
    let total = places.values().map(|(share, all)| all.len() as f64 * sum / share).fold(0.0, f64::max);
    if total.is_nan() || total > MOST_SHARED {
        let path = parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ");
        let reason = format!("these shares take {total:.0} pictures until none is left out: choose others");
        return Err(DataError::Source { path, reason });
    }
    let of_place = |(share, all): (f64, Vec<(usize, usize)>)| {
        let count = ((total * share / sum).round() as usize).max(all.len());
        all.into_iter().cycle().take(count)
    };
    Ok(places.into_values().flat_map(of_place).collect())
}

/// What tells files apart, however their folders are reached.
#[derive(Default)]
struct CanonicalPaths(HashMap<PathBuf, PathBuf>);

impl CanonicalPaths {
    fn of(&mut self, source: &dyn PictureSource, index: usize) -> Option<PathBuf> {
        let file = source.file(index)?;
        let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Some(file) };
        // Most files share their folder with others: it is looked up once.
        let whole = self
            .0
            .entry(folder.to_owned())
            .or_insert_with_key(|folder| files::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()));
        Some(whole.join(name))
    }
}

/// Gives parts of one name a number each, from the second.
fn tell_apart(parts: &mut [NamedSource]) {
    let mut taken = HashSet::new();
    for part in parts {
        let name = part.name.clone();
        let mut numbered = std::iter::once(name.clone()).chain((2..).map(|i| format!("{name}-{i}")));
        let free = numbered.find(|name| taken.insert(name.clone()));
        part.name = free.unwrap_or_default();
    }
}

impl PictureSource for ConcatSource {
    fn len(&self) -> usize {
        self.pictures.len()
    }
    fn name(&self, index: usize) -> String {
        let (part, _, index) = self.at(index);
        match self.parts.len() {
            1 => part.source.name(index),
            _ => Path::new(&part.name).join(part.source.name(index)).display().to_string(),
        }
    }
    fn below(&self, index: usize) -> String {
        let (part, _, index) = self.at(index);
        part.source.below(index)
    }
    fn label(&self, index: usize) -> Option<usize> {
        let (part, at, index) = self.at(index);
        self.labels[at].get(part.source.label(index)?).copied()
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn file(&self, index: usize) -> Option<PathBuf> {
        let (part, _, index) = self.at(index);
        part.source.file(index)
    }
    fn decoding(&self, index: usize) -> u64 {
        let (part, _, index) = self.at(index);
        part.source.decoding(index)
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        let (part, _, index) = self.at(index);
        part.source.load(index)
    }
    fn views(&self, index: usize) -> usize {
        let (part, _, index) = self.at(index);
        part.source.views(index)
    }
    fn load_views(&self, index: usize) -> Result<Picture, DataError> {
        let (part, _, index) = self.at(index);
        part.source.load_views(index)
    }
    fn origin(&self) -> Option<&str> {
        Some(&self.origin)
    }
    fn notes(&self) -> &[String] {
        &self.notes
    }
    fn file_notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for note in self.parts.iter().flat_map(|part| part.source.file_notes()) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::folder::FolderSource;
    use dinoscope_testing::folder;

    fn part(path: &Path) -> NamedSource {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        NamedSource::new(name, Arc::new(FolderSource::open(path, true).unwrap()))
    }

    #[test]
    fn classes_are_joined_by_name_and_no_file_is_there_twice() {
        let root = folder(&[
            "one/photos/dog/1.png",
            "one/photos/ant/1.png",
            "two/photos/cat/1.png",
            "two/photos/dog/1.png",
        ]);
        let places =
            ["one/photos", "two/photos", "one/photos/dog"].map(|place| part(&root.path().join(place)));
        let all = join(places.into(), None).unwrap();
        assert_eq!(all.classes(), ["ant", "cat", "dog"]);
        let found: Vec<(String, &str)> = (0..all.len())
            .map(|i| (all.name(i).replace('\\', "/"), all.classes()[all.label(i).unwrap()].as_str()))
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(name, class)| (name.as_str(), *class)).collect();
        let wanted = [
            ("photos/ant/1.png", "ant"),
            ("photos/dog/1.png", "dog"),
            ("photos-2/cat/1.png", "cat"),
            ("photos-2/dog/1.png", "dog"),
        ];
        assert_eq!(found, wanted);
        assert_eq!(all.below(2).replace('\\', "/"), "cat/1.png", "as in its own folder");
        assert_eq!(all.load(3).unwrap().width, 1);
        assert!(all.file(3).unwrap().ends_with("two/photos/dog/1.png"));
        assert!(all.notes()[0].contains("count once: 1"), "{:?}", all.notes());
    }

    #[test]
    fn shares_are_kept_and_no_picture_is_left_out() {
        use crate::source::builtin::BuiltinPictures;
        use crate::source::scenes::SceneKind;
        let drawn = |place, builtin: BuiltinPictures, count, share| NamedSource {
            name: builtin.to_string(),
            source: builtin.open(SceneKind::Varied, 3, count, 8),
            share: Some(SourceShare { place, share }),
        };
        let (scenes, procedural) = (BuiltinPictures::Scenes(None), BuiltinPictures::Procedural);
        let all = join(vec![drawn(0, scenes, 30, 3.0), drawn(1, procedural, 30, 1.0)], None).unwrap();
        let count = |of: &dyn PictureSource, word: &str| {
            (0..of.len()).filter(|i| of.name(*i).starts_with(word)).count()
        };
        assert_eq!((count(all.as_ref(), "scenes"), count(all.as_ref(), "procedural")), (90, 30));
        let names: HashSet<String> = (0..all.len()).map(|i| all.name(i)).collect();
        assert_eq!((names.len(), all.classes().len()), (60, 28));
        assert!(all.notes()[0].contains("60 of 120"), "{:?}", all.notes());
        assert_eq!(all.load(119).unwrap(), procedural.open(SceneKind::Easy, 3, 30, 8).load(29).unwrap());
        // Parts of one place have one share together.
        let parts = vec![drawn(0, scenes, 10, 1.0), drawn(0, scenes, 20, 1.0), drawn(1, procedural, 30, 1.0)];
        let even = join(parts, None).unwrap();
        assert_eq!((even.len(), count(even.as_ref(), "procedural"), even.notes().len()), (60, 30, 0));
        let far = vec![drawn(0, scenes, 30, 1e-9), drawn(1, procedural, 30, 1.0)];
        assert!(join(far, None).err().unwrap().to_string().contains("choose others"));
    }

    #[test]
    fn what_is_judged_is_not_learned_from() {
        let root = folder(&["a/x/1.png", "a/y/1.png", "b/z/1.png"]);
        let judged = FolderSource::open(&root.path().join("a/x"), true).unwrap();
        let both = || ["a", "b"].map(|place| part(&root.path().join(place)));
        let alone = join(vec![part(&root.path().join("a"))], Some(&judged)).unwrap();
        assert_eq!((alone.len(), alone.name(0).replace('\\', "/")), (1, "y/1.png".to_owned()));
        let apart = join(vec![part(&root.path().join("b"))], Some(&judged)).unwrap();
        assert!(apart.notes().is_empty() && apart.origin().is_none(), "as it is");
        let rest = join(both().into(), Some(&judged)).unwrap();
        assert_eq!((rest.len(), rest.classes().len()), (2, 3));
        assert!(rest.notes()[0].contains("not learned from: 1"), "{:?}", rest.notes());
        let all = join(both().into(), None).unwrap();
        let none = join(both().into(), Some(all.as_ref())).err().unwrap().to_string();
        assert!(none.contains("a and b") && none.contains("none are left"), "{none}");
    }
}
