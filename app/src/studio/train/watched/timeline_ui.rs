//! The timeline below the watched pictures: where one is in the run's past, and the buttons of a player.

use std::collections::BTreeSet;

use egui::accesskit::{Action, ActionData};
use egui::{EventFilter, Key, Sense, Ui, pos2, vec2};

use crate::studio::theme::{self, icons, space};
use crate::studio::train::actions::TrainAction;
use crate::studio::train::timeline::SPEEDS;
use crate::studio::train::watched::{WatchedPane, WatchedPaneContext, moment_text};
use crate::studio::{touch, widgets};

/// Points of the speeds of the film.
const SPEED_WIDTH: f32 = 190.0;
/// Points for the speeds and a caption beside them.
const SPEED_ROOM: f32 = 300.0;

/// Draws it.
pub fn ui(
    ui: &mut Ui,
    pane: &mut WatchedPane,
    seen: &WatchedPaneContext<'_>,
    moments: &BTreeSet<u64>,
    actions: &mut Vec<TrainAction>,
) {
    ui.add_space(space::S);
    rail(ui, pane, seen, moments);
    ui.horizontal(|ui| {
        let some = moments.len() > 1;
        ui.add_enabled_ui(some, |ui| {
            if widgets::icon_button(ui, icons::FIRST, "First pictures").clicked() {
                pane.timeline.first(moments);
            }
            if widgets::icon_button(ui, icons::CARET_LEFT, "Earlier pictures").clicked() {
                pane.timeline.step(false, moments);
            }
            let (icon, label) = match pane.timeline.plays() {
                true => (icons::PAUSE, "Hold the film"),
                false => (icons::PLAY, "Play the past"),
            };
            if widgets::icon_button(ui, icon, label).clicked() {
                pane.timeline.toggle(moments);
            }
            if widgets::icon_button(ui, icons::CARET_RIGHT, "Later pictures").clicked() {
                pane.timeline.step(true, moments);
            }
            let mut follows = pane.timeline.follows();
            if widgets::toggle_icon(ui, icons::LAST, "Follow the newest pictures", &mut follows).changed() {
                pane.timeline.follow();
            }
        });
        let text = moment_text(pane.timeline.moment(moments), seen.view);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let film = (seen.view.name.as_str(), !seen.view.pictures.is_empty());
            let beside = pane.beside.as_ref().filter(|beside| beside.sheet().is_some());
            pane.export.ui(ui, film, beside.map(|beside| beside.name.as_str()), actions);
            // Room for the speeds does not depend on how long the words are.
            if ui.available_width() > SPEED_ROOM {
                let size = vec2(SPEED_WIDTH, theme::row(ui));
                ui.allocate_ui_with_layout(size, egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    widgets::segmented(ui, "Speed of the film", &mut pane.timeline.speed, &SPEEDS);
                });
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                ui.add(egui::Label::new(text).truncate());
            });
        });
    });
    pane.export.progress_ui(ui);
}

/// A rail with a mark for each moment.
fn rail(ui: &mut Ui, pane: &mut WatchedPane, seen: &WatchedPaneContext<'_>, moments: &BTreeSet<u64>) {
    let t = theme::tokens(ui);
    let size = vec2(ui.available_width(), if touch::is(ui) { theme::TOUCH } else { 24.0 });
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let last = moments.len().saturating_sub(1);
    let place = pane.timeline.place(moments);
    let inner = rect.shrink2(vec2(8.0, 0.0));
    let total = (seen.view.total.max(moments.last().copied().unwrap_or(0)) as f32).max(1.0);
    let x = |moment: u64| inner.left() + inner.width() * moment as f32 / total;
    if moments.len() > 1 {
        if let Some(pointer) =
            response.interact_pointer_pos().filter(|_| response.dragged() || response.clicked())
        {
            let apart = |moment: &u64| (x(*moment) - pointer.x).abs();
            let nearest = moments.iter().enumerate().min_by(|a, b| apart(a.1).total_cmp(&apart(b.1)));
            if let Some((nearest, _)) = nearest {
                go(pane, nearest, last, moments);
            }
        }
        keys(ui, pane, &response, moments, place, last);
    }
    let text = moment_text(pane.timeline.moment(moments), seen.view);
    let places = 0.0..=last as f64;
    widgets::say_slider(ui, &response, "Moment of the run", place as f64, (&places, Some(1.0)), text);
    let middle = rect.center().y;
    let line = egui::Rect::from_min_max(pos2(inner.left(), middle - 2.0), pos2(inner.right(), middle + 2.0));
    let painter = ui.painter();
    painter.rect_filled(line, 2.0, t.pressed);
    if let Some(newest) = moments.last() {
        painter.rect_filled(line.with_max_x(x(*newest)), 2.0, t.border);
    }
    // So many marks that they would touch say nothing.
    if moments.len() > 1 && inner.width() / moments.len() as f32 >= 5.0 {
        for moment in moments {
            painter.vline(x(*moment), middle - 5.0..=middle + 5.0, egui::Stroke::new(1.0, t.border));
        }
    }
    if let Some(moment) = pane.timeline.moment(moments) {
        let at = pos2(x(moment), middle);
        painter.circle_filled(at, 7.0, t.accent);
        if response.has_focus() {
            painter.circle_stroke(at, 10.0, egui::Stroke::new(theme::RING, t.accent));
        }
    }
}

fn keys(
    ui: &Ui,
    pane: &mut WatchedPane,
    response: &egui::Response,
    moments: &BTreeSet<u64>,
    place: usize,
    last: usize,
) {
    let (mut forth, mut back) = (0, 0);
    if response.has_focus() {
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    }
    // The arrows belong to whatever has the keyboard; to the timeline if nothing has it.
    let free = ui.memory(|memory| memory.focused().is_none());
    if response.has_focus() || free {
        ui.input(|input| {
            forth = input.num_presses(Key::ArrowRight);
            back = input.num_presses(Key::ArrowLeft);
        });
        if ui.input(|input| input.key_pressed(Key::Home)) {
            pane.timeline.first(moments);
        }
        if ui.input(|input| input.key_pressed(Key::End)) {
            pane.timeline.follow();
        }
    }
    let set = ui.input(|input| {
        forth += input.num_accesskit_action_requests(response.id, Action::Increment);
        back += input.num_accesskit_action_requests(response.id, Action::Decrement);
        input.accesskit_action_requests(response.id, Action::SetValue).find_map(|request| {
            match request.data {
                Some(ActionData::NumericValue(value)) => Some(value.round().max(0.0) as usize),
                _ => None,
            }
        })
    });
    if let Some(to) = set {
        go(pane, to.min(last), last, moments);
    } else if forth != back {
        let to = (place + forth).saturating_sub(back).min(last);
        go(pane, to, last, moments);
    }
}

/// The last moment is the newest: whoever goes there follows it.
fn go(pane: &mut WatchedPane, to: usize, last: usize, moments: &BTreeSet<u64>) {
    match to == last {
        true => pane.timeline.follow(),
        false => pane.timeline.go(to, moments),
    }
}
