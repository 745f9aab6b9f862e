//! What differs between a desktop and a page: choosing files, where settings are kept.

use std::collections::BTreeMap;
#[cfg(not(target_family = "wasm"))]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::hands::Wake;
use super::typed;

/// Where the settings are kept in a page's file system; the browser keeps them from there.
#[cfg(target_family = "wasm")]
pub fn settings_file() -> Option<PathBuf> {
    Some(PathBuf::from("/settings/studio.json"))
}

/// Where the settings are kept: `$XDG_CONFIG_HOME/dinoscope/studio.json`, on Windows below `%APPDATA%`.
#[cfg(not(target_family = "wasm"))]
pub fn settings_file() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|path| dinoscope_core::files::is_absolute(path))
    };
    let base = if cfg!(windows) {
        set("APPDATA")
    } else if cfg!(target_os = "macos") {
        set("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))
    };
    base.map(|base| base.join("dinoscope").join("studio.json"))
}

/// What a dialog is for; the answer comes back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogPurpose {
    /// Pictures to look at.
    OpenPictures,
    /// A folder of pictures to look at.
    OpenFolder,
    /// A file of weights.
    OpenWeights,
    /// A run or a folder of weights.
    OpenRun,
    /// A run to show beside others.
    FollowRun,
    /// A folder to train on.
    TrainingData,
    /// Weights that a run begins with: a file.
    BeginFile,
    /// Weights that a run begins with: a run.
    BeginRun,
    /// Weights that are evaluated: a file.
    EvaluatedWeights,
    /// Weights that are evaluated: a run or a folder.
    EvaluatedRun,
    /// Pictures that weights are evaluated on: a folder.
    EvaluatedFolder,
    /// Pictures that weights are evaluated on: an IDX file.
    EvaluatedFile,
    /// A recipe to read.
    OpenRecipe,
    /// Where a recipe goes.
    SaveRecipe,
    /// Where a picture goes.
    SavePicture,
    /// Where numbers go.
    SaveNumbers,
    /// Where a film goes.
    SaveFilm,
    /// A folder for a film's pictures.
    SaveFrames,
    /// The folder that new runs are made in.
    RunsFolder,
    /// Where a run goes, packed into one file.
    SaveRun,
    /// A folder for figures and pictures of a finding.
    SaveResults,
}

impl DialogPurpose {
    /// Whether something is going to be written.
    pub fn saves(self) -> bool {
        use DialogPurpose::{
            SaveFilm, SaveFrames, SaveNumbers, SavePicture, SaveRecipe, SaveResults, SaveRun,
        };
        matches!(self, SaveRecipe | SavePicture | SaveNumbers | SaveFilm | SaveFrames | SaveRun | SaveResults)
    }

    /// What the dialog is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::OpenPictures => "Open pictures",
            Self::OpenFolder => "Open a folder of pictures",
            Self::OpenWeights => "Open weights",
            Self::OpenRun | Self::FollowRun => "Open a run",
            Self::TrainingData => "A folder of pictures to train on",
            Self::BeginFile => "Weights to begin with",
            Self::BeginRun => "A run to begin with",
            Self::EvaluatedWeights | Self::EvaluatedRun => "Weights to test",
            Self::EvaluatedFolder | Self::EvaluatedFile => "Pictures to evaluate on",
            Self::RunsFolder => "Keep runs in",
            Self::OpenRecipe => "Open a recipe",
            Self::SaveResults => "A folder for what was found",
            Self::SaveFrames => "A folder for the pictures",
            Self::SaveRecipe | Self::SavePicture | Self::SaveNumbers | Self::SaveFilm | Self::SaveRun => {
                "Save as"
            }
        }
    }

    /// Whether it is one folder that is asked for.
    pub fn wants_folder(self) -> bool {
        use DialogPurpose::{
            BeginRun, EvaluatedFolder, EvaluatedRun, FollowRun, OpenFolder, OpenRun, RunsFolder, SaveFrames,
            SaveResults, TrainingData,
        };
        matches!(
            self,
            OpenFolder
                | OpenRun
                | FollowRun
                | TrainingData
                | BeginRun
                | EvaluatedRun
                | EvaluatedFolder
                | RunsFolder
                | SaveResults
                | SaveFrames
        )
    }

    /// What lies in one place: each kind of dialog opens where one of that kind was last.
    fn place(self) -> &'static str {
        match self {
            Self::OpenPictures
            | Self::OpenFolder
            | Self::TrainingData
            | Self::EvaluatedFolder
            | Self::EvaluatedFile => "pictures",
            Self::OpenWeights | Self::BeginFile | Self::EvaluatedWeights => "weights",
            Self::OpenRun | Self::FollowRun | Self::BeginRun | Self::EvaluatedRun | Self::RunsFolder => {
                "runs"
            }
            Self::OpenRecipe | Self::SaveRecipe => "recipes",
            _ => "saved",
        }
    }

    /// Kinds of files that are asked for; any without.
    pub fn kinds(self) -> Vec<&'static str> {
        match self {
            Self::OpenPictures => dinoscope_core::data::decode::EXTENSIONS.to_vec(),
            Self::OpenWeights | Self::BeginFile | Self::EvaluatedWeights => {
                vec!["safetensors", "pth", "pt", "bin", "ckpt", "zip"]
            }
            Self::OpenRecipe => vec!["toml"],
            Self::OpenRun | Self::FollowRun => vec!["zip"],
            _ => Vec::new(),
        }
    }
}

/// What was asked, and what was chosen.
type Answer = (DialogPurpose, Vec<PathBuf>);

/// Something that is asked in the window itself, where the system shows no dialogs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathDialogRequest {
    /// What for.
    pub purpose: DialogPurpose,
    /// What a saved file would be called.
    pub name: String,
    /// What is written into the field at first.
    pub text: String,
}

/// System dialogs on threads of their own; the window goes on meanwhile. Where the system has none, the window asks for a
/// path itself.
pub struct FileDialogs {
    shared: Arc<FileDialogState>,
    wake: Wake,
    /// Nobody is there who could answer: a screenshot, a test.
    alone: bool,
}

/// What the threads of dialogs write to.
#[derive(Default)]
struct FileDialogState {
    answers: Mutex<Vec<Answer>>,
    /// What the window has to ask for.
    asked: Mutex<Option<PathDialogRequest>>,
    /// Folders where dialogs were last, by what they were for.
    folders: Mutex<RecentFolders>,
}

/// Folders by what lies there; and whether they have changed since somebody asked.
#[derive(Default)]
struct RecentFolders {
    last: BTreeMap<String, PathBuf>,
    changed: bool,
}

impl FileDialogState {
    /// Takes an answer, and keeps where one was.
    fn take(&self, purpose: DialogPurpose, chosen: Vec<PathBuf>) {
        if let (Some(folder), Ok(mut folders)) =
            (chosen.first().and_then(|path| path.parent()), self.folders.lock())
        {
            let folder = folder.to_owned();
            if !folder.as_os_str().is_empty() && folders.last.get(purpose.place()) != Some(&folder) {
                folders.last.insert(purpose.place().to_owned(), folder);
                folders.changed = true;
            }
        }
        if let Ok(mut answers) = self.answers.lock() {
            answers.push((purpose, chosen));
        }
    }

    /// Where a dialog opens.
    fn folder(&self, purpose: DialogPurpose) -> Option<PathBuf> {
        self.folders.lock().ok()?.last.get(purpose.place()).cloned()
    }
}

impl FileDialogs {
    pub(super) fn new(wake: Wake, alone: bool, last: BTreeMap<String, PathBuf>) -> Self {
        let shared = FileDialogState {
            folders: Mutex::new(RecentFolders { last, changed: false }),
            ..FileDialogState::default()
        };
        Self { shared: Arc::new(shared), wake, alone }
    }

    /// Asks; `name` is what a saved file would be called.
    #[cfg(not(target_family = "wasm"))]
    pub fn ask(&self, purpose: DialogPurpose, name: &str) {
        if self.alone {
            return;
        }
        let (shared, wake, name) = (self.shared.clone(), self.wake.clone(), name.to_owned());
        let from = shared.folder(purpose);
        let ask = move || {
            match native(purpose, &name, from) {
                Some(chosen) => shared.take(purpose, chosen),
                None => in_window(&shared, purpose, &name),
            }
            wake();
        };
        if let Err(error) = std::thread::Builder::new().name("dinoscope-dialog".to_owned()).spawn(ask) {
            ::log::warn!("no dialog could be opened: {error}");
            self.ask_in_window(purpose, "");
        }
    }

    /// Asks. What is saved goes where the browser puts downloads; what is opened arrives once it was chosen.
    #[cfg(target_family = "wasm")]
    pub fn ask(&self, purpose: DialogPurpose, name: &str) {
        if !self.alone {
            crate::tab::files::ask(self, purpose, name);
        }
    }

    /// Asks in the window itself, as where the system has no dialogs.
    pub fn ask_in_window(&self, purpose: DialogPurpose, name: &str) {
        in_window(&self.shared, purpose, name);
        (self.wake)();
    }

    /// What the window has to ask for.
    pub fn asked(&self) -> Option<PathDialogRequest> {
        self.shared.asked.lock().ok()?.clone()
    }

    /// Puts the window's question away.
    pub fn put_away(&self) {
        if let Ok(mut asked) = self.shared.asked.lock() {
            *asked = None;
        }
    }

    /// The answer to a question of this purpose, once. An empty one was cancelled.
    pub fn answer(&self, purpose: DialogPurpose) -> Option<Vec<PathBuf>> {
        let mut answers = self.shared.answers.lock().ok()?;
        let at = answers.iter().position(|(p, _)| *p == purpose)?;
        Some(answers.remove(at).1)
    }

    /// Gives an answer as a person has, or a test, where there are no dialogs.
    pub fn give(&self, purpose: DialogPurpose, paths: Vec<PathBuf>) {
        self.shared.take(purpose, paths);
        (self.wake)();
    }

    /// Where dialogs were last, when that has changed.
    pub fn moved(&self) -> Option<BTreeMap<String, PathBuf>> {
        let mut folders = self.shared.folders.lock().ok()?;
        std::mem::take(&mut folders.changed).then(|| folders.last.clone())
    }

    /// Where a dialog of this purpose would open.
    pub fn folder(&self, purpose: DialogPurpose) -> Option<PathBuf> {
        self.shared.folder(purpose)
    }
}

/// Has the window ask; the field begins where one was last.
fn in_window(shared: &FileDialogState, purpose: DialogPurpose, name: &str) {
    let folder = shared.folder(purpose).or_else(typed::home).unwrap_or_default();
    let saves = purpose.saves() && !purpose.wants_folder();
    // With a separator at its end: what is typed goes on from there.
    let path = folder.join(if saves { name } else { "" });
    if let Ok(mut asked) = shared.asked.lock() {
        *asked = Some(PathDialogRequest { purpose, name: name.to_owned(), text: path.display().to_string() });
    }
}

/// The system's own dialog. Nothing where it has none, which is not the same as an empty answer.
#[cfg(not(target_family = "wasm"))]
fn native(purpose: DialogPurpose, name: &str, from: Option<PathBuf>) -> Option<Vec<PathBuf>> {
    let mut dialog = rfd::FileDialog::new().set_title(purpose.title());
    if let Some(from) = from.filter(|from| from.is_dir()) {
        dialog = dialog.set_directory(from);
    }
    let kinds = purpose.kinds();
    let filter = match purpose {
        DialogPurpose::OpenPictures => "Pictures",
        DialogPurpose::OpenRecipe => "Recipe",
        _ => "Weights",
    };
    let _ = super::log::dialog_failed();
    let one = |path: Option<PathBuf>| path.into_iter().collect();
    let chosen: Vec<PathBuf> = if purpose.wants_folder() {
        one(dialog.pick_folder())
    } else if purpose.saves() {
        one(dialog.set_file_name(name).save_file())
    } else {
        let dialog = if kinds.is_empty() { dialog } else { dialog.add_filter(filter, &kinds) };
        match purpose {
            DialogPurpose::OpenPictures => dialog.pick_files().unwrap_or_default(),
            _ => one(dialog.pick_file()),
        }
    };
    (!chosen.is_empty() || !super::log::dialog_failed()).then_some(chosen)
}

/// Folder in the user's documents where runs are kept, unless somebody has said otherwise.
#[cfg(not(target_family = "wasm"))]
pub fn documents() -> Option<PathBuf> {
    let home = typed::home()?;
    let usual = home.join("Documents");
    if cfg!(windows) && !usual.is_dir() {
        // OneDrive takes the folder over.
        let cloud = std::env::var_os("OneDrive").map(|cloud| PathBuf::from(cloud).join("Documents"));
        return Some(cloud.filter(|cloud| cloud.is_dir()).unwrap_or(usual));
    }
    if cfg!(any(windows, target_os = "macos")) {
        return Some(usual);
    }
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| dinoscope_core::files::is_absolute(path));
    let dirs = config.unwrap_or_else(|| home.join(".config")).join("user-dirs.dirs");
    let named = std::fs::read_to_string(dirs).ok().and_then(|text| user_dir(&text, "DOCUMENTS", &home));
    Some(named.unwrap_or(usual))
}

/// A folder that `user-dirs.dirs` names: a line `XDG_NAME_DIR="$HOME/Name"` or with a whole path.
#[cfg(not(target_family = "wasm"))]
fn user_dir(text: &str, name: &str, home: &Path) -> Option<PathBuf> {
    let value = text.lines().rev().find_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        (key.trim() == format!("XDG_{name}_DIR")).then(|| value.trim().trim_matches('"'))
    })?;
    match value.strip_prefix("$HOME") {
        Some(below) => Some(home.join(below.trim_start_matches('/'))),
        None => Some(PathBuf::from(value)).filter(|path| dinoscope_core::files::is_absolute(path)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_where_the_desktop_says() {
        let home = Path::new("/home/x");
        let text =
            "# a comment\nXDG_DESKTOP_DIR=\"$HOME/Schreibtisch\"\nXDG_DOCUMENTS_DIR=\"$HOME/Dokumente\"\n";
        assert_eq!(user_dir(text, "DOCUMENTS", home), Some(home.join("Dokumente")));
        if cfg!(unix) {
            let whole = user_dir("XDG_DOCUMENTS_DIR=\"/data/papers\"", "DOCUMENTS", home);
            assert_eq!(whole, Some(PathBuf::from("/data/papers")));
        }
        // No folder for documents: then it is the home folder.
        assert_eq!(user_dir("XDG_DOCUMENTS_DIR=\"$HOME/\"", "DOCUMENTS", home), Some(home.join("")));
        assert_eq!(user_dir("XDG_MUSIC_DIR=\"$HOME/M\"", "DOCUMENTS", home), None);
        assert_eq!(user_dir("XDG_DOCUMENTS_DIR=\"papers\"", "DOCUMENTS", home), None);
    }

    #[test]
    fn dialogs_open_where_one_of_their_kind_was_last() {
        let dialogs = FileDialogs::new(Arc::new(|| ()), false, BTreeMap::new());
        assert!(dialogs.folder(DialogPurpose::OpenPictures).is_none() && dialogs.moved().is_none());
        dialogs.give(DialogPurpose::OpenFolder, vec![PathBuf::from("/photos/holiday")]);
        assert_eq!(dialogs.folder(DialogPurpose::OpenPictures), Some(PathBuf::from("/photos")));
        assert_eq!(dialogs.folder(DialogPurpose::TrainingData), Some(PathBuf::from("/photos")));
        assert_eq!(dialogs.folder(DialogPurpose::OpenWeights), None);
        let kept = dialogs.moved().unwrap();
        assert!(dialogs.moved().is_none());
        // A dialog that was cancelled is nowhere.
        dialogs.give(DialogPurpose::OpenFolder, Vec::new());
        let again = FileDialogs::new(Arc::new(|| ()), false, kept);
        assert_eq!(again.folder(DialogPurpose::EvaluatedFile), Some(PathBuf::from("/photos")));
        again.ask_in_window(DialogPurpose::OpenPictures, "");
        assert_eq!(again.asked().unwrap().text, Path::new("/photos").join("").display().to_string());
    }
}
