//! Loops compiled for the vector instructions of the machine that runs them.

/// Defines functions whose loops use the widest vector instructions of this machine, found out when they are called.
///
/// What the body calls must be marked `#[inline(always)]`, and closures be avoided: only what is inlined into it is
/// compiled for those instructions. Arithmetic is the same on every machine: nothing is fused or reordered.
macro_rules! wide {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<'a>($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block
    )*) => {$(
        $(#[$attribute])*
        $visibility fn $name<'a>($($argument: $kind),*) $(-> $result)? {
            struct Kernel<'a> {
                $($argument: $kind),*
            }
            impl<'a> pulp::WithSimd for Kernel<'a> {
                type Output = $crate::augment::wide::wide!(@result $($result)?);
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Kernel { $($argument),* })
        }
    )*};
    (@result) => { () };
    (@result $result:ty) => { $result };
}

pub(super) use wide;

/// At 2²³ a float's last bit is worth 1, so that adding this rounds, and leaves the whole number in the last bits.
/// A cast would do the same, but not to several numbers at once.
const WHOLE: f32 = 8_388_608.0;

/// The nearest 8-bit value.
#[inline(always)]
pub(super) fn to_byte(value: f32) -> u8 {
    (limited(value) + WHOLE).to_bits() as u8
}

/// The 8-bit value below or equal.
#[inline(always)]
pub(super) fn to_byte_down(value: f32) -> u8 {
    let value = limited(value);
    let nearest = value + WHOLE;
    let above = nearest - WHOLE > value;
    (nearest.to_bits() - u32::from(above)) as u8
}

/// Written so that each line is one instruction.
#[inline(always)]
fn limited(value: f32) -> f32 {
    let value = if value > 0.0 { value } else { 0.0 };
    if value < 255.0 { value } else { 255.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_a_cast() {
        for step in -300..70_000 {
            let value = step as f32 / 256.0;
            for value in [value, value.next_up(), value.next_down()] {
                assert_eq!(to_byte(value), value.round_ties_even() as u8, "{value}");
                assert_eq!(to_byte_down(value), value as u8, "{value}");
            }
        }
        assert_eq!((to_byte(f32::NAN), to_byte_down(f32::INFINITY)), (0, 255));
    }
}
