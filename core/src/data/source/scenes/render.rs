//! From a composed scene to pixels: light, shadow and antialiasing.

use super::lanes::F4;
use super::math::{P4, V3, smoothstep, srgb, v3};
use super::world::{End, World};
use super::{BACKGROUND, CLUTTER, OBJECT};

/// Where in a pixel the further samples of an edge are taken.
const SUBPIXELS: [(f32, f32); 4] = [(-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)];
/// A surface on which neighbouring pixels differ by more than this share of white is drawn from several samples.
const CONTRAST: f32 = 0.14;

/// Farther than anything, yet finite.
const FAR: f32 = 1e6;

/// The three images of a scene, row-major.
pub struct Images {
    /// 8-bit sRGB.
    pub rgb: Vec<u8>,
    /// What each pixel's centre shows.
    pub mask: Vec<u8>,
    /// Distance of each pixel's centre along the viewing axis.
    pub depth: Vec<f32>,
}

/// What one ray found.
#[derive(Clone, Copy)]
struct Found {
    dir: V3,
    end: End,
    /// Which part of a body.
    part: usize,
    t: f32,
}

impl Found {
    /// Whether both see the same surface, so that one's colour may stand for the other's.
    fn like(&self, o: &Found) -> bool {
        let on_item = matches!(self.end, End::Item(_));
        self.end == o.end && self.part == o.part && (!on_item || (self.t - o.t).abs() < 0.03 * self.t)
    }
}

/// Draws a scene as `size` by `size` pixels.
pub fn render(world: &World, size: usize) -> Images {
    let n = size as f32;
    let spread = world.camera.side / n;
    let ray = |x: usize, y: usize, dx: f32, dy: f32| {
        world.camera.ray((x as f32 + 0.5 + dx) / n, (y as f32 + 0.5 + dy) / n)
    };
    let nothing = Found { dir: V3::default(), end: End::Sky, part: 0, t: 0.0 };
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
            let four = find(world, at.map(|(x, y)| ray(x, y, 0.0, 0.0)), spread);
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
            rough &= matches!(found[i].end, End::Item(_));
            let mut t = tones[i];
            if edge || rough {
                let four = find(world, SUBPIXELS.map(|(dx, dy)| ray(x, y, dx, dy)), spread);
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
    let code = |f: &Found| match f.end {
        End::Item(0) => OBJECT,
        End::Item(_) => CLUTTER,
        _ => BACKGROUND,
    };
    Images {
        rgb,
        mask: found.iter().map(code).collect(),
        depth: found.iter().map(|f| world.camera.depth(f.dir, f.t)).collect(),
    }
}

fn find(world: &World, dirs: [V3; 4], spread: f32) -> [Found; 4] {
    let ends = world.trace(dirs, spread);
    let mut found: [Found; 4] =
        std::array::from_fn(|i| Found { dir: dirs[i], end: ends[i].0, part: 0, t: ends[i].1 });
    let points = P4::new(found.map(|f| world.camera.eye + f.dir * f.t.min(FAR)));
    for (i, item) in world.items.iter().enumerate() {
        if found.iter().any(|f| f.end == End::Item(i)) {
            for (f, part) in found.iter_mut().zip(item.part(points)) {
                if f.end == End::Item(i) {
                    f.part = part;
                }
            }
        }
    }
    found
}

fn tone(c: V3) -> V3 {
    v3(srgb(c.x), srgb(c.y), srgb(c.z))
}

/// Keeps highlights from burning out: straight up to 0.6, then bending towards 1.
fn shoulder(x: f32) -> f32 {
    if x < 0.6 { x } else { 0.6 + 0.4 * (1.0 - 1.0 / (1.0 + (x - 0.6) * 2.5)) }
}

/// Linear light along four rays.
fn colour(world: &World, found: &[Found; 4], spread: f32) -> [V3; 4] {
    if found.iter().all(|f| f.end == End::Sky) {
        return found.map(|f| soften(heaven(world, f.dir)));
    }
    let points = found.map(|f| world.camera.eye + f.dir * f.t.min(FAR));
    let packet = P4::new(points);
    let mut surface =
        [Surface { normal: v3(0.0, 1.0, 0.0), albedo: V3::default(), gloss: 0.0, lift: 0.0 }; 4];
    for (i, item) in world.items.iter().enumerate() {
        if found.iter().any(|f| f.end == End::Item(i)) {
            let local = item.local(packet);
            let width = F4::new(found.map(|f| spread * f.t.min(FAR) / item.scale));
            let normals = item.normal(local, width * 0.35).array();
            let (local, width) = (local.array(), width.array());
            for (j, f) in found.iter().enumerate().filter(|(_, f)| f.end == End::Item(i)) {
                let paint = &item.paints[f.part];
                let albedo = paint.at(local[j], width[j]);
                surface[j] = Surface { normal: normals[j], albedo, gloss: paint.gloss, lift: 1.0 };
            }
        }
    }
    for ((s, f), p) in surface.iter_mut().zip(found).zip(points) {
        match (f.end, &world.wall) {
            (End::Ground, _) => {
                // Seen at a slant a pixel covers more ground; the square root splits that between both directions.
                let slant = 1.0 / (-f.dir.y).max(0.02).sqrt();
                s.albedo = world.ground.at(v3(p.x, 0.0, p.z), spread * f.t * slant);
            }
            (End::Wall, Some(wall)) => {
                let along = p.x * wall.normal.z - p.z * wall.normal.x;
                let board = p.y < wall.skirting.0;
                let paint =
                    if board { wall.skirting.1 } else { wall.paint.at(v3(along, 0.0, p.y), spread * f.t) };
                // The corner to the ground gets less light from around.
                s.albedo = paint * (0.75 + 0.25 * smoothstep(0.0, 0.9, p.y));
                s.normal = wall.normal;
            }
            _ => {}
        }
    }
    let lit = light(world, packet, P4::new(found.map(|f| f.dir)), &surface);
    std::array::from_fn(|i| {
        let f = &found[i];
        let haze = smoothstep(world.haze.0, world.haze.1, f.t);
        soften(match f.end {
            End::Sky => heaven(world, f.dir),
            End::Ground if haze > 0.0 => lit[i].mix(heaven(world, f.dir), haze),
            _ => lit[i],
        })
    })
}

fn soften(c: V3) -> V3 {
    v3(shoulder(c.x), shoulder(c.y), shoulder(c.z))
}

fn heaven(world: &World, dir: V3) -> V3 {
    let up = smoothstep(-0.05, 0.55, dir.y);
    world.heaven.0.mix(world.heaven.1, up)
}

/// What light falls on.
#[derive(Clone, Copy)]
struct Surface {
    normal: V3,
    albedo: V3,
    gloss: f32,
    /// 1 where the ground lies below and may hide light, 0 on ground and wall.
    lift: f32,
}

/// Light that leaves four surfaces towards the eye, `dir` being the rays that arrive.
fn light(world: &World, p: P4, dir: P4, surface: &[Surface; 4]) -> [V3; 4] {
    let lamp = &world.light;
    let n = P4::new(surface.map(|s| s.normal));
    let gloss = F4::new(surface.map(|s| s.gloss));
    let facing = n.dot(lamp.dir).most(0.0);
    let mut open = F4::splat(1.0);
    if F4::splat(0.0).below(facing).any() {
        let start = p + n * 0.01;
        for item in &world.items {
            open = open.least(item.shade(start, lamp.dir, lamp.k));
        }
    }
    let ao = shelter(world, p, n, F4::new(surface.map(|s| s.lift)));
    let key = facing * open;
    let up = n.y * 0.5 + 0.5;
    let fill = (P4::splat(lamp.bounce) + v3(up, up, up).tint(lamp.sky - lamp.bounce)) * ao;
    let mut c = P4::new(surface.map(|s| s.albedo)).tint(v3(key, key, key).tint(lamp.key) + fill);
    if F4::splat(0.0).below(gloss).any() {
        let mut s = n.dot((P4::splat(lamp.dir) - dir).unit()).most(0.0);
        // To the 32nd power by squaring.
        for _ in 0..5 {
            s = s * s;
        }
        let graze = (n.dot(dir) + 1.0).hold(0.0, 1.0);
        let (shine, sheen) = (gloss * s * open * 0.45, gloss * graze * graze * graze * ao * 0.4);
        c = c + v3(shine, shine, shine).tint(lamp.key) + v3(sheen, sheen, sheen).tint(lamp.sky);
    }
    c.array()
}

/// How much of the sky is not hidden close by, 0 to 1.
fn shelter(world: &World, p: P4, n: P4, lift: F4) -> F4 {
    let mut hidden = F4::splat(0.0);
    for (h, weight) in [(0.07, 2.4), (0.18, 1.3), (0.4, 0.75)] {
        let q = p + n * h;
        let mut d = F4::splat(0.5).below(lift).pick(q.y.most(0.0), h);
        for item in &world.items {
            d = d.least(item.near(q, h));
        }
        hidden = hidden + (h - d).most(0.0) * weight;
    }
    (1.0 - hidden * 1.15).hold(0.12, 1.0)
}
