//! The official repository's key names: block chunks, and the wrappers that training puts around a model.

use super::{KeyLayout, KeyLayoutEntry};
use crate::StateDict;
use crate::safetensors::OutputTensor;
use crate::shapes::parse_index;
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
    official: |name, _| known(&unchunked(name)),
    names: |key, _| vec![key.to_owned()],
    before_patches: |_, _| vec![1],
    outgoing: |backbone, _| outgoing(backbone),
};

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

/// `backbone` as it is.
pub(crate) fn outgoing(backbone: &StateDict) -> Vec<OutputTensor<'_>> {
    let keep = |(key, tensor): (&String, &'_ crate::HostTensor)| (key.clone(), tensor.shape.clone());
    backbone
        .iter()
        .map(|item| {
            let (key, shape) = keep(item);
            OutputTensor { key, shape, data: Cow::Borrowed(&item.1.data) }
        })
        .collect()
}
