//! The thread that makes layers from features in memory.

use std::sync::{Arc, Condvar, Mutex};

use async_channel::{Receiver, Sender};
use dinoscope_core::analysis::attention_map::stretch;
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::image_out::{Filter, upsample, upsample_values};
use dinoscope_core::analysis::pca::{Pca, PcaOptions};
use dinoscope_core::analysis::similarity::{self, Match, MatchOptions};
use dinoscope_core::analysis::{AnalysisError, PatchFeatures};
use dinoscope_core::explore::{Patches, Seen};

use super::{FitJob, Job, Slot, What};

/// What the thread made.
pub enum Made {
    /// Colours for everything.
    Fit(u64, Result<Arc<Pca>, String>),
    /// A layer.
    Layer {
        /// For this slot.
        slot: Slot,
        /// Of this job.
        key: u64,
        /// Its pixels.
        image: egui::ColorImage,
        /// Drawn without smoothing.
        blocks: bool,
    },
    /// A layer that can't be made.
    Nothing {
        /// For this slot.
        slot: Slot,
        /// Of this job.
        key: u64,
        /// Why.
        error: String,
    },
    /// Patches of two pictures that belong together.
    Matches(u64, Vec<Match>),
}

type Pair = [Arc<PatchFeatures>; 2];

#[derive(Default)]
struct Desk {
    fit: Option<(FitJob, Option<Arc<Pca>>)>,
    draws: Vec<Job>,
    basis: Option<Arc<Pca>>,
    matches: Option<(u64, Pair)>,
    closed: bool,
}

/// The thread from the outside.
pub struct Worker {
    desk: Arc<(Mutex<Desk>, Condvar)>,
    /// What it made.
    pub made: Receiver<Made>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let desk = Arc::new((Mutex::new(Desk::default()), Condvar::new()));
        let (out, made) = async_channel::unbounded();
        let shared = desk.clone();
        let work = move || work(&shared, &out, &wake);
        if let Err(error) = std::thread::Builder::new().name("dinoscope-paint".to_owned()).spawn(work) {
            ::log::error!("features can't be drawn, no thread could be started: {error}");
        }
        Self { desk, made }
    }

    fn write(&self, change: impl FnOnce(&mut Desk)) {
        if let Ok(mut desk) = self.desk.0.lock() {
            change(&mut desk);
        }
        self.desk.1.notify_all();
    }

    /// Fits colours, in place of a fit that has not begun.
    pub fn fit(&self, job: FitJob, previous: Option<Arc<Pca>>) {
        self.write(|desk| desk.fit = Some((job, previous)));
    }

    /// Makes these layers, in place of those that have not begun.
    pub fn draw(&self, jobs: Vec<Job>, basis: Option<Arc<Pca>>) {
        self.write(|desk| (desk.draws, desk.basis) = (jobs, basis));
    }

    /// Finds patches that belong together.
    pub fn match_pictures(&self, key: u64, pair: Pair) {
        self.write(|desk| desk.matches = Some((key, pair)));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.write(|desk| desk.closed = true);
    }
}

enum Task {
    Fit(FitJob, Option<Arc<Pca>>),
    Draw(Box<Job>, Option<Arc<Pca>>),
    Match(u64, Pair),
}

fn next(desk: &(Mutex<Desk>, Condvar)) -> Option<Task> {
    let mut held = desk.0.lock().ok()?;
    loop {
        if held.closed {
            return None;
        }
        if let Some((job, previous)) = held.fit.take() {
            return Some(Task::Fit(job, previous));
        }
        if !held.draws.is_empty() {
            let basis = held.basis.clone();
            return Some(Task::Draw(Box::new(held.draws.remove(0)), basis));
        }
        if let Some((key, pair)) = held.matches.take() {
            return Some(Task::Match(key, pair));
        }
        held = desk.1.wait(held).ok()?;
    }
}

fn work(desk: &(Mutex<Desk>, Condvar), out: &Sender<Made>, wake: &Arc<dyn Fn() + Send + Sync>) {
    while let Some(task) = next(desk) {
        let made = match task {
            Task::Fit(job, previous) => {
                let fitted = fit(&job, previous.as_deref());
                Made::Fit(job.key, fitted.map(Arc::new).map_err(|error| error.to_string()))
            }
            Task::Draw(job, basis) => match draw(&job, basis.as_deref()) {
                Ok(image) => Made::Layer { slot: job.slot, key: job.key, image, blocks: job.blocks },
                Err(error) => Made::Nothing { slot: job.slot, key: job.key, error: error.to_string() },
            },
            Task::Match(key, [a, b]) => {
                let options = MatchOptions { top: 40, apart: 2.5, ..MatchOptions::default() };
                Made::Matches(key, similarity::matches(&a, &b, &options).unwrap_or_default())
            }
        };
        if out.send_blocking(made).is_err() {
            return;
        }
        wake();
    }
}

fn host(seen: &Seen) -> Option<&PatchFeatures> {
    match &seen.patches {
        Patches::Host(patches) => Some(patches),
        Patches::Device(_) => None,
    }
}

fn fit(job: &FitJob, previous: Option<&Pca>) -> Result<Pca, AnalysisError> {
    let pictures: Vec<&PatchFeatures> = job.seen.iter().filter_map(|seen| host(seen)).collect();
    let dim = pictures.first().map_or(0, |picture| picture.dim);
    let previous = previous.filter(|pca| pca.dim() == dim);
    // A person who asks for other pictures wants their range at once, not a way towards it.
    let options = PcaOptions { foreground: job.foreground, smoothing: 0.0, ..PcaOptions::default() };
    Pca::fit(&pictures, previous, &options)
}

fn size(job: &Job) -> (usize, usize) {
    let (rows, cols) = (job.seen.rows, job.seen.cols);
    if job.blocks {
        return (cols, rows);
    }
    let scale = (job.side as f64 / rows.max(cols).max(1) as f64).max(1.0);
    ((cols as f64 * scale).round() as usize, (rows as f64 * scale).round() as usize)
}

fn draw(job: &Job, basis: Option<&Pca>) -> Result<egui::ColorImage, AnalysisError> {
    let (rows, cols) = (job.seen.rows, job.seen.cols);
    let (width, height) = size(job);
    let filter = if job.blocks { Filter::Nearest } else { Filter::Bicubic };
    let scalars = |values: &[f32], map: ColourMap| -> Result<egui::ColorImage, AnalysisError> {
        let values = upsample_values(values, rows, cols, width, height, filter)?;
        let table = map.table();
        let colour = |v: f32| table[(v.clamp(0.0, 1.0) * 255.0).round() as usize];
        Ok(egui::ColorImage::new(
            [width, height],
            values.into_iter().map(colour).map(|[r, g, b]| egui::Color32::from_rgb(r, g, b)).collect(),
        ))
    };
    match &job.what {
        What::Pca => {
            let basis = basis.ok_or(AnalysisError::Empty("colours"))?;
            let patches = host(&job.seen).ok_or(AnalysisError::Empty("features"))?;
            let coloured = basis.colour(patches)?;
            let picture = upsample(&coloured.rgb, rows, cols, width, height, filter)?;
            Ok(egui::ColorImage::from_rgb([width, height], &picture.rgb))
        }
        What::Attention(head) => {
            let maps = &job.seen.attention;
            let map = head.and_then(|head| maps.heads.get(head)).unwrap_or(&maps.mean);
            scalars(&stretch(map, 99.0), ColourMap::Inferno)
        }
        What::Similarity(from, patch) => {
            let patches = host(&job.seen).ok_or(AnalysisError::Empty("features"))?;
            let from = host(from).ok_or(AnalysisError::Empty("features"))?;
            let values = similarity::of_patch(from, *patch, patches)?;
            scalars(&values, ColourMap::Viridis)
        }
    }
}
