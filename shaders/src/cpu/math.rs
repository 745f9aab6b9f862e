//! Exponential and normal distribution without branches, so that loops over them become vector code.
//!
//! The standard library's are calls, one value at a time.

/// `e^x`, within 2 units in the last place; below -87.3 it is the smallest normal number, NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.336_54, 88.376_26);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts: the first has few enough digits for an exact product.
    let rest = x - whole * 0.693_359_4 - whole * -2.121_944_4e-4;
    let mut sum = 1.987_569_2e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        sum = sum * rest + coefficient;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    (sum * rest * rest + rest + 1.0) * power
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

    #[test]
    fn exponentials_are_within_two_units() {
        for i in -8700..8800 {
            let x = i as f32 * 0.01;
            let (got, want) = (exp(x), f64::from(x).exp());
            assert!(((f64::from(got) - want) / want).abs() < 2.5e-7, "e^{x}: {got} is not {want}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e30) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
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
