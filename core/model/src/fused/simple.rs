//! A linear layer on its own.

use burn::backend::tensor::FloatTensor;

use super::programs::KernelOps;

/// `x Wᵀ + b`
pub(super) fn linear<B: KernelOps>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    B::add_bias(B::matmul(x, false, weight, true), bias)
}

/// Gradients of `x`, weight and bias of a linear layer; each only where `wanted`.
pub(super) fn linear_backward<B: KernelOps>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    wanted: [bool; 3],
) -> [Option<FloatTensor<B>>; 3] {
    let g = || gradient.clone();
    [
        wanted[0].then(|| B::matmul(g(), false, weight, false)),
        wanted[1].then(|| B::matmul(g(), true, x, false)),
        wanted[2].then(|| B::column_sums(g())),
    ]
}
