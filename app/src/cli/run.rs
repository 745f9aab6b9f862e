//! Drives a run from the terminal: starts the engine, shows its events, stops it on Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use dinoscope_core::device::{adapters, block_on};
use dinoscope_core::engine::{self, RunCommand, RunCompletion, RunEvent, RunHandle, StepReport, TrainJob};
use dinoscope_core::eval::knn::KnnResult;
use dinoscope_core::eval::run::headline;
use dinoscope_core::ssl::Collective;
use dinoscope_core::train::forecast::{self, RunForecast};
use dinoscope_core::train::recipe::InitRecipe;
use dinoscope_core::train::{Recipe, improvement};

use super::history::{self, RunMetricsSummary};
use super::json;
use super::progress::CliProgress;
use super::status::CliExitStatus;
use super::terminal::{out, warning};
use crate::studio::train::words;

/// What a run left, for the last lines on the terminal.
#[derive(Default)]
pub struct CliRunSummary {
    /// How it ended.
    pub finished: Option<RunCompletion>,
    /// Figures of the whole run.
    pub history: RunMetricsSummary,
}

impl CliRunSummary {
    /// A run that was stopped is not done: what comes after it in a script must not go on as if it were.
    pub fn status(&self) -> CliExitStatus {
        match &self.finished {
            Some(finished) if finished.stopped => CliExitStatus::Interrupted,
            _ => CliExitStatus::Done,
        }
    }
}

/// `72.1 % (68.4–75.6)`
fn percent(result: &KnnResult) -> String {
    headline(result).map_or("nothing".to_owned(), |score| history::percent(score.top1))
}

/// Runs a job to its end and shows it.
pub fn run_job(job: TrainJob, json: bool) -> Result<CliRunSummary> {
    let total = job.recipe.train.iterations;
    let mut progress = CliProgress::new(total, "steps", json);
    let metrics = job.folder.as_ref().map(|folder| folder.metrics_file());
    let data = job.recipe.data.path.to_string();
    for note in job.sources.train.file_notes() {
        if json {
            out!("{}", serde_json::json!({ "event": "note", "input": data, "note": note }));
        } else {
            progress.say(&note);
        }
    }
    let forecast = forecast(&job);
    let handle = engine::start(job);
    stop_on_interrupt(&handle, true)?;
    let mut summary = CliRunSummary::default();
    // The stream ends after `RunCompletion` or the error that ended the run.
    while let Ok(item) = block_on(handle.events.recv()) {
        match item {
            Ok(event) => {
                if json {
                    out!("{}", json::event(&event));
                    if matches!(event, RunEvent::Started { .. }) {
                        out!("{}", json::forecast(&forecast));
                    }
                }
                if let (RunEvent::Started { iteration: 1.., .. }, Some(metrics)) = (&event, &metrics) {
                    summary.history = RunMetricsSummary::read(metrics);
                }
                summary.history.take(&event);
                show(&event, &mut progress, &forecast);
                if let RunEvent::Finished(finished) = event {
                    progress.finish();
                    summary.finished = Some(*finished);
                    break;
                }
            }
            Err(error) => {
                progress.finish();
                if json {
                    out!("{}", json::error(&error));
                }
                return Err(error.into());
            }
        }
    }
    Ok(summary)
}

/// Computes with a run that the first rank shows: says nothing, unless it is that this rank failed.
pub fn compute_job(job: TrainJob) -> Result<CliExitStatus> {
    let handle = engine::start(job);
    stop_on_interrupt(&handle, false)?;
    while let Ok(item) = block_on(handle.events.recv()) {
        if let RunEvent::Finished(finished) = item? {
            let summary = CliRunSummary { finished: Some(*finished), ..CliRunSummary::default() };
            return Ok(summary.status());
        }
    }
    Ok(CliExitStatus::Done)
}

/// What a run will take. What can't fit is warned of.
fn forecast(job: &TrainJob) -> RunForecast {
    let TrainJob { device, sources, .. } = job;
    // Of each step this process has a part.
    let recipe = &mut job.recipe.clone();
    let ranks = job.ranks.group.ranks();
    recipe.train.batch /= ranks;
    let done = job.folder.as_ref().filter(|_| job.resume).and_then(|folder| folder.latest_checkpoint());
    let from = done.map_or(0, |(iteration, _)| iteration);
    if device.gpu {
        let adapter = adapters().into_iter().find(|adapter| device.name.starts_with(&adapter.name));
        if let Some(said) = adapter.and_then(|adapter| forecast::too_large(recipe, adapter.max_binding)) {
            warning!("warning: {said}");
        }
    }
    let speed = block_on(forecast::speed(recipe, &device.device));
    RunForecast::new(recipe, ranks, sources.train.len(), sources.labelled.as_ref(), from, speed)
}

/// In a line: `about 265 MB of memory; about 4 min on this device`.
fn in_words(forecast: &RunForecast) -> String {
    let memory = words::bytes(forecast.memory.total());
    let time = forecast.seconds.map(|seconds| format!("; about {} on this device", words::duration(seconds)));
    format!("about {memory} of memory{}", time.unwrap_or_default())
}

fn show(event: &RunEvent, progress: &mut CliProgress, forecast: &RunForecast) {
    match event {
        RunEvent::Started { recipe, device, data, parameters, iteration } => {
            let m = &recipe.model;
            progress.say(&format!(
                "{}: ViT of {} blocks, {} wide, patch {}, {:.1} M parameters with heads\n{data}, batch {}, on {device}",
                recipe.preset,
                m.depth,
                m.dim,
                m.patch,
                *parameters as f64 / 1e6,
                recipe.train.batch
            ));
            if let Some(begun) = begun_with(recipe).filter(|_| *iteration == 0) {
                progress.say(&begun);
            }
            progress.say(&in_words(forecast));
            if *iteration > 0 {
                progress.say(&format!("going on at step {iteration}"));
            }
            progress.start_at(*iteration);
        }
        RunEvent::Step(step) => {
            let loss = step.values.get("loss").copied().unwrap_or(f64::NAN);
            progress.set(step.iteration + 1, step_message(step, loss));
        }
        RunEvent::Aside(aside) => progress.set_aside(&aside.text(), aside.iteration == 0 && aside.done == 0),
        RunEvent::Evaluation { iteration, accuracy, raw_pixels, agreement } => {
            progress.say(&format!("k-NN after {iteration} steps: {}", percent(accuracy)));
            if let Some(raw) = raw_pixels {
                progress.say(&format!("k-NN on raw pixels: {}", percent(raw)));
            }
            if let Some(a) = agreement {
                progress.say(&format!(
                    "agreement with the teacher: CLS {:.3}, patches {:.3}, neighbours {:.0} %",
                    a.cls_cosine,
                    a.patch_cosine,
                    100.0 * a.neighbours
                ));
            }
        }
        RunEvent::Crops { iteration, accuracy, raw_pixels } => {
            progress.say(&format!("crop retrieval after {iteration} steps: {}", history::percent(*accuracy)));
            if let Some(raw) = raw_pixels {
                progress.say(&format!("crop retrieval by raw pixels: {}", history::percent(*raw)));
            }
        }
        RunEvent::Judged { iteration, outcome, .. } => {
            if let Some(figure) = outcome.headline() {
                let title = outcome.title.to_lowercase();
                progress.say(&format!("{title} after {iteration} steps: {} {}", figure.name, figure.text()));
            }
        }
        RunEvent::Warning(message) => {
            progress.warn(&format!("warning: {message}"));
        }
        RunEvent::Paused => progress.say("paused"),
        RunEvent::Resumed => progress.say("going on"),
        RunEvent::Changed { .. }
        | RunEvent::Pictures { .. }
        | RunEvent::Checkpoint { .. }
        | RunEvent::Finished(_) => {}
    }
}

/// What a run goes on from, in a line; nothing of one that begins with nothing.
fn begun_with(recipe: &Recipe) -> Option<String> {
    let InitRecipe { weights, heads, hold_backbone } = &recipe.start;
    let held = match hold_backbone {
        0 => String::new(),
        steps => format!("; for {steps} steps only the heads learn"),
    };
    let what = if *heads { "goes on from" } else { "the backbone goes on from" };
    (!weights.is_empty()).then(|| format!("{what} {weights}{held}"))
}

fn step_message(step: &StepReport, loss: f64) -> String {
    let waited = |share: f64, whom: &str| match share > 0.1 {
        true => format!(", {:.0} % waiting for {whom}", 100.0 * share),
        false => String::new(),
    };
    let pictures = waited(step.waited, "pictures");
    let ranks = waited(step.values.get("ranks_waited").copied().unwrap_or_default(), "other ranks");
    format!("loss {loss:.3}  {:.1} images/s{pictures}{ranks}", step.images_per_second)
}

/// The first Ctrl-C finishes the step and saves, which is said where `speaks`; the second ends the program at once.
fn stop_on_interrupt(handle: &RunHandle, speaks: bool) -> Result<()> {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let commands = handle.commands.clone();
    ctrlc::set_handler(move || {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        if speaks {
            warning!("\nstopping after this step (Ctrl-C again to end at once)");
        }
        let _ = commands.try_send(RunCommand::Stop);
    })
    .context("can't listen for Ctrl-C")
}

/// How good the features are: figures at the end of a run, and of one that goes on from weights whether it made them better.
pub fn say_measured(summary: &CliRunSummary, recipe: &Recipe) {
    let history = &summary.history;
    let began = if recipe.start.weights.is_empty() { "untrained" } else { "as it began" };
    if let Some(accuracy) = history.accuracy(began) {
        out!("{accuracy}");
    }
    history.crops(began).iter().for_each(|line| out!("{line}"));
    if let Some(sentence) = history.improvement().filter(|_| improvement::is_told(recipe)) {
        out!("{sentence}");
    }
}

/// The last lines of a run: where everything is, and what could not be used.
pub fn say_finished(summary: &CliRunSummary) {
    let Some(finished) = &summary.finished else { return };
    if let Some(loss) = summary.history.loss() {
        out!("{loss}");
    }
    if !finished.skipped.is_empty() {
        out!("{} pictures could not be used:", finished.skipped.len());
        for (name, reason) in finished.skipped.iter().take(20) {
            out!("  {name}: {reason}");
        }
        if finished.skipped.len() > 20 {
            out!("  … and {} more", finished.skipped.len() - 20);
        }
    }
    if let Some(path) = &finished.checkpoint {
        out!("checkpoint  {}", path.display());
    }
    if let Some(path) = &finished.report {
        out!("report      {}", path.display());
    }
    if finished.stopped {
        out!("stopped after {} steps; --resume goes on", finished.iteration);
    }
}
