//! Backbones by name.

use super::config::{PosEmbedInterpolation, VitConfig};

/// Names that [`backbone`] knows, smallest first.
pub const NAMES: [&str; 13] = [
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
];

/// The backbone called `name`, with a position grid for `image` pixels; `None` if there is no such name.
///
/// `vits14` to `vitg14` are the released sizes (518 pixels when released, 224 when trained from scratch);
/// `nano`, `tiny` and `small` are ours, for one GPU, a laptop or a browser tab.
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
        _ => return None,
    };
    Some(if plain == name {
        config
    } else {
        VitConfig { interpolation: PosEmbedInterpolation::ANTIALIAS, ..config.with_registers(4) }
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
