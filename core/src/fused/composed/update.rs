//! AdamW and the teacher's moving average, a parameter at a time.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, BoolDType, TensorMetadata};

use super::flat;
use crate::fused::update::{Rates, Updated};

pub fn squared_norm<B: Backend>(tensors: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    let squares: Vec<_> =
        tensors.into_iter().map(|x| flat::<B>(B::float_sum(B::float_mul(x.clone(), x)))).collect();
    flat::<B>(B::float_sum(B::float_cat(squares, 0)))
}

pub fn adamw<B: Backend>(
    parameters: Vec<Updated<FloatTensor<B>>>,
    rates: &Rates,
) -> Vec<Updated<FloatTensor<B>>> {
    let scaled = |x: FloatTensor<B>, by: f64| B::float_mul_scalar(x, by.into());
    parameters
        .into_iter()
        .map(|mut p| {
            if let Some((gradient, factor)) = p.gradient.take() {
                let one = flat::<B>(factor.clone());
                let gradient = B::float_mul(gradient, one.clone());
                let before = (p.value.clone(), p.first.clone(), p.second.clone());
                let square = B::float_mul(gradient.clone(), gradient.clone());
                p.first = B::float_add(scaled(p.first, rates.beta1), scaled(gradient, 1.0 - rates.beta1));
                p.second = B::float_add(scaled(p.second, rates.beta2), scaled(square, 1.0 - rates.beta2));
                let root = scaled(B::float_sqrt(p.second.clone()), 1.0 / rates.correction2());
                let denominator = B::float_add_scalar(root, rates.eps.into());
                let update = B::float_div(p.first.clone(), denominator);
                let update = scaled(update, p.lr / rates.correction1());
                p.value = B::float_sub(scaled(p.value, 1.0 - p.lr * p.decay), update);
                if rates.skip_not_finite {
                    // A gradient that overflowed leaves everything as it was.
                    let bad = B::float_is_nan(scaled(one, 0.0), BoolDType::Native);
                    let keep = |new: FloatTensor<B>, old: FloatTensor<B>| {
                        let bad = B::bool_expand(bad.clone(), new.shape());
                        B::float_mask_where(new, bad, old)
                    };
                    p.value = keep(p.value, before.0);
                    p.first = keep(p.first, before.1);
                    p.second = keep(p.second, before.2);
                }
            }
            p.teacher = B::float_add(
                scaled(p.teacher, rates.momentum),
                scaled(p.value.clone(), 1.0 - rates.momentum),
            );
            p
        })
        .collect()
}
