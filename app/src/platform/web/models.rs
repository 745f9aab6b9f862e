//! Models of the network: fetched by the browser, which may keep them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use dinoscope_core::bytes;
use dinoscope_core::explore::{ModelSource, STARTER_FILE, STARTER_NAME};
use dinoscope_core::files;
use js_sys::Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::tasks::Wake;
use super::{host, network, tasks};
use crate::platform::model_address::{self, ModelLocation};
use crate::platform::model_download::{CachedModel, ModelDownload, ModelDownloadEvent, ModelDownloadSender};

/// Whether models have to be fetched before who looks can open them.
pub const FETCHED_FIRST: bool = true;

/// Released models that a page can fetch, and how large they are.
pub fn released() -> Vec<(String, String)> {
    let offered = model_address::offered();
    offered.map(|released| (released.hub_name(), bytes::shown(released.approximate_bytes()))).collect()
}

/// Names of the released models that lie on the disk: what a page has fetched is chosen in Explore.
pub fn downloaded() -> Vec<String> {
    Vec::new()
}

/// Fetches a model that isn't here. Nothing where it needs not be fetched first.
pub fn fetch(source: &ModelSource, wake: &Wake) -> Option<Result<ModelDownload, String>> {
    let asked = match source {
        ModelSource::Released(name) => name.as_str(),
        ModelSource::Starter if !files::is_file(STARTER_FILE) => STARTER_NAME,
        _ => return None,
    };
    Some(model_address::located(asked).map(|located| start(located, wake.clone())))
}

/// Whether what came from an address is a model: then the page keeps it, else it forgets it.
pub fn opened(address: &str, good: bool) {
    if let Some(host) = host::get() {
        host.opened(address, good);
    }
}

fn start(located: ModelLocation, wake: Wake) -> ModelDownload {
    let ModelLocation { address, file } = located;
    let to = match address == STARTER_NAME {
        true => PathBuf::from(STARTER_FILE),
        false => Path::new("/models").join(file),
    };
    let (download, sender) = ModelDownload::new(address.clone(), wake);
    tasks::spawn(async move {
        let said = match fetch_into(&address, &to, &sender).await {
            _ if sender.is_stopped() => ModelDownloadEvent::Stopped,
            Ok(()) => ModelDownloadEvent::Here(to),
            Err(reason) if address == STARTER_NAME => ModelDownloadEvent::Failed(format!(
                "The starter weights can't be fetched: {reason}. Other weights work."
            )),
            Err(reason) => ModelDownloadEvent::Failed(format!("{address} can't be fetched: {reason}")),
        };
        sender.send(said);
    });
    download
}

async fn fetch_into(address: &str, to: &Path, sender: &ModelDownloadSender) -> Result<(), String> {
    let heard = sender.clone();
    let on_progress = move |done, total, word| {
        heard.send(ModelDownloadEvent::Bytes(done, total, word));
        !heard.is_stopped()
    };
    let bytes = network::get(address, true, on_progress).await?;
    if sender.is_stopped() {
        return Ok(());
    }
    let folder = to.parent().map_or(Ok(()), files::create_dir_all);
    folder.and_then(|()| files::write(to, &bytes)).map_err(|error| error.to_string())
}

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
