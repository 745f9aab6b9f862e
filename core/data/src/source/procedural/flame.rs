//! Flames: where a point goes that is thrown about by a few maps of the plane (iterated function systems; Draves and Reckase
//! 2003), as light on the picture.

use super::canvas::ProceduralCanvas;
use super::palette::{ColourRamp, PictureHues};
use crate::source::scenes::materials::between;
use crate::source::scenes::math::{V3, sin_cos};
use dinoscope_base::rng::{RngExt, Stream};

/// A map of the plane: a contraction, then a bend.
#[derive(Clone, Copy, Debug)]
struct FlameMap {
    a: (f32, f32, f32),
    b: (f32, f32, f32),
    bend: FlameBend,
    colour: f32,
}

#[derive(Clone, Copy, Debug)]
enum FlameBend {
    None,
    Sines,
    Sphere,
    Swirl,
}

impl FlameMap {
    fn draw(rng: &mut Stream, colour: f32) -> Self {
        let (s, c) = sin_cos(rng.random());
        let (s2, c2) = sin_cos(rng.random());
        // A turn, a contraction by two factors, another turn.
        let (p, q) = (between(rng, 0.35, 0.92), between(rng, 0.15, 0.8));
        let bend = match rng.random_range(0..8u32) {
            0..=3 => FlameBend::None,
            4 | 5 => FlameBend::Sines,
            6 => FlameBend::Sphere,
            _ => FlameBend::Swirl,
        };
        Self {
            a: (p * c * c2 - q * s * s2, -p * c * s2 - q * s * c2, between(rng, -0.9, 0.9)),
            b: (p * s * c2 + q * c * s2, -p * s * s2 + q * c * c2, between(rng, -0.9, 0.9)),
            bend,
            colour,
        }
    }

    fn at(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (x, y) = (self.a.0 * x + self.a.1 * y + self.a.2, self.b.0 * x + self.b.1 * y + self.b.2);
        match self.bend {
            FlameBend::None => (x, y),
            FlameBend::Sines => (sin_cos(x * 0.16).0 * 1.3, sin_cos(y * 0.16).0 * 1.3),
            FlameBend::Sphere => {
                let k = 1.0 / (x * x + y * y + 0.35);
                (x * k, y * k)
            }
            FlameBend::Swirl => {
                let (s, c) = sin_cos((x * x + y * y) * 0.16);
                (x * s - y * c, x * c + y * s)
            }
        }
    }
}

/// A flame.
#[derive(Clone, Debug)]
pub struct FlameLayer {
    maps: Vec<FlameMap>,
    ramp: ColourRamp,
    /// How fast it becomes opaque with the number of visits.
    opaque: f32,
    /// Turned, this large, about here.
    turn: f32,
    scale: f32,
    middle: (f32, f32),
}

impl FlameLayer {
    /// Any flame.
    pub fn draw(rng: &mut Stream, hues: &PictureHues) -> Self {
        let count = 2 + rng.random_range(0..3u32);
        let maps = (0..count).map(|i| FlameMap::draw(rng, i as f32 / (count - 1) as f32)).collect();
        Self {
            maps,
            ramp: ColourRamp::draw(rng, hues),
            opaque: between(rng, 0.25, 1.2),
            turn: rng.random(),
            scale: between(rng, 0.6, 1.5),
            middle: (between(rng, 0.25, 0.75), between(rng, 0.25, 0.75)),
        }
    }

    /// Paints the flame with three visits for each pixel.
    pub fn paint(&self, rng: &mut Stream, canvas: &mut ProceduralCanvas) {
        const SETTLE: usize = 20;
        const MEASURE: usize = 240;
        let n = canvas.size;
        let (mut point, mut colour) = ((0.1, 0.2), 0.5);
        let mut step = |rng: &mut Stream, point: &mut (f32, f32)| {
            let map = &self.maps[rng.random_range(0..self.maps.len() as u32) as usize];
            *point = map.at(*point);
            colour = 0.5 * (colour + map.colour);
            colour
        };
        for _ in 0..SETTLE {
            step(rng, &mut point);
        }
        let (mut sum, mut square) = ((0.0, 0.0), 0.0);
        for _ in 0..MEASURE {
            step(rng, &mut point);
            sum = (sum.0 + point.0, sum.1 + point.1);
            square += point.0 * point.0 + point.1 * point.1;
        }
        let k = 1.0 / MEASURE as f32;
        let mean = (sum.0 * k, sum.1 * k);
        let spread = (square * k - mean.0 * mean.0 - mean.1 * mean.1).max(1e-4).sqrt();
        // About twice the spread to either side fills the picture.
        let (s, c) = sin_cos(self.turn);
        let zoom = 0.32 * self.scale / spread;
        let mut seen = vec![(0.0f32, 0.0f32); n * n];
        for _ in 0..3 * n * n {
            let tint = step(rng, &mut point);
            let (x, y) = ((point.0 - mean.0) * zoom, (point.1 - mean.1) * zoom);
            let (x, y) = (c * x - s * y + self.middle.0, s * x + c * y + self.middle.1);
            let (x, y) = (x * n as f32, y * n as f32);
            if x >= 0.0 && y >= 0.0 && x < n as f32 && y < n as f32 {
                let cell = &mut seen[y as usize * n + x as usize];
                *cell = (cell.0 + 1.0, cell.1 + tint);
            }
        }
        for (light, (visits, tint)) in canvas.light.iter_mut().zip(seen) {
            if visits > 0.0 {
                let alpha = visits / (visits + 1.0 / self.opaque);
                let colour: V3 = self.ramp.at(tint / visits) * (0.55 + 0.9 * visits / (visits + 6.0));
                *light = light.mix(colour, alpha);
            }
        }
    }
}
