//! Names that change with what is in a file: `main.js` becomes `main.1a2b3c4d.js`, and who refers to it says so.
//!
//! A browser may then keep such a file for ever, and two versions of the page never mix.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};

use super::Files;

/// What a browser asks for by its own name, each time.
pub const FIXED: [&str; 2] = ["index.html", "sw.js"];

/// In what files references are looked for.
const TEXT: [&str; 5] = ["css", "html", "js", "json", "webmanifest"];

/// SHA-256 as text.
pub fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first digits of [`digest`]: enough to tell the versions of a file apart.
pub fn short(content: &[u8]) -> String {
    digest(content)[..8].to_owned()
}

/// Gives every file but [`FIXED`] a name with its hash, and rewrites the references between them.
///
/// A reference is a path between quotes, or in a style sheet's `url(…)`, relative to the file that it stands in.
///
/// # Errors
/// When files refer to each other in a circle: neither could have its name before the other.
pub fn name(files: Files) -> Result<Files> {
    let mut naming = Naming { files: &files, done: BTreeMap::new(), path: Vec::new() };
    for path in files.keys() {
        naming.visit(path)?;
    }
    Ok(naming.done.into_values().collect())
}

struct Naming<'a> {
    files: &'a Files,
    /// New name and content, by old name.
    done: BTreeMap<String, (String, Vec<u8>)>,
    /// The files that wait for the one at hand.
    path: Vec<String>,
}

impl Naming<'_> {
    /// The new name of `path`.
    fn visit(&mut self, path: &str) -> Result<String> {
        if let Some((name, _)) = self.done.get(path) {
            return Ok(name.clone());
        }
        if self.path.iter().any(|waiting| waiting == path) {
            bail!("the page's files refer to each other in a circle: {} → {path}", self.path.join(" → "));
        }
        self.path.push(path.to_owned());
        let content = self.rewritten(path)?;
        self.path.pop();
        let name = if FIXED.contains(&path) { path.to_owned() } else { hashed(path, &content) };
        self.done.insert(path.to_owned(), (name.clone(), content));
        Ok(name)
    }

    fn rewritten(&mut self, path: &str) -> Result<Vec<u8>> {
        let content = self.files.get(path).map(Vec::as_slice).unwrap_or_default();
        let text = TEXT.contains(&extension(path)).then(|| std::str::from_utf8(content).ok()).flatten();
        let Some(text) = text else { return Ok(content.to_vec()) };
        let mut rewritten = String::new();
        let mut at = 0;
        for (range, target) in references(text, path, self.files) {
            let name = self.visit(&target)?;
            let file = name.rsplit('/').next().unwrap_or(&name);
            // The folder stays as it was written.
            let written = &text[range.clone()];
            let folder = written.rfind('/').map_or(0, |slash| slash + 1);
            rewritten.push_str(&text[at..range.start + folder]);
            rewritten.push_str(file);
            at = range.end;
        }
        rewritten.push_str(&text[at..]);
        Ok(rewritten.into_bytes())
    }
}

/// `a/b.js` with the hash of `content` before its extension.
fn hashed(path: &str, content: &[u8]) -> String {
    let extension = extension(path);
    match path.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.')) {
        Some(stem) if !extension.is_empty() => format!("{stem}.{}.{extension}", short(content)),
        _ => format!("{path}.{}", short(content)),
    }
}

/// What follows the last dot of the file's name; nothing if there is none.
pub fn extension(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Where `text`, the content of `path`, names another file that gets a new name.
fn references(text: &str, path: &str, files: &Files) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let first = line.trim_start();
        // Types in comments refer to files that need not be loaded.
        if !["//", "/*", "*"].iter().any(|comment| first.starts_with(comment)) {
            in_line(line, start, path, files, &mut found);
        }
        start += line.len();
    }
    found
}

fn in_line(line: &str, start: usize, path: &str, files: &Files, found: &mut Vec<(Range<usize>, String)>) {
    let mut at = 0;
    while let Some(open) = line[at..].find(['"', '\'', '`', '(']).map(|open| at + open) {
        let (from, close) =
            (open + 1, if line[open..].starts_with('(') { ')' } else { line.as_bytes()[open].into() });
        at = from;
        let Some(length) = line[from..].find(close) else { continue };
        let named = &line[from..from + length];
        let named = named.split(['?', '#']).next().unwrap_or(named);
        let Some(target) = resolve(path, named) else { continue };
        if files.contains_key(&target) && !FIXED.contains(&target.as_str()) {
            found.push((start + from..start + from + named.len(), target));
            at = from + length + 1;
        }
    }
}

/// The file that `named` means where it stands in `path`; nothing if that is outside the page.
fn resolve(path: &str, named: &str) -> Option<String> {
    if named.is_empty() || named.starts_with('/') || named.contains([':', ' ']) {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in named.split('/') {
        match part {
            "." => {}
            ".." => parts.pop().map(|_| ())?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    fn text<'a>(files: &'a Files, start: &str) -> (&'a str, &'a str) {
        let (name, content) = files.iter().find(|(name, _)| name.starts_with(start)).unwrap();
        (name, std::str::from_utf8(content).unwrap())
    }

    #[test]
    fn names_follow_content_all_the_way_up() {
        let build = |wasm: &str| {
            name(page(&[
                ("index.html", "<script src=\"main.js\"></script><link href=\"style.css?x#y\">"),
                ("main.js", "import a from './pkg/a.js';\nregister('sw.js'); new URL('worker.js', here)"),
                ("worker.js", "import a from \"./pkg/a.js\"; say(\"don't\", 'main.jsx')"),
                ("pkg/a.js", "new URL('a_bg.wasm', import.meta.url); fetch(`../weights/w.safetensors`)"),
                ("pkg/a_bg.wasm", wasm),
                ("style.css", "body { background: url(icon.svg) }"),
                ("icon.svg", "<svg/>"),
                ("sw.js", "const FILES = [];"),
                ("weights/w.safetensors", "w"),
            ]))
            .unwrap()
        };
        let (old, new) = (build("one"), build("two"));
        let hash = short(b"one");
        assert!(old.contains_key(&format!("pkg/a_bg.{hash}.wasm")), "{:?}", old.keys());
        let (js, a) = text(&old, "pkg/a.");
        assert!(a.contains(&format!("new URL('a_bg.{hash}.wasm'")), "{a}");
        assert!(a.contains(&format!("`../weights/w.{}.safetensors`", short(b"w"))), "{a}");
        let (main, script) = text(&old, "main.");
        assert!(script.contains(&format!("'./{js}'")) && script.contains("register('sw.js')"), "{script}");
        assert!(script.contains("new URL('worker."), "{script}");
        let (_, html) = text(&old, "index.html");
        let style = text(&old, "style.").0;
        assert!(html.contains(main) && html.contains(&format!("\"{style}?x#y\"")), "{html}");
        assert!(text(&old, "style.").1.contains(text(&old, "icon.").0));
        // Another program: everything that leads to it changes, nothing else does.
        for (start, same) in [("pkg/a.", false), ("worker.", false), ("main.", false), ("style.", true)] {
            assert_eq!(text(&old, start).0 == text(&new, start).0, same, "{start}");
        }
    }

    #[test]
    fn comments_refer_to_nothing_and_circles_are_refused() {
        let files = [("a.js", "import './b.js';"), ("b.js", "/**\n * @param {import('./a.js').A} a\n */")];
        assert_eq!(name(page(&files)).unwrap().len(), 2);
        let files = [("a.js", "import './b.js';"), ("b.js", "import './a.js';")];
        let error = name(page(&files)).unwrap_err().to_string();
        assert!(error.contains("a.js → b.js → a.js"), "{error}");
    }

    #[test]
    fn only_paths_below_the_page_are_resolved() {
        assert_eq!(resolve("pkg/a.js", "./b.wasm").as_deref(), Some("pkg/b.wasm"));
        assert_eq!(resolve("pkg/a.js", "../b.css").as_deref(), Some("b.css"));
        for outside in ["../../b", "/b", "https://example.org/b", "", "a b"] {
            assert_eq!(resolve("pkg/a.js", outside), None, "{outside}");
        }
    }
}
