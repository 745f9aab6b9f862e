//! GELU and SwiGLU with the bias before them.

use std::f64::consts::{PI, SQRT_2};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::{as_row, flat, full, like, sides};
use crate::fused::programs::Three;

fn biased<B: Backend>(hidden: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add(full::<B>(hidden), as_row::<B>(full::<B>(bias)))
}

/// Φ of the standard normal.
fn below<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x, (1.0 / SQRT_2).into()));
    B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into())
}

pub fn gelu<B: Backend>(hidden: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = hidden.dtype();
    let x = biased::<B>(hidden, bias);
    like::<B>(B::float_mul(x.clone(), below::<B>(x)), dtype)
}

pub fn gelu_backward<B: Backend>(
    hidden: FloatTensor<B>,
    bias: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> Three<B> {
    let dtype = hidden.dtype();
    let x = biased::<B>(hidden, bias);
    let cdf = below::<B>(x.clone());
    let square = B::float_mul(x.clone(), x.clone());
    let bell = B::float_exp(B::float_mul_scalar(square, (-0.5).into()));
    let density = B::float_mul_scalar(bell, (1.0 / (2.0 * PI).sqrt()).into());
    let slope = B::float_add(cdf.clone(), B::float_mul(x.clone(), density));
    let d = B::float_mul(full::<B>(gradient), slope);
    let d_bias = flat::<B>(B::float_sum_dim(d.clone(), 0));
    (like::<B>(d, dtype), like::<B>(B::float_mul(x, cdf), dtype), d_bias)
}

/// Gate and value of `[rows, 2 width]`.
fn halves<B: Backend>(x: FloatTensor<B>) -> [FloatTensor<B>; 2] {
    let [rows, columns] = sides::<B>(&x);
    let cut = |from: usize| B::float_slice(x.clone(), &[(0..rows).into(), (from..from + columns / 2).into()]);
    [cut(0), cut(columns / 2)]
}

fn sigmoid<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_recip(B::float_add_scalar(B::float_exp(B::float_neg(x)), 1.0.into()))
}

pub fn swiglu<B: Backend>(hidden: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = hidden.dtype();
    let [gate, value] = halves::<B>(biased::<B>(hidden, bias));
    like::<B>(B::float_mul(B::float_mul(gate.clone(), sigmoid::<B>(gate)), value), dtype)
}

pub fn swiglu_backward<B: Backend>(
    hidden: FloatTensor<B>,
    bias: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> Three<B> {
    let dtype = hidden.dtype();
    let [gate, value] = halves::<B>(biased::<B>(hidden, bias));
    let gradient = full::<B>(gradient);
    let open = sigmoid::<B>(gate.clone());
    let silu = B::float_mul(gate.clone(), open.clone());
    // d silu = open (1 + gate (1 - open))
    let closed = B::float_add_scalar(B::float_neg(open.clone()), 1.0.into());
    let slope = B::float_mul(open, B::float_add_scalar(B::float_mul(gate, closed), 1.0.into()));
    let d_gate = B::float_mul(B::float_mul(gradient.clone(), value.clone()), slope);
    let d_value = B::float_mul(gradient, silu.clone());
    let d = B::float_cat(vec![d_gate, d_value], 1);
    let d_bias = flat::<B>(B::float_sum_dim(d.clone(), 0));
    (like::<B>(d, dtype), like::<B>(B::float_mul(silu, value), dtype), d_bias)
}
