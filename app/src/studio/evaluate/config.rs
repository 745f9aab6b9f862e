//! What a person wants to know: which weights, on which pictures, by which evaluations. Remembered between starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dinoscope_core::data::source::dense::{DenseReadOptions, DepthUnit};
use dinoscope_core::data::source::scenes::SceneKind;
use dinoscope_core::eval::catalogue::{EvaluationKind, LabelRequirement, TaskChoices};
use dinoscope_core::eval::dense::default_window;
use dinoscope_core::eval::depth::DepthEvalRange;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::model::VitConfig;
use serde::{Deserialize, Serialize};

/// Most pictures to learn from, and the fewest that make sense.
pub const MOST: usize = 50_000;
/// The fewest pictures to learn from.
pub const FEWEST: usize = 8;
/// Longest side without a wish.
const USUAL: usize = 224;

/// Which weights are evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EvaluationWeights {
    /// Those that Explore looks with.
    #[default]
    Explored,
    /// The newest checkpoint of the run that Train shows.
    Trained,
    /// These.
    These(ModelSource),
}

/// Where the pictures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvaluationDataOrigin {
    /// The program draws them.
    #[default]
    Scenes,
    /// In a folder or a file.
    Disk,
}

/// Everything that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluationConfig {
    /// Which weights; those of another day are not taken up again.
    #[serde(skip)]
    pub weights: EvaluationWeights,
    /// Where the pictures are.
    pub place: EvaluationDataOrigin,
    /// Which scenes.
    pub scenes: SceneKind,
    /// The folder or file, as it is typed.
    pub path: String,
    /// Which evaluations.
    pub kinds: BTreeSet<EvaluationKind>,
    /// At most so many pictures to learn from; half as many are evaluated.
    pub most: usize,
    /// Side of the pictures in pixels; what suits the weights without.
    pub size: Option<usize>,
    /// Beside the untrained model, raw pixels and what else needs no learning.
    pub compare: bool,
    /// So many pictures of each class for nearest neighbours; all without.
    pub shots: Option<usize>,
    /// Labels of pixels are masks of an object: every value but 0 is it, 255 too.
    pub binary: bool,
    /// Depths that count; those of the pictures without.
    pub range: Option<DepthEvalRange>,
    /// What a step of a depth PNG is worth; what suits the range without.
    pub unit: Option<DepthUnit>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            weights: EvaluationWeights::default(),
            place: EvaluationDataOrigin::default(),
            scenes: SceneKind::Varied,
            path: String::new(),
            kinds: BTreeSet::from([EvaluationKind::Knn]),
            most: 400,
            size: None,
            compare: true,
            shots: None,
            binary: false,
            range: None,
            unit: None,
        }
    }
}

impl EvaluationConfig {
    /// Whether the program draws the pictures itself.
    pub fn is_scenes(&self) -> bool {
        self.place == EvaluationDataOrigin::Scenes
    }

    /// The folder or file; none for scenes, and before one was named.
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.path.trim();
        (!self.is_scenes() && !path.is_empty()).then(|| PathBuf::from(path))
    }

    /// What the pictures are called.
    pub fn data_name(&self) -> String {
        match self.path() {
            Some(path) => short(&path),
            None if self.scenes == SceneKind::Varied => "scenes".to_owned(),
            None => format!("scenes-{}", self.scenes),
        }
    }

    /// What has to be known about the pictures.
    pub fn needs(&self) -> BTreeSet<LabelRequirement> {
        self.kinds.iter().map(|kind| kind.needs()).collect()
    }

    /// How files of what is known about pixels are read.
    pub fn reading(&self) -> DenseReadOptions {
        let unit = self.unit.or(self.range.map(DepthEvalRange::unit)).unwrap_or_default();
        DenseReadOptions { binary: self.binary, unit, ..DenseReadOptions::default() }
    }

    /// At most so many pictures to learn from and to evaluate.
    pub fn limits(&self) -> (usize, usize) {
        let most = self.most.clamp(FEWEST, MOST);
        (most, most.div_ceil(2))
    }

    /// Side of whole pictures, a multiple of the patch.
    pub fn side(&self, config: &VitConfig) -> usize {
        let usual = config.side().min((USUAL / config.patch).max(1) * config.patch);
        self.size.map_or(usual, |size| nearest(size, config.patch))
    }

    /// Side of the windows in which pixels are evaluated, a multiple of the patch.
    pub fn window(&self, config: &VitConfig) -> usize {
        self.size.map_or_else(|| default_window(config), |size| nearest(size, config.patch))
    }

    /// What is chosen of the tasks, for a backbone.
    pub fn choices<'a>(&self, config: &'a VitConfig) -> TaskChoices<'a> {
        TaskChoices {
            config,
            window: self.window(config),
            shots: self.shots,
            range: self.range,
            scenes: self.is_scenes(),
        }
    }
}

/// The multiple of the patch that is nearest.
fn nearest(size: usize, patch: usize) -> usize {
    ((size + patch / 2) / patch.max(1)).max(1) * patch
}

/// The last part of a path.
pub fn short(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_multiples_of_the_patch() {
        let config = VitConfig::new(518, 14, 12, 1, 2);
        let setup = |size| EvaluationConfig { size, ..EvaluationConfig::default() };
        assert_eq!((setup(None).side(&config), setup(None).window(&config)), (224, 224));
        assert_eq!((setup(Some(100)).side(&config), setup(Some(3)).window(&config)), (98, 14));
        assert_eq!(setup(None).side(&VitConfig::new(56, 7, 12, 1, 2)), 56);
    }

    #[test]
    fn wishes_survive_being_remembered_without_the_weights() {
        let setup = EvaluationConfig {
            weights: EvaluationWeights::Trained,
            place: EvaluationDataOrigin::Disk,
            path: "/pictures".to_owned(),
            kinds: BTreeSet::from([EvaluationKind::Depth, EvaluationKind::Linear]),
            shots: Some(5),
            binary: true,
            range: Some(DepthEvalRange::Kitti),
            unit: Some(DepthUnit::Metres(0.0002)),
            ..EvaluationConfig::default()
        };
        let text = serde_json::to_string(&setup).unwrap();
        let back: EvaluationConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(back, EvaluationConfig { weights: EvaluationWeights::Explored, ..setup });
        assert_eq!(serde_json::from_str::<EvaluationConfig>("{}").unwrap(), EvaluationConfig::default());
    }
}
