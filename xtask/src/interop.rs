//! `cargo xtask interop`: what Dinoscope writes, in the programs that it is written for.
//!
//! Not among the stages of a plain `cargo xtask test`: PyTorch and its peers are several GB to download.

use std::path::PathBuf;

use anyhow::Result;

use crate::here::{Here, PROGRAM};
use crate::python::{self, Wanted};
use crate::run;
use crate::tally::{Runner, Tally};

/// What the checks in `tests/interop` import.
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
        ("numpy", "numpy"),
        ("pillow", "PIL"),
        ("pyyaml", "yaml"),
    ],
};

/// The checks, in the order in which they run.
const CHECKS: [&str; 2] = ["onnx_check.py", "handover_check.py"];

/// Builds the program and runs every check, all of them even if one fails.
///
/// # Errors
/// When the program does not compile, no Python with the packages can be had, or a check can't be started.
pub fn check(here: &Here, python: Option<PathBuf>) -> Result<Tally> {
    let python = python::find(here, python, &PYTHON)?;
    run::run(here.cargo(&["build", "--release", "--bin", "dinoscope"]).args(PROGRAM))?;
    let mut tally = Tally::default();
    for check in CHECKS {
        println!("\n-- {check}");
        let mut command = here.command(&python);
        command.arg(format!("tests/interop/{check}")).arg("--program").arg(here.program("dinoscope"));
        // Where they look for the program, and where they keep what they fetch.
        command.env("CARGO_TARGET_DIR", &here.target);
        let failed = tally.failed;
        let passed = run::listen(&mut command, |line| tally.hear(Runner::Plain, line))?;
        if !passed && tally.failed == failed {
            tally.failed += 1;
        }
    }
    Ok(tally)
}
