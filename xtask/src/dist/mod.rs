//! `cargo xtask dist`: what a person downloads, in `dist/`.
//!
//! [`program`] builds and looks at the program, [`layout`] says which file lies where, [`tree`] and [`deb`] pack it,
//! [`packages`] is what it is made of, from which [`sbom`] and [`licences`] are written, [`notes`] is cut out of the
//! changelog. docs/releases.md says it for those who release.

mod deb;
mod layout;
mod licences;
mod notes;
mod packages;
mod program;
mod sbom;
mod target;
mod tree;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use self::deb::PackageControl;
use self::target::TargetMachine;
use self::tree::PackedTree;
use crate::here::Here;
use crate::{install, run, web};

/// What a release consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasePart {
    /// The program with what belongs to it, in an archive.
    Program,
    /// The program as a Debian package.
    Deb,
    /// The page, to be unpacked on a web server.
    Page,
    /// The package for JavaScript.
    Npm,
    /// The list of everything in the program.
    Sbom,
    /// What has changed.
    Notes,
}

impl ReleasePart {
    const ALL: [(Self, &str); 6] = [
        (Self::Program, "program"),
        (Self::Deb, "deb"),
        (Self::Page, "page"),
        (Self::Npm, "npm"),
        (Self::Sbom, "sbom"),
        (Self::Notes, "notes"),
    ];

    /// The parts named in `only` (`program,deb`); all without it.
    ///
    /// # Errors
    /// Names a part that there is not.
    pub fn choose(only: Option<&str>) -> Result<Vec<Self>> {
        let Some(only) = only else { return Ok(Self::ALL.iter().map(|(part, _)| *part).collect()) };
        let find = |name: &str| {
            let found = Self::ALL.iter().find(|(_, known)| *known == name.trim());
            let all = Self::ALL.map(|(_, name)| name).join(", ");
            Ok(found.with_context(|| format!("a release has no part {name:?}; there are {all}"))?.0)
        };
        only.split(',').map(find).collect()
    }
}

/// What is asked for.
pub struct ReleaseOptions {
    /// What is made.
    pub parts: Vec<ReleasePart>,
    /// The machine that the program is for, where it is another than this one's.
    pub target: Option<String>,
    /// A program that is built already; it has to run here.
    pub program: Option<PathBuf>,
}

/// Makes the parts, and the list of their digests.
///
/// # Errors
/// When one can't be made.
pub fn run(here: &Here, options: &ReleaseOptions) -> Result<()> {
    let dist = here.root.join("dist");
    fs::create_dir_all(&dist).with_context(|| format!("making {}", dist.display()))?;
    let version = env!("CARGO_PKG_VERSION");
    let has = |part| options.parts.contains(&part);
    if has(ReleasePart::Program) || has(ReleasePart::Deb) || has(ReleasePart::Sbom) {
        for_a_machine(here, options, &dist, version)?;
    }
    if has(ReleasePart::Page) || has(ReleasePart::Npm) {
        let page = web::build(here, true)?;
        if has(ReleasePart::Page) {
            let mut tree = PackedTree::default();
            tree.add_folder("", &page)?;
            write(&dist, &format!("dinoscope-{version}-page.zip"), &tree.zip("")?)?;
        }
        if has(ReleasePart::Npm) {
            npm(here, &dist)?;
        }
    }
    if has(ReleasePart::Notes) {
        // A version that is not out yet is still under another name.
        let notes = self::notes(here, version).or_else(|_| self::notes(here, "Unreleased"))?;
        write(&dist, &format!("dinoscope-{version}-notes.md"), notes.as_bytes())?;
    }
    sums(&dist)
}

/// What the changelog says of a version.
///
/// # Errors
/// When it says nothing.
pub fn notes(here: &Here, version: &str) -> Result<String> {
    let file = here.root.join("CHANGELOG.md");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    notes::cut(&text, version)
}

/// Program, Debian package and list of packages.
fn for_a_machine(here: &Here, options: &ReleaseOptions, dist: &Path, version: &str) -> Result<()> {
    let host = run::output(here.command("rustc").args(["--print", "host-tuple"]))?;
    let machine = TargetMachine(options.target.clone().unwrap_or_else(|| host.clone()));
    // One for both processors of a Mac is put together of two, whose packages are the same.
    let platform = if machine.0 == program::UNIVERSAL { &host } else { &machine.0 };
    let tree = ["tree", "--locked", "--package", "dinoscope", "--edges", "normal,no-proc-macro"];
    let tree =
        run::output(here.cargo(&tree).args(["--prefix", "none", "--format", "{p}", "--target", platform]))?;
    let metadata = ["metadata", "--format-version", "1", "--locked", "--filter-platform", platform];
    let lock = here.root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let packages = packages::linked(&run::output(&mut here.cargo(&metadata))?, &tree, &lock, "dinoscope")?;
    let name = format!("dinoscope-{version}-{}", machine.short());
    if options.parts.contains(&ReleasePart::Sbom) {
        let list = sbom::cyclonedx(&packages, "dinoscope")?;
        write(dist, &format!("{name}.cdx.json"), list.as_bytes())?;
    }
    if !options.parts.iter().any(|part| matches!(part, ReleasePart::Program | ReleasePart::Deb)) {
        return Ok(());
    }
    let built = match &options.program {
        Some(program) => here.root.join(program),
        None => program::build(here, options.target.as_deref())?,
    };
    let needs = if machine.is_linux() { program::needs(here, &built)? } else { None };
    if let Some(needs) = &needs {
        let glibc = needs.glibc.as_deref().unwrap_or("none");
        println!("needs glibc {glibc} and {}", needs.libraries.join(", "));
    }
    let parts = program::parts(here, &built, version, &packages, &machine)?;
    println!("the program: {:.1} MB", parts.program.len() as f64 / 1e6);
    let time = time(here);
    if options.parts.contains(&ReleasePart::Program) {
        let tree = layout::archive(&parts)?;
        let top = format!("{name}/");
        let (ending, content) = if machine.is_windows() {
            ("zip", tree.zip(&top)?)
        } else {
            ("tar.xz", tree::xz(tree.tar(&top, time)?)?)
        };
        write(dist, &format!("{name}.{ending}"), &content)?;
    }
    if options.parts.contains(&ReleasePart::Deb) && machine.is_linux() {
        let needs = needs.context("install readelf (on Debian: binutils): a package names what it needs")?;
        let control = PackageControl {
            version,
            architecture: machine.debian()?,
            depends: &needs.debian()?,
            homepage: env!("CARGO_PKG_REPOSITORY"),
        };
        let content = deb::package(&control, &layout::debian(&parts)?, time)?;
        write(dist, &format!("dinoscope_{version}_{}.deb", control.architecture), &content)?;
    }
    Ok(())
}

/// The time that all packed files get: that of the newest commit, or `SOURCE_DATE_EPOCH`.
fn time(here: &Here) -> u64 {
    let told = std::env::var("SOURCE_DATE_EPOCH").ok();
    let committed = || run::output(here.command("git").args(["log", "-1", "--format=%ct"])).ok();
    told.or_else(committed).and_then(|time| time.parse().ok()).unwrap_or_default()
}

/// What `npm pack` makes of js/dist.
fn npm(here: &Here, dist: &Path) -> Result<()> {
    install::node(here)?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = here.command(npm);
    command.args(["pack", "--silent", "--pack-destination"]).arg(dist).current_dir(here.root.join("js/dist"));
    let name = run::output(&mut command)?;
    if !dist.join(&name).is_file() {
        bail!("`npm pack` said {name:?}, and there is no such file in {}", dist.display());
    }
    println!("{name}: {:.1} MB", fs::metadata(dist.join(&name))?.len() as f64 / 1e6);
    Ok(())
}

fn write(dist: &Path, name: &str, content: &[u8]) -> Result<()> {
    let file = dist.join(name);
    fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
    println!("{name}: {:.1} MB", content.len() as f64 / 1e6);
    Ok(())
}

/// The file that digests are written to, as `sha256sum --check` reads them.
const SUMS: &str = "SHA256SUMS";

/// Lists the digests of all files of a folder.
fn sums(dist: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dist).with_context(|| format!("reading {}", dist.display()))? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != SUMS && file.is_file() {
            let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(format!("{digest}  {name}\n"));
        }
    }
    lines.sort_by(|a, b| a[64..].cmp(&b[64..]));
    fs::write(dist.join(SUMS), lines.concat()).with_context(|| format!("writing {SUMS}"))
}
