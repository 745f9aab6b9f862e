//! Models that are akin to DINOv2 and cannot be read: which they are, why not, and what can be done.
//!
//! Recognised by names that only they have, or by the `model_type` of a `config.json`; what is not certain is not said.

use crate::WeightsError;
use crate::source::WeightsReader;
use crate::{official, pickle_torch};
use serde_json::Value;
use std::path::Path;

/// A kind of model.
struct UnsupportedArchitecture {
    /// What it is, for people.
    what: &'static str,
    /// What it has that DINOv2 has not.
    why: &'static str,
    /// `model_type` in `config.json`.
    types: &'static [&'static str],
    /// Names, each a set of fragments that must all occur among the keys.
    marks: &'static [&'static [&'static str]],
}

/// The kinds, those with the surest names first. A fragment is looked for in the dotted key with a full stop before it.
const KINDS: [UnsupportedArchitecture; 13] = [
    UnsupportedArchitecture {
        what: "a ConvNeXt, as DINOv3's small models are",
        why: "it is a convolutional network, without tokens or attention",
        types: &["dinov3_convnext", "convnext", "convnextv2"],
        marks: &[
            &[".conv_dw.weight"],
            &[".dwconv.weight", ".pwconv1.weight"],
            &[".depthwise_conv.weight", ".pointwise_conv1.weight"],
        ],
    },
    UnsupportedArchitecture {
        what: "a SigLIP model",
        why: "it has no class token and gathers its patches by attention",
        types: &["siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model"],
        marks: &[&[".attn_pool.latent"], &[".vision_model.head.probe"]],
    },
    UnsupportedArchitecture {
        what: "a CLIP model",
        why: "it normalises tokens before the first block and has other names and activations",
        types: &["clip", "clip_vision_model", "chinese_clip", "openclip"],
        marks: &[
            &[".visual.class_embedding"],
            &[".vision_model.embeddings.class_embedding"],
            &[".class_embedding", ".ln_pre.weight"],
        ],
    },
    UnsupportedArchitecture {
        what: "a Swin Transformer",
        why: "it attends within shifted windows and merges patches from stage to stage",
        types: &["swin", "swinv2"],
        marks: &[
            &[".relative_position_bias_table", ".downsample.reduction.weight"],
            &[".cpb_mlp.0.weight", ".downsample.reduction.weight"],
        ],
    },
    UnsupportedArchitecture {
        what: "an EVA-02 or another Vision Transformer with rotary positions",
        why: "it turns queries and keys by their position (RoPE)",
        types: &["eva02"],
        marks: &[&[".rope.freqs_cos"], &[".rope.freqs"]],
    },
    UnsupportedArchitecture {
        what: "a BEiT, data2vec or EVA model",
        why: "it has relative positions or biases of its own in attention",
        types: &["beit", "data2vec-vision", "eva"],
        marks: &[&[".relative_position_bias_table"], &[".attn.q_bias", ".attn.v_bias"]],
    },
    UnsupportedArchitecture {
        what: "a Segment Anything model",
        why: "its blocks have relative positions and windows",
        types: &["sam", "sam2", "sam3"],
        marks: &[&[".attn.rel_pos_h", ".attn.rel_pos_w"]],
    },
    UnsupportedArchitecture {
        what: "a distilled DeiT",
        why: "it has a distillation token beside the class token",
        types: &["deit"],
        marks: &[&[".dist_token"], &[".embeddings.distillation_token"]],
    },
    UnsupportedArchitecture {
        what: "a ResNet",
        why: "it is a convolutional network, without tokens or attention",
        types: &["resnet", "regnet"],
        marks: &[
            &[".layer1.0.conv1.weight", ".bn1.running_mean"],
            &[".embedder.embedder.convolution.weight"],
        ],
    },
    UnsupportedArchitecture {
        what: "a Vision Transformer of the transformers library (ViT, MAE, MSN)",
        why: "transformers keeps these under names and in shapes that are not read here",
        types: &["vit", "vit_mae", "vit_msn", "ijepa"],
        marks: &[&[
            ".layernorm_before.weight",
            ".layernorm_after.weight",
            ".embeddings.patch_embeddings.projection.weight",
        ]],
    },
    UnsupportedArchitecture {
        what: "a model for videos",
        why: "its patches have a third dimension, time",
        types: &["vjepa2", "videomae", "vivit", "timesformer"],
        marks: &[],
    },
    UnsupportedArchitecture {
        what: "a RADIO model",
        why: "it takes other pictures in and gives several class tokens out",
        types: &["radio"],
        marks: &[&[".patch_generator.embedder.weight"]],
    },
    UnsupportedArchitecture {
        what: "a TIPS model",
        why: "it comes with a text side and other names",
        types: &["tipsv2", "tipsv2_vision_model"],
        marks: &[],
    },
];

/// The kind whose names are among `keys`, where that is certain.
fn by_names<'a>(keys: impl Iterator<Item = &'a str>) -> Option<&'static UnsupportedArchitecture> {
    let dotted: Vec<String> = keys.map(|key| format!(".{}", official::unwrapped(key))).collect();
    let has = |fragment: &&str| dotted.iter().any(|key| key.contains(fragment));
    // timm's DINOv3, which can be read, has the biases of EVA's names; it has registers, and gains, and no positions.
    let ends = |end: &str| dotted.iter().any(|key| key.ends_with(end));
    if ends(".reg_token") && ends(".gamma_1") && !ends(".pos_embed") {
        return None;
    }
    KINDS.iter().find(|kin| kin.marks.iter().any(|all| all.iter().all(has)))
}

fn by_type(config: &[u8]) -> Option<&'static UnsupportedArchitecture> {
    let config: Value = serde_json::from_slice(config).ok()?;
    let named = config.get("model_type")?.as_str()?;
    KINDS.iter().find(|kin| kin.types.contains(&named))
}

fn error(file: &str, kin: &UnsupportedArchitecture) -> WeightsError {
    let shown = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
    let reason = format!(
        "is {}, which this version cannot read: {}. It reads DINOv2, DINOv3 and Vision Transformers that are built alike, under \
         the names of the official repository, transformers and timm. This one opens in transformers or timm; `dinoscope \
         weights inspect {shown} --tensors` lists what it holds, and `dinoscope weights pull dinov2_vits14` fetches a DINOv2",
        kin.what, kin.why
    );
    WeightsError::Unsupported { file: file.into(), reason }
}

/// Fails when `names`, of a backbone without its prefix, are those of a model that is only akin.
pub(crate) fn refuse<'a>(file: &str, names: impl Iterator<Item = &'a str>) -> Result<(), WeightsError> {
    by_names(names).map_or(Ok(()), |kin| Err(error(file, kin)))
}

/// `failure`, or in its place what the file is, where its names or its `config.json` tell.
pub(crate) fn explain(
    source: &dyn WeightsReader,
    config: Option<&[u8]>,
    failure: WeightsError,
) -> WeightsError {
    let of_contents = matches!(
        failure,
        WeightsError::Missing { .. }
            | WeightsError::Shape { .. }
            | WeightsError::Unexpected { .. }
            | WeightsError::Format { .. }
    );
    if !of_contents {
        return failure;
    }
    let is_sharded = source.entries().values().any(|entry| entry.dtype.name() == pickle_torch::SHARD);
    let found = by_names(source.entries().keys().map(String::as_str)).or_else(|| config.and_then(by_type));
    match found.filter(|_| !is_sharded) {
        Some(kin) => error(source.file(), kin),
        None => failure,
    }
}
