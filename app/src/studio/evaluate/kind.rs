//! What can be found out about features. Another evaluation is one more kind: an arm in each of these functions, and
//! in what makes it a task (`tasks`).

use serde::{Deserialize, Serialize};

/// An evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EvaluationKind {
    /// Weighted nearest neighbours.
    Knn,
    /// Pictures as points in the plane.
    Map,
    /// Linear heads trained with SGD.
    Linear,
    /// Logistic regression to its optimum.
    Logistic,
    /// What is found for each picture among the others.
    Retrieve,
    /// How features are spread over their space.
    Spread,
    /// What pixels show.
    Segment,
    /// How far away pixels are.
    Depth,
}

/// What has to be known about pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelRequirement {
    /// A class of each picture.
    Labels,
    /// Nothing; classes are of use.
    Nothing,
    /// A class of each pixel.
    Classes,
    /// The depth of each pixel.
    Depth,
}

impl EvaluationKind {
    /// All of them, as they are offered.
    pub const ALL: [Self; 8] = [
        Self::Knn,
        Self::Map,
        Self::Linear,
        Self::Logistic,
        Self::Retrieve,
        Self::Spread,
        Self::Segment,
        Self::Depth,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Knn => "Nearest neighbours",
            Self::Map => "Map",
            Self::Linear => "Linear probe",
            Self::Logistic => "Logistic regression",
            Self::Retrieve => "Retrieval",
            Self::Spread => "Spread",
            Self::Segment => "Segmentation",
            Self::Depth => "Depth",
        }
    }

    /// What its files are called, as on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Knn => "knn",
            Self::Map => "map",
            Self::Linear => "linear",
            Self::Logistic => "logistic",
            Self::Retrieve => "retrieve",
            Self::Spread => "spread",
            Self::Segment => "segment",
            Self::Depth => "depth",
        }
    }

    /// What it tells, in a few words.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Knn => "Whether pictures of a class lie together",
            Self::Map => "Pictures as points, alike ones together",
            Self::Linear => "What a linear head reads off",
            Self::Logistic => "The same to its optimum, without learning rates",
            Self::Retrieve => "What is found for each picture among the others",
            Self::Spread => "Rank, alignment, uniformity; needs no classes",
            Self::Segment => "What each pixel shows, from its patch",
            Self::Depth => "How far away each pixel is, from its patch",
        }
    }

    /// What has to be known about the pictures.
    pub fn need(self) -> LabelRequirement {
        match self {
            Self::Knn | Self::Linear | Self::Logistic => LabelRequirement::Labels,
            Self::Map | Self::Retrieve | Self::Spread => LabelRequirement::Nothing,
            Self::Segment => LabelRequirement::Classes,
            Self::Depth => LabelRequirement::Depth,
        }
    }
}

impl LabelRequirement {
    /// The evaluations that need it, for a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Labels => "Classes",
            Self::Nothing => "All pictures",
            Self::Classes => "Segmentation",
            Self::Depth => "Depth",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_offered_once_under_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            EvaluationKind::ALL.iter().map(|kind| kind.name()).collect();
        let words: std::collections::BTreeSet<_> =
            EvaluationKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!((names.len(), words.len()), (EvaluationKind::ALL.len(), EvaluationKind::ALL.len()));
    }
}
