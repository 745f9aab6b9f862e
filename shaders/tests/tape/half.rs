use cubecl::ir::FloatKind;
use dinoscope_shaders::activation::gpu::{self as activation, FfnActivation};
use dinoscope_shaders::layer_norm::gpu::{self as layer_norm, SkipGradient};
use dinoscope_shaders::{launch, residual::gpu as residual};

use super::*;

/// Bits of the mantissa of a 16-bit type; f16 has a narrower exponent than bf16, whose bits are the upper half of f32's.
#[derive(Clone, Copy)]
struct Half {
    elem: ElemType,
    mantissa: u32,
}

const TYPES: [Half; 2] = [
    Half { elem: ElemType::Float(FloatKind::F16), mantissa: 10 },
    Half { elem: ElemType::Float(FloatKind::BF16), mantissa: 7 },
];

impl Half {
    /// `values` must be exact in this type, and 0 or normal.
    fn upload(self, client: &Client, values: &[f32]) -> Handle {
        let pack = |v: &f32| -> u16 {
            let bits = v.to_bits();
            assert_eq!(bits & ((1 << (23 - self.mantissa)) - 1), 0, "{v} is not exact");
            if self.mantissa == 7 || *v == 0.0 {
                return (bits >> 16) as u16;
            }
            let exponent = (bits >> 23 & 0xff) - 127 + 15;
            (bits >> 16 & 0x8000 | exponent << 10 | bits >> 13 & 0x3ff) as u16
        };
        let words: Vec<u16> = values.iter().map(pack).collect();
        client.create_from_slice(bytemuck::cast_slice(&words))
    }

    fn read(self, client: &Client, handle: &Handle) -> Vec<f32> {
        let bytes = pollster::block_on(client.read_async(vec![handle.clone()])).unwrap().remove(0);
        let unpack = |bits: u16| {
            let bits = u32::from(bits);
            if self.mantissa == 7 {
                return f32::from_bits(bits << 16);
            }
            let (exponent, mantissa) = (bits >> 10 & 0x1f, (bits & 0x3ff) as f32);
            let size = if exponent == 0 {
                mantissa * 2f32.powi(-24)
            } else {
                (1.0 + mantissa / 1024.0) * 2f32.powi(exponent as i32 - 15)
            };
            if bits & 0x8000 == 0 { size } else { -size }
        };
        bytemuck::pod_collect_to_vec::<u8, u16>(&bytes).into_iter().map(unpack).collect()
    }
}

/// Noise that 16 bits hold exactly.
fn coarse(count: usize, seed: u32) -> Vec<f32> {
    noise(count, seed).iter().map(|v| (v * 32.0).round() / 32.0).collect()
}

/// What is stored in 16 bits equals what is stored in 32, rounded; sums and statistics stay in 32.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn branches_may_be_stored_in_16_bits() {
    let client = client();
    let client = &client;
    for half in TYPES {
        if !launch::supports(client, half.elem) {
            println!("skipped: this device stores no {}", half.elem);
            continue;
        }
        let rounding = 2f64.powi(-(half.mantissa as i32));
        let (tokens, dim) = (33, 20);
        let rows = some_rows(tokens, 3);
        let kept = rows.len();
        let r = indices(client, &rows.iter().map(|v| *v as i32).collect::<Vec<_>>());
        let [x, past] = [1, 2].map(|seed| floats(client, &noise(tokens * dim, seed)));
        let [weight, bias] = [3, 4].map(|seed| floats(client, &noise(dim, seed)));
        let scale = floats(client, &noise(kept, 5));
        let branch = coarse(kept * dim, 6);
        let (full, short) = (floats(client, &branch), half.upload(client, &branch));
        let outer = coarse(kept * dim, 7);
        let (full_outer, short_outer) = (floats(client, &outer), half.upload(client, &outer));
        let same = |what: &str, short: &Handle, full: &Handle| {
            close(what, &read(client, short), &wide(&read(client, full)), 1e-6);
        };
        let rounded = |what: &str, short: &Handle, full: &Handle| {
            close(what, &half.read(client, short), &wide(&read(client, full)), rounding);
        };

        let sums = |x, elem| launch::sum_columns(client, x, kept, dim, elem).unwrap();
        same("column sums", &sums(&short, half.elem), &sums(&full, F32));

        let shape = layer_norm::LayerNormShape { tokens, kept, dim };
        let norm =
            |elem| layer_norm::forward(client, &x, Some(&r), &weight, &bias, shape, 1e-6, elem).unwrap();
        let (a, b) = (norm(half.elem), norm(F32));
        rounded("y", &a.y, &b.y);
        same("statistics", &a.stats, &b.stats);
        let back = |dy, elem| {
            let past = SkipGradient::Kept(&past);
            layer_norm::backward(client, dy, &x, Some(&r), &b.stats, &weight, past, shape, elem).unwrap()
        };
        let (a, b) = (back(&short, half.elem), back(&full, F32));
        same("dx", &a.x, &b.x);
        same("dweight", &a.weight, &b.weight);
        same("dbias", &a.bias, &b.bias);

        let shape = residual::ResidualShape { tokens, kept, dim };
        let end = |branch, elem| {
            let (r, s) = (Some(&r), Some(&scale));
            residual::forward(client, &x, branch, Some(&bias), Some(&weight), r, s, shape, elem).unwrap()
        };
        same("residual", &end(&short, half.elem), &end(&full, F32));
        let taken =
            |elem| residual::gather_scaled(client, &past, Some(&r), Some(&scale), shape, elem).unwrap();
        let (a, b) = (taken(half.elem), taken(F32));
        rounded("gathered", &a.0, &b.0);
        same("sums", &a.1, &b.1);

        for (which, width) in [(FfnActivation::Gelu, dim), (FfnActivation::SwiGlu, dim / 2)] {
            let run =
                |hidden, elem| activation::forward(client, which, hidden, &bias, kept, width, elem).unwrap();
            rounded("activation", &run(&short, half.elem), &run(&full, F32));
            let back = |outer, hidden, elem| {
                activation::backward(client, which, outer, hidden, &bias, kept, width, elem).unwrap()
            };
            let (a, b) = (back(&short_outer, &short, half.elem), back(&full_outer, &full, F32));
            rounded("gradient of hidden", &a.hidden, &b.hidden);
            rounded("activation again", &a.activation, &b.activation);
            same("gradient of bias", &a.bias, &b.bias);
        }
    }
}
