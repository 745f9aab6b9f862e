//! Events and lines on disk become the same histories; what is done again replaces what was.
#![allow(clippy::unwrap_used)]

use dinoscope_core::eval::knn::KnnScore;
use dinoscope_core::train::health::HealthLevel;

use super::*;

fn recipe() -> Recipe {
    Recipe::preset("nano").unwrap()
}

fn view() -> RunView {
    RunView::new(Path::new("runs/nano-001"), RunPhase::Preparing)
}

fn started(iteration: u64) -> RunEvent {
    let (device, data) = ("CPU".to_owned(), "scenes".to_owned());
    RunEvent::Started { recipe: Box::new(recipe()), device, data, parameters: 7, iteration }
}

fn step(iteration: u64, loss: f64, steps_per_second: f64) -> RunEvent {
    let pairs = [("loss", loss), ("steps_per_second", steps_per_second), ("waited", 0.25)];
    RunEvent::Step(Box::new(StepReport {
        iteration,
        total: 240,
        values: pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        schedule: TrainSchedules::new(&recipe()).at(iteration),
        steps_per_second,
        images_per_second: 32.0 * steps_per_second,
        waited: 0.25,
        health: RunHealth { level: HealthLevel::Fine, sentences: vec!["Healthy.".to_owned()] },
        memory: None,
    }))
}

fn knn(correct: usize) -> KnnResult {
    let top1 = Accuracy { correct, total: 600 };
    KnnResult { scores: vec![KnnScore { k: 20, top1, top5: top1 }] }
}

fn loss(view: &RunView) -> (Vec<f64>, Vec<f64>) {
    let history = view.history("loss").unwrap();
    (history.steps().to_vec(), history.values().to_vec())
}

#[test]
fn events_become_histories_by_steps_done() {
    let mut run = view();
    assert_eq!(run.name, "nano-001");
    run.take_event(started(0));
    assert_eq!((run.phase.clone(), run.total, run.parameters), (RunPhase::Running, 240, 7));
    for i in 0..3 {
        run.take_event(step(i, 5.0 - i as f64, 2.0));
    }
    assert_eq!(loss(&run), (vec![1.0, 2.0, 3.0], vec![5.0, 4.0, 3.0]));
    assert_eq!((run.done, run.pace.waited), (3, 0.25));
    run.take_event(RunEvent::Evaluation {
        iteration: 3,
        accuracy: knn(300),
        raw_pixels: Some(knn(100)),
        agreement: None,
    });
    assert_eq!(run.newest_accuracy("knn"), Some((3, Accuracy { correct: 300, total: 600 })));
    let crops = |correct| Accuracy { correct, total: 90 };
    for (iteration, correct) in [(0, 20), (3, 80)] {
        run.take_event(RunEvent::Crops { iteration, accuracy: crops(correct), raw_pixels: None });
    }
    let change = AccuracyChange { before: crops(20), after: crops(80), steps: 3 };
    assert_eq!((run.change("crops"), run.change("knn")), (Some(change), None));
    assert_eq!(run.improvement(), None, "said of a run that goes on from weights");
    let weights = recipe().with_overrides(&["start.weights=starter".to_owned()]).unwrap();
    run.set_recipe(weights);
    assert!(run.improvement().unwrap().starts_with("These pictures made the features better"));
    assert_eq!(run.history("knn_raw_pixels_top1").unwrap().last(), Some(100.0 / 600.0));
    // An evaluation is no step: the figures of the last step stay.
    assert_eq!(run.values["loss"], 3.0);
}

#[test]
fn the_same_run_from_disk_has_the_same_histories() {
    let (mut ours, mut followed) = (view(), view());
    ours.take_event(started(0));
    let mut changes = RunFolderChanges {
        recipe: Some(recipe()),
        pictures: vec![0],
        checkpoints: vec![2],
        ..RunFolderChanges::default()
    };
    for i in 0..4 {
        let event = step(i, 1.0 / (i + 1) as f64, 1.0);
        if let RunEvent::Step(step) = &event {
            changes.lines.push(MetricsLine::new(i, &step.values));
        }
        ours.take_event(event);
    }
    followed.take_changes(changes);
    assert_eq!(loss(&ours), loss(&followed));
    assert_eq!((ours.done, ours.total), (followed.done, followed.total));
    assert_eq!(followed.phase, RunPhase::Followed);
    assert!(followed.health.is_some());
    assert_eq!(followed.newest_checkpoint().unwrap().1, Path::new("runs/nano-001/checkpoints/000002"));
    followed.take_changes(RunFolderChanges { finished: true, ..RunFolderChanges::default() });
    assert_eq!(followed.phase, RunPhase::Finished { stopped: true });
    followed.take_changes(RunFolderChanges { restarted: true, ..RunFolderChanges::default() });
    assert_eq!((followed.done, followed.history("loss").is_none()), (0, true));
}

#[test]
fn a_run_that_goes_on_starts_its_histories_where_the_checkpoint_stands() {
    let mut run = view();
    run.take_event(started(0));
    for i in 0..10 {
        run.take_event(step(i, i as f64, 2.0));
        run.take_event(RunEvent::Pictures { iteration: i + 1, path: Some(PathBuf::from("p.png")) });
    }
    run.take_event(started(6));
    assert_eq!(run.done, 6);
    assert_eq!(loss(&run).0, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(run.pictures.last(), Some(&6));
    assert_eq!(run.left(), None, "the pace is told anew");
    run.take_event(step(6, 60.0, 2.0));
    assert_eq!(loss(&run).1, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 60.0]);
}

#[test]
fn time_left_follows_the_last_reports() {
    let mut run = view();
    assert_eq!(run.left(), None);
    run.take_event(started(0));
    run.take_event(step(0, 1.0, 0.1));
    for i in 1..100 {
        run.take_event(step(i, 1.0, 4.0));
    }
    // 140 steps at 4 a second: the slow first one is forgotten.
    assert!((run.left().unwrap() - 35.0).abs() < 1e-9, "{:?}", run.left());
    // Reports of ten steps weigh ten times as much.
    for i in 0..40 {
        run.take_event(step(109 + 3 * i, 1.0, 1.0));
    }
    assert!((run.left().unwrap() - (240 - run.done) as f64).abs() < 1e-9);
}

#[test]
fn pausing_stopping_and_failing_are_phases() {
    let mut run = view();
    run.take_event(started(0));
    run.take_event(RunEvent::Paused);
    assert_eq!(run.phase, RunPhase::Paused);
    run.take_event(RunEvent::Resumed);
    run.phase = RunPhase::Stopping;
    run.take_event(RunEvent::Paused);
    assert_eq!(run.phase, RunPhase::Stopping, "whoever stops does not pause");
    let finished = RunCompletion {
        iteration: 12,
        stopped: true,
        checkpoint: Some(PathBuf::from("c/000012")),
        report: Some(PathBuf::from("report.html")),
        skipped: vec![("a.png".to_owned(), "torn".to_owned())],
    };
    run.take_event(RunEvent::Finished(Box::new(finished)));
    assert_eq!((run.phase.clone(), run.done), (RunPhase::Finished { stopped: true }, 12));
    assert!(!run.is_alive() && !run.is_complete() && run.skipped.len() == 1);
    run.fail(&EngineError::Device { reason: "lost".to_owned(), hint: "smaller".to_owned() });
    let RunPhase::Failed(failure) = &run.phase else { panic!("{:?}", run.phase) };
    assert!(failure.device && failure.text.contains("lost"));
}

#[test]
fn checkpoints_that_are_not_kept_are_forgotten() {
    let mut run = view();
    run.take_event(started(0));
    for step in [60, 120, 180, 240] {
        run.take_event(RunEvent::Checkpoint { iteration: step, path: PathBuf::from(format!("{step}")) });
    }
    let kept: Vec<u64> = run.checkpoints.keys().copied().collect();
    assert_eq!(kept, [120, 180, 240]);
}

#[test]
fn figures_may_be_further_than_what_can_be_gone_on_from() {
    let mut run = view();
    run.take_event(started(0));
    run.take_event(step(239, 3.0, 10.0));
    assert!(run.is_complete() && !run.is_unfinished(), "without a checkpoint there is nothing to go on from");
    run.checkpoints.insert(100, PathBuf::from("c/000100"));
    assert!(run.is_complete() && run.is_unfinished());
    run.checkpoints.insert(240, PathBuf::from("c/000240"));
    assert!(!run.is_unfinished());
}
