//! What stands about the main object: others, some of them before it, none of them more to be seen than it.

use super::colours::LchColour;
use super::{another, object};
use crate::source::scenes::item::SceneObject;
use crate::source::scenes::lanes::F32x4;
use crate::source::scenes::materials::between;
use crate::source::scenes::math::{P4, sin_cos, v3};
use crate::source::scenes::world::SceneDescription;
use dinoscope_base::rng::{RngExt, Stream};

/// Adds one to five others about the first of `items`.
pub fn gather(rng: &mut Stream, label: usize, behind: &[LchColour], items: &mut Vec<SceneObject>) {
    let count = 1 + rng.random_range(0..5u32);
    let own = reach(&items[0]);
    for _ in 0..count {
        let class = another(rng, label);
        let scale = between(rng, 0.32, 0.66);
        let (s, c) = sin_cos(rng.random());
        let away = own * 0.7 + scale + between(rng, -0.1, 1.9);
        let place = v3(s * away, 0.0, c * away);
        let item = object(rng, class, scale, place, behind);
        let free = |other: &SceneObject| {
            let (a, b) = (item.place, other.place);
            v3(a.x - b.x, 0.0, a.z - b.z).len() > 0.72 * (reach(&item) + reach(other))
        };
        if items.iter().all(free) {
            items.push(item);
        }
    }
}

/// How far a body reaches from its place, level.
fn reach(item: &SceneObject) -> f32 {
    item.scale * item.half.x.max(item.half.z)
}

/// Rays a side with which is found out who hides whom.
const PROBE: usize = 20;
/// Share of the main object that others may hide.
const HIDDEN: f32 = 0.38;
/// Most that is seen of another, in shares of what is seen of the main object.
const OTHERS: f32 = 0.6;

/// Takes away others that hide too much of the main object or are more to be seen than it.
pub fn thin_out(world: &mut SceneDescription) {
    let count = world.items.len();
    let mut rays: Vec<Vec<f32>> = Vec::with_capacity(PROBE * PROBE);
    let spread = world.camera.side / PROBE as f32;
    for j in 0..PROBE {
        for i in (0..PROBE).step_by(4) {
            let at = |i: usize| (i as f32 + 0.5) / PROBE as f32;
            let dirs = P4::new(std::array::from_fn(|k| world.camera.ray(at(i + k), at(j))));
            let far = F32x4::splat(f32::INFINITY);
            let hits: Vec<[f32; 4]> = world
                .items
                .iter()
                .map(|item| item.hit(world.camera.eye, dirs, far, spread).array())
                .collect();
            rays.extend((0..4).map(|k| hits.iter().map(|hit| hit[k]).collect()));
        }
    }
    let mut kept = vec![true; count];
    loop {
        let (mut seen, mut hides, mut whole) = (vec![0usize; count], vec![0usize; count], 0);
        for ray in &rays {
            let near = |a: &usize, b: &usize| ray[*a].total_cmp(&ray[*b]);
            let first = (0..count).filter(|i| kept[*i] && ray[*i].is_finite()).min_by(near);
            whole += usize::from(ray[0].is_finite());
            if let Some(first) = first {
                seen[first] += 1;
                hides[first] += usize::from(first != 0 && ray[0].is_finite());
            }
        }
        let hidden: usize = hides.iter().sum();
        let too_much = hidden as f32 > HIDDEN * whole as f32;
        let hider = (1..count).max_by_key(|i| hides[*i]).filter(|_| too_much);
        let loud = (1..count).max_by_key(|i| seen[*i]).filter(|i| seen[*i] as f32 > OTHERS * seen[0] as f32);
        match hider.or(loud) {
            Some(gone) => kept[gone] = false,
            None => break,
        }
    }
    let mut kept = kept.into_iter();
    world.items.retain(|_| kept.next().unwrap_or(true));
}
