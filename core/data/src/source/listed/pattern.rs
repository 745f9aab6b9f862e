//! Patterns for names of files, as shells have them: `photos/**/*.{jpg,png}`.

use std::path::{Component, Path, PathBuf};

/// Whether a name is a pattern, unless there is something of this very name.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

/// What fits a pattern, files and folders, in sorted order; of a folder that `**` finds, only what is in it.
///
/// # Errors
/// Why it is no pattern, or that nothing fits.
#[cfg(not(target_family = "wasm"))]
pub fn matches(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let options = glob::MatchOptions {
        case_sensitive: !cfg!(windows),
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for plain in braces(pattern) {
        match glob::glob_with(&plain, options) {
            Ok(matches) => found.extend(matches.flatten()),
            Err(error) => return Err(format!("it is no pattern: {error}")),
        }
    }
    if found.is_empty() {
        return Err("there is no such file, and nothing fits it as a pattern".to_owned());
    }
    found.sort();
    found.dedup();
    // `**` finds folders and what is in them.
    let deep = pattern.contains("**");
    Ok(found.into_iter().filter(|path| !(deep && path.is_dir())).collect())
}

/// A page keeps no folders to look through by a pattern.
#[cfg(target_family = "wasm")]
pub fn matches(_pattern: &str) -> Result<Vec<PathBuf>, String> {
    Err("there is no such file; name a folder or a list in place of a pattern".to_owned())
}

/// The folder before the first part of a pattern that is no plain name.
pub fn base_of(pattern: &str) -> PathBuf {
    let plain = |part: &Component| !is_pattern(&part.as_os_str().to_string_lossy());
    let parts: Vec<Component> = Path::new(pattern).components().collect();
    parts.iter().take(parts.len().saturating_sub(1)).take_while(|part| plain(part)).collect()
}

/// A pattern for each choice of words in braces.
#[cfg(not(target_family = "wasm"))]
fn braces(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let Some((words, after)) = rest.split_once('}') else { return vec![pattern.to_owned()] };
    let words = numbers(words).unwrap_or_else(|| words.split(',').map(str::to_owned).collect());
    words.iter().flat_map(|word| braces(&format!("{before}{word}{after}"))).collect()
}

/// Most numbers that a range in braces stands for.
#[cfg(not(target_family = "wasm"))]
const MOST_NUMBERS: u64 = 100_000;

/// The numbers of `000..123`, filled up with zeros as the first is: how WebDataset names shards.
#[cfg(not(target_family = "wasm"))]
fn numbers(words: &str) -> Option<Vec<String>> {
    let (first, last) = words.split_once("..")?;
    let (low, high) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    let width = if first.starts_with('0') || first.len() == last.len() { first.len() } else { 0 };
    (low <= high && high - low < MOST_NUMBERS).then(|| (low..=high).map(|n| format!("{n:0width$}")).collect())
}

#[cfg(all(test, not(target_family = "wasm")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_found() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["x.jpg", "y.png", "sub/z.jpg", ".hidden.jpg"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a picture").unwrap();
        }
        let found = |pattern: &str| -> Result<Vec<String>, String> {
            let all = matches(&folder.path().join(pattern).display().to_string())?;
            let below = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
            Ok(all.iter().map(|path| below(path).replace('\\', "/")).collect())
        };
        assert_eq!(found("*.{jpg,png}").unwrap(), ["x.jpg", "y.png"]);
        assert_eq!(found("**/*.jpg").unwrap(), ["sub/z.jpg", "x.jpg"]);
        assert_eq!(found("s*").unwrap(), ["sub"]);
        assert!(found("*.gif").unwrap_err().contains("nothing fits"));
        assert_eq!(base_of("a/b/*/c.jpg"), Path::new("a/b"));
        assert_eq!(base_of("*.jpg"), Path::new(""));
    }
}
