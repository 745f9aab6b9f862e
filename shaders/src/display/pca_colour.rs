//! Colours from projected patch features: three principal components become red, green and blue.
//!
//! Source: DINOv2, figures 1 and 9. The projection itself is a matrix product and lives elsewhere;
//! this program is the per-patch part: stretch each component to its range, treat the background,
//! pack to RGBA8.

use super::common::{ColourRangeSource, groups, uniform};
use crate::{ShaderError, readback};

const PROGRAM: &str = "pca_colour";
const WORKGROUP: usize = 64;
/// Opaque black.
const BLACK: u32 = 0xff00_0000;

/// What becomes of patches that are not foreground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum BackgroundMode {
    /// Black, as in the paper.
    #[default]
    Black = 0,
    /// A quarter of the brightness that the colour would have.
    Dim = 1,
    /// The same colours as in the foreground.
    Keep = 2,
}

/// The scores that become 0 and 255 in each channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColourRange {
    /// Becomes 0.
    pub lo: [f32; 3],
    /// Becomes 255. Where it is not above `lo`, the channel is middle grey (128).
    pub hi: [f32; 3],
}

impl ColourRange {
    /// Of a single channel, for numbers that a colour map colours.
    pub fn single(lo: f32, hi: f32) -> Self {
        Self { lo: [lo, 0.0, 0.0], hi: [hi, 0.0, 0.0] }
    }

    /// `1 / (hi - lo)` per channel, 0 where that is no usable number.
    pub(crate) fn scale(&self) -> [f32; 3] {
        std::array::from_fn(|c| {
            let scale = 1.0 / (self.hi[c] - self.lo[c]);
            if self.hi[c] > self.lo[c] && scale.is_finite() && self.lo[c].is_finite() { scale } else { 0.0 }
        })
    }
}

/// One colour a patch, `0xAABBGGRR`, so that the bytes in memory are R, G, B, A.
///
/// - `scores`: `[n, 3]`.
/// - `foreground`: `[n]`; a patch with less than 0.5 is background.
///
/// A patch with any score or foreground value that is not finite is opaque black, whatever
/// `background` says: no colour is known for it. Extra elements of the longer input are ignored.
pub fn pca_colour_cpu(
    scores: &[f32],
    range: ColourRange,
    foreground: &[f32],
    background: BackgroundMode,
) -> Vec<u32> {
    let scale = range.scale();
    let level = |score: f32, c: usize| -> u32 {
        if scale[c] == 0.0 {
            return 128;
        }
        let t = ((score - range.lo[c]) * scale[c]).clamp(0.0, 1.0);
        (t * 255.0 + 0.5) as u32
    };
    scores
        .chunks_exact(3)
        .zip(foreground)
        .map(|(s, f)| {
            if !(s.iter().all(|v| v.is_finite()) && f.is_finite()) {
                return BLACK;
            }
            let mut rgb = [level(s[0], 0), level(s[1], 1), level(s[2], 2)];
            if *f < 0.5 {
                match background {
                    BackgroundMode::Black => rgb = [0; 3],
                    BackgroundMode::Dim => rgb = rgb.map(|v| v / 4),
                    BackgroundMode::Keep => {}
                }
            }
            BLACK | rgb[2] << 16 | rgb[1] << 8 | rgb[0]
        })
        .collect()
}

/// The uniform block of `pca_colour.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct PcaColourParams {
    lo: [f32; 4],
    scale: [f32; 4],
    count: u32,
    row: u32,
    background: u32,
    padding: u32,
}

/// Where the GPU program reads and writes. All three need `STORAGE`.
#[derive(Clone, Copy, Debug)]
pub struct PcaColourBuffers<'a> {
    /// `[n, 3]` f32.
    pub scores: &'a wgpu::Buffer,
    /// `[n]` f32.
    pub foreground: &'a wgpu::Buffer,
    /// `[n]` packed colours.
    pub colours: &'a wgpu::Buffer,
}

/// The GPU program; see [`pca_colour_cpu`] for what it computes.
#[derive(Debug)]
pub struct PcaColourProgram {
    pipeline: wgpu::ComputePipeline,
}

impl PcaColourProgram {
    /// Compiles the program for a device. Keep it: compiling is slow, running is not.
    pub fn new(device: &wgpu::Device) -> Self {
        let module = device.create_shader_module(wgpu::include_wgsl!("../../wgsl/pca_colour.wgsl"));
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(PROGRAM),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        Self { pipeline }
    }

    /// Records colouring of the first `count` patches; nothing runs before the encoder is submitted.
    ///
    /// `range` is a [`ColourRange`] or what is on the device.
    pub fn encode<'r>(
        &self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        buffers: PcaColourBuffers<'_>,
        count: usize,
        range: impl Into<ColourRangeSource<'r>>,
        background: BackgroundMode,
    ) -> Result<(), ShaderError> {
        if count == 0 {
            return Ok(());
        }
        check_lengths(buffers, count)?;
        let limits = device.limits();
        let bytes = count as u64 * 12;
        let allowed = limits.max_storage_buffer_binding_size;
        if bytes > allowed {
            return Err(too_large(
                count,
                format!("{bytes} bytes in one binding"),
                format!("{allowed} bytes"),
            ));
        }
        let ((x, y, _), row) = groups(device, PROGRAM, count, WORKGROUP)?;
        let range = range.into();
        let [lo, scale] = range.known();
        let parameters = PcaColourParams {
            lo,
            scale,
            count: count as u32,
            row,
            background: background as u32,
            padding: 0,
        };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        range.fill(encoder, &uniform);
        let entries = [&uniform, buffers.scores, buffers.foreground, buffers.colours];
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(PROGRAM),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &std::array::from_fn::<_, 4, _>(|i| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: entries[i].as_entire_binding(),
            }),
        });
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(x, y, 1);
        Ok(())
    }

    /// Uploads, colours and reads back: the whole way for callers that have no buffers of their own.
    ///
    /// `scores` is `[n, 3]`, `foreground` `[n]`.
    pub async fn run(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        scores: &[f32],
        range: ColourRange,
        foreground: &[f32],
        background: BackgroundMode,
    ) -> Result<Vec<u32>, ShaderError> {
        let count = foreground.len();
        if scores.len() != count * 3 {
            return Err(length("scores", scores.len(), count * 3));
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        // Checked before creating buffers: a device answers a buffer over its limit with a panic.
        let allowed = device.limits().max_buffer_size;
        if count as u64 * 12 > allowed {
            let needed = format!("a buffer of {} bytes", count as u64 * 12);
            return Err(too_large(count, needed, format!("{allowed} bytes")));
        }
        let buffer = |label, size: usize, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: size as u64,
                usage: usage | wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            })
        };
        let input = buffer("scores", scores.len() * 4, wgpu::BufferUsages::COPY_DST);
        let mask = buffer("foreground", count * 4, wgpu::BufferUsages::COPY_DST);
        let colours = buffer("colours", count * 4, wgpu::BufferUsages::COPY_SRC);
        queue.write_buffer(&input, 0, bytemuck::cast_slice(scores));
        queue.write_buffer(&mask, 0, bytemuck::cast_slice(foreground));
        let buffers = PcaColourBuffers { scores: &input, foreground: &mask, colours: &colours };
        let mut encoder = device.create_command_encoder(&Default::default());
        self.encode(device, &mut encoder, buffers, count, range, background)?;
        queue.submit([encoder.finish()]);
        readback::read_u32(device, queue, &colours, count).await
    }
}

fn check_lengths(buffers: PcaColourBuffers<'_>, count: usize) -> Result<(), ShaderError> {
    let each = [
        ("scores", buffers.scores, count * 3),
        ("foreground", buffers.foreground, count),
        ("colours", buffers.colours, count),
    ];
    for (what, buffer, expected) in each {
        let found = (buffer.size() / 4) as usize;
        if found < expected {
            return Err(length(what, found, expected));
        }
    }
    Ok(())
}

fn length(what: &'static str, found: usize, expected: usize) -> ShaderError {
    ShaderError::Length { program: PROGRAM, what, found, expected }
}

fn too_large(count: usize, needed: String, allowed: String) -> ShaderError {
    ShaderError::TooLarge { program: PROGRAM, count, needed, allowed }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn colours_by_hand() {
        let range = ColourRange { lo: [0.0, -1.0, 5.0], hi: [1.0, 1.0, 5.0] };
        // Stretched, clamped, and grey where there is no range.
        let rgb = pca_colour_cpu(&[0.5, 0.0, 9.0, -3.0, 7.0, 0.0], range, &[1.0, 1.0], BackgroundMode::Black);
        assert_eq!(rgb, [0xff80_8080, 0xff80_ff00]);
        let one = |background| pca_colour_cpu(&[1.0, 1.0, 0.0], range, &[0.0], background)[0];
        assert_eq!(one(BackgroundMode::Black), 0xff00_0000);
        assert_eq!(one(BackgroundMode::Dim), 0xff20_3f3f);
        assert_eq!(one(BackgroundMode::Keep), 0xff80_ffff);
    }

    #[test]
    fn what_is_not_finite_is_background() {
        let range = ColourRange { lo: [0.0; 3], hi: [1.0; 3] };
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(pca_colour_cpu(&[1.0, bad, 1.0], range, &[1.0], BackgroundMode::Keep), [BLACK]);
            assert_eq!(pca_colour_cpu(&[1.0; 3], range, &[bad], BackgroundMode::Keep), [BLACK]);
            let broken = ColourRange { lo: [bad; 3], hi: [1.0; 3] };
            assert_eq!(pca_colour_cpu(&[1.0; 3], broken, &[1.0], BackgroundMode::Keep), [0xff80_8080]);
        }
        assert!(pca_colour_cpu(&[], range, &[], BackgroundMode::Keep).is_empty());
    }
}
