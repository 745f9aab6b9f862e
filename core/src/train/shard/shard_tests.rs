//! Runs whose state ranks share against the same run in one process, and against replicas.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use burn::tensor::Device;

use super::*;
use crate::engine::StepReport;
use crate::ssl::ranks::threads::ThreadRank;
use crate::train::distill_recipe;
use crate::train::network::NetworkConfig;
use crate::train::ranks::tests::{LOSSES, apart, at_batch, jobs, recipe, run, steps, with_ranks};
use crate::train::recipe::{DistillMethod, Recipe};
use crate::train::run::RunFolder;
use crate::train::state_bytes::StateBytes;

const KINDS: [&str; 2] = ["optimizer", "full"];

/// A model whose parameters no number of ranks divides, in batches that 2, 3 and 4 do. KoLeo, whose gradient grows without limit
/// between two pictures that are alike, makes more of the last bits in such batches, with replicas too.
fn odd(more: &[&str]) -> Recipe {
    let sizes = [
        "model.dim=51",
        "head.prototypes=67",
        "head.hidden=31",
        "head.bottleneck=29",
        "train.batch=12",
        "loss.koleo=0.0",
    ];
    recipe(&[&sizes[..], more].concat())
}

fn with(recipe: &Recipe, more: &[&str]) -> Recipe {
    recipe.with_overrides(&more.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn shared(recipe: &Recipe, kind: &str) -> Recipe {
    with(recipe, &[&format!("train.shard={kind}")])
}

/// The losses of all steps, as they are.
fn bits(reports: &[StepReport]) -> Vec<Vec<u64>> {
    reports.iter().map(|step| LOSSES.iter().map(|name| step.values[*name].to_bits()).collect()).collect()
}

#[test]
fn shards_on_two_three_and_four_ranks_learn_what_one_process_does() {
    let ways: [(&[&str], f64); 5] = [
        (&["head.separate_ibot=true"], 1e-5),
        (&["loss.centering=softmax", "mask.probability=0.3", "model.ffn=swiglu"], 2e-4),
        (&["train.accumulate=2", "train.batch=24"], 1e-5),
        (&["loss.gram=1.0", "gram.start=3", "gram.renew_every=5"], 1e-5),
        // Most branches are computed on one rank alone.
        (&["model.drop_path=0.9", "train.checkpoint_activations=true", "start.hold_backbone=4"], 1e-5),
    ];
    for (at, (way, most)) in ways.into_iter().enumerate() {
        let recipe = odd(way);
        let alone = with_ranks(1, &recipe);
        for kind in KINDS {
            // Each way with every number of ranks would take minutes.
            for ranks in if at == 0 { vec![2, 3, 4] } else { vec![2 + (at + kind.len()) % 3] } {
                let found = apart(&alone, &with_ranks(ranks, &shared(&recipe, kind)), &LOSSES);
                eprintln!("{kind}, {way:?} on {ranks} ranks: losses are {found:e} apart");
                assert!(found < most, "{kind}, {way:?} on {ranks} ranks: {found:e}");
            }
        }
    }
}

#[test]
fn koleo_over_all_ranks_is_the_same_in_shards() {
    let recipe = at_batch(&recipe(&[]), 8);
    let alone = with_ranks(1, &recipe);
    for (kind, ranks) in [("optimizer", 2), ("full", 2), ("full", 4)] {
        let found = apart(&alone, &with_ranks(ranks, &shared(&recipe, kind)), &LOSSES);
        assert!(found < 1e-5, "{kind} on {ranks} ranks: {found:e}");
    }
}

#[test]
fn shards_have_the_bits_of_replicas_where_nothing_is_clipped() {
    // Norms are the one sum that is made in another order.
    for way in [&["optim.clip=0.0"][..], &["optim.clip=0.0", "train.precision=f16"]] {
        let recipe = odd(way);
        let replicas = bits(&with_ranks(3, &recipe));
        for kind in KINDS {
            assert_eq!(bits(&with_ranks(3, &shared(&recipe, kind))), replicas, "{kind}, {way:?}");
        }
    }
}

#[test]
fn two_runs_in_shards_are_the_same_to_the_bit() {
    for kind in KINDS {
        let recipe = shared(&odd(&[]), kind);
        assert_eq!(bits(&with_ranks(4, &recipe)), bits(&with_ranks(4, &recipe)), "{kind}");
    }
}

#[test]
fn features_are_distilled_in_shards() {
    let asked = distill_recipe::recipe(&odd(&[]), "starter", Some(DistillMethod::Similarity)).unwrap();
    let recipe = asked.resolve(&["distill.mixup=false".to_owned()]).unwrap().recipe;
    let alone = with_ranks(1, &recipe);
    for kind in KINDS {
        let shared = with_ranks(2, &shared(&recipe, kind));
        let found = apart(&alone, &shared, &["loss", "distill_cls_loss", "distill_patch_loss"]);
        assert!(found < 1e-5, "{kind}: {found:e}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn what_four_ranks_saved_goes_on_with_one_two_three_and_four() {
    let recipe = odd(&["head.separate_ibot=true"]);
    let whole = with_ranks(1, &recipe);
    let dir = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let saved = dir.path().join(kind);
        run(jobs(&saved, &vec![shared(&recipe, kind); 4], false)).iter().for_each(|ended| drop(steps(ended)));
        for (ranks, other) in [(1, kind), (2, kind), (3, kind), (4, kind), (2, "none"), (3, "full")] {
            let folder = dir.path().join(format!("{kind}-{ranks}-{other}"));
            copy(&saved, &folder);
            // As if it had been killed on its way.
            std::fs::remove_dir_all(RunFolder::checkpoints_of(&folder).join("000020")).unwrap();
            let rest = steps(&run(jobs(&folder, &vec![shared(&recipe, other); ranks], true))[0]);
            assert_eq!(rest.first().unwrap().iteration, 10);
            for step in &rest {
                let (a, b) = (whole[step.iteration as usize].values["loss"], step.values["loss"]);
                let place = format!("{kind} by 4, then {other} by {ranks}, step {}", step.iteration);
                assert!((a - b).abs() < 1e-5 * a, "{place}: {b} for {a}");
            }
        }
    }
}

#[test]
fn a_checkpoint_of_shards_is_that_of_replicas() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = odd(&["optim.clip=0.0"]);
    let file = |kind: &str, name: &str| {
        std::fs::read(RunFolder::checkpoints_of(&dir.path().join(kind)).join("000020").join(name)).unwrap()
    };
    for kind in ["none", "optimizer", "full"] {
        run(jobs(&dir.path().join(kind), &vec![shared(&recipe, kind); 3], false));
        for name in ["student.safetensors", "teacher.safetensors", "optimizer.safetensors", "state.json"] {
            assert!(file(kind, name) == file("none", name), "{name} of {kind} differs");
        }
    }
}

#[test]
fn a_rank_holds_what_was_reckoned_and_lets_go_of_the_rest() {
    let recipe = odd(&["head.separate_ibot=true", "model.registers=1"]);
    let config = NetworkConfig::from(&recipe);
    for ranks in [2, 3, 4] {
        for (kind, of_student) in [(ShardKind::Optimizer, config.parameters()), (ShardKind::Full, 0)] {
            let reckoned = StateBytes::new(&config, kind, ranks);
            let held: Vec<(u64, usize, usize)> = std::thread::scope(|scope| {
                let on_rank = |group: RankGroup| {
                    let recipe = &recipe;
                    scope.spawn(move || {
                        let mut state = TrainerState::new(recipe, &Device::flex());
                        let values = |network: &Network| {
                            params::values(network).values().map(|value| value.dims()[0]).sum::<usize>()
                        };
                        let empty = params::values(&state.teacher).len();
                        let before = params::values(&state.teacher);
                        state.share_out(kind, &group);
                        // Whole again when it is asked for.
                        let after = params::values(&state.whole_teacher(true));
                        for (name, value) in before {
                            assert_eq!(on_host(after[&name].clone()), on_host(value), "{name}");
                        }
                        assert_eq!(values(&state.teacher), empty);
                        state.begin_step();
                        state.begin_pass();
                        state.end_pass();
                        let student = values(&state.student);
                        (state.shards.unwrap().bytes(), student, empty)
                    })
                };
                let started: Vec<_> = ThreadRank::all(ranks).into_iter().map(on_rank).collect();
                started.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for (bytes, student, empty) in held {
                assert_eq!(student, if of_student == 0 { empty } else { of_student });
                assert_eq!(bytes + 4 * of_student as u64, reckoned.rest(), "{kind:?} on {ranks} ranks");
            }
        }
    }
}

/// Run with `--run-ignored only` where there is a GPU, or a program that acts as one.
#[test]
#[ignore = "a software GPU compiles for minutes"]
fn shards_on_a_gpu_learn_what_replicas_do() {
    let Ok(gpu) = crate::device::choose(crate::device::DeviceChoice::Gpu(0)) else { return };
    let recipe = odd(&["train.iterations=3", "optim.warmup=1", "optim.teacher_temp_warmup=1"]);
    let of = |kind: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut jobs = jobs(&dir.path().join("run"), &vec![shared(&recipe, kind); 2], false);
        jobs.iter_mut().for_each(|job| job.device = gpu.clone());
        steps(&run(jobs)[0])
    };
    let replicas = of("none");
    for kind in KINDS {
        for (a, b) in replicas.iter().zip(&of(kind)) {
            let (a, b) = (a.values["loss"], b.values["loss"]);
            eprintln!("{kind}: {b} for {a}");
            assert!((a - b).abs() < 1e-5 * a, "{kind}: {b} for {a}");
        }
    }
}

#[test]
fn what_travels_in_bf16_changes_losses_a_little() {
    let recipe = at_batch(&recipe(&[]), 8);
    let exact = with_ranks(2, &recipe);
    for kind in ["none", "optimizer", "full"] {
        let rounded = with_ranks(2, &with(&recipe, &["train.wire=bf16", &format!("train.shard={kind}")]));
        let found = apart(&exact, &rounded, &LOSSES[..4]);
        eprintln!("train.wire = bf16, train.shard = {kind}: losses of 20 steps are {found:e} apart");
        assert!(found > 0.0 && found < 2e-2, "{kind}: {found:e}");
    }
    // Alone nothing travels.
    assert_eq!(bits(&with_ranks(1, &with(&recipe, &["train.wire=bf16"]))), bits(&with_ranks(1, &recipe)));
}

#[test]
fn units_cover_every_parameter_once() {
    for ranks in [1, 2, 3, 4, 7] {
        let network = Network::init(&NetworkConfig::from(&odd(&[])), 0, &Device::flex());
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for rank in 0..ranks {
            let plan = ShardPlan::new(&network, rank, ranks);
            for unit in 0..plan.units.len() {
                let segments = plan.segments(unit);
                let mut end = 0;
                for segment in segments {
                    assert_eq!(segment.at.start, end);
                    end = segment.at.end;
                    *seen.entry(segment.name).or_default() += segment.at.len();
                }
                assert!(end <= plan.each(unit));
            }
        }
        let wanted: BTreeMap<String, usize> =
            params::values(&network).into_iter().map(|(name, value)| (name, value.dims()[0])).collect();
        assert_eq!(seen, wanted, "{ranks} ranks");
    }
}
