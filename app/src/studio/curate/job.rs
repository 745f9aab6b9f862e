//! Curating beside the frames: a heap is embedded and opened, or opened again; a picture is looked for in it.

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_curate::heap::CuratedHeap;

use crate::platform::curation;
use crate::platform::curation_request::CurationRequest;
use crate::platform::tasks::Wake;
use crate::studio::background::task::{BackgroundTask, CancelFlag, TaskEventSender};

/// What is said while it goes on.
pub enum CurationEvent {
    /// What is done, and how far: done, of how much.
    At(String, usize, usize),
    /// The heap is here; how many pictures can't be used, with the reason of the first.
    Opened(Arc<CuratedHeap>, usize, Option<String>),
    /// Rows that resemble a picture, with their cosines.
    Found(String, Vec<(u32, f32)>),
    /// It went wrong.
    Failed(String),
}

/// It has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurationEnded;

/// Work on a heap that goes on. Dropped, it stops.
pub struct CurationJob {
    task: BackgroundTask<CurationEvent>,
    /// What it does, and how far.
    pub at: (String, usize, usize),
    /// Whether it was asked to stop.
    pub stopping: bool,
}

impl CurationJob {
    fn start(
        wake: &Wake,
        work: impl FnOnce(&mut dyn FnMut(&str, usize, usize) -> bool) -> Result<CurationEvent, String>
        + Send
        + 'static,
    ) -> Self {
        let task =
            BackgroundTask::start("curate", wake, move |out: &TaskEventSender<_>, stop: &CancelFlag| {
                let mut last = None;
                let mut heard = |what: &str, done: usize, all: usize| {
                    // As often as a bar can show it.
                    let now = (what.to_owned(), (400 * done).checked_div(all).unwrap_or(0));
                    if last.as_ref() != Some(&now) {
                        last = Some(now);
                        out.say(CurationEvent::At(what.to_owned(), done, all));
                    }
                    !stop.asked()
                };
                match work(&mut heard) {
                    Ok(event) => out.say(event),
                    // Whoever stopped it knows.
                    Err(reason) if reason.is_empty() => {}
                    Err(reason) => out.say(CurationEvent::Failed(reason)),
                }
            });
        Self { task, at: (String::new(), 0, 0), stopping: false }
    }

    /// Embeds what is new, and opens all of it.
    pub fn embed(request: CurationRequest, wake: &Wake) -> Self {
        Self::start(wake, move |heard| {
            let (heap, unreadable) = curation::embed_and_open(&request, heard)?;
            let first = unreadable.first().map(|(name, why)| format!("{name}: {why}"));
            Ok(CurationEvent::Opened(Arc::new(heap), unreadable.len(), first))
        })
    }

    /// Opens a folder of curation.
    pub fn open(folder: PathBuf, wake: &Wake) -> Self {
        Self::start(wake, move |heard| {
            let heap = curation::open_set(&folder, heard)?;
            Ok(CurationEvent::Opened(Arc::new(heap), 0, None))
        })
    }

    /// Looks for pictures like another one.
    pub fn find(request: CurationRequest, heap: Arc<CuratedHeap>, picture: PathBuf, wake: &Wake) -> Self {
        Self::start(wake, move |heard| {
            heard("Looking for pictures like it", 0, 0);
            let features = curation::features_of(&request, &heap, &picture)?;
            let found = heap.similar_to(&features, super::SIMILAR).map_err(|error| error.to_string())?;
            let name =
                picture.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            Ok(CurationEvent::Found(name, found))
        })
    }

    /// What was said next; an error once it is over and everything was heard.
    pub fn receive(&mut self) -> Result<Option<CurationEvent>, CurationEnded> {
        loop {
            match self.task.receive() {
                Some(CurationEvent::At(what, done, all)) => self.at = (what, done, all),
                None if self.task.over() => return Err(CurationEnded),
                said => return Ok(said),
            }
        }
    }

    /// Asks it to stop.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.task.stop();
    }
}
