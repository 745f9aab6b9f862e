//! Pictures through a backbone: the views it is given, and its features on the host.

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use crate::params::read;
use crate::vit::{LayerSelection, VitOutput};
use crate::{Vit, VitConfig};
use dinoscope_analysis::PatchFeatures;
use dinoscope_base::parallel;
use dinoscope_data::augment::{eval_view, resize_to};
use dinoscope_data::channels::ChannelStatistics;
use dinoscope_data::source::PictureSource;
use dinoscope_data::{DataError, Picture};

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

/// Pictures of one size as a normalised tensor, `[pictures, channels, height, width]`.
///
/// # Panics
/// When the pictures differ in size or there are none.
pub fn to_tensor(pictures: &[Picture], pixels: &ChannelStatistics, device: &Device) -> Tensor<4> {
    let (width, height) = (pictures[0].width, pictures[0].height);
    let mut values = Vec::with_capacity(pictures.len() * pixels.channels() * width * height);
    for picture in pictures {
        assert_eq!((picture.width, picture.height), (width, height), "pictures of one size");
        values.extend(pixels.normalize(picture));
    }
    Tensor::from_data(TensorData::new(values, [pictures.len(), pixels.channels(), height, width]), device)
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
    let features =
        backbone.forward(to_tensor(std::slice::from_ref(view), &backbone.config.pixels, device), None);
    to_host(features, backbone, view).await
}

/// Features of views of one size in one pass, as [`view_features`] gives them of one. `pause` is awaited before each block,
/// and ends it by saying no; nothing then.
///
/// # Errors
/// When the device fails to hand over its memory.
///
/// # Panics
/// When the views differ in size or there are none.
pub async fn views_features_pausing(
    backbone: &Vit,
    views: &[Picture],
    device: &Device,
    pause: impl AsyncFnMut() -> bool,
) -> Result<Option<Vec<ViewFeatures>>, ExecutionError> {
    let features = backbone.forward_pausing(to_tensor(views, &backbone.config.pixels, device), pause).await;
    let Some(features) = features else { return Ok(None) };
    let VitConfig { patch, dim, .. } = backbone.config;
    let (rows, cols) = (views[0].height / patch, views[0].width / patch);
    let (cls, patches) = (read(features.cls).await?, read(features.patches).await?);
    let each = cls.chunks_exact(dim).zip(patches.chunks_exact(rows * cols * dim));
    let each = each.map(|(cls, data)| ViewFeatures {
        cls: cls.to_vec(),
        patches: PatchFeatures { rows, cols, dim, data: data.to_vec() },
    });
    Ok(Some(each.collect()))
}

/// [`view_attention`], with `pause` as in [`views_features_pausing`].
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn view_attention_pausing(
    backbone: &Vit,
    view: &Picture,
    block: usize,
    query: usize,
    device: &Device,
    pause: impl AsyncFnMut() -> bool,
) -> Result<Option<Vec<f32>>, ExecutionError> {
    let images = to_tensor(std::slice::from_ref(view), &backbone.config.pixels, device);
    match backbone.attention_pausing(images, block, Some(query), pause).await {
        Some(attention) => read(attention).await.map(Some),
        None => Ok(None),
    }
}

async fn to_host(
    features: VitOutput,
    backbone: &Vit,
    view: &Picture,
) -> Result<ViewFeatures, ExecutionError> {
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
    read(backbone.attention(
        to_tensor(std::slice::from_ref(view), &backbone.config.pixels, device),
        block,
        Some(query),
    ))
    .await
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
    let images = to_tensor(std::slice::from_ref(view), &backbone.config.pixels, device);
    let (features, attention) = backbone.forward_with_attention(images, block, Some(query));
    Ok((to_host(features, backbone, view).await?, read(attention).await?))
}

/// Which numbers stand for a whole picture; all have passed the final norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageFeatureSpec {
    /// CLS tokens of that many of the last blocks, the last block's at the end.
    pub blocks: usize,
    /// Behind them the mean of the last block's patch tokens.
    pub patch_mean: bool,
}

impl ImageFeatureSpec {
    /// The CLS token alone: what k-NN and retrieval look at.
    pub const CLS: Self = Self { blocks: 1, patch_mean: false };

    /// Numbers for each picture from a backbone of width `dim`.
    pub fn width(self, dim: usize) -> usize {
        (self.blocks + usize::from(self.patch_mean)) * dim
    }
}

/// Features of whole views of one size, `[views, wanted.width(dim)]`, row-major.
///
/// # Errors
/// When the device fails to hand over its memory.
///
/// # Panics
/// When there are no views, they differ in size, or the backbone has fewer blocks than are wanted.
pub async fn embed(
    backbone: &Vit,
    views: &[Picture],
    wanted: ImageFeatureSpec,
    device: &Device,
) -> Result<Vec<f32>, ExecutionError> {
    let layers = backbone.intermediate_layers(
        to_tensor(views, &backbone.config.pixels, device),
        LayerSelection::Last(wanted.blocks),
        true,
    );
    assert_eq!(layers.len(), wanted.blocks, "blocks to look behind");
    let mut parts: Vec<Tensor<2>> = layers.iter().map(|layer| layer.cls.clone()).collect();
    if let Some(last) = layers.last().filter(|_| wanted.patch_mean) {
        parts.push(last.patches.clone().mean_dim(1).squeeze_dim(1));
    }
    read(Tensor::cat(parts, 1)).await
}

/// Some labelled pictures of a collection, ready for a backbone.
#[derive(Clone, Debug, Default)]
pub struct LabelledViewBatch {
    /// Shorter side resized, centre cropped.
    pub views: Vec<Picture>,
    /// The class of each.
    pub labels: Vec<u32>,
    /// Name and reason of pictures that could not be loaded, which is never fatal.
    pub skipped: Vec<(String, String)>,
}

/// Evaluation views of all labelled pictures, in batches of `batch`; they are loaded on all cores.
pub fn labelled_views(
    source: &dyn PictureSource,
    size: usize,
    batch: usize,
) -> impl Iterator<Item = LabelledViewBatch> + '_ {
    let labelled: Vec<usize> = (0..source.len()).filter(|&i| source.label(i).is_some()).collect();
    let batch = batch.max(1);
    (0..labelled.len().div_ceil(batch)).map(move |chunk| {
        let mut slots: Vec<(usize, Option<Result<Picture, DataError>>)> =
            labelled.iter().skip(chunk * batch).take(batch).map(|&i| (i, None)).collect();
        parallel::for_chunks(&mut slots, 1, |_, slot| {
            for (i, loaded) in slot {
                *loaded = Some(source.load(*i).map(|picture| eval_view(&picture, size)));
            }
        });
        let mut out = LabelledViewBatch::default();
        for (i, loaded) in slots {
            match (loaded, source.label(i)) {
                (Some(Ok(view)), Some(label)) => {
                    out.views.push(view);
                    out.labels.push(label as u32);
                }
                (Some(Err(error)), _) => out.skipped.push((source.name(i), reason(&error))),
                (None, _) | (_, None) => {}
            }
        }
        out
    })
}

/// The part of an error that does not repeat the picture's name.
pub fn reason(error: &DataError) -> String {
    match error {
        DataError::Decode { reason, .. } | DataError::Source { reason, .. } => reason.clone(),
        DataError::Read { source, .. } => source.to_string(),
        DataError::Told(text) => text.clone(),
    }
}
