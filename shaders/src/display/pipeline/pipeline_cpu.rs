//! The CPU twin of the pipeline.

use crate::display::common::{check_len, check_some};
use crate::display::covariance::{Covariance, covariance_cpu};
use crate::display::eigenvectors::eigenvectors_cpu;
use crate::display::pipeline::{COLD, FIRST, FeatureBatchShape, PcaPipelineOptions};
use crate::display::project::project_cpu;
use crate::display::ranges::{ColourRangeEstimate, ranges_cpu};
use crate::display::split::{ForegroundSplit, split_cpu};
use crate::display::upsample::upsample_cpu;
use crate::{ShaderError, pca_colour_cpu};

const PROGRAM: &str = "pipeline";

/// Components through a mean, and what to start the next ones from.
#[derive(Clone, Debug, Default)]
struct CpuPcaAxes {
    mean: Vec<f32>,
    /// `[vectors, dim]`; empty before the first fit.
    components: Vec<f32>,
}

impl CpuPcaAxes {
    fn fit(&mut self, fit: Covariance, vectors: usize, iterations: usize, follow: bool) {
        let length = vectors * fit.mean.len();
        let warm = self.components.len() == length;
        if !warm {
            self.components = vec![0.0; length];
        }
        let iterations = iterations * if warm { 1 } else { COLD };
        let found = eigenvectors_cpu(&fit.covariance, fit.mean.len(), &self.components, iterations, follow);
        (self.mean, self.components) = (fit.mean, found.components);
    }

    fn scores(&self, features: &[f32]) -> Vec<f32> {
        project_cpu(features, self.mean.len(), &self.mean, &self.components)
    }
}

/// The CPU twin of [`crate::display::PcaPipeline`], and what runs where there is no GPU.
#[derive(Clone, Debug, Default)]
pub struct CpuPcaPipeline {
    dim: usize,
    first: CpuPcaAxes,
    axes: CpuPcaAxes,
    split: Option<ForegroundSplit>,
    /// Whether the last fit made use of the split.
    divided: bool,
    ranges: ColourRangeEstimate,
}

impl CpuPcaPipeline {
    /// The range of the colours of the last fit.
    pub fn ranges(&self) -> ColourRangeEstimate {
        self.ranges
    }

    /// Components `[vectors, dim]` of the last fit, empty before the first.
    pub fn components(&self) -> &[f32] {
        &self.axes.components
    }

    /// What the last fit with a split decided.
    pub fn split(&self) -> Option<&ForegroundSplit> {
        self.split.as_ref().filter(|_| self.divided)
    }

    /// See [`crate::display::PcaPipeline::fit`].
    pub fn fit(
        &mut self,
        features: &[f32],
        weights: Option<&[f32]>,
        shape: FeatureBatchShape,
        options: &PcaPipelineOptions,
    ) -> Result<(), ShaderError> {
        let (n, dim) = (shape.patches(), shape.dim);
        check_some(PROGRAM, "features", n * dim)?;
        check(features, weights, n, dim)?;
        if self.dim != dim || self.axes.components.len() != options.vectors() * dim {
            *self = Self { dim, ..Self::default() };
        }
        let all = vec![1.0; n];
        let mut foreground = weights.unwrap_or(&all).to_vec();
        self.divided = options.foreground;
        if options.foreground {
            self.first.fit(covariance_cpu(features, dim, weights), FIRST, options.iterations, false);
            let scores = self.first.scores(features);
            let component = &self.first.components[..dim];
            let split = split_cpu(&scores, weights, (shape.rows, shape.cols), component, self.split.as_ref());
            foreground = split.foreground(&scores, weights);
            self.split = Some(split);
        }
        let fit = covariance_cpu(features, dim, Some(&foreground));
        self.axes.fit(fit, options.vectors(), options.iterations, options.follow);
        let scores = self.axes.scores(features);
        self.ranges = ranges_cpu(&scores, 3, &foreground, &options.range, Some(&self.ranges));
        Ok(())
    }

    /// `[height, width]` packed colours; see [`crate::display::PcaPipeline::draw`].
    pub fn draw(
        &self,
        features: &[f32],
        weights: Option<&[f32]>,
        (rows, cols): (usize, usize),
        size: (usize, usize),
        options: &PcaPipelineOptions,
    ) -> Result<Vec<u32>, ShaderError> {
        if self.axes.components.is_empty() {
            return Err(ShaderError::Length { program: PROGRAM, what: "fits", found: 0, expected: 1 });
        }
        let n = rows * cols;
        check(features, weights, n, self.dim)?;
        let all = vec![1.0; n];
        let foreground = match self.split() {
            Some(split) => split.foreground(&self.first.scores(features), weights),
            None => weights.unwrap_or(&all).to_vec(),
        };
        let scores = self.axes.scores(features);
        let colours = pca_colour_cpu(&scores, self.ranges.range, &foreground, options.background);
        upsample_cpu(&colours, (rows, cols), size, options.filter)
    }
}

fn check(features: &[f32], weights: Option<&[f32]>, n: usize, dim: usize) -> Result<(), ShaderError> {
    check_len(PROGRAM, "features", features.len(), n * dim)?;
    check_len(PROGRAM, "weights", weights.map_or(n, <[f32]>::len), n)
}
