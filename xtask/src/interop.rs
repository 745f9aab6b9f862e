//! `cargo xtask interop`: what Dinoscope writes, in the programs that it is written for, and what it measures, measured
//! by others.
//!
//! Not among the stages of a plain `cargo xtask test`: PyTorch and its peers are several GB to download.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::here::{Here, PROGRAM};
use crate::python::{self, Wanted};
use crate::run;
use crate::tally::{Runner, Tally};

/// What the checks in `tests/interop`, and `bench/judge.py`, import.
const PYTHON: Wanted = Wanted {
    folder: "interop-python",
    packages: &[
        ("torch", "torch"),
        ("torchvision", "torchvision"),
        ("transformers", "transformers"),
        ("timm", "timm"),
        ("safetensors", "safetensors"),
        ("onnx", "onnx"),
        ("onnxruntime", "onnxruntime"),
        ("scikit-learn", "sklearn"),
        ("numpy", "numpy"),
        ("pillow", "PIL"),
    ],
};

/// The checks, in the order in which they run.
const CHECKS: [&str; 3] = ["onnx_check.py", "handover_check.py", "cards_check.py"];

/// Builds the program and runs every check, all of them even if one fails.
///
/// # Errors
/// When the program does not compile, no Python with the packages can be had, or a check can't be started.
pub fn check(here: &Here, python: Option<PathBuf>) -> Result<Tally> {
    let python = python::find(here, python, &PYTHON)?;
    run::run(here.cargo(&["build", "--release", "--bin", "dinoscope"]).args(PROGRAM))?;
    let program = here.released("dinoscope");
    let mut tally = Tally::default();
    for check in CHECKS {
        let mut command = here.command(&python);
        command.arg(format!("tests/interop/{check}")).arg("--program").arg(&program);
        hear(here, &mut command, check, &mut tally)?;
    }
    // Features of the starter weights, judged by others.
    let judged = here.target.join("interop/judged");
    if judged.exists() {
        fs::remove_dir_all(&judged).with_context(|| format!("removing {}", judged.display()))?;
    }
    let mut command = here.command(&python);
    command
        .arg("bench/judge.py")
        .arg(&judged)
        .args(["--weights", "starter"])
        .arg("--dinoscope")
        .arg(&program);
    hear(here, &mut command, "judge.py", &mut tally)?;
    Ok(tally)
}

/// Runs a check and counts what it says; one that ends badly without having counted anything has failed.
fn hear(here: &Here, command: &mut Command, name: &str, tally: &mut Tally) -> Result<()> {
    println!("\n-- {name}");
    // Where they look for the program, and where they keep what they fetch.
    command.env("CARGO_TARGET_DIR", &here.target).env("PYTHONDONTWRITEBYTECODE", "1");
    let failed = tally.failed;
    let passed = run::listen(command, |line| tally.hear(Runner::Plain, line))?;
    if !passed && tally.failed == failed {
        tally.failed += 1;
    }
    Ok(())
}
