//! Pasting: what the clipboard's text names.

use std::path::PathBuf;

use crate::platform::typed;

/// What a pasted text that names nothing is answered with.
pub const NOTHING: &str = "The clipboard holds no picture and no path of a file.";

/// Frames within which what was asked for has come, where it comes at all.
pub const FRAMES: Option<u32> = Some(3);

/// Pastes, as if the keys had been pressed.
pub fn paste(ctx: &egui::Context) {
    ctx.send_viewport_cmd(egui::ViewportCommand::RequestPaste);
}

/// The files that a text names, a line each.
pub fn paths(text: &str) -> Vec<PathBuf> {
    text.lines().map(typed::path).filter(|path| dinoscope_core::files::is_absolute(path)).collect()
}

/// The addresses that a text names: none, for they are opened by browsers.
pub fn addresses(_: &str) -> Vec<String> {
    Vec::new()
}
