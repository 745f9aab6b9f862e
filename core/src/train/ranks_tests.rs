//! Runs that several threads share against the same run in one process.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::device::{block_on, cpu};
use crate::engine::{self, RunCommand, RunEvent, RunHandle, StepReport, TrainJob};
use crate::ssl::ranks::threads::ThreadRank;
use crate::train::recipe::DistillMethod;
use crate::train::run::RunFolder;
use crate::train::{distill_recipe, sources};

/// A run of twenty steps of a few milliseconds.
pub(in crate::train) fn recipe(more: &[&str]) -> Recipe {
    let tiny = [
        "model.depth=2",
        "model.dim=48",
        "model.drop_path=0.3",
        "crops.global_size=32",
        "crops.local_size=16",
        "crops.locals=2",
        "head.prototypes=64",
        "head.hidden=32",
        "loss.koleo_group=all",
        "data.scenes=24",
        "data.scene_size=32",
        "optim.warmup=4",
        "train.batch=8",
        "train.iterations=20",
        "train.workers=1",
        "train.report_every=1",
        "train.picture_every=0",
        "train.evaluate_every=0",
        "train.checkpoint_every=10",
    ];
    let pairs: Vec<String> = tiny.iter().chain(more).map(|pair| (*pair).to_owned()).collect();
    Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()
}

/// The job of each rank: the first has the folder.
pub(in crate::train) fn jobs(folder: &Path, recipes: &[Recipe], resume: bool) -> Vec<TrainJob> {
    let ranks = ThreadRank::all(recipes.len()).into_iter().zip(recipes);
    let job = |(group, recipe): (RankGroup, &Recipe)| {
        let of_run = |resume: bool| match resume {
            true => RunFolder::reopen(folder, recipe),
            false => RunFolder::create(folder, recipe),
        };
        TrainJob {
            recipe: recipe.clone(),
            device: cpu(None),
            sources: sources::open(recipe).unwrap(),
            watch: Vec::new(),
            folder: group.is_first().then(|| of_run(resume).unwrap()),
            resume,
            ranks: RunRanks { group, checkpoints: Some(RunFolder::checkpoints_of(folder)) },
        }
    };
    ranks.map(job).collect()
}

pub(in crate::train) type Ended = Vec<Result<RunEvent, EngineError>>;

/// All that a rank says, to its end.
fn heard(handle: &RunHandle) -> Ended {
    std::iter::from_fn(|| block_on(handle.events.recv()).ok()).collect()
}

/// Runs all jobs to their ends.
pub(in crate::train) fn run(jobs: Vec<TrainJob>) -> Vec<Ended> {
    // All are started before one is waited for.
    let handles: Vec<RunHandle> = jobs.into_iter().map(engine::start).collect();
    handles.iter().map(heard).collect()
}

pub(in crate::train) fn steps(events: &Ended) -> Vec<StepReport> {
    let step = |event: &Result<RunEvent, EngineError>| match event {
        Ok(RunEvent::Step(step)) => Some((**step).clone()),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    };
    events.iter().filter_map(step).collect()
}

/// The error that a rank ended with.
fn failed(events: &Ended) -> String {
    match events.last() {
        Some(Err(error)) => error.to_string(),
        other => panic!("it ended with {other:?}"),
    }
}

/// Figures that say how fast it went.
fn is_of_time(name: &str) -> bool {
    name.starts_with("rank")
        || ["steps_per_second", "images_per_second", "waited", "memory_used"].contains(&name)
}

/// Runs it with so many ranks; reports of the first, and whether all have the same.
pub(in crate::train) fn with_ranks(ranks: usize, recipe: &Recipe) -> Vec<StepReport> {
    let dir = tempfile::tempdir().unwrap();
    let all = run(jobs(&dir.path().join("run"), &vec![recipe.clone(); ranks], false));
    let all: Vec<Vec<StepReport>> = all.iter().map(steps).collect();
    for other in &all[1..] {
        for (first, other) in all[0].iter().zip(other) {
            for (name, value) in first.values.iter().filter(|(name, _)| !is_of_time(name)) {
                assert_eq!(
                    other.values[name].to_bits(),
                    value.to_bits(),
                    "{name} of step {}",
                    first.iteration
                );
            }
        }
    }
    all.into_iter().next().unwrap()
}

/// The largest relative difference of any loss in twenty steps.
pub(in crate::train) fn apart(a: &[StepReport], b: &[StepReport], names: &[&str]) -> f64 {
    assert_eq!((a.len(), b.len()), (20, 20));
    let of = |(a, b): (&StepReport, &StepReport)| {
        let of = |name: &&str| (a.values[*name] - b.values[*name]).abs() / a.values[*name].abs().max(1e-3);
        names.iter().map(of).fold(0.0, f64::max)
    };
    a.iter().zip(b).map(of).fold(0.0, f64::max)
}

pub(in crate::train) const LOSSES: [&str; 5] =
    ["loss", "dino_global_loss", "dino_local_loss", "ibot_loss", "koleo_loss"];

#[test]
fn two_and_four_ranks_learn_what_one_process_does() {
    // A softmax of temperature 0.04 makes more of the last bits of logits that are nearly equal.
    let ways: [(&[&str], f64); 4] = [
        (&["loss.centering=sinkhorn-knopp"], 1e-5),
        (&["loss.centering=softmax", "mask.probability=0.3"], 2e-4),
        (&["train.accumulate=2", "head.separate_ibot=true"], 1e-5),
        (&["loss.gram=1.0", "gram.start=3"], 1e-5),
    ];
    for (way, most) in ways {
        let recipe = recipe(way);
        let alone = with_ranks(1, &recipe);
        for ranks in [2, 4] {
            let shared = with_ranks(ranks, &recipe);
            let found = apart(&alone, &shared, &LOSSES);
            assert!(found < most, "{way:?} on {ranks} ranks: {found:e}");
            // Figures that are no sums.
            for name in
                ["feature_rank", "prototype_use", "patch_norm_max", "teacher_entropy", "grad_norm_backbone"]
            {
                let (a, b) = (alone[5].values[name], shared[5].values[name]);
                assert!((a - b).abs() < 1e-3 * a.abs(), "{name} is {b} on {ranks} ranks and {a} alone");
            }
        }
    }
}

#[test]
fn two_ranks_distil_what_one_process_does() {
    for method in [DistillMethod::Similarity, DistillMethod::Regression] {
        let student = recipe(&[]);
        let asked = distill_recipe::recipe(&student, "starter", Some(method)).unwrap();
        let recipe = asked.resolve(&["distill.mixup=false".to_owned()]).unwrap().recipe;
        let (alone, shared) = (with_ranks(1, &recipe), with_ranks(2, &recipe));
        let found = apart(&alone, &shared, &["loss", "distill_cls_loss", "distill_patch_loss"]);
        assert!(found < 1e-5, "{method:?}: {found:e}");
    }
}

#[test]
fn koleo_within_a_rank_is_another_loss_and_ends_as_well() {
    let recipe = recipe(&["loss.koleo_group=rank", "loss.koleo=1.0"]);
    let (alone, shared) = (with_ranks(1, &recipe), with_ranks(2, &recipe));
    assert!(apart(&alone, &shared, &["koleo_loss"]) > 1e-3);
    assert!(apart(&alone[..], &shared[..], &["dino_local_loss"]) < 0.05);
}

#[test]
fn ranks_tell_how_long_they_wait_for_each_other() {
    let steps = with_ranks(2, &recipe(&[]));
    for step in &steps {
        assert!((0.0..=1.0).contains(&step.values["ranks_waited"]), "{:?}", step.values);
        for rank in 0..2 {
            // At least what it did in fact.
            let own = step.values[&format!("rank_{rank}_images_per_second")];
            assert!(own >= 0.49 * step.images_per_second, "{:?}", step.values);
        }
        assert!(!step.values.contains_key("rank_2_images_per_second"));
    }
    assert!(!with_ranks(1, &recipe(&[]))[0].values.contains_key("ranks_waited"));
}

#[test]
fn two_runs_with_as_many_ranks_are_the_same_to_the_bit() {
    let recipe = recipe(&[]);
    let (one, other) = (with_ranks(3, &at_batch(&recipe, 9)), with_ranks(3, &at_batch(&recipe, 9)));
    for (a, b) in one.iter().zip(&other) {
        assert_eq!(a.values["loss"].to_bits(), b.values["loss"].to_bits(), "step {}", a.iteration);
    }
}

pub(in crate::train) fn at_batch(recipe: &Recipe, batch: usize) -> Recipe {
    recipe.with_overrides(&[format!("train.batch={batch}")]).unwrap()
}

#[test]
fn a_batch_that_can_not_be_shared_out_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = at_batch(&recipe(&[]), 10);
    let ended = run(jobs(&dir.path().join("run"), &vec![recipe; 4], false));
    let said = failed(&ended[0]);
    assert!(
        said.contains("train.batch = 10") && said.contains("4 ranks") && said.contains("train.batch=12"),
        "{said}"
    );
    assert!(ended[1..].iter().all(|other| failed(other).contains("another rank")));
}

#[test]
fn ranks_that_began_with_other_things_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let own = at_batch(&recipe(&[]), 12);
    for (at, (other, said)) in [
        ("train.seed=7", "the recipe (train.seed)"),
        ("optim.clip=1.5", "the recipe (optim.clip)"),
        ("data.scenes=23", "the recipe (data.scenes)"),
    ]
    .into_iter()
    .enumerate()
    {
        let other = own.with_overrides(&[other.to_owned()]).unwrap();
        let folder = dir.path().join(at.to_string());
        let ended = run(jobs(&folder, &[own.clone(), own.clone(), other], false));
        let told = failed(&ended[0]);
        assert!(told.contains("rank 2 of 3") && told.contains(said), "{told}");
        assert!(failed(&ended[1]).contains("another rank") && failed(&ended[2]).contains("another rank"));
    }
    // Where pictures are, and how they are loaded, is each machine's own; which they are is not.
    let both = own.with_overrides(&["train.workers=2".to_owned()]).unwrap();
    assert_eq!(steps(&run(jobs(&dir.path().join("workers"), &[own.clone(), both], false))[0]).len(), 20);
    let mut fewer = jobs(&dir.path().join("fewer"), &[own.clone(), own.clone()], false);
    fewer[1].sources = sources::open(&own.with_overrides(&["data.scenes=20".to_owned()]).unwrap()).unwrap();
    let told = failed(&run(fewer)[0]);
    assert!(told.contains("the number of pictures (20, and 24 on rank 0)"), "{told}");
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let recipe = recipe(&[]);
    let whole = with_ranks(1, &recipe);
    for (before, after) in [(2, 1), (1, 4), (4, 2)] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        let mut started = jobs(&folder, &vec![recipe.clone(); before], false);
        // Stopped by whichever rank is told to.
        let last = started.len() - 1;
        let handles: Vec<RunHandle> = started.drain(..).map(engine::start).collect();
        let mut told = Vec::new();
        while let Ok(event) = block_on(handles[last].events.recv()) {
            if matches!(&event, Ok(RunEvent::Step(step)) if step.iteration == 7) {
                handles[last].commands.try_send(RunCommand::Stop).unwrap();
            }
            told.push(event);
        }
        let first = if last == 0 { told } else { heard(&handles[0]) };
        let Some(Ok(RunEvent::Finished(end))) = first.last() else { panic!("{:?}", first.last()) };
        assert!(end.stopped && (8..20).contains(&end.iteration), "{end:?}");
        assert!(end.checkpoint.as_ref().unwrap().join("state.json").is_file());
        drop(handles);

        let rest = steps(&run(jobs(&folder, &vec![recipe.clone(); after], true))[0]);
        assert_eq!(rest.first().unwrap().iteration, end.iteration);
        for step in &rest {
            let (a, b) = (whole[step.iteration as usize].values["loss"], step.values["loss"]);
            assert!(
                (a - b).abs() < 1e-5 * a,
                "{before} then {after} ranks, step {}: {b} for {a}",
                step.iteration
            );
        }
    }
}

#[test]
fn what_the_first_rank_changes_changes_on_all() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&["train.iterations=200", "train.report_every=5"]);
    let handles: Vec<RunHandle> = jobs(&dir.path().join("run"), &vec![recipe.clone(); 2], false)
        .into_iter()
        .map(engine::start)
        .collect();
    let changed =
        recipe.with_overrides(&["optim.base_lr=0.0001".to_owned(), "train.report_every=3".to_owned()]);
    handles[0].commands.try_send(RunCommand::Change(Box::new(changed.unwrap()))).unwrap();
    let mut told = false;
    while let Ok(event) = block_on(handles[1].events.recv()) {
        match event.unwrap() {
            RunEvent::Changed { recipe, .. } => {
                told = recipe.train.report_every == 3;
                handles[0].commands.try_send(RunCommand::Stop).unwrap();
            }
            RunEvent::Finished(end) => {
                assert!(end.stopped && end.checkpoint.is_none() && end.report.is_none())
            }
            _ => {}
        }
    }
    assert!(told, "the other rank hears of it");
    assert!(matches!(heard(&handles[0]).last(), Some(Ok(RunEvent::Finished(end))) if end.report.is_some()));
}

#[test]
fn what_the_first_rank_is_asked_for_is_brought_together_from_all() {
    for shard in ["none", "full"] {
        let dir = tempfile::tempdir().unwrap();
        let shard = format!("train.shard={shard}");
        let recipe = recipe(&["train.iterations=100000", "train.picture_every=0", &shard]);
        let handles: Vec<RunHandle> =
            jobs(&dir.path().join("run"), &vec![recipe; 2], false).into_iter().map(engine::start).collect();
        let tell = |command| handles[0].commands.try_send(command).unwrap();
        // Also while it is held.
        tell(RunCommand::Pause);
        let picture = crate::data::source::scenes::SceneKind::Easy.draw(0, 1, 32).picture;
        tell(RunCommand::Watch(vec![picture]));
        tell(RunCommand::Checkpoint);
        let (mut looked, mut saved) = (false, false);
        while !(looked && saved) {
            match block_on(handles[0].events.recv()).unwrap().unwrap() {
                RunEvent::Pictures { .. } => looked = true,
                RunEvent::Checkpoint { path, .. } => saved = checkpoint::is_whole(&path),
                _ => {}
            }
        }
        tell(RunCommand::Resume);
        tell(RunCommand::Stop);
        assert!(matches!(heard(&handles[0]).last(), Some(Ok(RunEvent::Finished(_)))));
        assert!(matches!(heard(&handles[1]).last(), Some(Ok(RunEvent::Finished(_)))));
    }
}

#[test]
fn a_rank_that_fails_alone_ends_the_others_with_its_reason() {
    // In shards ranks wait for each other in the middle of passes, and on the way back.
    for shard in ["none", "optimizer", "full"] {
        let dir = tempfile::tempdir().unwrap();
        let shard = format!("train.shard={shard}");
        let recipe = at_batch(&recipe(&["train.iterations=100000", &shard]), 9);
        let mut handles: Vec<RunHandle> =
            jobs(&dir.path().join("run"), &vec![recipe; 3], false).into_iter().map(engine::start).collect();
        // Its folder is taken away: the first rank fails where nobody else looks.
        let first = handles.remove(0);
        while !matches!(block_on(first.events.recv()).unwrap().unwrap(), RunEvent::Step(_)) {}
        std::fs::remove_dir_all(dir.path().join("run")).unwrap();
        first.commands.try_send(RunCommand::Checkpoint).unwrap();
        assert!(failed(&heard(&first)).contains("gone"));
        for other in &handles {
            let said = failed(&heard(other));
            assert!(said.contains("lost the others: rank 0 has ended"), "{said}");
        }
    }
}

#[test]
fn pictures_that_one_rank_can_not_load_are_said_by_the_first() {
    let folder = tempfile::tempdir().unwrap();
    for name in 0..24 {
        let picture = crate::data::source::scenes::SceneKind::Easy.draw(0, name, 32).picture;
        crate::analysis::image_out::write_png(&folder.path().join(format!("{name:02}.png")), &picture)
            .unwrap();
    }
    std::fs::write(folder.path().join("05.png"), b"no picture").unwrap();
    let recipe = recipe(&[&format!("data.path={:?}", folder.path().display().to_string())]);
    let dir = tempfile::tempdir().unwrap();
    let ended = run(jobs(&dir.path().join("run"), &vec![recipe; 4], false));
    for events in &ended {
        let skipped: Vec<&str> = events
            .iter()
            .filter_map(|event| match event {
                Ok(RunEvent::Warning(text)) if text.starts_with("skipped") => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert!(skipped.len() == 1 && skipped[0].contains("05.png"), "{skipped:?}");
        assert_eq!(steps(events).len(), 20);
    }
    let Some(Ok(RunEvent::Finished(end))) = ended[0].last() else { panic!("{:?}", ended[0].last()) };
    assert_eq!(end.skipped.len(), 1);
}
