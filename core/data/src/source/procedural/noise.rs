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

/// Gradient noise with about one bump a unit, from -1 to 1, mean 0.
#[inline(always)]
pub fn gradient(x: f32, y: f32, seed: u32) -> f32 {
    let ((ix, fx), (iy, fy)) = (split(x), split(y));
    let corner = |dx: i32, dy: i32| {
        let h = hash(ix.wrapping_add(dx), iy.wrapping_add(dy), seed);
        let gx = (h & 0xffff) as f32 * (2.0 / 65_535.0) - 1.0;
        let gy = (h >> 16) as f32 * (2.0 / 65_535.0) - 1.0;
        gx * (fx - dx as f32) + gy * (fy - dy as f32)
    };
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(fx), ease(fy));
    let (a, b, c, d) = (corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1));
    let (low, high) = (a + (b - a) * u, c + (d - c) * u);
    1.7 * (low + (high - low) * v)
}

/// Octaves of [`gradient`] noise, each twice as fine as the one before and `gain` times as strong; those finer than a pixel
/// are left out. From about -1 to 1.
pub fn octaves(x: f32, y: f32, count: u32, gain: f32, pixel: f32, seed: u32, ridged: bool) -> f32 {
    let (mut sum, mut weight, mut strength, mut scale) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..count {
        if octave > 0 && scale * pixel > 0.5 {
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
    let (mut nearest, mut second, mut own) = (f32::INFINITY, f32::INFINITY, 0.0);
    for dy in -1..=1 {
        for dx in -1..=1 {
            let h = hash(ix.wrapping_add(dx), iy.wrapping_add(dy), seed);
            let off = |bits: u32| 0.5 + jitter * ((bits & 0x3ff) as f32 * (1.0 / 1023.0) - 0.5);
            let (px, py) = (dx as f32 + off(h) - fx, dy as f32 + off(h >> 10) - fy);
            let d = px * px + py * py;
            if d < nearest {
                (second, nearest, own) = (nearest, d, unit(h.wrapping_mul(0x27d4_eb2f)));
            } else if d < second {
                second = d;
            }
        }
    }
    CellDistances { nearest: nearest.sqrt(), second: second.sqrt(), own }
}
