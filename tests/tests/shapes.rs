//! Weights that are not as the released ones are: wide grids of positions, norms with another epsilon, other pixels.

use std::path::Path;

use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::Picture;
use dinoscope_core::model::{PatchGrid, PosEmbedInterpolation, VitConfig};
use dinoscope_core::weights::{self, HostTensor, KeyLayout, StateDict};
use dinoscope_tests::program::{TINY, ok, run};

/// timm's model of 14 x 16 patches: 225 positions, which could be 15 x 15.
fn wide() -> VitConfig {
    let config = VitConfig::new(112, 8, 48, 2, 3);
    VitConfig { grid: PatchGrid::new(14, 16), interpolation: PosEmbedInterpolation::ANTIALIAS, ..config }
}

fn state(config: &VitConfig) -> StateDict {
    let tensor = |(at, (key, shape)): (usize, (String, Vec<usize>))| {
        let values = shape.iter().product();
        let near =
            if key.contains("norm") && key.ends_with("weight") || key.ends_with("gamma") { 1.0 } else { 0.0 };
        let data = (0..values).map(|i| near + 0.2 * ((at * 31 + i) as f32).sin()).collect();
        (key, HostTensor::new(shape, data))
    };
    weights::expected_shapes(config).into_iter().enumerate().map(tensor).collect()
}

/// A safetensors file of nothing but tensors, as other programs write it.
fn write_bare(path: &Path, state: &StateDict) {
    let (mut header, mut numbers) = (serde_json::Map::new(), Vec::new());
    for (key, tensor) in state {
        let begin = numbers.len();
        numbers.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
        let entry = serde_json::json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, numbers.len()] });
        header.insert(key.clone(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &numbers].concat();
    std::fs::write(path, bytes).unwrap();
}

fn picture(path: &Path, width: usize, height: usize) {
    let value = |i: usize| (((i * 37) % 251) as f32 * ((i / (3 * width)) as f32 * 0.1).cos().abs()) as u8;
    write_png(path, &Picture::of_rgb(width, height, (0..3 * width * height).map(value).collect())).unwrap();
}

/// The CLS token of `p.png` by `weights`.
fn cls(dir: &Path, weights: &str, resolution: &str) -> Vec<f32> {
    let all = ["features", "p.png", "--weights", weights, "--out", "seen", "--npy", "--device", "cpu"];
    ok(dir, &[&all[..], &["--resolution", resolution]].concat());
    let bytes = std::fs::read(dir.join("seen/p.cls.npy")).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn a_wide_timm_file_is_asked_for_its_grid_and_then_goes_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, config) = (dir.path(), wide());
    let mut tensors = state(&config);
    tensors.insert("mask_token".into(), HostTensor::new([1, 48], vec![0.0; 48]));
    weights::save(&dir.join("right.safetensors"), &tensors, &config, KeyLayout::Official).unwrap();
    tensors.remove("mask_token");
    write_bare(&dir.join("timm.safetensors"), &tensors);
    picture(&dir.join("p.png"), 128, 112);
    let want = cls(dir, "right.safetensors", "112");

    // Never a wrong result in silence.
    let inspected = ok(dir, &["weights", "inspect", "timm.safetensors"]);
    assert!(inspected.contains("225 positions") && !inspected.contains("15 x 15 ("), "{inspected}");
    for words in [
        &["features", "p.png", "--weights", "timm.safetensors", "--out", "no", "--device", "cpu"][..],
        &["weights", "convert", "timm.safetensors", "no.safetensors", "--to", "timm"],
        &["weights", "convert", "timm.safetensors", "no.safetensors", "--to", "timm", "--grid", "9x9"],
    ] {
        let refused = run(dir, words);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("timm.safetensors") && said.contains("--grid ROWSxCOLS"), "{said}");
    }
    assert!(!dir.join("no.safetensors").exists());

    let convert = |from: &str, to: &str, kind: &str, more: &[&str]| {
        ok(dir, &[&["weights", "convert", from, to, "--to", kind][..], more].concat())
    };
    convert("timm.safetensors", "official.safetensors", "official", &["--grid", "14x16"]);
    convert("official.safetensors", "hf", "hugging-face", &[]);
    convert("hf", "back.safetensors", "timm", &[]);
    for weights in ["official.safetensors", "hf", "back.safetensors"] {
        let found = cls(dir, weights, "112");
        assert!(cosine(&found, &want) > 0.99999, "{weights}: {}", cosine(&found, &want));
        let inspected = ok(dir, &["weights", "inspect", weights]);
        assert!(inspected.contains("grid 14 x 16 (112 x 128 pixels)"), "{inspected}");
    }
    let json = std::fs::read_to_string(dir.join("hf/config.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["image_size"], serde_json::json!([112, 128]));
    // At another size rows and columns are resampled by timm's rule, which comes with the file.
    let half = cls(dir, "right.safetensors", "56");
    assert!(cosine(&cls(dir, "official.safetensors", "56"), &half) > 0.99999);

    // A config.json beside the file says it as well.
    std::fs::create_dir(dir.join("hub")).unwrap();
    std::fs::rename(dir.join("timm.safetensors"), dir.join("hub/model.safetensors")).unwrap();
    let said = r#"{"architecture": "vit_small_patch14_dinov2", "model_args": {"img_size": [112, 128], "num_heads": 3}}"#;
    std::fs::write(dir.join("hub/config.json"), said).unwrap();
    assert!(cosine(&cls(dir, "hub", "112"), &want) > 0.99999);

    let begun: Vec<&str> =
        ["train", "nano", "--start", "official.safetensors", "--out", "run", "--device", "cpu"]
            .into_iter()
            .chain(TINY)
            .chain(["--set", "train.iterations=2", "--set", "optim.warmup=1"])
            .collect();
    ok(dir, &begun);
    assert!(ok(dir, &["weights", "inspect", "run"]).contains("grid 4 x 4 (32 pixels)"));
}

#[test]
fn what_a_config_json_says_of_norms_and_pixels_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let config = VitConfig {
        norm_eps: 0.05,
        interpolation: PosEmbedInterpolation::SIZE,
        ..VitConfig::new(64, 8, 48, 2, 3)
    };
    let tensors = state(&config);
    let usual = VitConfig { norm_eps: 1e-6, ..config.clone() };
    weights::save(&dir.join("right.safetensors"), &tensors, &config, KeyLayout::Official).unwrap();
    weights::save(&dir.join("usual.safetensors"), &tensors, &usual, KeyLayout::Official).unwrap();
    weights::save(&dir.join("hub"), &tensors, &usual, KeyLayout::HuggingFace).unwrap();
    let json = std::fs::read_to_string(dir.join("hub/config.json")).unwrap();
    assert!(json.contains("\"layer_norm_eps\": 1e-6"), "{json}");
    let json = json.replace("\"layer_norm_eps\": 1e-6", "\"layer_norm_eps\": 0.05");
    std::fs::write(dir.join("hub/config.json"), &json).unwrap();
    picture(&dir.join("p.png"), 64, 64);
    let want = cls(dir, "right.safetensors", "64");
    let off = |a: &[f32]| a.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off(&cls(dir, "usual.safetensors", "64")) > 0.01, "the test would see nothing");
    assert!(off(&cls(dir, "hub", "64")) < 1e-5);

    let said = run(dir, &["weights", "convert", "hub", "timm.safetensors", "--to", "timm"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("unless it is told 5e-2"), "{said:?}");
    ok(dir, &["weights", "convert", "timm.safetensors", "again", "--to", "hugging-face"]);
    for weights in ["timm.safetensors", "again"] {
        assert!(off(&cls(dir, weights, "64")) < 1e-5, "{weights}");
    }
    assert!(
        std::fs::read_to_string(dir.join("again/config.json")).unwrap().contains("\"layer_norm_eps\": 0.05")
    );
    assert!(ok(dir, &["weights", "inspect", "again"]).contains("norms with 5e-2"));

    std::fs::write(dir.join("hub/config.json"), json.replace("\"gelu\"", "\"gelu_new\"")).unwrap();
    let refused = run(dir, &["features", "p.png", "--weights", "hub", "--out", "no", "--device", "cpu"]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && text.contains("hidden_act \"gelu_new\""), "{text}");
}

#[test]
fn a_folder_for_transformers_js_has_what_it_loads() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ok(dir, &["weights", "convert", "starter", "js", "--to", "onnx"]);
    for file in ["onnx/model.onnx", "config.json", "preprocessor_config.json", "README.md"] {
        assert!(dir.join("js").join(file).is_file(), "{file}");
    }
    let card = std::fs::read_to_string(dir.join("js/README.md")).unwrap();
    assert!(card.contains("# js\n") && card.contains("library_name: transformers.js"), "{card}");
    assert!(
        card.contains("pipeline(\"image-feature-extraction\"") && card.contains("dtype: \"fp32\""),
        "{card}"
    );
    ok(dir, &["weights", "convert", "starter", "one.onnx", "--to", "onnx", "--size", "64"]);
    assert!(dir.join("one.onnx").is_file() && !dir.join("README.md").exists());
    let wrong = run(dir, &["weights", "convert", "starter", "a.safetensors", "--to", "onnx"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("a folder for transformers.js"));
}
