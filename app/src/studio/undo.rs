//! What was taken away can be had again: by the button of its toast, or by Ctrl+Z.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::curate::CurateWorkspace;
use super::evaluate::EvaluateWorkspace;
use super::explore::ExploreWorkspace;
use super::layout::StudioLayout;
use super::toasts::{ActionId, Toast, ToastQueue};
use super::train::TrainWorkspace;
use super::widgets::StatusTone;

/// Takes the last one back, while no text is being written.
pub const UNDO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Z);
/// How many are kept.
const KEPT: usize = 16;

/// What may have had something taken away.
pub struct UndoTargets<'a> {
    /// Looking.
    pub explore: &'a mut ExploreWorkspace,
    /// Training.
    pub train: &'a mut TrainWorkspace,
    /// Evaluating.
    pub evaluate: &'a mut EvaluateWorkspace,
    /// Curating.
    pub curate: &'a mut CurateWorkspace,
    /// Where the panels are.
    pub layout: &'a mut StudioLayout,
}

/// Puts back what was taken away.
type Back = Box<dyn FnOnce(&mut UndoTargets<'_>)>;

/// What can be taken back, the newest last.
#[derive(Default)]
pub struct UndoStack {
    kept: Vec<(ActionId, Back)>,
    next: u64,
}

impl UndoStack {
    /// Says what was taken away, and keeps how it comes back.
    pub fn offer(
        &mut self,
        toasts: &mut ToastQueue,
        said: impl Into<String>,
        back: impl FnOnce(&mut UndoTargets<'_>) + 'static,
    ) {
        let id = ActionId(self.next);
        self.next += 1;
        self.kept.push((id, Box::new(back)));
        if self.kept.len() > KEPT {
            drop(self.kept.remove(0));
        }
        toasts.add(Toast::new(StatusTone::Neutral, said).action("Undo", id));
    }

    /// How what a toast told of comes back.
    pub fn take(&mut self, id: ActionId) -> Option<Back> {
        let at = self.kept.iter().position(|(kept, _)| *kept == id)?;
        Some(self.kept.remove(at).1)
    }

    /// How the last one comes back; its toast goes.
    pub fn last(&mut self, toasts: &mut ToastQueue) -> Option<Back> {
        let (id, back) = self.kept.pop()?;
        toasts.put_away(id);
        Some(back)
    }
}
