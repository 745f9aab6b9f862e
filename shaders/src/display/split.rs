//! Foreground and background from the first component: DINOv2, figure 1.

use super::common::{
    BindingKind, CommandRecorder, StorageSlice, WgslProgram, check_len, groups, storage, uniform,
};
use crate::ShaderError;

const PROGRAM: &str = "split";
/// A mean border score below this share of the spread says nothing about where the background is.
const UNCLEAR: f32 = 0.1;
/// Above this share the borders overrule the decision before.
const CLEAR: f32 = 0.5;
/// Shares of foreground outside these are taken for a failed split.
const PLAUSIBLE: std::ops::RangeInclusive<f32> = 0.02..=0.98;

/// What [`split_cpu`] decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForegroundSplit {
    /// `[dim]`: the first component, turned towards the foreground.
    pub direction: Vec<f32>,
    /// 1 or -1: what the component was turned by.
    pub sign: f32,
    /// Mean score of the borders in units of the spread of all scores, before the turn; 0 where there are none.
    pub evidence: f32,
    /// The share of the counting patches on the foreground's side.
    pub share: f32,
    /// Whether that share is plausible (2 % to 98 %); otherwise everything is foreground.
    pub plausible: bool,
}

impl ForegroundSplit {
    /// `[n]`: 1 for patches on the foreground's side of `[n, 3]` scores, and 0 for those that are not or do not count.
    pub fn foreground(&self, scores: &[f32], weights: Option<&[f32]>) -> Vec<f32> {
        let side = |(i, score): (usize, &[f32])| {
            let good = counts(score[0], i, weights) && (!self.plausible || score[0] * self.sign > 0.0);
            f32::from(u8::from(good))
        };
        scores.chunks_exact(3).enumerate().map(side).collect()
    }
}

fn counts(score: f32, i: usize, weights: Option<&[f32]>) -> bool {
    score.is_finite() && weights.is_none_or(|w| w.get(i).is_some_and(|w| w.is_finite() && *w >= 0.5))
}

/// Decides which side of the first component is foreground.
///
/// - `scores`: `[pictures * rows * cols, 3]`, of which only the first counts.
/// - `weights`: `[pictures * rows * cols]`; patches below 0.5 do not count.
/// - `component`: `[dim]`, that of the scores.
///
/// The sign of a component is arbitrary. Borders of pictures are mostly background, so the sign is
/// taken that makes the mean score of the outermost patches negative. Where the borders say little
/// (a mean below a tenth of the spread), the previous decision stays, else the smaller side is
/// foreground. Against the previous decision the borders win only when they are clear (half the
/// spread), so that pictures do not flicker.
pub fn split_cpu(
    scores: &[f32],
    weights: Option<&[f32]>,
    (rows, cols): (usize, usize),
    component: &[f32],
    previous: Option<&ForegroundSplit>,
) -> ForegroundSplit {
    let (mut squares, mut border, mut all) = (0f64, (0f64, 0usize), 0usize);
    let (mut above, mut below) = (0usize, 0usize);
    for (i, score) in scores.chunks_exact(3).enumerate().filter(|(i, s)| counts(s[0], *i, weights)) {
        let s = f64::from(score[0]);
        squares += s * s;
        all += 1;
        above += usize::from(s > 0.0);
        below += usize::from(s < 0.0);
        let (row, col) = (i % (rows * cols) / cols, i % cols);
        let edge = row == 0 || col == 0 || row + 1 == rows || col + 1 == cols;
        // Pictures that are all border have no inside to compare with.
        if rows > 2 && cols > 2 && edge {
            border = (border.0 + s, border.1 + 1);
        }
    }
    let spread = (squares / all.max(1) as f64).sqrt();
    let evidence =
        if border.1 > 0 && spread > 0.0 { (border.0 / border.1 as f64 / spread) as f32 } else { 0.0 };
    let agreement = previous.filter(|p| p.sign != 0.0).map_or(0.0, |p| {
        p.direction.iter().zip(component).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    });
    let flip = if agreement != 0.0 && evidence.abs() < CLEAR {
        agreement < 0.0
    } else if evidence.abs() >= UNCLEAR {
        evidence > 0.0
    } else {
        above > below
    };
    let sign = if flip { -1.0 } else { 1.0 };
    let share = if flip { below } else { above } as f32 / all.max(1) as f32;
    ForegroundSplit {
        direction: component.iter().map(|v| sign * v).collect(),
        sign,
        evidence,
        share,
        plausible: PLAUSIBLE.contains(&share),
    }
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ForegroundSplitParams {
    count: u32,
    rows: u32,
    cols: u32,
    dim: u32,
    row: u32,
    padding: [u32; 3],
}

/// What the program reads and writes. All are whole buffers, as long as they need to be or longer.
#[derive(Clone, Copy, Debug)]
pub struct ForegroundSplitBuffers<'a> {
    /// `[n, 3]` f32.
    pub scores: &'a wgpu::Buffer,
    /// `[n]` f32: which patches count.
    pub weights: &'a wgpu::Buffer,
    /// `[dim]` f32: the component of the scores.
    pub component: &'a wgpu::Buffer,
    /// From [`split_buffer`]: the decision.
    pub state: &'a wgpu::Buffer,
    /// `[n]` f32: 1 for foreground.
    pub foreground: &'a wgpu::Buffer,
}

/// A buffer for a decision over components of `dim` numbers, that holds none yet.
///
/// Sign (f32), whether the split is plausible (u32), share and evidence (f32), then the direction, `[dim]`.
pub fn split_buffer(device: &wgpu::Device, dim: usize) -> Result<wgpu::Buffer, ShaderError> {
    storage(device, PROGRAM, "split", dim + 4)
}

/// The GPU program; see [`split_cpu`] for what it decides and [`ForegroundSplit::foreground`] for what it makes of that.
#[derive(Debug)]
pub struct ForegroundSplitProgram {
    program: WgslProgram,
}

impl ForegroundSplitProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        use BindingKind::{Read, Uniform, Write};
        let source = wgpu::include_wgsl!("../../wgsl/split.wgsl");
        let bindings = [Uniform, Read, Read, Read, Write, Write];
        Self { program: WgslProgram::new(device, PROGRAM, source, &bindings, &["decide", "apply"]) }
    }

    /// Records the foreground of `n` patches in pictures of `rows` × `cols`; with `decide` after a decision on these
    /// patches, otherwise by the one in the buffer.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        buffers: ForegroundSplitBuffers<'_>,
        n: usize,
        (rows, cols): (usize, usize),
        dim: usize,
        decide: bool,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        check_len(PROGRAM, "patches", n, n.next_multiple_of((rows * cols).max(1)))?;
        let whole = |buffer, what, words| {
            StorageSlice::whole(buffer).bind(device, PROGRAM, what, words).map(|(binding, _)| binding)
        };
        let (groups, row) = groups(device, PROGRAM, n, 64)?;
        let parameters = ForegroundSplitParams {
            count: n as u32,
            rows: rows as u32,
            cols: cols as u32,
            dim: dim as u32,
            row,
            padding: [0; 3],
        };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        let group = self.program.bind(
            device,
            &[
                uniform.as_entire_binding(),
                whole(buffers.scores, "scores", n * 3)?,
                whole(buffers.weights, "weights", n)?,
                whole(buffers.component, "component", dim)?,
                whole(buffers.state, "split", dim + 4)?,
                whole(buffers.foreground, "foreground", n)?,
            ],
        );
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        if decide {
            self.program.dispatch(&mut pass, "decide", &group, (1, 1, 1));
        }
        self.program.dispatch(&mut pass, "apply", &group, groups);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 4 × 4 whose inside has score `inside` and whose border 1.
    fn framed(inside: f32) -> Vec<f32> {
        let score = |i: usize| if [5, 6, 9, 10].contains(&i) { inside } else { 1.0 };
        (0..16).flat_map(|i| [score(i), 7.0, f32::NAN]).collect()
    }

    #[test]
    fn borders_are_background() {
        let split = split_cpu(&framed(-3.0), None, (4, 4), &[0.0, 1.0], None);
        assert_eq!((split.sign, split.share, split.plausible), (-1.0, 0.25, true));
        assert_eq!(split.direction, [0.0, -1.0]);
        let foreground = split.foreground(&framed(-3.0), None);
        assert!(foreground.iter().enumerate().all(|(i, f)| (*f == 1.0) == [5, 6, 9, 10].contains(&i)));
        // Turned round, against a decision for the border: the borders are clear.
        let before = ForegroundSplit { direction: vec![0.0, 1.0], sign: 1.0, ..ForegroundSplit::default() };
        assert_eq!(split_cpu(&framed(-3.0), None, (4, 4), &[0.0, 1.0], Some(&before)).sign, -1.0);
    }

    #[test]
    fn without_borders_the_decision_before_or_the_smaller_side() {
        let scores = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, -3.0, 0.0, 0.0, f32::NAN, 0.0, 0.0];
        let split = |previous| split_cpu(&scores, None, (1, 5), &[1.0], previous);
        assert_eq!((split(None).sign, split(None).share), (-1.0, 0.25));
        assert_eq!(split(None).foreground(&scores, Some(&[1.0; 4])), [0.0, 0.0, 0.0, 1.0, 0.0]);
        let before = ForegroundSplit { direction: vec![0.5], sign: -1.0, ..ForegroundSplit::default() };
        assert_eq!((split(Some(&before)).sign, split(Some(&before)).share), (1.0, 0.75));
    }

    #[test]
    fn an_implausible_split_is_none() {
        let mut scores = vec![-0.05; 300];
        scores[165] = 5.0;
        let split = split_cpu(&scores, None, (10, 10), &[1.0], None);
        assert!(!split.plausible && split.share == 0.01, "{split:?}");
        let mut weights = vec![1.0; 100];
        weights[3] = 0.0;
        assert_eq!(split.foreground(&scores, Some(&weights)), weights);
    }
}
