//! The run pane: how it stands, how long it takes, how good it is, and whether it is well.

use dinoscope_core::train::health::HealthLevel;
use dinoscope_core::train::improvement;
use dinoscope_core::train::run_lock::RunLockStatus;
use egui::Ui;

use super::actions::{DevicePick, TrainAction};
use super::state::{RunPhase, RunView};
use super::{RunSelection, gauges, words};
use crate::platform::HAS_DISK;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::names;
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets::{self, StatusTone};

/// What the pane shows.
pub struct RunPaneContext<'a> {
    /// The run.
    pub view: Option<&'a RunView>,
    /// Whether it is one of ours.
    pub own: bool,
    /// Why a followed run can't be read at the moment.
    pub trouble: Option<&'a str>,
    /// Whether somebody else seems to go on with it.
    pub written: bool,
    /// Which of the runs it is.
    pub focus: RunSelection,
    /// All runs that can be shown.
    pub all: Vec<(RunSelection, String)>,
    /// Whether a run of ours goes on, so that no other may.
    pub going: bool,
    /// Runs on disk, newest first: folder and name.
    pub shelf: Vec<(std::path::PathBuf, String)>,
}

/// A phase in a word, with its tone.
pub fn phase_word(view: &RunView, own: bool) -> (&'static str, StatusTone) {
    match &view.phase {
        RunPhase::Preparing => ("Preparing", StatusTone::Neutral),
        RunPhase::Running => ("Running", StatusTone::Accent),
        RunPhase::Pausing => ("Pausing", StatusTone::Watch),
        RunPhase::Paused => ("Paused", StatusTone::Watch),
        RunPhase::Stopping => ("Stopping", StatusTone::Watch),
        RunPhase::Finished { stopped: true } => ("Stopped", StatusTone::Neutral),
        RunPhase::Finished { stopped: false } => ("Finished", StatusTone::Good),
        RunPhase::Failed(_) => ("Failed", StatusTone::Bad),
        RunPhase::Followed if own => ("On disk", StatusTone::Neutral),
        RunPhase::Followed if view.held == RunLockStatus::Nobody => ("Unfinished", StatusTone::Neutral),
        RunPhase::Followed => ("Followed", StatusTone::Accent),
    }
}

/// The icon of a phase.
pub fn phase_icon(view: &RunView) -> &'static str {
    match &view.phase {
        RunPhase::Preparing | RunPhase::Pausing | RunPhase::Stopping => icons::WAITING,
        RunPhase::Running => icons::PLAY,
        RunPhase::Paused => icons::PAUSE,
        RunPhase::Finished { stopped: true } => icons::STOP,
        RunPhase::Finished { stopped: false } => icons::FINISHED,
        RunPhase::Failed(_) => icons::ERROR,
        RunPhase::Followed => icons::EYE,
    }
}

/// Points that two words on a ground and a button take.
const BADGES: f32 = 220.0;
/// Runs that are offered where there is none yet.
const NEWEST: usize = 9;

/// Draws the pane.
pub fn ui(ui: &mut Ui, shown: &RunPaneContext<'_>, actions: &mut Vec<TrainAction>) {
    let Some(view) = shown.view else {
        nothing(ui, shown, actions);
        return;
    };
    widgets::scroll(ui, "run", |ui| {
        if shown.all.len() > 1 {
            let mut focus = shown.focus.clone();
            if widgets::choice_row(ui, "Run", &mut focus, &shown.all).changed() {
                actions.push(TrainAction::Focus(focus));
            }
        }
        head(ui, shown, view, actions);
        if let Some(trouble) = shown.trouble {
            let t = theme::tokens(ui);
            ui.add(egui::Label::new(theme::small(trouble).color(t.watch)).wrap());
        }
        if let RunPhase::Failed(failure) = &view.phase {
            let t = theme::tokens(ui);
            ui.add(
                egui::Label::new(egui::RichText::new(names::known(&failure.text)).color(t.bad))
                    .selectable(true)
                    .wrap(),
            );
        }
        health(ui, view);
        figures(ui, view, shown.own);
        checkpoints(ui, view);
        if view.is_alive() {
            ui.horizontal_wrapped(|ui| look_buttons(ui, view, actions));
        }
        notes(ui, view);
    });
}

fn nothing(ui: &mut Ui, shown: &RunPaneContext<'_>, actions: &mut Vec<TrainAction>) {
    widgets::scroll(ui, "no run", |ui| {
        widgets::subheading(ui, "No run yet");
        widgets::hint(ui, "Start one at the left, or open one that lies on disk.");
        ui.add_space(space::XS);
        if widgets::button(ui, icons::FOLDER_OPEN, "Open a run …").clicked() {
            actions.push(TrainAction::Ask(DialogPurpose::FollowRun, String::new()));
        }
        if shown.shelf.is_empty() {
            return;
        }
        ui.add_space(space::XS);
        widgets::hint(ui, "The newest:");
        // Beside each other as far as there is room, so that a low pane shows them all.
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = egui::Vec2::splat(space::XS);
            for (path, name) in shown.shelf.iter().take(NEWEST) {
                let button = widgets::button(ui, icons::TIMELINE, name);
                if button.on_hover_text(names::shown(path)).clicked() {
                    actions.push(TrainAction::Follow(path.clone(), true));
                }
            }
        });
    });
}

fn head(ui: &mut Ui, shown: &RunPaneContext<'_>, view: &RunView, actions: &mut Vec<TrainAction>) {
    ui.horizontal(|ui| {
        let (word, tone) = phase_word(view, shown.own);
        // A long name leaves room for the words behind it.
        let room = (ui.available_width() - BADGES).max(60.0);
        ui.scope(|ui| {
            ui.set_max_width(room);
            widgets::subheading(ui, &view.name).on_hover_text(names::shown(&view.folder));
        });
        widgets::badge(ui, word, tone);
        if let Some(health) = view.health.as_ref().filter(|_| view.recipe.is_some()) {
            let (word, tone) = health_word(health.level);
            widgets::badge(ui, word, tone);
        }
        if view.newest_checkpoint().is_some() || view.is_alive() {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if widgets::icon_button(ui, icons::ARCHIVE, "Save as one file").clicked() {
                    actions.push(TrainAction::Pack(view.folder.clone()));
                }
            });
        }
    });
    widgets::progress(ui, share(view), &progress_text(view));
    let unfinished = !view.is_alive() && view.is_unfinished();
    if unfinished && shown.written {
        let said = widgets::hint(ui, "Another program goes on with this run.");
        if let RunLockStatus::By(Some(holder)) = &view.held {
            said.on_hover_text(holder.to_string());
        }
    }
    if view.is_alive() {
        return;
    }
    // What one does with a run that has ended comes before its figures.
    ui.horizontal_wrapped(|ui| {
        let goes_on = unfinished && !shown.written && !shown.going;
        if let Some((step, _)) = view.newest_checkpoint().filter(|_| goes_on) {
            if widgets::button(ui, icons::RESUME, &format!("Go on from step {step}")).clicked() {
                actions.push(TrainAction::GoOn(view.folder.clone(), DevicePick::Chosen));
            }
            if matches!(&view.phase, RunPhase::Failed(failure) if failure.device)
                && widgets::button(ui, icons::CPU, "On the processor").clicked()
            {
                actions.push(TrainAction::GoOn(view.folder.clone(), DevicePick::Processor));
            }
        }
        look_buttons(ui, view, actions);
    });
    if let Some(said) = view.improvement() {
        ui.add(egui::Label::new(said).selectable(true).wrap());
    }
}

/// How far it is: before the first step what is done beside the steps, where that is known.
fn share(view: &RunView) -> Option<f32> {
    match &view.aside {
        _ if view.phase == RunPhase::Preparing => None,
        Some(aside) if view.done == 0 => aside.share(),
        _ => (view.total > 0).then(|| view.done as f32 / view.total as f32),
    }
}

/// How far it is, in words.
pub fn progress_text(view: &RunView) -> String {
    if view.phase == RunPhase::Preparing {
        return "Opening the pictures, setting up the device".to_owned();
    }
    let steps = format!("Step {} of {}", words::count(view.done), words::count(view.total));
    if let Some(aside) = &view.aside {
        return if view.done == 0 { aside.text() } else { format!("{steps} · {}", aside.text()) };
    }
    let comes = match view.phase {
        RunPhase::Running | RunPhase::Pausing | RunPhase::Paused => true,
        // What nobody goes on with takes no time.
        RunPhase::Followed => view.held != RunLockStatus::Nobody,
        _ => false,
    };
    match view.left().filter(|_| comes) {
        Some(left) if view.done < view.total => format!("{steps} · {} left", words::duration(left)),
        _ => steps,
    }
}

/// Whether a run is well, in a word.
fn health_word(level: HealthLevel) -> (&'static str, StatusTone) {
    match level {
        HealthLevel::Fine => ("Healthy", StatusTone::Good),
        HealthLevel::Watch => ("Worth a look", StatusTone::Watch),
        HealthLevel::Wrong => ("Going wrong", StatusTone::Bad),
    }
}

fn health(ui: &mut Ui, view: &RunView) {
    let (Some(health), Some(recipe)) = (&view.health, &view.recipe) else { return };
    ui.scope(|ui| {
        // Close together: the lowest pane that there is shows them all.
        ui.spacing_mut().item_spacing.y = space::XS;
        for sentence in &health.sentences {
            ui.add(egui::Label::new(sentence).wrap());
        }
        let all = gauges::gauges(&view.values, recipe, view.done);
        let width = ui.available_width();
        let columns = if width > 320.0 { 2 } else { 1 };
        let each = (width - space::M * (columns - 1) as f32) / columns as f32;
        for row in all.chunks(columns) {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = space::M;
                row.iter().for_each(|gauge| gauges::ui(ui, gauge, each));
            });
        }
    });
}

fn figures(ui: &mut Ui, view: &RunView, own: bool) {
    let pace = view.pace;
    if pace.steps_per_second > 0.0 {
        let text = format!(
            "{} steps/s · {} pictures/s",
            words::figure(pace.steps_per_second),
            words::figure(pace.images_per_second)
        );
        widgets::property(ui, "Speed", &text);
        let waiting = widgets::property(ui, "Waiting for pictures", &words::percent(pace.waited));
        if pace.waited > 0.2 {
            let t = theme::tokens(ui);
            let text = match HAS_DISK {
                true => {
                    "The device waits for pictures: more Workers (Training), smaller files or a faster disk help."
                }
                false => {
                    "The device waits for pictures: larger models and crops, or smaller files, keep it busy."
                }
            };
            ui.add(egui::Label::new(theme::small(text).color(t.watch)).wrap());
        }
        waiting.on_hover_text("Share of the time in which the device had nothing to do.");
    }
    if let Some(memory) = view.memory {
        let mut text = words::bytes(memory.used);
        if memory.reserved > memory.used + 1_000_000 {
            text += &format!(", {} held", words::bytes(memory.reserved));
        }
        let name = match memory.what {
            "GPU" => "Memory of the GPU",
            "process" if own => "Memory of this program",
            _ => "Memory",
        };
        widgets::property(ui, name, &text);
    }
    for (name, label) in [("knn", "k-NN"), ("crops", "Crops found again")] {
        if let Some((step, accuracy)) = view.newest_accuracy(name) {
            let text = format!("{} after {step} steps", improvement::percent(accuracy));
            widgets::property(ui, label, &text);
        }
    }
    if !view.device.is_empty() {
        widgets::property(ui, "Computes on", &view.device);
    }
    if !view.data.is_empty() {
        widgets::property(ui, "Trained on", &names::known(&view.data));
    }
    if view.parameters > 0 {
        let all = words::short(view.parameters as f64);
        let text = view.recipe.as_deref().map_or(all, |recipe| words::parameters(recipe, view.parameters));
        widgets::property(ui, "Parameters", &text);
    }
}

fn checkpoints(ui: &mut Ui, view: &RunView) {
    if let Some((step, _)) = view.newest_checkpoint() {
        let all: Vec<String> = view.checkpoints.keys().map(|step| words::count(*step)).collect();
        let property = widgets::property(ui, "Checkpoint", &format!("after {} steps", words::count(step)));
        property.on_hover_text(format!("On disk: {}", all.join(", ")));
    }
}

/// What shows what came of a run.
fn look_buttons(ui: &mut Ui, view: &RunView, actions: &mut Vec<TrainAction>) {
    if let Some((_, path)) = view.newest_checkpoint()
        && widgets::button(ui, icons::LOOK, "Look with it").clicked()
    {
        actions.push(TrainAction::LookWith(path.to_owned()));
    }
    if let Some(report) = &view.report
        && widgets::button(ui, icons::OPEN_OUTSIDE, "Report").clicked()
    {
        actions.push(TrainAction::Open(report.clone()));
    }
    let both = !view.is_alive() && view.pictures.contains(&0) && view.pictures.len() > 1;
    if both && widgets::button(ui, icons::SIDE_BY_SIDE, "Before and after").clicked() {
        actions.push(TrainAction::BeforeAfter(view.folder.clone()));
    }
}

/// Lines of a list that are drawn at once.
const LINES: usize = 100;

fn notes(ui: &mut Ui, view: &RunView) {
    if !view.warnings.is_empty() {
        widgets::section(ui, "Warnings", false, |ui| {
            for warning in view.warnings.iter().rev().take(LINES) {
                ui.add(egui::Label::new(theme::small(warning)).selectable(true).wrap());
            }
        });
    }
    if !view.skipped.is_empty() {
        widgets::section(ui, "Pictures left out", false, |ui| {
            widgets::hint(ui, &words::some(view.skipped.len(), "picture", "pictures"));
            for (name, reason) in view.skipped.iter().take(LINES) {
                ui.add(egui::Label::new(theme::small(format!("{name}: {reason}"))).selectable(true).wrap());
            }
        });
    }
}
