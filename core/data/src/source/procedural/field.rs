//! Fields: a number from about 0 to 1 at every point of the unit square, each a small program with drawn parameters.

use super::noise::{cells, octaves, sine, split};
use crate::source::scenes::materials::between;
use crate::source::scenes::math::sin_cos;
use dinoscope_base::rng::{RngExt, Stream};

/// A program for a number at every point.
#[derive(Clone, Debug)]
pub enum ScalarField {
    /// Noise whose spectrum falls as a power of the frequency, perhaps drawn out in one direction.
    Cloud { map: PlaneMap, count: u32, gain: f32, ridged: bool, seed: u32 },
    /// Plane waves of any direction; amplitudes fall with the frequency, or all have one frequency: then they make spots
    /// and labyrinths, as reaction and diffusion do.
    Waves { waves: Vec<PlaneWave>, gain: f32 },
    /// Stripes.
    Stripes { map: PlaneMap, profile: WaveProfile, chirp: f32 },
    /// Rings about a point.
    Rings { map: PlaneMap, profile: WaveProfile },
    /// Cells about scattered points.
    Cells { map: PlaneMap, jitter: f32, look: CellLook, seed: u32 },
    /// From one side to the other.
    Slope { map: PlaneMap },
    /// A chequerboard or a weave.
    Squares { map: PlaneMap, weave: bool },
}

/// A wave across the plane.
#[derive(Clone, Copy, Debug)]
pub struct PlaneWave {
    k: (f32, f32),
    phase: f32,
    strength: f32,
}

/// How a wave rises and falls.
#[derive(Clone, Copy, Debug)]
pub enum WaveProfile {
    Sine,
    Triangle,
    Saw,
    Square(f32),
}

/// What is shown of cells.
#[derive(Clone, Copy, Debug)]
pub enum CellLook {
    Cones,
    Borders,
    Flat,
}

/// Turned, scaled and shifted coordinates.
#[derive(Clone, Copy, Debug)]
pub struct PlaneMap {
    a: (f32, f32, f32),
    b: (f32, f32, f32),
    /// The larger of both scales.
    scale: f32,
}

impl PlaneMap {
    /// Anywhere, turned anyhow, `frequency` units across the picture, one direction drawn out up to `stretch` times.
    pub fn draw(rng: &mut Stream, frequency: f32, stretch: f32) -> Self {
        let (s, c) = sin_cos(rng.random());
        let along = frequency / between(rng, 1.0, stretch);
        let shift = (between(rng, -9.0, 9.0), between(rng, -9.0, 9.0));
        Self {
            a: (c * frequency, s * frequency, shift.0),
            b: (-s * along, c * along, shift.1),
            scale: frequency,
        }
    }

    #[inline(always)]
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.a.0 * x + self.a.1 * y + self.a.2, self.b.0 * x + self.b.1 * y + self.b.2)
    }
}

impl WaveProfile {
    fn draw(rng: &mut Stream) -> Self {
        match rng.random_range(0..5u32) {
            0 | 1 => Self::Sine,
            2 => Self::Triangle,
            3 => Self::Saw,
            _ => Self::Square(between(rng, 0.2, 0.8)),
        }
    }

    /// The value at `x` periods; a pixel spans `width` of them.
    fn at(self, x: f32, width: f32) -> f32 {
        let (_, t) = split(x);
        let tri = (2.0 * t - 1.0).abs();
        let value = match self {
            Self::Sine => 0.5 + 0.5 * sine(t),
            Self::Triangle => tri,
            // Falls steeply, but not within less than a pixel.
            Self::Saw => (t * (1.0 - t) / (width + 0.04)).min(1.0) * t,
            Self::Square(share) => ((tri - share) / (2.0 * width + 0.02) + 0.5).clamp(0.0, 1.0),
        };
        // Where a pixel spans a period it sees the mean.
        let seen = (1.5 - 2.0 * width).clamp(0.0, 1.0);
        0.5 + (value - 0.5) * seen
    }
}

/// A frequency between two, each doubling as likely as the next.
pub fn frequency(rng: &mut Stream, low: f32, high: f32) -> f32 {
    let mut f = low;
    while f * 2.0 < high && rng.random::<f32>() < 0.62 {
        f *= 2.0;
    }
    (f * between(rng, 1.0, 2.0)).min(high)
}

impl ScalarField {
    /// Any field.
    pub fn draw(rng: &mut Stream) -> Self {
        match rng.random_range(0..20u32) {
            0..=6 => Self::cloud(rng, 1.2, 14.0),
            7..=9 => Self::waves(rng),
            10 | 11 => {
                let f = frequency(rng, 1.5, 24.0);
                let chirp = if rng.random() { between(rng, -0.4, 0.4) } else { 0.0 };
                Self::Stripes { map: PlaneMap::draw(rng, f, 1.0), profile: WaveProfile::draw(rng), chirp }
            }
            12 => {
                let f = frequency(rng, 1.5, 14.0);
                let mut map = PlaneMap::draw(rng, f, 2.5);
                // The middle lies in the picture or near it.
                let (x, y) = (between(rng, -0.3, 1.3), between(rng, -0.3, 1.3));
                map.a.2 = -(map.a.0 * x + map.a.1 * y);
                map.b.2 = -(map.b.0 * x + map.b.1 * y);
                Self::Rings { map, profile: WaveProfile::draw(rng) }
            }
            13..=16 => {
                let f = frequency(rng, 2.5, 18.0);
                let look =
                    [CellLook::Cones, CellLook::Borders, CellLook::Flat][rng.random_range(0..3u32) as usize];
                let jitter = between(rng, 0.3, 1.0);
                Self::Cells { map: PlaneMap::draw(rng, f, 2.0), jitter, look, seed: rng.random() }
            }
            17 => Self::slope(rng),
            _ => {
                let f = frequency(rng, 3.0, 18.0);
                Self::Squares { map: PlaneMap::draw(rng, f, 1.6), weave: rng.random() }
            }
        }
    }

    /// Noise of frequencies from somewhere between `low` and `high` on.
    pub fn cloud(rng: &mut Stream, low: f32, high: f32) -> Self {
        let f = frequency(rng, low, high);
        let stretch = if rng.random::<f32>() < 0.3 { 6.0 } else { 1.3 };
        Self::Cloud {
            map: PlaneMap::draw(rng, f, stretch),
            count: 2 + rng.random_range(0..4u32),
            gain: between(rng, 0.3, 0.85),
            ridged: rng.random::<f32>() < 0.25,
            seed: rng.random(),
        }
    }

    fn slope(rng: &mut Stream) -> Self {
        let mut map = PlaneMap::draw(rng, 1.0, 1.0);
        map.a.2 = 0.5 - 0.5 * (map.a.0 + map.a.1);
        Self::Slope { map }
    }

    fn waves(rng: &mut Stream) -> Self {
        let one_frequency = rng.random();
        let count = if one_frequency { 7 } else { 12 };
        let f = frequency(rng, 3.0, 18.0);
        // Directions all around, or about one of them.
        let (turn, spread) = (rng.random::<f32>(), if rng.random() { 0.5 } else { between(rng, 0.05, 0.2) });
        let falls = rng.random_range(0..3u32);
        let mut square = 0.0;
        let mut waves = Vec::with_capacity(count);
        for _ in 0..count {
            let k = if one_frequency { f * between(rng, 0.93, 1.07) } else { frequency(rng, 1.0, 30.0) };
            // Amplitudes as 1 / √f, 1 / f and 1 / f².
            let strength = match falls {
                _ if one_frequency => 1.0,
                0 => 1.0 / k.sqrt(),
                1 => 1.0 / k,
                _ => 1.0 / (k * k),
            };
            let (s, c) = sin_cos(turn + spread * between(rng, -1.0, 1.0));
            square += strength * strength;
            waves.push(PlaneWave { k: (k * c, k * s), phase: rng.random(), strength });
        }
        let scale = 1.0 / square.sqrt();
        waves.iter_mut().for_each(|wave| wave.strength *= scale);
        // Of one frequency they are driven to their bounds, as spots have edges.
        Self::Waves {
            waves,
            gain: if one_frequency { between(rng, 0.3, 1.6) } else { between(rng, 0.28, 0.5) },
        }
    }

    /// The number at a point; `pixel` is a pixel's width.
    pub fn at(&self, x: f32, y: f32, pixel: f32) -> f32 {
        match self {
            Self::Cloud { map, count, gain, ridged, seed } => {
                let (u, v) = map.at(x, y);
                0.5 + 0.5 * octaves(u, v, *count, *gain, pixel * map.scale, *seed, *ridged)
            }
            Self::Waves { waves, gain } => {
                let wave = |w: &PlaneWave| w.strength * sine(w.k.0 * x + w.k.1 * y + w.phase);
                (0.5 + gain * waves.iter().map(wave).sum::<f32>()).clamp(0.0, 1.0)
            }
            Self::Stripes { map, profile, chirp } => {
                let (u, v) = map.at(x, y);
                let along = u + chirp * v;
                profile.at(along, pixel * map.scale * (1.0 + chirp.abs()))
            }
            Self::Rings { map, profile } => {
                let (u, v) = map.at(x, y);
                profile.at((u * u + v * v).sqrt(), pixel * map.scale)
            }
            Self::Cells { map, jitter, look, seed } => {
                let (u, v) = map.at(x, y);
                let cell = cells(u, v, *jitter, *seed);
                match look {
                    CellLook::Cones => cell.nearest,
                    CellLook::Borders => ((cell.second - cell.nearest) * 3.0).min(1.0),
                    CellLook::Flat => cell.own,
                }
            }
            Self::Slope { map } => map.at(x, y).0,
            Self::Squares { map, weave } => {
                let (u, v) = map.at(x, y);
                let width = pixel * map.scale;
                let (a, b) = (WaveProfile::Square(0.5).at(u, width), WaveProfile::Square(0.5).at(v, width));
                match weave {
                    true => {
                        let over = a + b - 2.0 * a * b;
                        over * (0.35 + 0.65 * WaveProfile::Triangle.at(4.0 * u, 4.0 * width)) + 0.2 * b
                    }
                    false => a + b - 2.0 * a * b,
                }
            }
        }
    }
}
