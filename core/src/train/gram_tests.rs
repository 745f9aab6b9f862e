//! Runs with a Gram teacher: the run's own or a file's, renewed, gone on from, in parts, and adapted.
#![allow(clippy::unwrap_used)]

use super::recipe::Recipe;
use super::run::RunFolder;
use super::start_tests::{losses, pairs, recipe, run, run_in, weights};
use super::{adapt, figures};

/// Begins at step 2, is renewed before step 4.
const ANCHORED: [&str; 3] = ["loss.gram=2", "gram.start=2", "gram.renew_every=2"];

fn anchored(more: &[&str]) -> Recipe {
    recipe(&[&ANCHORED[..], more].concat())
}

#[test]
fn the_own_teacher_holds_the_patches_from_its_start_on_and_a_run_goes_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let [plain, straight, halves] = ["plain", "straight", "halves"].map(|name| dir.path().join(name));
    let without = losses(&run(&plain, &recipe(&[])).unwrap());
    let all = losses(&run(&straight, &anchored(&[])).unwrap());
    // The same crops and losses before, others from then on.
    assert_eq!(all[..2], without[..2]);
    assert!(all[2..].iter().zip(&without[2..]).all(|(with, without)| with != without), "{all:?} {without:?}");

    let written = RunFolder::open(&straight).unwrap().lines();
    let terms: Vec<bool> = written.iter().map(|line| line.values.contains_key("gram_loss")).collect();
    assert_eq!(terms, [false, false, true, true, true, true]);
    for line in &written[2..] {
        let value = |key: &str| line.values[key].unwrap();
        let terms = ["dino_global_loss", "dino_local_loss", "ibot_loss", "koleo_loss", "gram_loss"];
        let sum: f64 = terms.map(value).iter().sum();
        assert!(value("gram_loss") > 0.0 && (value("loss") - sum).abs() < 1e-4 * sum.abs(), "{line:?}");
    }
    assert!(figures::find("gram_loss").is_some());

    // The checkpoint of step 3 holds the teacher as it was before step 2.
    let held = weights(&straight, 3, "gram");
    assert_ne!(held["cls_token"], weights(&straight, 3, "teacher")["cls_token"]);
    let recipe = anchored(&[]);
    RunFolder::create(&halves, &recipe).unwrap();
    let checkpoint = |dir: &std::path::Path| dir.join("checkpoints/000003");
    std::fs::rename(checkpoint(&straight), checkpoint(&halves)).unwrap();
    let rest = run_in(Some(RunFolder::reopen(&halves, &recipe).unwrap()), &recipe, true).unwrap();
    assert_eq!(losses(&rest), all[3..]);

    // Without it, or for a run that has none, the checkpoint is none.
    let again = checkpoint(&halves);
    std::fs::remove_file(again.join("gram.safetensors")).unwrap();
    let refused = super::checkpoint::load(&recipe, None, &again, &burn::tensor::Device::flex());
    assert!(refused.unwrap_err().to_string().contains("gram.safetensors"));
    let refused = super::checkpoint::load(
        &super::start_tests::recipe(&[]),
        None,
        &halves.join("checkpoints/000006"),
        &burn::tensor::Device::flex(),
    );
    assert!(refused.unwrap_err().to_string().contains("loss.gram"));
}

#[test]
fn a_file_of_another_width_and_patch_holds_them_too() {
    let dir = tempfile::tempdir().unwrap();
    let [other, student] = ["other", "student"].map(|name| dir.path().join(name));
    let wide = ["model.dim=96", "model.heads=3", "model.depth=1", "model.patch=16", "train.iterations=3"];
    run(&other, &recipe(&wide)).unwrap();
    let teacher = format!("gram.teacher={}", other.display());
    let chosen = recipe(&["loss.gram=1", "gram.distorted=false", &teacher]);
    let all = losses(&run(&student, &chosen).unwrap());
    assert_eq!(all.len(), 6);
    // It is kept in the checkpoint: the file may go.
    assert_eq!(weights(&student, 3, "gram")["cls_token"].shape, [1, 1, 96]);
    std::fs::remove_dir_all(&other).unwrap();
    std::fs::remove_dir_all(student.join("checkpoints/000006")).unwrap();
    let rest = run_in(Some(RunFolder::reopen(&student, &chosen).unwrap()), &chosen, true).unwrap();
    assert_eq!(losses(&rest), all[3..]);
    let gone = run(&dir.path().join("late"), &chosen).unwrap_err().to_string();
    assert!(gone.contains("gram.teacher"), "{gone}");
}

#[test]
fn parts_of_a_batch_add_up() {
    let of = |accumulate: &str| {
        let recipe = anchored(&[accumulate, "gram.start=0", "model.drop_path=0"]);
        losses(&run_in(None, &recipe, false).unwrap())
    };
    for ((step, one), (_, two)) in of("train.accumulate=1").iter().zip(of("train.accumulate=2")) {
        assert!((one - two).abs() < 1e-4 * one.abs(), "step {step}: {one} and {two}");
    }
}

/// High-resolution adaptation holds on to what the run had learned, from its first step on.
#[test]
fn an_adapted_run_is_held_to_what_it_begins_with() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    run(&first, &anchored(&[])).unwrap();
    let adapted = adapt::recipe(&anchored(&[]), &first, 48, Some(2)).unwrap();
    assert_eq!((adapted.loss.gram, adapted.gram.start, adapted.gram_size()), (2.0, 0, 96));
    run(&second, &adapted).unwrap();
    // The table of positions is resampled; what is not of any grid is as it was.
    assert_eq!(weights(&second, 2, "gram")["cls_token"], weights(&first, 6, "teacher")["cls_token"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (pair, wanted) in [
        ("gram.start=6", "below train.iterations = 6"),
        ("gram.size=4", "must hold a patch"),
        ("gram.renewals=-1", "allowed is"),
    ] {
        let pair = ["loss.gram=1", pair];
        let error = recipe(&[]).with_overrides(&pairs(&pair)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{pair:?}: {error}");
    }
    let distilled = ["loss.gram=1", "distill.method=similarity", "distill.teacher=a"];
    let error = recipe(&[]).with_overrides(&pairs(&distilled)).unwrap_err().to_string();
    assert!(error.contains("distill.method = none"), "{error}");
}
