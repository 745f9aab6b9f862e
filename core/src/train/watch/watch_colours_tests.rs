//! Runs that go on, here and elsewhere, and runs that begin with another: their pictures keep their colours.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::data::augment::resize_to;
use crate::data::decode::decode_file;
use crate::data::source::scenes;
use crate::device::{block_on, cpu};
use crate::engine::{self, RunRanks, TrainJob};
use crate::files;
use crate::train::film;
use crate::train::run::RunFolder;
use crate::train::watch::{BACKDROP, WatchFrameKind};
use crate::train::{Recipe, adapt, archive, sources};

fn recipe() -> Recipe {
    let pairs = [
        "model.depth=2",
        "model.dim=48",
        "crops.global_size=32",
        "crops.local_size=16",
        "crops.locals=2",
        "head.prototypes=64",
        "head.hidden=32",
        "data.scenes=24",
        "data.scene_size=32",
        "optim.warmup=2",
        "train.iterations=24",
        "train.batch=8",
        "train.workers=1",
        "train.report_every=8",
        "train.picture_every=4",
        "train.evaluate_every=0",
        "train.checkpoint_every=10",
        "train.keep_checkpoints=9",
    ];
    Recipe::preset("nano").unwrap().with_overrides(&pairs.map(str::to_owned)).unwrap()
}

fn run(dir: &Path, recipe: &Recipe, resume: bool) {
    run_watching(dir, recipe, resume, None);
}

fn run_watching(dir: &Path, recipe: &Recipe, resume: bool, watch: Option<Vec<Picture>>) {
    let folder = match resume {
        true => RunFolder::reopen(dir, recipe).unwrap(),
        false => RunFolder::create(dir, recipe).unwrap(),
    };
    let sources = sources::open(recipe).unwrap();
    let watch = watch.unwrap_or_else(|| sources.to_watch(recipe));
    let (recipe, folder) = (recipe.clone(), Some(folder));
    let handle = engine::start(TrainJob {
        recipe,
        device: cpu(None),
        sources,
        watch,
        folder,
        resume,
        ranks: RunRanks::default(),
    });
    std::iter::from_fn(|| block_on(handle.events.recv()).ok()).for_each(|event| drop(event.unwrap()));
}

/// The colours after some steps, as they lie on disk.
fn colours(run: &Path, step: u64) -> Picture {
    let folder = RunFolder::open(run).unwrap();
    let (_, file) =
        film::frames(&folder, WatchFrameKind::Pca).into_iter().find(|(at, _)| *at == step).unwrap();
    decode_file(&file).unwrap()
}

/// Correlation of all values of two pictures of the same size, without what lies between the watched pictures in `a`.
fn likeness(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let pixels = a.rgb.chunks_exact(3).zip(b.rgb.chunks_exact(3)).filter(|(a, _)| **a != BACKDROP);
    let pairs: Vec<(f64, f64)> =
        pixels.flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (f64::from(*a), f64::from(*b))).collect();
    let count = pairs.len() as f64;
    let means = pairs.iter().fold((0.0, 0.0), |s, (a, b)| (s.0 + a / count, s.1 + b / count));
    let (mut product, mut squares) = (0.0, (0.0, 0.0));
    for (a, b) in pairs {
        let (a, b) = (a - means.0, b - means.1);
        product += a * b;
        squares = (squares.0 + a * a, squares.1 + b * b);
    }
    product / (squares.0 * squares.1).sqrt()
}

/// The largest difference of a value.
fn apart(a: &Picture, b: &Picture) -> u8 {
    a.rgb.iter().zip(&b.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// As if the process had ended at step 10: what came later is gone.
fn cut(run: &Path) {
    for later in ["000020", "000024"] {
        files::remove_dir_all(run.join("checkpoints").join(later)).unwrap();
    }
}

/// Every component the other way round, as it may come out of any fit.
fn turn(checkpoint: &Path) {
    let mut kept = tensors::read(&checkpoint.join(FILE), None).unwrap();
    for name in ["directions", "scores"] {
        kept.get_mut(name).unwrap().data.iter_mut().for_each(|v| *v = -*v);
    }
    let (low, high) = (kept["range.low"].clone(), kept["range.high"].clone());
    let negative = |of: HostTensor| HostTensor::new([3], of.data.iter().map(|v| -v).collect());
    kept.insert("range.low".to_owned(), negative(high));
    kept.insert("range.high".to_owned(), negative(low));
    tensors::write(&checkpoint.join(FILE), &kept, "{}").unwrap();
    // The digests are not what is tried here: as an older version wrote it, without.
    let file = checkpoint.join("state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&files::read(&file).unwrap()).unwrap();
    state.as_object_mut().unwrap().remove("sha256");
    files::write(&file, state.to_string()).unwrap();
}

#[test]
fn a_run_that_goes_on_has_the_colours_of_one_that_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let [straight, moved] = ["straight", "moved"].map(|name| dir.path().join(name));
    let recipe = recipe();
    run(&straight, &recipe, false);
    let wanted: Vec<Picture> = [8, 12, 24].iter().map(|step| colours(&straight, *step)).collect();

    // On another computer, out of one file.
    cut(&straight);
    archive::unpack(&archive::pack(&straight).unwrap(), &moved).unwrap();
    for path in [&straight, &moved] {
        run(path, &recipe, true);
        let found: Vec<Picture> = [8, 12, 24].iter().map(|step| colours(path, *step)).collect();
        for (wanted, found) in wanted.iter().zip(&found) {
            assert!(apart(wanted, found) <= 2, "{} in {}", apart(wanted, found), path.display());
        }
        let like = likeness(&found[0], &found[1]);
        assert!(like > 0.5, "the last picture before and the first after: {like}");
    }

    // The colours that were kept are what decides: with every axis turned round, light is dark.
    cut(&straight);
    turn(&straight.join("checkpoints/000010"));
    run(&straight, &recipe, true);
    let like = likeness(&wanted[1], &colours(&straight, 12));
    assert!(like < -0.8, "{like}");
}

#[test]
fn checkpoints_without_colours_or_with_damaged_ones_are_gone_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe();
    let path = dir.path().join("run");
    run(&path, &recipe, false);
    let checkpoint = path.join("checkpoints/000010");
    for damage in [true, false] {
        cut(&path);
        match damage {
            true => files::write(checkpoint.join(FILE), "torn").unwrap(),
            false => files::remove_file(checkpoint.join(FILE)).unwrap(),
        }
        run(&path, &recipe, true);
        let folder = RunFolder::open(&path).unwrap();
        assert_eq!(folder.latest_checkpoint().unwrap().0, 24);
        assert!(path.join("checkpoints/000024").join(FILE).is_file());
        assert!(
            !files::read_dir(path.join("checkpoints"))
                .unwrap()
                .flatten()
                .any(|entry| { entry.file_name().to_string_lossy().contains("damaged") })
        );
    }
}

#[test]
fn an_adaptation_begins_in_the_colours_of_its_run() {
    let dir = tempfile::tempdir().unwrap();
    let [first, adapted] = ["first", "adapted"].map(|name| dir.path().join(name));
    run(&first, &recipe(), false);
    let before = colours(&first, 24);
    let larger = adapt::recipe(&recipe(), &first, 64, Some(4)).unwrap();
    for turned in [false, true] {
        if turned {
            turn(&first.join("checkpoints/000024"));
            files::remove_dir_all(&adapted).unwrap();
        }
        run(&adapted, &larger, false);
        let after = resize_to(&colours(&adapted, 0), before.width, before.height);
        let like = likeness(&before, &after) * if turned { -1.0 } else { 1.0 };
        assert!(like > 0.4, "turned: {turned}, {like}");
    }
}

#[test]
fn other_pictures_follow_by_what_the_colours_mean() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe();
    let path = dir.path().join("run");
    run(&path, &recipe, false);
    cut(&path);
    let other: Vec<Picture> = (0..6).map(|i| scenes::draw(77, i, 64).picture).collect();
    let kept = crate::train::checkpoint::colours_of(&path.join("checkpoints/000010")).unwrap();
    let own = sources::open(&recipe).unwrap().to_watch(&recipe);
    let views = |of: &[Picture]| of.iter().map(|p| crate::train::watch::view(p, &recipe)).collect::<Vec<_>>();
    let patches = |pca: &Pca| pca.kept()["scores"].shape[0];
    assert!(patches(&kept.clone().for_views(&views(&own))) > 0);
    assert_eq!(patches(&kept.for_views(&views(&other))), 0, "scores of other patches say nothing");
    run_watching(&path, &recipe, true, Some(other));
    assert!(colours(&path, 24).width > 0);
}

#[test]
fn a_picture_is_known_again_at_another_size_and_from_others() {
    let (large, other) = (scenes::draw(1, 0, 96).picture, scenes::draw(1, 1, 96).picture);
    let small = resize_to(&large, 40, 40);
    let far = |a: &Picture, b: &Picture| {
        colour_signature(a).iter().zip(colour_signature(b)).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max)
    };
    assert!(far(&large, &small) <= SAME, "{}", far(&large, &small));
    assert!(far(&large, &other) > 2.0 * SAME, "{}", far(&large, &other));
    assert_eq!(colour_signature(&Picture::of_rgb(1, 1, vec![7, 8, 9])).len(), FIELDS * FIELDS * 3);
}
