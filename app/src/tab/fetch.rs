//! Files of the network: models, and whatever else an address names.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use async_channel::{Receiver, Sender};
use dinoscope_core::explore::{STARTER_FILE, STARTER_NAME};
use dinoscope_core::files;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{host, turns};
use crate::studio::explore::hub::ModelLocation;
use crate::studio::hands::Wake;

/// How a download stands.
pub enum ModelDownloadEvent {
    /// Bytes so far, in all where known, and what there is to say about the network.
    Bytes(u64, Option<u64>, String),
    /// It is in this file.
    Here(PathBuf),
    /// It can't be had, and why.
    Not(String),
    /// A person gave it up.
    Stopped,
}

/// A model on its way.
pub struct ModelDownload {
    /// How it stands.
    pub news: Receiver<ModelDownloadEvent>,
    /// Where it comes from.
    pub address: String,
    stopped: Rc<Cell<bool>>,
}

impl ModelDownload {
    /// Fetches a model. The page may have kept it, and keeps it once [`host::Host::opened`] says that it is one.
    pub fn start(located: ModelLocation, wake: Wake) -> Self {
        let ModelLocation { address, file } = located;
        let (out, news) = async_channel::unbounded();
        let stopped = Rc::new(Cell::new(false));
        let to = match address == STARTER_NAME {
            true => PathBuf::from(STARTER_FILE),
            false => Path::new("/models").join(file),
        };
        let (asked, from) = (stopped.clone(), address.clone());
        turns::spawn(async move {
            let said = match fetch(&from, &to, &out, &wake, asked.clone()).await {
                _ if asked.get() => ModelDownloadEvent::Stopped,
                Ok(()) => ModelDownloadEvent::Here(to),
                Err(reason) if from == STARTER_NAME => ModelDownloadEvent::Not(format!(
                    "The starter weights can't be fetched: {reason}. Other weights work."
                )),
                Err(reason) => ModelDownloadEvent::Not(format!("{from} can't be fetched: {reason}")),
            };
            let _ = out.try_send(said);
            wake();
        });
        Self { news, address, stopped }
    }

    /// Gives it up.
    pub fn stop(&self) {
        self.stopped.set(true);
    }
}

impl Drop for ModelDownload {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn fetch(
    address: &str,
    to: &Path,
    out: &Sender<ModelDownloadEvent>,
    wake: &Wake,
    stopped: Rc<Cell<bool>>,
) -> Result<(), String> {
    let bytes = {
        let (out, wake, stopped) = (out.clone(), wake.clone(), stopped.clone());
        let hear = move |done, total, word| {
            let _ = out.try_send(ModelDownloadEvent::Bytes(done, total, word));
            wake();
            !stopped.get()
        };
        get(address, true, hear).await?
    };
    if stopped.get() {
        return Ok(());
    }
    let folder = to.parent().map_or(Ok(()), files::create_dir_all);
    folder.and_then(|()| files::write(to, &bytes)).map_err(|e| e.to_string())
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
    let hear = Closure::new(move |done: f64, total: f64, word: String| {
        progress(done as u64, (total > 0.0).then_some(total as u64), word)
    });
    let fetching = match model {
        true => host.fetch_model(address, &hear),
        false => host.fetch(address, &hear),
    };
    let bytes: Uint8Array = JsFuture::from(fetching).await.map_err(|thrown| host::words(&thrown.into()))?;
    Ok(bytes.to_vec())
}
