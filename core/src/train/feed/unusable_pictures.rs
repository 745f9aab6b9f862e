//! Pictures that could not be used: a handful of broken ones is named and replaced, but a run does not go on with what
//! is left in the cache of a folder that has gone.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::data::loader::SkippedPicture;
use crate::data::source::datasets;
use crate::data::source::pattern::is_pattern;
use crate::files;
use crate::train::recipe::Recipe;

/// So many pictures of a pass may fail in any case.
const FEW: usize = 8;
/// Pictures of which one may be unreadable, as when a drive goes.
const UNREADABLE: usize = 10;
/// Pictures of which one may be damaged: collections from the web hold many, and the rest is still worth training on.
const DAMAGED: usize = 4;

/// What is said where nothing is left under the path of the pictures.
pub(in crate::train) const GONE: &str = "the pictures are gone; bring them back";

/// What could not be used in the whole run, and in the pass under way.
#[derive(Debug, Default)]
pub(in crate::train) struct PictureFailures {
    /// Name and reason.
    all: BTreeMap<String, String>,
    /// The pass through the pictures that the rest is about.
    pass: u64,
    failed: BTreeSet<String>,
    unreadable: BTreeSet<String>,
}

impl PictureFailures {
    /// Adds what the batch of a step had to do without; returns a sentence for each picture that is new.
    pub fn add(
        &mut self,
        skipped: Vec<SkippedPicture>,
        iteration: u64,
        recipe: &Recipe,
        pictures: usize,
    ) -> Vec<String> {
        let pass = iteration * recipe.train.batch as u64 / pictures.max(1) as u64;
        if pass != self.pass {
            self.pass = pass;
            self.failed.clear();
            self.unreadable.clear();
        }
        let mut news = Vec::new();
        for SkippedPicture { name, reason, unreadable } in skipped {
            if unreadable {
                self.unreadable.insert(name.clone());
            }
            self.failed.insert(name.clone());
            if let Entry::Vacant(new) = self.all.entry(name) {
                news.push(format!("skipped {}: {reason}", new.key()));
                new.insert(reason);
            }
        }
        news
    }

    /// Adds pictures that an evaluation could not use.
    pub fn add_judged(&mut self, skipped: Vec<(String, String)>) {
        self.all.extend(skipped);
    }

    /// Whether any could not be used in the pass under way.
    pub fn has_some(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Why the run must not go on with what is left, and what would help, if it must not.
    pub fn verdict(&self, recipe: &Recipe, pictures: usize) -> Option<String> {
        if self.failed.is_empty() {
            return None;
        }
        if gone(recipe) {
            return Some(GONE.to_owned());
        }
        let too_many = |failed: &BTreeSet<String>, share: usize| failed.len() > FEW.max(pictures / share);
        let (failed, what, help) = if too_many(&self.unreadable, UNREADABLE) {
            (&self.unreadable, "read any more", "bring them back")
        } else if too_many(&self.failed, DAMAGED) {
            (&self.failed, "used", "mend them, or take them out of the folder")
        } else {
            return None;
        };
        let example = failed.first().and_then(|name| Some(format!(", for instance {}", self.all.get(name)?)));
        Some(format!(
            "{} of {pictures} pictures can't be {what}{}; {help}",
            failed.len(),
            example.unwrap_or_default()
        ))
    }

    /// Name and reason of all.
    pub fn into_all(self) -> Vec<(String, String)> {
        self.all.into_iter().collect()
    }
}

/// Whether the recipe's pictures were taken away: nothing is there any more under one of their paths. (A pattern is none.)
pub(in crate::train) fn gone(recipe: &Recipe) -> bool {
    let is_there = |place: &str| datasets::located(Path::new(place)).is_ok_and(files::exists);
    recipe.data.path.given().any(|place| !is_pattern(&place) && !is_there(&place))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn skipped(pictures: std::ops::Range<usize>, unreadable: bool) -> Vec<SkippedPicture> {
        let of =
            |i| SkippedPicture { name: format!("{i:03}"), reason: format!("{i:03} is no good"), unreadable };
        pictures.map(of).collect()
    }

    fn recipe(path: &Path) -> Recipe {
        let path = format!("data.path={path:?}");
        Recipe::preset("nano").unwrap().with_overrides(&[path, "train.batch=10".into()]).unwrap()
    }

    #[test]
    fn a_handful_goes_on_and_a_tenth_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = recipe(dir.path());
        let mut failing = PictureFailures::default();
        assert_eq!(failing.add(skipped(0..10, true), 0, &recipe, 100).len(), 10);
        assert!(failing.add(skipped(0..10, true), 1, &recipe, 100).is_empty(), "each is said once");
        assert_eq!(failing.verdict(&recipe, 100), None);
        failing.add(skipped(10..11, true), 2, &recipe, 100);
        let why = failing.verdict(&recipe, 100).unwrap();
        assert!(
            why.starts_with("11 of 100 pictures can't be read any more, for instance 000 is no good"),
            "{why}"
        );
        // The next pass begins with nothing against it, and remembers what was said.
        assert!(failing.add(skipped(0..1, true), 10, &recipe, 100).is_empty());
        assert_eq!(failing.verdict(&recipe, 100), None);
        assert_eq!(failing.into_all().len(), 11);
    }

    #[test]
    fn damaged_pictures_may_be_more_but_not_the_greater_part() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = recipe(dir.path());
        let mut failing = PictureFailures::default();
        failing.add(skipped(0..25, false), 0, &recipe, 100);
        assert_eq!(failing.verdict(&recipe, 100), None);
        failing.add(skipped(25..26, false), 0, &recipe, 100);
        assert!(failing.verdict(&recipe, 100).unwrap().contains("26 of 100 pictures can't be used"));
        // A few are a few, however few there are in all.
        let mut few = PictureFailures::default();
        few.add(skipped(0..8, true), 0, &recipe, 12);
        assert_eq!(few.verdict(&recipe, 12), None);
    }

    #[test]
    fn one_failure_is_enough_where_the_folder_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = recipe(&dir.path().join("photos"));
        let mut failing = PictureFailures::default();
        assert_eq!(failing.verdict(&recipe, 100), None, "all of it may be in memory");
        failing.add(skipped(0..1, true), 0, &recipe, 100);
        assert!(failing.verdict(&recipe, 100).unwrap().contains("gone"));
        assert!(!gone(&Recipe::preset("nano").unwrap()), "scenes are nowhere and always there");
    }
}
