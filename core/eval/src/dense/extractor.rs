//! Who looks at a picture, and what is kept of it: a map of features for every view.

use burn::tensor::{Device, Tensor};

use super::frame::CenterPadding;
use crate::run::EvaluationError;
use dinoscope_data::Picture;
use dinoscope_model::Vit;
use dinoscope_model::params::read;
use dinoscope_model::vit::LayerSelection;

/// What a subject sees in one view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DenseFeatureMap {
    /// `[cells, dim]`, cells row by row.
    pub patches: Vec<f32>,
    /// `[cls_dim]`: numbers that go to every cell; may be empty.
    pub cls: Vec<f32>,
}

impl DenseFeatureMap {
    fn bytes(&self) -> usize {
        4 * (self.patches.len() + self.cls.len())
    }

    fn is_finite(&self) -> bool {
        self.patches.iter().chain(&self.cls).all(|v| v.is_finite())
    }
}

/// A view of a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DenseView {
    pub picture: Picture,
    pub frame: CenterPadding,
}

/// A subject that looks.
pub(crate) enum DenseFeatureExtractor<'a> {
    /// A backbone, with the tokens behind some of its blocks side by side.
    Backbone {
        vit: &'a Vit,
        device: &'a Device,
        /// Blocks counted from 0, in order.
        blocks: Vec<usize>,
        /// The final norm on each of them.
        norm: bool,
        /// The CLS tokens too.
        cls: bool,
        /// Views that pass through it at once.
        batch: usize,
    },
    /// The pixels of each patch.
    Pixels {
        /// Side of a patch.
        patch: usize,
    },
}

impl DenseFeatureExtractor<'_> {
    /// Numbers for each cell.
    pub fn dim(&self) -> usize {
        match self {
            Self::Backbone { vit, blocks, .. } => blocks.len() * vit.config.dim,
            Self::Pixels { patch } => 3 * patch * patch,
        }
    }

    /// Numbers for all cells together.
    pub fn cls_dim(&self) -> usize {
        match self {
            Self::Backbone { cls: true, .. } => self.dim(),
            _ => 0,
        }
    }

    /// Bytes of a view's map.
    pub fn bytes(&self, frame: &CenterPadding) -> usize {
        4 * (frame.rows() * frame.cols() * self.dim() + self.cls_dim())
    }

    /// Looks at views; neighbours of one size pass together.
    pub async fn look(&self, views: &[&DenseView]) -> Result<Vec<DenseFeatureMap>, EvaluationError> {
        let mut out = Vec::with_capacity(views.len());
        for alike in views.chunk_by(|a, b| a.frame == b.frame) {
            match self {
                Self::Pixels { .. } => out.extend(
                    alike
                        .iter()
                        .map(|v| DenseFeatureMap { patches: v.frame.pixels(&v.picture), cls: Vec::new() }),
                ),
                Self::Backbone { batch, .. } => {
                    for some in alike.chunks((*batch).max(1)) {
                        out.extend(self.pass(some).await?);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Views of one size through the backbone.
    async fn pass(&self, views: &[&DenseView]) -> Result<Vec<DenseFeatureMap>, EvaluationError> {
        let (Self::Backbone { vit, device, blocks, norm, cls, .. }, Some(first)) = (self, views.first())
        else {
            return Ok(Vec::new());
        };
        let pictures: Vec<&Picture> = views.iter().map(|view| &view.picture).collect();
        let images = first.frame.tensor(&pictures, device);
        let layers = vit.intermediate_layers(images, LayerSelection::At(blocks), *norm);
        let patches = Tensor::cat(layers.iter().map(|layer| layer.patches.clone()).collect(), 2);
        let patches = read(patches).await?;
        let tokens = match cls {
            true => read(Tensor::cat(layers.iter().map(|layer| layer.cls.clone()).collect(), 1)).await?,
            false => Vec::new(),
        };
        let (long, short) = (patches.len() / views.len(), tokens.len() / views.len());
        let map = |i: usize| DenseFeatureMap {
            patches: patches[i * long..(i + 1) * long].to_vec(),
            cls: tokens[i * short..(i + 1) * short].to_vec(),
        };
        Ok((0..views.len()).map(map).collect())
    }
}

/// A view to learn from, with its truth.
#[derive(Clone, Debug)]
pub(crate) struct DenseExample<T> {
    pub view: DenseView,
    /// `[height * width]` of the view.
    pub truth: Vec<T>,
    /// Which training picture it is part of.
    pub picture: usize,
}

/// What a subject sees in all examples: kept as far as memory allows, looked at again beyond.
pub(crate) struct DenseFeatureCache<'a, T> {
    extractor: &'a DenseFeatureExtractor<'a>,
    examples: &'a [DenseExample<T>],
    kept: Vec<DenseFeatureMap>,
}

/// Views between two reports.
const ROUND: usize = 16;

impl<'a, T> DenseFeatureCache<'a, T> {
    /// Looks at as many examples as `memory` bytes hold. `on_progress` is told how many are done and answers whether to go on.
    pub async fn fill(
        extractor: &'a DenseFeatureExtractor<'a>,
        examples: &'a [DenseExample<T>],
        memory: usize,
        on_progress: &mut impl AsyncFnMut(usize) -> bool,
    ) -> Result<Self, EvaluationError> {
        let mut cache = Self { extractor, examples, kept: Vec::new() };
        let mut left = memory;
        let fits = |example: &DenseExample<T>| {
            let room = left.checked_sub(extractor.bytes(&example.view.frame));
            left = room.unwrap_or(0);
            room.is_some()
        };
        let count = examples.iter().map(fits).take_while(|fits| *fits).count();
        while cache.kept.len() < count {
            let from = cache.kept.len();
            let some: Vec<usize> = (from..(from + ROUND).min(count)).collect();
            let maps = cache.look(&some).await?;
            cache.kept.extend(maps);
            if !on_progress(cache.kept.len()).await {
                return Err(crate::EvalProtocolError::Stopped.into());
            }
        }
        debug_assert!(cache.kept.iter().map(DenseFeatureMap::bytes).sum::<usize>() <= memory);
        Ok(cache)
    }

    /// How many examples are looked at again each time.
    pub fn uncached_count(&self) -> usize {
        self.examples.len() - self.kept.len()
    }

    async fn look(&self, which: &[usize]) -> Result<Vec<DenseFeatureMap>, EvaluationError> {
        let views: Vec<&DenseView> = which.iter().map(|i| &self.examples[*i].view).collect();
        let maps = self.extractor.look(&views).await?;
        match maps.iter().position(|map| !map.is_finite()) {
            None => Ok(maps),
            Some(at) => {
                let index = self.examples[which[at]].picture;
                Err(crate::EvalProtocolError::NotFinite { set: "training", index }.into())
            }
        }
    }

    /// What is seen in some examples: a place in the bank, or a map that was made for this call.
    pub async fn batch(
        &self,
        which: &[usize],
    ) -> Result<Vec<std::borrow::Cow<'_, DenseFeatureMap>>, EvaluationError> {
        use std::borrow::Cow;
        let again: Vec<usize> = which.iter().copied().filter(|i| *i >= self.kept.len()).collect();
        let mut again = self.look(&again).await?.into_iter();
        let found = which.iter().filter_map(|i| match self.kept.get(*i) {
            Some(map) => Some(Cow::Borrowed(map)),
            None => again.next().map(Cow::Owned),
        });
        Ok(found.collect())
    }
}
