//! Cases for `pca.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use super::*;
use dinoscope_base::rng;

fn features(rows: usize, cols: usize, dim: usize, at: impl Fn(usize, usize, usize) -> f32) -> PatchFeatures {
    let data = (0..rows * cols * dim).map(|i| at(i / dim / cols, i / dim % cols, i % dim)).collect();
    PatchFeatures { rows, cols, dim, data }
}

fn plain() -> PcaOptions {
    PcaOptions { foreground: false, ..PcaOptions::default() }
}

/// A disc in the middle whose features vary smoothly in three directions, on a flat background.
fn scene(side: usize, dim: usize, noise: f32, seed: u64) -> PatchFeatures {
    let mut stream = rng::stream(seed, "scene", 0, 0);
    let mut f = features(side, side, dim, |_, _, _| 0.0);
    for row in 0..side {
        for col in 0..side {
            let (y, x) = (row as f32 / side as f32 - 0.5, col as f32 / side as f32 - 0.5);
            let patch = &mut f.data[(row * side + col) * dim..][..dim];
            if x * x + y * y < 0.1 {
                patch[0] = 20.0;
                patch[1] = 12.0 * x;
                patch[2] = 7.0 * y;
                patch[3] = 20.0 * (x * x - y * y);
            }
            patch.iter_mut().for_each(|v| *v += noise * rng::normal(&mut stream));
        }
    }
    f
}

/// The features turned by a random orthogonal matrix, and made larger.
fn turned(f: &PatchFeatures, seed: u64, scale: f64) -> PatchFeatures {
    let mut stream = rng::stream(seed, "turn", 0, 0);
    let mut axes: Vec<Vec<f64>> = Vec::new();
    while axes.len() < f.dim {
        let mut v: Vec<f64> = (0..f.dim).map(|_| f64::from(rng::normal(&mut stream))).collect();
        for _ in 0..2 {
            for a in &axes {
                let along: f64 = v.iter().zip(a).map(|(x, y)| x * y).sum();
                v.iter_mut().zip(a).for_each(|(x, y)| *x -= along * y);
            }
        }
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        axes.push(v.iter().map(|x| x / length).collect());
    }
    let mut out = f.clone();
    for (to, from) in out.data.chunks_exact_mut(f.dim).zip(f.data.chunks_exact(f.dim)) {
        for (v, axis) in to.iter_mut().zip(&axes) {
            *v = (scale * from.iter().zip(axis).map(|(x, a)| f64::from(*x) * a).sum::<f64>()) as f32;
        }
    }
    out
}

fn difference(a: &PcaColours, b: &PcaColours) -> f64 {
    let sum: u64 =
        a.rgb.iter().flatten().zip(b.rgb.iter().flatten()).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
    sum as f64 / (3 * a.rgb.len()) as f64
}

#[test]
fn components_of_a_known_case() {
    // Independent sinusoids along three axes of five, with amplitudes 3 > 2 > 1.
    let f = features(1, 720, 5, |_, i, k| {
        let t = std::f32::consts::TAU * i as f32 / 720.0;
        [2.0 * (2.0 * t).sin(), 7.0, 3.0 * t.sin(), 0.0, (3.0 * t).sin()][k]
    });
    let pca = Pca::fit(&[&f], None, &plain()).unwrap();
    for (direction, axis) in pca.directions.iter().zip([2, 0, 4]) {
        for (k, v) in direction.iter().enumerate() {
            assert!((v - f64::from(u8::from(k == axis))).abs() < 1e-4, "{direction:?}");
        }
    }
    for (found, want) in pca.explained.iter().zip([9.0 / 14.0, 4.0 / 14.0, 1.0 / 14.0]) {
        assert!((found - want).abs() < 1e-4, "{:?}", pca.explained);
    }
    assert_eq!(pca.foreground, ForegroundResult::Off);
}

#[test]
fn few_patches_give_the_same_as_the_covariance_would() {
    // 40 patches of 64 numbers go through the Gram matrix, padded with zero dimensions or not.
    let mut stream = rng::stream(5, "few", 0, 0);
    let data: Vec<f32> = (0..40 * 20).map(|i| rng::normal(&mut stream) * (1 + i % 20) as f32).collect();
    let narrow = features(5, 8, 20, |r, c, k| data[(r * 8 + c) * 20 + k]);
    let wide = features(5, 8, 64, |r, c, k| if k < 20 { data[(r * 8 + c) * 20 + k] } else { 1.0 });
    let a = Pca::fit(&[&narrow], None, &plain()).unwrap();
    let b = Pca::fit(&[&wide], Some(&a), &plain()).unwrap();
    assert!(difference(&a.colour(&narrow).unwrap(), &b.colour(&wide).unwrap()) < 0.2);
}

#[test]
fn the_other_side_is_foreground_where_a_person_or_attention_says_so() {
    use super::ForegroundCue;
    let f = turned(&scene(16, 24, 0.3, 0), 0, 1.0);
    let split = |attention: Option<&[f32]>, invert| {
        let options = PcaOptions { invert, ..PcaOptions::default() };
        let pca = Pca::fit_seen(&[&f], attention.map(|of| [of]).as_ref().map(|of| &of[..]), None, &options);
        let pca = pca.unwrap();
        (pca.colour(&f).unwrap().foreground, pca.side().unwrap())
    };
    let (found, side) = split(None, false);
    assert_eq!(side, ForegroundCue::FirstComponent);
    let other: Vec<bool> = found.iter().map(|object| !object).collect();
    assert_eq!(split(None, true), (other.clone(), ForegroundCue::Hand));
    let looks: Vec<f32> = other.iter().map(|background| if *background { 0.01 } else { 0.0 }).collect();
    assert_eq!(split(Some(&looks), false), (other, ForegroundCue::Attention));
    assert_eq!(split(Some(&looks), true), (found, ForegroundCue::Hand));
    let short = Pca::fit_seen(&[&f], Some(&[&looks[1..]]), None, &PcaOptions::default());
    assert!(short.is_err());
}

#[test]
fn the_middle_is_foreground() {
    for seed in 0..4 {
        // Whatever the signs of the features are.
        let f = turned(&scene(16, 24, 0.3, seed), seed, 1.0);
        let pca = Pca::fit(&[&f, &f], None, &PcaOptions::default()).unwrap();
        assert!(
            matches!(pca.foreground, ForegroundResult::Split(s) if s > 0.2 && s < 0.5),
            "{:?}",
            pca.foreground
        );
        let colours = pca.colour(&f).unwrap();
        assert!(colours.foreground[8 * 16 + 8] && !colours.foreground[0]);
        assert_eq!(colours.rgb[0], [0; 3]);
        assert!(colours.rgb[8 * 16 + 8] != [0; 3]);
    }
}

#[test]
fn colours_stay_when_features_turn_and_grow() {
    let start = scene(20, 16, 0.2, 1);
    let options = PcaOptions::default();
    let mut pca = Pca::fit(&[&start], None, &options).unwrap();
    let first = pca.colour(&start).unwrap();
    let mut unaligned = 0.0f64;
    for step in 1..6 {
        let now = turned(&start, step, 1.0 + step as f64);
        unaligned = unaligned
            .max(difference(&Pca::fit(&[&now], None, &options).unwrap().colour(&now).unwrap(), &first));
        pca = Pca::fit(&[&now], Some(&pca), &options).unwrap();
        assert_eq!(pca.alignment, PcaAlignment::Scores);
        let off = difference(&pca.colour(&now).unwrap(), &first);
        assert!(off < 0.3, "step {step}: {off} levels away");
    }
    assert!(unaligned > 10.0, "the case is too easy: {unaligned}");
}

#[test]
fn components_that_swap_keep_their_colours() {
    // From one fit to the next the second variance overtakes the first.
    let make = |a: f32, b: f32| {
        features(30, 30, 4, move |r, c, k| {
            let (y, x) = (r as f32 / 30.0 - 0.5, c as f32 / 30.0 - 0.5);
            [a * x, b * y, 0.3 * (x * y), 0.0][k]
        })
    };
    let before = make(1.0, 0.95);
    let after = make(0.95, 1.0);
    let options = PcaOptions { smoothing: 0.0, ..plain() };
    let old = Pca::fit(&[&before], None, &options).unwrap();
    let new = Pca::fit(&[&after], Some(&old), &options).unwrap();
    assert!(difference(&old.colour(&before).unwrap(), &new.colour(&after).unwrap()) < 2.0);
    // Another fit set in the same space: signs and order follow the components.
    let other = features(10, 30, 4, |r, c, k| -after.data[(3 * r * 30 + c) * 4 + k]);
    let third = Pca::fit(&[&other], Some(&old), &options).unwrap();
    assert_eq!(third.alignment, PcaAlignment::Components);
    for (a, b) in old.directions.iter().zip(&third.directions) {
        assert!(a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() > 0.99);
    }
    // Another space: nothing to follow.
    let wide = features(3, 3, 9, |r, c, k| (r * 3 + c * k) as f32);
    assert_eq!(Pca::fit(&[&wide], Some(&old), &options).unwrap().alignment, PcaAlignment::None);
}

#[test]
fn ranges_move_slowly() {
    let f = scene(12, 8, 0.1, 2);
    let mut stretched = f.clone();
    stretched.data.chunks_exact_mut(8).for_each(|p| p[1] *= 3.0);
    let old = Pca::fit(&[&f], None, &plain()).unwrap();
    let fit = |smoothing| {
        let options = PcaOptions { smoothing, ..plain() };
        Pca::fit(&[&stretched], Some(&old), &options).unwrap().range
    };
    let (at_once, slow) = (fit(0.0), fit(0.7));
    assert_ne!(at_once, slow);
    // And where nothing changes, nothing moves.
    let same = Pca::fit(&[&f], Some(&old), &plain()).unwrap();
    for c in 0..3 {
        assert!((same.range.lo[c] - old.range.lo[c]).abs() < 1e-3 * old.spread as f32);
    }
}

#[test]
fn awkward_features() {
    let all = |rows, cols, dim, at: fn(usize, usize, usize) -> f32| {
        let f = features(rows, cols, dim, at);
        for options in [plain(), PcaOptions::default()] {
            let pca = Pca::fit(&[&f], None, &options).unwrap();
            let again = Pca::fit(&[&f], Some(&pca), &options).unwrap();
            for p in [&pca, &again] {
                assert_eq!(p.colour(&f).unwrap().rgb.len(), rows * cols);
                assert!(p.range.lo.iter().chain(&p.range.hi).chain(&p.explained).all(|v| v.is_finite()));
            }
        }
        Pca::fit(&[&f], None, &PcaOptions::default()).unwrap()
    };
    // One patch, one number; constant features, also large ones; two patches; one direction only.
    assert_eq!(all(1, 1, 1, |_, _, _| 3.0).foreground, ForegroundResult::Fallback(0.0));
    let constant = all(4, 4, 10, |_, _, k| 1e4 + k as f32 * 0.1);
    assert_eq!(constant.foreground, ForegroundResult::Fallback(0.0));
    assert_eq!(constant.colour(&features(1, 1, 10, |_, _, _| 0.0)).unwrap().rgb, [[128; 3]]);
    all(1, 2, 5, |_, c, k| (c * k) as f32);
    let line = all(5, 5, 6, |r, c, k| (r + c) as f32 * (k + 1) as f32);
    assert_eq!(line.explained[1], 0.0);
    // Squares of these leave the range of f32.
    all(5, 5, 6, |r, c, k| 1e30 * ((r * 7 + c * 3 + k) % 5) as f32);
    all(5, 5, 6, |r, c, k| 1e-30 * ((r * 7 + c * 3 + k) % 5) as f32);
    // One patch far from 399 others: the split is refused.
    let lonely = all(20, 20, 4, |r, c, k| if r == 10 && c == 10 { 50.0 } else { (k * c % 3) as f32 * 0.01 });
    assert!(matches!(lonely.foreground, ForegroundResult::Fallback(_)));
}

#[test]
fn errors_instead_of_panics() {
    let good = features(2, 2, 3, |r, c, k| (r + 2 * c + k * k) as f32);
    assert!(matches!(Pca::fit(&[], None, &plain()), Err(AnalysisError::Empty(_))));
    assert!(matches!(
        Pca::fit(&[&features(0, 3, 4, |_, _, _| 0.0)], None, &plain()),
        Err(AnalysisError::Empty(_))
    ));
    let mut bad = good.clone();
    bad.data[7] = f32::NAN;
    assert!(matches!(
        Pca::fit(&[&good, &bad], None, &plain()),
        Err(AnalysisError::NotFinite { index: 7, .. })
    ));
    let mut short = good.clone();
    short.data.pop();
    assert!(matches!(Pca::fit(&[&short], None, &plain()), Err(AnalysisError::Shape { .. })));
    let wide = features(2, 2, 4, |_, c, k| (c * k) as f32);
    assert!(matches!(Pca::fit(&[&good, &wide], None, &plain()), Err(AnalysisError::Shape { .. })));
    let pca = Pca::fit(&[&good], None, &plain()).unwrap();
    assert!(pca.colour(&wide).is_err());
    // Colouring shows what it can: the patch with the NaN is black.
    assert_eq!(pca.colour(&bad).unwrap().rgb[2], [0; 3]);
    for options in
        [PcaOptions { smoothing: 1.0, ..plain() }, PcaOptions { percentiles: (99.0, 1.0), ..plain() }]
    {
        assert!(matches!(Pca::fit(&[&good], None, &options), Err(AnalysisError::Option { .. })));
    }
}

/// What draws on a device finds the same foreground and, up to the sign of a channel, the same colours.
#[test]
fn the_pipeline_for_devices_agrees() {
    use dinoscope_shaders::display::{CpuPcaPipeline, FeatureBatchShape, PcaPipelineOptions, UpsampleFilter};
    let f = scene(17, 24, 0.05, 5);
    let shape = FeatureBatchShape { pictures: 1, rows: f.rows, cols: f.cols, dim: f.dim };
    for foreground in [false, true] {
        let pca = Pca::fit(&[&f], None, &PcaOptions { foreground, ..PcaOptions::default() }).unwrap();
        let expected = pca.colour(&f).unwrap();
        let options =
            PcaPipelineOptions { foreground, filter: UpsampleFilter::Nearest, ..Default::default() };
        let mut pipeline = CpuPcaPipeline::default();
        pipeline.fit(&f.data, None, shape, &options).unwrap();
        let drawn = pipeline.draw(&f.data, None, (f.rows, f.cols), (f.cols, f.rows), &options).unwrap();
        let drawn: Vec<[u8; 4]> = drawn.into_iter().map(u32::to_le_bytes).collect();
        for ((rgb, pixel), foreground) in expected.rgb.iter().zip(&drawn).zip(&expected.foreground) {
            assert!(*foreground || (*rgb == [0; 3] && pixel[..3] == [0; 3]), "{rgb:?} for {pixel:?}");
        }
        for c in 0..3 {
            let apart = |turned: bool| {
                let patches = expected.rgb.iter().zip(&drawn).zip(&expected.foreground).filter(|(_, f)| **f);
                let each = patches.map(|((a, b), _)| if turned { 255 - a[c] } else { a[c] }.abs_diff(b[c]));
                each.max().unwrap()
            };
            let worst = apart(false).min(apart(true));
            assert!(worst <= 2, "foreground {foreground}, channel {c}: {worst} levels");
        }
    }
}
