//! Gaussian blur with torchvision's nine-tap kernel and reflected borders.

use super::to_byte;
use crate::data::Picture;

/// Taps either side of the middle one: the kernel is 9 wide.
const RADIUS: usize = 4;

/// Blurs with standard deviation `sigma`, in pixels; the kernel ends four pixels from its middle.
pub fn gaussian_blur(picture: &mut Picture, sigma: f32) {
    let (width, height) = (picture.width, picture.height);
    let kernel = kernel(sigma);
    let stride = 3 * width;
    let source = picture.rgb.clone();
    let row = |y: isize| &source[reflect(y, height) * stride..][..stride];
    // One row, already blurred along the columns, with the pixels reflected at either end.
    let mut padded = vec![0.0f32; stride + 6 * RADIUS];
    for (y, out) in (0..).zip(picture.rgb.chunks_exact_mut(stride.max(1))) {
        let sums = &mut padded[3 * RADIUS..][..stride];
        for (sum, &byte) in sums.iter_mut().zip(row(y)) {
            *sum = kernel[0] * f32::from(byte);
        }
        for (distance, weight) in (1..).zip(&kernel[1..]) {
            for ((sum, &above), &below) in sums.iter_mut().zip(row(y - distance)).zip(row(y + distance)) {
                *sum += weight * (f32::from(above) + f32::from(below));
            }
        }
        for x in (0..RADIUS).chain(width + RADIUS..width + 2 * RADIUS) {
            let from = RADIUS + reflect(x as isize - RADIUS as isize, width);
            padded.copy_within(3 * from..3 * from + 3, 3 * x);
        }
        let taps: [&[f32]; 2 * RADIUS + 1] = std::array::from_fn(|tap| &padded[3 * tap..][..stride]);
        for (x, byte) in out.iter_mut().enumerate() {
            let mut sum = kernel[0] * taps[RADIUS][x];
            for distance in 1..=RADIUS {
                sum += kernel[distance] * (taps[RADIUS - distance][x] + taps[RADIUS + distance][x]);
            }
            *byte = to_byte(sum);
        }
    }
}

/// Weights of the middle tap and of those at each distance from it; over both sides they sum to 1.
fn kernel(sigma: f32) -> [f32; RADIUS + 1] {
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
            let mut picture = Picture { width, height, rgb: vec![90; 3 * width * height] };
            gaussian_blur(&mut picture, 2.0);
            assert!(picture.rgb.iter().all(|&byte| byte == 90));
        }
    }
}
