//! Checkpoints as users have them: read, run, compare features.

use std::path::Path;

use dinoscope_core::burn::tensor::Device;
use dinoscope_core::model::{LayerSelection, Vit, params};
use dinoscope_core::weights::{self, WeightsLoadOptions};

use super::Check;
use super::tensors::{Reference, absolute, host, worst};

/// Agreement of features.
const TOLERANCE: f64 = 1e-4;
const SIZES: [&str; 2] = ["square", "odd"];

fn backbone(path: &Path, heads: Option<usize>, device: &Device) -> Result<Vit, String> {
    let reading = WeightsLoadOptions { heads, ..WeightsLoadOptions::default() };
    let checkpoint = weights::load_as(path, reading).map_err(|e| e.to_string())?;
    let (vit, missing) =
        params::load(Vit::init(&checkpoint.config, 0, device), &checkpoint.backbone, |path| path.to_owned());
    if missing.is_empty() { Ok(vit) } else { Err(format!("missing keys: {}", missing.join(", "))) }
}

/// `NAME.pth` or `NAME.safetensors` against `NAME.expected.safetensors`, whose metadata may say how many heads there are.
pub fn check_file(path: &Path, device: &Device) -> Result<Vec<Check>, String> {
    let expected = Reference::read(&path.with_extension("expected.safetensors"))?;
    let vit = backbone(path, expected.number("heads")?, device)?;
    let mut errors = Vec::new();
    for size in SIZES {
        let features = vit.forward(expected.on(&format!("{size}.input"), device)?, None);
        let mut compare = |name: &str, got: Vec<f32>| -> Result<(), String> {
            let name = format!("{size}.{name}");
            errors.push((name.clone(), absolute(&got, &expected.get(&name)?.data)));
            Ok(())
        };
        compare("x_norm_clstoken", host(features.cls)?)?;
        compare("x_norm_patchtokens", host(features.patches)?)?;
        if expected.get(&format!("{size}.x_prenorm")).is_ok() {
            compare("x_prenorm", host(features.prenorm)?)?;
        }
        if let Some(registers) = features.registers {
            compare("x_norm_regtokens", host(registers)?)?;
        }
    }
    Ok(vec![worst("features", errors, TOLERANCE)])
}

/// A Hugging Face folder against its `expected.safetensors`.
pub fn check_hugging_face(folder: &Path, device: &Device) -> Result<Vec<Check>, String> {
    let expected = Reference::read(&folder.join("expected.safetensors"))?;
    let vit = backbone(folder, None, device)?;
    let depth = vit.config.depth;
    let (mut states, mut attentions) = (Vec::new(), Vec::new());
    for size in SIZES {
        let pixels = expected.on::<4>(&format!("{size}.pixel_values"), device)?;
        let mut compare = |name: &str, got: Vec<f32>| -> Result<(), String> {
            let name = format!("{size}.{name}");
            states.push((name.clone(), absolute(&got, &expected.get(&name)?.data)));
            Ok(())
        };
        let layers = vit.intermediate_layers(pixels.clone(), LayerSelection::Last(depth), false);
        for (i, layer) in layers.into_iter().enumerate() {
            compare(&format!("hidden_states.{}", i + 1), host(layer.tokens)?)?;
        }
        let mut last = vit.intermediate_layers(pixels.clone(), LayerSelection::Last(1), true);
        let Some(last) = last.pop() else { return Err("a backbone without blocks".to_owned()) };
        compare("last_hidden_state", host(last.tokens)?)?;
        let name = format!("{size}.attentions.last");
        let got = host(vit.attention(pixels.clone(), depth - 1, None))?;
        let want = expected.get(&name)?;
        attentions.push((name, absolute(&got, &want.data)));
        // One query alone gives the same row.
        let tokens = want.shape[3];
        let row = host(vit.attention(pixels, depth - 1, Some(tokens - 1)))?;
        let rows: Vec<f32> =
            want.data.chunks(tokens).skip(tokens - 1).step_by(tokens).flatten().copied().collect();
        attentions.push((format!("{size} last query"), absolute(&row, &rows)));
    }
    Ok(vec![worst("states", states, TOLERANCE), worst("attention", attentions, TOLERANCE)])
}
