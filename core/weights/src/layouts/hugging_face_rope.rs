//! Hugging Face `transformers` names of DINOv3 (`DINOv3ViTModel`): other modules' names than DINOv2's, projections apart, keys
//! without a bias, and no positions.

use super::hugging_face::image_size;
use crate::safetensors::{OutputTensor, WeightsDtype};
use crate::shapes::{Shapes, parse_index, split_block};
use crate::{StateDict, WeightsError};
use dinoscope_model::config::{FfnKind, VitConfig};
use dinoscope_model::rope::RopeConfig;
use serde_json::{Value, json};
use std::borrow::Cow;

/// `model_type` in `config.json`.
pub(crate) const MODEL_TYPE: &str = "dinov3_vit";

/// Names outside blocks that DINOv2 has otherwise: official, Hugging Face.
const GLOBAL: [(&str, &str); 7] = [
    ("cls_token", "embeddings.cls_token"),
    ("mask_token", "embeddings.mask_token"),
    ("register_tokens", "embeddings.register_tokens"),
    ("patch_embed.proj.weight", "embeddings.patch_embeddings.weight"),
    ("patch_embed.proj.bias", "embeddings.patch_embeddings.bias"),
    ("norm.weight", "norm.weight"),
    ("norm.bias", "norm.bias"),
];
/// Modules of a block: official, and those that are stacked in it.
const BLOCK: [(&str, &[&str]); 4] = [
    ("norm1.", &["norm1."]),
    ("norm2.", &["norm2."]),
    ("attn.qkv.", &["attention.q_proj.", "attention.k_proj.", "attention.v_proj."]),
    ("attn.proj.", &["attention.o_proj."]),
];
const MLP: [(&str, &[&str]); 2] = [("mlp.fc1.", &["mlp.up_proj."]), ("mlp.fc2.", &["mlp.down_proj."])];
const SWIGLU: [(&str, &[&str]); 2] =
    [("mlp.w12.", &["mlp.gate_proj.", "mlp.up_proj."]), ("mlp.w3.", &["mlp.down_proj."])];
const SCALE: [(&str, &str); 2] =
    [("ls1.gamma", "layer_scale1.lambda1"), ("ls2.gamma", "layer_scale2.lambda1")];

/// Where blocks are: in files, and in models in memory since transformers 5.
const LAYERS: [&str; 2] = ["layer.", "model.layer."];

/// Whether these shapes are of such a model.
pub(crate) fn matches(shapes: &Shapes) -> bool {
    shapes.contains_key("embeddings.patch_embeddings.weight")
        && !shapes.contains_key("embeddings.position_embeddings")
}

/// Whether its feed-forward networks have a gate.
pub(crate) fn is_gated(shapes: &Shapes) -> bool {
    matches(shapes) && shapes.keys().any(|name| name.ends_with(".mlp.gate_proj.weight"))
}

fn modules(gated: bool) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    BLOCK.into_iter().chain(if gated { SWIGLU } else { MLP })
}

/// The official key of `name`, and how many such tensors one official tensor is stacked from.
pub(crate) fn official(name: &str, gated: bool) -> Option<(String, usize)> {
    if let Some((official, _)) = GLOBAL.iter().find(|(_, own)| *own == name) {
        return Some((official.to_string(), 1));
    }
    let (block, rest) = LAYERS.iter().find_map(|layers| name.strip_prefix(layers))?.split_once('.')?;
    let block = parse_index(block)?;
    if let Some((official, _)) = SCALE.iter().find(|(_, own)| *own == rest) {
        return Some((format!("blocks.{block}.{official}"), 1));
    }
    modules(gated).find_map(|(official, own)| {
        let field = own.iter().find_map(|module| rest.strip_prefix(module));
        let field = field.filter(|field| matches!(*field, "weight" | "bias"))?;
        Some((format!("blocks.{block}.{official}{field}"), own.len()))
    })
}

/// The names of the official `key`: one, or several that are stacked.
pub(crate) fn names(key: &str, shapes: &Shapes) -> Vec<String> {
    let in_memory = shapes.keys().any(|name| name.starts_with(LAYERS[1]));
    named(key, is_gated(shapes), LAYERS[usize::from(in_memory)])
}

fn named(key: &str, gated: bool, layers: &str) -> Vec<String> {
    if let Some((_, own)) = GLOBAL.iter().find(|(official, _)| *official == key) {
        return vec![own.to_string()];
    }
    let Some((block, rest)) = split_block(key) else { return vec![key.into()] };
    let layer = |name: String| format!("{layers}{block}.{name}");
    if let Some((_, own)) = SCALE.iter().find(|(official, _)| *official == rest) {
        return vec![layer(own.to_string())];
    }
    let found = modules(gated).find_map(|(official, own)| {
        let field = rest.strip_prefix(official)?;
        Some(own.iter().map(|module| layer(format!("{module}{field}"))).collect())
    });
    found.unwrap_or_else(|| vec![layer(rest.into())])
}

/// `backbone` under these names.
pub(crate) fn outgoing<'a>(backbone: &'a StateDict, config: &VitConfig) -> Vec<OutputTensor<'a>> {
    let mut out = Vec::new();
    for (key, tensor) in backbone {
        let names = named(key, config.ffn == FfnKind::SwiGlu, LAYERS[0]);
        let rows = tensor.data.len() / names.len();
        let mut shape = tensor.shape.clone();
        if names.len() > 1 {
            shape[0] /= names.len();
        }
        if key == "mask_token" {
            shape.insert(0, 1);
        }
        for (part, name) in names.into_iter().enumerate() {
            if name.ends_with(".k_proj.bias") && !config.key_bias {
                continue;
            }
            let data = Cow::Borrowed(&tensor.data[part * rows..(part + 1) * rows]);
            out.push(OutputTensor { key: name, shape: shape.clone(), data });
        }
    }
    if config.layerscale.is_none() {
        for key in (0..config.depth).flat_map(|block| SCALE.map(|(_, own)| format!("layer.{block}.{own}"))) {
            out.push(OutputTensor { key, shape: vec![config.dim], data: vec![1.0; config.dim].into() });
        }
    }
    out
}

/// `config.json` of such a folder.
pub(crate) fn config_json(config: &VitConfig, rope: &RopeConfig, dtype: WeightsDtype) -> Value {
    let gated = config.ffn == FfnKind::SwiGlu;
    let mut out = json!({
        "architectures": ["DINOv3ViTModel"],
        "attention_dropout": 0.0,
        "drop_path_rate": config.drop_path,
        "dtype": dtype.torch(),
        "hidden_act": if gated { "silu" } else { "gelu" },
        "hidden_size": config.dim,
        "image_size": image_size(config),
        "initializer_range": 0.02,
        "intermediate_size": config.hidden,
        "key_bias": config.qkv_bias && config.key_bias,
        "layer_norm_eps": config.norm_eps,
        "layerscale_value": config.layerscale.map_or(1.0, |v| v.to_string().parse().unwrap_or(f64::from(v))),
        "mlp_bias": true,
        "model_type": MODEL_TYPE,
        "num_attention_heads": config.heads,
        "num_channels": config.channels(),
        "num_hidden_layers": config.depth,
        "num_register_tokens": config.registers,
        "out_features": [format!("stage{}", config.depth)],
        "out_indices": [config.depth],
        "patch_size": config.patch,
        "pos_embed_jitter": null,
        "pos_embed_rescale": 2.0,
        "pos_embed_shift": null,
        "proj_bias": true,
        "query_bias": config.qkv_bias,
        "rope_theta": rope.base,
        "torch_dtype": dtype.torch(),
        "use_gated_mlp": gated,
        "value_bias": config.qkv_bias,
    });
    // transformers computes the periods from the base; a reader that can will take these.
    if let Some(periods) = &rope.periods {
        out["rope_periods"] = json!(periods);
    }
    out
}

/// What a `config.json` says of rotary positions.
///
/// # Errors
/// The value that can't be computed with, for a message.
pub(crate) fn rope(json: &Value, width: usize) -> Result<RopeConfig, String> {
    let nested = json.get("rope_parameters").and_then(|parameters| parameters.get("rope_theta"));
    let theta = json.get("rope_theta").or(nested).filter(|value| !value.is_null());
    let base = match theta {
        None => RopeConfig::default().base,
        Some(value) => value
            .as_f64()
            .filter(|base| base.is_finite() && *base > 0.0)
            .ok_or_else(|| format!("rope_theta {value}; expected a number above 0, such as 100"))?,
    };
    let periods = json.get("rope_periods").and_then(Value::as_array).map(|list| {
        let number = |value: &Value| value.as_f64().map(|period| period as f32);
        list.iter().map(number).collect::<Option<Vec<f32>>>()
    });
    let periods = periods.flatten().filter(|periods| periods.len() == width / 4);
    let sound = |periods: &Vec<f32>| periods.iter().all(|period| period.is_finite() && *period != 0.0);
    match periods {
        Some(periods) if !sound(&periods) => Err("rope_periods with a 0 or no number among them".into()),
        periods => Ok(RopeConfig { base, periods }),
    }
}

/// Fails where `config` can't be said in that program's terms.
///
/// # Errors
/// When a value has no place there.
pub(crate) fn expressible(config: &VitConfig) -> Result<(), WeightsError> {
    if config.head_width().is_multiple_of(4) {
        return Ok(());
    }
    let reason =
        format!("heads of {} dimensions have no rotary positions in transformers", config.head_width());
    Err(WeightsError::Unsupported { file: "config.json".into(), reason })
}
