//! What is known of a run, from the events of one of ours or from the folder of one that is followed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_core::engine::{EngineError, RunCompletion, RunEvent, StepReport};
use dinoscope_core::eval::Accuracy;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::knn::KnnResult;
use dinoscope_core::eval::run::headline;
use dinoscope_core::train::Recipe;
use dinoscope_core::train::follow::RunFolderChanges;
use dinoscope_core::train::health::{RunHealth, diagnose};
use dinoscope_core::train::improvement::{self, AccuracyChange};
use dinoscope_core::train::metrics::Values;
use dinoscope_core::train::run::MetricsLine;
use dinoscope_core::train::run_lock::RunLockStatus;
use dinoscope_core::train::schedule::TrainSchedules;
use dinoscope_core::train::side_task::SideTaskProgress;

use crate::studio::train::plot_data::MetricHistory;
use crate::studio::train::words;

/// How it stands with a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunPhase {
    /// The pictures are opened, the device is set up.
    Preparing,
    /// Steps are being done.
    Running,
    /// It was asked to hold and finishes what it is at.
    Pausing,
    /// It holds.
    Paused,
    /// It was asked to stop and finishes what it has begun.
    Stopping,
    /// It ended in order.
    Finished {
        /// Before its last step.
        stopped: bool,
    },
    /// It ended too early.
    Failed(RunFailure),
    /// It lies on disk: it goes on elsewhere, or was left.
    Followed,
}

/// Why a run ended too early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFailure {
    /// What happened and what to do about it.
    pub text: String,
    /// Whether it was the device that gave up, so that another one may do better.
    pub device: bool,
}

/// Memory in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunMemoryUsage {
    /// Bytes.
    pub used: u64,
    /// Bytes with what is kept for later.
    pub reserved: u64,
    /// Whose memory it is.
    pub what: &'static str,
}

/// How fast it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunThroughput {
    /// Steps per second since the last report.
    pub steps_per_second: f64,
    /// Pictures per second since the last report.
    pub images_per_second: f64,
    /// Share of that time spent waiting for pictures.
    pub waited: f64,
}

/// Reports that the time left is told from.
const REPORTS: usize = 30;

/// A run, as far as it is known.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Name of its folder.
    pub name: String,
    /// Where it is kept.
    pub folder: PathBuf,
    /// How it stands.
    pub phase: RunPhase,
    /// Every value resolved.
    pub recipe: Option<Arc<Recipe>>,
    /// What changes with every step, ahead.
    pub schedules: Option<TrainSchedules>,
    /// What computes.
    pub device: String,
    /// What it is trained on.
    pub data: String,
    /// Trainable values.
    pub parameters: usize,
    /// Steps done.
    pub done: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// What is being done beside the steps.
    pub aside: Option<SideTaskProgress>,
    /// How fast it goes.
    pub pace: RunThroughput,
    /// Memory in use.
    pub memory: Option<RunMemoryUsage>,
    /// What the figures mean.
    pub health: Option<RunHealth>,
    /// The figures of the last report.
    pub values: Values,
    /// All figures over the steps.
    pub histories: BTreeMap<String, MetricHistory>,
    /// Steps done at the moments of which there are pictures on disk.
    pub pictures: BTreeSet<u64>,
    /// Checkpoints on disk, by steps done.
    pub checkpoints: BTreeMap<u64, PathBuf>,
    /// The report at its end.
    pub report: Option<PathBuf>,
    /// What a person should know, oldest first.
    pub warnings: Vec<String>,
    /// Pictures that could not be used: name and reason.
    pub skipped: Vec<(String, String)>,
    /// Who trains it, where it is followed.
    pub held: RunLockStatus,
    /// Steps and seconds of the last reports.
    recent: VecDeque<(f64, f64)>,
    last_report: u64,
}

/// Warnings that are kept.
const WARNINGS: usize = 500;

impl RunView {
    /// A run in `folder` of which nothing is known yet.
    pub fn new(folder: &Path, phase: RunPhase) -> Self {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            name: name.unwrap_or_else(|| folder.display().to_string()),
            folder: folder.to_owned(),
            phase,
            recipe: None,
            schedules: None,
            device: String::new(),
            data: String::new(),
            parameters: 0,
            done: 0,
            total: 0,
            aside: None,
            pace: RunThroughput::default(),
            memory: None,
            health: None,
            values: Values::new(),
            histories: BTreeMap::new(),
            pictures: BTreeSet::new(),
            checkpoints: BTreeMap::new(),
            report: None,
            warnings: Vec::new(),
            skipped: Vec::new(),
            held: RunLockStatus::Unknown,
            recent: VecDeque::new(),
            last_report: 0,
        }
    }

    /// Whether it may still do steps of its own accord.
    pub fn is_alive(&self) -> bool {
        use RunPhase::{Paused, Pausing, Preparing, Running, Stopping};
        matches!(self.phase, Preparing | Running | Pausing | Paused | Stopping)
    }

    /// Whether its last step is done.
    pub fn is_complete(&self) -> bool {
        self.total > 0 && self.done >= self.total
    }

    /// Whether there is more to do: its last step, or the checkpoint after that. Figures are further than checkpoints where a run was
    /// killed or packed at its last steps.
    pub fn is_unfinished(&self) -> bool {
        !self.is_complete() || self.newest_checkpoint().is_some_and(|(step, _)| step < self.total)
    }

    /// Seconds until the last step, as the last reports went.
    pub fn left(&self) -> Option<f64> {
        let (steps, seconds) =
            self.recent.iter().fold((0.0, 0.0), |(s, t), (steps, time)| (s + steps, t + time));
        let remaining = self.total.saturating_sub(self.done) as f64;
        (steps > 0.0 && seconds > 0.0 && self.total > 0).then(|| remaining * seconds / steps)
    }

    /// A figure over the steps.
    pub fn history(&self, name: &str) -> Option<&MetricHistory> {
        self.histories.get(name).filter(|history| !history.is_empty())
    }

    /// An accuracy after the most steps: `knn`, or `crops` of those that are found again.
    pub fn newest_accuracy(&self, name: &str) -> Option<(u64, Accuracy)> {
        let [correct, total] = ["correct", "total"].map(|what| self.history(&format!("{name}_{what}")));
        let (correct, total) = (correct?, total?);
        let step = *correct.steps().last()?;
        Some((step as u64, Accuracy { correct: correct.last()? as usize, total: total.last()? as usize }))
    }

    /// How an accuracy has changed since before the first step.
    pub fn change(&self, name: &str) -> Option<AccuracyChange> {
        let (steps, after) = self.newest_accuracy(name).filter(|(step, _)| *step > 0)?;
        let [correct, total] = ["correct", "total"].map(|what| self.history(&format!("{name}_{what}")));
        let (correct, total) = (correct.filter(|h| h.steps().first() == Some(&0.0))?, total?);
        let before = Accuracy { correct: correct.first()? as usize, total: total.first()? as usize };
        Some(AccuracyChange { before, after, steps })
    }

    /// Whether what it looked with before its first step had been trained already.
    pub fn begins_with_weights(&self) -> bool {
        self.recipe.as_ref().is_some_and(|recipe| !recipe.start.weights.is_empty())
    }

    /// Whether the features became better, in plain words: of a run that goes on from weights, once it was measured.
    pub fn improvement(&self) -> Option<String> {
        let recipe = self.recipe.as_ref().filter(|recipe| improvement::is_told(recipe));
        let crops = recipe.and_then(|_| self.change("crops"))?;
        Some(improvement::sentence(&crops, self.change("knn").as_ref()))
    }

    /// The newest checkpoint.
    pub fn newest_checkpoint(&self) -> Option<(u64, &Path)> {
        self.checkpoints.last_key_value().map(|(step, path)| (*step, path.as_path()))
    }

    /// Takes a recipe over, with what follows from it.
    pub fn set_recipe(&mut self, recipe: Recipe) {
        self.total = recipe.train.iterations;
        self.schedules = Some(TrainSchedules::new(&recipe));
        self.recipe = Some(Arc::new(recipe));
    }

    /// Figures that were written down after `iteration`.
    pub fn take_line(&mut self, line: &MetricsLine) {
        let is_step = line.values.contains_key("loss");
        // Steps are counted from 0 and are done when they are reported; evaluations say how many are done.
        let done = line.iteration + u64::from(is_step);
        for (name, value) in &line.values {
            let value = value.unwrap_or(f64::NAN);
            match self.histories.get_mut(name) {
                Some(history) => history.push(done as f64, value),
                None => self.histories.entry(name.clone()).or_default().push(done as f64, value),
            }
        }
        self.done = self.done.max(done);
        if is_step {
            self.values = line.values.iter().map(|(k, v)| (k.clone(), v.unwrap_or(f64::NAN))).collect();
            let get = |name: &str| self.values.get(name).copied().unwrap_or(0.0);
            self.pace = RunThroughput {
                steps_per_second: get("steps_per_second"),
                images_per_second: get("images_per_second"),
                waited: get("waited"),
            };
            self.reported(done);
        }
    }

    /// A report after `done` steps, at the pace that is now known.
    fn reported(&mut self, done: u64) {
        let steps = done.saturating_sub(self.last_report) as f64;
        self.last_report = done;
        if steps > 0.0 && self.pace.steps_per_second > 0.0 {
            self.recent.push_back((steps, steps / self.pace.steps_per_second));
            if self.recent.len() > REPORTS {
                self.recent.pop_front();
            }
        }
    }

    /// Forgets what came after `done` steps: a run that goes on from there does it again.
    pub fn go_back(&mut self, done: u64) {
        for history in self.histories.values_mut() {
            history.cut(done as f64 + 0.5);
        }
        self.pictures.retain(|step| *step <= done);
        self.checkpoints.retain(|step, _| *step <= done);
        self.done = done;
        self.last_report = done;
        self.recent.clear();
    }

    /// What one of our runs says.
    pub fn take_event(&mut self, event: RunEvent) {
        let beside = matches!(
            event,
            RunEvent::Warning(_) | RunEvent::Changed { .. } | RunEvent::Paused | RunEvent::Resumed
        );
        if !beside {
            self.aside = None;
        }
        match event {
            RunEvent::Started { recipe, device, data, parameters, iteration } => {
                self.go_back(iteration);
                self.set_recipe(*recipe);
                (self.device, self.data, self.parameters) = (device, data, parameters);
                self.phase = RunPhase::Running;
            }
            RunEvent::Aside(aside) => self.aside = Some(aside),
            RunEvent::Step(step) => self.take_step(*step),
            RunEvent::Pictures { iteration, path } => {
                if path.is_some() {
                    self.pictures.insert(iteration);
                }
            }
            RunEvent::Evaluation { iteration, accuracy, raw_pixels, agreement } => {
                let mut line = MetricsLine { iteration, values: BTreeMap::new() };
                knn_values("knn", &accuracy, &mut line);
                if let Some(raw) = &raw_pixels {
                    knn_values("knn_raw_pixels", raw, &mut line);
                }
                if let Some(agreement) = agreement {
                    let mut put = |name: &str, value| line.values.insert(name.to_owned(), Some(value));
                    put("agreement_cls", agreement.cls_cosine);
                    put("agreement_patches", agreement.patch_cosine);
                    put("agreement_neighbours", agreement.neighbours);
                }
                self.take_line(&line);
            }
            RunEvent::Crops { iteration, accuracy, raw_pixels } => {
                let mut line = MetricsLine { iteration, values: BTreeMap::new() };
                accuracy_values("crops", accuracy, &mut line);
                if let Some(raw) = raw_pixels {
                    accuracy_values("crops_raw_pixels", raw, &mut line);
                }
                self.take_line(&line);
            }
            RunEvent::Judged { iteration, name, outcome } => {
                let key = EvaluationKind::with_id(&name).and_then(|kind| kind.entry().run_figure);
                if let (Some(key), Some(figure)) = (key, outcome.headline()) {
                    let values = BTreeMap::from([(key.to_owned(), Some(figure.value))]);
                    self.take_line(&MetricsLine { iteration, values });
                }
            }
            RunEvent::Checkpoint { iteration, path } => {
                self.checkpoints.insert(iteration, path);
                let keep = self.recipe.as_ref().map_or(usize::MAX, |r| r.train.keep_checkpoints.max(1));
                while self.checkpoints.len() > keep {
                    self.checkpoints.pop_first();
                }
            }
            RunEvent::Changed { recipe, .. } => self.set_recipe(*recipe),
            RunEvent::Warning(text) => self.warn(words::without_flags(&text)),
            RunEvent::Paused if self.phase != RunPhase::Stopping => self.phase = RunPhase::Paused,
            RunEvent::Resumed if self.phase != RunPhase::Stopping => self.phase = RunPhase::Running,
            RunEvent::Paused | RunEvent::Resumed => {}
            RunEvent::Finished(finished) => self.finish(*finished),
        }
    }

    fn take_step(&mut self, step: StepReport) {
        self.total = step.total;
        self.take_line(&MetricsLine::new(step.iteration, &step.values));
        self.health = Some(step.health);
        self.memory =
            step.memory.map(|m| RunMemoryUsage { used: m.used, reserved: m.reserved, what: m.what.name() });
    }

    fn finish(&mut self, finished: RunCompletion) {
        self.done = finished.iteration;
        if let Some(path) = finished.checkpoint {
            self.checkpoints.insert(finished.iteration, path);
        }
        self.report = finished.report;
        self.skipped = finished.skipped;
        self.phase = RunPhase::Finished { stopped: finished.stopped };
    }

    /// Something a person should know.
    pub fn warn(&mut self, text: String) {
        if self.warnings.len() == WARNINGS {
            self.warnings.remove(0);
        }
        self.warnings.push(text);
    }

    /// It ended too early.
    pub fn fail(&mut self, error: &EngineError) {
        self.aside = None;
        let device = matches!(error, EngineError::Device { .. });
        self.phase = RunPhase::Failed(RunFailure { text: words::without_flags(&error.to_string()), device });
    }

    /// What is new on disk of a run that is followed.
    pub fn take_changes(&mut self, changes: RunFolderChanges) {
        if changes.restarted {
            self.histories.clear();
            self.pictures.clear();
            self.checkpoints.clear();
            (self.done, self.last_report) = (0, 0);
            self.recent.clear();
        }
        if let Some(recipe) = changes.recipe {
            self.set_recipe(recipe);
        }
        let has_steps = changes.lines.iter().any(|line| line.values.contains_key("loss"));
        changes.lines.iter().for_each(|line| self.take_line(line));
        if let Some(recipe) = self.recipe.as_ref().filter(|_| has_steps) {
            self.health = Some(diagnose(&self.values, recipe, self.done.saturating_sub(1)));
            let used = self.values.get("memory_used").copied().filter(|bytes| bytes.is_finite());
            self.memory =
                used.map(|bytes| RunMemoryUsage { used: bytes as u64, reserved: bytes as u64, what: "its" });
        }
        self.pictures.extend(changes.pictures);
        let folder = self.folder.join("checkpoints");
        let path = |step: u64| (step, folder.join(format!("{step:06}")));
        self.checkpoints.extend(changes.checkpoints.into_iter().map(path));
        let report = self.folder.join("report.html");
        self.report = changes.finished.then_some(report);
        self.held = changes.held;
        self.phase = match changes.finished {
            true => RunPhase::Finished { stopped: !self.is_complete() },
            false => RunPhase::Followed,
        };
    }
}

/// The names that `metrics.jsonl` has for an evaluation.
fn knn_values(name: &str, result: &KnnResult, line: &mut MetricsLine) {
    if let Some(score) = headline(result) {
        accuracy_values(name, score.top1, line);
    }
}

/// The same for an accuracy.
fn accuracy_values(name: &str, top1: Accuracy, line: &mut MetricsLine) {
    for (what, value) in
        [("top1", top1.value()), ("correct", top1.correct as f64), ("total", top1.total as f64)]
    {
        line.values.insert(format!("{name}_{what}"), Some(value));
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
