//! How far a figure could be off because the test set is small: it is drawn again from itself (Efron 1979).

use dinoscope_base::rng::{RngExt, stream};

/// Draws; the ends of a 95 % interval are then the 25th from either side.
const DRAWS: usize = 1000;

/// 95 % intervals of figures of a test set of `count` pictures. `figures` gets how often each picture counts.
///
/// Figures that are not finite in a draw, because what they measure does not occur in it, are left out there.
pub(crate) fn intervals(
    count: usize,
    seed: u64,
    figures: impl Fn(&[u32]) -> Vec<f64>,
) -> Vec<Option<(f64, f64)>> {
    let width = figures(&vec![1; count]).len();
    let mut found: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); width];
    for draw in 0..DRAWS {
        let mut rng = stream(seed, "bootstrap", draw as u64, 0);
        let mut times = vec![0u32; count];
        (0..count).for_each(|_| times[rng.random_range(0..count)] += 1);
        for (found, figure) in found.iter_mut().zip(figures(&times)) {
            if figure.is_finite() {
                found.push(figure);
            }
        }
    }
    let interval = |mut found: Vec<f64>| {
        found.sort_by(f64::total_cmp);
        let at = |share: f64| {
            found.get((share * (found.len().saturating_sub(1)) as f64).round() as usize).copied()
        };
        Some((at(0.025)?, at(0.975)?))
    };
    found.into_iter().map(interval).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_that_of_theory() {
        // 100 values of 0 and 1, half each: the mean's standard error is 0.05.
        let mean = |times: &[u32]| times.iter().skip(50).sum::<u32>() as f64 / 100.0;
        let found = intervals(100, 1, |times| vec![mean(times), f64::NAN]);
        let (low, high) = found[0].unwrap();
        assert!((low - 0.402).abs() < 0.02 && (high - 0.598).abs() < 0.02, "{low} {high}");
        assert_eq!(found[1], None);
        assert_eq!(found, intervals(100, 1, |times| vec![mean(times), f64::NAN]));
        assert_ne!(found, intervals(100, 2, |times| vec![mean(times), f64::NAN]));
    }
}
