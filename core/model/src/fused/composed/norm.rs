//! LayerNorm, and rows of length one.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, BoolDType, FloatDType, TensorMetadata};
use burn::tensor::IndexingUpdateOp;

use super::{as_matrix, as_row, flat, full, sides};
use crate::fused::programs::{KeptCrops, Three};

fn gather<B: Backend>(x: FloatTensor<B>, kept: Option<&KeptCrops<B>>) -> FloatTensor<B> {
    match kept {
        Some(kept) => B::float_select(x, 0, kept.rows.clone()),
        None => x,
    }
}

pub fn layer_norm<B: Backend>(
    x: FloatTensor<B>,
    kept: Option<&KeptCrops<B>>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    eps: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let x = gather::<B>(full::<B>(x), kept);
    let mean = B::float_mean_dim(x.clone(), 1);
    let centred = B::float_sub(x, mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let scale = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, eps.into())));
    let normed = B::float_mul(centred, scale.clone());
    let y = B::float_add(B::float_mul(normed, as_row::<B>(weight)), as_row::<B>(bias));
    (y, B::float_cat(vec![mean, scale], 1))
}

pub fn layer_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    kept: Option<&KeptCrops<B>>,
    weight: FloatTensor<B>,
    stats: FloatTensor<B>,
    dy: FloatTensor<B>,
    past: Option<FloatTensor<B>>,
) -> Three<B> {
    let [rows, _] = sides::<B>(&stats);
    let (device, shape) = (x.device(), x.shape());
    let column = |at: usize| {
        let slices = [(0..rows).into(), (at..at + 1).into()];
        B::float_slice(stats.clone(), &slices)
    };
    let (mean, scale) = (column(0), column(1));
    let dy = full::<B>(dy);
    let normed = B::float_mul(B::float_sub(gather::<B>(full::<B>(x), kept), mean), scale.clone());
    let d_weight = flat::<B>(B::float_sum_dim(B::float_mul(dy.clone(), normed.clone()), 0));
    let d_bias = flat::<B>(B::float_sum_dim(dy.clone(), 0));
    let d_normed = B::float_mul(dy, as_row::<B>(weight));
    let flat_part = B::float_mean_dim(d_normed.clone(), 1);
    let along = B::float_mean_dim(B::float_mul(d_normed.clone(), normed.clone()), 1);
    let dx = B::float_sub(B::float_sub(d_normed, flat_part), B::float_mul(normed, along));
    let dx = B::float_mul(dx, scale);
    let dx = match (kept, past) {
        (None, None) => dx,
        (None, Some(past)) => B::float_add(past, dx),
        (Some(kept), past) => {
            let past = past.unwrap_or_else(|| B::float_zeros(shape, &device, FloatDType::F32));
            B::float_select_assign(past, 0, kept.rows.clone(), dx, IndexingUpdateOp::Add)
        }
    };
    (dx, d_weight, d_bias)
}

pub fn l2_norm<B: Backend>(
    x: FloatTensor<B>,
    gain: Option<FloatTensor<B>>,
    eps: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let x = full::<B>(x);
    let length = B::float_sqrt(B::float_sum_dim(B::float_mul(x.clone(), x.clone()), 1));
    let inverse = B::float_recip(B::float_clamp_min(length, eps.into()));
    let y = B::float_mul(x, scale::<B>(&inverse, gain));
    (y, flat::<B>(inverse))
}

pub fn l2_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    gain: Option<FloatTensor<B>>,
    inverse: FloatTensor<B>,
    dy: FloatTensor<B>,
    eps: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (x, dy) = (full::<B>(x), full::<B>(dy));
    let [rows, _] = sides::<B>(&x);
    let inverse = as_matrix::<B>(inverse, rows, 1);
    let direction = B::float_mul(x, inverse.clone());
    let along = B::float_sum_dim(B::float_mul(direction.clone(), dy.clone()), 1);
    // Rows no longer than eps are not turned onto the sphere, only scaled.
    let short = B::float_greater_equal_elem(
        B::float_mul_scalar(inverse.clone(), eps.into()),
        1.0.into(),
        BoolDType::Native,
    );
    let turned = B::float_mask_fill(along.clone(), short, 0.0.into());
    let dx = B::float_sub(dy, B::float_mul(direction, turned));
    (B::float_mul(dx, scale::<B>(&inverse, gain)), flat::<B>(along))
}

/// What each row is multiplied with, `[rows, 1]`.
fn scale<B: Backend>(inverse: &FloatTensor<B>, gain: Option<FloatTensor<B>>) -> FloatTensor<B> {
    match gain {
        Some(gain) => {
            let rows = inverse.shape().num_elements();
            B::float_mul(inverse.clone(), as_matrix::<B>(full::<B>(gain), rows, 1))
        }
        None => inverse.clone(),
    }
}
