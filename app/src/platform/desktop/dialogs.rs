//! The system's own dialogs, on threads of their own.

use std::path::PathBuf;

use crate::platform::dialogs::{DialogPurpose, FileDialogs, take_failure};

/// Asks; the window goes on meanwhile. Where the system has no dialogs, the window asks itself.
pub fn ask(dialogs: &FileDialogs, purpose: DialogPurpose, name: &str) {
    let (answers, name) = (dialogs.answers(), name.to_owned());
    let from = dialogs.folder(purpose);
    let ask = move || match system(purpose, &name, from) {
        Some(chosen) => answers.give(purpose, chosen),
        None => answers.ask_in_window(purpose, &name),
    };
    if let Err(error) = std::thread::Builder::new().name("dinoscope-dialog".to_owned()).spawn(ask) {
        ::log::warn!("no dialog could be opened: {error}");
        dialogs.ask_in_window(purpose, "");
    }
}

/// What was chosen. Nothing where the system has no dialogs, which is not the same as an empty answer.
fn system(purpose: DialogPurpose, name: &str, from: Option<PathBuf>) -> Option<Vec<PathBuf>> {
    let mut dialog = rfd::FileDialog::new().set_title(purpose.title());
    if let Some(from) = from.filter(|from| from.is_dir()) {
        dialog = dialog.set_directory(from);
    }
    let kinds = purpose.kinds();
    let filter = match purpose {
        DialogPurpose::OpenPictures | DialogPurpose::FollowFrames => "Pictures",
        DialogPurpose::OpenRecipe => "Recipe",
        _ => "Weights",
    };
    let _ = take_failure();
    let one = |path: Option<PathBuf>| path.into_iter().collect();
    let chosen: Vec<PathBuf> = if purpose.wants_folder() {
        one(dialog.pick_folder())
    } else if purpose.saves() {
        one(dialog.set_file_name(name).save_file())
    } else {
        let dialog = if kinds.is_empty() { dialog } else { dialog.add_filter(filter, &kinds) };
        match purpose {
            DialogPurpose::OpenPictures | DialogPurpose::FollowFrames => {
                dialog.pick_files().unwrap_or_default()
            }
            _ => one(dialog.pick_file()),
        }
    };
    (!chosen.is_empty() || !take_failure()).then_some(chosen)
}
