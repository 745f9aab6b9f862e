//! From a composed scene to pixels, without jagged edges.

use super::light::colour;
use super::math::{V3, srgb, v3};
use super::world::{RayHit, RayTarget, SceneDescription};

/// Where in a pixel the further samples of an edge are taken.
const SUBPIXELS: [(f32, f32); 4] = [(-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)];
/// A surface on which neighbouring pixels differ by more than this share of white is drawn from several samples.
const CONTRAST: f32 = 0.14;

/// The images of a scene, row-major.
pub struct RenderOutput {
    /// 8-bit sRGB.
    pub rgb: Vec<u8>,
    /// The body that each pixel's centre shows: its place in the scene's list, counted from 1; 0 for none.
    pub instances: Vec<u8>,
    /// Which part of it, counted from 1; 0 for none.
    pub parts: Vec<u8>,
    /// Distance of each pixel's centre along the viewing axis.
    pub depth: Vec<f32>,
}

/// Draws a scene as `size` by `size` pixels.
pub fn render(world: &SceneDescription, size: usize) -> RenderOutput {
    let n = size as f32;
    let spread = world.camera.side / n;
    let ray = |x: usize, y: usize, dx: f32, dy: f32| {
        world.camera.ray((x as f32 + 0.5 + dx) / n, (y as f32 + 0.5 + dy) / n)
    };
    let nothing = RayHit { dir: V3::default(), end: RayTarget::Sky, part: 0, t: 0.0 };
    let (mut found, mut colours) = (vec![nothing; size * size], vec![V3::default(); size * size]);
    // Two by two pixels to a packet; what overhangs an odd edge is drawn twice.
    for y in (0..size).step_by(2) {
        for x in (0..size).step_by(2) {
            let last = size - 1;
            let at = [
                (x, y),
                ((x + 1).min(last), y),
                (x, (y + 1).min(last)),
                ((x + 1).min(last), (y + 1).min(last)),
            ];
            let four = world.find(at.map(|(x, y)| ray(x, y, 0.0, 0.0)), spread);
            for ((&(x, y), f), c) in at.iter().zip(four).zip(colour(world, &four, spread)) {
                (found[y * size + x], colours[y * size + x]) = (f, c);
            }
        }
    }
    let tones: Vec<V3> = colours.iter().map(|c| tone(*c)).collect();
    let mut rgb = Vec::with_capacity(size * size * 3);
    for y in 0..size {
        for x in 0..size {
            let i = y * size + x;
            let (mut edge, mut rough) = (false, false);
            let (left, right) = ((x > 0).then(|| i - 1), (x + 1 < size).then(|| i + 1));
            let (above, below) = ((y > 0).then(|| i - size), (y + 1 < size).then(|| i + size));
            for j in [left, right, above, below].into_iter().flatten() {
                edge |= !found[i].like(&found[j]);
                let d = (tones[i] - tones[j]).abs();
                rough |= d.x.max(d.y).max(d.z) > CONTRAST;
            }
            // Ground and wall have soft shadows and textures that blur by themselves.
            rough &= matches!(found[i].end, RayTarget::Item(_));
            let mut t = tones[i];
            if edge || rough {
                let four = world.find(SUBPIXELS.map(|(dx, dy)| ray(x, y, dx, dy)), spread);
                // An edge between two surfaces needs to know only which is seen where.
                let known: [Option<usize>; 4] = std::array::from_fn(|s| {
                    let (dx, dy) = SUBPIXELS[s];
                    let (h, v) = (if dx < 0.0 { left } else { right }, if dy < 0.0 { above } else { below });
                    [Some(i), h, v].into_iter().flatten().find(|&j| !rough && four[s].like(&found[j]))
                });
                let drawn = if known.iter().all(Option::is_some) {
                    [V3::default(); 4]
                } else {
                    colour(world, &four, spread)
                };
                // Averaged as light, not as 8-bit values, so that edges keep their width.
                let sum =
                    known.iter().zip(drawn).fold(colours[i], |sum, (k, c)| sum + k.map_or(c, |j| colours[j]));
                t = tone(sum * (1.0 / (SUBPIXELS.len() + 1) as f32));
            }
            rgb.extend([t.x, t.y, t.z].map(|c| (c * 255.0 + 0.5) as u8));
        }
    }
    let on = |f: &RayHit| match f.end {
        RayTarget::Item(item) => Some((item as u8 + 1, f.part as u8 + 1)),
        _ => None,
    };
    let seen: Vec<(u8, u8)> = found.iter().map(|f| on(f).unwrap_or_default()).collect();
    RenderOutput {
        rgb,
        instances: seen.iter().map(|(instance, _)| *instance).collect(),
        parts: seen.iter().map(|(_, part)| *part).collect(),
        depth: found.iter().map(|f| world.camera.depth(f.dir, f.t)).collect(),
    }
}

fn tone(c: V3) -> V3 {
    v3(srgb(c.x), srgb(c.y), srgb(c.z))
}
