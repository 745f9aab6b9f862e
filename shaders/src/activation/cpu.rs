//! The CPU twins of GELU and SwiGLU.

use crate::cpu::{DisjointSlice, blocks, chunk_rows, math, unwritten, wide};

/// What the way back gives.
#[derive(Clone, Debug)]
pub struct CpuActivationGradients {
    /// Gradient of `hidden`, of its shape.
    pub hidden: Vec<f32>,
    /// The activation once more.
    pub activation: Vec<f32>,
    /// Gradient of the bias: column sums of `hidden`'s.
    pub bias: Vec<f32>,
}

/// `gelu(hidden + bias)`: `[rows, width]` to the same.
pub fn gelu(hidden: &[f32], bias: &[f32]) -> Vec<f32> {
    let width = bias.len();
    let rows = hidden.len() / width.max(1);
    // SAFETY: blocks cover every row, and write each value of it.
    let mut out = unsafe { unwritten(rows * width) };
    let parts = DisjointSlice::new(&mut out);
    blocks(rows, chunk_rows(width), |rows| {
        let span = rows.start * width..rows.end * width;
        // SAFETY: blocks are apart.
        let out = unsafe { parts.part(span.clone()) };
        let hidden = &hidden[span];
        wide(
            #[inline(always)]
            || {
                for (out, hidden) in out.chunks_exact_mut(width).zip(hidden.chunks_exact(width)) {
                    for ((out, h), b) in out.iter_mut().zip(hidden).zip(bias) {
                        let x = h + b;
                        *out = x * math::normal(x).0;
                    }
                }
            },
        );
    });
    out
}

/// The way back of [`gelu`] from the gradient of its result.
pub fn gelu_backward(hidden: &[f32], bias: &[f32], gradient: &[f32]) -> CpuActivationGradients {
    let width = bias.len();
    backward(
        hidden,
        width,
        width,
        #[inline(always)]
        |row, d_hidden, out, sums| {
            let hidden = &hidden[row * width..(row + 1) * width];
            let gradient = &gradient[row * width..(row + 1) * width];
            for j in 0..width {
                let x = hidden[j] + bias[j];
                let (below, density) = math::normal(x);
                out[j] = x * below;
                let d = gradient[j] * (below + x * density);
                d_hidden[j] = d;
                sums[j] += d;
            }
        },
    )
}

/// `silu(gate) · value` of `hidden + bias`: `[rows, 2 width]`, gate first, to `[rows, width]`.
pub fn swiglu(hidden: &[f32], bias: &[f32]) -> Vec<f32> {
    let width = bias.len() / 2;
    let rows = hidden.len() / bias.len().max(1);
    // SAFETY: blocks cover every row, and write each value of it.
    let mut out = unsafe { unwritten(rows * width) };
    let parts = DisjointSlice::new(&mut out);
    blocks(rows, chunk_rows(2 * width), |rows| {
        // SAFETY: blocks are apart.
        let out = unsafe { parts.part(rows.start * width..rows.end * width) };
        let hidden = &hidden[rows.start * 2 * width..rows.end * 2 * width];
        wide(
            #[inline(always)]
            || {
                for (out, hidden) in out.chunks_exact_mut(width).zip(hidden.chunks_exact(2 * width)) {
                    for j in 0..width {
                        let gate = hidden[j] + bias[j];
                        out[j] = gate * math::sigmoid(gate) * (hidden[width + j] + bias[width + j]);
                    }
                }
            },
        );
    });
    out
}

/// The way back of [`swiglu`] from the gradient of its result.
pub fn swiglu_backward(hidden: &[f32], bias: &[f32], gradient: &[f32]) -> CpuActivationGradients {
    let width = bias.len() / 2;
    backward(
        hidden,
        2 * width,
        width,
        #[inline(always)]
        |row, d_hidden, out, sums| {
            let hidden = &hidden[row * 2 * width..(row + 1) * 2 * width];
            let gradient = &gradient[row * width..(row + 1) * width];
            for j in 0..width {
                let (gate, value) = (hidden[j] + bias[j], hidden[width + j] + bias[width + j]);
                let open = math::sigmoid(gate);
                out[j] = gate * open * value;
                let d_gate = gradient[j] * value * open * (1.0 + gate * (1.0 - open));
                let d_value = gradient[j] * gate * open;
                d_hidden[j] = d_gate;
                d_hidden[width + j] = d_value;
                sums[j] += d_gate;
                sums[width + j] += d_value;
            }
        },
    )
}

/// Runs `row` over all rows of `hidden`, `wide_in` values each, giving `wide_out` activations each.
#[inline(always)]
fn backward(
    hidden: &[f32],
    wide_in: usize,
    wide_out: usize,
    row: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) + Sync,
) -> CpuActivationGradients {
    let rows = hidden.len() / wide_in.max(1);
    let block = 2 * chunk_rows(wide_in);
    // SAFETY: blocks cover every row, and `row` of both callers writes each value of its two outputs.
    let (mut d_hidden, mut out) = unsafe { (unwritten(rows * wide_in), unwritten(rows * wide_out)) };
    let mut partial = vec![0.0f32; rows.div_ceil(block) * wide_in];
    let (d_parts, parts, sums) =
        (DisjointSlice::new(&mut d_hidden), DisjointSlice::new(&mut out), DisjointSlice::new(&mut partial));
    blocks(rows, block, |span| {
        let index = span.start / block;
        // SAFETY: blocks are apart.
        let (d_hidden, out, sums) = unsafe {
            (
                d_parts.part(span.start * wide_in..span.end * wide_in),
                parts.part(span.start * wide_out..span.end * wide_out),
                sums.part(index * wide_in..(index + 1) * wide_in),
            )
        };
        wide(
            #[inline(always)]
            || {
                let outputs = d_hidden.chunks_exact_mut(wide_in).zip(out.chunks_exact_mut(wide_out));
                for (i, (d_hidden, out)) in span.zip(outputs) {
                    row(i, d_hidden, out, sums);
                }
            },
        );
    });
    let mut bias = vec![0.0; wide_in];
    for sums in partial.chunks_exact(wide_in.max(1)) {
        bias.iter_mut().zip(sums).for_each(|(b, s)| *b += s);
    }
    CpuActivationGradients { hidden: d_hidden, activation: out, bias }
}
