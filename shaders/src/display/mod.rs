//! From features on a device to a picture that an interface can draw, with no way back over the CPU.
//!
//! The programs run through wgpu on a device and on buffers that the caller gives, for instance those of
//! tensors: [`StorageSlice`] names them. Each records into an encoder of the caller, so that a whole chain
//! is one submission; [`PcaPipeline`] is the chain from features to a texture of principal components.
//!
//! Source: DINOv2, figures 1, 9 and 10.

pub mod check;
pub mod colour_map;
pub(crate) mod common;
pub mod covariance;
pub mod eigenvectors;
pub mod overlay;
pub mod pca_colour;
pub mod pipeline;
pub mod project;
pub mod ranges;
pub mod similarity;
pub mod split;
pub mod upsample;

pub use check::bench;
use pipeline::pipeline_cpu;

pub use colour_map::{ColourMap, ColourMapProgram, colour_map_cpu};
pub use common::{ColourRangeSource, CommandRecorder, FORMAT, StorageSlice, texture};
pub use covariance::{Covariance, CovarianceBuffers, CovarianceProgram, covariance_cpu};
pub use eigenvectors::{EigenBuffers, EigenProgram, Eigenvectors, eigenvectors_cpu};
pub use overlay::{OverlayOptions, OverlayProgram, overlay_cpu};
pub use pipeline::{FeatureBatchShape, PcaPipeline, PcaPipelineOptions};
pub use pipeline_cpu::CpuPcaPipeline;
pub use project::{ProjectionBuffers, ProjectionProgram, project_cpu};
pub use ranges::{ColourRangeEstimate, ColourRangeOptions, ColourRangeProgram, ranges_cpu};
pub use similarity::{SimilarityProgram, similarity_cpu};
pub use split::{ForegroundSplit, ForegroundSplitProgram, split_cpu};
pub use upsample::{UpsampleFilter, UpsampleInput, UpsampleProgram, upsample_cpu, upsample_scalars_cpu};
