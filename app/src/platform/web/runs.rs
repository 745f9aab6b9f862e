//! Runs: each in a worker of its own, as the engine's own handle.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use dinoscope_core::data::Picture;
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::engine::{
    EngineError, RunCommand, RunEvent, RunHandle, SerializableEngineError, Slot, TrainJob,
};
use dinoscope_core::files;
use dinoscope_core::train::Recipe;
use dinoscope_core::train::preview::PreviewItem;
use dinoscope_core::train::sources::RunDataSources;

use super::run_inputs::RunInputFiles;
pub use super::run_inputs::{remembered, with_inputs};
use super::tasks::{self, Wake};
use super::workers::WorkerClient;
use super::{dialogs, pictures};
use crate::wire::{StartRunRequest, WorkerRequest, WorkerResponse};

/// How long the end of the program waits for a run to be saved: a page can't.
pub const PATIENCE: Duration = Duration::ZERO;

/// What a worker's answers go to. Without `events` the run is over.
struct RunEventSink {
    events: RefCell<Option<Sender<Result<RunEvent, EngineError>>>>,
    latest: Slot,
    wake: Wake,
}

impl RunEventSink {
    fn send(&self, item: Result<RunEvent, EngineError>) {
        let last = matches!(item, Ok(RunEvent::Finished(_)) | Err(_));
        if let Some(events) = self.events.borrow().as_ref() {
            let _ = events.try_send(item);
        }
        if last {
            *self.events.borrow_mut() = None;
        }
        (self.wake)();
    }

    fn on_response(&self, answer: Result<WorkerResponse, String>) {
        match answer {
            Ok(WorkerResponse::Files(changes)) => files::apply(changes),
            Ok(WorkerResponse::Event(event)) => self.send(Ok(*event)),
            Ok(WorkerResponse::Pictures(look)) => {
                if let Ok(mut latest) = self.latest.lock() {
                    *latest = Some(Arc::new(*look));
                }
                (self.wake)();
            }
            Ok(WorkerResponse::Ended(ended)) => self.send(Err(ended.into())),
            Ok(other) => self.failed(format!("the worker said something else: {other:?}")),
            Err(reason) => self.failed(reason),
        }
    }

    fn failed(&self, reason: String) {
        let hint = "A smaller train.batch, or another device, may help.".to_owned();
        self.send(Err(SerializableEngineError::Device { reason, hint }.into()));
    }
}

/// Starts a run in a worker of its own. The run's folder goes along, with all that its recipe names.
///
/// # Errors
/// There is no worker to be had, or the recipe can't be written.
pub fn start(job: TrainJob, wake: Wake) -> Result<RunHandle, String> {
    let (commands, orders) = async_channel::unbounded::<RunCommand>();
    let (out, events) = async_channel::unbounded();
    let latest = Slot::default();
    let ears = Rc::new(RunEventSink { events: RefCell::new(Some(out)), latest: latest.clone(), wake });
    let worker = {
        let ears = ears.clone();
        WorkerClient::spawn(move |answer| ears.on_response(answer))?
    };
    let folder = job.folder.as_ref().ok_or("a run needs a folder")?.path().to_owned();
    let RunInputFiles { mut changes, paths } = RunInputFiles::of(&job.recipe);
    changes.extend(files::snapshot(&folder));
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    worker.tell(WorkerRequest::Files(changes), &paths)?;
    let recipe = job.recipe.to_toml().map_err(|error| error.to_string())?;
    let TrainJob { watch, resume, device, .. } = job;
    let start = StartRunRequest { recipe, folder, resume, watch, gpu: device.gpu };
    worker.tell(WorkerRequest::Train(Box::new(start)), &[])?;
    tasks::spawn(async move {
        while let Ok(command) = orders.recv().await {
            if worker.tell(WorkerRequest::Command(command), &[]).is_err() {
                return;
            }
        }
        // Nobody holds the run any more: it saves and ends, as on the desktop.
        let _ = worker.tell(WorkerRequest::Command(RunCommand::Stop), &[]);
        while ears.events.borrow().is_some() {
            tasks::sleep(Duration::from_millis(200)).await;
        }
    });
    Ok(RunHandle { commands, events, latest })
}

/// The pictures that a run watches: its worker draws or decodes them.
pub fn watched(_: &RunDataSources, _: &Recipe) -> Vec<Picture> {
    Vec::new()
}

/// The crops and masks of a step, made in the worker that decodes: drawing scenes and cutting crops takes longer than many
/// frames.
///
/// # Errors
/// There are no pictures, or the worker failed.
pub async fn preview(
    recipe: &Recipe,
    _: &Arc<dyn PictureSource>,
    iteration: u64,
    shown: usize,
) -> Result<Vec<PreviewItem>, String> {
    let worker = pictures::decoder()?;
    for data in recipe.data.path.paths().into_iter().filter(|place| files::exists(place)) {
        worker.tell(WorkerRequest::Files(files::snapshot(&data)), &[&data])?;
    }
    let text = recipe.to_toml().map_err(|error| error.to_string())?;
    match worker.ask(WorkerRequest::Preview(text, iteration, shown), &[]).await? {
        WorkerResponse::Previewed(made) => made,
        other => Err(pictures::odd(&other)),
    }
}

/// A page can't show what lies in its own memory, but hands it to the browser.
pub fn show_file(_: &egui::Context, path: &Path) {
    dialogs::hand_over(path);
}
