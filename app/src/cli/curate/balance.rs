//! `dinoscope curate balance`.

use anyhow::Result;
use dinoscope_curate::{BalanceOptions, ClusterDraw, balance, names};
use serde_json::json;

use super::step::{CurateMemoryArgs, CurateStepArgs, follow};
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// As many pictures as are wanted, drawn evenly over what there is.
#[derive(clap::Args)]
pub struct BalanceArgs {
    #[command(flatten)]
    step: CurateStepArgs,
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
    #[command(flatten)]
    memory: CurateMemoryArgs,
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
        memory: arguments.memory.bytes(),
        ..BalanceOptions::new(&arguments.step.folder, arguments.target)
    };
    let found = follow("rounds", arguments.step.json, |heard| balance(&options, heard))?;
    let table = arguments.step.folder.join(names::BALANCE);
    if arguments.step.json {
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
