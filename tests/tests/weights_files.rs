//! Weights files as people have them: of trainings with two backbones, broken, of other models, in the way.

use std::collections::BTreeMap;
use std::path::Path;

use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::source::scenes;
use dinoscope_core::explore::{self, ModelSource};
use dinoscope_core::weights::StateDict;
use dinoscope_tests::program::{TINY, ok, run};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// The backbone that comes with the program.
fn starter() -> StateDict {
    explore::checkpoint(&ModelSource::Starter).unwrap().backbone
}

/// Writes tensors under the keys that `parts` put before them.
fn write(path: &Path, parts: &[(&str, &StateDict)]) {
    let mut all = BTreeMap::new();
    for (prefix, state) in parts {
        for (key, tensor) in *state {
            let bytes: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
            all.insert(format!("{prefix}{key}"), (tensor.shape.clone(), bytes));
        }
    }
    let views = all
        .iter()
        .map(|(key, (shape, bytes))| (key, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// What a command that must fail with status 2 says.
fn mistake(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "dinoscope {arguments:?}: {said}");
    said
}

fn cls(dir: &Path, weights: &str, part: Option<&str>) -> Vec<u8> {
    let mut arguments =
        vec!["features", "p.png", "--weights", weights, "--out", "o", "--npy", "--device", "cpu"];
    arguments.extend(["--resolution", "64"]);
    arguments.extend(part.iter().flat_map(|part| ["--part", part]));
    ok(dir, &arguments);
    std::fs::read(dir.join("o/p.cls.npy")).unwrap()
}

#[test]
fn the_teacher_of_a_training_is_read_and_another_part_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_png(&dir.join("p.png"), &scenes::draw(9, 1, 64).picture).unwrap();
    let teacher = starter();
    let mut student = teacher.clone();
    student.get_mut("norm.bias").unwrap().data.fill(0.25);
    write(&dir.join("s.safetensors"), &[("", &student)]);
    write(&dir.join("t.safetensors"), &[("", &teacher)]);
    write(&dir.join("x.safetensors"), &[("student_backbone.", &student), ("teacher_backbone.", &teacher)]);
    let (s, t) = (cls(dir, "s.safetensors", None), cls(dir, "t.safetensors", None));
    assert_ne!(s, t);
    assert_eq!(cls(dir, "x.safetensors", None), t);
    assert_eq!(cls(dir, "x.safetensors", Some("student")), s);
    assert_eq!(cls(dir, "x.safetensors#student", None), s);

    // It is said, for people and for programs.
    let all =
        ["features", "p.png", "--weights", "x.safetensors", "--out", "o", "--npy", "--resolution", "64"];
    let json = ok(dir, &[&all[..], &["--device", "cpu", "--json"]].concat());
    let note = json.lines().find(|line| line.contains(r#""event":"note""#)).unwrap();
    let note: serde_json::Value = serde_json::from_str(note).unwrap();
    let told = note["note"].as_str().unwrap();
    assert!(told.contains("`teacher_backbone` was read") && told.contains("student_backbone"), "{told}");
    let seen = ok(dir, &["weights", "inspect", "x.safetensors", "--json", "--part", "student"]);
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert!(seen["notes"][0].as_str().unwrap().contains("`student_backbone` was read"), "{seen}");
    let converted = run(dir, &["weights", "convert", "x.safetensors", "c.safetensors", "--to", "official"]);
    let said = String::from_utf8_lossy(&converted.stderr);
    assert!(converted.status.success() && said.contains("--part"), "{said}");
    assert_eq!(cls(dir, "c.safetensors", None), t);

    for command in [
        &["eval", "knn", "--data", "scenes", "--device", "cpu"][..],
        &["features", "p.png", "--out", "o", "--device", "cpu"],
    ] {
        let said = mistake(dir, &[command, &["--weights", "x.safetensors", "--part", "critic"]].concat());
        assert!(said.contains("no part critic") && said.contains("teacher_backbone"), "{said}");
    }
    let said = mistake(
        dir,
        &["weights", "convert", "x.safetensors", "d.safetensors", "--to", "timm", "--part", "critic"],
    );
    assert!(said.contains("no part critic") && !dir.join("d.safetensors").exists(), "{said}");
}

#[test]
fn what_is_there_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (output, to, precious) in [
        ("mine.safetensors", "official", "mine.safetensors"),
        ("mine-timm.safetensors", "timm", "mine-timm.safetensors"),
        ("hf", "hugging-face", "hf/config.json"),
    ] {
        std::fs::create_dir_all(dir.join(precious).parent().unwrap()).unwrap();
        std::fs::write(dir.join(precious), "precious").unwrap();
        let convert = ["weights", "convert", "starter", output, "--to", to];
        let said = mistake(dir, &convert);
        assert!(said.contains(precious) && said.contains("--force"), "{said}");
        assert_eq!(std::fs::read_to_string(dir.join(precious)).unwrap(), "precious");
        ok(dir, &[&convert[..], &["--force"]].concat());
        ok(dir, &["weights", "inspect", output]);
    }
}

#[test]
fn weights_that_are_no_numbers_go_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_png(&dir.join("p.png"), &scenes::draw(9, 1, 64).picture).unwrap();
    let mut state = starter();
    state.get_mut("blocks.1.norm1.weight").unwrap().data[2] = f32::NAN;
    write(&dir.join("nan.safetensors"), &[("", &state)]);
    let train = [&["train", "--data", "scenes", "--out", "r", "--device", "cpu"][..], &TINY[..]].concat();
    let distill = [&["distill", "--data", "scenes", "--out", "r", "--device", "cpu"][..], &TINY[..]].concat();
    for command in [
        &["weights", "convert", "nan.safetensors", "c.safetensors", "--to", "official"][..],
        &["features", "p.png", "--weights", "nan.safetensors", "--out", "o", "--device", "cpu"],
        &["eval", "knn", "--weights", "nan.safetensors", "--data", "scenes", "--device", "cpu"],
        &[&train[..], &["--start", "nan.safetensors"]].concat(),
        &[&distill[..], &["--teacher", "nan.safetensors"]].concat(),
    ] {
        let said = mistake(dir, command);
        assert!(said.contains("blocks.1.norm1.weight") && said.contains("nan.safetensors"), "{said}");
    }
    assert!(!dir.join("c.safetensors").exists() && !dir.join("r").exists());
    let seen = ok(dir, &["weights", "inspect", "nan.safetensors"]);
    assert!(seen.contains("1 values, in blocks.1.norm1.weight"), "{seen}");
}

#[test]
fn the_starter_weights_are_known_wherever_weights_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let seen = ok(dir.path(), &["weights", "inspect", "starter", "--json"]);
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert!(seen["parameters"].as_u64().unwrap() > 0 && seen["problem"].is_null(), "{seen}");
    ok(
        dir.path(),
        &["explore", "--weights", "starter", "--screenshot", "shot.png", "--window-size", "480x360"],
    );
    assert!(dir.path().join("shot.png").is_file());
}

#[test]
fn models_of_other_kinds_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_png(&dir.join("p.png"), &scenes::draw(9, 1, 64).picture).unwrap();
    let mut state = starter();
    state.remove("pos_embed");
    let kernel = dinoscope_core::weights::HostTensor::new([8, 1, 7, 7], vec![1.0; 8 * 49]);
    state.insert("stages.0.blocks.0.conv_dw.weight".into(), kernel);
    write(&dir.join("next.safetensors"), &[("", &state)]);
    for command in [
        &["features", "p.png", "--weights", "next.safetensors", "--out", "o", "--device", "cpu"][..],
        &["weights", "convert", "next.safetensors", "c.safetensors", "--to", "timm"],
    ] {
        let said = mistake(dir, command);
        assert!(
            said.contains("a ConvNeXt") && said.contains("cannot read") && said.contains("inspect"),
            "{said}"
        );
    }
    assert!(ok(dir, &["weights", "inspect", "next.safetensors"]).contains("ConvNeXt"));
}

#[test]
fn downloads_ask_for_encryption() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().display().to_string();
    for asked in [
        &["http://127.0.0.1:9/model.safetensors"][..],
        &["dinov2_vits14", "--base-url", "http://127.0.0.1:9"],
    ] {
        let said = mistake(dir.path(), &[&["weights", "pull", "--cache", &cache], asked].concat());
        assert!(said.contains("--allow-http"), "{said}");
    }
}
