//! The pictures that a recipe names: what is trained on, and what k-NN is measured with.

use std::path::Path;
use std::sync::Arc;

use super::recipe::Recipe;
use super::watch::view;
use crate::data::decode::depth::DepthRange;
use crate::data::source::folder::FolderSource;
use crate::data::source::halves::Halves;
use crate::data::source::idx::{IdxSource, Split};
use crate::data::source::listing::list;
use crate::data::source::matched::{Match, matched, named};
use crate::data::source::scenes::{self, ScenesSource};
use crate::data::source::{Source, subset::Subset};
use crate::data::{DataError, Picture};
use crate::files;

/// Labelled pictures for k-NN.
#[derive(Clone)]
pub struct Labelled {
    /// Whose features are looked up.
    pub train: Arc<dyn Source>,
    /// Whose labels are predicted.
    pub test: Arc<dyn Source>,
}

/// Pictures of a run.
#[derive(Clone)]
pub struct Sources {
    /// Trained on, without labels.
    pub train: Arc<dyn Source>,
    /// For k-NN during training, where there are labels.
    pub labelled: Option<Labelled>,
    /// What it is, for a person: `1200 built-in scenes`.
    pub description: String,
    /// What the rest is for, where not all that was named is trained on: `k-NN predicts 12 pictures from root/val`.
    pub rest: Option<String>,
}

/// Most pictures that k-NN during training looks at.
const LOOK_UP: usize = 1200;
const PREDICT: usize = 600;

/// Most pictures that are watched unless a person chooses others.
pub const WATCHED: usize = 6;
/// Away from the seeds of training and evaluation.
const WATCH_SEED: u64 = 7 << 40;

impl Sources {
    /// Pictures to watch while a recipe trains: scenes that are never trained on, or some spread over the data.
    ///
    /// What can't be loaded is left out here; training reports it.
    pub fn to_watch(&self, recipe: &Recipe) -> Vec<Picture> {
        if recipe.data.path == "scenes" {
            let size = 2 * recipe.crops.global_size;
            return (0..WATCHED).map(|i| scenes::draw(WATCH_SEED, i, size).picture).collect();
        }
        let source = &self.train;
        let step = (source.len() / WATCHED).max(1);
        // At the size that they are looked at: photographs as they are would stay in memory for the whole run.
        let shown = |picture: Picture| view(&picture, recipe);
        (0..source.len()).step_by(step).filter_map(|i| source.load(i).ok().map(shown)).take(WATCHED).collect()
    }
}

/// Opens what `recipe.data` names.
///
/// # Errors
/// Names the path and what was expected there.
pub fn open(recipe: &Recipe) -> Result<Sources, DataError> {
    let data = &recipe.data;
    if data.path == "scenes" {
        let scenes =
            |seed: u64, count| Arc::new(ScenesSource::new(seed, count, data.scene_size)) as Arc<dyn Source>;
        // Seeds far apart: scenes that are judged were never trained on.
        let judged = data.scene_seed.wrapping_add(1 << 32);
        return Ok(Sources {
            train: scenes(data.scene_seed, data.scenes),
            labelled: Some(Labelled { train: scenes(judged, LOOK_UP), test: scenes(judged + 1, PREDICT) }),
            description: format!("{} built-in scenes", data.scenes),
            rest: None,
        });
    }
    let path = Path::new(&data.path);
    let source: Arc<dyn Source> = if files::is_dir(path) && !IdxSource::recognizes(path) {
        let (pictures, left_out) = list(path)?;
        let halves = Halves::of(path, &pictures);
        match halves.map(|halves| halves.beside(left_out.clone()).read_as(data.depth_range)) {
            Some(halves) if halves.can_judge() => return Ok(of_halves(recipe, &halves)),
            // Their names are no classes all the same.
            Some(halves) => Arc::new(halves.all(data.labels)),
            None => Arc::new(
                FolderSource::of_files(path, &pictures, data.labels)
                    .beside(left_out)
                    .read_as(data.depth_range),
            ),
        }
    } else {
        open_path_as(path, data.labels, data.depth_range)?
    };
    let labelled = Subset::split(&source, LOOK_UP, PREDICT, recipe.train.seed)
        .map(|(train, test)| Labelled { train: Arc::new(train), test: Arc::new(test) });
    let pictures = if source.len() == 1 { "picture" } else { "pictures" };
    let description = format!("{} {pictures} from {}", source.len(), data.path);
    Ok(Sources { train: source, labelled, description, rest: None })
}

/// Of a folder in halves the one to learn from is trained on, with labels or without; what is judged is kept from it, as
/// is usual with ImageNet. k-NN looks pictures up in the first and predicts those of the second.
fn of_halves(recipe: &Recipe, halves: &Halves) -> Sources {
    let seed = recipe.train.seed;
    let train: Arc<dyn Source> = Arc::new(halves.train(recipe.data.labels));
    let from = train.origin().unwrap_or_default().to_owned();
    let judged = halves.judged().map(|half| Arc::new(half) as Arc<dyn Source>);
    let of = judged.as_ref().and_then(|half| half.origin()).unwrap_or_default().to_owned();
    let (mut labelled, mut rest) = (None, Some(format!("{of} is kept from training, to judge")));
    if let Some(judged) = judged.filter(|_| recipe.data.labels) {
        let Match { source: judged, unknown } = matched(&judged, train.as_ref());
        let part = |of: &Arc<dyn Source>, most| Subset::labelled(of, most, seed).map(Arc::new);
        if let (Some(look_up), Some(predict)) = (part(&train, LOOK_UP), part(&judged, PREDICT)) {
            let beyond = match unknown.is_empty() {
                true => String::new(),
                false => format!(", but not what {from} lacks: {}", named(&unknown)),
            };
            rest = Some(format!("k-NN predicts {} pictures from {of}{beyond}", predict.len()));
            labelled = Some(Labelled { train: look_up, test: predict });
        }
    }
    let rest_of = rest.iter().map(|rest| format!("; {rest}")).collect::<String>();
    let description = format!("{} pictures from {}{rest_of}", train.len(), from);
    Sources { train, labelled, description, rest }
}

/// A folder of pictures, a single picture, or an IDX file.
///
/// # Errors
/// Names the path and what was expected there.
pub fn open_path(path: &Path, labels: bool) -> Result<Arc<dyn Source>, DataError> {
    open_path_as(path, labels, DepthRange::Fixed)
}

/// [`open_path`] with a choice of what becomes black and white in files of more than 8 bits.
///
/// # Errors
/// As [`open_path`].
pub fn open_path_as(path: &Path, labels: bool, range: DepthRange) -> Result<Arc<dyn Source>, DataError> {
    if IdxSource::recognizes(path) {
        return Ok(Arc::new(IdxSource::open(path, Split::Train)?));
    }
    let source = FolderSource::open(path, labels)?.read_as(range);
    if !files::is_dir(path) {
        // What is no picture, an archive or a list, is told before anything is begun with it.
        source.load(0)?;
    }
    Ok(Arc::new(source))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(places: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for place in places {
            let path = folder.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::new(1, 1).save(&path).unwrap();
        }
        folder
    }

    fn sources(root: &Path, labels: bool) -> Sources {
        let pairs = [format!("data.path={:?}", root.to_string_lossy()), format!("data.labels={labels}")];
        open(&Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()).unwrap()
    }

    fn names(source: &dyn Source) -> Vec<String> {
        let mut names: Vec<String> = (0..source.len()).map(|i| source.name(i).replace('\\', "/")).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_judged_is_never_trained_on() {
        let root = folder(&["train/a/1.png", "train/b/1.png", "val/a/2.png", "val/x/2.png", "val/b/2.png"]);
        let name = root.path().file_name().unwrap().to_string_lossy().into_owned();
        let with = sources(root.path(), true);
        assert_eq!(names(with.train.as_ref()), ["train/a/1.png", "train/b/1.png"]);
        let Labelled { train, test } = with.labelled.unwrap();
        assert_eq!(
            (train.classes(), test.classes()),
            (["a", "b"].map(String::from).as_slice(), train.classes())
        );
        assert_eq!(names(train.as_ref()), ["train/a/1.png", "train/b/1.png"]);
        assert_eq!(names(test.as_ref()), ["val/a/2.png", "val/b/2.png"]);
        let said = format!(
            "2 pictures from {name}/train; k-NN predicts 2 pictures from {name}/val, but not what {name}/train lacks: x"
        );
        assert_eq!(with.description, said);

        let without = sources(root.path(), false);
        assert_eq!(names(without.train.as_ref()), ["train/a/1.png", "train/b/1.png"]);
        assert!(without.labelled.is_none() && without.train.classes().is_empty());
        assert!(without.description.ends_with(&format!("; {name}/val is kept from training, to judge")));
    }

    #[test]
    fn halves_count_other_files_and_the_memory_of_decoding() {
        let root = folder(&["train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/2.png"]);
        std::fs::write(root.path().join("train/film.mov"), "film").unwrap();
        let found = sources(root.path(), true);
        assert!(found.train.file_notes()[0].contains("1 .mov"), "{:?}", found.train.file_notes());
        let test = found.labelled.unwrap().test;
        assert!(found.train.decoding(0) > 0 && test.decoding(0) > 0);
    }

    #[test]
    fn a_file_that_is_no_picture_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let files: [(&str, &[u8], &str); 4] = [
            ("shard.tar", &tar, "tar -xf"),
            ("pictures.zip", b"PK\x03\x04more", "unzip"),
            ("train.parquet", b"PAR1more", "into a folder"),
            ("list.txt", b"a.png\nb.png\n", "its content is not"),
        ];
        for (name, bytes, way) in files {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let said = open_path(&path, false).err().unwrap().to_string();
            assert!(said.contains(name) && said.contains(way), "{said}");
        }
    }

    #[test]
    fn halves_without_classes_are_all_trained_on_and_no_classes_themselves() {
        let root = folder(&["train/1.png", "val/1.png"]);
        let found = sources(root.path(), true);
        assert_eq!((found.train.len(), found.train.classes().len()), (2, 0));
        assert!(found.labelled.is_none() && found.rest.is_none());
        let plain = folder(&["train/1.png", "car/1.png", "car/2.png"]);
        assert_eq!(sources(plain.path(), true).train.classes(), ["car", "train"]);
    }
}
