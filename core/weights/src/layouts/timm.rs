//! timm's names: official ones with `reg_token`, SwiGLU packed as `mlp.fc1`/`mlp.fc2`, no mask token, and in models
//! with registers the CLS position folded into the CLS token.

use super::official::{PERIODS, known, unchunked};
use super::{KeyLayout, KeyLayoutEntry};
use crate::StateDict;
use crate::safetensors::OutputTensor;
use crate::shapes::{Shapes, split_block};
use dinoscope_model::config::{FfnKind, PosEmbedInterpolation, VitConfig};
use std::borrow::Cow;

/// timm's names.
pub(crate) static LAYOUT: KeyLayoutEntry = KeyLayoutEntry {
    layout: KeyLayout::Timm,
    id: "timm",
    read_by: "timm",
    is_folder: false,
    square_grids_alone: false,
    eps_is_built_in: true,
    has_mask_token: false,
    interpolation: |_| Some(PosEmbedInterpolation::ANTIALIAS),
    has_rope,
    has_key_bias: |shapes| {
        !has_rope(shapes)
            || shapes.keys().any(|name| name.ends_with(".attn.qkv.bias") || name.ends_with(".attn.k_bias"))
    },
    is_aside: |_| false,
    matches: is_timm,
    is_packed,
    official: |name, packed| rope_official(name).or_else(|| known(&official(&unchunked(name), packed))),
    names: |key, shapes| if has_rope(shapes) { rope_names(key, shapes) } else { vec![name(key)] },
    before_patches: |registers, patches_alone| match (registers, patches_alone) {
        (_, Some(true)) => vec![0],
        (registers, Some(false)) => vec![1 + registers],
        (0, None) => vec![1, 0],
        (registers, None) => vec![0, 1 + registers],
    },
    outgoing,
};

/// Whether these shapes (by unchunked key) are timm's rather than official.
pub(crate) fn is_timm(shapes: &Shapes) -> bool {
    let official_only = ["mask_token", "register_tokens", "storage_tokens", PERIODS]
        .iter()
        .any(|key| shapes.contains_key(*key))
        || shapes.keys().any(|key| key.contains(".mlp.w12."));
    !official_only && (shapes.contains_key("cls_token") || shapes.contains_key("reg_token"))
}

/// Modules of a block of DINOv3 that timm's `Eva` names otherwise: official, and those that are stacked in it.
const ROPE_BLOCK: [(&str, &[&str]); 6] = [
    ("ls1.gamma", &["gamma_1"]),
    ("ls2.gamma", &["gamma_2"]),
    ("attn.qkv.bias", &["attn.q_bias", "attn.k_bias", "attn.v_bias"]),
    ("mlp.w12.weight", &["mlp.fc1_g.weight", "mlp.fc1_x.weight"]),
    ("mlp.w12.bias", &["mlp.fc1_g.bias", "mlp.fc1_x.bias"]),
    ("mlp.w3.", &["mlp.fc2."]),
];

/// Whether these shapes are of timm's DINOv3: registers and gains by its names, and no positions.
pub(crate) fn has_rope(shapes: &Shapes) -> bool {
    let ends = |end: &str| shapes.keys().any(|name| name.ends_with(end));
    ends(".gamma_1") && shapes.contains_key("reg_token") && !shapes.contains_key("pos_embed")
}

fn is_gated(shapes: &Shapes) -> bool {
    shapes.keys().any(|name| name.ends_with(".mlp.fc1_g.weight"))
}

/// The official key of a name that only timm's DINOv3 has, and how many such tensors are stacked in it.
fn rope_official(name: &str) -> Option<(String, usize)> {
    let (block, rest) = split_block(name)?;
    let (official, own) = ROPE_BLOCK.iter().find(|(_, own)| own.contains(&rest))?;
    Some((format!("blocks.{block}.{official}"), own.len()))
}

/// The names of an official key in timm's DINOv3.
fn rope_names(key: &str, shapes: &Shapes) -> Vec<String> {
    let packed_bias = shapes.keys().any(|name| name.ends_with(".attn.qkv.bias"));
    rope_named(key, is_gated(shapes), packed_bias)
}

fn rope_named(key: &str, gated: bool, packed_bias: bool) -> Vec<String> {
    if key == "register_tokens" {
        return vec!["reg_token".into()];
    }
    let Some((block, rest)) = split_block(key) else { return vec![key.into()] };
    let of = |name: &str| format!("blocks.{block}.{name}");
    if gated && let Some(field) = rest.strip_prefix("mlp.w3.") {
        return vec![of(&format!("mlp.fc2.{field}"))];
    }
    let row = ROPE_BLOCK.iter().find(|(official, _)| *official == rest);
    match row.filter(|_| !(packed_bias && rest == "attn.qkv.bias")) {
        Some((_, own)) => own.iter().map(|name| of(name)).collect(),
        None => vec![key.into()],
    }
}

/// Whether `mlp.fc1` holds gate and value of a SwiGLU.
pub(crate) fn is_packed(shapes: &Shapes) -> bool {
    let width = |name: &str, axis: usize| {
        shapes
            .iter()
            .find(|(key, _)| split_block(key).is_some_and(|(_, rest)| rest == name))?
            .1
            .get(axis)
            .copied()
    };
    if is_gated(shapes) {
        return true;
    }
    match (width("mlp.fc1.weight", 0), width("mlp.fc2.weight", 1)) {
        (Some(packed), Some(hidden)) => hidden.checked_mul(2) == Some(packed),
        _ => false,
    }
}

/// The official key of `name`.
pub(crate) fn official(name: &str, packed: bool) -> String {
    if name == "reg_token" {
        return "register_tokens".into();
    }
    if packed && split_block(name).is_some() {
        return name.replace(".mlp.fc1.", ".mlp.w12.").replace(".mlp.fc2.", ".mlp.w3.");
    }
    name.into()
}

/// timm's name of the official `key`.
pub(crate) fn name(key: &str) -> String {
    if key == "register_tokens" {
        return "reg_token".into();
    }
    key.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2.")
}

/// `backbone` under timm's names. Folding keeps the forward pass: `cls_token + pos_embed[0]` is one tensor there.
pub(crate) fn outgoing<'a>(backbone: &'a StateDict, config: &VitConfig) -> Vec<OutputTensor<'a>> {
    if config.rope.is_some() {
        return rope_outgoing(backbone, config);
    }
    let (dim, fold) = (config.dim, config.registers > 0);
    let kept = backbone.iter().filter(|(key, _)| *key != "mask_token");
    let position = backbone.get("pos_embed").map(|tensor| &tensor.data[..]).unwrap_or_default();
    kept.map(|(key, tensor)| {
        let mut out =
            OutputTensor { key: name(key), shape: tensor.shape.clone(), data: Cow::Borrowed(&tensor.data) };
        match key.as_str() {
            "cls_token" if fold => {
                out.data = tensor.data.iter().zip(position).map(|(token, row)| token + row).collect();
            }
            "pos_embed" if fold => {
                out.shape[1] -= 1;
                out.data = Cow::Borrowed(&tensor.data[dim..]);
            }
            _ => {}
        }
        out
    })
    .collect()
}

/// `backbone` under the names of timm's DINOv3, with the biases of queries and values where there are any.
fn rope_outgoing<'a>(backbone: &'a StateDict, config: &VitConfig) -> Vec<OutputTensor<'a>> {
    let gated = config.ffn == FfnKind::SwiGlu;
    let mut out = Vec::new();
    for (key, tensor) in backbone.iter().filter(|(key, _)| *key != "mask_token") {
        let names = rope_named(key, gated, config.key_bias);
        let (rows, mut shape) = (tensor.data.len() / names.len(), tensor.shape.clone());
        shape[0] /= names.len();
        for (part, name) in names.into_iter().enumerate() {
            // timm adds a row of zeros by itself.
            if name.ends_with(".attn.k_bias") {
                continue;
            }
            let data = Cow::Borrowed(&tensor.data[part * rows..(part + 1) * rows]);
            out.push(OutputTensor { key: name, shape: shape.clone(), data });
        }
    }
    out
}
