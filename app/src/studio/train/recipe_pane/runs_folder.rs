//! The folder in which new runs are made: shown, changed, remembered.

use std::path::PathBuf;

use crate::platform::storage;
use crate::platform::tasks::Wake;
use crate::platform::typed;
use crate::studio::background::task::BackgroundTask;
use crate::studio::settings_store::SettingsStore;

/// The folder in which new runs are made.
pub struct RunsFolderField {
    /// As it is typed.
    pub text: String,
    first: PathBuf,
    checked: Option<(String, Option<String>)>,
    work: Option<BackgroundTask<(String, Option<String>)>>,
}

impl RunsFolderField {
    /// As it was `given`, else remembered; else in the user's documents.
    pub fn new(remembered: &SettingsStore, given: Option<PathBuf>) -> Self {
        let first = storage::runs_folder();
        // Before there was a folder for runs itself, the one above it was remembered.
        let above = || Some(PathBuf::from(remembered.get::<String>("runs folder")?).join("runs"));
        let last = remembered.get::<String>("runs").map(PathBuf::from).or_else(above);
        let text = typed::shown(&given.or(last).unwrap_or_else(|| first.clone()));
        Self { text, first, checked: None, work: None }
    }

    /// The folder.
    pub fn path(&self) -> PathBuf {
        match self.text.trim() {
            "" => self.first.clone(),
            text => {
                let path = typed::path(text);
                // Wherever the program was started from: what is shown is where they are kept.
                storage::absolute(&path).unwrap_or(path)
            }
        }
    }

    /// Why no run can be kept there, as far as is known.
    pub fn trouble(&self) -> Option<&str> {
        let (text, trouble) = self.checked.as_ref()?;
        trouble.as_deref().filter(|_| *text == self.text)
    }

    /// Looks at the disk in the background whenever the text changes.
    pub fn listen(&mut self, wake: &Wake) {
        if let Some(work) = &mut self.work {
            match work.receive() {
                Some(checked) => (self.checked, self.work) = (Some(checked), None),
                None if work.over() => self.work = None,
                None => {}
            }
        }
        let known = self.checked.as_ref().is_some_and(|(text, _)| *text == self.text);
        if !known && self.work.is_none() {
            let (text, path) = (self.text.clone(), self.path());
            let check = move || match dinoscope_core::files::metadata(&path) {
                Ok(found) if !found.is_dir() => Some(format!("{} is no folder", path.display())),
                Ok(_) => None,
                // It will be made.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => Some(format!("{}: {error}", path.display())),
            };
            self.work = Some(BackgroundTask::ask("folder", wake, move |_| (text, check())));
        }
    }

    /// Another one.
    pub fn choose(&mut self, path: &std::path::Path) {
        self.text = typed::shown(path);
    }

    /// Keeps it, where it is another one than at first.
    pub fn remember(&self, remembered: &mut SettingsStore) {
        let path = self.path();
        remembered.set("runs", &(path != self.first).then(|| path.display().to_string()));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_kept_where_it_says() {
        let mut remembered = SettingsStore::default();
        let mut root = RunsFolderField::new(&remembered, None);
        assert_eq!(root.path(), storage::runs_folder());
        assert!(
            dinoscope_core::files::is_absolute(root.path()) && root.path().ends_with("Dinoscope"),
            "{}",
            root.path().display()
        );
        // What nobody has chosen is not remembered as if somebody had.
        root.remember(&mut remembered);
        assert_eq!(remembered.get::<String>("runs"), None);

        let folder = tempfile::tempdir().unwrap();
        root.text = format!(" '{}' ", folder.path().display());
        assert_eq!(root.path(), folder.path(), "that folder, and none inside it");
        root.remember(&mut remembered);
        assert_eq!(RunsFolderField::new(&remembered, None).path(), folder.path());
        let given = RunsFolderField::new(&remembered, Some(PathBuf::from("/given/runs")));
        assert!(given.path().ends_with("given/runs"), "what a file or a variable says comes first");
        root.text = "here".to_owned();
        assert_eq!(root.path(), std::env::current_dir().unwrap().join("here"));
        root.text = "~/mine".to_owned();
        assert_eq!(root.path(), typed::home().unwrap().join("mine"));
        root.text.clear();
        assert_eq!(root.path(), storage::runs_folder());
    }
}
