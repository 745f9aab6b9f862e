//! Fused attention on the GPU against attention written out in f64.

use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::server::Handle;
use dinoscope_shaders::ShaderError;
use dinoscope_shaders::attention::gpu::{
    AttentionSpec, PackedSequences, backward, bytes_needed, forward, rows,
};

use crate::adapter::client;
use crate::noise::noise;

const F32: ElemType = ElemType::Float(FloatKind::F32);
const F16: ElemType = ElemType::Float(FloatKind::F16);

const FORWARD: f64 = 2e-5;
const BACKWARD: f64 = 1e-4;

fn upload(client: &Client, values: &[f32]) -> Handle {
    client.create_from_slice(bytemuck::cast_slice(values))
}

fn download(client: &Client, handle: &Handle, count: usize) -> Vec<f32> {
    let bytes = client.read_one(handle.clone()).unwrap();
    bytes.chunks_exact(4).take(count).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Attention written out: what every pass should give.
struct Reference {
    out: Vec<f64>,
    lse: Vec<f64>,
    d_qkv: Vec<f64>,
    /// For each query and head the probabilities over its sequence.
    rows: Vec<Vec<f64>>,
}

fn reference(qkv: &[f32], d_out: &[f32], lengths: &[usize], heads: usize, width: usize) -> Reference {
    let tokens: usize = lengths.iter().sum();
    let scale = 1.0 / (width as f64).sqrt();
    let at = |t: usize, part: usize, h: usize| ((t * 3 + part) * heads + h) * width;
    let x = |i: usize| f64::from(qkv[i]);
    let mut r = Reference {
        out: vec![0.0; tokens * heads * width],
        lse: vec![0.0; tokens * heads],
        d_qkv: vec![0.0; tokens * 3 * heads * width],
        rows: vec![Vec::new(); tokens * heads],
    };
    let mut begin = 0;
    for length in lengths {
        let keys = begin..begin + length;
        for h in 0..heads {
            for q in keys.clone() {
                let scores: Vec<f64> = keys
                    .clone()
                    .map(|k| (0..width).map(|d| x(at(q, 0, h) + d) * x(at(k, 1, h) + d)).sum::<f64>() * scale)
                    .collect();
                let top = scores.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - top).exp()).sum();
                let p: Vec<f64> = scores.iter().map(|s| (s - top).exp() / sum).collect();
                let o = (q * heads + h) * width;
                r.lse[q * heads + h] = top + sum.ln();
                for (k, p) in keys.clone().zip(&p) {
                    for d in 0..width {
                        r.out[o + d] += p * x(at(k, 2, h) + d);
                    }
                }
                let dp: Vec<f64> = keys
                    .clone()
                    .map(|k| (0..width).map(|d| f64::from(d_out[o + d]) * x(at(k, 2, h) + d)).sum())
                    .collect();
                let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                for (i, k) in keys.clone().enumerate() {
                    let ds = p[i] * (dp[i] - mean) * scale;
                    for d in 0..width {
                        r.d_qkv[at(q, 0, h) + d] += ds * x(at(k, 1, h) + d);
                        r.d_qkv[at(k, 1, h) + d] += ds * x(at(q, 0, h) + d);
                        r.d_qkv[at(k, 2, h) + d] += p[i] * f64::from(d_out[o + d]);
                    }
                }
                r.rows[q * heads + h] = p;
            }
        }
        begin += length;
    }
    r
}

/// The largest difference relative to the largest expected value; NaN counts as infinitely wrong.
fn error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let top = want.iter().fold(f64::MIN_POSITIVE, |top, v| top.max(v.abs()));
    got.iter().zip(want).fold(0.0, |worst, (g, w)| {
        let off = (f64::from(*g) - w).abs() / top;
        if off > worst || off.is_nan() { if off.is_nan() { f64::INFINITY } else { off } } else { worst }
    })
}

/// Forward and backward of one layout; the errors of out, lse and the three gradients together.
fn run(
    client: &Client,
    qkv: &[f32],
    d_out: &[f32],
    lengths: &[usize],
    spec: &AttentionSpec,
) -> [Vec<f32>; 3] {
    let packed = PackedSequences::from_lengths(client, lengths).unwrap();
    let rows = packed.tokens() * spec.heads;
    let (qkv, d_out) = (upload(client, qkv), upload(client, d_out));
    let (out, lse) = forward(client, &qkv, &packed, spec).unwrap();
    let d_qkv = backward(client, &qkv, &out, &lse, &d_out, &packed, spec).unwrap();
    [
        download(client, &out, rows * spec.width),
        download(client, &lse, rows),
        download(client, &d_qkv, rows * 3 * spec.width),
    ]
}

fn figures(errors: &[f64]) -> String {
    errors.iter().map(|e| format!("{e:.1e}")).collect::<Vec<_>>().join(" ")
}

fn compare(client: &Client, qkv: &[f32], d_out: &[f32], lengths: &[usize], spec: &AttentionSpec) {
    let [out, lse, d_qkv] = run(client, qkv, d_out, lengths, spec);
    let want = reference(qkv, d_out, lengths, spec.heads, spec.width);
    let errors = [error(&out, &want.out), error(&lse, &want.lse), error(&d_qkv, &want.d_qkv)];
    let case = format!("lengths {lengths:?}, {spec:?}: out, lse, d_qkv off by {}", figures(&errors));
    println!("{case}");
    assert!(errors[0] <= FORWARD && errors[1] <= FORWARD && errors[2] <= BACKWARD, "{case}");
}

fn compare_noise(client: &Client, lengths: &[usize], spec: &AttentionSpec) {
    let rows = lengths.iter().sum::<usize>() * spec.heads;
    compare(client, &noise(rows * 3 * spec.width, 5), &noise(rows * spec.width, 9), lengths, spec);
}

const MIXES: [&[usize]; 6] = [&[1], &[1, 1, 1], &[2, 37, 5], &[145, 37], &[65, 64, 63], &[3, 0, 33, 0]];

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn both_passes_equal_attention_written_out() {
    let client = client();
    for width in [5, 16, 24, 64] {
        // Heads are no part of a program.
        for heads in [1, 3] {
            for lengths in MIXES {
                compare_noise(&client, lengths, &AttentionSpec::new(heads, width, F32));
            }
        }
    }
}

/// Every choice of tiles: wide heads take smaller ones, more workgroup memory allows larger ones.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn other_widths_and_tiles() {
    let client = client();
    for width in [80, 128, 160] {
        compare_noise(&client, &[37, 2, 34], &AttentionSpec::new(2, width, F32));
    }
    let shared = client.properties().hardware.max_shared_memory_size;
    for bytes in [8 * 1024, 32 * 1024] {
        if bytes <= shared {
            compare_noise(
                &client,
                &[2, 67, 33],
                &AttentionSpec { shared_bytes: bytes, ..AttentionSpec::new(2, 64, F32) },
            );
        }
    }
}

/// Scores of thousands: without a running maximum, exp would overflow. Whole numbers keep the products exact.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn high_scores_stay_finite() {
    let client = client();
    let lengths = [70, 3];
    let qkv: Vec<f32> = noise(73 * 3 * 64, 2).iter().map(|v| (v * 16.0).round()).collect();
    let d_out = noise(73 * 64, 3);
    let want = reference(&qkv, &d_out, &lengths, 1, 64);
    assert!(want.lse.iter().any(|v| *v > 500.0));
    compare(&client, &qkv, &d_out, &lengths, &AttentionSpec::new(1, 64, F32));
    // All scores far below zero: the highest is still found.
    let mut low = vec![0.0f32; 73 * 3 * 64];
    for token in low.chunks_exact_mut(3 * 64) {
        token[..64].fill(32.0);
        token[64..128].fill(-32.0);
        token[128..].copy_from_slice(&noise(64, 4));
    }
    compare(&client, &low, &d_out, &lengths, &AttentionSpec::new(1, 64, F32));
}

/// The gradient along itself, in queries, keys and values, against differences of the forward pass.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn gradients_are_those_of_the_forward_pass() {
    let client = client();
    let (lengths, spec) = ([19, 6], AttentionSpec::new(2, 24, F32));
    let rows = 25 * spec.heads;
    let (qkv, weights) = (noise(rows * 3 * spec.width, 21), noise(rows * spec.width, 22));
    let [_, _, gradient] = run(&client, &qkv, &weights, &lengths, &spec);
    let packed = PackedSequences::from_lengths(&client, &lengths).unwrap();
    let loss = |qkv: &[f32]| -> f64 {
        let (out, _) = forward(&client, &upload(&client, qkv), &packed, &spec).unwrap();
        let out = download(&client, &out, rows * spec.width);
        out.iter().zip(&weights).map(|(o, w)| f64::from(*o) * f64::from(*w)).sum()
    };
    let part_of = |i: usize| i / (spec.heads * spec.width) % 3;
    for part in 0..3 {
        let slope: Vec<f32> =
            gradient.iter().enumerate().map(|(i, g)| if part_of(i) == part { *g } else { 0.0 }).collect();
        let norm = slope.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let step = 0.03 / norm;
        let moved = |sign: f64| -> Vec<f32> {
            qkv.iter()
                .zip(&slope)
                .map(|(x, g)| (f64::from(*x) + sign * step * f64::from(*g)) as f32)
                .collect()
        };
        let difference = (loss(&moved(1.0)) - loss(&moved(-1.0))) / (2.0 * step) / norm;
        println!("part {part}: difference {difference}, gradient {norm}");
        assert!(norm > 0.5 && (difference / norm - 1.0).abs() < 2e-3, "part {part}: {difference}, {norm}");
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// NaN in one head of one sequence comes out there and changes no bit of anything else.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn nan_stays_in_its_sequence_and_head() {
    let client = client();
    let (lengths, heads, width) = ([5, 40, 7], 2, 16);
    let spec = AttentionSpec::new(heads, width, F32);
    let tokens = 52;
    let (qkv, d_out) = (noise(tokens * 3 * heads * width, 1), noise(tokens * heads * width, 2));
    let clean = run(&client, &qkv, &d_out, &lengths, &spec);
    // First and last token of the middle sequence: next to what belongs to others.
    for token in [5, 44] {
        for part in 0..3 {
            let mut bad = qkv.clone();
            bad[((token * 3 + part) * heads + 1) * width + 3] = f32::NAN;
            let dirty = run(&client, &bad, &d_out, &lengths, &spec);
            for (which, (dirty, clean)) in dirty.iter().zip(&clean).enumerate() {
                assert_eq!(dirty.len(), clean.len());
                let inner = [width, 1, width][which];
                for (i, (d, c)) in dirty.iter().zip(clean).enumerate() {
                    let head = i / inner % heads;
                    let token = i / (inner * heads * [1, 1, 3][which]);
                    if head != 1 || !(5..45).contains(&token) {
                        assert_eq!(d.to_bits(), c.to_bits(), "part {part}: leaked to tensor {which} at {i}");
                    }
                }
            }
            // A bad key spoils every query, a bad query its own row, a bad value one column.
            let out = |t: usize, d: usize| dirty[0][(t * heads + 1) * width + d].is_nan();
            for t in 5..45 {
                for d in 0..width {
                    assert_eq!(out(t, d), [t == token, true, d == 3][part], "part {part}, out {t} {d}");
                }
            }
            assert!(
                (5..45).any(|t| dirty[2][((t * 3) * heads + 1) * width].is_nan()),
                "part {part}: no NaN in dQ"
            );
        }
    }
}

/// Outputs lie in recycled memory full of NaN; two runs give the same bits.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn outputs_are_written_whole_and_the_same_each_time() {
    let client = client();
    let (lengths, spec) = ([33, 1, 70], AttentionSpec::new(3, 24, F32));
    let rows = 104 * 3;
    let (qkv, d_out) = (noise(rows * 3 * 24, 1), noise(rows * 24, 2));
    let spoil = || {
        let sizes = [rows * 24, rows, rows * 3 * 24, rows];
        let held: Vec<Handle> = sizes
            .iter()
            .flat_map(|n| (0..4).map(|_| upload(&client, &vec![f32::NAN; *n])).collect::<Vec<_>>())
            .collect();
        client.flush().unwrap();
        drop(held);
    };
    spoil();
    // The premise: new buffers are old ones.
    let probe = client.empty(rows * 3 * 24 * 4);
    assert!(download(&client, &probe, rows * 3 * 24).iter().any(|v| v.is_nan()), "memory was not recycled");
    drop(probe);
    let first = run(&client, &qkv, &d_out, &lengths, &spec);
    assert!(first.iter().flatten().all(|v| v.is_finite()));
    spoil();
    let second = run(&client, &qkv, &d_out, &lengths, &spec);
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(bits(a), bits(b));
    }
    compare(&client, &qkv, &d_out, &lengths, &spec);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn rows_are_probabilities_of_chosen_queries() {
    let client = client();
    let lengths = [37, 0, 2, 70];
    let queries = [0u32, 36, 37, 38, 39, 108, 50];
    let start = |query: u32| {
        if query < 37 {
            (0, 37)
        } else if query < 39 {
            (37, 2)
        } else {
            (39, 70)
        }
    };
    for (heads, width) in [(1, 5), (3, 64)] {
        let spec = AttentionSpec::new(heads, width, F32);
        let (qkv, d_out) = (noise(109 * 3 * heads * width, 8), noise(109 * heads * width, 1));
        let want = reference(&qkv, &d_out, &lengths, heads, width);
        let packed = PackedSequences::from_lengths(&client, &lengths).unwrap();
        assert_eq!(packed.longest(), 70);
        let handle = upload(&client, &qkv);
        let count = queries.len() * heads * 70;
        drop(upload(&client, &vec![f32::NAN; count]));
        let got = rows(&client, &handle, &packed, &spec, &queries).unwrap();
        let got = download(&client, &got, count);
        let mut all = Vec::new();
        for query in queries {
            for h in 0..heads {
                let row = &want.rows[query as usize * heads + h];
                assert_eq!(row.len(), start(query).1);
                all.extend(row.iter().copied().chain(std::iter::repeat(0.0)).take(70));
            }
        }
        let off = error(&got, &all);
        println!("rows of {heads} x {width}: off by {off:.1e}");
        assert!(off <= FORWARD);
        let beyond = rows(&client, &handle, &packed, &spec, &[109]);
        assert!(matches!(beyond, Err(ShaderError::Length { found: 109, expected: 109, .. })), "{beyond:?}");
        assert!(rows(&client, &handle, &packed, &spec, &[]).is_ok());
    }
}

/// More sequences than one row of workgroups: each token sees itself alone.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn work_wraps_into_rows_of_workgroups() {
    let client = client();
    let (tokens, width) = (65_537 + 3, 4);
    let packed = PackedSequences::from_lengths(&client, &vec![1; tokens]).unwrap();
    let qkv = noise(tokens * 3 * width, 6);
    let (out, lse) =
        forward(&client, &upload(&client, &qkv), &packed, &AttentionSpec::new(1, width, F32)).unwrap();
    let (out, lse) = (download(&client, &out, tokens * width), download(&client, &lse, tokens));
    for (t, token) in qkv.chunks_exact(3 * width).enumerate() {
        let score: f32 = (0..width).map(|d| token[d] * token[width + d]).sum::<f32>() / 2.0;
        assert!((lse[t] - score).abs() < 1e-4, "token {t}: {} for {score}", lse[t]);
        assert_eq!(out[t * width..][..width], token[2 * width..], "token {t}");
    }
}

/// Half precision as bits, for numbers that it holds exactly.
fn to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value == 0.0 {
        return 0;
    }
    let exponent = (bits >> 23 & 0xff) as i32 - 127 + 15;
    assert!((1..31).contains(&exponent) && bits & 0x1fff == 0, "{value} is not a normal half");
    (bits >> 16 & 0x8000) as u16 | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16
}

fn from_f16(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f32::from(bits & 0x3ff);
    match bits >> 10 & 31 {
        0 => sign * fraction * 2f32.powi(-24),
        31 => f32::NAN,
        exponent => sign * (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn half_precision_storage_sums_in_single() {
    let client = client();
    if !client.properties().supports_type(F16) {
        println!("skipped: the adapter has no f16");
        let packed = PackedSequences::from_lengths(&client, &[2]).unwrap();
        let refused = forward(&client, &upload(&client, &[0.0; 24]), &packed, &AttentionSpec::new(1, 8, F16));
        assert!(matches!(refused, Err(ShaderError::Unsupported { .. })));
        return;
    }
    for width in [5, 64] {
        let (lengths, spec) = ([2, 67], AttentionSpec::new(2, width, F16));
        let rows = 69 * 2;
        let grid = |count, seed| -> Vec<f32> {
            noise(count, seed).iter().map(|v| (v * 64.0).round() / 64.0).collect()
        };
        let (qkv, d_out) = (grid(rows * 3 * width, 3), grid(rows * width, 4));
        let send = |values: &[f32]| {
            let halves: Vec<u16> = values.iter().map(|v| to_f16(*v)).collect();
            client.create_from_slice(bytemuck::cast_slice(&halves))
        };
        let receive = |handle: &Handle, count: usize| -> Vec<f32> {
            let bytes = client.read_one(handle.clone()).unwrap();
            bytes.chunks_exact(2).take(count).map(|b| from_f16(u16::from_le_bytes([b[0], b[1]]))).collect()
        };
        let packed = PackedSequences::from_lengths(&client, &lengths).unwrap();
        let (x, g) = (send(&qkv), send(&d_out));
        let (out, lse) = forward(&client, &x, &packed, &spec).unwrap();
        let d_qkv = backward(&client, &x, &out, &lse, &g, &packed, &spec).unwrap();
        let want = reference(&qkv, &d_out, &lengths, 2, width);
        let errors = [
            error(&receive(&out, rows * width), &want.out),
            error(&download(&client, &lse, rows), &want.lse),
            error(&receive(&d_qkv, rows * 3 * width), &want.d_qkv),
        ];
        println!("f16, width {width}: out, lse, d_qkv off by {}", figures(&errors));
        // Half a unit in the last place of what is stored, and D from an `out` that was rounded so.
        assert!(errors[0] <= 5e-4 && errors[1] <= FORWARD && errors[2] <= 2e-3, "{errors:?}");
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn refuses_what_it_cannot_do() {
    let client = client();
    let packed = PackedSequences::from_lengths(&client, &[4]).unwrap();
    let short = forward(&client, &upload(&client, &[0.0; 95]), &packed, &AttentionSpec::new(1, 8, F32));
    assert!(
        matches!(short, Err(ShaderError::Length { what: "qkv", found: 95, expected: 96, .. })),
        "{short:?}"
    );
    let wide =
        forward(&client, &upload(&client, &[0.0; 4 * 3 * 512]), &packed, &AttentionSpec::new(1, 512, F32));
    let double = AttentionSpec {
        shared_bytes: usize::MAX,
        ..AttentionSpec::new(1, 8, ElemType::Float(FloatKind::F64))
    };
    assert!(forward(&client, &upload(&client, &[0.0; 192]), &packed, &double).is_err());
    assert!(matches!(wide, Err(ShaderError::Unsupported { .. })), "{wide:?}");
    assert!(PackedSequences::new(&client, &[0, 3, 2]).is_err());
    assert!(PackedSequences::new(&client, &[1, 3]).is_err());
    assert!(PackedSequences::new(&client, &[]).is_err());
    // No tokens: nothing to do, and nothing to fail.
    let none = PackedSequences::from_lengths(&client, &[]).unwrap();
    assert!(forward(&client, &upload(&client, &[0.0]), &none, &AttentionSpec::new(1, 8, F32)).is_ok());
    let bytes = bytes_needed(1000, 10, 6);
    assert_eq!((bytes.kept, bytes.scratch), (24_000, 24_000));
}
