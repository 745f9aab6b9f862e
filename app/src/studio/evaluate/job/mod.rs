//! Evaluating beside the frames: opens weights and pictures, makes one evaluation after the other, and says how it goes on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use dinoscope_core::device::SelectedDevice;
use dinoscope_core::eval::cache::FeatureDiskCache;
use dinoscope_core::eval::catalogue::{EvalTask, evaluate};
use dinoscope_core::eval::catalogue::{EvaluationKind, LabelRequirement};
use dinoscope_core::eval::data::EvaluationData;
use dinoscope_core::eval::embedding;
use dinoscope_core::eval::suite::{self, EvalOptions, EvalProgress};
use dinoscope_core::explore::{ModelSource, OpenModel, open, resolve_weights_path};
use web_time::Instant;

use super::config::EvaluationConfig;
use super::export;
use super::history::EvaluationRecord;
use super::images::images;
use super::pictures::open_data;
use super::projection_data::ProjectionChartData;
use crate::platform::devices;
use crate::platform::pictures::BY_WORKER_ALONE;
use crate::platform::tasks::{self, Wake};
use crate::studio::background::task::{BackgroundTask, CancelFlag, TaskEventSender};

/// Everything that has to be known to begin.
pub struct EvaluationRequest {
    /// Which weights.
    pub source: ModelSource,
    /// What computes.
    pub device: SelectedDevice,
    /// What is asked.
    pub setup: EvaluationConfig,
    /// Where features are kept for the next time.
    pub cache: FeatureDiskCache,
    /// Most pixels that a side of a picture on the screen can have.
    pub widest: usize,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationJobProgress {
    /// Which evaluation, and how many are done of how many.
    pub kind: EvaluationKind,
    /// Evaluations that are done.
    pub done: usize,
    /// Evaluations in all.
    pub of: usize,
    /// The evaluation itself; nothing while pictures and weights are opened.
    pub step: Option<EvalProgress>,
}

/// What is said while it goes on.
pub enum EvaluationJobEvent {
    /// How far it is.
    At(EvaluationJobProgress),
    /// An evaluation is done.
    Found(Box<EvaluationRecord>),
    /// An evaluation could not be made.
    Not(EvaluationKind, String),
    /// Nothing can be evaluated.
    Failed(String),
}

/// A judgement that goes on. Dropped, it stops.
pub struct EvaluationJob {
    task: BackgroundTask<EvaluationJobEvent>,
    /// What it was last heard to do, and since when.
    at: Option<(EvaluationJobProgress, Instant, usize)>,
    /// Whether it was asked to stop.
    pub stopping: bool,
}

impl EvaluationJob {
    /// Begins.
    pub fn start(order: EvaluationRequest, wake: &Wake) -> Self {
        let task = BackgroundTask::start_async("evaluate", wake, async move |out, stop| {
            catch_panic(&order, &EvaluationEventSender { out, stop }).await;
        });
        Self { task, at: None, stopping: false }
    }

    /// What was said next; an error once it is over and everything was heard.
    pub fn receive(&mut self) -> Result<Option<EvaluationJobEvent>, EvaluationEnded> {
        match self.task.receive() {
            Some(EvaluationJobEvent::At(at)) => {
                let same =
                    |(before, ..): &(EvaluationJobProgress, Instant, usize)| before.phase() == at.phase();
                let begun = match self.at.filter(|held| same(held)) {
                    Some((_, since, first)) => (since, first),
                    None => (Instant::now(), at.step.map_or(0, |step| step.done)),
                };
                self.at = Some((at, begun.0, begun.1));
                Ok(Some(EvaluationJobEvent::At(at)))
            }
            None if self.task.over() => Err(EvaluationEnded),
            said => Ok(said),
        }
    }

    /// Why it never began, where no thread could be started.
    pub fn refused(&self) -> Option<&str> {
        self.task.refused()
    }

    /// What it does.
    pub fn at(&self) -> Option<EvaluationJobProgress> {
        self.at.map(|(at, ..)| at)
    }

    /// Seconds that are left of what it does now, once that can be told.
    pub fn left(&self) -> Option<f64> {
        let (EvaluationJobProgress { step: Some(step), .. }, since, first) = self.at? else { return None };
        let done = step.done.checked_sub(first).filter(|done| *done > 0)?;
        let seconds = since.elapsed().as_secs_f64();
        let left = seconds / done as f64 * step.total.saturating_sub(step.done) as f64;
        (seconds > 1.0 && left.is_finite()).then_some(left)
    }

    /// Asks it to stop; that takes until the next step.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.task.stop();
    }
}

/// It has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationEnded;

impl EvaluationJobProgress {
    /// What is done, but for how far it is.
    fn phase(&self) -> (EvaluationKind, Option<(&'static str, &'static str, usize)>) {
        (self.kind, self.step.map(|step| (step.subject, step.doing, step.total)))
    }
}

/// Says how it goes on, and whether to.
struct EvaluationEventSender {
    out: TaskEventSender<EvaluationJobEvent>,
    stop: CancelFlag,
}

impl EvaluationEventSender {
    fn say(&self, said: EvaluationJobEvent) {
        self.out.say(said);
    }

    fn stopped(&self) -> bool {
        self.stop.asked()
    }
}

/// A device that panics deep inside a driver is a reason to be told, not a thread that is gone.
async fn catch_panic(order: &EvaluationRequest, events: &EvaluationEventSender) {
    if let Err(reason) = tasks::catch_panic(async || evaluate_all(order, events).await).await {
        events.say(EvaluationJobEvent::Failed(format!("{} failed: {reason}", order.device.name)));
    }
}

async fn evaluate_all(order: &EvaluationRequest, events: &EvaluationEventSender) {
    let EvaluationRequest { source, device, setup, .. } = order;
    let Some(&first) = setup.kinds.first() else { return };
    let of = setup.kinds.len();
    events.say(EvaluationJobEvent::At(EvaluationJobProgress { kind: first, done: 0, of, step: None }));
    // A run is evaluated as it is now, also when it goes on meanwhile.
    let source = match source {
        ModelSource::Path(path) => match resolve_weights_path(path) {
            Ok(file) => ModelSource::Path(file),
            Err(error) => return events.say(EvaluationJobEvent::Failed(error.to_string())),
        },
        other => other.clone(),
    };
    let model = match open(&source, &device.device, &mut |_, _| !events.stopped()) {
        Ok(model) => model,
        Err(_) if events.stopped() => return,
        Err(error) => return events.say(EvaluationJobEvent::Failed(error.to_string())),
    };
    let mut opened: HashMap<LabelRequirement, Result<EvaluationData, String>> = HashMap::new();
    for (done, &kind) in setup.kinds.iter().enumerate() {
        if events.stopped() {
            return;
        }
        let at = EvaluationJobProgress { kind, done, of, step: None };
        events.say(EvaluationJobEvent::At(at));
        let need = kind.needs();
        if let Entry::Vacant(place) = opened.entry(need) {
            let window = setup.window(&model.backbone.config);
            let pictures = match open_data(need, setup, (window, model.backbone.config.channels())) {
                Ok(pictures) => preload_images(pictures, order, &model, at, events).await.map(Ok),
                Err(reason) => Some(Err(reason)),
            };
            let Some(pictures) = pictures else { return };
            place.insert(pictures);
        }
        let one = SingleEvaluation { order, events, model: &model, source: &source, at };
        match opened.get(&need) {
            Some(Ok(pictures)) => one.evaluate(pictures).await,
            Some(Err(reason)) => events.say(EvaluationJobEvent::Not(kind, reason.clone())),
            None => {}
        }
    }
}

/// The pictures where the evaluation can read them. Nothing when it was stopped meanwhile.
async fn preload_images(
    pictures: EvaluationData,
    order: &EvaluationRequest,
    model: &OpenModel,
    at: EvaluationJobProgress,
    events: &EvaluationEventSender,
) -> Option<EvaluationData> {
    if !BY_WORKER_ALONE {
        return Some(pictures);
    }
    let config = &model.backbone.config;
    let (side, channels) = (order.setup.side(config), config.channels());
    let mut on_progress = async |done, total| {
        let step = Some(EvalProgress { subject: "pictures", doing: "reading", done, total });
        events.say(EvaluationJobEvent::At(EvaluationJobProgress { step, ..at }));
        !events.stopped()
    };
    super::preloaded::held(&pictures, &order.setup, (side, channels), &mut on_progress).await
}

/// One evaluation.
struct SingleEvaluation<'a> {
    order: &'a EvaluationRequest,
    events: &'a EvaluationEventSender,
    model: &'a OpenModel,
    source: &'a ModelSource,
    at: EvaluationJobProgress,
}

impl SingleEvaluation<'_> {
    async fn evaluate(&self, pictures: &EvaluationData) {
        let Self { order, events, model, source, at } = self;
        let (kind, config) = (at.kind, &model.backbone.config);
        let setup = &order.setup;
        let Some(task) = (kind.entry().task)(pictures, &setup.choices(config)) else {
            return events
                .say(EvaluationJobEvent::Not(kind, "these pictures are of another kind".to_owned()));
        };
        let begun = Instant::now();
        let side = if pictures.dense().is_some() { setup.window(config) } else { setup.side(config) };
        let options = EvalOptions {
            batch: devices::batch(&order.device),
            alone: !setup.compare,
            cache: order.cache.clone(),
            ..EvalOptions::new(setup.side(config))
        };
        let mut on_progress = async |step: EvalProgress| {
            events.say(EvaluationJobEvent::At(EvaluationJobProgress { step: Some(step), ..*at }));
            tasks::yield_now().await;
            !events.stopped()
        };
        let device = &order.device.device;
        let judged = match task {
            EvalTask::Map(task) => {
                let context = suite::EvalContext { backbone: &model.backbone, options: &options, device };
                let mapped = embedding::map(&context, &task, &mut on_progress).await;
                mapped.map(|mapped| {
                    (mapped.outcome, Some(ProjectionChartData::new(mapped.maps, task.source, setup)))
                })
            }
            task => {
                evaluate(&task, &model.backbone, &options, device, &mut on_progress).await.map(|o| (o, None))
            }
        };
        let (mut outcome, chart) = match judged {
            Ok(judged) => judged,
            Err(error) if error.is_stopped() => return,
            Err(error) => return events.say(EvaluationJobEvent::Not(kind, error.to_string())),
        };
        let (weights, seconds) = (source.to_string(), begun.elapsed().as_secs_f64());
        // What figures belong to goes with them, wherever they are written.
        let how = format!("{weights}, pictures of {side} pixels, computed by {}", order.device.name);
        outcome.notes.insert(0, how);
        let shown = outcome.pictures.iter().map(|shown| images(&shown.picture, order.widest)).collect();
        let mut finding = EvaluationRecord {
            kind,
            weights,
            data: setup.data_name(),
            outcome,
            shown,
            chart,
            seconds,
            kept: None,
        };
        finding.kept = keep(source, &finding);
        events.say(EvaluationJobEvent::Found(Box::new(finding)));
    }
}

/// Writes a finding beside the run that the weights are of; where it lies then. A disk that refuses costs no finding.
fn keep(source: &ModelSource, finding: &EvaluationRecord) -> Option<PathBuf> {
    let ModelSource::Path(file) = source else { return None };
    match export::keep(file, finding) {
        Ok(kept) => kept,
        Err(reason) => {
            ::log::warn!("the finding is not kept with its run: {reason}");
            None
        }
    }
}
