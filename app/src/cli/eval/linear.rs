//! `dinoscope eval linear`: the linear probe.

use anyhow::Result;
use dinoscope_core::eval::suite::Task;
use dinoscope_core::eval::whole::linear::{Length, LinearTask, Select};

use super::data::{Model, Pictures};
use super::show::{Output, show};
use crate::cli::status::Status;

/// Linear probe.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    pictures: Pictures,
    #[command(flatten)]
    output: Output,
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
    select: Choice,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Choice {
    HeldOut,
    Test,
}

/// Measures and shows.
pub fn run(arguments: &Arguments) -> Result<Status> {
    let Arguments { model, pictures, output, .. } = arguments;
    let mut task = LinearTask { batch: arguments.head_batch, ..LinearTask::default() };
    if let Some(iterations) = arguments.iterations {
        task.length = Length::Iterations(iterations);
    }
    if let Some(epochs) = arguments.epochs {
        task.length = Length::Epochs(epochs);
    }
    task.select = match arguments.select {
        Choice::HeldOut => Select::HeldOut,
        Choice::Test => Select::Test,
    };
    let outcome = pictures.judge(model, output.json, |labelled| Task::Linear(labelled, task))?;
    show(&outcome, "linear", output)
}
