use dinoscope_shaders::residual::gpu::{ResidualShape, forward, gather_scaled, weight_gradients};

use super::*;

fn check(client: &Client, tokens: usize, dim: usize, gathered: bool, folded: bool) {
    let what = format!("residual {tokens} x {dim}, rows {gathered}, gamma {folded}");
    let rows: Vec<usize> = if gathered { some_rows(tokens, 3) } else { (0..tokens).collect() };
    let kept = rows.len();
    let shape = ResidualShape { tokens, kept, dim };
    let (x, branch, gradient) = (noise(tokens * dim, 1), noise(kept * dim, 2), noise(tokens * dim, 7));
    let (bias, gamma, scale) = (noise(dim, 4), noise(dim, 5), noise(kept, 6));
    let [h, b, c, g, s, d] = [&x, &branch, &bias, &gamma, &scale, &gradient].map(|v| floats(client, v));
    let r = indices(client, &rows.iter().map(|v| *v as i32).collect::<Vec<_>>());
    let (r, s) = (gathered.then_some(&r), gathered.then_some(&s));
    let (c, g) = (folded.then_some(&c), folded.then_some(&g));
    let out = read(client, &forward(client, &h, &b, c, g, r, s, shape, F32).unwrap());
    let (taken, sums) = gather_scaled(client, &d, r, s, shape, F32).unwrap();

    let mut want = wide(&x);
    let (mut want_taken, mut want_sums) = (Vec::new(), vec![0.0; dim]);
    for (i, row) in rows.iter().enumerate() {
        let scale = if gathered { f64::from(scale[i]) } else { 1.0 };
        for j in 0..dim {
            let (bias, gamma) = if folded { (f64::from(bias[j]), f64::from(gamma[j])) } else { (0.0, 1.0) };
            want[row * dim + j] += scale * gamma * (f64::from(branch[i * dim + j]) + bias);
            let back = scale * f64::from(gradient[row * dim + j]);
            want_taken.push(back);
            want_sums[j] += back;
        }
    }
    close(&what, &out, &want, 1e-5);
    close(&format!("{what}: gathered"), &read(client, &taken), &want_taken, 1e-5);
    close(&format!("{what}: sums"), &read(client, &sums), &want_sums, 1e-4);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn residuals_of_awkward_shapes() {
    let client = client();
    for (tokens, dim) in [(1, 1), (1, 384), (63, 96), (65, 5), (257, 65), (600, 6)] {
        for gathered in [false, true] {
            check(&client, tokens, dim, gathered, true);
            check(&client, tokens, dim, gathered, false);
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn a_residual_without_rows_is_its_stream() {
    let client = client();
    let x = noise(30, 1);
    let (h, none) = (floats(&client, &x), floats(&client, &[f32::NAN]));
    let shape = ResidualShape { tokens: 5, kept: 0, dim: 6 };
    let out = forward(&client, &h, &none, None, None, Some(&none), Some(&none), shape, F32).unwrap();
    assert_eq!(read(&client, &out), x);
    let (_, sums) = gather_scaled(&client, &h, Some(&none), Some(&none), shape, F32).unwrap();
    assert_eq!(read(&client, &sums), [0.0; 6]);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn residuals_keep_nan_in_its_row() {
    let client = client();
    let shape = ResidualShape { tokens: 6, kept: 2, dim: 5 };
    let mut branch = noise(10, 2);
    branch[7] = f32::NAN;
    let (h, b) = (floats(&client, &noise(30, 1)), floats(&client, &branch));
    let (r, s) = (indices(&client, &[1, 4]), floats(&client, &[1.5, 0.0]));
    let out = read(&client, &forward(&client, &h, &b, None, None, Some(&r), Some(&s), shape, F32).unwrap());
    assert!(out.iter().enumerate().all(|(i, v)| v.is_nan() == (i == 22)), "{out:?}");
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn weight_gradients_pass_layer_scale() {
    let client = client();
    for (outputs, inputs) in [(1, 1), (5, 96), (65, 5), (384, 257)] {
        let (dw, w) = (noise(outputs * inputs, 1), noise(outputs * inputs, 2));
        let (db, b, gamma) = (noise(outputs, 3), noise(outputs, 4), noise(outputs, 5));
        let [hdw, hdb, hw, hb, hg] = [&dw, &db, &w, &b, &gamma].map(|v| floats(&client, v));
        let got = weight_gradients(&client, &hdw, &hdb, &hw, &hb, &hg, outputs, inputs).unwrap();
        let (dw, w, db, b, gamma) = (wide(&dw), wide(&w), wide(&db), wide(&b), wide(&gamma));
        let what = format!("weights {outputs} x {inputs}");
        let rows = |i: usize| i / inputs;
        let want: Vec<f64> = dw.iter().enumerate().map(|(i, d)| gamma[rows(i)] * d).collect();
        close(&what, &read(&client, &got.weight), &want, 1e-5);
        close(
            &what,
            &read(&client, &got.bias),
            &db.iter().zip(&gamma).map(|(d, g)| d * g).collect::<Vec<_>>(),
            1e-5,
        );
        // dgamma by differences: the loss is linear in the folded layer.
        let loss = |gamma: &[f64]| -> f64 {
            (0..outputs)
                .map(|j| {
                    gamma[j] * (dot(&w[j * inputs..][..inputs], &dw[j * inputs..][..inputs]) + b[j] * db[j])
                })
                .sum()
        };
        close(&what, &read(&client, &got.gamma), &slopes(&gamma, loss), 1e-4);
    }
}
