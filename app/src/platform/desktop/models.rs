//! Models of the network: whoever opens them fetches them, into the cache of the disk.

use dinoscope_core::bytes;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::files;
use dinoscope_core::weights::download::{self, ReleasedModel};

use super::tasks::Wake;
use crate::platform::model_download::{CachedModel, ModelDownload};

/// Whether models have to be fetched before who looks can open them.
pub const FETCHED_FIRST: bool = false;

fn is_here(released: &ReleasedModel) -> bool {
    download::target(released.name, &download::default_cache()).is_ok_and(files::is_file)
}

/// Released models, and how large they are or that they are here.
pub fn released() -> Vec<(String, String)> {
    let state = |released: &ReleasedModel| match is_here(released) {
        true => "here".to_owned(),
        false => bytes::shown(released.approximate_bytes()),
    };
    download::names().iter().map(|released| (released.name.to_owned(), state(released))).collect()
}

/// Names of the released models that lie on the disk.
pub fn downloaded() -> Vec<String> {
    let here = download::names().iter().filter(|released| is_here(released));
    here.map(|released| released.name.to_owned()).collect()
}

/// Fetches a model that isn't here. Nothing where it needs not be fetched first.
pub fn fetch(_: &ModelSource, _: &Wake) -> Option<Result<ModelDownload, String>> {
    None
}

/// Whether what came from an address is a model.
pub fn opened(_: &str, _: bool) {}

/// Models that are kept in the program's own memory, once that is known; the disk's are files of the person's.
pub fn kept(_: &Wake) -> Option<Vec<CachedModel>> {
    None
}

/// Removes kept models, by their addresses.
pub fn remove_kept(_: Vec<String>, _: &Wake) {}

/// Has [`kept`] look again the next time.
pub fn forget_kept() {}
