//! Protocols on features of whole pictures, from labelled pictures to an [`Outcome`](super::outcome::Outcome).

pub mod knn;

use super::suite::Sets;
use crate::train::sources::Labelled;

/// `1200 pictures to learn from, 600 to judge, 12 classes`
fn description(sets: &Sets, labelled: &Labelled) -> String {
    let (train, test) = (sets.train.labels.len(), sets.test.labels.len());
    format!("{train} pictures to learn from, {test} to judge, {} classes", labelled.train.classes().len())
}
