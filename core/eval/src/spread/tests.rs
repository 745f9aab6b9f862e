//! Cases for the numbers of the spread.
#![allow(clippy::unwrap_used)]

use super::*;
use dinoscope_base::rng;

fn noise(n: usize, dim: usize) -> Vec<f32> {
    let mut stream = rng::stream(6, "spread", 0, 0);
    (0..n * dim).map(|_| rng::normal(&mut stream)).collect()
}

#[test]
fn ranks_count_directions() {
    // Four directions, both ways: used evenly, and so without a mean.
    let even: Vec<f32> = (0..8 * 6)
        .map(|i| if i % 6 == i / 6 / 2 { f32::from(i8::from(i / 6 % 2 == 0) * 2 - 1) } else { 0.0 })
        .collect();
    let spectrum = FeatureSpectrum::of(&even, 6).unwrap();
    // The small constant of the source counts for a little in the two directions that are not used.
    assert!((spectrum.rank_me() - 4.0).abs() < 1e-4, "{}", spectrum.rank_me());
    assert!((spectrum.participation() - 4.0).abs() < 1e-9);
    // Variances 9 and 1: (10)² / 82. Singular values 3 and 1: shares 3/4 and 1/4.
    let uneven = [3.0, 0.0, -3.0, 0.0, 0.0, 1.0, 0.0, -1.0];
    let spectrum = FeatureSpectrum::of(&uneven, 2).unwrap();
    assert!((spectrum.participation() - 100.0 / 82.0).abs() < 1e-9);
    let entropy = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
    assert!((spectrum.rank_me() - entropy.exp()).abs() < 1e-4);
    // A common mean is a direction like any other to one of them, and nothing to the other.
    let shifted: Vec<f32> =
        even.iter().enumerate().map(|(i, v)| v + if i % 6 == 5 { 100.0 } else { 0.0 }).collect();
    let shifted = FeatureSpectrum::of(&shifted, 6).unwrap();
    assert!((shifted.participation() - 4.0).abs() < 1e-6);
    assert!(shifted.rank_me() < 2.0);
    let noise = FeatureSpectrum::of(&noise(2000, 10), 10).unwrap();
    assert!(noise.rank_me() > 9.9 && noise.participation() > 9.8);
    let same = FeatureSpectrum::of(&[1.0, 2.0, 1.0, 2.0], 2).unwrap();
    assert!((same.rank_me() - 1.0).abs() < 1e-4 && same.participation() == 0.0);
    for (features, dim) in [(&[][..], 3), (&[1.0][..], 0), (&[1.0; 4][..], 3), (&[1.0, f32::INFINITY][..], 2)]
    {
        assert!(FeatureSpectrum::of(features, dim).is_err());
    }
}

#[test]
fn alignment_and_uniformity_by_hand() {
    // The same direction, a right angle, opposite ones: 0, 2 and 4.
    let (first, second) = ([1.0, 0.0, 2.0, 0.0, 0.0, 3.0], [5.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
    let found = alignments(&first, &second, 2);
    assert!(found.iter().zip([0.0, 2.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    // Three pairs at squared distances 2, 2 and 4.
    let found = uniformity(&[1.0, 0.0, 0.0, 2.0, -3.0, 0.0], 2).unwrap();
    let wanted = ((2.0 * (-4f64).exp() + (-8f64).exp()) / 3.0).ln();
    assert!((found - wanted).abs() < 1e-6, "{found} for {wanted}");
    assert!(uniformity(&[1.0, 2.0, 2.0, 4.0], 2).unwrap().abs() < 1e-6);
    assert_eq!((uniformity(&[1.0, 2.0], 2), uniformity(&[], 0)), (None, None));
    // More pictures than a panel holds, against the plain sum.
    let (n, dim) = (50, 3);
    let data = linalg::normalise_rows(&noise(n, dim), dim);
    let mut sum = 0.0;
    for i in 0..n {
        for j in 0..i {
            let apart: f64 = (0..dim).map(|k| f64::from(data[i * dim + k] - data[j * dim + k]).powi(2)).sum();
            sum += (-2.0 * apart).exp();
        }
    }
    let wanted = (sum / (n * (n - 1) / 2) as f64).ln();
    assert!((uniformity(&data, dim).unwrap() - wanted).abs() < 1e-5);
}
