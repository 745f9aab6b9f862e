//! The official repository's key names: block chunks, and the wrappers that training puts around a model.

use super::{KeyLayout, KeyLayoutEntry};
use crate::StateDict;
use crate::safetensors::OutputTensor;
use crate::shapes::parse_index;
use dinoscope_model::config::VitConfig;
use std::borrow::Cow;

/// The official repository's names.
pub(crate) static LAYOUT: KeyLayoutEntry = KeyLayoutEntry {
    layout: KeyLayout::Official,
    id: "official",
    read_by: "the official code",
    is_folder: false,
    square_grids_alone: true,
    eps_is_built_in: true,
    has_mask_token: true,
    interpolation: |_| None,
    matches: |_| true,
    is_packed: |_| false,
    has_rope: |shapes| {
        shapes.contains_key(PERIODS) || shapes.contains_key(STORAGE) && !shapes.contains_key("pos_embed")
    },
    has_key_bias: |shapes| !shapes.keys().any(|name| name.ends_with(BIAS_MASK)),
    is_aside: |name| name == PERIODS || name.ends_with(BIAS_MASK) || name.starts_with(LOCAL_NORM),
    official: |name, _| official(&unchunked(name)),
    names: |key, shapes| {
        let of_rope = rope_names(key);
        if of_rope.iter().any(|name| shapes.contains_key(name)) { of_rope } else { vec![key.to_owned()] }
    },
    before_patches: |_, _| vec![1],
    outgoing,
};

/// The periods of rotary positions, `[heads' width / 4]` (DINOv3).
pub(crate) const PERIODS: &str = "rope_embed.periods";
/// End of the name of what `attn.qkv.bias` is multiplied by: 1, and 0 for keys.
pub(crate) const BIAS_MASK: &str = "attn.qkv.bias_mask";
/// A norm that DINOv3's largest model has for local crops, in training alone.
pub(crate) const LOCAL_NORM: &str = "local_cls_norm.";
/// DINOv3's name of the registers.
const STORAGE: &str = "storage_tokens";

/// The official key of a name of DINOv2 or DINOv3, and how many such tensors are stacked in it: DINOv3's `mlp.w1` and
/// `mlp.w2` are packed as `mlp.w12` here.
fn official(name: &str) -> Option<(String, usize)> {
    if name == STORAGE {
        return Some(("register_tokens".into(), 1));
    }
    let halves = ["mlp.w1.", "mlp.w2."];
    let half = crate::shapes::split_block(name).and_then(|(block, rest)| {
        let field = halves.iter().find_map(|half| rest.strip_prefix(half))?;
        matches!(field, "weight" | "bias").then(|| (format!("blocks.{block}.mlp.w12.{field}"), 2))
    });
    half.or_else(|| known(name))
}

/// DINOv3's names of an official key.
fn rope_names(key: &str) -> Vec<String> {
    match key.split_once(".mlp.w12.") {
        Some((block, field)) => ["w1", "w2"].map(|half| format!("{block}.mlp.{half}.{field}")).into(),
        None if key == "register_tokens" => vec![STORAGE.into()],
        None => vec![key.to_owned()],
    }
}

/// Module names that FSDP, DDP and `torch.compile` put into keys; they say nothing about the model.
const WRAPPERS: [&str; 5] =
    ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"];

/// `key` without wrapper modules.
pub(crate) fn unwrapped(key: &str) -> String {
    let segments: Vec<_> = key.split('.').filter(|segment| !WRAPPERS.contains(segment)).collect();
    segments.join(".")
}

/// Chunked block names to plain ones: `blocks.1.7.norm1.bias` (chunk 1 holds block 7) is `blocks.7.norm1.bias`.
pub(crate) fn unchunked(key: &str) -> Cow<'_, str> {
    let inner = key.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
    if let Some((chunk, rest)) = inner
        && parse_index(chunk).is_some()
        && rest.split_once('.').is_some_and(|(block, _)| parse_index(block).is_some())
    {
        return format!("blocks.{rest}").into();
    }
    key.into()
}

/// `key` (without prefix, unchunked), if it is one that official backbones have.
pub(crate) fn known(key: &str) -> Option<(String, usize)> {
    is_known(key).then(|| (key.to_owned(), 1))
}

/// Whether `key` (without prefix, unchunked) is one that official backbones have.
pub(crate) fn is_known(key: &str) -> bool {
    let block = crate::shapes::split_block(key).map(|(_, rest)| rest);
    match block {
        Some(rest) => {
            matches!(rest, "ls1.gamma" | "ls2.gamma")
                || ["norm1", "norm2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "mlp.w12", "mlp.w3"]
                    .iter()
                    .any(|module| {
                        rest.strip_prefix(module).is_some_and(|field| matches!(field, ".weight" | ".bias"))
                    })
        }
        None => matches!(
            key,
            "cls_token"
                | "pos_embed"
                | "mask_token"
                | "register_tokens"
                | "patch_embed.proj.weight"
                | "patch_embed.proj.bias"
                | "norm.weight"
                | "norm.bias"
        ),
    }
}

/// `backbone` under the names of DINOv2's repository, or of DINOv3's with what its program expects beside weights.
fn outgoing<'a>(backbone: &'a StateDict, config: &VitConfig) -> Vec<OutputTensor<'a>> {
    let Some(rope) = &config.rope else { return as_is(backbone) };
    let mut out = Vec::new();
    for (key, tensor) in backbone {
        let names = rope_names(key);
        let (rows, mut shape) = (tensor.data.len() / names.len(), tensor.shape.clone());
        shape[0] /= names.len();
        for (part, key) in names.into_iter().enumerate() {
            let data = Cow::Borrowed(&tensor.data[part * rows..(part + 1) * rows]);
            out.push(OutputTensor { key, shape: shape.clone(), data });
        }
    }
    let periods = rope.periods(config.head_width());
    out.push(OutputTensor { key: PERIODS.into(), shape: vec![periods.len()], data: periods.into() });
    if config.qkv_bias && !config.key_bias {
        for block in 0..config.depth {
            let third = |value: f32| std::iter::repeat_n(value, config.dim);
            let mask: Vec<f32> = third(1.0).chain(third(0.0)).chain(third(1.0)).collect();
            let key = format!("blocks.{block}.{BIAS_MASK}");
            out.push(OutputTensor { key, shape: vec![mask.len()], data: mask.into() });
        }
    }
    out
}

/// Tensors under the names that they have.
pub(crate) fn as_is(backbone: &StateDict) -> Vec<OutputTensor<'_>> {
    let keep = |(key, tensor): (&String, &'_ crate::HostTensor)| (key.clone(), tensor.shape.clone());
    backbone
        .iter()
        .map(|item| {
            let (key, shape) = keep(item);
            OutputTensor { key, shape, data: Cow::Borrowed(&item.1.data) }
        })
        .collect()
}
