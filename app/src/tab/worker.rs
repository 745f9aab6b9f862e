//! A worker, from the inside: does what the page asks for, and sends what comes of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use dinoscope_core::data::decode::DecodeOptions;
use dinoscope_core::data::source::scenes;
use dinoscope_core::data::{Picture, decode};
use dinoscope_core::device::{self, SelectedDevice};
use dinoscope_core::engine::{self, RunCommand, RunHandle, RunRanks, SerializableEngineError, TrainJob};
use dinoscope_core::explore::{LocalInspector, ModelSource, OpenModelInfo, PictureInspection, ViewQuery};
use dinoscope_core::files;
use dinoscope_core::train::preview::{PreviewItem, preview};
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::watch::WatchSnapshot;
use dinoscope_core::train::{Recipe, sources};
use js_sys::Uint8Array;

use crate::platform::web::host::{Page, words};
use crate::platform::web::tasks;
use crate::wire::{self, StartRunRequest, WorkerEnvelope, WorkerRequest, WorkerResponse};

thread_local! {
    static PANIC_REPORTER: RefCell<Option<Page>> = const { RefCell::new(None) };
}

/// A worker that has begun.
#[derive(Clone)]
pub struct WorkerServer {
    page: Page,
    extractor: Rc<RefCell<Option<LocalInspector>>>,
    run: Rc<RefCell<Option<async_channel::Sender<RunCommand>>>>,
}

impl WorkerServer {
    /// Works for a page.
    pub fn new(page: Page) -> Self {
        // A panic ends a worker: the page has to hear why.
        let panic_reporter = page.clone();
        PANIC_REPORTER.set(Some(panic_reporter));
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC_REPORTER.with_borrow(|page| page.iter().for_each(|page| page.panicked(&info.to_string())));
            before(info);
        }));
        let reader = page.clone();
        files::read_outside_with(Box::new(move |path| {
            let read = reader.read(&path.display().to_string());
            read.map(|bytes| bytes.to_vec()).map_err(|thrown| std::io::Error::other(words(&thrown)))
        }));
        Self { page, extractor: Rc::default(), run: Rc::default() }
    }

    fn answer(&self, number: u32, answer: WorkerResponse) {
        // What can't be written is a GPU's buffer, and none of these holds one.
        match wire::encode(number, answer) {
            Ok(bytes) => self.page.answer(Uint8Array::from(bytes.as_slice())),
            Err(reason) => ::log::error!("{reason}"),
        }
    }

    /// Takes a message of the page's. What takes long goes on after this has returned.
    pub fn on_message(&self, message: &[u8]) {
        let WorkerEnvelope { number, content } = match wire::decode::<WorkerRequest>(message) {
            Ok(letter) => letter,
            Err(reason) => {
                return self.answer(0, WorkerResponse::Ended(SerializableEngineError::Told(reason)));
            }
        };
        match content {
            WorkerRequest::Files(changes) => files::apply(changes),
            WorkerRequest::Decode(path, least, channels) => {
                let options = DecodeOptions { least, channels, ..DecodeOptions::default() };
                let decoded = decode::decode_file_as(&path, options).map_err(|error| error.to_string());
                let decoded = decoded.map(|decoded| (decoded.picture, decoded.size));
                self.answer(number, WorkerResponse::Decoded(decoded));
            }
            WorkerRequest::Frames(path, side, most) => {
                let frames = decode::animation::reduced_frames(&path, side, most);
                self.answer(number, WorkerResponse::Frames(frames.map_err(|error| error.to_string())));
            }
            WorkerRequest::Scene(seed, index, side) => {
                let drawn = scenes::draw(seed, index, side).picture;
                self.answer(number, WorkerResponse::Decoded(Ok((drawn, (side, side)))));
            }
            WorkerRequest::Preview(recipe, iteration, pictures) => {
                self.answer(number, WorkerResponse::Previewed(preview_of(&recipe, iteration, pictures)));
            }
            WorkerRequest::Open(source) => self.answer(number, WorkerResponse::Opened(self.open(&source))),
            WorkerRequest::Look(view, way) => {
                let server = self.clone();
                tasks::spawn(async move {
                    let seen = server.look(*view, way).await;
                    server.answer(number, WorkerResponse::Seen(seen.map(Box::new)));
                });
            }
            WorkerRequest::Train(start) => {
                let server = self.clone();
                tasks::spawn(async move {
                    if let Err(ended) = server.train(*start).await {
                        server.answer(0, WorkerResponse::Ended(ended));
                    }
                });
            }
            WorkerRequest::Command(command) => {
                if let Some(run) = self.run.borrow().as_ref() {
                    let _ = run.try_send(command);
                }
            }
        }
    }

    fn open(&self, source: &ModelSource) -> Result<OpenModelInfo, String> {
        let extractor =
            LocalInspector::open(source, &device::cpu(None).device).map_err(|error| error.to_string())?;
        let opened = extractor.info();
        *self.extractor.borrow_mut() = Some(extractor);
        Ok(opened)
    }

    async fn look(&self, view: Picture, way: ViewQuery) -> Result<PictureInspection, String> {
        // Looks come one at a time: the page waits for each.
        let extractor = self.extractor.borrow().clone().ok_or("no model was opened")?;
        extractor.look(view, way).await.map_err(|error| error.to_string())
    }

    /// Runs to the end, and sends everything on.
    async fn train(&self, start: StartRunRequest) -> Result<(), SerializableEngineError> {
        let StartRunRequest { recipe, folder, resume, watch, gpu } = start;
        let told = |error: &dyn std::fmt::Display| SerializableEngineError::Told(error.to_string());
        let recipe = Recipe::from_toml(&recipe, &[]).map_err(|error| told(&error))?;
        let device = chosen(gpu).await?;
        let sources = sources::open(&recipe).map_err(|error| told(&error))?;
        let folder = RunFolder::open(&folder).map_err(|error| told(&error))?;
        let watch = if watch.is_empty() { sources.to_watch(&recipe) } else { watch };
        let job = TrainJob {
            recipe,
            device,
            sources,
            watch,
            folder: Some(folder),
            resume,
            ranks: RunRanks::default(),
        };
        files::journal::start();
        let handle = engine::start_with(job, Arc::new(|| ()), tasks::engine_turn(), tasks::spawn);
        *self.run.borrow_mut() = Some(handle.commands.clone());
        self.pass_on(handle).await;
        Ok(())
    }

    async fn pass_on(&self, handle: RunHandle) {
        let RunHandle { events, latest, .. } = handle;
        let mut shown = None;
        while let Ok(event) = events.recv().await {
            // What an event speaks of is there before it.
            let written = files::journal::drain();
            if !written.is_empty() {
                self.answer(0, WorkerResponse::Files(written));
            }
            if let Some(look) = newer(&latest, &mut shown) {
                self.answer(0, WorkerResponse::Pictures(Box::new(WatchSnapshot::clone(&look))));
            }
            self.answer(
                0,
                match event {
                    Ok(event) => WorkerResponse::Event(Box::new(event)),
                    Err(error) => WorkerResponse::Ended(error.into()),
                },
            );
        }
    }
}

/// The newest pictures, once.
fn newer(
    latest: &Mutex<Option<Arc<WatchSnapshot>>>,
    shown: &mut Option<Arc<WatchSnapshot>>,
) -> Option<Arc<WatchSnapshot>> {
    let look = latest.lock().ok()?.clone()?;
    if shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &look)) {
        return None;
    }
    *shown = Some(look.clone());
    Some(look)
}

fn preview_of(recipe: &str, iteration: u64, pictures: usize) -> Result<Vec<PreviewItem>, String> {
    let recipe = Recipe::from_toml(recipe, &[]).map_err(|error| error.to_string())?;
    let sources = sources::open(&recipe).map_err(|error| error.to_string())?;
    let made = preview(&recipe, sources.train.as_ref(), iteration, pictures);
    made.map(|made| made.items).map_err(|error| error.to_string())
}

async fn chosen(gpu: bool) -> Result<SelectedDevice, SerializableEngineError> {
    match gpu {
        true => device::browser_gpu().await.map_err(|error| SerializableEngineError::Device {
            reason: error.to_string(),
            hint: "Choose the CPU above.".to_owned(),
        }),
        false => Ok(device::cpu(None)),
    }
}
