//! Two collections with the same classes, known by their names: the second may lack some, and have them in another order.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::PictureSource;
use crate::{DataError, Picture};

/// A collection under the classes of another one.
pub struct ClassMatchedSource {
    of: Arc<dyn PictureSource>,
    /// By the collection's own labels.
    labels: Vec<Option<usize>>,
    classes: Vec<String>,
    notes: Vec<String>,
}

/// What came of matching.
pub struct ClassMatchResult {
    /// The pictures under the classes of the other collection; those of unknown classes have none.
    pub source: Arc<dyn PictureSource>,
    /// Its classes with pictures that the other collection does not know.
    pub unknown: Vec<String>,
}

/// `of` under the classes of `like`, by name.
pub fn matched(of: &Arc<dyn PictureSource>, like: &dyn PictureSource) -> ClassMatchResult {
    let mut of_class = vec![0usize; of.classes().len()];
    for label in (0..of.len()).filter_map(|index| of.label(index)) {
        if let Some(count) = of_class.get_mut(label) {
            *count += 1;
        }
    }
    let known: HashMap<&str, usize> =
        like.classes().iter().enumerate().map(|(label, name)| (name.as_str(), label)).collect();
    let labels: Vec<Option<usize>> =
        of.classes().iter().map(|name| known.get(name.as_str()).copied()).collect();
    let there = |label: usize| of_class[label] > 0;
    let unknown = (0..labels.len()).filter(|label| labels[*label].is_none() && there(*label));
    let unknown = unknown.map(|label| of.classes()[label].clone()).collect();
    let mut judged = vec![false; like.classes().len()];
    for label in (0..labels.len()).filter(|label| there(*label)).filter_map(|label| labels[label]) {
        judged[label] = true;
    }
    let missing: Vec<&str> = like
        .classes()
        .iter()
        .zip(&judged)
        .filter(|(_, judged)| !**judged)
        .map(|(name, _)| name.as_str())
        .collect();
    let mut notes = of.notes().to_vec();
    if !missing.is_empty() {
        let (count, all) = (missing.len(), judged.len());
        notes.push(format!("{count} of {all} classes have no picture to test: {}", named(&missing)));
    }
    let source = ClassMatchedSource { of: of.clone(), labels, classes: like.classes().to_vec(), notes };
    ClassMatchResult { source: Arc::new(source), unknown }
}

/// Names in a sentence, not too many of them.
pub fn named<T: AsRef<str>>(names: &[T]) -> String {
    const MOST: usize = 8;
    let shown: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

impl PictureSource for ClassMatchedSource {
    fn len(&self) -> usize {
        self.of.len()
    }
    fn name(&self, index: usize) -> String {
        self.of.name(index)
    }
    fn label(&self, index: usize) -> Option<usize> {
        self.labels.get(self.of.label(index)?).copied().flatten()
    }
    fn classes(&self) -> &[String] {
        &self.classes
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
        self.of.origin()
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
mod tests {
    use super::*;

    /// Pictures with the classes of their names.
    struct Named(Vec<String>, Vec<usize>);

    impl PictureSource for Named {
        fn len(&self) -> usize {
            self.1.len()
        }
        fn name(&self, index: usize) -> String {
            self.0[self.1[index]].clone()
        }
        fn label(&self, index: usize) -> Option<usize> {
            Some(self.1[index])
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn load(&self, _: usize) -> Result<Picture, DataError> {
            Ok(Picture::of_rgb(1, 1, vec![0; 3]))
        }
    }

    fn source(classes: &[&str], labels: &[usize]) -> Arc<dyn PictureSource> {
        Arc::new(Named(classes.iter().map(|name| (*name).to_owned()).collect(), labels.to_vec()))
    }

    #[test]
    fn classes_are_found_by_name() {
        let train = source(&["a", "b", "c", "d"], &[0, 1, 2, 3]);
        let ClassMatchResult { source: test, unknown } =
            matched(&source(&["c", "b"], &[0, 0, 1]), train.as_ref());
        let labels: Vec<Option<usize>> = (0..3).map(|index| test.label(index)).collect();
        assert_eq!(labels, [Some(2), Some(2), Some(1)]);
        assert_eq!((test.classes(), unknown.len()), (train.classes(), 0));
        assert_eq!(test.notes(), ["2 of 4 classes have no picture to test: a, d"]);

        let same = matched(&train, train.as_ref());
        assert!(same.unknown.is_empty() && same.source.notes().is_empty());
    }

    #[test]
    fn unknown_classes_are_named_when_they_have_pictures() {
        let train = source(&["a", "b"], &[0, 1]);
        let ClassMatchResult { source: test, unknown } =
            matched(&source(&["b", "x", "y"], &[0, 2]), train.as_ref());
        assert_eq!(unknown, ["y"]);
        assert_eq!((test.label(0), test.label(1)), (Some(1), None));
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        assert_eq!(named(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(named(&names[..2]), "0, 1");
    }
}
