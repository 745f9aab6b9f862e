//! The watched pane: the pictures as features form, as large as there is room, and their past below.

pub(super) mod beside;
pub(super) mod contact_sheets;
pub(super) mod film_export;
mod pane_tools;
mod sheet_cells;
pub(super) mod timeline;
pub(super) mod timeline_ui;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::data::Picture;
use dinoscope_core::train::watch::{WatchFrameKind, WatchSnapshot};
use egui::{Rect, Sense, Ui, vec2};

use super::actions::TrainAction;
use super::state::RunView;
use super::words;
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, icons};
use crate::studio::widgets;
use beside::BesideModel;
use contact_sheets::{
    ContactSheet, ContactSheetCache, ContactSheetKey, ContactSheetKind, ContactSheetSource,
};
use film_export::TimelapseExport;
use timeline::TimelineState;

/// Which kinds of pictures show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchedViewMode {
    /// Picture, PCA and attention beside each other.
    #[default]
    All,
    /// The pictures themselves.
    View,
    /// Principal components as colours.
    Pca,
    /// Attention of the class token.
    Attention,
    /// The attention of every head.
    Heads,
}

const SHOWS: [(WatchedViewMode, &str); 5] = [
    (WatchedViewMode::All, "All"),
    (WatchedViewMode::View, "Picture"),
    (WatchedViewMode::Pca, "PCA"),
    (WatchedViewMode::Attention, "Attention"),
    (WatchedViewMode::Heads, "Heads"),
];

impl WatchedViewMode {
    /// `has_frozen_teacher`: a frozen teacher's pictures are there beside the student's.
    fn sheet_kinds(self, has_frozen_teacher: bool) -> &'static [ContactSheetKind] {
        const BESIDE: [ContactSheetKind; 2] =
            [ContactSheetKind::Kind(WatchFrameKind::Pca), ContactSheetKind::Kind(WatchFrameKind::Teacher)];
        match self {
            Self::All if has_frozen_teacher => &[
                ContactSheetKind::Kind(WatchFrameKind::View),
                BESIDE[0],
                BESIDE[1],
                ContactSheetKind::Kind(WatchFrameKind::Attention),
            ],
            Self::Pca if has_frozen_teacher => &BESIDE,
            Self::All => &[
                ContactSheetKind::Kind(WatchFrameKind::View),
                ContactSheetKind::Kind(WatchFrameKind::Pca),
                ContactSheetKind::Kind(WatchFrameKind::Attention),
            ],
            Self::View => &[ContactSheetKind::Kind(WatchFrameKind::View)],
            Self::Pca => &[ContactSheetKind::Kind(WatchFrameKind::Pca)],
            Self::Attention => &[ContactSheetKind::Kind(WatchFrameKind::Attention)],
            Self::Heads => &[ContactSheetKind::Heads],
        }
    }
}

/// What the pane keeps.
pub struct WatchedPane {
    show: WatchedViewMode,
    /// 1 for all of them at once.
    zoom: f32,
    /// Which run's pictures were shown last, and of which moment.
    shown: Option<(PathBuf, u64)>,
    /// Where in the past one is.
    pub timeline: TimelineState,
    /// The pictures as textures.
    pub sheet_cache: ContactSheetCache,
    /// A film on its way to disk.
    pub export: TimelapseExport,
    /// Another model beside the run.
    pub beside: Option<BesideModel>,
    /// Its pictures that show.
    beside_key: Option<ContactSheetKey>,
}

impl Default for WatchedPane {
    fn default() -> Self {
        Self {
            show: WatchedViewMode::All,
            zoom: 1.0,
            shown: None,
            timeline: TimelineState::default(),
            sheet_cache: ContactSheetCache::default(),
            export: TimelapseExport::default(),
            beside: None,
            beside_key: None,
        }
    }
}

/// The run whose pictures show.
pub struct WatchedPaneContext<'a> {
    /// What is known of it.
    pub view: &'a RunView,
    /// Its newest pictures, of a run of ours.
    pub look: Option<&'a Arc<WatchSnapshot>>,
}

impl WatchedPaneContext<'_> {
    /// Moments of which there are pictures.
    pub fn moments(&self) -> BTreeSet<u64> {
        let mut all = self.view.pictures.clone();
        all.extend(self.look.map(|look| look.iteration));
        all
    }

    /// Whether a frozen teacher is shown beside the student.
    fn has_frozen_teacher(&self) -> bool {
        self.view.recipe.as_ref().is_some_and(|recipe| recipe.distill.is_on())
    }

    fn sheet(&self, iteration: u64, what: ContactSheetKind) -> (ContactSheetKey, ContactSheetSource) {
        let key = ContactSheetKey { run: self.view.folder.clone(), iteration, what };
        let origin = match self.look.filter(|look| look.iteration == iteration) {
            Some(look) => ContactSheetSource::Look(look.clone()),
            None => ContactSheetSource::File(self.file(iteration, what)),
        };
        (key, origin)
    }

    fn file(&self, iteration: u64, what: ContactSheetKind) -> PathBuf {
        let kind = match what {
            ContactSheetKind::Kind(kind) => kind.name(),
            // Neither is ever on disk: what lies there of that moment says whether there is something.
            ContactSheetKind::Heads | ContactSheetKind::Beside => WatchFrameKind::Attention.name(),
        };
        self.view.folder.join("pictures").join(format!("{iteration:06}-{kind}.png"))
    }
}

impl WatchedPane {
    /// Time goes on in the past that is being played; what comes next is developed.
    pub fn play(&mut self, seconds: f32, seen: &WatchedPaneContext<'_>) {
        let moments = seen.moments();
        let sheet_kinds = self.show.sheet_kinds(seen.has_frozen_teacher());
        let ahead: Vec<u64> = self.timeline.ahead(&moments).collect();
        for moment in ahead {
            for what in sheet_kinds {
                let (key, origin) = seen.sheet(moment, *what);
                self.sheet_cache.want(&key, &origin);
            }
        }
        let (timeline, sheet_cache) = (&mut self.timeline, &self.sheet_cache);
        timeline.pass(seconds, &moments, |moment| {
            sheet_kinds.iter().all(|what| sheet_cache.has(&seen.sheet(moment, *what).0))
        });
    }

    /// Once a frame: the model beside the run looks.
    pub fn beside_logic(&mut self, app: &mut AppContext, seen: &WatchedPaneContext<'_>) {
        let Some(beside) = &mut self.beside else { return };
        if !beside.logic(app, seen) {
            self.beside = None;
            return;
        }
        let Some((key, source)) = beside.contact_sheet() else {
            self.beside_key = None;
            return;
        };
        self.sheet_cache.look(&key, &source);
        // Until its new colours are developed the ones before them stay.
        if self.sheet_cache.has(&key) || self.beside_key.as_ref().is_some_and(|shown| shown.run != key.run) {
            self.beside_key = Some(key);
        } else if let Some(shown) = &self.beside_key {
            self.sheet_cache.keep(shown);
        }
    }

    /// What the film shows beside the run, where a person wants it there.
    pub fn beside_for_film(&self) -> Option<Arc<Picture>> {
        self.beside.as_ref().and_then(|beside| beside.sheet().cloned())
    }

    /// Draws the pane.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        seen: Option<&WatchedPaneContext<'_>>,
        app: &AppContext,
        actions: &mut Vec<TrainAction>,
    ) {
        let Some(seen) = seen else {
            ui.add_space(ui.available_height() * 0.25);
            widgets::empty_state(
                ui,
                icons::EYE,
                "Nothing is watched yet",
                "Start a run: its pictures show here as features form in them, with PCA and attention beside them.",
            );
            return;
        };
        let moments = seen.moments();
        egui::Panel::bottom("timeline")
            .resizable(false)
            .show_separator_line(false)
            .frame(egui::Frame::new())
            .show(ui, |ui| {
                timeline_ui::ui(ui, self, seen, &moments, actions);
            });
        egui::Frame::new().show(ui, |ui| {
            self.tools(ui, seen, app, actions);
            let Some(moment) = self.timeline.moment(&moments) else {
                waiting(ui, seen.view);
                return;
            };
            self.pictures(ui, seen, moment);
        });
    }

    fn pictures(&mut self, ui: &mut Ui, seen: &WatchedPaneContext<'_>, moment: u64) {
        let sheet_kinds = self.show.sheet_kinds(seen.has_frozen_teacher());
        let mut trouble = None;
        for what in sheet_kinds {
            let (key, origin) = seen.sheet(moment, *what);
            trouble = trouble.or(self.sheet_cache.look(&key, &origin).map(str::to_owned));
        }
        if let Some(trouble) = trouble {
            widgets::hint(ui, &format!("These pictures can't be shown: {trouble}"));
        }
        let keys = |moment: u64| sheet_kinds.iter().map(move |what| seen.sheet(moment, *what).0);
        // Until new pictures are developed the ones before them stay: nothing flickers.
        let ready = keys(moment).all(|key| self.sheet_cache.has(&key));
        let before =
            self.shown.as_ref().filter(|(run, _)| *run == seen.view.folder).map(|(_, moment)| *moment);
        let moment = if ready { moment } else { before.unwrap_or(moment) };
        let sheets: Vec<ContactSheetKey> = keys(moment).collect();
        sheets.iter().for_each(|key| self.sheet_cache.keep(key));
        if ready {
            self.shown = Some((seen.view.folder.clone(), moment));
        }
        let beside = self.beside_at(sheet_kinds);
        let area = ui.available_rect_before_wrap();
        egui::ScrollArea::both().id_salt("watched").auto_shrink(false).show(ui, |ui| {
            let mut shown: Vec<Option<&ContactSheet>> =
                sheets.iter().filter_map(|key| self.sheet_cache.there(key)).map(Some).collect();
            let Some(first) = shown.first().copied().flatten() else {
                ui.centered_and_justified(|ui| ui.spinner());
                return;
            };
            if let Some(at) = beside {
                // Its place is there before it has looked, so that nothing moves.
                let sheet = self.beside_key.as_ref().and_then(|key| self.sheet_cache.there(key));
                shown.insert(at.min(shown.len()), sheet);
            }
            let layout = WatchedGridLayout::new(
                first,
                shown.len(),
                self.show == WatchedViewMode::Heads,
                area.size(),
                self.zoom,
            );
            let aside = ((ui.available_width() - layout.size.x) / 2.0).floor().max(0.0);
            let (rect, response) = ui.allocate_exact_size(layout.size, Sense::hover());
            response.widget_info(|| {
                let label = format!("Watched pictures after {moment} steps");
                egui::WidgetInfo::labeled(egui::accesskit::Role::Image, true, label)
            });
            for (place, kind, cell) in layout.places() {
                let at = place.translate(rect.min.to_vec2() + vec2(aside, 0.0));
                let Some(sheet) = shown.get(kind).copied().flatten() else {
                    ui.painter().rect_filled(at, 0.0, theme::tokens(ui).pressed);
                    continue;
                };
                if let Some(cell) = sheet.cells.get(cell) {
                    let part = |share: egui::Pos2| at.min + share.to_vec2() * at.size();
                    let at = Rect::from_min_max(part(cell.part.min), part(cell.part.max));
                    if ui.is_rect_visible(at) {
                        ui.painter().image(sheet.texture.id(), at, cell.uv, egui::Color32::WHITE);
                    }
                }
            }
        });
    }
}

/// Why there is nothing to see yet.
fn waiting(ui: &mut Ui, view: &RunView) {
    ui.add_space(ui.available_height() * 0.3);
    let (icon, title, hint) = if view.is_alive() {
        let title = "The first pictures are on their way";
        (icons::WAITING, title, "They show what the untrained model sees.")
    } else {
        (icons::IMAGE_BROKEN, "No pictures", "This run has written no pictures of watched images.")
    };
    widgets::empty_state(ui, icon, title, hint);
}

/// Where the pictures go: groups of one picture in all its kinds, in rows.
struct WatchedGridLayout {
    size: egui::Vec2,
    cell: egui::Vec2,
    kinds: usize,
    /// Groups in all.
    groups: usize,
    /// Groups in a row.
    columns: usize,
    group: f32,
    /// Whether all parts of a group lie in one sheet.
    together: bool,
}

const GAP: f32 = 4.0;
/// Between groups.
const APART: f32 = 12.0;

impl WatchedGridLayout {
    /// The largest that shows everything at once, times `zoom`.
    fn new(sheet: &ContactSheet, kinds: usize, heads: bool, area: egui::Vec2, zoom: f32) -> Self {
        // A row of heads belongs to one picture.
        let (kinds, groups) = match heads {
            true => (sheet.columns, sheet.cells.len() / sheet.columns.max(1)),
            false => (kinds, sheet.cells.len()),
        };
        let fit = |columns: usize| {
            let rows = groups.div_ceil(columns);
            let width = (area.x - APART * (columns - 1) as f32) / columns as f32;
            let width = (width - GAP * (kinds - 1) as f32) / kinds.max(1) as f32;
            let height = (area.y - APART * (rows - 1) as f32) / rows as f32;
            width.min(height * sheet.aspect).max(8.0)
        };
        let most = groups.max(1);
        let best = (1..=most).max_by(|a, b| fit(*a).total_cmp(&fit(*b))).unwrap_or(1);
        let width = (fit(best) * zoom).floor();
        let cell = vec2(width, (width / sheet.aspect).floor());
        let group = cell.x * kinds as f32 + GAP * (kinds.max(1) - 1) as f32;
        // Enlarged, as many as there is room for stay beside each other.
        let columns = (((area.x + APART) / (group + APART)).floor() as usize).clamp(1, most).min(best.max(1));
        let rows = groups.div_ceil(columns);
        let size = vec2(columns as f32 * (group + APART) - APART, rows as f32 * (cell.y + APART) - APART);
        Self { size: size.max(vec2(1.0, 1.0)), cell, kinds, groups, columns, group, together: heads }
    }

    /// Every place with the number of its sheet and of the cell there.
    fn places(&self) -> impl Iterator<Item = (Rect, usize, usize)> + '_ {
        (0..self.groups * self.kinds).map(move |i| {
            let (group, part) = (i / self.kinds, i % self.kinds);
            let x = (group % self.columns) as f32 * (self.group + APART) + part as f32 * (self.cell.x + GAP);
            let y = (group / self.columns) as f32 * (self.cell.y + APART);
            let rect = Rect::from_min_size(egui::pos2(x, y), self.cell);
            if self.together { (rect, 0, i) } else { (rect, part, group) }
        })
    }
}

/// What is said of the moment that shows.
pub fn moment_text(moment: Option<u64>, view: &RunView) -> String {
    match moment {
        Some(0) => "Untrained".to_owned(),
        Some(moment) => format!("After {} of {} steps", words::count(moment), words::count(view.total)),
        None => "No pictures yet".to_owned(),
    }
}
