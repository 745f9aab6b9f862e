use dinoscope_shaders::activation::gpu::{FfnActivation, backward, forward};

use super::*;

/// The error function by its series, or far out by its continued fraction.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    let root = std::f64::consts::PI.sqrt();
    if size < 3.0 {
        let (mut sum, mut term, mut n) = (0.0, x, 0.0);
        while term.abs() > 1e-18 {
            sum += term / (2.0 * n + 1.0);
            n += 1.0;
            term *= -x * x / n;
        }
        return sum * 2.0 / root;
    }
    let tail = (1..=200).rev().fold(0.0, |f, k| f64::from(k) / 2.0 / (size + f));
    (1.0 - (-size * size).exp() / root / (size + tail)).copysign(x)
}

/// The activation of one row.
fn reference(activation: FfnActivation, hidden: &[f64], bias: &[f64]) -> Vec<f64> {
    let x: Vec<f64> = hidden.iter().zip(bias).map(|(h, b)| h + b).collect();
    match activation {
        FfnActivation::Gelu => x.iter().map(|x| x * 0.5 * (1.0 + erf(x / 2f64.sqrt()))).collect(),
        FfnActivation::SwiGlu => {
            let (gate, value) = x.split_at(x.len() / 2);
            gate.iter().zip(value).map(|(g, v)| g / (1.0 + (-g).exp()) * v).collect()
        }
    }
}

fn check(client: &Client, activation: FfnActivation, rows: usize, width: usize, spread: f32) {
    let what = format!("{activation:?} {rows} x {width}");
    let inner = activation.hidden(width);
    let mut hidden: Vec<f32> = noise(rows * inner, 1).iter().map(|v| v * spread).collect();
    // A lone value far out on the left would be measured by its own last digits.
    hidden[0] = 1.5;
    let (bias, gradient) = (noise(inner, 2), noise(rows * width, 3));
    let [h, b, g] = [&hidden, &bias, &gradient].map(|v| floats(client, v));
    let out = read(client, &forward(client, activation, &h, &b, rows, width, F32).unwrap());
    let back = backward(client, activation, &g, &h, &b, rows, width, F32).unwrap();

    let (hidden, bias, gradient) = (wide(&hidden), wide(&bias), wide(&gradient));
    let all = |hidden: &[f64], bias: &[f64]| -> Vec<f64> {
        hidden.chunks(inner).flat_map(|row| reference(activation, row, bias)).collect()
    };
    let want = all(&hidden, &bias);
    close(&what, &out, &want, 1e-5);
    close(&format!("{what} again"), &read(client, &back.activation), &want, 1e-5);
    let mut slopes_of_hidden = Vec::new();
    for (row, gradient) in hidden.chunks(inner).zip(gradient.chunks(width)) {
        // Only one or two values of a row follow one of `hidden`, so the whole row may be differenced at once.
        let step = 1e-6;
        let moved = |sign: f64, odd: usize| {
            let x: Vec<f64> = row
                .iter()
                .enumerate()
                .map(|(i, v)| v + if i / width == odd { sign * step } else { 0.0 })
                .collect();
            reference(activation, &x, &bias)
        };
        for half in 0..inner / width {
            let (above, below) = (moved(1.0, half), moved(-1.0, half));
            slopes_of_hidden.extend((0..width).map(|i| gradient[i] * (above[i] - below[i]) / (2.0 * step)));
        }
    }
    let mut sums = vec![0.0; inner];
    for row in slopes_of_hidden.chunks(inner) {
        sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
    }
    close(&format!("{what}: slopes"), &read(client, &back.hidden), &slopes_of_hidden, 1e-4);
    close(&format!("{what}: bias"), &read(client, &back.bias), &sums, 1e-4);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn activations_of_awkward_shapes() {
    let client = client();
    for activation in [FfnActivation::Gelu, FfnActivation::SwiGlu] {
        for (rows, width) in [(1, 1), (1, 5), (63, 6), (65, 96), (257, 257), (17, 384)] {
            check(&client, activation, rows, width, 1.0);
        }
        check(&client, activation, 9, 33, 6.0);
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn the_normal_distribution_is_exact_to_2e_7() {
    let client = client();
    // gelu(x) / x = Φ(x), over the whole range that matters.
    let x: Vec<f32> = (1..20_000).map(|i| (i as f32 - 10_000.5) * 6e-4).collect();
    let (hidden, bias) = (floats(&client, &x), floats(&client, &vec![0.0; x.len()]));
    let out = forward(&client, FfnActivation::Gelu, &hidden, &bias, 1, x.len(), F32).unwrap();
    for (x, y) in x.iter().zip(read(&client, &out)) {
        let (x, y) = (f64::from(*x), f64::from(y));
        let off = (y / x - 0.5 * (1.0 + erf(x / 2f64.sqrt()))).abs();
        assert!(off <= 2e-7, "Φ({x}) is off by {off:e}");
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn activations_keep_nan_and_huge_values_in_their_place() {
    let client = client();
    let mut hidden = noise(4 * 6, 1);
    hidden[7] = f32::NAN;
    hidden[13] = 1e30;
    hidden[14] = -1e30;
    let (h, b) = (floats(&client, &hidden), floats(&client, &[0.0; 6]));
    let out = read(&client, &forward(&client, FfnActivation::Gelu, &h, &b, 4, 6, F32).unwrap());
    assert!(out.iter().enumerate().all(|(i, v)| v.is_nan() == (i == 7)), "{out:?}");
    assert_eq!((out[13], out[14]), (1e30, 0.0));
    let gradient = floats(&client, &[1.0; 24]);
    let back = backward(&client, FfnActivation::Gelu, &gradient, &h, &b, 4, 6, F32).unwrap();
    let d = read(&client, &back.hidden);
    assert!(d.iter().enumerate().all(|(i, v)| v.is_nan() == (i == 7)), "{d:?}");
    assert_eq!((d[13], d[14]), (1.0, 0.0));
    let sums = read(&client, &back.bias);
    assert!(sums.iter().enumerate().all(|(i, v)| v.is_nan() == (i == 1)), "{sums:?}");
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn no_rows_have_no_activation() {
    let client = client();
    let some = floats(&client, &[f32::NAN; 4]);
    assert!(forward(&client, FfnActivation::Gelu, &some, &some, 0, 4, F32).is_ok());
    let back = backward(&client, FfnActivation::SwiGlu, &some, &some, &some, 0, 4, F32).unwrap();
    assert_eq!(read(&client, &back.bias), [0.0; 8]);
}
