//! Models that the page has kept, as the About panel shows them.

use std::cell::RefCell;

use js_sys::Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{host, turns, window};
use crate::studio::kept::{self, CachedModel};

/// What is known of them.
enum CachedModelsState {
    Nothing,
    Asked,
    Models(Vec<CachedModel>),
}

thread_local! {
    static KNOWN: RefCell<CachedModelsState> = const { RefCell::new(CachedModelsState::Nothing) };
}

/// Forgets what was said, so that the next panel asks again.
pub fn forget() {
    KNOWN.with_borrow_mut(|known| {
        if matches!(known, CachedModelsState::Models(_)) {
            *known = CachedModelsState::Nothing;
        }
    });
}

/// Draws them; asks which there are first.
pub fn ui(ui: &mut egui::Ui) {
    let removed = KNOWN.with_borrow_mut(|known| match known {
        CachedModelsState::Models(models) => kept::ui(ui, models),
        CachedModelsState::Asked => Vec::new(),
        CachedModelsState::Nothing => {
            *known = CachedModelsState::Asked;
            turns::spawn(ask(Vec::new()));
            Vec::new()
        }
    });
    if !removed.is_empty() {
        KNOWN.set(CachedModelsState::Asked);
        turns::spawn(ask(removed));
    }
}

/// Removes some, and takes in which there are.
async fn ask(removed: Vec<String>) {
    let Some(host) = host::get() else { return };
    for address in removed {
        if let Err(error) = JsFuture::from(host.remove_model(&address)).await {
            ::log::warn!("{address} can't be removed: {}", host::words(&error));
        }
    }
    let listed = JsFuture::from(host.models()).await;
    let pairs: Array = listed.unwrap_or_default();
    let model = |pair: JsValue| {
        let pair: Array = pair.dyn_into().ok()?;
        let (address, bytes) = (pair.get(0).as_string()?, pair.get(1).as_f64()?);
        Some(CachedModel { address, bytes: bytes as u64 })
    };
    KNOWN.set(CachedModelsState::Models(pairs.iter().filter_map(model).collect()));
    // Draws it.
    window::with(|_| ());
}
