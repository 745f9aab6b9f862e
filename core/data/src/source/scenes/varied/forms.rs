//! Solids that differ by their form alone, as signed distances in up to three parts that are painted apart.
//!
//! As the objects of the easy scenes they stand on `y = 0`, are about two units tall and look their best from `+z`; `v` are
//! four numbers from 0 to 1 that vary the proportions.

use crate::source::scenes::lanes::F32x4;
use crate::source::scenes::math::{P4, V3, v3};
use crate::source::scenes::objects::{FAR, span};
use crate::source::scenes::solids::{
    ball, block, cone, corner, drum, egg, octahedron, radius, rect, rod, smin, torus,
};

/// Names of the forms, in the order of [`distances`].
pub const FORMS: [&str; 16] = [
    "ball",
    "cube",
    "cylinder",
    "cone",
    "pyramid",
    "prism",
    "torus",
    "octahedron",
    "capsule",
    "dumbbell",
    "cross",
    "arch",
    "stairs",
    "table",
    "star",
    "bottle",
];

/// Distances to the parts of the form of index `form`.
pub fn distances(form: usize, p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let far = F32x4::splat(FAR);
    let one = |d: F32x4| [d, far, far];
    match form {
        0 => one(ball(p - v3(0.0, span(v[0], 0.85, 1.0), 0.0), span(v[0], 0.85, 1.0))),
        1 => {
            let h = span(v[0], 0.78, 0.95);
            one(block(p - v3(0.0, h, 0.0), v3(h, h, h), span(v[1], 0.02, 0.09)))
        }
        2 => {
            let (r, h) = (span(v[0], 0.5, 0.85), span(v[1], 0.8, 1.1));
            one(drum(p - v3(0.0, h, 0.0), r, h, span(v[2], 0.02, 0.07)))
        }
        3 => one(cone(p, span(v[0], 1.6, 2.2), span(v[1], 0.7, 0.98), 0.0) - 0.02),
        4 => one(pyramid(p, span(v[0], 0.72, 0.95), span(v[1], 1.2, 1.75))),
        5 => one(prism(p, span(v[0], 0.5, 0.85), span(v[1], 0.85, 1.15))),
        6 => {
            let (ring, wire) = (span(v[0], 0.66, 0.76), span(v[1], 0.2, 0.32));
            // On its edge, the hole to the front.
            one(torus(v3(p.x, p.z, p.y - ring - wire), ring, wire))
        }
        7 => {
            let s = span(v[0], 0.95, 1.15);
            let c = p - v3(0.0, s, 0.0);
            one(octahedron(c, s - 0.03) - 0.02)
        }
        8 => {
            let r = span(v[0], 0.36, 0.52);
            let top = span(v[1], 1.55, 1.85);
            one(rod(p, v3(0.0, r, 0.0), v3(0.0, top, 0.0), r, r))
        }
        9 => dumbbell(p, v),
        10 => {
            let (long, thick) = (span(v[0], 0.85, 1.0), span(v[1], 0.24, 0.34));
            let c = p - v3(0.0, long, 0.0);
            let up = block(c, v3(thick, long, thick), 0.04);
            let across = block(c, v3(long, thick, thick), 0.04);
            [up, across, block(c, v3(thick, thick, long), 0.04)]
        }
        11 => arch(p, v),
        12 => stairs(p, v),
        13 => table(p, v),
        14 => one(star(p, span(v[0], 0.95, 1.1), span(v[1], 0.42, 0.52), span(v[2], 0.16, 0.3))),
        _ => bottle(p, v),
    }
}

/// Lowest and highest corner of a box that holds the form whatever its proportions.
pub fn corners(form: usize) -> (V3, V3) {
    match form {
        0 => (v3(-1.0, 0.0, -1.0), v3(1.0, 2.0, 1.0)),
        1 => (v3(-0.96, 0.0, -0.96), v3(0.96, 1.91, 0.96)),
        2 => (v3(-0.86, 0.0, -0.86), v3(0.86, 2.21, 0.86)),
        3 => (v3(-1.01, 0.0, -1.01), v3(1.01, 2.24, 1.01)),
        4 => (v3(-0.98, 0.0, -0.98), v3(0.98, 1.78, 0.98)),
        5 => (v3(-1.02, 0.0, -1.16), v3(1.02, 1.52, 1.16)),
        6 => (v3(-1.1, 0.0, -0.33), v3(1.1, 2.18, 0.33)),
        7 => (v3(-1.16, 0.0, -1.16), v3(1.16, 2.31, 1.16)),
        8 => (v3(-0.53, 0.0, -0.53), v3(0.53, 2.4, 0.53)),
        9 => (v3(-1.55, 0.0, -0.56), v3(1.55, 1.12, 0.56)),
        10 => (v3(-1.01, 0.0, -1.01), v3(1.01, 2.01, 1.01)),
        11 => (v3(-1.16, 0.0, -0.51), v3(1.16, 1.86, 0.51)),
        12 => (v3(-1.01, 0.0, -0.86), v3(1.01, 1.61, 0.86)),
        13 => (v3(-1.16, 0.0, -0.86), v3(1.16, 1.31, 0.86)),
        14 => (v3(-1.13, 0.0, -0.31), v3(1.13, 2.13, 0.31)),
        _ => (v3(-0.61, 0.0, -0.61), v3(0.61, 2.41, 0.61)),
    }
}

/// A pyramid on a square of half side `half`, `h` tall.
fn pyramid(p: P4, half: f32, h: f32) -> F32x4 {
    let n = 1.0 / (h * h + half * half).sqrt();
    let (ax, az) = (p.x.abs(), p.z.abs());
    let side = |a: F32x4| (a * h + p.y * half) * n - half * h * n;
    let slopes = corner(side(ax) + 0.03, side(az) + 0.03);
    slopes.most(0.01 - p.y) - 0.01
}

/// A three-sided prism that lies on a side, `half` long either way; the triangle's corners are `r` from its middle.
fn prism(p: P4, long: f32, r: f32) -> F32x4 {
    let y = p.y - 0.5 * r * 0.78;
    let slope = p.x.abs() * 0.866_025_4 + y * 0.5;
    let triangle = slope.most(-y) - (0.5 * r * 0.78 - 0.02);
    corner(triangle, p.z.abs() - (long - 0.02)) - 0.02
}

/// A dumbbell: grip, weights.
fn dumbbell(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (r, out) = (span(v[0], 0.42, 0.56), span(v[1], 0.8, 0.98));
    let c = p - v3(0.0, r, 0.0);
    let grip = rod(c, v3(-out, 0.0, 0.0), v3(out, 0.0, 0.0), span(v[2], 0.13, 0.2), span(v[2], 0.13, 0.2));
    [grip, ball(v3(c.x.abs() - out, c.y, c.z), r), FAR.into()]
}

/// An arch: pillars with their lintel, a keystone.
fn arch(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (half, deep, h) = (span(v[0], 0.9, 1.15), span(v[1], 0.28, 0.5), span(v[2], 1.45, 1.85));
    let solid = block(p - v3(0.0, 0.5 * h, 0.0), v3(half, 0.5 * h, deep), 0.03);
    let r = half * span(v[3], 0.5, 0.62);
    let top = h - r - 0.28;
    let ay = (p.y - top).most(0.0);
    let hole = (p.x * p.x + ay * ay).sqrt() - r;
    let key = block(p - v3(0.0, h - 0.15, 0.0), v3(0.13, 0.14, deep + 0.01), 0.02);
    [solid.most(-hole), key, FAR.into()]
}

/// Three steps, each a part.
fn stairs(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (half, deep, h) = (span(v[0], 0.8, 1.0), span(v[1], 0.5, 0.85), span(v[2], 0.4, 0.53));
    let third = half * (2.0 / 3.0);
    let step = |i: f32| {
        let (wide, tall) = (half - 0.5 * third * i, 0.5 * h * (i + 1.0));
        block(p - v3(half - wide, tall, 0.0), v3(wide, tall, deep), 0.02)
    };
    [step(0.0), step(1.0), step(2.0)]
}

/// A table: top, legs.
fn table(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (w, d, h) = (span(v[0], 0.9, 1.15), span(v[1], 0.55, 0.85), span(v[2], 0.9, 1.3));
    let top = block(p - v3(0.0, h - 0.07, 0.0), v3(w, 0.07, d), 0.03);
    let thick = span(v[3], 0.07, 0.12);
    let q = v3(p.x.abs() - w + thick + 0.05, p.y - 0.5 * (h - 0.1), p.z.abs() - d + thick + 0.05);
    [top, block(q, v3(thick, 0.5 * (h - 0.1), thick), 0.03), FAR.into()]
}

/// A star with five points of length `r`, notches at `r * notch`, half thickness `t`; it stands on two points.
fn star(p: P4, r: f32, notch: f32, t: f32) -> F32x4 {
    // The lowest points are at `-r cos 36°`.
    let (x, y) = (p.x.abs(), p.y - r * 0.809_017);
    // Mirrors at 36° and 72° fold the five points onto the one that looks up.
    let fold = |x: F32x4, y: F32x4, nx: f32, ny: f32| {
        let d = (x * nx + y * ny).most(0.0) * 2.0;
        (x - d * nx, y - d * ny)
    };
    let (x, y) = fold(x, y, 0.809_017, -0.587_785_25);
    let (x, y) = fold(x, y, -0.809_017, -0.587_785_25);
    let x = x.abs();
    // From the point `(0, r)` to the notch at 36°.
    let (nx, ny) = (notch * r * 0.587_785_25, notch * r * 0.809_017);
    let (ex, ey) = (nx, ny - r);
    let n = 1.0 / (ex * ex + ey * ey).sqrt();
    let edge = (y - r) * (ex * n) - x * (ey * n);
    corner(edge + 0.02, p.z.abs() - (t - 0.02)) - 0.02
}

/// A bottle: belly, neck, cork.
fn bottle(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (r, tall) = (span(v[0], 0.45, 0.6), span(v[1], 0.95, 1.2));
    let belly = smin(
        drum(p - v3(0.0, 0.5 * tall, 0.0), r, 0.5 * tall, 0.1),
        egg(p - v3(0.0, tall, 0.0), v3(r * 0.93, 0.34, r * 0.93)),
        0.08,
    );
    let neck = span(v[2], 0.13, 0.19);
    let top = span(v[3], 1.9, 2.25);
    let throat = drum(p - v3(0.0, 0.5 * (tall + top), 0.0), neck, 0.5 * (top - tall), 0.03);
    let lip = rect(radius(p) - neck, p.y - (top - 0.08), 0.06, 0.05, 0.03);
    let cork = drum(p - v3(0.0, top + 0.03, 0.0), neck * 0.8, 0.12, 0.03);
    [smin(belly, throat.least(lip), 0.12) * 0.9, FAR.into(), cork]
}
