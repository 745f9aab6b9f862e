//! The CPU twin of the L2 normalisation.

use crate::cpu::{DisjointSlice, blocks, chunk_rows, math, unwritten, wide};

/// Normalises the rows of `x` `[rows, dim]`; gives `y` `[rows, dim]` and `inverse` `[rows]`.
///
/// # Panics
/// When `gain` is there and has another length than the rows.
pub fn forward(x: &[f32], gain: Option<&[f32]>, dim: usize, epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let rows = x.len() / dim.max(1);
    // SAFETY: blocks cover every row, and write all of its values.
    let (mut y, mut inverse) = unsafe { (unwritten(rows * dim), unwritten(rows)) };
    let (out, out_inverse) = (DisjointSlice::new(&mut y), DisjointSlice::new(&mut inverse));
    blocks(rows, chunk_rows(dim), |part| {
        // SAFETY: blocks are apart.
        let (out, out_inverse) =
            unsafe { (out.part(part.start * dim..part.end * dim), out_inverse.part(part.clone())) };
        wide(
            #[inline(always)]
            || {
                for (i, row) in part.enumerate() {
                    let x = &x[row * dim..][..dim];
                    let length = math::sum(dim, |j| x[j] * x[j]).sqrt();
                    // A comparison, for a maximum would pass over what is no number.
                    let inverse = 1.0 / if length < epsilon { epsilon } else { length };
                    let scale = inverse * gain.map_or(1.0, |gain| gain[row]);
                    out[i * dim..][..dim].iter_mut().zip(x).for_each(|(y, x)| *y = x * scale);
                    out_inverse[i] = inverse;
                }
            },
        );
    });
    (y, inverse)
}

/// The way back of [`forward`]: gradients of `x` `[rows, dim]` and of the gain `[rows]`.
pub fn backward(
    x: &[f32],
    gain: Option<&[f32]>,
    inverse: &[f32],
    dy: &[f32],
    epsilon: f32,
) -> (Vec<f32>, Vec<f32>) {
    let rows = inverse.len();
    let dim = x.len() / rows.max(1);
    // SAFETY: blocks cover every row, and write all of its values.
    let (mut dx, mut d_gain) = unsafe { (unwritten(rows * dim), unwritten(rows)) };
    let (out, out_gain) = (DisjointSlice::new(&mut dx), DisjointSlice::new(&mut d_gain));
    blocks(rows, chunk_rows(dim), |part| {
        // SAFETY: blocks are apart.
        let (out, out_gain) =
            unsafe { (out.part(part.start * dim..part.end * dim), out_gain.part(part.clone())) };
        wide(
            #[inline(always)]
            || {
                for (i, row) in part.enumerate() {
                    let (x, dy, inverse) = (&x[row * dim..][..dim], &dy[row * dim..][..dim], inverse[row]);
                    let along = inverse * math::sum(dim, |j| x[j] * dy[j]);
                    out_gain[i] = along;
                    let scale = inverse * gain.map_or(1.0, |gain| gain[row]);
                    // Short rows are not turned onto the sphere, only scaled.
                    let along = if inverse * epsilon >= 1.0 { 0.0 } else { along * inverse };
                    let out = &mut out[i * dim..][..dim];
                    for j in 0..dim {
                        out[j] = scale * (dy[j] - along * x[j]);
                    }
                }
            },
        );
    });
    (dx, d_gain)
}
