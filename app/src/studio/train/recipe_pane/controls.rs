//! The foot of the recipe pane: what is in the way of a start, where the run goes, and the buttons.

use dinoscope_core::train::Recipe;
use dinoscope_core::train::memory::{MemoryEstimate, estimate};
use egui::{Key, KeyboardShortcut, Modifiers, RichText, Ui};

use crate::platform::HAS_DISK;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::names;
use crate::studio::theme::{self, icons, space};
use crate::studio::train::actions::{DevicePick, TrainAction};
use crate::studio::train::start_blocker::StartBlocker;
use crate::studio::train::state::{RunPhase, RunView};
use crate::studio::train::{TrainBanner, words};
use crate::studio::widgets;

/// Pauses and goes on, while nothing has the keyboard.
pub const SPACE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::NONE, Key::Space);

/// What the foot has to know.
pub struct TrainFooterContext<'a> {
    /// The recipe, where nothing is wrong with it.
    pub recipe: Option<&'a Recipe>,
    /// Our run, while there is one.
    pub own: Option<&'a RunView>,
    /// A message that stays.
    pub banner: Option<&'a TrainBanner>,
    /// What the chosen device can bind at once, where it has a limit.
    pub limit: Option<u64>,
    /// What is in the way of a start.
    pub obstacle: Option<&'a StartBlocker>,
    /// The run whose recipe stands above, only to be looked at.
    pub locked: Option<&'a str>,
}

/// Draws it.
pub fn ui(ui: &mut Ui, footer: &TrainFooterContext<'_>, root: &mut String, actions: &mut Vec<TrainAction>) {
    ui.add_space(space::S);
    if let Some(banner) = footer.banner {
        message(ui, banner, actions);
        ui.add_space(space::S);
    }
    let going = footer.own.filter(|own| own.is_alive());
    match (going, footer.locked) {
        (Some(own), _) => {
            while_going(ui, own, actions);
            ui.add_space(space::XS);
            // Where a run is started otherwise: whoever presses once more than was needed starts nothing.
            ui.horizontal(|ui| {
                ui.set_min_height(theme::button(ui));
                let text = match own.phase {
                    RunPhase::Pausing => "Pauses when what it is at is done.".to_owned(),
                    _ => format!("Kept in {}", own.name),
                };
                widgets::hint(ui, &text).on_hover_text(names::shown(&own.folder));
            });
        }
        (None, Some(run)) => of_another(ui, run, actions),
        (None, None) => start(ui, footer, root, actions),
    }
}

/// The recipe of a run stands above: a new run can begin with it.
fn of_another(ui: &mut Ui, run: &str, actions: &mut Vec<TrainAction>) {
    ui.add(
        egui::Label::new(theme::small(format!("The recipe of {run}")).color(theme::tokens(ui).muted))
            .truncate(),
    );
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        if widgets::primary_button(ui, icons::COPY, "Use for a new run").clicked() {
            actions.push(TrainAction::UseRecipe);
        }
        let mine = widgets::button(ui, "", "Back to mine");
        if mine.on_hover_text("The recipe that stood here before this run was shown.").clicked() {
            actions.push(TrainAction::OwnRecipe);
        }
    });
}

/// The folder of new runs, as wide as there is room: one has to see where they are.
fn runs_folder(ui: &mut Ui, root: &mut String, actions: &mut Vec<TrainAction>) {
    widgets::wide_row(ui, "Keep runs in", |ui, width| {
        widgets::with_border(ui, |ui| {
            let edit = egui::TextEdit::singleline(root).align(egui::Align2::LEFT_CENTER);
            ui.add_sized([width - theme::row(ui) - space::S, theme::row(ui)], edit)
        });
        if widgets::icon_button(ui, icons::FOLDER_OPEN, "Choose the folder for runs").clicked() {
            actions.push(TrainAction::Ask(DialogPurpose::RunsFolder, String::new()));
        }
    });
}

/// Where the run goes, what is in the way, and the button.
fn start(ui: &mut Ui, footer: &TrainFooterContext<'_>, root: &mut String, actions: &mut Vec<TrainAction>) {
    // A page keeps them where it keeps everything.
    if HAS_DISK {
        runs_folder(ui, root, actions);
    }
    match footer.obstacle {
        Some(obstacle) => obstacle.ui(ui),
        None => memory(ui, footer, false),
    }
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        let stopped = footer.own.filter(|own| own.is_unfinished());
        let stopped = stopped.and_then(|own| Some((own, own.newest_checkpoint()?.0)));
        let start = |ui: &mut Ui| widgets::primary_button(ui, icons::PLAY, "Start");
        let start = ui.add_enabled_ui(footer.obstacle.is_none(), start).inner;
        if start.clicked() {
            actions.push(TrainAction::Start);
        }
        match (footer.obstacle, footer.recipe) {
            (Some(obstacle), _) => _ = start.on_disabled_hover_text(obstacle.text()),
            // Beside two buttons there is no room for it: in a second line it would move them.
            (None, Some(recipe)) if stopped.is_some() => {
                let e = estimate(recipe);
                start.on_hover_text(format!("{}: {}", about_memory(&e), memory_details(&e)));
            }
            (None, _) => {}
        }
        if let Some((own, step)) = stopped
            && widgets::button(ui, icons::RESUME, &format!("Go on from {step}")).clicked()
        {
            actions.push(TrainAction::GoOn(own.folder.clone(), DevicePick::Chosen));
        }
        if footer.obstacle.is_none() && stopped.is_none() {
            memory(ui, footer, true);
        }
    });
}

/// How much memory it takes: `beside` the button, or above it where that is too much and there is more to say.
fn memory(ui: &mut Ui, footer: &TrainFooterContext<'_>, beside: bool) {
    let t = theme::tokens(ui);
    let Some(recipe) = footer.recipe else { return };
    let e = estimate(recipe);
    let too_large = footer.limit.is_some_and(|limit| e.largest > limit);
    if too_large == beside {
        return;
    }
    let about = about_memory(&e);
    let text = if too_large {
        let largest = words::bytes(e.largest);
        format!(
            "{about}, and one tensor of {largest}: more than this device takes at once. Raise Accumulate (Training)."
        )
    } else {
        about
    };
    let colour = if too_large { t.watch } else { t.muted };
    let said = ui.add(egui::Label::new(theme::small(text).color(colour)).wrap());
    said.on_hover_text(memory_details(&e));
}

fn about_memory(e: &MemoryEstimate) -> String {
    format!("About {} of memory", words::bytes(e.parameters + e.activations + e.logits))
}

fn memory_details(e: &MemoryEstimate) -> String {
    format!(
        "{} for parameters, gradients and AdamW's moments, {} for activations, {} for logits; the largest tensor {}",
        words::bytes(e.parameters),
        words::bytes(e.activations),
        words::bytes(e.logits),
        words::bytes(e.largest)
    )
}

fn while_going(ui: &mut Ui, own: &RunView, actions: &mut Vec<TrainAction>) {
    ui.horizontal_wrapped(|ui| {
        let steady = matches!(own.phase, RunPhase::Running | RunPhase::Paused);
        ui.add_enabled_ui(steady, |ui| {
            if own.phase == RunPhase::Paused {
                if widgets::primary_button(ui, icons::PLAY, ("Resume", SPACE)).clicked() {
                    actions.push(TrainAction::Resume);
                }
            } else if widgets::button(ui, icons::PAUSE, ("Pause", SPACE)).clicked() {
                actions.push(TrainAction::Pause);
            }
        });
        ui.add_enabled_ui(own.phase != RunPhase::Stopping, |ui| {
            if widgets::button(ui, icons::STOP, "Stop").clicked() {
                actions.push(TrainAction::Stop);
            }
        });
        ui.add_enabled_ui(steady, |ui| {
            if widgets::icon_button(ui, icons::SAVE, "Checkpoint now").clicked() {
                actions.push(TrainAction::Checkpoint);
            }
        });
    });
}

/// A message that stays, with its ways out.
fn message(ui: &mut Ui, banner: &TrainBanner, actions: &mut Vec<TrainAction>) {
    let t = theme::tokens(ui);
    let frame = egui::Frame::new().fill(banner.tone.ground(&t)).corner_radius(theme::RADIUS).inner_margin(8);
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        egui::ScrollArea::vertical().id_salt("message").max_height(120.0).show(ui, |ui| {
            let text = RichText::new(names::known(&banner.text)).color(t.text);
            ui.add(egui::Label::new(text).selectable(true).wrap());
        });
        ui.horizontal_wrapped(|ui| {
            for (label, act) in &banner.ways {
                if widgets::button(ui, "", label).clicked() {
                    actions.push(act.clone());
                }
            }
            if widgets::button(ui, "", "Put away").clicked() {
                actions.push(TrainAction::Dismiss);
            }
        });
    });
}
