//! Every panel of the studio: what it is called, where it lies at first, and who draws it.
//!
//! Another panel is a variant and a row here, and the file with what it shows.

use egui::Ui;
use serde::{Deserialize, Serialize};

use super::app_context::AppContext;
use super::curate::CurateWorkspace;
use super::evaluate::EvaluateWorkspace;
use super::explore::ExploreWorkspace;
use super::log_pane;
use super::train::TrainWorkspace;
use crate::platform::curation;
use PanelPlace::{Behind, Below, Column};
use Workspace::{Curate, Evaluate, Explore, Train};

/// What a person is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workspace {
    /// Looking at pictures.
    #[default]
    Explore,
    /// Training a model.
    Train,
    /// Finding out how good features are.
    Evaluate,
    /// Making a data set out of a heap of pictures.
    Curate,
}

/// A panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StudioPane {
    /// The strip of thumbnails.
    Gallery,
    /// The chosen picture, large.
    Picture,
    /// Something followed through frames.
    Follow,
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
    /// What is evaluated, on which pictures, how.
    #[serde(alias = "Question")]
    Setup,
    /// The figures.
    #[serde(alias = "Findings")]
    Results,
    /// Pictures of them.
    #[serde(alias = "Evidence")]
    Samples,
    /// Which pictures are curated, and what each has to have.
    Heap,
    /// All of them on a map.
    Map,
    /// Some of them.
    HeapPictures,
    /// Which are copies of each other.
    Copies,
    /// What happened.
    Log,
}

/// Where a panel lies at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PanelPlace {
    /// In one of a workspace's three columns, with this share of its height.
    Column(Workspace, usize, f32),
    /// A tab behind another panel, which shows at first.
    Behind(StudioPane),
    /// Below all columns of every workspace, when it is asked for.
    Below,
}

/// How a workspace of one column shows a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NarrowPlace {
    /// Above the others, always.
    Above,
    /// One of several to choose from, under this name.
    Choice(&'static str),
}

/// Between a panel's edge and what is in it.
pub const MARGIN: i8 = 12;

/// A row of the table.
pub struct PanelEntry {
    /// The panel.
    pub pane: StudioPane,
    /// Its title.
    pub title: &'static str,
    /// Where it lies at first.
    pub place: PanelPlace,
    /// How it shows where there is room for one column.
    pub narrow: NarrowPlace,
    /// Between its edge and what is in it.
    pub margin: i8,
    /// Draws it.
    pub ui: fn(&mut PaneBehavior<'_>, &mut Ui),
}

/// Who draws the panels.
pub struct PaneBehavior<'a> {
    /// What they share.
    pub app: &'a mut AppContext,
    /// Looking.
    pub explore: &'a mut ExploreWorkspace,
    /// Training.
    pub train: &'a mut TrainWorkspace,
    /// Evaluating.
    pub evaluate: &'a mut EvaluateWorkspace,
    /// Curating.
    pub curate: &'a mut CurateWorkspace,
    /// Panels that share their place with others: their titles are tabs.
    pub tabs: Vec<StudioPane>,
}

const fn panel(
    pane: StudioPane,
    title: &'static str,
    place: PanelPlace,
    ui: fn(&mut PaneBehavior<'_>, &mut Ui),
) -> PanelEntry {
    PanelEntry { pane, title, place, narrow: NarrowPlace::Choice(title), margin: MARGIN, ui }
}

/// All panels, from left to right and from top to bottom.
pub static PANELS: &[PanelEntry] = &[
    panel(StudioPane::Gallery, "Pictures", Column(Explore, 0, 1.0), |all, ui| {
        all.explore.gallery_ui(ui, all.app);
    }),
    PanelEntry {
        narrow: NarrowPlace::Above,
        margin: 0,
        ..panel(StudioPane::Picture, "Picture", Column(Explore, 1, 1.0), |all, ui| {
            all.explore.picture_ui(ui, all.app);
        })
    },
    panel(StudioPane::Follow, "Follow", Behind(StudioPane::Picture), |all, ui| {
        all.explore.follow_ui(ui, all.app);
    }),
    panel(StudioPane::View, "View", Column(Explore, 2, 1.0), |all, ui| all.explore.view_ui(ui, all.app)),
    panel(StudioPane::Recipe, "Recipe", Column(Train, 0, 1.0), |all, ui| {
        all.train.recipe_ui(ui, all.app);
    }),
    PanelEntry {
        narrow: NarrowPlace::Choice("Pictures"),
        ..panel(StudioPane::Watched, "Watched pictures", Column(Train, 1, 1.0), |all, ui| {
            all.train.watched_ui(ui, all.app);
        })
    },
    panel(StudioPane::Health, "Run", Column(Train, 2, 0.42), |all, ui| all.train.health_ui(ui, all.app)),
    panel(StudioPane::Curves, "Curves", Column(Train, 2, 0.58), |all, ui| {
        all.train.curves_ui(ui, all.app);
    }),
    panel(StudioPane::Setup, "Setup", Column(Evaluate, 0, 1.0), |all, ui| {
        all.evaluate.setup_ui(ui, all.app);
    }),
    panel(StudioPane::Results, "Results", Column(Evaluate, 1, 1.0), |all, ui| {
        all.evaluate.results_ui(ui, all.app);
    }),
    panel(StudioPane::Samples, "Samples", Column(Evaluate, 2, 1.0), |all, ui| {
        all.evaluate.samples_ui(ui, all.app);
    }),
    // Where there is no curating the compiler leaves all of it out.
    panel(StudioPane::Heap, "Heap", Column(Curate, 0, 1.0), |all, ui| {
        if curation::AVAILABLE {
            all.curate.setup_ui(ui, all.app);
        }
    }),
    panel(StudioPane::Map, "Map", Column(Curate, 1, 0.6), |all, ui| {
        if curation::AVAILABLE {
            all.curate.map_ui(ui, all.app);
        }
    }),
    panel(StudioPane::HeapPictures, "Browse", Column(Curate, 1, 0.4), |all, ui| {
        if curation::AVAILABLE {
            all.curate.heap_pictures_ui(ui);
        }
    }),
    panel(StudioPane::Copies, "Copies", Column(Curate, 2, 1.0), |all, ui| {
        if curation::AVAILABLE {
            all.curate.copies_ui(ui);
        }
    }),
    panel(StudioPane::Log, "Log", Below, |_, ui| log_pane::ui(ui)),
];

impl StudioPane {
    /// Its row of the table.
    pub fn entry(self) -> &'static PanelEntry {
        // A test holds that there is one for each.
        PANELS.iter().find(|entry| entry.pane == self).unwrap_or(&PANELS[0])
    }

    /// Its title.
    pub fn title(self) -> &'static str {
        self.entry().title
    }
}

impl Workspace {
    /// Every workspace that there is here, with its name, in the order of the bar at the top.
    pub fn offered() -> &'static [(Self, &'static str)] {
        const ALL: [(Workspace, &str); 4] =
            [(Explore, "Explore"), (Train, "Train"), (Evaluate, "Evaluate"), (Curate, "Curate")];
        if curation::AVAILABLE { &ALL } else { &ALL[..3] }
    }

    /// Its panels, with those that lie below every workspace.
    pub fn panels(self) -> impl Iterator<Item = &'static PanelEntry> {
        PANELS.iter().filter(move |entry| match entry.place {
            Column(workspace, ..) => workspace == self,
            Behind(other) => matches!(other.entry().place, Column(workspace, ..) if workspace == self),
            Below => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_panel_is_in_the_table_once_and_every_column_is_full() {
        for (at, entry) in PANELS.iter().enumerate() {
            assert!(std::ptr::eq(entry.pane.entry(), entry), "{} is there twice", entry.title);
            assert!(PANELS[..at].iter().all(|before| before.title != entry.title));
        }
        // Another variant makes this match fail to compile: its row belongs into the table.
        let is_known = |pane| match pane {
            StudioPane::Gallery | StudioPane::Picture | StudioPane::Follow | StudioPane::View => true,
            StudioPane::Recipe | StudioPane::Watched | StudioPane::Curves | StudioPane::Health => true,
            StudioPane::Setup | StudioPane::Results | StudioPane::Samples | StudioPane::Log => true,
            StudioPane::Heap | StudioPane::Map | StudioPane::HeapPictures | StudioPane::Copies => true,
        };
        assert!(PANELS.iter().all(|entry| is_known(entry.pane)));
        for workspace in [Explore, Train, Evaluate, Curate] {
            for column in 0..3 {
                let share = |entry: &PanelEntry| match entry.place {
                    Column(_, at, share) if at == column => share,
                    _ => 0.0,
                };
                let sum: f32 = workspace.panels().map(share).sum();
                assert!((sum - 1.0).abs() < 1e-6, "{workspace:?}, column {column}: {sum}");
            }
        }
    }
}
