//! The borders between panels, for the keyboard: egui's tiles know them as something that is dragged, without a name.

use egui::accesskit::{Orientation, Role};
use egui::{EventFilter, Id, IdSalt, Key, Rect, Stroke, Ui, vec2};
use egui_tiles::{Container, Linear, LinearDir, Tile, TileId, Tree};

use super::panels::StudioPane;
use super::theme;

/// Points that an arrow key moves one.
const STEP: f32 = 16.0;
/// Least points that a panel keeps.
const LEAST: f32 = 120.0;

/// Names the borders of a tree that was drawn into `ui`, and moves the one that has the keyboard with its arrow keys.
pub fn ui(ui: &Ui, tree: &mut Tree<StudioPane>) {
    if let Some(root) = tree.root {
        below(ui, tree, root, ui.scope_id());
    }
}

/// The borders of a tile whose parent has this id, and of all that is in it.
fn below(ui: &Ui, tree: &mut Tree<StudioPane>, tile: TileId, parent: Id) {
    let Some(Tile::Container(container)) = tree.tiles.get(tile) else { return };
    // As egui's tiles make it: each tile has a part of the window of its own, and in it one that can be switched off.
    let scope = parent.with(tile).with(IdSalt::new("child"));
    let children: Vec<TileId> = container.children().copied().collect();
    if let Container::Linear(linear) = container {
        let dir = linear.dir;
        let shown: Vec<TileId> =
            children.iter().copied().filter(|child| tree.tiles.is_visible(*child)).collect();
        for (at, pair) in shown.windows(2).enumerate() {
            if let [before, after] = *pair {
                one(ui, tree, tile, scope.with((tile, "resize", at)), [before, after], dir);
            }
        }
    }
    for child in children {
        below(ui, tree, child, scope);
    }
}

/// The border between two parts of a container.
fn one(
    ui: &Ui,
    tree: &mut Tree<StudioPane>,
    parent: TileId,
    id: Id,
    [before, after]: [TileId; 2],
    dir: LinearDir,
) {
    let Some(border) = ui.ctx().read_response(id) else { return };
    let name = format!("Border between {} and {}", title(tree, before), title(tree, after));
    ui.accesskit_node_builder(id, |node| {
        node.set_role(Role::Splitter);
        node.set_label(name);
        node.set_orientation(match dir {
            LinearDir::Horizontal => Orientation::Vertical,
            LinearDir::Vertical => Orientation::Horizontal,
        });
    });
    if !border.has_focus() {
        return;
    }
    ring(ui, border.rect);
    let by = steps(ui, id, dir);
    let length = |tile| {
        let rect = tree.tiles.rect(tile)?;
        Some(if dir == LinearDir::Horizontal { rect.width() } else { rect.height() })
    };
    let (Some(a), Some(b)) = (length(before), length(after)) else { return };
    if let Some(Tile::Container(Container::Linear(linear))) = tree.tiles.get_mut(parent) {
        shift(linear, [before, after], [a, b], by);
    }
}

/// How far the arrow keys move a border, in points.
fn steps(ui: &Ui, id: Id, dir: LinearDir) -> f32 {
    let (back, forth) = match dir {
        LinearDir::Horizontal => (Key::ArrowLeft, Key::ArrowRight),
        LinearDir::Vertical => (Key::ArrowUp, Key::ArrowDown),
    };
    let filter = EventFilter {
        horizontal_arrows: dir == LinearDir::Horizontal,
        vertical_arrows: dir == LinearDir::Vertical,
        ..EventFilter::default()
    };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
    let presses = |key| ui.input(|input| input.num_presses(key)) as f32;
    STEP * (presses(forth) - presses(back))
}

/// Gives one of two panels points of the other.
fn shift(linear: &mut Linear, [a, b]: [TileId; 2], [first, second]: [f32; 2], by: f32) {
    let (least, most) = (LEAST.min(first) - first, second - LEAST.min(second));
    let by = by.clamp(least, most);
    let both = linear.shares[a] + linear.shares[b];
    if by == 0.0 || first + second <= 0.0 {
        return;
    }
    linear.shares.set_share(a, both * (first + by) / (first + second));
    linear.shares.set_share(b, both * (second - by) / (first + second));
}

/// The first panel of what lies at one side.
fn title(tree: &Tree<StudioPane>, tile: TileId) -> &'static str {
    match tree.tiles.get(tile) {
        Some(Tile::Pane(pane)) => pane.title(),
        Some(Tile::Container(container)) => {
            container.children().next().map_or("", |child| title(tree, *child))
        }
        None => "",
    }
}

/// Shows that it has the keyboard.
fn ring(ui: &Ui, border: Rect) {
    let (middle, half) = (border.center(), 0.5 * border.size());
    let along = if half.x < half.y { vec2(0.0, half.y) } else { vec2(half.x, 0.0) };
    let stroke = Stroke::new(2.0 * theme::RING, theme::tokens(ui).accent);
    ui.painter().line_segment([middle - along, middle + along], stroke);
}
