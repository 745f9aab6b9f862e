//! Who looks at pictures: the page itself with its GPU; on the CPU a worker, and the page goes on while a model computes.

use std::cell::RefCell;
use std::rc::Rc;

use dinoscope_core::data::Picture;
use dinoscope_core::device::SelectedDevice;
use dinoscope_core::explore::{
    ExplorerHandle, LocalFuture, ModelSource, OpenModelInfo, PictureInspection, RemoteInspector,
    STARTER_FILE, ViewQuery, weights_file,
};
use dinoscope_core::files;

use super::tasks::{self, Wake};
use super::workers::{WorkerClient, WorkerSlot};
use crate::wire::{WorkerRequest, WorkerResponse};

/// A model in a worker.
#[derive(Clone, Default)]
struct WorkerInspector(Rc<WorkerInspectorInner>);

#[derive(Default)]
struct WorkerInspectorInner {
    post: WorkerSlot,
    /// What it looks with, to be opened again after a worker failed.
    source: RefCell<Option<ModelSource>>,
}

/// Starts who looks: the page itself with the GPU that draws it, else a worker.
pub fn start(chosen: &SelectedDevice, draws: bool, wake: &Wake) -> ExplorerHandle {
    started(chosen, draws, true, wake)
}

/// Starts a second one beside it: what it sees is always in memory. In a worker it has one of its own.
pub fn start_beside(chosen: &SelectedDevice, draws: bool, wake: &Wake) -> ExplorerHandle {
    started(chosen, draws, false, wake)
}

fn started(chosen: &SelectedDevice, draws: bool, keep: bool, wake: &Wake) -> ExplorerHandle {
    match draws {
        true => ExplorerHandle::start(chosen.clone(), keep, wake.clone(), tasks::engine_turn(), tasks::spawn),
        false => {
            let inspector = Rc::new(WorkerInspector::default());
            ExplorerHandle::start_remote(chosen.name.clone(), inspector, wake.clone(), tasks::spawn)
        }
    }
}

/// Has it compute elsewhere from now on; false where another one must begin: the page itself, or a worker.
pub fn change_device(_: &ExplorerHandle, _: &SelectedDevice, _: bool) -> bool {
    false
}

/// Gives the worker the file of a model.
fn carry(worker: &WorkerClient, source: &ModelSource) -> Result<ModelSource, String> {
    let file = match source {
        ModelSource::Starter => STARTER_FILE.into(),
        ModelSource::Path(path) => weights_file(path).map_err(|error| error.to_string())?,
        ModelSource::Released(_) | ModelSource::Bytes { .. } => return Ok(source.clone()),
    };
    // What a Hugging Face folder says about its weights lies beside them.
    let beside = file.with_file_name("config.json");
    let changes = [file.as_path(), beside.as_path()].into_iter().filter(|file| files::exists(file));
    worker.tell(WorkerRequest::Files(changes.flat_map(files::snapshot).collect()), &[&file])?;
    Ok(source.clone())
}

impl WorkerInspectorInner {
    async fn open_in(&self, worker: &WorkerClient, source: &ModelSource) -> Result<OpenModelInfo, String> {
        let source = carry(worker, source)?;
        match worker.ask(WorkerRequest::Open(source), &[]).await? {
            WorkerResponse::Opened(opened) => opened,
            other => Err(format!("the worker answered something else: {other:?}")),
        }
    }
}

impl RemoteInspector for WorkerInspector {
    fn open(&self, source: ModelSource) -> LocalFuture<Result<OpenModelInfo, String>> {
        let extractor = self.0.clone();
        Box::pin(async move {
            let (worker, _) = extractor.post.worker()?;
            let opened = extractor.open_in(&worker, &source).await?;
            *extractor.source.borrow_mut() = Some(source);
            Ok(opened)
        })
    }

    fn look(&self, view: Picture, way: ViewQuery) -> LocalFuture<Result<PictureInspection, String>> {
        let extractor = self.0.clone();
        Box::pin(async move {
            let (worker, new) = extractor.post.worker()?;
            let source = extractor.source.borrow().clone();
            if let (true, Some(source)) = (new, source) {
                extractor.open_in(&worker, &source).await?;
            }
            match worker.ask(WorkerRequest::Look(Box::new(view), way), &[]).await? {
                WorkerResponse::Seen(seen) => seen.map(|seen| *seen),
                other => Err(format!("the worker answered something else: {other:?}")),
            }
        })
    }
}
