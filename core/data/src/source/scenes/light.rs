//! How bright and of what colour a scene is along a ray: a lamp with soft shadows, the sky, the ground's reflection.

use super::lanes::F32x4;
use super::math::{P4, V3, smoothstep, v3};
use super::world::{FAR, RayHit, RayTarget, SceneDescription};
/// Linear light along four rays.
pub fn colour(world: &SceneDescription, found: &[RayHit; 4], spread: f32) -> [V3; 4] {
    if found.iter().all(|f| f.end == RayTarget::Sky) {
        return found.map(|f| soften(sky_colour(world, f.dir)));
    }
    let points = found.map(|f| world.camera.eye + f.dir * f.t.min(FAR));
    let packet = P4::new(points);
    let mut surface =
        [ShadingPoint { normal: v3(0.0, 1.0, 0.0), albedo: V3::default(), gloss: 0.0, lift: 0.0 }; 4];
    for (i, item) in world.items.iter().enumerate() {
        if found.iter().any(|f| f.end == RayTarget::Item(i)) {
            let local = item.local(packet);
            let width = F32x4::new(found.map(|f| spread * f.t.min(FAR) / item.scale));
            let normals = item.normal(local, width * 0.35).array();
            let (local, width) = (local.array(), width.array());
            for (j, f) in found.iter().enumerate().filter(|(_, f)| f.end == RayTarget::Item(i)) {
                let paint = &item.paints[f.part];
                let albedo = paint.at(local[j], width[j]);
                surface[j] = ShadingPoint { normal: normals[j], albedo, gloss: paint.gloss, lift: 1.0 };
            }
        }
    }
    for ((s, f), p) in surface.iter_mut().zip(found).zip(points) {
        match (f.end, &world.wall) {
            (RayTarget::Ground, _) => {
                // Seen at a slant a pixel covers more ground; the square root splits that between both directions.
                let slant = 1.0 / (-f.dir.y).max(0.02).sqrt();
                s.albedo = world.ground.at(v3(p.x, 0.0, p.z), spread * f.t * slant);
            }
            (RayTarget::Wall, Some(wall)) => {
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
            RayTarget::Sky => sky_colour(world, f.dir),
            RayTarget::Ground if haze > 0.0 => lit[i].mix(sky_colour(world, f.dir), haze),
            _ => lit[i],
        })
    })
}

fn soften(c: V3) -> V3 {
    v3(shoulder(c.x), shoulder(c.y), shoulder(c.z))
}

fn sky_colour(world: &SceneDescription, dir: V3) -> V3 {
    let up = smoothstep(-0.05, 0.55, dir.y);
    world.sky_gradient.0.mix(world.sky_gradient.1, up)
}

/// What light falls on.
#[derive(Clone, Copy)]
struct ShadingPoint {
    normal: V3,
    albedo: V3,
    gloss: f32,
    /// 1 where the ground lies below and may hide light, 0 on ground and wall.
    lift: f32,
}

/// Light that leaves four surfaces towards the eye, `dir` being the rays that arrive.
fn light(world: &SceneDescription, p: P4, dir: P4, surface: &[ShadingPoint; 4]) -> [V3; 4] {
    let lamp = &world.light;
    let n = P4::new(surface.map(|s| s.normal));
    let gloss = F32x4::new(surface.map(|s| s.gloss));
    let facing = n.dot(lamp.dir).most(0.0);
    let mut open = F32x4::splat(1.0);
    if F32x4::splat(0.0).below(facing).any() {
        let start = p + n * 0.01;
        for item in &world.items {
            open = open.least(item.shade(start, lamp.dir, lamp.k));
        }
    }
    let ao = ambient_occlusion(world, p, n, F32x4::new(surface.map(|s| s.lift)));
    let key = facing * open;
    let up = n.y * 0.5 + 0.5;
    let fill = (P4::splat(lamp.bounce) + v3(up, up, up).tint(lamp.sky - lamp.bounce)) * ao;
    let mut c = P4::new(surface.map(|s| s.albedo)).tint(v3(key, key, key).tint(lamp.key) + fill);
    if F32x4::splat(0.0).below(gloss).any() {
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
fn ambient_occlusion(world: &SceneDescription, p: P4, n: P4, lift: F32x4) -> F32x4 {
    const STEPS: [(f32, f32); 3] = [(0.07, 2.4), (0.18, 1.3), (0.4, 0.75)];
    let mut free = STEPS.map(|(h, _)| F32x4::splat(0.5).below(lift).pick((p.y + n.y * h).most(0.0), h));
    // A body hides nothing of a point that is more than twice the longest step away.
    for item in world.items.iter().filter(|item| item.close_to(p, 0.8)) {
        for (free, (h, _)) in free.iter_mut().zip(STEPS) {
            *free = free.least(item.distance(p + n * h));
        }
    }
    let hidden = STEPS
        .iter()
        .zip(free)
        .fold(F32x4::splat(0.0), |sum, (&(h, weight), d)| sum + (h - d).most(0.0) * weight);
    (1.0 - hidden * 1.15).hold(0.12, 1.0)
}

/// Keeps highlights from burning out: straight up to 0.6, then bending towards 1.
fn shoulder(x: f32) -> f32 {
    if x < 0.6 { x } else { 0.6 + 0.4 * (1.0 - 1.0 / (1.0 + (x - 0.6) * 2.5)) }
}
