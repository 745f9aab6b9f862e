//! What an evaluation found, on the terminal, as JSON and in files.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::analysis::write_atomic;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::outcome::EvalReport;

use crate::cli::UsageError;
use crate::cli::status::{CliExitStatus, FailedInputs};
use crate::cli::terminal::{out, out_part};

/// Where the outcome goes.
#[derive(clap::Args)]
pub struct EvalOutputArgs {
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Writes the outcome as JSON, and the pictures that come with it, into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Shows the outcome of an evaluation; what was left out is named on standard error, and part of the JSON.
pub fn show(outcome: &EvalReport, kind: EvaluationKind, output: &EvalOutputArgs) -> Result<CliExitStatus> {
    // The JSON is one object, which holds them.
    let mut failed = FailedInputs::new(false);
    outcome.left_out.iter().for_each(|left| failed.add(&left.input, &left.reason));
    if output.json {
        out!("{}", serde_json::to_string(outcome)?);
    } else {
        out_part!("{}", table(outcome));
    }
    for path in write(outcome, kind.id(), output)? {
        if !output.json {
            out!("written: {}", path.display());
        }
    }
    Ok(failed.status())
}

/// Title, data, a line for each row with its columns aligned, notes.
fn table(outcome: &EvalReport) -> String {
    let lines: Vec<Vec<String>> = outcome
        .rows
        .iter()
        .map(|row| {
            let figures = row.figures.iter().map(|figure| format!("{} {}", figure.name, figure.text()));
            [row.subject.clone(), row.setting.clone()].into_iter().chain(figures).collect()
        })
        .collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = format!("{}: {}\n", outcome.title, outcome.data);
    for line in &lines {
        let cells = line.iter().zip(&widths).filter(|(_, width)| **width > 0);
        let cells: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    let left_out = match outcome.left_out.len() {
        0 => None,
        1 => Some("1 picture is left out".to_owned()),
        count => Some(format!("{count} pictures are left out")),
    };
    for note in outcome.notes.iter().chain(&left_out) {
        text.push_str(note);
        text.push('\n');
    }
    text
}

/// `NAME.json` and `NAME-<picture>.png`; where they are.
fn write(outcome: &EvalReport, name: &str, output: &EvalOutputArgs) -> Result<Vec<PathBuf>> {
    let Some(folder) = &output.out else { return Ok(Vec::new()) };
    std::fs::create_dir_all(folder)
        .map_err(|e| UsageError(format!("can't make the folder {}: {e}", folder.display())))?;
    let mut written = vec![folder.join(format!("{name}.json"))];
    write_atomic(&written[0], &serde_json::to_vec_pretty(outcome)?)?;
    for shown in &outcome.pictures {
        let path = folder.join(format!("{name}-{}.png", shown.name));
        write_png(&path, &shown.picture)?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dinoscope_core::data::Picture;
    use dinoscope_core::eval::Accuracy;
    use dinoscope_core::eval::outcome::{
        CaptionedPicture, EvalMetric, EvalMetricUnit, EvalTableRow, UnusableInput,
    };

    use super::*;

    fn outcome() -> EvalReport {
        let row = |subject: &str, setting: &str, figure: EvalMetric| EvalTableRow {
            subject: subject.to_owned(),
            setting: setting.to_owned(),
            figures: vec![figure],
        };
        EvalReport {
            title: "Nearest neighbours".to_owned(),
            data: "3 pictures".to_owned(),
            rows: vec![
                row("weights", "k 20", EvalMetric::accuracy("top-1", Accuracy { correct: 8, total: 10 })),
                row("raw pixels", "", EvalMetric::plain("RMSE", 0.5, EvalMetricUnit::Less)),
            ],
            pictures: vec![CaptionedPicture {
                name: "confusion".to_owned(),
                caption: "What is taken for what.".to_owned(),
                picture: Picture::of_rgb(2, 1, vec![0, 1, 2, 3, 4, 5]),
                kept: Vec::new(),
            }],
            notes: vec!["chosen by hand".to_owned()],
            left_out: vec![UnusableInput { input: "a.png".to_owned(), reason: "broken".to_owned() }],
        }
    }

    #[test]
    fn columns_are_aligned_and_notes_come_last() {
        let wanted = "Nearest neighbours: 3 pictures\n\
                      weights      k 20   top-1 80.0 % (49.0–94.3)\n\
                      raw pixels          RMSE 0.500\n\
                      chosen by hand\n\
                      1 picture is left out\n";
        assert_eq!(table(&outcome()), wanted);
        let mut without = outcome();
        without.rows.iter_mut().for_each(|row| row.setting.clear());
        assert!(table(&without).contains("\nweights      top-1 80"), "{}", table(&without));
    }

    #[test]
    fn files_hold_the_outcome_and_its_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new");
        let output = EvalOutputArgs { json: true, out: Some(out.clone()) };
        let written = write(&outcome(), "knn", &output).unwrap();
        assert_eq!(written, [out.join("knn.json"), out.join("knn-confusion.png")]);
        let back: EvalReport = serde_json::from_slice(&std::fs::read(&written[0]).unwrap()).unwrap();
        assert_eq!((back.title, back.rows.len()), (outcome().title, 2));
        assert_eq!(back.left_out, outcome().left_out);
        assert_eq!(back.rows[0].figures[0].text(), "80.0 % (49.0–94.3)");
        assert_eq!(image::open(&written[1]).unwrap().to_rgb8().into_raw(), [0, 1, 2, 3, 4, 5]);
        assert!(write(&outcome(), "knn", &EvalOutputArgs { json: false, out: None }).unwrap().is_empty());
    }
}
