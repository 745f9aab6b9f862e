//! How the bodies of a scene and the viewer move: along one path each, gently there and perhaps back.

use crate::source::scenes::item::SceneObject;
use crate::source::scenes::materials::between;
use crate::source::scenes::math::{RotationMatrix, V3, sin_cos, v3};
use crate::source::scenes::world::{SceneCamera, SceneDescription};
use dinoscope_base::rng::{RngExt, Stream};

/// How one body moves along the ground.
#[derive(Clone, Copy, Debug)]
struct BodyMotion {
    /// Where it goes, from where it stands.
    by: V3,
    /// How far it turns about the vertical, in turns.
    turn: f32,
}

/// How a scene moves.
#[derive(Clone, Debug)]
pub struct SceneMotion {
    /// Of each body, in the order of the scene's list.
    bodies: Vec<BodyMotion>,
    /// How far the viewer walks about the main object, in turns.
    orbit: f32,
    /// How far the picture's centre moves, in shares of its side.
    pan: (f32, f32),
    /// How much wider the view gets, as a share of its side.
    zoom: f32,
    /// A half goes there, one there and back.
    swings: f32,
}

impl SceneMotion {
    /// Draws one. The main object goes a way that can be seen, mostly across the picture; others move less.
    pub fn draw(rng: &mut Stream, still: &SceneDescription) -> Self {
        let side = |rng: &mut Stream| if rng.random() { 1.0 } else { -1.0 };
        let mut bodies = Vec::with_capacity(still.items.len());
        for (i, item) in still.items.iter().enumerate() {
            bodies.push(match i {
                0 => {
                    let across = between(rng, 0.5, 1.3) * side(rng);
                    let (near, turn) = (between(rng, -0.3, 0.7), between(rng, -0.07, 0.07));
                    BodyMotion { by: v3(across, 0.0, near), turn }
                }
                _ => {
                    let (s, c) = sin_cos(rng.random());
                    let far = between(rng, 0.0, 0.8) * item.scale;
                    BodyMotion { by: v3(s * far, 0.0, c * far), turn: between(rng, -0.1, 0.1) }
                }
            });
        }
        Self {
            bodies,
            orbit: between(rng, -0.03, 0.03),
            pan: (between(rng, -0.14, 0.14), between(rng, -0.08, 0.08)),
            zoom: between(rng, -0.14, 0.16),
            swings: between(rng, 0.45, 0.8),
        }
    }

    /// The scene after the share `t` of its time; as it was at 0.
    pub fn at(&self, still: &SceneDescription, t: f32) -> SceneDescription {
        let mut world = still.clone();
        if t <= 0.0 {
            return world;
        }
        let way = 0.5 * (1.0 - sin_cos(self.swings * t).1);
        for (item, motion) in world.items.iter_mut().zip(&self.bodies) {
            let frame = turned(&item.frame, &RotationMatrix::new(motion.turn * way, 0.0, 0.0));
            *item =
                SceneObject::new(item.shape, frame, item.place + motion.by * way, item.scale, item.paints);
        }
        let SceneCamera { eye, frame, centre, side } = still.camera;
        let about = still.items[0].place;
        let walked = RotationMatrix::new(self.orbit * way, 0.0, 0.0);
        world.camera = SceneCamera {
            eye: about + walked.outward(eye - about),
            frame: turned(&frame, &walked),
            centre: (centre.0 + self.pan.0 * side * way, centre.1 + self.pan.1 * side * way),
            side: side * (1.0 + self.zoom * way),
        };
        world
    }
}

/// A turn, turned once more.
fn turned(frame: &RotationMatrix, by: &RotationMatrix) -> RotationMatrix {
    let RotationMatrix(a, b, c) = frame;
    RotationMatrix(by.outward(*a), by.outward(*b), by.outward(*c))
}

/// How near two bodies come to each other as they stand, level, in shares of what they reach: below 1 they may touch.
pub fn nearest_gap(world: &SceneDescription) -> f32 {
    let reach = |item: &SceneObject| item.scale * item.half.x.max(item.half.z);
    let mut least = f32::INFINITY;
    for (i, a) in world.items.iter().enumerate() {
        for b in &world.items[..i] {
            let apart = v3(a.place.x - b.place.x, 0.0, a.place.z - b.place.z).len();
            least = least.min(apart / (reach(a) + reach(b)));
        }
    }
    least
}
