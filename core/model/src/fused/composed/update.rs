//! AdamW and the teacher's moving average, a parameter at a time.

use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, BoolDType, FloatDType, Shape, TensorMetadata, get_device_settings};

use super::flat;
use crate::fused::programs::KernelOps;
use crate::fused::update::{GradNorms, MODULES, ParamUpdate, UpdateHyperparams};

/// What a device keeps truth values in: GPUs have no type for them.
fn bools<B: Backend>(device: &Device<B>) -> BoolDType {
    get_device_settings::<B>(device).bool_dtype
}

pub fn squared_norm<B: Backend>(tensors: Vec<FloatTensor<B>>, device: &Device<B>) -> FloatTensor<B> {
    if tensors.is_empty() {
        return B::float_zeros(Shape::new([1]), device, FloatDType::F32);
    }
    let squares: Vec<_> =
        tensors.into_iter().map(|x| flat::<B>(B::float_sum(B::float_mul(x.clone(), x)))).collect();
    flat::<B>(B::float_sum(B::float_cat(squares, 0)))
}

pub fn adamw<B: Backend>(
    parameters: Vec<ParamUpdate<FloatTensor<B>>>,
    factors: &[FloatTensor<B>],
    rates: &UpdateHyperparams,
) -> Vec<ParamUpdate<FloatTensor<B>>> {
    let scaled = |x: FloatTensor<B>, by: f64| B::float_mul_scalar(x, by.into());
    parameters
        .into_iter()
        .map(|mut p| {
            if let Some(gradient) = p.gradient.take() {
                let one = flat::<B>(factors[p.module].clone());
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
                    let device = one.device();
                    let bad = B::float_is_nan(scaled(one, 0.0), bools::<B>(&device));
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

pub fn optimise<B: KernelOps>(
    parameters: Vec<ParamUpdate<FloatTensor<B>>>,
    loss_scale: Option<FloatTensor<B>>,
    rates: &UpdateHyperparams,
) -> (Vec<ParamUpdate<FloatTensor<B>>>, GradNorms<FloatTensor<B>>) {
    let device = parameters[0].value.device();
    let squares = (0..MODULES).map(|module| {
        let own = parameters.iter().filter(|p| p.module == module).filter_map(|p| p.gradient.clone());
        B::squared_norm(own.collect(), &device)
    });
    let (factors, found) = clip::<B>(squares.collect(), loss_scale, rates);
    (B::adamw(parameters, &factors, rates), found)
}

/// What each sub-module's gradients are multiplied with, out of the `squares` of their norms, `[1]` each; and the norms.
pub fn clip<B: KernelOps>(
    squares: Vec<FloatTensor<B>>,
    loss_scale: Option<FloatTensor<B>>,
    rates: &UpdateHyperparams,
) -> (Vec<FloatTensor<B>>, GradNorms<FloatTensor<B>>) {
    let scaled = |x: FloatTensor<B>, by: f64| B::float_mul_scalar(x, by.into());
    let inverse = loss_scale.map(B::float_recip);
    let norms: Vec<_> = squares
        .into_iter()
        .map(|squares| {
            let norm = B::float_sqrt(squares);
            match &inverse {
                Some(inverse) => B::float_mul(norm, inverse.clone()),
                None => norm,
            }
        })
        .collect();
    // 0, or NaN where a norm is not finite.
    let zero = norms.iter().map(|norm| scaled(norm.clone(), 0.0)).reduce(B::float_add);
    let zero = zero.unwrap_or_else(|| norms[0].clone());
    let factors: Vec<_> = norms
        .iter()
        .map(|norm| {
            let mut factor = B::float_add_scalar(zero.clone(), 1.0.into());
            if rates.clip > 0.0 {
                let room = B::float_recip(B::float_add_scalar(norm.clone(), 1e-6.into()));
                let within = B::float_clamp_max(scaled(room, rates.clip), 1.0.into());
                factor = B::float_mul(factor, within);
            }
            match &inverse {
                Some(inverse) => B::float_mul(factor, inverse.clone()),
                None => factor,
            }
        })
        .collect();
    let device = zero.device();
    let overflow = B::bool_into_float(B::float_is_nan(zero, bools::<B>(&device)), FloatDType::F32);
    (factors, GradNorms { norms, overflow })
}
