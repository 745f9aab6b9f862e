//! The tools above the watched pictures: what shows, how large, and another model beside the run.

use dinoscope_core::train::watch::WatchFrameKind;
use egui::{Ui, vec2};

use super::contact_sheets::ContactSheetKind;
use super::{SHOWS, WatchedPane, WatchedPaneContext, WatchedViewMode};
use crate::platform::dialogs::DialogPurpose;
use crate::studio::app_context::AppContext;
use crate::studio::models::source_menu;
use crate::studio::theme::{self, icons, space};
use crate::studio::train::actions::TrainAction;
use crate::studio::widgets::{self, SliderScale};

/// What asks for the model beside the run: a file, another run.
const DIALOGS: [DialogPurpose; 2] = [DialogPurpose::BesideWeights, DialogPurpose::BesideRun];
/// Widest that the name of the model beside the run gets, in points.
const NAME_WIDTH: f32 = 220.0;

impl WatchedPane {
    /// Draws them.
    pub(super) fn tools(
        &mut self,
        ui: &mut Ui,
        seen: &WatchedPaneContext<'_>,
        app: &AppContext,
        actions: &mut Vec<TrainAction>,
    ) {
        ui.horizontal(|ui| {
            widgets::segmented(ui, "What is shown", &mut self.show, &SHOWS);
            let room = ui.available_width();
            if room > 200.0 {
                ui.allocate_ui_with_layout(vec2(room.min(300.0), theme::row(ui)), *ui.layout(), |ui| {
                    let scale = SliderScale::new(1.0..=6.0).unit("×");
                    widgets::slider_row(ui, "Size", &mut self.zoom, &scale);
                });
            }
        });
        self.beside_ui(ui, seen, app, actions);
        ui.add_space(space::XS);
    }

    /// A button to begin with; then the model's name, how far it is, and what stands where.
    fn beside_ui(
        &mut self,
        ui: &mut Ui,
        seen: &WatchedPaneContext<'_>,
        app: &AppContext,
        actions: &mut Vec<TrainAction>,
    ) {
        ui.horizontal(|ui| {
            let text = match &self.beside {
                None => format!("{}  Beside…", icons::SIDE_BY_SIDE),
                Some(beside) => format!("{}  {}", icons::MODEL, beside.name),
            };
            let width = NAME_WIDTH.min(ui.available_width() * 0.5);
            let button = egui::Button::new(text).truncate();
            let response = ui
                .scope(|ui| {
                    ui.set_max_width(width);
                    ui.add(button)
                })
                .inner;
            let name = self.beside.as_ref().map(|beside| beside.name.clone());
            response.widget_info(|| {
                let label = match &name {
                    None => "Show another model beside the run".to_owned(),
                    Some(name) => format!("Model beside the run: {name}"),
                };
                egui::WidgetInfo::labeled(egui::Role::ComboBox, true, label)
            });
            let hint = "What another model sees in the same pictures, in the run's colours.";
            if let Some(source) = source_menu(&response.on_hover_text(hint), app, DIALOGS) {
                actions.push(TrainAction::ShowBeside(source));
            }
            if self.beside.is_some() && widgets::icon_button(ui, icons::CLOSE, "Show the run alone").clicked()
            {
                self.beside = None;
            }
            let order = theme::small(self.order(seen)).color(theme::tokens(ui).muted);
            ui.add(egui::Label::new(order).truncate());
        });
        let Some(beside) = &self.beside else { return };
        beside.opening_ui(ui);
        if let Some(trouble) = &beside.trouble {
            widgets::hint(ui, &format!("{} can't look: {trouble}", beside.name));
        }
    }

    /// What stands where, in a sentence; nothing where it says itself.
    fn order(&self, seen: &WatchedPaneContext<'_>) -> String {
        let kinds = self.show.sheet_kinds(seen.has_frozen_teacher());
        let beside = self.beside_at(kinds);
        let run = if seen.has_frozen_teacher() { "student" } else { "run" };
        let mut parts: Vec<&str> = kinds
            .iter()
            .map(|kind| match kind {
                ContactSheetKind::Kind(WatchFrameKind::View) => "picture",
                ContactSheetKind::Kind(WatchFrameKind::Teacher) => "frozen teacher",
                ContactSheetKind::Kind(WatchFrameKind::Attention) => "attention",
                _ => run,
            })
            .collect();
        if let (Some(at), Some(model)) = (beside, &self.beside) {
            parts.insert(at.min(parts.len()), &model.name);
        }
        let says_itself = beside.is_none() && !seen.has_frozen_teacher();
        if says_itself || !matches!(self.show, WatchedViewMode::All | WatchedViewMode::Pca) {
            return String::new();
        }
        format!("Left to right: {}", parts.join(", "))
    }

    /// Where among the kinds another model stands: behind the run's components, and its frozen teacher's.
    pub(super) fn beside_at(&self, kinds: &[ContactSheetKind]) -> Option<usize> {
        self.beside.as_ref()?;
        let of_features = |kind: &ContactSheetKind| {
            matches!(kind, ContactSheetKind::Kind(WatchFrameKind::Pca | WatchFrameKind::Teacher))
        };
        kinds.iter().rposition(of_features).map(|at| at + 1)
    }
}
