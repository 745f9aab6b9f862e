//! The folder in which new runs are made: shown, changed, remembered.

use std::path::PathBuf;

use super::session::first_root;
use super::work::{Wake, Work};
use crate::studio::remembered::Remembered;

/// The folder in which new runs are made.
pub struct Root {
    /// As it is typed.
    pub text: String,
    first: PathBuf,
    checked: Option<(String, Option<String>)>,
    work: Option<Work<(String, Option<String>)>>,
}

impl Root {
    /// As it was `given`, else remembered; in the current folder, or the home folder.
    pub fn new(remembered: &Remembered, given: Option<PathBuf>) -> Self {
        let first = first_root();
        // Before there was a folder for runs itself, the one above it was remembered.
        let above = || Some(PathBuf::from(remembered.get::<String>("runs folder")?).join("runs"));
        let last = remembered.get::<String>("runs").map(PathBuf::from).or_else(above);
        let text = given.or(last).unwrap_or_else(|| first.clone()).display().to_string();
        Self { text, first, checked: None, work: None }
    }

    /// The folder.
    pub fn path(&self) -> PathBuf {
        match self.text.trim() {
            "" => self.first.clone(),
            text => PathBuf::from(text),
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
            match work.hear() {
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
            self.work = Some(Work::ask("folder", wake, move |_| (text, check())));
        }
    }

    /// Keeps it.
    pub fn remember(&self, remembered: &mut Remembered) {
        remembered.set("runs", &self.path().display().to_string());
    }
}
