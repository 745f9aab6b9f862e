//! What Cargo.lock has to keep: one copy of what meets on the GPU, nothing but crates.io.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::here::Here;

/// Two copies of these would compile, and then not understand each other's devices, textures and events.
const ONE_COPY: [&str; 6] = ["burn", "cubecl", "egui", "naga", "wgpu", "winit"];

/// The library and the tool that reads what it writes must be the same version.
const TWINS: [&str; 2] = ["wasm-bindgen", "wasm-bindgen-cli-support"];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A locked package.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    source: Option<&'a str>,
}

/// Checks Cargo.lock.
///
/// # Errors
/// Names every package that breaks a rule.
pub fn check(here: &Here) -> Result<()> {
    let file = here.root.join("Cargo.lock");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let faults = faults(&packages(&text));
    if !faults.is_empty() {
        bail!("Cargo.lock: {}", faults.join("; "));
    }
    Ok(())
}

fn packages(text: &str) -> Vec<Package<'_>> {
    text.split("[[package]]")
        .skip(1)
        .filter_map(|block| {
            let value = |key| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
            };
            Some(Package { name: value("name")?, version: value("version")?, source: value("source") })
        })
        .collect()
}

fn faults(packages: &[Package]) -> Vec<String> {
    let versions = |name: &str| -> Vec<&str> {
        packages.iter().filter(|package| package.name == name).map(|package| package.version).collect()
    };
    let mut faults = Vec::new();
    for name in ONE_COPY {
        let versions = versions(name);
        if versions.len() > 1 {
            faults.push(format!("{name} is there as {}", versions.join(" and ")));
        }
    }
    if versions(TWINS[0]) != versions(TWINS[1]) {
        faults.push(format!("{} and {} are not the same version", TWINS[0], TWINS[1]));
    }
    for package in packages {
        if let Some(source) = package.source.filter(|source| *source != CRATES_IO) {
            faults.push(format!("{} comes from {source}", package.name));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "wasm-bindgen"
version = "0.2.130"
source = "registry+https://github.com/rust-lang/crates.io-index"
dependencies = [
 "cfg-if",
]

[[package]]
name = "wasm-bindgen-cli-support"
version = "0.2.130"
source = "registry+https://github.com/rust-lang/crates.io-index"

[[package]]
name = "wgpu"
version = "30.0.1"
source = "registry+https://github.com/rust-lang/crates.io-index"

[[package]]
name = "xtask"
version = "0.1.0"
"#;

    #[test]
    fn a_good_lock_file_has_no_faults() {
        assert_eq!(packages(LOCK).len(), 4);
        assert!(faults(&packages(LOCK)).is_empty());
    }

    #[test]
    fn each_rule_is_kept() {
        let bad = LOCK.replacen("0.2.130", "0.2.129", 1)
            + "\n[[package]]\nname = \"wgpu\"\nversion = \"29.0.0\"\nsource = \"git+https://example.org/wgpu\"\n";
        let faults = faults(&packages(&bad));
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("30.0.1 and 29.0.0") && faults[2].contains("git+"), "{faults:?}");
    }
}
