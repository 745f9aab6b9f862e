//! The floors of the house: which package stands on which, and that no module stands on one that stands on it.
//!
//! Read from the manifests and from `use` lines and paths in the sources, so that an arrow that runs back up fails a test
//! and not a person who reads.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Packages from the ground up, each with its folder; a package uses those before it alone.
const FLOORS: [(&str, &str); 18] = [
    ("dinoscope-assets", "assets"),
    ("dinoscope-testing", "core/testing"),
    ("dinoscope-mpi", "core/mpi"),
    ("dinoscope-shaders", "shaders"),
    ("dinoscope-base", "core/base"),
    ("dinoscope-data", "core/data"),
    ("dinoscope-analysis", "core/analysis"),
    ("dinoscope-model", "core/model"),
    ("dinoscope-weights", "core/weights"),
    ("dinoscope-eval", "core/eval"),
    ("dinoscope-curate", "core/curate"),
    ("dinoscope-core", "core"),
    ("dinoscope-raster", "app/raster"),
    ("dinoscope", "app"),
    ("dinoscope-js", "js"),
    ("dinoscope-web", "web"),
    ("dinoscope-tests", "tests"),
    ("xtask", "xtask"),
];

fn root() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

/// Our own packages that a manifest names, tests included.
fn used(folder: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let names = text.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| *name == "dinoscope" || name.starts_with("dinoscope-")).map(str::to_owned).collect()
}

#[test]
fn packages_use_those_below_alone() {
    for (at, (name, folder)) in FLOORS.iter().enumerate() {
        let below: BTreeSet<&str> = FLOORS[..at].iter().map(|(name, _)| *name).collect();
        let up: Vec<_> = used(folder).into_iter().filter(|used| !below.contains(used.as_str())).collect();
        assert!(up.is_empty(), "{folder}/Cargo.toml: {name} uses {up:?}, which is not below it");
    }
}

#[test]
fn every_package_has_its_floor() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, members) = text.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members: BTreeSet<&str> = members.split(',').map(|name| name.trim().trim_matches('"')).collect();
    let floors: BTreeSet<&str> = FLOORS.iter().map(|(_, folder)| *folder).collect();
    assert_eq!(members.into_iter().filter(|name| !name.is_empty()).collect::<BTreeSet<_>>(), floors);
}

/// Sources below `folder` that are no tests: path, and text without comments and tests.
fn sources(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, into);
        } else if name.ends_with(".rs") && !name.contains("tests") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            let text = text.split("#[cfg(test)]\n#[allow").next().unwrap_or_default();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            into.push((path, lines.collect::<Vec<_>>().join("\n")));
        }
    }
}

/// The modules that stand behind `crate::` in a text.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        // `$crate::` and `some_crate::` are other things.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let word = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            None => found.extend([word(rest)]),
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (i, c) in group.char_indices() {
                    depth += match c {
                        '{' => 1,
                        '}' => -1,
                        _ => 0,
                    };
                    if (c == ',' && depth == 0) || depth < 0 {
                        found.extend([word(&group[start..i])]);
                        start = i + 1;
                    }
                    if depth < 0 {
                        break;
                    }
                }
            }
        }
    }
    found
}

/// Which modules of a package use which, with a file for each arrow.
fn arrows(folder: &str) -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let source = root().join(folder).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let module = |path: &Path| {
        let first = path.strip_prefix(&source).unwrap().iter().next().unwrap().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    let modules: BTreeSet<String> = files.iter().map(|(path, _)| module(path)).collect();
    let mut arrows: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for (path, text) in &files {
        let from = module(path);
        for to in named(text).into_iter().filter(|to| *to != from && modules.contains(to)) {
            arrows.entry(from.clone()).or_default().entry(to).or_insert_with(|| path.clone());
        }
    }
    arrows
}

/// A way from a module back to itself, as files whose arrows make it.
fn circle(arrows: &BTreeMap<String, BTreeMap<String, PathBuf>>) -> Option<Vec<PathBuf>> {
    for start in arrows.keys() {
        let mut waiting = vec![(start.clone(), Vec::new())];
        let mut seen = BTreeSet::new();
        while let Some((at, way)) = waiting.pop() {
            for (to, file) in arrows.get(&at).into_iter().flatten() {
                let mut way: Vec<PathBuf> = way.clone();
                way.push(file.clone());
                if to == start {
                    return Some(way);
                }
                if seen.insert(to.clone()) {
                    waiting.push((to.clone(), way));
                }
            }
        }
    }
    None
}

#[test]
fn modules_use_each_other_in_one_direction() {
    for (name, folder) in FLOORS {
        let circle = circle(&arrows(folder));
        assert!(circle.is_none(), "modules of {name} use each other in a circle: {circle:#?}");
    }
}

#[test]
fn the_studio_asks_the_platform_and_knows_none() {
    let mut files = Vec::new();
    sources(&root().join("app/src/studio"), &mut files);
    for (path, text) in files {
        for word in ["target_family", "target_arch", "wasm32", "crate::tab", "crate::desktop"] {
            assert!(!text.contains(word), "{}: {word} belongs into app/src/platform", path.display());
        }
    }
}

/// More than a person takes in at a glance.
const MOST_FILES: usize = 15;

#[test]
fn folders_are_small_enough_to_find_a_part_by_its_name() {
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (_, folder) in FLOORS.iter().filter(|(_, folder)| !["tests", "xtask"].contains(folder)) {
        let mut files = Vec::new();
        sources(&root().join(folder).join("src"), &mut files);
        files.iter().for_each(|(path, _)| *counts.entry(path.parent().unwrap().to_owned()).or_default() += 1);
    }
    let large: Vec<_> = counts.iter().filter(|(_, count)| **count > MOST_FILES).collect();
    assert!(
        counts.len() > 40 && large.is_empty(),
        "too many files in {large:?}: a folder for what belongs together"
    );
}

/// Whether a package goes to crates.io.
fn is_published(folder: &str) -> bool {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    text.contains("publish.workspace = true")
}

/// What a package leaves out is not there for those who compile it from crates.io.
#[test]
fn published_packages_hold_the_files_that_they_are_compiled_from() {
    let published: Vec<&str> =
        FLOORS.iter().map(|(_, folder)| *folder).filter(|folder| is_published(folder)).collect();
    assert_eq!(published.len(), 13, "{published:?}");
    let mut included = 0;
    for folder in published {
        let package = root().join(folder);
        let mut files = Vec::new();
        sources(&package.join("src"), &mut files);
        for (path, text) in files {
            for (at, _) in text.match_indices("include_") {
                let Some((_, rest)) = text[at..].split_once("!(\"") else { continue };
                let file = path.parent().unwrap().join(rest.split('"').next().unwrap());
                let inside = file.canonicalize().unwrap().starts_with(package.canonicalize().unwrap());
                assert!(inside, "{}: {} lies outside the package", path.display(), file.display());
                included += 1;
            }
        }
    }
    assert!(included > 8, "{included}");
}

#[test]
fn an_arrow_back_is_found() {
    assert_eq!(named("use crate::{a, b::{c, d}, e};").into_iter().collect::<Vec<_>>(), ["a", "b", "e"]);
    assert_eq!(named("x(crate::f::g) + $crate::h!() + my_crate::i").into_iter().collect::<Vec<_>>(), ["f"]);
    let file = || PathBuf::from("x.rs");
    let mut arrows: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for (from, to) in [("a", "b"), ("b", "c"), ("d", "a")] {
        arrows.entry(from.into()).or_default().insert(to.into(), file());
    }
    assert_eq!(circle(&arrows), None);
    arrows.entry("c".into()).or_default().insert("a".into(), file());
    assert_eq!(circle(&arrows).map(|way| way.len()), Some(3));
}
