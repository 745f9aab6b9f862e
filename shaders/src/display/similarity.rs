//! Which patches look alike to the model: DINOv2, figure 10, as a map for one patch.

use super::common::{
    BindingKind, CommandRecorder, StorageSlice, WgslProgram, for_chunks, groups, uniform, usable,
};
use crate::ShaderError;

const PROGRAM: &str = "similarity";
/// A squared length below this is zero.
const SHORT: f64 = 1e-36;

/// Cosine similarity of each of `[q, dim]` queries to each of `[n, dim]` features: `[q, n]` in -1..1.
///
/// What has no length (below 10⁻¹⁸) is similar to nothing: 0. Where the query or the row has a number that
/// is not finite or reaches 2⁵⁰, the result is NaN.
pub fn similarity_cpu(features: &[f32], dim: usize, queries: &[f32]) -> Vec<f32> {
    let n = features.len() / dim.max(1);
    let measure = |row: &[f32]| {
        let square = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
        if row.iter().all(|v| usable(*v)) { square } else { f64::NAN }
    };
    let mut out = vec![0.0; queries.len() / dim.max(1) * n];
    for (query, out) in queries.chunks_exact(dim.max(1)).zip(out.chunks_exact_mut(n.max(1))) {
        let length = measure(query);
        for_chunks(out, 64, |chunk, out| {
            for (row, out) in features[chunk * 64 * dim..].chunks_exact(dim).zip(out) {
                let square = measure(row);
                *out = if square.is_nan() || length.is_nan() {
                    f32::NAN
                } else if square < SHORT || length < SHORT {
                    0.0
                } else {
                    let product: f64 =
                        row.iter().zip(query).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                    (product / (square.sqrt() * length.sqrt())).clamp(-1.0, 1.0) as f32
                };
            }
        });
    }
    out
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct SimilarityParams {
    count: u32,
    dim: u32,
    row: u32,
    features: u32,
    queries: u32,
    padding: [u32; 3],
}

/// The GPU program; see [`similarity_cpu`] for what it computes.
#[derive(Debug)]
pub struct SimilarityProgram {
    program: WgslProgram,
}

impl SimilarityProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        use BindingKind::{Read, Uniform, Write};
        let source = wgpu::include_wgsl!("../../wgsl/similarity.wgsl");
        Self { program: WgslProgram::new(device, PROGRAM, source, &[Uniform, Read, Read, Write], &["main"]) }
    }

    /// Records the similarity of `n` features to `queries.1` queries.
    ///
    /// - `features`: `[n, dim]`.
    /// - `queries`: `[q, dim]`; patch `i` of a picture is `features.words(i * dim, dim)`.
    /// - `similarity`: `[q, n]` f32, or longer; written.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        features: StorageSlice<'_>,
        (n, dim): (usize, usize),
        (queries, q): (StorageSlice<'_>, usize),
        similarity: &wgpu::Buffer,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        let (features, skip) = features.bind(device, PROGRAM, "features", n * dim)?;
        let (queries, skip_queries) = queries.bind(device, PROGRAM, "queries", q * dim)?;
        let (similarity, _) = StorageSlice::whole(similarity).bind(device, PROGRAM, "similarity", q * n)?;
        let (groups, row) = groups(device, PROGRAM, n, 8)?;
        let side = device.limits().max_compute_workgroups_per_dimension;
        if q as u64 > u64::from(side) {
            let (needed, allowed) = ("a layer of workgroups for each query".to_owned(), side.to_string());
            return Err(ShaderError::TooLarge { program: PROGRAM, count: q, needed, allowed });
        }
        let parameters = SimilarityParams {
            count: n as u32,
            dim: dim as u32,
            row,
            features: skip,
            queries: skip_queries,
            padding: [0; 3],
        };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        let group = self.program.bind(device, &[uniform.as_entire_binding(), features, queries, similarity]);
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, "main", &group, (groups.0, groups.1, q as u32));
        Ok(())
    }
}
