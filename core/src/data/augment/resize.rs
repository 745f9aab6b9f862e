//! Bicubic resizing with antialiasing, as PIL does it: two passes, each rounded to 8 bits.

use std::ops::Range;

use super::to_byte;
use crate::data::Picture;

/// A rectangle of pixels inside a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropBox {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns, at least 1.
    pub width: usize,
    /// Rows, at least 1.
    pub height: usize,
}

impl CropBox {
    fn whole(width: usize, height: usize) -> Self {
        Self { left: 0, top: 0, width, height }
    }
}

/// Cuts `crop` out of a picture and resizes it to `width` by `height`; nothing outside `crop` is looked at.
pub fn resized_crop(picture: &Picture, crop: CropBox, width: usize, height: usize) -> Picture {
    resample(picture, crop, (width, height), CropBox::whole(width, height))
}

/// Resizes a whole picture.
pub fn resize_to(picture: &Picture, width: usize, height: usize) -> Picture {
    resized_crop(picture, CropBox::whole(picture.width, picture.height), width, height)
}

/// The view that evaluation uses: the shorter side resized to `size` · 256 / 224, then the middle `size` by `size`.
pub fn eval_view(picture: &Picture, size: usize) -> Picture {
    let short = (size * 256 / 224).max(1);
    let shorter = picture.width.min(picture.height).max(1);
    let (width, height) = (short * picture.width / shorter, short * picture.height / shorter);
    // torchvision rounds halves to even here.
    let offset = |len: usize| ((len - size) as f64 / 2.0).round_ties_even() as usize;
    let window = CropBox { left: offset(width), top: offset(height), width: size, height: size };
    // Only the window is computed, so that a picture of extreme aspect costs no more than a square one.
    resample(picture, CropBox::whole(picture.width, picture.height), (width, height), window)
}

/// Resizes `crop` to `width` by `height` and returns the part of the result that lies in `window`.
fn resample(picture: &Picture, crop: CropBox, (width, height): (usize, usize), window: CropBox) -> Picture {
    let across = Axis::new(crop.width, width, window.left, window.width);
    let down = Axis::new(crop.height, height, window.top, window.height);
    let part = CropBox {
        left: crop.left + across.reads.start,
        top: crop.top + down.reads.start,
        width: across.reads.len(),
        height: down.reads.len(),
    };
    // First along the axis that shrinks more, which is less work. Recent versions of PIL nearly always choose so
    // too; the rounding between the passes makes the order visible, by one level here and there.
    if height < crop.height && height * crop.width < width * crop.height {
        let low = resize_down(picture, part, &down);
        resize_across(&low, CropBox::whole(low.width, low.height), &across)
    } else {
        let narrow = resize_across(picture, part, &across);
        resize_down(&narrow, CropBox::whole(narrow.width, narrow.height), &down)
    }
}

/// Resizes the rows of `part`.
fn resize_across(picture: &Picture, part: CropBox, axis: &Axis) -> Picture {
    let (width, height) = (axis.spans.len(), part.height);
    let mut rgb = vec![0u8; 3 * width * height];
    // A fourth channel makes a pixel, and a sum over pixels, one vector register.
    let mut pixels = vec![[0.0f32; 4]; part.width];
    let mut sums = vec![[0.0f32; 4]; width];
    for (y, out) in (part.top..).zip(rgb.chunks_exact_mut(3 * width)) {
        let row = &picture.rgb.as_chunks::<3>().0[y * picture.width + part.left..][..part.width];
        for (pixel, &[r, g, b]) in pixels.iter_mut().zip(row) {
            *pixel = [r, g, b, 0].map(f32::from);
        }
        for (sum, (first, weights)) in sums.iter_mut().zip(axis.taps()) {
            let mut total = [0.0; 4];
            for (pixel, weight) in pixels[first..].iter().zip(weights) {
                for (total, value) in total.iter_mut().zip(pixel) {
                    *total += weight * value;
                }
            }
            *sum = total;
        }
        for (rgb, &[r, g, b, _]) in out.as_chunks_mut::<3>().0.iter_mut().zip(&sums) {
            *rgb = [r, g, b].map(to_byte);
        }
    }
    Picture { width, height, rgb }
}

/// Resizes the columns of `part`.
fn resize_down(picture: &Picture, part: CropBox, axis: &Axis) -> Picture {
    let (width, height) = (part.width, axis.spans.len());
    let mut rgb = vec![0u8; 3 * width * height];
    let mut sums = vec![0.0f32; 3 * width];
    for (out, (first, weights)) in rgb.chunks_exact_mut(3 * width).zip(axis.taps()) {
        sums.fill(0.0);
        for (y, weight) in (part.top + first..).zip(weights) {
            let row = &picture.rgb[3 * (y * picture.width + part.left)..][..3 * width];
            for (sum, &byte) in sums.iter_mut().zip(row) {
                *sum += weight * f32::from(byte);
            }
        }
        for (byte, &sum) in out.iter_mut().zip(&sums) {
            *byte = to_byte(sum);
        }
    }
    Picture { width, height, rgb }
}

/// Which input positions each output position is a weighted sum of, along one axis.
struct Axis {
    /// The input positions that are looked at.
    reads: Range<usize>,
    /// Per output position, the first input position, counted from the start of `reads`, and how many there are.
    spans: Vec<(usize, usize)>,
    /// Weights of all output positions, one after another.
    weights: Vec<f32>,
}

impl Axis {
    /// Taps of output positions `start..start + count` where `input` positions are resized to `output`.
    fn new(input: usize, output: usize, start: usize, count: usize) -> Self {
        let scale = input as f64 / output as f64;
        // Shrinking widens the filter, which is the antialiasing.
        let stretch = scale.max(1.0);
        let support = 2.0 * stretch;
        // Casts cut off at zero.
        let first = |center: f64| (center - support + 0.5) as usize;
        let center = |position: usize| (position as f64 + 0.5) * scale;
        let mut reads = first(center(start))..0;
        let mut spans = Vec::with_capacity(count);
        let mut weights = Vec::new();
        let mut taps = Vec::new();
        for center in (start..start + count).map(center) {
            let first = first(center);
            reads.end = ((center + support + 0.5) as usize).min(input);
            taps.clear();
            taps.extend((first..reads.end).map(|x| bicubic((x as f64 - center + 0.5) / stretch)));
            let sum: f64 = taps.iter().sum();
            weights.extend(taps.iter().map(|tap| (tap / sum) as f32));
            spans.push((first - reads.start, taps.len()));
        }
        Self { reads, spans, weights }
    }

    /// First input position, counted from the start of `reads`, and weights per output position.
    fn taps(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let mut rest = self.weights.as_slice();
        self.spans.iter().map(move |&(first, count)| {
            let (weights, after) = rest.split_at(count);
            rest = after;
            (first, weights)
        })
    }
}

/// Keys' cubic with a = −0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose every byte differs from its neighbours'.
    fn noise(width: usize, height: usize) -> Picture {
        let rgb = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        Picture { width, height, rgb }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let picture = noise(31, 17);
        assert_eq!(resize_to(&picture, 31, 17), picture);
    }

    #[test]
    fn a_window_equals_the_same_part_of_the_whole() {
        let picture = noise(90, 50);
        let view = eval_view(&picture, 28);
        let whole = resize_to(&picture, 57, 32);
        // (57 − 28) / 2 = 14.5 rounds to the even 14.
        let middle = resized_crop(&whole, CropBox { left: 14, top: 2, width: 28, height: 28 }, 28, 28);
        assert_eq!(view, middle);
    }

    #[test]
    fn extreme_aspects_and_sizes_work() {
        for (width, height) in [(1, 1), (1, 5000), (5000, 1), (3, 2)] {
            let picture = Picture { width, height, rgb: vec![77; 3 * width * height] };
            let view = eval_view(&picture, 14);
            assert_eq!((view.width, view.height), (14, 14));
            assert!(view.rgb.iter().all(|&byte| byte == 77));
        }
    }
}
