//! `dinoscope curate copies`.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_curate::{CopiesOptions, CopiesSummary, copies, names};
use serde_json::json;

use super::embed::embed_beside;
use super::step::{CurateMemoryArgs, CurateStepArgs, OptionalBound, follow};
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::{note, out};

/// Which pictures are copies of each other.
#[derive(clap::Args)]
pub struct CopiesArgs {
    #[command(flatten)]
    step: CurateStepArgs,
    /// A test set (a folder, list or archive): pictures that come near one of its pictures are left out with all their
    /// copies. Given again, all of them.
    #[arg(long, value_name = "PICTURES")]
    against: Vec<PathBuf>,
    /// Cosine from which two pictures are copies. It belongs to the weights: the default to the starter's.
    #[arg(long, value_name = "COSINE", default_value_t = CopiesOptions::THRESHOLD)]
    threshold: f32,
    /// Cosine from which a picture is too near to one of --against.
    #[arg(long, value_name = "COSINE", default_value_t = CopiesOptions::AGAINST)]
    against_threshold: f32,
    /// Bits of 64 in which the perceptual hashes of copies, or of one and the other mirrored, differ at most; or `off`.
    #[arg(long, value_name = "BITS", default_value = "4")]
    hash_distance: OptionalBound<u32>,
    /// How far the edges of two neighbours agree from which they are copies, the one a window of the other or mirrored: 0.4 to
    /// 1, or `off`. Unlike cosines it does not depend on the weights.
    #[arg(long, value_name = "SHARE", default_value = "0.7")]
    agreement: OptionalBound<f32>,
    /// Cosine from which neighbours are compared by their edges.
    #[arg(long, value_name = "COSINE", default_value_t = CopiesOptions::COMPARE)]
    compare: f32,
    /// Neighbours of each picture that are looked at.
    #[arg(long, value_name = "K", default_value_t = 64)]
    neighbours: usize,
    #[command(flatten)]
    memory: CurateMemoryArgs,
    /// auto, cpu, gpu or gpu:N, for the pictures of --against [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
}

/// Finds copies, and says what was found.
pub fn run(arguments: &CopiesArgs) -> Result<CliExitStatus> {
    let status = match arguments.against[..] {
        [] => CliExitStatus::Done,
        _ => {
            let where_to = (arguments.step.folder.as_path(), names::AGAINST);
            embed_beside(&arguments.against, where_to, arguments.device.as_deref(), arguments.step.json)?
                .status()
        }
    };
    let options = CopiesOptions {
        threshold: arguments.threshold,
        against_threshold: arguments.against_threshold,
        against: !arguments.against.is_empty(),
        hash_distance: arguments.hash_distance.0,
        k: arguments.neighbours,
        agreement: arguments.agreement.0,
        compare: arguments.compare,
        memory: arguments.memory.bytes(),
        ..CopiesOptions::new(&arguments.step.folder)
    };
    let found = follow("pictures", arguments.step.json, |heard| copies(&options, heard))?;
    say(arguments, &found);
    Ok(status)
}

fn say(arguments: &CopiesArgs, found: &CopiesSummary) {
    let table = arguments.step.folder.join(names::COPIES);
    if arguments.step.json {
        out!(
            "{}",
            json!({
                "event": "copies", "table": table.display().to_string(), "pictures": found.pictures,
                "kept": found.kept, "copies": found.copies, "near_test": found.leaks,
                "unreadable": found.unreadable, "uncompared": found.uncompared, "components": found.components, "largest": found.largest,
                "similarities": found.histogram,
            })
        );
        return;
    }
    out!("{} of {} pictures stay; table in {}", found.kept, found.pictures, table.display());
    if found.components > 0 {
        out!("{} are copies, in {} groups, the largest of {}", found.copies, found.components, found.largest);
    }
    if found.leaks > 0 {
        out!("{} came near the test set, or a copy of them did", found.leaks);
    }
    if found.unreadable > 0 {
        out!("{} can't be read, or were left out before", found.unreadable);
    }
    if found.uncompared > 0 {
        note!(
            "{} were embedded by an older version, which kept no small pictures: crops of them are not found; `curate embed` \
             into a new folder keeps them",
            found.uncompared
        );
    }
}
