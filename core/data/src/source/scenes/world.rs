//! What a scene consists of, and what a ray through it finds.

use super::item::SceneObject;
use super::lanes::F32x4;
use super::materials::SceneMaterial;
use super::math::{P4, RotationMatrix, V3, sin_cos, v3};

/// Farther than anything, yet finite.
pub const FAR: f32 = 1e6;

/// A wall behind everything.
#[derive(Clone, Copy, Debug)]
pub struct SceneWall {
    /// Towards the room, level.
    pub normal: V3,
    /// How far behind the origin it stands.
    pub back: f32,
    /// Its paint, over (along, 0, height).
    pub paint: SceneMaterial,
    /// Height and colour of the skirting board; height 0 for none.
    pub skirting: (f32, V3),
}

/// Light of a scene.
#[derive(Clone, Copy, Debug)]
pub struct SceneLight {
    /// Towards the lamp.
    pub dir: V3,
    /// Its colour and strength.
    pub key: V3,
    /// Light from above that casts no shadow.
    pub sky: V3,
    /// Light thrown back by the ground.
    pub bounce: V3,
    /// Hardness of shadows.
    pub k: f32,
}

/// Where the viewer stands, and which part of what is before him the picture shows.
#[derive(Clone, Copy, Debug)]
pub struct SceneCamera {
    /// The eye.
    pub eye: V3,
    /// Right, up and *backwards*.
    pub frame: RotationMatrix,
    /// The picture's centre on the plane one unit ahead.
    pub centre: (f32, f32),
    /// The picture's side on that plane.
    pub side: f32,
}

impl SceneCamera {
    /// A camera that looks from `distance` at the middle of a body, down by `pitch`, turned about its axis by `roll`; never from
    /// below the ground.
    pub fn before(main: &SceneObject, distance: f32, pitch: f32, roll: f32) -> Self {
        let (s, c) = sin_cos(pitch);
        let aim = main.place + main.frame.outward(main.centre) * main.scale;
        let eye = aim + v3(0.0, s, c) * distance;
        Self {
            eye: v3(eye.x, eye.y.max(0.25), eye.z),
            frame: RotationMatrix::new(0.0, -pitch, roll),
            centre: (0.0, 0.0),
            side: 1.0,
        }
    }

    /// Unit direction through a point of the picture, each coordinate from 0 (left, top) to 1.
    pub fn ray(&self, x: f32, y: f32) -> V3 {
        let (u, v) = (self.centre.0 + (x - 0.5) * self.side, self.centre.1 + (0.5 - y) * self.side);
        self.frame.outward(v3(u, v, -1.0)).unit()
    }

    /// Distance along the viewing axis of a point `t` along a ray.
    pub fn depth(&self, dir: V3, t: f32) -> f32 {
        -self.frame.2.dot(dir) * t
    }
}

/// A whole scene.
#[derive(Clone, Debug)]
pub struct SceneDescription {
    /// The main object first, then clutter.
    pub items: Vec<SceneObject>,
    /// Paint of the ground, the plane `y = 0`.
    pub ground: SceneMaterial,
    /// A wall, or open country.
    pub wall: Option<SceneWall>,
    /// Colour at the horizon and overhead.
    pub sky_gradient: (V3, V3),
    /// Distances between which the ground fades into the horizon.
    pub haze: (f32, f32),
    /// The light.
    pub light: SceneLight,
    /// The viewer.
    pub camera: SceneCamera,
}

/// What a ray ends at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RayTarget {
    /// Nothing, for ever.
    Sky,
    /// The ground.
    Ground,
    /// The wall.
    Wall,
    /// A body, by its place in [`SceneDescription::items`].
    Item(usize),
}

/// What one ray found.
#[derive(Clone, Copy)]
pub struct RayHit {
    /// The ray's unit direction.
    pub dir: V3,
    /// What it met.
    pub end: RayTarget,
    /// Which part of a body.
    pub part: usize,
    /// How far away, `f32::INFINITY` for the sky.
    pub t: f32,
}

impl RayHit {
    /// Whether both see the same surface, so that one's colour may stand for the other's.
    pub fn like(&self, o: &RayHit) -> bool {
        let on_item = matches!(self.end, RayTarget::Item(_));
        self.end == o.end && self.part == o.part && (!on_item || (self.t - o.t).abs() < 0.03 * self.t)
    }
}

impl SceneDescription {
    /// Where a ray from the eye ends if there were no bodies, and how far away.
    pub fn backdrop(&self, dir: V3) -> (RayTarget, f32) {
        let eye = self.camera.eye;
        let mut best = (RayTarget::Sky, f32::INFINITY);
        if dir.y < -1e-5 {
            best = (RayTarget::Ground, -eye.y / dir.y);
        }
        if let Some(wall) = &self.wall {
            let towards = -wall.normal.dot(dir);
            let t = (wall.normal.dot(eye) + wall.back) / towards;
            if towards > 1e-5 && t < best.1 {
                best = (RayTarget::Wall, t);
            }
        }
        best
    }

    /// What four rays from the eye (unit directions) find; `spread` is a pixel's width at distance 1.
    pub fn find(&self, dirs: [V3; 4], spread: f32) -> [RayHit; 4] {
        let mut found = dirs.map(|dir| {
            let (end, t) = self.backdrop(dir);
            RayHit { dir, end, part: 0, t }
        });
        let packet = P4::new(dirs);
        for (i, item) in self.items.iter().enumerate() {
            let hits = item.hit(self.camera.eye, packet, F32x4::new(found.map(|f| f.t)), spread).array();
            for (f, t) in found.iter_mut().zip(hits).filter(|(f, t)| *t < f.t) {
                (f.end, f.t) = (RayTarget::Item(i), t);
            }
        }
        let points = P4::new(found.map(|f| self.camera.eye + f.dir * f.t.min(FAR)));
        for (i, item) in self.items.iter().enumerate() {
            if found.iter().any(|f| f.end == RayTarget::Item(i)) {
                for (f, part) in
                    found.iter_mut().zip(item.part(points)).filter(|(f, _)| f.end == RayTarget::Item(i))
                {
                    f.part = part;
                }
            }
        }
        found
    }
}
