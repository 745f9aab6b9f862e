//! What a visitor loads: every file of the page, plain and compressed.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Files;
use super::hash::extension;

/// The place in index.html that takes the bytes of [`announce`].
const BYTES: &str = "data-bytes=\"0\"";

/// Writes into index.html how many bytes of program and weights there are, unpacked: a server that sends them
/// compressed does not say, and the page shows how far it is.
///
/// # Errors
/// When index.html is missing or has no place for it.
pub fn announce(files: &mut Files) -> Result<()> {
    let large = files.iter().filter(|(path, _)| matches!(extension(path), "wasm" | "safetensors"));
    let bytes: usize = large.map(|(_, content)| content.len()).sum();
    let page = files.get_mut("index.html").context("the page has no index.html")?;
    let text = std::str::from_utf8(page).context("reading index.html")?;
    if text.matches(BYTES).count() != 1 {
        bail!("index.html needs `{BYTES}` once");
    }
    *page = text.replace(BYTES, &format!("data-bytes=\"{bytes}\"")).into_bytes();
    Ok(())
}

/// A table of the files in `dist`, largest first, with their sum. Sizes are in kB of 1000 bytes.
///
/// # Errors
/// When a compressed copy cannot be looked at.
pub fn table(dist: &Path, files: &Files) -> Result<String> {
    let mut rows = Vec::new();
    for (path, content) in files {
        let copy = dist.join(format!("{path}.br"));
        let compressed = if copy.is_file() { fs::metadata(copy)?.len() } else { content.len() as u64 };
        rows.push((path.as_str(), content.len() as u64, compressed));
    }
    Ok(lines(rows))
}

fn lines(mut rows: Vec<(&str, u64, u64)>) -> String {
    rows.sort_by_key(|(_, _, compressed)| std::cmp::Reverse(*compressed));
    let sum = rows.iter().fold(("together", 0, 0), |sum, row| (sum.0, sum.1 + row.1, sum.2 + row.2));
    rows.push(sum);
    let mut text = format!("{:>10} {:>10}  kB in web/dist\n", "plain", "compressed");
    for (name, plain, compressed) in rows {
        let [plain, compressed] = [plain, compressed].map(|bytes| bytes as f64 / 1e3);
        let _ = writeln!(text, "{plain:>10.1} {compressed:>10.1}  {name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_knows_how_much_is_to_be_loaded() {
        let page = format!("<progress {BYTES}>");
        let files =
            [("a.wasm", "four"), ("b.safetensors", "weight"), ("c.js", "c"), ("index.html", page.as_str())];
        let mut files: Files = files.map(|(path, text)| (path.into(), text.into())).into();
        announce(&mut files).unwrap();
        assert_eq!(files["index.html"], b"<progress data-bytes=\"10\">");
        assert!(announce(&mut files).is_err());
    }

    #[test]
    fn the_largest_comes_first_and_the_sum_last() {
        let text = lines(vec![("a.js", 3000, 1000), ("b.wasm", 40_000, 9000)]);
        let names: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(names, ["web/dist", "b.wasm", "a.js", "together"]);
        assert!(text.ends_with("      43.0       10.0  together\n"), "{text}");
    }
}
