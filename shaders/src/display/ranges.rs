//! The scores that become the ends of a colour scale, robust against outliers and steady over time.

use super::common::{BindingKind, CommandRecorder, StorageSlice, WgslProgram, storage, uniform};
use crate::{ColourRange, ShaderError};

const PROGRAM: &str = "ranges";
/// Words of a ranges buffer; the layout is in `ranges.wgsl`.
pub const WORDS: usize = 16;

/// How a range is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourRangeOptions {
    /// The percentiles of the foreground scores that become the ends, 0 to 100.
    pub percentiles: (f32, f32),
    /// Weight of the range that was there before, relative to the overall size of the scores; 0 (follow at once) to below 1.
    pub smoothing: f32,
}

impl Default for ColourRangeOptions {
    fn default() -> Self {
        Self { percentiles: (1.0, 99.0), smoothing: 0.0 }
    }
}

impl ColourRangeOptions {
    fn shares(&self) -> (f32, f32) {
        let share = |p: f32| if p.is_finite() { (p / 100.0).clamp(0.0, 1.0) } else { 0.0 };
        (share(self.percentiles.0), share(self.percentiles.1))
    }

    fn smoothing(&self) -> f32 {
        if (0.0..1.0).contains(&self.smoothing) { self.smoothing } else { 0.0 }
    }
}

/// What [`ranges_cpu`] computes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColourRangeEstimate {
    /// The ends of the scale in each channel; zero in channels that there are not.
    pub range: ColourRange,
    /// Root of the mean, over foreground rows, of the summed squares of all channels.
    pub spread: f32,
}

/// The range of each channel of `[n, channels]` scores, with 1 to 3 channels, between two percentiles.
///
/// - `foreground`: `[n]`; rows below 0.5 do not count, nor do rows with a number that is not finite.
/// - `previous`: smoothed with, when it has a spread and a range.
///
/// Percentiles are linear between ranks. Where no row counts everything is zero.
pub fn ranges_cpu(
    scores: &[f32],
    channels: usize,
    foreground: &[f32],
    options: &ColourRangeOptions,
    previous: Option<&ColourRangeEstimate>,
) -> ColourRangeEstimate {
    let kept: Vec<&[f32]> = scores
        .chunks_exact(channels.max(1))
        .zip(foreground)
        .filter(|(row, f)| f.is_finite() && **f >= 0.5 && row.iter().all(|v| v.is_finite()))
        .map(|(row, _)| row)
        .collect();
    let mut out = ColourRangeEstimate::default();
    if kept.is_empty() {
        return out;
    }
    let squares: f64 = kept.iter().flat_map(|row| row.iter()).map(|v| f64::from(*v) * f64::from(*v)).sum();
    out.spread = (squares / kept.len() as f64).sqrt() as f32;
    let (low, high) = options.shares();
    for c in 0..channels.min(3) {
        let mut column: Vec<f32> = kept.iter().map(|row| row[c]).collect();
        let mut lo = percentile(&mut column, low);
        let mut hi = percentile(&mut column, high);
        if let Some(previous) = previous.filter(|p| p.spread > 0.0 && p.range.hi[c] > p.range.lo[c]) {
            let growth = out.spread / previous.spread;
            lo += options.smoothing() * (previous.range.lo[c] * growth - lo);
            hi += options.smoothing() * (previous.range.hi[c] * growth - hi);
        }
        // A difference too small for its inverse to be a number is none.
        (out.range.lo[c], out.range.hi[c]) = (lo, if hi - lo > 1e-36 { hi } else { lo });
    }
    out
}

/// Linear between ranks; `column` is not empty, and changes its order.
fn percentile(column: &mut [f32], share: f32) -> f32 {
    let last = column.len() - 1;
    let place = share * last as f32;
    let rank = (place as usize).min(last);
    let (_, below, above) = column.select_nth_unstable_by(rank, f32::total_cmp);
    let next = above.iter().copied().min_by(f32::total_cmp).unwrap_or(*below);
    *below + place.fract() * (next - *below)
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ColourRangeParams {
    count: u32,
    channels: u32,
    scores: u32,
    foreground: u32,
    use_foreground: u32,
    low: f32,
    high: f32,
    smoothing: f32,
}

/// The GPU program; see [`ranges_cpu`] for what it computes.
#[derive(Debug)]
pub struct ColourRangeProgram {
    program: WgslProgram,
}

/// A buffer for ranges that says nothing yet.
pub fn ranges_buffer(device: &wgpu::Device) -> Result<wgpu::Buffer, ShaderError> {
    storage(device, PROGRAM, "ranges", WORDS)
}

impl ColourRangeProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        use BindingKind::{Read, Uniform, Write};
        let source = wgpu::include_wgsl!("../../wgsl/ranges.wgsl");
        Self { program: WgslProgram::new(device, PROGRAM, source, &[Uniform, Read, Read, Write], &["main"]) }
    }

    /// Records the ranges of `[n, channels]` scores.
    ///
    /// `ranges` ([`ranges_buffer`]) holds the previous ranges before and the new ones after. Without
    /// `foreground` every row counts.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        scores: StorageSlice<'_>,
        foreground: Option<StorageSlice<'_>>,
        (n, channels): (usize, usize),
        options: &ColourRangeOptions,
        ranges: &wgpu::Buffer,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        if !(1..=3).contains(&channels) {
            let expected = channels.clamp(1, 3);
            return Err(ShaderError::Length {
                program: PROGRAM,
                what: "channels",
                found: channels,
                expected,
            });
        }
        let (scores, skip) = scores.bind(device, PROGRAM, "scores", n * channels)?;
        let (foreground, skip_foreground, use_foreground) = match foreground {
            Some(foreground) => {
                let (binding, skip) = foreground.bind(device, PROGRAM, "foreground", n)?;
                (binding, skip, 1)
            }
            None => (scores.clone(), 0, 0),
        };
        let (ranges, _) = StorageSlice::whole(ranges).bind(device, PROGRAM, "ranges", WORDS)?;
        let (low, high) = options.shares();
        let parameters = ColourRangeParams {
            count: n as u32,
            channels: channels as u32,
            scores: skip,
            foreground: skip_foreground,
            use_foreground,
            low,
            high,
            smoothing: options.smoothing(),
        };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        let group = self.program.bind(device, &[uniform.as_entire_binding(), scores, foreground, ranges]);
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, "main", &group, (channels as u32, 1, 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_linear_between_ranks() {
        let scores: Vec<f32> = [7.0, 0.0, 3.0, f32::NAN, 100.0, 1.0].iter().flat_map(|v| [*v, -v]).collect();
        // Of 0, 1, 3, 7: the NaN and the background do not count.
        let foreground = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0];
        let options = ColourRangeOptions { percentiles: (25.0, 50.0), smoothing: 0.0 };
        let found = ranges_cpu(&scores, 2, &foreground, &options, None);
        assert_eq!((found.range.lo, found.range.hi), ([0.75, -4.0, 0.0], [2.0, -2.0, 0.0]));
        let squares = 2.0 * (0.0 + 1.0 + 9.0 + 49.0) / 4.0;
        assert!((found.spread - f32::sqrt(squares)).abs() < 1e-6);
        assert_eq!(ranges_cpu(&scores, 2, &[0.0; 6], &options, Some(&found)), ColourRangeEstimate::default());
    }

    #[test]
    fn smoothing_follows_the_size_at_once_and_the_rest_slowly() {
        let options = ColourRangeOptions { percentiles: (0.0, 100.0), smoothing: 0.75 };
        let before = ranges_cpu(&[-1.0, 1.0], 1, &[1.0; 2], &options, None);
        let grown = ranges_cpu(&[-10.0, 10.0], 1, &[1.0; 2], &options, Some(&before));
        assert_eq!((grown.range.lo[0], grown.range.hi[0]), (-10.0, 10.0));
        // Of the same size, but from 0 on: a quarter of the way.
        let moved = ranges_cpu(&[0.0, 2f32.sqrt()], 1, &[1.0; 2], &options, Some(&before));
        assert!((moved.range.lo[0] + 0.75).abs() < 1e-6, "{moved:?}");
        assert!((moved.range.hi[0] - (0.75 + 0.25 * 2f32.sqrt())).abs() < 1e-6, "{moved:?}");
    }
}
