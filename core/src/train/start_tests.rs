//! Runs that begin from something: a frozen teacher, a run that is adapted, a backbone whose heads learn first.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::recipe::{DistillMethod, Recipe};
use super::run::RunFolder;
use super::watch::WatchFrameKind;
use super::{adapt, distill_recipe, film, sources, start};
use crate::device::{block_on, cpu};
use crate::engine::{self, EngineError, RunEvent, RunRanks, TrainJob};
use crate::explore::{ModelSource, checkpoint};
use crate::model::{PatchGrid, Vit, VitConfig, params};
use crate::weights::StateDict;

const TINY: [&str; 19] = [
    "model.depth=2",
    "model.dim=48",
    "crops.global_size=32",
    "crops.local_size=16",
    "crops.locals=2",
    "head.prototypes=64",
    "head.hidden=32",
    "head.bottleneck=16",
    "data.scenes=24",
    "data.scene_size=32",
    "optim.warmup=1",
    "optim.freeze_last_layer=0",
    "train.iterations=6",
    "train.batch=4",
    "train.workers=1",
    "train.report_every=1",
    "train.picture_every=0",
    "train.evaluate_every=0",
    "train.checkpoint_every=3",
];

pub(super) fn pairs(of: &[&str]) -> Vec<String> {
    of.iter().map(|pair| (*pair).to_owned()).collect()
}

pub(super) fn recipe(more: &[&str]) -> Recipe {
    let all: Vec<&str> = TINY.iter().chain(more).copied().collect();
    Recipe::preset("nano").unwrap().with_overrides(&pairs(&all)).unwrap()
}

pub(super) fn run_in(
    folder: Option<RunFolder>,
    recipe: &Recipe,
    resume: bool,
) -> Result<Vec<RunEvent>, EngineError> {
    let sources = sources::open(recipe).unwrap();
    let watch = sources.to_watch(recipe).into_iter().take(2).collect();
    let job = TrainJob {
        recipe: recipe.clone(),
        device: cpu(None),
        sources,
        watch,
        folder,
        resume,
        ranks: RunRanks::default(),
    };
    let handle = engine::start(job);
    std::iter::from_fn(|| block_on(handle.events.recv()).ok()).collect()
}

pub(super) fn run(dir: &Path, recipe: &Recipe) -> Result<Vec<RunEvent>, EngineError> {
    run_in(Some(RunFolder::create(dir, recipe).unwrap()), recipe, false)
}

pub(super) fn losses(events: &[RunEvent]) -> Vec<(u64, f64)> {
    let loss = |event: &RunEvent| match event {
        RunEvent::Step(step) => Some((step.iteration, step.values["loss"])),
        _ => None,
    };
    events.iter().filter_map(loss).collect()
}

pub(super) fn weights(dir: &Path, step: u64, who: &str) -> StateDict {
    let file = dir.join(format!("checkpoints/{step:06}/{who}.safetensors"));
    checkpoint(&ModelSource::Path(file)).unwrap().backbone
}

fn distilled(student: &Recipe, teacher: &Path, method: DistillMethod, more: &[&str]) -> Recipe {
    let recipe = distill_recipe::recipe(student, teacher.to_str().unwrap(), Some(method)).unwrap();
    recipe.with_overrides(&pairs(more)).unwrap()
}

#[test]
fn what_heads_say_is_distilled_into_another_width() {
    let dir = tempfile::tempdir().unwrap();
    let [teacher, student] = ["teacher", "student"].map(|name| dir.path().join(name));
    run(&teacher, &recipe(&["head.separate_ibot=true", "head.ibot_prototypes=96"])).unwrap();
    let narrow = recipe(&["model.dim=24", "model.heads=2", "model.depth=3"]);
    let chosen = distill_recipe::recipe(&narrow, teacher.to_str().unwrap(), None).unwrap();
    assert_eq!(chosen.distill.method, DistillMethod::Heads);
    assert_eq!((chosen.head.ibot_prototypes, chosen.head.separate_ibot), (96, true));

    let chosen = chosen.with_overrides(&pairs(&["train.evaluate_every=6", "train.picture_every=6"])).unwrap();
    let events = run(&student, &chosen).unwrap();
    assert_eq!(losses(&events).len(), 6);
    let agreements: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Evaluation { agreement, .. } => Some(agreement.unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(agreements.len(), 2);
    assert!(agreements.iter().all(|a| (0.0..=1.0).contains(&a.neighbours) && a.cls_cosine.abs() <= 1.0));
    // The frozen teacher is shown beside the student.
    let folder = RunFolder::open(&student).unwrap();
    assert!(film::file(&folder, 6, WatchFrameKind::Teacher).is_file());
    // What is kept is the student's average, in the student's width.
    assert_eq!(weights(&student, 6, "teacher")["cls_token"].shape, [1, 1, 24]);
    assert!(weights(&student, 6, "teacher") != weights(&student, 6, "student"));
}

#[test]
fn features_are_distilled_and_a_run_goes_on_with_its_queue() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher");
    run(&teacher, &recipe(&["train.iterations=3"])).unwrap();
    for method in [DistillMethod::Similarity, DistillMethod::Regression] {
        // Another width, depth and patch: grids of 4 and 2 patches.
        let student = recipe(&["model.dim=24", "model.heads=2", "model.depth=1", "model.patch=16"]);
        let chosen = distilled(&student, &teacher, method, &["distill.queue=10"]);
        let straight = dir.path().join(format!("straight {method:?}"));
        let all = losses(&run(&straight, &chosen).unwrap());
        assert_eq!(all.len(), 6);

        let halves = dir.path().join(format!("halves {method:?}"));
        RunFolder::create(&halves, &chosen).unwrap();
        std::fs::rename(straight.join("checkpoints/000003"), halves.join("checkpoints/000003")).unwrap();
        let rest = run_in(Some(RunFolder::reopen(&halves, &chosen).unwrap()), &chosen, true).unwrap();
        assert_eq!(losses(&rest), all[3..]);
    }
}

#[test]
fn what_a_teacher_said_of_fixed_views_is_kept_and_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher");
    run(&teacher, &recipe(&["train.iterations=3"])).unwrap();
    let fixed = ["distill.mixup=false", "distill.fixed_views=true", "data.scenes=6", "train.iterations=5"];
    let chosen = distilled(&recipe(&[]), &teacher, DistillMethod::Regression, &fixed);
    let asked = losses(&run_in(None, &chosen, false).unwrap());
    let kept = dir.path().join("kept");
    assert_eq!(losses(&run(&kept, &chosen).unwrap()), asked);
    // Six pictures, two views, a class token and two blocks of 16 patches, 48 wide, and a digest.
    let record = 8 + 2 * (48 + 16 * 2 * 48) * 4 + 8;
    let file = kept.join("teacher.features");
    assert_eq!(file.metadata().unwrap().len(), 32 + 6 * record);

    // A file that was cut short, is another's, or has a record that was damaged, is made good.
    let whole = record as usize;
    type Damage = fn(&mut Vec<u8>, usize);
    let damages: [(Damage, u64); 4] = [
        (|bytes, whole| bytes.truncate(32 + 2 * whole + 100), 6),
        (|bytes, _| bytes[0] ^= 1, 6),
        (|bytes, whole| bytes[32 + 3 * whole + 1000] ^= 1, 7),
        (|bytes, whole| bytes.swap(32 + whole, 32 + 2 * whole), 8),
    ];
    for (case, (damage, records)) in damages.into_iter().enumerate() {
        let mut bytes = std::fs::read(&file).unwrap();
        damage(&mut bytes, whole);
        let again = dir.path().join(format!("again {case}"));
        std::fs::create_dir_all(&again).unwrap();
        let folder = RunFolder::create(&again.join("run"), &chosen).unwrap();
        std::fs::write(again.join("run/teacher.features"), bytes).unwrap();
        assert_eq!(losses(&run_in(Some(folder), &chosen, false).unwrap()), asked);
        assert_eq!(again.join("run/teacher.features").metadata().unwrap().len(), 32 + records * record);
    }
}

#[test]
fn a_teacher_that_does_not_fit_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher");
    run(&teacher, &recipe(&["train.iterations=3"])).unwrap();
    let heads = distilled(&recipe(&[]), &teacher, DistillMethod::Heads, &[]);
    let refused = |recipe: &Recipe, more: &[&str]| {
        run_in(None, &recipe.with_overrides(&pairs(more)).unwrap(), false).unwrap_err().to_string()
    };
    assert!(refused(&heads, &["head.prototypes=32"]).contains("head.prototypes=64"));
    assert!(refused(&heads, &["model.patch=16"]).contains("set model.patch"));
    assert!(refused(&heads, &["distill.teacher=starter"]).contains("no heads"));
    assert!(
        refused(&heads, &["distill.teacher=not/there"]).contains("distill.teacher: not/there does not exist")
    );
    let nothing = recipe(&[]).with_overrides(&pairs(&["distill.method=heads"])).unwrap_err().to_string();
    assert!(nothing.contains("distill.teacher must name"), "{nothing}");
    let both = heads.with_overrides(&pairs(&["distill.fixed_views=true"])).unwrap_err().to_string();
    assert!(both.contains("similarity or regression"), "{both}");
}

#[test]
fn a_run_is_adapted_to_larger_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let [small, large] = ["small", "large"].map(|name| dir.path().join(name));
    let before = recipe(&[]);
    run(&small, &before).unwrap();
    let adapted = adapt::recipe(&before, &small, 61, Some(3)).unwrap();
    assert_eq!(
        (adapted.crops.global_size, adapted.backbone().grid),
        (64, crate::model::PatchGrid::square(8))
    );
    // Nothing moves at a learning rate of 0: what is saved is what was taken over.
    let held = ["optim.base_lr=0", "optim.min_lr=0", "optim.momentum=1", "optim.momentum_end=1"];
    let still = adapted.with_overrides(&pairs(&held)).unwrap();
    run(&large, &still).unwrap();
    let (of_small, of_large) = (weights(&small, 6, "student"), weights(&large, 3, "student"));
    for (key, tensor) in &of_small {
        match key.as_str() {
            "pos_embed" => assert_eq!(of_large[key].shape, [1, 1 + 64, 48]),
            _ => assert!(of_large[key].data == tensor.data, "{key}"),
        }
    }
    // The class token's position is kept, the others are resampled: their mean hardly changes.
    let (a, b) = (&of_small["pos_embed"].data, &of_large["pos_embed"].data);
    assert_eq!(a[..48], b[..48]);
    let mean =
        |of: &[f32]| of[48..].chunks_exact(48).map(|row| row[0]).sum::<f32>() / (of.len() / 48 - 1) as f32;
    assert!((mean(a) - mean(b)).abs() < 5e-3, "{} {}", mean(a), mean(b));
    // Heads and teacher come along too.
    let heads = |dir: &Path, step: u64| {
        let file = dir.join(format!("checkpoints/{step:06}/teacher.safetensors"));
        checkpoint(&ModelSource::Path(file)).unwrap().heads
    };
    assert!(heads(&small, 6) == heads(&large, 3));
}

/// Weights of other programs: a grid that is not square, and norms with another epsilon.
#[test]
fn a_run_starts_from_a_wide_grid_with_its_own_epsilon() {
    let dir = tempfile::tempdir().unwrap();
    let [named, run_dir] = ["wide.safetensors", "run"].map(|name| dir.path().join(name));
    let own = recipe(&[]);
    let config = VitConfig { grid: PatchGrid::new(2, 6), norm_eps: 1e-3, ..own.backbone() };
    let state = crate::device::block_on(params::state_dict(&Vit::init(&config, 3, &cpu(None).device), |p| {
        p.to_owned()
    }));
    let mut state = state.unwrap();
    // The row's number, all along it.
    let table = state.get_mut("pos_embed").unwrap();
    for (i, row) in table.data.chunks_exact_mut(48).enumerate().skip(1) {
        row.fill(((i - 1) / 6) as f32);
    }
    crate::weights::save(&named, &state, &config, crate::weights::KeyLayout::Official).unwrap();

    let weights = start::open("--start", named.to_str().unwrap()).unwrap();
    let begun = start::recipe_for(&own, &weights.config).unwrap();
    assert_eq!((begun.model.norm_eps, begun.backbone().grid), (1e-3, PatchGrid::square(4)));
    let start = format!("start.weights={}", named.display());
    let held = ["optim.base_lr=0", "optim.min_lr=0", "train.iterations=3", &start];
    run(&run_dir, &begun.with_overrides(&pairs(&held)).unwrap()).unwrap();
    let saved =
        checkpoint(&ModelSource::Path(run_dir.join("checkpoints/000003/student.safetensors"))).unwrap();
    assert_eq!((saved.config.norm_eps, saved.config.grid), (1e-3, PatchGrid::square(4)));
    // Two rows become four, six columns become four: nothing changes along a row, and rows are in order.
    let rows: Vec<f32> =
        saved.backbone["pos_embed"].data[48..].chunks_exact(4 * 48).map(|row| row[0]).collect();
    for (row, all) in rows.iter().zip(saved.backbone["pos_embed"].data[48..].chunks_exact(4 * 48)) {
        assert!(all.iter().all(|value| (value - row).abs() < 1e-5), "{all:?}");
    }
    assert!(rows.len() == 4 && rows.windows(2).all(|pair| pair[0] < pair[1] - 0.1), "{rows:?}");

    let other = own.with_overrides(&pairs(&[&start])).unwrap();
    let message = run_in(None, &other, false).unwrap_err().to_string();
    assert!(message.contains("norms with 1e-3") && message.contains("model.norm_eps=1e-3"), "{message}");
}

#[test]
fn heads_learn_first_while_the_backbone_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    run(&first, &recipe(&["train.iterations=3"])).unwrap();
    let start = format!("start.weights={}", first.display());
    let held = recipe(&[&start, "start.hold_backbone=3", "train.seed=5"]);
    let events = run(&second, &held).unwrap();
    let said = |at: u64| {
        let step = |event: &RunEvent| match event {
            RunEvent::Step(step) if step.iteration == at => Some(step.health.sentences.join(" ")),
            _ => None,
        };
        events.iter().find_map(step).unwrap()
    };
    assert!(said(2).contains("until step 3") && !said(3).contains("until step 3"));
    // A run's backbone is its teacher.
    let begun = weights(&first, 3, "teacher");
    assert!(weights(&second, 3, "student") == begun);
    assert!(weights(&second, 6, "student") != begun);
    let heads = |step: u64| {
        let file = second.join(format!("checkpoints/{step:06}/student.safetensors"));
        checkpoint(&ModelSource::Path(file)).unwrap().heads
    };
    assert!(heads(3) != heads(6));
    let of_first = checkpoint(&ModelSource::Path(first.clone())).unwrap().heads;
    assert!(heads(3)["dino_head"] != of_first["dino_head"]);

    let other = recipe(&[&start, "model.dim=24", "model.heads=2"]);
    let message = run_in(None, &other, false).unwrap_err().to_string();
    assert!(message.contains("48 wide") && message.contains("model.dim=48"), "{message}");
}
