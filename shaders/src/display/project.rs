//! Features on the axes of colour, before they are stretched.

use super::common::{BindingKind, CommandRecorder, StorageSlice, WgslProgram, groups, uniform, usable};
use crate::ShaderError;

const PROGRAM: &str = "project";

/// `[n, 3]` scores of `[n, dim]` features along the first three of `[k, dim]` components through `mean`, `[dim]`.
///
/// A row with a number that is not finite or reaches 2⁵⁰ has NaN scores, which are coloured black;
/// where there are fewer than three components the other scores are 0.
pub fn project_cpu(features: &[f32], dim: usize, mean: &[f32], components: &[f32]) -> Vec<f32> {
    let row = |row: &[f32]| -> [f32; 3] {
        if !row.iter().all(|v| usable(*v)) {
            return [f32::NAN; 3];
        }
        let mut sums = [0f64; 3];
        for (component, sum) in components.chunks_exact(dim.max(1)).zip(&mut sums) {
            *sum =
                row.iter().zip(mean).zip(component).map(|((v, m), c)| f64::from(v - m) * f64::from(*c)).sum();
        }
        sums.map(|s| s as f32)
    };
    features.chunks_exact(dim.max(1)).flat_map(row).collect()
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ProjectionParams {
    count: u32,
    dim: u32,
    k: u32,
    row: u32,
    features: u32,
    weights: u32,
    use_weights: u32,
    padding: u32,
}

/// What the GPU program reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionBuffers<'a> {
    /// `[n, dim]` f32.
    pub features: StorageSlice<'a>,
    /// `[n]` f32, copied to `foreground`; ones where there are none.
    pub weights: Option<StorageSlice<'a>>,
    /// `[dim]` f32, or longer.
    pub mean: &'a wgpu::Buffer,
    /// `[k, dim]` f32.
    pub components: &'a wgpu::Buffer,
    /// `[n, 3]` f32, or longer; written.
    pub scores: &'a wgpu::Buffer,
    /// `[n]` f32, or longer; written.
    pub foreground: &'a wgpu::Buffer,
}

/// The GPU program; see [`project_cpu`] for what it computes.
#[derive(Debug)]
pub struct ProjectionProgram {
    program: WgslProgram,
}

impl ProjectionProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        use BindingKind::{Read, Uniform, Write};
        let source = wgpu::include_wgsl!("../../wgsl/project.wgsl");
        let bindings = [Uniform, Read, Read, Read, Read, Write, Write];
        Self { program: WgslProgram::new(device, PROGRAM, source, &bindings, &["main"]) }
    }

    /// Records the projection of `n` rows.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        buffers: ProjectionBuffers<'_>,
        n: usize,
        dim: usize,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        let (features, skip) = buffers.features.bind(device, PROGRAM, "features", n * dim)?;
        let (weights, skip_weights, use_weights) = match buffers.weights {
            Some(weights) => {
                let (binding, skip) = weights.bind(device, PROGRAM, "weights", n)?;
                (binding, skip, 1)
            }
            None => (features.clone(), 0, 0),
        };
        let whole = |buffer, what, words| {
            StorageSlice::whole(buffer).bind(device, PROGRAM, what, words).map(|(binding, _)| binding)
        };
        let k = (buffers.components.size() / 4) as usize / dim.max(1);
        let (groups, row) = groups(device, PROGRAM, n, 8)?;
        let parameters = ProjectionParams {
            count: n as u32,
            dim: dim as u32,
            k: k as u32,
            row,
            features: skip,
            weights: skip_weights,
            use_weights,
            padding: 0,
        };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        let group = self.program.bind(
            device,
            &[
                uniform.as_entire_binding(),
                features,
                weights,
                whole(buffers.mean, "mean", dim)?,
                whole(buffers.components, "components", k.max(1) * dim)?,
                whole(buffers.scores, "scores", n * 3)?,
                whole(buffers.foreground, "foreground", n)?,
            ],
        );
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, "main", &group, groups);
        Ok(())
    }
}
