//! The part of the recipe pane that says what a run begins with.

use dinoscope_core::train::own;
use dinoscope_core::train::recipe::DistillMethod;
use egui::Ui;

use crate::platform::dialogs::DialogPurpose;
use crate::platform::tasks::Wake;
use crate::platform::typed;
use crate::platform::{HAS_DISK, models};
use crate::studio::theme::{self, icons, space};
use crate::studio::train::actions::TrainAction;
use crate::studio::train::draft::RecipeDraft;
use crate::studio::train::follow::RunListEntry;
use crate::studio::train::run_init::{RunInitKind, RunInitState};
use crate::studio::widgets;

/// Most runs that the list of what can be chosen shows.
const LISTED: usize = 12;
/// Names of rows that the narrowest pane has room for.
const HEADS_ALONE: &str = "Heads alone";
const CROP_SIDE: &str = "Crop side";

/// Draws it.
pub fn ui(
    ui: &mut Ui,
    begin: &mut RunInitState,
    draft: &mut RecipeDraft,
    runs: &[RunListEntry],
    wake: &Wake,
    actions: &mut Vec<TrainAction>,
) {
    let mut way = begin.way;
    let ways = [
        (RunInitKind::Nothing, "Nothing"),
        (RunInitKind::Weights, "Weights"),
        (RunInitKind::Teacher, "A teacher"),
        (RunInitKind::Run, "A run"),
    ];
    widgets::segmented(ui, "What the run begins with", &mut way, &ways);
    if way != begin.way {
        begin.choose(way, draft);
        actions.push(TrainAction::LookForRuns);
    }
    let (label, about) = match begin.way {
        RunInitKind::Nothing => {
            widgets::hint(ui, "Random weights: only your pictures teach.");
            return;
        }
        RunInitKind::Weights => ("Weights", "A trained backbone goes on learning. Its heads are new."),
        RunInitKind::Teacher => {
            ("Teacher", "A small model learns what a large one has learned. The preset is the student.")
        }
        RunInitKind::Run => ("Run", "A finished run goes on with larger pictures, for sharper features."),
    };
    // What will happen on pictures of one's own is said first: lower down it would be out of sight.
    let own = draft.preset_name() == own::NAME;
    let plan = begin.said().and_then(Result::ok).filter(|_| own);
    widgets::hint(ui, plan.unwrap_or(about));
    let mut chosen = named(ui, label, begin, runs, actions);
    match begin.way {
        RunInitKind::Weights => steps_held(ui, draft),
        RunInitKind::Teacher => chosen |= method(ui, begin),
        RunInitKind::Run => chosen |= adaptation(ui, begin),
        RunInitKind::Nothing => {}
    }
    if chosen {
        begin.apply(draft, wake);
    }
    let t = theme::tokens(ui);
    match (begin.busy(), begin.said()) {
        (true, _) => {
            widgets::hint(ui, "Opening …");
        }
        (false, Some(Ok(_))) if own => {}
        (false, Some(Ok(said))) => {
            widgets::hint(ui, said);
        }
        (false, Some(Err(reason))) => {
            ui.add(egui::Label::new(theme::small(reason).color(t.bad)).wrap());
        }
        (false, None) => {}
    }
}

/// The name of what is begun with, and the ways to choose it; whether it was chosen.
fn named(
    ui: &mut Ui,
    label: &'static str,
    begin: &mut RunInitState,
    runs: &[RunListEntry],
    actions: &mut Vec<TrainAction>,
) -> bool {
    let response = widgets::path_row(ui, label, &mut begin.named, wanted(label));
    let mut chosen = response.lost_focus();
    if chosen {
        typed::tidy(&mut begin.named);
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        let button = widgets::button(ui, icons::MODEL, "Choose …");
        widgets::menu(&button).show(|ui| {
            ui.set_min_width(240.0);
            let mut entry = |ui: &mut Ui, text: &str, name: &str| {
                if ui.button(text).clicked() {
                    (begin.named, chosen) = (name.to_owned(), true);
                    ui.close();
                }
            };
            if begin_takes_files(label) {
                entry(ui, "Starter weights", "starter");
                for name in models::downloaded() {
                    entry(ui, &name, &name);
                }
            }
            for run in runs.iter().take(LISTED) {
                entry(ui, &run.name, &run.path.to_string_lossy());
            }
            ui.separator();
            if begin_takes_files(label) && ui.button("A file of weights …").clicked() {
                actions.push(TrainAction::Ask(DialogPurpose::BeginFile, String::new()));
                ui.close();
            }
            if HAS_DISK && ui.button("A run from elsewhere …").clicked() {
                actions.push(TrainAction::Ask(DialogPurpose::BeginRun, String::new()));
                ui.close();
            }
        });
    });
    chosen
}

/// What is to be named, short enough for a narrow pane.
fn wanted(label: &str) -> &'static str {
    if begin_takes_files(label) { "file, run, model" } else { "folder of a run" }
}

/// A run is adapted as a whole; weights alone will not do.
fn begin_takes_files(label: &str) -> bool {
    label != "Run"
}

fn steps_held(ui: &mut Ui, draft: &mut RecipeDraft) {
    let mut text = draft.text("start.hold_backbone");
    let row = widgets::text_row(ui, HEADS_ALONE, &mut text, "0");
    if row.changed() {
        draft.set("start.hold_backbone", text);
    }
    row.on_hover_text("Steps in which only the new heads learn.");
}

/// What is learned of a teacher; whether another way was chosen.
fn method(ui: &mut Ui, begin: &mut RunInitState) -> bool {
    let ways = [
        (None, "What suits it"),
        (Some(DistillMethod::Heads), "What its heads say"),
        (Some(DistillMethod::Similarity), "Similarities"),
        (Some(DistillMethod::Regression), "Its features"),
    ]
    .map(|(way, text)| (way, text.to_owned()));
    widgets::choice_row(ui, "Learn", &mut begin.method, &ways).changed()
}

/// Size and length of an adaptation; whether one was changed.
fn adaptation(ui: &mut Ui, begin: &mut RunInitState) -> bool {
    let shown = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let mut side = shown(begin.resolution as u64);
    let sized = widgets::text_row(ui, CROP_SIDE, &mut side, "twice the run's");
    begin.resolution = side.trim().parse().unwrap_or(0);
    let mut steps = shown(begin.steps.unwrap_or(0));
    let timed = widgets::text_row(ui, "Steps", &mut steps, "an eighth");
    let timed = timed.on_hover_text("An eighth of the run's where nothing is said.");
    begin.steps = steps.trim().parse().ok().filter(|steps| *steps > 0);
    sized.lost_focus() || timed.lost_focus()
}
