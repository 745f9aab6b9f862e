//! Pictures to crops: one worker by itself, and as many as the machine has threads.

use std::sync::Arc;

use serde_json::json;
use web_time::Instant;

use super::measure::{BenchMeasurement, BenchRunner, TimingStats};
use super::row::{BenchResult, BenchWorkload};
use super::{BenchError, BenchSizes};
use crate::data::augment::CropRecipe;
use crate::data::loader::DataLoader;
use crate::data::source::PictureSource;
use crate::data::source::scenes::ScenesSource;
use crate::train::Recipe;
use crate::train::preparation::crop_recipe;
use crate::train::sources::open_path;

/// Pictures that are drawn where no folder is given.
const SCENES: usize = 64;
/// Pictures in a batch.
const BATCH: usize = 4;

/// Measures the official recipe's ten crops (two of 224 pixels, eight of 98) of the pictures in a folder, or of scenes,
/// which are drawn on the way.
///
/// # Errors
/// When the folder has no pictures, or not one of them can be read.
pub fn run(sizes: &BenchSizes, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let recipe = crop_recipe(&Recipe::preset("vitl14").map_err(BenchError::Recipe)?);
    let source = open(sizes)?;
    let name = |path: &std::path::PathBuf| path.display().to_string();
    let data = sizes.data.as_ref().map_or_else(|| "scenes of 256 pixels".to_owned(), name);
    let what = format!("2 × {} + {} × {} from {data}", recipe.global_size, recipe.locals, recipe.local_size);

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut ways = vec![("one worker", 1)];
    if threads > 1 && !bench.first_only {
        ways.push(("a worker a thread", threads));
    }
    let mut rows = Vec::new();
    let mut first = None;
    for (way, workers) in ways {
        let seconds = TimingStats::of(&measure(&source, &recipe, sizes.loader_seconds, workers, bench)?);
        let ratio = seconds.median / *first.get_or_insert(seconds.median);
        let detail = json!({
            "global_size": recipe.global_size, "local_size": recipe.local_size, "locals": recipe.locals,
            "pictures": source.len(), "workers": workers,
        });
        let measured = BenchMeasurement { way, seconds, ratio, memory: None };
        let work = BenchWorkload { images: 1, ..BenchWorkload::default() };
        rows.push(BenchResult::new("loader", what.clone(), detail, measured, work, bench));
    }
    Ok(rows)
}

/// Seconds per picture of each run.
fn measure(
    source: &Arc<dyn PictureSource>,
    recipe: &CropRecipe,
    seconds: f64,
    workers: usize,
    bench: &mut BenchRunner,
) -> Result<Vec<f64>, BenchError> {
    let mut loader = DataLoader::start(source.clone(), recipe.clone(), BATCH, 0, 0, workers);
    // What was made ahead of time, while nobody looked at the clock, is not what is made per second.
    let mut next = || loader.next().map(drop).map_err(BenchError::Data);
    for _ in 0..4 * workers {
        next()?;
    }
    let mut each = Vec::new();
    while bench.pace.more(&each) {
        let (start, mut images) = (Instant::now(), 0);
        while images == 0 || start.elapsed().as_secs_f64() < seconds {
            for _ in 0..workers {
                next()?;
                images += BATCH;
            }
        }
        each.push(start.elapsed().as_secs_f64() / images as f64);
    }
    Ok(each)
}

fn open(sizes: &BenchSizes) -> Result<Arc<dyn PictureSource>, BenchError> {
    Ok(match &sizes.data {
        Some(path) => open_path(path, false).map_err(BenchError::Data)?,
        None => Arc::new(ScenesSource::new(0, SCENES, 256)),
    })
}
