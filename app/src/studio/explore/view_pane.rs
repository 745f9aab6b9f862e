//! What may be changed about a look.

use dinoscope_core::explore::{PictureId, PictureInspection};
use egui::{Color32, Sense, Stroke, StrokeKind, TextureId, vec2};

use super::paint::{OverlayKind, OverlayPainter, OverlaySlot};
use super::settings::{ColourScope, OverlayArrangement, RESOLUTIONS};
use super::{ExplorePanel, ExploreWorkspace, shortcuts};
use crate::platform::dialogs::DialogPurpose;
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, icons, space};
use crate::studio::{touch, widgets};

impl ExploreWorkspace {
    /// The strip of thumbnails.
    pub fn gallery_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        ui.horizontal_wrapped(|ui| {
            if widgets::icon_button(ui, icons::FILE_IMAGE, "Open pictures").clicked() {
                app.dialogs.ask(DialogPurpose::OpenPictures, "");
            }
            if widgets::icon_button(ui, icons::FOLDER_OPEN, "Open a folder").clicked() {
                app.dialogs.ask(DialogPurpose::OpenFolder, "");
            }
            if widgets::icon_button(ui, icons::WAND, "Add built-in scenes").clicked() {
                self.add_scenes();
            }
            self.camera_button(ui, app);
            if !self.gallery.is_empty()
                && widgets::icon_button(ui, icons::TRASH, "Close all pictures").clicked()
            {
                self.close_all(app);
            }
        });
        let count = match (self.gallery.len(), self.gallery.walking) {
            (_, 1..) => "looking for pictures…".to_owned(),
            (0, _) => "nothing open".to_owned(),
            (1, _) => "1 picture".to_owned(),
            (n, _) => format!("{n} pictures"),
        };
        widgets::hint(ui, &count);
        self.train_on_strip(ui);
        let (painter, panel) = (&self.painter, self.settings.panel);
        let spot = self.spot();
        let over = |id: PictureId| {
            let kind = match panel {
                ExplorePanel::Pca => OverlayKind::Pca,
                ExplorePanel::Similarity if spot.is_some() => OverlayKind::Similarity,
                _ => return None,
            };
            painter.layer(OverlaySlot { picture: id, kind })
        };
        let closed = self.gallery.ui(ui, &over);
        self.close_pictures(&closed, app);
    }

    /// The controls.
    pub fn view_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        widgets::scroll(ui, "view", |ui| {
            widgets::section(ui, "Model", true, |ui| self.model_ui(ui, app));
            widgets::section(ui, "Show", true, |ui| self.show_ui(ui));
            widgets::section(ui, "Resolution", true, |ui| self.resolution_ui(ui));
            widgets::section(ui, "Export", false, |ui| self.export_ui(ui, app));
            widgets::section(ui, "Train", false, |ui| {
                self.train_on_button(ui);
                widgets::hint(ui, "Train opens with a recipe that goes on from the model on these pictures.");
                let any = !self.gallery.is_empty();
                ui.add_enabled_ui(any, |ui| {
                    if widgets::button(ui, icons::EYE, "Watch the selected pictures").clicked() {
                        self.watch_selection();
                    }
                });
                widgets::hint(
                    ui,
                    "They show in the Train workspace as features form, now or in the next run.",
                );
            });
            // Where fingers work there are none.
            if touch::is(ui) {
                return;
            }
            widgets::section(ui, "Keys", false, |ui| {
                for (keys, what) in shortcuts::ALL {
                    widgets::property(ui, &shortcuts::shown(ui.ctx(), keys), what);
                }
            });
        });
    }

    fn show_ui(&mut self, ui: &mut egui::Ui) {
        let panels = [
            (ExplorePanel::Pca, "PCA"),
            (ExplorePanel::Attention, "Attention"),
            (ExplorePanel::Similarity, "Similar"),
            (ExplorePanel::Match, "Match"),
        ];
        widgets::segmented(ui, "What is shown", &mut self.settings.panel, &panels);
        ui.add_space(space::XS);
        if self.settings.panel != ExplorePanel::Match {
            let ways = [
                (OverlayArrangement::Overlay, "Over"),
                (OverlayArrangement::Swipe, "Swipe"),
                (OverlayArrangement::Side, "Beside"),
            ];
            widgets::segmented(ui, "Arrangement", &mut self.settings.arrangement, &ways);
            let mut percent = f64::from(self.settings.opacity * 100.0);
            let overlay = self.settings.arrangement == OverlayArrangement::Overlay;
            ui.add_enabled_ui(overlay, |ui| {
                widgets::slider_row(
                    ui,
                    "Opacity",
                    &mut percent,
                    &widgets::SliderScale::new(0.0..=100.0).unit("%").step(1.0),
                );
            });
            self.settings.opacity = (percent / 100.0) as f32;
        }
        match self.settings.panel {
            ExplorePanel::Pca => self.pca_ui(ui),
            ExplorePanel::Attention => self.attention_ui(ui),
            ExplorePanel::Similarity => {
                let text = match self.pinned {
                    Some(_) => touch::words(
                        ui,
                        "Similar to the pinned patch. Tap it again to let go.",
                        "Similar to the pinned patch. Click it again or press Esc to let go.",
                    ),
                    None => touch::words(
                        ui,
                        "Tap the picture: what is similar lights up, here and in the other pictures.",
                        "Move over the picture: what is similar lights up, here and in the other pictures. Click to pin.",
                    ),
                };
                widgets::hint(ui, text);
                self.similarity_bar(ui);
                widgets::switch(ui, "Patches as blocks", &mut self.settings.blocks);
            }
            ExplorePanel::Match => {
                let text = match self.gallery.second() {
                    Some(_) => touch::words(
                        ui,
                        "Lines join patches that are each other's nearest.",
                        "Lines join patches that are each other's nearest. Move over an end to follow one.",
                    ),
                    None => touch::words(
                        ui,
                        "Open a second picture: the best-matching patches of both are joined by lines.",
                        "Shift+click a second picture in the strip: the best-matching patches are joined by lines.",
                    ),
                };
                widgets::hint(ui, text);
            }
        }
        if self.gallery.second().is_some() && widgets::button(ui, icons::CLOSE, "Show one picture").clicked()
        {
            self.gallery.beside(None);
        }
    }

    fn pca_ui(&mut self, ui: &mut egui::Ui) {
        widgets::hint(ui, "Three principal components as red, green and blue. Colours are shared by");
        let scopes = [
            (ColourScope::One, "This one"),
            (ColourScope::Selection, "Selection"),
            (ColourScope::All, "All"),
        ];
        widgets::segmented(ui, "Colours over", &mut self.settings.scope, &scopes);
        widgets::switch(ui, "Lock colours", &mut self.settings.locked);
        widgets::switch(ui, "Objects only", &mut self.settings.foreground);
        widgets::switch(ui, "Patches as blocks", &mut self.settings.blocks);
        ui.vertical(|ui| {
            // Room for three lines, so that nothing below moves with the words.
            ui.set_min_height(3.0 * 16.0);
            self.shares_ui(ui);
        });
    }

    fn attention_ui(&mut self, ui: &mut egui::Ui) {
        if self.settings.depth > 1 {
            let last = self.settings.depth as f64;
            let mut block = self.settings.block.map_or(last, |block| block as f64 + 1.0);
            widgets::slider_row(ui, "Block", &mut block, &widgets::SliderScale::new(1.0..=last).step(1.0));
            self.settings.block = (block < last).then_some(block as usize - 1);
        }
        let places = [(false, "Whole picture"), (true, "Pinned patch")];
        widgets::segmented(ui, "Attention from", &mut self.settings.from_pin, &places);
        if self.settings.from_pin && self.pinned.is_none() {
            let text = touch::words(
                ui,
                "Tap a patch of the picture to pin it.",
                "Click a patch of the picture to pin it.",
            );
            widgets::hint(ui, text);
        }
        self.attention_bar(ui);
        self.heads_ui(ui);
        self.other_heads_ui(ui);
    }

    /// The first model's heads, to choose one of.
    fn heads_ui(&mut self, ui: &mut egui::Ui) {
        let Some(chosen) = self.gallery.chosen() else { return };
        let Some(seen) = self.seen(chosen) else { return };
        if self.compares() {
            widgets::hint(ui, &format!("A  {}", self.model_name()));
        }
        head_maps(ui, (chosen, &seen), &self.painter, &mut self.settings.head, "");
    }

    fn resolution_ui(&mut self, ui: &mut egui::Ui) {
        let mut side = self.settings.resolution() as f64;
        let (low, high) = (*RESOLUTIONS.start() as f64, *RESOLUTIONS.end() as f64);
        let patch = self.settings.patch as f64;
        let scale = widgets::SliderScale::new(low..=high).unit("px").step(patch).log();
        let response = widgets::slider_row(ui, "Shorter side", &mut side, &scale);
        if response.changed() {
            self.canvas.resolution = Some(side as usize);
        }
        // A slider that is dragged would ask for every resolution on its way.
        if let Some(side) = self.canvas.resolution
            && !response.dragged()
        {
            self.canvas.resolution = None;
            self.settings.resolution = side;
            self.pinned = None;
        }
        if self.settings.resolution != 0 {
            let text = format!("Back to {}", self.settings.own_resolution);
            if widgets::button(ui, icons::UNDO, text.as_str()).clicked() {
                self.settings.resolution = 0;
                self.pinned = None;
            }
        }
        widgets::hint(
            ui,
            "More pixels show finer detail and take longer: twice the side is four times the patches.",
        );
    }
}

/// Maps of a model's mean attention and of each of its heads, to choose one of; `whose` stands behind what is read aloud.
pub(super) fn head_maps(
    ui: &mut egui::Ui,
    (picture, seen): (PictureId, &PictureInspection),
    painter: &OverlayPainter,
    chosen: &mut Option<usize>,
    whose: &str,
) {
    let aspect = seen.cols as f32 / seen.rows.max(1) as f32;
    let size = if aspect >= 1.0 { vec2(72.0, 72.0 / aspect) } else { vec2(72.0 * aspect, 72.0) };
    ui.horizontal_wrapped(|ui| {
        for head in std::iter::once(None).chain((0..seen.attention.heads.len()).map(Some)) {
            let name = head.map_or("Mean".to_owned(), |head| format!("Head {}", head + 1));
            let elsewhere = head.and_then(|head| seen.attention.elsewhere.get(head)).copied();
            let texture = painter.layer(OverlaySlot { picture, kind: OverlayKind::Attention(head) });
            let spoken = format!("{name}{whose}");
            if head_map(ui, texture, *chosen == head, size, [&name, &spoken], elsewhere) {
                *chosen = head;
            }
        }
    });
}

/// One head's map, with a name below it that is shown and one that is read aloud; true when it is chosen.
fn head_map(
    ui: &mut egui::Ui,
    texture: Option<TextureId>,
    chosen: bool,
    size: egui::Vec2,
    [name, spoken]: [&str; 2],
    elsewhere: Option<f32>,
) -> bool {
    let t = theme::tokens(ui.ctx());
    let (rect, response) = ui.allocate_exact_size(size + vec2(0.0, 18.0), Sense::click());
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::RadioButton, true, chosen, spoken));
    let map = egui::Rect::from_min_size(rect.min, size);
    let painter = ui.painter();
    painter.rect_filled(map, 3, t.raised);
    if let Some(texture) = texture {
        let whole = egui::Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0));
        painter.image(texture, map, whole, Color32::WHITE);
    }
    let ring = if response.has_focus() {
        Some((theme::RING, t.text))
    } else if chosen {
        Some((2.0, t.accent))
    } else {
        None
    };
    if let Some((width, colour)) = ring {
        painter.rect_stroke(map, 3, Stroke::new(width, colour), StrokeKind::Outside);
    }
    let colour = if chosen { t.text } else { t.muted };
    let font = egui::TextStyle::Small.resolve(ui.style());
    painter.text(map.center_bottom() + vec2(0.0, 3.0), egui::Align2::CENTER_TOP, name, font, colour);
    let clicked = response.clicked();
    if let Some(share) = elsewhere {
        response.on_hover_text(format!(
            "{:.0} % of its attention goes to the CLS token and registers.",
            100.0 * share
        ));
    }
    clicked
}
