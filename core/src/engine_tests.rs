//! Small runs from the outside: waking, changing, memory, and a window that is closed.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_channel::Receiver;

use super::*;
use crate::device::{block_on, cpu};
use crate::train::run::RunFolder;
use crate::train::{Recipe, sources};

/// A run of a few milliseconds a step.
pub(super) fn recipe(more: &[&str]) -> Recipe {
    let tiny = [
        "model.depth=2",
        "model.dim=48",
        "crops.global_size=32",
        "crops.local_size=16",
        "crops.locals=2",
        "head.prototypes=64",
        "head.hidden=32",
        "data.scenes=24",
        "data.scene_size=32",
        "optim.warmup=1",
        "train.batch=4",
        "train.workers=1",
        "train.report_every=1",
        "train.picture_every=0",
        "train.evaluate_every=0",
        "train.checkpoint_every=1000000",
    ];
    let pairs: Vec<String> = tiny.iter().chain(more).map(|pair| (*pair).to_owned()).collect();
    Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()
}

pub(super) fn job(dir: &Path, recipe: &Recipe) -> TrainJob {
    TrainJob {
        sources: sources::open(recipe).unwrap(),
        device: cpu(None),
        watch: Vec::new(),
        folder: Some(RunFolder::create(dir, recipe).unwrap()),
        resume: false,
        recipe: recipe.clone(),
        ranks: RunRanks::default(),
    }
}

pub(super) fn next(handle: &RunHandle) -> RunEvent {
    block_on(handle.events.recv()).unwrap().unwrap()
}

/// Events up to the last one.
pub(super) fn rest(events: &Receiver<Result<RunEvent, EngineError>>) -> Vec<RunEvent> {
    std::iter::from_fn(|| block_on(events.recv()).ok()).map(Result::unwrap).collect()
}

pub(super) fn finished(events: &[RunEvent]) -> &RunCompletion {
    match events.last() {
        Some(RunEvent::Finished(finished)) => finished,
        other => panic!("the last event is {other:?}"),
    }
}

pub(super) fn first_step(handle: &RunHandle) -> Box<StepReport> {
    loop {
        if let RunEvent::Step(step) = next(handle) {
            return step;
        }
    }
}

#[test]
fn a_run_whose_handle_is_dropped_saves_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let handle = start(job(&folder, &recipe(&["train.iterations=3000"])));
    first_step(&handle);
    // Only so that the test can see what happens; commands can't come any more.
    let events = handle.events.clone();
    drop(handle);
    let events = rest(&events);
    let end = finished(&events);
    assert!(end.stopped && end.iteration < 3000, "{end:?}");
    let checkpoint = end.checkpoint.as_ref().unwrap();
    assert!(checkpoint.ends_with(format!("{:06}", end.iteration)) && checkpoint.join("state.json").is_file());
    assert!(end.report.as_ref().unwrap().is_file());
}

#[test]
fn what_is_measured_before_the_first_step_is_left_when_a_run_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&["train.iterations=3000", "train.evaluate_every=1000", "evaluate.linear=true"]);
    let handle = start(job(&dir.path().join("run"), &recipe));
    handle.commands.try_send(RunCommand::Stop).unwrap();
    let events = rest(&handle.events);
    let end = finished(&events);
    assert!(end.stopped && end.iteration == 0, "{end:?}");
    let measured = |event: &RunEvent| {
        matches!(event, RunEvent::Evaluation { .. } | RunEvent::Judged { .. } | RunEvent::Warning(_))
    };
    assert!(!events.iter().any(measured), "{events:?}");
}

#[test]
fn a_run_that_is_paused_holds_while_it_measures_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&["train.iterations=3", "train.evaluate_every=3", "evaluate.linear=true"]);
    let name = |event: &RunEvent| match event {
        RunEvent::Paused => "paused",
        RunEvent::Resumed => "resumed",
        RunEvent::Evaluation { .. } => "k-NN",
        RunEvent::Judged { .. } => "linear",
        RunEvent::Changed { .. } => "changed",
        RunEvent::Step(_) => "step",
        _ => "",
    };
    let paused = |folder: &str| {
        let mut job = job(&dir.path().join(folder), &recipe);
        job.watch = vec![job.sources.train.load(0).unwrap()];
        let handle = start(job);
        handle.commands.try_send(RunCommand::Pause).unwrap();
        let before: Vec<_> =
            std::iter::from_fn(|| Some(next(&handle))).take_while(|event| name(event) != "paused").collect();
        assert!(before.iter().all(|event| name(event).is_empty()), "{before:?}");
        handle
    };

    let changed =
        || RunCommand::Change(Box::new(recipe.with_overrides(&["train.report_every=2".into()]).unwrap()));
    let told =
        |events: &[RunEvent]| -> Vec<_> { events.iter().map(name).filter(|name| !name.is_empty()).collect() };

    // What else is asked for while it measures is done before the first step.
    let handle = paused("goes-on");
    for command in [RunCommand::Pause, RunCommand::Resume, changed()] {
        handle.commands.try_send(command).unwrap();
    }
    let events = rest(&handle.events);
    assert_eq!(told(&events)[..5], ["resumed", "k-NN", "linear", "changed", "step"], "{:?}", told(&events));
    assert_eq!(finished(&events).iteration, 3);

    // Asked for while it holds, it lets what is measured come to its end, and the run goes on holding.
    let handle = paused("changed");
    handle.commands.try_send(changed()).unwrap();
    let mut before = Vec::new();
    while told(&before).last() != Some(&"changed") {
        before.push(next(&handle));
    }
    assert_eq!(told(&before), ["k-NN", "linear", "changed"]);
    handle.commands.try_send(RunCommand::Resume).unwrap();
    let events = rest(&handle.events);
    assert_eq!(told(&events)[..2], ["resumed", "step"], "{:?}", told(&events));

    // Whoever stops it, or is gone, finds nothing measured.
    let stopped = paused("stopped");
    stopped.commands.try_send(RunCommand::Stop).unwrap();
    let left = paused("left");
    let (stopped, left) = (rest(&stopped.events), {
        let events = left.events.clone();
        drop(left);
        rest(&events)
    });
    for events in [stopped, left] {
        let end = finished(&events);
        assert!(end.stopped && end.iteration == 0, "{end:?}");
        assert!(events.iter().all(|event| name(event).is_empty()), "{events:?}");
    }
}

#[test]
fn a_run_goes_on_from_an_archive_as_if_it_had_never_stopped() {
    use crate::explore::{ModelSource, open};
    use crate::train::archive;

    let dir = tempfile::tempdir().unwrap();
    let [straight, stopped, moved] = ["straight", "stopped", "moved"].map(|name| dir.path().join(name));
    let recipe = recipe(&["train.iterations=60"]);
    rest(&start(job(&straight, &recipe)).events);

    let handle = start(job(&stopped, &recipe));
    first_step(&handle);
    handle.commands.try_send(RunCommand::Stop).unwrap();
    let at = finished(&rest(&handle.events)).iteration;
    assert!((1..60).contains(&at), "{at}");
    let packed = archive::pack(&stopped).unwrap();
    std::fs::remove_dir_all(&stopped).unwrap();

    // To look with: as a file, and as bytes.
    let file = dir.path().join("stopped.zip");
    std::fs::write(&file, &packed).unwrap();
    let bytes = ModelSource::Bytes { name: "dropped.zip".to_owned(), bytes: packed.clone().into() };
    for source in [ModelSource::Path(file), bytes] {
        let model = open(&source, &cpu(None).device, &mut |_, _| true).unwrap();
        assert_eq!(model.backbone.config.dim, recipe.model.dim);
    }

    archive::unpack(&packed, &moved).unwrap();
    let folder = RunFolder::reopen(&moved, &recipe).unwrap();
    let sources = sources::open(&recipe).unwrap();
    let watch = Vec::new();
    let job = TrainJob {
        recipe,
        device: cpu(None),
        sources,
        watch,
        folder: Some(folder),
        resume: true,
        ranks: RunRanks::default(),
    };
    let events = rest(&start(job).events);
    assert!(matches!(events.first(), Some(RunEvent::Started { iteration, .. }) if *iteration == at));
    let losses = |path: &Path| -> Vec<(u64, Option<f64>)> {
        let lines = RunFolder::open(path).unwrap().lines();
        lines.iter().filter_map(|line| Some((line.iteration, *line.values.get("loss")?))).collect()
    };
    assert_eq!(losses(&straight).len(), 60);
    assert_eq!(losses(&straight), losses(&moved));
}

#[test]
fn live_fields_change_on_the_way_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let [straight, changed] = ["straight", "changed"].map(|name| dir.path().join(name));
    let before = recipe(&["train.iterations=120"]);
    rest(&start(job(&straight, &before)).events);

    let handle = start(job(&changed, &before));
    first_step(&handle);
    handle.commands.try_send(RunCommand::Pause).unwrap();
    while !matches!(next(&handle), RunEvent::Paused) {}
    let wanted = before.with_overrides(
        &["train.report_every=7", "train.workers=2", "optim.clip=1", "train.iterations=150"]
            .map(str::to_owned),
    );
    handle.commands.try_send(RunCommand::Change(Box::new(wanted.unwrap()))).unwrap();
    let RunEvent::Changed { recipe: now, needs_restart } = next(&handle) else { panic!("no answer") };
    let taken = before.with_overrides(&["train.report_every=7".into(), "train.workers=2".into()]).unwrap();
    assert_eq!(*now, taken);
    assert_eq!(needs_restart, ["optim.clip", "train.iterations"]);
    let folder = RunFolder::open(&changed).unwrap();
    assert_eq!(folder.recipe().unwrap(), taken);

    // What can't be is refused, and the run goes on.
    let mut broken = before.clone();
    broken.train.keep_checkpoints = 0;
    handle.commands.try_send(RunCommand::Change(Box::new(broken))).unwrap();
    assert!(matches!(next(&handle), RunEvent::Warning(why) if why.contains("train.keep_checkpoints")));
    handle.commands.try_send(RunCommand::Resume).unwrap();
    let events = rest(&handle.events);
    assert!(!finished(&events).stopped);
    let reported: Vec<u64> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Step(step) => Some(step.iteration + 1),
            _ => None,
        })
        .collect();
    assert!(reported.len() > 1 && reported.iter().all(|done| done % 7 == 0 || *done == 120), "{reported:?}");

    // The same pictures came, from another number of threads: the same losses.
    let losses = |path: &Path| -> Vec<(u64, Option<f64>)> {
        let lines = RunFolder::open(path).unwrap().lines();
        lines.iter().filter_map(|line| Some((line.iteration, *line.values.get("loss")?))).collect()
    };
    let all = losses(&straight);
    assert_eq!(all.len(), 120);
    let kept = losses(&changed);
    assert!(kept.iter().all(|line| all.contains(line)), "{kept:?}\nis not part of\n{all:?}");
}

#[test]
fn every_event_and_every_picture_wakes() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&["train.iterations=4", "train.picture_every=2"]);
    let mut job = job(&dir.path().join("run"), &recipe);
    job.watch = vec![job.sources.train.load(0).unwrap()];
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let handle = start_with(
        job,
        Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        }),
    );
    let events = rest(&handle.events);
    let pictures = events.iter().filter(|event| matches!(event, RunEvent::Pictures { .. })).count();
    assert_eq!((finished(&events).iteration, pictures), (4, 3));
    assert_eq!(woken.load(Ordering::SeqCst), events.len() + pictures);
    assert_eq!(handle.latest.lock().unwrap().as_ref().unwrap().iteration, 4);
}

#[cfg(target_os = "linux")]
#[test]
fn steps_say_how_much_memory_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let handle = start(job(&folder, &recipe(&["train.iterations=2"])));
    let step = first_step(&handle);
    let memory = step.memory.unwrap();
    assert_eq!(memory.what, crate::train::memory::MemoryKind::Process);
    // A process with a model in it takes more than a megabyte, and less than there can be.
    assert!((1 << 20..1 << 40).contains(&memory.used), "{memory:?}");
    assert_eq!(step.values["memory_used"], memory.used as f64);
    rest(&handle.events);
    let lines = RunFolder::open(&folder).unwrap().lines();
    assert_eq!(lines[0].values["memory_used"], Some(memory.used as f64));
}

#[test]
fn what_the_recipe_asks_for_is_measured_beside_k_nn() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let more =
        ["train.iterations=2", "train.evaluate_every=2", "evaluate.linear=true", "evaluate.dense=not/there"];
    let more = [&more[..], &["evaluate.segment=true"]].concat();
    let events = rest(&start(job(&folder, &recipe(&more))).events);
    let judged: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Judged { iteration, name, outcome } => Some((*iteration, name.as_str(), outcome)),
            _ => None,
        })
        .collect();
    assert_eq!(
        judged.iter().map(|(step, name, _)| (*step, *name)).collect::<Vec<_>>(),
        [(0, "linear"), (2, "linear")]
    );
    let found = judged[1].2.headline().unwrap().value;
    assert!((0.0..=1.0).contains(&found), "{found}");
    let warned =
        |event: &RunEvent| matches!(event, RunEvent::Warning(why) if why.starts_with("segment: not/there"));
    assert!(events.iter().any(warned), "{events:?}");
    assert!(!finished(&events).stopped, "the run goes on");
    let run = RunFolder::open(&folder).unwrap();
    let kept: Vec<_> =
        run.lines().iter().filter_map(|line| line.values.get("linear_top1").copied()).collect();
    assert_eq!((kept.len(), kept[1]), (2, Some(found)));
    let json = std::fs::read(folder.join("evaluations/linear.json")).unwrap();
    let outcome: crate::eval::outcome::EvalReport = serde_json::from_slice(&json).unwrap();
    assert_eq!(outcome.headline().unwrap().value, found);
}

#[test]
fn every_figure_that_a_run_writes_is_shown() {
    // What intervals and comparisons are computed from.
    let is_input =
        |key: &str| key.contains("_raw_pixels_") || key.ends_with("_correct") || key.ends_with("_total");
    let dir = tempfile::tempdir().unwrap();
    let (linear, half) = ("evaluate.linear=true", "train.precision=f16");
    for (name, more) in
        [("evaluated", [linear, "train.evaluate_every=2"]), ("half", [half, "optim.warmup=1"])]
    {
        let folder = dir.path().join(name);
        let more = [&more[..], &["train.iterations=2"]].concat();
        rest(&start(job(&folder, &recipe(&more))).events);
        let lines = RunFolder::open(&folder).unwrap().lines();
        let written: std::collections::BTreeSet<&String> =
            lines.iter().flat_map(|line| line.values.keys()).collect();
        let hidden: Vec<_> = written
            .iter()
            .filter(|key| !is_input(key) && crate::train::figures::find(key).is_none())
            .collect();
        assert!(hidden.is_empty(), "{hidden:?} of {written:?}");
        assert!(written.len() > 10 && written.contains(&"loss".to_owned()), "{written:?}");
        assert_eq!(written.contains(&"loss_scale".to_owned()), name == "half");
    }
}
