//! From a grid of patches to a picture.

use super::colour_map::ColourMap;
use super::common::{
    BindingKind, ColourRangeSource, CommandRecorder, StorageSlice, WgslProgram, check_len, for_chunks,
    pixels, uniform,
};
use crate::{ColourRange, ShaderError};

const PROGRAM: &str = "upsample";

/// How a grid of patches becomes a picture of pixels.
///
/// A feature belongs to a whole patch; everything smoother than `Nearest` draws detail that the
/// model did not give. It looks better, and interfaces should say which one is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum UpsampleFilter {
    /// Every patch a block of one colour: exactly what was computed.
    Nearest = 0,
    /// Straight lines between the centres of patches.
    Bilinear = 1,
    /// Catmull–Rom curves through the centres of patches, clamped to the range of the input around them.
    #[default]
    Bicubic = 2,
}

/// For each output position four input positions with their weights; a weight of zero is no tap.
fn taps(input: usize, output: usize, filter: UpsampleFilter) -> Vec<[(usize, f32); 4]> {
    (0..output)
        .map(|i| {
            // Centres of patches and of pixels, as in torch's `align_corners=False`; in whole numbers, so
            // that where a pixel lies on a centre does not depend on rounding. One ahead of the place.
            let place = (2 * i + 1) * input + output;
            let at = |offset: usize| (place / (2 * output) + offset).saturating_sub(2).min(input - 1);
            let t = (place % (2 * output)) as f32 / (2 * output) as f32;
            match filter {
                UpsampleFilter::Nearest => {
                    let nearest = (i * input / output).min(input - 1);
                    [(nearest, 1.0), (0, 0.0), (0, 0.0), (0, 0.0)]
                }
                UpsampleFilter::Bilinear => [(0, 0.0), (at(1), 1.0 - t), (at(2), t), (0, 0.0)],
                UpsampleFilter::Bicubic => [
                    (at(0), ((-0.5 * t + 1.0) * t - 0.5) * t),
                    (at(1), (1.5 * t - 2.5) * t * t + 1.0),
                    (at(2), ((-1.5 * t + 2.0) * t + 0.5) * t),
                    (at(3), (0.5 * t - 0.5) * t * t),
                ],
            }
        })
        .collect()
}

/// The weighted sum, within the range of what it is made of: without that, curves overshoot into
/// halos around a black background. NaN stays.
#[inline]
fn mix<const N: usize>(taps: &[(usize, f32); 4], at: impl Fn(usize) -> [f32; N]) -> [f32; N] {
    let mut sum = [0.0; N];
    let (mut lo, mut hi) = ([f32::INFINITY; N], [f32::NEG_INFINITY; N]);
    for (i, weight) in taps {
        // Not a tap; it must not spread a NaN.
        if *weight == 0.0 {
            continue;
        }
        let value = at(*i);
        for c in 0..N {
            sum[c] += weight * value[c];
            lo[c] = lo[c].min(value[c]);
            hi[c] = hi[c].max(value[c]);
        }
    }
    std::array::from_fn(|c| if sum[c].is_nan() { sum[c] } else { sum[c].max(lo[c]).min(hi[c]) })
}

/// `[rows, cols]` to `[height, width]`, separably: first along rows, then along columns.
fn resample<const N: usize>(
    rows: usize,
    cols: usize,
    (width, height): (usize, usize),
    filter: UpsampleFilter,
    grid: impl Fn(usize) -> [f32; N] + Sync,
    pixel: impl Fn([f32; N]) -> u32 + Sync,
) -> Vec<u32> {
    let across = taps(cols, width, filter);
    let down = taps(rows, height, filter);
    let mut wide = vec![[0f32; N]; rows * width];
    for_chunks(&mut wide, width, |row, line| {
        for (out, taps) in line.iter_mut().zip(&across) {
            *out = mix(taps, |c| grid(row * cols + c));
        }
    });
    let mut out = vec![0; width * height];
    for_chunks(&mut out, width, |row, line| {
        for (x, out) in line.iter_mut().enumerate() {
            *out = pixel(mix(&down[row], |r| wide[r * width + x]));
        }
    });
    out
}

/// `[rows, cols]` packed colours as a picture of `width` × `height` packed colours.
///
/// Fails when there is no patch or no pixel, or when `grid` has not the length that its shape says.
pub fn upsample_cpu(
    grid: &[u32],
    (rows, cols): (usize, usize),
    size: (usize, usize),
    filter: UpsampleFilter,
) -> Result<Vec<u32>, ShaderError> {
    check(grid.len(), rows, cols, size)?;
    let unpack = |i: usize| grid[i].to_le_bytes().map(f32::from);
    Ok(resample(rows, cols, size, filter, unpack, |v| u32::from_le_bytes(v.map(|v| (v + 0.5) as u8))))
}

/// `[rows, cols]` numbers, interpolated and then coloured, as a picture of `width` × `height` packed colours.
///
/// A pixel that a number contributes to which is not finite is opaque black. Fails like [`upsample_cpu`].
pub fn upsample_scalars_cpu(
    grid: &[f32],
    (rows, cols): (usize, usize),
    size: (usize, usize),
    filter: UpsampleFilter,
    range: ColourRange,
    map: ColourMap,
) -> Result<Vec<u32>, ShaderError> {
    check(grid.len(), rows, cols, size)?;
    let scale = range.scale()[0];
    let value = |i: usize| [if grid[i].is_finite() { grid[i] } else { f32::NAN }];
    Ok(resample(rows, cols, size, filter, value, |[v]| map.packed(v, range.lo[0], scale)))
}

fn check(found: usize, rows: usize, cols: usize, (width, height): (usize, usize)) -> Result<(), ShaderError> {
    check_len(PROGRAM, "grid", found, (rows * cols).max(1))?;
    check_len(PROGRAM, "picture", width * height, (width * height).max(1))
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct UpsampleParams {
    lo: [f32; 4],
    scale: [f32; 4],
    rows: u32,
    cols: u32,
    filter: u32,
    grid: u32,
    polynomial: [[f32; 4]; 7],
}

/// Patches on the device, and how they become pixels.
#[derive(Clone, Copy, Debug)]
pub struct UpsampleInput<'a> {
    /// `[rows, cols]`, a word each.
    pub patches: StorageSlice<'a>,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// What lies between the centres of patches.
    pub filter: UpsampleFilter,
}

/// The GPU program; see [`upsample_cpu`] and [`upsample_scalars_cpu`] for what it computes.
#[derive(Debug)]
pub struct UpsampleProgram {
    program: WgslProgram,
}

impl UpsampleProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        let source = wgpu::include_wgsl!("../../wgsl/upsample.wgsl");
        let bindings = [BindingKind::Uniform, BindingKind::Read, BindingKind::Target];
        Self { program: WgslProgram::new(device, PROGRAM, source, &bindings, &["colours", "scalars"]) }
    }

    /// Records a picture of packed colours that fills `target`, which has the format [`super::FORMAT`]
    /// and usage `STORAGE_BINDING`.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        grid: UpsampleInput<'_>,
        target: &wgpu::Texture,
    ) -> Result<(), ShaderError> {
        let nothing = ColourRangeSource::Given(ColourRange::default());
        self.record(recorder, "colours", grid, nothing, ColourMap::Grey, target)
    }

    /// Records a picture of f32, interpolated and then coloured; otherwise like [`UpsampleProgram::encode`].
    pub fn encode_scalars<'r>(
        &self,
        recorder: &mut CommandRecorder<'_>,
        grid: UpsampleInput<'_>,
        range: impl Into<ColourRangeSource<'r>>,
        map: ColourMap,
        target: &wgpu::Texture,
    ) -> Result<(), ShaderError> {
        self.record(recorder, "scalars", grid, range.into(), map, target)
    }

    fn record(
        &self,
        recorder: &mut CommandRecorder<'_>,
        entry: &'static str,
        UpsampleInput { patches, shape: (rows, cols), filter }: UpsampleInput<'_>,
        range: ColourRangeSource<'_>,
        map: ColourMap,
        target: &wgpu::Texture,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        let (grid, skip) = patches.bind(device, PROGRAM, "grid", rows * cols)?;
        let [lo, scale] = range.known();
        let parameters = UpsampleParams {
            lo,
            scale,
            rows: rows as u32,
            cols: cols as u32,
            filter: filter as u32,
            grid: skip,
            polynomial: map.rows(),
        };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        range.fill(recorder.encoder, &uniform);
        let view = target.create_view(&Default::default());
        let picture = wgpu::BindingResource::TextureView(&view);
        let group = self.program.bind(device, &[uniform.as_entire_binding(), grid, picture]);
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, entry, &group, pixels(target));
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn grey(values: &[u8]) -> Vec<u32> {
        values.iter().map(|v| u32::from_le_bytes([*v, *v, *v, 255])).collect()
    }

    #[test]
    fn pixels_by_hand() {
        let two = grey(&[0, 200]);
        let nearest = upsample_cpu(&two, (1, 2), (4, 1), UpsampleFilter::Nearest).unwrap();
        assert_eq!(nearest, grey(&[0, 0, 200, 200]));
        let bilinear = upsample_cpu(&two, (1, 2), (4, 1), UpsampleFilter::Bilinear).unwrap();
        assert_eq!(bilinear, grey(&[0, 50, 150, 200]));
        // Catmull-Rom a quarter of the way: (-9 p0 + 111 p1 + 29 p2 - 3 p3) / 128.
        let four = upsample_cpu(&grey(&[100, 0, 128, 100]), (1, 4), (8, 1), UpsampleFilter::Bicubic).unwrap();
        assert_eq!(four[3], grey(&[((-900.0 + 29.0 * 128.0 - 300.0) / 128.0f32).round() as u8])[0]);
        let down = upsample_cpu(&grey(&[0, 100]), (2, 1), (1, 4), UpsampleFilter::Bilinear).unwrap();
        assert_eq!(down, grey(&[0, 25, 75, 100]));
    }

    #[test]
    fn filters_keep_size_range_and_constants() {
        for filter in [UpsampleFilter::Nearest, UpsampleFilter::Bilinear, UpsampleFilter::Bicubic] {
            let grid: Vec<u32> = (0..12u32).map(|v| v * 0x0709_1113).collect();
            assert_eq!(upsample_cpu(&grid, (3, 4), (4, 3), filter).unwrap(), grid);
            let even = upsample_cpu(&[0xff12_3456; 12], (3, 4), (31, 17), filter).unwrap();
            assert!(even.iter().all(|v| *v == 0xff12_3456));
            // No halo beside a step.
            let step = upsample_cpu(&grey(&[0, 0, 255, 255]), (1, 4), (40, 1), filter).unwrap();
            assert!(step.is_sorted(), "{filter:?}: {step:x?}");
            assert!(upsample_cpu(&[], (0, 0), (5, 5), filter).is_err());
            assert!(upsample_cpu(&[0], (1, 2), (5, 5), filter).is_err());
            assert!(upsample_cpu(&[0], (1, 1), (0, 5), filter).is_err());
        }
    }

    #[test]
    fn what_is_no_number_stays_where_it_is() {
        let range = ColourRange::single(0.0, 1.0);
        let grid = [f32::NAN, 0.0, 0.0, 0.0, 1.0];
        let same =
            upsample_scalars_cpu(&grid, (1, 5), (5, 1), UpsampleFilter::Bicubic, range, ColourMap::Viridis)
                .unwrap();
        let colours = [0.0, 1.0].map(|t| ColourMap::Viridis.packed(t, 0.0, 1.0));
        assert_eq!(same, [0xff00_0000, colours[0], colours[0], colours[0], colours[1]]);
    }
}
