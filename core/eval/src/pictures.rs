//! Pictures as people bring them, for evaluations of whole pictures: what is learned from, and what is judged. The
//! terminal and the window open them by the same doors, so that figures agree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_base::files;
use dinoscope_data::DataError;
use dinoscope_data::decode::DecodeOptions;
use dinoscope_data::source::LabelledSplit;
use dinoscope_data::source::datasets::PublicDataset;
use dinoscope_data::source::fitted::FittedSource;
use dinoscope_data::source::gathered::{SourceContent, SourceOptions, gather};
use dinoscope_data::source::halves::SplitFolder;
use dinoscope_data::source::idx::{IdxSource, IdxSplit};
use dinoscope_data::source::joined::{NamedSource, join};
use dinoscope_data::source::matched::{ClassMatchResult, matched, named};
use dinoscope_data::source::{PictureSource, subset::SubsetSource};

/// Labelled pictures in `data`, or in `test` what is judged: folders with a subfolder for each class, lists with a column
/// of classes, IDX files, or words for collections that others hand out, one place or several ([`gather`]).
///
/// What is judged is what `test` holds, or else the halves for it where `data` comes in halves
/// ([`SplitFolder`]; of an IDX pair and of a named collection the test half), or else a fifth of the pictures, chosen
/// by `seed`. Classes are known by their names. `decode` says how files are read, and how many channels all pictures have.
///
/// # Errors
/// When a place can't be read, holds no classes or one only, or when classes are to be judged that nothing can be
/// learned of; says what to do about it.
pub fn labelled(
    data: &[PathBuf],
    test: &[PathBuf],
    seed: u64,
    decode: DecodeOptions,
) -> Result<LabelledSplit, DataError> {
    let wrong = |reason: String| DataError::Source { path: words(data), reason };
    let judged = match test {
        [] => None,
        test => Some(judged(test, decode)?),
    };
    let (train, own) = to_learn(data, judged.as_deref(), decode)?;
    match train.classes() {
        [] => {
            return Err(wrong(no_labels()));
        }
        [only] => {
            return Err(wrong(format!("it has one class only, “{only}”: there is nothing to tell it from")));
        }
        _ => {}
    }
    let (places, judged) = match (judged, own) {
        (Some(judged), _) => (test, judged),
        (None, Some(own)) => (data, own),
        (None, None) => {
            let count = train.len();
            let halves = SubsetSource::split(&train, count - count / 5, count / 5, seed);
            let (train, test) = halves.ok_or_else(|| {
                wrong(format!(
                    "it takes at least five labelled pictures to learn from some and judge others; there are {count}"
                ))
            })?;
            return Ok(fitted(LabelledSplit { train: Arc::new(train), test: Arc::new(test) }, decode));
        }
    };
    if judged.classes().is_empty() {
        return Err(DataError::Source { path: words(places), reason: no_labels() });
    }
    let ClassMatchResult { source, unknown } = matched(&judged, train.as_ref());
    if !unknown.is_empty() {
        return Err(DataError::Source {
            path: words(places),
            reason: format!(
                "there are classes to test that are not among those to learn from ({}): {}; take them out, or add them \
                 to what is learned from",
                named(train.classes()),
                named(&unknown)
            ),
        });
    }
    Ok(fitted(LabelledSplit { train, test: source }, decode))
}

/// The same with the channels that are asked for.
pub fn fitted(LabelledSplit { train, test }: LabelledSplit, decode: DecodeOptions) -> LabelledSplit {
    let of = |source| FittedSource::of(source, decode.channels);
    LabelledSplit { train: of(train), test: of(test) }
}

fn no_labels() -> String {
    "it has no labels: put the pictures of each class into a subfolder, or name them in a table (CSV) with the columns \
     path and label"
        .to_owned()
}

/// Places in a sentence.
fn words(places: &[PathBuf]) -> String {
    named(&places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>())
}

/// With the classes.
fn how(decode: DecodeOptions) -> SourceOptions {
    SourceOptions { labels: true, decode }
}

/// What is learned from, and what judges where there are halves for it.
type LearnedAndJudged = (Arc<dyn PictureSource>, Option<Arc<dyn PictureSource>>);

/// What is learned from, and what judges unless `judged` does: halves for it.
fn to_learn(
    data: &[PathBuf],
    judged: Option<&dyn PictureSource>,
    decode: DecodeOptions,
) -> Result<LearnedAndJudged, DataError> {
    let gathered = gather(data, how(decode))?;
    let (mut train, mut own) = (Vec::new(), Vec::new());
    // Why halves can't judge, where they are all there is.
    let mut apart = None;
    for part in gathered {
        let name = part.name.clone();
        match part.holds {
            SourceContent::Halves(halves) => {
                match halves.judged() {
                    Some(half) => own.push(NamedSource::new(name.clone(), Arc::new(half))),
                    None => apart = Some(why_apart(&halves)),
                }
                train.push(NamedSource::new(name, Arc::new(halves.train(true))));
            }
            SourceContent::Whole(source) => train.push(NamedSource::new(name, source)),
        }
    }
    for place in data {
        own.extend(test_half(place)?.map(|source| NamedSource::new(place.display().to_string(), source)));
    }
    if let (Some(reason), true, None) = (apart, own.is_empty(), judged) {
        return Err(DataError::Source { path: words(data), reason });
    }
    let own = match (own.is_empty(), judged) {
        (false, None) => Some(join(own, None)?),
        _ => None,
    };
    // The halves of one place have nothing in common.
    let own_besides = own.as_deref().filter(|_| train.len() > 1);
    let train = join(train, judged.or(own_besides))?;
    Ok((train, own))
}

fn why_apart(halves: &SplitFolder) -> String {
    match halves.has_classes() {
        true => {
            format!("{} have no class in common: nothing can be learned of what is judged", halves.names())
        }
        false => {
            format!(
                "{} hold no classes: in each, put the pictures of a class into a subfolder",
                halves.names()
            )
        }
    }
}

/// All pictures of places in one piece, with their classes where there are some. Halves are put together, each picture
/// with the class that it has in its half.
///
/// # Errors
/// When a place can't be read or holds no pictures.
pub fn all(data: &[PathBuf], decode: DecodeOptions) -> Result<Arc<dyn PictureSource>, DataError> {
    let gathered = gather(data, how(decode))?;
    let all = join(gathered.into_iter().map(|part| part.whole(how(decode))).collect(), None)?;
    Ok(FittedSource::of(all, decode.channels))
}

/// What is judged in places that were named for it.
fn judged(places: &[PathBuf], decode: DecodeOptions) -> Result<Arc<dyn PictureSource>, DataError> {
    let mut parts = Vec::new();
    for place in places {
        let halved = files::is_dir(place) || PublicDataset::at(place).is_some();
        if let Some(source) = if halved { test_half(place)? } else { None } {
            parts.push(NamedSource::new(place.display().to_string(), source));
            continue;
        }
        for part in gather(std::slice::from_ref(place), how(decode))? {
            let half = match &part.holds {
                SourceContent::Halves(halves) => halves.judged(),
                SourceContent::Whole(_) => None,
            };
            parts.push(match half {
                Some(half) => NamedSource::new(part.name, Arc::new(half)),
                None => part.whole(how(decode)),
            });
        }
    }
    join(parts, None)
}

/// The test half beside the half to learn from: of IDX files, and of a collection that a word names.
///
/// # Errors
/// When the collection is not here, or damaged.
fn test_half(data: &Path) -> Result<Option<Arc<dyn PictureSource>>, DataError> {
    if let Some(set) = PublicDataset::at(data) {
        return set.test_half();
    }
    let folder = if files::is_dir(data) { Some(data) } else { data.parent() };
    let half = folder.filter(|_| IdxSource::recognizes(data));
    let half = half.and_then(|folder| IdxSource::open(folder, IdxSplit::Test).ok());
    Ok(half.map(|source| Arc::new(source) as Arc<dyn PictureSource>))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_testing::folder;

    fn labelled(data: &Path, test: Option<&Path>) -> Result<LabelledSplit, DataError> {
        let test: Vec<PathBuf> = test.into_iter().map(Path::to_owned).collect();
        super::labelled(&[data.to_owned()], &test, 0, DecodeOptions::default())
    }

    fn refused(data: &Path, test: Option<&Path>) -> String {
        let error = labelled(data, test).err().unwrap().to_string();
        assert!(error.contains(&test.unwrap_or(data).display().to_string()), "{error}");
        error
    }

    /// The classes of all pictures, by name.
    fn classes(source: &dyn PictureSource) -> Vec<String> {
        (0..source.len()).map(|i| source.classes()[source.label(i).unwrap()].clone()).collect()
    }

    #[test]
    fn halves_are_no_classes() {
        let root = folder(&["train/a/1.png", "train/b/1.png", "train/c/1.png", "val/b/2.png", "val/c/2.png"]);
        let halves = labelled(root.path(), None).unwrap();
        assert_eq!(
            (classes(halves.train.as_ref()), classes(halves.test.as_ref())),
            (["a", "b", "c"].map(str::to_owned).to_vec(), ["b", "c"].map(str::to_owned).to_vec(),)
        );
        let name = root.path().file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(halves.train.origin(), Some(format!("{name}/train").as_str()));
        assert_eq!(halves.test.origin(), Some(format!("{name}/val").as_str()));
        assert_eq!(halves.test.notes(), ["1 of 3 classes have no picture to test: a"]);
        assert_eq!(halves.test.load(0).unwrap().width, 1);

        // The same folders named one by one; and what is judged may come in halves itself.
        let (train, val) = (root.path().join("train"), root.path().join("val"));
        for (data, test) in [(train.as_path(), val.as_path()), (root.path(), &val), (&train, root.path())] {
            let named = labelled(data, Some(test)).unwrap();
            assert_eq!(classes(named.train.as_ref()), classes(halves.train.as_ref()));
            assert_eq!(classes(named.test.as_ref()), classes(halves.test.as_ref()));
        }
        let all = all(&[root.path().to_owned()], DecodeOptions::default()).unwrap();
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
        assert!(refused(few.path(), None).contains("at least five labelled pictures"));

        let train = folder(&["a/1.png", "b/1.png"]);
        let test = folder(&["b/1.png", "x/1.png", "y/1.png"]);
        let said = refused(train.path(), Some(test.path()));
        assert!(said.contains("(a, b): x, y;"), "{said}");
        assert!(refused(train.path(), Some(flat.path())).contains("put the pictures of each class"));
    }

    #[test]
    fn several_places_are_judged_together() {
        let root =
            folder(&["h/train/a/1.png", "h/val/a/1.png", "f/b/1.png", "f/b/2.png", "t/a/1.png", "t/b/1.png"]);
        let at = |place: &str| root.path().join(place);
        let fixed = DecodeOptions::default();
        let both = super::labelled(&[at("h"), at("f")], &[], 0, fixed).unwrap();
        assert_eq!(
            (classes(both.train.as_ref()), classes(both.test.as_ref())),
            (["a", "b", "b"].map(str::to_owned).to_vec(), vec!["a".to_owned()],)
        );
        let tested = super::labelled(&[at("h"), at("f")], &[at("t"), at("h/val")], 0, fixed).unwrap();
        assert_eq!(classes(tested.test.as_ref()), ["a", "b", "a"]);
        assert_eq!(super::all(&[at("h"), at("t"), at("t/a")], fixed).unwrap().len(), 4);

        let table = at("labels.csv");
        std::fs::write(
            &table,
            "path,label\nf/b/1.png,x\nf/b/2.png,y\nt/a/1.png,x\nt/b/1.png,y\nh/val/a/1.png,y\n",
        )
        .unwrap();
        let listed = super::labelled(&[table], &[], 0, fixed).unwrap();
        assert_eq!((listed.train.len(), listed.test.len(), listed.train.classes().len()), (4, 1, 2));
    }
}
