//! Distances to the nearest neighbour.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, FloatDType, IntDType, Shape, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, TensorData};

use super::{as_matrix, flat, full, l2_norm, l2_norm_backward, sides};
use crate::fused::programs::{NeighbourState, NeighbourViews};

pub fn neighbour_distances<B: Backend>(
    x: FloatTensor<B>,
    of: NeighbourViews,
) -> (FloatTensor<B>, NeighbourState<B>) {
    let (y, inverse) = l2_norm::<B>(head::<B>(full::<B>(x), of.rows()), None, of.eps);
    let (device, rows) = (y.device(), of.rows());
    let view = |row: usize| row / of.per_view.max(1);
    let mask = |is: &dyn Fn(usize, usize) -> bool| {
        let mask: Vec<bool> = (0..rows * rows).map(|i| is(i / rows, i % rows)).collect();
        B::bool_from_data(TensorData::new(mask, [rows, rows]), &device)
    };
    let products = B::float_matmul(y.clone(), B::float_swap_dims(y.clone(), 0, 1));
    let products = B::float_mask_fill(products, mask(&|a, b| a == b), (-1.0).into());
    let products = B::float_mask_fill(products, mask(&|a, b| view(a) != view(b)), f32::MIN.into());
    let nearest = B::int_reshape(B::float_argmax(products, 1, IntDType::I32), Shape::new([rows]));
    let off = offsets::<B>(y.clone(), nearest.clone(), of.eps);
    let distance = flat::<B>(B::float_sqrt(B::float_sum_dim(B::float_mul(off.clone(), off), 1)));
    (distance.clone(), NeighbourState { y, inverse, nearest, distance })
}

pub fn neighbour_distances_backward<B: Backend>(
    x: FloatTensor<B>,
    state: NeighbourState<B>,
    of: NeighbourViews,
    d_distance: FloatTensor<B>,
) -> FloatTensor<B> {
    let NeighbourState { y, inverse, nearest, distance } = state;
    let ([all, dim], rows) = (sides::<B>(&x), of.rows());
    let slope = as_matrix::<B>(B::float_div(full::<B>(d_distance), distance), rows, 1);
    let slopes = B::float_mul(offsets::<B>(y, nearest.clone(), of.eps), slope);
    let dy = B::float_select_assign(slopes.clone(), 0, nearest, B::float_neg(slopes), IndexingUpdateOp::Add);
    let device = x.device();
    let (dx, _) = l2_norm_backward::<B>(head::<B>(full::<B>(x), rows), None, inverse, dy, of.eps);
    if all == rows {
        return dx;
    }
    let rest = B::float_zeros(Shape::new([all - rows, dim]), &device, FloatDType::F32);
    B::float_cat(vec![dx, rest], 0)
}

/// Each row less its neighbour, plus `eps`.
fn offsets<B: Backend>(y: FloatTensor<B>, nearest: IntTensor<B>, eps: f64) -> FloatTensor<B> {
    let near = B::float_select(y.clone(), 0, nearest);
    B::float_add_scalar(B::float_sub(y, near), eps.into())
}

/// The first rows.
fn head<B: Backend>(x: FloatTensor<B>, rows: usize) -> FloatTensor<B> {
    let [all, dim] = sides::<B>(&x);
    if all == rows { x } else { B::float_slice(x, &[(0..rows).into(), (0..dim).into()]) }
}
