//! Where the panels are: workspaces of dockable panels, remembered between starts.

use egui_tiles::{
    Behavior, Container, Linear, LinearDir, SimplificationOptions, TileId, Tiles, Tree, UiResponse,
};

use super::access::phone::{self, NarrowLayout};
use super::borders;
use super::panels::{MARGIN, PaneBehavior, PanelPlace, StudioPane, Workspace};
use super::settings_store::SettingsStore;
use super::theme;

/// All workspaces.
pub struct StudioLayout {
    /// Which one shows.
    pub workspace: Workspace,
    explore: Tree<StudioPane>,
    train: Tree<StudioPane>,
    evaluate: Tree<StudioPane>,
    curate: Tree<StudioPane>,
    /// Shares that were set last, in place of the first ones, because the window is narrow.
    narrow: [Option<[f32; 3]>; 4],
    phone: NarrowLayout,
}

/// Three columns: the outer ones need some width, however small the window is.
struct ColumnWidths {
    /// Shares of the width.
    first: [f32; 3],
    /// Points that each needs.
    least: [f32; 3],
    /// Points beyond which more are of no use.
    most: [f32; 3],
}

/// A column that takes what is left.
const ANY: f32 = f32::INFINITY;

const EXPLORE: ColumnWidths =
    ColumnWidths { first: [0.16, 0.62, 0.22], least: [162.0, 200.0, 264.0], most: [420.0, ANY, 440.0] };
const TRAIN: ColumnWidths =
    ColumnWidths { first: [0.24, 0.44, 0.32], least: [264.0, 200.0, 280.0], most: [520.0, ANY, 1000.0] };
const EVALUATE: ColumnWidths =
    ColumnWidths { first: [0.24, 0.46, 0.3], least: [264.0, 200.0, 240.0], most: [520.0, ANY, 1200.0] };

const CURATE: ColumnWidths =
    ColumnWidths { first: [0.22, 0.53, 0.25], least: [264.0, 240.0, 250.0], most: [440.0, ANY, 480.0] };

impl ColumnWidths {
    /// Shares in a window that is `width` wide.
    fn shares(&self, width: f32) -> [f32; 3] {
        let ([a, _, c], [least_a, least_b, least_c]) = (self.first, self.least);
        // Of a width that nobody has, for instance none yet, only the shares count.
        let width = if width.is_finite() { width.max(1.0) } else { return self.first };
        let fits = |at: usize| (self.least[at]..=self.most[at]).contains(&(width * self.first[at]));
        if fits(0) && fits(2) {
            return self.first;
        }
        let (a, c) = (a.min(self.most[0] / width), c.min(self.most[2] / width));
        let (a, c) = (a.max(least_a / width), c.max(least_c / width));
        [a, (1.0 - a - c).max(least_b / width), c]
    }

    /// Sets them, unless a person has chosen others; what was set.
    fn fit(&self, tree: &mut Tree<StudioPane>, last: Option<[f32; 3]>, width: f32) -> Option<[f32; 3]> {
        let linear = columns(tree)?;
        let [a, b, c] = *linear.children.as_slice() else { return None };
        let now = [a, b, c].map(|id| linear.shares[id]);
        let is = |shares: [f32; 3]| now.iter().zip(shares).all(|(now, share)| (now - share).abs() < 1e-5);
        if !is(self.first) && !last.is_some_and(is) {
            return None;
        }
        let wanted = self.shares(width);
        for (id, share) in [a, b, c].into_iter().zip(wanted) {
            linear.shares.set_share(id, share);
        }
        Some(wanted)
    }
}

/// The columns of a tree, with or without a log below.
fn columns(tree: &mut Tree<StudioPane>) -> Option<&mut Linear> {
    let mut at = tree.root?;
    if let Some(egui_tiles::Tile::Container(Container::Linear(linear))) = tree.tiles.get(at)
        && linear.dir == LinearDir::Vertical
    {
        at = *linear.children.first()?;
    }
    match tree.tiles.get_mut(at) {
        Some(egui_tiles::Tile::Container(Container::Linear(linear)))
            if linear.dir == LinearDir::Horizontal =>
        {
            Some(linear)
        }
        _ => None,
    }
}

fn linear(tiles: &mut Tiles<StudioPane>, dir: LinearDir, children: &[(TileId, f32)]) -> TileId {
    let mut linear = Linear::new(dir, children.iter().map(|(id, _)| *id).collect());
    children.iter().for_each(|(id, share)| linear.shares.set_share(*id, *share));
    tiles.insert_container(Container::Linear(linear))
}

/// The panels of a workspace in its three columns, where they are at first.
fn first_tree(workspace: Workspace) -> Tree<StudioPane> {
    let mut tiles = Tiles::default();
    let columns = [0, 1, 2].map(|column| {
        let panels = workspace.panels().filter_map(|entry| match entry.place {
            PanelPlace::Column(_, at, share) if at == column => Some((entry.pane, share)),
            _ => None,
        });
        let stacked: Vec<(TileId, f32)> = panels
            .map(|(pane, share)| {
                let behind = workspace.panels().filter(|entry| entry.place == PanelPlace::Behind(pane));
                let tabs = std::iter::once(pane).chain(behind.map(|entry| entry.pane));
                let tabs = tabs.map(|pane| tiles.insert_pane(pane)).collect();
                (tiles.insert_tab_tile(tabs), share)
            })
            .collect();
        match *stacked.as_slice() {
            [(alone, _)] => alone,
            _ => linear(&mut tiles, LinearDir::Vertical, &stacked),
        }
    });
    let shares = column_widths(workspace).first;
    let children: Vec<(TileId, f32)> = columns.into_iter().zip(shares).collect();
    let root = linear(&mut tiles, LinearDir::Horizontal, &children);
    Tree::new(egui::Id::unique(tree_name(workspace)), root, tiles)
}

fn column_widths(workspace: Workspace) -> &'static ColumnWidths {
    match workspace {
        Workspace::Explore => &EXPLORE,
        Workspace::Train => &TRAIN,
        Workspace::Evaluate => &EVALUATE,
        Workspace::Curate => &CURATE,
    }
}

/// What a workspace's panels are remembered under.
fn tree_name(workspace: Workspace) -> &'static str {
    match workspace {
        Workspace::Explore => "explore tiles",
        Workspace::Train => "train tiles",
        Workspace::Evaluate => "evaluate tiles",
        Workspace::Curate => "curate tiles",
    }
}

/// Whether every panel is there once; a tree from another version is not worth keeping.
fn whole(tree: &Tree<StudioPane>, first: &Tree<StudioPane>) -> bool {
    let panes = |tree: &Tree<StudioPane>| {
        let mut panes: Vec<StudioPane> = tree
            .tiles
            .iter()
            .filter_map(|(_, tile)| match tile {
                egui_tiles::Tile::Pane(pane) => Some(*pane),
                egui_tiles::Tile::Container(_) => None,
            })
            .filter(|pane| *pane != StudioPane::Log)
            .collect();
        panes.sort_by_key(|pane| pane.title());
        panes
    };
    tree.root().is_some() && panes(tree) == panes(first)
}

impl StudioLayout {
    /// As it was left, or the first one.
    pub fn new(remembered: &SettingsStore) -> Self {
        let tree = |workspace| {
            let first = first_tree(workspace);
            match remembered.get::<Tree<StudioPane>>(tree_name(workspace)) {
                Some(tree) if whole(&tree, &first) => tree,
                _ => first,
            }
        };
        Self {
            workspace: Workspace::default(),
            explore: tree(Workspace::Explore),
            train: tree(Workspace::Train),
            evaluate: tree(Workspace::Evaluate),
            curate: tree(Workspace::Curate),
            narrow: [None; 4],
            phone: NarrowLayout::default(),
        }
    }

    /// Panels where they were at first; how they come back to where they are.
    pub fn reset(&mut self) -> impl FnOnce(&mut Self) + use<> {
        let workspace = self.workspace;
        let before = std::mem::replace(self.tree(), first_tree(workspace));
        move |layout| {
            layout.workspace = workspace;
            *layout.tree() = before;
        }
    }

    fn tree(&mut self) -> &mut Tree<StudioPane> {
        match self.workspace {
            Workspace::Explore => &mut self.explore,
            Workspace::Train => &mut self.train,
            Workspace::Evaluate => &mut self.evaluate,
            Workspace::Curate => &mut self.curate,
        }
    }

    /// Whether the log shows in this workspace.
    pub fn has_log(&mut self) -> bool {
        self.tree().tiles.find_pane(&StudioPane::Log).is_some()
    }

    /// Shows the log below everything, or takes it away.
    pub fn toggle_log(&mut self) {
        let tree = self.tree();
        if let Some(log) = tree.tiles.find_pane(&StudioPane::Log) {
            tree.remove_recursively(log);
            return;
        }
        let log = tree.tiles.insert_pane(StudioPane::Log);
        let log = tree.tiles.insert_tab_tile(vec![log]);
        if let Some(root) = tree.root {
            let root = linear(&mut tree.tiles, LinearDir::Vertical, &[(root, 0.78), (log, 0.22)]);
            tree.root = Some(root);
        }
    }

    /// Keeps where everything is.
    pub fn remember(&self, remembered: &mut SettingsStore) {
        let sides = [
            (Workspace::Explore, &self.explore),
            (Workspace::Train, &self.train),
            (Workspace::Evaluate, &self.evaluate),
            (Workspace::Curate, &self.curate),
        ];
        for ((workspace, tree), narrow) in sides.into_iter().zip(self.narrow) {
            // The next window may be wider: a narrow one's shares are not a person's choice.
            let mut tree = tree.clone();
            column_widths(workspace).fit(&mut tree, narrow, f32::INFINITY);
            remembered.set(tree_name(workspace), &tree);
        }
    }

    /// Draws the workspace that shows.
    pub fn ui(&mut self, ui: &mut egui::Ui, rooms: &mut PaneBehavior<'_>) {
        let frame = egui::Frame::new().fill(theme::tokens(ui.ctx()).window);
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            let width = ui.available_width();
            // One column at a time where the three would not have what each needs.
            let least: f32 = column_widths(self.workspace).least.iter().sum();
            if width < phone::WIDEST.max(least) {
                self.phone.ui(ui, self.workspace, |ui, pane| rooms.draw(ui, pane));
                return;
            }
            let (workspace, side) = (self.workspace, self.workspace as usize);
            let narrow = self.narrow[side];
            self.narrow[side] = column_widths(workspace).fit(self.tree(), narrow, width);
            rooms.tabs = sharing(&self.tree().tiles);
            self.tree().ui(rooms, ui);
            borders::ui(ui, self.tree());
        });
    }
}

/// Panels that share their place with others. While tiles are drawn, nobody can ask for those around one.
fn sharing(tiles: &Tiles<StudioPane>) -> Vec<StudioPane> {
    let mut panes = Vec::new();
    for (_, tile) in tiles.iter() {
        let egui_tiles::Tile::Container(Container::Tabs(tabs)) = tile else { continue };
        if tabs.children.len() > 1 {
            panes.extend(tabs.children.iter().filter_map(|child| tiles.get_pane(child).copied()));
        }
    }
    panes
}

impl PaneBehavior<'_> {
    fn draw(&mut self, ui: &mut egui::Ui, pane: StudioPane) {
        let entry = pane.entry();
        let frame = egui::Frame::new().fill(theme::tokens(ui.ctx()).panel).inner_margin(entry.margin);
        frame.show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            (entry.ui)(self, ui);
        });
    }
}

impl Behavior<StudioPane> for PaneBehavior<'_> {
    fn pane_ui(&mut self, ui: &mut egui::Ui, _: TileId, pane: &mut StudioPane) -> UiResponse {
        self.draw(ui, *pane);
        UiResponse::None
    }

    /// The ground behind tabs moves nothing: it would be a stop of the keyboard without a name. A tab moves its panel.
    fn is_tile_draggable(&self, tiles: &Tiles<StudioPane>, tile: TileId) -> bool {
        matches!(tiles.get(tile), Some(egui_tiles::Tile::Pane(_)))
    }

    fn tab_title_for_pane(&mut self, pane: &StudioPane) -> egui::WidgetText {
        egui::RichText::new(pane.title())
            .font(egui::FontId::new(theme::fonts::BODY, theme::fonts::semibold()))
            .into()
    }

    fn tab_bar_color(&self, visuals: &egui::Visuals) -> egui::Color32 {
        visuals.panel_fill
    }

    fn tab_bg_color(
        &self,
        visuals: &egui::Visuals,
        _: &Tiles<StudioPane>,
        _: TileId,
        _: &egui_tiles::TabState,
    ) -> egui::Color32 {
        visuals.panel_fill
    }

    fn tab_outline_stroke(
        &self,
        _: &egui::Visuals,
        _: &Tiles<StudioPane>,
        _: TileId,
        _: &egui_tiles::TabState,
    ) -> egui::Stroke {
        egui::Stroke::NONE
    }

    fn tab_text_color(
        &self,
        visuals: &egui::Visuals,
        _: &Tiles<StudioPane>,
        _: TileId,
        state: &egui_tiles::TabState,
    ) -> egui::Color32 {
        if state.active { visuals.text_color() } else { visuals.weak_text_color() }
    }

    fn resize_stroke(&self, style: &egui::Style, state: egui_tiles::ResizeState) -> egui::Stroke {
        match state {
            egui_tiles::ResizeState::Idle => {
                egui::Stroke::new(1.0, style.visuals.widgets.noninteractive.bg_stroke.color)
            }
            _ => egui::Stroke::new(2.0, style.visuals.selection.stroke.color),
        }
    }

    fn on_tab_button(
        &mut self,
        tiles: &mut Tiles<StudioPane>,
        tile: TileId,
        response: egui::Response,
    ) -> egui::Response {
        // Alone it is the title of what is below it.
        let alone = match tiles.get(tile) {
            Some(egui_tiles::Tile::Pane(pane)) => !self.tabs.contains(pane),
            _ => false,
        };
        response.ctx.accesskit_node_builder(response.id, |node| {
            node.set_role(if alone { egui::Role::Heading } else { egui::Role::Tab });
        });
        // A tab takes the keyboard as a button does, and has to show it.
        if response.has_focus() {
            let ring = egui::Stroke::new(theme::RING, theme::tokens(&response.ctx).accent);
            let painter = response.ctx.layer_painter(response.layer_id);
            painter.rect_stroke(response.rect, theme::RADIUS, ring, egui::StrokeKind::Inside);
        }
        response
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..SimplificationOptions::default() }
    }

    /// Titles begin where what is below them begins.
    fn tab_title_spacing(&self, _: &egui::Visuals) -> f32 {
        f32::from(MARGIN)
    }

    fn tab_bar_height(&self, style: &egui::Style) -> f32 {
        style.spacing.interact_size.y.max(32.0)
    }

    fn gap_width(&self, _: &egui::Style) -> f32 {
        1.0
    }

    fn min_size(&self) -> f32 {
        120.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shares(tree: &mut Tree<StudioPane>) -> Vec<f32> {
        let linear = columns(tree).unwrap();
        linear.children.iter().map(|id| linear.shares[*id]).collect()
    }

    #[test]
    fn narrow_windows_leave_the_outer_panels_what_they_need() {
        assert_eq!(EXPLORE.shares(1920.0), EXPLORE.first);
        let [a, b, c] = EXPLORE.shares(720.0).map(|share| share * 720.0);
        assert!((a - 162.0).abs() < 0.01 && (c - 264.0).abs() < 0.01 && (a + b + c - 720.0).abs() < 0.01);
        let [a, b, c] = EXPLORE.shares(3840.0).map(|share| share * 3840.0);
        assert!((a - 420.0).abs() < 0.1 && (c - 440.0).abs() < 0.1 && b > 2900.0, "{a} {b} {c}");
        assert!(EXPLORE.shares(10.0).iter().chain(&TRAIN.shares(0.0)).all(|share| *share > 0.0));
    }

    #[test]
    fn shares_follow_the_window_until_a_person_moves_a_border() {
        let mut layout = StudioLayout::new(&SettingsStore::default());
        layout.toggle_log();
        for width in [720.0, 800.0, 720.0] {
            layout.narrow[0] = EXPLORE.fit(&mut layout.explore, layout.narrow[0], width);
            assert_eq!(shares(&mut layout.explore), EXPLORE.shares(width));
        }
        let mut kept = SettingsStore::default();
        layout.remember(&mut kept);
        assert_eq!(
            shares(&mut StudioLayout::new(&kept).explore),
            EXPLORE.first,
            "the next window may be wide"
        );

        let linear = columns(&mut layout.explore).unwrap();
        let first = linear.children[0];
        linear.shares.set_share(first, 0.4);
        layout.narrow[0] = EXPLORE.fit(&mut layout.explore, layout.narrow[0], 1920.0);
        assert_eq!(shares(&mut layout.explore)[0], 0.4);
        layout.remember(&mut kept);
        assert_eq!(shares(&mut StudioLayout::new(&kept).explore)[0], 0.4);
        drop(layout.reset());
        assert_eq!(shares(&mut layout.explore), EXPLORE.first);
    }
}
