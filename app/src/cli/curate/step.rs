//! What the steps have in common on the command line.

use std::path::PathBuf;

use anyhow::Result;
use dinoscope_core::bytes;
use dinoscope_curate::{CurateError, Heard};

use crate::cli::interrupt::StopFlag;
use crate::cli::progress::CliProgress;

/// The folder of curation, and how a step speaks.
#[derive(Clone, clap::Args)]
pub struct CurateStepArgs {
    /// The folder of curation that `curate embed` has filled. A step reads the table of the last one before it that ran.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// One JSON object instead of words.
    #[arg(long)]
    pub json: bool,
}

/// Bounds of a search.
#[derive(Clone, clap::Args)]
pub struct CurateMemoryArgs {
    /// Memory that it may take: 500MB, 2GB.
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = bytes::parse)]
    memory: u64,
}

impl CurateMemoryArgs {
    /// In bytes.
    pub fn bytes(&self) -> usize {
        usize::try_from(self.memory).unwrap_or(usize::MAX)
    }
}

/// Carries out a step with its progress in `unit`, until it ends or Ctrl-C is pressed.
pub fn follow<T>(
    unit: &str,
    json: bool,
    step: impl FnOnce(Heard<'_>) -> Result<T, CurateError>,
) -> Result<T> {
    let stop = StopFlag::listen()?;
    let mut progress: Option<CliProgress> = None;
    let done = step(&mut |done, all, what| {
        let progress = progress.get_or_insert_with(|| CliProgress::new(all as u64, unit, json));
        progress.set(done as u64, what.to_owned());
        !stop.is_set()
    });
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(done?)
}

/// A bound on the command line, or `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionalBound<T>(pub Option<T>);

impl<T: std::str::FromStr> std::str::FromStr for OptionalBound<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => text
                .parse()
                .map(|bound| Self(Some(bound)))
                .map_err(|_| "expected a number, or off".to_owned()),
        }
    }
}
