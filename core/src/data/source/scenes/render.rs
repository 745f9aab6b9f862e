//! From a composed scene to pixels: light, shadow and antialiasing.

use super::materials::Paint;
use super::math::{V3, smoothstep, srgb, v3};
use super::world::{End, World};
use super::{BACKGROUND, CLUTTER, OBJECT};

/// Where in a pixel the further samples of an edge are taken.
const SUBPIXELS: [(f32, f32); 4] = [(-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)];
/// Neighbours that differ by more than this (in 8-bit steps of 255) are an edge.
const CONTRAST: f32 = 0.055;

/// The three images of a scene, row-major.
pub struct Images {
    /// 8-bit sRGB.
    pub rgb: Vec<u8>,
    /// What each pixel's centre shows.
    pub mask: Vec<u8>,
    /// Distance of each pixel's centre along the viewing axis.
    pub depth: Vec<f32>,
}

/// One sample of the picture.
#[derive(Clone, Copy)]
struct Sample {
    colour: V3,
    end: u8,
    depth: f32,
}

/// Draws a scene as `size` by `size` pixels.
pub fn render(world: &World, size: usize) -> Images {
    let n = size as f32;
    let samples: Vec<Sample> = (0..size * size)
        .map(|i| sample(world, ((i % size) as f32 + 0.5) / n, ((i / size) as f32 + 0.5) / n, n))
        .collect();
    let tones: Vec<V3> = samples.iter().map(|s| tone(s.colour)).collect();
    let mut rgb = Vec::with_capacity(size * size * 3);
    for y in 0..size {
        for x in 0..size {
            let i = y * size + x;
            let differs = |j: usize| {
                let d = (tones[i] - tones[j]).abs();
                samples[i].end != samples[j].end || d.x.max(d.y).max(d.z) > CONTRAST
            };
            let edge = (x > 0 && differs(i - 1))
                || (x + 1 < size && differs(i + 1))
                || (y > 0 && differs(i - size))
                || (y + 1 < size && differs(i + size));
            let mut t = tones[i];
            if edge || size == 1 {
                // Averaged as light, not as 8-bit values, so that edges keep their width.
                let sum = SUBPIXELS.iter().fold(samples[i].colour, |sum, (dx, dy)| {
                    sum + sample(world, (x as f32 + 0.5 + dx) / n, (y as f32 + 0.5 + dy) / n, n).colour
                });
                t = tone(sum * (1.0 / (SUBPIXELS.len() + 1) as f32));
            }
            rgb.extend([t.x, t.y, t.z].map(|c| (c * 255.0 + 0.5) as u8));
        }
    }
    Images {
        rgb,
        mask: samples.iter().map(|s| [BACKGROUND, OBJECT, CLUTTER][usize::from(s.end.min(2))]).collect(),
        depth: samples.iter().map(|s| s.depth).collect(),
    }
}

fn tone(c: V3) -> V3 {
    v3(srgb(c.x), srgb(c.y), srgb(c.z))
}

/// Keeps highlights from burning out: straight up to 0.6, then bending towards 1.
fn shoulder(x: f32) -> f32 {
    if x < 0.6 { x } else { 0.6 + 0.4 * (1.0 - 1.0 / (1.0 + (x - 0.6) * 2.5)) }
}

fn sample(world: &World, x: f32, y: f32, size: f32) -> Sample {
    let dir = world.camera.ray(x, y);
    let spread = world.camera.side / size;
    let (end, t) = world.trace(dir, spread);
    let p = world.camera.eye + dir * t.min(1e6);
    let width = spread * t;
    let (c, code) = match end {
        End::Sky => (heaven(world, dir), 0),
        End::Ground => {
            let n = v3(0.0, 1.0, 0.0);
            // Seen at a slant a pixel covers more ground; the square root splits that between both directions.
            let slant = 1.0 / (-dir.y).max(0.02).sqrt();
            let albedo = world.ground.at(v3(p.x, 0.0, p.z), width * slant);
            let lit = light(world, p, n, dir, albedo, &world.ground, None);
            let haze = smoothstep(world.haze.0, world.haze.1, t);
            (lit.mix(heaven(world, dir), haze), 0)
        }
        End::Wall => match &world.wall {
            Some(wall) => {
                let along = p.x * wall.normal.z - p.z * wall.normal.x;
                let board = p.y < wall.skirting.0;
                let albedo = if board { wall.skirting.1 } else { wall.paint.at(v3(along, 0.0, p.y), width) };
                let dim = 0.75 + 0.25 * smoothstep(0.0, 0.9, p.y);
                (light(world, p, wall.normal, dir, albedo, &wall.paint, None) * dim, 3)
            }
            None => (heaven(world, dir), 0),
        },
        End::Item(i) => {
            let item = &world.items[i];
            let q = item.local(p);
            let width = width / item.scale;
            let d = item.shape.parts(q);
            let part = if d[0] <= d[1] && d[0] <= d[2] { 0 } else { 1 + usize::from(d[2] < d[1]) };
            let paint = &item.paints[part];
            let n = item.normal(q, width * 0.35);
            (light(world, p, n, dir, paint.at(q, width), paint, Some(i)), 1 + i.min(1) as u8)
        }
    };
    let colour = v3(shoulder(c.x), shoulder(c.y), shoulder(c.z));
    let end = if code == 3 { 0 } else { code };
    Sample { colour, end, depth: world.camera.depth(dir, t) }
}

fn heaven(world: &World, dir: V3) -> V3 {
    let up = smoothstep(-0.05, 0.55, dir.y);
    world.heaven.0.mix(world.heaven.1, up)
}

/// Light that leaves a surface towards the eye.
fn light(world: &World, p: V3, n: V3, dir: V3, albedo: V3, paint: &Paint, from: Option<usize>) -> V3 {
    let lamp = &world.light;
    let facing = n.dot(lamp.dir);
    let mut open = 1.0f32;
    if facing > 0.0 {
        let start = p + n * 0.01;
        for item in &world.items {
            open = open.min(item.shade(start, lamp.dir, lamp.k));
            if open == 0.0 {
                break;
            }
        }
    }
    let ao = shelter(world, p, n, from.is_some());
    let key = facing.max(0.0) * open;
    let fill = lamp.bounce.mix(lamp.sky, 0.5 + 0.5 * n.y) * ao;
    let mut c = albedo.tint(lamp.key * key + fill);
    if paint.gloss > 0.0 {
        let half = (lamp.dir - dir).unit();
        let mut s = n.dot(half).max(0.0);
        // To the 32nd power by squaring.
        for _ in 0..5 {
            s *= s;
        }
        let graze = (1.0 + n.dot(dir)).clamp(0.0, 1.0);
        let graze = graze * graze * graze;
        c = c + lamp.key * (0.45 * paint.gloss * s * open) + lamp.sky * (0.4 * paint.gloss * graze * ao);
    }
    c
}

/// How much of the sky is not hidden close by, 0 to 1.
fn shelter(world: &World, p: V3, n: V3, on_item: bool) -> f32 {
    let mut hidden = 0.0;
    for (h, weight) in [(0.07, 2.4), (0.18, 1.3), (0.4, 0.75)] {
        let q = p + n * h;
        let mut d = if on_item { q.y.max(0.0) } else { h };
        for item in &world.items {
            d = d.min(item.near(q, h));
        }
        hidden += (h - d).max(0.0) * weight;
    }
    (1.0 - 1.15 * hidden).clamp(0.12, 1.0)
}
