//! `dinoscope curate copies`.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_core::bytes;
use dinoscope_curate::{CopiesOptions, CopiesSummary, copies, names};
use serde_json::json;

use super::embed::embed_beside;
use crate::cli::interrupt::StopFlag;
use crate::cli::progress::CliProgress;
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// Which pictures are copies of each other.
#[derive(clap::Args)]
pub struct CopiesArgs {
    /// The folder of curation that `curate embed` has filled.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
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
    /// Bits of 64 in which the perceptual hashes of copies differ at most; `off` where features and bytes alone count.
    #[arg(long, value_name = "BITS", default_value = "4", value_parser = hash_distance)]
    hash_distance: HashDistance,
    /// Neighbours of each picture that are looked at.
    #[arg(long, value_name = "K", default_value_t = 64)]
    neighbours: usize,
    /// Memory that the search may take: 500MB, 2GB.
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = bytes::parse)]
    memory: u64,
    /// auto, cpu, gpu or gpu:N, for the pictures of --against [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// `--hash-distance BITS|off`.
#[derive(Clone, Copy)]
struct HashDistance(Option<u32>);

fn hash_distance(text: &str) -> Result<HashDistance, String> {
    match text {
        "off" => Ok(HashDistance(None)),
        _ => text
            .parse()
            .map(|bits| HashDistance(Some(bits)))
            .map_err(|_| "expected a number of bits, or off".to_owned()),
    }
}

/// Finds copies, and says what was found.
pub fn run(arguments: &CopiesArgs) -> Result<CliExitStatus> {
    let status = match arguments.against[..] {
        [] => CliExitStatus::Done,
        _ => {
            let where_to = (arguments.folder.as_path(), names::AGAINST);
            embed_beside(&arguments.against, where_to, arguments.device.as_deref(), arguments.json)?.status()
        }
    };
    let options = CopiesOptions {
        threshold: arguments.threshold,
        against_threshold: arguments.against_threshold,
        against: !arguments.against.is_empty(),
        hash_distance: arguments.hash_distance.0,
        k: arguments.neighbours,
        memory: usize::try_from(arguments.memory).unwrap_or(usize::MAX),
        ..CopiesOptions::new(&arguments.folder)
    };
    let stop = StopFlag::listen()?;
    let mut progress: Option<CliProgress> = None;
    let found = copies(&options, &mut |done, all, what| {
        let progress =
            progress.get_or_insert_with(|| CliProgress::new(all as u64, "pictures", arguments.json));
        progress.set(done as u64, what.to_owned());
        !stop.is_set()
    });
    if let Some(progress) = progress {
        progress.finish();
    }
    say(arguments, &found?);
    Ok(status)
}

fn say(arguments: &CopiesArgs, found: &CopiesSummary) {
    let table = arguments.folder.join(names::COPIES);
    if arguments.json {
        out!(
            "{}",
            json!({
                "event": "copies", "table": table.display().to_string(), "pictures": found.pictures,
                "kept": found.kept, "copies": found.copies, "near_test": found.leaks,
                "unreadable": found.unreadable, "components": found.components, "largest": found.largest,
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
        out!("{} can't be read", found.unreadable);
    }
}
