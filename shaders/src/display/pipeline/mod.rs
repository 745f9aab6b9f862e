//! Features to a picture of their principal components: the programs one after another.
//!
//! Source: DINOv2, figures 1 and 9: three components become red, green and blue.

pub(super) mod pipeline_cpu;

use super::ColourRangeSource;
use super::common::{CommandRecorder, StorageSlice, check_some, storage};
use super::covariance::{CovarianceBuffers, CovarianceProgram};
use super::eigenvectors::{EigenBuffers, EigenProgram};
use super::pca_colour::PcaColourBuffers;
use super::project::{ProjectionBuffers, ProjectionProgram};
use super::ranges::{ColourRangeOptions, ColourRangeProgram, ranges_buffer};
use super::split::{ForegroundSplitBuffers, ForegroundSplitProgram, split_buffer};
use super::upsample::{UpsampleFilter, UpsampleInput, UpsampleProgram};
use crate::{BackgroundMode, PcaColourProgram, ShaderError};

const PROGRAM: &str = "pipeline";
/// A fit from nothing takes so many times the iterations of one that goes on from the last.
pub(crate) const COLD: usize = 3;
/// Eigenvectors carried for the first component alone.
pub(crate) const FIRST: usize = 4;

/// `[pictures, rows * cols, dim]`: features of equally large pictures one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureBatchShape {
    /// Pictures.
    pub pictures: usize,
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub cols: usize,
    /// Numbers per patch.
    pub dim: usize,
}

impl FeatureBatchShape {
    /// Patches of all pictures.
    pub fn patches(self) -> usize {
        self.pictures * self.rows * self.cols
    }
}

/// How features become colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PcaPipelineOptions {
    /// Split foreground from background with a first component; otherwise every patch is foreground.
    pub foreground: bool,
    /// Eigenvectors carried, 3 to 8. Those beyond three make the three exact sooner.
    pub vectors: usize,
    /// Products with the covariance in a fit that goes on from the last one; the first takes three times as many.
    pub iterations: usize,
    /// Components keep the order and signs of those in the fit before.
    pub follow: bool,
    /// How scores become colours.
    pub range: ColourRangeOptions,
    /// What becomes of patches that are background.
    pub background: BackgroundMode,
    /// How patches become pixels.
    pub filter: UpsampleFilter,
}

impl Default for PcaPipelineOptions {
    fn default() -> Self {
        Self {
            foreground: true,
            vectors: 8,
            iterations: 12,
            follow: true,
            range: ColourRangeOptions { smoothing: 0.7, ..ColourRangeOptions::default() },
            background: BackgroundMode::Black,
            filter: UpsampleFilter::Bicubic,
        }
    }
}

impl PcaPipelineOptions {
    pub(crate) fn vectors(&self) -> usize {
        self.vectors.clamp(3, super::eigenvectors::VECTORS)
    }
}

/// Features to look at, and which of them count.
#[derive(Clone, Copy, Debug)]
struct PcaPipelineInput<'a> {
    features: StorageSlice<'a>,
    weights: Option<StorageSlice<'a>>,
    n: usize,
}

/// Components through a mean.
#[derive(Debug)]
struct GpuPcaAxes {
    mean: wgpu::Buffer,
    eigen: EigenBuffers,
    /// Whether a fit was recorded since the components were zero.
    warm: bool,
}

impl GpuPcaAxes {
    fn new(device: &wgpu::Device, dim: usize, vectors: usize) -> Result<Self, ShaderError> {
        let mean = storage(device, PROGRAM, "mean", dim + 1)?;
        Ok(Self { mean, eigen: EigenBuffers::new(device, dim, vectors)?, warm: false })
    }
}

/// What belongs to one dimension of features.
#[derive(Debug)]
struct PcaFitBuffers {
    covariance: CovarianceBuffers,
    first: GpuPcaAxes,
    axes: GpuPcaAxes,
    split: wgpu::Buffer,
    /// Whether the last fit made use of the split.
    divided: bool,
    ranges: wgpu::Buffer,
}

/// What belongs to a number of patches.
#[derive(Debug)]
struct PcaPatchBuffers {
    rows: usize,
    scores: wgpu::Buffer,
    foreground: wgpu::Buffer,
    /// Foreground as the split has it.
    side: wgpu::Buffer,
    colours: wgpu::Buffer,
}

impl PcaPatchBuffers {
    fn new(device: &wgpu::Device, rows: usize) -> Result<Self, ShaderError> {
        Ok(Self {
            rows,
            scores: storage(device, PROGRAM, "scores", rows * 3)?,
            foreground: storage(device, PROGRAM, "foreground", rows)?,
            side: storage(device, PROGRAM, "side of the split", rows)?,
            colours: storage(device, PROGRAM, "colours", rows)?,
        })
    }
}

/// Programs and buffers from features to a texture; [`super::CpuPcaPipeline`] defines what they compute.
///
/// A fit learns the axes of colour from features and their weights, and goes on from the fit before so
/// that colours stay where they are; a drawing colours one picture. Everything is recorded into the
/// caller's encoder and nothing comes back from the device.
#[derive(Debug)]
pub struct PcaPipeline {
    covariance: CovarianceProgram,
    eigenvectors: EigenProgram,
    project: ProjectionProgram,
    split: ForegroundSplitProgram,
    ranges: ColourRangeProgram,
    colour: PcaColourProgram,
    upsample: UpsampleProgram,
    fitted: Option<PcaFitBuffers>,
    patches: Option<PcaPatchBuffers>,
}

impl PcaPipeline {
    /// Compiles the programs for a device. Keep it: compiling is slow, and fits follow each other.
    pub fn new(device: &wgpu::Device) -> Self {
        Self {
            covariance: CovarianceProgram::new(device),
            eigenvectors: EigenProgram::new(device),
            project: ProjectionProgram::new(device),
            split: ForegroundSplitProgram::new(device),
            ranges: ColourRangeProgram::new(device),
            colour: PcaColourProgram::new(device),
            upsample: UpsampleProgram::new(device),
            fitted: None,
            patches: None,
        }
    }

    /// Forgets the fit, so that the next one starts from nothing.
    pub fn forget(&mut self) {
        self.fitted = None;
    }

    /// The ranges of the colours of the last fit, for [`ColourRangeSource::Found`] and for legends.
    pub fn ranges(&self) -> Option<&wgpu::Buffer> {
        self.fitted.as_ref().map(|fitted| &fitted.ranges)
    }

    /// Components `[vectors, dim]` and eigenvalues `[9]` of the last fit; see [`EigenBuffers`].
    pub fn eigen(&self) -> Option<&EigenBuffers> {
        self.fitted.as_ref().map(|fitted| &fitted.axes.eigen)
    }

    /// Records a fit to features.
    ///
    /// - `features`: [`FeatureBatchShape`], f32.
    /// - `weights`: a number for each patch; below 0.5 it has no part in the fit and is background. All
    ///   patches have a part without them.
    ///
    /// Fails on no features and on more than the device can bind.
    pub fn fit(
        &mut self,
        recorder: &mut CommandRecorder<'_>,
        features: StorageSlice<'_>,
        weights: Option<StorageSlice<'_>>,
        shape: FeatureBatchShape,
        options: &PcaPipelineOptions,
    ) -> Result<(), ShaderError> {
        let (n, dim) = (shape.patches(), shape.dim);
        check_some(PROGRAM, "features", n * dim)?;
        self.reserve_fit(recorder.device, n, dim, options)?;
        self.reserve(recorder.device, n)?;
        let (Some(mut fitted), Some(patches)) = (self.fitted.take(), self.patches.take()) else {
            return Ok(());
        };
        let input = PcaPipelineInput { features, weights, n };
        let recorded = self.record_fit(recorder, input, shape, options, &mut fitted, &patches);
        (self.fitted, self.patches) = (Some(fitted), Some(patches));
        recorded
    }

    fn record_fit<'a>(
        &self,
        recorder: &mut CommandRecorder<'_>,
        mut input: PcaPipelineInput<'a>,
        shape: FeatureBatchShape,
        options: &PcaPipelineOptions,
        fitted: &mut PcaFitBuffers,
        patches: &'a PcaPatchBuffers,
    ) -> Result<(), ShaderError> {
        fitted.divided = options.foreground;
        let iterations = options.iterations;
        if options.foreground {
            self.axes(recorder, input, &fitted.covariance, &mut fitted.first, iterations, false)?;
            self.side(recorder, input, (shape.rows, shape.cols), fitted, patches, true)?;
            input.weights = Some(StorageSlice::whole(&patches.side));
        }
        self.axes(recorder, input, &fitted.covariance, &mut fitted.axes, iterations, options.follow)?;
        self.scores(recorder, input, &fitted.axes, patches)?;
        let (scores, foreground) =
            (StorageSlice::whole(&patches.scores), StorageSlice::whole(&patches.foreground));
        self.ranges.encode(recorder, scores, Some(foreground), (input.n, 3), &options.range, &fitted.ranges)
    }

    /// Records the picture of `[rows * cols, dim]` features in the colours of the last fit, with `dim` as there.
    ///
    /// - `weights`: `[rows * cols]`; patches below 0.5 are background.
    ///
    /// `target` is filled; it has the format [`super::FORMAT`] and usage `STORAGE_BINDING`. Fails when
    /// there was no fit.
    pub fn draw(
        &mut self,
        recorder: &mut CommandRecorder<'_>,
        features: StorageSlice<'_>,
        weights: Option<StorageSlice<'_>>,
        shape: (usize, usize),
        options: &PcaPipelineOptions,
        target: &wgpu::Texture,
    ) -> Result<(), ShaderError> {
        let n = shape.0 * shape.1;
        self.reserve(recorder.device, n)?;
        let (Some(fitted), Some(patches)) = (&self.fitted, &self.patches) else {
            return Err(ShaderError::Length { program: PROGRAM, what: "fits", found: 0, expected: 1 });
        };
        let mut input = PcaPipelineInput { features, weights, n };
        if fitted.divided {
            self.side(recorder, input, shape, fitted, patches, false)?;
            input.weights = Some(StorageSlice::whole(&patches.side));
        }
        self.scores(recorder, input, &fitted.axes, patches)?;
        let PcaPatchBuffers { scores, foreground, colours, .. } = patches;
        let buffers = PcaColourBuffers { scores, foreground, colours };
        let range = ColourRangeSource::Found(&fitted.ranges);
        self.colour.encode(recorder.device, recorder.encoder, buffers, n, range, options.background)?;
        let grid = UpsampleInput { patches: StorageSlice::whole(colours), shape, filter: options.filter };
        self.upsample.encode(recorder, grid, target)
    }

    /// Components and mean of the features that count.
    fn axes(
        &self,
        recorder: &mut CommandRecorder<'_>,
        input: PcaPipelineInput<'_>,
        buffers: &CovarianceBuffers,
        axes: &mut GpuPcaAxes,
        iterations: usize,
        follow: bool,
    ) -> Result<(), ShaderError> {
        self.covariance.encode(recorder, input.features, input.weights, input.n, buffers)?;
        // The buffers serve several axes.
        recorder.encoder.copy_buffer_to_buffer(&buffers.mean, 0, &axes.mean, 0, axes.mean.size());
        let iterations = iterations * if axes.warm { 1 } else { COLD };
        self.eigenvectors.encode(recorder, &buffers.covariance, iterations, follow, &axes.eigen)?;
        axes.warm = true;
        Ok(())
    }

    fn scores(
        &self,
        recorder: &mut CommandRecorder<'_>,
        input: PcaPipelineInput<'_>,
        axes: &GpuPcaAxes,
        patches: &PcaPatchBuffers,
    ) -> Result<(), ShaderError> {
        let projection = ProjectionBuffers {
            features: input.features,
            weights: input.weights,
            mean: &axes.mean,
            components: &axes.eigen.components,
            scores: &patches.scores,
            foreground: &patches.foreground,
        };
        self.project.encode(recorder, projection, input.n, axes.eigen.dim())
    }

    /// Which side of the first component each patch is on, decided anew if `decide`.
    fn side(
        &self,
        recorder: &mut CommandRecorder<'_>,
        input: PcaPipelineInput<'_>,
        grid: (usize, usize),
        fitted: &PcaFitBuffers,
        patches: &PcaPatchBuffers,
        decide: bool,
    ) -> Result<(), ShaderError> {
        self.scores(recorder, input, &fitted.first, patches)?;
        let buffers = ForegroundSplitBuffers {
            scores: &patches.scores,
            weights: &patches.foreground,
            component: &fitted.first.eigen.components,
            state: &fitted.split,
            foreground: &patches.side,
        };
        self.split.encode(recorder, buffers, input.n, grid, fitted.first.eigen.dim(), decide)
    }

    fn reserve_fit(
        &mut self,
        device: &wgpu::Device,
        n: usize,
        dim: usize,
        options: &PcaPipelineOptions,
    ) -> Result<(), ShaderError> {
        let vectors = options.vectors();
        match &mut self.fitted {
            Some(PcaFitBuffers { axes: GpuPcaAxes { eigen, .. }, covariance, .. })
                if eigen.dim() == dim && eigen.k() == vectors =>
            {
                if covariance.rows() < n {
                    *covariance = CovarianceBuffers::new(device, n, dim)?;
                }
            }
            fitted => {
                *fitted = Some(PcaFitBuffers {
                    covariance: CovarianceBuffers::new(device, n, dim)?,
                    first: GpuPcaAxes::new(device, dim, FIRST)?,
                    axes: GpuPcaAxes::new(device, dim, vectors)?,
                    split: split_buffer(device, dim)?,
                    divided: false,
                    ranges: ranges_buffer(device)?,
                });
            }
        }
        Ok(())
    }

    fn reserve(&mut self, device: &wgpu::Device, n: usize) -> Result<(), ShaderError> {
        if self.patches.as_ref().is_none_or(|patches| patches.rows < n) {
            self.patches = Some(PcaPatchBuffers::new(device, n)?);
        }
        Ok(())
    }
}
