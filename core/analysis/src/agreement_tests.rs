//! Cases for `agreement.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use super::*;
use dinoscope_base::rng;

fn noise(rows: usize, cols: usize, dim: usize, seed: u64) -> PatchFeatures {
    let mut stream = rng::stream(seed, "agreement", 0, 0);
    let data = (0..rows * cols * dim).map(|_| rng::normal(&mut stream)).collect();
    PatchFeatures { rows, cols, dim, data }
}

/// Each patch times a matrix `[dim, to]`, plus an offset.
fn mapped(
    features: &PatchFeatures,
    to: usize,
    offset: f32,
    at: impl Fn(usize, usize) -> f32,
) -> PatchFeatures {
    let map = |patch: &[f32]| -> Vec<f32> {
        (0..to).map(|j| offset + patch.iter().enumerate().map(|(i, v)| v * at(i, j)).sum::<f32>()).collect()
    };
    let data = features.data.chunks_exact(features.dim).flat_map(map).collect();
    PatchFeatures { dim: to, data, ..features.clone() }
}

#[test]
fn terms_are_those_of_the_definition() {
    // By the definition of Song et al. on Gram matrices without their diagonals, in plain Python: 3, 16/3 and 6.9.
    let first = [1, 0, 2, 0, 1, 1, 3, 1, 0, 2, 2, 1, 0, 4, 1, 1, 1, 5].map(|v| v as f32);
    let second = [2, 1, 0, 1, 4, 0, 3, 2, 1, 3, 0, 2].map(|v| v as f32);
    let x = PatchFeatures { rows: 2, cols: 3, dim: 3, data: first.to_vec() };
    let y = PatchFeatures { rows: 2, cols: 3, dim: 2, data: second.to_vec() };
    let wide = |f: &PatchFeatures| mapped(f, 9, 0.0, |i, j| f32::from(u8::from(i == j)));
    // As products of numbers, and with columns of zeros as products of patches.
    for terms in [cka_terms(&x, &y), cka_terms(&wide(&x), &wide(&y))] {
        for (found, want) in [(terms.cross, 3.0), (terms.first, 16.0 / 3.0), (terms.second, 6.9)] {
            assert!((found - want).abs() < 1e-5, "{terms:?}");
        }
        assert!((terms.cka().unwrap() - 0.494_535_355).abs() < 1e-6, "{terms:?}");
    }
}

#[test]
fn the_same_features_agree_whatever_their_rotation_scale_and_shift() {
    let x = noise(9, 11, 24, 1);
    let same = agreement(&x, &x).unwrap();
    assert!((same.cka().unwrap() - 1.0).abs() < 1e-9 && same.neighbours() == Some(1.0), "{same:?}");
    // A reflection (Householder) by a vector of ones is orthogonal; larger, and elsewhere.
    let turn = |i: usize, j: usize| 3.0 * (f32::from(u8::from(i == j)) - 2.0 / 24.0);
    let turned = agreement(&x, &mapped(&x, 24, 0.0, turn)).unwrap();
    assert!((turned.cka().unwrap() - 1.0).abs() < 1e-5, "{turned:?}");
    assert!(turned.neighbours().unwrap() > 0.99, "{turned:?}");
    let shifted = agreement(&x, &mapped(&x, 24, 100.0, turn)).unwrap();
    assert!((shifted.cka().unwrap() - 1.0).abs() < 1e-4, "{shifted:?}");
    // Other weights of the same directions are another geometry.
    let stretched = mapped(&x, 24, 0.0, |i, j| if i == j { 1.0 + i as f32 } else { 0.0 });
    let less = agreement(&x, &stretched).unwrap().cka().unwrap();
    assert!(less > 0.4 && less < 0.95, "{less}");
}

#[test]
fn what_has_nothing_in_common_is_near_zero_with_few_patches_too() {
    // 60 patches of 400 numbers: the plain estimate would be near 1.
    let (mut sum, mut shared) = (0.0, 0.0);
    for seed in 0..8 {
        let found = agreement(&noise(6, 10, 400, 10 + seed), &noise(6, 10, 300, 50 + seed)).unwrap();
        assert!(found.cka().unwrap().abs() < 0.15, "{found:?}");
        sum += found.cka().unwrap() / 8.0;
        shared += found.neighbours().unwrap() / 8.0;
    }
    assert!(sum.abs() < 0.03, "{sum}");
    // By chance 10 of 59.
    assert!((shared - 10.0 / 59.0).abs() < 0.03, "{shared}");
    let (a, b) = (noise(20, 20, 8, 3), noise(20, 20, 12, 4));
    let many = agreement(&a, &b).unwrap();
    assert!(many.cka().unwrap().abs() < 0.02 && many.neighbours().unwrap() < 0.05, "{many:?}");
}

#[test]
fn neighbours_by_hand() {
    // Directions along a quarter circle: neighbours are those beside.
    let circle = |turns: &[f32]| PatchFeatures {
        rows: 1,
        cols: turns.len(),
        dim: 2,
        data: turns.iter().flat_map(|turn| [turn.cos(), turn.sin()]).collect(),
    };
    let a = circle(&[0.0, 0.1, 0.3, 0.7, 1.2, 1.8]);
    assert_eq!(nearest_patches(&a, 2), [1, 2, 0, 2, 1, 0, 2, 4, 3, 5, 4, 3]);
    // The last two change places: the fourth finds another one, and they find the same two in another order.
    let b = circle(&[0.0, 0.1, 0.3, 0.7, 1.8, 1.2]);
    assert_eq!(nearest_patches(&b, 2), [1, 2, 0, 2, 1, 0, 2, 5, 5, 3, 3, 4]);
    assert_eq!(shared_neighbours(&a, &b, 2), Some(11.0 / 12.0));
    assert_eq!(shared_neighbours(&a, &b, 5), None, "all others are neighbours");
    // Ties go to the earlier patch.
    let alike = PatchFeatures { rows: 1, cols: 5, dim: 1, data: vec![1.0; 5] };
    assert_eq!(nearest_patches(&alike, 2), [1, 2, 0, 2, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn grids_of_two_sizes_are_compared_on_the_coarser() {
    let smooth = |rows: usize, cols: usize| {
        let data = (0..rows * cols)
            .flat_map(|i| {
                let (y, x) = ((i / cols) as f32 + 0.5, (i % cols) as f32 + 0.5);
                let (y, x) = (y / rows as f32, x / cols as f32);
                [(3.0 * y).sin(), (5.0 * x).cos(), (7.0 * x * y).sin(), x - y]
            })
            .collect();
        PatchFeatures { rows, cols, dim: 4, data }
    };
    for (fine, coarse) in [(smooth(32, 24), smooth(16, 12)), (smooth(21, 14), smooth(18, 12))] {
        let (there, back) = (agreement(&fine, &coarse).unwrap(), agreement(&coarse, &fine).unwrap());
        assert!(there.cka().unwrap() > 0.99 && there.neighbours().unwrap() > 0.8, "{there:?}");
        assert_eq!(there.neighbours(), back.neighbours());
    }
}

#[test]
fn pictures_add_up_and_awkward_ones_say_nothing() {
    let (a, b, c) = (noise(5, 6, 8, 1), noise(5, 6, 8, 2), noise(4, 4, 8, 3));
    let parts = [agreement(&a, &a).unwrap(), agreement(&b, &c).unwrap(), agreement(&c, &c).unwrap()];
    let all: PatchAgreement = parts.into_iter().sum();
    assert_eq!(all.pictures, 3);
    assert!(all.cka().unwrap() < 1.0 && all.cka().unwrap() > 0.4, "{all:?}");
    assert!(all.neighbours().unwrap() > 0.6 && all.neighbours().unwrap() < 1.0, "{all:?}");

    let flat = PatchFeatures { data: vec![7.0; 5 * 6 * 8], ..a.clone() };
    let none = agreement(&flat, &a).unwrap();
    assert_eq!(none.cka(), None);
    let mixed: PatchAgreement = [none, agreement(&a, &a).unwrap()].into_iter().sum();
    assert!((mixed.cka().unwrap() - 0.5f64.sqrt()).abs() < 0.3, "{mixed:?}");
    let few = agreement(&noise(1, 3, 4, 1), &noise(1, 3, 4, 1)).unwrap();
    assert_eq!((few.cka(), few.neighbours()), (None, None));
    // Units whose squares leave the range of f32.
    let huge = mapped(&a, 8, 0.0, |i, j| if i == j { 1e25 } else { 0.0 });
    assert!((agreement(&a, &huge).unwrap().cka().unwrap() - 1.0).abs() < 1e-5);
    let broken = PatchFeatures { data: vec![f32::NAN; 5 * 6 * 8], ..a.clone() };
    assert!(agreement(&a, &broken).is_err());
}
