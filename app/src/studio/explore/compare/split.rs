//! Where two models' pictures lie: side by side, or one above the other where there is no room beside.

use dinoscope_core::explore::PictureId;
use egui::{Rect, Sense, Vec2, vec2};

use crate::studio::explore::picture::canvas::ImagePlacement;
use crate::studio::explore::picture::draw_lines;
use crate::studio::explore::{ExplorePanel, ExploreWorkspace, PatchLocation};
use crate::studio::theme::{self, space};

/// Whether the models stand one above the other: where a place is narrower than high, there is more room that way. What the
/// pictures are like changes nothing, so that nothing jumps from one to the next.
fn stacked(place: Rect) -> bool {
    place.width() < place.height()
}

/// A place in two halves with a gap.
fn halves(place: Rect, beside: bool) -> [Rect; 2] {
    let gap = 0.5 * space::S;
    let (first, second) = match beside {
        true => place.split_left_right_at_fraction(0.5),
        false => place.split_top_bottom_at_fraction(0.5),
    };
    match beside {
        true => [first.with_max_x(first.right() - gap), second.with_min_x(second.left() + gap)],
        false => [first.with_max_y(first.bottom() - gap), second.with_min_y(second.top() + gap)],
    }
}

/// Whether a letter is the first model's, or the second's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ComparedSide {
    First,
    Second,
}

impl ExploreWorkspace {
    /// The chosen picture, and the second where there is one, as both models see them; the first model's patch under the
    /// pointer, whichever of them it is over.
    pub(in crate::studio::explore) fn compared_ui(
        &mut self,
        ui: &mut egui::Ui,
        place: Rect,
        chosen: PictureId,
    ) -> Option<PatchLocation> {
        let beside = !stacked(place);
        let models = halves(place, beside);
        let second = self.gallery.second();
        let pictures: Vec<(PictureId, &str)> = std::iter::once((chosen, "large picture"))
            .chain(second.map(|id| (id, "second picture")))
            .collect();
        let cells = |of_model: Rect| -> Vec<Rect> {
            match pictures.len() {
                1 => vec![of_model],
                _ => halves(of_model, !beside).to_vec(),
            }
        };
        let pinned = self.pinned;
        let (mut pointed, mut firsts, mut others) = (None, Vec::new(), Vec::new());
        for ((id, name), cell) in pictures.iter().zip(cells(models[0])) {
            let (placed, spot) = self.one(ui, cell, *id, name);
            let at = ui.input(|input| input.pointer.hover_pos()).and_then(|pointer| placed.at(pointer));
            pointed = pointed.or(spot.zip(at));
            firsts.push(placed);
        }
        for ((id, name), cell) in pictures.iter().zip(cells(models[1])) {
            let (placed, spot) = self.other_picture(ui, cell, *id, name);
            pointed = pointed.or(spot);
            others.push(placed);
        }
        if let (ExplorePanel::Match, Some(second)) = (self.settings.panel, second) {
            self.lines(ui, firsts[0], firsts[1], chosen, second);
            self.other_lines(ui, [others[0], others[1]], [chosen, second]);
        }
        for (side, of_model) in [ComparedSide::First, ComparedSide::Second].into_iter().zip(models) {
            self.model_label(ui, of_model, side);
        }
        self.remember_places(ui, pointed, pinned);
        pointed.map(|(spot, _)| spot)
    }

    /// Keeps where exactly one points, for grids that are finer than the first model's.
    fn remember_places(
        &mut self,
        ui: &egui::Ui,
        pointed: Option<(PatchLocation, Vec2)>,
        pinned_before: Option<PatchLocation>,
    ) {
        let pinned = self.pinned;
        let Some(other) = &mut self.compared else { return };
        if pinned != pinned_before {
            other.pinned_at = pointed.filter(|(spot, _)| Some(*spot) == pinned);
        }
        if other.hover_at != pointed {
            other.hover_at = pointed;
            ui.ctx().request_repaint();
        }
    }

    /// Lines between the second model's patches that belong together.
    fn other_lines(&mut self, ui: &egui::Ui, placed: [ImagePlacement; 2], ids: [PictureId; 2]) {
        let (Some(a), Some(b)) = (self.other_seen(ids[0]), self.other_seen(ids[1])) else { return };
        let hovered = self.hover.and_then(|spot| self.beside_spot(spot));
        let Some(other) = &self.compared else { return };
        let Some((key, matches)) = &other.painter.matches else { return };
        if Some(*key) == other.matching {
            let ends = [(placed[0], (a.rows, a.cols), ids[0]), (placed[1], (b.rows, b.cols), ids[1])];
            draw_lines(ui, ends, matches, hovered);
        }
    }

    /// What a model is called, in the corner of its pictures.
    fn model_label(&self, ui: &egui::Ui, place: Rect, side: ComparedSide) {
        let (letter, name) = match side {
            ComparedSide::First => ("A", self.model_name()),
            ComparedSide::Second => {
                ("B", self.compared.as_ref().map_or_else(String::new, |other| other.second.name()))
            }
        };
        let t = theme::tokens(ui.ctx());
        let font = egui::TextStyle::Small.resolve(ui.style());
        let mut text = egui::text::LayoutJob::default();
        let format = |colour| egui::TextFormat { font_id: font.clone(), color: colour, ..Default::default() };
        text.append(letter, 0.0, format(t.accent));
        text.append(&name, space::S, format(t.text));
        text.wrap = egui::text::TextWrapping::truncate_at_width((place.width() - 40.0).max(40.0));
        let galley = ui.fonts_mut(|fonts| fonts.layout_job(text));
        let rect = Rect::from_min_size(place.min + vec2(space::S, space::S), galley.size() + vec2(16.0, 8.0));
        let painter = ui.painter_at(place);
        painter.rect_filled(rect, theme::RADIUS, t.panel.gamma_multiply(0.92));
        painter.galley(rect.min + vec2(8.0, 4.0), galley, t.text);
        let response = ui.interact(rect, ui.scope_id().with(("model label", letter)), Sense::hover());
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Label, true, format!("Model {letter}: {name}"))
        });
    }

    /// What a person knows the first model by: the one that is on its way, else the one that looks.
    pub(in crate::studio::explore) fn model_name(&self) -> String {
        match (&self.opening, &self.model) {
            (Some((source, _)), _) => source.to_string(),
            (None, Some(model)) => model.source.to_string(),
            (None, None) => "none".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    #[test]
    fn models_stand_beside_each_other_where_there_is_room() {
        let of = |width: f32, height: f32| Rect::from_min_size(pos2(10.0, 20.0), vec2(width, height));
        assert!(!stacked(of(800.0, 600.0)) && !stacked(of(700.0, 700.0)));
        assert!(stacked(of(293.0, 895.0)) && !stacked(of(390.0, 350.0)));
        for beside in [true, false] {
            let [a, b] = halves(of(800.0, 600.0), beside);
            assert_eq!(a.size(), b.size());
            assert_eq!(a.union(b), of(800.0, 600.0));
            assert!(!a.intersects(b));
        }
    }
}
