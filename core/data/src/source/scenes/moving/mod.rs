//! Scenes that move: bodies and viewer go smoothly from frame to frame, and where one place of the main object is in each of
//! them is known from the scene itself. What following is measured on.

mod motion;
#[cfg(test)]
mod tests;

use super::RenderedScene;
use super::kind::SceneKind;
use super::math::{P4, V3};
use super::world::{RayTarget, SceneDescription};
use dinoscope_base::rng::{RngExt, stream};
use motion::{SceneMotion, nearest_gap};

/// Rays a side among which the place to follow is chosen.
const PROBE: usize = 48;
/// Motions that are drawn at most, until one keeps the place in view.
const DRAWS: u64 = 32;
/// Share of the frames in which the place has to be in view.
const IN_VIEW: f32 = 0.9;
/// How far the place has to go, in shares of the picture.
const TRAVEL: f32 = 0.16;
/// How near bodies may come to each other, in shares of what they reach, unless they are nearer at first.
const GAP: f32 = 0.7;
/// A point is seen where a ray meets something this much nearer at most, as a share of the distance.
const NEARER: f32 = 0.02;

/// Some moving scenes of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovingScenes {
    /// Which scenes.
    pub kind: SceneKind,
    /// Their seed.
    pub seed: u64,
    /// How many there are.
    pub count: usize,
    /// Frames of each, at least two.
    pub frames: usize,
}

impl MovingScenes {
    /// Frames of a scene without a wish.
    pub const FRAMES: usize = 60;

    /// So many scenes that no run trains on and no other evaluation looks at.
    pub fn of_evaluation(kind: SceneKind, count: usize, frames: usize) -> Self {
        Self { kind, seed: 11 << 40, count: count.max(1), frames: frames.max(2) }
    }

    /// One of them.
    pub fn scene(&self, index: usize) -> MovingScene {
        MovingScene::new(self.kind, self.seed, index, self.frames)
    }

    /// What it is called.
    pub fn name(&self, index: usize) -> String {
        format!("moving scene {index} ({})", self.kind.classes()[self.kind.label(self.seed, index)])
    }
}

/// A scene that moves.
pub struct MovingScene {
    kind: SceneKind,
    label: usize,
    still: SceneDescription,
    motion: SceneMotion,
    /// The place to follow, in the main object's own space.
    place: V3,
    frames: usize,
}

/// Where the place to follow is in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlaceTruth {
    /// From the left edge, as a share of the picture.
    pub x: f32,
    /// From the upper edge, as a share of the picture.
    pub y: f32,
    /// Whether it is inside the picture and nothing stands before it.
    pub visible: bool,
}

impl MovingScene {
    /// Scene `index` of a seed, in so many `frames` (at least two): the first is what [`SceneKind::draw`] draws. The same
    /// arguments always give the same scene.
    pub fn new(kind: SceneKind, seed: u64, index: usize, frames: usize) -> Self {
        let still = kind.compose(seed, index, 0);
        let (label, frames) = (kind.label(seed, index), frames.max(2));
        let place = place_on(&still, seed, index);
        let moved = |motion| Self { kind, label, still: still.clone(), motion, place, frames };
        let draw = |attempt| {
            let mut rng = stream(seed, "scene motion", index as u64, attempt);
            moved(SceneMotion::draw(&mut rng, &still))
        };
        let first = nearest_gap(&still).min(GAP);
        let mut best = draw(0);
        let mut most = best.fitness(first);
        for attempt in 1..DRAWS {
            if most >= 1.0 {
                break;
            }
            let next = draw(attempt);
            let fits = next.fitness(first);
            if fits > most {
                (best, most) = (next, fits);
            }
        }
        best
    }

    /// How well a motion can be followed, 1 for well enough: the place stays in view and goes some way, bodies keep apart.
    fn fitness(&self, gap: f32) -> f32 {
        const STEPS: usize = 16;
        let worlds: Vec<SceneDescription> =
            (0..=STEPS).map(|i| self.motion.at(&self.still, i as f32 / STEPS as f32)).collect();
        let truths: Vec<PlaceTruth> = worlds.iter().map(|world| self.seen_in(world)).collect();
        let seen = truths.iter().filter(|truth| truth.visible).count() as f32 / truths.len() as f32;
        let far = truths.iter().map(|truth| (truth.x - truths[0].x).hypot(truth.y - truths[0].y));
        let travel = far.fold(0.0, f32::max);
        let apart = worlds.iter().map(nearest_gap).fold(f32::INFINITY, f32::min);
        let share = |is: f32, wanted: f32| if wanted > 0.0 { (is / wanted).min(1.0) } else { 1.0 };
        share(seen, IN_VIEW) * share(travel, TRAVEL) * share(apart, gap)
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.frames
    }

    fn world(&self, frame: usize) -> SceneDescription {
        self.motion.at(&self.still, frame.min(self.frames - 1) as f32 / (self.frames - 1) as f32)
    }

    /// Draws a frame, the last one for all behind it, as a square picture of `size` pixels a side (at least 1), with all that is
    /// known of its pixels.
    pub fn frame(&self, frame: usize, size: usize) -> RenderedScene {
        self.kind.rendered(&self.world(frame), self.label, size)
    }

    /// Where the place is in a frame.
    pub fn place(&self, frame: usize) -> PlaceTruth {
        self.seen_in(&self.world(frame))
    }

    fn seen_in(&self, world: &SceneDescription) -> PlaceTruth {
        let (item, camera) = (&world.items[0], &world.camera);
        let to = item.place + item.frame.outward(self.place) * item.scale - camera.eye;
        let at = camera.frame.inward(to);
        let (u, v) = (at.x / -at.z, at.y / -at.z);
        let x = (u - camera.centre.0) / camera.side + 0.5;
        let y = 0.5 - (v - camera.centre.1) / camera.side;
        let inside = at.z < 0.0 && (0.0..1.0).contains(&x) && (0.0..1.0).contains(&y);
        let visible = inside && {
            let hit = world.find([to.unit(); 4], camera.side / PROBE as f32 / 8.0)[0];
            hit.end == RayTarget::Item(0) && hit.t > (1.0 - NEARER) * to.len()
        };
        PlaceTruth { x, y, visible }
    }
}

/// A place of the main object that is well away from its outline, in its own space.
fn place_on(world: &SceneDescription, seed: u64, index: usize) -> V3 {
    let at = |i: usize| (i as f32 + 0.5) / PROBE as f32;
    let spread = world.camera.side / PROBE as f32;
    let mut points = vec![None; PROBE * PROBE];
    for y in 0..PROBE {
        for x in (0..PROBE).step_by(4) {
            let dirs = std::array::from_fn(|k| world.camera.ray(at(x + k), at(y)));
            for (k, hit) in world.find(dirs, spread).into_iter().enumerate() {
                if hit.end == RayTarget::Item(0) {
                    points[y * PROBE + x + k] = Some(world.camera.eye + hit.dir * hit.t);
                }
            }
        }
    }
    // Taken off ring by ring: what is left last is farthest from the outline.
    let inside = |on: &[bool], i: usize| {
        let (x, y) = (i % PROBE, i / PROBE);
        let rim = x == 0 || y == 0 || x + 1 == PROBE || y + 1 == PROBE;
        !rim && on[i] && on[i - 1] && on[i + 1] && on[i - PROBE] && on[i + PROBE]
    };
    let mut rings = vec![points.iter().map(Option::is_some).collect::<Vec<bool>>()];
    while let Some(on) = rings.last() {
        let next: Vec<bool> = (0..on.len()).map(|i| inside(on, i)).collect();
        if next.iter().all(|on| !on) {
            break;
        }
        rings.push(next);
    }
    let kept = &rings[rings.len() / 2];
    let candidates: Vec<V3> = (0..kept.len()).filter(|i| kept[*i]).filter_map(|i| points[i]).collect();
    let mut rng = stream(seed, "place to follow", index as u64, 0);
    let item = &world.items[0];
    match candidates.len() {
        // Nothing of it is seen between the rays: the middle of its box stands for it.
        0 => item.centre,
        count => {
            let point = candidates[rng.random_range(0..count as u32) as usize];
            item.local(P4::splat(point)).array()[0]
        }
    }
}
