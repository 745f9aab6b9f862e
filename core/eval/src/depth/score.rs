//! Figures of depth, picture by picture.

use crate::dense::bootstrap::intervals;

/// Names of the figures, in order: root of the mean squared error, mean relative error, and the shares of pixels that
/// are off by less than a factor of 1.25, 1.25² and 1.25³.
pub(super) const NAMES: [&str; 5] = ["RMSE", "abs rel", "δ < 1.25", "δ < 1.25²", "δ < 1.25³"];

/// The figures of one picture over the pixels whose depth is known; `None` when none is.
pub(super) fn figures(truth: &[f32], found: &[f32], known: impl Fn(f32) -> bool) -> Option<[f64; 5]> {
    let (mut sums, mut count) = ([0.0f64; 5], 0usize);
    for (truth, found) in truth.iter().zip(found).filter(|(truth, _)| known(**truth)) {
        let (truth, found) = (f64::from(*truth), f64::from(*found));
        let off = (truth / found).max(found / truth);
        count += 1;
        sums[0] += (truth - found).powi(2);
        sums[1] += (truth - found).abs() / truth;
        for (sum, power) in sums[2..].iter_mut().zip(1..) {
            *sum += f64::from(u8::from(off < 1.25f64.powi(power)));
        }
    }
    (count > 0).then(|| {
        let mut means = sums.map(|sum| sum / count as f64);
        means[0] = means[0].sqrt();
        means
    })
}

/// The means over all pictures with their intervals.
pub(super) fn means(pictures: &[[f64; 5]], seed: u64) -> Vec<(f64, Option<(f64, f64)>)> {
    let mean = |times: &[u32]| -> Vec<f64> {
        let all: u32 = times.iter().sum();
        let sum =
            |k: usize| pictures.iter().zip(times).map(|(p, times)| p[k] * f64::from(*times)).sum::<f64>();
        (0..NAMES.len()).map(|k| sum(k) / f64::from(all)).collect()
    };
    let whole = mean(&vec![1; pictures.len()]);
    whole.into_iter().zip(intervals(pictures.len(), seed, mean)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_case_by_hand() {
        let truth = [1.0, 2.0, 4.0, 0.0, 9.0];
        let found = [1.2, 1.0, 4.0, 3.0, 1.0];
        let known = |depth: f32| depth > 0.0 && depth < 9.0;
        let [rmse, relative, one, two, three] = figures(&truth, &found, known).unwrap();
        assert!((rmse - ((0.04f64 + 1.0) / 3.0).sqrt()).abs() < 1e-6);
        assert!((relative - (0.2 + 0.5) / 3.0).abs() < 1e-6);
        // A factor of 1.2, of 2 and of 1; 1.25³ is 1.953.
        assert_eq!([one, two, three], [2.0 / 3.0; 3]);
        assert_eq!(figures(&truth, &found, |depth| depth > 50.0), None);
        // Pictures count alike, however many of their pixels are known.
        let means = means(&[[1.0; 5], [3.0; 5], [5.0; 5]], 0);
        assert!(means.iter().all(|(mean, interval)| *mean == 3.0 && *interval == Some((1.0, 5.0))));
    }
}
