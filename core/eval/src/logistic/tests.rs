//! Cases for the regression as a whole.
#![allow(clippy::unwrap_used)]

use super::*;
use dinoscope_base::rng;

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut stream = rng::stream(seed, "logistic", 0, 0);
    (0..n).map(|_| rng::normal(&mut stream)).collect()
}

fn pictures(data: &[f32], labels: &[u32], classes: usize) -> LogisticDataset {
    let set = LabelledFeatures { dim: data.len() / labels.len(), data, labels };
    LogisticDataset::new(&set, &(0..labels.len()).collect::<Vec<_>>(), classes, &FeatureSubspace::new(&set))
}

fn fitted(pictures: &LogisticDataset, c: f64) -> Vec<f64> {
    let options = LogisticFitOptions { tolerance: 1e-11, ..LogisticFitOptions::default() };
    let mut fit = LogisticFitter::new(pictures).fit(c, pictures.start(), options).unwrap();
    while fit.go_on(10) {}
    let (weights, arrived) = fit.finish();
    assert!(arrived);
    weights
}

#[test]
fn the_gradient_is_the_slope_of_the_objective() {
    for classes in [2, 3, 11] {
        let labels: Vec<u32> = (0..13).map(|i| i % classes as u32).collect();
        let pictures = pictures(&noise(13 * 4, 1), &labels, classes);
        let mut weights: Vec<f64> = noise(pictures.start().len(), 2).iter().map(|v| f64::from(*v)).collect();
        for row in weights.chunks_exact_mut(pictures.cols) {
            row[classes..].fill(0.0);
            if classes == 2 {
                row[0] = 0.0;
            }
        }
        let mut gradient = vec![f64::NAN; weights.len()];
        let mut unused = gradient.clone();
        pictures.objective(0.3, &weights, &mut gradient);
        for at in 0..weights.len() {
            let mut value = |by: f64| {
                let mut moved = weights.clone();
                moved[at] += by;
                pictures.objective(0.3, &moved, &mut unused)
            };
            let fixed = at % pictures.cols >= classes || (classes == 2 && at % pictures.cols == 0);
            let want = if fixed { 0.0 } else { (value(1e-5) - value(-1e-5)) / 2e-5 };
            assert!((gradient[at] - want).abs() < 1e-8, "{classes} classes, {at}: {} {want}", gradient[at]);
        }
    }
}

#[test]
fn optima_that_are_known() {
    // Two pictures at -1 and 1: the optimum solves w = 2 c / (1 + e^w), which is 1 for c = (1 + e) / 2.
    let e = std::f64::consts::E;
    let two = pictures(&[-1.0, 1.0], &[0, 1], 2);
    let w = fitted(&two, (1.0 + e) / 2.0);
    assert!((w[1] - 1.0).abs() < 1e-9 && w[0] == 0.0 && w[COLS + 1].abs() < 1e-9, "{w:?}");
    // Three at the corners of a triangle: weights are a times the corners, with a = 1.5 c (1 - p), where p is the share
    // of the right class, e^a / (e^a + 2 e^-a/2). For a = 1:
    let corner = |i: usize| {
        let turn = std::f64::consts::TAU * i as f64 / 3.0;
        [turn.cos() as f32, turn.sin() as f32]
    };
    let corners: Vec<f32> = (0..3).flat_map(corner).collect();
    let three = pictures(&corners, &[0, 1, 2], 3);
    let p = e / (e + 2.0 * (-0.5f64).exp());
    let w = fitted(&three, 1.0 / (1.5 * (1.0 - p)));
    for class in 0..3 {
        for axis in 0..2 {
            let want = f64::from(corners[class * 2 + axis]);
            assert!((w[axis * COLS + class] - want).abs() < 1e-6, "{w:?}");
        }
    }
}

#[test]
fn the_intercept_is_free_and_scores_are_counted() {
    // Nothing to go by: the intercept alone says how frequent the classes are.
    let labels = [0, 0, 0, 1, 1, 2];
    let blank = pictures(&[0.0; 6], &labels, 3);
    let w = fitted(&blank, 1e-6);
    let b = &w[COLS..COLS + 3];
    assert!((b[0] - b[1] - 1.5f64.ln()).abs() < 1e-7 && (b[1] - b[2] - 2f64.ln()).abs() < 1e-7, "{b:?}");
    assert_eq!(blank.predictions(&w), [0; 6]);
    let (top1, top5) = blank.score(&w);
    assert_eq!((top1.correct, top5.correct, top1.total), (3, 6, 6));
}

#[test]
fn a_start_nearby_ends_at_the_same_optimum() {
    let labels: Vec<u32> = (0..60).map(|i| i * 7 % 5).collect();
    let pictures = pictures(&noise(60 * 8, 3), &labels, 5);
    let (far, near) = (fitted(&pictures, 0.5), fitted(&pictures, 0.2));
    let options = LogisticFitOptions { tolerance: 1e-11, ..LogisticFitOptions::default() };
    let mut ground = LogisticFitter::new(&pictures);
    let mut fit = ground.fit(0.5, near, options).unwrap();
    while fit.go_on(10) {}
    let (again, _) = fit.finish();
    let apart = far.iter().zip(&again).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-7, "{apart}");
    assert!(ground.fit(0.0, pictures.start(), options).is_err());
}

#[test]
fn features_of_unlike_spreads_take_few_moves() {
    // From 1 to a thousandth of that, far from 0, as those of real features are.
    let (n, dim) = (200, 12);
    let labels: Vec<u32> = (0..n).map(|i| i * 7 % 4).collect();
    let mut data = noise(n as usize * dim, 5);
    for (row, label) in data.chunks_exact_mut(dim).zip(&labels) {
        row[*label as usize * 3] += 0.7;
        row.iter_mut().enumerate().for_each(|(d, v)| *v = 4.0 + *v * 10f32.powf(-0.25 * d as f32));
    }
    let pictures = pictures(&data, &labels, 4);
    let mut ground = LogisticFitter::new(&pictures);
    let mut weights = pictures.start();
    for c in [1.0, 1e3, 1e6] {
        let mut fit = ground.fit(c, weights, LogisticFitOptions { tolerance: 1e-9, moves: 200 }).unwrap();
        while fit.go_on(1) {}
        assert!(fit.moves < 60, "C {c}: {} moves", fit.moves);
        let (found, arrived) = fit.finish();
        assert!(arrived, "C {c}");
        weights = found;
    }
}

#[test]
fn the_grid_is_the_published_one() {
    let grid = grid();
    assert_eq!(grid.len(), 45);
    assert!((grid[0] - 1e-6).abs() < 1e-18 && (grid[44] - 1e5).abs() < 1e-6);
    assert!((grid[24] - 1.0).abs() < 1e-12);
}

#[test]
fn few_pictures_in_many_dimensions_have_the_same_optimum() {
    let (dim, few, classes) = (40, 9, 3);
    let data = noise((few + 50) * dim, 5);
    let labels: Vec<u32> = (0..few + 50).map(|i| (i % classes) as u32).collect();
    let (train, test) = data.split_at(few * dim);
    let (own, others) = labels.split_at(few);
    let set = LabelledFeatures { dim, data: train, labels: own };
    let judged = LabelledFeatures { dim, data: test, labels: others };
    let rows = |count: usize| (0..count).collect::<Vec<_>>();
    // The same pictures five times are not few any more, and have the same mean loss.
    let repeated = LabelledFeatures { dim, data: &train.repeat(5), labels: &own.repeat(5) };
    let logits = |set: &LabelledFeatures<'_>, c: f64| {
        let space = FeatureSubspace::new(set);
        let learned = LogisticDataset::new(set, &rows(set.labels.len()), classes, &space);
        let weights = fitted(&learned, c);
        (space.dim(), LogisticDataset::new(&judged, &rows(50), classes, &space).logits(&weights))
    };
    let (narrow, found) = logits(&set, 0.7);
    let (wide, wanted) = logits(&repeated, 0.7 / 5.0);
    assert!(narrow == few - 1 && wide == dim, "{narrow} {wide}");
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
    }
    // Pictures that are all alike.
    let alike = LabelledFeatures { dim, data: &train[..dim].repeat(few), labels: own };
    let space = FeatureSubspace::new(&alike);
    let weights = fitted(&LogisticDataset::new(&alike, &rows(few), classes, &space), 1.0);
    assert!(space.dim() == 1 && weights.iter().all(|w| w.abs() < 1e-9), "{weights:?}");
}
