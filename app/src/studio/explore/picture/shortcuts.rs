//! The keyboard over the large picture.

use egui::{Key, Modifiers};

use crate::studio::app_context::AppContext;
use crate::studio::explore::{ExplorePanel, ExploreWorkspace, PatchLocation};

/// Every key of the studio, and what it does.
pub const ALL: [(&str, &str); 23] = [
    ("1 2 3 4", "PCA, attention, similarity, match"),
    ("← →  PgUp PgDn", "through the pictures"),
    ("W A S D", "move the pinned patch"),
    ("Esc", "unpin"),
    ("0", "fit the whole picture"),
    ("double click", "one pixel for one pixel (1:1), or fit"),
    ("Ctrl+C", "copy the value under the pointer"),
    ("L", "lock the colours"),
    ("B", "patches as blocks"),
    ("Shift+click", "a second picture beside the first"),
    ("Ctrl+click", "select several pictures"),
    ("Del", "close the selected pictures"),
    ("Ctrl+V", "paste a picture or a path"),
    ("Ctrl+Z", "undo: closed pictures, fields put back, panels"),
    ("Ctrl+1  2  3", "Explore, Train, Evaluate"),
    ("Space", "Train: pause and go on"),
    ("Ctrl+Enter", "Evaluate: start"),
    ("Ctrl+L", "the log"),
    ("Tab  Enter", "to the next control, use it"),
    ("← → ↑ ↓", "on a slider or a map: move"),
    ("Home  End", "on the timeline: first, newest"),
    ("Ctrl +  Ctrl −", "everything larger or smaller"),
    ("Ctrl+0", "everything at its own size"),
];

/// Keys as they are called on this system.
pub fn shown(ctx: &egui::Context, keys: &str) -> String {
    if ctx.os().is_mac() { keys.replace("Ctrl+", "⌘").replace("Ctrl ", "⌘ ") } else { keys.to_owned() }
}

/// Arrow keys go through the gallery, digits choose what shows, W A S D move the patch, Delete closes.
pub fn handle(explore: &mut ExploreWorkspace, app: &mut AppContext, ctx: &egui::Context) {
    // A menu or a panel in front has the keyboard: Escape closes that one first.
    let in_front = egui::Popup::is_any_open(ctx) || ctx.memory(|memory| memory.top_modal_layer().is_some());
    if in_front || ctx.egui_wants_keyboard_input() {
        return;
    }
    let focused = ctx.memory(|memory| memory.focused().is_some());
    let pressed = |key: Key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    for (key, panel) in [
        (Key::Num1, ExplorePanel::Pca),
        (Key::Num2, ExplorePanel::Attention),
        (Key::Num3, ExplorePanel::Similarity),
        (Key::Num4, ExplorePanel::Match),
    ] {
        if pressed(key) {
            explore.settings.panel = panel;
        }
    }
    if pressed(Key::Num0) {
        explore.canvas.fit();
    }
    for (key, by) in [(Key::PageUp, -1), (Key::PageDown, 1)] {
        if pressed(key) {
            explore.gallery.step(by);
        }
    }
    // Arrow keys belong to what has the focus, for instance a slider.
    if !focused {
        for (key, by) in [(Key::ArrowLeft, -1), (Key::ArrowUp, -1), (Key::ArrowRight, 1), (Key::ArrowDown, 1)]
        {
            if pressed(key) {
                explore.gallery.step(by);
            }
        }
    }
    if pressed(Key::L) {
        explore.settings.locked = !explore.settings.locked;
    }
    if pressed(Key::B) {
        explore.settings.blocks = !explore.settings.blocks;
    }
    if pressed(Key::Delete) || pressed(Key::Backspace) {
        explore.close_selection(app);
    }
    if pressed(Key::Escape) {
        explore.pinned = None;
    }
    let mut moved = (0isize, 0isize);
    for (key, by) in [(Key::W, (-1, 0)), (Key::S, (1, 0)), (Key::A, (0, -1)), (Key::D, (0, 1))] {
        if pressed(key) {
            moved = by;
        }
    }
    if moved != (0, 0) {
        move_patch(explore, moved);
    }
}

/// Whether what is under the pointer is to be copied; text that is being edited has that first.
pub fn copies(ctx: &egui::Context) -> bool {
    let asked = ctx.input(|input| input.events.iter().any(|event| matches!(event, egui::Event::Copy)));
    asked && !ctx.egui_wants_keyboard_input()
}

/// Moves the pinned patch; the first one is in the middle.
fn move_patch(explore: &mut ExploreWorkspace, (down, right): (isize, isize)) {
    let Some(picture) = explore.pinned.map(|spot| spot.picture).or(explore.gallery.chosen()) else { return };
    let Some(seen) = explore.seen(picture) else { return };
    let (rows, cols) = (seen.rows, seen.cols);
    let (row, col) = match explore.pinned {
        Some(spot) => (spot.patch / cols, spot.patch % cols),
        None => (rows / 2, cols / 2),
    };
    let row = row.saturating_add_signed(down).min(rows - 1);
    let col = col.saturating_add_signed(right).min(cols - 1);
    explore.pinned = Some(PatchLocation { picture, patch: row * cols + col });
}
