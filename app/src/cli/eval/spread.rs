//! `dinoscope eval spread`: how features are spread over their space.

use anyhow::Result;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::spread::FeatureStatisticsTask;
use dinoscope_core::eval::suite::EvalTask;

use super::collection::ImageSetArgs;
use super::data::EvalModelArgs;
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;

/// Rank, alignment and uniformity.
#[derive(clap::Args)]
pub struct FeatureStatisticsArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: ImageSetArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
}

/// Measures and shows.
pub fn run(arguments: &FeatureStatisticsArgs) -> Result<CliExitStatus> {
    let FeatureStatisticsArgs { model, pictures, output } = arguments;
    let task = EvalTask::Spread(FeatureStatisticsTask { source: pictures.open(model.seed)? });
    show(&model.open(output.json)?.evaluate(&task)?, EvaluationKind::Spread, output)
}
