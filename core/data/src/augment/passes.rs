//! The two passes of resizing: along rows, and along columns.

use super::resize::ResampleAxis;
use super::wide::{to_byte, wide};

/// Rows that are resized together: a vector holds one pixel of each, in four channels.
const TOGETHER: usize = 4;
/// Channels of a pixel between the passes. The fourth is there for the width of vectors and never looked at.
pub(super) const CHANNELS: usize = 4;
/// Lanes of a [`Vector`].
const LANES: usize = TOGETHER * CHANNELS;
/// One pixel of each of the rows that are resized together.
type Vector = [f32; LANES];

/// The pass along rows, with the memory it needs.
#[derive(Default)]
pub(super) struct HorizontalResizePass {
    pixels: Vec<Vector>,
    sums: Vec<Vector>,
    bytes: Vec<[u8; LANES]>,
    /// The last row of a picture, and a byte more.
    last: Vec<u8>,
}

impl HorizontalResizePass {
    /// Resizes `height` rows of three channels, `stride` bytes from one to the next, into rows of four channels.
    /// `out` may end with rows that mean nothing.
    pub fn run(
        &mut self,
        source: &[u8],
        stride: usize,
        height: usize,
        axis: &ResampleAxis,
        out: &mut Vec<u8>,
    ) {
        let (width, reads) = (axis.spans.len(), axis.reads.len());
        self.pixels.resize(reads, [0.0; LANES]);
        self.sums.resize(width, [0.0; LANES]);
        self.bytes.resize(width, [0; LANES]);
        out.resize(CHANNELS * width * height.next_multiple_of(TOGETHER), 0);
        // Pixels are read four bytes at a time; at the very end of a picture there are but three.
        self.last.clear();
        self.last.extend_from_slice(&source[(height - 1) * stride..][..3 * reads]);
        self.last.push(0);
        let groups = out.as_chunks_mut::<CHANNELS>().0.chunks_exact_mut(TOGETHER * width);
        for (group, out) in groups.enumerate() {
            let rows = std::array::from_fn(|row| match TOGETHER * group + row {
                y if y + 1 < height => &source[y * stride..][..3 * reads + 1],
                _ => &self.last[..3 * reads + 1],
            });
            read_pixels(rows, &mut self.pixels);
            weigh_pixels(&self.pixels, axis, &mut self.sums);
            round(self.sums.as_flattened(), self.bytes.as_flattened_mut());
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                for (out, bytes) in out.iter_mut().zip(&self.bytes) {
                    out.copy_from_slice(&bytes[CHANNELS * row..][..CHANNELS]);
                }
            }
        }
    }
}

wide! {
    /// The pixels at one place of several rows side by side; the fourth channel takes what comes.
    fn read_pixels<'a>(rows: [&'a [u8]; TOGETHER], pixels: &'a mut [Vector]) {
        let length = 3 * pixels.len() + 1;
        let [a, b, c, d] = rows;
        let [a, b, c, d] = [&a[..length], &b[..length], &c[..length], &d[..length]];
        for (x, pixel) in pixels.iter_mut().enumerate() {
            let at = 3 * x..3 * x + CHANNELS;
            let mut bytes = [0; LANES];
            bytes[..4].copy_from_slice(&a[at.clone()]);
            bytes[4..8].copy_from_slice(&b[at.clone()]);
            bytes[8..12].copy_from_slice(&c[at.clone()]);
            bytes[12..].copy_from_slice(&d[at]);
            for (value, byte) in pixel.iter_mut().zip(bytes) {
                *value = f32::from(byte);
            }
        }
    }

    /// Weighted sums of pixels.
    fn weigh_pixels<'a>(pixels: &'a [Vector], axis: &'a ResampleAxis, sums: &'a mut [Vector]) {
        for (span, sum) in axis.spans.iter().zip(sums) {
            let mut total = [0.0; LANES];
            for (pixel, weight) in pixels[span.first..].iter().zip(axis.weights(span)) {
                for (total, value) in total.iter_mut().zip(pixel) {
                    *total += weight * value;
                }
            }
            *sum = total;
        }
    }

    /// Numbers to bytes.
    fn round<'a>(sums: &'a [f32], bytes: &'a mut [u8]) {
        for (byte, &sum) in bytes.iter_mut().zip(sums) {
            *byte = to_byte(sum);
        }
    }

    /// Weighted sums of rows, the first at the start of `rows`, the next `stride` bytes on.
    fn weigh_rows<'a>(rows: &'a [u8], stride: usize, weights: &'a [f32], sums: &'a mut [f32]) {
        let done = weigh_blocks::<64>(rows, stride, weights, 0, sums);
        let done = weigh_blocks::<16>(rows, stride, weights, done, sums);
        weigh_blocks::<1>(rows, stride, weights, done, sums);
    }
}

/// The pass along columns, with the memory it needs.
#[derive(Default)]
pub(super) struct VerticalResizePass {
    sums: Vec<f32>,
}

impl VerticalResizePass {
    /// Resizes columns of `length` bytes a row, `stride` bytes from one row to the next, into rows of `length` bytes.
    pub fn run(&mut self, source: &[u8], stride: usize, length: usize, axis: &ResampleAxis, out: &mut [u8]) {
        self.sums.resize(length, 0.0);
        for (span, out) in axis.spans.iter().zip(out.chunks_exact_mut(length)) {
            weigh_rows(&source[span.first * stride..], stride, axis.weights(span), &mut self.sums);
            round(&self.sums, out);
        }
    }
}

/// [`weigh_rows`] from byte `start` on, as long as there are `WIDTH` more; returns how far it came.
#[inline(always)]
fn weigh_blocks<const WIDTH: usize>(
    rows: &[u8],
    stride: usize,
    weights: &[f32],
    start: usize,
    sums: &mut [f32],
) -> usize {
    let mut at = start;
    while let Some(sums) = sums.get_mut(at..).and_then(<[f32]>::first_chunk_mut::<WIDTH>) {
        let mut total = [0.0; WIDTH];
        let mut from = at;
        for weight in weights {
            for (total, &byte) in total.iter_mut().zip(&rows[from..from + WIDTH]) {
                *total += weight * f32::from(byte);
            }
            from += stride;
        }
        *sums = total;
        at += WIDTH;
    }
    at
}
