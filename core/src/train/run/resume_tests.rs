//! Runs that go on: elsewhere, for longer, from an older checkpoint, and not with other pictures.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::analysis::image_out::write_png;
use crate::data::source::scenes;
use crate::device::{block_on, cpu};
use crate::engine::RunRanks;
use crate::engine::{self, RunEvent};
use crate::train::schedule::TrainSchedules;
use crate::train::{paths, run_lock, sources};
use crate::weights::HostTensor;
use dinoscope_testing::SMALL_RUN;

fn recipe(more: &[String]) -> Recipe {
    let all: Vec<String> =
        SMALL_RUN.iter().map(|pair| (*pair).to_owned()).chain(more.iter().cloned()).collect();
    Recipe::preset("nano").unwrap().with_overrides(&all).unwrap()
}

fn pair(key: &str, value: &Path) -> String {
    format!("{key}={:?}", value.to_string_lossy())
}

fn run(dir: &Path, recipe: &Recipe, resume: bool) -> Result<Vec<RunEvent>, EngineError> {
    let folder = if resume { RunFolder::reopen(dir, recipe)? } else { RunFolder::create(dir, recipe)? };
    let sources = sources::open(recipe)?;
    let watch = sources.to_watch(recipe).into_iter().take(1).collect();
    let job = TrainJob {
        recipe: recipe.clone(),
        device: cpu(None),
        sources,
        watch,
        folder: Some(folder),
        resume,
        ranks: RunRanks::default(),
    };
    let handle = engine::start(job);
    std::iter::from_fn(|| block_on(handle.events.recv()).ok()).collect()
}

fn warnings(events: &[RunEvent]) -> String {
    let warning = |event: &RunEvent| match event {
        RunEvent::Warning(text) => Some(text.clone() + "\n"),
        _ => None,
    };
    events.iter().filter_map(warning).collect()
}

fn losses(run: &Path) -> Vec<(u64, Option<f64>)> {
    let lines = RunFolder::open(run).unwrap().lines();
    lines.iter().filter_map(|line| Some((line.iteration, *line.values.get("loss")?))).collect()
}

/// So many pictures in a folder.
fn pictures(folder: &Path, count: usize) {
    files::create_dir_all(folder).unwrap();
    for i in 0..count {
        write_png(&folder.join(format!("{i}.png")), &scenes::draw(5, i, 16).picture).unwrap();
    }
}

/// As if the last checkpoint had never been written.
fn unfinished(run: &Path) {
    files::remove_dir_all(run.join("checkpoints/000006")).unwrap();
}

/// A recipe with another value that is given as `key=value`.
fn with(recipe: &Recipe, pair: String) -> Recipe {
    recipe.with_overrides(&[pair]).unwrap()
}

#[test]
fn a_run_goes_on_where_its_pictures_lie_now() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, path] = ["old", "new place", "run"].map(|name| dir.path().join(name));
    pictures(&old, 8);
    let before = recipe(&[pair("data.path", &old)]);
    run(&path, &before, false).unwrap();
    let want = losses(&path);
    unfinished(&path);
    files::rename(&old, &new).unwrap();

    // Where they were there is nothing, and the message names the way.
    let gone = sources::open(&before).err().unwrap();
    let told = moved_data(&path, &gone).to_string();
    let way = format!("train --resume --out {} --data NEW", path.display());
    assert!(told.contains("can't read") && told.contains(&way), "{told}");

    let now = with(&before, pair("data.path", &new));
    let changes: [(&dyn Fn(), &str); 2] = [
        (&|| pictures(&new, 9), "there were 8, there are 9"),
        (&|| files::remove_file(new.join("3.png")).unwrap(), "number 4 was 3.png, now it is 4.png"),
    ];
    for (change, said) in changes {
        change();
        // Nine, then eight of which one is another.
        let refused = run(&path, &now, true).unwrap_err().to_string();
        assert!(refused.contains(said) && refused.contains("train --start"), "{refused}");
        assert_eq!(RunFolder::open(&path).unwrap().recipe().unwrap(), before, "nothing was written");
    }
    pictures(&new, 8);
    files::remove_file(new.join("8.png")).unwrap();
    let said = warnings(&run(&path, &now, true).unwrap());
    assert!(said.contains("data.path") && said.contains("8 pictures of the same names"), "{said}");
    assert_eq!(losses(&path), want, "as if nothing had happened");
    assert_eq!(RunFolder::open(&path).unwrap().recipe().unwrap(), now);
    let changes = files::read_to_string(path.join(CHANGES)).unwrap();
    let change: serde_json::Value = serde_json::from_str(changes.trim()).unwrap();
    assert_eq!((change["iteration"].as_u64(), change["field"].as_str()), (Some(3), Some("data.path")));
    assert_eq!(change["after"].as_str(), new.to_str());

    // A run of before this was written down.
    unfinished(&path);
    files::remove_file(path.join("data.json")).unwrap();
    files::rename(&new, &old).unwrap();
    let said = warnings(&run(&path, &before, true).unwrap());
    assert!(said.contains("not written down"), "{said}");
    // Pictures that came where they were are the person's own affair.
    unfinished(&path);
    pictures(&old, 9);
    let said = warnings(&run(&path, &before, true).unwrap());
    assert!(said.contains("have changed") && said.contains("there were 8, there are 9"), "{said}");
    // Scenes are no other place of photographs.
    let scenes = with(&before, "data.path=scenes".to_owned());
    assert!(matches!(RunFolder::reopen(&path, &scenes), Err(RunError::Changed { .. })));
}

#[test]
fn a_run_of_before_scenes_had_kinds_goes_on_with_easy_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let easy = recipe(&["data.scene_kind=easy".to_owned()]);
    run(&path, &easy, false).unwrap();
    unfinished(&path);
    // As the version before wrote it.
    let file = path.join("recipe.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("scene_kind = \"easy\"\n"));
    std::fs::write(&file, text.replace("scene_kind = \"easy\"\n", "")).unwrap();
    let read = RunFolder::open(&path).unwrap().recipe().unwrap();
    assert_eq!(read, easy);
    let varied = recipe(&["data.scene_kind=varied".to_owned()]);
    let Err(RunError::Changed { field, .. }) = RunFolder::reopen(&path, &varied) else {
        panic!("other pictures")
    };
    assert_eq!(field, "data.scene_kind");
    let said = warnings(&run(&path, &read, true).unwrap());
    assert!(!said.contains("have changed"), "{said}");
}

#[test]
fn a_teacher_may_move_and_not_become_another() {
    let dir = tempfile::tempdir().unwrap();
    let [teacher, moved, other, path] =
        ["teacher", "moved", "other", "run"].map(|name| dir.path().join(name));
    run(&teacher, &recipe(&[]), false).unwrap();
    run(&other, &recipe(&["train.seed=9".to_owned()]), false).unwrap();
    let weights = |run: &Path| run.join("checkpoints/000006/teacher.safetensors");
    let of = |run: &Path| {
        let more = ["distill.method=\"regression\"".to_owned(), "crops.locals=0".to_owned()];
        recipe(&[pair("distill.teacher", &weights(run)), more[0].clone(), more[1].clone()])
    };
    run(&path, &of(&teacher), false).unwrap();
    unfinished(&path);
    files::rename(&teacher, &moved).unwrap();
    let told = run(&path, &of(&teacher), true).unwrap_err().to_string();
    let way = format!("distill --resume --out {} --teacher NEW", path.display());
    assert!(told.contains("does not exist") && told.contains(&way), "{told}");
    let told = run(&path, &of(&other), true).unwrap_err().to_string();
    assert!(told.contains("other weights than the teacher"), "{told}");
    let said = warnings(&run(&path, &of(&moved), true).unwrap());
    assert!(said.contains("distill.teacher") && said.contains("the same weights"), "{said}");
    assert_eq!(losses(&path).len(), 6);
}

#[test]
fn a_run_becomes_longer_and_never_shorter_than_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let short = recipe(&[]);
    run(&path, &short, false).unwrap();
    let done = finished(&path, &short).unwrap().unwrap();
    assert_eq!((done.iteration, done.stopped, done.report.is_some()), (6, false, true));

    let long = with(&short, "train.iterations=10".to_owned());
    assert_eq!(finished(&path, &long).unwrap().map(|done| done.iteration), None);
    let events = run(&path, &long, true).unwrap();
    let said = warnings(&events);
    assert!(said.contains("from step 6 on all schedules are those of a run of 10"), "{said}");
    let schedules = TrainSchedules::new(&long);
    let rates: Vec<(u64, f64)> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Step(step) => Some((step.iteration, step.schedule.lr)),
            _ => None,
        })
        .collect();
    assert_eq!(rates, (6..10).map(|step| (step, schedules.at(step).lr)).collect::<Vec<_>>());
    assert_eq!(losses(&path).iter().map(|(step, _)| *step).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!(finished(&path, &long).unwrap().unwrap().iteration, 10);

    let refused = RunFolder::reopen(&path, &with(&short, "train.iterations=9".to_owned())).unwrap_err();
    assert!(matches!(&refused, RunError::Shorter { done: 10, wanted: 9, .. }), "{refused}");
    let other = with(&long, "optim.clip=1".to_owned());
    assert!(finished(&path, &other).is_err(), "finished, but with other values");
}

#[test]
fn a_damaged_checkpoint_is_set_aside_for_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let chosen = recipe(&[]);
    for (name, damage) in [
        ("flipped", "student.safetensors"),
        ("flipped too", "optimizer.safetensors"),
        ("gone", "teacher.safetensors"),
        ("state", "state.json"),
    ] {
        let path = dir.path().join(name);
        run(&path, &chosen, false).unwrap();
        let want = losses(&path);
        let newest = path.join("checkpoints/000006");
        let file = newest.join(damage);
        let mut bytes = files::read(&file).unwrap();
        match damage {
            "state.json" => {
                let text = String::from_utf8(bytes).unwrap();
                files::write(&file, text.replace("\"seed\": 0", "\"seed\": 1")).unwrap();
            }
            _ if name == "gone" => files::remove_file(&file).unwrap(),
            _ => {
                // One bit of one number, which nothing but the digest shows.
                let last = bytes.len() - 3;
                bytes[last] ^= 4;
                files::write(&file, bytes).unwrap();
            }
        }
        assert_eq!(finished(&path, &chosen).unwrap().map(|done| done.iteration), None, "{name}");
        let events = run(&path, &chosen, true).unwrap();
        let said = warnings(&events);
        assert!(said.contains(damage) && said.contains("goes on from step 3"), "{name}: {said}");
        assert!(path.join("checkpoints/000006.damaged").is_dir() && newest.is_dir(), "{name}");
        assert_eq!(losses(&path), want, "{name}");
    }
    // Without an older one nothing is touched.
    let path = dir.path().join("flipped");
    files::remove_dir_all(path.join("checkpoints/000003")).unwrap();
    files::write(path.join("checkpoints/000006/teacher.safetensors"), "").unwrap();
    let refused = run(&path, &chosen, true).unwrap_err().to_string();
    assert!(refused.contains("000006/teacher.safetensors"), "{refused}");
    assert!(path.join("checkpoints/000006").is_dir());
}

/// A checkpoint of an older version, with other values of the optimizer.
fn altered(path: &Path, alter: impl FnOnce(&mut crate::weights::StateDict)) {
    let file = path.join("optimizer.safetensors");
    let (mut dict, config) = crate::train::tensors::read_with_config(&file, None).unwrap();
    alter(&mut dict);
    crate::train::tensors::write(&file, &dict, &config.unwrap()).unwrap();
    let state = path.join("state.json");
    let mut json: serde_json::Value = serde_json::from_slice(&files::read(&state).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("sha256");
    files::write(&state, json.to_string()).unwrap();
}

#[test]
fn moments_must_be_those_of_the_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let chosen = recipe(&[]);
    run(&path, &chosen, false).unwrap();
    let newest = path.join("checkpoints/000006");
    let whole = files::read(newest.join("optimizer.safetensors")).unwrap();
    let key = "second.backbone.norm.bias";
    let load = || checkpoint::load(&chosen, None, &newest, &cpu(None).device).map(|state| state.iteration);
    altered(&newest, |_| ());
    assert_eq!(load().unwrap(), 6, "one without digests is taken as before");
    type Alter = fn(&mut crate::weights::StateDict);
    let cases: [(Alter, &str); 5] = [
        (|dict| drop(dict.remove("second.backbone.norm.bias")), "is missing"),
        (
            |dict| {
                drop(dict.insert("second.backbone.norm.bias".into(), HostTensor::new([23], vec![0.0; 23])))
            },
            "23",
        ),
        (|dict| drop(dict.insert("first.nobody".into(), HostTensor::new([1], vec![0.0]))), "first.nobody"),
        (|dict| dict.retain(|key, _| key.starts_with("center")), "is missing"),
        (|dict| drop(dict.remove("center.dino")), "center.dino"),
    ];
    for (alter, said) in cases {
        files::write(newest.join("optimizer.safetensors"), &whole).unwrap();
        altered(&newest, alter);
        let refused = load().unwrap_err().to_string();
        assert!(refused.contains("optimizer.safetensors") && refused.contains(said), "{refused}");
    }
    assert!(whole.windows(key.len()).any(|part| part == key.as_bytes()));
}

#[test]
fn only_checkpoints_are_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run(&path, &recipe(&[]), false).unwrap();
    let checkpoints = path.join("checkpoints");
    for name in ["+7", "7", "0000007", "18446744073709551615", "1000000001", "000009", "000008.damaged"] {
        files::create_dir(checkpoints.join(name)).unwrap();
        // All of them say that they are the sixth.
        let state = files::read(checkpoints.join("000006/state.json")).unwrap();
        files::write(checkpoints.join(name).join("state.json"), state).unwrap();
    }
    let steps: Vec<u64> = checkpoint::list(&checkpoints).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [3, 6]);
    for (name, step) in [("000007", Some(7)), ("1234567", Some(1_234_567)), ("+00007", None), ("", None)] {
        assert_eq!(checkpoint::iteration_of(name), step, "{name}");
    }
}

#[test]
fn equal_runs_leave_equal_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    for path in [&one, &two] {
        run(path, &recipe(&[]), false).unwrap();
    }
    for file in ["student.safetensors", "teacher.safetensors", "optimizer.safetensors", "state.json"] {
        let bytes = |run: &Path| files::read(run.join("checkpoints/000006").join(file)).unwrap();
        assert!(bytes(&one) == bytes(&two), "{file}");
    }
}

#[test]
fn what_will_be_done_again_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let chosen = recipe(&["train.picture_every=1".to_owned()]);
    run(&path, &chosen, false).unwrap();
    let folder = RunFolder::open(&path).unwrap();
    let pictures = || {
        let mut names: Vec<String> = files::read_dir(folder.pictures())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.contains('-'))
            .collect();
        names.sort();
        names
    };
    assert_eq!(pictures().len(), 7);
    for name in ["recipe.toml.77.tmp", "pictures/000002.png.77.tmp"] {
        files::write(path.join(name), "half").unwrap();
    }
    forget(&folder, 3);
    assert_eq!(pictures(), ["000000.png", "000001.png", "000002.png", "000003.png"]);
    let left = [folder.report_file(), path.join("film.png"), path.join("recipe.toml.77.tmp")];
    assert!(left.iter().all(|file| !files::exists(file)) && files::exists(folder.recipe_file()));
    unfinished(&path);
    run(&path, &chosen, true).unwrap();
    assert_eq!(pictures().len(), 7);
    assert_eq!(run_lock::held(&path), run_lock::RunLockStatus::Nobody);
    assert_eq!(paths::with_absolute_paths(&chosen).unwrap(), chosen);
}
