//! What the JSON files beside weights say is obeyed, or refused by its name.

use super::super::*;
use super::grids::{bare, furthest, look};
use super::{random, tiny};
use dinoscope_data::augment::{MEAN, STD};
use dinoscope_model::config::{FfnKind, NORM_EPS};

/// So large that a model which ignores it is far off.
const EPS: f64 = 0.25;

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

#[test]
fn the_norms_epsilon_is_obeyed_and_kept() {
    let config = tiny(0, FfnKind::Mlp);
    let state = random(&config);
    let bytes = bare(&state, &config, KeyLayout::HuggingFace);
    let json = format!(r#"{{"num_attention_heads": 2, "layer_norm_eps": {EPS}}}"#);
    let there = folder(&[("model.safetensors", &bytes), ("config.json", json.as_bytes())]);
    let read = load(there.path()).unwrap();
    assert_eq!((read.config.norm_eps, read.notes.len()), (EPS, 0), "{:?}", read.notes);
    let [with, without] = [EPS, NORM_EPS].map(|norm_eps| VitConfig { norm_eps, ..read.config.clone() });
    let seen = look(&read.config, &read.backbone, 28, 28);
    assert_eq!(seen, look(&with, &state, 28, 28));
    assert!(furthest(&seen, &look(&without, &state, 28, 28)) > 0.05, "the test would see nothing");

    for layout in [KeyLayout::Official, KeyLayout::HuggingFace, KeyLayout::Timm] {
        let copy = there.path().join(format!("{layout:?}"));
        read.save(&copy, layout).unwrap();
        assert_eq!(load(&copy).unwrap().config.norm_eps, EPS, "{layout:?}");
    }
    let written = std::fs::read_to_string(there.path().join("HuggingFace/config.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["layer_norm_eps"], EPS);
    let of = |json: &str| from_bytes_with_config("m", &bytes, Some(json.as_bytes()));
    for (json, eps) in [
        (r#"{"layer_norm_eps": 1e-12}"#, 1e-12),
        (r#"{"layer_norm_eps": 0}"#, 0.0),
        (
            r#"{"layer_norm_eps": 1, "backbone_config": {"model_type": "dinov2", "layer_norm_eps": 1e-3}}"#,
            1e-3,
        ),
        (r#"{"layer_norm_eps": null}"#, 1e-6),
        ("{}", 1e-6),
    ] {
        assert_eq!(of(json).unwrap().config.norm_eps, eps, "{json}");
    }
    for wrong in ["-1e-6", "\"1e-5\"", "1e99", "[1e-6]"] {
        let error = of(&format!(r#"{{"layer_norm_eps": {wrong}}}"#)).unwrap_err().to_string();
        assert!(error.contains("layer_norm_eps") && error.contains("1e-6"), "{error}");
    }
}

#[test]
fn a_config_json_counts_for_other_names_where_it_is_of_this_model() {
    let config = tiny(0, FfnKind::Mlp);
    let bytes = super::pth(&random(&config), None);
    let of = |dim: usize| {
        let json = format!(
            r#"{{"hidden_size": {dim}, "num_hidden_layers": 2, "patch_size": 7, "num_attention_heads": 4,
                "layer_norm_eps": 1e-5}}"#
        );
        from_bytes_with_config("a.pth", &bytes, Some(json.as_bytes())).unwrap().config
    };
    assert_eq!((of(32).norm_eps, of(32).heads), (1e-5, 4));
    assert_eq!((of(64).norm_eps, of(64).heads), (1e-6, 2));
    // A file of our own knows all of it itself.
    let own = to_bytes(&random(&config), &config, KeyLayout::Official).unwrap();
    let json = br#"{"hidden_size": 32, "num_hidden_layers": 2, "patch_size": 7, "layer_norm_eps": 1e-5}"#;
    assert_eq!(from_bytes_with_config("a", &own, Some(json)).unwrap().config, config);
}

#[test]
fn what_is_not_computed_is_refused_by_its_name() {
    let config = tiny(0, FfnKind::Mlp);
    let state = random(&config);
    let refused = |layout: KeyLayout, json: &str| {
        let bytes = bare(&state, &config, layout);
        from_bytes_with_config("m.safetensors", &bytes, Some(json.as_bytes())).unwrap_err().to_string()
    };
    for (json, named) in [
        (r#"{"hidden_act": "gelu_new"}"#, "hidden_act \"gelu_new\""),
        (r#"{"hidden_act": "quick_gelu"}"#, "\"quick_gelu\""),
        (r#"{"qkv_bias": false}"#, "qkv_bias false"),
        (r#"{"num_attention_heads": 5}"#, "5 attention heads"),
    ] {
        let error = refused(KeyLayout::HuggingFace, json);
        assert!(error.contains("m.safetensors") && error.contains(named), "{error}");
    }
    for args in [
        r#""act_layer": "quick_gelu""#,
        r#""norm_layer": "rmsnorm""#,
        r#""mlp_layer": "glu""#,
        r#""block_fn": "parallelscalingblock""#,
        r#""qk_norm": true"#,
        r#""pre_norm": true"#,
        r#""class_token": false"#,
        r#""final_norm": false"#,
    ] {
        let error = refused(KeyLayout::Timm, &format!(r#"{{"model_args": {{{args}}}}}"#));
        let name = args.split('"').nth(1).unwrap();
        assert!(error.contains("m.safetensors") && error.contains(name), "{args}: {error}");
    }
    let fine = [
        r#"{"hidden_act": "gelu", "qkv_bias": true, "use_swiglu_ffn": false, "mlp_ratio": 4}"#,
        r#"{"hidden_act": "gelu_python"}"#,
        r#"{"hidden_act": null}"#,
    ];
    for json in fine {
        let bytes = bare(&state, &config, KeyLayout::HuggingFace);
        from_bytes_with_config("m", &bytes, Some(json.as_bytes())).unwrap();
    }
    // SwiGLU has no such activation.
    let swiglu = tiny(0, FfnKind::SwiGlu);
    let bytes = bare(&random(&swiglu), &swiglu, KeyLayout::HuggingFace);
    from_bytes_with_config("m", &bytes, Some(br#"{"hidden_act": "relu"}"#)).unwrap();
}

#[test]
fn timms_own_arguments_are_obeyed() {
    let config = tiny(4, FfnKind::Mlp);
    let bytes = bare(&random(&config), &config, KeyLayout::Timm);
    let json = r#"{"architecture": "vit_small_patch14_reg4_dinov2", "num_classes": 0,
        "model_args": {"num_heads": 4, "act_layer": "gelu", "norm_eps": 1e-5, "reg_tokens": 4, "img_size": 28},
        "pretrained_cfg": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}"#;
    let read = from_bytes_with_config("m", &bytes, Some(json.as_bytes())).unwrap();
    assert_eq!((read.config.heads, read.config.norm_eps, read.config.grid), (4, 1e-5, PatchGrid::square(4)));
    assert!(!read.notes.iter().any(|note| note.contains("attention heads") || note.contains("mean")));
}

/// A model that takes other pixels than ours sees the same picture when its statistics are in the patch embedding.
#[test]
fn other_means_and_deviations_are_obeyed() {
    let config = tiny(0, FfnKind::Mlp);
    let state = random(&config);
    let (mean, std) = ([0.5f32, 0.4, 0.3], [0.5f32, 0.25, 0.2]);
    let file = bare(&state, &config, KeyLayout::HuggingFace);
    let preprocessor = br#"{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2]}"#;
    let there = folder(&[
        ("model.safetensors", &file),
        ("config.json", br#"{"num_attention_heads": 2}"#),
        ("preprocessor_config.json", preprocessor),
    ]);
    let hub = load(there.path()).unwrap();
    assert!(hub.notes.iter().any(|note| note.contains("preprocessor_config.json")), "{:?}", hub.notes);
    let json = br#"{"pretrained_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.2]}}"#;
    let bytes = bare(&state, &config, KeyLayout::Timm);
    let timm = from_bytes_with_config("timm", &bytes, Some(json)).unwrap();

    // Pixels of a channel: one value of the picture, as each program normalises it.
    let [patch, weight, bias] = [7 * 7, 0, 1];
    let embed = |state: &StateDict, pixel: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        let tensors = [&state["patch_embed.proj.weight"].data, &state["patch_embed.proj.bias"].data];
        let row = |row: &[f32]| (0..3 * patch).map(|i| row[i] * pixel(i / patch, i % patch)).sum::<f32>();
        tensors[weight].chunks_exact(3 * patch).map(row).zip(tensors[bias]).map(|(sum, b)| sum + b).collect()
    };
    let value = |channel: usize, i: usize| 0.5 + 0.4 * ((i * 3 + channel) as f32).sin();
    let theirs = embed(&state, &|c, i| (value(c, i) - mean[c]) / std[c]);
    for read in [&hub.backbone, &timm.backbone] {
        let ours = embed(read, &|c, i| (value(c, i) - MEAN[c]) / STD[c]);
        assert!(furthest(&ours, &theirs) < 1e-3, "{}", furthest(&ours, &theirs));
    }
    // What is written takes our pixels, and is not brought to them once more where the old files still lie.
    hub.save(&there.path().join("official.safetensors"), KeyLayout::Official).unwrap();
    let again = load(&there.path().join("official.safetensors")).unwrap();
    assert_eq!((again.backbone, again.notes.len()), (hub.backbone.clone(), 0));
    hub.save(&there.path().join("again"), KeyLayout::HuggingFace).unwrap();
    assert_eq!(load(&there.path().join("again")).unwrap().backbone, hub.backbone);
}
