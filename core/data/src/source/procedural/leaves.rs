//! Dead leaves: shapes that cover each other, of sizes that follow a power law, with textures, shading and shadows (Baradad et
//! al. 2021, section 3.1; Lee, Mumford and Huang 2001).

use super::canvas::about;
use super::palette::PictureHues;
use super::texture::ProceduralTexture;
use crate::source::scenes::materials::between;
use crate::source::scenes::math::{V3, sin_cos, smoothstep};
use dinoscope_base::rng::{RngExt, Stream};

/// The outline of a leaf, in coordinates in which it reaches about 1 from its middle.
#[derive(Clone, Copy, Debug)]
enum LeafOutline {
    Disc,
    Box {
        aspect: f32,
        round: f32,
    },
    /// Directions of its sides, the last ones repeated, and how far out they lie.
    Polygon {
        normals: [(f32, f32); 6],
        apothem: f32,
    },
    /// A disc whose radius swings, with amplitudes of the second to fifth harmonic and their phases.
    Blob {
        swing: [(f32, f32); 4],
    },
    Lens {
        aspect: f32,
    },
    Ring {
        inner: f32,
    },
}

impl LeafOutline {
    fn draw(rng: &mut Stream) -> Self {
        match rng.random_range(0..12u32) {
            0 | 1 => Self::Disc,
            2 | 3 => Self::Box { aspect: between(rng, 0.15, 1.0), round: between(rng, 0.0, 0.5) },
            4 | 5 => {
                let sides = 3 + rng.random_range(0..4u32);
                let normal = |i: usize| {
                    let (s, c) = sin_cos((i as u32 % sides) as f32 / sides as f32);
                    (c, s)
                };
                // The sides lie as far out as lets the corners reach 1.
                let (_, apothem) = sin_cos(0.5 / sides as f32);
                Self::Polygon { normals: std::array::from_fn(normal), apothem }
            }
            6..=8 => {
                let wild = between(rng, 0.04, 0.24);
                let mut one = || {
                    let (s, c) = sin_cos(rng.random());
                    let a = wild * rng.random::<f32>();
                    (a * c, a * s)
                };
                Self::Blob { swing: [one(), one(), one(), one()] }
            }
            9 | 10 => Self::Lens { aspect: between(rng, 0.2, 0.6) },
            _ => Self::Ring { inner: between(rng, 0.4, 0.85) },
        }
    }

    /// About the distance from the outline, negative inside.
    fn distance(&self, x: f32, y: f32) -> f32 {
        let r = (x * x + y * y).sqrt();
        match *self {
            Self::Disc => r - 1.0,
            Self::Box { aspect, round } => {
                let k = round * aspect;
                let (qx, qy) = (x.abs() - 0.95 + k, y.abs() - 0.95 * aspect + k);
                let (ox, oy) = (qx.max(0.0), qy.max(0.0));
                (ox * ox + oy * oy).sqrt() + qx.max(qy).min(0.0) - k
            }
            Self::Polygon { normals, apothem } => {
                normals.iter().map(|(c, s)| x * c + y * s).fold(f32::NEG_INFINITY, f32::max) - apothem
            }
            Self::Blob { swing } => {
                let inv = 1.0 / r.max(1e-4);
                let (c, s) = (x * inv, y * inv);
                let (mut kc, mut ks, mut edge) = (c, s, 0.74);
                for (a, b) in swing {
                    (kc, ks) = (kc * c - ks * s, kc * s + ks * c);
                    edge += a * kc + b * ks;
                }
                (r - edge.max(0.2)) * 0.8
            }
            Self::Lens { aspect } => {
                let d = (1.0 - aspect * aspect) / (2.0 * aspect);
                let y = y.abs() + d;
                (x * x + y * y).sqrt() - (d + aspect)
            }
            Self::Ring { inner } => (r - 0.5 * (1.0 + inner)).abs() - 0.5 * (1.0 - inner),
        }
    }
}

/// A layer of leaves.
#[derive(Clone, Debug)]
pub struct LeafLayer {
    textures: Vec<ProceduralTexture>,
    /// Smallest and largest reach.
    sizes: (f32, f32),
    /// Area that all of them have, in pictures.
    cover: f32,
    /// Where the light comes from, and how much is lost in shadow.
    light: (f32, f32),
    shadow: f32,
    /// How far shadows fall, in reaches of a leaf.
    height: f32,
    /// One outline for all, as pebbles and bricks have.
    same: Option<LeafOutline>,
    /// Share of leaves that look round.
    round: f32,
}

impl LeafLayer {
    /// Any layer; `crowded` ones cover the picture, others leave most of it.
    pub fn draw(rng: &mut Stream, hues: &PictureHues, light: (f32, f32), crowded: bool) -> Self {
        let count = 2 + rng.random_range(0..4u32);
        let textures = (0..count).map(|_| ProceduralTexture::draw(rng, hues)).collect();
        let large = between(rng, 0.12, 0.42);
        let small = (large * between(rng, 0.12, 0.75)).max(0.03);
        let cover = if crowded { between(rng, 1.2, 2.8) } else { between(rng, 0.15, 0.7) };
        Self {
            textures,
            sizes: (small, large),
            cover,
            light,
            shadow: between(rng, 0.0, 0.75),
            height: between(rng, 0.03, 0.22),
            same: (rng.random::<f32>() < 0.35).then(|| LeafOutline::draw(rng)),
            round: if rng.random() { rng.random() } else { 0.0 },
        }
    }

    /// Lays the leaves out, the topmost first: what is hidden is not painted.
    pub fn paint(&self, rng: &mut Stream, size: usize) -> LeafCover {
        let (small, large) = self.sizes;
        let mut cover = LeafCover {
            size,
            light: vec![V3::default(); size * size],
            open: vec![1.0; size * size],
            lit: vec![1.0; size * size],
        };
        let mut area = 0.0;
        for _ in 0..900 {
            if area > self.cover {
                break;
            }
            // Radii with a density of 1 / r³: as many look large as small ones fill the same area.
            let u = rng.random::<f32>();
            let ratio = small / large;
            let reach = small / (1.0 - u * (1.0 - ratio * ratio)).sqrt();
            area += 2.2 * reach * reach;
            self.leaf(rng, &mut cover, reach);
        }
        cover
    }

    fn leaf(&self, rng: &mut Stream, cover: &mut LeafCover, reach: f32) {
        let outline = self.same.unwrap_or_else(|| LeafOutline::draw(rng));
        let texture = &self.textures[rng.random_range(0..self.textures.len() as u32) as usize];
        let middle = (between(rng, -0.1, 1.1), between(rng, -0.1, 1.1));
        let (s, c) = sin_cos(rng.random());
        let shift = (between(rng, -5.0, 5.0), between(rng, -5.0, 5.0));
        let (round, tone) = (rng.random::<f32>() < self.round, between(rng, 0.65, 1.3));
        let slope = between(rng, 0.0, 0.4);
        let inv = 1.0 / reach;
        let pixel = 1.0 / cover.size as f32;
        let (lx, ly) = self.light;
        let fall = self.height * reach;
        let blur = fall + pixel;
        about(cover.size, middle, reach + fall + blur, |i, px, py| {
            let open = cover.open[i];
            if open < LeafCover::SHUT {
                return;
            }
            let (dx, dy) = ((px - middle.0) * inv, (py - middle.1) * inv);
            let inside = |dx: f32, dy: f32| outline.distance(c * dx + s * dy, c * dy - s * dx) * reach;
            let alpha = (0.5 - inside(dx, dy) / pixel).clamp(0.0, 1.0);
            if alpha > 0.0 {
                // Towards the light it is brighter, as a slanted leaf is, or a ball.
                let facing = dx * lx + dy * ly;
                let shade = if round {
                    let up = (1.0 - dx * dx - dy * dy).max(0.0).sqrt();
                    0.22 + 0.95 * (0.62 * up + 0.78 * facing).max(0.0)
                } else {
                    1.0 + slope * facing
                };
                let seen = open * alpha * cover.lit[i];
                let colour = texture.at(px + shift.0, py + shift.1, pixel) * (tone * shade * seen);
                cover.light[i] = cover.light[i] + colour;
                cover.open[i] = open * (1.0 - alpha);
            }
            if alpha < 1.0 && self.shadow > 0.0 {
                let cast = inside(dx + lx * self.height, dy + ly * self.height);
                cover.lit[i] *= 1.0 - self.shadow * (1.0 - smoothstep(-0.3 * blur, blur, cast));
            }
        });
    }
}

/// What a layer of leaves shows, and what it lets be seen of what lies below.
pub struct LeafCover {
    size: usize,
    /// Light of the leaves.
    light: Vec<V3>,
    /// Share of each pixel that no leaf covers.
    open: Vec<f32>,
    /// Light that reaches what lies below.
    lit: Vec<f32>,
}

impl LeafCover {
    /// A pixel that is less open than this shows leaves alone.
    const SHUT: f32 = 0.004;

    /// What is seen at pixel `i` above `below`, which is only asked for where it is seen.
    pub fn above(&self, i: usize, below: impl FnOnce() -> V3) -> V3 {
        let through = self.open[i] * self.lit[i];
        match self.open[i] < Self::SHUT {
            true => self.light[i],
            false => self.light[i] + below() * through,
        }
    }
}
