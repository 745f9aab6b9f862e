//! A Python with packages in it: one that a person names, or one of our own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::here::Here;
use crate::{install, run};

/// What a Python is needed for.
pub struct Wanted {
    /// Folder of our own one, below the folder that cargo builds in.
    pub folder: &'static str,
    /// Packages by the name that pip knows, and the one they are imported by.
    pub packages: &'static [(&'static str, &'static str)],
}

/// The Python that was named, by the caller or as `PYTHON`, or else our own, with everything that is wanted in it.
///
/// # Errors
/// When a package is missing from the one that was named, or when our own can't be made.
pub fn find(here: &Here, named: Option<PathBuf>, wanted: &Wanted) -> Result<PathBuf> {
    let python = match named.or_else(|| std::env::var_os("PYTHON").map(PathBuf::from)) {
        Some(python) => python,
        None => own(here, wanted)?,
    };
    let imports: Vec<&str> = wanted.packages.iter().map(|(_, import)| *import).collect();
    let mut asked = here.command(&python);
    run::output(asked.arg("-c").arg(format!("import {}", imports.join(", ")))).with_context(|| {
        format!(
            "{} lacks one of {}; another Python: --python PATH",
            python.display(),
            names(wanted).join(", ")
        )
    })?;
    Ok(python)
}

fn names(wanted: &Wanted) -> Vec<&'static str> {
    wanted.packages.iter().map(|(name, _)| *name).collect()
}

/// A Python of our own, with the packages in it.
fn own(here: &Here, wanted: &Wanted) -> Result<PathBuf> {
    let folder = here.target.join(wanted.folder);
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
        names(wanted).join(", "),
        folder.display()
    );
    install::venv(&base, &folder)?;
    run::run(Command::new(&program).args(["-m", "pip", "install", "--quiet"]).args(names(wanted)))?;
    std::fs::write(&complete, "").with_context(|| format!("writing {}", complete.display()))?;
    Ok(program)
}
