//! Pictures as people bring them, for evaluations of whole pictures: what is learned from, and what is judged. The
//! terminal and the window open them by the same doors, so that figures agree.

use std::path::Path;
use std::sync::Arc;

use crate::data::DataError;
use crate::data::decode::depth::DepthRange;
use crate::data::source::folder::FolderSource;
use crate::data::source::halves::Halves;
use crate::data::source::idx::{IdxSource, Split};
use crate::data::source::listing::list;
use crate::data::source::matched::{Match, matched, named};
use crate::data::source::{Source, subset::Subset};
use crate::files;
use crate::train::sources::{Labelled, open_path};

/// Labelled pictures in `data`, or in `test` what is judged: folders with a subfolder for each class, or IDX files.
///
/// What is judged is what `test` holds, or else the half for it where `data` comes in halves ([`Halves`]; of an IDX pair
/// the test half), or else a fifth of the pictures, chosen by `seed`. Classes are known by their names. `range` says
/// how files of more than 8 bits are read.
///
/// # Errors
/// When a place can't be read, holds no classes or one only, or when classes are to be judged that nothing can be
/// learned of; says what to do about it.
pub fn labelled(
    data: &Path,
    test: Option<&Path>,
    seed: u64,
    range: DepthRange,
) -> Result<Labelled, DataError> {
    let wrong = |reason: String| DataError::Source { path: data.display().to_string(), reason };
    let (train, own) = match open(data, range)? {
        Opened::Whole(all) => (all, idx_test(data)),
        Opened::Halves(halves) => {
            let judged = halves.judged().map(|half| Arc::new(half) as Arc<dyn Source>);
            if judged.is_none() && test.is_none() {
                return Err(wrong(match halves.has_classes() {
                    true => format!(
                        "{} have no class in common: nothing can be learned of what is judged",
                        halves.names()
                    ),
                    false => format!(
                        "{} hold no classes: in each, put the pictures of a class into a subfolder",
                        halves.names()
                    ),
                }));
            }
            (Arc::new(halves.train(true)) as Arc<dyn Source>, judged)
        }
    };
    match train.classes() {
        [] => {
            return Err(wrong(
                "it has no labels: put the pictures of each class into a subfolder".to_owned(),
            ));
        }
        [only] => {
            return Err(wrong(format!("it has one class only, “{only}”: there is nothing to tell it from")));
        }
        _ => {}
    }
    let (path, judged) = match (test, own) {
        (Some(test), _) => (test, judged(test, range)?),
        (None, Some(own)) => (data, own),
        (None, None) => {
            let count = train.len();
            let halves = Subset::split(&train, count - count / 5, count / 5, seed);
            let (train, test) = halves.ok_or_else(|| {
                wrong("there are too few labelled pictures to learn from some and judge others".to_owned())
            })?;
            return Ok(Labelled { train: Arc::new(train), test: Arc::new(test) });
        }
    };
    if judged.classes().is_empty() {
        return Err(DataError::Source {
            path: path.display().to_string(),
            reason: "it has no labels: put the pictures of each class into a subfolder".to_owned(),
        });
    }
    let Match { source, unknown } = matched(&judged, train.as_ref());
    if !unknown.is_empty() {
        return Err(DataError::Source {
            path: path.display().to_string(),
            reason: format!(
                "there are classes to judge that are not among those to learn from ({}): {}; take them out, or add them \
                 to what is learned from",
                named(train.classes()),
                named(&unknown)
            ),
        });
    }
    Ok(Labelled { train, test: source })
}

/// All pictures of a folder or an IDX file in one piece, with their classes where there are some. Halves are put together,
/// each picture with the class that it has in its half.
///
/// # Errors
/// When the place can't be read or holds no pictures.
pub fn all(data: &Path, range: DepthRange) -> Result<Arc<dyn Source>, DataError> {
    Ok(match open(data, range)? {
        Opened::Whole(all) => all,
        Opened::Halves(halves) => Arc::new(halves.all(true)),
    })
}

enum Opened {
    Whole(Arc<dyn Source>),
    Halves(Halves),
}

fn open(path: &Path, range: DepthRange) -> Result<Opened, DataError> {
    if !files::is_dir(path) || IdxSource::recognizes(path) {
        return Ok(Opened::Whole(open_path(path, true)?));
    }
    let (pictures, left_out) = list(path)?;
    Ok(match Halves::of(path, &pictures) {
        Some(halves) => Opened::Halves(halves.beside(left_out).read_as(range)),
        None => Opened::Whole(Arc::new(
            FolderSource::of_files(path, &pictures, true).beside(left_out).read_as(range),
        )),
    })
}

/// What is judged in a folder that was named for it.
fn judged(path: &Path, range: DepthRange) -> Result<Arc<dyn Source>, DataError> {
    if let Some(test) = files::is_dir(path).then(|| idx_test(path)).flatten() {
        return Ok(test);
    }
    Ok(match open(path, range)? {
        Opened::Whole(all) => all,
        Opened::Halves(halves) => match halves.judged() {
            Some(half) => Arc::new(half),
            None => Arc::new(halves.all(true)),
        },
    })
}

/// The test half beside an IDX training half.
fn idx_test(data: &Path) -> Option<Arc<dyn Source>> {
    if !IdxSource::recognizes(data) {
        return None;
    }
    let folder = if files::is_dir(data) { data } else { data.parent()? };
    IdxSource::open(folder, Split::Test).ok().map(|source| Arc::new(source) as Arc<dyn Source>)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A folder with one-pixel pictures at these places.
    fn folder(places: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for place in places {
            let path = folder.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::new(1, 1).save(&path).unwrap();
        }
        folder
    }

    fn refused(data: &Path, test: Option<&Path>) -> String {
        let error = labelled(data, test, 0, DepthRange::Fixed).err().unwrap().to_string();
        assert!(error.contains(&test.unwrap_or(data).display().to_string()), "{error}");
        error
    }

    /// The classes of all pictures, by name.
    fn classes(source: &dyn Source) -> Vec<String> {
        (0..source.len()).map(|i| source.classes()[source.label(i).unwrap()].clone()).collect()
    }

    #[test]
    fn halves_are_no_classes() {
        let root = folder(&["train/a/1.png", "train/b/1.png", "train/c/1.png", "val/b/2.png", "val/c/2.png"]);
        let halves = labelled(root.path(), None, 0, DepthRange::Fixed).unwrap();
        assert_eq!(
            (classes(halves.train.as_ref()), classes(halves.test.as_ref())),
            (["a", "b", "c"].map(str::to_owned).to_vec(), ["b", "c"].map(str::to_owned).to_vec(),)
        );
        let name = root.path().file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(halves.train.origin(), Some(format!("{name}/train").as_str()));
        assert_eq!(halves.test.origin(), Some(format!("{name}/val").as_str()));
        assert_eq!(halves.test.notes(), ["1 of 3 classes have no picture to judge: a"]);
        assert_eq!(halves.test.load(0).unwrap().width, 1);

        // The same folders named one by one; and what is judged may come in halves itself.
        let (train, val) = (root.path().join("train"), root.path().join("val"));
        for (data, test) in [(train.as_path(), val.as_path()), (root.path(), &val), (&train, root.path())] {
            let named = labelled(data, Some(test), 0, DepthRange::Fixed).unwrap();
            assert_eq!(classes(named.train.as_ref()), classes(halves.train.as_ref()));
            assert_eq!(classes(named.test.as_ref()), classes(halves.test.as_ref()));
        }
        let all = all(root.path(), DepthRange::Fixed).unwrap();
        assert_eq!((all.len(), all.classes().len()), (5, 3));
    }

    #[test]
    fn what_can_not_be_judged_is_told_with_the_way_out() {
        let flat = folder(&["1.png", "2.png"]);
        assert!(refused(flat.path(), None).contains("put the pictures of each class into a subfolder"));
        let one = folder(&["cat/1.png", "cat/2.png"]);
        assert!(refused(one.path(), None).contains("one class only, “cat”"));
        let halves = folder(&["train/1.png", "val/1.png"]);
        assert!(refused(halves.path(), None).contains("/val hold no classes: in each"));
        let apart = folder(&["train/a/1.png", "val/b/1.png"]);
        assert!(refused(apart.path(), None).contains("no class in common"));
        let few = folder(&["a/1.png", "b/1.png"]);
        assert!(refused(few.path(), None).contains("too few"));

        let train = folder(&["a/1.png", "b/1.png"]);
        let test = folder(&["b/1.png", "x/1.png", "y/1.png"]);
        let said = refused(train.path(), Some(test.path()));
        assert!(said.contains("(a, b): x, y;"), "{said}");
        assert!(refused(train.path(), Some(flat.path())).contains("put the pictures of each class"));
    }
}
