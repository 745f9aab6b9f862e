//! The last step: one page of what each step took and left, with histograms before and after, and examples at each bound.
//!
//! Tables are read piece by piece, twice where examples need it, and the number of pictures on the page is bounded: what it takes
//! does not grow with the heap but for a few bytes for each picture.

mod counts;
mod examples;
mod histogram;
mod page;
mod thumbnails;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use dinoscope_base::files;

use crate::steps::CurationStep;
use crate::table::{CurationTable, file_digest};
use crate::{CurateError, Heard, names};
use counts::StepCounts;
use examples::ExampleChoice;
use histogram::{CurationHistogram, HistogramScale};
use page::{CurationPage, StepSection};
use thumbnails::PageThumbnails;

/// What is reported, and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct CurationReportOptions {
    /// The folder of curation.
    pub folder: PathBuf,
    /// The page.
    pub page: PathBuf,
    /// Pictures of each kind of example.
    pub examples: usize,
}

impl CurationReportOptions {
    /// Pictures of each kind of example: a row or two of the page.
    pub const EXAMPLES: usize = 10;
    /// More make no page that opens everywhere.
    const MOST: usize = 100;

    /// The usual ones.
    pub fn new(folder: impl Into<PathBuf>, page: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), page: page.into(), examples: Self::EXAMPLES }
    }
}

/// What was reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CurationReportSummary {
    /// The steps that are on the page.
    pub steps: Vec<String>,
    /// Pictures of the heap.
    pub pictures: usize,
    /// Those that stay after the last step.
    pub kept: usize,
    /// Length of the page.
    pub bytes: usize,
}

/// Writes the page.
///
/// # Errors
/// When there is no table of [`embed`](crate::embed()), a table is damaged or was made from another one, the page can't be
/// written, or whoever listens says stop.
pub fn report(
    options: &CurationReportOptions,
    heard: Heard<'_>,
) -> Result<CurationReportSummary, CurateError> {
    if options.examples > CurationReportOptions::MOST {
        let (asked, most) = (options.examples, CurationReportOptions::MOST);
        return Err(CurateError::Option(format!("--examples {asked}: give {most} at most")));
    }
    let embedded = options.folder.join(names::EMBED);
    if !files::exists(&embedded) {
        let reason = "there is no such table: `dinoscope curate embed PICTURES --out` makes it";
        return Err(CurateError::unfit(&embedded, reason));
    }
    let mut usable = Vec::new();
    let made = CurationTable::visit(&embedded, &mut |_, rows| {
        usable.extend(rows.iter().map(|row| row.unreadable.is_none() && row.kept != Some(false)));
        Ok(())
    })?
    .made;
    // Retrieval and balance stand beside each other behind the others.
    let (mut steps, mut warnings) = (Vec::new(), Vec::new());
    let (mut before, mut stood) = (embedded.clone(), usable.clone());
    for step in CurationStep::ALL {
        let path = options.folder.join(step.table());
        if !files::exists(&path) {
            continue;
        }
        if CurationTable::origin(&path)? != Some(file_digest(&before)?) {
            let (name, older) = (step.name(), before.display());
            warnings.push(format!(
                "{name} is not on this page: its table was made before {older}. Run it again."
            ));
            continue;
        }
        let section = read_step(step, &path, &stood, options.examples, heard)?;
        if step < CurationStep::Retrieve {
            (before, stood) = (path, section.counts.stays.clone());
        }
        steps.push(section);
    }
    let kept = steps.last().map_or(&stood, |step| &step.counts.stays);
    let measures = measures(&embedded, &usable, kept, &steps)?;
    let title = options.folder.file_name().map_or_else(|| "Curation".into(), |name| name.to_string_lossy());
    let page = CurationPage {
        title: &title,
        made: made.as_deref().unwrap_or_default(),
        pictures: (usable.len(), usable.iter().filter(|usable| **usable).count()),
        steps: &steps,
        measures: &measures,
        warnings: &warnings,
    };
    let html = page.html(&mut PageThumbnails::default());
    files::write_and_rename(&options.page, &html).map_err(CurateError::file(&options.page))?;
    Ok(CurationReportSummary {
        steps: steps.iter().map(|step| step.counts.step.name().to_owned()).collect(),
        pictures: usable.len(),
        kept: kept.iter().filter(|kept| **kept).count(),
        bytes: html.len(),
    })
}

fn read_step(
    step: CurationStep,
    path: &Path,
    stood: &[bool],
    most: usize,
    heard: Heard<'_>,
) -> Result<StepSection, CurateError> {
    let settings = CurationTable::visit(path, &mut |_, _| Ok(()))?.settings;
    let mut choice = ExampleChoice::new(step, settings, most);
    let counts = StepCounts::read(step, path, stood, &mut |at, row, stays| {
        choice.look(at, row, stays);
        let goes_on = !at.is_multiple_of(4096) || heard(at, stood.len(), step.name());
        if goes_on { Ok(()) } else { Err(CurateError::Stopped) }
    })?;
    let mut chosen = choice.end(&counts);
    if chosen.is_open() {
        let wanted: HashSet<usize> = chosen.wanted().into_iter().collect();
        CurationTable::visit(path, &mut |first, rows| {
            for (at, row) in (first..).zip(rows.iter()).filter(|(at, _)| stood[*at]) {
                chosen.look(at, row, counts.stays[at], wanted.contains(&at));
            }
            Ok(())
        })?;
    }
    let examples = chosen.end(&counts);
    Ok(StepSection { counts, examples })
}

/// Measures of all pictures, and of those that stay.
fn measures(
    embedded: &Path,
    usable: &[bool],
    kept: &[bool],
    steps: &[StepSection],
) -> Result<Vec<CurationHistogram>, CurateError> {
    let bound = |name: &str| {
        let quality = steps.iter().find(|step| step.counts.step == CurationStep::Quality)?;
        quality.counts.setting(name)
    };
    let of = |about, scale, range, name| {
        let mut histogram = CurationHistogram::new(about, scale, range, 48);
        histogram.bound = bound(name);
        histogram
    };
    let mut all = vec![
        of(("Shorter side", "In pixels."), HistogramScale::Log, (16.0, 4096.0), "min_side"),
        of(("Shape", "The longer side by the shorter one."), HistogramScale::Log, (1.0, 8.0), "max_aspect"),
        of(
            ("Sharpness", "Variance of the Laplacian: low where a picture is blurred or plain."),
            HistogramScale::Log,
            (1.0, 16_384.0),
            "min_blur",
        ),
        of(("Darkness", "1 where all of it is black."), HistogramScale::Linear, (0.0, 1.0), "max_darkness"),
    ];
    CurationTable::visit(embedded, &mut |first, rows| {
        for (at, row) in (first..).zip(rows.iter()).filter(|(at, _)| usable[*at]) {
            let stays = kept.get(at).copied().unwrap_or(false);
            let (width, height) = (row.width.unwrap_or(0) as f32, row.height.unwrap_or(0) as f32);
            let (short, long) = (width.min(height), width.max(height));
            let values = [Some(short), Some(long / short.max(1.0)), row.blur, row.darkness];
            all.iter_mut().zip(values).for_each(|(histogram, value)| histogram.count(value, stays));
        }
        Ok(())
    })?;
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
