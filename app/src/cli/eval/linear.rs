//! `dinoscope eval linear`: the linear probe.

use anyhow::Result;
use dinoscope_core::eval::catalogue::EvalTask;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::whole::linear::{HeadSelectionSet, LinearProbeLength, LinearTask};

use super::data::{EvalModelArgs, LabelledDataArgs};
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;

/// Linear probe.
#[derive(clap::Args)]
pub struct LinearProbeArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: LabelledDataArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// Steps of SGD; the official recipe has 12500 [default: 1250].
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    iterations: Option<usize>,
    /// How often every picture is seen, in place of --iterations.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Pictures of a step; the official recipe has 1024 [default: an eighth of the pictures, 16 to 1024].
    #[arg(long, value_name = "N")]
    head_batch: Option<usize>,
    /// On which pictures the best head is chosen: a tenth of the training pictures, or the test pictures themselves, as
    /// the official code does.
    #[arg(long, value_enum, default_value = "held-out")]
    select: HeadSelectionArg,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum HeadSelectionArg {
    HeldOut,
    Test,
}

/// Measures and shows.
pub fn run(arguments: &LinearProbeArgs) -> Result<CliExitStatus> {
    let LinearProbeArgs { model, pictures, output, .. } = arguments;
    let mut task = LinearTask { batch: arguments.head_batch, ..LinearTask::default() };
    if let Some(iterations) = arguments.iterations {
        task.length = LinearProbeLength::Iterations(iterations);
    }
    if let Some(epochs) = arguments.epochs {
        task.length = LinearProbeLength::Epochs(epochs);
    }
    task.select = match arguments.select {
        HeadSelectionArg::HeldOut => HeadSelectionSet::HeldOut,
        HeadSelectionArg::Test => HeadSelectionSet::Test,
    };
    let outcome = pictures.evaluate(model, output.json, |labelled| EvalTask::Linear(labelled, task))?;
    show(&outcome, EvaluationKind::Linear, output)
}
