//! Features to a picture of their principal components: the programs one after another.
//!
//! Source: DINOv2, figures 1 and 9: three components become red, green and blue.

use super::common::{Slice, storage};
use super::covariance::{CovarianceBuffers, CovarianceProgram, covariance_cpu};
use super::eigenvectors::{EigenBuffers, EigenProgram, eigenvectors_cpu};
use super::project::{ProjectProgram, Projection, project_cpu};
use super::ranges::{RangeOptions, Ranges, RangesProgram, ranges_buffer, ranges_cpu};
use super::upsample::{Filter, UpsampleProgram, upsample_cpu};
use super::{Range, common};
use crate::pca_colour::Buffers;
use crate::{Background, PcaColour, ShaderError, pca_colour_cpu};

const PROGRAM: &str = "pipeline";
/// A fit from nothing takes so many times the iterations of one that goes on from the last.
const COLD: usize = 3;

/// How features become colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PipelineOptions {
    /// Eigenvectors carried, 3 to 8. Those beyond three make the three exact sooner.
    pub vectors: usize,
    /// Products with the covariance in a fit that goes on from the last one; the first takes three times as many.
    pub iterations: usize,
    /// Components keep the order and signs of those in the fit before.
    pub follow: bool,
    /// How scores become colours.
    pub range: RangeOptions,
    /// What becomes of patches whose weight is below 0.5.
    pub background: Background,
    /// How patches become pixels.
    pub filter: Filter,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            vectors: 8,
            iterations: 12,
            follow: true,
            range: RangeOptions { smoothing: 0.7, ..RangeOptions::default() },
            background: Background::Black,
            filter: Filter::Bicubic,
        }
    }
}

impl PipelineOptions {
    fn vectors(&self) -> usize {
        self.vectors.clamp(3, super::eigenvectors::VECTORS)
    }
}

/// What belongs to one dimension of features.
#[derive(Debug)]
struct Fitted {
    covariance: CovarianceBuffers,
    eigen: EigenBuffers,
    ranges: wgpu::Buffer,
    /// Whether a fit was recorded since the components were zero.
    warm: bool,
}

/// What belongs to a number of patches.
#[derive(Debug)]
struct Patches {
    rows: usize,
    scores: wgpu::Buffer,
    foreground: wgpu::Buffer,
    colours: wgpu::Buffer,
}

impl Patches {
    fn new(device: &wgpu::Device, rows: usize) -> Result<Self, ShaderError> {
        Ok(Self {
            rows,
            scores: storage(device, PROGRAM, "scores", rows * 3)?,
            foreground: storage(device, PROGRAM, "foreground", rows)?,
            colours: storage(device, PROGRAM, "colours", rows)?,
        })
    }
}

/// Programs and buffers from features to a texture; [`PipelineCpu`] defines what they compute.
///
/// A fit learns the axes of colour from features and their weights, and goes on from the fit before so
/// that colours stay where they are; a drawing colours one picture. Everything is recorded into the
/// caller's encoder and nothing comes back from the device.
#[derive(Debug)]
pub struct Pipeline {
    covariance: CovarianceProgram,
    eigenvectors: EigenProgram,
    project: ProjectProgram,
    ranges: RangesProgram,
    colour: PcaColour,
    upsample: UpsampleProgram,
    fitted: Option<Fitted>,
    patches: Option<Patches>,
}

impl Pipeline {
    /// Compiles the programs for a device. Keep it: compiling is slow, and fits follow each other.
    pub fn new(device: &wgpu::Device) -> Self {
        Self {
            covariance: CovarianceProgram::new(device),
            eigenvectors: EigenProgram::new(device),
            project: ProjectProgram::new(device),
            ranges: RangesProgram::new(device),
            colour: PcaColour::new(device),
            upsample: UpsampleProgram::new(device),
            fitted: None,
            patches: None,
        }
    }

    /// Forgets the fit, so that the next one starts from nothing.
    pub fn forget(&mut self) {
        self.fitted = None;
    }

    /// The ranges of the colours of the last fit, for [`Range::Found`] and for legends.
    pub fn ranges(&self) -> Option<&wgpu::Buffer> {
        self.fitted.as_ref().map(|fitted| &fitted.ranges)
    }

    /// Components `[vectors, dim]` and eigenvalues `[9]` of the last fit; see [`EigenBuffers`].
    pub fn eigen(&self) -> Option<&EigenBuffers> {
        self.fitted.as_ref().map(|fitted| &fitted.eigen)
    }

    /// Records a fit to `[n, dim]` features, of one picture or of several one after another.
    ///
    /// - `weights`: `[n]`, 1 for foreground and 0 for background; all foreground without them.
    ///
    /// Fails on no features and on more than the device can bind.
    pub fn fit(
        &mut self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        features: Slice<'_>,
        weights: Option<Slice<'_>>,
        (n, dim): (usize, usize),
        options: &PipelineOptions,
    ) -> Result<(), ShaderError> {
        common::check_some(PROGRAM, "features", n * dim)?;
        self.reserve_fit(device, n, dim, options)?;
        self.reserve(device, n)?;
        let (Some(fitted), Some(patches)) = (&mut self.fitted, &self.patches) else { return Ok(()) };
        self.covariance.encode(device, encoder, features, weights, n, &fitted.covariance)?;
        let iterations = options.iterations * if fitted.warm { 1 } else { COLD };
        let matrix = &fitted.covariance.covariance;
        self.eigenvectors.encode(device, encoder, matrix, iterations, options.follow, &fitted.eigen)?;
        fitted.warm = true;
        let projection = Projection {
            features,
            weights,
            mean: &fitted.covariance.mean,
            components: &fitted.eigen.components,
            scores: &patches.scores,
            foreground: &patches.foreground,
        };
        self.project.encode(device, encoder, projection, n, dim)?;
        let (scores, foreground) = (Slice::whole(&patches.scores), Slice::whole(&patches.foreground));
        self.ranges.encode(device, encoder, scores, Some(foreground), (n, 3), &options.range, &fitted.ranges)
    }

    /// Records the picture of `[rows * cols, dim]` features in the colours of the last fit, with `dim` as there.
    ///
    /// `target` is filled; it has the format [`super::FORMAT`] and usage `STORAGE_BINDING`. Fails when
    /// there was no fit.
    #[allow(clippy::too_many_arguments)]
    pub fn draw(
        &mut self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        features: Slice<'_>,
        weights: Option<Slice<'_>>,
        (rows, cols): (usize, usize),
        options: &PipelineOptions,
        target: &wgpu::Texture,
    ) -> Result<(), ShaderError> {
        let n = rows * cols;
        self.reserve(device, n)?;
        let (Some(fitted), Some(patches)) = (&self.fitted, &self.patches) else {
            return Err(ShaderError::Length { program: PROGRAM, what: "fits", found: 0, expected: 1 });
        };
        let projection = Projection {
            features,
            weights,
            mean: &fitted.covariance.mean,
            components: &fitted.eigen.components,
            scores: &patches.scores,
            foreground: &patches.foreground,
        };
        self.project.encode(device, encoder, projection, n, fitted.eigen.dim())?;
        let Patches { scores, foreground, colours, .. } = patches;
        let buffers = Buffers { scores, foreground, colours };
        let range = Range::Found(&fitted.ranges);
        self.colour.encode(device, encoder, buffers, n, range, options.background)?;
        self.upsample.encode(device, encoder, Slice::whole(colours), (rows, cols), options.filter, target)
    }

    fn reserve_fit(
        &mut self,
        device: &wgpu::Device,
        n: usize,
        dim: usize,
        options: &PipelineOptions,
    ) -> Result<(), ShaderError> {
        let k = options.vectors();
        match &mut self.fitted {
            Some(fitted) if fitted.eigen.dim() == dim && fitted.eigen.k() == k => {
                if fitted.covariance.rows() < n {
                    fitted.covariance = CovarianceBuffers::new(device, n, dim)?;
                }
            }
            fitted => {
                *fitted = Some(Fitted {
                    covariance: CovarianceBuffers::new(device, n, dim)?,
                    eigen: EigenBuffers::new(device, dim, k)?,
                    ranges: ranges_buffer(device)?,
                    warm: false,
                });
            }
        }
        Ok(())
    }

    fn reserve(&mut self, device: &wgpu::Device, n: usize) -> Result<(), ShaderError> {
        if self.patches.as_ref().is_none_or(|patches| patches.rows < n) {
            self.patches = Some(Patches::new(device, n)?);
        }
        Ok(())
    }
}

/// The CPU twin of [`Pipeline`], and what runs where there is no GPU.
#[derive(Clone, Debug, Default)]
pub struct PipelineCpu {
    dim: usize,
    mean: Vec<f32>,
    /// `[vectors, dim]`; empty before the first fit.
    components: Vec<f32>,
    ranges: Ranges,
}

impl PipelineCpu {
    /// The range of the colours of the last fit.
    pub fn ranges(&self) -> Ranges {
        self.ranges
    }

    /// Components `[vectors, dim]` of the last fit, empty before the first.
    pub fn components(&self) -> &[f32] {
        &self.components
    }

    /// See [`Pipeline::fit`].
    pub fn fit(
        &mut self,
        features: &[f32],
        weights: Option<&[f32]>,
        dim: usize,
        options: &PipelineOptions,
    ) -> Result<(), ShaderError> {
        let n = features.len() / dim.max(1);
        common::check_some(PROGRAM, "features", n * dim)?;
        common::check_len(PROGRAM, "features", features.len(), n * dim)?;
        common::check_len(PROGRAM, "weights", weights.map_or(n, <[f32]>::len), n)?;
        let length = options.vectors() * dim;
        let warm = self.dim == dim && self.components.len() == length;
        if !warm {
            *self = Self { dim, components: vec![0.0; length], ..Self::default() };
        }
        let fit = covariance_cpu(features, dim, weights);
        let iterations = options.iterations * if warm { 1 } else { COLD };
        self.components =
            eigenvectors_cpu(&fit.covariance, dim, &self.components, iterations, options.follow).components;
        self.mean = fit.mean;
        let scores = project_cpu(features, dim, &self.mean, &self.components);
        let all = vec![1.0; n];
        self.ranges = ranges_cpu(&scores, 3, weights.unwrap_or(&all), &options.range, Some(&self.ranges));
        Ok(())
    }

    /// `[height, width]` packed colours; see [`Pipeline::draw`].
    pub fn draw(
        &self,
        features: &[f32],
        weights: Option<&[f32]>,
        (rows, cols): (usize, usize),
        size: (usize, usize),
        options: &PipelineOptions,
    ) -> Result<Vec<u32>, ShaderError> {
        if self.components.is_empty() {
            return Err(ShaderError::Length { program: PROGRAM, what: "fits", found: 0, expected: 1 });
        }
        let n = rows * cols;
        common::check_len(PROGRAM, "features", features.len(), n * self.dim)?;
        common::check_len(PROGRAM, "weights", weights.map_or(n, <[f32]>::len), n)?;
        let scores = project_cpu(features, self.dim, &self.mean, &self.components);
        let all = vec![1.0; n];
        let colours = pca_colour_cpu(&scores, self.ranges.range, weights.unwrap_or(&all), options.background);
        upsample_cpu(&colours, (rows, cols), size, options.filter)
    }
}
