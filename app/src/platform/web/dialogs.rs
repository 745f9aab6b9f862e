//! The browser's dialogs, and its downloads.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use dinoscope_core::files;
use js_sys::Uint8Array;

use super::host;
use crate::platform::dialogs::{DialogPurpose, FileDialogs};

/// Where files that are to be saved lie until they are.
const DOWNLOADS: &str = "/downloads";

thread_local! {
    /// Files that somebody is about to write.
    static EXPECTED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    /// Which question the browser's dialog answers.
    static ASKED: RefCell<Option<DialogPurpose>> = const { RefCell::new(None) };
}

/// Asks the person for files, or takes what is saved to where the browser puts downloads.
pub fn ask(dialogs: &FileDialogs, purpose: DialogPurpose, name: &str) {
    if purpose.saves() {
        let path = Path::new(DOWNLOADS).join(name);
        let _ = files::create_dir_all(DOWNLOADS);
        EXPECTED.with_borrow_mut(|expected| expected.push(path.clone()));
        dialogs.give(purpose, vec![path]);
        return;
    }
    ASKED.set(Some(purpose));
    let kinds: Vec<String> = purpose.kinds().iter().map(|kind| format!(".{kind}")).collect();
    let folder = matches!(
        purpose,
        DialogPurpose::OpenFolder
            | DialogPurpose::FollowFolder
            | DialogPurpose::TrainingData
            | DialogPurpose::EvaluatedFolder
    );
    if let Some(host) = host::get() {
        host.pick("dialog", &kinds.join(","), folder);
    }
}

/// Hands a file of the page's to the browser.
pub fn hand_over(path: &Path) {
    if let (Some(host), Ok(bytes), Some(name)) = (host::get(), files::read(path), path.file_name()) {
        host.save(&name.to_string_lossy(), Uint8Array::from(bytes.as_slice()));
    }
}

/// Hands what was written since to the browser.
pub fn hand_over_written() {
    let written = EXPECTED.with_borrow_mut(|expected| {
        let written: Vec<PathBuf> = expected.iter().filter(|path| files::is_file(path)).cloned().collect();
        expected.retain(|path| !written.contains(path));
        written
    });
    for path in written {
        hand_over(&path);
        let _ = files::remove_file(&path);
    }
}

/// What the files that were chosen are for, once.
pub fn asked() -> Option<DialogPurpose> {
    ASKED.take()
}
