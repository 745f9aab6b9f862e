//! Drives a run from the terminal: starts the engine, shows its events, stops it on Ctrl-C.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use dinoscope_core::bytes;
use dinoscope_core::device::block_on;
use dinoscope_core::engine::{self, Command, Event, Finished, Handle, Job, Step};
use dinoscope_core::eval::knn::KnnResult;
use dinoscope_core::eval::run::headline;
use dinoscope_core::train::memory::estimate;

use super::history::{self, History};
use super::json;
use super::progress::Progress;
use super::status::Status;
use super::terminal::{self, out, warning};

/// What a run left, for the last lines on the terminal.
#[derive(Default)]
pub struct Summary {
    /// How it ended.
    pub finished: Option<Finished>,
    /// Figures of the whole run.
    pub history: History,
    /// Warnings that were shown.
    warned: Warned,
}

/// Warnings that were shown. The same one with other figures is no news.
#[derive(Default)]
struct Warned(HashSet<String>);

impl Warned {
    fn is_news(&mut self, warning: &str) -> bool {
        let figure = |word: &&str| word.trim_matches(['(', ')', ',', '.', ':', '%']).parse::<f64>().is_ok();
        let said: Vec<&str> = warning.split_whitespace().filter(|word| !figure(word)).collect();
        self.0.insert(said.join(" "))
    }
}

impl Summary {
    /// A run that was stopped is not done: what comes after it in a script must not go on as if it were.
    pub fn status(&self) -> Status {
        match &self.finished {
            Some(finished) if finished.stopped => Status::Interrupted,
            _ => Status::Done,
        }
    }
}

/// `72.1 % (68.4–75.6)`
fn percent(result: &KnnResult) -> String {
    headline(result).map_or("nothing".to_owned(), |score| history::percent(score.top1))
}

/// Runs a job to its end and shows it.
pub fn drive(job: Job, json: bool) -> Result<Summary> {
    let total = job.recipe.train.iterations;
    let mut progress = Progress::new(total, "steps", json);
    let metrics = job.folder.as_ref().map(|folder| folder.metrics_file());
    let data = job.recipe.data.path.clone();
    for note in job.sources.train.file_notes() {
        if json {
            out!("{}", serde_json::json!({ "event": "note", "input": data, "note": note }));
        } else {
            progress.say(&note);
        }
    }
    let handle = engine::start(job);
    stop_on_interrupt(&handle)?;
    let mut summary = Summary::default();
    // The stream ends after `Finished` or the error that ended the run.
    while let Ok(item) = block_on(handle.events.recv()) {
        match item {
            Ok(event) => {
                if json {
                    out!("{}", json::event(&event));
                }
                if let (Event::Started { iteration: 1.., .. }, Some(metrics)) = (&event, &metrics) {
                    summary.history = History::read(metrics);
                }
                summary.history.take(&event);
                show(&event, &mut progress, &mut summary.warned);
                if let Event::Finished(finished) = event {
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

fn show(event: &Event, progress: &mut Progress, warned: &mut Warned) {
    match event {
        Event::Started { recipe, device, data, parameters, iteration } => {
            let m = &recipe.model;
            progress.say(&format!(
                "{}: ViT of {} blocks, {} wide, patch {}, {:.1} M parameters with heads\n{data}, batch {}, on {device}, \
                 about {} of memory",
                recipe.preset,
                m.depth,
                m.dim,
                m.patch,
                *parameters as f64 / 1e6,
                recipe.train.batch,
                bytes::shown(estimate(recipe).total())
            ));
            if *iteration > 0 {
                progress.say(&format!("going on at step {iteration}"));
            }
            progress.start_at(*iteration);
        }
        Event::Step(step) => {
            let loss = step.values.get("loss").copied().unwrap_or(f64::NAN);
            progress.set(step.iteration + 1, step_message(step, loss));
        }
        Event::Evaluation { iteration, accuracy, raw_pixels, agreement } => {
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
        Event::Judged { iteration, outcome, .. } => {
            if let Some(figure) = outcome.headline() {
                let title = outcome.title.to_lowercase();
                progress.say(&format!("{title} after {iteration} steps: {} {}", figure.name, figure.text()));
            }
        }
        Event::Warning(message) => {
            if warned.is_news(message) || terminal::is_verbose() {
                progress.warn(&format!("warning: {message}"));
            }
        }
        Event::Paused => progress.say("paused"),
        Event::Resumed => progress.say("going on"),
        Event::Changed { .. } | Event::Pictures { .. } | Event::Checkpoint { .. } | Event::Finished(_) => {}
    }
}

fn step_message(step: &Step, loss: f64) -> String {
    let waited = if step.waited > 0.1 {
        format!(", {:.0} % waiting for pictures", 100.0 * step.waited)
    } else {
        String::new()
    };
    format!("loss {loss:.3}  {:.1} images/s{waited}", step.images_per_second)
}

/// The first Ctrl-C finishes the step and saves; the second ends the program at once.
fn stop_on_interrupt(handle: &Handle) -> Result<()> {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let commands = handle.commands.clone();
    ctrlc::set_handler(move || {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        warning!("\nstopping after this step (Ctrl-C again to end at once)");
        let _ = commands.try_send(Command::Stop);
    })
    .context("can't listen for Ctrl-C")
}

/// The last lines of a run: where everything is, and what could not be used.
pub fn say_finished(summary: &Summary) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_with_other_figures_is_no_news() {
        let mut warned = Warned::default();
        assert!(warned.is_news("Collapsing: the CLS features lie on a line (rank 1.3). Try a lower rate."));
        assert!(!warned.is_news("Collapsing: the CLS features lie on a line (rank 1.1). Try a lower rate."));
        assert!(
            warned.is_news("skipped a-1.png: it is damaged")
                && warned.is_news("skipped a-2.png: it is damaged")
        );
    }
}
