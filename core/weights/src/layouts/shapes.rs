//! Which tensors a backbone has: from a configuration to keys and shapes, and back.

use crate::pos_embed::PosEmbedInfo;
use crate::{KeyLayout, StateDict, WeightsError};
use dinoscope_data::channels::ChannelStatistics;
use dinoscope_data::{MAX_CHANNELS, RGB};
use dinoscope_model::config::{FfnKind, NORM_EPS, PosEmbedInterpolation, ROPE_NORM_EPS, VitConfig};
use dinoscope_model::grid::PatchGrid;
use dinoscope_model::rope::RopeConfig;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Shapes by official key.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// LayerScale's initial value where a file cannot tell: the one of the official recipes.
const LAYERSCALE: f32 = 1e-5;
/// No extent of a Vision Transformer comes near; keeps products of sizes from a hostile file far from overflow.
const MAX_EXTENT: usize = 1 << 18;

/// Every official key of a backbone with its shape, in the order of the forward pass.
pub fn expected_shapes(config: &VitConfig) -> Vec<(String, Vec<usize>)> {
    let d = config.dim;
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("patch_embed.proj.weight".into(), vec![d, config.channels(), config.patch, config.patch]),
        ("patch_embed.proj.bias".into(), vec![d]),
        ("mask_token".into(), vec![1, d]),
        ("cls_token".into(), vec![1, 1, d]),
    ];
    if config.rope.is_none() {
        shapes.push(("pos_embed".into(), vec![1, 1 + config.grid.area(), d]));
    }
    if config.registers > 0 {
        shapes.push(("register_tokens".into(), vec![1, config.registers, d]));
    }
    for block in 0..config.depth {
        let mut add = |name: &str, shape: Vec<usize>| shapes.push((format!("blocks.{block}.{name}"), shape));
        let mut linear = |name: &str, output: usize, input: usize, bias: bool| {
            add(&format!("{name}.weight"), vec![output, input]);
            if bias {
                add(&format!("{name}.bias"), vec![output]);
            }
        };
        linear("attn.qkv", 3 * d, d, config.qkv_bias);
        linear("attn.proj", d, d, true);
        match config.ffn {
            FfnKind::Mlp => {
                linear("mlp.fc1", config.hidden, d, true);
                linear("mlp.fc2", d, config.hidden, true);
            }
            FfnKind::SwiGlu => {
                linear("mlp.w12", 2 * config.hidden, d, true);
                linear("mlp.w3", d, config.hidden, true);
            }
        }
        for norm in ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"] {
            add(norm, vec![d]);
        }
        if config.layerscale.is_some() {
            add("ls1.gamma", vec![d]);
            add("ls2.gamma", vec![d]);
        }
    }
    shapes.push(("norm.weight".into(), vec![d]));
    shapes.push(("norm.bias".into(), vec![d]));
    shapes
}

/// Fails with file, key and both shapes unless `backbone` has exactly the tensors that `config` asks for.
pub fn check(backbone: &StateDict, config: &VitConfig, file: &str) -> Result<(), WeightsError> {
    let expected = expected_shapes(config);
    let absent: Vec<_> = expected.iter().filter(|(key, _)| !backbone.contains_key(key)).collect();
    if let Some((key, shape)) = absent.first() {
        let (key, expected) = (key.clone(), shape.clone());
        return Err(WeightsError::Missing { file: file.into(), key, expected, more: absent.len() - 1 });
    }
    for (key, shape) in &expected {
        if let Some(tensor) = backbone.get(key).filter(|t| t.shape != *shape) {
            return Err(wrong_shape(file, key, shape, &tensor.shape));
        }
    }
    let known: BTreeSet<&str> = expected.iter().map(|(key, _)| key.as_str()).collect();
    let mut strange = backbone.iter().filter(|(key, _)| !known.contains(key.as_str()));
    if let Some((key, tensor)) = strange.next() {
        let (key, found, more) = (key.clone(), tensor.shape.clone(), strange.count());
        return Err(WeightsError::Unexpected { file: file.into(), key, found, more });
    }
    Ok(())
}

/// The shape of the backbone whose official tensors these are. `file` is for messages.
///
/// Tensors do not tell everything. Heads: 64 dimensions each where the width allows, else the guess of
/// [`guess_heads`]. Interpolation: as released, antialiased with registers and with an offset without. LayerScale's
/// initial value: 1e-5. The norms' epsilon: [`NORM_EPS`].
///
/// # Errors
/// If a size cannot be read off, because a tensor is absent or misshapen, or the grid of positions is not square.
pub fn infer_config(backbone: &StateDict, file: &str) -> Result<VitConfig, WeightsError> {
    let shapes = backbone.iter().map(|(key, tensor)| (key.clone(), tensor.shape.clone())).collect();
    let (config, count) = infer(&shapes, file, false)?;
    let known = PosEmbedInfo {
        file,
        key: "pos_embed",
        layout: KeyLayout::Official,
        registers: config.registers,
        count,
        asked: None,
        own: None,
        config: None,
        patches_alone: None,
    };
    Ok(VitConfig { grid: known.positions()?.grid, ..config })
}

/// Heads for a width that says nothing certain: 64 dimensions each from the narrowest published ViT (192) on; test
/// models below that have heads of 16, or of 8, where those fit; otherwise one head.
pub fn guess_heads(dim: usize) -> usize {
    let widths: &[usize] = if dim < 192 { &[16, 8] } else { &[64, 32, 16, 8] };
    let fits = |width: &&usize| dim.is_multiple_of(**width) && dim / **width > 1;
    widths.iter().find(fits).map_or(1, |width| dim / width)
}

pub(crate) fn wrong_shape(file: &str, key: &str, expected: &[usize], found: &[usize]) -> WeightsError {
    WeightsError::Shape {
        file: file.into(),
        key: key.into(),
        expected: expected.to_vec(),
        found: found.to_vec(),
    }
}

/// [`infer_config`] on shapes alone, and how many positions there are; the grid is left open, as one patch.
/// With `rope` there are none, and the grid is that of 224 pixels.
pub(crate) fn infer(shapes: &Shapes, file: &str, rope: bool) -> Result<(VitConfig, usize), WeightsError> {
    let missing = |key: &str, expected: Vec<usize>| WeightsError::Missing {
        file: file.into(),
        key: key.into(),
        expected,
        more: 0,
    };
    // Several tensors know each size; the majority is right, so that the odd one is named by the check that follows.
    let last = |key: &str| shapes.get(key).and_then(|shape| shape.last()).copied();
    let votes = ["cls_token", "pos_embed", "mask_token", "norm.weight", "norm.bias", "patch_embed.proj.bias"];
    let Some(dim) = majority(votes.into_iter().filter_map(last)) else {
        return Err(missing("cls_token", vec![1, 1, 0]));
    };

    let patch_key = "patch_embed.proj.weight";
    let patch_shape = shapes.get(patch_key).ok_or_else(|| missing(patch_key, vec![dim, 3, 14, 14]))?;
    let [_, channels @ 1..=MAX_CHANNELS, patch, width] = patch_shape[..] else {
        return Err(wrong_shape(file, patch_key, &[dim, RGB, 14, 14], patch_shape));
    };
    if patch != width {
        return Err(wrong_shape(file, patch_key, &[dim, channels, patch, patch], patch_shape));
    }

    let positions = match shapes.get("pos_embed").map(|shape| &shape[..]) {
        None if rope => 1,
        None => return Err(missing("pos_embed", vec![1, 1370, dim])),
        Some([1, positions, _]) => *positions,
        Some(shape) => return Err(wrong_shape(file, "pos_embed", &[1, 1370, dim], shape)),
    };

    let registers = match shapes.get("register_tokens").map(|shape| &shape[..]) {
        None => 0,
        Some([1, registers, _]) => *registers,
        Some(shape) => return Err(wrong_shape(file, "register_tokens", &[1, 4, dim], shape)),
    };

    let blocks: BTreeSet<usize> =
        shapes.keys().filter_map(|key| split_block(key)).map(|(block, _)| block).collect();
    let depth = blocks.len();
    if let Some(gap) = (0..depth.max(1)).find(|block| !blocks.contains(block)) {
        return Err(missing(&format!("blocks.{gap}.norm1.weight"), vec![dim]));
    }
    let any = |name: &str| shapes.keys().any(|key| split_block(key).is_some_and(|(_, rest)| rest == name));
    let each = |name: &'static str, axis: usize| {
        let of_block = move |(key, shape): (&String, &Vec<usize>)| {
            split_block(key).filter(|(_, rest)| *rest == name).and_then(|_| shape.get(axis).copied())
        };
        shapes.iter().filter_map(of_block)
    };
    let ffn = if any("mlp.w12.weight") || any("mlp.w3.weight") { FfnKind::SwiGlu } else { FfnKind::Mlp };
    let hidden = match ffn {
        FfnKind::Mlp => majority(
            each("mlp.fc1.weight", 0).chain(each("mlp.fc1.bias", 0)).chain(each("mlp.fc2.weight", 1)),
        ),
        FfnKind::SwiGlu => {
            let doubled = each("mlp.w12.weight", 0).chain(each("mlp.w12.bias", 0)).map(|n| n / 2);
            majority(doubled.chain(each("mlp.w3.weight", 1)))
        }
    };
    let hidden =
        hidden.ok_or_else(|| missing("blocks.0.mlp.fc1.weight", vec![4 * dim.min(MAX_EXTENT), dim]))?;

    for (what, size) in [
        ("token width", dim),
        ("patch side", patch),
        ("table of positions", positions.isqrt()),
        ("hidden width", hidden),
    ] {
        if !(1..=MAX_EXTENT).contains(&size) {
            return Err(WeightsError::format(file, format!("a {what} of {size} is no Vision Transformer's")));
        }
    }
    if registers > MAX_EXTENT {
        return Err(WeightsError::format(
            file,
            format!("{registers} register tokens are no Vision Transformer's"),
        ));
    }
    let config = VitConfig {
        patch,
        grid: PatchGrid::square(if rope { (224 / patch).max(1) } else { 1 }),
        dim,
        depth,
        heads: guess_heads(dim),
        ffn,
        hidden,
        registers,
        layerscale: (any("ls1.gamma") || any("ls2.gamma")).then_some(LAYERSCALE),
        qkv_bias: any("attn.qkv.bias"),
        key_bias: true,
        rope: rope.then(RopeConfig::default),
        norm_eps: if rope { ROPE_NORM_EPS } else { NORM_EPS },
        interpolation: if registers > 0 {
            PosEmbedInterpolation::ANTIALIAS
        } else {
            PosEmbedInterpolation::OFFSET
        },
        drop_path: 0.0,
        pixels: ChannelStatistics::usual(channels),
    };
    Ok((config, positions))
}

/// `blocks.7.norm1.weight` as `(7, "norm1.weight")`.
pub(crate) fn split_block(key: &str) -> Option<(usize, &str)> {
    let (block, rest) = key.strip_prefix("blocks.")?.split_once('.')?;
    Some((parse_index(block)?, rest))
}

/// A plain decimal number, as module lists use for names.
pub(crate) fn parse_index(text: &str) -> Option<usize> {
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// The value that occurs most often; of several, the one that came first.
fn majority(votes: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts: BTreeMap<usize, (usize, Reverse<usize>)> = BTreeMap::new();
    for (order, vote) in votes.enumerate() {
        counts.entry(vote).or_insert((0, Reverse(order))).0 += 1;
    }
    counts.into_iter().max_by_key(|(_, rank)| *rank).map(|(value, _)| value)
}
