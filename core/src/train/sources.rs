//! The pictures that a recipe names: what is trained on, and what k-NN is measured with.

use std::path::Path;
use std::sync::Arc;

use super::recipe::Recipe;
use crate::data::source::folder::FolderSource;
use crate::data::source::idx::{IdxSource, Split};
use crate::data::source::scenes::{self, ScenesSource};
use crate::data::source::{Source, subset::Subset};
use crate::data::{DataError, Picture};

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

/// Most pictures that are watched unless a person chooses others.
pub const WATCHED: usize = 6;
/// Away from the seeds of training and evaluation.
const WATCH_SEED: u64 = 7 << 40;

impl Sources {
    /// Pictures to watch while a recipe trains: scenes that are never trained on, or some spread over the data.
    ///
    /// What can't be loaded is left out here; training reports it.
    pub fn to_watch(&self, recipe: &Recipe) -> Vec<Picture> {
        if recipe.data.path == "scenes" {
            let size = 2 * recipe.crops.global_size;
            return (0..WATCHED).map(|i| scenes::draw(WATCH_SEED, i, size).picture).collect();
        }
        let source = &self.train;
        let step = (source.len() / WATCHED).max(1);
        (0..source.len()).step_by(step).filter_map(|i| source.load(i).ok()).take(WATCHED).collect()
    }
}

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
