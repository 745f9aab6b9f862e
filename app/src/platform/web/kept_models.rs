//! Models that the browser has kept for the page.

use std::cell::RefCell;

use js_sys::Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::tasks::Wake;
use super::{host, tasks};
use crate::platform::model_download::CachedModel;

/// What is known of them.
enum CachedModelsState {
    Nothing,
    Asked,
    Models(Vec<CachedModel>),
}

thread_local! {
    static KNOWN: RefCell<CachedModelsState> = const { RefCell::new(CachedModelsState::Nothing) };
}

/// Has [`kept`] look again the next time.
pub fn forget_kept() {
    KNOWN.with_borrow_mut(|known| {
        if matches!(known, CachedModelsState::Models(_)) {
            *known = CachedModelsState::Nothing;
        }
    });
}

/// Models that are kept in the program's own memory, once that is known; `wake` is called then.
pub fn kept(wake: &Wake) -> Option<Vec<CachedModel>> {
    KNOWN.with_borrow_mut(|known| match known {
        CachedModelsState::Models(models) => Some(models.clone()),
        CachedModelsState::Asked => None,
        CachedModelsState::Nothing => {
            *known = CachedModelsState::Asked;
            tasks::spawn(ask(Vec::new(), wake.clone()));
            None
        }
    })
}

/// Removes kept models, by their addresses.
pub fn remove_kept(addresses: Vec<String>, wake: &Wake) {
    KNOWN.set(CachedModelsState::Asked);
    tasks::spawn(ask(addresses, wake.clone()));
}

/// Removes some, and takes in which there are.
async fn ask(removed: Vec<String>, wake: Wake) {
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
    wake();
}
