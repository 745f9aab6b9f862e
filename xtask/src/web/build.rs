//! Compiling for the web: one call of cargo for both programs, then the JavaScript that loads them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

use super::store::Store;
use crate::here::{CORE, Here};
use crate::{install, run};

/// What the programs are compiled with: the optimiser may use these and no more.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Passes that fold functions: the same generic code compiled for many types is often the same again, or but for a constant
/// (`--merge-similar-functions` makes that a parameter). Most of an optimiser's gain in size for a quarter of its time.
const FOLDING: [&str; 4] = [
    "--duplicate-function-elimination",
    "--optimize-instructions",
    "--merge-similar-functions",
    "--duplicate-function-elimination",
];

/// What is smaller on the web than on a desktop: the studio draws, the core and burn's GPU side say what is to be computed,
/// and what computes is in other crates.
const SMALLER: [&str; 7] =
    ["dinoscope", "cubecl-core", "cubecl-ir", "cubecl-std", "cubek-matmul", "cubek-tile", "pliron"];

/// Compiles the page's program and the package's. Together, so that what they share is compiled once.
///
/// # Errors
/// When the compiler for the web is missing, or does not accept a program.
pub fn compile(here: &Here) -> Result<()> {
    let compiler = install::wasm(here)?;
    let mut cargo = here.cargo(&["build", "--release", "-p", "dinoscope-web", "-p", "dinoscope-js", "--lib"]);
    for package in SMALLER.into_iter().chain(CORE) {
        cargo.args(["--config", &format!("profile.release.package.{package}.opt-level='s'")]);
    }
    cargo.args(["--target", "wasm32-unknown-unknown"]).env("CARGO_TARGET_DIR", here.web_target());
    if let Some(compiler) = compiler {
        cargo.env("RUSTC", compiler);
    }
    run::run(&mut cargo)
}

/// The program `name` as cargo leaves it.
pub fn compiled(here: &Here, name: &str) -> PathBuf {
    here.web_target().join("wasm32-unknown-unknown/release").join(format!("{name}.wasm"))
}

/// Writes the program `name` with its JavaScript, and its types if `typed`, into `folder`.
///
/// # Errors
/// When the program and `wasm-bindgen` do not understand each other.
pub fn bind(here: &Here, name: &str, folder: &Path, typed: bool) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    let program = compiled(here, name);
    let content = fs::read(&program).with_context(|| format!("reading {}", program.display()))?;
    ensure!(
        runs_constructors_once(&content),
        "{} runs all constructors in every function it exports: it has to call \
         dinoscope_core::constructors::run_constructors when it begins",
        program.display()
    );
    Bindgen::new()
        .input_path(program)
        .web(true)?
        .omit_default_module_path(false)
        .typescript(typed)
        // A third of the file. Panics still say where in the source they happened.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
        .with_context(|| format!("writing the JavaScript of {name}"))
}

/// Whether the linker left the exported functions of a program as they are. Their names tell.
fn runs_constructors_once(program: &[u8]) -> bool {
    const WRAPPED: &[u8] = b".command_export";
    !program.windows(WRAPPED.len()).any(|part| part == WRAPPED)
}

/// Has `wasm-opt` go over a program in place: what generic code left alike is folded, and if `small`, all else is made
/// shorter before.
///
/// # Errors
/// When it cannot be installed and `small` asks for it, or it does not accept the program.
pub fn optimise(here: &Here, node: &Path, wasm: &Path, small: bool, store: &mut Store) -> Result<()> {
    let content = fs::read(wasm).with_context(|| format!("reading {}", wasm.display()))?;
    let (place, made) = store.place(&content, if small { "small" } else { "folded" });
    if !made {
        let packages = match install::npm(here, "web/tools") {
            Ok(packages) => packages,
            // Without a network there is a page nevertheless, a larger one.
            Err(error) if !small => {
                println!("{} is not folded: {error:#}", wasm.display());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let tool = packages.join("binaryen/bin/wasm-opt");
        let written = place.with_extension("tmp");
        let mut command = here.command(node);
        command.arg(tool).args(FEATURES).args(small.then_some("-O1")).args(FOLDING);
        run::run(command.arg(wasm).arg("-o").arg(&written))?;
        fs::rename(&written, &place)?;
    }
    fs::copy(&place, wasm).with_context(|| format!("writing {}", wasm.display()))?;
    Ok(())
}

/// Puts the npm package together around the program in js/dist/pkg.
///
/// # Errors
/// When the package's own script fails.
pub fn package(here: &Here, node: &Path) -> Result<()> {
    run::run(here.command(node).arg("js/build.mjs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_functions_are_seen() {
        assert!(!runs_constructors_once(b"..__externref_table_alloc.command_export.."));
        assert!(runs_constructors_once(b"..__externref_table_alloc.."));
    }
}
