//! Every reference case in the fixtures, on the CPU backend and on a GPU (software Vulkan will do).

use std::path::PathBuf;

use dinoscope_core::bench::prepared::StepFixture;
use dinoscope_core::device::{DeviceChoice, adapters, block_on, choose};
use dinoscope_core::model::{Vit, params};
use dinoscope_core::train::Recipe;
use dinoscope_tests::parity::{self, Case};

/// At run time: a build folder can be shared by several clones, and what was compiled in may name another one.
fn fixtures() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("fixtures")
}

fn check_all(choice: DeviceChoice, wanted: impl Fn(&Case) -> bool, at_least: usize) {
    let device = choose(choice).unwrap().device;
    let cases: Vec<Case> = parity::find(&fixtures()).into_iter().filter(wanted).collect();
    assert!(cases.len() >= at_least, "only {} cases", cases.len());
    for case in cases {
        let outcome = parity::check(&case, &device);
        assert!(outcome.passed(), "{outcome}");
    }
}

#[test]
fn all_cases_on_the_cpu() {
    check_all(DeviceChoice::Cpu, |_| true, 9);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn all_cases_on_a_gpu() {
    assert!(
        !adapters().is_empty(),
        "no GPU and no software Vulkan: install Mesa's driver (mesa-vulkan-drivers) or set DINOSCOPE_NO_GPU_TESTS=1"
    );
    check_all(DeviceChoice::Gpu(0), |case| !matches!(case, Case::Augment(_)), 8);
}

/// On a GPU the optimizer changes student and teacher where they lie: a copy that shared their memory would move with them.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn a_gram_teacher_on_a_gpu_stays_as_it_was() {
    let device = choose(DeviceChoice::Gpu(0)).unwrap().device;
    let small = [
        "loss.gram=1",
        "gram.start=2",
        "train.batch=2",
        "model.depth=1",
        "model.dim=48",
        "crops.locals=1",
        "head.prototypes=32",
    ];
    let recipe = Recipe::preset("nano").unwrap().with_overrides(&small.map(str::to_owned)).unwrap();
    let numbers = |backbone: &Vit| -> Vec<Vec<f32>> {
        params::values(backbone).into_values().map(|value| block_on(params::read(value)).unwrap()).collect()
    };
    let mut fixture = StepFixture::new(&recipe, &device);
    // The first step gathers all parameters in one buffer; those behind it work in there.
    (0..2).for_each(|_| drop(fixture.step()));
    let before = numbers(&fixture.state.teacher.backbone);
    (0..2).for_each(|_| drop(fixture.step()));
    let copy = &fixture.state.gram.as_ref().unwrap().backbone;
    assert_eq!(numbers(copy), before);
    assert_ne!(numbers(&fixture.state.teacher.backbone), before);
}

#[test]
fn a_wrong_weight_is_noticed() {
    // The comparison itself must be able to fail: one changed number is enough.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("weights")).unwrap();
    for name in ["official_vit.pth", "official_vit.expected.safetensors"] {
        std::fs::copy(fixtures().join("weights").join(name), dir.path().join("weights").join(name)).unwrap();
    }
    let file = dir.path().join("weights/official_vit.expected.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 0x7f;
    std::fs::write(&file, bytes).unwrap();
    let cases = parity::find(dir.path());
    assert_eq!(cases.len(), 1);
    assert!(!parity::check(&cases[0], &choose(DeviceChoice::Cpu).unwrap().device).passed());
}
