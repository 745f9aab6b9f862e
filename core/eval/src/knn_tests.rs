//! Cases for `knn.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use super::*;

fn run(
    train: &LabelledFeatures<'_>,
    test: &LabelledFeatures<'_>,
    classes: usize,
    ks: &[usize],
) -> Result<KnnResult, EvalProtocolError> {
    let options = KnnOptions { ks: ks.to_vec(), ..KnnOptions::default() };
    knn(train, test, classes, &options, &mut |_, _| true)
}

fn noise(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut stream = rng::stream(seed, "knn", 0, 0);
    (0..n * dim).map(|_| rng::normal(&mut stream)).collect()
}

fn labels(n: usize, classes: u64, seed: u64) -> Vec<u32> {
    let mut stream = rng::stream(seed, "labels", 0, 0);
    (0..n).map(|_| stream.random_range(0..classes) as u32).collect()
}

#[test]
fn every_picture_is_its_own_nearest_neighbour() {
    for (n, dim) in [(1, 1), (17, 3), (300, 16), (1000, 70)] {
        let (data, labels) = (noise(n, dim, 1), labels(n, 7, 2));
        let set = LabelledFeatures { dim, data: &data, labels: &labels };
        assert_eq!(run(&set, &set, 7, &[1]).unwrap().scores[0].top1, Accuracy { correct: n, total: n });
    }
}

#[test]
fn by_hand() {
    // Unit vectors at 0, 10, 20 and 30 degrees; the query at 0.
    let data: Vec<f32> = [0.0f32, 10.0, 20.0, 30.0]
        .iter()
        .flat_map(|d| [d.to_radians().cos() * 5.0, d.to_radians().sin() * 5.0])
        .collect();
    let train = LabelledFeatures { dim: 2, data: &data, labels: &[0, 1, 1, 2] };
    // Weights exp((cos - 1) / 0.07): 1, 0.805, 0.422, 0.147. One neighbour says 0; three say 1 (1.227 > 1).
    for (label, k1, k3) in [(0, 1, 0), (1, 0, 1), (2, 0, 0)] {
        let test = LabelledFeatures { dim: 2, data: &[2.0, 0.0], labels: &[label] };
        let result = run(&train, &test, 3, &[1, 3]).unwrap();
        assert_eq!((result.scores[0].top1.correct, result.scores[1].top1.correct), (k1, k3), "label {label}");
        // Class 2 has no neighbour among three.
        assert_eq!(result.at(3).unwrap().top5.correct, usize::from(label != 2));
    }
    // At a low temperature the nearest alone decides.
    let test = LabelledFeatures { dim: 2, data: &[2.0, 0.0], labels: &[0] };
    let cold = KnnOptions { ks: vec![3], temperature: 0.01 };
    assert_eq!(knn(&train, &test, 3, &cold, &mut |_, _| true).unwrap().scores[0].top1.correct, 1);
}

/// The protocol again, as plainly as possible: all similarities in f64, a full sort, one softmax.
fn plain(
    train: &LabelledFeatures<'_>,
    test: &LabelledFeatures<'_>,
    classes: usize,
    ks: &[usize],
) -> Vec<(usize, usize)> {
    let unit = |row: &[f32]| -> Vec<f64> {
        let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|v| f64::from(*v) / length).collect()
    };
    let cache: Vec<Vec<f64>> = train.data.chunks_exact(train.dim).map(unit).collect();
    let max_k = *ks.last().unwrap();
    let mut correct = vec![(0, 0); ks.len()];
    for (row, label) in test.data.chunks_exact(test.dim).zip(test.labels) {
        let query = unit(row);
        let mut all: Vec<(f64, usize)> =
            cache.iter().map(|b| b.iter().zip(&query).map(|(x, y)| x * y).sum()).zip(0..).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(max_k);
        let weights: Vec<f64> = all.iter().map(|(s, _)| (s / 0.07).exp()).collect();
        let total: f64 = weights.iter().sum();
        for (k, correct) in ks.iter().zip(&mut correct) {
            let mut scores = vec![0.0; classes];
            for ((_, i), w) in all.iter().zip(&weights).take(*k) {
                scores[train.labels[*i] as usize] += w / total;
            }
            let mut order: Vec<usize> = (0..classes).filter(|c| scores[*c] > 0.0).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            correct.0 += usize::from(order[0] == *label as usize);
            correct.1 += usize::from(order.iter().take(5).any(|c| c == &(*label as usize)));
        }
    }
    correct
}

#[test]
fn equals_the_plain_protocol() {
    let (classes, dim) = (12, 24);
    // Class centres with noise, so that accuracies are neither 0 nor 1.
    let centres = noise(classes, dim, 9);
    let set = |n: usize, seed: u64| {
        let labels = labels(n, classes as u64, seed);
        let mut data = noise(n, dim, seed + 100);
        for (row, label) in data.chunks_exact_mut(dim).zip(&labels) {
            row.iter_mut().zip(&centres[*label as usize * dim..]).for_each(|(v, c)| *v = *v * 1.8 + c);
        }
        (data, labels)
    };
    let ((train, train_labels), (test, test_labels)) = (set(1500, 1), set(333, 2));
    let train = LabelledFeatures { dim, data: &train, labels: &train_labels };
    let test = LabelledFeatures { dim, data: &test, labels: &test_labels };
    let ks = [1, 10, 20, 100, 200];
    let result = run(&train, &test, classes, &ks).unwrap();
    let want = plain(&train, &test, classes, &ks);
    for (score, (top1, top5)) in result.scores.iter().zip(want) {
        assert_eq!((score.top1.correct, score.top5.correct), (top1, top5), "k = {}", score.k);
        assert!(score.top1.correct > 33 && score.top1.correct < 333);
    }
}

#[test]
fn ties_go_to_the_first() {
    // Eighty pictures with the same feature: the neighbours are the first ones.
    let data = [1.0f32, 2.0].repeat(80);
    let labels: Vec<u32> = (0..80).map(|i| u32::from(i >= 30)).collect();
    let train = LabelledFeatures { dim: 2, data: &data, labels: &labels };
    let test = LabelledFeatures { dim: 2, data: &[2.0, 4.0], labels: &[0] };
    let result = run(&train, &test, 2, &[1, 30, 60, 80]).unwrap();
    // With 60 the votes are even and the lower class wins; with 80 the larger one does.
    let correct: Vec<usize> = result.scores.iter().map(|s| s.top1.correct).collect();
    assert_eq!(correct, [1, 1, 1, 0]);
    assert_eq!(result.best().unwrap().k, 1);
}

#[test]
fn small_sets_shorten_the_list() {
    let (data, labels) = (noise(15, 4, 1), labels(15, 3, 1));
    let set = LabelledFeatures { dim: 4, data: &data, labels: &labels };
    let ks: Vec<usize> =
        run(&set, &set, 3, &[10, 20, 100, 200]).unwrap().scores.iter().map(|s| s.k).collect();
    assert_eq!(ks, [10, 15]);
}

#[test]
fn few_shot_draws_per_class_and_repeats() {
    let (n, dim) = (200, 6);
    let (data, labels) = (noise(n, dim, 4), labels(n, 4, 5));
    let set = LabelledFeatures { dim, data: &data, labels: &labels };
    let chosen = draw(&labels, 4, 5, 1);
    assert_eq!(chosen.len(), 20);
    assert!((0..4).all(|c| chosen.iter().filter(|i| labels[**i] == c).count() == 5));
    assert_eq!(chosen, draw(&labels, 4, 5, 1));
    assert_ne!(chosen, draw(&labels, 4, 5, 2));
    assert_eq!(draw(&[0, 0, 2], 3, 5, 0), [0, 1, 2]);

    let options = KnnOptions::default();
    let mut last = (0, 0);
    let mut progress = |done, total| {
        last = (done, total);
        true
    };
    let results = knn_few_shot(&set, &set, 4, &options, 12, 3, 7, &mut progress).unwrap();
    assert_eq!(last, (600, 600));
    assert_eq!(results.len(), 3);
    assert_eq!(results[0].scores.iter().map(|s| s.k).collect::<Vec<_>>(), [10, 12]);
    let (mean, deviation) = mean_top1(&results, 12).unwrap();
    assert!(mean > 0.2 && mean < 1.0 && deviation < 0.2);
    assert_eq!(mean_top1(&results, 99), None);
}

#[test]
fn errors_say_what_is_wrong() {
    let good = LabelledFeatures { dim: 2, data: &[1.0, 0.0, 0.0, 1.0], labels: &[0, 1] };
    let bad = |data: &'static [f32], labels: &'static [u32]| {
        run(&good, &LabelledFeatures { dim: 2, data, labels }, 2, &[1])
    };
    assert!(matches!(
        bad(&[0.0, f32::NAN], &[0]),
        Err(EvalProtocolError::NotFinite { set: "test", index: 0 })
    ));
    assert!(matches!(bad(&[0.0; 3], &[0]), Err(EvalProtocolError::Shape { found: 3, expected: 2, .. })));
    assert!(matches!(bad(&[], &[]), Err(EvalProtocolError::Empty("test features"))));
    assert!(matches!(bad(&[0.0; 2], &[2]), Err(EvalProtocolError::Label { label: 2, classes: 2, .. })));
    let other = LabelledFeatures { dim: 1, data: &[1.0], labels: &[0] };
    assert!(matches!(run(&good, &other, 2, &[1]), Err(EvalProtocolError::Shape { .. })));
    assert!(matches!(
        run(&good, &good, 2, &[]),
        Err(EvalProtocolError::Empty(_) | EvalProtocolError::Option { .. })
    ));
    assert!(matches!(run(&good, &good, 2, &[0]), Err(EvalProtocolError::Option { option: "k", .. })));
    let stopped = knn(&good, &good, 2, &KnnOptions::default(), &mut |_, _| false);
    assert!(matches!(stopped, Err(EvalProtocolError::Stopped)));
    // A picture without any feature is similar to nothing, and no reason to stop.
    assert!(bad(&[0.0; 2], &[0]).is_ok());
}

/// 60 000 × 10 000 features of 192 numbers; `cargo test --release -- --ignored knn_is_fast --nocapture`.
#[test]
#[ignore = "half a minute, a measurement"]
fn knn_is_fast() {
    let (train, test) = (noise(60_000, 192, 1), noise(10_000, 192, 2));
    let (train_labels, test_labels) = (labels(60_000, 10, 3), labels(10_000, 10, 4));
    let start = std::time::Instant::now();
    let train = LabelledFeatures { dim: 192, data: &train, labels: &train_labels };
    let test = LabelledFeatures { dim: 192, data: &test, labels: &test_labels };
    let result = run(&train, &test, 10, &[10, 20, 100, 200]).unwrap();
    let took = start.elapsed();
    assert!(took.as_secs() < 60, "{took:?}");
    // Random labels: chance.
    assert!((result.best().unwrap().top1.value() - 0.1).abs() < 0.02);
}
