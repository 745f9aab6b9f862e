//! Noise on the plane, from a lattice that is hashed.

/// A hash of a lattice point.
#[inline(always)]
pub fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841) ^ seed;
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

/// A hash as a number from 0 to 1.
#[inline(always)]
pub fn unit(h: u32) -> f32 {
    (h >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// The whole number below, and how far above it `x` is.
#[inline(always)]
pub fn split(x: f32) -> (i32, f32) {
    let i = x as i32;
    let i = i - i32::from(x < i as f32);
    (i, x - i as f32)
}

/// The numbers 0 to 255 in a fixed order that looks like none (Perlin 1985): several times faster than a hash.
const ORDER: [u8; 256] = {
    let mut order = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        order[i] = i as u8;
        i += 1;
    }
    let mut state = 0x2545_f491u32;
    let mut i = 255;
    while i > 0 {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        let j = ((state >> 8) % (i as u32 + 1)) as usize;
        (order[i], order[j]) = (order[j], order[i]);
        i -= 1;
    }
    order
};

/// Two numbers from -1 to 1 for each entry of [`ORDER`].
const PAIRS: [(f32, f32); 256] = {
    let mut pairs = [(0.0, 0.0); 256];
    let mut i = 0;
    while i < 256 {
        let mut h = (i as u32 + 1).wrapping_mul(0x9e37_79b9);
        h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
        h ^= h >> 13;
        pairs[i] = ((h & 0xffff) as f32 / 32_767.5 - 1.0, (h >> 16) as f32 / 32_767.5 - 1.0);
        i += 1;
    }
    pairs
};

/// What [`ORDER`] has for a column of the lattice.
#[inline(always)]
fn column(x: i32, seed: u32) -> i32 {
    i32::from(ORDER[(x.wrapping_add(seed as i32) & 255) as usize])
}

/// What [`ORDER`] has for a point of the lattice in a column.
#[inline(always)]
fn point(column: i32, y: i32, seed: u32) -> usize {
    usize::from(ORDER[(column.wrapping_add(y).wrapping_add((seed >> 8) as i32) & 255) as usize])
}

/// Gradient noise with about one bump a unit, from -1 to 1, mean 0.
#[inline(always)]
pub fn gradient(x: f32, y: f32, seed: u32) -> f32 {
    let ((ix, fx), (iy, fy)) = (split(x), split(y));
    let (left, right) = (column(ix, seed), column(ix.wrapping_add(1), seed));
    let corner = |column: i32, dx: f32, dy: i32| {
        let (gx, gy) = PAIRS[point(column, iy.wrapping_add(dy), seed)];
        gx * (fx - dx) + gy * (fy - dy as f32)
    };
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(fx), ease(fy));
    let (a, b) = (corner(left, 0.0, 0), corner(right, 1.0, 0));
    let (c, d) = (corner(left, 0.0, 1), corner(right, 1.0, 1));
    let (low, high) = (a + (b - a) * u, c + (d - c) * u);
    1.7 * (low + (high - low) * v)
}

/// The sine of an angle in turns, to about a thousandth.
#[inline(always)]
pub fn sine(turns: f32) -> f32 {
    let (_, t) = split(turns + 0.5);
    let t = 0.5 - t;
    let arch = -t * (8.0 - 16.0 * t.abs());
    arch + 0.224 * (arch * arch.abs() - arch)
}

/// Octaves of [`gradient`] noise, each twice as fine as the one before and `gain` times as strong; those finer than a pixel
/// are left out. From about -1 to 1.
pub fn octaves(x: f32, y: f32, count: u32, gain: f32, pixel: f32, seed: u32, ridged: bool) -> f32 {
    let (mut sum, mut weight, mut strength, mut scale) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..count {
        if octave > 0 && (scale * pixel > 0.4 || strength < 0.04) {
            break;
        }
        let n = gradient(x * scale, y * scale, seed.wrapping_add(octave.wrapping_mul(0x9e37_79b9)));
        sum += strength * if ridged { 1.0 - 2.4 * n.abs() } else { n };
        weight += strength;
        (strength, scale) = (strength * gain, scale * 2.03);
    }
    // A sum of independent octaves varies less than its weight.
    sum / weight * if ridged { 1.0 } else { 1.5 }
}

/// What a point sees of cells about scattered points (one in each unit square).
pub struct CellDistances {
    /// To the nearest point.
    pub nearest: f32,
    /// To the second nearest.
    pub second: f32,
    /// A number of the nearest point's own, 0 to 1.
    pub own: f32,
}

/// Cells about points that lie up to `jitter` (0 to 1) off a square lattice.
pub fn cells(x: f32, y: f32, jitter: f32, seed: u32) -> CellDistances {
    let ((ix, fx), (iy, fy)) = (split(x), split(y));
    let (mut nearest, mut second, mut own) = (f32::INFINITY, f32::INFINITY, 0);
    let half = 0.5 * jitter;
    for dx in -1..=1 {
        let column = column(ix.wrapping_add(dx), seed);
        for dy in -1..=1 {
            let at = point(column, iy.wrapping_add(dy), seed);
            let (px, py) = PAIRS[at];
            let (px, py) = (dx as f32 + 0.5 + half * px - fx, dy as f32 + 0.5 + half * py - fy);
            let d = px * px + py * py;
            if d < nearest {
                (second, nearest, own) = (nearest, d, at);
            } else if d < second {
                second = d;
            }
        }
    }
    let own = f32::from(ORDER[own]) / 255.0;
    CellDistances { nearest: nearest.sqrt(), second: second.sqrt(), own }
}
