//! The released models: names, addresses, sizes, checksums.
//!
//! Of DINOv2 the publisher states no checksums. These are the ones that the `refiners` library holds the same addresses against
//! before it converts them, and that others who pinned the files found. DINOv3's own files are handed out to those who were let
//! in; those of timm, which its authors converted and which have the same licence, lie open. Nobody states their checksums.

/// Where the official weights of DINOv2 are.
pub const BASE_URL: &str = "https://dl.fbaipublicfiles.com/dinov2";
/// Where models lie that are fetched from a hub.
pub const HUB_URL: &str = "https://huggingface.co";

/// A released model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedModel {
    /// Name for pulling it, as in the official hub (`dinov2_vits14_reg`).
    pub name: &'static str,
    /// Number of values, position table for 518 pixels and mask token included where the file has them.
    pub parameters: u64,
    /// SHA-256 of the file, lower-case hexadecimal, where it is known.
    pub sha256: Option<&'static str>,
    place: ReleasePlace,
}

/// Where a file is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReleasePlace {
    /// Path below [`BASE_URL`].
    Official(&'static str),
    /// A repository of the hub, whose file is `model.safetensors`.
    Hub(&'static str),
}

impl ReleasedModel {
    /// Full address; `base` in place of the server where it is given.
    pub fn url(&self, base: Option<&str>) -> String {
        let below =
            |server: &str, path: &str| format!("{}/{path}", base.unwrap_or(server).trim_end_matches('/'));
        match self.place {
            ReleasePlace::Official(path) => below(BASE_URL, path),
            ReleasePlace::Hub(_) => below(HUB_URL, &self.path_in_hub()),
        }
    }

    /// Name of the file that is kept.
    pub fn file(&self) -> String {
        match self.place {
            ReleasePlace::Official(path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
            // The pictures that it learned from stand at the end, as in the names of the official files.
            ReleasePlace::Hub(repository) => {
                let pictures = repository.rsplit('.').next().unwrap_or_default();
                let size = self.name.strip_suffix("_sat").unwrap_or(self.name);
                format!("{size}_{pictures}.safetensors")
            }
        }
    }

    /// Its repository on the Hugging Face hub: `facebook/dinov2-with-registers-small`.
    pub fn repository(&self) -> String {
        match self.place {
            ReleasePlace::Hub(repository) => repository.to_owned(),
            ReleasePlace::Official(_) => format!("facebook/{}", self.hub_name()),
        }
    }

    /// Path of the file below [`HUB_URL`], where browsers may fetch it: the official server lets no page do so.
    pub fn path_in_hub(&self) -> String {
        format!("{}/resolve/main/model.safetensors", self.repository())
    }

    /// The same model's name on the hub, without whose it is: `dinov2-with-registers-small`.
    pub fn hub_name(&self) -> String {
        if let ReleasePlace::Hub(repository) = self.place {
            return repository.rsplit('/').next().unwrap_or(repository).to_owned();
        }
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

    /// What its licence asks for, where it is not a free one.
    pub fn licence_note(&self) -> Option<&'static str> {
        ReleasedDinov3::of(&self.file()).map(|_| DINOV3_LICENCE)
    }
}

const fn official(
    name: &'static str,
    path: &'static str,
    parameters: u64,
    sha256: &'static str,
) -> ReleasedModel {
    ReleasedModel { name, parameters, sha256: Some(sha256), place: ReleasePlace::Official(path) }
}

const fn hub(name: &'static str, repository: &'static str, parameters: u64) -> ReleasedModel {
    ReleasedModel { name, parameters, sha256: None, place: ReleasePlace::Hub(repository) }
}

const RELEASED: [ReleasedModel; 16] = [
    official(
        "dinov2_vits14",
        "dinov2_vits14/dinov2_vits14_pretrain.pth",
        22_056_576,
        "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    ),
    official(
        "dinov2_vitb14",
        "dinov2_vitb14/dinov2_vitb14_pretrain.pth",
        86_580_480,
        "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    ),
    official(
        "dinov2_vitl14",
        "dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        304_368_640,
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
    official(
        "dinov2_vitg14",
        "dinov2_vitg14/dinov2_vitg14_pretrain.pth",
        1_136_480_768,
        "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3",
    ),
    official(
        "dinov2_vits14_reg",
        "dinov2_vits14/dinov2_vits14_reg4_pretrain.pth",
        22_058_112,
        "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb",
    ),
    official(
        "dinov2_vitb14_reg",
        "dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth",
        86_583_552,
        "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71",
    ),
    official(
        "dinov2_vitl14_reg",
        "dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth",
        304_372_736,
        "36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51",
    ),
    official(
        "dinov2_vitg14_reg",
        "dinov2_vitg14/dinov2_vitg14_reg4_pretrain.pth",
        1_136_486_912,
        "746ecb8c6301c645c5c855be91687d274587d6e48fdaec4a729753160b34a283",
    ),
    hub("dinov3_vits16", "timm/vit_small_patch16_dinov3.lvd1689m", 21_586_944),
    hub("dinov3_vits16plus", "timm/vit_small_plus_patch16_dinov3.lvd1689m", 28_683_264),
    hub("dinov3_vitb16", "timm/vit_base_patch16_dinov3.lvd1689m", 85_641_216),
    hub("dinov3_vitl16", "timm/vit_large_patch16_dinov3.lvd1689m", 303_079_424),
    hub("dinov3_vith16plus", "timm/vit_huge_plus_patch16_dinov3.lvd1689m", 840_509_440),
    hub("dinov3_vit7b16", "timm/vit_7b_patch16_dinov3.lvd1689m", 6_716_030_976),
    hub("dinov3_vitl16_sat", "timm/vit_large_patch16_dinov3.sat493m", 303_079_424),
    hub("dinov3_vit7b16_sat", "timm/vit_7b_patch16_dinov3.sat493m", 6_716_030_976),
];

/// Every model that is known by name.
pub fn names() -> &'static [ReleasedModel] {
    &RELEASED
}

/// The model called `name`: as in the official hub, where `…_reg4` is accepted for `…_reg`, or as on the Hugging Face
/// hub, with whose it is before it or without.
pub fn find(name: &str) -> Option<&'static ReleasedModel> {
    let name = name.strip_suffix('4').filter(|n| n.ends_with("_reg")).unwrap_or(name);
    let is = |released: &&ReleasedModel| {
        released.name == name || released.hub_name() == name || released.repository() == name
    };
    RELEASED.iter().find(is)
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
            ("dinov3_vitb16", "timm/vit_base_patch16_dinov3.lvd1689m"),
            ("dinov3_vitl16_sat", "vit_large_patch16_dinov3.sat493m"),
        ] {
            assert_eq!(find(official), find(hub), "{hub}");
            assert!(find(hub).is_some(), "{hub}");
        }
        assert_eq!(find("timm/dinov2-giant"), None);
        assert_eq!(find("resnet50"), None);
        assert_eq!(find("facebook/dinov2_vits14"), None);
    }

    #[test]
    fn files_have_names_of_their_own_that_tell_whose_licence_and_which_pictures_they_have() {
        let files: std::collections::BTreeSet<String> = names().iter().map(ReleasedModel::file).collect();
        assert_eq!(files.len(), names().len());
        let satellite = find("dinov3_vitl16_sat").map(ReleasedModel::file).unwrap_or_default();
        assert_eq!(satellite, "dinov3_vitl16_sat493m.safetensors");
        assert_eq!(ReleasedDinov3::of(&satellite), Some(ReleasedDinov3::Satellite));
        for released in names() {
            assert_eq!(
                released.licence_note().is_some(),
                released.name.starts_with("dinov3"),
                "{}",
                released.name
            );
            assert!(released.url(None).starts_with("https://"));
        }
        assert_eq!(
            find("dinov3_vits16").map(|released| released.url(Some("http://mirror/"))).as_deref(),
            Some("http://mirror/timm/vit_small_patch16_dinov3.lvd1689m/resolve/main/model.safetensors")
        );
    }
}
