//! Backbones by name.

use super::config::{FfnKind, PosEmbedInterpolation, VitConfig};

/// Names that [`backbone`] knows, smallest first.
pub const NAMES: [&str; 19] = [
    "nano",
    "tiny",
    "small",
    "vits14",
    "vits14_reg",
    "vitb14",
    "vitb14_reg",
    "vitl14",
    "vitl14_reg",
    "vitl16",
    "vitl14_swiglu",
    "vitg14",
    "vitg14_reg",
    "dinov3_vits16",
    "dinov3_vits16plus",
    "dinov3_vitb16",
    "dinov3_vitl16",
    "dinov3_vith16plus",
    "dinov3_vit7b16",
];

/// The backbone called `name`, with a position grid for `image` pixels; `None` if there is no such name.
///
/// `vits14` to `vitg14` are the released sizes (518 pixels when released, 224 when trained from scratch);
/// `nano`, `tiny` and `small` are ours, for one GPU, a laptop or a browser tab; `dinov3_…` are the sizes of DINOv3.
pub fn backbone(name: &str, image: usize) -> Option<VitConfig> {
    let plain = name.strip_suffix("_reg").unwrap_or(name);
    let config = match plain {
        "nano" => VitConfig::new(image, 8, 96, 4, 3),
        "tiny" => VitConfig::new(image, 8, 192, 12, 3),
        "small" => VitConfig::new(image, 8, 384, 12, 6),
        "vits14" => VitConfig::new(image, 14, 384, 12, 6),
        "vitb14" => VitConfig::new(image, 14, 768, 12, 12),
        "vitl14" => VitConfig::new(image, 14, 1024, 24, 16),
        "vitl14_swiglu" => VitConfig::new(image, 14, 1024, 24, 16).with_swiglu(),
        "vitl16" => VitConfig::new(image, 16, 1024, 24, 16),
        "vitg14" => VitConfig::new(image, 14, 1536, 40, 24).with_swiglu(),
        _ => return dinov3(name, image),
    };
    Some(if plain == name {
        config
    } else {
        VitConfig { interpolation: PosEmbedInterpolation::ANTIALIAS, ..config.with_registers(4) }
    })
}

/// The released sizes of DINOv3: patch 16, four registers, rotary positions.
fn dinov3(name: &str, image: usize) -> Option<VitConfig> {
    let of = |dim, depth, heads| VitConfig::new(image, 16, dim, depth, heads).with_registers(4).with_rope();
    let gated = |config: VitConfig, hidden| VitConfig { ffn: FfnKind::SwiGlu, hidden, ..config };
    Some(match name {
        "dinov3_vits16" => of(384, 12, 6),
        "dinov3_vits16plus" => gated(of(384, 12, 6), 1536),
        "dinov3_vitb16" => of(768, 12, 12),
        "dinov3_vitl16" => of(1024, 24, 16),
        "dinov3_vith16plus" => gated(of(1280, 32, 20), 5120),
        "dinov3_vit7b16" => VitConfig { qkv_bias: false, ..gated(of(4096, 40, 32), 8192) },
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parameter_counts_are_the_published_ones() {
        for (name, image, count) in [
            ("vits14", 518, 22_056_576),
            ("vitb14", 518, 86_580_480),
            ("vitl14", 518, 304_368_640),
            ("vitg14", 518, 1_136_480_768),
            ("vits14_reg", 518, 22_058_112),
            ("vitb14_reg", 518, 86_583_552),
            ("vitl14_reg", 518, 304_372_736),
            ("vitg14_reg", 518, 1_136_486_912),
            ("dinov3_vits16", 224, 21_601_152),
            ("dinov3_vits16plus", 224, 28_697_472),
            ("dinov3_vitb16", 224, 85_669_632),
            ("dinov3_vitl16", 224, 303_154_176),
            ("dinov3_vith16plus", 224, 840_633_600),
            ("dinov3_vit7b16", 224, 6_716_035_072),
        ] {
            assert_eq!(backbone(name, image).unwrap().parameters(), count, "{name}");
        }
    }

    #[test]
    fn every_name_is_known() {
        assert!(NAMES.iter().all(|name| backbone(name, 224).is_some()));
        assert!(backbone("vitx", 224).is_none());
    }
}
