//! What a picture is painted on: light, until it becomes bytes.

use super::noise::{hash, unit};
use crate::source::scenes::math::{V3, srgb, v3};

/// A square of linear RGB over the unit square.
pub struct ProceduralCanvas {
    /// Pixels a side.
    pub size: usize,
    /// A pixel's width.
    pub pixel: f32,
    /// Row-major.
    pub light: Vec<V3>,
}

impl ProceduralCanvas {
    /// Filled with what `colour` gives for each pixel and its middle.
    pub fn filled(size: usize, colour: impl Fn(usize, f32, f32) -> V3) -> Self {
        let pixel = 1.0 / size as f32;
        let at = |i: usize| colour(i, ((i % size) as f32 + 0.5) * pixel, ((i / size) as f32 + 0.5) * pixel);
        Self { size, pixel, light: (0..size * size).map(at).collect() }
    }

    /// 8-bit sRGB with a mean brightness of `mean` (linear) as far as that can be had, and `grain`.
    pub fn bytes(&self, mean: f32, grain: f32, seed: u32) -> Vec<u8> {
        let luminance = |c: &V3| 0.2126 * c.x + 0.7152 * c.y + 0.0722 * c.z;
        let sum: f32 = self.light.iter().map(luminance).sum();
        let gain = (mean * self.light.len() as f32 / sum.max(1e-3)).clamp(0.4, 3.0);
        let mut bytes = Vec::with_capacity(3 * self.light.len());
        for (i, c) in self.light.iter().enumerate() {
            let noise = grain * (unit(hash((i % self.size) as i32, (i / self.size) as i32, seed)) - 0.5);
            // Highlights bend before they burn out.
            let soft = |x: f32| {
                let x = x * gain;
                srgb(if x < 0.7 { x } else { 0.7 + 0.3 * (1.0 - 1.0 / (1.0 + (x - 0.7) * 3.3)) })
            };
            let c = v3(soft(c.x), soft(c.y), soft(c.z));
            bytes.extend([c.x, c.y, c.z].map(|c| ((c + noise) * 255.0 + 0.5) as u8));
        }
        bytes
    }
}

/// Calls `paint` for each pixel of a square of `size` a side whose middle lies within `reach` of a point, with its index and its
/// middle.
pub fn about(size: usize, (x, y): (f32, f32), reach: f32, mut paint: impl FnMut(usize, f32, f32)) {
    let (n, pixel) = (size as f32, 1.0 / size as f32);
    let range = |c: f32| {
        let low = ((c - reach) * n).max(0.0) as usize;
        let high = ((c + reach) * n + 1.0).clamp(0.0, n) as usize;
        low.min(size)..high
    };
    let (columns, rows) = (range(x), range(y));
    for j in rows {
        for i in columns.clone() {
            paint(j * size + i, (i as f32 + 0.5) * pixel, (j as f32 + 0.5) * pixel);
        }
    }
}
