//! `dinoscope curate report`.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_curate::{CurationReportOptions, names, report};
use serde_json::json;

use super::step::{CurateStepArgs, follow};
use crate::cli::status::CliExitStatus;
use crate::cli::terminal::out;

/// One page of what each step took and left.
#[derive(clap::Args)]
pub struct ReportArgs {
    #[command(flatten)]
    step: CurateStepArgs,
    /// Where the page goes [default: DIR/report.html].
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Pictures of each kind of example; 0 for a page without pictures.
    #[arg(long, value_name = "N", default_value_t = CurationReportOptions::EXAMPLES)]
    examples: usize,
}

/// Writes it, and says where it is.
pub fn run(arguments: &ReportArgs) -> Result<CliExitStatus> {
    let page = arguments.out.clone().unwrap_or_else(|| arguments.step.folder.join(names::REPORT));
    let options = CurationReportOptions {
        examples: arguments.examples,
        ..CurationReportOptions::new(&arguments.step.folder, &page)
    };
    let written = follow("rows", arguments.step.json, |heard| report(&options, heard))?;
    if arguments.step.json {
        out!(
            "{}",
            json!({
                "event": "reported", "page": page.display().to_string(), "steps": written.steps,
                "pictures": written.pictures, "kept": written.kept, "bytes": written.bytes,
            })
        );
    } else {
        let steps = written.steps.join(", ");
        out!(
            "{} of {} pictures stay after {steps}; the report is in {}",
            written.kept,
            written.pictures,
            page.display()
        );
    }
    Ok(CliExitStatus::Done)
}
