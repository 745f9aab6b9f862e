//! Layers from features in memory, made beside the frames.

use std::sync::Arc;

use async_channel::Receiver;
use dinoscope_core::analysis::attention_map::stretch;
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::image_out::{Filter, upsample, upsample_values};
use dinoscope_core::analysis::pca::{Pca, PcaOptions};
use dinoscope_core::analysis::similarity::{self, Match, MatchOptions};
use dinoscope_core::analysis::{AnalysisError, PatchFeatures};
use dinoscope_core::explore::{Patches, Seen};

use super::{ATTENTION_PERCENTILE, FitJob, Job, Slot, What};
use crate::studio::hands::{Desk, Wake};

/// What was made.
pub enum Made {
    /// Colours for everything: of this job, from so many pictures.
    Fit(u64, usize, Result<Arc<Pca>, String>),
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
struct Wanted {
    fit: Option<(FitJob, Option<Arc<Pca>>)>,
    draws: Vec<Job>,
    basis: Option<Arc<Pca>>,
    matches: Option<(u64, Pair)>,
}

/// Who makes layers, from the outside.
pub struct Worker {
    desk: Desk<Wanted>,
    /// What was made.
    pub made: Receiver<Made>,
}

impl Worker {
    /// Starts it.
    pub fn start(wake: Wake) -> Self {
        let mut desk = Desk::new(Wanted::default());
        let (out, made) = async_channel::unbounded();
        let work = async move |task| {
            // Nobody listens any more: then nobody misses it.
            let _ = out.try_send(work(task));
            wake();
        };
        if let Err(error) = desk.hand("paint", next, work) {
            ::log::error!("features can't be drawn, {error}");
        }
        Self { desk, made }
    }

    /// Fits colours, in place of a fit that has not begun.
    pub fn fit(&self, job: FitJob, previous: Option<Arc<Pca>>) {
        self.desk.write(|wanted| wanted.fit = Some((job, previous)));
    }

    /// Makes these layers, in place of those that have not begun.
    pub fn draw(&self, jobs: Vec<Job>, basis: Option<Arc<Pca>>) {
        self.desk.write(|wanted| (wanted.draws, wanted.basis) = (jobs, basis));
    }

    /// Finds patches that belong together.
    pub fn match_pictures(&self, key: u64, pair: Pair) {
        self.desk.write(|wanted| wanted.matches = Some((key, pair)));
    }
}

enum Task {
    Fit(FitJob, Option<Arc<Pca>>),
    Draw(Box<Job>, Option<Arc<Pca>>),
    Match(u64, Pair),
}

fn next(wanted: &mut Wanted) -> Option<Task> {
    if let Some((job, previous)) = wanted.fit.take() {
        return Some(Task::Fit(job, previous));
    }
    if !wanted.draws.is_empty() {
        let basis = wanted.basis.clone();
        return Some(Task::Draw(Box::new(wanted.draws.remove(0)), basis));
    }
    wanted.matches.take().map(|(key, pair)| Task::Match(key, pair))
}

fn work(task: Task) -> Made {
    match task {
        Task::Fit(job, previous) => {
            let fitted = fit(&job, previous.as_deref());
            Made::Fit(job.key, job.seen.len(), fitted.map(Arc::new).map_err(|error| error.to_string()))
        }
        Task::Draw(job, basis) => match draw(&job, basis.as_deref()) {
            Ok(image) => Made::Layer { slot: job.slot, key: job.key, image, blocks: job.blocks },
            Err(error) => Made::Nothing { slot: job.slot, key: job.key, error: error.to_string() },
        },
        Task::Match(key, [a, b]) => {
            let options = MatchOptions { top: 40, apart: 2.5, ..MatchOptions::default() };
            Made::Matches(key, similarity::matches(&a, &b, &options).unwrap_or_default())
        }
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
    let smoothing = if job.smooth { PcaOptions::default().smoothing } else { 0.0 };
    let options = PcaOptions { foreground: job.foreground, smoothing, ..PcaOptions::default() };
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
            scalars(&stretch(map, ATTENTION_PERCENTILE), ColourMap::Inferno)
        }
        What::Similarity(from, patch) => {
            let patches = host(&job.seen).ok_or(AnalysisError::Empty("features"))?;
            let from = host(from).ok_or(AnalysisError::Empty("features"))?;
            let values = similarity::of_patch(from, *patch, patches)?;
            scalars(&values, ColourMap::Viridis)
        }
    }
}
