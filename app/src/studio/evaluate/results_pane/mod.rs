//! The findings pane: which question, its bars, all figures, and what a person should know about them.

pub(super) mod bars;
pub(super) mod export;
pub(super) mod history;
pub(super) mod table;

use dinoscope_core::eval::outcome::UnusableInput;
use egui::{Label, Ui};

use super::EvaluateWorkspace;
use super::words::duration;
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets;
use history::{EvaluationRecord, Id, figure_names, less_is_better};

/// Names of figures that fit beside each other.
const BESIDE: usize = 5;

impl EvaluateWorkspace {
    /// Draws it.
    pub(super) fn found_ui(&mut self, ui: &mut Ui, app: &mut AppContext) {
        let Some((id, _)) = self.results.chosen() else {
            ui.add_space(ui.available_height() * 0.25);
            widgets::empty_state(
                ui,
                icons::BARS,
                "Nothing evaluated yet",
                "Choose weights and pictures at the left and press Start evaluation: how good their features are \
                 stands here, beside an untrained model and what needs no learning.",
            );
            return;
        };
        self.head_ui(ui, app, id);
        widgets::scroll(ui, "findings", |ui| {
            self.bars_ui(ui);
            let Some((_, finding)) = self.results.chosen() else { return };
            ui.add_space(space::S);
            widgets::subheading(ui, &finding.weights);
            table::ui(ui, &finding.outcome);
            ui.add_space(space::S);
            notes(ui, finding);
        });
    }

    /// Which question, and what can be done with the answer.
    fn head_ui(&mut self, ui: &mut Ui, app: &mut AppContext, id: Id) {
        let questions = self.results.questions();
        // The question's own number is that of its newest answer, which need not be the one that shows.
        let beside: Vec<Id> = self.results.beside().map(|(id, _)| id).collect();
        let mut asked =
            questions.iter().map(|(id, _)| *id).find(|newest| beside.contains(newest)).unwrap_or(id);
        let before = asked;
        ui.horizontal(|ui| {
            let shown = questions.iter().find(|(id, _)| *id == asked);
            let shown = shown.map_or("", |(_, name)| name.as_str());
            let buttons = 3.0 * (theme::row(ui) + ui.spacing().item_spacing.x);
            let width = (ui.available_width() - buttons).max(0.0);
            let response = egui::ComboBox::from_id_salt("question that shows")
                .selected_text(shown)
                .width(width)
                .truncate()
                .icon(caret)
                .show_ui(ui, |ui| {
                    for (id, name) in &questions {
                        widgets::list_entry(ui, &mut asked, *id, name);
                    }
                })
                .response;
            widgets::give_back(&response);
            response.widget_info(|| {
                let label = format!("Results of: {shown}");
                egui::WidgetInfo::labeled(egui::Role::ComboBox, true, label)
            });
            if widgets::icon_button(ui, icons::EXPORT, "Save figures and pictures").clicked() {
                self.ask_where(app);
            }
            if widgets::icon_button(ui, icons::COPY, "Copy the figures").clicked()
                && let Some((_, finding)) = self.results.chosen()
            {
                ui.ctx().copy_text(table::text(&finding.outcome));
            }
            if widgets::icon_button(ui, icons::TRASH, "Forget this result").clicked()
                && let Some(gone) = self.results.forget()
            {
                let said = format!("Forgot what was found of {}.", gone.1.weights);
                app.offer_undo(said, move |parts| parts.evaluate.results.take_back(gone));
            }
        });
        if asked != before {
            self.results.choose(asked);
        }
    }

    /// The bars of one figure, and which one that is.
    fn bars_ui(&mut self, ui: &mut Ui) {
        let Some((id, finding)) = self.results.chosen() else { return };
        let (kind, names) = (finding.kind, figure_names(&finding.outcome));
        widgets::hint(ui, &finding.outcome.data);
        ui.add_space(space::XS);
        let before = self.results.figure().unwrap_or_default();
        let mut name = before.clone();
        if names.len() > 1 {
            let items: Vec<(String, &str)> = names.iter().map(|name| (name.clone(), name.as_str())).collect();
            if names.len() <= BESIDE {
                widgets::segmented(ui, "Figure", &mut name, &items);
            } else {
                let items: Vec<(String, String)> = names.iter().map(|n| (n.clone(), n.clone())).collect();
                widgets::choice_row(ui, "Figure", &mut name, &items);
            }
        }
        if name != before {
            self.results.figures.insert(kind, name);
        }
        let bars = self.results.bars();
        if let Some(next) = bars::ui(ui, &bars, Some(id)) {
            self.results.choose(next);
        }
        if bars.first().is_some_and(|bar| less_is_better(&bar.figure)) {
            widgets::hint(ui, "Less is better.");
        }
    }
}

/// What marks a list to choose from, as in the rows of a form.
fn caret(ui: &Ui, rect: egui::Rect, _: &egui::style::WidgetVisuals, _: bool) {
    let (font, colour) = (theme::fonts::icon(14.0), theme::tokens(ui).muted);
    ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, icons::CARET_UP_DOWN, font, colour);
}

/// Pictures that are named when they were left out.
const LEFT_OUT_NAMED: usize = 8;

/// Sentences, how long it took, and where it was written.
fn notes(ui: &mut Ui, finding: &EvaluationRecord) {
    let t = theme::tokens(ui);
    let mut line = |text: &str| {
        ui.add(Label::new(theme::small(text).color(t.muted)).selectable(true).wrap());
    };
    finding.outcome.notes.iter().for_each(|note| line(note));
    UnusableInput::words(&finding.outcome.left_out, LEFT_OUT_NAMED).iter().for_each(|words| line(words));
    line(&format!("Took {}.", duration(finding.seconds)));
    if let Some(kept) = &finding.kept {
        line(&format!("Kept with the run in {}.", crate::platform::names::shown(kept)));
    }
}
