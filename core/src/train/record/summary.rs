//! The end of a run in one page and one picture, from what its folder holds.

use std::path::PathBuf;

use crate::files;

use crate::analysis::image_out::contact_sheet;
use crate::data::{Picture, decode::decode_file};
use crate::eval::Accuracy;
use crate::train::curves::{self, MetricsSummary};
use crate::train::figures;
use crate::train::film::frames;
use crate::train::health::{HealthLevel, diagnose};
use crate::train::improvement::{self, AccuracyChange};
use crate::train::metrics::Values;
use crate::train::metrics_lines::MetricsLine;
use crate::train::protocol::TrainJob;
use crate::train::recipe::Recipe;
use crate::train::report::{KnnRow, ReportChange, ReportSeries, RunReport, TimelapseFrame, VerdictLevel};
use crate::train::run::{RunError, RunFolder};
use crate::train::run_notes;
use crate::train::watch::{WatchFrameKind, neighbours};

/// Columns of the film strip between the pictures themselves and the attention at the end.
const FILM_COLUMNS: usize = 6;

/// `report.html` of a run.
///
/// # Errors
/// When the folder can't be read.
pub fn report(
    folder: &RunFolder,
    job: &TrainJob,
    iteration: u64,
    skipped: &[(String, String)],
) -> Result<String, RunError> {
    // The other figures of `metrics.jsonl` are inputs of the comparison.
    let keys: Vec<&str> = figures::keys().collect();
    let found = curves::of(folder, &keys)?;
    let series_of = |key: &&str| Some(ReportSeries::of_metric(key, found.curves.get(*key)?.points()));
    let series: Vec<ReportSeries> = keys.iter().filter_map(series_of).collect();
    let film: Vec<TimelapseFrame> = [WatchFrameKind::Pca, WatchFrameKind::Teacher, WatchFrameKind::Attention]
        .into_iter()
        .flat_map(|kind| film_frames(folder, kind))
        .collect();
    let began = beginning(&job.recipe);
    let knn = comparison(found.measured.as_ref(), "knn", began);
    let crops = comparison(found.crops.as_ref(), "crops", began);
    let change = before_and_after(folder, &job.recipe, &found);
    let health = diagnose(&values_of(found.last.as_ref()), &job.recipe, iteration);
    let tone = match health.level {
        HealthLevel::Fine => VerdictLevel::Fine,
        HealthLevel::Watch => VerdictLevel::Watch,
        HealthLevel::Wrong => VerdictLevel::Wrong,
    };
    let happened = run_notes::read(folder).into_iter().map(|(step, note)| format!("At step {step}: {note}"));
    let skipped = skipped.iter().map(|(name, reason)| format!("{name}: {reason}"));
    let warnings: Vec<String> = happened.chain(skipped).collect();
    let recipe = &job.recipe;
    let m = &recipe.model;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let facts = [
        fact("Model", format!("ViT, {} blocks, {} wide, patch {}", m.depth, m.dim, m.patch)),
        fact("Data", job.sources.description.clone()),
        fact("Steps", format!("{iteration} of {}, batch {}", recipe.train.iterations, recipe.train.batch)),
        fact("Device", job.device.name.clone()),
        fact("Seed", recipe.train.seed.to_string()),
    ];
    let name = folder.path().file_name().map(|n| n.to_string_lossy().into_owned());
    let page = RunReport {
        title: &name.unwrap_or_else(|| recipe.preset.clone()),
        verdict: Some((tone, &health.sentences.join(" "))),
        facts: &facts,
        series: &series,
        film: &film,
        knn: &knn,
        knn_note: "20 nearest neighbours on CLS features of held-out pictures.",
        crops: &crops,
        crops_note: "Pictures of which one crop finds the other by its CLS features among those of all pictures.",
        change: change.as_ref(),
        recipe_toml: &recipe.to_toml().map_err(|source| RunError::Recipe {
            path: folder.recipe_file().display().to_string(),
            source,
        })?,
        warnings: &warnings,
    };
    Ok(page.html())
}

/// The film strip: the watched pictures, their PCA from the first to the last step, their attention at the end.
/// `None` when there are no pictures.
pub fn film(folder: &RunFolder) -> Option<Picture> {
    let of = |kind| -> Vec<Picture> {
        let paths = frames(folder, kind);
        let chosen = if paths.len() > FILM_COLUMNS { FILM_COLUMNS } else { paths.len() };
        (0..chosen)
            .filter_map(|i| paths.get(i * (paths.len() - 1) / (chosen - 1).max(1)))
            .filter_map(|(_, path)| decode_file(path).ok())
            .collect()
    };
    let mut columns = of(WatchFrameKind::View);
    columns.truncate(1);
    columns.extend(of(WatchFrameKind::Pca));
    columns.extend(of(WatchFrameKind::Teacher).pop());
    columns.extend(of(WatchFrameKind::Attention).pop());
    contact_sheet(&columns.iter().collect::<Vec<_>>(), columns.len(), 6, [24, 24, 27]).ok()
}

fn film_frames(folder: &RunFolder, kind: WatchFrameKind) -> Vec<TimelapseFrame> {
    let label = match kind {
        WatchFrameKind::View => "The pictures",
        WatchFrameKind::Pca => "Principal components of the patch features",
        WatchFrameKind::Teacher => "The same of the frozen teacher",
        WatchFrameKind::Attention => "Attention of the class token",
    };
    frames(folder, kind)
        .into_iter()
        .filter_map(|(iteration, path)| {
            Some(TimelapseFrame { iteration, label: label.to_owned(), png: files::read(path).ok()? })
        })
        .collect()
}

fn values_of(line: Option<&MetricsLine>) -> Values {
    let values = line.into_iter().flat_map(|line| &line.values);
    values.map(|(k, v)| (k.clone(), v.unwrap_or(f64::NAN))).collect()
}

/// What a run's model is called before its first step.
fn beginning(recipe: &Recipe) -> &'static str {
    if recipe.start.weights.is_empty() { "untrained" } else { "as it began" }
}

/// The counts of an accuracy in a line.
fn accuracy(line: &MetricsLine, prefix: &str) -> Option<Accuracy> {
    let count =
        |what: &str| line.values.get(&format!("{prefix}_{what}")).copied().flatten().map(|v| v as usize);
    Some(Accuracy { correct: count("correct")?, total: count("total")? })
}

/// Trained against what it began as against raw pixels, from the first and the last time that they were measured.
fn comparison(measured: Option<&(MetricsLine, MetricsLine)>, prefix: &str, began: &str) -> Vec<KnnRow> {
    let row = |name: &str, line: &MetricsLine, prefix: &str, highlighted| {
        Some(KnnRow { name: name.to_owned(), accuracy: accuracy(line, prefix)?, highlighted })
    };
    let mut rows = Vec::new();
    if let Some((_, last)) = measured.filter(|(_, last)| last.iteration > 0) {
        rows.extend(row("trained", last, prefix, true));
    }
    if let Some((first, _)) = measured.filter(|(first, _)| first.iteration == 0) {
        rows.extend(row(began, first, prefix, false));
        rows.extend(row("raw pixels", first, &format!("{prefix}_raw_pixels"), false));
    }
    rows
}

/// The figures of before the first step and of the last time that they were measured.
fn change_of(measured: Option<&(MetricsLine, MetricsLine)>, prefix: &str) -> Option<AccuracyChange> {
    let (first, last) = measured.filter(|(first, last)| first.iteration == 0 && last.iteration > 0)?;
    let (before, after) = (accuracy(first, prefix)?, accuracy(last, prefix)?);
    Some(AccuracyChange { before, after, steps: last.iteration })
}

/// Pictures of a run's first moment and of its newest, under a title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeforeAfterPictures {
    /// What is compared.
    pub title: String,
    /// What each shows, and where it lies.
    pub pictures: Vec<(String, PathBuf)>,
}

/// The watched pictures and the neighbours of a few at a run's first moment and at its newest; nothing of what there is
/// only one moment of.
pub fn before_and_after_pictures(folder: &RunFolder, recipe: &Recipe) -> Vec<BeforeAfterPictures> {
    type Moment = (u64, PathBuf);
    let ends = |files: Vec<Moment>| {
        let (first, last) = (files.first()?.clone(), files.last()?.clone());
        (first.0 == 0 && last.0 > 0).then_some([first, last])
    };
    let caption = |step: u64| match step {
        0 => beginning(recipe).to_owned(),
        step => format!("after {step} steps"),
    };
    let view = frames(folder, WatchFrameKind::View).into_iter().next_back();
    let kinds = [
        ("Principal components of the watched pictures", view, frames(folder, WatchFrameKind::Pca)),
        ("Nearest neighbours of a few pictures, the nearest first", None, neighbours::files(folder)),
    ];
    let pair = |(title, view, files): (&str, Option<Moment>, Vec<Moment>)| {
        let shown = view.map(|(_, path)| ("the pictures".to_owned(), path)).into_iter();
        let pictures = shown.chain(ends(files)?.map(|(step, path)| (caption(step), path))).collect();
        Some(BeforeAfterPictures { title: title.to_owned(), pictures })
    };
    kinds.into_iter().filter_map(pair).collect()
}

/// What a run has changed, in figures and pictures. `None` where there is only one moment.
fn before_and_after(folder: &RunFolder, recipe: &Recipe, found: &MetricsSummary) -> Option<ReportChange> {
    let crops = change_of(found.crops.as_ref(), "crops");
    let knn = change_of(found.measured.as_ref(), "knn");
    let told = crops.filter(|_| improvement::is_told(recipe));
    let read = |(caption, path): (String, PathBuf)| Some((caption, files::read(path).ok()?));
    let pairs: Vec<_> = before_and_after_pictures(folder, recipe)
        .into_iter()
        .map(|row| (row.title, row.pictures.into_iter().filter_map(read).collect()))
        .collect();
    let named = |name: &str, change: Option<AccuracyChange>| Some((name.to_owned(), change?));
    let figures: Vec<(String, AccuracyChange)> =
        [named("Crop retrieval", crops), named("k-NN accuracy", knn)].into_iter().flatten().collect();
    (!pairs.is_empty() || !figures.is_empty()).then(|| ReportChange {
        sentence: told.map(|crops| improvement::sentence(&crops, knn.as_ref())),
        figures,
        pairs,
    })
}
