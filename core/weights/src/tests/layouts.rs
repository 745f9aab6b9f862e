//! Layouts into each other and back: nothing may be lost that a layout can hold.

use super::super::*;
use super::{fixture, random, tiny};
use dinoscope_model::config::{FfnKind, PosEmbedInterpolation};

const KINDS: [(usize, FfnKind); 4] =
    [(0, FfnKind::Mlp), (4, FfnKind::Mlp), (0, FfnKind::SwiGlu), (4, FfnKind::SwiGlu)];

#[test]
fn official_to_hugging_face_and_back_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    for (registers, ffn) in KINDS {
        let config = tiny(registers, ffn);
        let state = random(&config);
        let hf = folder.path().join(format!("hf-{registers}-{ffn:?}"));
        save(&hf, &state, &config, KeyLayout::HuggingFace).unwrap();
        let read = load(&hf).unwrap();
        assert_eq!((read.layout, &read.backbone), (KeyLayout::HuggingFace, &state));
        let expected =
            if registers > 0 { PosEmbedInterpolation::ANTIALIAS } else { PosEmbedInterpolation::SIZE };
        assert_eq!(read.config, VitConfig { interpolation: expected, ..config.clone() });
        assert!(read.notes.is_empty(), "{:?}", read.notes);

        let official = folder.path().join(format!("{registers}-{ffn:?}.safetensors"));
        save(&official, &read.backbone, &config, KeyLayout::Official).unwrap();
        let back = load(&official).unwrap();
        assert_eq!((back.layout, back.backbone, back.config), (KeyLayout::Official, state, config));
        assert!(back.notes.is_empty(), "{:?}", back.notes);
    }
}

#[test]
fn reference_files_survive_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["official_vit.pth", "official_vit_reg4.pth"] {
        let official = load(&fixture(name)).unwrap();
        official.save(&folder.path().join(name).with_extension("hf"), KeyLayout::HuggingFace).unwrap();
        let hf = load(&folder.path().join(name).with_extension("hf")).unwrap();
        assert_eq!((hf.backbone, hf.config.heads), (official.backbone, official.config.heads));
    }
    for name in ["hf_dinov2", "hf_dinov2_registers", "hf_dinov2_swiglu"] {
        let hf = load(&fixture(name)).unwrap();
        let copy = folder.path().join(name);
        hf.save(&copy, KeyLayout::HuggingFace).unwrap();
        let bytes = |path: &Path| std::fs::read(path.join("model.safetensors")).unwrap();
        let (a, b) = (bytes(&fixture(name)), bytes(&copy));
        let (a, b) =
            (::safetensors::SafeTensors::deserialize(&a), ::safetensors::SafeTensors::deserialize(&b));
        let sorted = |file: &::safetensors::SafeTensors| {
            let mut tensors: Vec<_> = file
                .tensors()
                .iter()
                .map(|(k, v)| (k.clone(), v.shape().to_vec(), v.data().to_vec()))
                .collect();
            tensors.sort();
            tensors
        };
        assert_eq!(sorted(&a.unwrap()), sorted(&b.unwrap()), "{name}");
        let json = |path: &Path| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(path.join("config.json")).unwrap()).unwrap()
        };
        let (theirs, ours) = (json(&fixture(name)), json(&copy));
        for (field, value) in theirs.as_object().unwrap().iter().filter(|(f, _)| *f != "transformers_version")
        {
            assert_eq!(&ours[field], value, "{name}: {field}");
        }
        assert!(copy.join("preprocessor_config.json").is_file());
    }
}

#[test]
fn timm_and_back_keeps_the_forward_pass() {
    for (registers, ffn) in KINDS {
        let config = tiny(registers, ffn);
        let mut state = random(&config);
        let read = from_bytes("timm", &to_bytes(&state, &config, KeyLayout::Timm).unwrap()).unwrap();
        assert_eq!((read.layout, &read.config), (KeyLayout::Timm, &config));
        let mut back = read.backbone;
        // The mask token is not part of timm's models.
        let mask = back.remove("mask_token").unwrap();
        assert!(mask.data.iter().all(|&v| v == 0.0));
        state.remove("mask_token");
        if registers > 0 {
            let dim = config.dim;
            let class = |state: &StateDict| -> Vec<f32> {
                state["cls_token"]
                    .data
                    .iter()
                    .zip(&state["pos_embed"].data[..dim])
                    .map(|(a, b)| a + b)
                    .collect()
            };
            assert_eq!(class(&state), class(&back));
            assert!(back["pos_embed"].data[..dim].iter().all(|&v| v == 0.0));
            assert_eq!(state["pos_embed"].data[dim..], back["pos_embed"].data[dim..]);
            for key in ["cls_token", "pos_embed"] {
                state.remove(key);
                back.remove(key);
            }
        }
        assert_eq!(state, back);
    }
}

#[test]
fn timm_names_are_timms() {
    let config = tiny(4, FfnKind::SwiGlu);
    let bytes = to_bytes(&random(&config), &config, KeyLayout::Timm).unwrap();
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |key: &str| file.tensor(key).unwrap().shape().to_vec();
    assert_eq!(shape("reg_token"), [1, 4, 32]);
    assert_eq!(shape("pos_embed"), [1, 16, 32]);
    assert_eq!(shape("blocks.1.mlp.fc1.weight"), [2 * config.hidden, 32]);
    assert_eq!(shape("blocks.1.mlp.fc2.weight"), [32, config.hidden]);
    assert!(file.tensor("mask_token").is_err() && file.tensor("register_tokens").is_err());
}

#[test]
fn a_plain_timm_file_without_our_metadata() {
    let config = tiny(4, FfnKind::Mlp);
    let mut source = open_timm(&config);
    let read = plan::resolve(&*source, &Default::default(), WeightsLoadOptions::default())
        .unwrap()
        .read(&mut *source)
        .unwrap();
    assert_eq!((read.layout, read.config.interpolation), (KeyLayout::Timm, PosEmbedInterpolation::ANTIALIAS));
    assert_eq!(
        (read.config.grid, read.config.registers, read.config.ffn),
        (PatchGrid::square(4), 4, FfnKind::Mlp)
    );
}

/// A timm file as timm itself writes it: no metadata of ours.
fn open_timm(config: &VitConfig) -> Box<dyn source::WeightsReader> {
    let state = random(config);
    let mut tensors = layouts::timm::outgoing(&state, config);
    let mut bytes = Vec::new();
    safetensors::write(&mut bytes, &mut tensors, &[], WeightsDtype::F32).unwrap();
    open::bytes("timm", bytes.leak()).unwrap()
}

#[test]
fn wrapped_hugging_face_models() {
    let config = tiny(4, FfnKind::Mlp);
    let state = random(&config);
    for prefix in ["dinov2.", "dinov2_with_registers.", "backbone."] {
        let mut tensors = hugging_face::outgoing(&state, &config);
        tensors.iter_mut().for_each(|t| t.key.insert_str(0, prefix));
        tensors.push(safetensors::OutputTensor {
            key: "classifier.weight".into(),
            shape: vec![2, 64],
            data: vec![0.0; 128].into(),
        });
        let mut bytes = Vec::new();
        safetensors::write(&mut bytes, &mut tensors, &[], WeightsDtype::F32).unwrap();
        let read = from_bytes("wrapped", &bytes).unwrap();
        assert_eq!((read.layout, &read.backbone), (KeyLayout::HuggingFace, &state));
        assert!(read.notes.iter().any(|n| n.contains("classifier.weight")), "{:?}", read.notes);
    }
}

#[test]
fn shards_are_put_together_and_may_not_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny(0, FfnKind::Mlp);
    let state = random(&config);
    let mut map = serde_json::Map::new();
    let (mut first, mut second) = (hugging_face::outgoing(&state, &config), Vec::new());
    second.extend(first.drain(first.len() / 2..));
    for (name, tensors) in [("model-1.safetensors", &mut first), ("model-2.safetensors", &mut second)] {
        tensors.iter().for_each(|t| {
            map.insert(t.key.clone(), name.into());
        });
        let mut bytes = Vec::new();
        safetensors::write(&mut bytes, tensors, &[], WeightsDtype::F32).unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"num_attention_heads": 4}"#).unwrap();
    for path in [folder.path(), &index] {
        let read = load(path).unwrap();
        assert_eq!((&read.backbone, read.config.heads), (&state, 4));
    }
    map.insert("layernorm.bias".into(), "../secret.safetensors".into());
    std::fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    assert!(load(&index).unwrap_err().to_string().contains("not a file beside"));
    std::fs::remove_file(folder.path().join("model-2.safetensors")).unwrap();
    map.insert("layernorm.bias".into(), "model-2.safetensors".into());
    std::fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    assert!(load(&index).unwrap_err().to_string().contains("model-2.safetensors"));
}

#[test]
fn heads_come_from_config_json_and_must_divide_the_width() {
    let config = tiny(0, FfnKind::Mlp);
    let bytes = to_bytes(&random(&config), &config, KeyLayout::HuggingFace).unwrap();
    let with = |json: &str| from_bytes_with_config("model.safetensors", &bytes, Some(json.as_bytes()));
    assert_eq!(with(r#"{"num_attention_heads": 8}"#).unwrap().config.heads, 8);
    assert!(with(r#"{"num_attention_heads": 5}"#).unwrap_err().to_string().contains("5 attention heads"));
    assert!(with("{").unwrap_err().to_string().contains("config.json"));
    assert!(with(r#"{"hidden_act": "relu"}"#).unwrap_err().to_string().contains("relu"));
    let guessed = from_bytes("model.safetensors", &bytes).unwrap();
    assert!(guessed.config.heads == 2 && guessed.notes.iter().any(|n| n.contains("attention heads")));
}

#[test]
fn a_backbone_without_layerscale_becomes_ones_for_hugging_face() {
    let mut config = tiny(0, FfnKind::Mlp);
    (config.layerscale, config.qkv_bias) = (None, false);
    let state = random(&config);
    let read = from_bytes("hf", &to_bytes(&state, &config, KeyLayout::HuggingFace).unwrap()).unwrap();
    assert!(!read.config.qkv_bias && read.config.layerscale.is_some());
    assert!(read.backbone["blocks.0.ls1.gamma"].data.iter().all(|&v| v == 1.0));
    let read = from_bytes("official", &to_bytes(&state, &config, KeyLayout::Official).unwrap()).unwrap();
    assert_eq!((read.backbone, read.config), (state, config));
}

#[test]
fn saving_checks_first_and_leaves_no_debris() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny(0, FfnKind::Mlp);
    let mut state = random(&config);
    let path = folder.path().join("new/model.safetensors");
    save(&path, &state, &config, KeyLayout::Official).unwrap();
    state.remove("norm.bias");
    let message = save(&path, &state, &config, KeyLayout::Official).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("norm.bias"), "{message}");
    assert!(load(&path).is_ok());
    assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    let message =
        save(&folder.path().join("x.pth"), &random(&config), &config, KeyLayout::Official).unwrap_err();
    assert!(message.to_string().contains("safetensors"), "{message}");
}
