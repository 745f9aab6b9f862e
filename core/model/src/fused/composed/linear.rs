//! Matrix products, biases, and the two ends of a residual branch.

use std::sync::Arc;

use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, TensorData};

use super::{as_matrix, as_row, flat, full, like, sides};
use crate::fused::packing::CropSubset;
use crate::fused::programs::{KeptCrops, KernelOps, Three};

pub fn kept<B: Backend>(subset: Arc<CropSubset>, device: &Device<B>) -> KeptCrops<B> {
    let n = subset.rows.len();
    let rows = B::int_from_data(TensorData::new(subset.rows.clone(), [n]), device);
    let scale = B::float_from_data(TensorData::new(subset.scale.clone(), [n, 1]), device);
    KeptCrops { subset, rows, scale }
}

pub fn matmul<B: Backend>(
    a: FloatTensor<B>,
    flip_a: bool,
    b: FloatTensor<B>,
    flip_b: bool,
) -> FloatTensor<B> {
    let flip = |x, flip| if flip { B::float_swap_dims(x, 0, 1) } else { x };
    B::float_matmul(flip(a, flip_a), flip(b, flip_b))
}

pub fn column_sums<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    flat::<B>(B::float_sum_dim(full::<B>(x), 0))
}

pub fn add_bias<B: Backend>(x: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = x.dtype();
    B::float_add(x, like::<B>(as_row::<B>(bias), dtype))
}

pub fn scale_rows<B: Backend>(weight: FloatTensor<B>, gamma: FloatTensor<B>) -> FloatTensor<B> {
    let [out, _] = sides::<B>(&weight);
    B::float_mul(weight, as_matrix::<B>(gamma, out, 1))
}

pub fn project<B: KernelOps>(
    x: FloatTensor<B>,
    kept: Option<&KeptCrops<B>>,
    a: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    gamma: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    let mut branch = B::float_add(full::<B>(B::matmul(a, false, weight, true)), as_row::<B>(full::<B>(bias)));
    if let Some(gamma) = gamma {
        branch = B::float_mul(branch, as_row::<B>(gamma));
    }
    match kept {
        None => B::float_add(x, branch),
        Some(kept) => {
            let branch = B::float_mul(branch, kept.scale.clone());
            B::float_select_assign(x, 0, kept.rows.clone(), branch, IndexingUpdateOp::Add)
        }
    }
}

pub fn gather_scaled<B: Backend>(gradient: FloatTensor<B>, kept: Option<&KeptCrops<B>>) -> FloatTensor<B> {
    match kept {
        None => gradient,
        Some(kept) => B::float_mul(B::float_select(gradient, 0, kept.rows.clone()), kept.scale.clone()),
    }
}

pub fn weight_gradients<B: Backend>(
    d_weight: FloatTensor<B>,
    d_bias: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    gamma: FloatTensor<B>,
) -> Three<B> {
    let [out, _] = sides::<B>(&weight);
    let along = flat::<B>(B::float_sum_dim(B::float_mul(weight, d_weight.clone()), 1));
    let d_gamma = B::float_add(along, B::float_mul(bias, d_bias.clone()));
    let d_weight = B::float_mul(d_weight, as_matrix::<B>(gamma.clone(), out, 1));
    (d_weight, B::float_mul(d_bias, gamma), d_gamma)
}
