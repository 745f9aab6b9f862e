//! What is written says what it should, and computes what the model computes.
#![allow(clippy::unwrap_used)]

mod folder;
mod read;
mod run;

use burn::tensor::{Device, Tensor, TensorData};

use super::{OnnxInputSize, save, save_longest, to_bytes};
use crate::StateDict;
use crate::tests::{random, tiny};
use dinoscope_base::device::block_on;
use dinoscope_model::config::{FfnKind, PosEmbedInterpolation, VitConfig};
use dinoscope_model::{PatchGrid, Vit, params};

/// Backbones of every kind: each resampling rule, both feed-forward networks, registers, what may be left out, grids
/// that are not square and another epsilon.
fn kinds() -> Vec<VitConfig> {
    vec![
        tiny(0, FfnKind::Mlp),
        VitConfig { interpolation: PosEmbedInterpolation::SIZE, qkv_bias: false, ..tiny(0, FfnKind::Mlp) },
        VitConfig { layerscale: None, ..tiny(4, FfnKind::Mlp) },
        tiny(4, FfnKind::SwiGlu),
        VitConfig { grid: PatchGrid::new(3, 5), norm_eps: 0.2, ..tiny(0, FfnKind::Mlp) },
        VitConfig { grid: PatchGrid::new(6, 2), ..tiny(4, FfnKind::Mlp) },
        tiny(0, FfnKind::Mlp).with_rope(),
        VitConfig { qkv_bias: false, ..tiny(3, FfnKind::SwiGlu).with_rope() },
    ]
}

/// Weights as large as trained ones, so that softmax and GELU work where they bend.
fn weights(config: &VitConfig) -> StateDict {
    let mut state = random(config);
    for (key, tensor) in &mut state {
        let scale = if key.ends_with("norm1.weight") || key.ends_with("gamma") { 1.0 } else { 0.2 };
        tensor.data.iter_mut().for_each(|v| *v *= scale);
    }
    state
}

fn pictures(height: usize, width: usize) -> read::Tensor {
    let data = (0..2 * 3 * height * width).map(|i| (0.37 * i as f32).sin()).collect();
    read::Tensor { shape: vec![2, 3, height, width], data }
}

/// CLS, registers and patches of the model itself, and its CLS alone.
fn own(config: &VitConfig, state: &StateDict, input: &read::Tensor) -> (Vec<f32>, Vec<f32>) {
    let device = Device::flex();
    let (vit, missing) = params::load(Vit::init(config, 0, &device), state, |key| key.to_owned());
    assert!(missing.is_empty());
    let shape: [usize; 4] = input.shape.clone().try_into().unwrap();
    let images = Tensor::from_data(TensorData::new(input.data.clone(), shape), &device);
    let features = vit.forward(images, None);
    let mut parts = vec![features.cls.clone().unsqueeze_dim(1)];
    parts.extend(features.registers);
    parts.push(features.patches);
    let read = |tensor: Tensor<3>| block_on(params::read(tensor)).unwrap();
    (read(Tensor::cat(parts, 1)), read(features.cls.unsqueeze_dim(1)))
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, d| if d.is_nan() { f32::NAN } else { d.max(worst) })
}

fn read(bytes: &[u8]) -> read::Model {
    read::model(bytes, |name| panic!("{name} is not needed"))
}

#[test]
fn a_free_size_computes_what_the_model_computes() {
    for config in kinds() {
        let state = weights(&config);
        let model = read(&to_bytes(&state, &config, OnnxInputSize::Free).unwrap());
        let (stored, side) = (config.image(), config.side());
        for (height, width) in [stored, (side, side), (21, 42), (49, 35), (side, 63)] {
            let input = pictures(height, width);
            let outputs = run::run(&model, input.clone());
            let (tokens, cls) = own(&config, &state, &input);
            let count = config.prefix() + height / config.patch * (width / config.patch);
            assert_eq!(outputs["last_hidden_state"].shape, [2, count, config.dim]);
            assert_eq!(outputs["pooler_output"].shape, [2, config.dim]);
            let off = [
                furthest(&outputs["last_hidden_state"].data, &tokens),
                furthest(&outputs["pooler_output"].data, &cls),
            ];
            assert!(off.iter().all(|&off| off < 1e-4), "{off:?} at {height} by {width} of {config:?}");
        }
    }
}

#[test]
fn a_fixed_size_computes_what_the_model_computes() {
    for config in kinds() {
        let state = weights(&config);
        for (height, width) in [config.image(), (28, 28), (21, 42)] {
            let model = read(&to_bytes(&state, &config, OnnxInputSize::Fixed { height, width }).unwrap());
            let input = pictures(height, width);
            let outputs = run::run(&model, input.clone());
            let off = furthest(&outputs["last_hidden_state"].data, &own(&config, &state, &input).0);
            assert!(off < 1e-4, "{off} at {height} by {width} of {config:?}");
        }
    }
}

#[test]
fn a_file_says_what_it_holds() {
    let config = tiny(4, FfnKind::Mlp);
    let state = weights(&config);
    let model = read(&to_bytes(&state, &config, OnnxInputSize::Free).unwrap());
    assert_eq!((model.ir, model.opset), (8, 17));
    assert_eq!(
        (model.metadata["patch_size"].as_str(), model.metadata["image_mean"].as_str()),
        ("7", "0.485, 0.456, 0.406")
    );
    let named = |name: &str, shape: &[&str]| {
        (name.to_owned(), shape.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(model.inputs, [named("pixel_values", &["batch_size", "3", "height", "width"])]);
    assert_eq!(
        model.outputs,
        [
            named("last_hidden_state", &["batch_size", "sequence_length", "32"]),
            named("pooler_output", &["batch_size", "32"])
        ]
    );
    let count = |op: &str| model.nodes.iter().filter(|node| node.op == op).count();
    assert_eq!((count("LayerNormalization"), count("Softmax"), count("Erf")), (5, 2, 2));
    // Two of the backbone's for each linear layer, two of attention, two of the positions.
    assert_eq!(count("MatMul"), 2 * (4 + 2) + 2);
    // Weights lie under their official names, transposed, with the gain behind them inside.
    let (name, gamma) = ("blocks.1.mlp.fc2.weight", &state["blocks.1.ls2.gamma"].data);
    let (ours, stored) = (&state[name], &model.constants[name]);
    assert_eq!(stored.shape, [config.hidden, config.dim]);
    assert_eq!(stored.data[5 * config.dim + 3], gamma[3] * ours.data[3 * config.hidden + 5]);

    let fixed = read(&to_bytes(&state, &config, OnnxInputSize::Fixed { height: 35, width: 28 }).unwrap());
    assert_eq!(fixed.inputs, [named("pixel_values", &["batch_size", "3", "35", "28"])]);
    assert_eq!(fixed.outputs[0], named("last_hidden_state", &["batch_size", "25", "32"]));
    assert_eq!(fixed.constants["pos_embed"].shape, [1, 20, 32]);
}

#[test]
fn numbers_that_do_not_fit_lie_in_a_second_file() {
    let folder = tempfile::tempdir().unwrap();
    let (config, path) = (tiny(0, FfnKind::Mlp), folder.path().join("model.onnx"));
    let state = weights(&config);
    save(&path, &state, &config, OnnxInputSize::Free).unwrap();
    assert!(!folder.path().join("model.onnx_data").exists());
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(whole, to_bytes(&state, &config, OnnxInputSize::Free).unwrap());

    // As long as it is allowed to be: nothing changes; a byte less: the numbers go.
    save_longest(&path, &state, &config, OnnxInputSize::Free, whole.len() as u64).unwrap();
    assert!(!folder.path().join("model.onnx_data").exists());
    save_longest(&path, &state, &config, OnnxInputSize::Free, whole.len() as u64 - 1).unwrap();
    let beside = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let (small, whole) = (read::model(&std::fs::read(&path).unwrap(), beside), read(&whole));
    assert_eq!(small.constants, whole.constants);
    assert!(small.external.iter().any(|name| name == "pos_embed"));
    assert!(!small.external.iter().any(|name| name == "pos_embed.shape"));
    assert_eq!(run::run(&small, pictures(28, 28)), run::run(&whole, pictures(28, 28)));
}

#[test]
fn what_cannot_be_written_is_said() {
    let (config, folder) = (tiny(0, FfnKind::Mlp), tempfile::tempdir().unwrap());
    let state = weights(&config);
    let message = |path: &str, state: &StateDict, size: &str| {
        save(&folder.path().join(path), state, &config, size.parse().unwrap()).unwrap_err().to_string()
    };
    let odd = message("a.onnx", &state, "28x30");
    assert!(odd.contains("a.onnx") && odd.contains("30 pixels") && odd.contains("28 or 35"), "{odd}");
    assert!(message("a.onnx", &state, "3").contains("patch of 7; 7 is"));
    assert!(message("a.safetensors", &state, "free").contains(".onnx"));
    let mut lacking = state.clone();
    lacking.remove("norm.bias");
    assert!(message("a.onnx", &lacking, "free").contains("norm.bias"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    assert_eq!("free".parse(), Ok(OnnxInputSize::Free));
    assert_eq!("224".parse(), Ok(OnnxInputSize::Fixed { height: 224, width: 224 }));
    assert_eq!("224x448".parse(), Ok(OnnxInputSize::Fixed { height: 224, width: 448 }));
    for wrong in ["", "0", "-14", "wide", "224x", "1x2x3", "99999"] {
        assert!(wrong.parse::<OnnxInputSize>().unwrap_err().contains("224x448"), "{wrong}");
    }
}
