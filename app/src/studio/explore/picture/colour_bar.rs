//! Numbers behind the colours: a colour bar with its range, and the value under the pointer.

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::attention_map::stretched_range;
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::similarity;
use egui::{Color32, Mesh, Rect, Sense, pos2, vec2};

use crate::studio::explore::paint::ATTENTION_PERCENTILE;
use crate::studio::explore::{ExplorePanel, ExploreWorkspace, PatchLocation};
use crate::studio::theme::{self, space};
use crate::studio::widgets;

/// Height of a colour bar.
const BAR: f32 = 10.0;

/// A share in percent, with as many digits as it takes to tell patches apart.
pub(in crate::studio::explore) fn percent(share: f32) -> String {
    match 100.0 * share {
        share if share >= 10.0 => format!("{share:.1} %"),
        share if share >= 0.1 => format!("{share:.2} %"),
        share if share > 0.0 => format!("{share:.4} %"),
        _ => "0 %".to_owned(),
    }
}

/// A strip of all colours, from the least to the most, with what its ends stand for.
fn colour_bar(ui: &mut egui::Ui, map: ColourMap, what: &str, ends: [&str; 2]) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), BAR), Sense::hover());
    let said = format!("{what}: from {} to {}", ends[0], ends[1]);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, said.as_str()));
    let mut mesh = Mesh::default();
    let table = map.table();
    for (i, [r, g, b]) in table.iter().enumerate().step_by(5) {
        let x = rect.left() + rect.width() * i as f32 / (table.len() - 1) as f32;
        for y in [rect.top(), rect.bottom()] {
            mesh.colored_vertex(pos2(x, y), Color32::from_rgb(*r, *g, *b));
        }
        if i > 0 {
            let last = mesh.vertices.len() as u32 - 1;
            mesh.add_triangle(last - 3, last - 2, last - 1);
            mesh.add_triangle(last - 2, last - 1, last);
        }
    }
    ui.painter().add(mesh);
    let t = theme::tokens(ui.ctx());
    let font = egui::TextStyle::Small.resolve(ui.style());
    let (line, _) = ui.allocate_exact_size(vec2(rect.width(), 16.0), Sense::hover());
    let middle = Rect::center(&line).y;
    let write = |at: f32, align: egui::Align2, text: &str| {
        ui.painter().text(pos2(at, middle), align, text, font.clone(), t.muted)
    };
    let left = write(line.left(), egui::Align2::LEFT_CENTER, ends[0]).right();
    let right = write(line.right(), egui::Align2::RIGHT_CENTER, ends[1]).left();
    let width = ui.painter().layout_no_wrap(what.to_owned(), font.clone(), t.muted).size().x;
    // Where there is no room between them it stands below.
    if width + 2.0 * space::S <= right - left {
        write(0.5 * (left + right), egui::Align2::CENTER_CENTER, what);
    } else {
        widgets::hint(ui, what);
    }
    response.on_hover_text(said);
}

impl ExploreWorkspace {
    /// The colours of attention with the shares that they stand for.
    pub(in crate::studio::explore) fn attention_bar(&mut self, ui: &mut egui::Ui) {
        let seen = self.gallery.chosen().and_then(|id| self.seen(id));
        let Some(seen) = seen else { return };
        let maps = &seen.attention;
        let map = self.settings.head.and_then(|head| maps.heads.get(head)).unwrap_or(&maps.mean);
        let (low, high) = stretched_range(map, ATTENTION_PERCENTILE);
        colour_bar(
            ui,
            ColourMap::Inferno,
            if self.compares() { "share of one patch, of A" } else { "share of one patch" },
            [&percent(low), &format!("{} or more", percent(high))],
        );
    }

    /// The colours of similarity with the cosines that they stand for.
    pub(in crate::studio::explore) fn similarity_bar(&self, ui: &mut egui::Ui) {
        colour_bar(ui, ColourMap::Viridis, "cosine", ["0 or less", "1"]);
    }

    /// What colours are worth, in the order of the colours, and whose.
    pub(in crate::studio::explore) fn shares_ui(&mut self, ui: &mut egui::Ui) {
        let of = self.together().len();
        let (all, new) = (self.gallery.len(), self.colours_are_new());
        let fitted = self.painter.basis().map_or(0, |basis| basis.pictures);
        let Some(basis) = self.painter.basis() else { return };
        let mut said = Vec::new();
        if self.settings.scope != crate::studio::explore::settings::ColourScope::One {
            said.push(match fitted < of {
                true => format!("Colours from {fitted} of {of} pictures so far."),
                false if of < all => format!("Colours from {fitted} of {all} pictures."),
                false if fitted == 1 => "Colours from 1 picture.".to_owned(),
                false => format!("Colours from {fitted} pictures."),
            });
        }
        if let Some(shares) = basis.explained {
            said.push(shares_in_words(shares));
        }
        if basis.fallback {
            said.push("Objects could not be told from background here: everything is shown.".to_owned());
        }
        let text = said.join(" ");
        if text.is_empty() {
            return;
        }
        match new {
            true => widgets::hint(ui, &text),
            false => {
                let colour = theme::tokens(ui.ctx()).muted;
                ui.add(
                    egui::Label::new(theme::small(format!("Before: {text}")).italics().color(colour)).wrap(),
                )
            }
        };
    }

    /// The number that a patch has in what is shown.
    fn value(&mut self, spot: PatchLocation) -> Option<String> {
        match self.settings.panel {
            ExplorePanel::Attention => {
                let seen = self.seen(spot.picture)?;
                let maps = &seen.attention;
                let map = self.settings.head.and_then(|head| maps.heads.get(head)).unwrap_or(&maps.mean);
                map.get(spot.patch).map(|share| format!("attention {}", percent(*share)))
            }
            ExplorePanel::Similarity => {
                let from = self.spot()?;
                let (a, b) = (self.in_memory(from.picture)?, self.in_memory(spot.picture)?);
                cosine(&a, from.patch, &b, spot.patch).map(|value| format!("cosine {value:.3}"))
            }
            ExplorePanel::Pca | ExplorePanel::Match => None,
        }
    }

    /// The patch under the pointer, else the pinned one, with its row, its column and its value.
    ///
    /// Of two models' values the numbers alone, where there is no room.
    pub(in crate::studio::explore) fn pointed(&mut self, roomy: bool) -> Option<String> {
        let spot = self.hover.or(self.pinned)?;
        let seen = self.seen(spot.picture)?;
        let (row, col) = (spot.patch / seen.cols.max(1), spot.patch % seen.cols.max(1));
        let value = self.value(spot);
        let other = self.other_value(spot);
        if let (false, Some(value), Some(other)) = (roomy, &value, &other) {
            let number = value.split_once(' ').map_or(value.as_str(), |(_, number)| number);
            return Some(format!("A {number}, B {other}"));
        }
        let other = other.map_or(String::new(), |other| format!(", B {other}"));
        let value = value.map_or(String::new(), |value| format!("  {value}{other}"));
        let pinned = if self.pinned == Some(spot) { "  pinned" } else { "" };
        Some(format!("patch {row}, {col}{value}{pinned}"))
    }

    /// The same for the clipboard, with the picture's name.
    pub(in crate::studio::explore) fn copied(&mut self) -> Option<String> {
        let spot = self.hover.or(self.pinned)?;
        let seen = self.seen(spot.picture)?;
        let name = self.gallery.called(spot.picture);
        let (row, col) = (spot.patch / seen.cols.max(1), spot.patch % seen.cols.max(1));
        let value = self.value(spot).map_or(String::new(), |value| format!("\t{value}"));
        Some(format!("{name}\trow {row}\tcolumn {col}{value}"))
    }
}

/// Shares in the order of the colours, and why that is not their own.
fn shares_in_words([r, g, b]: [f32; 3]) -> String {
    let percent = |share: f32| format!("{:.0}", 100.0 * share);
    let text = format!(
        "Red shows {} %, green {} % and blue {} % of what varies.",
        percent(r),
        percent(g),
        percent(b)
    );
    match r >= g && g >= b {
        true => text,
        false => format!("{text} Not by size: colours keep their meaning from the pictures before."),
    }
}

/// Cosine similarity of two patches.
pub(in crate::studio::explore) fn cosine(
    a: &PatchFeatures,
    first: usize,
    b: &PatchFeatures,
    second: usize,
) -> Option<f32> {
    let one = PatchFeatures { rows: 1, cols: 1, dim: b.dim, data: b.patch(second)?.to_vec() };
    similarity::of_patch(a, first, &one).ok()?.first().copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_said_by_colour_and_why_they_are_not_sorted() {
        assert_eq!(
            shares_in_words([0.96, 0.01, 0.004]),
            "Red shows 96 %, green 1 % and blue 0 % of what varies."
        );
        let text = shares_in_words([0.08, 0.54, 0.16]);
        assert!(text.starts_with("Red shows 8 %, green 54 % and blue 16 %"), "{text}");
        assert!(text.contains("colours keep their meaning"), "{text}");
    }

    #[test]
    fn small_shares_can_be_told_apart() {
        assert_eq!([0.5, 0.012_34, 0.000_123, 0.0].map(percent), ["50.0 %", "1.23 %", "0.0123 %", "0 %"]);
    }

    #[test]
    fn a_value_is_the_cosine_of_two_patches() {
        let a = PatchFeatures { rows: 1, cols: 2, dim: 2, data: vec![1.0, 0.0, 0.0, 2.0] };
        let b = PatchFeatures { rows: 2, cols: 1, dim: 2, data: vec![3.0, 0.0, 1.0, 1.0] };
        assert_eq!(cosine(&a, 0, &b, 0), Some(1.0));
        assert_eq!(cosine(&a, 1, &b, 0), Some(0.0));
        assert!((cosine(&a, 1, &b, 1).unwrap() - 0.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(cosine(&a, 1, &b, 2), None);
    }
}
