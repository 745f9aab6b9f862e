//! Rotary positions out of burn's operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, TensorMetadata};
use burn::tensor::Slice;
use dinoscope_shaders::rope::RopeTurn;

use super::{add_bias, full, like, sides};
use crate::fused::packing::SequencePacking;

/// Part `range` along one axis of many.
fn part<B: Backend>(x: &FloatTensor<B>, axis: usize, range: std::ops::Range<usize>) -> FloatTensor<B> {
    let shape = x.shape();
    let all: Vec<Slice> = (0..shape.num_dims())
        .map(|d| if d == axis { range.clone().into() } else { Slice::from(0..shape[d]) })
        .collect();
    B::float_slice(x.clone(), &all)
}

pub fn rotate<B: Backend>(
    qkv: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    table: FloatTensor<B>,
    packing: &SequencePacking,
    heads: usize,
    turn: RopeTurn,
) -> FloatTensor<B> {
    let dtype = qkv.dtype();
    let mut qkv = full::<B>(qkv);
    if let Some(bias) = bias {
        qkv = add_bias::<B>(qkv, bias);
    }
    let [_, columns] = sides::<B>(&qkv);
    let half = columns / 3 / heads / 2;
    let (mut first, mut turned) = (0, Vec::new());
    for (start, group) in packing.spans() {
        if group.count == 0 {
            first += group.tokens;
            continue;
        }
        let rows = group.count * group.tokens;
        let x = part::<B>(&qkv, 0, start..start + rows);
        let x = B::float_reshape(x, Shape::new([group.count, group.tokens, 3, heads, 2, half]));
        let angles = part::<B>(&table, 0, first..first + group.tokens);
        let angles = B::float_reshape(angles, Shape::new([1, group.tokens, 1, 1, 2, half]));
        let (cos, sin) = (part::<B>(&angles, 4, 0..1), part::<B>(&angles, 4, 1..2));
        let sin = B::float_mul_scalar(sin, turn.sign().into());
        let pairs = part::<B>(&x, 2, 0..2);
        let (a, b) = (part::<B>(&pairs, 4, 0..1), part::<B>(&pairs, 4, 1..2));
        let times = |x: &FloatTensor<B>, y: &FloatTensor<B>| B::float_mul(x.clone(), y.clone());
        let ahead = B::float_sub(times(&a, &cos), times(&b, &sin));
        let behind = B::float_add(times(&b, &cos), times(&a, &sin));
        let pairs = B::float_cat(vec![ahead, behind], 4);
        let out = B::float_cat(vec![pairs, part::<B>(&x, 2, 2..3)], 2);
        turned.push(B::float_reshape(out, Shape::new([rows, columns])));
        first += group.tokens;
    }
    like::<B>(B::float_cat(turned, 0), dtype)
}
