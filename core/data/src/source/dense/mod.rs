//! Pictures with a truth for every pixel: what it shows, or how far away it is.

pub mod folder;
mod reading;
pub mod scenes;
mod truth_files;

use std::sync::Arc;

use super::scenes::SceneKind;
use crate::{DataError, Picture};
use dinoscope_base::rng::{RngExt, stream};

pub use folder::{DenseFolder, one_class};
pub use reading::{DenseReadOptions, DepthUnit};
pub use scenes::{DenseScenes, SceneTruth};

/// The class of pixels that nobody judges.
pub const IGNORED: u8 = 255;
/// Most classes: the indexes below [`IGNORED`].
pub const MAX_CLASSES: usize = 255;

/// What is known about every pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseTruthKind {
    /// What it shows.
    Classes,
    /// Whether it shows the object of the picture: of scenes the main one, elsewhere whatever is not of the class 0. It is
    /// told by what tells classes.
    Object,
    /// How far away it is.
    Depth,
}

impl DenseTruthKind {
    /// The truth that files hold from which this one is told.
    fn in_files(self) -> Self {
        match self {
            Self::Classes | Self::Object => Self::Classes,
            Self::Depth => Self::Depth,
        }
    }
}

/// A picture with the truth that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseSample {
    /// The picture.
    pub picture: Picture,
    /// `[height * width]`: an index into [`DenseSource::classes`], or 1 for the object and 0 for the rest; or [`IGNORED`].
    /// Empty unless asked for.
    pub classes: Vec<u8>,
    /// `[height * width]`: distance along the viewing axis, usually in metres; 0 where it is not known. Empty unless
    /// asked for.
    pub depth: Vec<f32>,
}

/// The files of a picture and of its truth, in the folder that was named: `train/images/a.jpg`, `train/labels/a.png`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseSampleFiles {
    /// The picture.
    pub picture: String,
    /// What is known about it.
    pub truth: String,
}

/// A collection of pictures with a truth for every pixel, to be read in any order from any thread.
pub trait DenseSource: Send + Sync {
    /// How many pictures there are. Never zero.
    fn len(&self) -> usize;
    /// Always false; a source without pictures is refused when it is opened.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A name a person can find the picture by.
    fn name(&self, index: usize) -> String;
    /// Names of the classes of pixels; empty where only depth is known.
    fn classes(&self) -> &[String];
    /// The picture and one truth about it.
    ///
    /// # Errors
    /// [`DataError::Source`] when picture and truth do not belong together, or the truth is of the other kind;
    /// [`DataError::Read`] and [`DataError::Decode`] when a file can't be used.
    fn load(&self, index: usize, truth: DenseTruthKind) -> Result<DenseSample, DataError>;
    /// What the files of a picture are called, where it has some.
    fn files(&self, _index: usize) -> Option<DenseSampleFiles> {
        None
    }
    /// Where its pictures come from, when that is not all of what was named: `root/train`. Without the folders above.
    fn origin(&self) -> Option<&str> {
        None
    }
    /// What the numbers in its files mean, where they do not say so themselves: `16-bit PNG at 1/256 m`.
    fn measure(&self) -> Option<&str> {
        None
    }
}

/// Pictures to learn from, and others to test.
#[derive(Clone)]
pub struct DenseSplit {
    /// What a head learns from.
    pub train: Arc<dyn DenseSource>,
    /// What it is judged on.
    pub test: Arc<dyn DenseSource>,
}

/// Away from the seeds of training, evaluation and watching.
const SEED: u64 = 9 << 40;

impl DenseSplit {
    /// `; learns from root/train, tests on root/val; depth from 16-bit PNG at 1/256 m`, as far as that has to be said.
    pub fn words(&self) -> String {
        let (train, test) = (self.train.origin(), self.test.origin());
        let halves = train.zip(test).filter(|(train, test)| train != test);
        let halves = halves.map(|(train, test)| format!("; learns from {train}, tests on {test}"));
        let measure = self.train.measure().map(|measure| format!("; {measure}"));
        halves.into_iter().chain(measure).collect()
    }

    /// Built-in scenes of a kind, `size` pixels a side, that no run trains on.
    pub fn scenes(kind: SceneKind, train: usize, test: usize, size: usize) -> Self {
        Self {
            train: Arc::new(DenseScenes::new(kind, SEED, train, size)),
            test: Arc::new(DenseScenes::new(kind, SEED + 1, test, size)),
        }
    }

    /// A part of one collection to learn from and the rest to test, chosen by `seed`: a fifth, but at least one picture,
    /// is judged. `None` when there is only one picture.
    pub fn of(source: &Arc<dyn DenseSource>, seed: u64) -> Option<Self> {
        let mut order = shuffled(source.len(), seed);
        let test = order.split_off(source.len() - (source.len() / 5).max(1));
        Some(Self {
            train: Arc::new(DenseSubset::new(source, order)?),
            test: Arc::new(DenseSubset::new(source, test)?),
        })
    }

    /// At most so many pictures of either side, chosen by `seed`.
    #[must_use]
    pub fn limited(self, train: Option<usize>, test: Option<usize>, seed: u64) -> Self {
        let limit = |source: Arc<dyn DenseSource>, most: Option<usize>| -> Arc<dyn DenseSource> {
            let Some(most) = most.filter(|most| *most < source.len()) else { return source };
            let mut order = shuffled(source.len(), seed);
            order.truncate(most);
            match DenseSubset::new(&source, order) {
                Some(part) => Arc::new(part),
                None => source,
            }
        };
        Self { train: limit(self.train, train), test: limit(self.test, test) }
    }
}

/// Some pictures of another collection.
struct DenseSubset {
    of: Arc<dyn DenseSource>,
    indices: Vec<usize>,
}

impl DenseSubset {
    fn new(of: &Arc<dyn DenseSource>, indices: Vec<usize>) -> Option<Self> {
        (!indices.is_empty()).then(|| Self { of: of.clone(), indices })
    }
}

impl DenseSource for DenseSubset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn name(&self, index: usize) -> String {
        self.of.name(self.indices[index])
    }

    fn classes(&self) -> &[String] {
        self.of.classes()
    }

    fn load(&self, index: usize, truth: DenseTruthKind) -> Result<DenseSample, DataError> {
        self.of.load(self.indices[index], truth)
    }

    fn files(&self, index: usize) -> Option<DenseSampleFiles> {
        self.of.files(self.indices[index])
    }

    fn origin(&self) -> Option<&str> {
        self.of.origin()
    }

    fn measure(&self) -> Option<&str> {
        self.of.measure()
    }
}

/// The numbers below `count` in an order in which each is equally likely everywhere.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut rng = stream(seed, "dense split", 0, 0);
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    order
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_and_are_told_by_the_seed() {
        let source: Arc<dyn DenseSource> = Arc::new(DenseScenes::new(SceneKind::Varied, 1, 11, 4));
        let names = |source: &Arc<dyn DenseSource>| -> Vec<String> {
            (0..source.len()).map(|i| source.name(i)).collect()
        };
        let split = DenseSplit::of(&source, 3).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (9, 2));
        let mut all = [names(&split.train), names(&split.test)].concat();
        assert_ne!(all, names(&source), "in another order");
        all.sort();
        let mut want = names(&source);
        want.sort();
        assert_eq!(all, want);
        assert_eq!(names(&split.test), names(&DenseSplit::of(&source, 3).unwrap().test));

        let few = split.clone().limited(Some(2), Some(50), 1);
        assert_eq!((few.train.len(), few.test.len()), (2, 2));
        let of_train = names(&split.train);
        assert!(names(&few.train).iter().all(|name| of_train.contains(name)));
        let one: Arc<dyn DenseSource> = Arc::new(DenseScenes::new(SceneKind::Varied, 1, 1, 4));
        assert!(DenseSplit::of(&one, 0).is_none());
    }
}
