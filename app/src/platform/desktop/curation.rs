//! Curating: pictures pass through a model and are looked at together, on a thread of this process with files of the disk.

use std::path::Path;

use crate::platform::curation_request::{CurationProgress, CurationRequest};
use dinoscope_core::data::RGB;
use dinoscope_core::data::augment::eval_view;
use dinoscope_core::data::decode::decode_file;
use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::device::block_on;
use dinoscope_core::eval::cache::digest;
use dinoscope_core::explore::{ModelSource, OpenModel, STARTER_NAME, open, resolve_weights_path};
use dinoscope_core::features::{ImageFeatureSpec, embed as embed_views};
use dinoscope_curate::heap::CuratedHeap;
use dinoscope_curate::{EmbedOptions, FeatureOrigin, embed, names};

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
    let origin = FeatureOrigin {
        weights: name(&request.source),
        digest: block_on(digest(&model.backbone))
            .map_err(|error| error.to_string())?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        dim: config.dim,
        size: side(&model),
        depth_range: IntensityRange::default().to_string(),
    };
    let options = EmbedOptions {
        places: request.places.clone(),
        out: request.folder.clone(),
        table: names::EMBED.to_owned(),
        batch: 64,
        part: 512,
        range: IntensityRange::default(),
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

/// The CLS token of a picture that is none of the heap, of length 1.
///
/// # Errors
/// When the picture or the model can't be opened, or the device fails.
pub fn features_of(request: &CurationRequest, picture: &Path) -> Result<Vec<f32>, String> {
    let model = opened(request)?;
    let picture = decode_file(picture).map_err(|error| error.to_string())?;
    let view = eval_view(&picture, side(&model));
    // As the heap's own features are made.
    let views = [view];
    let made = embed_views(&model.backbone, &views, ImageFeatureSpec::CLS, &request.device.device);
    let cls = block_on(made).map_err(|error| error.to_string())?;
    let length = cls.iter().map(|v| v * v).sum::<f32>().sqrt();
    if !length.is_finite() || length <= 0.0 {
        return Err("its features are no numbers".to_owned());
    }
    Ok(cls.into_iter().map(|v| v / length).collect())
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
