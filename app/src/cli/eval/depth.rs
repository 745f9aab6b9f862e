//! `dinoscope eval depth`: a linear head that tells how far away every pixel is.

use std::str::FromStr;

use anyhow::{Result, bail};
use dinoscope_core::data::source::dense::{DenseReadOptions, DenseTruthKind, DepthUnit};
use dinoscope_core::eval::catalogue::EvalTask;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::depth::{DepthEvalRange, DepthTask};

use super::data::EvalModelArgs;
use super::dense::{DenseDataArgs, HeadTrainingArgs, window};
use super::show::{EvalOutputArgs, show};
use crate::cli::UsageError;
use crate::cli::status::CliExitStatus;

/// Linear depth.
#[derive(clap::Args)]
pub struct DepthArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: DenseDataArgs,
    #[command(flatten)]
    learning: HeadTrainingArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// Pixels that the shorter side of pictures is resized to; what is no multiple of the patch is padded
    /// [default: --size, or the model's grid, at least 16 patches, at most 224 pixels].
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// Blocks that the head sees, spread evenly with the last among them: 4, or 1 for the last alone.
    #[arg(long, value_name = "N", default_value_t = DepthTask::default().blocks)]
    blocks: usize,
    /// Least and largest depth that count: `nyu` (0.001,10), `kitti` (0.001,80) or MIN,MAX in metres
    /// [default: those of the training pictures].
    #[arg(long, value_name = "RANGE", value_parser = DepthEvalRange::from_str)]
    range: Option<DepthEvalRange>,
    /// What a step of a 16-bit depth PNG or TIFF is worth: mm, cm, or metres such as 1/256 or 0.0002; 0 is no measurement
    /// [default: 1/256 for --range kitti, else mm].
    #[arg(long, value_name = "UNIT", value_parser = DepthUnit::from_str)]
    unit: Option<DepthUnit>,
    /// Weight of the gradient loss; 0.5 sharpens edges.
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0)]
    gradient: f64,
    /// Learns from mirrored pictures too.
    #[arg(long)]
    mirrored: bool,
    /// Evaluates mirrored test pictures too and takes the mean.
    #[arg(long)]
    flip: bool,
}

/// Measures and shows.
pub fn run(arguments: &DepthArgs) -> Result<CliExitStatus> {
    let DepthArgs { model, pictures, learning, output, .. } = arguments;
    let opened = model.open(output.json)?;
    let depth = opened.backbone.config.depth;
    if arguments.blocks > depth {
        bail!(UsageError(format!("--blocks {}: the model has {depth}", arguments.blocks)));
    }
    let side = window(arguments.window, model.size, &opened);
    let unit = arguments.unit.or(arguments.range.map(DepthEvalRange::unit)).unwrap_or_default();
    let reading = DenseReadOptions { unit, ..DenseReadOptions::default() };
    let data = pictures.open(DenseTruthKind::Depth, reading, side, (model.seed, opened.channels()))?;
    let (memory, exact_padding, shown) = learning.rest();
    let usual = DepthTask::default();
    let task = DepthTask {
        window: Some(side),
        blocks: arguments.blocks,
        range: arguments.range.map(DepthEvalRange::bounds),
        gradient: arguments.gradient,
        mirrored: arguments.mirrored,
        flip: arguments.flip,
        exact_padding,
        memory,
        training: learning.training(usual.training),
        shown,
        unit: if pictures.scenes()?.is_some() { "half object heights".to_owned() } else { usual.unit },
    };
    show(&opened.evaluate(&EvalTask::Depth(data, task))?, EvaluationKind::Depth, output)
}
