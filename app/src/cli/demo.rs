//! `dinoscope demo`: a small training run with nothing prepared.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_core::engine::{RunRanks, TrainJob};
use dinoscope_core::train::recipe::presets;
use dinoscope_core::train::{Recipe, paths, sources};

use super::history::percent;
use super::status::CliExitStatus;
use super::terminal::{self, out};
use super::train::RunOutputOptions;
use super::{load, run};

/// Watch a small model learn, within a minute, and write a report.
///
/// On pictures that the program draws itself a fresh model learns what the starter weights, which come with the program, know
/// of them. --from-nothing trains it as those were trained: without a teacher, which takes longer and gets less far.
#[derive(clap::Args)]
pub struct DemoArgs {
    /// Where the run is kept [default: runs/demo-NNN].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Without a teacher: the `nano` preset of `train`.
    #[arg(long)]
    from_nothing: bool,
    /// Seed of weights, order, crops, masks.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// Change a field of the recipe: --set train.iterations=100
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// One JSON object per line instead of a progress bar.
    #[arg(long)]
    json: bool,
    /// Write into --out though files lie there that a run would overwrite. A run is never overwritten.
    #[arg(long)]
    force: bool,
}

/// Trains the `demo` preset, or `nano` without a teacher, on the built-in scenes and sums it up.
pub fn run(arguments: DemoArgs) -> Result<CliExitStatus> {
    terminal::ignore_output_errors();
    let mut overrides = vec![format!("train.seed={}", arguments.seed)];
    overrides.extend(arguments.overrides);
    let preset = Recipe::preset(if arguments.from_nothing { "nano" } else { presets::DEMO })?;
    let recipe = paths::with_absolute_paths(&load::noted(preset.resolve(&overrides)?))?;
    let out = arguments.out.unwrap_or_else(|| load::fresh_run("demo"));
    let sources = sources::open(&recipe)?;
    let classes = sources.labelled.as_ref().map_or(0, |labelled| labelled.train.classes().len());
    let job = TrainJob {
        watch: sources.to_watch(&recipe),
        sources,
        device: load::device(arguments.device.as_deref(), arguments.json)?,
        folder: Some(RunOutputOptions { out: &out, resume: false, force: arguments.force }.open(&recipe)?),
        resume: false,
        recipe,
        ranks: RunRanks::default(),
    };
    let summary = run::run_job(job, arguments.json)?;
    if arguments.json {
        return Ok(summary.status());
    }
    let history = &summary.history;
    if let Some(untrained) = history.untrained {
        out!("k-NN accuracy, {classes} classes, 95 % interval");
        if let Some((done, trained)) = history.trained {
            out!("  after {done} steps  {}", percent(trained));
        }
        out!("  untrained        {}", percent(untrained));
        if let Some(raw) = history.raw_pixels {
            out!("  raw pixels       {}", percent(raw));
        }
    }
    run::say_finished(&summary);
    Ok(summary.status())
}
