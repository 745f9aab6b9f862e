//! Whole training steps: losses, gradients, norms, updates, centres and features.

use std::collections::BTreeMap;
use std::path::Path;

use dinoscope_core::burn::tensor::{DType, Device};
use dinoscope_core::device::block_on;
use dinoscope_core::model::{LayerSelection, PatchGrid, ROPE_NORM_EPS, Vit, params};
use dinoscope_core::ssl::{Centering, CropMasks, OneProcess};
use dinoscope_core::train::batch::{HostCrops, split};
use dinoscope_core::train::gram_teacher::GramTeacher;
use dinoscope_core::train::loss_scale::LossScale;
use dinoscope_core::train::recipe::{PositionKind, TrainPrecision};
use dinoscope_core::train::schedule::ScheduledValues;
use dinoscope_core::train::state::TrainerState;
use dinoscope_core::train::step::{GRAM_LOSS, step};
use dinoscope_core::train::{Network, NetworkConfig, Recipe};
use dinoscope_core::weights::StateDict;
use serde::Deserialize;

use super::Check;
use super::tensors::{Reference, absolute, host, relative_l2, worst};

#[derive(Deserialize)]
struct Config {
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    patch_size: usize,
    global_size: usize,
    local_size: usize,
    pretrain_size: usize,
    ffn: String,
    registers: usize,
    layerscale: f64,
    prototypes: usize,
    ibot_prototypes: usize,
    hidden: usize,
    bottleneck: usize,
    nlayers: usize,
    separate_head: bool,
    centering: String,
    locals: usize,
    batch: usize,
    koleo: f64,
    clip: f64,
    layerwise_decay: f64,
    patch_embed_lr_mult: f64,
    /// `rope` for a backbone of DINOv3, whose positions stay where they are.
    #[serde(default)]
    positions: String,
    /// How far each axis is stretched in training.
    #[serde(default = "unmoved")]
    rope_jitter: f64,
    /// Weight of the Gram loss; 0 for none.
    #[serde(default)]
    gram: f64,
    /// Side of what the Gram teacher sees.
    #[serde(default)]
    gram_size: usize,
}

fn unmoved() -> f64 {
    1.0
}

#[derive(Deserialize)]
struct Schedule {
    lr: f64,
    weight_decay: f64,
    teacher_momentum: f64,
    teacher_temp: f64,
    last_layer_frozen: bool,
}

/// Names of the displayed losses: the reference's and ours.
const LOSSES: [(&str, &str); 4] = [
    ("dino_local_crops_loss", "dino_local_loss"),
    ("dino_global_crops_loss", "dino_global_loss"),
    ("koleo_loss", "koleo_loss"),
    ("ibot_loss", "ibot_loss"),
];

/// Compares every step of the file, then its losses once more in half precision, where the device has it.
pub fn check(path: &Path, device: &Device) -> Result<Vec<Check>, String> {
    let mut checks = check_in(path, device, TrainPrecision::F32)?;
    for (name, numbers, dtype) in
        [("f16", TrainPrecision::F16, DType::F16), ("bf16", TrainPrecision::Bf16, DType::BF16)]
    {
        if device.supports_dtype(dtype) {
            let losses = check_in(path, device, numbers)?.into_iter().find(|c| c.what.starts_with("losses"));
            checks.extend(losses.map(|c| Check { what: format!("{name} {}", c.what), tolerance: 2e-2, ..c }));
        }
    }
    Ok(checks)
}

fn check_in(path: &Path, device: &Device, numbers: TrainPrecision) -> Result<Vec<Check>, String> {
    let file = Reference::read(path)?;
    let config: Config = parse(file.json("config")?)?;
    let losses: Vec<BTreeMap<String, serde_json::Value>> = parse(file.json("losses")?)?;
    let norms: Vec<BTreeMap<String, f64>> = parse(file.json("grad_norms")?)?;

    let mut recipe = recipe(&config)?;
    recipe.train.precision = numbers;
    let mut sizes = NetworkConfig::from(&recipe);
    sizes.backbone.grid = PatchGrid::square(config.pretrain_size / config.patch_size);
    let mut state = TrainerState::with_sizes(&sizes, 0, device);
    state.loss_scale = LossScale::new(numbers, device);
    state.student = fill(state.student, &file.below("init.student."))?;
    state.teacher = fill(state.teacher, &file.below("init.teacher."))?;

    if config.gram > 0.0 {
        let (backbone, missing) =
            params::load(Vit::init(&sizes.backbone, 0, device), &file.below("init.gram.backbone."), |path| {
                path.to_owned()
            });
        if !missing.is_empty() {
            return Err(format!("missing keys: {}", missing.join(", ")));
        }
        state.gram = Some(GramTeacher { backbone });
    }

    let (mut loss_errors, mut gradient_errors, mut norm_errors) = (Vec::new(), Vec::new(), Vec::new());
    for (i, shown) in losses.iter().enumerate() {
        let schedule: Schedule = parse(shown.get("_schedule").cloned().unwrap_or_default())?;
        let now = ScheduledValues {
            lr: schedule.lr,
            last_layer_lr: if schedule.last_layer_frozen { 0.0 } else { schedule.lr },
            weight_decay: schedule.weight_decay,
            momentum: schedule.teacher_momentum,
            teacher_temperature: schedule.teacher_temp,
            backbone_frozen: false,
        };
        let masks = file.get(&format!("step{i}.masks"))?;
        let masks = CropMasks {
            masked: masks.data.iter().map(|v| *v != 0.0).collect(),
            crops: masks.shape[0],
            patches: masks.shape[1],
        };
        let gram = match config.gram > 0.0 {
            true => file.get(&format!("step{i}.gram_crops"))?.data.clone(),
            false => Vec::new(),
        };
        let crops = HostCrops {
            global: &file.get(&format!("step{i}.global_crops"))?.data,
            local: &file.get(&format!("step{i}.local_crops"))?.data,
            gram: &gram,
            images: config.batch,
            locals: config.locals,
            global_size: config.global_size,
            local_size: config.local_size,
            gram_size: recipe.gram_size(),
            channels: recipe.data.channels,
        };
        // More rows than are masked: padding must change nothing.
        let parts = split(crops, &masks, 1, masks.masked.len() / 2, device);
        let mut gradients = params::Named::new();
        let network = state.student.clone();
        let metrics = step(&mut state, &parts, &recipe, &now, &OneProcess, |g| gradients = g.clone());
        if i == 0 {
            for (name, want) in file.below("step0.grad.") {
                let ours = gradients.iter().find(|(path, _)| network.official_key(path) == name);
                let got = match ours {
                    Some((_, tensor)) => host(tensor.clone())?,
                    None => return Err(format!("no gradient for {name}")),
                };
                let (got, want) = without_key_bias(&name, got, want.data);
                gradient_errors.push((name, relative_l2(&got, &want)));
            }
        }
        let values = block_on(metrics.read()).map_err(|e| e.to_string())?;
        for (theirs, ours) in
            LOSSES.into_iter().chain((config.gram > 0.0).then_some(("gram_loss", GRAM_LOSS)))
        {
            let want = shown.get(theirs).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
            let got = values.get(ours).copied().unwrap_or(f64::NAN);
            loss_errors.push((format!("step {i} {theirs}"), (got - want).abs() / want.abs()));
        }
        for (module, want) in &norms[i] {
            let got = values.get(&format!("grad_norm_{module}")).copied().unwrap_or(f64::NAN);
            norm_errors.push((format!("step {i} {module}"), (got - want).abs() / want));
        }
    }

    let mut checks = vec![
        worst("losses", loss_errors, 1e-3),
        worst("gradients", gradient_errors, 1e-3),
        worst("norms", norm_errors, 1e-3),
    ];
    for (who, network) in [("student", &state.student), ("teacher", &state.teacher)] {
        checks.push(check_update(&file, who, network)?);
    }
    if recipe.loss.centering == Centering::Softmax {
        let centers = [("dino", &state.centers.dino), ("ibot", &state.centers.ibot)];
        let errors: Result<Vec<_>, String> = centers
            .into_iter()
            .map(|(name, center)| {
                let want = &file.get(&format!("final.center.{name}"))?.data;
                Ok((name.to_owned(), relative_l2(&host(center.clone())?, want)))
            })
            .collect();
        checks.push(worst("centres", errors?, 1e-3));
    }
    checks.push(check_features(&file, &sizes, device)?);
    Ok(checks)
}

fn parse<T: for<'a> Deserialize<'a>>(value: serde_json::Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|e| e.to_string())
}

fn recipe(c: &Config) -> Result<Recipe, String> {
    let mut r = Recipe::preset("nano").map_err(|e| e.to_string())?;
    r.model.patch = c.patch_size;
    r.model.dim = c.embed_dim;
    r.model.depth = c.depth;
    r.model.heads = c.num_heads;
    r.model.registers = c.registers;
    r.model.layerscale = c.layerscale;
    r.model.drop_path = 0.0;
    r.model.ffn = match c.ffn.as_str() {
        "mlp" => dinoscope_core::model::FfnKind::Mlp,
        "swiglufused" | "swiglu" => dinoscope_core::model::FfnKind::SwiGlu,
        other => return Err(format!("ffn {other}")),
    };
    if c.positions == "rope" {
        r.model.positions = PositionKind::Rope;
        r.model.norm_eps = ROPE_NORM_EPS;
        (r.model.rope_shift, r.model.rope_jitter, r.model.rope_rescale) = (0.0, c.rope_jitter, 1.0);
    }
    r.crops.global_size = c.global_size;
    r.crops.local_size = c.local_size;
    r.crops.locals = c.locals;
    r.head.prototypes = c.prototypes;
    r.head.ibot_prototypes = c.ibot_prototypes;
    r.head.hidden = c.hidden;
    r.head.bottleneck = c.bottleneck;
    r.head.ibot_bottleneck = c.bottleneck;
    r.head.layers = c.nlayers;
    r.head.separate_ibot = c.separate_head;
    r.loss.koleo = c.koleo;
    (r.loss.gram, r.gram.size) = (c.gram, c.gram_size);
    // One that is given: the run's own does not take its place.
    r.gram.teacher = "the file's".to_owned();
    r.loss.centering = match c.centering.as_str() {
        "sinkhorn_knopp" => Centering::SinkhornKnopp,
        "centering" => Centering::Softmax,
        other => return Err(format!("centering {other}")),
    };
    r.optim.clip = c.clip;
    r.optim.layer_decay = c.layerwise_decay;
    r.optim.patch_embed_lr = c.patch_embed_lr_mult;
    r.train.batch = c.batch;
    r.train.accumulate = 1;
    Ok(r)
}

fn fill(network: Network, dict: &StateDict) -> Result<Network, String> {
    let (network, missing) = network.load(dict);
    if missing.is_empty() { Ok(network) } else { Err(format!("missing keys: {}", missing.join(", "))) }
}

/// The key part of a qkv bias has no gradient in exact arithmetic; AdamW blows its rounding noise up.
fn without_key_bias(name: &str, got: Vec<f32>, want: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
    if !name.ends_with("attn.qkv.bias") {
        return (got, want);
    }
    let dim = want.len() / 3;
    let cut = |v: Vec<f32>| v.iter().enumerate().filter(|(i, _)| i / dim != 1).map(|(_, x)| *x).collect();
    (cut(got), cut(want))
}

fn check_update(file: &Reference, who: &str, network: &Network) -> Result<Check, String> {
    let got = block_on(network.state_dict()).map_err(|e| e.to_string())?;
    let init = file.below(&format!("init.{who}."));
    let mut errors = Vec::new();
    for (name, want) in file.below(&format!("final.{who}.")) {
        let (Some(got), Some(init)) = (got.get(&name), init.get(&name)) else {
            return Err(format!("{name} is missing"));
        };
        let moved = |v: &[f32]| v.iter().zip(&init.data).map(|(a, b)| a - b).collect::<Vec<f32>>();
        let (got, want) = without_key_bias(&name, moved(&got.data), moved(&want.data));
        errors.push((name, relative_l2(&got, &want)));
    }
    Ok(worst(&format!("{who} update"), errors, 2e-2))
}

fn check_features(file: &Reference, sizes: &NetworkConfig, device: &Device) -> Result<Check, String> {
    let weights = file.below("final.student.backbone.");
    let (vit, missing) = params::load(Vit::init(&sizes.backbone, 0, device), &weights, |p| p.to_owned());
    if !missing.is_empty() {
        return Err(format!("missing keys: {}", missing.join(", ")));
    }
    let mut errors = Vec::new();
    for size in ["square", "odd"] {
        let input = file.on::<4>(&format!("features.{size}.input"), device)?;
        let [_, _, height, width] = input.dims();
        let (rows, cols) = (height / sizes.backbone.patch, width / sizes.backbone.patch);
        let mut compare = |name: String, got: Vec<f32>| -> Result<(), String> {
            let name = format!("features.{size}.{name}");
            errors.push((name.clone(), absolute(&got, &file.get(&name)?.data)));
            Ok(())
        };
        let features = vit.forward(input.clone(), None);
        compare("x_norm_clstoken".to_owned(), host(features.cls)?)?;
        compare("x_norm_patchtokens".to_owned(), host(features.patches)?)?;
        for (j, layer) in
            vit.intermediate_layers(input, LayerSelection::Last(2), true).into_iter().enumerate()
        {
            compare(format!("intermediate{j}.patch"), host(layer.map(rows, cols))?)?;
            compare(format!("intermediate{j}.cls"), host(layer.cls)?)?;
        }
    }
    Ok(worst("features", errors, 1e-4))
}
