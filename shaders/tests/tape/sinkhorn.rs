use dinoscope_shaders::sinkhorn::gpu::{SinkhornLogits, sinkhorn, softmax_center};

use super::*;

/// Sinkhorn–Knopp on the whole matrix, as it is published.
fn reference(logits: &[f64], weights: &[f64], temperature: f64, iterations: usize) -> Vec<f64> {
    let rows = weights.len();
    let k = logits.len() / rows;
    let total = weights.iter().sum::<f64>();
    let top = logits.iter().fold(f64::MIN, |a, b| a.max(*b));
    let mut q: Vec<f64> =
        logits.iter().enumerate().map(|(i, v)| weights[i / k] * ((v - top) / temperature).exp()).collect();
    for _ in 0..iterations {
        for j in 0..k {
            let sum: f64 = (0..rows).map(|i| q[i * k + j]).sum();
            (0..rows).for_each(|i| q[i * k + j] /= sum * k as f64);
        }
        for (row, weight) in q.chunks_mut(k).zip(weights) {
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|v| *v = if *weight == 0.0 { 0.0 } else { *v / (sum * total) });
        }
    }
    q.iter().map(|v| v * total).collect()
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn sinkhorn_of_awkward_shapes() {
    let client = client();
    for (rows, k) in [(1, 1), (1, 5), (5, 1), (63, 65), (65, 257), (8, 5000), (300, 31)] {
        for padded in [false, true] {
            let mut logits: Vec<f32> = noise(rows * k, 1).iter().map(|v| v / 4.0).collect();
            let weights: Vec<f32> = (0..rows).map(|i| if padded && i % 3 == 1 { 0.0 } else { 1.0 }).collect();
            let clean = wide(&logits);
            for (row, weight) in logits.chunks_mut(k).zip(&weights) {
                if *weight == 0.0 {
                    row.fill(f32::NAN);
                }
            }
            let (l, w) = (floats(&client, &logits), floats(&client, &weights));
            let w = padded.then_some(&w);
            let want = reference(&clean, &wide(&weights), 0.07, 3);
            let what = format!("sinkhorn {rows} x {k}, padded {padded}");
            let kept = sinkhorn(&client, SinkhornLogits::Kept(&l), w, rows, k, 0.07, 3).unwrap();
            close(&what, &read(&client, &kept), &want, 1e-5);
            let same = read(&client, &l);
            assert!(
                same.iter().zip(&logits).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{what} changed its input"
            );
            let reused = sinkhorn(&client, SinkhornLogits::Reused(l), w, rows, k, 0.07, 3).unwrap();
            assert_eq!(read(&client, &reused), read(&client, &kept), "{what}");
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn sinkhorn_of_padding_alone_is_zero() {
    let client = client();
    let (l, w) = (floats(&client, &noise(12, 1)), floats(&client, &[0.0; 4]));
    let out = sinkhorn(&client, SinkhornLogits::Kept(&l), Some(&w), 4, 3, 0.07, 3).unwrap();
    assert_eq!(read(&client, &out), [0.0; 12]);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn sinkhorn_shows_nan() {
    let client = client();
    let mut logits = noise(12, 1);
    logits[4] = f32::NAN;
    let l = floats(&client, &logits);
    let out = read(&client, &sinkhorn(&client, SinkhornLogits::Kept(&l), None, 4, 3, 0.07, 3).unwrap());
    assert!(out[3..6].iter().all(|v| v.is_nan()), "{out:?}");
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn softmax_centering_of_awkward_shapes() {
    let client = client();
    for (rows, k) in [(1, 1), (1, 5), (63, 65), (65, 257), (3, 5000)] {
        let (logits, center) = (noise(rows * k, 1), noise(k, 2));
        let (l, c) = (floats(&client, &logits), floats(&client, &center));
        let mut want = Vec::new();
        for row in logits.chunks(k) {
            let x: Vec<f64> = row
                .iter()
                .zip(&center)
                .map(|(l, c)| (f64::from(*l) - f64::from(*c)) / 0.07f32 as f64)
                .collect();
            let top = x.iter().fold(f64::MIN, |a, b| a.max(*b));
            let sum: f64 = x.iter().map(|v| (v - top).exp()).sum();
            want.extend(x.iter().map(|v| (v - top).exp() / sum));
        }
        let what = format!("softmax centering {rows} x {k}");
        let kept = softmax_center(&client, SinkhornLogits::Kept(&l), &c, rows, k, 0.07).unwrap();
        close(&what, &read(&client, &kept), &want, 1e-5);
        let reused = softmax_center(&client, SinkhornLogits::Reused(l), &c, rows, k, 0.07).unwrap();
        assert_eq!(read(&client, &reused), read(&client, &kept), "{what}");
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn softmax_centering_keeps_nan_in_its_row() {
    let client = client();
    let mut logits = noise(4 * 300, 1);
    logits[2 * 300 + 280] = f32::NAN;
    let (l, c) = (floats(&client, &logits), floats(&client, &noise(300, 2)));
    let out = read(&client, &softmax_center(&client, SinkhornLogits::Kept(&l), &c, 4, 300, 0.07).unwrap());
    assert!(out.iter().enumerate().all(|(i, v)| v.is_nan() == (i / 300 == 2)));
}
