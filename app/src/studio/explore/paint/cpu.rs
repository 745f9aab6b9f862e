//! Layers from features in memory, made beside the frames.

use std::sync::Arc;

use async_channel::Receiver;
use dinoscope_core::analysis::attention_map::stretch;
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::image_out::{UpsampleFilter, upsample, upsample_values};
use dinoscope_core::analysis::pca::{Pca, PcaOptions};
use dinoscope_core::analysis::similarity::{self, MatchOptions, PatchCorrespondence};
use dinoscope_core::analysis::{AnalysisError, PatchFeatures};
use dinoscope_core::explore::{PatchTokens, PictureInspection};

use super::{ATTENTION_PERCENTILE, ColourFitJob, OverlayContent, OverlayJob, OverlaySlot};
use crate::platform::tasks::Wake;
use crate::studio::background::work_queue::SharedWorkQueue;

/// What was made.
pub enum OverlayResult {
    /// Colours for everything: of this job, from so many pictures.
    Fit(u64, usize, Result<Arc<Pca>, String>),
    /// A layer.
    Layer {
        /// For this slot.
        slot: OverlaySlot,
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
        slot: OverlaySlot,
        /// Of this job.
        key: u64,
        /// Why.
        error: String,
    },
    /// Patches of two pictures that belong together.
    Matches(u64, Vec<PatchCorrespondence>),
}

type Pair = [Arc<PatchFeatures>; 2];

#[derive(Default)]
struct OverlayQueue {
    fit: Option<(ColourFitJob, Option<Arc<Pca>>)>,
    draws: Vec<OverlayJob>,
    basis: Option<Arc<Pca>>,
    matches: Option<(u64, Pair)>,
}

/// Who makes layers, from the outside.
pub struct OverlayWorker {
    queue: SharedWorkQueue<OverlayQueue>,
    /// What was made.
    pub made: Receiver<OverlayResult>,
}

impl OverlayWorker {
    /// Starts it.
    pub fn start(wake: Wake) -> Self {
        let names = ("paint", "features can't be drawn");
        let (queue, made) = SharedWorkQueue::with_results(OverlayQueue::default(), names, next, work, wake);
        Self { queue, made }
    }

    /// Fits colours, in place of a fit that has not begun.
    pub fn fit(&self, job: ColourFitJob, previous: Option<Arc<Pca>>) {
        self.queue.write(|wanted| wanted.fit = Some((job, previous)));
    }

    /// Makes these layers, in place of those that have not begun.
    pub fn draw(&self, jobs: Vec<OverlayJob>, basis: Option<Arc<Pca>>) {
        self.queue.write(|wanted| (wanted.draws, wanted.basis) = (jobs, basis));
    }

    /// Finds patches that belong together.
    pub fn match_pictures(&self, key: u64, pair: Pair) {
        self.queue.write(|wanted| wanted.matches = Some((key, pair)));
    }
}

enum OverlayTask {
    Fit(ColourFitJob, Option<Arc<Pca>>),
    Draw(Box<OverlayJob>, Option<Arc<Pca>>),
    Match(u64, Pair),
}

fn next(wanted: &mut OverlayQueue) -> Option<OverlayTask> {
    if let Some((job, previous)) = wanted.fit.take() {
        return Some(OverlayTask::Fit(job, previous));
    }
    if !wanted.draws.is_empty() {
        let basis = wanted.basis.clone();
        return Some(OverlayTask::Draw(Box::new(wanted.draws.remove(0)), basis));
    }
    wanted.matches.take().map(|(key, pair)| OverlayTask::Match(key, pair))
}

fn work(task: OverlayTask) -> OverlayResult {
    match task {
        OverlayTask::Fit(job, previous) => {
            let fitted = fit(&job, previous.as_deref());
            OverlayResult::Fit(
                job.key,
                job.seen.len(),
                fitted.map(Arc::new).map_err(|error| error.to_string()),
            )
        }
        OverlayTask::Draw(job, basis) => match draw(&job, basis.as_deref()) {
            Ok(image) => OverlayResult::Layer { slot: job.slot, key: job.key, image, blocks: job.blocks },
            Err(error) => OverlayResult::Nothing { slot: job.slot, key: job.key, error: error.to_string() },
        },
        OverlayTask::Match(key, [a, b]) => {
            let options = MatchOptions { top: 40, apart: 2.5, ..MatchOptions::default() };
            OverlayResult::Matches(key, similarity::matches(&a, &b, &options).unwrap_or_default())
        }
    }
}

fn host(seen: &PictureInspection) -> Option<&PatchFeatures> {
    match &seen.patches {
        PatchTokens::Host(patches) => Some(patches),
        PatchTokens::Device(_) => None,
    }
}

fn fit(job: &ColourFitJob, previous: Option<&Pca>) -> Result<Pca, AnalysisError> {
    let pictures: Vec<&PatchFeatures> = job.seen.iter().filter_map(|seen| host(seen)).collect();
    let dim = pictures.first().map_or(0, |picture| picture.dim);
    let previous = previous.filter(|pca| pca.dim() == dim);
    // A person who asks for other pictures wants their range at once, not a way towards it.
    let smoothing = if job.smooth { PcaOptions::default().smoothing } else { 0.0 };
    let options = PcaOptions { foreground: job.foreground, smoothing, ..PcaOptions::default() };
    Pca::fit(&pictures, previous, &options)
}

fn size(job: &OverlayJob) -> (usize, usize) {
    let (rows, cols) = (job.seen.rows, job.seen.cols);
    if job.blocks {
        return (cols, rows);
    }
    let scale = (job.side as f64 / rows.max(cols).max(1) as f64).max(1.0);
    ((cols as f64 * scale).round() as usize, (rows as f64 * scale).round() as usize)
}

fn draw(job: &OverlayJob, basis: Option<&Pca>) -> Result<egui::ColorImage, AnalysisError> {
    let (rows, cols) = (job.seen.rows, job.seen.cols);
    let (width, height) = size(job);
    let filter = if job.blocks { UpsampleFilter::Nearest } else { UpsampleFilter::Bicubic };
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
        OverlayContent::Pca => {
            let basis = basis.ok_or(AnalysisError::Empty("colours"))?;
            let patches = host(&job.seen).ok_or(AnalysisError::Empty("features"))?;
            let coloured = basis.colour(patches)?;
            let picture = upsample(&coloured.rgb, rows, cols, width, height, filter)?;
            Ok(egui::ColorImage::from_rgb([width, height], &picture.rgb))
        }
        OverlayContent::Attention(head) => {
            let maps = &job.seen.attention;
            let map = head.and_then(|head| maps.heads.get(head)).unwrap_or(&maps.mean);
            scalars(&stretch(map, ATTENTION_PERCENTILE), ColourMap::Inferno)
        }
        OverlayContent::Similarity(from, patch) => {
            let patches = host(&job.seen).ok_or(AnalysisError::Empty("features"))?;
            let from = host(from).ok_or(AnalysisError::Empty("features"))?;
            let values = similarity::of_patch(from, *patch, patches)?;
            scalars(&values, ColourMap::Viridis)
        }
    }
}
