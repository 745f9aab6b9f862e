//! Cross-entropy over prototypes with all logits at once, and Sinkhorn–Knopp.

use burn::backend::tensor::{Device, FloatTensor, IntTensor};
use burn::backend::{Backend, IntDType, Shape, TensorMetadata};
use burn::tensor::TensorData;

use super::{as_matrix, as_row, flat, sides};
use crate::fused::loss::TargetPairs;
use crate::fused::programs::Three;

/// Sum of each row's targets, `[rows, K]`.
fn target_sums<B: Backend>(
    targets: FloatTensor<B>,
    pairs: &TargetPairs,
    device: &Device<B>,
) -> FloatTensor<B> {
    let side = |indices: &[i32]| {
        let n = indices.len();
        let rows: Vec<i32> = indices.iter().map(|&i| i.max(0)).collect();
        let there: Vec<f32> = indices.iter().map(|&i| if i < 0 { 0.0 } else { 1.0 }).collect();
        let rows = B::int_from_data(TensorData::new(rows, [n]), device);
        let there = B::float_from_data(TensorData::new(there, [n, 1]), device);
        B::float_mul(B::float_select(targets.clone(), 0, rows), there)
    };
    B::float_add(side(&pairs.first), side(&pairs.second))
}

fn logits<B: Backend>(z: FloatTensor<B>, directions: FloatTensor<B>, temperature: f64) -> FloatTensor<B> {
    B::float_mul_scalar(B::float_matmul(z, B::float_swap_dims(directions, 0, 1)), (1.0 / temperature).into())
}

pub fn cross_entropy<B: Backend>(
    z: FloatTensor<B>,
    directions: FloatTensor<B>,
    targets: FloatTensor<B>,
    pairs: &TargetPairs,
    temperature: f64,
) -> Three<B> {
    let targets = target_sums::<B>(targets, pairs, &z.device());
    let logits = logits::<B>(z, directions, temperature);
    let max = B::float_max_dim(logits.clone(), 1);
    let exp = B::float_exp(B::float_sub(logits.clone(), max.clone()));
    let mass = B::float_sum_dim(exp.clone(), 1);
    let lse = B::float_add(max, B::float_log(mass.clone()));
    let surprise = B::float_sub(lse.clone(), logits);
    let loss = B::float_sum_dim(B::float_mul(targets, surprise.clone()), 1);
    let entropy = B::float_sum_dim(B::float_mul(B::float_div(exp, mass), surprise), 1);
    (flat::<B>(loss), flat::<B>(lse), flat::<B>(entropy))
}

pub fn cross_entropy_backward<B: Backend>(
    z: FloatTensor<B>,
    directions: FloatTensor<B>,
    targets: FloatTensor<B>,
    pairs: &TargetPairs,
    temperature: f64,
    lse: FloatTensor<B>,
    d_loss: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [rows, _] = sides::<B>(&z);
    let targets = target_sums::<B>(targets, pairs, &z.device());
    let mass = B::float_sum_dim(targets.clone(), 1);
    let logits = logits::<B>(z.clone(), directions.clone(), temperature);
    let p = B::float_exp(B::float_sub(logits, as_matrix::<B>(lse, rows, 1)));
    let d = B::float_sub(B::float_mul(p, mass), targets);
    let weight = B::float_mul_scalar(as_matrix::<B>(d_loss, rows, 1), (1.0 / temperature).into());
    let d = B::float_mul(d, weight);
    (B::float_matmul(d.clone(), directions), B::float_matmul(B::float_swap_dims(d, 0, 1), z))
}

pub fn sinkhorn<B: Backend>(
    logits: FloatTensor<B>,
    weights: FloatTensor<B>,
    temperature: f64,
    iterations: usize,
) -> FloatTensor<B> {
    let [rows, k] = sides::<B>(&logits);
    // Smallest normal f32: a prototype or row without any mass gets zeros, not 0 / 0.
    let tiny = f32::MIN_POSITIVE;
    let weights = as_matrix::<B>(weights, rows, 1);
    let one = |x| as_matrix::<B>(x, 1, 1);
    let total = B::float_clamp_min(one(B::float_sum(weights.clone())), 1.0.into());
    let shifted = B::float_sub(logits.clone(), one(B::float_max(logits)));
    let q = B::float_exp(B::float_mul_scalar(shifted, (1.0 / temperature).into()));
    let q = B::float_mul(q, weights.clone());
    let mut u = weights.clone();
    let mut v = as_row::<B>(B::float_sum_dim(q.clone(), 0));
    for _ in 0..iterations {
        let column = B::float_matmul(B::float_swap_dims(u, 0, 1), q.clone());
        let column = B::float_mul_scalar(column, (k as f64).into());
        v = B::float_recip(B::float_clamp_min(column, tiny.into()));
        let row = B::float_matmul(q.clone(), B::float_swap_dims(v.clone(), 0, 1));
        u = B::float_div(weights.clone(), B::float_clamp_min(B::float_mul(row, total.clone()), tiny.into()));
    }
    B::float_mul(B::float_mul(q, v), B::float_mul(u, total))
}

pub fn softmax_center<B: Backend>(
    logits: FloatTensor<B>,
    center: FloatTensor<B>,
    temperature: f64,
) -> FloatTensor<B> {
    let centred = B::float_sub(logits, as_row::<B>(center));
    B::softmax(B::float_mul_scalar(centred, (1.0 / temperature).into()), 1)
}

pub fn nearest<B: Backend>(x: FloatTensor<B>) -> IntTensor<B> {
    let [rows, _] = sides::<B>(&x);
    let device = x.device();
    let diagonal: Vec<bool> = (0..rows * rows).map(|i| i / rows == i % rows).collect();
    let diagonal = B::bool_from_data(TensorData::new(diagonal, [rows, rows]), &device);
    let products = B::float_matmul(x.clone(), B::float_swap_dims(x, 0, 1));
    let products = B::float_mask_fill(products, diagonal, (-1.0).into());
    let nearest = B::float_argmax(products, 1, IntDType::I32);
    B::int_reshape(nearest, Shape::new([rows]))
}
