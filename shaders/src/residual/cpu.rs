//! The CPU twin of the end of a residual branch.

use crate::cpu::{DisjointSlice, blocks, chunk_rows, unwritten, wide};

/// Which rows a branch computed, and what each counts.
#[derive(Clone, Copy, Debug)]
pub struct CpuResidualRows<'a> {
    /// Ascending, none twice.
    pub rows: &'a [i32],
    /// As long as `rows`.
    pub scale: &'a [f32],
}

/// `out = x`, `out[rows] += scale · gamma · (branch + bias)`; missing `gamma` and `bias` count as 1 and 0.
///
/// `x` is used up: the result is written over it.
pub fn forward(
    mut x: Vec<f32>,
    kept: Option<CpuResidualRows>,
    branch: &[f32],
    bias: Option<&[f32]>,
    gamma: Option<&[f32]>,
    dim: usize,
) -> Vec<f32> {
    let count = branch.len() / dim.max(1);
    let out = DisjointSlice::new(&mut x);
    let (zeros, ones) = (vec![0.0; dim], vec![1.0; dim]);
    let (bias, gamma) = (bias.unwrap_or(&zeros), gamma.unwrap_or(&ones));
    blocks(count, chunk_rows(dim), |part| {
        wide(
            #[inline(always)]
            || {
                for i in part {
                    let (row, scale) = kept.map_or((i, 1.0), |k| (k.rows[i] as usize, k.scale[i]));
                    // SAFETY: no row is there twice.
                    let out = unsafe { out.part(row * dim..(row + 1) * dim) };
                    let branch = &branch[i * dim..(i + 1) * dim];
                    for j in 0..dim {
                        out[j] += scale * gamma[j] * (branch[j] + bias[j]);
                    }
                }
            },
        );
    });
    x
}

/// `scale · gradient[rows]`, `[kept, dim]`: what the branch gets of the gradient `[tokens, dim]`.
pub fn gather_scaled(gradient: &[f32], kept: CpuResidualRows, dim: usize) -> Vec<f32> {
    // SAFETY: blocks cover every row that is kept, and write each value of it.
    let mut out = unsafe { unwritten(kept.rows.len() * dim) };
    let parts = DisjointSlice::new(&mut out);
    blocks(kept.rows.len(), chunk_rows(dim), |part| {
        // SAFETY: blocks are apart.
        let out = unsafe { parts.part(part.start * dim..part.end * dim) };
        for (out, i) in out.chunks_exact_mut(dim.max(1)).zip(part) {
            let row = kept.rows[i] as usize;
            for (out, g) in out.iter_mut().zip(&gradient[row * dim..(row + 1) * dim]) {
                *out = kept.scale[i] * g;
            }
        }
    });
    out
}

/// Gradients of the last linear layer with its LayerScale.
#[derive(Clone, Debug)]
pub struct CpuLayerScaleGradients {
    /// `[out, in]`
    pub weight: Vec<f32>,
    /// `[out]`
    pub bias: Vec<f32>,
    /// `[out]`
    pub gamma: Vec<f32>,
}

/// Splits the gradients `d_weight` `[out, in]` and `d_bias` `[out]` of the layer `gamma (a Wᵀ + b)` taken as one.
///
/// With `W' = gamma W`, `b' = gamma b`: `dW = gamma dW'`, and `dgamma` is the sum of `W dW' + b db'` along each row.
pub fn weight_gradients(
    mut d_weight: Vec<f32>,
    mut d_bias: Vec<f32>,
    weight: &[f32],
    bias: &[f32],
    gamma: &[f32],
) -> CpuLayerScaleGradients {
    let mut d_gamma = vec![0.0; gamma.len()];
    let inputs = weight.len() / gamma.len().max(1);
    for (j, d_gamma) in d_gamma.iter_mut().enumerate() {
        let dw = &mut d_weight[j * inputs..(j + 1) * inputs];
        let w = &weight[j * inputs..(j + 1) * inputs];
        *d_gamma = crate::cpu::math::sum(inputs, |i| w[i] * dw[i]) + bias[j] * d_bias[j];
        dw.iter_mut().for_each(|d| *d *= gamma[j]);
        d_bias[j] *= gamma[j];
    }
    CpuLayerScaleGradients { weight: d_weight, bias: d_bias, gamma: d_gamma }
}
