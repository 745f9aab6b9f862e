//! The CPU twin of LayerNorm.

use crate::cpu::{DisjointSlice, blocks, chunk_rows, math, unwritten, wide};

/// Normalises chosen rows of `x` `[tokens, dim]`; gives `y` `[kept, dim]` and `stats` `[kept, 2]`.
///
/// # Panics
/// When a row lies outside `x`.
pub fn forward(
    x: &[f32],
    rows: Option<&[i32]>,
    weight: &[f32],
    bias: &[f32],
    eps: f32,
) -> (Vec<f32>, Vec<f32>) {
    let dim = weight.len();
    let kept = rows.map_or(x.len() / dim.max(1), <[i32]>::len);
    // SAFETY: blocks cover every row that is kept, and write its values and its two statistics.
    let (mut y, mut stats) = unsafe { (unwritten(kept * dim), unwritten(kept * 2)) };
    let (out, out_stats) = (DisjointSlice::new(&mut y), DisjointSlice::new(&mut stats));
    blocks(kept, chunk_rows(dim), |part| {
        // SAFETY: blocks are apart.
        let (out, out_stats) = unsafe {
            (out.part(part.start * dim..part.end * dim), out_stats.part(part.start * 2..part.end * 2))
        };
        wide(
            #[inline(always)]
            || {
                for (i, row) in part.enumerate() {
                    let at = rows.map_or(row, |rows| rows[row] as usize) * dim;
                    let x = &x[at..at + dim];
                    let mean = math::sum(dim, |j| x[j]) / dim as f32;
                    let variance = math::sum(dim, |j| (x[j] - mean) * (x[j] - mean)) / dim as f32;
                    let scale = 1.0 / (variance + eps).sqrt();
                    let out = &mut out[i * dim..(i + 1) * dim];
                    for j in 0..dim {
                        out[j] = (x[j] - mean) * scale * weight[j] + bias[j];
                    }
                    out_stats[2 * i] = mean;
                    out_stats[2 * i + 1] = scale;
                }
            },
        );
    });
    (y, stats)
}

/// Gradients of one normalisation.
#[derive(Clone, Debug)]
pub struct CpuLayerNormGradients {
    /// `[tokens, dim]`, with what went past the branch.
    pub x: Vec<f32>,
    /// `[dim]`
    pub weight: Vec<f32>,
    /// `[dim]`
    pub bias: Vec<f32>,
}

/// The way back: `dy` is `[kept, dim]`; `past` `[tokens, dim]` is the gradient that reached `x` by other ways.
///
/// Without `past`, rows that were not chosen get zero. `past` is used up: the result is written over it.
pub fn backward(
    x: &[f32],
    rows: Option<&[i32]>,
    weight: &[f32],
    stats: &[f32],
    dy: &[f32],
    past: Option<Vec<f32>>,
) -> CpuLayerNormGradients {
    let dim = weight.len();
    let kept = stats.len() / 2;
    let mut dx = match (past, rows) {
        (Some(past), _) => past,
        // Every row is written below; adding needs something to add to.
        (None, _) => vec![0.0; x.len()],
    };
    let block = chunk_rows(dim);
    let mut partial = vec![0.0f32; kept.div_ceil(block) * 2 * dim];
    let (out, sums) = (DisjointSlice::new(&mut dx), DisjointSlice::new(&mut partial));
    blocks(kept, block, |part| {
        let index = part.start / block;
        // SAFETY: blocks are apart.
        let (dw, db) = unsafe { sums.part(index * 2 * dim..(index + 1) * 2 * dim) }.split_at_mut(dim);
        wide(
            #[inline(always)]
            || {
                for row in part {
                    let at = rows.map_or(row, |rows| rows[row] as usize) * dim;
                    let x = &x[at..at + dim];
                    let dy = &dy[row * dim..(row + 1) * dim];
                    let (mean, scale) = (stats[2 * row], stats[2 * row + 1]);
                    let (mut flat, mut along) = (0.0, 0.0);
                    if dim > 0 {
                        flat = math::sum(dim, |j| dy[j] * weight[j]) / dim as f32;
                        along = math::sum(dim, |j| dy[j] * weight[j] * ((x[j] - mean) * scale)) / dim as f32;
                    }
                    // SAFETY: no row is chosen twice, so no two threads meet here.
                    let dx = unsafe { out.part(at..at + dim) };
                    for j in 0..dim {
                        let normed = (x[j] - mean) * scale;
                        dx[j] += scale * (dy[j] * weight[j] - flat - normed * along);
                        dw[j] += dy[j] * normed;
                        db[j] += dy[j];
                    }
                }
            },
        );
    });
    let (mut dw, mut db) = (vec![0.0; dim], vec![0.0; dim]);
    for sums in partial.chunks_exact((2 * dim).max(1)) {
        for j in 0..dim {
            dw[j] += sums[j];
            db[j] += sums[dim + j];
        }
    }
    CpuLayerNormGradients { x: dx, weight: dw, bias: db }
}
