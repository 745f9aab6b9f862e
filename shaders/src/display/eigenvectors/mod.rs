//! The leading eigenvectors of a covariance, on the device and from where the last picture left off.
//!
//! Source: DINOv2, figures 1 and 9, shows principal components; subspace iteration with a
//! Rayleigh–Ritz step is the textbook method (Golub and Van Loan, section 8.2).

pub(super) mod eigen_cpu;

use super::common::{BindingKind, CommandRecorder, StorageSlice, WgslProgram, storage, uniform};
use crate::ShaderError;
pub use eigen_cpu::eigenvectors_cpu;

const PROGRAM: &str = "eigenvectors";
/// Vectors that the program can carry.
pub const VECTORS: usize = 8;

/// What [`eigenvectors_cpu`] computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Eigenvectors {
    /// `[k, dim]`, each of length 1 or zero.
    pub components: Vec<f32>,
    /// `[k]`, of the same order.
    pub values: Vec<f32>,
    /// The sum of all eigenvalues: what a value is a share of.
    pub trace: f32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct EigenParams {
    dim: u32,
    k: u32,
    follow: u32,
    padding: u32,
}

/// What the GPU program needs between its steps for vectors of `dim` numbers, and its results.
#[derive(Debug)]
pub struct EigenBuffers {
    dim: usize,
    k: usize,
    basis: wgpu::Buffer,
    image: wgpu::Buffer,
    scale: wgpu::Buffer,
    /// `[k, dim]`: the vectors to start from, then those found. All zero at first, which says nothing.
    pub components: wgpu::Buffer,
    /// `[9]`: the eigenvalues, zero behind the last, and their whole sum.
    pub values: wgpu::Buffer,
}

impl EigenBuffers {
    /// For `k` vectors of `dim` numbers; fails when `k` is not 1 to 8 or the device can't hold so much.
    pub fn new(device: &wgpu::Device, dim: usize, k: usize) -> Result<Self, ShaderError> {
        if !(1..=VECTORS).contains(&k) {
            return Err(ShaderError::Length {
                program: PROGRAM,
                what: "components",
                found: k,
                expected: k.clamp(1, VECTORS),
            });
        }
        Ok(Self {
            dim,
            k,
            basis: storage(device, PROGRAM, "basis", VECTORS * dim)?,
            image: storage(device, PROGRAM, "image", VECTORS * dim)?,
            scale: storage(device, PROGRAM, "scale", 2)?,
            components: storage(device, PROGRAM, "components", k * dim)?,
            values: storage(device, PROGRAM, "eigenvalues", VECTORS + 1)?,
        })
    }

    /// How many vectors are found.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Numbers in a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }
}

/// The GPU program; see [`eigenvectors_cpu`] for what it computes.
#[derive(Debug)]
pub struct EigenProgram {
    program: WgslProgram,
}

impl EigenProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        use BindingKind::{Read, Uniform, Write};
        let source = wgpu::include_wgsl!("../../../wgsl/eigenvectors.wgsl");
        let bindings = [Uniform, Read, Write, Write, Write, Write, Write];
        let entries = ["begin", "multiply", "orthonormalise", "ritz"];
        Self { program: WgslProgram::new(device, PROGRAM, source, &bindings, &entries) }
    }

    /// Records the eigenvectors of a `[dim, dim]` matrix.
    ///
    /// `dim` and the number of vectors are those of the buffers, whose `components` are the start.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        covariance: &wgpu::Buffer,
        iterations: usize,
        follow: bool,
        buffers: &EigenBuffers,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        let EigenBuffers { dim, k, .. } = *buffers;
        let side = device.limits().max_compute_workgroups_per_dimension;
        if dim as u64 > u64::from(side) {
            let (needed, allowed) = ("a workgroup for each".to_owned(), format!("{side} a side"));
            return Err(ShaderError::TooLarge { program: PROGRAM, count: dim, needed, allowed });
        }
        let whole = StorageSlice::whole(covariance);
        let (covariance, _) = whole.bind(device, PROGRAM, "covariance", dim * dim)?;
        let parameters = EigenParams { dim: dim as u32, k: k as u32, follow: follow.into(), padding: 0 };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        let mut resources = vec![uniform.as_entire_binding(), covariance];
        let written = [&buffers.components, &buffers.basis, &buffers.image, &buffers.values, &buffers.scale];
        resources.extend(written.map(|buffer| buffer.as_entire_binding()));
        let group = self.program.bind(device, &resources);
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, "begin", &group, (1, 1, 1));
        for _ in 0..iterations {
            self.program.dispatch(&mut pass, "multiply", &group, (dim as u32, 1, 1));
            self.program.dispatch(&mut pass, "orthonormalise", &group, (1, 1, 1));
        }
        self.program.dispatch(&mut pass, "multiply", &group, (dim as u32, 1, 1));
        self.program.dispatch(&mut pass, "ritz", &group, (1, 1, 1));
        Ok(())
    }
}
