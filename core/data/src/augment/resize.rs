//! Bicubic resizing with antialiasing, as PIL does it: two passes, each rounded to 8 bits.

use std::ops::Range;

use super::passes::{CHANNELS, HorizontalResizePass, VerticalResizePass};
use super::planes::PlanarPicture;
use super::wide::wide;
use crate::Picture;

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
    let across = ResampleAxis::new(crop.width, width, window.left, window.width);
    let down = ResampleAxis::new(crop.height, height, window.top, window.height);
    let (mut planes, mut resizer) = (PlanarPicture::default(), CropResizer::default());
    let down_first = shrinks_more_down(crop, width, height);
    picture.map_layers(|layer| {
        resizer.run(layer, picture.width, crop, [&across, &down], down_first, &mut planes);
        planes.picture()
    })
}

/// Whether a crop's columns are resized before its rows.
///
/// First comes the axis that shrinks more, which is less work. Recent versions of PIL nearly always choose so too; the
/// rounding between the passes makes the order visible, by one level here and there.
pub(super) fn shrinks_more_down(crop: CropBox, width: usize, height: usize) -> bool {
    height < crop.height && height * crop.width < width * crop.height
}

/// Resizing, with the memory it needs.
#[derive(Default)]
pub(super) struct CropResizer {
    across: HorizontalResizePass,
    down: VerticalResizePass,
    /// What the first pass leaves.
    between: Vec<u8>,
    /// What the second pass leaves.
    after: Vec<u8>,
}

impl CropResizer {
    /// Cuts out `crop` of a layer with rows of so many pixels, resizes it to `size` by `size` and mirrors it if so wished.
    pub fn square(
        &mut self,
        (layer, row): (&[u8], usize),
        crop: CropBox,
        size: usize,
        flip: bool,
        planes: &mut PlanarPicture,
    ) {
        let mut across = ResampleAxis::new(crop.width, size, 0, size);
        let down = ResampleAxis::new(crop.height, size, 0, size);
        if flip {
            across.spans.reverse();
        }
        self.run(layer, row, crop, [&across, &down], shrinks_more_down(crop, size, size), planes);
    }

    fn run(
        &mut self,
        layer: &[u8],
        row: usize,
        crop: CropBox,
        [across, down]: [&ResampleAxis; 2],
        down_first: bool,
        planes: &mut PlanarPicture,
    ) {
        let (width, height) = (across.spans.len(), down.spans.len());
        let stride = 3 * row;
        let start = 3 * (crop.left + across.reads.start) + stride * (crop.top + down.reads.start);
        let source = &layer[start..];
        if down_first {
            let length = 3 * across.reads.len();
            self.between.resize(length * height, 0);
            self.down.run(source, stride, length, down, &mut self.between);
            self.across.run(&self.between, length, height, across, &mut self.after);
        } else {
            let length = CHANNELS * width;
            self.across.run(source, stride, down.reads.len(), across, &mut self.between);
            self.after.resize(length * height, 0);
            self.down.run(&self.between, length, length, down, &mut self.after);
        }
        planes.reshape(width, height);
        separate(&self.after, planes.channels_mut());
    }
}

wide! {
    /// Puts pixels of four channels into planes, and leaves out the fourth.
    fn separate<'a>(pixels: &'a [u8], channels: [&'a mut [u8]; 3]) {
        let ((pixels, _), [reds, greens, blues]) = (pixels.as_chunks::<CHANNELS>(), channels);
        for (((&pixel, red), green), blue) in pixels.iter().zip(reds).zip(greens).zip(blues) {
            let word = u32::from_le_bytes(pixel);
            (*red, *green, *blue) = (word as u8, (word >> 8) as u8, (word >> 16) as u8);
        }
    }
}

/// Which input positions each output position is a weighted sum of, along one axis.
pub(super) struct ResampleAxis {
    /// The input positions that are looked at.
    pub reads: Range<usize>,
    /// What each output position is a sum of.
    pub spans: Vec<ResampleSpan>,
    /// Weights of all output positions, one after another.
    weights: Vec<f32>,
}

/// Neighbouring input positions with their weights.
pub(super) struct ResampleSpan {
    /// The first input position, counted from the start of [`ResampleAxis::reads`].
    pub first: usize,
    /// Where the weights stand.
    weights: Range<usize>,
}

impl ResampleAxis {
    /// Taps of output positions `start..start + count` where `input` positions are resized to `output`.
    pub fn new(input: usize, output: usize, start: usize, count: usize) -> Self {
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
            let from = weights.len();
            weights.extend(taps.iter().map(|tap| (tap / sum) as f32));
            spans.push(ResampleSpan { first: first - reads.start, weights: from..weights.len() });
        }
        Self { reads, spans, weights }
    }

    /// The weights of one output position.
    #[inline(always)]
    pub fn weights(&self, span: &ResampleSpan) -> &[f32] {
        &self.weights[span.weights.clone()]
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
        Picture::of_rgb(width, height, rgb)
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
            let picture = Picture::of_rgb(width, height, vec![77; 3 * width * height]);
            let view = eval_view(&picture, 14);
            assert_eq!((view.width, view.height), (14, 14));
            assert!(view.rgb.iter().all(|&byte| byte == 77));
        }
    }
}
