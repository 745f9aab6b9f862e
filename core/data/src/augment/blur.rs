//! Gaussian blur with torchvision's nine-tap kernel and reflected borders.

use super::planes::PlanarPicture;
use super::wide::{to_byte, wide};
use crate::Picture;

/// Taps either side of the middle one: the kernel is 9 wide.
const RADIUS: usize = 4;

/// Blurs with standard deviation `sigma`, in pixels; the kernel ends four pixels from its middle.
pub fn gaussian_blur(picture: &mut Picture, sigma: f32) {
    PlanarPicture::of(picture, |planes| GaussianBlur::default().apply(planes, sigma));
}

/// [`gaussian_blur`] of planes, with the memory it needs.
#[derive(Default)]
pub(super) struct GaussianBlur {
    /// A plane as it was.
    before: Vec<u8>,
    /// A row, already blurred along the columns, with the pixels reflected at either end.
    row: Vec<f32>,
}

impl GaussianBlur {
    /// Blurs with standard deviation `sigma`.
    pub fn apply(&mut self, planes: &mut PlanarPicture, sigma: f32) {
        let (width, height) = (planes.width, planes.height);
        let kernel = kernel(sigma);
        self.row.resize(width + 2 * RADIUS, 0.0);
        for plane in planes.channels_mut() {
            self.before.clear();
            self.before.extend_from_slice(plane);
            for (y, out) in plane.chunks_exact_mut(width.max(1)).enumerate() {
                let rows: Rows = std::array::from_fn(|tap| {
                    &self.before[reflect((y + tap) as isize - RADIUS as isize, height) * width..][..width]
                });
                blur_columns(rows, &kernel, &mut self.row[RADIUS..][..width]);
                for x in (0..RADIUS).chain(width + RADIUS..width + 2 * RADIUS) {
                    self.row[x] = self.row[RADIUS + reflect(x as isize - RADIUS as isize, width)];
                }
                blur_row(&self.row, &kernel, out);
            }
        }
    }
}

/// The middle tap's weight and those at each distance from it.
type Weights = [f32; RADIUS + 1];
/// A row and its neighbours above and below.
type Rows<'a> = [&'a [u8]; 2 * RADIUS + 1];

wide! {
    /// The row in the middle, blurred along the columns.
    fn blur_columns<'a>(rows: Rows<'a>, kernel: &'a Weights, out: &'a mut [f32]) {
        let width = out.len();
        let [a, b, c, d, e, f, g, h, i] = rows;
        let (a, b, c, d, e) = (&a[..width], &b[..width], &c[..width], &d[..width], &e[..width]);
        let (f, g, h, i) = (&f[..width], &g[..width], &h[..width], &i[..width]);
        for x in 0..width {
            out[x] = kernel[0] * f32::from(e[x])
                + kernel[1] * sum(d[x], f[x])
                + kernel[2] * sum(c[x], g[x])
                + kernel[3] * sum(b[x], h[x])
                + kernel[4] * sum(a[x], i[x]);
        }
    }

    /// A row blurred along itself; `padded` has [`RADIUS`] more values at either end.
    fn blur_row<'a>(padded: &'a [f32], kernel: &'a Weights, out: &'a mut [u8]) {
        let width = out.len();
        let [a, b, c, d] = [&padded[..width], &padded[1..][..width], &padded[2..][..width], &padded[3..][..width]];
        let [e, f, g] = [&padded[4..][..width], &padded[5..][..width], &padded[6..][..width]];
        let [h, i] = [&padded[7..][..width], &padded[8..][..width]];
        for x in 0..width {
            let sum = kernel[0] * e[x]
                + kernel[1] * (d[x] + f[x])
                + kernel[2] * (c[x] + g[x])
                + kernel[3] * (b[x] + h[x])
                + kernel[4] * (a[x] + i[x]);
            out[x] = to_byte(sum);
        }
    }
}

/// The sum of neighbours at one distance, as integers: exact, and half the conversions.
#[inline(always)]
fn sum(one: u8, other: u8) -> f32 {
    f32::from(u16::from(one) + u16::from(other))
}

/// Weights of the middle tap and of those at each distance from it; over both sides they sum to 1.
pub(super) fn kernel(sigma: f32) -> Weights {
    let weights: [f64; RADIUS + 1] =
        std::array::from_fn(|distance| (-0.5 * (distance as f64 / f64::from(sigma)).powi(2)).exp());
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    weights.map(|weight| (weight / sum) as f32)
}

/// The index that a position outside `0..len` mirrors to, the border pixel itself not repeated.
fn reflect(position: isize, len: usize) -> usize {
    let last = len as isize - 1;
    if last <= 0 {
        return 0;
    }
    let folded = position.rem_euclid(2 * last);
    folded.min(2 * last - folded) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_outside_mirror_at_the_border_pixel() {
        let mirrored: Vec<usize> = (-4..8).map(|position| reflect(position, 4)).collect();
        assert_eq!(mirrored, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(reflect(-3, 1), 0);
    }

    #[test]
    fn pictures_smaller_than_the_kernel_are_blurred() {
        for (width, height) in [(1, 1), (2, 3), (7, 1)] {
            let mut picture = Picture::of_rgb(width, height, vec![90; 3 * width * height]);
            gaussian_blur(&mut picture, 2.0);
            assert!(picture.rgb.iter().all(|&byte| byte == 90));
        }
    }
}
