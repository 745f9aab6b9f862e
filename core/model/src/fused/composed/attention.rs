//! Attention with the whole matrix of scores.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, TensorMetadata};

use super::{as_matrix, full, like, sides};
use crate::fused::packing::{CropGroup, SequencePacking};

/// Queries, keys and values of one group of crops, each `[count, heads, tokens, width]`, in f32.
fn split<B: Backend>(
    qkv: &FloatTensor<B>,
    start: usize,
    group: CropGroup,
    heads: usize,
) -> [FloatTensor<B>; 3] {
    let [_, columns] = sides::<B>(qkv);
    let width = columns / 3 / heads;
    let part = rows::<B>(qkv, start, group);
    let part = B::float_reshape(full::<B>(part), Shape::new([group.count, group.tokens, 3, heads, width]));
    let part = B::float_permute(part, &[2, 0, 3, 1, 4]);
    std::array::from_fn(|i| {
        let mut slices: Vec<burn::tensor::Slice> = vec![(i..i + 1).into()];
        slices.extend([group.count, heads, group.tokens, width].map(|n| burn::tensor::Slice::from(0..n)));
        let part = B::float_slice(part.clone(), &slices);
        B::float_reshape(part, Shape::new([group.count, heads, group.tokens, width]))
    })
}

/// Rows of one group.
fn rows<B: Backend>(x: &FloatTensor<B>, start: usize, group: CropGroup) -> FloatTensor<B> {
    let [_, columns] = sides::<B>(x);
    B::float_slice(x.clone(), &[(start..start + group.count * group.tokens).into(), (0..columns).into()])
}

/// `[count, heads, tokens, width]` back to `[rows, heads width]`.
fn join<B: Backend>(x: FloatTensor<B>, group: CropGroup) -> FloatTensor<B> {
    let columns = x.shape().num_elements() / (group.count * group.tokens).max(1);
    as_matrix::<B>(B::float_permute(x, &[0, 2, 1, 3]), group.count * group.tokens, columns)
}

fn scores<B: Backend>(q: FloatTensor<B>, k: FloatTensor<B>) -> FloatTensor<B> {
    let width = q.shape()[3] as f64;
    let scores = B::float_matmul(q, B::float_swap_dims(k, 2, 3));
    B::float_mul_scalar(scores, width.powf(-0.5).into())
}

pub fn attention<B: Backend>(
    qkv: FloatTensor<B>,
    packing: &SequencePacking,
    heads: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let dtype = qkv.dtype();
    let (mut outs, mut sums) = (Vec::new(), Vec::new());
    for (start, group) in packing.spans().filter(|(_, group)| group.count > 0) {
        let [q, k, v] = split::<B>(&qkv, start, group, heads);
        let scores = scores::<B>(q, k);
        let max = B::float_max_dim(scores.clone(), 3);
        let exp = B::float_exp(B::float_sub(scores, max.clone()));
        let sum = B::float_sum_dim(exp.clone(), 3);
        outs.push(join::<B>(B::float_matmul(B::float_div(exp, sum.clone()), v), group));
        sums.push(join::<B>(B::float_add(max, B::float_log(sum)), group));
    }
    (like::<B>(B::float_cat(outs, 0), dtype), B::float_cat(sums, 0))
}

pub fn attention_backward<B: Backend>(
    qkv: FloatTensor<B>,
    out: FloatTensor<B>,
    lse: FloatTensor<B>,
    d_out: FloatTensor<B>,
    packing: &SequencePacking,
    heads: usize,
) -> FloatTensor<B> {
    let dtype = qkv.dtype();
    let (out, d_out) = (full::<B>(out), full::<B>(d_out));
    let mut parts = Vec::new();
    for (start, group) in packing.spans().filter(|(_, group)| group.count > 0) {
        let [q, k, v] = split::<B>(&qkv, start, group, heads);
        let width = q.shape()[3];
        let heads_first = |x: &FloatTensor<B>, width: usize| {
            let shape = Shape::new([group.count, group.tokens, heads, width]);
            B::float_permute(B::float_reshape(rows::<B>(x, start, group), shape), &[0, 2, 1, 3])
        };
        let (out, d_out) = (heads_first(&out, width), heads_first(&d_out, width));
        let p = B::float_exp(B::float_sub(scores::<B>(q.clone(), k.clone()), heads_first(&lse, 1)));
        let along = B::float_sum_dim(B::float_mul(out, d_out.clone()), 3);
        let dp = B::float_matmul(d_out.clone(), B::float_swap_dims(v, 2, 3));
        let ds = B::float_mul(p.clone(), B::float_sub(dp, along));
        let ds = B::float_mul_scalar(ds, (width as f64).powf(-0.5).into());
        let dq = B::float_matmul(ds.clone(), k);
        let dk = B::float_matmul(B::float_swap_dims(ds, 2, 3), q);
        let dv = B::float_matmul(B::float_swap_dims(p, 2, 3), d_out);
        parts.push(B::float_cat([dq, dk, dv].map(|x| join::<B>(x, group)).into(), 1));
    }
    like::<B>(B::float_cat(parts, 0), dtype)
}
