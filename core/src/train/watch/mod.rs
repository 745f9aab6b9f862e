//! The watched pictures of a run: their PCA and attention as features form.

pub mod beside;
pub mod film;
pub mod neighbours;
pub mod probes;
pub(super) mod run_evaluation;
pub mod watch_colours;

use std::sync::Arc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::protocol::EngineError;
use super::recipe::Recipe;
use crate::analysis::attention_map::{AttentionMaps, overlay, stretch};
use crate::analysis::colour_map::ColourMap;
use crate::analysis::image_out::{UpsampleFilter, contact_sheet, upsample};
use crate::analysis::pca::{Pca, PcaOptions};
use crate::analysis::{AnalysisError, PatchFeatures};
use crate::data::Picture;
use crate::data::augment::resize_to;
use crate::features::{view_features, view_features_and_attention, whole_view};
use crate::model::Vit;
use watch_colours::WatchPcaBasis;

/// Resolution of the views, in global crops: finer than in training, which position resampling allows.
const ZOOM: usize = 2;

/// Pictures to look at, and the colours of the last look.
#[derive(Debug)]
pub struct WatchedImages {
    views: Vec<Picture>,
    previous: Option<Pca>,
    /// What a frozen teacher sees, which never changes.
    taught: Option<TeacherView>,
}

/// A frozen teacher's look at the watched pictures.
#[derive(Debug)]
struct TeacherView {
    pca: Pca,
    pictures: Vec<Picture>,
}

/// The watched pictures at one moment of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchSnapshot {
    /// Steps done.
    pub iteration: u64,
    /// One for each watched picture.
    pub frames: Vec<WatchFrame>,
    /// The colours' axes.
    pub pca: Pca,
}

/// One watched picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchFrame {
    /// As the model sees it.
    pub view: Picture,
    /// Patch features.
    pub features: PatchFeatures,
    /// Three principal components over all watched pictures as colours, at the view's size.
    pub pca: Picture,
    /// What a frozen teacher sees, in the same colours, where one is distilled.
    pub teacher: Option<Picture>,
    /// Attention of the CLS token in the last block, per head and mean.
    pub attention: AttentionMaps,
    /// The mean of the heads over the picture.
    pub overlay: Picture,
}

/// A picture at the size that it is looked at; one that has it already stays as it is.
pub(super) fn view(picture: &Picture, recipe: &Recipe) -> Picture {
    whole_view(picture, view_size(recipe), recipe.model.patch)
}

/// Side of what is looked at.
pub(super) fn view_size(recipe: &Recipe) -> usize {
    ZOOM * recipe.crops.global_size
}

impl WatchedImages {
    /// Prepares pictures for looking at with the recipe's model.
    pub fn new(pictures: Vec<Picture>, recipe: &Recipe) -> Self {
        let views = pictures.iter().map(|picture| view(picture, recipe)).collect();
        Self { views, previous: None, taught: None }
    }

    /// The same in colours that follow those of an earlier look, at these pictures or others.
    #[must_use]
    pub fn following(self, colours: Option<WatchPcaBasis>) -> Self {
        let previous = colours.map(|colours| colours.for_views(&self.views));
        Self { previous: previous.or(self.previous), ..self }
    }

    /// The colours of the last look, to be kept.
    pub fn colours(&self) -> Option<WatchPcaBasis> {
        self.previous.clone().map(|pca| WatchPcaBasis::of(pca, &self.views))
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Features of all watched pictures; colours follow those of the previous look, or of a frozen teacher beside which
    /// the student is shown. `between` is
    /// awaited before each, with how many are done and how many there are.
    ///
    /// # Errors
    /// When the device fails, or features are not finite.
    pub async fn look(
        &mut self,
        backbone: &Vit,
        frozen: Option<&Vit>,
        iteration: u64,
        device: &Device,
        mut between: impl AsyncFnMut(usize, usize),
    ) -> Result<Arc<WatchSnapshot>, EngineError> {
        if let Some(frozen) = frozen.filter(|_| self.taught.is_none()) {
            self.taught = Some(self.ask(frozen, backbone.config.patch, device, &mut between).await?);
        }
        let config = &backbone.config;
        let mut seen = Vec::with_capacity(self.views.len());
        for (done, view) in self.views.iter().enumerate() {
            between(done, self.views.len()).await;
            let last = config.depth - 1;
            let (features, rows) =
                view_features_and_attention(backbone, view, last, 0, device).await.map_err(failed)?;
            let features = features.patches;
            let maps =
                AttentionMaps::new(&rows, config.heads, config.prefix(), features.rows, features.cols)?;
            seen.push((features, maps));
        }
        let all: Vec<&PatchFeatures> = seen.iter().map(|(features, _)| features).collect();
        let shapes: Vec<(usize, usize)> = all.iter().map(|of| (of.rows, of.cols)).collect();
        let taught = self.taught.as_ref().map(|taught| taught.pca.clone());
        let model = taught.or_else(|| self.previous.as_ref().map(|previous| previous.on_grids(&shapes)));
        let pca = Pca::fit(&all, model.as_ref(), &colours())?;
        let teacher = |i: usize| self.taught.as_ref().and_then(|taught| taught.pictures.get(i).cloned());
        let frames = self
            .views
            .iter()
            .zip(&seen)
            .enumerate()
            .map(|(i, (view, (features, attention)))| {
                WatchFrame::new(view, features, teacher(i), attention, &pca)
            })
            .collect::<Result<_, AnalysisError>>()?;
        self.previous = Some(pca.clone());
        Ok(Arc::new(WatchSnapshot { iteration, frames, pca }))
    }

    /// What a frozen teacher sees, on the grid that the student's patches have.
    async fn ask(
        &self,
        frozen: &Vit,
        student_patch: usize,
        device: &Device,
        between: &mut impl AsyncFnMut(usize, usize),
    ) -> Result<TeacherView, EngineError> {
        let patch = frozen.config.patch;
        let side = |pixels: usize| pixels / student_patch * patch;
        let mut seen = Vec::with_capacity(self.views.len());
        for (done, view) in self.views.iter().enumerate() {
            between(done, self.views.len()).await;
            let own = resize_to(view, side(view.width), side(view.height));
            let features = view_features(frozen, &own, device).await.map_err(failed)?;
            seen.push(features.patches);
        }
        let pca = Pca::fit(&seen.iter().collect::<Vec<_>>(), None, &colours())?;
        let pictures = self.views.iter().zip(&seen).map(|(view, features)| in_colours(view, features, &pca));
        Ok(TeacherView { pictures: pictures.collect::<Result<_, _>>()?, pca })
    }
}

/// Without the split: early in a run no component separates objects, and a picture that turns black and back says
/// nothing.
fn colours() -> PcaOptions {
    PcaOptions { foreground: false, ..PcaOptions::default() }
}

fn failed(error: burn::tensor::ExecutionError) -> EngineError {
    EngineError::Device { reason: error.to_string(), hint: String::new() }
}

/// Features as colours, at the view's size.
fn in_colours(view: &Picture, features: &PatchFeatures, pca: &Pca) -> Result<Picture, AnalysisError> {
    let coloured = pca.colour(features)?;
    upsample(&coloured.rgb, coloured.rows, coloured.cols, view.width, view.height, UpsampleFilter::Bicubic)
}

impl WatchFrame {
    fn new(
        view: &Picture,
        features: &PatchFeatures,
        teacher: Option<Picture>,
        attention: &AttentionMaps,
        pca: &Pca,
    ) -> Result<Self, AnalysisError> {
        let (rows, cols) = (features.rows, features.cols);
        let smooth = UpsampleFilter::Bicubic;
        Ok(Self {
            pca: in_colours(view, features, pca)?,
            teacher,
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
pub enum WatchFrameKind {
    /// The picture itself.
    View,
    /// Principal components as colours.
    Pca,
    /// The same of a frozen teacher, where one is distilled.
    Teacher,
    /// Attention of the CLS token.
    Attention,
}

impl WatchFrameKind {
    /// All kinds, in the order of the sheet.
    pub const ALL: [Self; 4] = [Self::View, Self::Pca, Self::Teacher, Self::Attention];

    /// As in the names of a run's pictures: `view`, `pca`, `teacher` or `attention`.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Pca => "pca",
            Self::Teacher => "teacher",
            Self::Attention => "attention",
        }
    }
}

/// Behind and between pictures.
pub(super) const BACKDROP: [u8; 3] = [24, 24, 27];

impl WatchSnapshot {
    fn pictures(&self, kind: WatchFrameKind) -> impl Iterator<Item = &Picture> {
        self.frames.iter().filter_map(move |frame| match kind {
            WatchFrameKind::View => Some(&frame.view),
            WatchFrameKind::Pca => Some(&frame.pca),
            WatchFrameKind::Teacher => frame.teacher.as_ref(),
            WatchFrameKind::Attention => Some(&frame.overlay),
        })
    }

    /// The kinds that there are: a teacher's only in a distillation.
    pub fn kinds(&self) -> impl Iterator<Item = WatchFrameKind> {
        WatchFrameKind::ALL.into_iter().filter(|kind| self.pictures(*kind).next().is_some())
    }

    /// All watched pictures in one: a column each, picture above PCA (and the teacher's) above attention.
    ///
    /// # Errors
    /// When there is nothing to show.
    pub fn sheet(&self) -> Result<Picture, AnalysisError> {
        let pictures: Vec<&Picture> =
            WatchFrameKind::ALL.into_iter().flat_map(|kind| self.pictures(kind)).collect();
        contact_sheet(&pictures, self.frames.len(), 4, BACKDROP)
    }

    /// One kind of all watched pictures, in two columns: a frame of the film.
    ///
    /// # Errors
    /// When there is nothing to show.
    pub fn grid(&self, kind: WatchFrameKind) -> Result<Picture, AnalysisError> {
        contact_sheet(&self.pictures(kind).collect::<Vec<_>>(), 2, 4, BACKDROP)
    }
}
