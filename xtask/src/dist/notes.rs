//! The notes of a release: its part of the changelog.

use anyhow::{Result, bail};

/// What `changelog` says of a version, without its heading; `Unreleased` names what has no version yet.
///
/// # Errors
/// When there is no such part, or nothing in it.
pub fn cut(changelog: &str, version: &str) -> Result<String> {
    let version = version.trim_start_matches('v');
    let names = |line: &str| {
        let name = line.trim_start_matches("## ").trim_start_matches('[');
        let name = name.split([']', ' ']).next().unwrap_or_default();
        name.eq_ignore_ascii_case(version)
    };
    let mut lines = changelog.lines().skip_while(|line| !(line.starts_with("## ") && names(line)));
    if lines.next().is_none() {
        bail!("CHANGELOG.md has no part `## {version}`: what is under `## Unreleased` wants its version");
    }
    let part: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let text = part.join("\n").trim().to_owned();
    if text.is_empty() {
        bail!("CHANGELOG.md says nothing of {version}");
    }
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "\
# Changelog

## Unreleased

### Added
- Something new.

## 0.2.0 (2026-12-01)

### Fixed
- An old fault.

## [0.1.0]
- The first one.

## 0.0.9
";

    #[test]
    fn a_version_is_cut_out() {
        assert_eq!(cut(CHANGELOG, "unreleased").unwrap(), "### Added\n- Something new.\n");
        assert_eq!(cut(CHANGELOG, "v0.2.0").unwrap(), "### Fixed\n- An old fault.\n");
        assert_eq!(cut(CHANGELOG, "0.1.0").unwrap(), "- The first one.\n");
        assert!(cut(CHANGELOG, "0.3.0").unwrap_err().to_string().contains("Unreleased"));
        assert!(cut(CHANGELOG, "0.0.9").is_err());
    }

    #[test]
    fn the_changelog_has_its_part() {
        let changelog = include_str!("../../../CHANGELOG.md");
        assert!(cut(changelog, "Unreleased").is_ok() || cut(changelog, env!("CARGO_PKG_VERSION")).is_ok());
    }
}
