//! What a scene consists of, and where a ray through it ends.

use super::materials::Paint;
use super::math::{Frame, V3, smoothstep, v3};
use super::shapes::Shape;
use super::solids::block;

/// A body in its place.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its form, in its own space.
    pub shape: Shape,
    /// How it is turned.
    pub frame: Frame,
    /// Where its origin stands.
    pub place: V3,
    /// World units to one of its own.
    pub scale: f32,
    /// Paint of the three parts, in its own space.
    pub paints: [Paint; 3],
    /// Centre of the box that holds it, in its own space.
    pub centre: V3,
    /// Half sides of that box.
    pub half: V3,
}

impl Item {
    /// A body with its box worked out.
    pub fn new(shape: Shape, frame: Frame, place: V3, scale: f32, paints: [Paint; 3]) -> Item {
        let (centre, half) = shape.bounds();
        Item { shape, frame, place, scale, paints, centre, half }
    }

    /// A point of the world in the body's own space.
    pub fn local(&self, p: V3) -> V3 {
        self.frame.inward(p - self.place) * (1.0 / self.scale)
    }

    /// The stretch of a ray (own space) inside the box grown by `pad`.
    fn span(&self, o: V3, d: V3, pad: f32) -> Option<(f32, f32)> {
        let o = o - self.centre;
        let axis = |o: f32, d: f32, h: f32| {
            let inv = 1.0 / if d.abs() < 1e-9 { 1e-9 } else { d };
            let (a, b) = ((-h - o) * inv, (h - o) * inv);
            (a.min(b), a.max(b))
        };
        let (x0, x1) = axis(o.x, d.x, self.half.x + pad);
        let (y0, y1) = axis(o.y, d.y, self.half.y + pad);
        let (z0, z1) = axis(o.z, d.z, self.half.z + pad);
        let (t0, t1) = (x0.max(y0).max(z0).max(0.0), x1.min(y1).min(z1));
        (t0 < t1).then_some((t0, t1))
    }

    /// Where a ray (unit direction, world) first meets the body, if before `until`; `spread` is a pixel's width
    /// at distance 1, finer than which nothing need be found.
    pub fn hit(&self, eye: V3, dir: V3, until: f32, spread: f32) -> Option<f32> {
        let (o, d) = (self.local(eye), self.frame.inward(dir));
        let (mut t, end) = self.span(o, d, 0.0)?;
        let end = end.min(until / self.scale);
        for _ in 0..64 {
            if t >= end {
                return None;
            }
            let h = self.shape.distance(o + d * t);
            // In own space lengths along the ray and the pixel's width shrink alike, so `spread` holds.
            if h < (0.12 * spread * t).max(4e-4) {
                return Some(t * self.scale);
            }
            t += h;
        }
        None
    }

    /// Outward normal near the surface, in the world; `width` (own space) is over how much it is averaged.
    pub fn normal(&self, local: V3, width: f32) -> V3 {
        let e = width.clamp(6e-4, 0.012);
        let f = |x: f32, y: f32, z: f32| self.shape.distance(local + v3(x, y, z) * e);
        let (a, b, c, d) = (f(1.0, -1.0, -1.0), f(-1.0, -1.0, 1.0), f(-1.0, 1.0, -1.0), f(1.0, 1.0, 1.0));
        self.frame.outward(v3(a - b - c + d, c + d - a - b, b + d - a - c).unit())
    }

    /// The share of a lamp of relative size `1 / k` in direction `dir` that the body leaves visible from `p`.
    pub fn shade(&self, p: V3, dir: V3, k: f32) -> f32 {
        let (o, d) = (self.local(p), self.frame.inward(dir));
        let to = self.centre - o;
        // A half shadow reaches beyond the box by the lamp's apparent width at that distance.
        let along = to.dot(d) + self.half.len();
        if along < 0.0 {
            return 1.0;
        }
        let Some((t0, end)) = self.span(o, d, along / k) else { return 1.0 };
        let (mut t, mut open) = (t0.max(0.02), 1.0f32);
        for _ in 0..28 {
            let h = self.shape.distance(o + d * t);
            open = open.min(k * h / t);
            if open < 0.02 {
                return 0.0;
            }
            t += h.clamp(0.035, 0.5);
            if t > end {
                break;
            }
        }
        smoothstep(0.0, 1.0, open)
    }

    /// Distance from a point of the world, or infinity where it is surely above `reach`.
    pub fn near(&self, p: V3, reach: f32) -> f32 {
        let q = self.local(p);
        if block(q - self.centre, self.half, 0.0) * self.scale > reach {
            return f32::INFINITY;
        }
        self.shape.distance(q) * self.scale
    }
}

/// A wall behind everything.
#[derive(Clone, Copy, Debug)]
pub struct Wall {
    /// Towards the room, level.
    pub normal: V3,
    /// How far behind the origin it stands.
    pub back: f32,
    /// Its paint, over (along, 0, height).
    pub paint: Paint,
    /// Height and colour of the skirting board; height 0 for none.
    pub skirting: (f32, V3),
}

/// Light of a scene.
#[derive(Clone, Copy, Debug)]
pub struct Light {
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
pub struct Camera {
    /// The eye.
    pub eye: V3,
    /// Right, up and *backwards*.
    pub frame: Frame,
    /// The picture's centre on the plane one unit ahead.
    pub centre: (f32, f32),
    /// The picture's side on that plane.
    pub side: f32,
}

impl Camera {
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
pub struct World {
    /// The main object first, then clutter.
    pub items: Vec<Item>,
    /// Paint of the ground, the plane `y = 0`.
    pub ground: Paint,
    /// A wall, or open country.
    pub wall: Option<Wall>,
    /// Colour at the horizon and overhead.
    pub heaven: (V3, V3),
    /// Distances between which the ground fades into the horizon.
    pub haze: (f32, f32),
    /// The light.
    pub light: Light,
    /// The viewer.
    pub camera: Camera,
}

/// What a ray ends at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// Nothing, for ever.
    Sky,
    /// The ground.
    Ground,
    /// The wall.
    Wall,
    /// A body, by its place in [`World::items`].
    Item(usize),
}

impl World {
    /// Where a ray from the eye ends if there were no bodies, and how far away.
    pub fn backdrop(&self, dir: V3) -> (End, f32) {
        let eye = self.camera.eye;
        let mut best = (End::Sky, f32::INFINITY);
        if dir.y < -1e-5 {
            best = (End::Ground, -eye.y / dir.y);
        }
        if let Some(wall) = &self.wall {
            let towards = -wall.normal.dot(dir);
            let t = (wall.normal.dot(eye) + wall.back) / towards;
            if towards > 1e-5 && t < best.1 {
                best = (End::Wall, t);
            }
        }
        best
    }

    /// Where a ray from the eye ends, and how far away; `spread` is a pixel's width at distance 1.
    pub fn trace(&self, dir: V3, spread: f32) -> (End, f32) {
        let mut best = self.backdrop(dir);
        for (i, item) in self.items.iter().enumerate() {
            if let Some(t) = item.hit(self.camera.eye, dir, best.1, spread) {
                best = (End::Item(i), t);
            }
        }
        best
    }
}
