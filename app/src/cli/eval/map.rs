//! `dinoscope eval map`: features as points in the plane, as a picture and as a page to move about in.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dinoscope_core::analysis::write_atomic;
use dinoscope_core::device::block_on;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::embedding::{
    self, ProjectionResult, ProjectionTask, ReductionMethod, SpriteSheet, TsneOptions,
};
use dinoscope_core::eval::suite::EvalContext;

use super::collection::ImageSetArgs;
use super::data::{EvalModelArgs, EvalProgressBars, fault};
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// A map of features.
#[derive(clap::Args)]
pub struct ProjectionArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: ImageSetArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// The two principal components instead of t-SNE: quick, but groups overlap.
    #[arg(long, conflicts_with_all = ["perplexity", "steps"])]
    pca: bool,
    /// About how many neighbours each picture of a t-SNE looks at.
    #[arg(long, default_value_t = TsneOptions::default().perplexity)]
    perplexity: f64,
    /// Steps of t-SNE.
    #[arg(long, default_value_t = TsneOptions::default().steps)]
    steps: usize,
    /// Writes the map as one HTML file, with small pictures, to open in a browser [default: map.html in --out].
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// Makes the map and shows it.
pub fn run(arguments: &ProjectionArgs) -> Result<CliExitStatus> {
    let ProjectionArgs { model, pictures, output, .. } = arguments;
    let way = if arguments.pca {
        ReductionMethod::Pca
    } else {
        ReductionMethod::Tsne(TsneOptions {
            perplexity: arguments.perplexity,
            steps: arguments.steps,
            seed: model.seed,
        })
    };
    let opened = model.open(output.json)?;
    let task = ProjectionTask { source: pictures.open(model.seed, opened.channels())?, way };
    let mut bars = EvalProgressBars::new(output.json);
    let context =
        EvalContext { backbone: &opened.backbone, options: &opened.options, device: &opened.chosen.device };
    let mapped = block_on(embedding::map(&context, &task, &mut async |at| bars.on_progress(at)));
    drop(bars);
    let ProjectionResult { outcome, maps } = mapped.map_err(fault)?;
    let map = maps.map;
    let status = show(&outcome, EvaluationKind::Map, output)?;
    if let Some(folder) = &output.out {
        keep(&folder.join("map-points.json"), &serde_json::to_vec(&map)?, output.json)?;
    }
    let Some(path) = arguments.page.clone().or_else(|| Some(output.out.as_ref()?.join("map.html"))) else {
        return Ok(status);
    };
    let sprites = SpriteSheet::of(task.source.as_ref(), &map.pictures);
    let named = model.weights.file_name().unwrap_or(model.weights.as_os_str());
    let title = format!("Features of {}", named.to_string_lossy());
    let page = embedding::page(&map, &sprites, &title, &outcome.data)?;
    keep(&path, page.as_bytes(), output.json)?;
    Ok(status)
}

/// Writes a file and says so, but for those who read JSON.
fn keep(path: &Path, bytes: &[u8], json: bool) -> Result<()> {
    write_atomic(path, bytes)?;
    if !json {
        out!("written: {}", path.display());
    }
    Ok(())
}
