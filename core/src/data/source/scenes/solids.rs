//! Signed distances to simple solids, from which the scenes' objects are put together.
//!
//! Each returns a distance that is negative inside and never much larger than the true one, as sphere tracing asks.

use super::math::{V3, v3};

/// A ball about the origin.
pub fn ball(p: V3, r: f32) -> f32 {
    p.len() - r
}

/// An ellipsoid about the origin (a first-order estimate).
pub fn egg(p: V3, r: V3) -> f32 {
    let q = v3(p.x / r.x, p.y / r.y, p.z / r.z);
    let g = v3(q.x / r.x, q.y / r.y, q.z / r.z);
    let k = q.len();
    k * (k - 1.0) / g.len().max(1e-6)
}

/// A box about the origin with half sides `b`, edges rounded by `round` (inside `b`).
pub fn block(p: V3, b: V3, round: f32) -> f32 {
    let q = v3(p.x.abs() - b.x + round, p.y.abs() - b.y + round, p.z.abs() - b.z + round);
    let out = v3(q.x.max(0.0), q.y.max(0.0), q.z.max(0.0)).len();
    out + q.x.max(q.y).max(q.z).min(0.0) - round
}

/// A rectangle about the origin of a plane, for profiles.
pub fn rect(x: f32, y: f32, bx: f32, by: f32, round: f32) -> f32 {
    let (qx, qy) = (x.abs() - bx + round, y.abs() - by + round);
    let (ox, oy) = (qx.max(0.0), qy.max(0.0));
    (ox * ox + oy * oy).sqrt() + qx.max(qy).min(0.0) - round
}

/// Distance from the vertical axis.
pub fn radius(p: V3) -> f32 {
    (p.x * p.x + p.z * p.z).sqrt()
}

/// An upright cylinder about the origin: radius, half height, rounding.
pub fn drum(p: V3, r: f32, h: f32, round: f32) -> f32 {
    let q = radius(p);
    // Solid to the axis: the profile is a rectangle only on its outer side.
    let (qx, qy) = (q - r + round, p.y.abs() - h + round);
    let (ox, oy) = (qx.max(0.0), qy.max(0.0));
    (ox * ox + oy * oy).sqrt() + qx.max(qy).min(0.0) - round
}

/// A ring in the x–z plane: radius of the ring, radius of its wire.
pub fn torus(p: V3, ring: f32, wire: f32) -> f32 {
    let q = radius(p) - ring;
    (q * q + p.y * p.y).sqrt() - wire
}

/// A rod from `a` to `b` whose radius goes from `ra` to `rb`.
pub fn rod(p: V3, a: V3, b: V3, ra: f32, rb: f32) -> f32 {
    let (pa, ba) = (p - a, b - a);
    let t = (pa.dot(ba) / ba.dot(ba)).clamp(0.0, 1.0);
    (pa - ba * t).len() - (ra + (rb - ra) * t)
}

/// An upright cone frustum from `y = 0` (radius `r1`) to `y = h` (radius `r2`).
pub fn cone(p: V3, h: f32, r1: f32, r2: f32) -> f32 {
    let (qx, qy) = (radius(p), p.y - 0.5 * h);
    let h = 0.5 * h;
    let (kx, ky) = (r2 - r1, 2.0 * h);
    let ax = qx - qx.min(if qy < 0.0 { r1 } else { r2 });
    let ay = qy.abs() - h;
    let t = (((r2 - qx) * kx + (h - qy) * ky) / (kx * kx + ky * ky)).clamp(0.0, 1.0);
    let (bx, by) = (qx - r2 + kx * t, qy - h + ky * t);
    let inside = bx < 0.0 && ay < 0.0;
    let d = (ax * ax + ay * ay).min(bx * bx + by * by).sqrt();
    if inside { -d } else { d }
}

/// An octahedron about the origin with corners at distance `s`.
pub fn octahedron(p: V3, s: f32) -> f32 {
    let q = p.abs();
    (q.x + q.y + q.z - s) * 0.577_350_26
}

/// A lens in the plane, upright: the overlap of two discs, half height `h`, half width `w` (`w < h`).
pub fn lens(x: f32, y: f32, h: f32, w: f32) -> f32 {
    let d = (h * h - w * w) / (2.0 * w);
    let (x, y) = (x.abs(), y.abs());
    if (y - h) * d > x * h {
        (x * x + (y - h) * (y - h)).sqrt()
    } else {
        ((x + d) * (x + d) + y * y).sqrt() - (d + w)
    }
}

/// A convex four-sided plate in the plane, thin across: corners counter-clockwise, half thickness `t`, the offset
/// across as `across`.
pub fn plate(x: f32, y: f32, corners: &[(f32, f32); 4], across: f32, t: f32) -> f32 {
    let mut outside = f32::NEG_INFINITY;
    for i in 0..4 {
        let ((ax, ay), (bx, by)) = (corners[i], corners[(i + 1) & 3]);
        let (ex, ey) = (bx - ax, by - ay);
        let n = (ex * ex + ey * ey).sqrt().max(1e-6);
        outside = outside.max((ey * (x - ax) - ex * (y - ay)) / n);
    }
    let (a, b) = (outside + 0.03, across.abs() - t + 0.03_f32.min(t));
    let (oa, ob) = (a.max(0.0), b.max(0.0));
    (oa * oa + ob * ob).sqrt() + a.max(b).min(0.0) - 0.03_f32.min(t)
}
