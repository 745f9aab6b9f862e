//! The second model among the controls: which it is, and how far both agree.

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::agreement::PATCH_NEIGHBOURS;
use dinoscope_core::explore::{ModelSource, PatchTokens, PictureId};
use egui::vec2;

use crate::platform::dialogs::DialogPurpose;
use crate::studio::app_context::AppContext;
use crate::studio::explore::model::heads_choice;
use crate::studio::explore::picture::colour_bar::{cosine, percent};
use crate::studio::explore::snapshot::ComparisonSnapshot;
use crate::studio::explore::view_pane::head_maps;
use crate::studio::explore::{ExplorePanel, ExploreWorkspace, PatchLocation};
use crate::studio::models::{config_words, source_menu};
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets;

const CKA: &str = "Linear CKA, debiased: whether both models find the same patches alike, and by how much. 1 is the same up to \
                   rotation and scale, 0 nothing in common.";

/// What asks for a second model: a file, a run.
const DIALOGS: [DialogPurpose; 2] = [DialogPurpose::SecondWeights, DialogPurpose::SecondRun];

impl ExploreWorkspace {
    /// A button to begin with; then the second model's chooser, what is known about it, and the figures.
    pub(in crate::studio::explore) fn compared_pane(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        ui.add_space(space::XS);
        let chosen = match self.compares() {
            false => {
                let button = widgets::button(ui, icons::SIDE_BY_SIDE, "Compare with…");
                source_menu(&button, app, DIALOGS)
            }
            true => self.other_chooser(ui, app),
        };
        if let Some(source) = chosen {
            self.compare_with(app, source);
        }
        if self.compares() {
            self.agreement_ui(ui);
        }
    }

    fn other_chooser(&mut self, ui: &mut egui::Ui, app: &mut AppContext) -> Option<ModelSource> {
        let name = self.compared.as_ref().map_or_else(String::new, |other| other.second.name());
        let (chosen, closed) = ui
            .horizontal(|ui| {
                let side = theme::button(ui);
                let width = (ui.available_width() - side - ui.spacing().item_spacing.x).max(64.0);
                let text = format!("{}  B  {name}", icons::MODEL);
                let button = egui::Button::new(text).truncate().min_size(vec2(width, side));
                let layout = egui::Layout::top_down(egui::Align::Min);
                let response =
                    ui.allocate_ui_with_layout(vec2(width, side), layout, |ui| ui.add(button)).inner;
                response.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("Model B: {name}"))
                });
                let chosen = source_menu(&response, app, DIALOGS);
                (chosen, widgets::icon_button(ui, icons::CLOSE, "Stop comparing").clicked())
            })
            .inner;
        if closed {
            self.stop_comparing(app);
            return None;
        }
        let other = self.compared.as_mut()?;
        other.second.opening_ui(ui);
        let info = other.second.info.clone()?;
        widgets::hint(ui, &config_words(&info));
        for note in &info.notes {
            widgets::hint(ui, note);
        }
        let heads = heads_choice(ui, &info, "heads of the second model");
        chosen.or(heads)
    }

    /// How far both agree: two figures that are always in the same places.
    fn agreement_ui(&mut self, ui: &mut egui::Ui) {
        let here = self.gallery.chosen().and_then(|id| self.agreed(id));
        let all = self.agreed_over_all();
        let said = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        ui.add_space(space::XS);
        let cka = |value: f64| format!("{value:.3}");
        let share = |value: f64| format!("{:.0} %", 100.0 * value);
        let value = said(here.and_then(|agreed| agreed.cka()).map(cka));
        widgets::property(ui, "CKA", &value).on_hover_text(CKA);
        let value = said(here.and_then(|agreed| agreed.neighbours()).map(|value| share(value) + " shared"));
        widgets::property(ui, "Neighbours", &value).on_hover_text(format!(
            "Of each patch's {PATCH_NEIGHBOURS} most similar patches of its picture, the share that both models name."
        ));
        let text = match (all.cka(), all.neighbours()) {
            (Some(value), Some(shared)) if all.pictures > 1 => {
                format!("Over {} pictures: {} and {}.", all.pictures, cka(value), share(shared))
            }
            _ => "How far both agree about this picture.".to_owned(),
        };
        widgets::hint(ui, &text);
    }

    /// The second model's heads, to choose one of.
    pub(in crate::studio::explore) fn other_heads_ui(&mut self, ui: &mut egui::Ui) {
        let Some(chosen) = self.gallery.chosen().filter(|_| self.compares()) else { return };
        let Some(seen) = self.other_seen(chosen) else { return };
        let Some(other) = &mut self.compared else { return };
        ui.add_space(space::S);
        widgets::hint(ui, &format!("B  {}", other.second.name()));
        head_maps(ui, (chosen, &seen), &other.painter, &mut other.head, " of B");
    }

    /// What the second model says of a place, next to the first one's value.
    pub(in crate::studio::explore) fn other_value(&mut self, spot: PatchLocation) -> Option<String> {
        let to = self.beside_spot(spot)?;
        let seen = self.other_seen(to.picture)?;
        match self.settings.panel {
            ExplorePanel::Attention => {
                let head = self.compared.as_ref()?.head;
                let map =
                    head.and_then(|head| seen.attention.heads.get(head)).unwrap_or(&seen.attention.mean);
                map.get(to.patch).map(|share| percent(*share))
            }
            ExplorePanel::Similarity => {
                let from = self.spot().and_then(|from| self.beside_spot(from))?;
                let of = |seen: &PatchTokens| -> Option<std::sync::Arc<PatchFeatures>> {
                    match seen {
                        PatchTokens::Host(patches) => Some(patches.clone()),
                        PatchTokens::Device(_) => None,
                    }
                };
                let (a, b) = (of(&self.other_seen(from.picture)?.patches)?, of(&seen.patches)?);
                cosine(&a, from.patch, &b, to.patch).map(|value| format!("{value:.3}"))
            }
            _ => None,
        }
    }

    /// How the comparison stands, for tests.
    pub(in crate::studio::explore) fn comparison(&self) -> Option<ComparisonSnapshot> {
        let other = self.compared.as_ref()?;
        let agreed = |id: PictureId| self.agreed(id);
        let here = self.gallery.chosen().and_then(agreed);
        let spot = |spot: Option<PatchLocation>| spot.and_then(|spot| self.beside_spot(spot));
        Some(ComparisonSnapshot {
            opens: other.second.opens(),
            layers: other.painter.layers(),
            colours: other.painter.basis().map(|basis| basis.generation),
            matches: other.painter.matches.as_ref().map(|(_, found)| found.len()),
            hover: spot(self.hover),
            pinned: spot(self.pinned),
            cka: here.and_then(|agreed| agreed.cka()),
            neighbours: here.and_then(|agreed| agreed.neighbours()),
            pictures: self.agreed_over_all().pictures,
        })
    }
}
