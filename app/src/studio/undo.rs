//! What was taken away can be had again: by the button of its toast, or by Ctrl+Z.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::explore::Explore;
use super::judge::Judge;
use super::layout::Layout;
use super::toasts::{ActionId, Toast, Toasts};
use super::train::Train;
use super::widgets::Tone;

/// Takes the last one back, while no text is being written.
pub const UNDO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Z);
/// How many are kept.
const KEPT: usize = 16;

/// What may have had something taken away.
pub struct Parts<'a> {
    /// Looking.
    pub explore: &'a mut Explore,
    /// Training.
    pub train: &'a mut Train,
    /// Judging.
    pub judge: &'a mut Judge,
    /// Where the panels are.
    pub layout: &'a mut Layout,
}

/// Puts back what was taken away.
type Back = Box<dyn FnOnce(&mut Parts<'_>)>;

/// What can be taken back, the newest last.
#[derive(Default)]
pub struct Undo {
    kept: Vec<(ActionId, Back)>,
    next: u64,
}

impl Undo {
    /// Says what was taken away, and keeps how it comes back.
    pub fn offer(
        &mut self,
        toasts: &mut Toasts,
        said: impl Into<String>,
        back: impl FnOnce(&mut Parts<'_>) + 'static,
    ) {
        let id = ActionId(self.next);
        self.next += 1;
        self.kept.push((id, Box::new(back)));
        if self.kept.len() > KEPT {
            drop(self.kept.remove(0));
        }
        toasts.add(Toast::new(Tone::Neutral, said).action("Undo", id));
    }

    /// How what a toast told of comes back.
    pub fn take(&mut self, id: ActionId) -> Option<Back> {
        let at = self.kept.iter().position(|(kept, _)| *kept == id)?;
        Some(self.kept.remove(at).1)
    }

    /// How the last one comes back; its toast goes.
    pub fn last(&mut self, toasts: &mut Toasts) -> Option<Back> {
        let (id, back) = self.kept.pop()?;
        toasts.put_away(id);
        Some(back)
    }
}
