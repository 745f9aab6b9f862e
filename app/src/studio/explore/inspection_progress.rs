//! Which pictures are looked at, how far that is, and what stops it.

use std::sync::Arc;

use dinoscope_core::explore::{PictureId, PictureInspection, ViewQuery};

use egui::{Sense, vec2};

use super::paint::key_of;
use super::settings::{ColourScope, MOST};
use super::{ExplorePanel, ExploreWorkspace, KEPT};
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets;

/// How long a look may take, in seconds, before anybody wants to stop it.
const SLOW: f64 = 1.0;

/// How far looking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InspectionProgress {
    /// Pictures that were looked at, of those that are to be.
    pub done: usize,
    /// Pictures that are to be looked at.
    pub of: usize,
    /// Whether a person has stopped it.
    pub stopped: bool,
}

impl ExploreWorkspace {
    /// Pictures that colours are fitted to. Of a gallery that is too large, a sample all over it.
    pub(super) fn together(&self) -> Vec<PictureId> {
        let mut ids = match self.settings.scope {
            // A basis that changed with each chosen picture would be none that all share.
            ColourScope::All => return self.gallery.sample(MOST),
            ColourScope::One => Vec::new(),
            ColourScope::Selection => self.gallery.selection(),
        };
        let shown = [self.gallery.chosen(), self.gallery.second()];
        for id in shown.into_iter().flatten().rev() {
            if !ids.contains(&id) {
                ids.insert(0, id);
            }
        }
        ids.truncate(MOST);
        ids
    }

    /// Those of them that colours are fitted to now. While they come in one after another, colours change when there are
    /// twice as many: each time all pictures turn.
    pub(super) fn fitted_together(&mut self) -> Vec<(PictureId, Arc<PictureInspection>)> {
        let ids = self.together();
        let of = ids.len();
        let mut seen: Vec<(PictureId, Arc<PictureInspection>)> =
            ids.into_iter().filter_map(|id| self.seen(id).map(|seen| (id, seen))).collect();
        if seen.len() < of && !seen.is_empty() && !self.missing().is_empty() {
            seen.truncate(1 << seen.len().ilog2());
        }
        seen
    }

    /// Pictures that are to be looked at: the chosen one first, then what can be seen, then what colours are fitted to.
    pub(super) fn needed(&self) -> Vec<PictureId> {
        let shown = [self.gallery.chosen(), self.gallery.second()];
        let mut ids: Vec<PictureId> = shown.into_iter().flatten().collect();
        let (panel, scope) = (self.settings.panel, self.settings.scope);
        let mut others = Vec::new();
        // What is similar lights up in every picture that can be seen, and so do colours that all share.
        if panel == ExplorePanel::Similarity || (panel == ExplorePanel::Pca && scope == ColourScope::All) {
            others.extend_from_slice(self.gallery.visible());
        }
        if panel == ExplorePanel::Pca {
            others.extend(self.together());
        }
        let mut there: std::collections::HashSet<PictureId> = ids.iter().copied().collect();
        ids.extend(others.into_iter().filter(|id| there.insert(*id)));
        // More than can be kept would be looked at again and again.
        ids.truncate(self.results.room());
        ids
    }

    fn is_missing(&self, key: &(PictureId, ViewQuery)) -> bool {
        let there = self.results.kept.contains_key(key) || self.failures.contains_key(key);
        !there || self.unseen(key.0).is_some()
    }

    /// Pictures that have not been looked at yet, most urgent first; none where a person has stopped it.
    pub(super) fn missing(&self) -> Vec<(PictureId, ViewQuery)> {
        if self.model.is_none() || self.is_stopped() {
            return Vec::new();
        }
        let keys = self.needed().into_iter().map(|id| (id, self.way(id)));
        keys.filter(|key| self.is_missing(key)).collect()
    }

    /// How far looking is; nothing where there is nothing to look at.
    pub(super) fn looking(&self) -> Option<InspectionProgress> {
        self.model.as_ref()?;
        let needed = self.needed();
        let missing = needed.iter().filter(|id| self.is_missing(&(**id, self.way(**id)))).count();
        let (of, stopped) = (needed.len(), self.is_stopped());
        (missing > 0).then_some(InspectionProgress { done: of - missing, of, stopped })
    }

    /// What a person looks at: when it changes, what was stopped goes on.
    fn wish(&self) -> u64 {
        let generation = self.model.as_ref().map(|model| model.generation);
        let settings = &self.settings;
        let chosen = (self.gallery.chosen(), self.gallery.second());
        let way = (settings.resolution(), settings.block, settings.from_pin);
        key_of((generation, chosen, settings.panel, settings.scope, way))
    }

    fn is_stopped(&self) -> bool {
        self.stopped.is_some_and(|wish| wish == self.wish())
    }

    /// Looks at nothing more, after the picture that is being looked at.
    pub(super) fn stop_looking(&mut self) {
        self.stopped = Some(self.wish());
    }

    /// Goes on after a stop.
    pub(super) fn go_on_looking(&mut self) {
        self.stopped = None;
    }

    /// How far looking is, with a way to stop it; in a line from right to left.
    pub(super) fn progress_ui(&mut self, ui: &mut egui::Ui) {
        let Some(looking) = self.looking() else {
            self.canvas.looking_since = None;
            return;
        };
        let InspectionProgress { done, of, stopped } = looking;
        let now = ui.input(|input| input.time);
        let since = *self.canvas.looking_since.get_or_insert(now);
        if of == 1 && !stopped && now - since < SLOW {
            ui.ctx().request_repaint_after_secs((SLOW - (now - since)) as f32);
            return;
        }
        let t = theme::tokens(ui.ctx());
        let (text, clicked) = match stopped {
            true => {
                let clicked = widgets::icon_button(ui, icons::PLAY, "Go on looking").clicked();
                (format!("stopped at {done} of {of}"), clicked)
            }
            false => {
                let clicked = widgets::icon_button(ui, icons::STOP, "Stop looking").clicked();
                (format!("{done} of {of} looked at"), clicked)
            }
        };
        match (clicked, stopped) {
            (true, true) => self.go_on_looking(),
            (true, false) => self.stop_looking(),
            (false, _) => {}
        }
        let (rect, response) = ui.allocate_exact_size(vec2(48.0, 4.0), Sense::hover());
        let share = done as f32 / of.max(1) as f32;
        response.widget_info(|| {
            let mut info = egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, text.as_str());
            info.value = Some(f64::from(100.0 * share));
            info
        });
        ui.painter().rect_filled(rect, 2.0, t.pressed);
        ui.painter().rect_filled(rect.with_max_x(rect.left() + share * rect.width()), 2.0, t.accent);
        widgets::hint(ui, &text);
        ui.add_space(space::S);
    }

    /// Whether the colours on the screen belong to what one asks for now, and not to what one asked for before.
    pub(super) fn colours_are_new(&self) -> bool {
        let way = |id| self.results.kept.contains_key(&(id, self.way(id)));
        !self.painter.fits() && self.gallery.chosen().is_none_or(way)
    }
}

impl super::InspectionCache {
    /// How many results can be kept, evaluating by the largest; all of them while there are none.
    pub(super) fn room(&self) -> usize {
        let largest = self.kept.values().map(|(seen, _)| seen.bytes()).max();
        // A part is left for the picture that is chosen next.
        largest.map_or(usize::MAX, |bytes| (KEPT / 4 * 3 / bytes.max(1)).max(2))
    }
}
