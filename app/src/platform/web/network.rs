//! Files of the network: models, and whatever else an address names.

use std::path::{Path, PathBuf};

use dinoscope_core::files;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::host;
use crate::platform::model_address::last;

/// Where what came from elsewhere lies.
const FETCHED: &str = "/fetched";

/// Fetches what lies at an address into a file. `note` hears once of trouble on the way that is waited for.
///
/// # Errors
/// The reason in words.
pub async fn fetch_file(address: &str, mut note: impl FnMut(String) + 'static) -> Result<PathBuf, String> {
    let (name, mut told) = (address.to_owned(), false);
    let on_progress = move |_, _, word: String| {
        // Once: nothing shows how far a picture is.
        if !word.is_empty() && !std::mem::replace(&mut told, true) {
            note(format!("{name}: {word}. It is waited for."));
        }
        true
    };
    let refused = |reason: String| format!("{address} can't be opened: {reason}");
    let bytes = get(address, false, on_progress).await.map_err(refused)?;
    let path = Path::new(FETCHED).join(last(address));
    let made = files::create_dir_all(FETCHED).and_then(|()| files::write(&path, &bytes));
    made.map_err(|error| refused(error.to_string()))?;
    Ok(path)
}

/// What lies at an address; of a `model` perhaps what the page has kept.
///
/// # Errors
/// The reason in words; browsers say little when a server refuses pages from elsewhere.
pub async fn get(
    address: &str,
    model: bool,
    mut progress: impl FnMut(u64, Option<u64>, String) -> bool + 'static,
) -> Result<Vec<u8>, String> {
    let host = host::get().ok_or("only a page fetches")?;
    let on_progress = Closure::new(move |done: f64, total: f64, word: String| {
        progress(done as u64, (total > 0.0).then_some(total as u64), word)
    });
    let fetching = match model {
        true => host.fetch_model(address, &on_progress),
        false => host.fetch(address, &on_progress),
    };
    let bytes: Uint8Array = JsFuture::from(fetching).await.map_err(|thrown| host::words(&thrown.into()))?;
    Ok(bytes.to_vec())
}
