//! Where the picture's frame goes: round the object as it is seen, so that thin and stout ones fill their share alike.

use super::math::{P4, v3};
use super::world::SceneDescription;
use dinoscope_base::rng::{RngExt, Stream};

/// Rays a side (a multiple of four) with which the object's outline is measured.
const PROBE: usize = 24;

/// Chooses the part of the view that the picture shows: the object covers `share` of it, unless it is so long that its extent
/// would not fit `room` times into a side, anywhere that keeps it whole.
pub fn frame(rng: &mut Stream, world: &mut SceneDescription, share: f32, room: f32) {
    let item = &world.items[0];
    let camera = &world.camera;
    let (mut lo, mut hi) = ((f32::INFINITY, f32::INFINITY), (f32::NEG_INFINITY, f32::NEG_INFINITY));
    for corner in 0..8 {
        let sign = |bit: usize| if corner >> bit & 1 == 1 { 1.0 } else { -1.0 };
        let h = item.half;
        let p = item.centre + v3(h.x * sign(0), h.y * sign(1), h.z * sign(2));
        let q = camera.frame.inward(item.place + item.frame.outward(p) * item.scale - camera.eye);
        let (u, v) = (q.x / -q.z, q.y / -q.z);
        (lo, hi) = ((lo.0.min(u), lo.1.min(v)), (hi.0.max(u), hi.1.max(v)));
    }
    let (w, h) = ((hi.0 - lo.0) / PROBE as f32, (hi.1 - lo.1) / PROBE as f32);
    let (mut hits, mut from, mut to) = (0, (PROBE, PROBE), (0, 0));
    for j in 0..PROBE {
        for i in (0..PROBE).step_by(4) {
            let v = lo.1 + (j as f32 + 0.5) * h;
            let u = |k: usize| lo.0 + ((i + k) as f32 + 0.5) * w;
            let dirs = std::array::from_fn(|k| camera.frame.outward(v3(u(k), v, -1.0)).unit());
            let far = f32::INFINITY.into();
            for (k, t) in item.hit(camera.eye, P4::new(dirs), far, w.max(h)).array().into_iter().enumerate() {
                if t.is_finite() {
                    hits += 1;
                    from = (from.0.min(i + k), from.1.min(j));
                    to = (to.0.max(i + k + 1), to.1.max(j + 1));
                }
            }
        }
    }
    let (slide_x, slide_y) = (rng.random::<f32>(), rng.random::<f32>());
    let area = hits as f32 * w * h;
    // One ray's width more: a thin tip may lie between two rays.
    let (wide, tall) =
        ((1 + to.0).saturating_sub(from.0) as f32 * w, (1 + to.1).saturating_sub(from.1) as f32 * h);
    let side = (area / share).sqrt().max(wide.max(tall) * room);
    // Anywhere that keeps the whole outline in the picture, a margin on both sides.
    let shift = |slide: f32, extent: f32| (slide - 0.5) * 0.95 * (side - extent).max(0.0);
    let middle_u = lo.0 + 0.5 * (from.0 + to.0) as f32 * w;
    let middle_v = lo.1 + 0.5 * (from.1 + to.1) as f32 * h;
    world.camera.centre = (middle_u + shift(slide_x, wide), middle_v + shift(slide_y, tall));
    world.camera.side = side;
}
