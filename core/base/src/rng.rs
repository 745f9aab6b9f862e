//! Random numbers that can be resumed: every draw is keyed by what it is for, never by what was drawn before.
//!
//! A run that stops at iteration 500 and goes on needs no stored generator state: the stream for
//! iteration 501 is made from the seed, a purpose and 501.

pub use rand::{Rng, RngExt, SeedableRng};

/// The generator behind every random decision of a run.
pub type Stream = rand_chacha::ChaCha8Rng;

/// The 64-bit FNV-1a hash: tells texts apart that nobody has made to collide.
pub fn fnv1a(text: &str) -> u64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// A generator for one purpose (`"augment"`, `"mask"`, …) and one place (for instance iteration and slot) of a run.
///
/// The same arguments always give the same numbers, on every platform.
pub fn stream(seed: u64, purpose: &str, a: u64, b: u64) -> Stream {
    // The hash keeps streams of different purposes apart; ChaCha does the mixing.
    let tag = fnv1a(purpose);
    let mut key = [0u8; 32];
    for (chunk, word) in key.chunks_exact_mut(8).zip([seed, tag, a, b]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    Stream::from_seed(key)
}

/// One draw from the standard normal distribution (Box–Muller).
pub fn normal(rng: &mut Stream) -> f32 {
    let u1: f64 = 1.0 - rng.random::<f64>();
    let u2: f64 = rng.random::<f64>();
    ((-2.0 * u1.ln()).sqrt() * (std::f64::consts::TAU * u2).cos()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |p: &str, a, b| stream(7, p, a, b).random::<u64>();
        assert_eq!(draw("mask", 3, 1), draw("mask", 3, 1));
        assert_ne!(draw("mask", 3, 1), draw("mask", 1, 3));
        assert_ne!(draw("mask", 3, 1), draw("augment", 3, 1));
    }

    #[test]
    fn normal_has_unit_variance() {
        let mut rng = stream(1, "normal", 0, 0);
        let xs: Vec<f32> = (0..20_000).map(|_| normal(&mut rng)).collect();
        let mean = xs.iter().sum::<f32>() / xs.len() as f32;
        let var = xs.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / xs.len() as f32;
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.04, "mean {mean}, variance {var}");
    }
}
