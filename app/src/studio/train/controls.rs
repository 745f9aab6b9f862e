//! The foot of the recipe pane: what is in the way of a start, where the run goes, and the buttons.

use dinoscope_core::train::Recipe;
use dinoscope_core::train::memory::estimate;
use egui::{Key, KeyboardShortcut, Modifiers, RichText, Ui};

use super::acts::{Act, On};
use super::state::{Phase, RunView};
use super::{Banner, words};
use crate::studio::platform::Purpose;
use crate::studio::theme::{self, icons, space};
use crate::studio::typed;
use crate::studio::widgets;

/// Pauses and goes on, while nothing has the keyboard.
pub const SPACE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::NONE, Key::Space);

/// What the foot has to know.
pub struct Foot<'a> {
    /// The recipe, or what is wrong.
    pub recipe: Result<&'a Recipe, String>,
    /// Our run, while there is one.
    pub own: Option<&'a RunView>,
    /// A message that stays.
    pub banner: Option<&'a Banner>,
    /// What the chosen device can bind at once, where it has a limit.
    pub limit: Option<u64>,
    /// Why no run can be kept where it should be.
    pub trouble: Option<&'a str>,
}

/// Draws it.
pub fn ui(ui: &mut Ui, foot: &Foot<'_>, root: &mut String, acts: &mut Vec<Act>) {
    ui.add_space(space::S);
    if let Some(banner) = foot.banner {
        message(ui, banner, acts);
        ui.add_space(space::S);
    }
    let going = foot.own.filter(|own| own.is_alive());
    // A page keeps them where it keeps everything.
    if going.is_none() && !cfg!(target_family = "wasm") {
        runs_folder(ui, root, acts);
    }
    let reason = match (&foot.recipe, foot.trouble) {
        (Err(reason), _) => Some(reason.clone()),
        (Ok(_), Some(trouble)) => Some(trouble.to_owned()),
        (Ok(_), None) => None,
    };
    note(ui, foot, going, reason.as_deref());
    ui.add_space(space::XS);
    match going {
        Some(own) => while_going(ui, own, acts),
        None => {
            ui.horizontal_wrapped(|ui| {
                let start = |ui: &mut Ui| widgets::primary_button(ui, icons::PLAY, "Start");
                let start = ui.add_enabled_ui(reason.is_none(), start).inner;
                if start.clicked() {
                    acts.push(Act::Start);
                }
                if let Some(reason) = &reason {
                    start.on_disabled_hover_text(format!("Can't start: {reason}"));
                }
                if let Some(own) = foot.own.filter(|own| !own.is_complete())
                    && let Some((step, _)) = own.newest_checkpoint()
                    && widgets::button(ui, icons::RESUME, &format!("Go on from {step}")).clicked()
                {
                    acts.push(Act::GoOn(own.folder.clone(), On::Chosen));
                }
            })
            .inner
        }
    }
}

/// The folder of new runs, as wide as there is room: one has to see where they are.
fn runs_folder(ui: &mut Ui, root: &mut String, acts: &mut Vec<Act>) {
    widgets::wide_row(ui, "Keep runs in", |ui, width| {
        let field = widgets::with_border(ui, |ui| {
            let edit = egui::TextEdit::singleline(root).align(egui::Align2::LEFT_CENTER);
            ui.add_sized([width - theme::ROW - space::S, theme::ROW], edit)
        });
        field.on_hover_text(typed::path(root).display().to_string());
        if widgets::icon_button(ui, icons::FOLDER_OPEN, "Choose the folder for runs").clicked() {
            acts.push(Act::Ask(Purpose::RunsFolder, String::new()));
        }
    });
}

/// One line: what is in the way, or how much memory it takes, or where it is kept.
fn note(ui: &mut Ui, foot: &Foot<'_>, going: Option<&RunView>, reason: Option<&str>) {
    let t = theme::tokens(ui);
    if let Some(own) = going {
        let said = widgets::hint(ui, &format!("Kept in {}", own.name));
        said.on_hover_text(own.folder.display().to_string());
        return;
    }
    if let Some(reason) = reason {
        ui.add(egui::Label::new(theme::small(format!("Can't start: {reason}")).color(t.bad)).wrap());
        return;
    }
    let Ok(recipe) = foot.recipe else { return };
    let e = estimate(recipe);
    let all = e.parameters + e.activations + e.logits;
    let too_large = foot.limit.is_some_and(|limit| e.largest > limit);
    let text = if too_large {
        format!(
            "About {} of memory, and one tensor of {}: more than this device takes at once. Raise train.accumulate.",
            words::bytes(all),
            words::bytes(e.largest)
        )
    } else {
        format!("About {} of memory", words::bytes(all))
    };
    let colour = if too_large { t.watch } else { t.muted };
    let said = ui.add(egui::Label::new(theme::small(text).color(colour)).wrap());
    said.on_hover_text(format!(
        "{} for parameters, gradients and AdamW's moments, {} for activations, {} for logits; the largest tensor {}",
        words::bytes(e.parameters),
        words::bytes(e.activations),
        words::bytes(e.logits),
        words::bytes(e.largest)
    ));
}

fn while_going(ui: &mut Ui, own: &RunView, acts: &mut Vec<Act>) {
    ui.horizontal_wrapped(|ui| {
        let steady = matches!(own.phase, Phase::Running | Phase::Paused);
        ui.add_enabled_ui(steady, |ui| {
            if own.phase == Phase::Paused {
                if widgets::primary_button(ui, icons::PLAY, ("Resume", SPACE)).clicked() {
                    acts.push(Act::Resume);
                }
            } else if widgets::button(ui, icons::PAUSE, ("Pause", SPACE)).clicked() {
                acts.push(Act::Pause);
            }
        });
        ui.add_enabled_ui(own.phase != Phase::Stopping, |ui| {
            if widgets::button(ui, icons::STOP, "Stop").clicked() {
                acts.push(Act::Stop);
            }
        });
        ui.add_enabled_ui(steady, |ui| {
            if widgets::icon_button(ui, icons::SAVE, "Checkpoint now").clicked() {
                acts.push(Act::Checkpoint);
            }
        });
    });
}

/// A message that stays, with its ways out.
fn message(ui: &mut Ui, banner: &Banner, acts: &mut Vec<Act>) {
    let t = theme::tokens(ui);
    let frame = egui::Frame::new().fill(banner.tone.ground(&t)).corner_radius(theme::RADIUS).inner_margin(8);
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        egui::ScrollArea::vertical().id_salt("message").max_height(120.0).show(ui, |ui| {
            let text = RichText::new(&banner.text).color(t.text);
            ui.add(egui::Label::new(text).selectable(true).wrap());
        });
        ui.horizontal_wrapped(|ui| {
            for (label, act) in &banner.ways {
                if widgets::button(ui, "", label).clicked() {
                    acts.push(act.clone());
                }
            }
            if widgets::button(ui, "", "Put away").clicked() {
                acts.push(Act::Dismiss);
            }
        });
    });
}
