//! What a model saw in one picture.

use std::sync::Arc;

use burn::tensor::{Device, ExecutionError};
use serde::{Deserialize, Serialize};

use super::buffers::DeviceSlice;
use crate::analysis::attention_map::AttentionMaps;
use crate::analysis::{AnalysisError, PatchFeatures};
use crate::data::Picture;
use crate::features::to_tensor;
use crate::model::params::read;
use crate::model::{Vit, VitConfig};

/// Where a model looks from: the CLS token, or a patch in reading order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QueryToken {
    /// The CLS token.
    #[default]
    Cls,
    /// This patch.
    Patch(usize),
}

/// What belongs to one way of looking: results of different ways are not mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ViewQuery {
    /// Shorter side of the view, in pixels.
    pub resolution: usize,
    /// Block whose attention is shown, counted from 0; the last one when it does not exist.
    pub block: usize,
    /// Whose attention is shown.
    pub query: QueryToken,
}

/// Features and attention of one picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PictureInspection {
    /// The picture as the model was given it.
    #[serde(with = "crate::wire::shared")]
    pub view: Arc<Picture>,
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub cols: usize,
    /// Numbers per patch.
    pub dim: usize,
    /// `[dim]`, after the final norm.
    #[serde(with = "crate::wire::floats")]
    pub cls: Vec<f32>,
    /// Patch tokens after the final norm.
    pub patches: PatchTokens,
    /// Attention of the query, head by head.
    pub attention: AttentionMaps,
    /// Seconds that the model took.
    pub seconds: f64,
}

/// `[rows * cols, dim]`, where they were computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PatchTokens {
    /// In memory.
    Host(#[serde(with = "crate::wire::shared")] Arc<PatchFeatures>),
    /// On the GPU that draws; can't be sent.
    #[serde(skip)]
    Device(DeviceSlice),
}

/// Why a picture could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] ExecutionError),
    /// Its features make no sense.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
}

impl PictureInspection {
    /// Passes a view, whose sides are multiples of the patch, through a backbone. With `keep_on_device` the patch
    /// tokens stay where they are, if that is a GPU.
    pub(super) async fn look(
        backbone: &Vit,
        view: Picture,
        way: ViewQuery,
        device: &Device,
        keep_on_device: bool,
    ) -> Result<Self, InspectionError> {
        let start = web_time::Instant::now();
        let VitConfig { patch, dim, depth, heads, .. } = backbone.config;
        let (rows, cols) = (view.height / patch, view.width / patch);
        let prefix = backbone.config.prefix();
        let query = match way.query {
            QueryToken::Patch(index) if index < rows * cols => prefix + index,
            _ => 0,
        };
        let images = to_tensor(std::slice::from_ref(&view), &backbone.config.pixels, device);
        let block = way.block.min(depth - 1);
        let (features, attention) = backbone.forward_with_attention(images, block, Some(query));
        let kept = if keep_on_device { DeviceSlice::of(features.patches.clone()) } else { None };
        // Attention and CLS are a few kilobytes, which a person may ask the numbers of; patches stay.
        let attention = AttentionMaps::new(&read(attention).await?, heads, prefix, rows, cols)?;
        let cls = read(features.cls).await?;
        let patches = match kept {
            Some(slice) => {
                device.flush()?;
                PatchTokens::Device(slice)
            }
            None => {
                let patches = PatchFeatures { rows, cols, dim, data: read(features.patches).await? };
                patches.check()?;
                PatchTokens::Host(Arc::new(patches))
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        Ok(Self { view: Arc::new(view), rows, cols, dim, cls, patches, attention, seconds })
    }

    /// Bytes that this keeps in memory, on the host or the device.
    pub fn bytes(&self) -> usize {
        4 * (self.rows * self.cols * (self.dim + self.attention.heads.len() + 1) + self.dim)
            + self.view.rgb.len()
    }
}
