//! The packages that a program is made of, as cargo tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A package that is compiled into the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedPackage {
    /// Name on crates.io.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The licence as an SPDX expression, where it says one.
    pub license: Option<String>,
    /// Where its source is developed.
    pub repository: Option<String>,
    /// The folder that it is compiled from.
    pub folder: PathBuf,
    /// SHA-256 of its archive on crates.io; none for our own.
    pub checksum: Option<String>,
    /// Of those it uses itself: name and version.
    pub uses: BTreeSet<(String, String)>,
}

/// The packages that `root` is made of, itself among them, in order of name and version. `metadata` is what
/// `cargo metadata` prints, which names more than is compiled: features are those that any package asks for. `tree` is
/// what `cargo tree` prints of the program alone, a package a line. `lock` is Cargo.lock.
///
/// # Errors
/// When either is not what cargo writes, or knows no such package.
pub fn linked(metadata: &str, tree: &str, lock: &str, root: &str) -> Result<Vec<LinkedPackage>> {
    let metadata: Value = serde_json::from_str(metadata).context("what `cargo metadata` says")?;
    let checksums = checksums(lock);
    let compiled: BTreeSet<(&str, &str)> = tree.lines().filter_map(compiled).collect();
    let packages: BTreeMap<&str, &Value> = list(&metadata["packages"])
        .iter()
        .filter(|package| {
            let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or_default());
            compiled.contains(&(name, version))
        })
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    if !packages.values().any(|package| package["name"] == root) {
        bail!("{root} is not among the packages that it is made of");
    }
    let used: BTreeMap<&str, Vec<&str>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, linked_by(node))))
        .collect();
    let key = |id: &str| -> Option<(String, String)> {
        let package = packages.get(id)?;
        Some((package["name"].as_str()?.to_owned(), package["version"].as_str()?.to_owned()))
    };
    let mut all = Vec::new();
    for (id, package) in &packages {
        let (name, version) = key(id).context("a package without name or version")?;
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        all.push(LinkedPackage {
            license: package["license"].as_str().map(|license| license.replace('/', " OR ")),
            repository: package["repository"].as_str().map(str::to_owned),
            folder: manifest.parent().unwrap_or(manifest).to_owned(),
            checksum: checksums.get(&(name.clone(), version.clone())).cloned(),
            uses: used.get(id).into_iter().flatten().filter_map(|id| key(id)).collect(),
            name,
            version,
        });
    }
    all.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(all)
}

/// Name and version in a line of `cargo tree`, such as `egui v0.37.0 (*)`.
fn compiled(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim().split_once(" v")?;
    Some((name, rest.split(' ').next()?))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The packages that end up in what uses them: no macros' helpers for building, no tests.
fn linked_by(node: &Value) -> Vec<&str> {
    let normal = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    list(&node["deps"]).iter().filter(normal).filter_map(|dep| dep["pkg"].as_str()).collect()
}

/// Checksums of Cargo.lock by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        Some(line?.strip_suffix('"')?.to_owned())
    };
    let blocks = lock.split("[[package]]").skip(1);
    blocks
        .filter_map(|block| {
            Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?))
        })
        .collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A program that uses a library, which uses another to be built.
    pub const METADATA: &str = r#"{
        "packages": [
            {"id": "p", "name": "dinoscope", "version": "0.1.0", "license": "MIT OR Apache-2.0",
             "repository": null, "manifest_path": "/r/app/Cargo.toml"},
            {"id": "l", "name": "lib", "version": "2.0.0", "license": "MIT/Apache-2.0",
             "repository": "https://example.org/lib", "manifest_path": "/c/lib-2.0.0/Cargo.toml"},
            {"id": "u", "name": "unused", "version": "3.0.0", "manifest_path": "/c/u/Cargo.toml"},
            {"id": "b", "name": "builder", "version": "1.0.0", "license": null, "manifest_path": "/c/b/Cargo.toml"}
        ],
        "resolve": {"nodes": [
            {"id": "p", "deps": [{"pkg": "l", "dep_kinds": [{"kind": null}]}]},
            {"id": "l", "deps": [{"pkg": "b", "dep_kinds": [{"kind": "build"}]},
                                  {"pkg": "u", "dep_kinds": [{"kind": null}]}]},
            {"id": "b", "deps": []}
        ]}
    }"#;
    pub const TREE: &str = "dinoscope v0.1.0 (/r/app)\nlib v2.0.0\nlib v2.0.0 (*)\n";
    pub const LOCK: &str = "[[package]]\nname = \"lib\"\nversion = \"2.0.0\"\nchecksum = \"abc\"\n";

    #[test]
    fn what_is_not_compiled_in_is_left_out() {
        let packages = linked(METADATA, TREE, LOCK, "dinoscope").unwrap();
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["dinoscope", "lib"]);
        assert_eq!(packages[0].uses, BTreeSet::from([("lib".to_owned(), "2.0.0".to_owned())]));
        assert!(packages[1].uses.is_empty());
        assert_eq!(packages[1].checksum.as_deref(), Some("abc"));
        assert_eq!(packages[1].license.as_deref(), Some("MIT OR Apache-2.0"));
        assert!(linked(METADATA, TREE, LOCK, "other").is_err());
    }
}
