#![allow(clippy::unwrap_used)]

use super::*;
use crate::device::block_on;
use crate::model::params::{read, values};
use crate::train::network::{Network, NetworkConfig};

fn recipe(pairs: &[&str]) -> Recipe {
    let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
    Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()
}

fn turns(pairs: &[&str]) -> Vec<u64> {
    let recipe = recipe(pairs);
    (0..200).filter(|iteration| takes_over(&recipe, *iteration)).collect()
}

#[test]
fn the_own_teacher_takes_over_at_the_start_and_so_often_as_the_recipe_says() {
    let on = ["loss.gram=2", "gram.start=40", "gram.renew_every=30", "gram.renewals=2"];
    assert_eq!(turns(&on), [40, 70, 100]);
    assert_eq!(turns(&[&on[..], &["gram.teacher=a.safetensors"]].concat()), [70, 100]);
    assert_eq!(turns(&["loss.gram=2", "gram.start=40"]), [40]);
    assert_eq!(turns(&on[1..]), [0; 0]);
}

fn numbers(backbone: &Vit) -> Vec<f32> {
    values(backbone).into_values().flat_map(|value| block_on(read(value)).unwrap()).collect()
}

/// The copy is looked at after the other has been changed where it lies.
#[test]
fn a_copy_stays_when_the_teacher_moves_on() {
    let recipe = recipe(&["model.depth=1", "train.batch=2", "loss.gram=1", "crops.locals=0"]);
    let mut state = TrainerState::new(&recipe, &Device::flex());
    renew(&mut state, &recipe);
    let copy = state.gram.clone().unwrap().backbone;
    let before = numbers(&copy);
    assert_eq!(before, numbers(&state.teacher.backbone));
    state.teacher.backbone = params::update(state.teacher.backbone, |_, values| values.add_scalar(1.0));
    assert_eq!(before, numbers(&state.gram.unwrap().backbone));
    assert_ne!(before, numbers(&state.teacher.backbone));
}

#[test]
fn any_patch_is_brought_to_the_students_grid() {
    let device = Device::flex();
    let sizes = |patch: usize| {
        recipe(&[
            &format!("model.patch={patch}"),
            "model.depth=1",
            "crops.global_size=48",
            "crops.local_size=24",
        ])
    };
    for (patch, side) in [(8, 96), (12, 48), (6, 50)] {
        let network = Network::init(&NetworkConfig::from(&sizes(patch)), 0, &device);
        let teacher = GramTeacher { backbone: network.backbone };
        let seen = teacher.look(Tensor::zeros([2, 3, side, side], &device), 6);
        assert_eq!(seen.dims(), [2, 36, teacher.backbone.config.dim]);
    }
}
