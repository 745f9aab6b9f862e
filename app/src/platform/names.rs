//! Files and folders as the person knows them.
//!
//! On the desktop that is their path. A page has a file system of its own, which nobody sees: there it is the name that a
//! file or folder was given by, and what is saved goes where the browser puts downloads.

use std::borrow::Cow;
use std::path::Path;

use super::HAS_DISK;

/// Where loose pictures lie that were given to a page: all of them together, so that they can be trained on together.
/// `web/page/given.js` puts them there.
pub const LOOSE: &str = "/given/loose pictures";

/// Folders at the root of a page's file system. What they are called says nothing to anybody.
const OWN: [&str; 6] = ["/given", "/fetched", "/downloads", "/models", "/runs", "/settings"];

/// A file or folder, as the person knows it.
pub fn shown(path: &Path) -> String {
    known(&path.display().to_string()).into_owned()
}

/// A text with files and folders as the person knows them. Everything that is shown in a page passes through this.
pub fn known(text: &str) -> Cow<'_, str> {
    if HAS_DISK { Cow::Borrowed(text) } else { named(text) }
}

/// Where something was saved: its path, or that it is where the browser puts downloads.
pub fn saved(path: &Path) -> String {
    let name = shown(path);
    if HAS_DISK { name } else { format!("{name} in the browser's downloads") }
}

/// Where a run is kept.
pub fn kept(folder: &Path) -> String {
    let name = shown(folder);
    match HAS_DISK {
        true => format!("in {name}"),
        false => format!("in this tab as {name}, until it is closed: save it as one file"),
    }
}

/// A text with the names by which a page's files were given to it.
fn named(text: &str) -> Cow<'_, str> {
    if !OWN.iter().any(|own| text.contains(own)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, own)) = OWN.iter().filter_map(|own| Some((rest.find(own)?, *own))).min() {
        let (before, after) = (&rest[..at], &rest[at + own.len()..]);
        out.push_str(before);
        // Part of an address or of another path, or a longer word.
        let inside = out.ends_with(|c: char| c.is_alphanumeric() || "/.-_~%".contains(c));
        rest = match (inside, after.strip_prefix('/')) {
            (false, Some(below)) => from_delivery(own, below),
            (false, None) if !after.starts_with(|c: char| c.is_alphanumeric() || "-_".contains(c)) => {
                out.push_str("this tab");
                after
            }
            _ => {
                out.push_str(own);
                after
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What lies below one of a page's folders, without the number of the delivery that it came with, or the folder for all loose
/// pictures.
fn from_delivery<'a>(own: &str, below: &'a str) -> &'a str {
    let loose = LOOSE.rsplit('/').next().unwrap_or_default();
    let in_loose = below.strip_prefix(loose).and_then(|rest| rest.strip_prefix('/'));
    let digits = below.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = below[digits..].strip_prefix('/').filter(|_| digits > 0);
    if own == "/given" { in_loose.or(numbered).unwrap_or(below) } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_s_files_are_called_as_they_were_given() {
        for (text, told) in [
            (
                "can't read /given/12/thirty/text.png: not a picture",
                "can't read thirty/text.png: not a picture",
            ),
            ("/given/loose pictures/cat.jpg", "cat.jpg"),
            ("34 pictures in /given/loose pictures", "34 pictures in loose pictures"),
            ("“/given/1/a b.png” and “/given/2/c.png”", "“a b.png” and “c.png”"),
            ("Saved /downloads/nano-001-000069.zip (10 MB)", "Saved nano-001-000069.zip (10 MB)"),
            ("/runs/nano-001/checkpoints/000060", "nano-001/checkpoints/000060"),
            ("kept in /runs.", "kept in this tab."),
            ("/models/dinov2-small.safetensors", "dinov2-small.safetensors"),
            ("https://example.org/runs/1 and ../models/a", "https://example.org/runs/1 and ../models/a"),
            ("/runsheet and a/given/1/b", "/runsheet and a/given/1/b"),
            ("/given/2024 holiday/a.png", "2024 holiday/a.png"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(named(text), told);
        }
    }

    #[test]
    fn on_the_desktop_paths_are_paths() {
        let path = Path::new("/runs/nano-001");
        assert_eq!(shown(path), "/runs/nano-001");
        assert_eq!(saved(path), "/runs/nano-001");
        assert_eq!(kept(path), "in /runs/nano-001");
    }
}
