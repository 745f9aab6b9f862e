//! `dinoscope curate quality`.

use anyhow::Result;
use dinoscope_curate::{QualityOptions, names, quality};
use serde_json::json;

use super::step::{CurateStepArgs, OptionalBound, follow};
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// Pictures that are too small, too long, blurred or dark are left out.
#[derive(clap::Args)]
pub struct QualityArgs {
    #[command(flatten)]
    step: CurateStepArgs,
    /// Pixels that the shorter side has at least, or `off`.
    #[arg(long, value_name = "PIXELS", default_value = "64")]
    min_side: OptionalBound<u32>,
    /// The longer side by the shorter one at most, or `off`.
    #[arg(long, value_name = "RATIO", default_value = "4")]
    max_aspect: OptionalBound<f32>,
    /// Variance of the Laplacian at least (column `blur`: low where a picture is blurred or plain), or `off`.
    #[arg(long, value_name = "VARIANCE", default_value = "10")]
    min_blur: OptionalBound<f32>,
    /// Darkness at most (column `darkness`: 1 where all of it is black), or `off`.
    #[arg(long, value_name = "SHARE", default_value = "0.68")]
    max_darkness: OptionalBound<f32>,
}

/// Decides, and says what was left out.
pub fn run(arguments: &QualityArgs) -> Result<CliExitStatus> {
    let options = QualityOptions {
        folder: arguments.step.folder.clone(),
        min_side: arguments.min_side.0,
        max_aspect: arguments.max_aspect.0,
        min_blur: arguments.min_blur.0,
        max_darkness: arguments.max_darkness.0,
    };
    let found = follow("pictures", arguments.step.json, |heard| quality(&options, heard))?;
    let table = arguments.step.folder.join(names::QUALITY);
    if arguments.step.json {
        out!(
            "{}",
            json!({
                "event": "quality", "table": table.display().to_string(), "pictures": found.pictures,
                "kept": found.kept, "small": found.small, "long": found.long, "blurred": found.blurred,
                "dark": found.dark, "unreadable": found.unreadable,
            })
        );
        return Ok(CliExitStatus::Done);
    }
    out!("{} of {} pictures stay; table in {}", found.kept, found.pictures, table.display());
    for (count, what) in [
        (found.small, "are too small"),
        (found.long, "are too long"),
        (found.blurred, "are blurred, or have nothing on them"),
        (found.dark, "are dark"),
        (found.unreadable, "can't be read"),
    ] {
        if count > 0 {
            out!("{count} {what}");
        }
    }
    Ok(CliExitStatus::Done)
}
