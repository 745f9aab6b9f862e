//! Files in and out of a page: what a person drops or chooses, what an address names, what is saved.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use dinoscope_core::explore::ModelSource;
use dinoscope_core::files::{self, FileChange};
use js_sys::Uint8Array;

use super::{fetch as network, host, turns, window};
use crate::studio::explore::{hub::last, is_weights};
use crate::studio::names::LOOSE;
use crate::studio::platform::{DialogPurpose, FileDialogs};

/// Where files that are to be saved lie until they are.
const DOWNLOADS: &str = "/downloads";
/// Where what came from elsewhere lies.
const FETCHED: &str = "/fetched";

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
        DialogPurpose::OpenFolder | DialogPurpose::TrainingData | DialogPurpose::EvaluatedFolder
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

/// Hands what was written to the browser.
pub fn sweep() {
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

/// A file that a person has given. Without a content it stays in the browser until a worker reads it.
pub struct BrowserFile {
    /// Where it is to lie.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// What it holds.
    pub content: Option<Vec<u8>>,
}

/// Files were dropped, pasted or chosen. `roots` are what a person sees as one: files and folders.
pub fn arrived(chosen: bool, roots: Vec<PathBuf>, given: Vec<BrowserFile>) {
    let changes = given.into_iter().map(|BrowserFile { path, size, content }| match content {
        Some(bytes) => FileChange::Write { path, bytes },
        None => FileChange::Outside { path, size },
    });
    files::apply(changes.collect());
    let purpose = if chosen { ASKED.take() } else { None };
    let roots = match purpose {
        // Browsers that choose no folders give its pictures instead: those mean all loose ones.
        Some(DialogPurpose::TrainingData | DialogPurpose::EvaluatedFolder) => {
            let whole = |root: PathBuf| if root.starts_with(LOOSE) { LOOSE.into() } else { root };
            roots.into_iter().map(whole).collect()
        }
        _ => roots,
    };
    window::with(|studio| match purpose {
        Some(purpose) => studio.dialogs().give(purpose, roots),
        None => studio.open(roots),
    });
}

/// Opens what lies at an address: a picture, weights, or a run in one file.
pub fn fetch(address: &str) {
    let address = address.to_owned();
    if is_weights(Path::new(last(&address))) {
        window::with(|studio| studio.look_with(ModelSource::Released(address)));
        return;
    }
    turns::spawn(async move {
        let (name, mut told) = (address.clone(), false);
        let hear = move |_, _, word: String| {
            // Once: nothing shows how far a picture is.
            if !word.is_empty() && !std::mem::replace(&mut told, true) {
                window::with(|studio| studio.tell(format!("{name}: {word}. It is waited for.")));
            }
            true
        };
        let got = network::get(&address, false, hear).await;
        let path = Path::new(FETCHED).join(last(&address));
        let put = |bytes: Vec<u8>| {
            let made = files::create_dir_all(FETCHED).and_then(|()| files::write(&path, &bytes));
            made.map_err(|error| error.to_string())
        };
        let there = got.and_then(put);
        window::with(|studio| match there {
            Ok(()) => studio.open(vec![path.clone()]),
            Err(reason) => studio.tell_trouble(format!("{address} can't be opened: {reason}")),
        });
    });
}
