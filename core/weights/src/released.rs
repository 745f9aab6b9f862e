//! The released models: names, addresses, sizes, checksums.
//!
//! The publisher states no checksums. These are the ones that the `refiners` library holds the same addresses against
//! before it converts them, and that others who pinned the files found.

/// Where the official weights are.
pub const BASE_URL: &str = "https://dl.fbaipublicfiles.com/dinov2";
/// A released model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedModel {
    /// Name for pulling it, as in the official hub (`dinov2_vits14_reg`).
    pub name: &'static str,
    /// Path below [`BASE_URL`].
    pub path: &'static str,
    /// Number of values, position table for 518 pixels and mask token included.
    pub parameters: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: &'static str,
}

impl ReleasedModel {
    /// Full address.
    pub fn url(&self) -> String {
        format!("{BASE_URL}/{}", self.path)
    }

    /// The same model's name on the Hugging Face hub, below `facebook/`: `dinov2-with-registers-small`.
    pub fn hub_name(&self) -> String {
        let (family, registers) = match self.name.strip_suffix("_reg") {
            Some(family) => (family, "with-registers-"),
            None => (self.name, ""),
        };
        let size = match family {
            "dinov2_vits14" => "small",
            "dinov2_vitb14" => "base",
            "dinov2_vitl14" => "large",
            _ => "giant",
        };
        format!("dinov2-{registers}{size}")
    }

    /// Size of the file to within a fraction of a percent: float32, and a little for names.
    pub fn approximate_bytes(&self) -> u64 {
        4 * self.parameters
    }
}

const RELEASED: [ReleasedModel; 8] = [
    ReleasedModel {
        name: "dinov2_vits14",
        path: "dinov2_vits14/dinov2_vits14_pretrain.pth",
        parameters: 22_056_576,
        sha256: "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    },
    ReleasedModel {
        name: "dinov2_vitb14",
        path: "dinov2_vitb14/dinov2_vitb14_pretrain.pth",
        parameters: 86_580_480,
        sha256: "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    },
    ReleasedModel {
        name: "dinov2_vitl14",
        path: "dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        parameters: 304_368_640,
        sha256: "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    },
    ReleasedModel {
        name: "dinov2_vitg14",
        path: "dinov2_vitg14/dinov2_vitg14_pretrain.pth",
        parameters: 1_136_480_768,
        sha256: "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3",
    },
    ReleasedModel {
        name: "dinov2_vits14_reg",
        path: "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth",
        parameters: 22_058_112,
        sha256: "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb",
    },
    ReleasedModel {
        name: "dinov2_vitb14_reg",
        path: "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth",
        parameters: 86_583_552,
        sha256: "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71",
    },
    ReleasedModel {
        name: "dinov2_vitl14_reg",
        path: "dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth",
        parameters: 304_372_736,
        sha256: "36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51",
    },
    ReleasedModel {
        name: "dinov2_vitg14_reg",
        path: "dinov2_vitg14/dinov2_vitg14_reg4_pretrain.pth",
        parameters: 1_136_486_912,
        sha256: "746ecb8c6301c645c5c855be91687d274587d6e48fdaec4a729753160b34a283",
    },
];

/// Every model that is known by name.
pub fn names() -> &'static [ReleasedModel] {
    &RELEASED
}

/// The model called `name`: as in the official hub, where `…_reg4` is accepted for `…_reg`, or as on the Hugging Face
/// hub, with `facebook/` before it or without.
pub fn find(name: &str) -> Option<&'static ReleasedModel> {
    let name = name.strip_suffix('4').filter(|n| n.ends_with("_reg")).unwrap_or(name);
    let hub = name.strip_prefix("facebook/").unwrap_or(name);
    RELEASED.iter().find(|released| released.name == name || released.hub_name() == hub)
}

/// What is said of weights that Meta released as DINOv3.
pub(super) const DINOV3_LICENCE: &str = "released under the DINOv3 License, which is no free one: read it before you pass on what is made \
                       with these weights";

/// The released weights of DINOv3, by the pictures that they learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReleasedDinov3 {
    /// Pictures of the web.
    Web,
    /// Satellite pictures.
    Satellite,
}

impl ReleasedDinov3 {
    /// Told by the name of a file, or of the folder that it lies in.
    pub fn of(file: &str) -> Option<Self> {
        let mut names = file.rsplit(['/', '\\']).take(2);
        names.find_map(|name| {
            let name = name.to_ascii_lowercase();
            match () {
                () if name.contains("sat493m") => Some(Self::Satellite),
                () if name.contains("lvd1689m") => Some(Self::Web),
                () => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_two_names() {
        for (official, hub) in [
            ("dinov2_vits14", "dinov2-small"),
            ("dinov2_vitb14_reg4", "dinov2-with-registers-base"),
            ("dinov2_vitg14", "facebook/dinov2-giant"),
        ] {
            assert_eq!(find(official), find(hub), "{hub}");
            assert!(find(hub).is_some(), "{hub}");
        }
        assert_eq!(find("resnet50"), None);
        assert_eq!(find("facebook/dinov2_vits14"), None);
    }
}
