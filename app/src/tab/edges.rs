//! The keyboard's way onto the canvas and off again: Tab goes through what is drawn, and at the end to what comes after it
//! in the page, as it does everywhere.

use std::cell::Cell;

use egui::{Event, Id, Key, Modifiers, Rect, Sense, pos2, vec2};

use super::inspect;
use crate::platform::web::host;

thread_local! {
    /// What had the keyboard before an edge did.
    static BEFORE: Cell<Option<Id>> = const { Cell::new(None) };
    /// Whether anything had the keyboard when the frame began.
    static HAD: Cell<bool> = const { Cell::new(false) };
    /// Frames since Tab was pressed.
    static SINCE: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Something before or behind everything that takes the keyboard, and hands it on to the page at once.
fn edge(ui: &mut egui::Ui, forward: bool) {
    // Who comes from elsewhere begins with the first widget, or the last.
    if !HAD.get() && ui.memory(|memory| memory.focused().is_none()) {
        return;
    }
    let id = Id::unique(if forward { "edge behind" } else { "edge before" });
    let place = Rect::from_min_size(pos2(-1e6, if forward { 1e6 } else { -1e6 }), vec2(1.0, 1.0));
    ui.interact(place, id, Sense::focusable_noninteractive());
    if !ui.memory(|memory| memory.has_focus(id)) {
        return;
    }
    ui.memory_mut(|memory| memory.surrender_focus(id));
    // An arrow key has found it, where nothing else lies in that direction.
    if SINCE.get() > 2 {
        if let Some(before) = BEFORE.get() {
            ui.memory_mut(|memory| memory.request_focus(before));
        }
        return;
    }
    if let Some(host) = host::get() {
        host.leave(forward);
    }
}

/// Before anything is drawn.
pub fn before(ui: &mut egui::Ui) {
    let pressed = ui.input(|input| input.key_pressed(Key::Tab));
    SINCE.set(if pressed { 0 } else { SINCE.get().saturating_add(1) });
    HAD.set(ui.memory(|memory| memory.focused().is_some()));
    edge(ui, false);
}

/// After everything was drawn.
pub fn behind(ui: &mut egui::Ui) {
    edge(ui, true);
    if let Some(focused) = ui.memory(|memory| memory.focused()) {
        BEFORE.set(Some(focused));
    }
}

/// The keyboard comes onto the canvas: to what had it last, else to the first control, or from behind to the last one.
/// egui would take the last thing that can have the keyboard, which may be a handle that has no name.
pub fn enter(ctx: &egui::Context, forward: bool) {
    if ctx.memory(|memory| memory.focused().is_some()) {
        ctx.request_repaint();
        return;
    }
    if !forward {
        inspect::focus_last(ctx);
        return;
    }
    for pressed in [true, false] {
        let modifiers = Modifiers::NONE;
        let event = Event::Key { key: Key::Tab, physical_key: None, pressed, repeat: false, modifiers };
        inspect::put(ctx, event);
    }
}
