//! `dinoscope curate`: from a heap of pictures to a data set, in steps that each leave a Parquet file.

mod balance;
mod copies;
mod embed;
mod quality;
mod report;
mod retrieve;
mod step;

use anyhow::Result;
use dinoscope_curate::CurateError;

use super::status::CliExitStatus;
use super::terminal::note;

/// From a heap of pictures to a data set.
#[derive(clap::Subcommand)]
pub enum CurateCommand {
    /// Features, hashes and quality of every picture, once: DIR/embed.parquet.
    ///
    /// Features are kept by the content of files: a second run, one that was stopped or one over a heap that has grown does
    /// only what is missing.
    Embed(embed::EmbedArgs),
    /// Pictures that are too small, too long, blurred or dark are left out: DIR/quality.parquet.
    Quality(quality::QualityArgs),
    /// Which pictures are copies of each other, and of each the one that stays: DIR/copies.parquet.
    Copies(copies::CopiesArgs),
    /// As many pictures as are wanted, drawn evenly over what there is: DIR/balance.parquet.
    ///
    /// Clusters of clusters of features, of which each gives its share: what there is much of does not drown the rest.
    Balance(balance::BalanceArgs),
    /// Pictures that resemble those of a collection you have: DIR/retrieve.parquet.
    Retrieve(retrieve::RetrieveArgs),
    /// One page of what each step took and left, with histograms and examples: DIR/report.html.
    Report(report::ReportArgs),
}

/// Carries out a step.
pub fn run(command: CurateCommand) -> Result<CliExitStatus> {
    let done = match command {
        CurateCommand::Embed(arguments) => embed::run(&arguments),
        CurateCommand::Copies(arguments) => copies::run(&arguments),
        CurateCommand::Balance(arguments) => balance::run(&arguments),
        CurateCommand::Retrieve(arguments) => retrieve::run(&arguments),
        CurateCommand::Quality(arguments) => quality::run(&arguments),
        CurateCommand::Report(arguments) => report::run(&arguments),
    };
    match done {
        Err(error) if error.chain().any(|e| matches!(e.downcast_ref(), Some(CurateError::Stopped))) => {
            note!("stopped: what was done is kept, and the same command goes on");
            Ok(CliExitStatus::Interrupted)
        }
        done => done,
    }
}
