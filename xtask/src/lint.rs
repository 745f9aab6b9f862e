//! Compiling and linting in one go.
//!
//! `cargo clippy` has all dependencies checked once more, in a way that building them can't use: a quarter of an hour on
//! two cores. So cargo is given this program in place of `rustc` for the project's own packages; it runs `rustc` as it
//! was asked to, and then `clippy-driver` on the same crate, with the dependencies that are there.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::here::Here;

/// Set where cargo calls this program as `rustc`.
const AS_RUSTC: &str = "DINOSCOPE_LINTS";
/// What clippy is told beside the manifests' lints, in the form that its driver reads.
const DENIED: &str = "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

/// Has a command of cargo lint the project's own packages while it compiles them.
///
/// # Errors
/// When this program can't be copied to where cargo finds it.
pub fn while_compiling(command: &mut Command, here: &Here) -> Result<()> {
    static COPIED: AtomicBool = AtomicBool::new(false);
    let copy = here.target.join(format!("rustc-and-clippy{}", env::consts::EXE_SUFFIX));
    // Once: cargo may build this program anew meanwhile, and then it is no longer where it was started.
    if !COPIED.load(Ordering::Relaxed) {
        let own = fs::read(env::current_exe()?)?;
        // A new time would have cargo ask the compiler for its version again.
        if fs::read(&copy).ok().as_ref() != Some(&own) {
            fs::copy(env::current_exe()?, &copy).with_context(|| format!("writing {}", copy.display()))?;
        }
        COPIED.store(true, Ordering::Relaxed);
    }
    command.env("RUSTC_WORKSPACE_WRAPPER", copy).env(AS_RUSTC, "1");
    Ok(())
}

/// How it ended, where cargo calls this program as `rustc`; `None` where a person calls it.
pub fn as_rustc() -> Option<Result<ExitCode>> {
    env::var_os(AS_RUSTC).map(|_| compile_and_lint(env::args_os().skip(1).collect()))
}

/// `words`: `rustc` and what cargo asks of it.
fn compile_and_lint(words: Vec<OsString>) -> Result<ExitCode> {
    let (rustc, words) = words.split_first().context("cargo names the compiler first")?;
    let status = Command::new(rustc).args(words).status().context("starting rustc")?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    // Cargo asks for versions and names as well.
    let Some(folder) = after(words, "--out-dir") else { return Ok(ExitCode::SUCCESS) };
    let folder = Path::new(folder).join(format!("lint-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut clippy = Command::new("clippy-driver");
    clippy.arg(rustc).args(for_clippy(words, &folder)).env("CLIPPY_ARGS", DENIED).env_remove(AS_RUSTC);
    let status = clippy.status().context("starting clippy-driver (`rustup component add clippy`)");
    let _ = fs::remove_dir_all(&folder);
    Ok(if status?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The word behind another.
fn after<'a>(words: &'a [OsString], name: &str) -> Option<&'a OsString> {
    words.iter().position(|word| word == name).and_then(|at| words.get(at + 1))
}

/// The same for a compiler that looks and writes nothing that anyone uses: into `folder`, and without telling cargo.
fn for_clippy(words: &[OsString], folder: &Path) -> Vec<OsString> {
    let mut out = Vec::with_capacity(words.len());
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let next = words.peek().map(|word| word.to_string_lossy()).unwrap_or_default();
        if text == "-C" && next.starts_with("incremental=") {
            words.next();
        } else if text == "--out-dir" {
            words.next();
            out.extend([word.clone(), folder.into()]);
        } else if text.starts_with("--emit=") {
            out.push("--emit=metadata".into());
        } else if let Some(told) = text.strip_prefix("--json=") {
            let told: Vec<&str> = told.split(',').filter(|told| *told != "artifacts").collect();
            out.push(format!("--json={}", told.join(",")).into());
        } else {
            out.push(word.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clippy_is_asked_the_same_and_writes_elsewhere() {
        let asked = "--crate-name a --edition=2024 src/lib.rs --error-format=json \
                     --json=diagnostic-rendered-ansi,artifacts,future-incompat --emit=dep-info,metadata,link \
                     -C opt-level=3 --test --out-dir /t/deps -C incremental=/t/incremental --extern b=/t/libb.rlib";
        let words: Vec<OsString> = asked.split_whitespace().map(OsString::from).collect();
        let told: Vec<String> = for_clippy(&words, Path::new("/f"))
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            told.join(" "),
            "--crate-name a --edition=2024 src/lib.rs --error-format=json \
             --json=diagnostic-rendered-ansi,future-incompat --emit=metadata -C opt-level=3 --test --out-dir /f \
             --extern b=/t/libb.rlib"
        );
        assert_eq!(
            after(&words, "--out-dir").map(|word| word.to_string_lossy().into_owned()),
            Some("/t/deps".into())
        );
        assert_eq!(after(&["-vV".into()], "--out-dir"), None);
    }
}
