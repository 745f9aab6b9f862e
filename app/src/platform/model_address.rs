//! Weights that a page is asked for by name or address: which file of the network that is.

use dinoscope_core::bytes;
use dinoscope_core::explore::STARTER_NAME;
use dinoscope_core::weights::released::{self, ReleasedModel};

/// Bytes of weights that a page has room for, of the 4 GB that a browser gives it.
const LARGEST: u64 = 1_500_000_000;

/// What lies where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLocation {
    /// The address; of the starter weights their name, for the page knows where those lie.
    pub address: String,
    /// Name of the file.
    pub file: String,
}

/// Released models that a page can fetch: those that it has room for.
pub fn offered() -> impl Iterator<Item = &'static ReleasedModel> {
    released::names().iter().filter(|released| released.approximate_bytes() <= LARGEST)
}

/// The file that `asked` means: the starter weights, a released model by either of its names, or an address.
///
/// # Errors
/// It is none of them, or too large; lists the names.
pub fn located(asked: &str) -> Result<ModelLocation, String> {
    if asked == STARTER_NAME {
        return Ok(ModelLocation { address: asked.to_owned(), file: "starter.safetensors".to_owned() });
    }
    if let Some(found) = released::find(asked) {
        let size = found.approximate_bytes();
        if size > LARGEST {
            let size = bytes::shown(size);
            return Err(format!(
                "{asked} has {size}, more than a page can hold: the desktop program takes it"
            ));
        }
        // Where browsers may fetch them; the official server lets no page do so.
        let address = format!("{}/{}", released::HUB_URL, found.path_in_hub());
        return Ok(ModelLocation { address, file: format!("{}.safetensors", found.hub_name()) });
    }
    if !asked.contains(['.', '/', ':']) {
        let names = offered().map(|released| format!("{} ({})", released.hub_name(), released.name));
        let names: Vec<String> = names.collect();
        return Err(format!(
            "{asked} is no released model and no address of a file. The models are {}; an address is, for instance, \
             https://example.org/weights.safetensors",
            names.join(", ")
        ));
    }
    Ok(ModelLocation { address: asked.to_owned(), file: last(asked).to_owned() })
}

/// The last part of an address, without what asks for a version.
pub fn last(address: &str) -> &str {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("file")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_model_are_one_address() {
        let hub = located("dinov2-small").unwrap();
        assert_eq!(located("dinov2_vits14").unwrap(), hub);
        assert_eq!(located("facebook/dinov2-small").unwrap(), hub);
        assert_eq!(
            hub.address,
            "https://huggingface.co/facebook/dinov2-small/resolve/main/model.safetensors"
        );
        assert_eq!(hub.file, "dinov2-small.safetensors");
        assert!(located("dinov2_vitb14_reg4").unwrap().address.contains("dinov2-with-registers-base"));
        let dinov3 = located("dinov3_vits16").unwrap();
        assert!(
            dinov3
                .address
                .ends_with("/timm/vit_small_patch16_dinov3.lvd1689m/resolve/main/model.safetensors")
        );
        assert_eq!(offered().count(), 11);
    }

    #[test]
    fn another_word_lists_the_names() {
        let reason = located("resnet50").unwrap_err();
        assert!(reason.starts_with("resnet50 is no released model"), "{reason}");
        for name in ["dinov2-small", "dinov2_vits14", "dinov2_vitl14_reg", "dinov2-with-registers-large"] {
            assert!(reason.contains(name), "{name}: {reason}");
        }
        assert!(!reason.contains("giant"), "{reason}");
        assert!(located("dinov2_vitg14").unwrap_err().contains("4.5 GB"));
    }

    #[test]
    fn addresses_are_taken_as_they_are() {
        let found = located("https://example.org/a/mine.pth?v=2").unwrap();
        assert_eq!(
            (found.address.as_str(), found.file.as_str()),
            ("https://example.org/a/mine.pth?v=2", "mine.pth")
        );
        assert_eq!(located("starter").unwrap().address, "starter");
        assert_eq!(last("https://example.org/"), "example.org");
    }
}
