//! What a person should know about the device: said once, not before every command.

use std::sync::Mutex;

use dinoscope_core::analysis::write_atomic;
use dinoscope_core::device::SOFTWARE_ONLY;
use dinoscope_core::weights::download;

use crate::cli::terminal::{self, note};

static PENDING: Mutex<Option<String>> = Mutex::new(None);

/// Keeps a note until the command is known to do something: before an error it would only be in the way.
pub fn keep(text: String) {
    if let Ok(mut pending) = PENDING.lock() {
        *pending = Some(text);
    }
}

/// A note with the flag that chooses otherwise, where one does.
pub fn with_flag(note: String) -> String {
    match note.contains(SOFTWARE_ONLY) {
        true => format!("{note} --device gpu takes that one."),
        false => note,
    }
}

/// Says the note that was kept, unless it was said on this computer before. `--verbose` always says it.
pub fn say() {
    let Some(text) = PENDING.lock().ok().and_then(|mut pending| pending.take()) else { return };
    if !terminal::shows_notes() {
        return;
    }
    let file = download::cache_folder().join("told-device");
    if !terminal::is_verbose() && std::fs::read_to_string(&file).is_ok_and(|told| told == text) {
        return;
    }
    note!("{text}");
    // Where nothing can be kept, it is said again.
    if let Some(folder) = file.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let _ = write_atomic(&file, text.as_bytes());
}
