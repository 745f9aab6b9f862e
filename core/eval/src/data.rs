//! Pictures that an evaluation is made on, open: with a class each, in one piece, or with something known of every pixel.

use std::sync::Arc;

use dinoscope_data::source::dense::DenseSplit;
use dinoscope_data::source::scenes::{MovingScenes, SceneKind, ScenesSource};
use dinoscope_data::source::{LabelledSplit, PictureSource, subset::SubsetSource};

/// Seed of the built-in scenes that are learned from; the next one's are tested. Training never sees either.
pub const SCENE_SEED: u64 = 1 << 32;
/// Side of those scenes in pixels.
pub const SCENE_SIDE: usize = 96;
/// Built-in scenes of a kind to learn from and to test, of which a part may be taken: a hundred and fifty of each class.
pub fn scene_counts(kind: SceneKind) -> (usize, usize) {
    (100 * kind.classes().len(), 50 * kind.classes().len())
}

/// Pictures that are open.
#[derive(Clone)]
pub enum EvaluationData {
    /// With a class each.
    Labelled(LabelledSplit),
    /// In one piece, with a class each or without.
    All(Arc<dyn PictureSource>),
    /// With something known of every pixel.
    Dense(DenseSplit),
    /// Frames of which it is known how they move.
    Moving(MovingScenes),
}

impl EvaluationData {
    /// Those with a class each.
    pub fn labelled(&self) -> Option<&LabelledSplit> {
        match self {
            Self::Labelled(labelled) => Some(labelled),
            Self::All(_) | Self::Dense(_) | Self::Moving(_) => None,
        }
    }

    /// Those of which every pixel is known.
    pub fn dense(&self) -> Option<&DenseSplit> {
        match self {
            Self::Dense(dense) => Some(dense),
            Self::Labelled(_) | Self::All(_) | Self::Moving(_) => None,
        }
    }

    /// Those in one piece.
    pub fn all(&self) -> Option<&Arc<dyn PictureSource>> {
        match self {
            Self::All(all) => Some(all),
            Self::Labelled(_) | Self::Dense(_) | Self::Moving(_) => None,
        }
    }

    /// Those of which it is known how they move.
    pub fn moving(&self) -> Option<MovingScenes> {
        match self {
            Self::Moving(moving) => Some(*moving),
            Self::Labelled(_) | Self::All(_) | Self::Dense(_) => None,
        }
    }
}

/// Built-in scenes of a kind with their classes, to learn from and to test.
pub fn scenes(kind: SceneKind) -> LabelledSplit {
    let part = |seed, count| -> Arc<dyn PictureSource> {
        Arc::new(ScenesSource::of_kind(kind, seed, count, SCENE_SIDE))
    };
    let (train, test) = scene_counts(kind);
    LabelledSplit { train: part(SCENE_SEED, train), test: part(SCENE_SEED + 1, test) }
}

/// At most so many pictures, chosen by `seed`; all of them where there are no more.
pub fn limited(source: Arc<dyn PictureSource>, most: usize, seed: u64) -> Arc<dyn PictureSource> {
    match (most < source.len()).then(|| SubsetSource::sample(&source, most, seed)).flatten() {
        Some(some) => Arc::new(some),
        None => source,
    }
}

/// [`limited`] with as many pictures of each class as of any other.
pub fn balanced(source: Arc<dyn PictureSource>, most: usize, seed: u64) -> Arc<dyn PictureSource> {
    match (most < source.len()).then(|| SubsetSource::balanced(&source, most, seed)).flatten() {
        Some(some) => Arc::new(some),
        None => source,
    }
}

/// So many classes, in words: `1 class`, `12 classes`.
pub fn classes(count: usize) -> String {
    format!("{count} {}", if count == 1 { "class" } else { "classes" })
}
