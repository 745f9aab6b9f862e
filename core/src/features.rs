//! Pictures through a backbone: the views it is given, and its features on the host.

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use crate::analysis::PatchFeatures;
use crate::data::augment::{eval_view, normalize, resize_to};
use crate::data::source::Source;
use crate::data::{DataError, Picture};
use crate::model::params::read;
use crate::model::vit::Features;
use crate::model::{Vit, VitConfig};

/// Longest side of a view, in patches: beyond it attention's memory grows past what a desktop has.
const MAX_PATCHES: usize = 256;

/// A picture resized (bicubic) for looking at: shorter side about `resolution` pixels, the aspect kept, both
/// sides multiples of the patch.
pub fn whole_view(picture: &Picture, resolution: usize, patch: usize) -> Picture {
    let short = picture.width.min(picture.height).max(1) as f64;
    let side = |length: usize| {
        let patches = (length as f64 * resolution as f64 / short / patch as f64).round() as usize;
        patches.clamp(1, MAX_PATCHES) * patch
    };
    let (width, height) = (side(picture.width), side(picture.height));
    if (width, height) == (picture.width, picture.height) {
        return picture.clone();
    }
    resize_to(picture, width, height)
}

/// Pictures of one size as a normalised tensor, `[pictures, 3, height, width]`.
///
/// # Panics
/// When the pictures differ in size or there are none.
pub fn to_tensor(pictures: &[Picture], device: &Device) -> Tensor<4> {
    let (width, height) = (pictures[0].width, pictures[0].height);
    let mut values = Vec::with_capacity(pictures.len() * 3 * width * height);
    for picture in pictures {
        assert_eq!((picture.width, picture.height), (width, height), "pictures of one size");
        values.extend(normalize(picture));
    }
    Tensor::from_data(TensorData::new(values, [pictures.len(), 3, height, width]), device)
}

/// Features of one view.
#[derive(Clone, Debug)]
pub struct ViewFeatures {
    /// `[dim]`, after the final norm.
    pub cls: Vec<f32>,
    /// Patch tokens after the final norm.
    pub patches: PatchFeatures,
}

/// Features of a view whose sides are multiples of the patch.
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn view_features(
    backbone: &Vit,
    view: &Picture,
    device: &Device,
) -> Result<ViewFeatures, ExecutionError> {
    let features = backbone.forward(to_tensor(std::slice::from_ref(view), device), None);
    to_host(features, backbone, view).await
}

async fn to_host(features: Features, backbone: &Vit, view: &Picture) -> Result<ViewFeatures, ExecutionError> {
    let VitConfig { patch, dim, .. } = backbone.config;
    let data = read(features.patches).await?;
    let patches = PatchFeatures { rows: view.height / patch, cols: view.width / patch, dim, data };
    Ok(ViewFeatures { cls: read(features.cls).await?, patches })
}

/// Attention of one query token over all tokens of a view, per head: `[heads, tokens]` row-major.
///
/// Token 0 is CLS, then registers, then patches row by row.
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn view_attention(
    backbone: &Vit,
    view: &Picture,
    block: usize,
    query: usize,
    device: &Device,
) -> Result<Vec<f32>, ExecutionError> {
    read(backbone.attention(to_tensor(std::slice::from_ref(view), device), block, Some(query))).await
}

/// What [`view_features`] and [`view_attention`] give, in one pass.
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn view_features_and_attention(
    backbone: &Vit,
    view: &Picture,
    block: usize,
    query: usize,
    device: &Device,
) -> Result<(ViewFeatures, Vec<f32>), ExecutionError> {
    let images = to_tensor(std::slice::from_ref(view), device);
    let (features, attention) = backbone.forward_with_attention(images, block, Some(query));
    Ok((to_host(features, backbone, view).await?, read(attention).await?))
}

/// CLS features of a collection, and what could not be loaded.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// `[pictures, dim]`, row-major.
    pub features: Vec<f32>,
    /// Label of each row.
    pub labels: Vec<u32>,
    /// Name and reason of pictures that were left out.
    pub skipped: Vec<(String, String)>,
}

/// Evaluation views (shorter side resized, centre cropped to `size`) of all labelled pictures, in batches: views,
/// labels, and the name and reason of pictures that can't be loaded, which are never fatal.
fn labelled_views(
    source: &dyn Source,
    size: usize,
    batch: usize,
) -> impl Iterator<Item = (Vec<Picture>, Vec<u32>, Vec<(String, String)>)> + '_ {
    let labelled: Vec<usize> = (0..source.len()).filter(|&i| source.label(i).is_some()).collect();
    (0..labelled.len().div_ceil(batch.max(1))).map(move |chunk| {
        let (mut views, mut labels, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for &i in labelled.iter().skip(chunk * batch).take(batch) {
            match (source.load(i), source.label(i)) {
                (Ok(picture), Some(label)) => {
                    views.push(eval_view(&picture, size));
                    labels.push(label as u32);
                }
                (Err(error), _) => skipped.push((source.name(i), reason(&error))),
                (_, None) => {}
            }
        }
        (views, labels, skipped)
    })
}

/// The part of an error that does not repeat the picture's name.
pub(crate) fn reason(error: &DataError) -> String {
    match error {
        DataError::Decode { reason, .. } | DataError::Source { reason, .. } => reason.clone(),
        DataError::Read { source, .. } => source.to_string(),
        DataError::Told(text) => text.clone(),
    }
}

/// CLS features of all labelled pictures of a source; `progress` hears how many are done.
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn collect_cls(
    backbone: &Vit,
    source: &dyn Source,
    size: usize,
    batch: usize,
    device: &Device,
    mut progress: impl AsyncFnMut(usize),
) -> Result<Collected, ExecutionError> {
    let mut collected = Collected::default();
    for (views, labels, skipped) in labelled_views(source, size, batch) {
        collected.skipped.extend(skipped);
        if !views.is_empty() {
            let cls = backbone.forward(to_tensor(&views, device), None).cls;
            collected.features.extend(read(cls).await?);
        }
        collected.labels.extend(labels);
        progress(collected.labels.len()).await;
    }
    Ok(collected)
}

/// Raw pixels of the same views instead of features, `[pictures, 3 size²]`: the baseline of k-NN.
pub fn collect_pixels(source: &dyn Source, size: usize) -> Collected {
    let mut collected = Collected::default();
    for (views, labels, skipped) in labelled_views(source, size, 64) {
        collected.skipped.extend(skipped);
        views.iter().for_each(|view| collected.features.extend(normalize(view)));
        collected.labels.extend(labels);
    }
    collected
}
