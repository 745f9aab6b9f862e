//! `dinoscope eval follow`: whether what moves is found again.

use anyhow::Result;
use dinoscope_core::data::source::scenes::{MovingScenes, SceneKind};
use dinoscope_core::eval::catalogue::{EvalTask, EvaluationKind};
use dinoscope_core::eval::follow::FollowTask;

use super::data::EvalModelArgs;
use super::show::{EvalOutputArgs, show};
use crate::cli::load;
use crate::cli::status::CliExitStatus;

/// Following.
#[derive(clap::Args)]
pub struct FollowEvalArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// Moving scenes, which the program draws itself.
    #[arg(long, value_name = "N", default_value_t = SCENES, value_parser = clap::value_parser!(u32).range(1..))]
    scenes: u32,
    /// easy or varied scenes.
    #[arg(long, value_name = "KIND", default_value_t = SceneKind::Varied)]
    kind: SceneKind,
    /// Frames of each scene.
    #[arg(long, value_name = "N", default_value_t = MovingScenes::FRAMES as u32, value_parser = clap::value_parser!(u32).range(2..))]
    frames: u32,
    /// Side of the frames in pixels [default: that of the stored position grid, at least 32 patches].
    #[arg(long, value_name = "PIXELS")]
    resolution: Option<usize>,
    /// The block whose patch tokens are compared, counted from 1 [default: the last].
    #[arg(long, value_name = "N")]
    block: Option<usize>,
    /// How far a place may go from one frame to the next, in patches [default: a quarter of the frame's side].
    #[arg(long, value_name = "PATCHES")]
    radius: Option<f32>,
    /// Scenes that are shown in the picture of examples.
    #[arg(long, value_name = "N", default_value_t = 6)]
    show: usize,
}

/// Scenes without a wish.
const SCENES: u32 = 24;

/// Measures and shows.
pub fn run(arguments: &FollowEvalArgs) -> Result<CliExitStatus> {
    let FollowEvalArgs { model, output, .. } = arguments;
    let opened = model.open(output.json)?;
    load::colours_alone(opened.channels(), "--data scenes", "name a model of colours")?;
    let scenes =
        MovingScenes::of_evaluation(arguments.kind, arguments.scenes as usize, arguments.frames as usize);
    let task = FollowTask {
        resolution: arguments.resolution,
        // Blocks are counted from 1 by people; one that there is not is refused by the evaluation.
        block: arguments.block.map(|block| block.wrapping_sub(1)),
        radius: arguments.radius,
        shown: arguments.show,
        ..FollowTask::new(scenes)
    };
    show(&opened.evaluate(&EvalTask::Follow(task))?, EvaluationKind::Follow, output)
}
