//! A run in a worker, as the engine's own handle.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use async_channel::Sender;
use dinoscope_core::engine::{Command, Ended, EngineError, Event, Handle, Job, Slot};
use dinoscope_core::files;

use super::baggage::Baggage;
use super::staff::Worker;
use super::turns;
use crate::studio::hands::Wake;
use crate::wire::{Answer, Order, Start};

/// What a worker's answers go to. Without `events` the run is over.
struct Ears {
    events: RefCell<Option<Sender<Result<Event, EngineError>>>>,
    latest: Slot,
    wake: Wake,
}

impl Ears {
    fn send(&self, item: Result<Event, EngineError>) {
        let last = matches!(item, Ok(Event::Finished(_)) | Err(_));
        if let Some(events) = self.events.borrow().as_ref() {
            let _ = events.try_send(item);
        }
        if last {
            *self.events.borrow_mut() = None;
        }
        (self.wake)();
    }

    fn hear(&self, answer: Result<Answer, String>) {
        match answer {
            Ok(Answer::Files(changes)) => files::apply(changes),
            Ok(Answer::Event(event)) => self.send(Ok(*event)),
            Ok(Answer::Pictures(look)) => {
                if let Ok(mut latest) = self.latest.lock() {
                    *latest = Some(Arc::new(*look));
                }
                (self.wake)();
            }
            Ok(Answer::Ended(ended)) => self.send(Err(ended.into())),
            Ok(other) => self.failed(format!("the worker said something else: {other:?}")),
            Err(reason) => self.failed(reason),
        }
    }

    fn failed(&self, reason: String) {
        let hint = "A smaller train.batch, or another device, may help.".to_owned();
        self.send(Err(Ended::Device { reason, hint }.into()));
    }
}

/// Starts a run in a worker of its own. The run's folder goes along, with all that its recipe names.
///
/// # Errors
/// There is no worker to be had, or the recipe can't be written.
pub fn start(job: Job, wake: Wake) -> Result<Handle, String> {
    let (commands, orders) = async_channel::unbounded::<Command>();
    let (out, events) = async_channel::unbounded();
    let latest = Slot::default();
    let ears = Rc::new(Ears { events: RefCell::new(Some(out)), latest: latest.clone(), wake });
    let worker = {
        let ears = ears.clone();
        Worker::hire(move |answer| ears.hear(answer))?
    };
    let folder = job.folder.as_ref().ok_or("a run needs a folder")?.path().to_owned();
    let Baggage { mut changes, paths } = Baggage::of(&job.recipe);
    changes.extend(files::snapshot(&folder));
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    worker.tell(Order::Files(changes), &paths)?;
    let recipe = job.recipe.to_toml().map_err(|error| error.to_string())?;
    let Job { watch, resume, device, .. } = job;
    let start = Start { recipe, folder, resume, watch, gpu: device.gpu };
    worker.tell(Order::Train(Box::new(start)), &[])?;
    turns::spawn(async move {
        while let Ok(command) = orders.recv().await {
            if worker.tell(Order::Command(command), &[]).is_err() {
                return;
            }
        }
        // Nobody holds the run any more: it saves and ends, as on the desktop.
        let _ = worker.tell(Order::Command(Command::Stop), &[]);
        while ears.events.borrow().is_some() {
            turns::rest(std::time::Duration::from_millis(200)).await;
        }
    });
    Ok(Handle { commands, events, latest })
}
