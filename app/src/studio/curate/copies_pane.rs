//! The copies pane: a threshold over the histogram of similarities, what it joins, and the pairs next to it.

use dinoscope_curate::heap::LEAST_AGREEMENT;
use egui::{Align2, Color32, CornerRadius, FontId, Rect, Sense, Stroke, Ui, pos2, vec2};

use super::{CurateWorkspace, file_name};
use crate::studio::theme::{self, fonts, icons, space};
use crate::studio::train::words;
use crate::studio::widgets::{self, SliderScale};

/// Cosines of the histogram that are next to each other at least.
const SPAN: f32 = 0.05;
/// The histogram begins below this.
const FIRST: f32 = 0.8;
/// Bars of the histogram.
const BARS: usize = 50;
/// Points of its height.
const HEIGHT: f32 = 96.0;
/// Pairs that are shown on each side of the threshold.
const PAIRS: usize = 4;

/// How many pictures have their nearest at which similarity, from `least` to 1. Counted once for a heap, not in every frame.
#[derive(Clone, Copy)]
pub struct NearestHistogram {
    /// Where the histogram and the slider begin: below all but the hundredth part of the pictures.
    least: f32,
    bars: [usize; BARS],
}

impl NearestHistogram {
    /// Of the cosines of pictures to their nearest ones.
    pub fn new(nearest: &[Option<f32>]) -> Self {
        let mut sorted: Vec<f32> = nearest.iter().flatten().copied().collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let low = sorted.get(sorted.len() / 100).copied().unwrap_or(0.5).min(FIRST);
        let least = ((low / SPAN).floor() * SPAN - SPAN).clamp(0.0, 1.0 - 2.0 * SPAN);
        let mut bars = [0; BARS];
        for similarity in sorted {
            let at = (similarity - least) / (1.0 - least) * BARS as f32;
            if at >= 0.0 {
                bars[(at as usize).min(BARS - 1)] += 1;
            }
        }
        Self { least, bars }
    }
}

impl CurateWorkspace {
    /// Draws the pane.
    pub fn copies_ui(&mut self, ui: &mut Ui) {
        if self.heap.is_none() {
            ui.add_space(ui.available_height() * 0.25);
            let hint = "Once the pictures were looked at, a threshold says from where on two of them are copies, of which one stays.";
            widgets::empty_state(ui, icons::FILES, "No copies yet", hint);
            return;
        }
        widgets::scroll(ui, "copies", |ui| {
            widgets::subheading(ui, "From where on they are copies");
            self.histogram_ui(ui);
            let scale = SliderScale::new(self.histogram.least..=1.0).step(0.001);
            widgets::slider_row(ui, "Cosine", &mut self.decisions.copies.threshold, &scale).on_hover_text(
                "Two pictures whose features are at least as similar are copies. It belongs to the weights: look at the pairs.",
            );
            self.edges_ui(ui);
            ui.add_space(space::S);
            self.sizes_ui(ui);
            ui.add_space(space::S);
            self.pairs_ui(ui);
        });
    }

    /// How many pictures have their nearest at which similarity; a click or a drag moves the threshold.
    fn histogram_ui(&mut self, ui: &mut Ui) {
        let Some(heap) = self.heap.clone() else { return };
        let NearestHistogram { least, bars } = self.histogram;
        let span = 1.0 - least;
        let t = theme::tokens(ui);
        let size = vec2(ui.available_width(), HEIGHT);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let x = |similarity: f32| rect.left() + (similarity - least) / span * rect.width();
        if let Some(pointer) = response.interact_pointer_pos() {
            let share = ((pointer.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
            self.decisions.copies.threshold = ((least + share * span) * 1000.0).round() / 1000.0;
        }
        let threshold = self.decisions.copies.threshold;
        response.widget_info(|| {
            let label = format!("Similarities of {} pictures to their nearest", heap.table.rows.len());
            egui::WidgetInfo::labeled(egui::Role::Image, true, label)
        });
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, theme::RADIUS, t.field);
        // By the root, so that few are seen beside many.
        let most = bars.iter().copied().max().unwrap_or(0).max(1) as f32;
        let width = rect.width() / BARS as f32;
        for (i, count) in bars.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let height = ((count as f32 / most).sqrt() * (HEIGHT - 8.0)).max(1.5);
            let left = rect.left() + i as f32 * width;
            let bar = Rect::from_min_max(
                pos2(left + 0.5, rect.bottom() - height),
                pos2(left + width - 0.5, rect.bottom()),
            );
            let above = least + (i as f32 + 0.5) / BARS as f32 * span >= threshold;
            painter.rect_filled(bar, CornerRadius::ZERO, if above { t.watch } else { t.border });
        }
        let line = x(threshold.max(least));
        painter.vline(line, rect.y_range(), Stroke::new(2.0, t.accent));
        ui.horizontal(|ui| {
            widgets::hint(ui, &format!("{least:.2}"));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| widgets::hint(ui, "1.00"));
        });
    }

    /// From where on edges that agree make copies; at the end they do not count.
    fn edges_ui(&mut self, ui: &mut Ui) {
        let mut agreement = self.decisions.copies.agreement.unwrap_or(1.0);
        let scale = SliderScale::new(LEAST_AGREEMENT..=1.0).step(0.01);
        let changed = widgets::slider_row(ui, "Edges", &mut agreement, &scale)
            .on_hover_text(
                "Crops, mirrored pictures and those with text over them are copies where their edges agree so far; at the end edges do not count.",
            )
            .changed();
        if changed {
            self.decisions.copies.agreement = (agreement < 1.0).then_some(agreement);
        }
    }

    /// What the threshold makes of the heap.
    fn sizes_ui(&mut self, ui: &mut Ui) {
        let sizes = &self.outcome.sizes;
        let groups: usize = sizes.iter().filter(|(size, _)| *size > 1).map(|(_, count)| count).sum();
        let copies: usize = sizes.iter().map(|(size, count)| (size - 1) * count).sum();
        let largest = sizes.last().map_or(0, |(size, _)| *size);
        widgets::property(ui, "Groups", &words::count(groups as u64));
        widgets::property(ui, "Surplus", &words::count(copies as u64));
        let value = if groups > 0 { words::some(largest, "picture", "pictures") } else { "–".to_owned() };
        widgets::property(ui, "Largest", &value);
    }

    /// Pairs that are just joined, and pairs that just are not.
    fn pairs_ui(&mut self, ui: &mut Ui) {
        let Some(heap) = self.heap.clone() else { return };
        let copies = self.decisions.copies;
        let [joined, apart] = heap.pairs_at(copies.threshold, PAIRS);
        let mut parts = vec![("Just copies", joined), ("Just not", apart)];
        if let Some(agreement) = copies.agreement {
            let [joined, apart] = heap.pairs_agreeing_at(agreement, PAIRS);
            parts.extend([("Just copies by their edges", joined), ("Just not by their edges", apart)]);
        }
        for (title, pairs) in parts {
            widgets::subheading(ui, title);
            if pairs.is_empty() {
                widgets::hint(ui, "There are none.");
            }
            for (a, b, similarity) in pairs {
                self.pair_ui(ui, [a, b], similarity);
            }
            ui.add_space(space::S);
        }
    }

    fn pair_ui(&mut self, ui: &mut Ui, rows: [u32; 2], similarity: f32) {
        let Some(heap) = self.heap.clone() else { return };
        let side = ((ui.available_width() - 64.0) / 2.0).clamp(40.0, 140.0);
        let size = vec2(ui.available_width(), side + 4.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let keys = rows.map(|row| heap.table.rows[row as usize].key.clone());
        response.widget_info(|| {
            let [a, b] = [&keys[0], &keys[1]].map(|key| file_name(key));
            egui::WidgetInfo::labeled(egui::Role::Button, true, format!("{a} and {b}: {similarity:.3}"))
        });
        let t = theme::tokens(ui);
        if response.hovered() || response.has_focus() {
            ui.painter().rect_filled(rect, theme::RADIUS, t.hovered);
        }
        for (i, (row, key)) in rows.into_iter().zip(&keys).enumerate() {
            let min = rect.min + vec2(2.0 + i as f32 * (side + 4.0), 2.0);
            let place = Rect::from_min_size(min, vec2(side, side));
            let texture =
                self.thumbnails.get(row, key).flatten().map(|texture| (texture.id(), texture.size_vec2()));
            picture(ui, place, texture, &t);
        }
        let at = pos2(rect.right() - 4.0, rect.center().y);
        let font = FontId::proportional(fonts::BODY);
        ui.painter().text(at, Align2::RIGHT_CENTER, format!("{similarity:.3}"), font, t.text);
        if response.on_hover_text(format!("{}\n{}", keys[0], keys[1])).clicked() {
            self.select(rows.into_iter().collect());
        }
    }
}

/// A thumbnail, whole, in the middle of its place.
pub fn picture(ui: &Ui, place: Rect, texture: Option<(egui::TextureId, egui::Vec2)>, t: &theme::ThemeTokens) {
    let painter = ui.painter();
    painter.rect_filled(place, 3.0, t.field);
    let Some((id, size)) = texture else { return };
    let scale = (place.width() / size.x.max(1.0)).min(place.height() / size.y.max(1.0));
    let rect = Rect::from_center_size(place.center(), size * scale);
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    painter.image(id, rect, whole, Color32::WHITE);
}
