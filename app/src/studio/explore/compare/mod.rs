//! A second model beside the first: it looks at the same pictures, its colours are turned onto the first one's, and both are
//! compared in figures. While there is none, nothing here does anything.

mod arrival;
mod figures;
mod other_view;
mod pane;
mod requests;
mod split;

use std::collections::HashMap;
use std::sync::Arc;

use dinoscope_core::analysis::agreement::PatchAgreement;
use dinoscope_core::explore::{ModelSource, PictureId, PictureInspection, ViewQuery};
use egui::Vec2;

use super::paint::OverlayPainter;
use super::settings::ExploreSettings;
use super::{InspectionCache, PatchLocation};
use crate::studio::app_context::{AppContext, RenderBackend};
use crate::studio::models::second_model::SecondModel;
use figures::{AgreementKey, ComparisonWorker};

/// The second model, with all that belongs to it alone.
pub struct ComparedModel {
    second: SecondModel,
    painter: OverlayPainter,
    /// How one looks, as this model can.
    shape: ExploreSettings,
    /// Its head whose attention shows; the mean of all without.
    head: Option<usize>,
    results: InspectionCache,
    failures: HashMap<(PictureId, ViewQuery), String>,
    /// Key of what it was asked for last.
    wanted: u64,
    /// Key of the matches that were asked for last.
    matching: Option<u64>,
    /// The picture of a camera that it has seen last.
    live_seen: u64,
    worker: ComparisonWorker,
    /// Key of the colours that are being turned.
    turning: Option<u64>,
    /// Agreement of pictures that are being compared.
    agreeing: Vec<AgreementKey>,
    agreed: HashMap<AgreementKey, PatchAgreement>,
    /// Where in the picture a patch was pointed at last, and where the pinned one was clicked: from 0 to 1. Grids of two models
    /// differ, places do not.
    hover_at: Option<(PatchLocation, Vec2)>,
    pinned_at: Option<(PatchLocation, Vec2)>,
}

impl ComparedModel {
    /// Nobody looks yet.
    fn new(app: &AppContext, settings: &ExploreSettings) -> Self {
        Self {
            second: SecondModel::new(app),
            painter: OverlayPainter::new(&RenderBackend::default(), app.wake.clone()),
            shape: settings.clone(),
            head: None,
            results: InspectionCache::default(),
            failures: HashMap::new(),
            wanted: 0,
            matching: None,
            live_seen: 0,
            worker: ComparisonWorker::start(app.wake.clone()),
            turning: None,
            agreeing: Vec::new(),
            agreed: HashMap::new(),
            hover_at: None,
            pinned_at: None,
        }
    }

    /// Forgets all that was seen and made: another model looks, or somewhere else.
    fn forget(&mut self) {
        self.results = InspectionCache::default();
        self.failures.clear();
        self.painter.forget();
        (self.wanted, self.matching, self.live_seen, self.turning) = (0, None, 0, None);
        self.forget_agreement();
    }

    /// Forgets what says something about both models.
    fn forget_agreement(&mut self) {
        self.turning = None;
        self.agreeing.clear();
        self.agreed.clear();
    }
}

impl super::ExploreWorkspace {
    /// Whether a second model looks, or is on its way.
    pub fn compares(&self) -> bool {
        self.compared.is_some()
    }

    /// What the second model is, for who opens a window or keeps the settings.
    pub fn compared_source(&self) -> Option<ModelSource> {
        self.compared.as_ref().and_then(|other| other.second.source().cloned())
    }
}

impl InspectionCache {
    /// What was seen, without being used.
    fn peek(&self, picture: PictureId, way: ViewQuery) -> Option<&Arc<PictureInspection>> {
        self.kept.get(&(picture, way)).map(|(seen, _)| seen)
    }

    /// Rows and columns of a picture's patches in a view of this size, wherever in it one looks from.
    fn grid(&self, picture: PictureId, resolution: usize) -> Option<(usize, usize)> {
        let of_it = |(id, way): &(PictureId, ViewQuery)| *id == picture && way.resolution == resolution;
        self.kept.iter().find(|(key, _)| of_it(key)).map(|(_, (seen, _))| (seen.rows, seen.cols))
    }
}
