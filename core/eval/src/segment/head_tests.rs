//! The head's gradients against differences of its loss.

use super::*;

const DIM: usize = 5;

fn maps() -> Vec<DenseFeatureMap> {
    let mut rng = stream(4, "maps", 0, 0);
    [6, 12]
        .map(|cells| {
            let patches = (0..cells * DIM).map(|i| 0.5 * (i % DIM) as f32 + normal(&mut rng)).collect();
            DenseFeatureMap { patches, cls: Vec::new() }
        })
        .to_vec()
}

fn truth(pixels: usize, classes: usize) -> Vec<u8> {
    (0..pixels).map(|i| if i % 7 == 3 { IGNORED } else { (i * i % 11 % classes) as u8 }).collect()
}

/// Two views of different grids, 2 × 3 and 3 × 4 cells, with sizes that are no multiples of them.
fn checked(classes: usize) {
    let maps = maps();
    let axes = [
        (InterpolationAxis::new(2, 9), InterpolationAxis::new(3, 10)),
        (InterpolationAxis::part(3, 15, 2, 11), InterpolationAxis::new(4, 4)),
    ];
    let truths = axes.clone().map(|(down, across)| truth(down.len() * across.len(), classes));
    let samples: Vec<SegmentationSample<'_>> = (0..2)
        .map(|i| SegmentationSample {
            map: &maps[i],
            down: &axes[i].0,
            across: &axes[i].1,
            truth: &truths[i],
        })
        .collect();
    let mut head = SegmentationHead::new(DIM, classes, 2);
    let mut rng = stream(9, "values", 0, 0);
    head.values.iter_mut().for_each(|value| *value += 0.5 * normal(&mut rng));
    let statistics = BatchNormStats::of(&[&maps[0], &maps[1]], DIM);
    let (loss, slopes) = head.gradient(&samples, &statistics).unwrap();
    assert!((loss - plain_loss(&head, &samples, &statistics)).abs() < 1e-5);
    assert_eq!(slopes.len(), head.values.len());
    for (i, slope) in slopes.iter().enumerate() {
        let at = |step: f32| {
            let mut moved = head.clone();
            moved.values[i] += step;
            plain_loss(&moved, &samples, &statistics)
        };
        let want = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!((f64::from(*slope) - want).abs() < 2e-4, "value {i}: {slope} is not {want}");
    }
}

/// The loss as it is written down: normalise, convolve, enlarge, compare, in f64.
fn plain_loss(
    head: &SegmentationHead,
    samples: &[SegmentationSample<'_>],
    statistics: &BatchNormStats,
) -> f64 {
    let (gain, shift, weight, bias) = head.parts();
    let (mut loss, mut count) = (0.0, 0);
    for sample in samples {
        let logit = |cell: usize, class: usize| -> f64 {
            let of = |d: usize| {
                let x = f64::from(sample.map.patches[cell * DIM + d]);
                let n = (x - statistics.mean[d]) / (statistics.variance[d] + EPSILON).sqrt();
                f64::from(weight[class * DIM + d]) * (f64::from(gain[d]) * n + f64::from(shift[d]))
            };
            f64::from(bias[class]) + (0..DIM).map(of).sum::<f64>()
        };
        for (pixel, label) in sample.truth.iter().enumerate().filter(|(_, label)| **label != IGNORED) {
            let down = sample.down.taps[pixel / sample.across.len()];
            let across = sample.across.taps[pixel % sample.across.len()];
            let mixed = |class: usize| {
                let row = |y: usize| {
                    let at = |x: usize| logit(y * sample.across.input + x, class);
                    at(across.low) + f64::from(across.share) * (at(across.high) - at(across.low))
                };
                row(down.low) + f64::from(down.share) * (row(down.high) - row(down.low))
            };
            let sum: f64 = (0..head.classes).map(|class| mixed(class).exp()).sum();
            loss += sum.ln() - mixed(usize::from(*label));
            count += 1;
        }
    }
    loss / f64::from(count)
}

#[test]
fn slopes_are_those_of_the_loss() {
    checked(3);
    // More classes than one vector holds.
    checked(18);
}

#[test]
fn statistics_are_those_of_all_cells() {
    let maps = maps();
    let found = BatchNormStats::of(&[&maps[0], &maps[1]], DIM);
    let all: Vec<f32> = maps.iter().flat_map(|map| map.patches.clone()).collect();
    assert_eq!(found.count, 18);
    for d in 0..DIM {
        let column: Vec<f64> = all.iter().skip(d).step_by(DIM).map(|v| f64::from(*v)).collect();
        let mean = column.iter().sum::<f64>() / 18.0;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 18.0;
        assert!((found.mean[d] - mean).abs() < 1e-6 && (found.variance[d] - variance).abs() < 1e-6);
    }
    // Judging uses what was remembered: a tenth of the first batch, with the unbiased variance.
    let mut head = SegmentationHead::new(DIM, 2, 0);
    head.update_running_stats(&found);
    assert!((head.running.mean[1] - 0.1 * found.mean[1]).abs() < 1e-12);
    assert!((head.running.variance[1] - 0.9 - 0.1 * found.variance[1] * 18.0 / 17.0).abs() < 1e-12);
}

#[test]
fn nothing_is_learned_where_nothing_counts() {
    let map = maps().swap_remove(0);
    let (down, across) = (InterpolationAxis::new(2, 2), InterpolationAxis::new(3, 3));
    let sample = SegmentationSample { map: &map, down: &down, across: &across, truth: &[IGNORED; 6] };
    let statistics = BatchNormStats::of(&[&map], DIM);
    assert!(SegmentationHead::new(DIM, 4, 0).gradient(&[sample], &statistics).is_none());
}
