//! `dinoscope curate retrieve`.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_core::bytes;
use dinoscope_curate::{RetrievalMethod, RetrievalOptions, names, retrieve};
use serde_json::json;

use super::embed::embed_beside;
use crate::cli::interrupt::StopFlag;
use crate::cli::progress::CliProgress;
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// Pictures of the heap that resemble those of a collection.
#[derive(clap::Args)]
pub struct RetrieveArgs {
    /// The folder of curation. Pictures that `curate copies` has left are looked through where it ran, all of them else.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
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
    /// Memory that it may take: 500MB, 2GB.
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = bytes::parse)]
    memory: u64,
    /// auto, cpu, gpu or gpu:N, for the queries [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// Finds pictures, and says what was found.
pub fn run(arguments: &RetrieveArgs) -> Result<CliExitStatus> {
    let where_to = (arguments.folder.as_path(), names::QUERIES);
    let failed = embed_beside(&arguments.query, where_to, arguments.device.as_deref(), arguments.json)?;
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
        folder: arguments.folder.clone(),
        method,
        rounds: 50,
        seed: arguments.seed,
        memory: usize::try_from(arguments.memory).unwrap_or(usize::MAX),
    };
    let stop = StopFlag::listen()?;
    let mut progress: Option<CliProgress> = None;
    let found = retrieve(&options, &mut |done, all, what| {
        let progress = progress.get_or_insert_with(|| CliProgress::new(all as u64, what, arguments.json));
        progress.set(done as u64, String::new());
        !stop.is_set()
    });
    if let Some(progress) = progress {
        progress.finish();
    }
    let found = found?;
    let table = arguments.folder.join(names::RETRIEVE);
    if arguments.json {
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
