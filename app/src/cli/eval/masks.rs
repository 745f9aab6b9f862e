//! `dinoscope eval masks`: masks of objects that nobody has trained.

use anyhow::Result;
use dinoscope_core::data::source::dense::{DenseReadOptions, DenseTruthKind};
use dinoscope_core::eval::catalogue::EvalTask;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::masks::MasksTask;

use super::data::EvalModelArgs;
use super::dense::{DenseDataArgs, window};
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;

/// Object masks.
#[derive(clap::Args)]
pub struct MasksArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: DenseDataArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// Labels are masks of an object: 0 is the background and every other value the object. Without it 255 means that a
    /// pixel does not count.
    #[arg(long)]
    binary: bool,
    /// Shorter side of the pictures as the model sees them, in pixels [default: --size, or the model's grid, at least 16
    /// patches, at most 224 pixels].
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// Share of the attention that its mask keeps.
    #[arg(long, default_value_t = MasksTask::default().mass)]
    mass: f64,
    /// Test pictures that are shown in the pictures of examples.
    #[arg(long, value_name = "N", default_value_t = MasksTask::default().shown)]
    show: usize,
}

/// Measures and shows.
pub fn run(arguments: &MasksArgs) -> Result<CliExitStatus> {
    let MasksArgs { model, pictures, output, .. } = arguments;
    let opened = model.open(output.json)?;
    let side = window(arguments.window, model.size, &opened);
    let reading = DenseReadOptions { binary: arguments.binary, ..DenseReadOptions::default() };
    let data = pictures.open(DenseTruthKind::Object, reading, side, (model.seed, opened.channels()))?;
    let task = MasksTask { window: Some(side), mass: arguments.mass, shown: arguments.show };
    show(&opened.evaluate(&EvalTask::Masks(data, task))?, EvaluationKind::Masks, output)
}
