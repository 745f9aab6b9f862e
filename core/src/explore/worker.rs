//! The explorer's side: waits for wishes, fulfils the most urgent one, says so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_channel::{Receiver, Sender};

use super::inspector_backend::InspectorBackend;
use super::local_inspector::OpenModelInfo;
use super::seen::{PatchTokens, PictureInspection};
use super::{ExplorerEvent, ExplorerRequestQueue, InspectionRequest, ModelInfo, ModelSource};
use crate::data::channels::{fitted, misfit};
use crate::device::SelectedDevice;
use crate::features::whole_view;

/// What the next thing to do is.
enum ExplorerTask {
    Device(SelectedDevice, bool),
    Model(ModelSource),
    Fetch(super::PictureId, super::ViewQuery, Arc<PictureInspection>),
    Look(InspectionRequest),
}

/// How reports get out.
pub(super) struct ExplorerEventSender {
    pub out: Sender<ExplorerEvent>,
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Lets the browser's event loop turn.
    #[cfg(target_family = "wasm")]
    pub yield_now: Option<crate::engine::YieldNow>,
}

impl ExplorerEventSender {
    /// Says something amid other work.
    fn call(&self, report: ExplorerEvent) {
        let _ = self.out.try_send(report);
        (self.wake)();
    }

    /// Says something, and lets it be heard before the next thing is done.
    async fn say(&self, report: ExplorerEvent) {
        self.call(report);
        #[cfg(target_family = "wasm")]
        if let Some(yield_now) = &self.yield_now {
            yield_now().await;
        }
    }
}

/// The loop of an explorer.
pub(super) struct ExplorerWorker {
    pub queue: Arc<Mutex<ExplorerRequestQueue>>,
    pub wake_receiver: Receiver<()>,
    pub events: ExplorerEventSender,
    pub backend: InspectorBackend,
    pub model: Option<(ModelSource, OpenModelInfo)>,
}

impl ExplorerWorker {
    /// Works until the explorer is dropped.
    pub async fn work(mut self) {
        while let Some(wish) = self.next().await {
            match wish {
                ExplorerTask::Device(device, keep) => {
                    self.backend = InspectorBackend::local(device, keep);
                    if let Some((source, _)) = self.model.take() {
                        self.open(source).await;
                    }
                }
                ExplorerTask::Model(source) => self.open(source).await,
                ExplorerTask::Fetch(picture, way, seen) => self.fetch(picture, way, &seen).await,
                ExplorerTask::Look(wanted) => self.look(wanted).await,
            }
        }
    }

    /// The next wish; waits for one. `None` when nobody wants anything ever again.
    async fn next(&self) -> Option<ExplorerTask> {
        loop {
            {
                let mut queue = self.queue.lock().ok()?;
                if queue.closed {
                    return None;
                }
                if let Some((device, keep)) = queue.device.take() {
                    return Some(ExplorerTask::Device(device, keep));
                }
                if let Some(source) = queue.model.take() {
                    queue.stop_download = false;
                    return Some(ExplorerTask::Model(source));
                }
                if let Some((picture, way, seen)) = queue.fetch.pop() {
                    return Some(ExplorerTask::Fetch(picture, way, seen));
                }
                if self.model.is_some() && !queue.wanted.is_empty() {
                    let wanted = queue.wanted.remove(0);
                    queue.looking = Some((wanted.picture, wanted.way));
                    return Some(ExplorerTask::Look(wanted));
                }
            }
            self.wake_receiver.recv().await.ok()?;
        }
    }

    async fn open(&mut self, source: ModelSource) {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let (queue, events) = (&self.queue, &self.events);
        let mut progress = |done, total| {
            events.call(ExplorerEvent::Downloading(done, total));
            queue.lock().is_ok_and(|queue| !queue.stop_download && !queue.closed)
        };
        match self.backend.open(&source, &mut progress).await {
            Ok(model) => {
                let info = ModelInfo {
                    source: source.clone(),
                    config: model.config.clone(),
                    file: model.file.clone(),
                    notes: model.notes.clone(),
                    parameters: model.parameters,
                    generation: GENERATION.fetch_add(1, Ordering::Relaxed),
                };
                self.model = Some((source, model));
                self.events.say(ExplorerEvent::Ready(Arc::new(info))).await;
            }
            Err(reason) => self.events.say(ExplorerEvent::NoModel(reason)).await,
        }
    }

    async fn look(&self, wanted: InspectionRequest) {
        let Some((_, model)) = &self.model else { return };
        let InspectionRequest { picture, way, load, in_memory } = wanted;
        let (patch, channels) = (model.config.patch, model.config.channels());
        let pixels = load(patch, channels).await.map_err(|error| error.to_string());
        let pixels = pixels.and_then(|pixels| {
            let fits = fitted(&pixels, channels).is_some();
            if fits { Ok(pixels) } else { Err(misfit(pixels.channels, channels)) }
        });
        let seen = match pixels {
            Ok(pixels) => {
                // A view of a view is the same view.
                let view = whole_view(&pixels, way.resolution, patch);
                drop(pixels);
                self.backend.look(view, way, in_memory).await
            }
            Err(reason) => Err(reason),
        };
        if let Ok(mut queue) = self.queue.lock() {
            queue.looking = None;
        }
        let report = match seen {
            Ok(seen) => ExplorerEvent::Seen(picture, way, Arc::new(seen)),
            Err(reason) => ExplorerEvent::Failed(picture, way, reason),
        };
        self.events.say(report).await;
    }

    /// The tokens of the picture once more: the same computation on the same device gives the same numbers, and
    /// asking for them is rare.
    async fn fetch(&self, picture: super::PictureId, way: super::ViewQuery, seen: &PictureInspection) {
        if let PatchTokens::Host(patches) = &seen.patches {
            return self.events.say(ExplorerEvent::Fetched(picture, way, patches.clone())).await;
        }
        if self.model.is_none() {
            return;
        }
        let again = self.backend.look((*seen.view).clone(), way, true).await;
        match again.map(|seen| seen.patches) {
            Ok(PatchTokens::Host(patches)) => {
                self.events.say(ExplorerEvent::Fetched(picture, way, patches)).await
            }
            Ok(PatchTokens::Device(_)) => {}
            Err(reason) => self.events.say(ExplorerEvent::Failed(picture, way, reason)).await,
        }
    }
}

/// Runs the loop on a thread of its own, which does all work of the device.
#[cfg(not(target_family = "wasm"))]
pub(super) fn spawn(worker: ExplorerWorker) {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let (out, wake) = (worker.events.out.clone(), worker.events.wake.clone());
    let run = move || {
        let (lost, woken) = (worker.events.out.clone(), worker.events.wake.clone());
        // burn panics when a device is lost or out of memory.
        let ended = catch_unwind(AssertUnwindSafe(|| crate::device::block_on(worker.work())));
        if let Err(panic) = ended {
            let _ = lost.try_send(ExplorerEvent::Lost(crate::device::panic_text(panic)));
            woken();
        }
    };
    let thread = std::thread::Builder::new().name("dinoscope-explore".to_owned()).stack_size(32 << 20);
    if let Err(error) = thread.spawn(run) {
        let _ = out.try_send(ExplorerEvent::Lost(format!("no thread could be started: {error}")));
        wake();
    }
}
