//! Exponential and normal distribution without branches, so that loops over them become vector code.
//!
//! The standard library's are calls, one value at a time.

/// Adding 1.5 · 2²³ leaves the nearest whole number in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts: the first has few enough digits for an exact product.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Of the series of `(e^x - 1 - x) / x²`, highest power first.
const TERMS: [f32; 6] = [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];

/// `e^x`, within 2 units in the last place; below -87.3 it is the smallest normal number, NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.336_54, 88.376_26);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * LN_2[0] - whole * LN_2[1];
    let mut sum = TERMS[0];
    for coefficient in &TERMS[1..] {
        sum = sum * rest + coefficient;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    (sum * rest * rest + rest + 1.0) * power
}

/// [`exp`] of every lane, within 2 units in the last place.
#[inline(always)]
pub fn exp_of_vector<S: pulp::Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value: f32| simd.splat_f32s(value);
    // Not a number as the second of two is what comes out, here and on every processor.
    let x = simd.min_f32s(splat(88.376_26), simd.max_f32s(splat(-87.336_54), x));
    let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let whole = simd.sub_f32s(shifted, splat(ROUND));
    let rest = simd.mul_add_e_f32s(whole, splat(-LN_2[0]), x);
    let rest = simd.mul_add_e_f32s(whole, splat(-LN_2[1]), rest);
    let mut sum = splat(TERMS[0]);
    for coefficient in &TERMS[1..] {
        sum = simd.mul_add_e_f32s(sum, rest, splat(*coefficient));
    }
    let exponent = simd.splat_u32s(127u32.wrapping_sub(ROUND.to_bits()));
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(shifted), exponent);
    let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23)));
    let whole = simd.add_f32s(rest, splat(1.0));
    simd.mul_f32s(simd.mul_add_e_f32s(simd.mul_f32s(sum, rest), rest, whole), power)
}

/// Distribution and density of the standard normal: `(Φ(x), φ(x))`, each within 2e-7.
///
/// Source: Abramowitz & Stegun 7.1.26.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let bell = exp(-z * z);
    let mut sum = 1.061_405_4_f32;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = sum * t + coefficient;
    }
    let tail = 0.5 * sum * t * bell;
    // 1 / √(2π)
    (if x < 0.0 { tail } else { 1.0 - tail }, 0.398_942_3 * bell)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Values that are added side by side, so that sums are vector code with short chains of rounding.
pub const LANES: usize = 32;

/// `Σ f(i)` over `0..len`.
#[inline(always)]
pub fn sum(len: usize, mut f: impl FnMut(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = len - len % LANES;
    let mut at = 0;
    while at < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(at + lane);
        }
        at += LANES;
    }
    let mut total: f32 = fold(lanes, |a, b| a + b);
    while at < len {
        total += f(at);
        at += 1;
    }
    total
}

/// [`sum`] of values that are there, in the same order; no place of them is checked on the way.
#[inline(always)]
pub fn sum_of(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for (sum, value) in lanes.iter_mut().zip(group) {
            *sum += value;
        }
    }
    rest.iter().fold(fold(lanes, |a, b| a + b), |total, value| total + value)
}

/// The largest value; NaN if there is one.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
    let mut lanes = [f32::MIN; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane = larger(*lane, value);
        }
    }
    rest.iter().fold(fold(lanes, larger), |a, &b| larger(a, b))
}

#[inline(always)]
fn fold(mut lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = f(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first lane of [`exp_of_vector`] on this processor.
    fn exp_in_vector(x: f32) -> f32 {
        struct Lane(f32);
        impl pulp::WithSimd for Lane {
            type Output = f32;

            fn with_simd<S: pulp::Simd>(self, simd: S) -> f32 {
                let exp = [exp_of_vector(simd, simd.splat_f32s(self.0))];
                bytemuck::cast_slice::<S::f32s, f32>(&exp)[0]
            }
        }
        pulp::Arch::new().dispatch(Lane(x))
    }

    #[test]
    fn exponentials_are_within_two_units() {
        for i in -8700..8800 {
            let x = i as f32 * 0.01;
            let (got, want) = (exp(x), f64::from(x).exp());
            assert!(((f64::from(got) - want) / want).abs() < 2.5e-7, "e^{x}: {got} is not {want}");
            let got = exp_in_vector(x);
            assert!(
                ((f64::from(got) - want) / want).abs() < 2.5e-7,
                "e^{x} in a vector: {got} is not {want}"
            );
        }
        for exp in [exp, exp_in_vector] {
            assert_eq!(exp(0.0), 1.0);
            assert!(exp(f32::NAN).is_nan());
            assert!(exp(-1e30) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
        }
    }

    #[test]
    fn the_normal_distribution_is_the_published_one() {
        // Values of Φ from tables.
        for (x, want) in
            [(0.0, 0.5), (0.5, 0.691_462_5), (1.0, 0.841_344_7), (2.0, 0.977_249_9), (3.5, 0.999_767_4)]
        {
            assert!((normal(x).0 - want).abs() < 2e-7, "Φ({x}) = {}", normal(x).0);
            assert!((normal(-x).0 - (1.0 - want)).abs() < 2e-7);
        }
        assert!((normal(0.0).1 - 0.398_942_3).abs() < 1e-7);
        assert!(normal(f32::NAN).0.is_nan());
    }

    #[test]
    fn sums_and_maxima_of_any_length() {
        for len in [0, 1, 31, 32, 33, 1000] {
            let values: Vec<f32> = (0..len).map(|i| ((i * 37) % 101) as f32).collect();
            assert_eq!(sum(len, |i| values[i]), values.iter().sum::<f32>());
            let want = values.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(max(&values), want);
        }
        let mut values = vec![1.0; 100];
        values[40] = f32::NAN;
        assert!(max(&values).is_nan());
    }
}
