//! The programs of a training step on a given device against their CPU twins.
//!
//! Tests call this natively, and a page calls it in a browser: reads wait for the device without blocking.

use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::server::Handle;

use crate::ShaderError;
use crate::{
    activation, adamw, attention, cross_entropy, l2_norm, layer_norm, neighbours, residual, rope, sinkhorn,
};

const F32: ElemType = ElemType::Float(FloatKind::F32);
/// Largest error of a forward pass, relative to its largest value.
const FORWARD: f64 = 1e-5;
/// As [`FORWARD`], of a backward pass.
const BACKWARD: f64 = 1e-4;

/// One result of one program against its twin.
#[derive(Clone, Debug)]
pub struct KernelComparison {
    /// Program, size and result.
    pub name: String,
    /// Largest difference over the largest value of the twin; not a number where either result is none.
    pub error: f64,
    /// Largest error that is in order.
    pub tolerance: f64,
}

impl KernelComparison {
    /// Whether the two agree.
    pub fn passed(&self) -> bool {
        // Not-a-number is at most nothing.
        self.error <= self.tolerance
    }
}

/// A device, and what was found on it so far.
struct KernelChecker<'a> {
    client: &'a Client,
    found: Vec<KernelComparison>,
}

/// Runs every program on `client` and its twin on the CPU, on sizes that no workgroup divides.
///
/// # Errors
/// A program refused its input, or the device was lost.
pub async fn all(client: &Client) -> Result<Vec<KernelComparison>, ShaderError> {
    let mut bench = KernelChecker { client, found: Vec::new() };
    for (tokens, dim) in [(1, 5), (63, 96), (65, 257), (33, 384)] {
        bench.layer_norm(tokens, dim).await?;
        bench.l2_norm(tokens, dim).await?;
        bench.activations(tokens, dim).await?;
        bench.residual(tokens, dim).await?;
        bench.sinkhorn(tokens, dim).await?;
        bench.neighbours(tokens, dim).await?;
    }
    for (rows, prototypes) in [(1, 5), (63, 65), (17, 257)] {
        bench.cross_entropy(rows, prototypes).await?;
    }
    bench.attention().await?;
    bench.rope().await?;
    bench.adamw().await?;
    Ok(bench.found)
}

/// Numbers in -2..2 that look random and are the same everywhere.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769).wrapping_add(12345);
    let draw = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    (0..count).map(draw).collect()
}

/// Some of `tokens` rows, ascending.
fn some_rows(tokens: usize) -> Vec<i32> {
    let draws = noise(tokens, 77);
    (0..tokens).filter(|i| draws[*i] > 0.0 || *i == tokens / 2).map(|i| i as i32).collect()
}

impl KernelChecker<'_> {
    fn upload(&self, values: &[f32]) -> Handle {
        self.client.create_from_slice(bytemuck::cast_slice(values))
    }

    fn upload_indices(&self, values: &[i32]) -> Handle {
        self.client.create_from_slice(bytemuck::cast_slice(values))
    }

    async fn read(&self, handle: &Handle) -> Result<Vec<f32>, ShaderError> {
        let bytes = self.client.read_async(vec![handle.clone()]).await;
        let bytes = bytes.map_err(|error| ShaderError::Readback(error.to_string()))?;
        Ok(bytes.iter().flat_map(|bytes| bytemuck::pod_collect_to_vec::<u8, f32>(bytes)).collect())
    }

    fn note(&mut self, name: String, got: &[f32], want: &[f32], tolerance: f64) {
        let largest = want.iter().fold(1e-30f64, |a, b| a.max(f64::from(b.abs())));
        // `max` would pass over not-a-number.
        let mut error = if got.len() == want.len() { 0.0 } else { f64::NAN };
        for (got, want) in got.iter().zip(want) {
            let off = (f64::from(*got) - f64::from(*want)).abs() / largest;
            if off.is_nan() || off > error {
                error = off;
            }
            if error.is_nan() {
                break;
            }
        }
        self.found.push(KernelComparison { name, error, tolerance });
    }

    async fn compare(
        &mut self,
        name: String,
        got: &Handle,
        want: &[f32],
        tolerance: f64,
    ) -> Result<(), ShaderError> {
        let got = self.read(got).await?;
        self.note(name, &got, want, tolerance);
        Ok(())
    }

    async fn layer_norm(&mut self, tokens: usize, dim: usize) -> Result<(), ShaderError> {
        use layer_norm::{cpu, gpu};
        for gathered in [false, true] {
            let what = format!("layer norm {tokens} x {dim}{}", if gathered { ", gathered" } else { "" });
            let rows = gathered.then(|| some_rows(tokens));
            let kept = rows.as_ref().map_or(tokens, Vec::len);
            let shape = gpu::LayerNormShape { tokens, kept, dim };
            let (x, past, dy) = (noise(tokens * dim, 1), noise(tokens * dim, 2), noise(kept * dim, 3));
            let (weight, bias) = (noise(dim, 4), noise(dim, 5));
            let (want, stats) = cpu::forward(&x, rows.as_deref(), &weight, &bias, 1e-6);
            let back = cpu::backward(&x, rows.as_deref(), &weight, &stats, &dy, Some(past.clone()));

            let [x, past, dy, weight, bias] = [x, past, dy, weight, bias].map(|v| self.upload(&v));
            let rows = rows.map(|rows| self.upload_indices(&rows));
            let rows = rows.as_ref();
            let out = gpu::forward(self.client, &x, rows, &weight, &bias, shape, 1e-6, F32)?;
            self.compare(format!("{what}: y"), &out.y, &want, FORWARD).await?;
            self.compare(format!("{what}: statistics"), &out.stats, &stats, FORWARD).await?;
            let past = gpu::SkipGradient::Kept(&past);
            let got = gpu::backward(self.client, &dy, &x, rows, &out.stats, &weight, past, shape, F32)?;
            self.compare(format!("{what}: dx"), &got.x, &back.x, BACKWARD).await?;
            self.compare(format!("{what}: dweight"), &got.weight, &back.weight, BACKWARD).await?;
            self.compare(format!("{what}: dbias"), &got.bias, &back.bias, BACKWARD).await?;
        }
        Ok(())
    }

    async fn l2_norm(&mut self, rows: usize, dim: usize) -> Result<(), ShaderError> {
        use l2_norm::{cpu, gpu};
        const EPSILON: f32 = 1e-8;
        let (x, dy, gain) = (noise(rows * dim, 6), noise(rows * dim, 7), noise(rows, 8));
        let on_device = [&x, &dy, &gain].map(|values| self.upload(values));
        for scaled in [false, true] {
            let what = format!("l2 norm {rows} x {dim}{}", if scaled { ", scaled" } else { "" });
            let own = scaled.then_some(gain.as_slice());
            let (want, inverse) = cpu::forward(&x, own, dim, EPSILON);
            let (want_dx, want_gain) = cpu::backward(&x, own, &inverse, &dy, EPSILON);
            let [x, dy, gain] = &on_device;
            let gain = scaled.then_some(gain);
            let out = gpu::forward(self.client, x, gain, rows, dim, EPSILON)?;
            self.compare(format!("{what}: y"), &out.y, &want, FORWARD).await?;
            let got = gpu::backward(self.client, dy, x, gain, &out.inverse, rows, dim, EPSILON, None)?;
            self.compare(format!("{what}: dx"), &got.x, &want_dx, BACKWARD).await?;
            self.compare(format!("{what}: gradient of the gain"), &got.gain, &want_gain, BACKWARD).await?;
        }
        Ok(())
    }

    async fn activations(&mut self, rows: usize, width: usize) -> Result<(), ShaderError> {
        use activation::{cpu, gpu};
        for activation in [gpu::FfnActivation::Gelu, gpu::FfnActivation::SwiGlu] {
            let what = format!("{activation:?} {rows} x {width}");
            let inner = activation.hidden(width);
            let (hidden, bias, gradient) = (noise(rows * inner, 1), noise(inner, 2), noise(rows * width, 3));
            let (want, back) = match activation {
                gpu::FfnActivation::Gelu => {
                    (cpu::gelu(&hidden, &bias), cpu::gelu_backward(&hidden, &bias, &gradient))
                }
                gpu::FfnActivation::SwiGlu => {
                    (cpu::swiglu(&hidden, &bias), cpu::swiglu_backward(&hidden, &bias, &gradient))
                }
            };
            let [hidden, bias, gradient] = [hidden, bias, gradient].map(|v| self.upload(&v));
            let out = gpu::forward(self.client, activation, &hidden, &bias, rows, width, F32)?;
            self.compare(what.clone(), &out, &want, FORWARD).await?;
            let got = gpu::backward(self.client, activation, &gradient, &hidden, &bias, rows, width, F32)?;
            self.compare(format!("{what}: again"), &got.activation, &back.activation, FORWARD).await?;
            self.compare(format!("{what}: gradient"), &got.hidden, &back.hidden, BACKWARD).await?;
            self.compare(format!("{what}: dbias"), &got.bias, &back.bias, BACKWARD).await?;
        }
        Ok(())
    }

    async fn residual(&mut self, tokens: usize, dim: usize) -> Result<(), ShaderError> {
        use residual::{cpu, gpu};
        let what = format!("residual {tokens} x {dim}");
        let rows = some_rows(tokens);
        let kept = rows.len();
        let shape = gpu::ResidualShape { tokens, kept, dim };
        let (x, branch, gradient) = (noise(tokens * dim, 1), noise(kept * dim, 2), noise(tokens * dim, 3));
        let (bias, gamma, scale) = (noise(dim, 4), noise(dim, 5), noise(kept, 6));
        let chosen = cpu::CpuResidualRows { rows: &rows, scale: &scale };
        let want = cpu::forward(x.clone(), Some(chosen), &branch, Some(&bias), Some(&gamma), dim);
        let taken = cpu::gather_scaled(&gradient, chosen, dim);
        let sums = crate::cpu::column_sums(&taken, dim);
        let weight = noise(dim * 31, 7);
        let d_weight = noise(dim * 31, 8);
        let d_bias = noise(dim, 9);
        let split = cpu::weight_gradients(d_weight.clone(), d_bias.clone(), &weight, &bias, &gamma);

        let rows = self.upload_indices(&rows);
        let [x, branch, gradient, bias, gamma, scale, weight, d_weight, d_bias] =
            [x, branch, gradient, bias, gamma, scale, weight, d_weight, d_bias].map(|v| self.upload(&v));
        let (rows, scale) = (Some(&rows), Some(&scale));
        let out = gpu::forward(self.client, &x, &branch, Some(&bias), Some(&gamma), rows, scale, shape, F32)?;
        self.compare(what.clone(), &out, &want, FORWARD).await?;
        let (got, got_sums) = gpu::gather_scaled(self.client, &gradient, rows, scale, shape, F32)?;
        self.compare(format!("{what}: way back"), &got, &taken, BACKWARD).await?;
        self.compare(format!("{what}: sums"), &got_sums, &sums, BACKWARD).await?;
        let again = crate::launch::sum_columns(self.client, &got, kept, dim, F32)?;
        self.compare(format!("{what}: column sums"), &again, &sums, BACKWARD).await?;
        let got = gpu::weight_gradients(self.client, &d_weight, &d_bias, &weight, &bias, &gamma, dim, 31)?;
        self.compare(format!("{what}: dweight"), &got.weight, &split.weight, BACKWARD).await?;
        self.compare(format!("{what}: dbias"), &got.bias, &split.bias, BACKWARD).await?;
        self.compare(format!("{what}: dgamma"), &got.gamma, &split.gamma, BACKWARD).await
    }

    async fn sinkhorn(&mut self, rows: usize, prototypes: usize) -> Result<(), ShaderError> {
        use sinkhorn::{cpu, gpu};
        let what = format!("{rows} x {prototypes}");
        let logits: Vec<f32> = noise(rows * prototypes, 1).iter().map(|v| v / 4.0).collect();
        let weights: Vec<f32> = (0..rows).map(|i| if i % 3 == 1 { 0.0 } else { 1.0 }).collect();
        let center = noise(prototypes, 2);
        let want = cpu::sinkhorn(&logits, &weights, 0.07, 3);
        let centered = cpu::softmax_center(&logits, &center, 0.07);
        let [logits, weights, center] = [logits, weights, center].map(|v| self.upload(&v));
        let kept = || gpu::SinkhornLogits::Kept(&logits);
        let got = gpu::sinkhorn(self.client, kept(), Some(&weights), rows, prototypes, 0.07, 3)?;
        self.compare(format!("sinkhorn {what}"), &got, &want, FORWARD).await?;
        let got = gpu::softmax_center(self.client, kept(), &center, rows, prototypes, 0.07)?;
        self.compare(format!("softmax centering {what}"), &got, &centered, FORWARD).await
    }

    async fn neighbours(&mut self, rows: usize, dim: usize) -> Result<(), ShaderError> {
        use neighbours::{cpu, gpu};
        let mut x = noise(rows * dim, 9);
        for row in x.chunks_mut(dim) {
            let size = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter_mut().for_each(|v| *v /= size);
        }
        let want = cpu::nearest(&x, dim);
        let got = gpu::nearest(self.client, &self.upload(&x), rows, rows, dim)?;
        let bytes = self.client.read_async(vec![got]).await;
        let bytes = bytes.map_err(|error| ShaderError::Readback(error.to_string()))?;
        let got: Vec<i32> = bytes.iter().flat_map(|b| bytemuck::pod_collect_to_vec::<u8, i32>(b)).collect();
        // Compared are the products, so that two rows equally near may stand for each other.
        let product = |(i, j): (usize, &i32)| -> f32 {
            let (i, j) = (i * dim, usize::try_from(*j).unwrap_or(usize::MAX).min(rows - 1) * dim);
            if i == j { -1.0 } else { x[i..i + dim].iter().zip(&x[j..j + dim]).map(|(a, b)| a * b).sum() }
        };
        let [got, want] = [got, want].map(|found| found.iter().enumerate().map(product).collect::<Vec<_>>());
        self.note(format!("neighbours {rows} x {dim}"), &got, &want, FORWARD);
        Ok(())
    }

    async fn cross_entropy(&mut self, rows: usize, prototypes: usize) -> Result<(), ShaderError> {
        use cross_entropy::{cpu, gpu};
        let what = format!("cross-entropy {rows} x {prototypes}");
        let count = rows.div_ceil(2) + 1;
        let mut targets: Vec<f32> = noise(count * prototypes, 2).iter().map(|v| v + 2.0).collect();
        for (i, row) in targets.chunks_mut(prototypes).enumerate() {
            let sum: f32 = row.iter().sum();
            // The last stands for padding.
            row.iter_mut().for_each(|v| *v = if i + 1 == count { 0.0 } else { *v / sum });
        }
        let first: Vec<i32> = (0..rows).map(|i| if i % 5 == 4 { -1 } else { (i % count) as i32 }).collect();
        let second: Vec<i32> =
            (0..rows).map(|i| if i % 3 == 0 { -1 } else { ((i * 7 + 1) % count) as i32 }).collect();
        // With unit directions the head's output is its logits, and its gradient theirs.
        let z: Vec<f32> = noise(rows * prototypes, 1).iter().map(|v| v / 2.0).collect();
        let directions: Vec<f32> =
            (0..prototypes * prototypes).map(|i| f32::from(i / prototypes == i % prototypes)).collect();
        let inputs = cpu::CpuCrossEntropyInputs {
            z: &z,
            directions: &directions,
            targets: &targets,
            first: &first,
            second: &second,
            bottleneck: prototypes,
            temperature: 0.1,
        };
        let d_loss = noise(rows, 3);
        let want = cpu::forward(&inputs);
        let (gradient, _) = cpu::backward(&inputs, &want.lse, &d_loss);

        let (first, second) = (self.upload_indices(&first), self.upload_indices(&second));
        let (rows_of_targets, d_loss) = (self.upload(&targets), self.upload(&d_loss));
        let targets =
            gpu::CrossEntropyTargets { rows: &rows_of_targets, count, first: &first, second: &second };
        let results = gpu::CrossEntropyOutputs::new(self.client, rows);
        let mut got = Vec::new();
        let step = rows.div_ceil(2);
        for start in (0..rows).step_by(step) {
            let chunk = gpu::CrossEntropyChunk {
                start,
                count: step.min(rows - start),
                rows,
                prototypes,
                temperature: 0.1,
            };
            let logits = self.upload(&z[start * prototypes..][..chunk.count * prototypes]);
            gpu::forward(self.client, &logits, targets, chunk, &results)?;
            gpu::backward(self.client, &logits, targets, chunk, &results, &d_loss)?;
            got.extend(self.read(&logits).await?);
        }
        self.note(format!("{what}: gradient"), &got, &gradient, BACKWARD);
        self.compare(format!("{what}: loss"), &results.loss, &want.loss, FORWARD).await?;
        self.compare(format!("{what}: entropy"), &results.entropy, &want.entropy, FORWARD).await?;
        let stats = self.read(&results.stats).await?;
        let lse: Vec<f32> = stats.iter().step_by(2).copied().collect();
        self.note(format!("{what}: log-sum-exp"), &lse, &want.lse, FORWARD);
        Ok(())
    }

    async fn attention(&mut self) -> Result<(), ShaderError> {
        use attention::{cpu, gpu};
        for (lengths, heads, width) in [(vec![1usize, 5, 37], 2, 8), (vec![65, 17], 3, 64)] {
            let what = format!("attention {lengths:?}, {heads} heads of {width}");
            let packed = gpu::PackedSequences::from_lengths(self.client, &lengths)?;
            let spec = gpu::AttentionSpec::new(heads, width, F32);
            let tokens = packed.tokens();
            let (qkv, d_out) = (noise(tokens * 3 * heads * width, 1), noise(tokens * heads * width, 2));
            let layout = cpu::CpuAttentionLayout { starts: packed.starts(), heads, width };
            let (want, want_lse) = cpu::forward(&qkv, layout);
            let back = cpu::backward(&qkv, &want, &want_lse, &d_out, layout);
            let [qkv, d_out] = [qkv, d_out].map(|v| self.upload(&v));
            let (out, lse) = gpu::forward(self.client, &qkv, &packed, &spec)?;
            self.compare(format!("{what}: out"), &out, &want, FORWARD).await?;
            self.compare(format!("{what}: log-sum-exp"), &lse, &want_lse, FORWARD).await?;
            let got = gpu::backward(self.client, &qkv, &out, &lse, &d_out, &packed, &spec)?;
            self.compare(format!("{what}: gradient"), &got, &back, BACKWARD).await?;
        }
        Ok(())
    }

    async fn rope(&mut self) -> Result<(), ShaderError> {
        use rope::{RopeSequences, RopeTurn, cpu, gpu};
        let of = |count, tokens| RopeSequences { count, tokens };
        for (groups, heads, width) in [(vec![of(1, 1)], 1, 2), (vec![of(2, 37), of(0, 3), of(3, 5)], 3, 20)] {
            let (tokens, positions) = rope::extents(&groups);
            let columns = 3 * heads * width;
            let what = format!("rope {tokens} tokens, {heads} heads of {width}");
            let (qkv, bias, table) =
                (noise(tokens * columns, 1), noise(columns, 2), noise(positions * width, 3));
            let [on_device, bias_on_device, table_on_device] = [&qkv, &bias, &table].map(|v| self.upload(v));
            for (turn, bias) in [(RopeTurn::Forward, Some((&bias, &bias_on_device))), (RopeTurn::Back, None)]
            {
                let host = bias.map(|bias| &bias.0[..]);
                let want = cpu::rotate(qkv.clone(), host, &table, &groups, heads, turn);
                let (device, sides) = (bias.map(|bias| bias.1), (heads, width));
                let (client, table) = (self.client, &table_on_device);
                let got = gpu::rotate(client, &on_device, device, table, &groups, sides, turn, F32)?;
                self.compare(format!("{what}, {turn:?}"), &got, &want, FORWARD).await?;
            }
        }
        Ok(())
    }

    async fn adamw(&mut self) -> Result<(), ShaderError> {
        use adamw::{cpu, gpu};
        let lengths = [1usize, 65, 257, 5000];
        let group = |i: usize| gpu::ArenaParamGroup {
            lr: 1.0 - 0.2 * i as f32,
            decay: (i % 2) as f32,
            is_last_layer: i == 3,
            module: (i % 3) as u32,
            idle: i == 1,
        };
        let layout = gpu::ArenaLayout::new(lengths.iter().enumerate().map(|(i, n)| (*n, group(i))));
        let (arenas, table) = (gpu::AdamWFlatBuffers::new(self.client, &layout), layout.upload(self.client));
        let rates = gpu::AdamWStepHyperparams {
            lr: 3e-3,
            last_layer_lr: 1e-3,
            weight_decay: 0.04,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            step: 1,
            momentum: 0.992,
        };
        let (max_norm, loss_scale) = (3.0, 256.0f32);
        let mut host: Vec<[Vec<f32>; 5]> = lengths
            .iter()
            .enumerate()
            .map(|(i, n)| {
                let i = i as u32;
                [noise(*n, i), vec![0.0; *n], vec![0.0; *n], noise(*n, 20 + i), noise(*n, 40 + i)]
            })
            .collect();
        for (part, arena) in [(0, &arenas.parameters), (3, &arenas.teacher), (4, &arenas.gradients)] {
            let handles: Vec<Handle> = host.iter().map(|values| self.upload(&values[part])).collect();
            gpu::gather(self.client, handles.iter().zip(layout.segments.iter().copied()), arena)?;
        }
        let scale = self.upload(&[loss_scale]);
        let state = gpu::norms(self.client, &arenas.gradients, &table, Some(&scale), max_norm)?;
        gpu::update(self.client, &arenas, &table, &state, rates)?;

        let mut squares = [0.0; gpu::MODULES];
        for (segment, values) in layout.segments.iter().zip(&host).filter(|(s, _)| !s.group.idle) {
            squares[segment.group.module as usize] += cpu::squared_norm(&values[4]);
        }
        let norm = squares.map(|s| s.sqrt() / f64::from(loss_scale));
        for (segment, values) in layout.segments.iter().zip(&mut host) {
            let group = segment.group;
            let lr = f64::from(group.lr) * if group.is_last_layer { rates.last_layer_lr } else { rates.lr };
            let clip = (max_norm / (norm[group.module as usize] + 1e-6)).min(1.0);
            let pair = |b: f64| [b as f32, (1.0 - b) as f32];
            let [value, first, second, teacher, gradient] = values;
            let gradient = (!group.idle).then_some(&gradient[..]);
            cpu::update(
                cpu::AdamWParamSlices { value, first, second, teacher, gradient },
                cpu::CpuAdamWParams {
                    step: (lr / (1.0 - rates.beta1)) as f32,
                    keep: (1.0 - lr * f64::from(group.decay) * rates.weight_decay) as f32,
                    gradient: (clip / f64::from(loss_scale)) as f32,
                    beta1: pair(rates.beta1),
                    beta2: pair(rates.beta2),
                    correction: (1.0 / (1.0 - rates.beta2).sqrt()) as f32,
                    eps: rates.eps as f32,
                    momentum: pair(rates.momentum),
                },
            );
        }
        let found = self.read(&state.0).await?;
        self.note("adamw: norms".into(), &found[3..6], &norm.map(|n| n as f32), FORWARD);
        let parts = [("parameters", &arenas.parameters), ("first", &arenas.first)];
        let more = [("second", &arenas.second), ("teacher", &arenas.teacher)];
        for (part, (name, arena)) in parts.into_iter().chain(more).enumerate() {
            for (segment, values) in layout.segments.iter().zip(&host) {
                let got = crate::launch::view(arena, segment.offset, segment.length)?;
                let name = format!("adamw: {name} of {}", segment.length);
                self.compare(name, &got, &values[part], FORWARD).await?;
            }
        }
        Ok(())
    }
}
