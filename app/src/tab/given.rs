//! Files that a person drops on the page or chooses.

use std::path::PathBuf;

use dinoscope_core::files::{self, FileChange};

use super::window;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::names::LOOSE;
use crate::platform::web::{clipboard, dialogs};

/// A file that a person has given. Without a content it stays in the browser until a worker reads it.
pub struct BrowserFile {
    /// Where it is to lie.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// What it holds.
    pub content: Option<Vec<u8>>,
}

/// Files were dropped, pasted or chosen. `roots` are what a person sees as one: files and folders; none of them where a
/// clipboard holds nothing of use.
pub fn arrived(chosen: bool, roots: Vec<PathBuf>, given: Vec<BrowserFile>) {
    let changes = given.into_iter().map(|BrowserFile { path, size, content }| match content {
        Some(bytes) => FileChange::Write { path, bytes },
        None => FileChange::Outside { path, size },
    });
    files::apply(changes.collect());
    let purpose = if chosen { dialogs::asked() } else { None };
    let roots = match purpose {
        // Browsers that choose no folders give its pictures instead: those mean all loose ones.
        Some(DialogPurpose::TrainingData | DialogPurpose::EvaluatedFolder | DialogPurpose::FollowFolder) => {
            let whole = |root: PathBuf| if root.starts_with(LOOSE) { LOOSE.into() } else { root };
            roots.into_iter().map(whole).collect()
        }
        _ => roots,
    };
    window::with(|studio| match purpose {
        Some(purpose) => studio.dialogs().give(purpose, roots),
        None if roots.is_empty() && !chosen => studio.tell(clipboard::NOTHING.to_owned()),
        None => studio.open(roots),
    });
}
