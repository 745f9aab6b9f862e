//! The window's own question for a path, where the system shows no dialogs for files.

use std::path::{Path, PathBuf};

use dinoscope_core::files;
use egui::{Align2, Key, Label, TextEdit};

use super::theme::{self, space};
use super::widgets;
use crate::platform::dialogs::{DialogPurpose, FileDialogs, PathDialogRequest};
use crate::platform::storage;
use crate::platform::typed;

const WIDTH: f32 = 480.0;
/// What to do about it.
const ABOUT: &str = "This system shows no dialogs for files: installing zenity, or xdg-desktop-portal with the part for \
                     your desktop, brings them. A path can be typed or pasted here.";

/// The question that stands.
#[derive(Default)]
pub struct PathDialog {
    asked: Option<PathDialogRequest>,
    text: String,
    /// What is in the way of the path.
    wrong: Option<String>,
    /// A file that is replaced if it is named once more.
    replace: Option<PathBuf>,
    /// Where the keyboard was.
    opener: Option<egui::Id>,
}

impl PathDialog {
    /// Draws it, and gives the answer.
    pub fn ui(&mut self, ctx: &egui::Context, dialogs: &FileDialogs) {
        let Some(asked) = dialogs.asked() else {
            // The keyboard goes back to what asked.
            if self.asked.take().is_some()
                && let Some(opener) = self.opener.take()
            {
                ctx.memory_mut(|memory| memory.request_focus(opener));
            }
            return;
        };
        let first = self.asked.as_ref() != Some(&asked);
        if first {
            let opener = self.opener.or_else(|| ctx.memory(|memory| memory.focused()));
            *self = Self { text: asked.text.clone(), asked: Some(asked.clone()), opener, ..Self::default() };
        }
        let frame = egui::Frame::window(&ctx.global_style());
        let modal = egui::Modal::new(egui::Id::unique("path dialog")).frame(frame).show(ctx, |ui| {
            ui.set_width(WIDTH.min(ui.ctx().content_rect().width() - 64.0));
            widgets::heading(ui, asked.purpose.title());
            ui.add_space(space::S);
            widgets::hint(ui, ABOUT);
            ui.add_space(space::S);
            let field = TextEdit::singleline(&mut self.text)
                .hint_text(wanted(asked.purpose))
                .align(Align2::LEFT_CENTER)
                .desired_width(f32::INFINITY);
            let size = [ui.available_width(), theme::ROW];
            let response = widgets::with_border(ui, |ui| ui.add_sized(size, field));
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Path"));
            if first {
                response.request_focus();
                to_the_end(ui, &response, &self.text);
            }
            if response.changed() {
                (self.wrong, self.replace) = (None, None);
            }
            let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            // A line is kept free, so that nothing moves when something is in the way.
            let t = theme::tokens(ui);
            let said = self.wrong.as_deref().unwrap_or(" ");
            ui.add(Label::new(theme::small(said).color(t.bad)).wrap());
            ui.add_space(space::S);
            ui.horizontal(|ui| {
                let label = match (asked.purpose.saves(), self.replace.is_some()) {
                    (true, true) => "Replace it",
                    (true, false) => "Save",
                    (false, _) => "Open",
                };
                let pressed = widgets::primary_button(ui, "", label).clicked();
                if pressed || entered {
                    self.enter(asked.purpose, &asked.name, dialogs);
                    response.request_focus();
                }
                if widgets::button(ui, "", "Cancel").clicked() {
                    dialogs.give(asked.purpose, Vec::new());
                    dialogs.put_away();
                }
            });
        });
        if modal.should_close() {
            dialogs.give(asked.purpose, Vec::new());
            dialogs.put_away();
        }
    }

    fn enter(&mut self, purpose: DialogPurpose, name: &str, dialogs: &FileDialogs) {
        // Whoever pastes a whole path behind the folder that stands there means that path.
        let before = self.asked.as_ref().map_or("", |asked| asked.text.as_str());
        let behind = self.text.strip_prefix(before).filter(|behind| !before.is_empty() && !behind.is_empty());
        if let Some(whole) = behind.filter(|behind| files::is_absolute(Path::new(behind))) {
            self.text = whole.to_owned();
        }
        match check(purpose, name, &self.text) {
            Ok(path) if self.replace.as_ref() != Some(&path) && replaces(purpose, &path) => {
                self.wrong = Some(format!("{} is there already.", path.display()));
                self.replace = Some(path);
            }
            Ok(path) => {
                dialogs.put_away();
                dialogs.give(purpose, vec![path]);
            }
            Err(reason) => self.wrong = Some(reason),
        }
    }
}

/// Puts the cursor behind what stands there, so that one can go on typing.
fn to_the_end(ui: &egui::Ui, response: &egui::Response, text: &str) {
    let mut state = TextEdit::load_state(ui.ctx(), response.id).unwrap_or_default();
    let end = egui::text::CCursor::new(text.chars().count());
    state.cursor.set_char_range(Some(egui::text::CCursorRange::one(end)));
    state.store(ui.ctx(), response.id);
}

/// What is asked for, in a word.
fn wanted(purpose: DialogPurpose) -> &'static str {
    match purpose {
        DialogPurpose::OpenPictures => "the path of a picture or folder",
        DialogPurpose::OpenRun
        | DialogPurpose::SecondRun
        | DialogPurpose::BesideRun
        | DialogPurpose::CuratedRun
        | DialogPurpose::FollowRun
        | DialogPurpose::BeginRun
        | DialogPurpose::EvaluatedRun => "the path of a run or a folder of weights",
        purpose if purpose.wants_folder() => "the path of a folder",
        _ => "the path of a file",
    }
}

/// Whether writing there would replace a file.
fn replaces(purpose: DialogPurpose, path: &Path) -> bool {
    purpose.saves() && !purpose.wants_folder() && files::is_file(path)
}

/// The path that is meant, if it will do.
fn check(purpose: DialogPurpose, name: &str, text: &str) -> Result<PathBuf, String> {
    let mut path = typed::path(text);
    if path.as_os_str().is_empty() {
        return Err("A path is needed.".to_owned());
    }
    path = storage::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let shown = path.display();
    if purpose == DialogPurpose::RunsFolder {
        // It is made when a run needs it.
        return match files::is_file(&path) {
            true => Err(format!("{shown} is a file; a folder is needed.")),
            false => Ok(path),
        };
    }
    if purpose.saves() && !purpose.wants_folder() {
        if files::is_dir(&path) && !name.is_empty() {
            return Ok(path.join(name));
        }
        return match path.parent().filter(|parent| !files::is_dir(parent)) {
            Some(parent) => Err(format!("There is no folder {}.", parent.display())),
            None => Ok(path),
        };
    }
    let (is_dir, is_file) = (files::is_dir(&path), files::is_file(&path));
    let either = matches!(
        purpose,
        DialogPurpose::OpenPictures
            | DialogPurpose::OpenRun
            | DialogPurpose::SecondRun
            | DialogPurpose::BesideRun
            | DialogPurpose::CuratedRun
            | DialogPurpose::CuratedPictures
            | DialogPurpose::FollowRun
            | DialogPurpose::BeginRun
            | DialogPurpose::EvaluatedRun
    );
    match (is_dir, is_file, purpose.wants_folder()) {
        (false, false, _) => Err(format!("{shown} does not exist.")),
        (true, _, true) | (_, true, false) => Ok(path),
        _ if either => Ok(path),
        (_, _, true) => Err(format!("{shown} is a file; a folder is needed.")),
        (_, _, false) => Err(format!("{shown} is a folder; a file is needed.")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_will_not_do_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b.png");
        std::fs::write(&file, "x").unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let quoted = format!("\"{}\"", file.display());
        assert_eq!(check(DialogPurpose::OpenPictures, "", &quoted), Ok(file.clone()));
        assert_eq!(
            check(DialogPurpose::OpenPictures, "", &at("")),
            Ok(folder.path().join("")),
            "a folder of them"
        );
        for (purpose, text, wanted) in [
            (DialogPurpose::OpenWeights, at("none.pth"), "does not exist"),
            (DialogPurpose::OpenWeights, at(""), "a file is needed"),
            (DialogPurpose::TrainingData, at("a b.png"), "a folder is needed"),
            (DialogPurpose::RunsFolder, at("a b.png"), "a folder is needed"),
            (DialogPurpose::SaveFilm, at("none/film.gif"), "There is no folder"),
            (DialogPurpose::OpenFolder, "  ".to_owned(), "needed"),
        ] {
            let said = check(purpose, "film.gif", &text).unwrap_err();
            assert!(said.contains(wanted), "{purpose:?} {text}: {said}");
        }
        assert_eq!(check(DialogPurpose::SaveFilm, "film.gif", &at("")), Ok(folder.path().join("film.gif")));
        assert_eq!(check(DialogPurpose::RunsFolder, "", &at("new")), Ok(folder.path().join("new")));
        assert!(replaces(DialogPurpose::SavePicture, &file) && !replaces(DialogPurpose::OpenPictures, &file));
    }
}
