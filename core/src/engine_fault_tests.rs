//! Runs to which something happens: numbers that are none, disks that are full, pictures that go away.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::tests::{finished, first_step, job, recipe, rest};
use super::*;
use crate::analysis::image_out::write_png;
use crate::data::source::scenes;
use crate::device::{block_on, cpu};
use crate::files::full;
use crate::train::run::RunFolder;
use crate::train::{checkpoint, sources};

/// In range, and not finite after some steps.
const DIVERGING: [&str; 5] = [
    "optim.base_lr=10",
    "optim.weight_decay=10",
    "optim.weight_decay_end=10",
    "optim.clip=0",
    "train.keep_checkpoints=1",
];

/// Events up to the last one, and the error that ended the run.
fn failed(handle: &RunHandle) -> (Vec<RunEvent>, EngineError) {
    let mut events = Vec::new();
    loop {
        match block_on(handle.events.recv()).unwrap() {
            Ok(RunEvent::Finished(finished)) => panic!("it ended in order: {finished:?}"),
            Ok(event) => events.push(event),
            Err(error) => return (events, error),
        }
    }
}

/// The only checkpoint that is kept; all its numbers are finite.
fn good(folder: &Path) -> std::path::PathBuf {
    let kept = checkpoint::list(&folder.join("checkpoints"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    for file in ["student", "teacher", "optimizer"] {
        let bytes = std::fs::read(kept[0].1.join(format!("{file}.safetensors"))).unwrap();
        for (name, tensor) in safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let numbers = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
            assert!(numbers.into_iter().all(f32::is_finite), "{file} {name}");
        }
    }
    kept[0].1.clone()
}

fn warnings(events: &[RunEvent]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| if let RunEvent::Warning(text) = event { Some(text.as_str()) } else { None })
        .collect()
}

#[test]
fn weights_that_are_not_finite_never_take_the_place_of_a_good_checkpoint() {
    for every in ["train.checkpoint_every=1", "train.checkpoint_every=3"] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        let more = [&DIVERGING[..], &["train.iterations=400", every]].concat();
        let (_, error) = failed(&start(job(&folder, &recipe(&more))));
        let good = good(&folder);
        let EngineError::NotFinite { iteration, health, kept } = &error else { panic!("{error}") };
        assert!(kept.contains(&good.display().to_string()), "{error}");
        assert!(health.contains("Not finite") && error.to_string().contains(&format!("step {iteration}")));
        let step: u64 = good.file_name().unwrap().to_str().unwrap().parse().unwrap();
        assert!(step <= *iteration, "{error}");
        // From there it goes on: the folder is not lost.
        let recipe = recipe(&more);
        let mut job = TrainJob {
            sources: sources::open(&recipe).unwrap(),
            device: cpu(None),
            watch: Vec::new(),
            folder: Some(RunFolder::reopen(&folder, &recipe).unwrap()),
            resume: true,
            recipe,
            ranks: RunRanks::default(),
        };
        job.recipe.train.iterations = step;
        assert_eq!(finished(&rest(&start(job).events)).iteration, step);
    }
}

#[test]
fn a_checkpoint_that_is_asked_for_is_looked_at_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    // No report ever sees the loss.
    let more = ["train.iterations=100000", "train.report_every=1000000"];
    let handle = start(job(&folder, &recipe(&[&DIVERGING[..], &more].concat())));
    let mut seen = 0;
    let error = 'asking: loop {
        let _ = handle.commands.try_send(RunCommand::Checkpoint);
        // One that was asked for at a step that is kept already has no answer: ask again.
        std::thread::sleep(std::time::Duration::from_millis(5));
        while let Ok(item) = handle.events.try_recv() {
            match item {
                Ok(RunEvent::Checkpoint { .. }) => seen += 1,
                Ok(_) => {}
                Err(error) => break 'asking error,
            }
        }
    };
    assert!(matches!(&error, EngineError::NotFinite { .. }) && seen > 0, "{error}");
    assert!(error.to_string().contains(&good(&folder).display().to_string()), "{error}");
}

#[test]
fn what_lies_beside_a_run_never_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let more =
        ["train.iterations=6", "train.picture_every=2", "train.evaluate_every=6", "evaluate.linear=true"];
    let mut job = job(&folder, &recipe(&more));
    job.watch = vec![job.sources.train.load(0).unwrap()];
    for (name, is_file) in
        [("tensorboard", true), ("pictures", true), ("evaluations", true), ("report.html", false)]
    {
        let path = folder.join(name);
        let _ = std::fs::remove_dir_all(&path);
        // In the way of what would be written there.
        if is_file {
            std::fs::write(path, "").unwrap()
        } else {
            std::fs::create_dir_all(path.join("full")).unwrap()
        }
    }
    let events = rest(&start(job).events);
    let end = finished(&events);
    assert!(!end.stopped && end.iteration == 6 && end.report.is_none(), "{end:?}");
    assert!(end.checkpoint.as_ref().unwrap().join("state.json").is_file());
    for what in ["TensorBoard's events", "pictures", "evaluations", "the report"] {
        let without = format!("goes on without {what}");
        let said = warnings(&events).iter().filter(|text| text.contains(&without)).count();
        assert_eq!(said, 1, "{what}: {:?}", warnings(&events));
    }
    let lines = RunFolder::open(&folder).unwrap().lines();
    assert_eq!(lines.iter().filter(|line| line.values.contains_key("loss")).count(), 6);
}

#[test]
fn a_full_disk_is_waited_for_and_an_error_only_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    full::set(&folder, true);
    let recipe = recipe(&["train.iterations=300", "train.checkpoint_every=2", "train.report_every=100"]);
    let handle = start(job(&folder, &recipe));
    let mut said = Vec::new();
    while said.len() < 2 {
        if let RunEvent::Warning(text) = block_on(handle.events.recv()).unwrap().unwrap() {
            said.push(text);
        }
    }
    assert!(said[0].contains("nothing of this run can be kept until there is room"), "{said:?}");
    assert!(said[1].contains("0 B are free") && said[1].contains("The run goes on"), "{said:?}");
    full::set(&folder, false);
    let events = rest(&handle.events);
    assert!(
        !warnings(&events).iter().any(|text| text.contains("room")),
        "it was said: {:?}",
        warnings(&events)
    );
    assert_eq!(finished(&events).iteration, 300);
    let kept = checkpoint::list(&folder.join("checkpoints"));
    assert_eq!(kept.last().unwrap().0, 300);

    // Full again at the end of another run: what was kept before is whole.
    let folder = dir.path().join("other");
    let handle = start(job(&folder, &recipe));
    while !matches!(block_on(handle.events.recv()).unwrap().unwrap(), RunEvent::Checkpoint { .. }) {}
    full::set(&folder, true);
    let (_, error) = failed(&handle);
    assert!(error.to_string().contains("no room for a checkpoint"), "{error}");
    let kept = checkpoint::list(&folder.join("checkpoints"));
    assert!(!kept.is_empty() && kept.iter().all(|(_, path)| path.join("teacher.safetensors").is_file()));
    full::set(&folder, false);
}

/// A folder of so many pictures.
fn pictures(dir: &Path, count: usize) {
    std::fs::create_dir_all(dir).unwrap();
    for i in 0..count {
        write_png(&dir.join(format!("{i:03}.png")), &scenes::draw(3, i % 7, 12).picture).unwrap();
    }
}

#[test]
fn a_run_whose_pictures_go_away_is_kept_and_goes_on_when_they_are_back() {
    let dir = tempfile::tempdir().unwrap();
    let [photos, away, folder] = ["photos", "away", "run"].map(|name| dir.path().join(name));
    pictures(&photos, 800);
    let data = format!("data.path={photos:?}");
    let recipe = recipe(&[&data, "train.iterations=150", "train.batch=8"]);
    let handle = start(job(&folder, &recipe));
    first_step(&handle);
    std::fs::rename(&photos, &away).unwrap();
    let (events, error) = failed(&handle);
    let text = error.to_string();
    assert!(
        text.contains(&photos.display().to_string()) && text.contains("are gone; bring them back"),
        "{text}"
    );
    assert!(text.contains("--resume"), "{text}");
    let Some(RunEvent::Checkpoint { iteration, path }) = events.last() else { panic!("{:?}", events.last()) };
    assert!(text.contains(&path.display().to_string()) && (1..150).contains(iteration), "{text}");

    std::fs::rename(&away, &photos).unwrap();
    let job = TrainJob {
        sources: sources::open(&recipe).unwrap(),
        device: cpu(None),
        watch: Vec::new(),
        folder: Some(RunFolder::reopen(&folder, &recipe).unwrap()),
        resume: true,
        recipe,
        ranks: RunRanks::default(),
    };
    assert_eq!(finished(&rest(&start(job).events)).iteration, 150);
}

#[test]
fn a_run_does_not_go_on_with_what_is_left_of_its_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    pictures(&photos, 60);
    let data = format!("data.path={photos:?}");
    let recipe = recipe(&[&data, "train.iterations=40"]);
    // A few are gone: each is named, and the run goes on. Then half of them are.
    for (gone, wanted) in [(8, None), (30, Some("of 60 pictures can't be read any more"))] {
        let job = job(&dir.path().join(format!("run-{gone}")), &recipe);
        for i in 0..gone {
            let _ = std::fs::remove_file(photos.join(format!("{i:03}.png")));
        }
        let handle = start(job);
        match wanted {
            None => assert_eq!(finished(&rest(&handle.events)).skipped.len(), gone),
            Some(wanted) => {
                let text = failed(&handle).1.to_string();
                assert!(text.contains(wanted) && text.contains("bring them back"), "{text}");
            }
        }
        pictures(&photos, 60);
    }
}

#[test]
fn all_in_memory_needs_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    pictures(&photos, 12);
    let data = format!("data.path={photos:?}");
    let handle =
        start(job(&dir.path().join("run"), &recipe(&[&data, "train.iterations=60", "train.workers=1"])));
    // After three passes all of them were seen.
    while first_step(&handle).iteration < 12 {}
    std::fs::remove_dir_all(&photos).unwrap();
    let events = rest(&handle.events);
    assert!(finished(&events).skipped.is_empty(), "{events:?}");
}
