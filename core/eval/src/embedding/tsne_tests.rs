//! Cases for `tsne.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use super::super::distances::{nearest_points, on_the_sphere};
use super::*;

fn noise(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut stream = rng::stream(seed, "noise", 0, 0);
    (0..n * dim).map(|_| rng::normal(&mut stream)).collect()
}

fn start(n: usize, seed: u64) -> Vec<[f32; 2]> {
    noise(n, 2, seed).as_chunks::<2>().0.to_vec()
}

#[test]
fn the_gradient_is_that_of_the_divergence() {
    // 19 points: rows that do not fill their lanes.
    let n = 19;
    let distances = on_the_sphere(&noise(n, 5, 1), 5);
    let mut map =
        TsneOptimizer::new(&distances, &start(n, 2), &TsneOptions { perplexity: 4.0, ..Default::default() })
            .unwrap();
    let places = start(n, 3);
    for (i, [x, y]) in places.iter().enumerate() {
        (map.x[i], map.y[i]) = (2.0 * x, 2.0 * y);
    }
    let gradient = map.gradient(1.0);
    let step = 1e-2f32;
    for (i, row) in gradient.iter().enumerate() {
        for (k, &found) in row.iter().enumerate() {
            let mut at = |by: f32| {
                let before = (map.x[i], map.y[i]);
                if k == 0 {
                    map.x[i] += by
                } else {
                    map.y[i] += by
                }
                let value = map.divergence();
                (map.x[i], map.y[i]) = before;
                value
            };
            let slope = (at(step) - at(-step)) / f64::from(2.0 * step);
            let found = f64::from(found);
            assert!((found - slope).abs() < 1e-5 + 1e-3 * slope.abs(), "{i} {k}: {found} for {slope}");
        }
    }
}

#[test]
fn pairs_have_the_perplexity_and_sum_to_one() {
    let n = 60;
    let distances = on_the_sphere(&noise(n, 8, 4), 8);
    for perplexity in [5.0, 15.0] {
        let mut row = vec![0f32; n];
        neighbours(&distances[..n], 0, perplexity, &mut row);
        let entropy: f64 = row.iter().map(|p| f64::from(*p)).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
        assert!((entropy.exp() - perplexity).abs() < 1e-3, "{} for {perplexity}", entropy.exp());
        assert_eq!(row[0], 0.0);
    }
    let map = TsneOptimizer::new(&distances, &start(n, 5), &TsneOptions::default()).unwrap();
    let sum: f64 = map.pairs.iter().map(|p| f64::from(*p)).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    assert!(
        (0..n * n).all(|i| map.pairs[i / n * map.stride + i % n] == map.pairs[i % n * map.stride + i / n])
    );
}

#[test]
fn clusters_stay_apart_and_points_alike_too() {
    // Five directions with a little noise, 24 points each.
    let (n, dim) = (120, 10);
    let mut features = noise(n, dim, 6);
    for (i, row) in features.chunks_exact_mut(dim).enumerate() {
        row.iter_mut().for_each(|v| *v *= 0.1);
        row[i % 5] += 1.0;
    }
    // Two pictures that are exactly alike.
    features.copy_within(0..dim, 5 * dim);
    let distances = on_the_sphere(&features, dim);
    let made = |seed: u64| {
        let options = TsneOptions { perplexity: 10.0, steps: 400, seed };
        let mut map = TsneOptimizer::new(&distances, &start(n, 7), &options).unwrap();
        let first = map.divergence();
        while map.advance() {}
        assert!(map.divergence() < first / 3.0, "{first} to {}", map.divergence());
        assert_eq!(map.done(), 400);
        map.points()
    };
    let points = made(1);
    assert!(points.iter().flatten().all(|v| v.is_finite()));
    for (i, near) in nearest_points(&points, 8).iter().enumerate() {
        assert!(near.iter().all(|j| *j as usize % 5 == i % 5), "{i}: {near:?}");
    }
    assert_ne!(points[0], points[5]);
    assert_eq!(made(1), points);
    assert_ne!(made(2), points);
}

#[test]
fn all_alike_and_too_few() {
    let mut map = TsneOptimizer::new(&[0.0; 36], &[[0.5; 2]; 6], &TsneOptions::default()).unwrap();
    while map.advance() {}
    assert!(map.points().iter().flatten().all(|v| v.is_finite()));
    let refused = |distances: &[f32], n: usize, perplexity: f64| {
        let options = TsneOptions { perplexity, ..Default::default() };
        TsneOptimizer::new(distances, &start(n, 1), &options).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refused(&[0.0; 9], 3, 5.0).contains("4 or more"));
    assert!(refused(&[0.0; 9], 4, 5.0).contains("expected 16"));
    assert!(refused(&[0.0; 16], 4, 0.5).contains("perplexity"));
    assert!(refused(&[0.0; 16], 4, f64::NAN).contains("perplexity"));
}
