//! `dinoscope eval logistic`: logistic regression.

use anyhow::Result;
use dinoscope_core::eval::catalogue::EvalTask;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::logistic::{LogisticFitOptions, grid};
use dinoscope_core::eval::whole::logistic::LogisticTask;

use super::data::{EvalModelArgs, LabelledDataArgs};
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;

/// Logistic regression.
#[derive(clap::Args)]
pub struct LogisticArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: LabelledDataArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// Values of C to choose from, as scikit-learn's LogisticRegression has it [default: 45 from 1e-6 to 1e5].
    #[arg(long = "c", value_name = "C,C", value_delimiter = ',')]
    cs: Vec<f64>,
    /// Most moves of L-BFGS for each C.
    #[arg(long, value_name = "N", default_value_t = LogisticFitOptions::default().moves)]
    max_iterations: usize,
    /// A fit ends when no component of the mean loss's gradient is above this; the last one goes on to a hundredth.
    #[arg(long, value_name = "X", default_value_t = LogisticFitOptions::default().tolerance)]
    tolerance: f64,
}

/// Measures and shows.
pub fn run(arguments: &LogisticArgs) -> Result<CliExitStatus> {
    let LogisticArgs { model, pictures, output, .. } = arguments;
    let cs = if arguments.cs.is_empty() { grid() } else { arguments.cs.clone() };
    let fit = LogisticFitOptions { moves: arguments.max_iterations, tolerance: arguments.tolerance };
    let outcome = pictures
        .evaluate(model, output.json, |labelled| EvalTask::Logistic(labelled, LogisticTask { cs, fit }))?;
    show(&outcome, EvaluationKind::Logistic, output)
}
