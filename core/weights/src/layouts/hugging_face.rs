//! Hugging Face `transformers` names (`Dinov2Model`, `Dinov2WithRegistersModel`) and the JSON files of their folders.

use super::{KeyLayout, KeyLayoutEntry, hugging_face_rope};
use crate::safetensors::{OutputTensor, WeightsDtype};
use crate::shapes::{parse_index, split_block};
use crate::{StateDict, WeightsError};
use dinoscope_data::RGB;
use dinoscope_data::channels::ChannelStatistics;
use dinoscope_model::config::{FfnKind, PosEmbedInterpolation, VitConfig, swiglu_hidden};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Hugging Face's names.
pub(crate) static LAYOUT: KeyLayoutEntry = KeyLayoutEntry {
    layout: KeyLayout::HuggingFace,
    id: "hugging-face",
    read_by: "transformers",
    is_folder: true,
    square_grids_alone: true,
    eps_is_built_in: false,
    has_mask_token: true,
    interpolation: |config| Some(interpolation(config.registers)),
    matches: |shapes| {
        shapes.keys().any(|name| name.starts_with("embeddings.") || name.starts_with("encoder.layer."))
    },
    has_rope: hugging_face_rope::matches,
    has_key_bias: |shapes| {
        !hugging_face_rope::matches(shapes)
            || shapes.keys().any(|name| name.ends_with(".attention.k_proj.bias"))
    },
    is_aside: |_| false,
    is_packed: hugging_face_rope::is_gated,
    official: |name, gated| official(name).or_else(|| hugging_face_rope::official(name, gated)),
    names: |key, shapes| {
        if hugging_face_rope::matches(shapes) {
            return hugging_face_rope::names(key, shapes);
        }
        let there = |names: &Vec<String>| names.iter().any(|name| shapes.contains_key(name));
        newer_names(key).filter(there).unwrap_or_else(|| names(key))
    },
    before_patches: |_, _| vec![1],
    outgoing,
};

/// Prefixes of the backbone inside models built around it.
pub(crate) const PREFIXES: [&str; 3] = ["dinov2.", "dinov2_with_registers.", "dinov3_vit."];

/// Names outside blocks: official, Hugging Face.
const GLOBAL: [(&str, &str); 8] = [
    ("cls_token", "embeddings.cls_token"),
    ("mask_token", "embeddings.mask_token"),
    ("register_tokens", "embeddings.register_tokens"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight"),
    ("patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias"),
    ("norm.weight", "layernorm.weight"),
    ("norm.bias", "layernorm.bias"),
];
/// Modules inside a block: official, Hugging Face. `attn.qkv` has three names, see [`QKV`].
const BLOCK: [(&str, &str); 7] = [
    ("norm1.", "norm1."),
    ("norm2.", "norm2."),
    ("attn.proj.", "attention.output.dense."),
    ("mlp.fc1.", "mlp.fc1."),
    ("mlp.fc2.", "mlp.fc2."),
    ("mlp.w12.", "mlp.weights_in."),
    ("mlp.w3.", "mlp.weights_out."),
];
/// Parameters without a module's `weight` and `bias`.
const SCALE: [(&str, &str); 2] =
    [("ls1.gamma", "layer_scale1.lambda1"), ("ls2.gamma", "layer_scale2.lambda1")];
/// The rows of `attn.qkv` in order.
const QKV: [&str; 3] =
    ["attention.attention.query.", "attention.attention.key.", "attention.attention.value."];

/// The names of these modules in memory since transformers 5.2: official, how many tensors are stacked in it, names in
/// their order. Files of `save_pretrained` keep the older ones.
const NEWER: [(&str, &[&str]); 4] = [
    ("attn.qkv.", &["attention.q_proj.", "attention.k_proj.", "attention.v_proj."]),
    ("attn.proj.", &["attention.o_proj."]),
    ("mlp.w12.", &["mlp.gate_proj.", "mlp.up_proj."]),
    ("mlp.w3.", &["mlp.down_proj."]),
];

/// The official key of `name`, and how many such tensors one official tensor is stacked from.
pub(crate) fn official(name: &str) -> Option<(String, usize)> {
    if let Some((official, _)) = GLOBAL.iter().find(|(_, hf)| *hf == name) {
        return Some((official.to_string(), 1));
    }
    let (block, rest) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
    let block = parse_index(block)?;
    if let Some((official, _)) = SCALE.iter().find(|(_, hf)| *hf == rest) {
        return Some((format!("blocks.{block}.{official}"), 1));
    }
    let field = |prefix: &str| rest.strip_prefix(prefix).filter(|field| matches!(*field, "weight" | "bias"));
    if let Some(field) = QKV.iter().find_map(|prefix| field(prefix)) {
        return Some((format!("blocks.{block}.attn.qkv.{field}"), 3));
    }
    for (official, newer) in NEWER {
        if let Some(field) = newer.iter().find_map(|prefix| field(prefix)) {
            return Some((format!("blocks.{block}.{official}{field}"), newer.len()));
        }
    }
    let module = |(official, hf): &(&str, &str)| Some(format!("blocks.{block}.{official}{}", field(hf)?));
    BLOCK.iter().find_map(module).map(|key| (key, 1))
}

/// The names of the official `key`: one, or three that are stacked.
pub(crate) fn names(key: &str) -> Vec<String> {
    if let Some((_, hf)) = GLOBAL.iter().find(|(official, _)| *official == key) {
        return vec![hf.to_string()];
    }
    let Some((block, rest)) = split_block(key) else { return vec![key.into()] };
    let layer = |name: String| format!("encoder.layer.{block}.{name}");
    if let Some(field) = rest.strip_prefix("attn.qkv.") {
        return QKV.iter().map(|prefix| layer(format!("{prefix}{field}"))).collect();
    }
    if let Some((_, hf)) = SCALE.iter().find(|(official, _)| *official == rest) {
        return vec![layer(hf.to_string())];
    }
    let module =
        |(official, hf): &(&str, &str)| rest.strip_prefix(official).map(|field| format!("{hf}{field}"));
    vec![layer(BLOCK.iter().find_map(module).unwrap_or_else(|| rest.into()))]
}

/// [`names`] as a model in memory has them since transformers 5.2; `None` where they are the same.
pub(crate) fn newer_names(key: &str) -> Option<Vec<String>> {
    let (block, rest) = split_block(key)?;
    NEWER.iter().find_map(|(official, newer)| {
        let field = rest.strip_prefix(official)?;
        Some(newer.iter().map(|name| format!("encoder.layer.{block}.{name}{field}")).collect())
    })
}

/// `backbone` under Hugging Face names. LayerScale is always there: a backbone without it gets ones.
pub(crate) fn outgoing<'a>(backbone: &'a StateDict, config: &VitConfig) -> Vec<OutputTensor<'a>> {
    if config.rope.is_some() {
        return hugging_face_rope::outgoing(backbone, config);
    }
    let mut out = Vec::new();
    for (key, tensor) in backbone {
        let names = names(key);
        let rows = tensor.data.len() / names.len();
        let mut shape = tensor.shape.clone();
        if names.len() > 1 {
            shape[0] /= names.len();
        }
        for (part, key) in names.into_iter().enumerate() {
            let data = Cow::Borrowed(&tensor.data[part * rows..(part + 1) * rows]);
            out.push(OutputTensor { key, shape: shape.clone(), data });
        }
    }
    if config.layerscale.is_none() {
        for key in
            (0..config.depth).flat_map(|block| SCALE.map(|(_, hf)| format!("encoder.layer.{block}.{hf}")))
        {
            out.push(OutputTensor { key, shape: vec![config.dim], data: vec![1.0; config.dim].into() });
        }
    }
    out
}

/// `config.json` of a Hugging Face folder whose numbers are kept as `dtype`.
///
/// # Errors
/// If no `mlp_ratio` gives the hidden width.
pub fn config_json(config: &VitConfig, dtype: WeightsDtype) -> Result<String, WeightsError> {
    if let Some(rope) = &config.rope {
        hugging_face_rope::expressible(config)?;
        return Ok(format!("{:#}\n", hugging_face_rope::config_json(config, rope, dtype)));
    }
    let registers = config.registers > 0;
    let stages: Vec<_> =
        (0..=config.depth).map(|i| if i == 0 { "stem".into() } else { format!("stage{i}") }).collect();
    let mut out = json!({
        "apply_layernorm": true,
        "architectures": [if registers { "Dinov2WithRegistersModel" } else { "Dinov2Model" }],
        "attention_probs_dropout_prob": 0.0,
        "drop_path_rate": config.drop_path,
        "dtype": dtype.torch(),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": config.dim,
        "image_size": image_size(config),
        "initializer_range": 0.02,
        "layer_norm_eps": config.norm_eps,
        "layerscale_value": config.layerscale.map_or(1.0, |v| v.to_string().parse().unwrap_or(f64::from(v))),
        "mlp_ratio": mlp_ratio(config)?,
        "model_type": if registers { "dinov2_with_registers" } else { "dinov2" },
        "num_attention_heads": config.heads,
        "num_channels": config.channels(),
        "num_hidden_layers": config.depth,
        "out_features": [format!("stage{}", config.depth)],
        "out_indices": [config.depth],
        "patch_size": config.patch,
        "qkv_bias": config.qkv_bias,
        "reshape_hidden_states": true,
        "stage_names": stages,
        "torch_dtype": dtype.torch(),
        "use_swiglu_ffn": config.ffn == FfnKind::SwiGlu,
    });
    if registers {
        out["num_register_tokens"] = json!(config.registers);
    } else {
        out["use_mask_token"] = json!(true);
    }
    Ok(format!("{out:#}\n"))
}

/// The ratio from which `transformers` computes `config.hidden`: whole where possible, as it is usually written.
///
/// # Errors
/// When no ratio gives that width.
pub fn mlp_ratio(config: &VitConfig) -> Result<Value, WeightsError> {
    let hidden = |ratio: f64| {
        let requested = (config.dim as f64 * ratio) as usize;
        if config.ffn == FfnKind::SwiGlu { swiglu_hidden(requested) } else { requested }
    };
    if hidden(4.0) == config.hidden {
        return Ok(json!(4));
    }
    let scale = if config.ffn == FfnKind::SwiGlu { 1.5 } else { 1.0 };
    let ratio = config.hidden as f64 * scale / config.dim as f64;
    // Truncation may fall one short; half a unit more does not round up.
    let nudged = (config.hidden as f64 * scale + 0.5) / config.dim as f64;
    [ratio, nudged].into_iter().find(|&r| hidden(r) == config.hidden).map(|r| json!(r)).ok_or_else(|| {
        let reason =
            format!("a hidden width of {} cannot be written as a Hugging Face mlp_ratio", config.hidden);
        WeightsError::Unsupported { file: "config.json".into(), reason }
    })
}

/// A side in pixels, or height and width where they differ.
pub(crate) fn image_size(config: &VitConfig) -> Value {
    let (height, width) = config.image();
    if height == width { json!(height) } else { json!([height, width]) }
}

/// Side of the square that pictures are cropped to unless somebody has a wish: the one that positions are stored for, at
/// most 224 pixels; what `dinoscope eval` takes too.
pub fn crop_side(config: &VitConfig) -> usize {
    config.side().min((224 / config.patch).max(1) * config.patch)
}

/// `preprocessor_config.json` of a Hugging Face folder: the middle of the picture at the size that positions are stored
/// for, at most 224 pixels, and what its pictures are normalised by. For the released models these are the files of their folders.
pub fn preprocessor_json(config: &VitConfig) -> String {
    let side = crop_side(config);
    preprocessor(side, side, &config.pixels)
}

/// [`preprocessor_json`] for pictures of `height` by `width` pixels: a square is cut out of the middle, to anything else
/// the whole picture is resized.
pub(crate) fn preprocessor(height: usize, width: usize, pixels: &ChannelStatistics) -> String {
    let is_square = height == width;
    let sides = json!({ "height": height, "width": width });
    let mut out = json!({
        "do_center_crop": is_square,
        "do_convert_rgb": pixels.channels() == RGB,
        "do_normalize": true,
        "do_rescale": true,
        "do_resize": true,
        "image_mean": as_written(&pixels.mean),
        "image_processor_type": "BitImageProcessor",
        "image_std": as_written(&pixels.deviation),
        "resample": 3,
        "rescale_factor": 0.003_921_568_627_450_98,
        "size": if is_square { json!({ "shortest_edge": shortest_edge(height) }) } else { sides.clone() },
    });
    if is_square {
        out["crop_size"] = sides;
    }
    format!("{out:#}\n")
}

/// Floats as people write them: 0.485, and not the nearest of 64 bits.
pub(crate) fn as_written(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| v.to_string().parse().unwrap_or(f64::from(*v))).collect()
}

/// What the shorter side of a picture becomes before the middle is cut out: 256 pixels for 224.
pub fn shortest_edge(crop: usize) -> usize {
    crop * 256 / 224
}

/// How `transformers` resamples positions: to an explicit size, antialiased with registers.
pub(crate) fn interpolation(registers: usize) -> PosEmbedInterpolation {
    if registers > 0 { PosEmbedInterpolation::ANTIALIAS } else { PosEmbedInterpolation::SIZE }
}
