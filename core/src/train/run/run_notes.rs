//! What happened to a run and should not be forgotten when it goes on: lines of `changes.jsonl` that hold a sentence.

use serde::Deserialize;
use serde_json::json;

use crate::files;
use crate::train::resume::CHANGES;
use crate::train::run::{RunError, RunFolder, replace};

/// Adds sentences that belong to a step. The folder's own path is left out of them: it may move.
///
/// # Errors
/// When the disk refuses.
pub(in crate::train) fn add(
    folder: &RunFolder,
    iteration: u64,
    sentences: &[String],
) -> Result<(), RunError> {
    if sentences.is_empty() {
        return Ok(());
    }
    let file = folder.path().join(CHANGES);
    let mut text = match files::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    };
    let own = format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR);
    for sentence in sentences {
        text += &format!("{}\n", json!({ "iteration": iteration, "note": sentence.replace(&own, "") }));
    }
    replace(&file, &text)
}

/// All of them, in order, each with its step.
pub fn read(folder: &RunFolder) -> Vec<(u64, String)> {
    #[derive(Deserialize)]
    struct NoteLine {
        iteration: u64,
        note: String,
    }
    let text = files::read(folder.path().join(CHANGES)).unwrap_or_default();
    let lines =
        text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<NoteLine>(line).ok());
    lines.map(|line| (line.iteration, line.note)).collect()
}
