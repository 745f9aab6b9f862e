//! timm's names: official ones with `reg_token`, SwiGLU packed as `mlp.fc1`/`mlp.fc2`, no mask token, and in models
//! with registers the CLS position folded into the CLS token.

use super::official::{known, unchunked};
use super::{KeyLayout, KeyLayoutEntry};
use crate::StateDict;
use crate::safetensors::OutputTensor;
use crate::shapes::{Shapes, split_block};
use dinoscope_model::config::{PosEmbedInterpolation, VitConfig};
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
    matches: is_timm,
    is_packed,
    official: |name, packed| known(&official(&unchunked(name), packed)),
    names: |key, _| vec![name(key)],
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
    let official_only = ["mask_token", "register_tokens"].iter().any(|key| shapes.contains_key(*key))
        || shapes.keys().any(|key| key.contains(".mlp.w12."));
    !official_only && (shapes.contains_key("cls_token") || shapes.contains_key("reg_token"))
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
