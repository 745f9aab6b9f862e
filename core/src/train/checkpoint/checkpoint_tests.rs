//! What is kept as a checkpoint, and what is not.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor};

use super::*;
use crate::device::block_on;
use crate::model::params;

/// Puts a number that is none into a state.
type Spoil<'a> = &'a dyn Fn(&mut TrainerState);

fn recipe() -> Recipe {
    let tiny = ["model.depth=1", "model.dim=12", "head.prototypes=8", "head.hidden=8", "head.bottleneck=8"];
    Recipe::preset("nano").unwrap().with_overrides(&tiny.map(str::to_owned)).unwrap()
}

#[test]
fn nothing_that_is_not_finite_is_written_or_takes_the_place_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let (recipe, device) = (recipe(), Device::flex());
    let keep = |state: &TrainerState| block_on(save(state, None, &recipe, dir.path(), 1));
    keep(&TrainerState::new(&recipe, &device)).unwrap();
    let infinite = Tensor::<1>::from_floats([0.0, f32::INFINITY], &device);
    let spoiled: [(&str, Spoil<'_>); 4] = [
        ("student backbone.norm.bias", &|state| {
            state.student = params::update(state.student.clone(), |name, old| match name {
                "backbone.norm.bias" => old.mul_scalar(f32::NAN),
                _ => old,
            });
        }),
        ("teacher backbone.norm.bias", &|state| {
            state.teacher = params::update(state.teacher.clone(), |name, old| match name {
                "backbone.norm.bias" => old.mul_scalar(f32::NAN),
                _ => old,
            });
        }),
        ("optimizer second.a", &|state| {
            state.optimizer.second.insert("a".to_owned(), infinite.clone());
        }),
        ("optimizer center.dino", &|state| {
            state.centers.dino = state.centers.dino.clone().mul_scalar(f32::NAN);
        }),
    ];
    for (name, spoil) in spoiled {
        let mut state = TrainerState::new(&recipe, &device);
        state.iteration = 7;
        spoil(&mut state);
        let error = keep(&state).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["000000"]);
    }
}

#[test]
fn a_checkpoint_has_the_size_that_room_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (recipe, device) = (recipe(), Device::flex());
    let mut state = TrainerState::new(&recipe, &device);
    for (name, value) in params::values(&state.teacher) {
        state.optimizer.first.insert(name.clone(), value.clone());
        state.optimizer.second.insert(name, value);
    }
    let path = block_on(save(&state, None, &recipe, dir.path(), 1)).unwrap();
    let files = std::fs::read_dir(path).unwrap();
    let written: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let mut parameters = 0;
    params::visit(&state.student, |seen| parameters += seen.shape.iter().product::<usize>());
    let expected = bytes(parameters);
    assert!((expected - HEADERS..=expected).contains(&written), "{written} of {expected}");
}

#[test]
fn without_room_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (recipe, device) = (recipe(), Device::flex());
    let state = TrainerState::new(&recipe, &device);
    files::full::set(dir.path(), true);
    let error = block_on(save(&state, None, &recipe, dir.path(), 1)).unwrap_err().to_string();
    assert!(error.contains(" and 0 B are free"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
