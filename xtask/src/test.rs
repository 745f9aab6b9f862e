//! `cargo xtask test`: everything a change has to pass, in stages, with one count at the end.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::here::{Here, PROGRAM, TESTED, XTASK};
use crate::run;
use crate::tally::{Runner, Tally};
use crate::{deny, install, interop, lint, lock, parity, tools, web};

/// A part of the test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Formatting.
    Fmt,
    /// Lock file, spelling, clippy; what the next stage needs is compiled meanwhile.
    Lint,
    /// Licences, sources and known weaknesses of the dependencies; whether our own packages can be packed for crates.io.
    Deny,
    /// Tests of all crates on this machine.
    Native,
    /// The reference's numbers.
    Parity,
    /// The page in a browser.
    Web,
    /// Converted weights in other programs; runs only if it is named.
    Interop,
}

impl Stage {
    const ALL: [Self; 7] =
        [Self::Fmt, Self::Lint, Self::Deny, Self::Native, Self::Parity, Self::Web, Self::Interop];

    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Lint => "lint",
            Self::Deny => "deny",
            Self::Native => "native",
            Self::Parity => "parity",
            Self::Web => "web",
            Self::Interop => "interop",
        }
    }

    /// Whether it runs when no stages are named.
    fn is_usual(self) -> bool {
        self != Self::Interop
    }

    /// The stages named in `only` (`fmt,lint`), in the order in which they run; the usual ones without it.
    ///
    /// # Errors
    /// Names a stage that does not exist.
    pub fn choose(only: Option<&str>) -> Result<Vec<Self>> {
        let Some(only) = only else {
            return Ok(Self::ALL.into_iter().filter(|stage| stage.is_usual()).collect());
        };
        let names: Vec<&str> = only.split(',').map(str::trim).collect();
        if let Some(name) = names.iter().find(|name| !Self::ALL.iter().any(|stage| stage.name() == **name)) {
            bail!("no stage is called {name:?}; there are fmt, lint, deny, native, parity, web and interop");
        }
        Ok(Self::ALL.into_iter().filter(|stage| names.contains(&stage.name())).collect())
    }

    /// Does the work, as one of `stages`; what went wrong outside a counted case is an error.
    fn run(self, here: &Here, stages: &[Self]) -> Result<Tally> {
        match self {
            Self::Fmt => run::run(&mut here.cargo(&["fmt", "--all", "--check"])).map(|()| Tally::default()),
            Self::Lint => lint(here, stages.contains(&Self::Native)).map(|()| Tally::default()),
            Self::Deny => deny::check(here).map(|()| Tally::default()),
            Self::Native => native(here),
            Self::Parity => {
                parity::build(here)?;
                parity::compare(here, "tests/fixtures".as_ref(), "cpu")
            }
            Self::Web => page(here),
            Self::Interop => interop::check(here, None),
        }
    }
}

/// Runs the stages, all of them even if one fails, and prints the count. True if everything passed.
///
/// # Errors
/// Never by itself: a stage that cannot run counts as failed.
pub fn run(here: &Here, stages: &[Stage]) -> Result<bool> {
    let mut total = Tally::default();
    let mut report = Vec::new();
    for stage in stages {
        println!("\n== {}", stage.name());
        let start = Instant::now();
        let result = stage.run(here, stages);
        let time = start.elapsed().as_secs_f64();
        let mut tally = *result.as_ref().unwrap_or(&Tally::default());
        if let Err(error) = &result {
            println!("error: {error:#}");
            tally.failed += 1;
        }
        let word = if tally.failed == 0 { "ok" } else { "FAILED" };
        let line = format!("{:<7} {word:<6} {time:>7.1} s   {tally}", stage.name());
        println!("-- {line}");
        report.push(line);
        total += tally;
    }
    println!("\n== summary");
    report.iter().for_each(|line| println!("{line}"));
    println!("\n{total}");
    Ok(total.failed == 0)
}

/// `compiles`: whether the tests are compiled anyway.
fn lint(here: &Here, compiles: bool) -> Result<()> {
    lock::check(here)?;
    match tools::typos(here) {
        Ok(typos) => run::run(&mut here.command(typos))?,
        Err(error) if here.ci => return Err(error),
        Err(error) => println!("spelling not checked: {error:#} (`cargo install typos-cli`)"),
    }
    if compiles {
        // In the order and with the flags of the next stage, which finds everything compiled.
        parity::build(here)?;
        return [&PROGRAM[..], &XTASK]
            .into_iter()
            .try_for_each(|packages| run::run(test_command(here, packages)?.0.arg("--no-run")));
    }
    for packages in [&PROGRAM[..], &XTASK] {
        let mut clippy = here.cargo(&["clippy", "--profile", TESTED, "--all-targets", "--keep-going"]);
        run::run(clippy.args(packages).args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// Builds the programs first, because tests run them as a person would.
fn native(here: &Here) -> Result<Tally> {
    if let Err(error) = install::vulkan(here) {
        println!("software Vulkan not tested: {error:#}");
    }
    if let Err(error) = install::display(here) {
        println!("the studio's window not tested: {error:#}");
    }
    let mpich = install::mpi(here)?;
    parity::build(here)?;
    let mut tally = tests(here, &PROGRAM, mpich.as_deref())?;
    tally += tests(here, &XTASK, None)?;
    Ok(tally)
}

/// The command that tests these packages, and what will tell of it.
fn test_command(here: &Here, packages: &[&str]) -> Result<(Command, Runner)> {
    let nextest = install::which("cargo-nextest").is_some();
    let (runner, arguments): (_, &[&str]) = if nextest {
        (Runner::Nextest, &["nextest", "run", "--cargo-profile", TESTED])
    } else {
        (Runner::Cargo, &["test", "--profile", TESTED, "--lib", "--bins", "--tests"])
    };
    let mut command = here.cargo(arguments);
    command.args(packages);
    lint::while_compiling(&mut command, here)?;
    Ok((command, runner))
}

/// `mpich`: where tests find the MPI that was installed for them.
fn tests(here: &Here, packages: &[&str], mpich: Option<&Path>) -> Result<Tally> {
    let (mut command, runner) = test_command(here, packages)?;
    command.envs(mpich.map(|folder| ("DINOSCOPE_TEST_MPI", folder)));
    command.arg("--no-fail-fast");
    if runner == Runner::Nextest {
        command.arg("--no-tests=pass");
    }
    let mut tally = Tally::default();
    let passed = run::listen(&mut command, |line| tally.hear(runner, line))?;
    if !passed && tally.failed == 0 {
        bail!("the tests did not run to their end");
    }
    Ok(tally)
}

fn page(here: &Here) -> Result<Tally> {
    let node = install::node(here)?;
    install::npm(here, "web/tests")?;
    let chromium = install::chromium(here)?;
    let dist = web::build(here, false)?;
    let pictures = here.target.join("pictures");
    fs::create_dir_all(&pictures)?;
    let mut command = here.command(node);
    command.arg("web/tests/page.mjs").arg(dist).arg(pictures).env("CHROMIUM", chromium);
    // What the page computes is compared with what the command line does.
    command.env("DINOSCOPE", here.tested("dinoscope"));
    let mut tally = Tally::default();
    let passed = run::listen(&mut command, |line| tally.hear(Runner::Plain, line))?;
    if !passed && tally.failed == 0 {
        bail!("the browser test did not run to its end");
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_run_in_their_order() {
        assert_eq!(Stage::choose(Some("web, fmt")).unwrap(), [Stage::Fmt, Stage::Web]);
        assert_eq!(Stage::choose(None).unwrap().len(), 6);
        assert_eq!(Stage::choose(Some("interop,native")).unwrap(), [Stage::Native, Stage::Interop]);
        assert!(Stage::choose(Some("fmt,spelling")).is_err());
    }
}
