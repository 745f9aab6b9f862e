//! The borders between panels, for the keyboard: egui's tiles know them as something that is dragged, without a name.

use egui::accesskit::{Orientation, Role};
use egui::{EventFilter, Id, Key, Stroke, Ui};
use egui_tiles::{Container, Linear, LinearDir, Tile, TileId, Tree};

use super::panels::StudioPane;
use super::theme;

/// Points that an arrow key moves one.
const STEP: f32 = 16.0;
/// Least points that a panel keeps.
const LEAST: f32 = 120.0;

/// Names the borders of a tree that was drawn into `ui`, and moves the one that has the keyboard with its arrow keys.
pub fn ui(ui: &Ui, tree: &mut Tree<StudioPane>) {
    let parents: Vec<TileId> = tree.tiles.tile_ids().collect();
    for parent in parents {
        let Some(Tile::Container(Container::Linear(linear))) = tree.tiles.get(parent) else { continue };
        let shown: Vec<TileId> =
            linear.children.iter().copied().filter(|child| tree.tiles.is_visible(*child)).collect();
        let dir = linear.dir;
        for (at, pair) in shown.windows(2).enumerate() {
            let [before, after] = *pair else { continue };
            // As egui's tiles call it.
            let id = ui.scope_id().with((parent, "resize", at));
            if ui.ctx().read_response(id).is_none() {
                continue;
            }
            let name = format!("Border between {} and {}", title(tree, before), title(tree, after));
            ui.accesskit_node_builder(id, |node| {
                node.set_role(Role::Splitter);
                node.set_label(name);
                node.set_orientation(match dir {
                    LinearDir::Horizontal => Orientation::Vertical,
                    LinearDir::Vertical => Orientation::Horizontal,
                });
            });
            if ui.memory(|memory| memory.has_focus(id)) {
                ring(ui, id);
                let by = steps(ui, id, dir);
                let rects = [before, after].map(|tile| tree.tiles.rect(tile));
                if let (Some(Tile::Container(Container::Linear(linear))), [Some(a), Some(b)]) =
                    (tree.tiles.get_mut(parent), rects)
                {
                    let length = |rect: egui::Rect| match dir {
                        LinearDir::Horizontal => rect.width(),
                        LinearDir::Vertical => rect.height(),
                    };
                    shift(linear, [before, after], [length(a), length(b)], by);
                }
            }
        }
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

/// Shows which one has the keyboard.
fn ring(ui: &Ui, id: Id) {
    if let Some(border) = ui.ctx().read_response(id) {
        let middle = border.rect.center();
        let size = border.rect.size();
        let along =
            if size.x < size.y { egui::vec2(0.0, 0.5 * size.y) } else { egui::vec2(0.5 * size.x, 0.0) };
        let stroke = Stroke::new(2.0 * theme::RING, theme::tokens(ui).accent);
        ui.painter().line_segment([middle - along, middle + along], stroke);
    }
}
