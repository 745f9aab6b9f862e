//! Four numbers at a time: neighbouring pixels walk through a scene together, one processor lane each.
//!
//! Plain arrays: the compiler finds the machine's own vectors, and where there are none nothing is lost. A lane does
//! exactly what a lone `f32` would (IEEE add, multiply, divide and root round alike everywhere), so the machine never
//! shows in a picture.

use std::array::from_fn;
use std::ops::{Add, BitAnd, Div, Mul, Neg, Not, Sub};

/// Four numbers.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub struct F32x4([f32; 4]);

/// Four answers to a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Mask32x4([bool; 4]);

#[inline(always)]
fn each(a: F32x4, b: F32x4, f: impl Fn(f32, f32) -> f32) -> F32x4 {
    F32x4(from_fn(|i| f(a.0[i], b.0[i])))
}

impl F32x4 {
    /// The same number four times.
    #[inline(always)]
    pub fn splat(x: f32) -> F32x4 {
        F32x4([x; 4])
    }

    /// Four numbers.
    #[inline(always)]
    pub fn new(x: [f32; 4]) -> F32x4 {
        F32x4(x)
    }

    /// The four numbers.
    #[inline(always)]
    pub fn array(self) -> [f32; 4] {
        self.0
    }

    #[inline(always)]
    fn plus(self, o: F32x4) -> F32x4 {
        each(self, o, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, o: F32x4) -> F32x4 {
        each(self, o, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, o: F32x4) -> F32x4 {
        each(self, o, |a, b| a * b)
    }

    #[inline(always)]
    fn over(self, o: F32x4) -> F32x4 {
        each(self, o, |a, b| a / b)
    }

    /// Square roots.
    #[inline(always)]
    pub fn sqrt(self) -> F32x4 {
        F32x4(self.0.map(f32::sqrt))
    }

    /// Without signs.
    #[inline(always)]
    pub fn abs(self) -> F32x4 {
        F32x4(self.0.map(f32::abs))
    }

    /// The smaller in each lane.
    #[inline(always)]
    pub fn least(self, o: impl Into<F32x4>) -> F32x4 {
        each(self, o.into(), |a, b| if a < b { a } else { b })
    }

    /// The larger in each lane.
    #[inline(always)]
    pub fn most(self, o: impl Into<F32x4>) -> F32x4 {
        each(self, o.into(), |a, b| if a > b { a } else { b })
    }

    /// Where `self < o`.
    #[inline(always)]
    pub fn below(self, o: impl Into<F32x4>) -> Mask32x4 {
        let o = o.into();
        Mask32x4(from_fn(|i| self.0[i] < o.0[i]))
    }
}

impl Mask32x4 {
    /// `yes` where true, `no` elsewhere.
    #[inline(always)]
    pub fn pick(self, yes: impl Into<F32x4>, no: impl Into<F32x4>) -> F32x4 {
        let (yes, no) = (yes.into(), no.into());
        F32x4(from_fn(|i| if self.0[i] { yes.0[i] } else { no.0[i] }))
    }

    /// Bit `i` tells lane `i`.
    #[inline(always)]
    pub fn bits(self) -> i32 {
        (0..4).map(|i| i32::from(self.0[i]) << i).sum()
    }

    #[inline(always)]
    fn both(self, o: Mask32x4) -> Mask32x4 {
        Mask32x4(from_fn(|i| self.0[i] && o.0[i]))
    }

    #[inline(always)]
    fn flip(self) -> Mask32x4 {
        Mask32x4(self.0.map(|b| !b))
    }
}

impl F32x4 {
    /// Held between two bounds.
    #[inline(always)]
    pub fn hold(self, lo: impl Into<F32x4>, hi: impl Into<F32x4>) -> F32x4 {
        self.most(lo).least(hi)
    }
}

impl Mask32x4 {
    /// Whether any lane is true.
    #[inline(always)]
    pub fn any(self) -> bool {
        self.bits() != 0
    }
}

impl From<f32> for F32x4 {
    #[inline(always)]
    fn from(x: f32) -> F32x4 {
        F32x4::splat(x)
    }
}

macro_rules! operator {
    ($trait:ident $method:ident $lanes:ident) => {
        impl $trait for F32x4 {
            type Output = F32x4;
            #[inline(always)]
            fn $method(self, o: F32x4) -> F32x4 {
                self.$lanes(o)
            }
        }
        impl $trait<f32> for F32x4 {
            type Output = F32x4;
            #[inline(always)]
            fn $method(self, o: f32) -> F32x4 {
                self.$lanes(F32x4::splat(o))
            }
        }
        impl $trait<F32x4> for f32 {
            type Output = F32x4;
            #[inline(always)]
            fn $method(self, o: F32x4) -> F32x4 {
                F32x4::splat(self).$lanes(o)
            }
        }
    };
}

operator!(Add add plus);
operator!(Sub sub minus);
operator!(Mul mul times);
operator!(Div div over);

impl Neg for F32x4 {
    type Output = F32x4;
    #[inline(always)]
    fn neg(self) -> F32x4 {
        F32x4::splat(0.0).minus(self)
    }
}

impl BitAnd for Mask32x4 {
    type Output = Mask32x4;
    #[inline(always)]
    fn bitand(self, o: Mask32x4) -> Mask32x4 {
        self.both(o)
    }
}

impl Not for Mask32x4 {
    type Output = Mask32x4;
    #[inline(always)]
    fn not(self) -> Mask32x4 {
        self.flip()
    }
}
