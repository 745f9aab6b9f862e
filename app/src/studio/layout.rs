//! Where the panels are: two workspaces of dockable panels, remembered between starts.

use egui_tiles::{
    Behavior, Container, Linear, LinearDir, SimplificationOptions, TileId, Tiles, Tree, UiResponse,
};
use serde::{Deserialize, Serialize};

use super::explore::Explore;
use super::house::House;
use super::remembered::Remembered;
use super::theme;
use super::train::Train;

/// What a person is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workspace {
    /// Looking at pictures.
    #[default]
    Explore,
    /// Training a model.
    Train,
}

/// A panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pane {
    /// The strip of thumbnails.
    Gallery,
    /// The chosen picture, large.
    Picture,
    /// What may be changed about it.
    View,
    /// Pictures, preset, recipe, start.
    Recipe,
    /// The watched pictures as features form, and the timeline.
    Watched,
    /// Losses and schedules.
    Curves,
    /// What the figures mean.
    Health,
    /// What happened.
    Log,
}

impl Pane {
    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Gallery => "Pictures",
            Self::Picture => "Picture",
            Self::View => "View",
            Self::Recipe => "Recipe",
            Self::Watched => "Watched pictures",
            Self::Curves => "Curves",
            Self::Health => "Run",
            Self::Log => "Log",
        }
    }
}

/// Both workspaces.
pub struct Layout {
    /// Which one shows.
    pub workspace: Workspace,
    explore: Tree<Pane>,
    train: Tree<Pane>,
}

fn linear(tiles: &mut Tiles<Pane>, dir: LinearDir, children: &[(TileId, f32)]) -> TileId {
    let mut linear = Linear::new(dir, children.iter().map(|(id, _)| *id).collect());
    children.iter().for_each(|(id, share)| linear.shares.set_share(*id, *share));
    tiles.insert_container(Container::Linear(linear))
}

fn explore_tree() -> Tree<Pane> {
    let mut tiles = Tiles::default();
    let [gallery, picture, view] = [Pane::Gallery, Pane::Picture, Pane::View].map(|pane| {
        let pane = tiles.insert_pane(pane);
        tiles.insert_tab_tile(vec![pane])
    });
    let root = linear(&mut tiles, LinearDir::Horizontal, &[(gallery, 0.16), (picture, 0.62), (view, 0.22)]);
    Tree::new(egui::Id::unique("explore tiles"), root, tiles)
}

fn train_tree() -> Tree<Pane> {
    let mut tiles = Tiles::default();
    let [recipe, watched, health, curves] =
        [Pane::Recipe, Pane::Watched, Pane::Health, Pane::Curves].map(|pane| {
            let pane = tiles.insert_pane(pane);
            tiles.insert_tab_tile(vec![pane])
        });
    let right = linear(&mut tiles, LinearDir::Vertical, &[(health, 0.42), (curves, 0.58)]);
    let root = linear(&mut tiles, LinearDir::Horizontal, &[(recipe, 0.24), (watched, 0.44), (right, 0.32)]);
    Tree::new(egui::Id::unique("train tiles"), root, tiles)
}

/// Whether every panel is there once; a tree from another version is not worth keeping.
fn whole(tree: &Tree<Pane>, first: &Tree<Pane>) -> bool {
    let panes = |tree: &Tree<Pane>| {
        let mut panes: Vec<Pane> = tree
            .tiles
            .iter()
            .filter_map(|(_, tile)| match tile {
                egui_tiles::Tile::Pane(pane) => Some(*pane),
                egui_tiles::Tile::Container(_) => None,
            })
            .filter(|pane| *pane != Pane::Log)
            .collect();
        panes.sort_by_key(|pane| pane.title());
        panes
    };
    tree.root().is_some() && panes(tree) == panes(first)
}

impl Layout {
    /// As it was left, or the first one.
    pub fn new(remembered: &Remembered) -> Self {
        let tree = |name: &str, first: Tree<Pane>| match remembered.get::<Tree<Pane>>(name) {
            Some(tree) if whole(&tree, &first) => tree,
            _ => first,
        };
        Self {
            workspace: Workspace::default(),
            explore: tree("explore tiles", explore_tree()),
            train: tree("train tiles", train_tree()),
        }
    }

    /// Panels where they were at first.
    pub fn reset(&mut self) {
        match self.workspace {
            Workspace::Explore => self.explore = explore_tree(),
            Workspace::Train => self.train = train_tree(),
        }
    }

    fn tree(&mut self) -> &mut Tree<Pane> {
        match self.workspace {
            Workspace::Explore => &mut self.explore,
            Workspace::Train => &mut self.train,
        }
    }

    /// Whether the log shows in this workspace.
    pub fn has_log(&mut self) -> bool {
        self.tree().tiles.find_pane(&Pane::Log).is_some()
    }

    /// Shows the log below everything, or takes it away.
    pub fn toggle_log(&mut self) {
        let tree = self.tree();
        if let Some(log) = tree.tiles.find_pane(&Pane::Log) {
            tree.remove_recursively(log);
            return;
        }
        let log = tree.tiles.insert_pane(Pane::Log);
        let log = tree.tiles.insert_tab_tile(vec![log]);
        if let Some(root) = tree.root {
            let root = linear(&mut tree.tiles, LinearDir::Vertical, &[(root, 0.78), (log, 0.22)]);
            tree.root = Some(root);
        }
    }

    /// Keeps where everything is.
    pub fn remember(&self, remembered: &mut Remembered) {
        remembered.set("explore tiles", &self.explore);
        remembered.set("train tiles", &self.train);
    }

    /// Draws the workspace that shows.
    pub fn ui(&mut self, ui: &mut egui::Ui, house: &mut House, explore: &mut Explore, train: &mut Train) {
        let frame = egui::Frame::new().fill(theme::tokens(ui.ctx()).window);
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            let mut rooms = Rooms { house, explore, train };
            self.tree().ui(&mut rooms, ui);
        });
    }
}

/// Who draws which panel.
struct Rooms<'a> {
    house: &'a mut House,
    explore: &'a mut Explore,
    train: &'a mut Train,
}

impl Behavior<Pane> for Rooms<'_> {
    fn pane_ui(&mut self, ui: &mut egui::Ui, _: TileId, pane: &mut Pane) -> UiResponse {
        let margin = if *pane == Pane::Picture { 0 } else { 12 };
        let frame = egui::Frame::new().fill(theme::tokens(ui.ctx()).panel).inner_margin(margin);
        frame.show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            match pane {
                Pane::Gallery => self.explore.gallery_ui(ui, self.house),
                Pane::Picture => self.explore.picture_ui(ui, self.house),
                Pane::View => self.explore.view_ui(ui, self.house),
                Pane::Recipe => self.train.recipe_ui(ui, self.house),
                Pane::Watched => self.train.watched_ui(ui, self.house),
                Pane::Curves => self.train.curves_ui(ui, self.house),
                Pane::Health => self.train.health_ui(ui, self.house),
                Pane::Log => super::log::ui(ui),
            }
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, pane: &Pane) -> egui::WidgetText {
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
        _: &Tiles<Pane>,
        _: TileId,
        _: &egui_tiles::TabState,
    ) -> egui::Color32 {
        visuals.panel_fill
    }

    fn tab_outline_stroke(
        &self,
        _: &egui::Visuals,
        _: &Tiles<Pane>,
        _: TileId,
        _: &egui_tiles::TabState,
    ) -> egui::Stroke {
        egui::Stroke::NONE
    }

    fn tab_text_color(
        &self,
        visuals: &egui::Visuals,
        _: &Tiles<Pane>,
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

    fn on_tab_button(&mut self, _: &mut Tiles<Pane>, _: TileId, response: egui::Response) -> egui::Response {
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

    fn tab_bar_height(&self, _: &egui::Style) -> f32 {
        32.0
    }

    fn gap_width(&self, _: &egui::Style) -> f32 {
        1.0
    }

    fn min_size(&self) -> f32 {
        120.0
    }
}
