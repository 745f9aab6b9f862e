//! Choosing files: what is asked for, and the answers, whoever asks.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::pictures::VIDEOS;
use super::tasks::Wake;
use super::typed;

/// What a dialog is for; the answer comes back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogPurpose {
    /// Pictures to look at.
    OpenPictures,
    /// A folder of pictures to look at.
    OpenFolder,
    /// Frames to follow something through: pictures, or an animation.
    FollowFrames,
    /// Frames to follow something through: a folder of them.
    FollowFolder,
    /// A file of weights.
    OpenWeights,
    /// A run or a folder of weights.
    OpenRun,
    /// A second model to compare with: a file.
    SecondWeights,
    /// A second model to compare with: a run or a folder.
    SecondRun,
    /// A model to show beside a run: a file.
    BesideWeights,
    /// A model to show beside a run: another run or a folder.
    BesideRun,
    /// Pictures to curate: a folder.
    CuratedPictures,
    /// A folder of curation: one that was filled, or a place for a new one.
    CuratedSet,
    /// Whose features are used to curate: a file.
    CuratedWeights,
    /// Whose features are used to curate: a run or a folder.
    CuratedRun,
    /// A picture whose like is looked for.
    CuratedQuery,
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
    /// Where what was followed goes: a film or a table.
    SaveFollowed,
    /// A folder for the masks of what was followed.
    SaveMasks,
}

impl DialogPurpose {
    /// Whether something is going to be written.
    pub fn saves(self) -> bool {
        use DialogPurpose::{
            SaveFilm, SaveFollowed, SaveFrames, SaveMasks, SaveNumbers, SavePicture, SaveRecipe, SaveResults,
            SaveRun,
        };
        matches!(
            self,
            SaveRecipe
                | SavePicture
                | SaveNumbers
                | SaveFilm
                | SaveFrames
                | SaveRun
                | SaveResults
                | SaveFollowed
                | SaveMasks
        )
    }

    /// What the dialog is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::OpenPictures => "Open pictures",
            Self::OpenFolder => "Open a folder of pictures",
            Self::FollowFrames => "Open frames or an animation",
            Self::FollowFolder => "Open a folder of frames",
            Self::OpenWeights => "Open weights",
            Self::CuratedPictures => "A folder of pictures to curate",
            Self::CuratedSet => "A set",
            Self::CuratedWeights | Self::CuratedRun => "Weights whose features are used",
            Self::CuratedQuery => "A picture to look for",
            Self::SecondWeights | Self::SecondRun => "Weights to compare with",
            Self::BesideWeights | Self::BesideRun => "Weights to show beside the run",
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
            Self::SaveMasks => "A folder for the masks",
            Self::SaveRecipe
            | Self::SavePicture
            | Self::SaveNumbers
            | Self::SaveFilm
            | Self::SaveFollowed
            | Self::SaveRun => "Save as",
        }
    }

    /// Whether it is one folder that is asked for.
    pub fn wants_folder(self) -> bool {
        use DialogPurpose::{
            BeginRun, BesideRun, CuratedPictures, CuratedRun, CuratedSet, EvaluatedFolder, EvaluatedRun,
            FollowFolder, FollowRun, OpenFolder, OpenRun, RunsFolder, SaveFrames, SaveMasks, SaveResults,
            SecondRun, TrainingData,
        };
        matches!(
            self,
            OpenFolder
                | OpenRun
                | SecondRun
                | BesideRun
                | CuratedPictures
                | CuratedRun
                | CuratedSet
                | FollowRun
                | TrainingData
                | BeginRun
                | EvaluatedRun
                | EvaluatedFolder
                | RunsFolder
                | SaveResults
                | SaveFrames
                | SaveMasks
                | FollowFolder
        )
    }

    /// What lies in one place: each kind of dialog opens where one of that kind was last.
    fn place(self) -> &'static str {
        match self {
            Self::OpenPictures
            | Self::OpenFolder
            | Self::FollowFrames
            | Self::FollowFolder
            | Self::TrainingData
            | Self::EvaluatedFolder
            | Self::CuratedPictures
            | Self::CuratedQuery
            | Self::EvaluatedFile => "pictures",
            Self::OpenWeights
            | Self::SecondWeights
            | Self::BesideWeights
            | Self::CuratedWeights
            | Self::BeginFile
            | Self::EvaluatedWeights => "weights",
            Self::OpenRun
            | Self::SecondRun
            | Self::BesideRun
            | Self::CuratedRun
            | Self::FollowRun
            | Self::BeginRun
            | Self::EvaluatedRun
            | Self::RunsFolder => "runs",
            Self::OpenRecipe | Self::SaveRecipe => "recipes",
            _ => "saved",
        }
    }

    /// Kinds of files that are asked for; any without.
    pub fn kinds(self) -> Vec<&'static str> {
        match self {
            Self::OpenPictures => {
                [&dinoscope_core::data::decode::EXTENSIONS[..], &["zip", "tar", "parquet"]].concat()
            }
            Self::FollowFrames => [&dinoscope_core::data::decode::EXTENSIONS[..], VIDEOS].concat(),
            Self::OpenWeights
            | Self::SecondWeights
            | Self::BesideWeights
            | Self::CuratedWeights
            | Self::BeginFile
            | Self::EvaluatedWeights => {
                vec!["safetensors", "pth", "pt", "bin", "ckpt", "zip"]
            }
            Self::CuratedQuery => dinoscope_core::data::decode::EXTENSIONS.to_vec(),
            Self::OpenRecipe => vec!["toml"],
            Self::OpenRun | Self::SecondRun | Self::BesideRun | Self::FollowRun => vec!["zip"],
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

/// Dialogs of the system; the window goes on meanwhile. Where the system has none, the window asks for a path itself.
pub struct FileDialogs {
    answers: DialogAnswers,
    /// Nobody is there who could answer: a screenshot, a test.
    alone: bool,
}

/// Where answers go, from any thread.
#[derive(Clone)]
pub struct DialogAnswers {
    shared: Arc<FileDialogState>,
    wake: Wake,
}

impl DialogAnswers {
    /// Gives the answer to a question of this purpose; an empty one was cancelled.
    pub fn give(&self, purpose: DialogPurpose, paths: Vec<PathBuf>) {
        self.shared.take(purpose, paths);
        (self.wake)();
    }

    /// Has the window ask, where the system has no dialogs.
    pub fn ask_in_window(&self, purpose: DialogPurpose, name: &str) {
        in_window(&self.shared, purpose, name);
        (self.wake)();
    }
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
    /// Dialogs that open in the folders where they were `last`; nobody answers where the window is `alone`.
    pub fn new(wake: Wake, alone: bool, last: BTreeMap<String, PathBuf>) -> Self {
        let shared = FileDialogState {
            folders: Mutex::new(RecentFolders { last, changed: false }),
            ..FileDialogState::default()
        };
        Self { answers: DialogAnswers { shared: Arc::new(shared), wake }, alone }
    }

    /// Asks; `name` is what a saved file would be called.
    pub fn ask(&self, purpose: DialogPurpose, name: &str) {
        if !self.alone {
            super::system_dialogs::ask(self, purpose, name);
        }
    }

    /// Where answers go.
    pub fn answers(&self) -> DialogAnswers {
        self.answers.clone()
    }

    /// Asks in the window itself, as where the system has no dialogs.
    pub fn ask_in_window(&self, purpose: DialogPurpose, name: &str) {
        self.answers.ask_in_window(purpose, name);
    }

    /// What the window has to ask for.
    pub fn asked(&self) -> Option<PathDialogRequest> {
        self.answers.shared.asked.lock().ok()?.clone()
    }

    /// Puts the window's question away.
    pub fn put_away(&self) {
        if let Ok(mut asked) = self.answers.shared.asked.lock() {
            *asked = None;
        }
    }

    /// The answer to a question of this purpose, once. An empty one was cancelled.
    pub fn answer(&self, purpose: DialogPurpose) -> Option<Vec<PathBuf>> {
        let mut answers = self.answers.shared.answers.lock().ok()?;
        let at = answers.iter().position(|(p, _)| *p == purpose)?;
        Some(answers.remove(at).1)
    }

    /// Gives an answer as a person has, or a test, where there are no dialogs.
    pub fn give(&self, purpose: DialogPurpose, paths: Vec<PathBuf>) {
        self.answers.give(purpose, paths);
    }

    /// Where dialogs were last, when that has changed.
    pub fn moved(&self) -> Option<BTreeMap<String, PathBuf>> {
        let mut folders = self.answers.shared.folders.lock().ok()?;
        std::mem::take(&mut folders.changed).then(|| folders.last.clone())
    }

    /// Where a dialog of this purpose would open.
    pub fn folder(&self, purpose: DialogPurpose) -> Option<PathBuf> {
        self.answers.shared.folder(purpose)
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

thread_local! {
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// A dialog of the system has failed in this thread. What shows them says so in the log and nowhere else: it gives the
/// answer of a person who has changed their mind.
pub fn dialog_has_failed() {
    FAILED.set(true);
}

/// Whether one has failed in this thread since this was asked last.
pub fn take_failure() -> bool {
    FAILED.take()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
        assert_eq!(again.asked().unwrap().text, PathBuf::from("/photos").join("").display().to_string());
    }
}
