//! `cargo xtask web`: from the crate `web` to a folder that any web server can serve.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::here::Here;
use crate::{install, run};

/// Builds web/dist: the page, and in `pkg` the program with its JavaScript.
///
/// # Errors
/// When the compiler for the web is missing, or does not accept the program.
pub fn build(here: &Here) -> Result<PathBuf> {
    let compiler = install::wasm(here)?;
    // `cargo rustc`, because what only the web compiles is not seen by the lint stage.
    let mut cargo = here.cargo(&["rustc", "--release", "--package", "dinoscope-web", "--lib"]);
    cargo.args(["--crate-type", "cdylib", "--target", "wasm32-unknown-unknown"]);
    cargo.env("CARGO_TARGET_DIR", here.web_target()).args(["--", "--deny", "warnings"]);
    if let Some(compiler) = compiler {
        cargo.env("RUSTC", compiler);
    }
    run::run(&mut cargo)?;

    let dist = here.root.join("web/dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("emptying {}", dist.display()))?;
    }
    copy(&here.root.join("web/page"), &dist)?;
    let program = here.web_target().join("wasm32-unknown-unknown/release/dinoscope_web.wasm");
    let package = dist.join("pkg");
    Bindgen::new()
        .input_path(&program)
        .web(true)?
        .omit_default_module_path(false)
        .typescript(true)
        // A third of the file. Panics still say where in the source they happened.
        .remove_name_section(true)
        .generate(&package)
        .context("writing the JavaScript of the wasm program")?;
    let size = fs::metadata(package.join("dinoscope_web_bg.wasm"))?.len();
    println!("web/dist: {:.1} MB of wasm", size as f64 / 1e6);
    Ok(dist)
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to).with_context(|| format!("writing {}", to.display()))?;
        }
    }
    Ok(())
}
