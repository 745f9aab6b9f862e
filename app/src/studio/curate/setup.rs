//! Which pictures are curated, with whose features, and where the set is kept.

use std::path::{Path, PathBuf};

use dinoscope_core::data::source::places::SourcePaths;
use dinoscope_core::device::SelectedDevice;
use dinoscope_core::explore::{ModelSource, STARTER_NAME};
use serde::{Deserialize, Serialize};

use crate::platform::curation_request::CurationRequest;
use crate::platform::{models, storage};

/// What a person has chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CurationSetup {
    /// Folders, lists and archives, as `data.path` takes them.
    pub pictures: String,
    /// The folder of curation, where features and tables are kept.
    pub set: String,
    /// Whose features; the starter weights' without.
    pub weights: Option<ModelSource>,
}

impl CurationSetup {
    /// Other pictures, with a folder of their own.
    pub fn take_pictures(&mut self, path: &Path) {
        let named_by_us = self.set.trim().is_empty() || self.set == self.usual_set();
        self.pictures = path.display().to_string();
        if named_by_us {
            self.set = self.usual_set();
        }
    }

    /// Where sets are kept where nobody says otherwise: beside the runs, by the name of the pictures.
    pub fn usual_set(&self) -> String {
        let name = Path::new(self.pictures.trim().trim_end_matches(['/', '\\', ']', '"']));
        let name =
            name.file_name().map_or_else(|| "pictures".into(), |name| name.to_string_lossy().into_owned());
        storage::runs_folder().join("sets").join(name).display().to_string()
    }

    /// Whose features.
    pub fn source(&self) -> ModelSource {
        self.weights.clone().unwrap_or(ModelSource::Starter)
    }

    /// Why nothing can begin; nothing where it can.
    pub fn start_blocker(&self) -> Option<&'static str> {
        if self.pictures.trim().is_empty() {
            return Some("Choose the pictures.");
        }
        let is_here = |name: &String| models::downloaded().contains(name);
        match &self.weights {
            Some(ModelSource::Released(name)) if !is_here(name) => {
                Some("Open this model in Explore first: it is not here yet.")
            }
            _ => None,
        }
    }

    /// What is to be embedded.
    pub fn request(&self, device: SelectedDevice) -> CurationRequest {
        let places = SourcePaths::from_text(self.pictures.trim());
        let set = match self.set.trim() {
            "" => self.usual_set(),
            set => set.to_owned(),
        };
        CurationRequest { places: places.paths(), folder: PathBuf::from(set), source: self.source(), device }
    }
}

/// The weights that a name in a folder of curation means.
pub fn source_named(name: &str) -> ModelSource {
    match name {
        STARTER_NAME => ModelSource::Starter,
        name if models::downloaded().iter().any(|known| known == name) => {
            ModelSource::Released(name.to_owned())
        }
        path => ModelSource::Path(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_called_as_its_pictures_until_a_person_names_it() {
        let mut setup = CurationSetup::default();
        assert!(setup.start_blocker().is_some());
        setup.take_pictures(Path::new("/photos/birds"));
        assert!(setup.set.ends_with("birds") && setup.start_blocker().is_none(), "{}", setup.set);
        setup.take_pictures(Path::new("/photos/fish"));
        assert!(setup.set.ends_with("fish"), "{}", setup.set);
        setup.set = "/sets/mine".to_owned();
        setup.take_pictures(Path::new("/photos/cats"));
        assert_eq!(setup.set, "/sets/mine");
        assert_eq!(source_named("starter"), ModelSource::Starter);
        assert_eq!(source_named("/a/b.pth"), ModelSource::Path("/a/b.pth".into()));
    }
}
