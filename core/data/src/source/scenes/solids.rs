//! Signed distances to simple solids, from which the scenes' objects are put together.
//!
//! Each returns a distance that is negative inside and never much larger than the true one, as sphere tracing asks.

use super::lanes::F32x4;
use super::math::{P4, V3, v3};

/// The smaller of two distances, the seam rounded over about `k`.
#[inline(always)]
pub fn smin(a: F32x4, b: F32x4, k: f32) -> F32x4 {
    let h = (k - (a - b).abs()).most(0.0) * (1.0 / k);
    a.least(b) - h * h * (k * 0.25)
}

/// Distance in a plane from the corner of a quadrant, for profiles: negative inside.
#[inline(always)]
pub fn corner(x: F32x4, y: F32x4) -> F32x4 {
    let (ox, oy) = (x.most(0.0), y.most(0.0));
    (ox * ox + oy * oy).sqrt() + x.most(y).least(0.0)
}

/// A ball about the origin.
#[inline(always)]
pub fn ball(p: P4, r: f32) -> F32x4 {
    p.len() - r
}

/// An ellipsoid about the origin (a first-order estimate).
#[inline(always)]
pub fn egg(p: P4, r: V3) -> F32x4 {
    let inv = v3(1.0 / r.x, 1.0 / r.y, 1.0 / r.z);
    let q = p.tint(inv);
    let k = q.len();
    k * (k - 1.0) / q.tint(inv).len().most(1e-6)
}

/// A box about the origin with half sides `b`, edges rounded by `round` (inside `b`).
#[inline(always)]
pub fn block(p: P4, b: V3, round: f32) -> F32x4 {
    let q = v3(p.x.abs() - (b.x - round), p.y.abs() - (b.y - round), p.z.abs() - (b.z - round));
    let out = v3(q.x.most(0.0), q.y.most(0.0), q.z.most(0.0)).len();
    out + q.x.most(q.y).most(q.z).least(0.0) - round
}

/// A rectangle about the origin of a plane, for profiles.
#[inline(always)]
pub fn rect(x: F32x4, y: F32x4, bx: f32, by: f32, round: f32) -> F32x4 {
    corner(x.abs() - (bx - round), y.abs() - (by - round)) - round
}

/// Distance from the vertical axis.
#[inline(always)]
pub fn radius(p: P4) -> F32x4 {
    (p.x * p.x + p.z * p.z).sqrt()
}

/// An upright cylinder about the origin: radius, half height, rounding.
#[inline(always)]
pub fn drum(p: P4, r: impl Into<F32x4>, h: f32, round: f32) -> F32x4 {
    corner(radius(p) - (r.into() - round), p.y.abs() - (h - round)) - round
}

/// A ring in the x–z plane: radius of the ring, radius of its wire.
#[inline(always)]
pub fn torus(p: P4, ring: f32, wire: f32) -> F32x4 {
    let q = radius(p) - ring;
    (q * q + p.y * p.y).sqrt() - wire
}

/// A rod from `a` to `b` whose radius goes from `ra` to `rb`.
#[inline(always)]
pub fn rod(p: P4, a: V3, b: V3, ra: f32, rb: f32) -> F32x4 {
    let (pa, ba) = (p - a, b - a);
    let t = (pa.dot(ba) * (1.0 / ba.dot(ba))).hold(0.0, 1.0);
    (pa - v3(t * ba.x, t * ba.y, t * ba.z)).len() - (ra + t * (rb - ra))
}

/// An upright cone frustum from `y = 0` (radius `r1`) to `y = h` (radius `r2`).
#[inline(always)]
pub fn cone(p: P4, h: f32, r1: f32, r2: f32) -> F32x4 {
    let h = 0.5 * h;
    let (qx, qy) = (radius(p), p.y - h);
    let (kx, ky) = (r2 - r1, 2.0 * h);
    let ax = (qx - qy.below(0.0).pick(r1, r2)).most(0.0);
    let ay = qy.abs() - h;
    let t = (((r2 - qx) * kx + (h - qy) * ky) * (1.0 / (kx * kx + ky * ky))).hold(0.0, 1.0);
    let (bx, by) = (qx - r2 + t * kx, qy - h + t * ky);
    let d = (ax * ax + ay * ay).least(bx * bx + by * by).sqrt();
    (bx.below(0.0) & ay.below(0.0)).pick(-d, d)
}

/// An octahedron about the origin with corners at distance `s`.
#[inline(always)]
pub fn octahedron(p: P4, s: f32) -> F32x4 {
    let q = p.abs();
    (q.x + q.y + q.z - s) * 0.577_350_26
}

/// A lens in the plane, upright: the overlap of two discs, half height `h`, half width `w` (`w < h`).
#[inline(always)]
pub fn lens(x: F32x4, y: F32x4, h: f32, w: f32) -> F32x4 {
    let d = (h * h - w * w) / (2.0 * w);
    let (x, y) = (x.abs(), y.abs());
    let tip = (x * h).below((y - h) * d);
    let (cx, cy) = (tip.pick(x, x + d), tip.pick(y - h, y));
    (cx * cx + cy * cy).sqrt() - tip.pick(0.0, d + w)
}

/// A convex four-sided plate in the plane, thin across: corners counter-clockwise, half thickness `t`, the offset
/// across as `across`.
#[inline(always)]
pub fn plate(x: F32x4, y: F32x4, corners: &[(f32, f32); 4], across: F32x4, t: f32) -> F32x4 {
    // The four edges' normals in one go: they are the same for all points, but not known beforehand.
    let (ax, ay) = (F32x4::new(corners.map(|c| c.0)), F32x4::new(corners.map(|c| c.1)));
    let next = [corners[1], corners[2], corners[3], corners[0]];
    let (ex, ey) = (F32x4::new(next.map(|c| c.0)) - ax, F32x4::new(next.map(|c| c.1)) - ay);
    let n = 1.0 / (ex * ex + ey * ey).sqrt().most(1e-6);
    let (nx, ny) = (ey * n, ex * n);
    let (nx, ny, reach) = (nx.array(), ny.array(), (nx * ax - ny * ay).array());
    let side = |i: usize| x * nx[i] - y * ny[i] - reach[i];
    let outside = side(0).most(side(1)).most(side(2).most(side(3)));
    let round = t.min(0.03);
    corner(outside + round, across.abs() - (t - round)) - round
}
