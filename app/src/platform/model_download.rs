//! Models on their way from the network, and those that came and are kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::{Receiver, Sender};
use dinoscope_core::weights::released;

use super::model_address::last;
use super::tasks::Wake;

/// How a download stands.
pub enum ModelDownloadEvent {
    /// Bytes so far, in all where known, and what there is to say about the network.
    Bytes(u64, Option<u64>, String),
    /// It is in this file.
    Here(PathBuf),
    /// It can't be had, and why.
    Failed(String),
    /// A person gave it up.
    Stopped,
}

/// A model on its way. Dropped, it is given up.
pub struct ModelDownload {
    /// How it stands.
    pub events: Receiver<ModelDownloadEvent>,
    /// Where it comes from.
    pub address: String,
    stopped: Arc<AtomicBool>,
}

/// Says how a download stands.
#[derive(Clone)]
pub struct ModelDownloadSender {
    out: Sender<ModelDownloadEvent>,
    stopped: Arc<AtomicBool>,
    wake: Wake,
}

impl ModelDownload {
    /// A download from an address, and who says how it stands.
    pub fn new(address: String, wake: Wake) -> (Self, ModelDownloadSender) {
        let (out, events) = async_channel::unbounded();
        let stopped = Arc::new(AtomicBool::new(false));
        let sender = ModelDownloadSender { out, stopped: stopped.clone(), wake };
        (Self { events, address, stopped }, sender)
    }

    /// Gives it up.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl Drop for ModelDownload {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ModelDownloadSender {
    /// Says how it stands.
    pub fn send(&self, event: ModelDownloadEvent) {
        // Nobody waits for it any more: then nobody misses it.
        let _ = self.out.try_send(event);
        (self.wake)();
    }

    /// Whether it was given up.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// A model that was fetched once and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedModel {
    /// Where it came from.
    pub address: String,
    /// Its size.
    pub bytes: u64,
}

impl CachedModel {
    /// A released model's name, else that of the file.
    pub fn name(&self) -> String {
        let is =
            |model: &&released::ReleasedModel| self.address.contains(&format!("/{}/", model.repository()));
        let known = released::names().iter().find(is).map(released::ReleasedModel::hub_name);
        known.unwrap_or_else(|| last(&self.address).to_owned())
    }
}
