//! `cargo xtask parity`: the model and its objective against the reference implementation's numbers.

use std::path::Path;

use anyhow::Result;

use crate::here::{Here, PROGRAM, TESTED};
use crate::tally::{Runner, Tally};
use crate::{lint, run};

/// Builds the program that compares.
///
/// # Errors
/// When it does not compile.
pub fn build(here: &Here) -> Result<()> {
    let mut command = here.cargo(&["build", "--profile", TESTED, "--bins"]);
    command.args(PROGRAM);
    lint::while_compiling(&mut command, here)?;
    run::run(&mut command)
}

/// Compares all cases below `folder`, which counts from the root of the repository.
///
/// # Errors
/// When the program cannot be started.
pub fn compare(here: &Here, folder: &Path, device: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut command = here.command(here.tested("parity"));
    let passed =
        run::listen(command.arg(folder).args(["--device", device]), |line| tally.hear(Runner::Plain, line))?;
    if !passed && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}
