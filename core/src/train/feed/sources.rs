//! The pictures that a recipe names: what is trained on, and what k-NN is measured with.

use std::path::Path;
use std::sync::Arc;

use crate::data::source::builtin::{BuiltinPictures, SharedPlace};
use crate::data::source::fitted::FittedSource;
use crate::data::source::gathered::{OpenedSource, SourceContent, SourceOptions, gather};
use crate::data::source::joined::{NamedSource, SourceShare, join};
use crate::data::source::matched::{ClassMatchResult, matched, named};
use crate::data::source::places;
use crate::data::source::scenes::{SceneKind, ScenesSource};
use crate::data::source::{LabelledSplit, PictureSource, subset::SubsetSource};
use crate::data::{DataError, Picture};
use crate::train::feed::preparation::decode_options;
use crate::train::recipe::Recipe;
use crate::train::watch::view;

/// Pictures of a run.
#[derive(Clone)]
pub struct RunDataSources {
    /// Trained on, without labels.
    pub train: Arc<dyn PictureSource>,
    /// For k-NN during training, where there are labels.
    pub labelled: Option<LabelledSplit>,
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

impl RunDataSources {
    /// Pictures to watch while a recipe trains: scenes that are never trained on, or some spread over the data.
    ///
    /// What can't be loaded is left out here; training reports it.
    pub fn to_watch(&self, recipe: &Recipe) -> Vec<Picture> {
        if recipe.data.path.is_builtin() {
            let size = 2 * recipe.crops.global_size;
            let kind = scene_kind(recipe);
            return (0..WATCHED).map(|i| kind.draw(WATCH_SEED, i, size).picture).collect();
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
pub fn open(recipe: &Recipe) -> Result<RunDataSources, DataError> {
    let found = gathered(recipe)?;
    let fitted = |source| FittedSource::of(source, recipe.data.channels);
    let labelled = found
        .labelled
        .map(|LabelledSplit { train, test }| LabelledSplit { train: fitted(train), test: fitted(test) });
    Ok(RunDataSources { train: fitted(found.train), labelled, ..found })
}

/// The pictures as they are.
fn gathered(recipe: &Recipe) -> Result<RunDataSources, DataError> {
    let data = &recipe.data;
    let wrong = |reason: String| DataError::Source { path: data.path.to_string(), reason };
    let places = data.path.shared().map_err(wrong)?;
    let how = SourceOptions { labels: data.labels, decode: decode_options(recipe) };
    let (mut drawn, mut gathered) = (Vec::new(), Vec::new());
    for (place, SharedPlace { place: name, builtin, share }) in places.into_iter().enumerate() {
        let share = share.map(|share| SourceShare { place, share });
        match builtin {
            Some(builtin) => {
                let (seed, count, size) = (data.scene_seed, data.scenes, data.scene_size);
                let source = builtin.open_in_views(data.scene_kind, seed, count, size, data.scene_views);
                drawn.push(NamedSource { name, source, share });
            }
            None => {
                let parts = gather(&[name.into()], how)?;
                gathered.extend(parts.into_iter().map(|part| OpenedSource { share, ..part }));
            }
        }
    }
    if gathered.is_empty() {
        let description = match drawn.as_slice() {
            [_] if data.path.iter().all(|place| place.starts_with("procedural")) => {
                format!("{} procedural pictures", data.scenes)
            }
            [_] => format!("{} built-in scenes, {}", data.scenes, scene_kind(recipe)),
            _ => format!("{} built-in pictures of each of {}", data.scenes, data.path),
        };
        let train = join(drawn, None)?;
        return Ok(RunDataSources { train, labelled: Some(held_out(recipe)), description, rest: None });
    }
    let unused = gathered.iter().any(|part| part.unused_labels);
    let unused = unused.then(|| "its classes are not looked at: data.labels = true takes them".to_owned());
    let in_halves =
        |part: &OpenedSource| matches!(&part.holds, SourceContent::Halves(halves) if halves.can_judge());
    if gathered.iter().any(in_halves) {
        return of_halves(recipe, gathered, drawn, how);
    }
    let given: Vec<NamedSource> = gathered.into_iter().map(|part| part.whole(how)).collect();
    let source = join(given.clone(), None)?;
    let labelled = SubsetSource::split(&source, LOOK_UP, PREDICT, recipe.train.seed)
        .map(|(train, test)| LabelledSplit { train: Arc::new(train), test: Arc::new(test) });
    let (source, labelled) = match drawn.is_empty() {
        true => (source, labelled),
        false => (join([given, drawn].concat(), None)?, labelled.or_else(|| Some(held_out(recipe)))),
    };
    let pictures = if source.len() == 1 { "picture" } else { "pictures" };
    let rest = unused.iter().map(|rest| format!("; {rest}")).collect::<String>();
    let description = format!("{} {pictures} from {}{rest}", source.len(), data.path);
    Ok(RunDataSources { train: source, labelled, description, rest: unused })
}

/// The kind of the scenes that a run is judged by: that of the first scenes that it names, or the recipe's.
fn scene_kind(recipe: &Recipe) -> SceneKind {
    let named = recipe.data.path.iter().find_map(|place| match places::builtin(place) {
        Some(BuiltinPictures::Scenes(kind)) => kind,
        _ => None,
    });
    named.unwrap_or(recipe.data.scene_kind)
}

/// Scenes that are never trained on, to judge by: their seeds are far from those that are.
fn held_out(recipe: &Recipe) -> LabelledSplit {
    let (kind, judged) = (scene_kind(recipe), recipe.data.scene_seed.wrapping_add(1 << 32));
    let scenes = |seed: u64, count: usize| -> Arc<dyn PictureSource> {
        Arc::new(ScenesSource::of_kind(kind, seed, count, recipe.data.scene_size))
    };
    LabelledSplit { train: scenes(judged, LOOK_UP), test: scenes(judged + 1, PREDICT) }
}

/// Of places in halves the one to learn from is trained on, with labels or without; what is judged is kept from it, as is
/// usual with ImageNet. k-NN looks pictures up in the first and predicts those of the second. Places without halves are
/// trained on as a whole, and so is what is `drawn`.
fn of_halves(
    recipe: &Recipe,
    gathered: Vec<OpenedSource>,
    drawn: Vec<NamedSource>,
    how: SourceOptions,
) -> Result<RunDataSources, DataError> {
    let seed = recipe.train.seed;
    let (mut train, mut judged) = (Vec::new(), Vec::new());
    for part in gathered {
        let half = match &part.holds {
            SourceContent::Halves(halves) => halves.judged().map(|half| (halves.train(how.labels), half)),
            SourceContent::Whole(_) => None,
        };
        match half {
            Some((learn, context)) => {
                train.push(NamedSource {
                    name: part.name.clone(),
                    source: Arc::new(learn),
                    share: part.share,
                });
                judged.push(NamedSource::new(part.name, Arc::new(context)));
            }
            None => train.push(part.whole(how)),
        }
    }
    let judged = join(judged, None)?;
    let parts = [train.clone(), drawn.clone()].concat();
    // The halves of one place have nothing in common.
    let besides = (train.len() > 1).then_some(judged.as_ref());
    let train = join(train, besides)?;
    let from = train.origin().unwrap_or_default().to_owned();
    let of = judged.origin().unwrap_or_default().to_owned();
    let kept = if of.contains(" and ") { "are" } else { "is" };
    let (mut labelled, mut rest) = (None, Some(format!("{of} {kept} kept from training, to test")));
    if how.labels {
        let ClassMatchResult { source: judged, unknown } = matched(&judged, train.as_ref());
        let part = |of: &Arc<dyn PictureSource>, most| SubsetSource::labelled(of, most, seed).map(Arc::new);
        if let (Some(look_up), Some(predict)) = (part(&train, LOOK_UP), part(&judged, PREDICT)) {
            let beyond = match unknown.is_empty() {
                true => String::new(),
                false => format!(", but not what {from} lacks: {}", named(&unknown)),
            };
            rest = Some(format!("k-NN predicts {} pictures from {of}{beyond}", predict.len()));
            labelled = Some(LabelledSplit { train: look_up, test: predict });
        }
    }
    let (train, from) = match drawn.is_empty() {
        true => (train, from),
        false => {
            labelled = labelled.or_else(|| Some(held_out(recipe)));
            (join(parts, Some(judged.as_ref()))?, recipe.data.path.to_string())
        }
    };
    let rest_of = rest.iter().map(|rest| format!("; {rest}")).collect::<String>();
    let description = format!("{} pictures from {}{rest_of}", train.len(), from);
    Ok(RunDataSources { train, labelled, description, rest })
}

/// All pictures of a folder, a list or an IDX file in one piece, or a single picture.
///
/// # Errors
/// Names the path and what was expected there.
pub fn open_path(path: &Path, labels: bool) -> Result<Arc<dyn PictureSource>, DataError> {
    let how = SourceOptions { labels, ..SourceOptions::default() };
    let gathered = gather(&[path.to_owned()], how)?;
    join(gathered.into_iter().map(|part| part.whole(how)).collect(), None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_testing::folder;

    fn sources(root: &Path, labels: bool) -> RunDataSources {
        of_several(&[root], labels)
    }

    fn of_several(places: &[&Path], labels: bool) -> RunDataSources {
        let pairs = [format!("data.path={places:?}"), format!("data.labels={labels}")];
        open(&Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()).unwrap()
    }

    fn names(source: &dyn PictureSource) -> Vec<String> {
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
        let LabelledSplit { train, test } = with.labelled.unwrap();
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
        assert!(without.description.ends_with(&format!("; {name}/val is kept from training, to test")));
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
            ("shard.tar", &tar, "no tar file"),
            ("pictures.zip", b"PK\x03\x04more", "no whole zip file"),
            ("train.parquet", b"PAR1more", "the file is damaged"),
            ("list.txt", b"a.png\nb.png\n", "line 1 names"),
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

    #[test]
    fn several_places_are_trained_on_together_and_halves_are_kept_apart() {
        let root = folder(&[
            "h/train/a/1.png",
            "h/train/b/1.png",
            "h/val/a/1.png",
            "h/val/b/1.png",
            "f/c/1.png",
            "f/c/2.png",
        ]);
        let [halves, plain, val] = ["h", "f", "h/val"].map(|place| root.path().join(place));
        let both = of_several(&[&plain, &halves], true);
        assert_eq!(
            names(both.train.as_ref()),
            ["f/c/1.png", "f/c/2.png", "h/train/a/1.png", "h/train/b/1.png"]
        );
        assert_eq!(both.train.classes(), ["a", "b", "c"]);
        assert_eq!(both.labelled.unwrap().test.len(), 2);
        assert_eq!(both.description, "4 pictures from f and h/train; k-NN predicts 2 pictures from h/val");
        // What is judged is not trained on, though it was named as well.
        let named = of_several(&[&halves, &val], true);
        assert_eq!(named.train.len(), 2);
        assert!(named.train.notes().iter().any(|note| note.contains("not learned from: 2")));

        let plain = of_several(&[&plain, &halves.join("train")], true);
        assert_eq!((plain.train.len(), plain.train.classes().len()), (4, 3));
        let places = format!("{}, {}", root.path().join("f").display(), halves.join("train").display());
        assert_eq!(plain.description, format!("4 pictures from {places}"));
    }

    /// A few small built-in pictures.
    const FEW: [&str; 3] = ["data.scenes=6", "data.scene_size=16", "data.scene_kind=varied"];

    fn opened(pairs: &[&str]) -> Result<(Recipe, RunDataSources), String> {
        let pairs: Vec<String> = FEW.iter().chain(pairs).map(|pair| (*pair).to_owned()).collect();
        let recipe = Recipe::preset("nano").unwrap().with_overrides(&pairs).map_err(|e| e.to_string())?;
        let sources = open(&recipe).map_err(|e| e.to_string())?;
        Ok((recipe, sources))
    }

    #[test]
    fn scenes_are_of_the_kind_that_is_named_and_judged_by_their_like() {
        for (pairs, kind) in [
            (&["data.path=scenes"][..], SceneKind::Varied),
            (&["data.scene_kind=easy"], SceneKind::Easy),
            (&["data.path=scenes:easy"], SceneKind::Easy),
            (&["data.path=scenes:varied", "data.scene_kind=easy"], SceneKind::Varied),
            (&["data.path=procedural"], SceneKind::Varied),
        ] {
            let (recipe, sources) = opened(pairs).unwrap();
            let LabelledSplit { train, test } = sources.labelled.clone().unwrap();
            for (half, seed) in [(train, 1 << 32), (test, (1 << 32) + 1)] {
                assert_eq!(half.load(3).unwrap(), kind.draw(seed, 3, 16).picture, "{pairs:?}");
                assert_eq!(half.classes(), kind.classes());
            }
            assert_eq!(sources.to_watch(&recipe)[1], kind.draw(WATCH_SEED, 1, 128).picture);
            if pairs[0] != "data.path=procedural" {
                assert_eq!(sources.train.load(2).unwrap(), kind.draw(0, 2, 16).picture);
                assert_eq!(sources.description, format!("6 built-in scenes, {kind}"));
            } else {
                assert_eq!((sources.train.classes().len(), sources.train.len()), (0, 6));
                assert_eq!(sources.description, "6 procedural pictures");
            }
        }
    }

    #[test]
    fn a_run_of_before_scenes_had_kinds_has_its_pictures() {
        let (recipe, _) = opened(&["data.scene_kind=easy"]).unwrap();
        let text = recipe.to_toml().unwrap().replace("scene_kind = \"easy\"\n", "");
        assert!(!text.contains("scene_kind"));
        let sources = open(&Recipe::from_toml(&text, &[]).unwrap()).unwrap();
        let before = ScenesSource::new(0, 6, 16);
        assert_eq!(names(sources.train.as_ref()), names(&before));
        for index in 0..6 {
            assert_eq!(sources.train.load(index).unwrap(), before.load(index).unwrap());
        }
        assert_eq!(sources.labelled.unwrap().train.classes().len(), 12);
    }

    #[test]
    fn built_in_pictures_are_mixed_with_each_other_and_with_folders() {
        let both = r#"data.path=["scenes:varied*0.75", "procedural*0.25"]"#;
        let (_, sources) = opened(&[both]).unwrap();
        let of = |sources: &RunDataSources, word: &str| {
            names(sources.train.as_ref()).iter().filter(|name| name.contains(word)).count()
        };
        assert_eq!((of(&sources, "scene "), of(&sources, "procedural ")), (18, 6));
        assert!(sources.labelled.is_some() && sources.description.contains("procedural*0.25"));

        let root = folder(&["a/1.png", "a/2.png", "b/1.png", "b/2.png"]);
        let place = root.path().display();
        let (_, plain) = opened(&[&format!(r#"data.path=["{place}", "procedural"]"#)]).unwrap();
        assert_eq!((plain.train.len(), of(&plain, "procedural ")), (10, 6));
        let mixed = format!(r#"data.path=["{place}*0.5", "procedural*0.5"]"#);
        let (_, shared) = opened(&[&mixed]).unwrap();
        assert_eq!((shared.train.len(), of(&shared, "procedural ")), (12, 6));
        assert_eq!(
            shared.labelled.unwrap().test.classes().len(),
            28,
            "by scenes, as the folder has no classes"
        );
        let (_, classes) = opened(&[&mixed, "data.labels=true"]).unwrap();
        assert_eq!(classes.labelled.unwrap().test.classes(), ["a", "b"]);
        assert!(
            opened(&[&mixed.replace("procedural*0.5", "procedural")]).err().unwrap().contains("has none")
        );

        let halves = folder(&["train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/2.png"]);
        let mixed = format!(r#"data.path=["{}*1", "scenes*2"]"#, halves.path().display());
        let (_, halves) = opened(&[&mixed, "data.labels=true"]).unwrap();
        assert_eq!((halves.train.len(), of(&halves, "scene ")), (9, 6));
        assert_eq!(halves.labelled.unwrap().test.classes(), ["a", "b"]);
        assert!(halves.description.contains("k-NN predicts 2 pictures"), "{}", halves.description);
    }

    #[test]
    fn a_table_of_classes_is_a_place_like_others() {
        let root = folder(&["p/1.png", "p/2.png", "p/3.png", "p/4.png"]);
        let table = root.path().join("labels.csv");
        let text = "path,label\np/1.png,owl\np/2.png,cat\np/3.png,owl\np/4.png,cat\n";
        std::fs::write(&table, text).unwrap();
        let with = sources(&table, true);
        assert_eq!((with.train.classes().len(), with.train.len(), with.rest), (2, 4, None));
        assert!(with.labelled.is_some());
        let without = sources(&table, false);
        assert!(without.labelled.is_none() && without.description.contains("data.labels = true takes them"));
    }
}
