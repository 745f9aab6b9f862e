//! Curating: pictures pass through a model and are looked at together, on a thread of this process with files of the disk.

use std::path::{Path, PathBuf};

use crate::platform::curation_request::{CurationProgress, CurationRequest};
use dinoscope_core::data::RGB;
use dinoscope_core::data::decode::decode_file;
use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::device::block_on;
use dinoscope_core::eval::cache::digest;
use dinoscope_core::explore::{ModelSource, OpenModel, STARTER_NAME, open, resolve_weights_path};
use dinoscope_curate::heap::{CuratedHeap, HeapDecisions};
use dinoscope_curate::{EmbedOptions, FeatureOrigin, FeatureStore, embed, names};

/// Whether there is curating here.
pub const AVAILABLE: bool = true;

/// Whether a folder holds features.
pub fn is_set(folder: &Path) -> bool {
    folder.join(names::EMBED).is_file()
}

/// Embeds what is new, and opens all of it. Pictures that can't be used come with their reasons.
///
/// # Errors
/// What went wrong, with the way out; nothing that was embedded is lost. An empty reason where whoever listens said stop.
pub fn embed_and_open(
    request: &CurationRequest,
    heard: CurationProgress<'_>,
) -> Result<(CuratedHeap, Vec<(String, String)>), String> {
    if !heard("Opening the model", 0, 0) {
        return Err(String::new());
    }
    let model = opened(request)?;
    let config = &model.backbone.config;
    // A set that was begun goes on as it was begun.
    let begun = FeatureStore::open(&request.folder).ok().map(|store| store.origin.clone());
    let begun = begun.as_ref();
    let range = begun.and_then(|origin| origin.depth_range.parse().ok()).unwrap_or_default();
    let origin = FeatureOrigin {
        weights: name(&request.source),
        digest: block_on(digest(&model.backbone))
            .map_err(|error| error.to_string())?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        dim: config.dim,
        size: begun.map_or_else(|| side(&model), |origin| origin.size),
        depth_range: IntensityRange::to_string(&range),
        mirrored: begun.is_some_and(|origin| origin.mirrored),
    };
    let options = EmbedOptions {
        places: request.places.clone(),
        out: request.folder.clone(),
        table: names::EMBED.to_owned(),
        batch: 64,
        part: 512,
        range,
    };
    let mut stopped = false;
    let mut hear = |done: usize, all: usize, _: &str| {
        stopped = !heard("Looking at the pictures", done, all);
        !stopped
    };
    let made = embed(&model.backbone, &request.device.device, &origin, &options, &mut hear);
    if stopped {
        return Err(String::new());
    }
    let made = made.map_err(|error| error.to_string())?;
    Ok((open_set(&request.folder, heard)?, made.unreadable))
}

/// Opens a folder that was filled before.
///
/// # Errors
/// As [`embed_and_open`].
pub fn open_set(folder: &Path, heard: CurationProgress<'_>) -> Result<CuratedHeap, String> {
    let mut stopped = false;
    let opened = CuratedHeap::open(folder, &mut |done, all, what| {
        let what = if what == "map" { "Drawing the map" } else { "Finding neighbours" };
        stopped = !heard(what, done, all);
        !stopped
    });
    opened.map_err(|error| if stopped { String::new() } else { error.to_string() })
}

/// Writes the table of what was decided; where it lies.
///
/// # Errors
/// When it can't be written.
pub fn save(heap: &CuratedHeap, decisions: &HeapDecisions) -> Result<PathBuf, String> {
    heap.save(decisions).map_err(|error| error.to_string())
}

/// The features of a picture that is none of the heap, made as the heap's are.
///
/// # Errors
/// When the picture or the model can't be opened, or the device fails.
pub fn features_of(
    request: &CurationRequest,
    heap: &CuratedHeap,
    picture: &Path,
) -> Result<Vec<f32>, String> {
    let model = opened(request)?;
    let picture = decode_file(picture).map_err(|error| error.to_string())?;
    let device = &request.device.device;
    dinoscope_curate::features_of(&model.backbone, device, &heap.origin, &picture)
        .map_err(|error| error.to_string())
}

fn opened(request: &CurationRequest) -> Result<OpenModel, String> {
    let source = match &request.source {
        ModelSource::Path(path) => {
            ModelSource::Path(resolve_weights_path(path).map_err(|error| error.to_string())?)
        }
        other => other.clone(),
    };
    let model = open(&source, &request.device.device, &mut |_, _| true).map_err(|error| error.to_string())?;
    let channels = model.backbone.config.channels();
    if channels != RGB {
        return Err(format!(
            "pictures have colours here, and the model takes {channels} channels; choose a model of colours"
        ));
    }
    Ok(model)
}

/// Side of the views: that of the stored position grid, at most 224.
fn side(model: &OpenModel) -> usize {
    let config = &model.backbone.config;
    config.side().min(224 / config.patch * config.patch)
}

/// What weights are known by, as the command line names them.
fn name(source: &ModelSource) -> String {
    match source {
        ModelSource::Starter => STARTER_NAME.to_owned(),
        ModelSource::Released(name) => name.clone(),
        ModelSource::Path(path) => {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        }
        ModelSource::Bytes { .. } => source.to_string(),
    }
}
