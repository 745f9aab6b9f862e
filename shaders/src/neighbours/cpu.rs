//! The CPU twin of the nearest neighbours.

use crate::cpu::{DisjointSlice, MatrixView, blocks, multiply, unwritten};

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
