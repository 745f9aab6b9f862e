//! `cargo xtask bench`: Dinoscope and PyTorch on the same work, on this machine, in alternating runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::here::{Here, PROGRAM};
use crate::{install, run};

/// What PyTorch's side needs.
const PACKAGES: [&str; 4] = ["torch", "torchvision", "numpy", "pillow"];

/// Builds the program and compares; `options` are those of `bench/compare.py`.
///
/// # Errors
/// When the program does not compile, no Python with PyTorch can be had, or a side fails.
pub fn compare(here: &Here, python: Option<PathBuf>, options: &[String]) -> Result<()> {
    let python = match python.or_else(|| std::env::var_os("PYTHON").map(PathBuf::from)) {
        Some(python) => python,
        None => own_python(here)?,
    };
    let mut asked = here.command(&python);
    run::output(asked.args(["-c", "import torch, torchvision, numpy, PIL"])).with_context(|| {
        format!("{} lacks one of {}; another Python: --python PATH", python.display(), PACKAGES.join(", "))
    })?;
    run::run(here.cargo(&["build", "--release", "--bin", "dinoscope"]).args(PROGRAM))?;
    let mut compare = here.command(&python);
    compare.arg("bench/compare.py").arg("--dinoscope").arg(here.program("dinoscope")).args(options);
    run::run(&mut compare)
}

/// A Python of our own below the folder that cargo builds in, with PyTorch in it.
fn own_python(here: &Here) -> Result<PathBuf> {
    let folder = here.target.join("bench-python");
    let program = folder
        .join(if cfg!(windows) { "Scripts" } else { "bin" })
        .join(format!("python{}", std::env::consts::EXE_SUFFIX));
    let complete = folder.join(".complete");
    if complete.is_file() {
        return Ok(program);
    }
    let base = install::which("python3")
        .or_else(|| install::which("python"))
        .context("no Python on the PATH; name one that has PyTorch with --python PATH")?;
    println!(
        "Installing {} into {}: several GB, once. A Python that has them already: --python PATH or PYTHON=PATH.",
        PACKAGES.join(", "),
        folder.display()
    );
    make_venv(&base, &folder)?;
    run::run(Command::new(&program).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    std::fs::write(&complete, "").with_context(|| format!("writing {}", complete.display()))?;
    Ok(program)
}

fn make_venv(base: &Path, folder: &Path) -> Result<()> {
    run::run(Command::new(base).args(["-m", "venv"]).arg(folder))
        .context("making a virtual environment (on Debian: apt-get install python3-venv)")
}
