//! Pasting: what the clipboard's text names.

use std::path::PathBuf;

use super::host;

/// What a pasted text that names nothing is answered with.
pub const NOTHING: &str = "The clipboard holds no picture and no address of one.";

/// Frames within which what was asked for has come: a person is asked first, so that nobody knows. The page says when there
/// is nothing.
pub const FRAMES: Option<u32> = None;

/// Pastes, as far as the browser allows it without the keys.
pub fn paste(_: &egui::Context) {
    if let Some(host) = host::get() {
        host.paste();
    }
}

/// The files that a text names: none, for a page knows no paths.
pub fn paths(_: &str) -> Vec<PathBuf> {
    Vec::new()
}

/// The addresses that a text names, a line each.
pub fn addresses(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim().trim_matches('"'));
    lines.filter(|line| line.starts_with("http")).map(str::to_owned).collect()
}
