//! What is right, written pixel by pixel.

use super::{ChannelNormalization, ColourJitterStep, CropSpec, blur_weights, down_first, hue_shift};

/// Channels of a pixel, each a whole number 0 to 255.
type Pixel = [u32; 3];

/// Makes `views` of `pixels` as the GPU does: `[views, 3, size, size]`.
pub fn augment(pixels: &[u8], views: &[CropSpec], size: usize, normalize: &ChannelNormalization) -> Vec<f32> {
    let mut out = vec![0.0; views.len() * 3 * size * size];
    for view in views {
        let made = make(pixels, view, size);
        let planes = &mut out[view.slot * 3 * size * size..][..3 * size * size];
        for (c, (plane, (factor, offset))) in
            planes.chunks_exact_mut(size * size).zip(normalize.line()).enumerate()
        {
            for (value, pixel) in plane.iter_mut().zip(&made) {
                *value = pixel[c] as f32 * factor + offset;
            }
        }
    }
    out
}

/// One view as bytes.
fn make(pixels: &[u8], view: &CropSpec, size: usize) -> Vec<Pixel> {
    let mut made = resized(pixels, view, size);
    for jitter in &view.jitter {
        let mean = mean_grey(&made);
        for pixel in &mut made {
            *pixel = jittered(*pixel, *jitter, mean);
        }
    }
    if view.grayscale {
        for pixel in &mut made {
            *pixel = [luma(*pixel); 3];
        }
    }
    if let Some(sigma) = view.blur {
        made = blurred(&made, size, &blur_weights(sigma));
    }
    if view.solarize {
        for value in made.as_flattened_mut() {
            *value = if *value >= 128 { 255 - *value } else { *value };
        }
    }
    made
}

/// The crop, resized and mirrored.
fn resized(pixels: &[u8], view: &CropSpec, size: usize) -> Vec<Pixel> {
    let [left, top, width, height] = view.crop;
    let source = |x: usize, y: usize| -> [f32; 3] {
        let at = view.offset + 3 * ((top + y) * view.width + left + x);
        std::array::from_fn(|c| f32::from(pixels[at + c]))
    };
    let floats = |pixel: Pixel| pixel.map(|value| value as f32);
    let column = |x: usize| CpuResizeTaps::new(if view.flip { size - 1 - x } else { x }, width, size);
    let row = |y: usize| CpuResizeTaps::new(y, height, size);
    let mut out = Vec::with_capacity(size * size);
    if down_first(view, size) {
        let low: Vec<Vec<Pixel>> =
            (0..size).map(|y| (0..width).map(|x| row(y).sum(|y| source(x, y))).collect()).collect();
        for low in &low {
            out.extend((0..size).map(|x| column(x).sum(|x| floats(low[x]))));
        }
    } else {
        let narrow: Vec<Vec<Pixel>> =
            (0..height).map(|y| (0..size).map(|x| column(x).sum(|x| source(x, y))).collect()).collect();
        for y in 0..size {
            out.extend((0..size).map(|x| row(y).sum(|y| floats(narrow[y][x]))));
        }
    }
    out
}

/// The inputs that one output is a weighted sum of.
struct CpuResizeTaps {
    first: usize,
    end: usize,
    /// The middle of the output among the inputs: a whole number and what is over, which keeps floats small.
    whole: usize,
    fraction: f32,
    stretch: f32,
}

impl CpuResizeTaps {
    fn new(position: usize, input: usize, output: usize) -> Self {
        let numerator = (2 * position + 1) * input;
        let whole = numerator / (2 * output);
        let fraction = (numerator % (2 * output)) as f32 / (2 * output) as f32;
        // Shrinking widens the filter, which is the antialiasing.
        let stretch = (input as f32 / output as f32).max(1.0);
        let first = whole as i64 + (fraction - 2.0 * stretch + 0.5).floor() as i64;
        let end = whole + (fraction + 2.0 * stretch + 0.5).floor() as usize;
        Self { first: first.max(0) as usize, end: end.min(input), whole, fraction, stretch }
    }

    fn sum(&self, input: impl Fn(usize) -> [f32; 3]) -> Pixel {
        let (mut sum, mut weights) = ([0.0; 3], 0.0);
        for at in self.first..self.end {
            let weight = bicubic((at as f32 - self.whole as f32 - self.fraction + 0.5) / self.stretch);
            weights += weight;
            for (sum, value) in sum.iter_mut().zip(input(at)) {
                *sum += weight * value;
            }
        }
        sum.map(|sum| to_byte(sum / weights))
    }
}

/// Keys' cubic with a = −0.5.
fn bicubic(x: f32) -> f32 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// The nearest byte.
fn to_byte(value: f32) -> u32 {
    (value.clamp(0.0, 255.0) + 0.5) as u32
}

fn jittered(pixel: Pixel, jitter: ColourJitterStep, mean: u32) -> Pixel {
    match jitter {
        ColourJitterStep::Brightness(factor) => pixel.map(|value| blend(0, value, factor)),
        ColourJitterStep::Contrast(factor) => pixel.map(|value| blend(mean, value, factor)),
        ColourJitterStep::Saturation(factor) => pixel.map(|value| blend(luma(pixel), value, factor)),
        ColourJitterStep::Hue(turns) => turned(pixel, hue_shift(turns)),
    }
}

/// PIL's blend: from `a` (factor 0) to `b` (factor 1) and beyond, cut off rather than rounded.
fn blend(a: u32, b: u32, factor: f32) -> u32 {
    (a as f32 + factor * (b as f32 - a as f32)).clamp(0.0, 255.0) as u32
}

/// PIL's fixed-point ITU-R 601 luma.
fn luma([r, g, b]: Pixel) -> u32 {
    (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16
}

fn mean_grey(pixels: &[Pixel]) -> u32 {
    let (sum, count) = (pixels.iter().map(|pixel| luma(*pixel)).sum::<u32>(), pixels.len() as u32);
    sum / count + u32::from(2 * (sum % count) >= count)
}

/// Another hue, by `shift` of 256 parts of the colour circle.
///
/// PIL goes through an 8-bit HSV and floats. All its numbers are fractions with small denominators, so that whole
/// numbers give the same without depending on how a device divides.
fn turned(pixel: Pixel, shift: u32) -> Pixel {
    let [r, g, b] = pixel.map(|value| value as i32);
    let max = r.max(g).max(b);
    let range = max - r.min(g).min(b);
    if range == 0 {
        return pixel;
    }
    let (sixth, over) = if r == max {
        (0, g - b)
    } else if g == max {
        (2, b - r)
    } else {
        (4, r - g)
    };
    let around = sixth * range + over;
    let around = if around < 0 { around + 6 * range } else { around };
    let hue = ((255 * around / (6 * range)) as u32 + shift) & 255;
    let (max, saturation) = (max as u32, (255 * range / max) as u32);

    let (sixth, fraction) = (6 * hue / 255, 6 * hue % 255);
    let p = (2 * max * (255 - saturation) + 255) / 510;
    let between = |fraction: u32| (2 * max * (65025 - saturation * fraction) + 65025) / 130_050;
    let (q, t) = (between(fraction), between(255 - fraction));
    match sixth {
        1 => [q, max, p],
        2 => [p, max, t],
        3 => [p, q, max],
        4 => [t, p, max],
        5 => [max, p, q],
        _ => [max, t, p],
    }
}

/// Nine taps along each axis, mirrored at the border pixel, rounded at the end.
fn blurred(pixels: &[Pixel], size: usize, weights: &[f32; 5]) -> Vec<Pixel> {
    let sum = |at: &dyn Fn(usize) -> [f32; 3], position: usize| -> [f32; 3] {
        std::array::from_fn(|c| {
            (1..5).fold(weights[0] * at(position)[c], |sum, distance| {
                let (before, after) = mirrored(position, distance, size);
                sum + weights[distance] * (at(before)[c] + at(after)[c])
            })
        })
    };
    let down: Vec<[f32; 3]> = (0..size * size)
        .map(|i| sum(&|y| pixels[y * size + i % size].map(|value| value as f32), i / size))
        .collect();
    (0..size * size).map(|i| sum(&|x| down[i / size * size + x], i % size).map(to_byte)).collect()
}

/// The positions `distance` before and after one, mirrored at the border, the border pixel itself not repeated.
fn mirrored(position: usize, distance: usize, len: usize) -> (usize, usize) {
    let period = (2 * (len - 1)).max(1);
    let fold = |position: usize| {
        let position = position % period;
        position.min(period - position).min(len - 1)
    };
    (fold(position.abs_diff(distance)), fold(position + distance))
}
