//! `cargo xtask test --only deny`: licences, bans, sources and known weaknesses of all dependencies; `deny.toml` has the rules.
//!
//! The first three need nothing but the lock file's packages. Weaknesses are looked up in RustSec's database, which
//! cargo-deny keeps in cargo's home; without a network an earlier copy serves, and without one the stage says so.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::here::Here;
use crate::{run, tools};

/// After so many days a copy of the database says too little: cargo-deny's own limit.
const STALE: u64 = 90;

/// What could be said of known weaknesses.
#[derive(Debug, PartialEq, Eq)]
enum AdvisorySource {
    /// The database as it is today.
    Fresh,
    /// A copy that was fetched so many days ago.
    Copy(u64),
    /// None, or one that is too old; why.
    None(String),
}

/// Checks all dependencies.
///
/// # Errors
/// When the tool cannot be had, or something breaks a rule.
pub fn check(here: &Here) -> Result<()> {
    let deny = match tools::cargo_deny(here) {
        Err(error) if !here.ci => {
            println!("dependencies not checked: {error:#} (`cargo install cargo-deny`)");
            return Ok(());
        }
        tool => tool?,
    };
    let graph = here.target.join("dependencies.json");
    let scope = graph_of(here, &graph)?;
    let checked = |what: &[&str], offline: bool| {
        let mut command = here.command(&deny);
        command.args(["--locked", "--metadata-path"]).arg(&graph);
        run::run(command.args(offline.then_some("--offline")).arg("check").args(what))
    };
    pack(here)?;
    println!("licences, bans and sources of the dependencies {scope}:");
    checked(&["licenses", "bans", "sources"], true)?;
    let fetched = run::output(here.command(&deny).args(["fetch", "db"]));
    let copy = newest_copy(&databases()?);
    let source = source(fetched.is_ok(), copy.as_ref().map(|(_, days)| *days));
    let newest = copy.and_then(|(folder, _)| {
        run::output(here.command("git").arg("-C").arg(folder).args(["log", "-1", "--format=%cs"])).ok()
    });
    let newest = newest.map_or(String::new(), |date| format!(", the newest entry of {date}"));
    match source {
        AdvisorySource::Fresh => println!("known weaknesses{newest}:"),
        AdvisorySource::Copy(days) => {
            println!("known weaknesses, from a copy fetched {days} days ago{newest}:")
        }
        AdvisorySource::None(why) => {
            println!("known weaknesses: NOT CHECKED, {why}");
            return Ok(());
        }
    }
    checked(&["advisories"], true)
}

/// Whether every package that goes to crates.io can be packed: its files are there, and what it uses has versions.
fn pack(here: &Here) -> Result<()> {
    let members =
        run::output(&mut here.cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]))?;
    let published = published(&members)?;
    println!("{} packages for crates.io:", published.len());
    let mut command =
        here.cargo(&["package", "--quiet", "--no-verify", "--allow-dirty", "--locked", "--offline"]);
    run::run(command.args(published.iter().flat_map(|name| ["--package", name])))
}

/// The packages that may be published, by name.
fn published(metadata: &str) -> Result<Vec<String>> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).context("what `cargo metadata` says")?;
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    // `false` is an empty list of registries there.
    let names = packages.iter().filter(|package| package["publish"].is_null());
    Ok(names.filter_map(|package| package["name"].as_str().map(str::to_owned)).collect())
}

/// Writes what cargo knows of all packages; says for which machines.
fn graph_of(here: &Here, file: &Path) -> Result<&'static str> {
    let metadata = ["metadata", "--format-version", "1", "--locked"];
    let (graph, scope) = match run::output(&mut here.cargo(&metadata)) {
        Ok(graph) => (graph, "on all machines"),
        // Offline cargo knows what it has compiled before.
        Err(_) => {
            let host = run::output(here.command("rustc").args(["--print", "host-tuple"]))?;
            let mut command = here.cargo(&metadata);
            let graph = run::output(command.args(["--offline", "--filter-platform", &host]));
            (graph.context("without a network cargo does not know all packages")?, "on this machine alone")
        }
    };
    fs::create_dir_all(&here.target).with_context(|| format!("making {}", here.target.display()))?;
    fs::write(file, graph).with_context(|| format!("writing {}", file.display()))?;
    Ok(scope)
}

/// Where cargo-deny keeps databases.
fn databases() -> Result<PathBuf> {
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(PathBuf::from);
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or(home.map(|home| home.join(".cargo")));
    Ok(cargo.context("no home folder to keep the database of weaknesses in")?.join("advisory-dbs"))
}

/// The copy in a folder of databases that was fetched last, and how many days ago.
fn newest_copy(databases: &Path) -> Option<(PathBuf, u64)> {
    let copies = fs::read_dir(databases).ok()?.flatten().map(|entry| entry.path());
    // A clone has no FETCH_HEAD.
    let fetched = |copy: PathBuf| {
        let heads = ["FETCH_HEAD", "HEAD"].map(|name| fs::metadata(copy.join(".git").join(name)));
        let age = heads.into_iter().flatten().next()?.modified().ok()?.elapsed().ok()?;
        Some((copy, age.as_secs() / 86_400))
    };
    copies.filter_map(fetched).min_by_key(|(_, days)| *days)
}

/// Which database there is, after asking for the newest one.
fn source(fetched: bool, copy: Option<u64>) -> AdvisorySource {
    match (fetched, copy) {
        (true, _) => AdvisorySource::Fresh,
        (false, Some(days)) if days < STALE => AdvisorySource::Copy(days),
        (false, Some(days)) => AdvisorySource::None(format!(
            "the copy of RustSec's database is {days} days old and a newer one can't be fetched"
        )),
        (false, None) => AdvisorySource::None(
            "RustSec's database can't be fetched here and there is no earlier copy: with a network they are"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_checked_is_said() {
        assert_eq!(source(true, None), AdvisorySource::Fresh);
        assert_eq!(source(false, Some(3)), AdvisorySource::Copy(3));
        for (copy, said) in [(Some(120), "120 days"), (None, "no earlier copy")] {
            let AdvisorySource::None(why) = source(false, copy) else { panic!("{copy:?} was taken") };
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn what_is_published_is_read() {
        let told = r#"{"packages": [{"name": "a", "publish": null}, {"name": "b", "publish": []}]}"#;
        assert_eq!(published(told).unwrap(), ["a"]);
    }

    #[test]
    fn a_copy_is_found_and_its_age_read() {
        let folder = env::temp_dir().join(format!("dinoscope-advisories-{}", std::process::id()));
        assert_eq!(newest_copy(&folder), None);
        let copy = folder.join("advisory-db-1/.git");
        fs::create_dir_all(&copy).unwrap();
        assert_eq!(newest_copy(&folder), None);
        fs::write(copy.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(newest_copy(&folder), Some((folder.join("advisory-db-1"), 0)));
        fs::remove_dir_all(&folder).unwrap();
    }
}
