//! `dinoscope curate balance`.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_core::bytes;
use dinoscope_curate::{BalanceOptions, ClusterDraw, balance, names};
use serde_json::json;

use crate::cli::interrupt::StopFlag;
use crate::cli::progress::CliProgress;
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// As many pictures as are wanted, drawn evenly over what there is.
#[derive(clap::Args)]
pub struct BalanceArgs {
    /// The folder of curation. Pictures that `curate copies` has left are drawn from where it ran, all of them else.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Pictures that are wanted.
    #[arg(long, value_name = "N")]
    target: usize,
    /// Clusters of each level, from the finest: 5000,500,50 [default: one for 70 pictures, then a tenth of them, four levels
    /// at most].
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    clusters: Vec<usize>,
    /// How often the clusters of a level are found again among the pictures closest to their centres.
    #[arg(long, value_name = "N", default_value_t = 10)]
    resampling: usize,
    /// Pictures of each cluster for that.
    #[arg(long, value_name = "N", default_value_t = 5)]
    sample: usize,
    /// Rounds of k-means at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    rounds: usize,
    /// Which pictures of a cluster are drawn: any (random), or those closest to its centre.
    #[arg(long, value_name = "WHICH", default_value = "random", value_parser = drawn)]
    draw: ClusterDraw,
    /// Seed of all choices.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Memory that it may take: 500MB, 2GB.
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = bytes::parse)]
    memory: u64,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

fn drawn(text: &str) -> Result<ClusterDraw, String> {
    match text {
        "random" => Ok(ClusterDraw::Random),
        "closest" => Ok(ClusterDraw::Closest),
        _ => Err("expected random or closest".to_owned()),
    }
}

/// Draws, and says what was drawn.
pub fn run(arguments: &BalanceArgs) -> Result<CliExitStatus> {
    let options = BalanceOptions {
        clusters: arguments.clusters.clone(),
        rounds: arguments.rounds,
        resampling: arguments.resampling,
        sample: arguments.sample,
        draw: arguments.draw,
        seed: arguments.seed,
        memory: usize::try_from(arguments.memory).unwrap_or(usize::MAX),
        ..BalanceOptions::new(&arguments.folder, arguments.target)
    };
    let stop = StopFlag::listen()?;
    let mut progress: Option<CliProgress> = None;
    let found = balance(&options, &mut |done, all, what| {
        let progress = progress.get_or_insert_with(|| CliProgress::new(all as u64, "rounds", arguments.json));
        progress.set(done as u64, what.to_owned());
        !stop.is_set()
    });
    if let Some(progress) = progress {
        progress.finish();
    }
    let found = found?;
    let table = arguments.folder.join(names::BALANCE);
    if arguments.json {
        out!(
            "{}",
            json!({
                "event": "balanced", "table": table.display().to_string(), "pictures": found.pictures,
                "drawn": found.drawn, "target": arguments.target, "clusters": found.clusters,
                "largest_before": found.before.0, "smallest_before": found.before.1,
                "largest_after": found.after.0, "smallest_after": found.after.1,
            })
        );
        return Ok(CliExitStatus::Done);
    }
    out!("{} of {} pictures drawn; table in {}", found.drawn, found.pictures, table.display());
    let clusters: Vec<String> = found.clusters.iter().rev().map(usize::to_string).collect();
    out!(
        "{} clusters from the coarsest; of those the largest held {} pictures and gives {}, the smallest {} and {}",
        clusters.join(" / "),
        found.before.0,
        found.after.0,
        found.before.1,
        found.after.1
    );
    Ok(CliExitStatus::Done)
}
