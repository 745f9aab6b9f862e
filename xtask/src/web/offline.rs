//! Tells the service worker what the page consists of, so that it works without a network after one visit.

use anyhow::{Context, Result, bail};

use super::Files;
use super::hash::{FIXED, short};

/// The line of `sw.js` that takes the list of files.
const LIST: &str = "const FILES = [];";
/// The line that takes the version.
const VERSION: &str = "const VERSION = '';";

/// Fills both lines in `sw.js`. The version changes with any file, so that a browser notices a new one.
///
/// # Errors
/// When `sw.js` is missing or has not both lines.
pub fn list(mut files: Files) -> Result<Files> {
    let worker = files.remove("sw.js").context("the page has no sw.js")?;
    let worker = String::from_utf8(worker).context("reading sw.js")?;
    if worker.matches(LIST).count() != 1 || worker.matches(VERSION).count() != 1 {
        bail!("sw.js needs the lines `{LIST}` and `{VERSION}`");
    }
    // The folder stands for index.html: hosts send the one to the other, and a browser takes no answer for a page
    // that came from elsewhere.
    let named =
        files.keys().filter(|path| !FIXED.contains(&path.as_str())).map(|path| format!("  '{path}',\n"));
    let list = format!("const FILES = [\n  './',\n{}];", named.collect::<String>());
    let page = files.get("index.html").context("the page has no index.html")?;
    let version = short([list.as_bytes(), page, worker.as_bytes()].concat().as_slice());
    let worker = worker.replace(LIST, &list).replace(VERSION, &format!("const VERSION = '{version}';"));
    files.insert("sw.js".into(), worker.into_bytes());
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(page: &str, script: &str) -> String {
        let files = [("index.html", page), ("a.1.js", ""), ("sw.js", script)];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        let files = list(files.into_iter().collect()).unwrap();
        String::from_utf8(files["sw.js"].clone()).unwrap()
    }

    #[test]
    fn all_files_are_listed_and_a_change_anywhere_is_a_new_version() {
        let script = format!("{VERSION}\n{LIST}\n");
        let first = worker("one", &script);
        assert!(first.contains("const FILES = [\n  './',\n  'a.1.js',\n];"), "{first}");
        assert!(!first.contains("index.html") && !first.contains("''"), "{first}");
        assert_eq!(first, worker("one", &script));
        assert_ne!(first, worker("two", &script));
    }

    #[test]
    fn a_worker_without_its_lines_is_refused() {
        let files = [("index.html".to_owned(), Vec::new()), ("sw.js".to_owned(), LIST.as_bytes().to_vec())];
        assert!(list(files.into()).unwrap_err().to_string().contains(VERSION));
    }
}
