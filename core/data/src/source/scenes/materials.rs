//! Paint for the scenes: ten solid textures and palettes that go together, drawn independently of what is painted.

use super::math::{RotationMatrix, V3, oklch, v3};
use dinoscope_base::rng::{RngExt, Stream};

/// How many textures there are.
pub const TEXTURES: u32 = 10;

/// A texture that fills space, with its two colours.
#[derive(Clone, Copy, Debug)]
pub struct SceneMaterial {
    /// Which texture, below [`TEXTURES`].
    pub texture: u32,
    /// The ground colour, linear RGB.
    pub base: V3,
    /// The colour of the figure on it.
    pub figure: V3,
    /// How the texture lies in space.
    pub frame: RotationMatrix,
    /// Where in the texture the object lies.
    pub shift: V3,
    /// Repeats a unit.
    pub scale: f32,
    /// Strength of the highlight, 0 (chalk) to 1 (glaze).
    pub gloss: f32,
}

/// A square wave of period 1 (1 about whole numbers), its edges blurred over `blur` periods.
fn wave(x: f32, blur: f32) -> f32 {
    let tri = ((x - x.floor()) - 0.5).abs() * 2.0;
    // Where a pixel spans several periods, what it sees is their mean.
    let seen = ((tri - 0.5) / (2.0 * blur).max(1e-3) + 0.5).clamp(0.0, 1.0);
    let fade = (1.4 - 1.4 * blur).clamp(0.0, 1.0);
    0.5 + (seen - 0.5) * fade
}

/// A band from 0 to 1 as `x` passes `edge`, blurred over `blur`.
fn step(edge: f32, x: f32, blur: f32) -> f32 {
    ((x - edge) / blur.max(1e-3) + 0.5).clamp(0.0, 1.0)
}

/// Thin lines at whole numbers: 1 on the line, of half width `w`.
fn line(x: f32, w: f32, blur: f32) -> f32 {
    let near = 0.5 - ((x - x.floor()) - 0.5).abs();
    (1.0 - step(w, near, blur)) * (2.0 * w / (2.0 * w).max(blur))
}

impl SceneMaterial {
    /// The colour at a point; `width` is how much of the object's space one pixel covers.
    pub fn at(&self, p: V3, width: f32) -> V3 {
        let blur = width * self.scale;
        let q = self.frame.inward(p) * self.scale + self.shift;
        let t = match self.texture {
            0 => 0.0,
            1 => wave(q.x, blur),
            2 => {
                let (a, b, c) = (wave(q.x, blur) - 0.5, wave(q.y, blur) - 0.5, wave(q.z, blur) - 0.5);
                0.5 + 4.0 * a * b * c
            }
            3 => marble(q, blur),
            4 => wood(q, blur),
            5 => return self.planks(q, blur),
            6 => speckle(q * 2.2, blur * 2.2),
            7 => dots(q, blur),
            8 => line(q.x, 0.05, blur).max(line(q.z, 0.05, blur)).max(line(q.y + 0.5, 0.05, blur)),
            _ => 0.75 * noise(q * 1.3) + 0.35 * noise(q * 4.1) - 0.05,
        };
        self.base.mix(self.figure, t)
    }

    fn planks(&self, q: V3, blur: f32) -> V3 {
        let row = q.x.floor();
        let shade = hash(row as i32, 7, 3);
        let along = q.z * 0.25 + shade * 5.0;
        let tone = hash(row as i32, along.floor() as i32, 1);
        let grain = noise(v3(q.x * 9.0, q.y * 9.0, q.z * 0.8 + shade * 30.0)) * (0.45 - blur).max(0.0);
        let seam = line(q.x, 0.025, blur).max(line(along, 0.008, blur * 0.25));
        self.base.mix(self.figure, 0.45 * tone + grain) * (1.0 - 0.55 * seam)
    }
}

fn marble(q: V3, blur: f32) -> f32 {
    let bend = noise(q * 1.1) * 2.2 + noise(q * 2.7) * 0.8;
    let x = q.x * 0.5 + bend;
    let near = ((x - x.floor()) - 0.5).abs() * 2.0;
    let vein = (1.0 - near * 2.6).max(0.0);
    (vein * vein * (1.0 - blur).max(0.2) + 0.3 * noise(q * 0.7)).min(1.0)
}

fn wood(q: V3, blur: f32) -> f32 {
    let wobble = noise(v3(q.x * 0.8, q.y * 0.3, q.z * 0.8)) * 1.1;
    let r = (q.x * q.x + q.z * q.z).sqrt() * 1.6 + wobble;
    let ring = r - r.floor();
    let soft = ring * ring * (1.0 - ring) * 5.5;
    soft * (1.0 - blur).clamp(0.25, 1.0)
}

fn speckle(q: V3, blur: f32) -> f32 {
    let d = q - v3(0.5, 0.5, 0.5);
    let (x, y, z) = (d.x.floor(), d.y.floor(), d.z.floor());
    let mut found = 0.0f32;
    // Chips lie about the lattice points; a chip reaches no further than the eight cells next to it.
    for i in 0..8 {
        let (cx, cy, cz) = (x + (i & 1) as f32, y + (i >> 1 & 1) as f32, z + (i >> 2) as f32);
        let (ix, iy, iz) = (cx as i32, cy as i32, cz as i32);
        let h = hash(ix, iy, iz);
        if h < 0.55 {
            let off = v3(h * 1.8 - 0.5, hash(iy, iz, ix) - 0.5, hash(iz, ix, iy) - 0.5) * 0.5;
            let to = (d - v3(cx, cy, cz) - off).abs();
            let far = to.x + to.y + 0.8 * to.z;
            found = found.max(1.0 - step(0.22 + 0.5 * h, far, blur.max(0.05)));
        }
    }
    found * (1.3 - 0.8 * blur).clamp(0.2, 1.0)
}

fn dots(q: V3, blur: f32) -> f32 {
    let cell = |x: f32| x - (x + 0.5).floor();
    let r = v3(cell(q.x), cell(q.y), cell(q.z)).len();
    1.0 - step(0.34, r, blur.max(0.03))
}

/// A hash of a lattice point, 0 to 1.
fn hash(x: i32, y: i32, z: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841);
    h ^= (z as u32).wrapping_mul(0xcb1a_b31f);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Smooth noise with one bump a unit, 0 to 1.
fn noise(p: V3) -> f32 {
    let (fx, fy, fz) = (p.x.floor(), p.y.floor(), p.z.floor());
    let (x, y, z) = (fx as i32, fy as i32, fz as i32);
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v, w) = (ease(p.x - fx), ease(p.y - fy), ease(p.z - fz));
    let row = |y: i32, z: i32| {
        let a = hash(x, y, z);
        a + (hash(x.wrapping_add(1), y, z) - a) * u
    };
    let sheet = |z: i32| {
        let a = row(y, z);
        // The ground asks along a whole plane y = const at a lattice point: half the work is nothing there.
        if v == 0.0 { a } else { a + (row(y.wrapping_add(1), z) - a) * v }
    };
    let a = sheet(z);
    if w == 0.0 { a } else { a + (sheet(z.wrapping_add(1)) - a) * w }
}

/// The colours of one scene.
#[derive(Clone, Copy, Debug)]
pub struct ScenePalette {
    hue: f32,
    /// How far the object's hues lie from the ground's, in turns.
    offset: f32,
}

impl ScenePalette {
    /// A palette about a random hue.
    pub fn new(rng: &mut Stream) -> ScenePalette {
        let offset = [0.5, 0.36, 0.64, 0.28, 0.72][rng.random_range(0..5u32) as usize];
        ScenePalette { hue: rng.random(), offset }
    }

    /// A muted colour for what lies behind; `lightness` is OKLab's.
    pub fn quiet(&self, rng: &mut Stream, lightness: f32) -> V3 {
        oklch(lightness, between(rng, 0.01, 0.065), self.hue + between(rng, -0.07, 0.07))
    }

    /// A lively colour for what stands in front.
    pub fn loud(&self, rng: &mut Stream, lightness: f32) -> V3 {
        oklch(lightness, between(rng, 0.09, 0.17), self.hue + self.offset + between(rng, -0.1, 0.1))
    }

    /// A colour from anywhere, for accents and clutter.
    pub fn any(&self, rng: &mut Stream, lightness: f32) -> V3 {
        let chroma = between(rng, 0.0, 0.16);
        oklch(lightness, chroma, rng.random())
    }
}

/// A uniform draw.
pub fn between(rng: &mut Stream, lo: f32, hi: f32) -> f32 {
    lo + (hi - lo) * rng.random::<f32>()
}
