//! The explorer's side: waits for wishes, fulfils the most urgent one, says so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_channel::{Receiver, Sender};

use super::open::{OpenModel, open};
use super::seen::{Patches, Seen};
use super::{Desk, ModelInfo, ModelSource, Report, Wanted};
use crate::device::Chosen;
use crate::features::whole_view;
use crate::model::params;

/// What the next thing to do is.
enum Wish {
    Device(Chosen, bool),
    Model(ModelSource),
    Fetch(super::PictureId, super::Way, Arc<Seen>),
    Look(Wanted),
}

/// The loop of an explorer.
pub(super) struct Worker {
    pub desk: Arc<Mutex<Desk>>,
    pub rung: Receiver<()>,
    pub out: Sender<Report>,
    pub wake: Arc<dyn Fn() + Send + Sync>,
    pub device: Chosen,
    pub keep_on_device: bool,
    pub model: Option<(ModelSource, OpenModel)>,
}

impl Worker {
    fn say(&self, report: Report) {
        let _ = self.out.try_send(report);
        (self.wake)();
    }

    /// Works until the explorer is dropped.
    pub async fn work(mut self) {
        while let Some(wish) = self.next().await {
            match wish {
                Wish::Device(device, keep) => {
                    (self.device, self.keep_on_device) = (device, keep);
                    if let Some((source, _)) = self.model.take() {
                        self.open(source);
                    }
                }
                Wish::Model(source) => self.open(source),
                Wish::Fetch(picture, way, seen) => self.fetch(picture, way, &seen).await,
                Wish::Look(wanted) => self.look(wanted).await,
            }
        }
    }

    /// The next wish; waits for one. `None` when nobody wants anything ever again.
    async fn next(&self) -> Option<Wish> {
        loop {
            {
                let mut desk = self.desk.lock().ok()?;
                if desk.closed {
                    return None;
                }
                if let Some((device, keep)) = desk.device.take() {
                    return Some(Wish::Device(device, keep));
                }
                if let Some(source) = desk.model.take() {
                    desk.stop_download = false;
                    return Some(Wish::Model(source));
                }
                if let Some((picture, way, seen)) = desk.fetch.pop() {
                    return Some(Wish::Fetch(picture, way, seen));
                }
                if self.model.is_some() && !desk.wanted.is_empty() {
                    return Some(Wish::Look(desk.wanted.remove(0)));
                }
            }
            self.rung.recv().await.ok()?;
        }
    }

    fn open(&mut self, source: ModelSource) {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let desk = self.desk.clone();
        let mut progress = |done, total| {
            self.say(Report::Downloading(done, total));
            desk.lock().is_ok_and(|desk| !desk.stop_download && !desk.closed)
        };
        match open(&source, &self.device.device, &mut progress) {
            Ok(model) => {
                let mut parameters = 0;
                params::visit(&model.backbone, |seen| parameters += seen.shape.iter().product::<usize>());
                let info = ModelInfo {
                    source: source.clone(),
                    config: model.backbone.config.clone(),
                    file: model.file.clone(),
                    notes: model.notes.clone(),
                    parameters,
                    generation: GENERATION.fetch_add(1, Ordering::Relaxed),
                };
                self.model = Some((source, model));
                self.say(Report::Ready(Arc::new(info)));
            }
            Err(error) => self.say(Report::NoModel(error.to_string())),
        }
    }

    async fn look(&self, wanted: Wanted) {
        let Some((_, model)) = &self.model else { return };
        let Wanted { picture, way, load } = wanted;
        let failed = |reason: String| self.say(Report::Failed(picture, way, reason));
        let pixels = match load() {
            Ok(pixels) => pixels,
            Err(error) => return failed(error.to_string()),
        };
        let view = whole_view(&pixels, way.resolution, model.backbone.config.patch);
        drop(pixels);
        let seen = Seen::look(&model.backbone, view, way, &self.device.device, self.keep_on_device).await;
        match seen {
            Ok(seen) => self.say(Report::Seen(picture, way, Arc::new(seen))),
            Err(error) => failed(error.to_string()),
        }
    }

    /// The tokens of the picture once more: the same computation on the same device gives the same numbers, and
    /// asking for them is rare.
    async fn fetch(&self, picture: super::PictureId, way: super::Way, seen: &Seen) {
        if let Patches::Host(patches) = &seen.patches {
            return self.say(Report::Fetched(picture, way, patches.clone()));
        }
        let Some((_, model)) = &self.model else { return };
        let again = Seen::look(&model.backbone, (*seen.view).clone(), way, &self.device.device, false).await;
        match again.map(|seen| seen.patches) {
            Ok(Patches::Host(patches)) => self.say(Report::Fetched(picture, way, patches)),
            Ok(Patches::Device(_)) => {}
            Err(error) => self.say(Report::Failed(picture, way, error.to_string())),
        }
    }
}

/// Runs the loop on a thread of its own, which does all work of the device.
#[cfg(not(target_family = "wasm"))]
pub(super) fn spawn(worker: Worker) {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let (out, wake) = (worker.out.clone(), worker.wake.clone());
    let run = move || {
        let (lost, woken) = (worker.out.clone(), worker.wake.clone());
        // burn panics when a device is lost or out of memory.
        let ended = catch_unwind(AssertUnwindSafe(|| crate::device::block_on(worker.work())));
        if let Err(panic) = ended {
            let _ = lost.try_send(Report::Lost(crate::device::panic_text(panic)));
            woken();
        }
    };
    let thread = std::thread::Builder::new().name("dinoscope-explore".to_owned()).stack_size(32 << 20);
    if let Err(error) = thread.spawn(run) {
        let _ = out.try_send(Report::Lost(format!("no thread could be started: {error}")));
        wake();
    }
}
