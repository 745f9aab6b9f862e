//! Histograms of oriented gradients.
//!
//! Source: Dalal and Triggs 2005, Histograms of Oriented Gradients for Human Detection: gradients by `[-1, 0, 1]` of the
//! channel in which they are largest, nine orientations without a sign, blocks of 2 by 2 cells that overlap, each
//! normalised by L2-Hys. As in scikit-image, a pixel counts for one orientation and one cell alone, and gradients across
//! the picture's border are 0.

use dinoscope_data::Picture;

/// Orientations from 0 to 180 degrees.
const ORIENTATIONS: usize = 9;
/// Cells of a block, down and across.
const BLOCK: usize = 2;
/// Numbers of a block.
const BLOCK_DIM: usize = BLOCK * BLOCK * ORIENTATIONS;
/// No number of a normalised block may be above this before it is normalised once more.
const CLIP: f32 = 0.2;
/// Keeps flat blocks at 0.
const EPSILON: f32 = 1e-5;

/// Blocks down and across.
fn blocks(cells: usize) -> usize {
    (cells + 1).saturating_sub(BLOCK)
}

/// Numbers of a picture.
pub(super) fn dim(cells: usize) -> usize {
    blocks(cells) * blocks(cells) * BLOCK_DIM
}

/// Histograms of oriented gradients of `cells` by `cells` cells: `[blocks, blocks, 2, 2, 9]` with a block less than cells
/// each way, times 6, so that the mean square of a block is 1. Where a side is no multiple of `cells`, cells differ by a
/// pixel; each is divided by how many it has.
pub fn hog(view: &Picture, cells: usize) -> Vec<f32> {
    let histograms = histograms(view, cells);
    let scale = (BLOCK_DIM as f32).sqrt();
    let mut out = Vec::with_capacity(dim(cells));
    for corner in 0..blocks(cells) * blocks(cells) {
        let (top, left) = (corner / blocks(cells), corner % blocks(cells));
        let mut block = [0.0; BLOCK_DIM];
        for (i, part) in block.chunks_exact_mut(ORIENTATIONS).enumerate() {
            let cell = (top + i / BLOCK) * cells + left + i % BLOCK;
            part.copy_from_slice(&histograms[cell * ORIENTATIONS..][..ORIENTATIONS]);
        }
        normalise(&mut block);
        block.iter_mut().for_each(|v| *v = v.min(CLIP));
        normalise(&mut block);
        out.extend(block.map(|v| scale * v));
    }
    out
}

fn normalise(block: &mut [f32; BLOCK_DIM]) {
    let length = (block.iter().map(|v| v * v).sum::<f32>() + EPSILON * EPSILON).sqrt();
    block.iter_mut().for_each(|v| *v /= length);
}

/// Mean length of the gradients of each orientation in each cell, `[cells, cells, 9]`.
fn histograms(view: &Picture, cells: usize) -> Vec<f32> {
    let Picture { width, height, .. } = *view;
    let pixels = view.rgb.as_chunks::<3>().0;
    let mut sums = vec![0.0f32; cells * cells * ORIENTATIONS];
    let mut counts = vec![0u32; cells * cells];
    for y in 0..height {
        let row = y * cells / height;
        for x in 0..width {
            let at = y * width + x;
            let cell = row * cells + x * cells / width;
            counts[cell] += 1;
            let inside = |at: usize, of: usize| at > 0 && at + 1 < of;
            let across = inside(x, width).then(|| (pixels[at - 1], pixels[at + 1]));
            let down = inside(y, height).then(|| (pixels[at - width], pixels[at + width]));
            let (gx, gy) = steepest(across, down);
            let square = gx * gx + gy * gy;
            if square > 0 {
                sums[cell * ORIENTATIONS + orientation(gx, gy)] += (square as f32).sqrt();
            }
        }
    }
    for (histogram, count) in sums.chunks_exact_mut(ORIENTATIONS).zip(counts) {
        histogram.iter_mut().for_each(|sum| *sum /= count.max(1) as f32);
    }
    sums
}

/// The gradient of the channel in which it is longest, the first among equals.
fn steepest(across: Option<([u8; 3], [u8; 3])>, down: Option<([u8; 3], [u8; 3])>) -> (i32, i32) {
    let difference = |pair: Option<([u8; 3], [u8; 3])>, channel: usize| {
        pair.map_or(0, |(before, after)| i32::from(after[channel]) - i32::from(before[channel]))
    };
    let mut best = (0, 0);
    for channel in 0..3 {
        let (gx, gy) = (difference(across, channel), difference(down, channel));
        if gx * gx + gy * gy > best.0 * best.0 + best.1 * best.1 {
            best = (gx, gy);
        }
    }
    best
}

/// Which ninth of half a turn a gradient points to, whatever its sign.
fn orientation(gx: i32, gy: i32) -> usize {
    let (gx, gy) = if gy < 0 || (gy == 0 && gx < 0) { (-gx, -gy) } else { (gx, gy) };
    let share = (gy as f32).atan2(gx as f32) / std::f32::consts::PI;
    ((share * ORIENTATIONS as f32) as usize).min(ORIENTATIONS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(side: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
        let rgb = (0..side * side).flat_map(|i| pixel(i % side, i / side)).collect();
        Picture::of_rgb(side, side, rgb)
    }

    /// The last block of [`numbers_of_scikit_image`]'s picture.
    const LAST: [f32; 36] = [
        0.000000, 0.273095, 0.149958, 0.273095, 0.273095, 0.134854, 0.000000, 0.000000, 0.000000, 0.000000,
        0.000000, 0.000000, 0.219824, 0.273095, 0.074752, 0.273095, 0.273095, 0.000000, 0.129467, 0.273095,
        0.000000, 0.071588, 0.273095, 0.078641, 0.000000, 0.126491, 0.000000, 0.223185, 0.000000, 0.078925,
        0.000000, 0.234779, 0.066132, 0.273095, 0.273095, 0.000000,
    ];

    /// From scikit-image 0.26.0: `hog(image, orientations=9, pixels_per_cell=(4, 4), cells_per_block=(2, 2),
    /// block_norm='L2-Hys', channel_axis=-1)`; of all 144 numbers the sum, and the sum of each times its place from 1.
    #[test]
    fn numbers_of_scikit_image() {
        let level = |x: usize, y: usize, c: usize| (x * x * 7 + y * 13 * (c + 1) + x * y * 5 + c * 40) % 256;
        let view = picture(12, |x, y| [0, 1, 2].map(|c| level(x, y, c) as u8));
        let found: Vec<f32> = hog(&view, 3).iter().map(|v| v / 6.0).collect();
        assert_eq!((found.len(), dim(3)), (144, 144));
        for (i, (found, wanted)) in found[108..].iter().zip(LAST).enumerate() {
            assert!((found - wanted).abs() < 2e-6, "{i}: {found}, not {wanted}");
        }
        let sum: f32 = found.iter().sum();
        let placed: f32 = found.iter().zip(1u16..).map(|(v, i)| v * f32::from(i)).sum();
        assert!((sum - 16.742_606).abs() < 1e-4 && (placed - 1_234.49).abs() < 1e-2, "{sum} {placed}");
    }

    #[test]
    fn edges_by_hand() {
        // Dark at the left or at the top: all gradients point one way, along 0 or along 90 degrees.
        let cases: [(usize, Picture); 2] =
            [(0, picture(8, |x, _| [20 * x as u8; 3])), (4, picture(8, |_, y| [255 - 20 * y as u8; 3]))];
        for (bin, view) in cases {
            let found = hog(&view, 2);
            // Four cells with one orientation each: a half each is clipped to 0.2 and comes back as a half.
            let wanted = |i: usize| if i % 9 == bin { 3.0 } else { 0.0 };
            assert!(found.iter().enumerate().all(|(i, v)| (v - wanted(i)).abs() < 1e-4), "{bin}: {found:?}");
        }
        // Of two channels the longer gradient counts: that of red only where blue has none, at the upper and lower border.
        let blue = hog(&picture(8, |x, y| [10 * x as u8, 0, 255 - 20 * y as u8]), 2);
        assert!(blue[4] > 3.0 * blue[0] && blue[0] > 0.0, "{blue:?}");
        // The sign does not count.
        let [up, down] = [false, true].map(|down| {
            hog(&picture(8, |_, y| [if down { 200 - 20 * y as u8 } else { 20 * y as u8 }; 3]), 2)
        });
        assert_eq!(up, down);
        assert!(hog(&picture(8, |_, _| [90; 3]), 2).iter().all(|v| *v == 0.0), "flat pictures have no edges");
    }

    #[test]
    fn orientations_are_ninths_of_half_a_turn() {
        let of = |degrees: f32| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            orientation((1000.0 * cos) as i32, (1000.0 * sin) as i32)
        };
        for i in 0..18u8 {
            for off in [1.0, 10.0, 19.0] {
                assert_eq!(of(f32::from(i) * 20.0 + off), usize::from(i) % 9, "{i} {off}");
            }
        }
        assert_eq!([orientation(5, 0), orientation(-5, 0), orientation(0, -5)], [0, 0, 4]);
    }

    #[test]
    fn any_side_will_do() {
        for (side, cells) in [(13, 4), (98, 8), (5, 8), (1, 2)] {
            let found = hog(&picture(side, |x, y| [(x * 37 + y * 11) as u8; 3]), cells);
            assert_eq!(found.len(), dim(cells));
            assert!(found.iter().all(|v| v.is_finite() && (0.0..=6.0).contains(v)), "{side} {cells}");
        }
    }
}
