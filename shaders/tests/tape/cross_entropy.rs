use dinoscope_shaders::cross_entropy::gpu::{
    CrossEntropyChunk, CrossEntropyOutputs, CrossEntropyTargets, backward, forward,
};

use super::*;

const TEMPERATURE: f32 = 0.1;

struct Case {
    rows: usize,
    prototypes: usize,
    count: usize,
    logits: Vec<f32>,
    targets: Vec<f32>,
    first: Vec<i32>,
    second: Vec<i32>,
    d_loss: Vec<f32>,
}

impl Case {
    fn new(rows: usize, prototypes: usize) -> Self {
        let count = rows.div_ceil(2) + 1;
        let mut targets: Vec<f32> = noise(count * prototypes, 2).iter().map(|v| v + 2.0).collect();
        for (i, row) in targets.chunks_mut(prototypes).enumerate() {
            let sum: f32 = row.iter().sum();
            // The last is padding.
            row.iter_mut().for_each(|v| *v = if i + 1 == count { 0.0 } else { *v / sum });
        }
        // None, one, two and padded targets take turns.
        let first = (0..rows).map(|i| if i % 5 == 4 { -1 } else { (i % count) as i32 }).collect();
        let second = (0..rows).map(|i| if i % 3 == 0 { -1 } else { ((i * 7 + 1) % count) as i32 }).collect();
        let logits = noise(rows * prototypes, 1).iter().map(|v| v / 2.0).collect();
        Self { rows, prototypes, count, logits, targets, first, second, d_loss: noise(rows, 3) }
    }

    /// Loss, log-sum-exp, entropy and the sum of targets of one row of logits.
    fn row(&self, i: usize, logits: &[f64]) -> [f64; 4] {
        let scaled: Vec<f64> = logits.iter().map(|v| v / f64::from(TEMPERATURE)).collect();
        let top = scaled.iter().fold(f64::MIN, |a, b| a.max(*b));
        let lse = top + scaled.iter().map(|v| (v - top).exp()).sum::<f64>().ln();
        let entropy = scaled.iter().map(|v| (v - lse).exp() * (lse - v)).sum();
        let (mut loss, mut mass) = (0.0, 0.0);
        for target in [self.first[i], self.second[i]] {
            if target >= 0 {
                for (t, v) in
                    self.targets[target as usize * self.prototypes..][..self.prototypes].iter().zip(&scaled)
                {
                    loss += f64::from(*t) * (lse - v);
                    mass += f64::from(*t);
                }
            }
        }
        [loss, lse, entropy, mass]
    }

    /// Loss, entropy, statistics and gradient, in chunks of `step` rows.
    fn run(&self, client: &Client, step: usize) -> [Vec<f32>; 4] {
        let results = CrossEntropyOutputs::new(client, self.rows);
        let targets = floats(client, &self.targets);
        let (first, second) = (indices(client, &self.first), indices(client, &self.second));
        let targets =
            CrossEntropyTargets { rows: &targets, count: self.count, first: &first, second: &second };
        let d_loss = floats(client, &self.d_loss);
        let mut gradient = Vec::new();
        for start in (0..self.rows).step_by(step) {
            let count = step.min(self.rows - start);
            let (rows, prototypes) = (self.rows, self.prototypes);
            let chunk = CrossEntropyChunk { start, count, rows, prototypes, temperature: TEMPERATURE };
            let logits = floats(client, &self.logits[start * prototypes..][..count * prototypes]);
            forward(client, &logits, targets, chunk, &results).unwrap();
            backward(client, &logits, targets, chunk, &results, &d_loss).unwrap();
            gradient.extend(read(client, &logits));
        }
        [read(client, &results.loss), read(client, &results.entropy), read(client, &results.stats), gradient]
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn cross_entropy_of_awkward_shapes() {
    let client = client();
    for (rows, prototypes, step) in
        [(1, 1, 1), (1, 5, 1), (63, 65, 17), (7, 257, 7), (5, 384, 2), (3, 5000, 2), (65, 6, 65)]
    {
        let case = Case::new(rows, prototypes);
        let what = format!("cross-entropy {rows} x {prototypes}");
        let [loss, entropy, stats, gradient] = case.run(&client, step);
        let (mut want, mut slopes_of_logits) = ([vec![], vec![], vec![]], vec![]);
        for (i, logits) in wide(&case.logits).chunks(prototypes).enumerate() {
            let [loss, lse, entropy, mass] = case.row(i, logits);
            want[0].push(loss);
            want[1].push(entropy);
            want[2].extend([lse, mass]);
            if prototypes < 300 {
                let d_loss = f64::from(case.d_loss[i]);
                slopes_of_logits.extend(slopes(logits, |x| case.row(i, x)[0]).iter().map(|s| s * d_loss));
            }
        }
        close(&format!("{what}: loss"), &loss, &want[0], 1e-5);
        close(&format!("{what}: statistics"), &stats, &want[2], 1e-5);
        if prototypes > 1 {
            close(&format!("{what}: entropy"), &entropy, &want[1], 1e-5);
            close(&format!("{what}: slopes"), &gradient[..slopes_of_logits.len()], &slopes_of_logits, 1e-4);
        } else {
            // One prototype takes everything: there is nothing left to learn or to be uncertain about.
            assert!(entropy.iter().chain(&gradient).all(|v| v.abs() < 1e-5), "{entropy:?} {gradient:?}");
        }
        // What softmax and target take from a row they give to it.
        for row in gradient.chunks(prototypes) {
            let (sum, size): (f32, f32) = (row.iter().sum(), row.iter().map(|v| v.abs()).sum());
            assert!(
                sum.abs() <= 1e-5 * size.max(1.0),
                "{what}: a row of the gradient sums to {sum} of {size}"
            );
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn cross_entropy_keeps_nan_in_its_row() {
    let client = client();
    let mut case = Case::new(9, 300);
    case.logits[3 * 300 + 299] = f32::NAN;
    let [loss, entropy, stats, gradient] = case.run(&client, 4);
    for row in 0..9 {
        let is_bad = row == 3;
        assert_eq!((loss[row].is_nan(), entropy[row].is_nan()), (is_bad, is_bad), "row {row}");
        assert_eq!(stats[2 * row].is_nan(), is_bad, "row {row}");
        assert!(gradient[row * 300..][..300].iter().all(|v| v.is_nan() == is_bad), "gradient of row {row}");
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn rows_outside_are_refused() {
    let client = client();
    let results = CrossEntropyOutputs::new(&client, 4);
    let some = floats(&client, &[0.0; 20]);
    let targets = CrossEntropyTargets { rows: &some, count: 2, first: &some, second: &some };
    let chunk = CrossEntropyChunk { start: 3, count: 2, rows: 4, prototypes: 5, temperature: 1.0 };
    assert!(forward(&client, &some, targets, chunk, &results).is_err());
    assert!(
        backward(&client, &some, targets, CrossEntropyChunk { start: 0, ..chunk }, &results, &some).is_ok()
    );
    assert!(
        forward(
            &client,
            &some,
            CrossEntropyTargets { count: 5, ..targets },
            CrossEntropyChunk { start: 0, ..chunk },
            &results
        )
        .is_err()
    );
}
