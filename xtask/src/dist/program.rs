//! The program of a release: built, looked at, and asked for what lies beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::layout::{ReleaseParts, SHELLS};
use super::target::{self, ProgramNeeds, TargetMachine};
use super::{licences, packages::LinkedPackage};
use crate::here::Here;
use crate::{install, run, tools};

/// The profile in Cargo.toml.
const PROFILE: &str = "dist";

/// One program for both processors of a Mac.
pub const UNIVERSAL: &str = "universal-apple-darwin";

/// Builds the program with the list of its packages in it (cargo-auditable), for `target` or this machine. Paths of
/// this machine stay out of it.
///
/// # Errors
/// When it does not compile.
pub fn build(here: &Here, target: Option<&str>) -> Result<PathBuf> {
    if target != Some(UNIVERSAL) {
        return compile(here, target);
    }
    let halves = ["aarch64-apple-darwin", "x86_64-apple-darwin"].map(|target| compile(here, Some(target)));
    let both = here.target.join(UNIVERSAL);
    fs::create_dir_all(&both).with_context(|| format!("making {}", both.display()))?;
    let both = both.join("dinoscope");
    let mut lipo = here.command("lipo");
    lipo.args(["-create", "-output"]).arg(&both);
    for half in halves {
        lipo.arg(half?);
    }
    run::run(&mut lipo)?;
    Ok(both)
}

fn compile(here: &Here, target: Option<&str>) -> Result<PathBuf> {
    let (mut command, listed) = match tools::cargo_auditable(here) {
        Ok(folder) => {
            let mut command = here.cargo(&["auditable", "build"]);
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
            command.env("PATH", std::env::join_paths(folders)?);
            (command, true)
        }
        Err(error) if here.ci => return Err(error),
        Err(error) => {
            println!("the program will not hold the list of its packages: {error:#}");
            (here.cargo(&["build"]), false)
        }
    };
    command.args(["--profile", PROFILE, "--locked", "--package", "dinoscope", "--bin", "dinoscope"]);
    command.args(target.into_iter().flat_map(|target| ["--target", target]));
    command.env("CARGO_ENCODED_RUSTFLAGS", without_paths(here)?).env_remove("RUSTC_WORKSPACE_WRAPPER");
    run::run(&mut command)?;
    let windows = target.map_or(cfg!(windows), |target| target.contains("windows"));
    let name = if windows { "dinoscope.exe" } else { "dinoscope" };
    let folder = target.map_or(here.target.clone(), |target| here.target.join(target));
    let built = folder.join(PROFILE).join(name);
    println!("{}{}", built.display(), if listed { ", with the list of its packages" } else { "" });
    Ok(built)
}

/// What rustc is told so that no folder of this machine is named in messages.
fn without_paths(here: &Here) -> Result<String> {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home.map(|home| home.join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=dinoscope", here.root.display())];
    let registries = cargo.context("no home folder")?.join("registry/src");
    for registry in fs::read_dir(&registries).into_iter().flatten().flatten() {
        flags.push(format!("--remap-path-prefix={}=crates", registry.path().display()));
    }
    Ok(flags.join("\u{1f}"))
}

/// What the program needs of a Linux system; none where it can't be looked at.
///
/// # Errors
/// When it needs a library that a bare system does not have.
pub fn needs(here: &Here, program: &Path) -> Result<Option<ProgramNeeds>> {
    if install::which("readelf").is_none() {
        return Ok(None);
    }
    let mut readelf = here.command("readelf");
    let told = run::output(readelf.args(["--dynamic", "--version-info", "--wide"]).arg(program))?;
    target::needs(&told).map(Some)
}

/// Asks the program, which runs on this machine, for completions and manual pages, and puts all together.
///
/// # Errors
/// When it does not start, or says another version.
pub fn parts(
    here: &Here,
    program: &Path,
    version: &str,
    packages: &[LinkedPackage],
    machine: &TargetMachine,
) -> Result<ReleaseParts> {
    let told = run::output(here.command(program).arg("--version"))?;
    if told != format!("dinoscope {version}") {
        bail!("{} says {told:?}, and the release is {version}", program.display());
    }
    let completions: Result<Vec<String>> = SHELLS
        .iter()
        .map(|(shell, _, _)| {
            run::output(here.command(program).args(["completions", shell])).map(|text| text + "\n")
        })
        .collect();
    let folder = here.target.join("dist-man");
    let _ = fs::remove_dir_all(&folder);
    run::output(here.command(program).args(["man", "--out"]).arg(&folder))?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        pages.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    pages.sort();
    Ok(ReleaseParts {
        program: fs::read(program).with_context(|| format!("reading {}", program.display()))?,
        program_name: if machine.is_windows() { "dinoscope.exe" } else { "dinoscope" }.into(),
        completions: completions?,
        pages,
        third_party: licences::third_party(packages, &here.root.join("assets/fonts"))?,
        root: here.root.clone(),
    })
}
