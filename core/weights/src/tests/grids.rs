//! Grids of positions that are not square: into every layout and back, and never guessed.

use super::super::*;
use super::{pth, random, tiny};
use burn::tensor::{Device, Tensor, TensorData};
use dinoscope_base::device::block_on;
use dinoscope_model::config::{FfnKind, PosEmbedInterpolation};
use dinoscope_model::{Vit, params};

const GRIDS: [PatchGrid; 3] = [PatchGrid::new(3, 5), PatchGrid::new(5, 3), PatchGrid::new(2, 7)];

pub fn of(grid: PatchGrid, registers: usize) -> VitConfig {
    VitConfig { grid, ..tiny(registers, FfnKind::Mlp) }
}

/// CLS and patches of a picture of noise.
pub fn look(config: &VitConfig, state: &StateDict, height: usize, width: usize) -> Vec<f32> {
    let device = Device::flex();
    let (vit, missing) = params::load(Vit::unloaded(config, &device), state, |key| key.to_owned());
    assert!(missing.is_empty());
    let pixels: Vec<f32> = (0..3 * height * width).map(|i| (0.37 * i as f32).sin()).collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, height, width]), &device);
    let seen = vit.forward(images, None);
    let [mut cls, patches] =
        [seen.cls.unsqueeze_dim(1), seen.patches].map(|t: Tensor<3>| block_on(params::read(t)).unwrap());
    cls.extend(patches);
    cls
}

pub fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A file without metadata, under the given names.
pub fn bare(state: &StateDict, config: &VitConfig, layout: KeyLayout) -> Vec<u8> {
    let mut tensors = (layout.entry().outgoing)(state, config);
    let mut bytes = Vec::new();
    safetensors::write(&mut bytes, &mut tensors, &[], WeightsDtype::F32).unwrap();
    bytes
}

fn written(folder: &Path, files: &[(&str, &[u8])]) -> std::path::PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    folder.join(files[0].0)
}

#[test]
fn every_layout_keeps_rows_and_columns_apart() {
    let folder = tempfile::tempdir().unwrap();
    for (i, (grid, registers)) in GRIDS.into_iter().flat_map(|grid| [(grid, 0), (grid, 4)]).enumerate() {
        let config = of(grid, registers);
        let state = random(&config);
        for layout in [KeyLayout::Official, KeyLayout::HuggingFace, KeyLayout::Timm] {
            let place = folder.path().join(format!("{i}-{layout:?}"));
            save(&place, &state, &config, layout).unwrap();
            let read = load(&place).unwrap();
            assert_eq!((read.layout, read.config.grid), (layout, grid));
            // The stored size, where the rule does not matter, and one that is resampled by the layout's own rule.
            let ours = VitConfig { interpolation: read.config.interpolation, ..config.clone() };
            for (rows, cols) in [(grid.rows, grid.cols), (4, 6)] {
                let [a, b] = [(&read.config, &read.backbone), (&ours, &state)]
                    .map(|(config, state)| look(config, state, 7 * rows, 7 * cols));
                assert!(
                    furthest(&a, &b) < 1e-5,
                    "{layout:?} of {grid}, {registers} registers: {rows} x {cols}"
                );
            }
            let seen = inspect(&place).unwrap();
            assert_eq!((seen.config.unwrap().grid, seen.problem), (grid, None));
        }
    }
}

#[test]
fn a_bare_table_is_read_by_what_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let grid = PatchGrid::new(14, 16);
    let config = VitConfig { interpolation: PosEmbedInterpolation::ANTIALIAS, ..of(grid, 0) };
    let mut state = random(&config);
    state.insert("mask_token".into(), HostTensor::new([1, 32], vec![0.0; 32]));
    let bytes = bare(&state, &config, KeyLayout::Timm);
    // 225 positions: 15 x 15 patches or a CLS token and 14 x 16; both were possible, one was taken without a word.
    let error = from_bytes("timm.safetensors", &bytes).unwrap_err().to_string();
    for part in ["timm.safetensors", "`pos_embed` holds 225 positions", "15 x 15", "--grid ROWSxCOLS"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let seen = inspect_bytes("timm.safetensors", &bytes).unwrap();
    assert!(seen.config.is_none() && seen.problem.unwrap().contains("225 positions"));

    let want = look(&config, &state, 98, 112);
    let same = |read: LoadedWeights| {
        assert_eq!((read.config.grid, &read.config.interpolation), (grid, &config.interpolation));
        assert!(furthest(&look(&read.config, &read.backbone, 98, 112), &want) < 1e-5);
    };
    same(
        from_bytes_as("a", &bytes, WeightsLoadOptions { grid: Some(grid), ..WeightsLoadOptions::default() })
            .unwrap(),
    );
    for (i, json) in [
        r#"{"architecture": "vit_small_patch14_dinov2", "model_args": {"img_size": [98, 112]},
            "pretrained_cfg": {"input_size": [3, 518, 518]}}"#,
        r#"{"architecture": "vit_small_patch14_dinov2", "pretrained_cfg": {"input_size": [3, 98, 112]}}"#,
        r#"{"architecture": "vit_small_patch14_dinov2", "input_size": [3, 98, 112]}"#,
        r#"{"hidden_size": 32, "num_hidden_layers": 2, "patch_size": 7, "image_size": [98, 112]}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let files = [("model.safetensors", &bytes[..]), ("config.json", json.as_bytes())];
        same(load(&written(&folder.path().join(i.to_string()), &files)).unwrap());
    }
    // What says nothing about this file does not help.
    for (i, json) in [
        r#"{"architecture": "vit_small_patch14_dinov2", "pretrained_cfg": {"input_size": [3, 518, 518]}}"#,
        r#"{"hidden_size": 64, "num_hidden_layers": 2, "patch_size": 7, "image_size": [98, 112]}"#,
        "not JSON",
    ]
    .into_iter()
    .enumerate()
    {
        let files = [("model.safetensors", &bytes[..]), ("config.json", json.as_bytes())];
        let refused =
            load(&written(&folder.path().join(format!("not {i}")), &files)).unwrap_err().to_string();
        assert!(refused.contains("225 positions"), "{refused}");
    }
    let alone = r#"{"model_args": {"no_embed_class": true}}"#;
    let read = from_bytes_with_config("a", &bytes, Some(alone.as_bytes())).unwrap();
    assert_eq!(read.config.grid, PatchGrid::square(15));
    let wrong = from_bytes_as(
        "a",
        &bytes,
        WeightsLoadOptions { grid: Some(PatchGrid::new(14, 14)), ..WeightsLoadOptions::default() },
    )
    .unwrap_err()
    .to_string();
    assert!(wrong.contains("14 x 14 has 196"), "{wrong}");
}

#[test]
fn official_and_hugging_face_files_say_it_or_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = of(PatchGrid::new(3, 5), 4);
    let state = random(&config);
    let plain = pth(&state, None);
    assert!(from_bytes("a.pth", &plain).unwrap_err().to_string().contains("16 positions"));
    let read = from_bytes_as(
        "a.pth",
        &plain,
        WeightsLoadOptions { grid: Some(config.grid), ..WeightsLoadOptions::default() },
    )
    .unwrap();
    assert_eq!((read.backbone, read.config.grid), (state.clone(), config.grid));

    let bytes = bare(&state, &config, KeyLayout::HuggingFace);
    let with = |json: &str| from_bytes_with_config("model.safetensors", &bytes, Some(json.as_bytes()));
    assert_eq!(with(r#"{"image_size": [21, 35]}"#).unwrap().config.grid, config.grid);
    // Pixels beyond the last whole patch have no position.
    assert_eq!(with(r#"{"image_size": [23, 41]}"#).unwrap().config.grid, config.grid);
    let error = with(r#"{"image_size": 224}"#).unwrap_err().to_string();
    assert!(error.contains("embeddings.position_embeddings") && error.contains("16 positions"), "{error}");

    // What transformers folds into a square is no grid of 2 x 8; nobody but a person can say which is right.
    let wide = of(PatchGrid::new(2, 8), 0);
    let (bytes, state) = (bare(&random(&wide), &wide, KeyLayout::HuggingFace), random(&wide));
    let config_json = br#"{"image_size": [14, 56]}"#;
    let error =
        from_bytes_with_config("model.safetensors", &bytes, Some(config_json)).unwrap_err().to_string();
    for part in ["[14,56]", "2 x 8", "4 x 4", "--grid 2x8"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let files = [("model.safetensors", &bytes[..]), ("config.json", &config_json[..])];
    let file = written(&folder.path().join("wide"), &files);
    for grid in [wide.grid, PatchGrid::square(4)] {
        assert_eq!(
            load_as(&file, WeightsLoadOptions { grid: Some(grid), ..WeightsLoadOptions::default() })
                .unwrap()
                .config
                .grid,
            grid
        );
    }
    let error =
        save(&folder.path().join("hf"), &state, &wide, KeyLayout::HuggingFace).unwrap_err().to_string();
    assert!(error.contains("4 x 4") && error.contains("--to timm"), "{error}");
    assert!(!folder.path().join("hf").exists());
}

#[test]
fn positions_of_timms_registers_go_into_them() {
    for grid in [PatchGrid::square(4), PatchGrid::new(3, 5)] {
        let config = VitConfig { interpolation: PosEmbedInterpolation::ANTIALIAS, ..of(grid, 4) };
        let mut state = random(&config);
        state.remove("mask_token");
        // As timm keeps a model with registers and no_embed_class = False: CLS, registers and patches have positions.
        let mut file = state.clone();
        let registers = file.remove("register_tokens").unwrap();
        let at: Vec<f32> = (0..4 * 32).map(|i| (i as f32).cos()).collect();
        let below: Vec<f32> = registers.data.iter().zip(&at).map(|(token, at)| token - at).collect();
        file.insert("reg_token".into(), HostTensor::new([1, 4, 32], below));
        let table = file.get_mut("pos_embed").unwrap();
        table.data.splice(32..32, at);
        table.shape = vec![1, 5 + grid.area(), 32];
        let reading =
            WeightsLoadOptions { grid: (!grid.is_square()).then_some(grid), ..WeightsLoadOptions::default() };
        let read = from_bytes_as("timm.pth", &pth(&file, None), reading).unwrap();
        assert!(read.notes.iter().any(|note| note.contains("registers have positions")), "{:?}", read.notes);
        let [a, b] = [&read.backbone, &{
            state.insert("mask_token".into(), HostTensor::new([1, 32], vec![0.0; 32]));
            state.clone()
        }]
        .map(|state| look(&config, state, 28, 35));
        assert!(furthest(&a, &b) < 1e-5);
        assert_eq!(read.config.grid, grid);
    }
}

#[test]
fn files_from_before_are_read_as_they_were() {
    let config = tiny(0, FfnKind::Mlp);
    let own = r#"{"patch":7,"grid":4,"dim":32,"depth":2,"heads":4,"ffn":"mlp","hidden":128,"registers":0,
        "layerscale":0.00001,"qkv_bias":true,"interpolation":{"offset":0.0,"antialias":true},"drop_path":0.1}"#;
    let (state, mut bytes) = (random(&config), Vec::new());
    let mut tensors = official::as_is(&state);
    safetensors::write(&mut bytes, &mut tensors, &[(plan::CONFIG_KEY, own.to_owned())], WeightsDtype::F32)
        .unwrap();
    let read = from_bytes("old", &bytes).unwrap();
    assert!(read.notes.is_empty(), "{:?}", read.notes);
    assert_eq!((read.config.grid, read.config.norm_eps, read.config.heads), (PatchGrid::square(4), 1e-6, 4));
    // Square grids are written as they were, so that programs from before read new files.
    let text = serde_json::to_string(&read.config).unwrap();
    assert!(text.contains(r#""grid":4,"#), "{text}");
    let rectangle = serde_json::to_string(&of(PatchGrid::new(3, 5), 0)).unwrap();
    assert!(rectangle.contains(r#""grid":[3,5],"#), "{rectangle}");
}
