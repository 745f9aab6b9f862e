//! The CPU twin of the nearest neighbours and their distances.

use crate::cpu::{DisjointSlice, MatrixView, blocks, chunk_rows, math, multiply, unwritten, wide};

/// Products that exist at once.
const PRODUCTS: usize = 1 << 20;

/// Index of the row with the largest dot product, for each row of `x` `[rows, dim]`.
///
/// A row's product with itself counts as -1; the first of equals wins; products that are NaN never win.
pub fn nearest(x: &[f32], dim: usize) -> Vec<i32> {
    let rows = x.len() / dim.max(1);
    let mut nearest = vec![0i32; rows];
    let chunk = (PRODUCTS / rows.max(1)).clamp(1, rows.max(1));
    // SAFETY: of each chunk, only what the product wrote is read.
    let mut products = unsafe { unwritten(chunk * rows) };
    for start in (0..rows).step_by(chunk) {
        let m = chunk.min(rows - start);
        let all = MatrixView::new(x, rows, dim);
        let products = &mut products[..m * rows];
        multiply(products, MatrixView::new(&x[start * dim..], m, dim), all.transposed(), 1.0, false);
        let found = DisjointSlice::new(&mut nearest[start..start + m]);
        blocks(m, 16, |part| {
            // SAFETY: blocks are apart.
            let found = unsafe { found.part(part.clone()) };
            for (found, i) in found.iter_mut().zip(part) {
                let mut best = (f32::NEG_INFINITY, 0);
                for (j, &product) in products[i * rows..(i + 1) * rows].iter().enumerate() {
                    let product = if j == start + i { -1.0 } else { product };
                    if product > best.0 {
                        best = (product, j);
                    }
                }
                *found = best.1 as i32;
            }
        });
    }
    nearest
}

/// [`nearest`] within each view of `per_view` rows; indices count through all rows.
pub fn nearest_in_views(y: &[f32], per_view: usize, dim: usize) -> Vec<i32> {
    let views = y.chunks((per_view * dim).max(1)).enumerate();
    let found = |(view, rows): (usize, &[f32])| {
        let first = (view * per_view) as i32;
        nearest(rows, dim).into_iter().map(move |near| first + near)
    };
    views.flat_map(found).collect()
}

/// How far away each row's neighbour is, `[rows]`.
pub fn distances(y: &[f32], nearest: &[i32], dim: usize, epsilon: f32) -> Vec<f32> {
    let far = |(row, near): (usize, &i32)| {
        let (own, other) = (&y[row * dim..][..dim], &y[*near as usize * dim..][..dim]);
        math::sum(dim, |j| (own[j] - other[j] + epsilon).powi(2)).sqrt()
    };
    nearest.iter().enumerate().map(far).collect()
}

/// The way back of [`distances`]: the gradient of `y` for `d_distance` `[rows]`.
pub fn distances_backward(
    y: &[f32],
    nearest: &[i32],
    distance: &[f32],
    d_distance: &[f32],
    dim: usize,
    epsilon: f32,
) -> Vec<f32> {
    let rows = nearest.len();
    let mut from: Vec<Vec<usize>> = vec![Vec::new(); rows];
    nearest.iter().enumerate().for_each(|(row, near)| from[*near as usize].push(row));
    let mut dy = vec![0.0; rows * dim];
    let out = DisjointSlice::new(&mut dy);
    blocks(rows, chunk_rows(dim), |part| {
        // SAFETY: blocks are apart.
        let out = unsafe { out.part(part.start * dim..part.end * dim) };
        wide(
            #[inline(always)]
            || {
                for (i, row) in part.enumerate() {
                    let out = &mut out[i * dim..][..dim];
                    // As the one that looks, then as the neighbour of others, in their order.
                    let pairs =
                        std::iter::once((row, 1.0)).chain(from[row].iter().map(|other| (*other, -1.0)));
                    for (looks, sign) in pairs {
                        let scale = sign * d_distance[looks] / distance[looks];
                        let (own, near) =
                            (&y[looks * dim..][..dim], &y[nearest[looks] as usize * dim..][..dim]);
                        for j in 0..dim {
                            out[j] += scale * (own[j] - near[j] + epsilon);
                        }
                    }
                }
            },
        );
    });
    dy
}
