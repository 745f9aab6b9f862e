//! Who looks at a picture, and what is kept of it: a map of features for every view.

use burn::tensor::{Device, Tensor, TensorData};

use super::frame::CenterPadding;
use crate::run::EvaluationError;
use dinoscope_data::Picture;
use dinoscope_model::Vit;
use dinoscope_model::params::read;
use dinoscope_model::vit::LayerSelection;

/// What a subject sees in one view, where the backbone is.
#[derive(Clone, Debug)]
pub(crate) struct DenseFeatureMap {
    /// `[cells, dim]`, cells row by row.
    pub patches: Tensor<2>,
    /// `[cls_dim]`: numbers that go to every cell; none behind pixels.
    pub cls: Option<Tensor<1>>,
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
        device: &'a Device,
    },
}

impl DenseFeatureExtractor<'_> {
    /// Numbers for each cell.
    pub fn dim(&self) -> usize {
        match self {
            Self::Backbone { vit, blocks, .. } => blocks.len() * vit.config.dim,
            Self::Pixels { patch, .. } => 3 * patch * patch,
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
    pub fn look(&self, views: &[&DenseView]) -> Vec<DenseFeatureMap> {
        let mut out = Vec::with_capacity(views.len());
        for alike in views.chunk_by(|a, b| a.frame == b.frame) {
            match self {
                Self::Pixels { device, .. } => out.extend(alike.iter().map(|view| {
                    let pixels = view.frame.pixels(&view.picture);
                    let pixels = TensorData::new(pixels, [view.frame.rows() * view.frame.cols(), self.dim()]);
                    DenseFeatureMap { patches: Tensor::from_data(pixels, *device), cls: None }
                })),
                Self::Backbone { batch, .. } => {
                    for some in alike.chunks((*batch).max(1)) {
                        out.extend(self.pass(some));
                    }
                }
            }
        }
        out
    }

    /// Views of one size through the backbone.
    fn pass(&self, views: &[&DenseView]) -> Vec<DenseFeatureMap> {
        let (Self::Backbone { vit, device, blocks, norm, cls, .. }, Some(first)) = (self, views.first())
        else {
            return Vec::new();
        };
        let pictures: Vec<&Picture> = views.iter().map(|view| &view.picture).collect();
        let images = first.frame.tensor(&pictures, &vit.config.pixels, device);
        let layers = vit.intermediate_layers(images, LayerSelection::At(blocks), *norm);
        let patches = Tensor::cat(layers.iter().map(|layer| layer.patches.clone()).collect(), 2);
        let tokens = cls.then(|| Tensor::cat(layers.into_iter().map(|layer| layer.cls).collect(), 1));
        let map = |i: usize| DenseFeatureMap {
            patches: patches.clone().narrow(0, i, 1).squeeze_dim(0),
            cls: tokens.clone().map(|tokens: Tensor<2>| tokens.narrow(0, i, 1).squeeze_dim(0)),
        };
        (0..views.len()).map(map).collect()
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
        Ok(cache)
    }

    /// How many examples are looked at again each time.
    pub fn uncached_count(&self) -> usize {
        self.examples.len() - self.kept.len()
    }

    async fn look(&self, which: &[usize]) -> Result<Vec<DenseFeatureMap>, EvaluationError> {
        let views: Vec<&DenseView> = which.iter().map(|i| &self.examples[*i].view).collect();
        let maps = self.extractor.look(&views);
        // A sum is finite where all of its terms are.
        let sum = |map: &DenseFeatureMap| {
            let of_patches = map.patches.clone().sum();
            map.cls.clone().map_or(of_patches.clone(), |cls| of_patches + cls.sum())
        };
        let sums = match maps.is_empty() {
            true => Vec::new(),
            false => read(Tensor::cat(maps.iter().map(sum).collect(), 0)).await?,
        };
        match sums.iter().position(|sum| !sum.is_finite()) {
            None => Ok(maps),
            Some(at) => {
                let index = self.examples[which[at]].picture;
                Err(crate::EvalProtocolError::NotFinite { set: "training", index }.into())
            }
        }
    }

    /// What is seen in some examples: kept, or looked at for this call.
    pub async fn batch(&self, which: &[usize]) -> Result<Vec<DenseFeatureMap>, EvaluationError> {
        let again: Vec<usize> = which.iter().copied().filter(|i| *i >= self.kept.len()).collect();
        let mut again = self.look(&again).await?.into_iter();
        Ok(which.iter().filter_map(|i| self.kept.get(*i).cloned().or_else(|| again.next())).collect())
    }
}
