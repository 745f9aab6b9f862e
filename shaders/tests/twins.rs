//! The CPU twins against plain sums in f64, and every backward against finite differences of its forward.

use dinoscope_shaders::attention::cpu::{self as attention, CpuAttentionLayout};
use dinoscope_shaders::cross_entropy::cpu::{self as cross_entropy, CpuCrossEntropyInputs};
use dinoscope_shaders::neighbours::cpu::{distances, distances_backward, nearest, nearest_in_views};
use dinoscope_shaders::residual::cpu::{self as residual, CpuResidualRows};
use dinoscope_shaders::sinkhorn::cpu as sinkhorn;
use dinoscope_shaders::{
    activation::cpu as activation, adamw::cpu as adamw, l2_norm::cpu as l2_norm,
    layer_norm::cpu as layer_norm,
};

/// Numbers between -1 and 1 that look random and are the same everywhere.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Compares `gradient` of `f` at `x` with differences along some coordinates and one direction through all of them.
fn check_gradient(name: &str, x: &[f32], gradient: &[f32], f: impl Fn(&[f32]) -> f64) {
    assert_eq!(x.len(), gradient.len(), "{name}");
    let scale = gradient.iter().fold(1e-3f32, |a, g| a.max(g.abs()));
    let direction = noise(x.len(), 99);
    let slope = |direction: &dyn Fn(usize) -> f32| {
        let eps = 2e-2;
        let moved = |sign: f32| -> Vec<f32> {
            x.iter().enumerate().map(|(i, x)| x + sign * eps * direction(i)).collect()
        };
        (f(&moved(1.0)) - f(&moved(-1.0))) / (2.0 * f64::from(eps))
    };
    for i in (0..x.len()).step_by(x.len() / 7 + 1) {
        let want = slope(&|j| if i == j { 1.0 } else { 0.0 });
        let error = (f64::from(gradient[i]) - want).abs() / f64::from(scale);
        assert!(error < 5e-3, "{name} at {i}: {} is not {want}", gradient[i]);
    }
    let want = slope(&|j| 0.1 * direction[j]);
    let got = 0.1 * dot(gradient, &direction);
    let size = 0.1 * dot(gradient, gradient).sqrt();
    assert!((got - want).abs() < 5e-3 * size.max(1e-3), "{name} in all: {got} is not {want}");
}

fn close(name: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    let scale = want.iter().fold(1e-6, |a: f64, w| a.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*g) - w).abs() / scale;
        assert!(error <= tolerance, "{name} at {i}: {g} is not {w}");
    }
}

/// Attention the plain way: `(out, lse)`.
fn plain_attention(qkv: &[f32], starts: &[u32], heads: usize, width: usize) -> (Vec<f64>, Vec<f64>) {
    let tokens = *starts.last().unwrap() as usize;
    let dim = heads * width;
    let at = |t: usize, which: usize, h: usize, j: usize| {
        f64::from(qkv[t * 3 * dim + which * dim + h * width + j])
    };
    let (mut out, mut lse) = (vec![0.0; tokens * dim], vec![0.0; tokens * heads]);
    for pair in starts.windows(2) {
        let span = pair[0] as usize..pair[1] as usize;
        for h in 0..heads {
            for q in span.clone() {
                let score = |k| {
                    (0..width).map(|j| at(q, 0, h, j) * at(k, 1, h, j)).sum::<f64>() / (width as f64).sqrt()
                };
                let total: f64 = span.clone().map(|k| score(k).exp()).sum();
                lse[q * heads + h] = total.ln();
                for k in span.clone() {
                    let p = score(k).exp() / total;
                    for j in 0..width {
                        out[q * dim + h * width + j] += p * at(k, 2, h, j);
                    }
                }
            }
        }
    }
    (out, lse)
}

#[test]
fn attention_is_the_plain_one_within_every_sequence() {
    for (starts, heads, width) in [
        (vec![0, 1], 1, 5),
        (vec![0, 1, 2, 3], 3, 16),
        (vec![0, 2, 39, 39, 44], 3, 24),
        (vec![0, 145, 182], 2, 64),
        (vec![0, 700], 1, 8),
        // Every way of filling up vectors of 4, 8 and 16 lanes, in keys and in values.
        ((0..36).map(|n| n * (n + 1) / 2).collect(), 1, 17),
        (vec![0, 97, 289], 2, 33),
    ] {
        let tokens = *starts.last().unwrap() as usize;
        let qkv = noise(tokens * 3 * heads * width, 1);
        let layout = CpuAttentionLayout { starts: &starts, heads, width };
        let (out, lse) = attention::forward(&qkv, layout);
        let (want, want_lse) = plain_attention(&qkv, &starts, heads, width);
        close("attention", &out, &want, 2e-6);
        close("log-sum-exp", &lse, &want_lse, 2e-6);
    }
}

#[test]
fn keys_that_fill_up_vectors_take_no_part() {
    // All scores are about -400: beside them, a key of zeros would be all that counts.
    for tokens in [1, 5, 17, 31] {
        let mut qkv = noise(tokens * 3 * 4, 5);
        for row in qkv.chunks_exact_mut(12) {
            row[..4].iter_mut().for_each(|q| *q = 10.0 + 0.01 * *q);
            row[4..8].iter_mut().for_each(|k| *k = -20.0 - 0.01 * *k);
        }
        let starts = [0, tokens as u32];
        let (out, lse) = attention::forward(&qkv, CpuAttentionLayout { starts: &starts, heads: 1, width: 4 });
        let (want, want_lse) = plain_attention(&qkv, &starts, 1, 4);
        close("out", &out, &want, 1e-3);
        close("log-sum-exp", &lse, &want_lse, 1e-6);
    }
}

#[test]
fn attention_backward_is_the_slope() {
    for (starts, heads, width) in [(vec![0u32, 3, 4, 11], 2, 5), (vec![0, 300], 1, 8)] {
        let tokens = *starts.last().unwrap() as usize;
        let qkv = noise(tokens * 3 * heads * width, 2);
        let d_out = noise(tokens * heads * width, 3);
        let layout = CpuAttentionLayout { starts: &starts, heads, width };
        let (out, lse) = attention::forward(&qkv, layout);
        let gradient = attention::backward(&qkv, &out, &lse, &d_out, layout);
        check_gradient("attention", &qkv, &gradient, |qkv| dot(&attention::forward(qkv, layout).0, &d_out));
    }
}

#[test]
fn large_scores_do_not_overflow_and_nan_stays_in_its_sequence() {
    let starts = [0, 4, 9];
    let layout = CpuAttentionLayout { starts: &starts, heads: 2, width: 3 };
    let mut qkv: Vec<f32> = noise(9 * 18, 4).iter().map(|x| 60.0 * x).collect();
    assert!(attention::forward(&qkv, layout).0.iter().all(|x| x.is_finite()));
    qkv[7 * 18 + 6] = f32::NAN;
    let (out, _) = attention::forward(&qkv, layout);
    assert!(out[..4 * 6].iter().all(|x| x.is_finite()));
    assert!(
        (4..9).all(|t| out[t * 6].is_nan() && out[t * 6 + 5].is_finite()),
        "the head with the NaN, all queries"
    );
}

#[test]
fn layer_norm_of_chosen_rows() {
    for (dim, rows) in [(1, None), (5, Some(vec![0, 2, 3])), (96, None), (257, Some(vec![1, 4]))] {
        let x = noise(5 * dim, 5);
        let (w, b) = (noise(dim, 6), noise(dim, 7));
        let rows: Option<&[i32]> = rows.as_deref();
        let (y, stats) = layer_norm::forward(&x, rows, &w, &b, 0.05);
        let mut want = Vec::new();
        for row in rows.map_or_else(|| (0..5).collect(), <[i32]>::to_vec) {
            let x: Vec<f64> = x[row as usize * dim..][..dim].iter().map(|x| f64::from(*x)).collect();
            let mean = x.iter().sum::<f64>() / dim as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / dim as f64;
            let normed = |j: usize| (x[j] - mean) / (variance + 0.05).sqrt();
            want.extend((0..dim).map(|j| normed(j) * f64::from(w[j]) + f64::from(b[j])));
        }
        close("layer norm", &y, &want, 3e-6);
        if dim == 1 {
            continue; // one value is always its own mean
        }
        let dy = noise(y.len(), 8);
        let past = noise(x.len(), 9);
        let g = layer_norm::backward(&x, rows, &w, &stats, &dy, Some(past.clone()));
        let run = |x: &[f32], w: &[f32], b: &[f32]| dot(&layer_norm::forward(x, rows, w, b, 0.05).0, &dy);
        check_gradient("layer norm x", &x, &g.x, |x| run(x, &w, &b) + dot(x, &past));
        check_gradient("layer norm weight", &w, &g.weight, |w| run(&x, w, &b));
        check_gradient("layer norm bias", &b, &g.bias, |b| run(&x, &w, b));
    }
}

#[test]
fn rows_of_length_one_and_their_slopes() {
    for (rows, dim) in [(1, 2), (5, 7), (33, 96), (3, 257)] {
        let (x, gain, dy) = (noise(rows * dim, 5), noise(rows, 6), noise(rows * dim, 7));
        for gain in [None, Some(gain.as_slice())] {
            let (y, inverse) = l2_norm::forward(&x, gain, dim, 1e-12);
            let mut want = Vec::new();
            for (i, row) in x.chunks(dim).enumerate() {
                let scale = gain.map_or(1.0, |gain| f64::from(gain[i])) / dot(row, row).sqrt();
                want.extend(row.iter().map(|x| scale * f64::from(*x)));
            }
            close("l2 norm", &y, &want, 3e-6);
            let (dx, d_gain) = l2_norm::backward(&x, gain, &inverse, &dy, 1e-12);
            let run = |x: &[f32], gain: Option<&[f32]>| dot(&l2_norm::forward(x, gain, dim, 1e-12).0, &dy);
            check_gradient("l2 norm x", &x, &dx, |x| run(x, gain));
            if let Some(gain) = gain {
                check_gradient("l2 norm gain", gain, &d_gain, |gain| run(&x, Some(gain)));
            }
        }
    }
    // No longer than the floor: scaled, and nothing that is not finite.
    let (y, inverse) = l2_norm::forward(&[0.0, 0.0, 0.03, 0.04], None, 2, 0.5);
    assert_eq!((y[1], inverse[0]), (0.0, 2.0));
    let (dx, _) = l2_norm::backward(&[0.0, 0.0, 0.03, 0.04], None, &inverse, &[1.0, -1.0, 1.0, 2.0], 0.5);
    assert_eq!(dx, [2.0, -2.0, 2.0, 4.0]);
}

#[test]
fn activations_and_their_slopes() {
    for width in [1, 7, 96] {
        let (hidden, bias) = (noise(9 * width, 10), noise(width, 11));
        let hidden: Vec<f32> = hidden.iter().map(|h| 3.0 * h).collect();
        let gradient = noise(9 * width, 12);
        let back = activation::gelu_backward(&hidden, &bias, &gradient);
        assert_eq!(back.activation, activation::gelu(&hidden, &bias));
        check_gradient("gelu", &hidden, &back.hidden, |h| dot(&activation::gelu(h, &bias), &gradient));
        check_gradient("gelu bias", &bias, &back.bias, |b| dot(&activation::gelu(&hidden, b), &gradient));

        let (hidden, bias) = (noise(9 * 2 * width, 13), noise(2 * width, 14));
        let back = activation::swiglu_backward(&hidden, &bias, &gradient);
        let forward = activation::swiglu(&hidden, &bias);
        assert!(back.activation.iter().zip(&forward).all(|(a, b)| (a - b).abs() < 1e-6));
        check_gradient("swiglu", &hidden, &back.hidden, |h| dot(&activation::swiglu(h, &bias), &gradient));
        check_gradient("swiglu bias", &bias, &back.bias, |b| dot(&activation::swiglu(&hidden, b), &gradient));
    }
    for (x, want) in [(-2.0, -0.0455), (-1.0, -0.1587), (0.5, 0.3457), (1.0, 0.8413)] {
        assert!((activation::gelu(&[x], &[0.0])[0] - want).abs() < 5e-5, "gelu({x})");
    }
}

#[test]
fn residual_touches_only_kept_rows() {
    let (x, branch) = (noise(4 * 3, 15), noise(2 * 3, 16));
    let (bias, gamma) = (noise(3, 17), noise(3, 18));
    let kept = CpuResidualRows { rows: &[0, 2], scale: &[2.0, 0.5] };
    let out = residual::forward(x.clone(), Some(kept), &branch, Some(&bias), Some(&gamma), 3);
    for (i, got) in out.iter().enumerate() {
        let (row, j) = (i / 3, i % 3);
        let add = match row {
            0 => 2.0 * gamma[j] * (branch[j] + bias[j]),
            2 => 0.5 * gamma[j] * (branch[3 + j] + bias[j]),
            _ => 0.0,
        };
        assert!((got - x[i] - add).abs() < 1e-6);
    }
    let gathered = residual::gather_scaled(&x, kept, 3);
    assert_eq!(gathered, [2.0 * x[0], 2.0 * x[1], 2.0 * x[2], 0.5 * x[6], 0.5 * x[7], 0.5 * x[8]]);
}

#[test]
fn gradients_of_a_scaled_layer() {
    let (a, w, b, gamma) = (noise(4 * 3, 19), noise(2 * 3, 20), noise(2, 21), noise(2, 22));
    let d = noise(4 * 2, 23);
    let run = |w: &[f32], b: &[f32], gamma: &[f32]| -> f64 {
        let value =
            |i: usize, j: usize| gamma[j] * ((0..3).map(|k| a[i * 3 + k] * w[j * 3 + k]).sum::<f32>() + b[j]);
        (0..8).map(|i| f64::from(value(i / 2, i % 2)) * f64::from(d[i])).sum()
    };
    let dw = (0..6).map(|i| (0..4).map(|r| d[r * 2 + i / 3] * a[r * 3 + i % 3]).sum()).collect();
    let db = (0..2).map(|j| (0..4).map(|r| d[r * 2 + j]).sum()).collect();
    let g = residual::weight_gradients(dw, db, &w, &b, &gamma);
    check_gradient("weight", &w, &g.weight, |w| run(w, &b, &gamma));
    check_gradient("bias", &b, &g.bias, |b| run(&w, b, &gamma));
    check_gradient("gamma", &gamma, &g.gamma, |gamma| run(&w, &b, gamma));
}

#[test]
fn cross_entropy_and_its_slopes() {
    for k in [1, 5, 130] {
        let (z, directions) = (noise(6 * 4, 24), noise(k * 4, 25));
        let mut targets: Vec<f32> = noise(3 * k, 26).iter().map(|t| t.abs()).collect();
        for row in targets.chunks_exact_mut(k) {
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|t| *t /= sum);
        }
        targets[2 * k..].fill(0.0); // padding
        let (first, second) = ([0, 1, 2, -1, 1, 0], [1, -1, -1, -1, 0, 1]);
        let base = CpuCrossEntropyInputs {
            z: &z,
            directions: &directions,
            targets: &targets,
            first: &first,
            second: &second,
            bottleneck: 4,
            temperature: 0.3,
        };
        let got = cross_entropy::forward(&base);
        for row in 0..6 {
            let logit = |j: usize| dot(&z[row * 4..row * 4 + 4], &directions[j * 4..j * 4 + 4]) / 0.3;
            let lse = (0..k).map(|j| logit(j).exp()).sum::<f64>().ln();
            let mut loss = 0.0;
            for t in [first[row], second[row]].into_iter().filter(|t| *t >= 0) {
                loss +=
                    (0..k).map(|j| f64::from(targets[t as usize * k + j]) * (lse - logit(j))).sum::<f64>();
            }
            let entropy: f64 = (0..k).map(|j| (logit(j) - lse).exp() * (lse - logit(j))).sum();
            assert!((f64::from(got.loss[row]) - loss).abs() < 1e-4, "row {row} of K {k}");
            assert!(
                (f64::from(got.lse[row]) - lse).abs() < 1e-5
                    && (f64::from(got.entropy[row]) - entropy).abs() < 1e-4
            );
        }
        let d_loss = noise(6, 27);
        let (dz, dd) = cross_entropy::backward(&base, &got.lse, &d_loss);
        let run = |z: &[f32], d: &[f32]| {
            dot(&cross_entropy::forward(&CpuCrossEntropyInputs { z, directions: d, ..base }).loss, &d_loss)
        };
        check_gradient("z", &z, &dz, |z| run(z, &directions));
        check_gradient("directions", &directions, &dd, |d| run(&z, d));
    }
}

#[test]
fn cross_entropy_over_very_many_prototypes_comes_in_chunks() {
    let (k, rows) = (131_072, 70); // 32 rows of logits at a time
    let (z, directions) = (noise(rows * 2, 40), noise(k * 2, 41));
    let mut targets = vec![0.0f32; k];
    targets[77] = 0.75;
    targets[k - 1] = 0.25;
    let (first, second) = (vec![0; rows], vec![-1; rows]);
    let inputs = CpuCrossEntropyInputs {
        z: &z,
        directions: &directions,
        targets: &targets,
        first: &first,
        second: &second,
        bottleneck: 2,
        temperature: 0.1,
    };
    let got = cross_entropy::forward(&inputs);
    let (dz, dd) = cross_entropy::backward(&inputs, &got.lse, &vec![1.0; rows]);
    let row = |matrix: &[f32], i: usize| [0, 1].map(|j| f64::from(matrix[2 * i + j]));
    let mut of_77 = [0.0; 2];
    for i in 0..rows {
        let at = row(&z, i);
        let logit = |j: usize| row(&directions, j).iter().zip(at).map(|(d, z)| d * z).sum::<f64>() / 0.1;
        let mass: f64 = (0..k).map(|j| logit(j).exp()).sum();
        let loss = mass.ln() - 0.75 * logit(77) - 0.25 * logit(k - 1);
        assert!((f64::from(got.loss[i]) - loss).abs() < 1e-4 * loss, "row {i}");
        let slope = |j: usize| (logit(j).exp() / mass - f64::from(targets[j])) / 0.1;
        for axis in 0..2 {
            of_77[axis] += slope(77) * at[axis];
            let want: f64 = (0..k).map(|j| slope(j) * row(&directions, j)[axis]).sum();
            assert!((row(&dz, i)[axis] - want).abs() < 1e-3, "row {i}: {} is not {want}", row(&dz, i)[axis]);
        }
    }
    let got = row(&dd, 77);
    assert!((0..2).all(|axis| (got[axis] - of_77[axis]).abs() < 1e-3), "{got:?} is not {of_77:?}");
}

#[test]
fn sinkhorn_is_the_published_one() {
    let logits = [0.10, 0.0, -0.10, 0.20, 0.10, 0.0, 0.30, -0.20, 0.05, 0.0, 0.0, 0.0];
    let want = [
        0.203183, 0.610643, 0.186174, 0.203183, 0.610643, 0.186174, 0.791981, 0.000108, 0.207911, 0.005760,
        0.210902, 0.783337,
    ];
    close("sinkhorn", &sinkhorn::sinkhorn(&logits, &[1.0; 4], 0.04, 3), &want, 3e-6);
    let mut padded = logits.to_vec();
    padded.extend([9.0, 8.0, 7.0]);
    let got = sinkhorn::sinkhorn(&padded, &[1.0, 1.0, 1.0, 1.0, 0.0], 0.04, 3);
    assert!(got[12..].iter().all(|x| *x == 0.0));
    let centred = sinkhorn::softmax_center(&[0.3, 0.1, 0.2], &[0.1, 0.1, 0.1], 0.1);
    let total = 2f64.exp() + 1.0 + 1f64.exp();
    close("centering", &centred, &[2f64.exp() / total, 1.0 / total, 1f64.exp() / total], 1e-6);
}

#[test]
fn distances_of_neighbours_and_their_slopes() {
    for (views, per_view, dim) in [(1, 1, 3), (2, 5, 7), (1, 33, 96)] {
        let mut y = noise(views * per_view * dim, 31);
        for row in y.chunks_mut(dim) {
            let size = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter_mut().for_each(|v| *v /= size);
        }
        let near = nearest_in_views(&y, per_view, dim);
        assert!(near.iter().enumerate().all(|(row, near)| row / per_view == *near as usize / per_view));
        // Far enough from 0 that a difference is a slope, also where a row is its own neighbour.
        let far = distances(&y, &near, dim, 0.3);
        let d = noise(far.len(), 32);
        let dy = distances_backward(&y, &near, &far, &d, dim, 0.3);
        check_gradient("distance", &y, &dy, |y| dot(&distances(y, &near, dim, 0.3), &d));
    }
}

#[test]
fn neighbours_exclude_the_row_itself() {
    let x = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8, -1.0, 0.0];
    assert_eq!(nearest(&x, 2), [2, 2, 1, 1]);
    assert_eq!(nearest(&[1.0, 0.0], 2), [0]);
    assert_eq!(nearest(&[f32::NAN, 0.0, 1.0, 0.0], 2), [0, 1].map(|i: i32| i)); // nothing wins; and nothing breaks
}

#[test]
fn adamw_is_the_formula() {
    let len = 20_000;
    let (mut p, mut m, mut v, mut t) = (noise(len, 28), noise(len, 29), noise(len, 30), noise(len, 31));
    v.iter_mut().for_each(|v| *v = v.abs());
    let g = noise(len, 32);
    let before = (p[777], m[777], v[777], t[777]);
    let rates = adamw::CpuAdamWParams {
        step: 0.01,
        keep: 0.999,
        gradient: 0.5,
        beta1: [0.9, 0.1],
        beta2: [0.999, 0.001],
        correction: 2.0,
        eps: 1e-8,
        momentum: [0.99, 0.01],
    };
    let norm = adamw::squared_norm(&g);
    assert!((norm - dot(&g, &g)).abs() < 1e-6 * norm);
    let parameter = adamw::AdamWParamSlices {
        value: &mut p,
        first: &mut m,
        second: &mut v,
        teacher: &mut t,
        gradient: Some(&g),
    };
    adamw::update(parameter, rates);
    let g = 0.5 * g[777];
    let first = 0.9 * before.1 + 0.1 * g;
    let second = 0.999 * before.2 + 0.001 * g * g;
    let value = before.0 * 0.999 - 0.01 * first / (second.sqrt() * 2.0 + 1e-8);
    let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{a} is not {b}");
    near(m[777], first);
    near(v[777], second);
    near(p[777], value);
    near(t[777], 0.99 * before.3 + 0.01 * value);
}

#[test]
#[should_panic(expected = "attention over")]
fn tokens_before_the_first_sequence_are_refused() {
    attention::forward(&noise(5 * 3 * 4, 1), CpuAttentionLayout { starts: &[2, 5], heads: 1, width: 4 });
}

#[test]
fn nothing_that_was_not_written_is_given_out() {
    // Half a row more than there are biases for.
    assert_eq!(activation::gelu(&noise(3 * 8 + 4, 2), &noise(8, 3)).len(), 3 * 8);
    let (logits, weights) = (noise(4 * 6, 4), [1.0; 4]);
    let once = sinkhorn::sinkhorn(&logits, &weights, 0.1, 1);
    assert_eq!(sinkhorn::sinkhorn(&logits, &weights, 0.1, 0), once);
}
