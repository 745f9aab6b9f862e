//! The reference files: what they are, and that every reader agrees on them.

use super::super::*;
use super::{FIXTURES, fixture, random, renamed, tiny};
use dinoscope_model::config::{FfnKind, PosEmbedInterpolation};

#[test]
fn reference_files_are_what_they_are() {
    let cases = [
        ("official_vit.pth", KeyLayout::Official, 0, FfnKind::Mlp, PosEmbedInterpolation::OFFSET),
        ("official_vit_reg4.pth", KeyLayout::Official, 4, FfnKind::Mlp, PosEmbedInterpolation::ANTIALIAS),
        ("hf_dinov2", KeyLayout::HuggingFace, 0, FfnKind::Mlp, PosEmbedInterpolation::SIZE),
        ("hf_dinov2_registers", KeyLayout::HuggingFace, 4, FfnKind::Mlp, PosEmbedInterpolation::ANTIALIAS),
        ("hf_dinov2_swiglu", KeyLayout::HuggingFace, 0, FfnKind::SwiGlu, PosEmbedInterpolation::SIZE),
    ];
    for (name, layout, registers, ffn, interpolation) in cases {
        let checkpoint = load(&fixture(name)).unwrap();
        let config = &checkpoint.config;
        assert_eq!((checkpoint.layout, config.registers, config.ffn), (layout, registers, ffn), "{name}");
        assert_eq!(
            (config.dim, config.depth, config.heads, config.patch, config.grid.rows),
            (48, 3, 3, 14, 7),
            "{name}"
        );
        assert_eq!(config.hidden, if ffn == FfnKind::Mlp { 192 } else { 128 }, "{name}");
        assert!(config.qkv_bias && config.layerscale.is_some(), "{name}");
        assert_eq!(config.interpolation, interpolation, "{name}");
        check(&checkpoint.backbone, config, name).unwrap();
        let values: usize = checkpoint.backbone.values().map(|t| t.data.len()).sum();
        assert_eq!(values, config.parameters(), "{name}");
        assert!(checkpoint.backbone.values().all(|t| t.data.iter().all(|v| v.is_finite())), "{name}");
        // Weights with a spread, not zeros or noise bits.
        let qkv = &checkpoint.backbone["blocks.1.attn.qkv.weight"].data;
        let spread = (qkv.iter().map(|v| v * v).sum::<f32>() / qkv.len() as f32).sqrt();
        assert!((1e-4..10.0).contains(&spread), "{name}: {spread}");
    }
}

#[test]
fn bytes_give_what_the_path_gives() {
    for name in FIXTURES {
        let path = fixture(name);
        let (bytes, config) =
            (std::fs::read(&path).unwrap(), std::fs::read(path.with_file_name("config.json")).ok());
        let (a, b) = (load(&path).unwrap(), from_bytes_with_config(name, &bytes, config.as_deref()).unwrap());
        assert_eq!((a.backbone, a.config, a.layout), (b.backbone, b.config, b.layout), "{name}");
    }
}

#[test]
fn our_safetensors_reader_agrees_with_the_crate() {
    for name in FIXTURES.into_iter().filter(|n| n.ends_with("safetensors")) {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut ours = open::bytes(name, &bytes).unwrap();
        assert_eq!(ours.entries().len(), theirs.len());
        for (key, view) in theirs.tensors() {
            let tensor = ours.read(&key).unwrap();
            let bytes: Vec<u8> = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
            assert_eq!((&tensor.shape[..], &bytes[..]), (view.shape(), view.data()), "{key}");
        }
    }
}

#[test]
fn half_precision_takes_half_the_file_and_is_read_as_it_was_rounded() {
    let (dir, config) = (tempfile::tempdir().unwrap(), tiny(0, FfnKind::Mlp));
    let mut state = random(&config);
    let (full, half) = (dir.path().join("full.safetensors"), dir.path().join("half.safetensors"));
    save(&full, &state, &config, KeyLayout::Official).unwrap();
    save_as(&half, &state, &config, KeyLayout::Official, WeightsDtype::F16).unwrap();
    let bytes = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    let numbers: usize = state.values().map(|tensor| tensor.data.len()).sum();
    assert!(bytes(&full) - bytes(&half) > 2 * numbers as u64 - 200);
    let read = load(&half).unwrap();
    assert_eq!(read.config, config);
    for (key, tensor) in &state {
        let rounded: Vec<f32> = tensor.data.iter().map(|v| ::half::f16::from_f32(*v).to_f32()).collect();
        assert_eq!(read.backbone[key].data, rounded, "{key}");
    }
    let hub = dir.path().join("hub");
    save_as(&hub, &state, &config, KeyLayout::HuggingFace, WeightsDtype::F16).unwrap();
    let said = std::fs::read_to_string(hub.join("config.json")).unwrap();
    assert!(said.contains(r#""dtype": "float16""#) && !said.contains("float32"), "{said}");
    assert_eq!(load(&hub).unwrap().backbone.len(), state.len());

    state.get_mut("norm.weight").unwrap().data[0] = 7e4;
    let before = bytes(&half);
    let error =
        save_as(&half, &state, &config, KeyLayout::Official, WeightsDtype::F16).unwrap_err().to_string();
    assert!(error.contains("norm.weight") && error.contains("--dtype f32"), "{error}");
    assert_eq!(bytes(&half), before, "what was there is kept");
}

#[test]
fn the_crate_reads_what_we_write() {
    let config = tiny(2, FfnKind::SwiGlu);
    let state = random(&config);
    for layout in [KeyLayout::Official, KeyLayout::HuggingFace, KeyLayout::Timm] {
        let bytes = to_bytes(&state, &config, layout).unwrap();
        let (_, metadata) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
        let read = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert!(
            read.tensors()
                .iter()
                .all(|(_, view)| view.data().as_ptr() as usize % 4 == bytes.as_ptr() as usize % 4)
        );
        let key = ["norm.weight", "layernorm.weight", "norm.weight"][layout as usize];
        let expected: Vec<u8> = state["norm.weight"].data.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(read.tensor(key).unwrap().data(), expected);
    }
}

#[test]
fn parameter_counts_are_the_published_ones() {
    let sizes = [
        (384, 12, 6, false, 22_056_576, 22_058_112),
        (768, 12, 12, false, 86_580_480, 86_583_552),
        (1024, 24, 16, false, 304_368_640, 304_372_736),
        (1536, 40, 24, true, 1_136_480_768, 1_136_486_912),
    ];
    let count = |config: &VitConfig| {
        expected_shapes(config).iter().map(|(_, s)| s.iter().product::<usize>()).sum::<usize>()
    };
    for (dim, depth, heads, swiglu, plain, registers) in sizes {
        let mut config = VitConfig::new(518, 14, dim, depth, heads);
        if swiglu {
            config = config.with_swiglu();
        }
        assert_eq!((count(&config), config.parameters()), (plain, plain));
        let config = config.with_registers(4);
        assert_eq!((count(&config), config.parameters()), (registers, registers));
    }
    // The training recipe's ViT-L has SwiGLU; with the position table of 518 pixels, and of the 224 it trains at.
    for (pixels, parameters) in [(518, 304_794_880), (224, 303_655_168)] {
        let config = VitConfig::new(pixels, 14, 1024, 24, 16).with_swiglu();
        assert_eq!((config.hidden, count(&config), config.parameters()), (2736, parameters, parameters));
    }
}

#[test]
fn sizes_are_read_off_shapes() {
    for swiglu in [false, true] {
        for registers in [0, 4] {
            let mut config = VitConfig::new(518, 14, 384, 12, 6).with_registers(registers);
            if swiglu {
                config = config.with_swiglu();
            }
            config.qkv_bias = registers == 0;
            config.layerscale = swiglu.then_some(1e-5);
            config.interpolation =
                if registers > 0 { PosEmbedInterpolation::ANTIALIAS } else { PosEmbedInterpolation::OFFSET };
            let shapes = expected_shapes(&config).into_iter().collect();
            let (found, positions) = shapes::infer(&shapes, "x", false).unwrap();
            // How they are folded into rows and columns is told elsewhere.
            assert_eq!((VitConfig { grid: config.grid, ..found }, positions), (config, 1370));
        }
    }
    assert_eq!([384, 768, 1536, 48, 96, 32, 40, 7].map(guess_heads), [6, 12, 24, 3, 6, 2, 5, 1]);
}

#[test]
fn teacher_files_with_heads() {
    let config = tiny(0, FfnKind::Mlp);
    let mut state = renamed(&random(&config), |key| format!("module.backbone.{}", chunked(key)));
    let mut noise = random(&VitConfig::new(28, 7, 32, 1, 2));
    let mut add = |key: &str, shape: &[usize]| {
        let count: usize = shape.iter().product();
        let tensor = HostTensor::new(
            shape,
            noise.values_mut().find(|t| t.data.len() >= count).unwrap().data[..count].to_vec(),
        );
        state.insert(format!("module.{key}"), tensor);
    };
    for head in ["dino_head", "ibot_head"] {
        for (layer, shape) in [(0, [24, 32]), (2, [24, 24]), (4, [8, 24])] {
            add(&format!("{head}.mlp.{layer}.weight"), &shape);
            add(&format!("{head}.mlp.{layer}.bias"), &shape[..1]);
        }
    }
    add("dino_head.last_layer.weight_g", &[40, 1]);
    add("dino_head.last_layer.weight_v", &[40, 8]);
    add("ibot_head.last_layer.parametrizations.weight.original0", &[40, 1]);
    add("ibot_head.last_layer.parametrizations.weight.original1", &[40, 8]);
    // As a student that learns features has them.
    add("projections.cls.bias", &[8]);
    let checkpoint = from_bytes("teacher_checkpoint.pth", &super::pth(&state, Some("teacher"))).unwrap();
    assert_eq!(checkpoint.backbone, random(&config));
    assert!(!checkpoint.notes.iter().any(|note| note.contains("not read")), "{:?}", checkpoint.notes);
    assert_eq!(checkpoint.config.depth, 2);
    for head in ["dino_head", "ibot_head"] {
        let head = &checkpoint.heads[head];
        assert_eq!(head.len(), 8);
        assert_eq!(
            (&head["last_layer.weight_g"].shape[..], &head["last_layer.weight_v"].shape[..]),
            (&[40, 1][..], &[40, 8][..])
        );
    }

    // What was read can be written, and read again with its heads.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teacher.safetensors");
    save_with_heads(&path, &checkpoint.backbone, &checkpoint.heads, &checkpoint.config).unwrap();
    let again = load(&path).unwrap();
    assert_eq!(
        (again.backbone, again.heads, again.config),
        (checkpoint.backbone, checkpoint.heads, checkpoint.config)
    );

    // A head that does not fit the backbone is left out; the backbone is no worse for it.
    state.get_mut("module.dino_head.mlp.0.weight").unwrap().shape = vec![32, 24];
    let read = from_bytes("teacher.pth", &super::pth(&state, Some("teacher"))).unwrap();
    assert_eq!(read.backbone, random(&config));
    assert_eq!(read.heads.keys().collect::<Vec<_>>(), ["ibot_head"]);
    let told = |n: &String| n.contains("teacher.module.dino_head.mlp.0.weight") && n.contains("[32, 24]");
    assert!(read.notes.iter().any(told), "{:?}", read.notes);
}

/// Blocks in two chunks of one.
fn chunked(key: &str) -> String {
    match shapes::split_block(key) {
        Some((block, rest)) => format!("blocks.{block}.{block}.{rest}"),
        None => key.into(),
    }
}

#[test]
fn the_teacher_is_preferred_and_the_rest_is_remarked_on() {
    let config = tiny(0, FfnKind::Mlp);
    let teacher = random(&config);
    let mut state = renamed(&teacher, |key| format!("teacher.backbone.{key}"));
    for (key, mut tensor) in random(&config) {
        tensor.data.fill(0.0);
        state.insert(format!("student.backbone.{key}"), tensor);
    }
    let checkpoint = from_bytes("run.pth", &super::pth(&state, Some("model"))).unwrap();
    assert_eq!(checkpoint.backbone, teacher);
    assert!(checkpoint.notes.iter().any(|note| note.contains("student")), "{:?}", checkpoint.notes);

    let mut state = teacher.clone();
    state.insert("head.weight".into(), HostTensor::new([10, 32], vec![0.0; 320]));
    let checkpoint = from_bytes("classifier.pth", &super::pth(&state, None)).unwrap();
    assert_eq!(checkpoint.backbone, teacher);
    assert!(checkpoint.notes.iter().any(|note| note.contains("head.weight")), "{:?}", checkpoint.notes);
}

#[test]
fn training_states_in_the_step_cases_are_read() {
    let path = fixture("../step/swiglu_registers.safetensors");
    let checkpoint = load(&path).unwrap();
    assert_eq!((checkpoint.config.registers, checkpoint.config.ffn), (4, FfnKind::SwiGlu));
    assert_eq!(checkpoint.heads.len(), 2);
    assert_eq!(checkpoint.config.interpolation, PosEmbedInterpolation::OFFSET);
}

#[test]
fn inspection_tells_types_and_soundness() {
    let config = tiny(0, FfnKind::Mlp);
    let mut state = random(&config);
    state.get_mut("norm.bias").unwrap().data[..3].copy_from_slice(&[f32::NAN, f32::INFINITY, 5.0]);
    let seen = inspect_bytes("x.pth", &super::pth(&state, None)).unwrap();
    assert_eq!((seen.non_finite, seen.parameters, seen.dtypes["f32"]), (2, config.parameters(), state.len()));
    let bias = seen.tensors.iter().find(|t| t.name == "norm.bias").unwrap();
    assert_eq!(
        (bias.shape.clone(), bias.values.unwrap().max, bias.values.unwrap().non_finite),
        (vec![32], 5.0, 2)
    );
    assert_eq!((seen.layout, seen.problem), (Some(KeyLayout::Official), None));

    state.remove("norm.bias");
    let seen = inspect_bytes("x.pth", &super::pth(&state, None)).unwrap();
    assert!(seen.config.is_none() && seen.problem.unwrap().contains("norm.bias"));
    for name in FIXTURES {
        let seen = inspect(&fixture(name)).unwrap();
        assert!(
            seen.problem.is_none() && seen.non_finite == 0 && serde_json::to_string(&seen).is_ok(),
            "{name}"
        );
    }
}
