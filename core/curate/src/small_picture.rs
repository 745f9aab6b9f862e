//! What a picture looks like at 32 × 32 pixels, and how far two such pictures are the same one: whole, mirrored, or one a window
//! of the other.
//!
//! Features tell which pictures resemble each other, not which are copies: to small weights a crop is another picture. Whether a
//! pair that they name is one picture is told by its edges. One is laid over windows of the other, mirrored too; where they fit
//! best, agreement is the cosine between the differences of neighbouring pixels, which is what normalised cross-correlation
//! (Lewis 1995, "Fast Normalized Cross-Correlation") is for pixels. Light and contrast drop out, and so does what varies slowly,
//! which pictures that have nothing in common share. Each difference counts by its square root, so that letters over a picture,
//! whose edges are the hardest, do not outweigh the rest.

use dinoscope_data::Picture;

use crate::picture::lightness;

/// Side of the small picture.
pub const SIDE: usize = 32;
/// Its pixels.
pub const PIXELS: usize = SIDE * SIDE;
/// Side at which windows are tried, before the best is looked at closely.
const COARSE: usize = 12;
/// Sides of windows, by the whole one.
const SIDES: [f32; 8] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65];
/// Least step between windows, by the whole side.
const STEP: f32 = 0.04;
/// Agreement of a window at the coarse side below which it is not looked at closely.
const PROMISING: f32 = 0.4;

/// Lightness at 32 × 32 pixels, row by row.
pub type SmallPicture = [u8; PIXELS];

/// What a picture looks like at 32 × 32 pixels: each the mean of the area that it covers.
pub fn small_picture(picture: &Picture) -> SmallPicture {
    let mut out = [0; PIXELS];
    let values = lightness(picture, SIDE, SIDE);
    out.iter_mut().zip(values).for_each(|(pixel, value)| *pixel = (value + 0.5) as u8);
    out
}

/// A part of a picture, by its sides.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PictureWindow {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

impl PictureWindow {
    const WHOLE: Self = Self { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
}

/// Differences of neighbouring pixels, `[2, (side - 1)²]`, of length 1; all 0 where there are none.
type PictureEdges = Vec<f32>;

/// A picture as it is compared with others.
pub struct ComparedPicture {
    pixels: Vec<f32>,
    /// The whole picture at the coarse side, plain and mirrored.
    whole: [PictureEdges; 2],
}

/// Edges of all windows of a picture at the coarse side, one behind the other.
pub struct PictureWindows(Vec<f32>);

/// Compares small pictures.
pub struct PictureComparison {
    windows: Vec<PictureWindow>,
}

impl PictureComparison {
    /// Windows of all sizes, of the picture's shape, and narrower in one direction.
    pub fn new() -> Self {
        let starts = |side: f32| {
            let count = ((1.0 - side) / STEP).round() as usize;
            (0..=count).map(move |i| (1.0 - side) * i as f32 / count.max(1) as f32)
        };
        let mut windows = Vec::new();
        for side in SIDES {
            for top in starts(side) {
                let at = |left| PictureWindow { left, top, width: side, height: side };
                windows.extend(starts(side).map(at));
            }
            for start in starts(side).filter(|_| side < 1.0) {
                windows.push(PictureWindow { left: start, width: side, ..PictureWindow::WHOLE });
                windows.push(PictureWindow { top: start, height: side, ..PictureWindow::WHOLE });
            }
        }
        Self { windows }
    }

    /// Prepares a picture.
    pub fn prepare(&self, picture: &SmallPicture) -> ComparedPicture {
        let pixels: Vec<f32> = picture.iter().map(|pixel| f32::from(*pixel)).collect();
        let whole = [false, true].map(|is_mirrored| whole(&pixels, is_mirrored, COARSE));
        ComparedPicture { pixels, whole }
    }

    /// The windows of a picture, which are most of the work.
    pub fn windows(&self, picture: &ComparedPicture) -> PictureWindows {
        let of = |window: &PictureWindow| edges(&cut(&picture.pixels, *window, COARSE), COARSE);
        PictureWindows(self.windows.iter().flat_map(of).collect())
    }

    /// How far a picture is a window of another, whose windows are given: 1 where it is, about 0 where they have nothing in
    /// common.
    pub fn within(&self, windows: &PictureWindows, large: &ComparedPicture, part: &ComparedPicture) -> f32 {
        let length = part.whole[0].len();
        let mut best = WindowFit { agreement: f32::NEG_INFINITY, window: 0, is_mirrored: false };
        for (window, edges) in windows.0.chunks_exact(length).enumerate() {
            for (whole, is_mirrored) in part.whole.iter().zip([false, true]) {
                let agreement = product(edges, whole);
                if agreement > best.agreement {
                    best = WindowFit { agreement, window, is_mirrored };
                }
            }
        }
        if best.agreement < PROMISING {
            return best.agreement;
        }
        let sharp = whole(&part.pixels, best.is_mirrored, SIDE);
        closely(&large.pixels, self.windows[best.window], &sharp).max(best.agreement)
    }
}

/// Edges of a whole picture.
fn whole(pixels: &[f32], is_mirrored: bool, side: usize) -> PictureEdges {
    if !is_mirrored {
        return edges(&cut(pixels, PictureWindow::WHOLE, side), side);
    }
    let pixels: Vec<f32> = pixels.chunks_exact(SIDE).flat_map(|row| row.iter().rev().copied()).collect();
    edges(&cut(&pixels, PictureWindow::WHOLE, side), side)
}

/// How well a picture fits a window of another.
struct WindowFit {
    agreement: f32,
    window: usize,
    is_mirrored: bool,
}

/// The best agreement around a window, at the side of the small picture.
fn closely(pixels: &[f32], around: PictureWindow, sharp: &[f32]) -> f32 {
    let of = |window: PictureWindow| product(&edges(&cut(pixels, window, SIDE), SIDE), sharp);
    let (mut best, mut at) = (of(around), around);
    for step in [0.02, 0.01] {
        let from = at;
        for (grow, right, down) in (0..27).map(|i| (i / 9 - 1, i / 3 % 3 - 1, i % 3 - 1)) {
            let [grow, right, down] = [grow, right, down].map(|i| i as f32 * step);
            // One that is whole in a direction stays so.
            let side = |side: f32| if side == 1.0 { side } else { (side + grow).clamp(0.5, 1.0) };
            let (width, height) = (side(from.width), side(from.height));
            let start = |start: f32, by: f32, old: f32, new: f32| {
                (start + by + (old - new) / 2.0).clamp(0.0, 1.0 - new)
            };
            let window = PictureWindow {
                left: start(from.left, right, from.width, width),
                top: start(from.top, down, from.height, height),
                width,
                height,
            };
            let found = of(window);
            if found > best {
                (best, at) = (found, window);
            }
        }
    }
    best
}

/// A window of a picture at another side, between its pixels.
fn cut(pixels: &[f32], window: PictureWindow, side: usize) -> Vec<f32> {
    let along = |start: f32, length: f32| -> Vec<(usize, f32)> {
        let at = |i: usize| {
            let at = (start + length * (i as f32 + 0.5) / side as f32) * SIDE as f32 - 0.5;
            let at = at.clamp(0.0, (SIDE - 1) as f32);
            let first = (at as usize).min(SIDE - 2);
            (first, at - first as f32)
        };
        (0..side).map(at).collect()
    };
    let (across, down) = (along(window.left, window.width), along(window.top, window.height));
    let mut out = Vec::with_capacity(side * side);
    for (row, low) in down {
        let (above, below) = (&pixels[row * SIDE..][..SIDE], &pixels[(row + 1) * SIDE..][..SIDE]);
        out.extend(across.iter().map(|(column, right)| {
            let of = |row: &[f32]| row[*column] + right * (row[column + 1] - row[*column]);
            let above = of(above);
            above + low * (of(below) - above)
        }));
    }
    out
}

fn edges(pixels: &[f32], side: usize) -> PictureEdges {
    let inner = side - 1;
    let mut out = Vec::with_capacity(2 * inner * inner);
    let soft = |difference: f32| difference.signum() * difference.abs().sqrt();
    for y in 0..inner {
        let (row, below) = (&pixels[y * side..][..side], &pixels[(y + 1) * side..][..side]);
        out.extend(row.iter().zip(&row[1..]).map(|(a, b)| soft(b - a)));
        out.extend(row[..inner].iter().zip(below).map(|(a, b)| soft(b - a)));
    }
    let length = product(&out, &out).sqrt();
    // A picture without edges has none to agree in.
    let scale = if length > 1e-3 { 1.0 / length } else { 0.0 };
    out.iter_mut().for_each(|v| *v *= scale);
    out
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    // Sums of their own let the processor add several at once.
    let mut sums = [0f32; 16];
    let (left, right) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in left.0.iter().zip(right.0) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + left.1.iter().zip(right.1).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_data::augment::{CropBox, flip_horizontal, gaussian_blur, resized_crop};
    use dinoscope_data::source::PictureSource;
    use dinoscope_data::source::procedural::ProceduralSource;

    fn agreement(a: &Picture, b: &Picture) -> f32 {
        let comparison = PictureComparison::new();
        let [a, b] = [a, b].map(|picture| comparison.prepare(&small_picture(picture)));
        let within = |large, part| comparison.within(&comparison.windows(large), large, part);
        within(&a, &b).max(within(&b, &a))
    }

    #[test]
    fn copies_agree_and_others_do_not() {
        let source = ProceduralSource::new(5, 64, 96);
        for i in 0..8 {
            let picture = source.load(i).unwrap();
            let other = source.load(i + 20).unwrap();
            let (mut mirrored, mut blurred) = (picture.clone(), picture.clone());
            flip_horizontal(&mut mirrored);
            gaussian_blur(&mut blurred, 1.0);
            let window = |left, top, width, height| {
                resized_crop(&picture, CropBox { left, top, width, height }, 77, 77)
            };
            assert!(agreement(&picture, &picture) > 0.999 && agreement(&picture, &mirrored) > 0.98);
            assert!(agreement(&picture, &blurred) > 0.7, "{i}: {}", agreement(&picture, &blurred));
            // A window of its shape, one mirrored, and one that is cut in one direction alone.
            let mut crop = window(11, 3, 77, 77);
            assert!(agreement(&picture, &crop) > 0.6, "{i}: {}", agreement(&picture, &crop));
            flip_horizontal(&mut crop);
            assert!(agreement(&crop, &picture) > 0.6, "{i}: {}", agreement(&crop, &picture));
            let strip = window(17, 0, 72, 96);
            assert!(agreement(&picture, &strip) > 0.6, "{i}: {}", agreement(&picture, &strip));
            assert!(agreement(&picture, &other) < 0.5, "{i}: {}", agreement(&picture, &other));
        }
    }

    #[test]
    fn a_picture_without_edges_agrees_with_none() {
        let plain = Picture::of_rgb(40, 30, vec![90; 3600]);
        let picture = ProceduralSource::new(5, 64, 96).load(1).unwrap();
        assert_eq!((agreement(&plain, &plain), agreement(&plain, &picture)), (0.0, 0.0));
        assert!(agreement(&Picture::of_rgb(1, 1, vec![1, 2, 3]), &picture).abs() < 1e-6);
    }

    #[test]
    fn a_product_is_that_of_its_definition() {
        for count in [0, 1, 15, 16, 33, 450] {
            let (a, b): (Vec<f32>, Vec<f32>) = (0..count).map(|i| (i as f32, 1.0 / (i + 1) as f32)).unzip();
            let wanted: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(product(&a, &b)) - wanted).abs() < 1e-3, "{count}");
        }
    }
}
