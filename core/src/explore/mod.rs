//! Looking at pictures: a model on a thread of its own that is told what is wanted and says what it saw.
//!
//! The sibling of [`crate::engine`] for exploring. What is wanted is a list that is replaced whenever it changes, most
//! urgent first, so that nothing queues behind what nobody looks at any more. All work of the device stays on the
//! explorer's thread; results say whether their numbers are in memory or in the GPU's buffers.

mod buffers;
mod inspector_backend;
mod local_inspector;
mod seen;
mod worker;

use std::sync::{Arc, Mutex};

use async_channel::{Receiver, Sender};

pub use crate::train::model_source::{
    ModelError, ModelSource, OpenModel, STARTER_FILE, STARTER_NAME, checkpoint, checkpoint_as, inspect,
    notes, open, resolve_weights_path, run_of_weights, split_part, weights_file, with_part,
};
pub use buffers::DeviceSlice;
pub use local_inspector::{LocalFuture, LocalInspector, OpenModelInfo, RemoteInspector};
pub use seen::{InspectionError, PatchTokens, PictureInspection, QueryToken, ViewQuery};

use crate::data::{DataError, Picture};
use crate::device::SelectedDevice;
use crate::model::VitConfig;
use inspector_backend::InspectorBackend;
use worker::ExplorerEventSender;

/// A picture's number, given by whoever shows it.
pub type PictureId = u64;

/// Gives the picture's pixels for a model with patches of so many pixels a side, which takes so many channels: the whole picture, or what
/// [`whole_view`](crate::features::whole_view) makes of it. Called and awaited on the explorer's thread.
pub type Load = Arc<dyn Fn(usize, usize) -> LocalFuture<Result<Arc<Picture>, DataError>> + Send + Sync>;

/// Something to look at.
#[derive(Clone)]
pub struct InspectionRequest {
    /// Whose pixels.
    pub picture: PictureId,
    /// How to look.
    pub way: ViewQuery,
    /// The pixels.
    pub load: Load,
    /// Patch tokens are needed in memory, also where they are drawn from the device.
    pub in_memory: bool,
}

/// What the explorer says, in order.
#[derive(Debug)]
pub enum ExplorerEvent {
    /// Bytes of a download so far, and in all where known.
    Downloading(u64, Option<u64>),
    /// A model is ready; what was seen before belongs to another one.
    Ready(Arc<ModelInfo>),
    /// There is no such model; the one before stays.
    NoModel(String),
    /// A picture was looked at.
    Seen(PictureId, ViewQuery, Arc<PictureInspection>),
    /// A picture can't be looked at.
    Failed(PictureId, ViewQuery, String),
    /// Patch tokens that were on the device, in memory: the answer to [`ExplorerHandle::fetch`].
    Fetched(PictureId, ViewQuery, Arc<crate::analysis::PatchFeatures>),
    /// The device is gone; the explorer's thread has ended.
    Lost(String),
}

/// What is known about the model that looks.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ModelInfo {
    /// Where it came from.
    pub source: ModelSource,
    /// Its sizes.
    pub config: VitConfig,
    /// The file, or a name.
    pub file: String,
    /// What a person may want to know.
    pub notes: Vec<String>,
    /// Trainable values.
    pub parameters: usize,
    /// A number that no other model of this process has.
    pub generation: u64,
}

/// What is wanted at the moment.
#[derive(Default)]
struct ExplorerRequestQueue {
    model: Option<ModelSource>,
    wanted: Vec<InspectionRequest>,
    /// Being looked at.
    looking: Option<(PictureId, ViewQuery)>,
    fetch: Vec<(PictureId, ViewQuery, Arc<PictureInspection>)>,
    stop_download: bool,
    device: Option<(SelectedDevice, bool)>,
    closed: bool,
}

/// An explorer from the outside.
pub struct ExplorerHandle {
    queue: Arc<Mutex<ExplorerRequestQueue>>,
    wake_sender: Sender<()>,
    /// What it says.
    pub reports: Receiver<ExplorerEvent>,
}

impl ExplorerHandle {
    /// Starts an explorer that computes on `device`. With `keep_on_device`, patch tokens stay in the buffers of that
    /// GPU, which then must be the one that draws. `wake` is called after each report.
    #[cfg(not(target_family = "wasm"))]
    pub fn start(device: SelectedDevice, keep_on_device: bool, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (out, reports) = async_channel::unbounded();
        let (explorer, worker) = Self::new(
            InspectorBackend::local(device, keep_on_device),
            ExplorerEventSender { out, wake },
            reports,
        );
        worker::spawn(worker);
        explorer
    }

    /// As on the desktop, as a task of the browser's event loop; `spawn` puts the future there, and it awaits what
    /// `yield_now` gives after each report, so that the page goes on.
    #[cfg(target_family = "wasm")]
    pub fn start(
        device: SelectedDevice,
        keep_on_device: bool,
        wake: Arc<dyn Fn() + Send + Sync>,
        yield_now: crate::engine::YieldNow,
        spawn: impl FnOnce(LocalFuture<()>),
    ) -> Self {
        let (out, reports) = async_channel::unbounded();
        let events = ExplorerEventSender { out, wake, yield_now: Some(yield_now) };
        let (explorer, worker) = Self::new(InspectorBackend::local(device, keep_on_device), events, reports);
        spawn(Box::pin(worker.work()));
        explorer
    }

    /// An explorer that lets somebody else look, whom errors call `name`.
    #[cfg(target_family = "wasm")]
    pub fn start_remote(
        name: String,
        remote: std::rc::Rc<dyn RemoteInspector>,
        wake: Arc<dyn Fn() + Send + Sync>,
        spawn: impl FnOnce(LocalFuture<()>),
    ) -> Self {
        let (out, reports) = async_channel::unbounded();
        // Whoever waits for an answer from elsewhere breathes.
        let events = ExplorerEventSender { out, wake, yield_now: None };
        let (explorer, worker) = Self::new(InspectorBackend::Remote { name, remote }, events, reports);
        spawn(Box::pin(worker.work()));
        explorer
    }

    fn new(
        backend: InspectorBackend,
        events: ExplorerEventSender,
        reports: Receiver<ExplorerEvent>,
    ) -> (Self, worker::ExplorerWorker) {
        let queue = Arc::new(Mutex::new(ExplorerRequestQueue::default()));
        let (wake_sender, wake_receiver) = async_channel::bounded(1);
        let worker =
            worker::ExplorerWorker { queue: queue.clone(), wake_receiver, events, backend, model: None };
        (Self { queue, wake_sender, reports }, worker)
    }

    /// Takes another model, after what is being looked at just now.
    pub fn model(&self, source: ModelSource) {
        self.write(|queue| {
            queue.model = Some(source);
            queue.stop_download = true;
        });
    }

    /// Gives up a download that is on its way.
    pub fn stop_download(&self) {
        self.write(|queue| queue.stop_download = true);
    }

    /// Computes on another device from now on, with the same model.
    pub fn device(&self, device: SelectedDevice, keep_on_device: bool) {
        self.write(|queue| queue.device = Some((device, keep_on_device)));
    }

    /// What to look at, most urgent first, in place of what was wanted before. What is being looked at already is not
    /// looked at once more.
    pub fn want(&self, mut wanted: Vec<InspectionRequest>) {
        self.write(|queue| {
            wanted.retain(|wanted| queue.looking != Some((wanted.picture, wanted.way)));
            queue.wanted = wanted;
        });
    }

    /// Asks for the patch tokens of something seen, in memory.
    pub fn fetch(&self, picture: PictureId, way: ViewQuery, seen: Arc<PictureInspection>) {
        self.write(|queue| queue.fetch.push((picture, way, seen)));
    }

    fn write(&self, change: impl FnOnce(&mut ExplorerRequestQueue)) {
        if let Ok(mut queue) = self.queue.lock() {
            change(&mut queue);
        }
        // A full bell is ringing already.
        let _ = self.wake_sender.try_send(());
    }
}

impl Drop for ExplorerHandle {
    fn drop(&mut self) {
        self.write(|queue| {
            queue.closed = true;
            queue.stop_download = true;
        });
    }
}
