//! Small vectors, turns and colours for the scenes, in operations that round the same way on every platform.
//!
//! Only `+ - * /`, `sqrt`, `floor` and comparisons are used: the system's `sin` or `powf` may differ in the last
//! bit between platforms, and a picture that differs there is another picture.

use std::ops::{Add, Mul, Neg, Sub};

use super::lanes::F32x4;

/// Three components.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vec3<T> {
    /// First component (right, or red).
    pub x: T,
    /// Second component (up, or green).
    pub y: T,
    /// Third component (towards the viewer, or blue).
    pub z: T,
}

/// A point, a direction or a linear RGB colour.
pub type V3 = Vec3<f32>;
/// Four of them.
pub type P4 = Vec3<F32x4>;

/// Short for a [`Vec3`].
#[inline(always)]
pub const fn v3<T>(x: T, y: T, z: T) -> Vec3<T> {
    Vec3 { x, y, z }
}

impl<T: Add<U>, U> Add<Vec3<U>> for Vec3<T> {
    type Output = Vec3<T::Output>;
    #[inline(always)]
    fn add(self, o: Vec3<U>) -> Vec3<T::Output> {
        v3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl<T: Sub<U>, U> Sub<Vec3<U>> for Vec3<T> {
    type Output = Vec3<T::Output>;
    #[inline(always)]
    fn sub(self, o: Vec3<U>) -> Vec3<T::Output> {
        v3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl<T: Mul<U>, U: Copy> Mul<U> for Vec3<T> {
    type Output = Vec3<T::Output>;
    #[inline(always)]
    fn mul(self, k: U) -> Vec3<T::Output> {
        v3(self.x * k, self.y * k, self.z * k)
    }
}

impl Neg for V3 {
    type Output = V3;
    fn neg(self) -> V3 {
        v3(-self.x, -self.y, -self.z)
    }
}

impl<T> Vec3<T> {
    /// Scalar product.
    #[inline(always)]
    pub fn dot<U, R: Add<Output = R>>(self, o: Vec3<U>) -> R
    where
        T: Mul<U, Output = R>,
    {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    /// Component-wise product, for a colour under a light.
    #[inline(always)]
    pub fn tint<U>(self, o: Vec3<U>) -> Vec3<T::Output>
    where
        T: Mul<U>,
    {
        v3(self.x * o.x, self.y * o.y, self.z * o.z)
    }
}

impl V3 {
    /// Length.
    pub fn len(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The same direction with length 1.
    pub fn unit(self) -> V3 {
        self * (1.0 / self.len().max(1e-12))
    }

    /// Component-wise absolute value.
    pub fn abs(self) -> V3 {
        v3(self.x.abs(), self.y.abs(), self.z.abs())
    }

    /// `self` at `t = 0`, `o` at `t = 1`.
    pub fn mix(self, o: V3, t: f32) -> V3 {
        self + (o - self) * t
    }
}

impl P4 {
    /// Four vectors side by side.
    #[inline(always)]
    pub fn new(v: [V3; 4]) -> P4 {
        v3(F32x4::new(v.map(|v| v.x)), F32x4::new(v.map(|v| v.y)), F32x4::new(v.map(|v| v.z)))
    }

    /// The same vector four times.
    #[inline(always)]
    pub fn splat(v: V3) -> P4 {
        v3(v.x.into(), v.y.into(), v.z.into())
    }

    /// The four vectors.
    #[inline(always)]
    pub fn array(self) -> [V3; 4] {
        let (x, y, z) = (self.x.array(), self.y.array(), self.z.array());
        std::array::from_fn(|i| v3(x[i], y[i], z[i]))
    }

    /// Lengths.
    #[inline(always)]
    pub fn len(self) -> F32x4 {
        self.dot(self).sqrt()
    }

    /// The same directions with length 1.
    #[inline(always)]
    pub fn unit(self) -> P4 {
        self * (1.0 / self.len().most(1e-12))
    }

    /// Component-wise absolute values.
    #[inline(always)]
    pub fn abs(self) -> P4 {
        v3(self.x.abs(), self.y.abs(), self.z.abs())
    }
}

/// A rotation: the images of the three axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RotationMatrix(pub V3, pub V3, pub V3);

impl RotationMatrix {
    /// Turns by `yaw` about the vertical, after `pitch` about x and `roll` about z; all in turns.
    pub fn new(yaw: f32, pitch: f32, roll: f32) -> RotationMatrix {
        let ((sy, cy), (sp, cp), (sr, cr)) = (sin_cos(yaw), sin_cos(pitch), sin_cos(roll));
        let turn = |v: V3| {
            let v = v3(cr * v.x - sr * v.y, sr * v.x + cr * v.y, v.z);
            let v = v3(v.x, cp * v.y - sp * v.z, sp * v.y + cp * v.z);
            v3(cy * v.x + sy * v.z, v.y, cy * v.z - sy * v.x)
        };
        RotationMatrix(turn(v3(1.0, 0.0, 0.0)), turn(v3(0.0, 1.0, 0.0)), turn(v3(0.0, 0.0, 1.0)))
    }

    /// From the turned frame to the outer one.
    #[inline(always)]
    pub fn outward<T>(&self, v: Vec3<T>) -> Vec3<T>
    where
        T: Copy + Mul<f32, Output = T> + Add<Output = T>,
    {
        let RotationMatrix(a, b, c) = self;
        v3(
            v.x * a.x + v.y * b.x + v.z * c.x,
            v.x * a.y + v.y * b.y + v.z * c.y,
            v.x * a.z + v.y * b.z + v.z * c.z,
        )
    }

    /// From the outer frame to the turned one.
    #[inline(always)]
    pub fn inward<T>(&self, v: Vec3<T>) -> Vec3<T>
    where
        T: Copy + Mul<f32, Output = T> + Add<Output = T>,
    {
        v3(v.dot(self.0), v.dot(self.1), v.dot(self.2))
    }
}

/// Sine and cosine of an angle in turns, to about 1e-6.
pub fn sin_cos(turns: f32) -> (f32, f32) {
    let quarter = (turns * 4.0 + 0.5).floor();
    let x = (turns * 4.0 - quarter) * std::f32::consts::FRAC_PI_2;
    let q = x * x;
    let s = x * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0)));
    let c = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0)));
    match quarter as i32 & 3 {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

/// 0 below `a`, 1 above `b`, smooth between.
pub fn smoothstep(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A colour from OKLab lightness, chroma and hue (in turns), as linear RGB clipped to what a screen shows.
pub fn oklch(lightness: f32, chroma: f32, hue: f32) -> V3 {
    let (s, c) = sin_cos(hue);
    let (a, b) = (chroma * c, chroma * s);
    let l = lightness + 0.396_337_78 * a + 0.215_803_76 * b;
    let m = lightness - 0.105_561_346 * a - 0.063_854_17 * b;
    let t = lightness - 0.089_484_18 * a - 1.291_485_5 * b;
    let (l, m, t) = (l * l * l, m * m * m, t * t * t);
    v3(
        (4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * t).clamp(0.0, 1.0),
        (-1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * t).clamp(0.0, 1.0),
        (-0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * t).clamp(0.0, 1.0),
    )
}

/// A linear light intensity as an 8-bit sRGB value (the usual fit in nested square roots, good to one step).
pub fn srgb(linear: f32) -> f32 {
    let x = linear.clamp(0.0, 1.0);
    let s1 = x.sqrt();
    let s2 = s1.sqrt();
    let s3 = s2.sqrt();
    let curve = 0.662_002_7 * s1 + 0.684_122 * s2 - 0.323_583_6 * s3 - 0.022_541_147 * x;
    if x < 0.003_130_8 { x * 12.92 } else { curve.clamp(0.0, 1.0) }
}
