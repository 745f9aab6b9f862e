//! The folder that transformers.js loads.

use serde_json::Value;

use super::super::{MODEL, OnnxInputSize, save, save_folder};
use super::weights;
use crate::tests::tiny;
use dinoscope_model::PatchGrid;
use dinoscope_model::config::{FfnKind, VitConfig};

#[test]
fn a_folder_has_the_graph_and_says_what_it_takes() {
    let place = tempfile::tempdir().unwrap();
    for (name, config, size) in [
        ("free", tiny(0, FfnKind::Mlp), OnnxInputSize::Free),
        ("v1.2", tiny(4, FfnKind::SwiGlu), OnnxInputSize::Fixed { height: 21, width: 42 }),
        // transformers could not tell 2 x 8 from 4 x 4; the graph can.
        (
            "wide",
            VitConfig { grid: PatchGrid::new(2, 8), norm_eps: 1e-5, ..tiny(0, FfnKind::Mlp) },
            OnnxInputSize::Free,
        ),
    ] {
        let (folder, state) = (place.path().join(name), weights(&config));
        save_folder(&folder, &state, &config, size).unwrap();
        let file = place.path().join("one.onnx");
        save(&file, &state, &config, size).unwrap();
        assert_eq!(std::fs::read(folder.join(MODEL)).unwrap(), std::fs::read(&file).unwrap());
        let json = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let (model, pictures) = (json("config.json"), json("preprocessor_config.json"));
        assert_eq!(model["transformers.js_config"]["dtype"], "fp32");
        let kind = if config.registers > 0 { "dinov2_with_registers" } else { "dinov2" };
        assert_eq!((&model["model_type"], &model["hidden_size"]), (&Value::from(kind), &Value::from(32)));
        assert_eq!(model["layer_norm_eps"], config.norm_eps);
        match size {
            OnnxInputSize::Free => {
                let side = config.side();
                assert_eq!(pictures["crop_size"], serde_json::json!({ "height": side, "width": side }));
                assert_eq!(pictures["do_center_crop"], true);
            }
            OnnxInputSize::Fixed { height, width } => {
                assert_eq!(pictures["size"], serde_json::json!({ "height": height, "width": width }));
                assert_eq!(pictures["do_center_crop"], false);
            }
        }
    }
}

#[test]
fn a_file_is_no_folder() {
    let place = tempfile::tempdir().unwrap();
    let (config, state) = (tiny(0, FfnKind::Mlp), weights(&tiny(0, FfnKind::Mlp)));
    std::fs::write(place.path().join("there"), "something").unwrap();
    for name in ["there", "model.safetensors", "model.pth", "config.json"] {
        let error = save_folder(&place.path().join(name), &state, &config, OnnxInputSize::Free)
            .unwrap_err()
            .to_string();
        assert!(error.contains(name) && error.contains(".onnx"), "{error}");
    }
    assert_eq!(std::fs::read(place.path().join("there")).unwrap(), b"something");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}
