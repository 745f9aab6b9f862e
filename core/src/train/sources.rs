//! The pictures that a recipe names: what is trained on, and what k-NN is measured with.

use std::path::Path;
use std::sync::Arc;

use super::recipe::Recipe;
use crate::data::DataError;
use crate::data::source::folder::FolderSource;
use crate::data::source::idx::{IdxSource, Split};
use crate::data::source::scenes::ScenesSource;
use crate::data::source::{Source, subset::Subset};

/// Labelled pictures for k-NN.
#[derive(Clone)]
pub struct Labelled {
    /// Whose features are looked up.
    pub train: Arc<dyn Source>,
    /// Whose labels are predicted.
    pub test: Arc<dyn Source>,
}

/// Pictures of a run.
#[derive(Clone)]
pub struct Sources {
    /// Trained on, without labels.
    pub train: Arc<dyn Source>,
    /// For k-NN during training, where there are labels.
    pub labelled: Option<Labelled>,
    /// What it is, for a person: `1200 built-in scenes`.
    pub description: String,
}

/// Most pictures that k-NN during training looks at.
const LOOK_UP: usize = 1200;
const PREDICT: usize = 600;

/// Opens what `recipe.data` names.
///
/// # Errors
/// Names the path and what was expected there.
pub fn open(recipe: &Recipe) -> Result<Sources, DataError> {
    let data = &recipe.data;
    if data.path == "scenes" {
        let scenes =
            |seed: u64, count| Arc::new(ScenesSource::new(seed, count, data.scene_size)) as Arc<dyn Source>;
        // Seeds far apart: scenes that are judged were never trained on.
        let judged = data.scene_seed.wrapping_add(1 << 32);
        return Ok(Sources {
            train: scenes(data.scene_seed, data.scenes),
            labelled: Some(Labelled { train: scenes(judged, LOOK_UP), test: scenes(judged + 1, PREDICT) }),
            description: format!("{} built-in scenes", data.scenes),
        });
    }
    let source = open_path(Path::new(&data.path), data.labels)?;
    let labelled = Subset::split(&source, LOOK_UP, PREDICT, recipe.train.seed)
        .map(|(train, test)| Labelled { train: Arc::new(train), test: Arc::new(test) });
    let description = format!("{} pictures from {}", source.len(), data.path);
    Ok(Sources { train: source, labelled, description })
}

/// A folder of pictures, a single picture, or an IDX file.
///
/// # Errors
/// Names the path and what was expected there.
pub fn open_path(path: &Path, labels: bool) -> Result<Arc<dyn Source>, DataError> {
    if IdxSource::recognizes(path) {
        return Ok(Arc::new(IdxSource::open(path, Split::Train)?));
    }
    Ok(Arc::new(FolderSource::open(path, labels)?))
}
