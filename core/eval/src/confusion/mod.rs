//! Which classes are taken for which: counts, the pairs that are confused most, and a picture of it all.

use std::collections::BTreeMap;

use super::outcome::CaptionedPicture;
use super::{Accuracy, EvalProtocolError};
use dinoscope_data::Picture;

mod picture;

/// Most classes in a picture; of more than this, those with the most mistakes are shown.
pub const CLASSES_SHOWN: usize = 200;

/// Pairs of classes that [`shown`] names.
const PAIRS_NAMED: usize = 5;

/// How often each class was predicted for each.
#[derive(Clone, Debug)]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    /// By true and predicted class, where there are any.
    counts: BTreeMap<(u32, u32), usize>,
    /// Pictures of each class.
    of_class: Vec<usize>,
}

/// Pictures of one class that were taken for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusedClassPair {
    /// What they show.
    pub truth: u32,
    /// What they were taken for.
    pub predicted: u32,
    /// How many were, out of all that show `truth`.
    pub share: Accuracy,
}

impl ConfusionMatrix {
    /// Counts predictions; both are `[pictures]`, indices into `classes`.
    ///
    /// # Errors
    /// When there are no pictures, the two differ in length, or one of them names a class that does not exist.
    pub fn new(predictions: &[u32], truth: &[u32], classes: &[String]) -> Result<Self, EvalProtocolError> {
        if truth.is_empty() {
            return Err(EvalProtocolError::Empty("predictions"));
        }
        if predictions.len() != truth.len() {
            let (found, expected) = (predictions.len(), truth.len());
            return Err(EvalProtocolError::Shape { what: "predictions", found, expected });
        }
        let mut confusion =
            Self { classes: classes.to_vec(), counts: BTreeMap::new(), of_class: vec![0; classes.len()] };
        for (index, pair) in truth.iter().zip(predictions).enumerate() {
            for label in [*pair.0, *pair.1] {
                if label as usize >= classes.len() {
                    return Err(EvalProtocolError::Label {
                        set: "test",
                        index,
                        label,
                        classes: classes.len(),
                    });
                }
            }
            *confusion.counts.entry((*pair.0, *pair.1)).or_default() += 1;
            confusion.of_class[*pair.0 as usize] += 1;
        }
        Ok(confusion)
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many pictures of class `truth` were taken for class `predicted`.
    pub fn count(&self, truth: u32, predicted: u32) -> usize {
        self.counts.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// How many pictures of a class were recognised.
    pub fn recall(&self, class: u32) -> Accuracy {
        let total = self.of_class.get(class as usize).copied().unwrap_or(0);
        Accuracy { correct: self.count(class, class), total }
    }

    /// How many pictures were recognised.
    pub fn accuracy(&self) -> Accuracy {
        let right = self.counts.iter().filter(|((truth, predicted), _)| truth == predicted);
        Accuracy { correct: right.map(|(_, n)| n).sum(), total: self.of_class.iter().sum() }
    }

    /// All mistakes between two classes, the most frequent first, then those that weigh most in their class.
    pub fn mistakes(&self) -> Vec<ConfusedClassPair> {
        let mut mistakes: Vec<ConfusedClassPair> = self
            .counts
            .iter()
            .filter(|((truth, predicted), _)| truth != predicted)
            .map(|((truth, predicted), count)| ConfusedClassPair {
                truth: *truth,
                predicted: *predicted,
                share: Accuracy { correct: *count, total: self.of_class[*truth as usize] },
            })
            .collect();
        // Equal ones stay in the order of their classes.
        mistakes.sort_by_key(|m| (std::cmp::Reverse(m.share.correct), m.share.total));
        mistakes
    }

    /// The `most` most frequent mistakes in words: `6 of 50 chair pictures were taken for house`.
    pub fn notes(&self, most: usize) -> Vec<String> {
        let name = |class: u32| &self.classes[class as usize];
        self.mistakes()
            .iter()
            .take(most)
            .map(|m| {
                let (share, were) = (m.share, if m.share.correct == 1 { "was" } else { "were" });
                let (truth, predicted) = (name(m.truth), name(m.predicted));
                format!(
                    "{} of {} “{truth}” pictures {were} taken for “{predicted}”",
                    share.correct, share.total
                )
            })
            .collect()
    }

    /// The classes that a picture shows, in their order: all, or the `most` that take part in the most mistakes.
    fn shown_classes(&self, most: usize) -> Vec<u32> {
        let mut classes: Vec<u32> = (0..self.classes.len() as u32).collect();
        if classes.len() > most {
            let mut mistakes = vec![0usize; classes.len()];
            for ((truth, predicted), count) in &self.counts {
                if truth != predicted {
                    mistakes[*truth as usize] += count;
                    mistakes[*predicted as usize] += count;
                }
            }
            classes.sort_by_key(|c| std::cmp::Reverse(mistakes[*c as usize]));
            classes.truncate(most);
            classes.sort_unstable();
        }
        classes
    }

    /// The matrix: a row for each true class, a column for each predicted one, shaded by the share of the row.
    ///
    /// What is right is in one colour and what is wrong in another. Of more than [`CLASSES_SHOWN`] classes those with
    /// the most mistakes are drawn, and predictions of all others share a column.
    pub fn picture(&self) -> Picture {
        picture::draw(self, &self.shown_classes(CLASSES_SHOWN))
    }
}

/// The picture `confusion` of these predictions and the most frequent mistakes in words, as an outcome shows them.
///
/// # Errors
/// See [`ConfusionMatrix::new`].
pub fn shown(
    predictions: &[u32],
    truth: &[u32],
    classes: &[String],
) -> Result<(CaptionedPicture, Vec<String>), EvalProtocolError> {
    let confusion = ConfusionMatrix::new(predictions, truth, classes)?;
    let more = classes.len().checked_sub(CLASSES_SHOWN).filter(|more| *more > 0);
    let which = more.map_or(String::new(), |_| {
        format!(" The {CLASSES_SHOWN} of {} classes with the most mistakes are shown.", classes.len())
    });
    let caption = format!(
        "What pictures of each class (rows) were taken for (columns), as a share of the class: {:.1} % of {} are right.{which}",
        100.0 * confusion.accuracy().value(),
        confusion.accuracy().total,
    );
    let picture = confusion.picture();
    let shown = CaptionedPicture { name: "confusion".to_owned(), caption, picture, kept: Vec::new() };
    Ok((shown, confusion.notes(PAIRS_NAMED)))
}

#[cfg(test)]
mod tests;
