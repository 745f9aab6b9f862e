//! Part of a source: for held-out pictures, and for a quick look at a large collection.

use std::path::PathBuf;
use std::sync::Arc;

use super::PictureSource;
use crate::{DataError, Picture};
use dinoscope_base::rng::{RngExt, stream};

/// Some pictures of another source, in a stated order.
pub struct SubsetSource {
    of: Arc<dyn PictureSource>,
    indices: Vec<usize>,
}

impl SubsetSource {
    /// The pictures at `indices`; `None` when there are none.
    pub fn new(of: Arc<dyn PictureSource>, indices: Vec<usize>) -> Option<Self> {
        let usable = !indices.is_empty() && indices.iter().all(|&i| i < of.len());
        usable.then_some(Self { of, indices })
    }

    /// Splits the labelled pictures of `source` at random (by `seed`) into at most `first` and `second` pictures.
    ///
    /// With few pictures they are shared out in proportion. `None` when either part would be empty.
    pub fn split(
        source: &Arc<dyn PictureSource>,
        first: usize,
        second: usize,
        seed: u64,
    ) -> Option<(Self, Self)> {
        let mut labelled: Vec<usize> = (0..source.len()).filter(|&i| source.label(i).is_some()).collect();
        shuffle(&mut labelled, seed);
        let total = labelled.len().min(first + second);
        let rest = labelled.split_off(total * first / (first + second).max(1));
        let rest = rest.into_iter().take(total - labelled.len()).collect();
        Some((Self::new(source.clone(), labelled)?, Self::new(source.clone(), rest)?))
    }

    /// `count` labelled pictures of `source` at random (by `seed`); `None` when there would be none.
    pub fn labelled(source: &Arc<dyn PictureSource>, count: usize, seed: u64) -> Option<Self> {
        let mut labelled: Vec<usize> = (0..source.len()).filter(|&i| source.label(i).is_some()).collect();
        shuffle(&mut labelled, seed);
        labelled.truncate(count);
        Self::new(source.clone(), labelled)
    }

    /// `count` labelled pictures of `source`, drawn at random (by `seed`) and as many of each class as of any other; where
    /// a class has fewer, the others make up for it. `None` when there would be none.
    pub fn balanced(source: &Arc<dyn PictureSource>, count: usize, seed: u64) -> Option<Self> {
        let mut labelled: Vec<usize> = (0..source.len()).filter(|&i| source.label(i).is_some()).collect();
        shuffle(&mut labelled, seed);
        // The first of each class, then the second of each: what is drawn before keeps its order.
        let mut drawn = vec![0usize; source.classes().len()];
        let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(labelled.len());
        for index in labelled {
            let Some(before) = source.label(index).and_then(|label| drawn.get_mut(label)) else { continue };
            ranked.push((*before, index));
            *before += 1;
        }
        ranked.sort_by_key(|(before, _)| *before);
        ranked.truncate(count);
        Self::new(source.clone(), ranked.into_iter().map(|(_, index)| index).collect())
    }

    /// `count` pictures of `source` at random (by `seed`); `None` when there would be none.
    pub fn sample(source: &Arc<dyn PictureSource>, count: usize, seed: u64) -> Option<Self> {
        let mut all: Vec<usize> = (0..source.len()).collect();
        shuffle(&mut all, seed);
        all.truncate(count);
        Self::new(source.clone(), all)
    }
}

/// Every order equally likely.
fn shuffle(indices: &mut [usize], seed: u64) {
    let mut rng = stream(seed, "split", 0, 0);
    for i in 0..indices.len() {
        let j = rng.random_range(i..indices.len());
        indices.swap(i, j);
    }
}

impl PictureSource for SubsetSource {
    fn len(&self) -> usize {
        self.indices.len()
    }
    fn name(&self, index: usize) -> String {
        self.of.name(self.indices[index])
    }
    fn label(&self, index: usize) -> Option<usize> {
        self.of.label(self.indices[index])
    }
    fn classes(&self) -> &[String] {
        self.of.classes()
    }
    fn file(&self, index: usize) -> Option<PathBuf> {
        self.of.file(self.indices[index])
    }
    fn decoding(&self, index: usize) -> u64 {
        self.of.decoding(self.indices[index])
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        self.of.load(self.indices[index])
    }
    fn views(&self, index: usize) -> usize {
        self.of.views(self.indices[index])
    }
    fn load_views(&self, index: usize) -> Result<Picture, DataError> {
        self.of.load_views(self.indices[index])
    }
    fn origin(&self) -> Option<&str> {
        self.of.origin()
    }
    fn notes(&self) -> &[String] {
        self.of.notes()
    }
    fn file_notes(&self) -> Vec<String> {
        self.of.file_notes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::scenes::ScenesSource;

    /// Three classes of 20, 4 and 1 pictures, and pictures of none.
    struct UnequalClasses(Vec<String>);

    impl PictureSource for UnequalClasses {
        fn len(&self) -> usize {
            40
        }
        fn name(&self, index: usize) -> String {
            index.to_string()
        }
        fn label(&self, index: usize) -> Option<usize> {
            [(20, 0), (24, 1), (25, 2)].iter().find(|(end, _)| index < *end).map(|(_, class)| *class)
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn load(&self, _: usize) -> Result<Picture, DataError> {
            Ok(Picture::of_rgb(1, 1, vec![0; 3]))
        }
    }

    #[test]
    fn each_class_gives_as_many_pictures_as_it_can() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let source: Arc<dyn PictureSource> = Arc::new(UnequalClasses(names));
        let counts = |count, seed| {
            let drawn = SubsetSource::balanced(&source, count, seed).unwrap();
            let of = |class| (0..drawn.len()).filter(|i| drawn.label(*i) == Some(class)).count();
            [of(0), of(1), of(2)]
        };
        assert_eq!(
            [3, 5, 9, 12, 99].map(|n| counts(n, 1)),
            [[1, 1, 1], [2, 2, 1], [4, 4, 1], [7, 4, 1], [20, 4, 1]]
        );
        let of = |seed| SubsetSource::balanced(&source, 9, seed).unwrap().indices;
        assert!(of(1) == of(1) && of(1) != of(2), "by the seed");
        let distinct: std::collections::HashSet<usize> = of(1).into_iter().collect();
        assert_eq!(distinct.len(), 9);
        let more = SubsetSource::balanced(&source, 12, 1).unwrap().indices;
        assert_eq!(more[..9], of(1), "more pictures are the same and others");
    }

    #[test]
    fn halves_do_not_overlap() {
        let source: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 50, 8));
        let (a, b) = SubsetSource::split(&source, 20, 10, 7).unwrap();
        assert_eq!((a.len(), b.len()), (20, 10));
        assert!(a.indices.iter().all(|i| !b.indices.contains(i)));
        let (a, b) = SubsetSource::split(&source, 80, 20, 7).unwrap();
        assert_eq!((a.len(), b.len()), (40, 10));
    }
}
