//! The watched pictures of a run: their PCA and attention as features form.

use std::sync::Arc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use crate::analysis::attention_map::{AttentionMaps, overlay, stretch};
use crate::analysis::colour_map::ColourMap;
use crate::analysis::image_out::{Filter, contact_sheet, upsample};
use crate::analysis::pca::{Pca, PcaOptions};
use crate::analysis::{AnalysisError, PatchFeatures};
use crate::data::Picture;
use crate::engine::EngineError;
use crate::features::{view_features_and_attention, whole_view};
use crate::model::Vit;

/// Resolution of the views, in global crops: finer than in training, which position resampling allows.
const ZOOM: usize = 2;

/// Pictures to look at, and the colours of the last look.
#[derive(Debug)]
pub struct Watched {
    views: Vec<Picture>,
    previous: Option<Pca>,
}

/// The watched pictures at one moment of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Look {
    /// Steps done.
    pub iteration: u64,
    /// One for each watched picture.
    pub frames: Vec<Frame>,
    /// The colours' axes.
    pub pca: Pca,
}

/// One watched picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// As the model sees it.
    pub view: Picture,
    /// Patch features.
    pub features: PatchFeatures,
    /// Three principal components over all watched pictures as colours, at the view's size.
    pub pca: Picture,
    /// Attention of the CLS token in the last block, per head and mean.
    pub attention: AttentionMaps,
    /// The mean of the heads over the picture.
    pub overlay: Picture,
}

impl Watched {
    /// Prepares pictures for looking at with the recipe's model.
    pub fn new(pictures: Vec<Picture>, recipe: &Recipe) -> Self {
        let resolution = ZOOM * recipe.crops.global_size;
        let views = pictures.iter().map(|p| whole_view(p, resolution, recipe.model.patch)).collect();
        Self { views, previous: None }
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Features of all watched pictures; colours follow those of the previous look. `between` is awaited after each.
    ///
    /// # Errors
    /// When the device fails, or features are not finite.
    pub async fn look(
        &mut self,
        backbone: &Vit,
        iteration: u64,
        device: &Device,
        between: impl AsyncFn(),
    ) -> Result<Arc<Look>, EngineError> {
        let failed = |e: burn::tensor::ExecutionError| EngineError::Device {
            reason: e.to_string(),
            hint: String::new(),
        };
        let config = &backbone.config;
        let mut seen = Vec::with_capacity(self.views.len());
        for view in &self.views {
            let last = config.depth - 1;
            let (features, rows) =
                view_features_and_attention(backbone, view, last, 0, device).await.map_err(failed)?;
            let features = features.patches;
            let maps =
                AttentionMaps::new(&rows, config.heads, config.prefix(), features.rows, features.cols)?;
            seen.push((features, maps));
            between().await;
        }
        let all: Vec<&PatchFeatures> = seen.iter().map(|(features, _)| features).collect();
        // Without the split: early in a run no component separates objects, and a picture that turns
        // black and back says nothing.
        let options = PcaOptions { foreground: false, ..PcaOptions::default() };
        let pca = Pca::fit(&all, self.previous.as_ref(), &options)?;
        let frames = self
            .views
            .iter()
            .zip(&seen)
            .map(|(view, (features, attention))| Frame::new(view, features, attention, &pca))
            .collect::<Result<_, AnalysisError>>()?;
        self.previous = Some(pca.clone());
        Ok(Arc::new(Look { iteration, frames, pca }))
    }
}

impl Frame {
    fn new(
        view: &Picture,
        features: &PatchFeatures,
        attention: &AttentionMaps,
        pca: &Pca,
    ) -> Result<Self, AnalysisError> {
        let coloured = pca.colour(features)?;
        let (rows, cols) = (coloured.rows, coloured.cols);
        let smooth = Filter::Bicubic;
        Ok(Self {
            pca: upsample(&coloured.rgb, rows, cols, view.width, view.height, smooth)?,
            overlay: overlay(
                view,
                &stretch(&attention.mean, 99.0),
                rows,
                cols,
                ColourMap::Inferno,
                0.7,
                smooth,
            )?,
            view: view.clone(),
            features: features.clone(),
            attention: attention.clone(),
        })
    }
}

/// What to take from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The picture itself.
    View,
    /// Principal components as colours.
    Pca,
    /// Attention of the CLS token.
    Attention,
}

impl Kind {
    /// All kinds, in the order of the sheet.
    pub const ALL: [Self; 3] = [Self::View, Self::Pca, Self::Attention];

    /// As in the names of a run's pictures: `view`, `pca` or `attention`.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Pca => "pca",
            Self::Attention => "attention",
        }
    }
}

/// Behind and between pictures.
pub(super) const BACKDROP: [u8; 3] = [24, 24, 27];

impl Look {
    fn pictures(&self, kind: Kind) -> impl Iterator<Item = &Picture> {
        self.frames.iter().map(move |frame| match kind {
            Kind::View => &frame.view,
            Kind::Pca => &frame.pca,
            Kind::Attention => &frame.overlay,
        })
    }

    /// All watched pictures in one: a column each, picture above PCA above attention.
    ///
    /// # Errors
    /// When there is nothing to show.
    pub fn sheet(&self) -> Result<Picture, AnalysisError> {
        let pictures: Vec<&Picture> = Kind::ALL.into_iter().flat_map(|kind| self.pictures(kind)).collect();
        contact_sheet(&pictures, self.frames.len(), 4, BACKDROP)
    }

    /// One kind of all watched pictures, in two columns: a frame of the film.
    ///
    /// # Errors
    /// When there is nothing to show.
    pub fn grid(&self, kind: Kind) -> Result<Picture, AnalysisError> {
        contact_sheet(&self.pictures(kind).collect::<Vec<_>>(), 2, 4, BACKDROP)
    }
}
