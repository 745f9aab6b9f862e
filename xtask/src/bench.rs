//! `cargo xtask bench`: Dinoscope and PyTorch on the same work, on this machine, in alternating runs.

use std::path::PathBuf;

use anyhow::Result;

use crate::here::{Here, PROGRAM};
use crate::python::{self, Wanted};
use crate::run;

/// What PyTorch's side needs.
const PYTHON: Wanted = Wanted {
    folder: "bench-python",
    packages: &[("torch", "torch"), ("torchvision", "torchvision"), ("numpy", "numpy"), ("pillow", "PIL")],
};

/// Builds the program and compares; `options` are those of `bench/compare.py`.
///
/// # Errors
/// When the program does not compile, no Python with PyTorch can be had, or a side fails.
pub fn compare(here: &Here, python: Option<PathBuf>, options: &[String]) -> Result<()> {
    let python = python::find(here, python, &PYTHON)?;
    run::run(here.cargo(&["build", "--release", "--bin", "dinoscope"]).args(PROGRAM))?;
    let mut compare = here.command(&python);
    compare.arg("bench/compare.py").arg("--dinoscope").arg(here.released("dinoscope")).args(options);
    run::run(&mut compare)
}
