//! Checkpoints that were made to look right: with digests that fit, and without any as older versions wrote them. None is
//! gone on from, and each is named with what is wrong with it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use burn::tensor::Device;
use serde_json::{Value, json};

use super::manifest::CheckpointManifest;
use super::*;
use crate::device::block_on;
use crate::model::params;
use crate::train::resume_point::newest;

/// What is done to a checkpoint of step 6.
enum Damage {
    /// To what `state.json` says.
    State(fn(&mut Value)),
    /// To the bytes of a file.
    Bytes(&'static str, fn(&mut Vec<u8>)),
    /// To the tensors of a file.
    Tensors(&'static str, fn(&mut StateDict)),
    /// To the sizes that are written into a file.
    Config(&'static str, fn(&mut Value)),
}
use Damage::{Bytes, Config, State, Tensors};

const STUDENT: &str = FILES[0];
const TEACHER: &str = FILES[1];
const OPTIMIZER: &str = FILES[2];
const BIAS: &str = "backbone.norm.bias";

fn put(dict: &mut StateDict, name: &str, shape: &[usize], value: f32) {
    let count = shape.iter().product();
    dict.insert(name.to_owned(), HostTensor { shape: shape.to_vec(), data: vec![value; count] });
}

/// Puts a number in the middle of a tensor.
fn spoil(dict: &mut StateDict, name: &str, value: f32) {
    let data = &mut dict.get_mut(name).unwrap().data;
    let middle = data.len() / 2;
    data[middle] = value;
}

/// Each damage, the file that is named, and a part of what is said.
const CASES: [(Damage, &str, &str); 47] = [
    (State(|s| s["iteration"] = json!(-6)), STATE, "invalid value"),
    (State(|s| s["iteration"] = json!(6.5)), STATE, "floating point"),
    (State(|s| s["iteration"] = json!(1e30)), STATE, "floating point"),
    (State(|s| s["iteration"] = json!("6")), STATE, "string"),
    (
        State(|s| (s["iteration"], s["optimizer_steps"]) = (json!(3), json!(3))),
        STATE,
        "of step 3, but lies in the folder 000006",
    ),
    (
        State(|s| (s["iteration"], s["optimizer_steps"]) = (json!(u64::MAX), json!(u64::MAX))),
        STATE,
        "of step 18446744073709551615",
    ),
    (State(|s| s["iteration"] = Value::Null), STATE, "null"),
    (State(|s| drop(s.as_object_mut().unwrap().remove("seed"))), STATE, "missing field `seed`"),
    (State(|s| s["seed"] = json!(8)), STATE, "train.seed = 8"),
    (State(|s| s["seed"] = json!(-1)), STATE, "invalid value"),
    (State(|s| s["optimizer_steps"] = json!(7)), STATE, "7 updates in 6 steps"),
    (State(|s| s["optimizer_steps"] = json!(-7)), STATE, "invalid value"),
    (State(|s| s["sha257"] = json!({})), STATE, "unknown field"),
    (State(|s| s["sha256"] = json!({ "state.json": "00" })), STATE, "no SHA-256 of student"),
    (
        State(|s| {
            drop(s["sha256"].as_object_mut().map(|all| all.insert("../../recipe.toml".into(), "00".into())))
        }),
        STATE,
        "which no checkpoint has",
    ),
    (State(|s| *s = json!([6, 0, 6])), STATE, "no JSON object"),
    (Bytes(STATE, |b| b.clear()), STATE, "EOF"),
    (Bytes(STATE, |b| *b = b"{\"a\":".repeat(1 << 12)), STATE, "unknown field"),
    (Bytes(STATE, |b| *b = b"[".repeat(1 << 15)), STATE, "no JSON object"),
    (Bytes(STATE, |b| b.resize(1 << 20, b' ')), STATE, "no checkpoint's state"),
    (Bytes(STATE, |b| b[3] = 0xff), STATE, "damaged"),
    (Bytes(STUDENT, Vec::clear), STUDENT, "damaged"),
    (Bytes(STUDENT, |b| b.truncate(b.len() / 2)), STUDENT, "damaged"),
    (Bytes(STUDENT, |b| b.extend([0; 64])), STUDENT, "damaged"),
    (Bytes(STUDENT, |b| b[..8].fill(0xff)), STUDENT, "damaged"),
    (Bytes(STUDENT, |b| b[8] = b'!'), STUDENT, "damaged"),
    (Bytes(STUDENT, |b| integers(b)), STUDENT, "I32, not F32"),
    (Tensors(STUDENT, |d| drop(d.remove(BIAS))), STUDENT, "1 keys are missing"),
    (Tensors(STUDENT, StateDict::clear), STUDENT, "keys are missing"),
    (Tensors(STUDENT, |d| put(d, "backbone.more", &[2], 0.0)), STUDENT, "backbone.more among them"),
    (Tensors(STUDENT, |d| put(d, BIAS, &[13], 0.0)), STUDENT, "of another size"),
    (Tensors(STUDENT, |d| put(d, BIAS, &[12, 1], 0.0)), STUDENT, "of another size"),
    (Tensors(STUDENT, |d| put(d, BIAS, &[0], 0.0)), STUDENT, "of another size"),
    (
        Tensors(STUDENT, |d| d.get_mut("backbone.patch_embed.proj.weight").unwrap().shape.reverse()),
        STUDENT,
        "proj.weight",
    ),
    (Tensors(STUDENT, |d| spoil(d, BIAS, f32::NAN)), STUDENT, "not finite"),
    (Tensors(TEACHER, |d| spoil(d, BIAS, f32::INFINITY)), TEACHER, "not finite"),
    (Config(STUDENT, |c| c["heads"] = json!(12)), STUDENT, "another model"),
    (Config(TEACHER, |c| c["norm_eps"] = json!(0.1)), TEACHER, "another model"),
    (Config(OPTIMIZER, |c| *c = json!("none")), OPTIMIZER, "can't be read"),
    (Tensors(OPTIMIZER, |d| spoil(d, "first.backbone.norm.bias", f32::NAN)), OPTIMIZER, "not finite"),
    (Tensors(OPTIMIZER, |d| spoil(d, "second.backbone.norm.bias", -1e-9)), OPTIMIZER, "negative"),
    (Tensors(OPTIMIZER, |d| drop(d.remove("second.backbone.norm.bias"))), OPTIMIZER, "is missing"),
    (
        Tensors(OPTIMIZER, |d| put(d, "first.backbone.norm.bias", &[3, 4], 0.0)),
        OPTIMIZER,
        "in the shape [3, 4]",
    ),
    (Tensors(OPTIMIZER, |d| put(d, "third.backbone.norm.bias", &[12], 0.0)), OPTIMIZER, "of no parameter"),
    (Tensors(OPTIMIZER, |d| put(d, "center.dino", &[1, 9], 0.0)), OPTIMIZER, "does not have 8 values"),
    (Tensors(OPTIMIZER, |d| put(d, "loss_scale", &[2], 1024.0)), OPTIMIZER, "loss_scale is there"),
    (Tensors(OPTIMIZER, |d| put(d, "queue", &[4, 12], 0.1)), OPTIMIZER, "queue is there"),
];

fn integers(bytes: &mut [u8]) {
    let at = bytes.windows(5).position(|part| part == b"\"F32\"").unwrap();
    bytes[at..at + 5].copy_from_slice(b"\"I32\"");
}

fn recipe() -> Recipe {
    let tiny = ["model.depth=1", "model.dim=12", "head.prototypes=8", "head.hidden=8", "head.bottleneck=8"];
    Recipe::preset("nano").unwrap().with_overrides(&tiny.map(str::to_owned)).unwrap()
}

/// Checkpoints of the steps 3 and 6.
fn run(recipe: &Recipe, dir: &Path) {
    let mut state = TrainerState::new(recipe, &Device::flex());
    for (name, value) in params::values(&state.teacher) {
        state.optimizer.first.insert(name.clone(), value.clone());
        state.optimizer.second.insert(name, value.abs());
    }
    for step in [3, 6] {
        (state.iteration, state.optimizer.steps) = (step, step);
        block_on(save(&state, None, recipe, dir, 9)).unwrap();
    }
}

/// Copies a folder of checkpoints.
fn copy(from: &Path, to: &Path) {
    for (_, checkpoint) in all(from) {
        let folder = to.join(checkpoint.file_name().unwrap());
        files::create_dir_all(&folder).unwrap();
        for name in FILES.iter().chain([&STATE]) {
            files::write(folder.join(name), files::read(checkpoint.join(name)).unwrap()).unwrap();
        }
    }
}

/// Writes `state.json` as it fits to what lies there now, or without digests.
fn seal(folder: &Path, digests: bool, alter: fn(&mut Value)) {
    let mut manifest =
        CheckpointManifest { sha256: BTreeMap::new(), ..CheckpointManifest::read(folder).unwrap() };
    if digests {
        manifest.sha256 = FILES
            .iter()
            .map(|name| ((*name).to_owned(), tensors::digest(&folder.join(name)).unwrap()))
            .collect();
        manifest.clone().write(folder).unwrap();
        let text = files::read(folder.join(STATE)).unwrap();
        manifest = serde_json::from_slice(&text).unwrap();
    }
    let mut json = serde_json::to_value(&manifest).unwrap();
    alter(&mut json);
    match serde_json::from_value::<CheckpointManifest>(json.clone()) {
        Ok(altered) if !altered.sha256.is_empty() => altered.write(folder).unwrap(),
        _ => files::write(folder.join(STATE), json.to_string()).unwrap(),
    }
}

fn craft(folder: &Path, damage: &Damage, digests: bool) {
    let file = |name: &&str| folder.join(name);
    match damage {
        State(alter) => return seal(folder, digests, *alter),
        Bytes(name, alter) => {
            let mut bytes = files::read(file(name)).unwrap();
            if *name == STATE {
                seal(folder, digests, |_| ());
            }
            alter(&mut bytes);
            files::write(file(name), bytes).unwrap();
            if *name == STATE {
                return;
            }
        }
        Tensors(name, alter) => {
            let (mut dict, config) = tensors::read_with_config(&file(name), None).unwrap();
            alter(&mut dict);
            tensors::write(&file(name), &dict, &config.unwrap()).unwrap();
        }
        Config(name, alter) => {
            let (dict, config) = tensors::read_with_config(&file(name), None).unwrap();
            let mut config = serde_json::from_str(&config.unwrap()).unwrap();
            alter(&mut config);
            tensors::write(&file(name), &dict, &config.to_string()).unwrap();
        }
    }
    seal(folder, digests, |_| ());
}

#[test]
fn none_is_gone_on_from_and_each_is_named() {
    let (recipe, device) = (recipe(), Device::flex());
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    run(&recipe, &whole);
    for digests in [true, false] {
        for (number, (damage, file, said)) in CASES.iter().enumerate() {
            let dir = base.path().join(format!("{digests}-{number}/checkpoints"));
            copy(&whole, &dir);
            let folder = dir.join("000006");
            craft(&folder, damage, digests);
            if !digests && *said == "which no checkpoint has" {
                // There is none to be wrong.
                continue;
            }
            let case = format!("case {number}, digests {digests}");
            let error = match load(&recipe, None, &folder, &device) {
                Ok(_) => panic!("{case}: it was accepted"),
                Err(error) => error.to_string(),
            };
            assert!(error.contains(&folder.join(file).display().to_string()), "{case}: {error}");
            assert!(error.contains(said), "{case}: {error}");
            // The one before is taken, and what is wrong is said.
            let found = newest(&recipe, None, &dir, &device).unwrap().unwrap();
            assert_eq!(found.path, Some(dir.join("000003")), "{case}");
            let told = found.set_aside();
            assert!(
                told.len() == 1 && told[0].contains(file) && told[0].contains("000006.damaged"),
                "{told:?}"
            );
            // Without one before there is a way out.
            files::rename(dir.join("000006.damaged"), &folder).unwrap();
            files::remove_dir_all(dir.join("000003")).unwrap();
            let error = match newest(&recipe, None, &dir, &device) {
                Ok(_) => panic!("{case}: it was accepted"),
                Err(error) => error.to_string(),
            };
            let out = error.contains("dinoscope train --start") || error.contains("recipe.toml --out NEW");
            assert!(error.contains(file) && out, "{case}: {error}");
        }
    }
}

#[test]
fn one_that_nobody_touched_is_taken_with_digests_and_without() {
    let (recipe, device) = (recipe(), Device::flex());
    for digests in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        run(&recipe, dir.path());
        let folder = dir.path().join("000006");
        seal(&folder, digests, |_| ());
        assert_eq!(load(&recipe, None, &folder, &device).unwrap().iteration, 6);
        assert!(is_whole(&folder));
        let whole = if digests { verify::FileVerdict::Whole } else { verify::FileVerdict::Unknown };
        let found = verify::verify(&folder);
        assert!(found.len() == 4 && found.iter().all(|file| file.verdict == whole), "{found:?}");
    }
    // Files of before the sizes were written into them, and one that is shorter than the recipe.
    let dir = tempfile::tempdir().unwrap();
    run(&recipe, dir.path());
    let short = recipe.with_overrides(&["train.iterations=5".to_owned()]).unwrap();
    let error = load(&short, None, &dir.path().join("000006"), &device).unwrap_err().to_string();
    assert!(error.contains("train.iterations = 5"), "{error}");
}

#[test]
fn folders_without_a_state_are_named_and_damaged_colours_do_not_end_a_run() {
    let (recipe, device) = (recipe(), Device::flex());
    let dir = tempfile::tempdir().unwrap();
    run(&recipe, dir.path());
    files::create_dir(dir.path().join("000009")).unwrap();
    let found = newest(&recipe, None, dir.path(), &device).unwrap().unwrap();
    assert_eq!(found.state.iteration, 6);
    assert!(found.set_aside()[0].contains("000009"));

    // As if both had been written with colours, which are damaged now.
    for step in ["000003", "000006"] {
        let folder = dir.path().join(step);
        files::write(folder.join(watch_colours::FILE), "no colours").unwrap();
        let mut manifest = CheckpointManifest::read(&folder).unwrap();
        manifest.sha256.insert(watch_colours::FILE.to_owned(), "00".to_owned());
        manifest.write(&folder).unwrap();
        assert!(!is_whole(&folder));
    }
    let found = newest(&recipe, None, dir.path(), &device).unwrap().unwrap();
    assert!(found.state.iteration == 6 && found.state.colours.is_none());
    let told = found.set_aside();
    assert!(told.len() == 2, "{told:?}");
    assert!(
        told.iter().any(|said| said.contains("000006/colours.safetensors") && said.contains("change once"))
    );
}
