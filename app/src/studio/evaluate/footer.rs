//! The foot of the question pane: what is in the way, how far it is, and the button.

use egui::{Key, KeyboardShortcut, Label, Modifiers, Ui};

use super::job::{EvaluationJob, EvaluationJobProgress};
use super::words;
use super::{AvailableWeights, EvaluateWorkspace};
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets;

/// Evaluates, wherever the keyboard is.
pub const GO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Enter);

impl EvaluateWorkspace {
    /// Draws it.
    pub(super) fn foot_ui(&mut self, ui: &mut Ui, app: &mut AppContext, offer: &AvailableWeights) {
        ui.add_space(space::S);
        self.trouble_ui(ui);
        if let Some(job) = &mut self.job {
            going(ui, job);
            return;
        }
        let reason = self.start_blocker(offer);
        match &reason {
            Some(reason) => {
                let t = theme::tokens(ui);
                ui.add(Label::new(theme::small(reason).color(t.watch)).wrap());
            }
            None => _ = widgets::hint(ui, &format!("Computed by {}", app.devices.chosen.name)),
        }
        ui.add_space(space::XS);
        let go = |ui: &mut Ui| widgets::primary_button(ui, icons::PLAY, ("Start evaluation", GO));
        let pressed = ui.add_enabled_ui(reason.is_none(), go).inner.clicked();
        let keys = reason.is_none() && ui.input_mut(|input| input.consume_shortcut(&GO));
        if pressed || keys {
            self.begin(app, offer);
        }
    }

    /// What went wrong the last time. It stays until it is put away or evaluated again.
    fn trouble_ui(&mut self, ui: &mut Ui) {
        if self.troubles.is_empty() {
            return;
        }
        let t = theme::tokens(ui);
        let frame = egui::Frame::new().fill(t.bad_soft).corner_radius(theme::RADIUS).inner_margin(8);
        let away = frame
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                egui::ScrollArea::vertical().id_salt("troubles").max_height(140.0).show(ui, |ui| {
                    for text in &self.troubles {
                        let text = egui::RichText::new(crate::platform::names::known(text)).color(t.text);
                        ui.add(Label::new(text).selectable(true).wrap());
                    }
                });
                widgets::button(ui, "", "Put away").clicked()
            })
            .inner;
        if away {
            self.troubles.clear();
        }
        ui.add_space(space::S);
    }
}

fn going(ui: &mut Ui, job: &mut EvaluationJob) {
    let at = job.at();
    let share = at.and_then(|at| at.step).filter(|step| step.total > 0);
    let share = share.map(|step| step.done as f32 / step.total as f32);
    let said = at.map_or_else(|| "Opening the weights".to_owned(), |at| doing(&at));
    widgets::subheading(ui, at.map_or("", |at| at.kind.title()));
    if let Some(at) = at.filter(|at| at.of > 1) {
        widgets::hint(ui, &format!("Evaluation {} of {}", at.done + 1, at.of));
    }
    let left = job.left().map_or(String::new(), |left| format!(" · {} left", words::duration(left)));
    widgets::progress(ui, share, &format!("{said}{left}"));
    ui.add_space(space::XS);
    ui.add_enabled_ui(!job.stopping, |ui| {
        let label = if job.stopping { "Stopping" } else { "Stop" };
        if widgets::button(ui, icons::STOP, label).clicked() {
            job.stop();
        }
    });
}

/// `weights: features, 45 of 120`
fn doing(at: &EvaluationJobProgress) -> String {
    match at.step {
        Some(step) => format!("{}: {}, {} of {}", step.subject, step.doing, step.done, step.total),
        None => "Opening weights and pictures".to_owned(),
    }
}

/// How far it is in a line, for the bar at the top.
pub fn brief(job: &EvaluationJob) -> String {
    let Some(at) = job.at() else { return "judging".to_owned() };
    let share = at.step.filter(|step| step.total > 0).map_or(String::new(), |step| {
        let percent = 100 * step.done / step.total;
        format!(" · {} {percent} %", step.subject)
    });
    format!("{}{share}", at.kind.title().to_lowercase())
}
