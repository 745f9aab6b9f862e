//! Cross-entropy over prototypes with all logits at once.

use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::TensorData;

use super::{as_matrix, flat, sides};
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
