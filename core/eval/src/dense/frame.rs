//! Where the cells of a patch grid lie in a picture: sizes that a backbone takes, windows, padding.

use burn::tensor::{Device, Tensor, TensorData};

use super::axis::InterpolationAxis;
use dinoscope_data::Picture;
use dinoscope_data::augment::{CropBox, resize_to};
use dinoscope_data::channels::ChannelStatistics;

/// Longer side of a picture in windows, as in the published sizes of 2048 by 512: what is longer is made narrower.
const LONGEST: usize = 4;

/// A picture or window on its way to a backbone: it is padded with zeros on all sides to multiples of the patch, the
/// left and the top getting the smaller half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CenterPadding {
    pub width: usize,
    pub height: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Takes the padding off before cells become pixels. The published code does not: it stretches the grid, padding
    /// and all, over the picture.
    pub exact: bool,
}

impl CenterPadding {
    pub fn new(picture: &Picture, patch: usize, exact: bool) -> Self {
        Self { width: picture.width, height: picture.height, patch, exact }
    }

    pub fn rows(&self) -> usize {
        self.height.div_ceil(self.patch)
    }

    pub fn cols(&self) -> usize {
        self.width.div_ceil(self.patch)
    }

    fn left(&self) -> usize {
        (self.cols() * self.patch - self.width) / 2
    }

    fn top(&self) -> usize {
        (self.rows() * self.patch - self.height) / 2
    }

    /// The grid, each cell divided into `fine` by `fine`, as the pixels of the picture: down and across.
    pub fn axes(&self, fine: usize) -> (InterpolationAxis, InterpolationAxis) {
        let axis = |cells: usize, length: usize, first: usize| match self.exact {
            true => InterpolationAxis::part(fine * cells, cells * self.patch, first, length),
            false => InterpolationAxis::new(fine * cells, length),
        };
        (axis(self.rows(), self.height, self.top()), axis(self.cols(), self.width, self.left()))
    }

    /// `[channels, height, width]` of a picture of this frame, normalised, then padded.
    fn padded(&self, picture: &Picture, pixels: &ChannelStatistics) -> Vec<f32> {
        let plain = pixels.normalize(picture);
        let (width, height) = (self.cols() * self.patch, self.rows() * self.patch);
        if (width, height) == (self.width, self.height) {
            return plain;
        }
        let mut out = vec![0.0; pixels.channels() * width * height];
        for (row, line) in plain.chunks_exact(self.width.max(1)).enumerate() {
            let (channel, y) = (row / self.height, row % self.height);
            let start = (channel * height + self.top() + y) * width + self.left();
            out[start..start + line.len()].copy_from_slice(line);
        }
        out
    }

    /// Pictures of this frame as a backbone takes them, `[pictures, channels, height, width]`.
    pub fn tensor(&self, pictures: &[&Picture], pixels: &ChannelStatistics, device: &Device) -> Tensor<4> {
        let (width, height) = (self.cols() * self.patch, self.rows() * self.patch);
        let mut values = Vec::with_capacity(pictures.len() * pixels.channels() * width * height);
        pictures.iter().for_each(|picture| values.extend(self.padded(picture, pixels)));
        Tensor::from_data(TensorData::new(values, [pictures.len(), pixels.channels(), height, width]), device)
    }

    /// The pixels of every patch, `[cells, 3 patch²]`: what there is without a backbone.
    pub fn pixels(&self, picture: &Picture) -> Vec<f32> {
        let (patch, width, height) = (self.patch, self.cols() * self.patch, self.rows() * self.patch);
        let padded = self.padded(picture, &ChannelStatistics::image_net());
        let mut out = Vec::with_capacity(padded.len());
        for cell in 0..self.rows() * self.cols() {
            let (top, left) = (cell / self.cols() * patch, cell % self.cols() * patch);
            for line in (0..3 * patch).map(|i| (i / patch * height + top + i % patch) * width + left) {
                out.extend_from_slice(&padded[line..line + patch]);
            }
        }
        out
    }
}

/// A picture made so large that its shorter side is `short` pixels, and its longer side not above [`LONGEST`] times that.
pub(crate) fn fitted(picture: &Picture, short: usize) -> Picture {
    let (width, height) = (picture.width.max(1) as f64, picture.height.max(1) as f64);
    let scale = (short as f64 / width.min(height)).min((LONGEST * short) as f64 / width.max(height));
    let side = |length: f64| ((length * scale).round() as usize).max(1);
    match (side(width), side(height)) {
        same if same == (picture.width, picture.height) => picture.clone(),
        (width, height) => resize_to(picture, width, height),
    }
}

/// A truth in another size: that of the nearest pixel.
pub(crate) fn nearest<T: Copy>(
    values: &[T],
    (width, height): (usize, usize),
    (new_width, new_height): (usize, usize),
) -> Vec<T> {
    let place = |i: usize, from: usize, to: usize| ((2 * i + 1) * from / (2 * to)).min(from - 1);
    (0..new_width * new_height)
        .map(|i| {
            let (x, y) = (place(i % new_width, width, new_width), place(i / new_width, height, new_height));
            values[y * width + x]
        })
        .collect()
}

/// The part of a truth that lies in a window.
pub(crate) fn cut<T: Copy>(values: &[T], width: usize, window: CropBox) -> Vec<T> {
    let line = |row: usize| &values[row * width + window.left..][..window.width];
    (window.top..window.top + window.height).flat_map(|row| line(row).iter().copied()).collect()
}

/// Windows of a side that cover a picture, `stride` pixels apart; the last of a row or column is moved inside. A picture
/// that is smaller than a window is one window.
pub(crate) fn windows(width: usize, height: usize, side: usize, stride: usize) -> Vec<CropBox> {
    let (side, stride) = (side.max(1), stride.max(1));
    let starts = |length: usize| -> Vec<usize> {
        let last = length.saturating_sub(side);
        (0..=last.div_ceil(stride)).map(|i| (i * stride).min(last)).collect()
    };
    let across = starts(width);
    let row = |top: usize| {
        across.iter().map(move |left| CropBox {
            left: *left,
            top,
            width: side.min(width),
            height: side.min(height),
        })
    };
    starts(height).into_iter().flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinoscope_data::augment::normalize;

    fn ramp(width: usize, height: usize) -> Picture {
        let rgb =
            (0..width * height).flat_map(|i| [(i % width * 20) as u8, (i / width * 20) as u8, 7]).collect();
        Picture::of_rgb(width, height, rgb)
    }

    #[test]
    fn padding_is_in_the_middle_and_the_smaller_half_comes_first() {
        let picture = ramp(7, 4);
        let frame = CenterPadding::new(&picture, 4, true);
        assert_eq!((frame.rows(), frame.cols(), frame.left(), frame.top()), (1, 2, 0, 0));
        let frame = CenterPadding::new(&ramp(5, 6), 4, true);
        assert_eq!((frame.rows(), frame.cols(), frame.left(), frame.top()), (2, 2, 1, 1));
        let padded = frame.padded(&ramp(5, 6), &ChannelStatistics::image_net());
        let plain = normalize(&ramp(5, 6));
        for (i, value) in padded.iter().enumerate() {
            let (channel, y, x) = (i / 64, i / 8 % 8, i % 8);
            let inside = (1..6).contains(&x) && (1..7).contains(&y);
            let want = if inside { plain[channel * 30 + (y - 1) * 5 + x - 1] } else { 0.0 };
            assert_eq!(*value, want, "{channel} {y} {x}");
        }
    }

    #[test]
    fn cells_become_pixels_with_the_padding_taken_off_or_stretched() {
        let frame = CenterPadding { width: 5, height: 8, patch: 4, exact: true };
        let (down, across) = frame.axes(1);
        assert_eq!(down, InterpolationAxis::new(2, 8), "what needs no padding is the same both ways");
        assert_eq!(across, InterpolationAxis::part(2, 8, 1, 5));
        let (_, across) = CenterPadding { exact: false, ..frame }.axes(1);
        assert_eq!(across, InterpolationAxis::new(2, 5));
        assert_eq!(frame.axes(4).0, InterpolationAxis::new(8, 8));
    }

    #[test]
    fn patches_hold_their_own_pixels() {
        let picture = ramp(6, 4);
        let pixels = CenterPadding::new(&picture, 2, false).pixels(&picture);
        let plain = normalize(&picture);
        let at = |c: usize, y: usize, x: usize| plain[c * 24 + y * 6 + x];
        // The cell in row 1, column 2: channels, rows, columns.
        let want: Vec<f32> = (0..12).map(|i| at(i / 4, 2 + i / 2 % 2, 4 + i % 2)).collect();
        assert_eq!(pixels[5 * 12..6 * 12], want);
        assert_eq!(pixels.len(), 6 * 12);
    }

    #[test]
    fn windows_cover_everything_and_stay_inside() {
        let lefts = |width, side, stride| -> Vec<usize> {
            windows(width, side, side, stride).iter().map(|w| w.left).collect()
        };
        assert_eq!(lefts(512, 512, 341), [0]);
        assert_eq!(lefts(683, 512, 341), [0, 171]);
        assert_eq!(lefts(1024, 512, 341), [0, 341, 512]);
        let small = windows(30, 50, 40, 10);
        let want = |top| CropBox { left: 0, top, width: 30, height: 40 };
        assert_eq!(small, [want(0), want(10)]);
    }

    #[test]
    fn pictures_are_fitted_and_truths_follow() {
        let size = |width, height, short| {
            let fitted = fitted(&ramp(width, height), short);
            (fitted.width, fitted.height)
        };
        assert_eq!(size(12, 8, 4), (6, 4));
        assert_eq!(size(3, 5, 3), (3, 5));
        assert_eq!(size(100, 2, 4), (16, 1), "the longer side has a limit");
        assert_eq!(nearest(&[1, 2, 3, 4], (2, 2), (4, 2)), [1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(nearest(&[1, 2, 3, 4, 5, 6, 7, 8, 9], (3, 3), (1, 1)), [5]);
        let window = CropBox { left: 1, top: 1, width: 2, height: 1 };
        assert_eq!(cut(&[1, 2, 3, 4, 5, 6], 3, window), [5, 6]);
    }
}
