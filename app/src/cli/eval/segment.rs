//! `dinoscope eval segment`: a linear head that tells what every pixel shows.

use anyhow::Result;
use dinoscope_core::data::source::dense::{DenseReadOptions, DenseTruthKind};
use dinoscope_core::eval::catalogue::EvalTask;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::segment::SegmentTask;

use super::data::EvalModelArgs;
use super::dense::{DenseDataArgs, HeadTrainingArgs, window};
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;

/// Linear segmentation.
#[derive(clap::Args)]
pub struct SegmentationArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: DenseDataArgs,
    #[command(flatten)]
    learning: HeadTrainingArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// Labels are masks of an object: 0 is the background and every other value the object. Without it 255 means that a
    /// pixel does not count.
    #[arg(long)]
    binary: bool,
    /// As published for `+ms`: four blocks, sizes 1 to 3, mirrored too. Slow.
    #[arg(long)]
    ms: bool,
    /// Side of the windows in pixels, and shorter side of the pictures; what is no multiple of the patch is padded
    /// [default: --size, or the model's grid, at least 16 patches, at most 224 pixels].
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// From one window to the next where pictures are longer [default: two thirds of a window].
    #[arg(long, value_name = "PIXELS")]
    stride: Option<usize>,
    /// Blocks that the head sees, counted from the last [default: 1, with --ms 4].
    #[arg(long, value_name = "N")]
    blocks: Option<usize>,
    /// Sizes at which test pictures are evaluated, in windows [default: 1, with --ms 1,1.32,1.73,2.28,3].
    #[arg(long, value_name = "R,R", value_delimiter = ',')]
    ratios: Vec<f64>,
    /// Evaluates mirrored test pictures too.
    #[arg(long)]
    flip: bool,
    /// Random crops of each training picture, 0.5 to 2 times as large and half of them mirrored, in place of its windows.
    #[arg(long, value_name = "N", default_value_t = 0)]
    crops: usize,
    /// Learns from every n-th pixel both ways: quicker, less exact at edges.
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
}

/// Measures and shows.
pub fn run(arguments: &SegmentationArgs) -> Result<CliExitStatus> {
    let SegmentationArgs { model, pictures, learning, output, .. } = arguments;
    let opened = model.open(output.json)?;
    let side = window(arguments.window, model.size, &opened);
    let reading = DenseReadOptions { binary: arguments.binary, ..DenseReadOptions::default() };
    let data = pictures.open(DenseTruthKind::Classes, reading, side, (model.seed, opened.channels()))?;
    let usual = if arguments.ms { SegmentTask::multi_scale() } else { SegmentTask::default() };
    let (memory, exact_padding, shown) = learning.rest();
    let task = SegmentTask {
        window: Some(side),
        stride: arguments.stride,
        blocks: arguments.blocks.unwrap_or(usual.blocks),
        ratios: if arguments.ratios.is_empty() { usual.ratios } else { arguments.ratios.clone() },
        flip: arguments.flip || usual.flip,
        crops: arguments.crops,
        every: arguments.every,
        exact_padding,
        memory,
        training: learning.training(usual.training),
        shown,
    };
    show(&opened.evaluate(&EvalTask::Segment(data, task))?, EvaluationKind::Segment, output)
}
