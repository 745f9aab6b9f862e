//! The programs out of burn's own operations: one pass over memory each, any backend, any precision.
//!
//! Slow and plain on purpose: this is what the fused programs are compared with.

mod activation;
mod attention;
mod linear;
mod loss;
mod neighbours;
mod norm;
mod rope;
mod update;

pub use activation::{gelu, gelu_backward, swiglu, swiglu_backward};
pub use attention::{attention, attention_backward};
pub use linear::{add_bias, column_sums, gather_scaled, kept, matmul, project, scale_rows, weight_gradients};
pub use loss::{cross_entropy, cross_entropy_backward};
pub use neighbours::{neighbour_distances, neighbour_distances_backward};
pub use norm::{l2_norm, l2_norm_backward, layer_norm, layer_norm_backward};
pub use rope::rotate;
pub use update::{adamw, clip, optimise, squared_norm};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DType, FloatDType, Shape, TensorMetadata};

/// Sides of a matrix.
pub(super) fn sides<B: Backend>(x: &FloatTensor<B>) -> [usize; 2] {
    let shape = x.shape();
    let last = shape.num_dims() - 1;
    let rows = (0..last).map(|d| shape[d]).product();
    [rows, shape[last]]
}

/// The same values as `[rows, cols]`.
pub(super) fn as_matrix<B: Backend>(x: FloatTensor<B>, rows: usize, cols: usize) -> FloatTensor<B> {
    B::float_reshape(x, Shape::new([rows, cols]))
}

/// The same values as `[1, n]`, to meet every row.
pub(super) fn as_row<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let n = x.shape().num_elements();
    as_matrix::<B>(x, 1, n)
}

/// The same values as `[n]`.
pub(super) fn flat<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let n = x.shape().num_elements();
    B::float_reshape(x, Shape::new([n]))
}

/// The values in a precision; nothing happens where they have it.
pub(super) fn cast<B: Backend>(x: FloatTensor<B>, to: FloatDType) -> FloatTensor<B> {
    if x.dtype() == DType::from(to) { x } else { B::float_cast(x, to) }
}

/// The values in f32, for what must not be rounded.
pub(super) fn full<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    cast::<B>(x, FloatDType::F32)
}

/// The values in the precision of another tensor.
pub(super) fn like<B: Backend>(x: FloatTensor<B>, other: DType) -> FloatTensor<B> {
    cast::<B>(x, other.into())
}
