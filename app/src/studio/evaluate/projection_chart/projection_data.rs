//! A map that was found, with the pictures that its points are of.

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::data::source::PictureSource;
use dinoscope_core::data::source::datasets::PublicDataset;
use dinoscope_core::data::source::idx::IdxSource;
use dinoscope_core::eval::embedding::{ProjectionMap, ProjectionMaps};

use crate::studio::evaluate::config::EvaluationConfig;

/// A map with the pictures that its points are of.
pub struct ProjectionChartData {
    /// The map.
    pub map: ProjectionMap,
    /// The same pictures as what it is compared with sees them, in the order of the evaluation's pictures.
    pub beside: Vec<ProjectionMap>,
    /// Where its pictures are.
    pub source: Arc<dyn PictureSource>,
    /// Their folder, where they are files of one.
    pub folder: Option<PathBuf>,
}

impl ProjectionChartData {
    /// A map of pictures that a wish has named.
    pub fn new(mapped: ProjectionMaps, source: Arc<dyn PictureSource>, setup: &EvaluationConfig) -> Self {
        let ProjectionMaps { map, beside } = mapped;
        let folder = setup.path().and_then(|path| match PublicDataset::at(&path) {
            Some(set) => set.folder(),
            None => Some(path).filter(|path| !IdxSource::recognizes(path)),
        });
        Self { map, beside, source, folder }
    }

    /// Name and class of a point.
    pub fn words(&self, point: usize) -> (&str, &str) {
        let class = self.class(point).and_then(|class| self.map.classes.get(class as usize));
        let name = self.map.names.get(point).map_or("", String::as_str);
        (name, class.map_or("", String::as_str))
    }

    /// The class of a point, where its picture has one.
    pub fn class(&self, point: usize) -> Option<u32> {
        self.map.labels.get(point).copied().flatten()
    }
}
