//! A body in its place, and what rays and light ask of it.

use super::lanes::F32x4;
use super::materials::SceneMaterial;
use super::math::{P4, RotationMatrix, V3, v3};
use super::shapes::SceneShape;
use super::solids::block;

/// A body in its place.
#[derive(Clone, Debug)]
pub struct SceneObject {
    /// Its form, in its own space.
    pub shape: SceneShape,
    /// How it is turned.
    pub frame: RotationMatrix,
    /// Where its origin stands.
    pub place: V3,
    /// World units to one of its own.
    pub scale: f32,
    /// Paint of the three parts, in its own space.
    pub paints: [SceneMaterial; 3],
    /// Centre of the box that holds it, in its own space.
    pub centre: V3,
    /// Half sides of that box.
    pub half: V3,
    /// The box's middle in the world.
    middle: V3,
    /// Radius about it of a ball that holds the box, a little more than that for rounding's sake.
    ball: f32,
}

impl SceneObject {
    /// A body with its box worked out.
    pub fn new(
        shape: SceneShape,
        frame: RotationMatrix,
        place: V3,
        scale: f32,
        paints: [SceneMaterial; 3],
    ) -> SceneObject {
        let (centre, half) = shape.bounds();
        let middle = place + frame.outward(centre) * scale;
        let ball = half.len() * scale * 1.001 + 1e-3;
        SceneObject { shape, frame, place, scale, paints, centre, half, middle, ball }
    }

    /// Points of the world in the body's own space.
    pub fn local(&self, p: P4) -> P4 {
        self.frame.inward(p - self.place) * (1.0 / self.scale)
    }

    /// The stretch of rays (own space) inside the box grown by `pad`; empty where the first is not below the second.
    fn span(&self, o: P4, d: P4, pad: F32x4) -> (F32x4, F32x4) {
        let o = o - self.centre;
        let axis = |o: F32x4, d: F32x4, h: f32| {
            let inv = 1.0 / d.abs().below(1e-9).pick(1e-9, d);
            let (a, b) = ((-pad - h - o) * inv, (pad + h - o) * inv);
            (a.least(b), a.most(b))
        };
        let (x0, x1) = axis(o.x, d.x, self.half.x);
        let (y0, y1) = axis(o.y, d.y, self.half.y);
        let (z0, z1) = axis(o.z, d.z, self.half.z);
        (x0.most(y0).most(z0).most(0.0), x1.least(y1).least(z1))
    }

    /// Where rays (unit directions, world) first meet the body, if before `until`, else infinity; `spread` is a
    /// pixel's width at distance 1, finer than which nothing need be found.
    pub fn hit(&self, eye: V3, dir: P4, until: F32x4, spread: f32) -> F32x4 {
        // Most rays pass at a distance: that is told by less than the box takes.
        let to = self.middle - eye;
        let along = dir.dot(to);
        let near = along * along - to.dot(to) + self.ball * self.ball;
        if !(F32x4::splat(0.0).below(near) & F32x4::splat(-self.ball).below(along)).any() {
            return F32x4::splat(f32::INFINITY);
        }
        let (o, d) = (self.local(P4::splat(eye)), self.frame.inward(dir));
        let (mut t, end) = self.span(o, d, 0.0.into());
        let end = end.least(until * (1.0 / self.scale));
        let mut live = t.below(end);
        let mut found = F32x4::splat(f32::INFINITY);
        for _ in 0..48 {
            if !live.any() {
                break;
            }
            let h = self.shape.distance(o + d * t);
            // In own space lengths along the ray and the pixel's width shrink alike, so `spread` holds.
            let close = h.below((t * (0.2 * spread)).most(4e-4)) & live;
            found = close.pick(t, found);
            t = t + h;
            live = live & !close & t.below(end);
        }
        found * self.scale
    }

    /// Which part of the body points of its surface (world) belong to.
    pub fn part(&self, p: P4) -> [usize; 4] {
        let d = self.shape.parts(self.local(p)).map(F32x4::array);
        std::array::from_fn(|i| {
            let (a, b, c) = (d[0][i], d[1][i], d[2][i]);
            if a <= b && a <= c { 0 } else { 1 + usize::from(c < b) }
        })
    }

    /// Outward normals near the surface, in the world; `width` (own space) is over how much each is averaged.
    pub fn normal(&self, local: P4, width: F32x4) -> P4 {
        let e = width.hold(6e-4, 0.012);
        let f = |x: f32, y: f32, z: f32| self.shape.distance(local + v3(e * x, e * y, e * z));
        let (a, b, c, d) = (f(1.0, -1.0, -1.0), f(-1.0, -1.0, 1.0), f(-1.0, 1.0, -1.0), f(1.0, 1.0, 1.0));
        self.frame.outward(v3(a - b - c + d, c + d - a - b, b + d - a - c).unit())
    }

    /// The share of a lamp of relative size `1 / k` in direction `dir` that the body leaves visible from each point.
    pub fn shade(&self, p: P4, dir: V3, k: f32) -> F32x4 {
        // As for the eye's rays, about a ball that grows with the lamp's width.
        let to = P4::splat(self.middle) - p;
        let ahead = to.dot(dir) + self.ball;
        let wide = ahead.most(0.0) * (1.75 / k) + self.ball;
        let off = to.dot(to) - (ahead - self.ball) * (ahead - self.ball);
        if !(F32x4::splat(0.0).below(ahead) & off.below(wide * wide)).any() {
            return F32x4::splat(1.0);
        }
        let (o, d) = (self.local(p), P4::splat(self.frame.inward(dir)));
        // A half shadow reaches beyond the box by the lamp's apparent width at that distance.
        let along = (P4::splat(self.centre) - o).dot(d) + self.half.len();
        let (start, end) = self.span(o, d, along.most(0.0) * (1.0 / k));
        let mut live = start.below(end) & F32x4::splat(0.0).below(along);
        let (mut t, mut open) = (start.most(0.02), F32x4::splat(1.0));
        for _ in 0..22 {
            if !live.any() {
                break;
            }
            let h = self.shape.distance(o + d * t);
            open = live.pick(open.least(h * k / t), open);
            t = t + h.hold(0.05, 0.6);
            live = live & t.below(end) & F32x4::splat(0.02).below(open);
        }
        let open = open.most(0.0);
        open * open * (3.0 - open * 2.0)
    }

    /// Whether any of four points of the world is within `reach` of the box.
    pub fn close_to(&self, p: P4, reach: f32) -> bool {
        (block(self.local(p) - self.centre, self.half, 0.0) * self.scale).below(reach).any()
    }

    /// Distances from points of the world.
    pub fn distance(&self, p: P4) -> F32x4 {
        self.shape.distance(self.local(p)) * self.scale
    }
}
