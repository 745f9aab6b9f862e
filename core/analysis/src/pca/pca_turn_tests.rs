//! Cases for `pca_turn.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::pca::PcaColours;
use dinoscope_base::rng;

/// Features that vary smoothly in three directions of `dim`, and in a fourth by `object` where a disc is; `seed` draws the
/// directions.
fn scene(rows: usize, cols: usize, dim: usize, seed: u64, object: f32, weights: [f32; 3]) -> PatchFeatures {
    let mut stream = rng::stream(seed, "directions", 0, 0);
    let directions: Vec<f32> = (0..4 * dim).map(|_| rng::normal(&mut stream)).collect();
    let mut noise = rng::stream(seed, "noise", 0, 0);
    let mut data = Vec::with_capacity(rows * cols * dim);
    for i in 0..rows * cols {
        let y = ((i / cols) as f32 + 0.5) / rows as f32 - 0.5;
        let x = ((i % cols) as f32 + 0.5) / cols as f32 - 0.5;
        let object = object * f32::from(u8::from(x * x + y * y < 0.12));
        let parts =
            [object, weights[0] * (3.0 * x).sin(), weights[1] * y, weights[2] * (4.0 * x * y + x * x)];
        for k in 0..dim {
            let value: f32 = parts.iter().enumerate().map(|(j, part)| part * directions[j * dim + k]).sum();
            data.push(value + 0.02 * rng::normal(&mut noise));
        }
    }
    PatchFeatures { rows, cols, dim, data }
}

fn difference(a: &PcaColours, b: &PcaColours) -> f64 {
    let levels: u64 =
        a.rgb.iter().flatten().zip(b.rgb.iter().flatten()).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
    levels as f64 / (3 * a.rgb.len()) as f64
}

fn plain() -> PcaOptions {
    PcaOptions { foreground: false, ..PcaOptions::default() }
}

/// Each patch times a matrix of random numbers of another width: another model that sees the same.
fn other(features: &PatchFeatures, dim: usize, seed: u64) -> PatchFeatures {
    let mut stream = rng::stream(seed, "map", 0, 0);
    let map: Vec<f32> = (0..features.dim * dim).map(|_| rng::normal(&mut stream)).collect();
    let data = features.data.chunks_exact(features.dim);
    let data = data.flat_map(|patch| {
        (0..dim)
            .map(|j| patch.iter().enumerate().map(|(i, v)| v * map[i * dim + j]).sum())
            .collect::<Vec<f32>>()
    });
    PatchFeatures { dim, data: data.collect(), ..features.clone() }
}

#[test]
fn another_width_shows_the_same_places_in_the_same_colours() {
    let a = scene(18, 24, 12, 1, 0.0, [2.0, 1.5, 1.0]);
    let reference = Pca::fit(&[&a], None, &plain()).unwrap();
    let colours = reference.colour(&a).unwrap();
    let mut unturned = 0.0f64;
    for seed in 0..5 {
        let b = other(&a, 40, seed);
        let turned = Pca::fit_beside(&[&b], &reference, &[&a], &plain()).unwrap();
        let off = difference(&turned.colour(&b).unwrap(), &colours);
        assert!(off < 4.0, "{seed}: {off} levels away");
        assert!(turned.explained.iter().all(|share| (0.0..=1.0).contains(share)), "{:?}", turned.explained);
        let alone = Pca::fit(&[&b], None, &plain()).unwrap();
        unturned = unturned.max(difference(&alone.colour(&b).unwrap(), &colours));
    }
    assert!(unturned > 30.0, "the case is too easy: {unturned}");
}

#[test]
fn the_same_features_have_the_same_colours() {
    let a = scene(15, 15, 10, 2, 0.0, [2.0, 1.5, 1.0]);
    let reference = Pca::fit(&[&a], None, &plain()).unwrap();
    let turned = Pca::fit_beside(&[&a], &reference, &[&a], &plain()).unwrap();
    assert!(difference(&turned.colour(&a).unwrap(), &reference.colour(&a).unwrap()) < 0.1);
    // Order and signs of the components are undone, whatever is between.
    let flipped = PatchFeatures { data: a.data.iter().map(|v| 5.0 - 3.0 * v).collect(), ..a.clone() };
    let turned = Pca::fit_beside(&[&flipped], &reference, &[&a], &plain()).unwrap();
    assert!(difference(&turned.colour(&flipped).unwrap(), &reference.colour(&a).unwrap()) < 0.5);
}

#[test]
fn components_of_other_sizes_are_no_other_colours() {
    // The second model finds the third part of the scene the most important one.
    let (a, b) = (scene(20, 20, 12, 3, 0.0, [2.0, 1.5, 1.0]), scene(20, 20, 30, 4, 0.0, [1.0, 1.5, 2.0]));
    let reference = Pca::fit(&[&a], None, &plain()).unwrap();
    let colours = reference.colour(&a).unwrap();
    let turned = Pca::fit_beside(&[&b], &reference, &[&a], &plain()).unwrap();
    let off = difference(&turned.colour(&b).unwrap(), &colours);
    let alone = difference(&Pca::fit(&[&b], None, &plain()).unwrap().colour(&b).unwrap(), &colours);
    assert!(off < 4.0 && alone > 20.0, "{off} of {alone}");
}

#[test]
fn grids_of_other_sizes_are_compared_place_by_place() {
    let (a, b) = (scene(16, 24, 12, 5, 0.0, [2.0, 1.5, 1.0]), scene(32, 48, 12, 5, 0.0, [2.0, 1.5, 1.0]));
    let reference = Pca::fit(&[&a], None, &plain()).unwrap();
    let turned = Pca::fit_beside(&[&b], &reference, &[&a], &plain()).unwrap();
    let (coarse, fine) = (reference.colour(&a).unwrap(), turned.colour(&b).unwrap());
    let each = (0..16 * 24).map(|i| {
        let (row, col) = (2 * (i / 24), 2 * (i % 24));
        (0..3).map(|c| coarse.rgb[i][c].abs_diff(fine.rgb[row * 48 + col][c])).max().unwrap()
    });
    let far = each.filter(|levels| *levels > 48).count();
    assert!(far < 16 * 24 / 20, "{far} places of another colour");
}

#[test]
fn objects_are_on_the_same_side() {
    let a = scene(20, 20, 12, 6, 4.0, [2.0, 1.5, 1.0]);
    let b = other(&a, 20, 1);
    for invert in [false, true] {
        let options = PcaOptions { invert, ..PcaOptions::default() };
        let reference = Pca::fit(&[&a], None, &options).unwrap();
        let objects = reference.colour(&a).unwrap().foreground;
        // However it was asked for, the other model's side is the reference's.
        let turned = Pca::fit_beside(&[&b], &reference, &[&a], &PcaOptions::default()).unwrap();
        let found = turned.colour(&b).unwrap().foreground;
        let same = found.iter().zip(&objects).filter(|(a, b)| a == b).count();
        assert!(same > 360, "{same} of 400");
    }
}

#[test]
fn awkward_features_are_turned_without_numbers_that_are_none() {
    let a = scene(8, 8, 6, 7, 0.0, [2.0, 1.5, 1.0]);
    let reference = Pca::fit(&[&a], None, &plain()).unwrap();
    let flat = PatchFeatures { data: vec![3.0; 8 * 8 * 6], ..a.clone() };
    let line = PatchFeatures { data: (0..8 * 8 * 6).map(|i| (i / 6) as f32).collect(), ..a.clone() };
    for own in [&flat, &line] {
        let turned = Pca::fit_beside(&[own], &reference, &[&a], &plain()).unwrap();
        assert!(
            turned.range.lo.iter().chain(&turned.range.hi).chain(&turned.explained).all(|v| v.is_finite())
        );
        assert_eq!(turned.colour(own).unwrap().rgb.len(), 64);
        let back =
            Pca::fit_beside(&[&a], &Pca::fit(&[own], None, &plain()).unwrap(), &[own], &plain()).unwrap();
        assert!(back.range.lo.iter().chain(&back.range.hi).all(|v| v.is_finite()));
    }
    assert!(Pca::fit_beside(&[&a, &a], &reference, &[&a], &plain()).is_err());
}
