//! What differs between a desktop and a page: choosing files, where settings are kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::hands::Wake;

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
pub enum Purpose {
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
    /// Weights that are judged: a file.
    JudgedWeights,
    /// Weights that are judged: a run or a folder.
    JudgedRun,
    /// Pictures that weights are judged on: a folder.
    JudgedFolder,
    /// Pictures that weights are judged on: an IDX file.
    JudgedFile,
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
    /// Where a run goes, packed into one file.
    SaveRun,
    /// A folder for figures and pictures of a finding.
    SaveFindings,
}

impl Purpose {
    /// Whether something is going to be written.
    pub fn saves(self) -> bool {
        use Purpose::{SaveFilm, SaveFindings, SaveFrames, SaveNumbers, SavePicture, SaveRecipe, SaveRun};
        matches!(
            self,
            SaveRecipe | SavePicture | SaveNumbers | SaveFilm | SaveFrames | SaveRun | SaveFindings
        )
    }

    /// Kinds of files that are asked for; any without.
    pub fn kinds(self) -> Vec<&'static str> {
        match self {
            Self::OpenPictures => dinoscope_core::data::decode::EXTENSIONS.to_vec(),
            Self::OpenWeights | Self::BeginFile | Self::JudgedWeights => {
                vec!["safetensors", "pth", "pt", "bin", "ckpt", "zip"]
            }
            Self::OpenRecipe => vec!["toml"],
            Self::OpenRun | Self::FollowRun => vec!["zip"],
            _ => Vec::new(),
        }
    }
}

/// What was asked, and what was chosen.
type Answer = (Purpose, Vec<PathBuf>);

/// System dialogs on threads of their own; the window goes on meanwhile.
pub struct Dialogs {
    answers: Arc<Mutex<Vec<Answer>>>,
    wake: Wake,
    /// Nobody is there who could answer: a screenshot, a test.
    alone: bool,
}

impl Dialogs {
    pub(super) fn new(wake: Wake, alone: bool) -> Self {
        Self { answers: Arc::default(), wake, alone }
    }

    /// Asks; `name` is what a saved file would be called. Nothing happens where the system has no dialogs.
    #[cfg(not(target_family = "wasm"))]
    pub fn ask(&self, purpose: Purpose, name: &str) {
        if self.alone {
            return;
        }
        let (answers, wake, name) = (self.answers.clone(), self.wake.clone(), name.to_owned());
        let ask = move || {
            let chosen = native(purpose, &name);
            if let Ok(mut answers) = answers.lock() {
                answers.push((purpose, chosen));
            }
            wake();
        };
        if let Err(error) = std::thread::Builder::new().name("dinoscope-dialog".to_owned()).spawn(ask) {
            ::log::warn!("no dialog could be opened: {error}");
        }
    }

    /// Asks. What is saved goes where the browser puts downloads; what is opened arrives once it was chosen.
    #[cfg(target_family = "wasm")]
    pub fn ask(&self, purpose: Purpose, name: &str) {
        if !self.alone {
            crate::tab::files::ask(self, purpose, name);
        }
    }

    /// The answer to a question of this purpose, once. An empty one was cancelled.
    pub fn answer(&self, purpose: Purpose) -> Option<Vec<PathBuf>> {
        let mut answers = self.answers.lock().ok()?;
        let at = answers.iter().position(|(p, _)| *p == purpose)?;
        Some(answers.remove(at).1)
    }

    /// Gives an answer as if a person had: for tests, where there are no dialogs.
    pub fn give(&self, purpose: Purpose, paths: Vec<PathBuf>) {
        if let Ok(mut answers) = self.answers.lock() {
            answers.push((purpose, paths));
        }
        (self.wake)();
    }
}

#[cfg(not(target_family = "wasm"))]
fn native(purpose: Purpose, name: &str) -> Vec<PathBuf> {
    let dialog = rfd::FileDialog::new();
    let one = |path: Option<PathBuf>| path.into_iter().collect();
    match purpose {
        Purpose::OpenPictures => {
            let dialog = dialog.set_title("Open pictures").add_filter("Pictures", &purpose.kinds());
            dialog.pick_files().unwrap_or_default()
        }
        Purpose::OpenFolder => one(dialog.set_title("Open a folder of pictures").pick_folder()),
        Purpose::TrainingData => one(dialog.set_title("A folder of pictures to train on").pick_folder()),
        Purpose::BeginRun => one(dialog.set_title("A run to begin with").pick_folder()),
        Purpose::BeginFile => {
            one(dialog.set_title("Weights to begin with").add_filter("Weights", &purpose.kinds()).pick_file())
        }
        Purpose::OpenRun | Purpose::FollowRun => one(dialog.set_title("Open a run").pick_folder()),
        Purpose::JudgedFolder => one(dialog.set_title("Pictures to judge on").pick_folder()),
        Purpose::JudgedFile => one(dialog.set_title("Pictures to judge on").pick_file()),
        Purpose::JudgedRun => one(dialog.set_title("Weights to judge").pick_folder()),
        Purpose::JudgedWeights => {
            one(dialog.set_title("Weights to judge").add_filter("Weights", &purpose.kinds()).pick_file())
        }
        Purpose::OpenWeights => {
            one(dialog.set_title("Open weights").add_filter("Weights", &purpose.kinds()).pick_file())
        }
        Purpose::OpenRecipe => {
            one(dialog.set_title("Open a recipe").add_filter("Recipe", &purpose.kinds()).pick_file())
        }
        Purpose::SaveFindings => one(dialog.set_title("A folder for what was found").pick_folder()),
        Purpose::SaveFrames => one(dialog.set_title("A folder for the pictures").pick_folder()),
        Purpose::SaveRecipe
        | Purpose::SavePicture
        | Purpose::SaveNumbers
        | Purpose::SaveFilm
        | Purpose::SaveRun => one(dialog.set_title("Save as").set_file_name(name).save_file()),
    }
}
