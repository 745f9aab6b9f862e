//! Mean and covariance of patch features: the first step to their principal components.

use super::common::{
    BindingKind, CommandRecorder, StorageSlice, WgslProgram, check_len, for_chunks, groups, storage, uniform,
    usable,
};
use crate::ShaderError;

const PROGRAM: &str = "covariance";
/// Columns in a tile of the WGSL file.
const SIDE: usize = 64;
/// Rows whose products are summed in 32 bits before the sums are joined.
const LONGEST: usize = 16_384;

/// What [`covariance_cpu`] computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Covariance {
    /// `[dim]`.
    pub mean: Vec<f32>,
    /// How many rows counted.
    pub count: usize,
    /// `[dim, dim]`, symmetric.
    pub covariance: Vec<f32>,
}

/// Which of the `[n, dim]` features count: no number that is not finite or reaches 2⁵⁰, and a weight of 0.5 or more.
pub(crate) fn counting(features: &[f32], dim: usize, weights: Option<&[f32]>) -> Vec<bool> {
    let good = |(i, row): (usize, &[f32])| {
        row.iter().all(|v| usable(*v))
            && weights.is_none_or(|w| w.get(i).is_some_and(|w| usable(*w) && *w >= 0.5))
    };
    features.chunks_exact(dim.max(1)).enumerate().map(good).collect()
}

/// Mean and covariance (divided by the number of rows) of `[n, dim]` features.
///
/// - `weights`: `[n]`, for instance 1 for foreground and 0 for background. Rows below 0.5 do not count,
///   nor do rows with a number that is not finite or reaches 2⁵⁰.
///
/// A column whose standard deviation is below 2⁻²⁰ of its mean is taken for constant: that much is
/// rounding. Where no row counts everything is zero.
pub fn covariance_cpu(features: &[f32], dim: usize, weights: Option<&[f32]>) -> Covariance {
    /// Rows that are multiplied at once.
    const BLOCK: usize = 2048;
    let counts = counting(features, dim, weights);
    let rows =
        || features.chunks_exact(dim.max(1)).zip(&counts).filter(|(_, counts)| **counts).map(|(row, _)| row);
    let count = rows().count();
    let per_row = 1.0 / count.max(1) as f64;
    let mut sums = vec![0f64; dim];
    for row in rows() {
        sums.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
    }
    let mean: Vec<f32> = sums.iter().map(|s| (s * per_row) as f32).collect();

    let mut total = vec![0f64; dim * dim];
    let mut product = vec![0f32; dim * dim];
    let mut block = Vec::with_capacity(BLOCK.min(count) * dim);
    for (i, row) in rows().enumerate() {
        block.extend(row.iter().zip(&mean).map(|(v, m)| v - m));
        if (i + 1).is_multiple_of(BLOCK) || i + 1 == count {
            gram(&block, dim, &mut product);
            for_chunks(&mut total, 1 << 14, |chunk, out| {
                out.iter_mut().zip(&product[chunk << 14..]).for_each(|(t, p)| *t += f64::from(*p));
            });
            block.clear();
        }
    }
    let constant: Vec<bool> = (0..dim)
        .map(|c| {
            let rounding = f64::from(mean[c]) / f64::from(1 << 20);
            total[c * dim + c] * per_row <= rounding * rounding
        })
        .collect();
    let covariance = (0..dim * dim)
        .map(|e| if constant[e / dim] || constant[e % dim] { 0.0 } else { (total[e] * per_row) as f32 })
        .collect();
    Covariance { mean, count, covariance }
}

/// `out = rowsᵀ · rows` for `[n, dim]` rows.
fn gram(rows: &[f32], dim: usize, out: &mut [f32]) {
    let n = rows.len() / dim;
    debug_assert_eq!(out.len(), dim * dim);
    #[cfg(not(target_family = "wasm"))]
    let parallelism = gemm::Parallelism::Rayon(0);
    #[cfg(target_family = "wasm")]
    let parallelism = gemm::Parallelism::None;
    let stride = dim as isize;
    let (to, from) = (out.as_mut_ptr(), rows.as_ptr());
    // SAFETY: `out` is `[dim, dim]` and `rows` `[n, dim]`, both row-major and of exactly that length.
    unsafe {
        gemm::gemm(
            dim,
            dim,
            n,
            to,
            1,
            stride,
            false,
            from,
            stride,
            1,
            from,
            1,
            stride,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct CovarianceParams {
    count: u32,
    dim: u32,
    features: u32,
    weights: u32,
    use_weights: u32,
    row: u32,
    chunks: u32,
    chunk: u32,
    splits: u32,
    split: u32,
    elements: u32,
    padding: u32,
}

/// How the work on `n` rows is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CovariancePlan {
    chunks: usize,
    splits: usize,
}

impl CovariancePlan {
    /// Enough workgroups for a large GPU, and sums in 32 bits that are not too long.
    fn new(n: usize, dim: usize) -> Self {
        let tiles = dim.div_ceil(SIDE) * (dim.div_ceil(SIDE) + 1) / 2;
        let splits = (512 / tiles.max(1)).max(n.div_ceil(LONGEST)).min(n.div_ceil(128)).clamp(1, 64);
        Self { chunks: n.div_ceil(64).clamp(1, 256), splits }
    }

    fn scratch(self, dim: usize) -> usize {
        (self.chunks * (dim + 1)).max(self.splits * dim * dim)
    }
}

/// What the GPU program needs between its steps, for up to `rows` rows of `dim` numbers, and its results.
#[derive(Debug)]
pub struct CovarianceBuffers {
    dim: usize,
    mask: wgpu::Buffer,
    partial: wgpu::Buffer,
    /// `[dim + 1]`: the mean, and behind it how many rows counted.
    pub mean: wgpu::Buffer,
    /// `[dim, dim]`.
    pub covariance: wgpu::Buffer,
}

impl CovarianceBuffers {
    /// Fails when the device can't hold so much.
    pub fn new(device: &wgpu::Device, rows: usize, dim: usize) -> Result<Self, ShaderError> {
        // Fewer rows never need more.
        let scratch = CovariancePlan::new(rows, dim).scratch(dim);
        Ok(Self {
            dim,
            mask: storage(device, PROGRAM, "rows that count", rows)?,
            partial: storage(device, PROGRAM, "partial sums", scratch)?,
            mean: storage(device, PROGRAM, "mean", dim + 1)?,
            covariance: storage(device, PROGRAM, "covariance", dim * dim)?,
        })
    }

    /// How many rows fit.
    pub fn rows(&self) -> usize {
        (self.mask.size() / 4) as usize
    }
}

/// The GPU program; see [`covariance_cpu`] for what it computes.
///
/// Sums are made in an order that depends on the shape alone: the same features give the same bits on
/// the same device.
#[derive(Debug)]
pub struct CovarianceProgram {
    program: WgslProgram,
}

impl CovarianceProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        use BindingKind::{Read, Uniform, Write};
        let source = wgpu::include_wgsl!("../../wgsl/covariance.wgsl");
        let bindings = [Uniform, Read, Read, Write, Write, Write, Write];
        let entries = ["usable", "sums", "mean_of_sums", "residuals", "refine", "outer", "reduce"];
        Self { program: WgslProgram::new(device, PROGRAM, source, &bindings, &entries) }
    }

    /// Records mean and covariance of `[n, dim]` features.
    ///
    /// `dim` is that of the buffers. Fails on no features and on more than the buffers are for.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        features: StorageSlice<'_>,
        weights: Option<StorageSlice<'_>>,
        n: usize,
        buffers: &CovarianceBuffers,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        let dim = buffers.dim;
        if n > buffers.rows() {
            return Err(ShaderError::Length {
                program: PROGRAM,
                what: "rows",
                found: n,
                expected: buffers.rows(),
            });
        }
        let (features, skip) = features.bind(device, PROGRAM, "features", n * dim)?;
        let (weights, skip_weights, use_weights) = match weights {
            Some(weights) => {
                let (binding, skip) = weights.bind(device, PROGRAM, "weights", n)?;
                (binding, skip, 1)
            }
            None => (features.clone(), 0, 0),
        };
        let plan = CovariancePlan::new(n, dim);
        let (usable, row) = groups(device, PROGRAM, n, 8)?;
        let (reduce, elements) = groups(device, PROGRAM, dim * dim, 64)?;
        let parameters = CovarianceParams {
            count: n as u32,
            dim: dim as u32,
            features: skip,
            weights: skip_weights,
            use_weights,
            row,
            chunks: plan.chunks as u32,
            chunk: n.div_ceil(plan.chunks) as u32,
            splits: plan.splits as u32,
            split: n.div_ceil(plan.splits) as u32,
            elements,
            padding: 0,
        };
        check_len(
            PROGRAM,
            "partial sums",
            plan.scratch(dim).min((buffers.partial.size() / 4) as usize),
            plan.scratch(dim),
        )?;
        let uniform = uniform(device, PROGRAM, &parameters)?;
        let group = self.program.bind(
            device,
            &[
                uniform.as_entire_binding(),
                features,
                weights,
                buffers.mask.as_entire_binding(),
                buffers.partial.as_entire_binding(),
                buffers.mean.as_entire_binding(),
                buffers.covariance.as_entire_binding(),
            ],
        );
        let columns = (dim as u32 + 1).div_ceil(64);
        let tiles = dim.div_ceil(SIDE) as u32;
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, "usable", &group, usable);
        for (sum, join) in [("sums", "mean_of_sums"), ("residuals", "refine")] {
            self.program.dispatch(&mut pass, sum, &group, (columns, plan.chunks as u32, 1));
            self.program.dispatch(&mut pass, join, &group, (columns, 1, 1));
        }
        self.program.dispatch(&mut pass, "outer", &group, (tiles, tiles, plan.splits as u32));
        self.program.dispatch(&mut pass, "reduce", &group, reduce);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covariance_by_hand() {
        let nan = f32::NAN;
        // Rows (0, 1), (2, 5), (4, 3) count: not the one with a NaN, nor the one without weight.
        let features = [0.0, 1.0, nan, 0.0, 2.0, 5.0, 100.0, 100.0, 4.0, 3.0];
        let found = covariance_cpu(&features, 2, Some(&[1.0, 1.0, 1.0, 0.4, 0.5]));
        assert_eq!((found.count, &found.mean[..]), (3, &[2.0, 3.0][..]));
        let expected = [8.0 / 3.0, 4.0 / 3.0, 4.0 / 3.0, 8.0 / 3.0];
        assert!(found.covariance.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        let none = covariance_cpu(&features, 2, Some(&[nan; 5]));
        assert_eq!(none, Covariance { mean: vec![0.0; 2], count: 0, covariance: vec![0.0; 4] });
    }

    #[test]
    fn rounding_of_a_mean_is_no_variance() {
        // The first column differs in its last bit, the second one really.
        let features: Vec<f32> =
            (0..200).flat_map(|i| [1e6 + 0.0625 * (i % 2) as f32, 1e6 + 10.0 * (i % 2) as f32]).collect();
        let found = covariance_cpu(&features, 2, None);
        assert_eq!((found.covariance[0], found.covariance[1]), (0.0, 0.0));
        assert!((found.covariance[3] - 25.0).abs() < 0.1, "{found:?}");
    }

    /// Several blocks, against the definition.
    #[test]
    fn long_inputs_are_summed_in_blocks() {
        let (n, dim) = (5000, 7);
        let features = crate::display::bench::noise(n * dim, 3);
        let found = covariance_cpu(&features, dim, None);
        for (i, j) in [(0, 0), (2, 5), (6, 6)] {
            let column = |c: usize| features.iter().skip(c).step_by(dim).map(|v| f64::from(*v));
            let mean = |c: usize| column(c).sum::<f64>() / n as f64;
            let (a, b) = (mean(i), mean(j));
            let exact = column(i).zip(column(j)).map(|(x, y)| (x - a) * (y - b)).sum::<f64>() / n as f64;
            assert!((f64::from(found.covariance[i * dim + j]) - exact).abs() < 1e-6, "{i}, {j}");
        }
    }

    #[test]
    fn plans_fit_the_smallest_device() {
        for (n, dim) in [(1, 1), (1369, 384), (100_000, 384), (100_000, 1536), (5, 4096)] {
            let plan = CovariancePlan::new(n, dim);
            assert!(plan.scratch(dim) * 4 <= 128 << 20, "{n} x {dim}: {plan:?}");
            assert!(
                n.div_ceil(plan.splits) <= LONGEST && plan.splits * 64 <= 65_535,
                "{n} x {dim}: {plan:?}"
            );
            // Buffers for many rows serve few.
            assert!(CovariancePlan::new(n / 3 + 1, dim).scratch(dim) <= plan.scratch(dim));
        }
    }
}
