//! Runs on a person's own pictures: what is measured of them without labels, and what is shown of before and after.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::film;
use super::recipe::Recipe;
use super::run::{MetricsLine, RunFolder};
use super::{own, sources, summary};
use crate::analysis::image_out::write_png;
use crate::data::source::scenes;
use crate::device::{block_on, cpu};
use crate::engine::{self, RunEvent, RunRanks, TrainJob};
use crate::eval::Accuracy;

/// So many pictures in a folder, without labels.
fn photos(folder: &Path, count: u64) {
    std::fs::create_dir_all(folder).unwrap();
    for index in 0..count {
        write_png(&folder.join(format!("{index:03}.png")), &scenes::draw(7, index as usize, 40).picture)
            .unwrap();
    }
}

/// Goes on from the starter weights for a few steps.
fn recipe(photos: &Path, more: &[&str]) -> Recipe {
    let place = format!("data.path={:?}", photos.to_str().unwrap());
    let few = [
        place.as_str(),
        "train.iterations=4",
        "train.batch=4",
        "train.workers=1",
        "crops.locals=1",
        "optim.warmup=1",
        "start.hold_backbone=1",
        "train.picture_every=2",
        "train.evaluate_every=2",
    ];
    let pairs: Vec<String> = few.iter().chain(more).map(|pair| (*pair).to_owned()).collect();
    own::recipe("starter").unwrap().with_overrides(&pairs).unwrap()
}

fn run(folder: RunFolder, recipe: &Recipe, resume: bool) -> Vec<RunEvent> {
    let sources = sources::open(recipe).unwrap();
    let watch = sources.to_watch(recipe).into_iter().take(2).collect();
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
    std::iter::from_fn(|| block_on(handle.events.recv()).ok()).map(Result::unwrap).collect()
}

fn crops(events: &[RunEvent]) -> Vec<(u64, Accuracy, Option<Accuracy>)> {
    let found = |event: &RunEvent| match event {
        RunEvent::Crops { iteration, accuracy, raw_pixels } => Some((*iteration, *accuracy, *raw_pixels)),
        _ => None,
    };
    events.iter().filter_map(found).collect()
}

fn crop_lines(lines: &[MetricsLine]) -> Vec<&MetricsLine> {
    lines.iter().filter(|line| line.values.contains_key("crops_top1")).collect()
}

#[test]
fn pictures_without_labels_have_a_figure_and_the_report_shows_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let [pictures, path] = ["photos", "run"].map(|name| dir.path().join(name));
    photos(&pictures, 12);
    let recipe = recipe(&pictures, &[]);
    let events = run(RunFolder::create(&path, &recipe).unwrap(), &recipe, false);
    assert!(!events.iter().any(|event| matches!(event, RunEvent::Evaluation { .. })), "no labels, no k-NN");
    let measured = crops(&events);
    assert_eq!(measured.iter().map(|(step, ..)| *step).collect::<Vec<_>>(), [0, 2, 4]);
    assert!(
        measured
            .iter()
            .all(|(_, accuracy, raw)| accuracy.total == 12 && raw.is_none_or(|raw| raw.total == 12))
    );
    assert_eq!(measured.iter().map(|(.., raw)| raw.is_some()).collect::<Vec<_>>(), [true, false, false]);

    // What came out is among the figures, with what its interval is computed from.
    let folder = RunFolder::open(&path).unwrap();
    let lines = folder.lines();
    let written = crop_lines(&lines);
    assert_eq!(written.len(), 3);
    let last = measured[2].1;
    let keys = ["crops_top1", "crops_correct", "crops_total"].map(|key| written[2].values[key]);
    assert_eq!(keys, [Some(last.value()), Some(last.correct as f64), Some(12.0)]);
    assert!(written[0].values.contains_key("crops_raw_pixels_top1"));

    // Of the neighbours the first moment and the newest are kept.
    let sheets: Vec<u64> = super::neighbours::files(&folder).into_iter().map(|(step, _)| step).collect();
    assert_eq!(sheets, [0, 4]);
    let rows = summary::before_and_after_pictures(&folder, &recipe);
    let captions: Vec<Vec<&str>> =
        rows.iter().map(|row| row.pictures.iter().map(|(caption, _)| caption.as_str()).collect()).collect();
    assert_eq!(
        captions,
        [vec!["the pictures", "as it began", "after 4 steps"], vec!["as it began", "after 4 steps"]]
    );

    let report = std::fs::read_to_string(folder.report_file()).unwrap();
    for shown in
        ["Before and after", "Crop retrieval", "as it began", "raw pixels", "Nearest neighbours of a few"]
    {
        assert!(report.contains(shown), "{shown}");
    }
    let told =
        report.split("<p class=\"verdict").find(|part| part.contains("two crops of one picture")).unwrap();
    assert!(told.contains("These pictures") && told.contains("after 4 steps"), "{told}");
    assert!(report.matches("after 4 steps</figcaption>").count() == 2 && !report.contains("untrained"));
    // The film's own pictures are no neighbours.
    assert_eq!(film::frames(&folder, super::watch::WatchFrameKind::Pca).len(), 3);
}

#[test]
fn before_and_after_see_the_same_crops_and_a_run_that_goes_on_too() {
    let dir = tempfile::tempdir().unwrap();
    let [pictures, straight, halves] = ["photos", "straight", "halves"].map(|name| dir.path().join(name));
    photos(&pictures, 12);
    // Without a step that does anything nothing changes, whichever crops a step was given.
    let still = recipe(&pictures, &["optim.base_lr=0", "optim.min_lr=0", "optim.momentum=1"]);
    let events = run(RunFolder::create(&straight, &still).unwrap(), &still, false);
    let measured = crops(&events);
    assert!(measured.iter().all(|(_, accuracy, _)| *accuracy == measured[0].1), "{measured:?}");
    let report = std::fs::read_to_string(straight.join("report.html")).unwrap();
    assert!(report.contains("These pictures did not make the features better"));

    let recipe = recipe(&pictures, &["train.checkpoint_every=2"]);
    let all = crops(&run(RunFolder::create(&halves, &recipe).unwrap(), &recipe, false));
    std::fs::remove_dir_all(halves.join("checkpoints/000004")).unwrap();
    let again = crops(&run(RunFolder::reopen(&halves, &recipe).unwrap(), &recipe, true));
    assert_eq!(again, all[2..]);
    let lines = RunFolder::open(&halves).unwrap().lines();
    assert_eq!(crop_lines(&lines).iter().map(|line| line.iteration).collect::<Vec<_>>(), [0, 2, 4]);
}

#[test]
fn pictures_with_labels_have_both_figures_and_too_few_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("photos");
    for class in ["a", "b"] {
        photos(&pictures.join(class), 8);
    }
    let labelled = recipe(&pictures, &["data.labels=true", "train.evaluate_every=4"]);
    let path = dir.path().join("labelled");
    let events = run(RunFolder::create(&path, &labelled).unwrap(), &labelled, false);
    let knn = events.iter().filter(|event| matches!(event, RunEvent::Evaluation { .. })).count();
    assert_eq!((knn, crops(&events).len()), (2, 2));
    let report = std::fs::read_to_string(path.join("report.html")).unwrap();
    assert!(report.contains("k-NN on their classes: ") && report.contains("<dt>k-NN accuracy</dt>"));

    let one = dir.path().join("one");
    photos(&one, 1);
    let alone = recipe(&one, &["train.iterations=2"]);
    let path = dir.path().join("alone");
    let events = run(RunFolder::create(&path, &alone).unwrap(), &alone, false);
    assert!(crops(&events).is_empty() && matches!(events.last(), Some(RunEvent::Finished(_))));
}
