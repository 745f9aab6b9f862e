use dinoscope_shaders::l2_norm::gpu::{backward, forward};

use super::*;

/// `gain · x / max(|x|, epsilon)` in f64.
fn reference(x: &[f64], gain: &[f64], epsilon: f64) -> Vec<f64> {
    let dim = x.len() / gain.len();
    let row = |(x, gain): (&[f64], &f64)| {
        let length = dot(x, x).sqrt().max(epsilon);
        x.iter().map(|v| gain * v / length).collect::<Vec<f64>>()
    };
    x.chunks(dim).zip(gain).flat_map(row).collect()
}

/// `y`, gradients of `x` and of the gain.
fn run(client: &Client, x: &[f32], gain: Option<&[f32]>, dy: &[f32], rows: usize, eps: f32) -> [Vec<f32>; 3] {
    let dim = x.len() / rows;
    let (x, dy, gain) = (floats(client, x), floats(client, dy), gain.map(|gain| floats(client, gain)));
    let out = forward(client, &x, gain.as_ref(), rows, dim, eps).unwrap();
    let back = backward(client, &dy, &x, gain.as_ref(), &out.inverse, rows, dim, eps, None).unwrap();
    [&out.y, &back.x, &back.gain].map(|handle| read(client, handle))
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn l2_norm_of_awkward_shapes() {
    let client = client();
    for (rows, dim) in [(1, 2), (1, 5), (3, 384), (63, 96), (65, 5), (257, 65), (5, 1030), (64, 512)] {
        let (x, dy, gain) = (noise(rows * dim, 1), noise(rows * dim, 2), noise(rows, 3));
        for gain in [None, Some(gain.as_slice())] {
            let what = format!("l2 norm {rows} x {dim}, gain {}", gain.is_some());
            let [y, dx, d_gain] = run(&client, &x, gain, &dy, rows, 1e-12);
            let gains = gain.map_or_else(|| vec![1.0; rows], wide);
            let (x, dy) = (wide(&x), wide(&dy));
            close(&format!("{what}: y"), &y, &reference(&x, &gains, 1e-12), 1e-5);
            let (mut want, mut want_gain) = (Vec::new(), Vec::new());
            for ((x, dy), gain) in x.chunks(dim).zip(dy.chunks(dim)).zip(&gains) {
                let length = dot(x, x).sqrt();
                let along = dot(x, dy) / length;
                want.extend(x.iter().zip(dy).map(|(x, dy)| gain / length * (dy - along * x / length)));
                want_gain.push(along);
            }
            close(&format!("{what}: dx"), &dx, &want, 1e-4);
            close(&format!("{what}: gradient of the gain"), &d_gain, &want_gain, 1e-4);
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn l2_norm_slopes() {
    let client = client();
    let (rows, dim) = (7, 5);
    let (x, dy, gain) = (noise(rows * dim, 1), noise(rows * dim, 2), noise(rows, 3));
    let [_, dx, d_gain] = run(&client, &x, Some(&gain), &dy, rows, 1e-12);
    let (x, dy, gain) = (wide(&x), wide(&dy), wide(&gain));
    close("slope of x", &dx, &slopes(&x, |x| dot(&reference(x, &gain, 1e-12), &dy)), 1e-4);
    close("slope of the gain", &d_gain, &slopes(&gain, |gain| dot(&reference(&x, gain, 1e-12), &dy)), 1e-4);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn short_rows_are_scaled_and_nan_stays_in_its_row() {
    let client = client();
    let (rows, dim, eps) = (9, 96, 0.5);
    let (mut x, dy) = (noise(rows * dim, 1), noise(rows * dim, 2));
    x[..dim].fill(0.0);
    x[dim..2 * dim].iter_mut().for_each(|v| *v *= 1e-3);
    x[3 * dim + 17] = f32::NAN;
    let [y, dx, _] = run(&client, &x, None, &dy, rows, eps);
    for row in 0..2 {
        let part = row * dim..(row + 1) * dim;
        let twice = |values: &[f32]| values.iter().map(|v| 2.0 * f64::from(*v)).collect::<Vec<f64>>();
        close("a short row", &y[part.clone()], &twice(&x[part.clone()]), 1e-6);
        close("its gradient", &dx[part.clone()], &twice(&dy[part]), 1e-6);
    }
    for row in 0..rows {
        let part = row * dim..(row + 1) * dim;
        assert!(y[part.clone()].iter().chain(&dx[part]).all(|v| v.is_nan() == (row == 3)), "row {row}");
    }
    assert!(forward(&client, &floats(&client, &[0.0]), None, 0, 5, eps).is_ok());
}
