//! The twelve objects and the clutter as signed distances, each in up to three parts that are painted apart.
//!
//! Objects stand on `y = 0`, about two units tall or long, and face `+z` or point along `+x`. `v` are four numbers
//! from 0 to 1 that vary the proportions, so that no two mugs are the same.

use super::lanes::F32x4;
use super::math::{P4, v3};
use super::solids::{ball, block, cone, drum, egg, lens, octahedron, plate, radius, rect, rod, smin, torus};

/// Where a shape has no third part.
pub const FAR: f32 = 1e9;

/// From `lo` to `hi` as `v` goes from 0 to 1.
pub fn span(v: f32, lo: f32, hi: f32) -> f32 {
    lo + (hi - lo) * v
}

/// A mug with a drink: wall and floor, handle, drink.
pub fn mug(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (h, flare) = (span(v[0], 1.15, 1.55), span(v[1], -0.06, 0.1));
    let r = (p.y * (2.0 / h) - 1.0).hold(-1.0, 1.0) * flare + 0.64;
    let q = radius(p);
    let wall = rect(q - r, p.y - 0.5 * h, 0.055, 0.5 * h, 0.045);
    let floor = drum(p - v3(0.0, 0.07, 0.0), r - 0.03, 0.07, 0.03);
    // The handle: a ring, drawn out upright, of which only what lies outside the wall is there.
    let stretch = span(v[2], 0.0, 0.16);
    let hp = v3(p.x - r - 0.06, p.y - 0.52 * h, p.z);
    let hy = hp.y - hp.y.hold(-stretch, stretch);
    let loop_ = torus(v3(hp.x, hp.z, hy), span(v[3], 0.33, 0.42), 0.095);
    let drink = drum(p - v3(0.0, 0.74 * h, 0.0), r - 0.04, 0.02, 0.01);
    [wall.least(floor) * 0.95, loop_.most(r - 0.02 - q), drink]
}

/// A chair: seat, legs and posts, back.
pub fn chair(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (half, seat, top) = (span(v[0], 0.48, 0.6), span(v[1], 0.85, 1.1), span(v[2], 1.85, 2.35));
    let ax = p.x.abs();
    let pad = block(p - v3(0.0, seat, 0.0), v3(half + 0.04, 0.075, half + 0.04), 0.05);
    let leg = block(
        v3(ax - half + 0.05, p.y - 0.5 * seat, p.z.abs() - half + 0.05),
        v3(0.07, 0.5 * seat, 0.07),
        0.03,
    );
    // The back leans away a little above the seat.
    let lean = p.z + half - 0.06 + (p.y - seat).most(0.0) * 0.06;
    let mid = 0.5 * (seat + top);
    let post = block(v3(ax - half + 0.05, p.y - mid, lean), v3(0.07, 0.5 * (top - seat), 0.065), 0.03);
    let (lo, hi) = if v[3] < 0.5 { (0.58, 1.0) } else { (0.25, 1.0) };
    let (lo, hi) = (seat + (top - seat) * lo, seat + (top - seat) * hi);
    let panel = block(v3(p.x, p.y - 0.5 * (lo + hi), lean), v3(half - 0.02, 0.5 * (hi - lo), 0.045), 0.04);
    [pad, leg.least(post), panel]
}

/// A toadstool: cap, stem, spots.
pub fn mushroom(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (h, wide, tall) = (span(v[0], 0.85, 1.2), span(v[1], 0.82, 1.05), span(v[2], 0.55, 0.75));
    let stem = smin(
        rod(p, v3(0.0, 0.2, 0.0), v3(0.0, h, 0.0), 0.27, 0.2),
        egg(p - v3(0.0, 0.16, 0.0), v3(0.36, 0.2, 0.36)),
        0.2,
    );
    let stem = stem.most(-p.y);
    let c = p - v3(0.0, h, 0.0);
    let dome = egg(c, v3(wide, tall, wide));
    let hollow = egg(c + v3(0.0, 0.3, 0.0), v3(wide * 1.02, 0.38, wide * 1.02));
    let cap = dome.most(-hollow).most(-0.12 - c.y);
    // Spots: one on top, six about it, by folding the circle onto a sixth of itself.
    let (x, z) = (c.x.abs(), c.z.abs());
    let fold = (x * 0.577_350_26).below(z);
    let (x, z) = (fold.pick(x * 0.5 + z * 0.866_025_4, x), fold.pick(x * 0.866_025_4 - z * 0.5, z));
    let near = egg(v3(x - 0.66 * wide, c.y - 0.7 * tall, z), v3(0.17, 0.15, 0.17));
    let spots = near.least(egg(c - v3(0.0, tall * 0.97, 0.0), v3(0.24, 0.09, 0.24)));
    [cap * 0.9, stem * 0.95, spots]
}

/// A conifer: leaves, trunk, a ball on top.
pub fn tree(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (wide, trunk) = (span(v[0], 0.78, 1.0), span(v[1], 0.3, 0.5));
    let tiers = if v[2] < 0.5 { 3 } else { 4 };
    let step = 1.75 / tiers as f32;
    let mut leaves = F32x4::splat(FAR);
    for i in 0..tiers {
        let k = i as f32 / tiers as f32;
        let r = wide * (1.0 - 0.72 * k);
        let foot = v3(0.0, trunk + i as f32 * step, 0.0);
        leaves = leaves.least(cone(p - foot, step * 1.6, r, r * 0.18) - 0.03);
    }
    let stem = drum(p - v3(0.0, 0.5 * trunk + 0.05, 0.0), span(v[3], 0.15, 0.22), 0.5 * trunk + 0.05, 0.02);
    let top = trunk + 1.75 + 0.6 * step - 0.02;
    [leaves, stem, ball(p - v3(0.0, top, 0.0), 0.12)]
}

/// A snowman: balls, hat and arms, face, buttons and scarf.
pub fn snowman(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (r1, r2) = (span(v[0], 0.68, 0.8), span(v[1], 0.46, 0.54));
    let r3 = span(v[2], 0.33, 0.39);
    let (y1, y2) = (r1 * 0.9, r1 * 1.72 + r2 * 0.55);
    let y3 = y2 + r2 * 0.72 + r3 * 0.72;
    let body = ball(p - v3(0.0, y1, 0.0), r1).most(-p.y);
    let body = smin(body, ball(p - v3(0.0, y2, 0.0), r2), 0.06);
    let body = smin(body, ball(p - v3(0.0, y3, 0.0), r3), 0.06);
    let brim = drum(p - v3(0.0, y3 + r3 * 0.72, 0.0), r3 * 1.22, 0.035, 0.02);
    let hat = drum(p - v3(0.0, y3 + r3 * 0.72 + 0.2, 0.0), r3 * 0.78, 0.22, 0.03);
    // Twigs for arms, both at once by the mirror.
    let q = v3(p.x.abs(), p.y, p.z);
    let reach = v3(1.08, y2 + span(v[3], -0.1, 0.42), 0.12);
    let arm = rod(q, v3(r2 * 0.8, y2 + 0.08, 0.0), reach, 0.06, 0.04);
    let nose = rod(p, v3(0.0, y3, r3 * 0.9), v3(0.0, y3 - 0.03, r3 + 0.4), 0.09, 0.02);
    let eye = ball(q - v3(0.13, y3 + 0.1, r3 * 0.9), 0.055);
    let button = ball(v3(p.x, (p.y - y2).abs() - 0.14, p.z - r2 * 0.94), 0.06);
    let scarf = torus(p - v3(0.0, y2 + r2 * 0.8, 0.0), r3 * 0.86, 0.09);
    [body, brim.least(hat).least(arm), nose.least(eye).least(button).least(scarf)]
}

/// A rocket: hull, fins and nozzle, nose and porthole.
pub fn rocket(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (w, h) = (span(v[0], 0.4, 0.52), span(v[1], 1.25, 1.42));
    let mid = 1.24;
    let q = radius(p);
    let hull = lens(q, p.y - mid, h, w).most(0.32 - p.y);
    let tip = span(v[2], 0.55, 0.72) * h + mid;
    let nose = hull.most(tip - p.y) - 0.012;
    let nozzle = cone(p - v3(0.0, 0.12, 0.0), 0.24, 0.26, 0.17);
    // Four fins, folded onto one.
    let (ax, az) = (p.x.abs(), p.z.abs());
    let turn = ax.below(az);
    let (a, b) = (turn.pick(az, ax), turn.pick(p.x, p.z));
    let out = span(v[3], 0.78, 0.92);
    let fin = plate(a, p.y, &[(0.2, 0.42), (out, 0.0), (out, 0.34), (0.3, 1.12)], b, 0.05);
    let port = torus(v3(p.x, p.z - w + 0.05, p.y - mid - 0.25), 0.15, 0.05);
    [hull, fin.least(nozzle), nose.least(port)]
}

/// A teapot: pot and spout, handle, lid.
pub fn teapot(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (r, h) = (span(v[0], 0.72, 0.84), span(v[1], 0.56, 0.68));
    let c = p - v3(0.0, h, 0.0);
    let pot = egg(c, v3(r, h, r));
    let foot = drum(p - v3(0.0, 0.05, 0.0), r * 0.58, 0.05, 0.02);
    let end = v3(r + 0.56, h + span(v[2], 0.3, 0.46), 0.0);
    let knee = v3(r + 0.24, h * 0.95, 0.0);
    let spout =
        smin(rod(p, v3(r * 0.7, h * 0.62, 0.0), knee, 0.21, 0.14), rod(p, knee, end, 0.14, 0.08), 0.08);
    let body = smin(pot.least(foot), spout, 0.1);
    let hp = p - v3(-r - 0.02, h * 1.02, 0.0);
    let handle = torus(v3(hp.x, hp.z, hp.y * span(v[3], 0.85, 1.05)), 0.4, 0.08).most(0.05 - pot - 0.1);
    let lid = egg(p - v3(0.0, 1.88 * h, 0.0), v3(r * 0.56, 0.14, r * 0.56));
    let knob = ball(p - v3(0.0, 1.88 * h + 0.22, 0.0), 0.12);
    [body * 0.95, handle * 0.95, lid.least(knob)]
}

/// A fish: body, fins, eyes.
pub fn fish(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (h, w) = (span(v[0], 0.42, 0.62), span(v[1], 0.24, 0.34));
    // The body narrows towards the tail.
    let body = smin(
        egg(p - v3(0.18, 0.0, 0.0), v3(0.85, h, w)),
        rod(p, v3(-0.4, 0.0, 0.0), v3(-0.95, 0.0, 0.0), h * 0.45, 0.08),
        0.3,
    );
    let (ay, fork) = (p.y.abs(), span(v[2], 0.42, 0.62));
    let tail = plate(p.x, ay, &[(-0.85, -0.05), (-0.85, 0.08), (-1.5, fork), (-1.18, 0.0)], p.z, 0.06);
    let back =
        plate(p.x, p.y, &[(-0.45, h * 0.6), (0.55, h * 0.7), (-0.1, h + 0.3), (-0.55, h + 0.2)], p.z, 0.05);
    let belly = plate(
        p.x,
        p.y,
        &[(-0.3, -h - 0.16), (0.0, -h - 0.1), (0.25, -h * 0.8), (-0.25, -h * 0.7)],
        p.z,
        0.05,
    );
    let side = v3(p.x, p.y, p.z.abs());
    let flipper = egg(side - v3(0.12, -0.12, w * 0.95), v3(0.24, 0.11, 0.06));
    let eye = ball(side - v3(0.68, span(v[3], 0.08, 0.16), w * 0.72), 0.09);
    [body * 0.9, tail.least(back).least(belly).least(flipper), eye]
}

/// A car: body and roof, wheels, windows and lamps.
pub fn car(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (long, roof) = (span(v[0], 1.08, 1.24), span(v[1], 0.98, 1.14));
    let (ax, az) = (p.x.abs(), p.z.abs());
    let tub = block(p - v3(0.0, 0.45, 0.0), v3(long, 0.22, 0.56), 0.12);
    // The cabin narrows upwards, more in front than behind.
    let back = span(v[2], -0.75, -1.0);
    let glass = plate(
        p.x,
        p.y,
        &[(back, 0.6), (0.6, 0.6), (0.22, roof), (back + 0.22, roof)],
        az + 0.12 * (p.y - 0.6),
        0.5,
    );
    let top = block(p - v3(0.5 * (back + 0.44), roof, 0.0), v3(0.5 * (0.2 - back) - 0.06, 0.045, 0.45), 0.04);
    let pillar = block(v3(p.x - 0.5 * (back + 0.36), p.y - 0.8, az - 0.46), v3(0.05, 0.22, 0.04), 0.02);
    let axle = span(v[3], 0.62, 0.72);
    let w = v3(ax - axle, p.y - 0.29, az - 0.52);
    let wheel = drum(v3(w.x, w.z, w.y), 0.29, 0.12, 0.05);
    let arch = drum(v3(w.x, w.z, w.y), 0.35, 0.16, 0.02);
    let lamp = ball(v3(ax - long, p.y - 0.5, az - 0.36), 0.1);
    [tub.most(-arch).least(top).least(pillar), wheel, (glass * 0.97).least(lamp)]
}

/// A house: walls and chimney, roof, door and windows.
pub fn house(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (w, d, h) = (span(v[0], 0.62, 0.78), span(v[1], 0.66, 0.92), span(v[2], 0.8, 1.05));
    let rise = span(v[3], 0.6, 0.8);
    let (ax, az) = (p.x.abs(), p.z.abs());
    let n = 1.0 / (rise * rise + (w + 0.14) * (w + 0.14)).sqrt();
    // Signed height over the slope of the roof.
    let slope = ((p.y - h - rise) * (w + 0.14) + ax * rise) * n;
    let walls =
        block(p - v3(0.0, 0.5 * (h + rise), 0.0), v3(w, 0.5 * (h + rise), d), 0.02).most(slope + 0.05);
    let roof = slope.most(-slope - 0.12).most(az - d - 0.12).most(ax - w - 0.16);
    let stack = block(p - v3(0.42 * w, h + 0.72 * rise, -0.4 * d), v3(0.12, 0.34, 0.12), 0.02);
    let door = block(p - v3(-0.15, 0.28, d), v3(0.15, 0.28, 0.035), 0.02);
    let front = block(v3(p.x - 0.32, p.y - 0.5 * h, az - d), v3(0.14, 0.15, 0.035), 0.02);
    let side = block(v3(ax - w, p.y - 0.52 * h, az - 0.42 * d), v3(0.035, 0.16, 0.15), 0.02);
    let attic = drum(v3(p.x, az - d, p.y - h - 0.18), 0.13, 0.035, 0.02);
    [walls.least(stack), roof, door.least(front).least(side).least(attic)]
}

/// An airplane: hull, wings and tail, cockpit and engines.
pub fn airplane(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (fat, reach) = (span(v[0], 0.22, 0.3), span(v[1], 1.25, 1.5));
    let az = p.z.abs();
    let hull = smin(
        egg(p - v3(0.25, 0.0, 0.0), v3(1.02, fat, fat)),
        rod(p, v3(0.1, 0.0, 0.0), v3(-1.2, 0.12, 0.0), fat * 0.8, 0.09),
        0.15,
    );
    let sweep = span(v[2], 0.1, 0.5);
    let lift = p.y + 0.05 - 0.08 * az;
    let wing =
        plate(p.x, az, &[(-0.2, 0.0), (0.5, 0.0), (0.2 - sweep, reach), (-0.12 - sweep, reach)], lift, 0.05);
    let tail = plate(p.x, az, &[(-1.3, 0.0), (-0.85, 0.0), (-1.1, 0.55), (-1.36, 0.55)], p.y - 0.12, 0.04);
    let fin = plate(p.x, p.y, &[(-1.3, 0.1), (-0.75, 0.1), (-1.1, 0.66), (-1.36, 0.66)], p.z, 0.045);
    let pod = v3(p.x - 0.22 + 0.5 * sweep, p.y + 0.1, az - 0.52);
    let engine = drum(v3(pod.y, pod.x, pod.z), 0.12, 0.24, 0.05);
    let cockpit = egg(p - v3(0.78, fat * 0.55, 0.0), v3(0.28, 0.16, 0.16));
    [hull * 0.9, wing.least(tail).least(fin), cockpit.least(if v[3] < 0.7 { engine } else { FAR.into() })]
}

/// A ring with a stone: band, claw, stone.
pub fn ring(p: P4, v: &[f32; 4]) -> [F32x4; 3] {
    let (r, wire) = (span(v[0], 0.68, 0.76), span(v[1], 0.12, 0.18));
    let c = p - v3(0.0, r + wire, 0.0);
    // The band is broader along z than it is thick.
    let q = (c.x * c.x + c.y * c.y).sqrt() - r;
    let band = rect(q, c.z, wire * 0.75, wire * span(v[2], 0.8, 1.5), wire * 0.6);
    let s = span(v[3], 0.34, 0.42);
    let gem = p - v3(0.0, 2.0 * r + wire * 1.4 + s * 0.72, 0.0);
    let stone = octahedron(gem, s).most(gem.y - 0.4 * s);
    let claw = drum(p - v3(0.0, 2.0 * r + wire * 1.6, 0.0), 0.17, 0.1, 0.03);
    [band, claw, stone]
}

/// Clutter: 0 a ball, 1 a block, 2 a cone, 3 a drum.
pub fn clutter(i: usize, p: P4, v: &[f32; 4]) -> F32x4 {
    match i {
        0 => ball(p - v3(0.0, 0.9, 0.0), 0.9),
        1 => {
            let (x, y, z) = (span(v[0], 0.5, 0.95), span(v[1], 0.4, 0.95), span(v[2], 0.5, 0.95));
            block(p - v3(0.0, y, 0.0), v3(x, y, z), 0.06)
        }
        2 => cone(p, span(v[0], 1.2, 1.9), span(v[1], 0.6, 0.92), span(v[2], 0.04, 0.4)) - 0.03,
        _ => drum(
            p - v3(0.0, span(v[0], 0.35, 0.95), 0.0),
            span(v[1], 0.55, 0.95),
            span(v[0], 0.35, 0.95),
            0.06,
        ),
    }
}
