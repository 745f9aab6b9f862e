//! `cargo xtask fuzz`: readers of what comes from outside are given files that were changed at random.

use anyhow::Result;

use crate::here::{Here, PROGRAM, TESTED};
use crate::{lint, run};

/// Seconds for each reader where nobody says otherwise.
const SECONDS: &str = "60";
/// What a picture may take, in MiB: with a gigabyte most of the time goes into empty memory.
const PICTURE: (&str, &str) = ("DINOSCOPE_MAX_PICTURE_MIB", "32");

/// Builds the program and runs it; `options` are names of readers and those of `fuzz --help`. Whether no reader panicked.
///
/// # Errors
/// When it does not compile or can't be started.
pub fn run(here: &Here, options: &[String]) -> Result<bool> {
    let mut build = here.cargo(&["build", "--profile", TESTED, "--bin", "fuzz"]);
    build.args(PROGRAM);
    lint::while_compiling(&mut build, here)?;
    run::run(&mut build)?;
    let mut fuzz = here.command(here.tested("fuzz"));
    fuzz.args(options).arg("--out").arg(here.target.join("fuzz"));
    let says =
        |name: &str| options.iter().any(|option| option == name || option.starts_with(&format!("{name}=")));
    if !says("--seconds") && !says("--executions") {
        fuzz.args(["--seconds", SECONDS]);
    }
    if std::env::var_os(PICTURE.0).is_none() {
        fuzz.env(PICTURE.0, PICTURE.1);
    }
    run::listen(&mut fuzz, |_| {})
}
