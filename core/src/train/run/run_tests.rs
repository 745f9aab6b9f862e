//! A run's folder: not overwritten, not changed, not shared; figures that go on where the checkpoint stands.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::train::metrics::of_pairs as values;

#[test]
fn a_run_is_not_overwritten_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let recipe = Recipe::preset("nano").unwrap();
    assert!(RunFolder::reopen(&path, &recipe).unwrap_err().to_string().contains("without --resume"));
    RunFolder::create(&path, &recipe).unwrap();
    assert!(RunFolder::create(&path, &recipe).unwrap_err().to_string().contains("--resume"));
    assert!(RunFolder::create_over(&path, &recipe).unwrap_err().to_string().contains("--resume"));
    let free = recipe.with_overrides(&["train.checkpoint_every=7".into()]).unwrap();
    RunFolder::reopen(&path, &free).unwrap();
    let other = recipe.with_overrides(&["optim.clip=1".into()]).unwrap();
    let message = RunFolder::reopen(&path, &other).unwrap_err().to_string();
    assert!(message.contains("optim.clip"), "{message}");
}

#[test]
fn files_that_a_run_would_overwrite_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = Recipe::preset("nano").unwrap();
    // What is not in the way, and folders that are empty.
    files::create_dir(dir.path().join("pictures")).unwrap();
    files::write(dir.path().join("notes.txt"), "mine").unwrap();
    for (name, said) in [("report.html", "report.html"), ("checkpoints/000007/state.json", "checkpoints/")] {
        let file = dir.path().join(name);
        files::create_dir_all(file.parent().unwrap()).unwrap();
        files::write(&file, "precious").unwrap();
        let message = RunFolder::create(dir.path(), &recipe).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains("--force"), "{message}");
        assert_eq!(files::read(&file).unwrap(), b"precious");
        assert!(!files::exists(dir.path().join("recipe.toml")));
    }
    let run = RunFolder::create_over(dir.path(), &recipe).unwrap();
    assert_eq!(run.latest_checkpoint(), None, "nothing that the new run would take for its own");
    assert_eq!(files::read(dir.path().join("notes.txt")).unwrap(), b"mine");
}

#[test]
#[cfg(not(target_family = "wasm"))]
fn a_run_that_is_trained_is_nobody_else_s() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let recipe = Recipe::preset("nano").unwrap();
    let first = RunFolder::create(&path, &recipe).unwrap();
    let copy = first.clone();
    drop(first);
    let message = RunFolder::reopen(&path, &recipe).unwrap_err().to_string();
    let named = format!("another process, pid {}", files::process());
    assert!(message.contains(&named) && message.contains("goes on with this run"), "{message}");
    RunFolder::open(&path).unwrap();
    drop(copy);
    RunFolder::reopen(&path, &recipe).unwrap();
}

#[test]
fn metrics_go_on_where_the_checkpoint_stands() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&dir.path().join("run"), &Recipe::preset("nano").unwrap()).unwrap();
    let mut log = run.metrics_from(0).unwrap();
    for i in 0..5 {
        log.append(&MetricsLine::new(i, &values(&[("loss", if i == 3 { f64::NAN } else { i as f64 })])))
            .unwrap();
    }
    log.append(&MetricsLine::new(3, &values(&[("knn", 0.5)]))).unwrap();
    drop(log);
    files::write(run.metrics_file(), files::read_to_string(run.metrics_file()).unwrap() + "{\"iterat")
        .unwrap();
    assert_eq!(run.lines().len(), 6);
    assert_eq!(run.lines()[3].values["loss"], None);
    run.metrics_from(3).unwrap();
    let kept: Vec<u64> = run.lines().iter().map(|l| l.iteration).collect();
    assert_eq!(kept, [0, 1, 2, 3]);
}
