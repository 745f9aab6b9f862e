//! `dinoscope curate retrieve`.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_curate::{RetrievalMethod, RetrievalOptions, names, retrieve};
use serde_json::json;

use super::embed::embed_beside;
use super::step::{CurateMemoryArgs, CurateStepArgs, follow};
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// Pictures of the heap that resemble those of a collection.
#[derive(clap::Args)]
pub struct RetrieveArgs {
    #[command(flatten)]
    step: CurateStepArgs,
    /// What is looked for: a folder, list or archive of pictures. Given again, all of them.
    #[arg(long, value_name = "PICTURES", required = true)]
    query: Vec<PathBuf>,
    /// So many nearest pictures of every query. Many more than the paper's 4 find the same ones again.
    #[arg(long, value_name = "N", default_value_t = 4)]
    neighbours: usize,
    /// In place of neighbours: the heap in so many clusters, and pictures of those that queries fall into. For few queries.
    #[arg(long, value_name = "N", conflicts_with = "neighbours")]
    clusters: Option<usize>,
    /// Queries that must fall into a cluster.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "clusters")]
    least: usize,
    /// Pictures of each cluster at most.
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "clusters")]
    each: usize,
    /// Pictures in all at most.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, requires = "clusters")]
    cap: usize,
    /// Seed of clusters, and of what is drawn from them.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    memory: CurateMemoryArgs,
    /// auto, cpu, gpu or gpu:N, for the queries [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
}

/// Finds pictures, and says what was found.
pub fn run(arguments: &RetrieveArgs) -> Result<CliExitStatus> {
    let where_to = (arguments.step.folder.as_path(), names::QUERIES);
    let failed = embed_beside(&arguments.query, where_to, arguments.device.as_deref(), arguments.step.json)?;
    let method = match arguments.clusters {
        None => RetrievalMethod::Sample { neighbours: arguments.neighbours },
        Some(clusters) => RetrievalMethod::Cluster {
            clusters,
            least: arguments.least,
            each: arguments.each,
            cap: arguments.cap,
        },
    };
    let options = RetrievalOptions {
        folder: arguments.step.folder.clone(),
        method,
        rounds: 50,
        seed: arguments.seed,
        memory: arguments.memory.bytes(),
    };
    let unit = if arguments.clusters.is_some() { "rounds" } else { "queries" };
    let found = follow(unit, arguments.step.json, |heard| retrieve(&options, heard))?;
    let table = arguments.step.folder.join(names::RETRIEVE);
    if arguments.step.json {
        out!(
            "{}",
            json!({
                "event": "retrieved", "table": table.display().to_string(), "pictures": found.pictures,
                "queries": found.queries, "found": found.found, "collisions": found.collisions,
                "clusters": found.clusters,
            })
        );
    } else {
        out!(
            "{} of {} pictures found for {} queries; table in {}",
            found.found,
            found.pictures,
            found.queries,
            table.display()
        );
        match arguments.clusters {
            None => out!("{} finds were of a picture that another query had found", found.collisions),
            Some(_) => out!("{} clusters gave pictures", found.clusters),
        }
    }
    Ok(failed.status())
}
