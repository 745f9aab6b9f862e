//! Models that are akin to DINOv2: said what they are, and what can be done.

use super::super::*;
use super::{pth, random, renamed, tiny};
use dinoscope_model::config::FfnKind;

fn zeros(keys: &[(&str, &[usize])]) -> StateDict {
    let zero = |&(key, shape): &(&str, &[usize])| {
        (key.to_string(), HostTensor::new(shape, vec![0.0; shape.iter().product()]))
    };
    keys.iter().map(zero).collect()
}

fn said(state: &StateDict, config: Option<&str>) -> String {
    let file = pth(state, None);
    from_bytes_with_config("models/kin.pth", &file, config.map(str::as_bytes)).unwrap_err().to_string()
}

#[test]
fn other_kin_are_told_by_their_names() {
    for (wanted, keys) in [
        (
            "ConvNeXt",
            &[("stages.0.blocks.0.conv_dw.weight", &[8, 1, 7, 7][..]), ("stem.0.weight", &[8, 3, 4, 4])][..],
        ),
        (
            "ConvNeXt",
            &[
                ("downsample_layers.0.0.weight", &[8, 3, 4, 4]),
                ("stages.0.0.dwconv.weight", &[8, 1, 7, 7]),
                ("stages.0.0.pwconv1.weight", &[32, 8]),
            ],
        ),
        (
            "ConvNeXt",
            &[
                ("stages.0.layers.0.depthwise_conv.weight", &[8, 1, 7, 7]),
                ("stages.0.layers.0.pointwise_conv1.weight", &[32, 8]),
            ],
        ),
        ("CLIP", &[("visual.class_embedding", &[8]), ("visual.conv1.weight", &[8, 3, 16, 16])]),
        (
            "SigLIP",
            &[
                ("vision_model.head.probe", &[1, 1, 8]),
                ("vision_model.embeddings.patch_embedding.weight", &[8, 3, 16, 16]),
            ],
        ),
        (
            "Swin",
            &[
                ("patch_embed.proj.weight", &[8, 3, 4, 4]),
                ("layers.0.blocks.0.attn.relative_position_bias_table", &[9, 2]),
                ("layers.0.downsample.reduction.weight", &[16, 32]),
            ],
        ),
        (
            "BEiT",
            &[
                ("cls_token", &[1, 1, 8]),
                ("patch_embed.proj.weight", &[8, 3, 16, 16]),
                ("blocks.0.attn.relative_position_bias_table", &[9, 2]),
            ],
        ),
        (
            "DeiT",
            &[
                ("cls_token", &[1, 1, 8]),
                ("dist_token", &[1, 1, 8]),
                ("patch_embed.proj.weight", &[8, 3, 16, 16]),
            ],
        ),
        (
            "Segment Anything",
            &[
                ("image_encoder.pos_embed", &[1, 4, 4, 8]),
                ("image_encoder.patch_embed.proj.weight", &[8, 3, 16, 16]),
                ("image_encoder.blocks.0.attn.rel_pos_h", &[7, 8]),
                ("image_encoder.blocks.0.attn.rel_pos_w", &[7, 8]),
            ],
        ),
        ("ResNet", &[("layer1.0.conv1.weight", &[8, 8, 1, 1]), ("bn1.running_mean", &[8])]),
        (
            "Vision Transformer of the transformers library",
            &[
                ("vit.embeddings.cls_token", &[1, 1, 8]),
                ("vit.embeddings.patch_embeddings.projection.weight", &[8, 3, 16, 16]),
                ("vit.encoder.layer.0.layernorm_before.weight", &[8]),
                ("vit.encoder.layer.0.layernorm_after.weight", &[8]),
            ],
        ),
    ] {
        let text = said(&zeros(keys), None);
        assert!(text.contains(wanted) && text.contains("cannot read"), "{wanted}: {text}");
    }
    // What is not certain is not said.
    let text = said(&zeros(&[("linear1.weight", &[8, 8]), ("linear2.weight", &[8, 8])]), None);
    assert!(text.contains("holds no Vision Transformer"), "{text}");
}

#[test]
fn a_config_tells_what_names_do_not() {
    let keys = zeros(&[("a.weight", &[8, 8]), ("b.weight", &[8, 8])]);
    for (kind, wanted) in [
        ("dinov3_convnext", "ConvNeXt"),
        ("convnextv2", "ConvNeXt"),
        ("siglip2", "SigLIP"),
        ("vjepa2", "videos"),
    ] {
        let text = said(&keys, Some(&format!(r#"{{"model_type": "{kind}"}}"#)));
        assert!(text.contains(wanted), "{text}");
    }
    // A config that contradicts tensors which can be read does not matter.
    let state = random(&tiny(0, FfnKind::Mlp));
    let read = from_bytes_with_config("x", &pth(&state, None), Some(br#"{"model_type": "vit"}"#));
    assert!(read.unwrap().backbone == state);
}

#[test]
fn the_first_dino_and_plain_vision_transformers_are_read() {
    let mut config = tiny(0, FfnKind::Mlp);
    config.layerscale = None;
    let mut state = random(&config);
    let mask = state.remove("mask_token").unwrap();
    let mut file = renamed(&state, |key| format!("backbone.{key}"));
    file.insert("head.mlp.0.weight".into(), HostTensor::new([4, 32], vec![0.0; 128]));
    file.insert("head.last_layer.weight_v".into(), HostTensor::new([4, 4], vec![0.0; 16]));
    let read = from_bytes("dino.pth", &pth(&file, Some("teacher"))).unwrap();
    state.insert("mask_token".into(), HostTensor::new(mask.shape, vec![0.0; mask.data.len()]));
    assert!(read.backbone == state);
}
