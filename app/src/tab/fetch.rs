//! Models from elsewhere: released ones, and those that an address names.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use async_channel::{Receiver, Sender};
use dinoscope_core::files;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{host, turns};
use crate::studio::hands::Wake;

/// Released by Meta AI under its own licence, where browsers may fetch them: name, address, MiB.
pub const MODELS: [(&str, &str, u32); 6] = [
    ("dinov2-small", "https://huggingface.co/facebook/dinov2-small/resolve/main/model.safetensors", 84),
    (
        "dinov2-with-registers-small",
        "https://huggingface.co/facebook/dinov2-with-registers-small/resolve/main/model.safetensors",
        84,
    ),
    ("dinov2-base", "https://huggingface.co/facebook/dinov2-base/resolve/main/model.safetensors", 330),
    (
        "dinov2-with-registers-base",
        "https://huggingface.co/facebook/dinov2-with-registers-base/resolve/main/model.safetensors",
        330,
    ),
    ("dinov2-large", "https://huggingface.co/facebook/dinov2-large/resolve/main/model.safetensors", 1161),
    (
        "dinov2-with-registers-large",
        "https://huggingface.co/facebook/dinov2-with-registers-large/resolve/main/model.safetensors",
        1161,
    ),
];

/// How a download stands.
pub enum News {
    /// Bytes so far, and in all where known.
    Bytes(u64, Option<u64>),
    /// It is in this file.
    Here(PathBuf),
    /// It can't be had, and why.
    Not(String),
}

/// A model on its way.
pub struct Download {
    /// How it stands.
    pub news: Receiver<News>,
    stopped: Rc<Cell<bool>>,
}

impl Download {
    /// Fetches a released model, or what lies at an address.
    pub fn start(name: &str, wake: Wake) -> Self {
        let known = MODELS.iter().find(|(known, ..)| *known == name);
        let (address, file) = match known {
            Some((_, address, _)) => ((*address).to_owned(), format!("{name}.safetensors")),
            None => (name.to_owned(), last(name).to_owned()),
        };
        let (out, news) = async_channel::unbounded();
        let stopped = Rc::new(Cell::new(false));
        let to = Path::new("/models").join(file);
        let asked = stopped.clone();
        turns::spawn(async move {
            let said = match fetch(&address, &to, &out, &wake, asked).await {
                Ok(()) => News::Here(to),
                Err(reason) => News::Not(format!("{address} can't be fetched: {reason}")),
            };
            let _ = out.try_send(said);
            wake();
        });
        Self { news, stopped }
    }

    /// Gives it up.
    pub fn stop(&self) {
        self.stopped.set(true);
    }
}

/// The last part of an address, without what asks for a version.
pub fn last(address: &str) -> &str {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("file")
}

async fn fetch(
    address: &str,
    to: &Path,
    out: &Sender<News>,
    wake: &Wake,
    stopped: Rc<Cell<bool>>,
) -> Result<(), String> {
    let bytes = {
        let (out, wake, stopped) = (out.clone(), wake.clone(), stopped.clone());
        get(address, move |done, total| {
            let _ = out.try_send(News::Bytes(done, total));
            wake();
            !stopped.get()
        })
        .await?
    };
    if stopped.get() {
        return Err("it was stopped".to_owned());
    }
    files::create_dir_all("/models").and_then(|()| files::write(to, &bytes)).map_err(|e| e.to_string())
}

/// What lies at an address.
///
/// # Errors
/// The reason in words; browsers say little when a server refuses pages from elsewhere.
pub async fn get(
    address: &str,
    mut progress: impl FnMut(u64, Option<u64>) -> bool + 'static,
) -> Result<Vec<u8>, String> {
    let host = host::get().ok_or("only a page fetches")?;
    let hear = Closure::new(move |done: f64, total: f64| {
        progress(done as u64, (total > 0.0).then_some(total as u64))
    });
    let fetched = JsFuture::from(host.fetch(address, &hear)).await;
    let bytes: Uint8Array = fetched.map_err(|thrown| host::words(&thrown.into()))?;
    Ok(bytes.to_vec())
}
