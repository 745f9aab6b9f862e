//! The programs on the CPU backend: the twins of `dinoscope_shaders`. Precisions other than f32 are composed.

use std::borrow::Cow;

use burn::backend::tensor::{Device, FloatTensor, IntTensor};
use burn::backend::{DType, Flex};
use burn::tensor::TensorData;
use dinoscope_shaders::attention::cpu::{self as attention, CpuAttentionLayout};
use dinoscope_shaders::cpu::{MatrixView, add_rows, column_sums, unwritten};
use dinoscope_shaders::cross_entropy::cpu::{self as cross_entropy, CpuCrossEntropyInputs};
use dinoscope_shaders::neighbours::cpu as neighbours;
use dinoscope_shaders::residual::cpu as residual;
use dinoscope_shaders::{
    activation::cpu as activation,
    adamw::cpu as adamw,
    l2_norm::cpu as l2_norm,
    layer_norm::cpu as layer_norm,
    rope::{RopeTurn, cpu as rope},
};

use super::composed::{self, sides};
use super::loss::TargetPairs;
use super::matmul_precision::product;
use super::programs::{KeptCrops, KernelOps, NeighbourState, NeighbourViews, Three, sequences, starts};
use super::update::{ParamUpdate, UpdateHyperparams};
use crate::fused::packing::SequencePacking;

type Array = FloatTensor<Flex>;

/// Whether the twins can take it.
fn single(x: &Array) -> bool {
    x.dtype() == DType::F32
}

/// The values in order.
pub(super) fn values(x: &Array) -> Cow<'_, [f32]> {
    match x.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => {
            let x = x.to_contiguous();
            Cow::Owned(x.as_slice::<f32>().map(<[f32]>::to_vec).unwrap_or_default())
        }
    }
}

/// The values to write over: the tensor's own where nobody else holds them.
fn owned(x: Array) -> Vec<f32> {
    if !x.is_unique() || !x.is_contiguous() {
        return values(&x).into_owned();
    }
    // Takes the buffer over where it is exactly the tensor's, and copies where not.
    x.into_data().try_into_vec::<f32>().unwrap_or_default()
}

pub(super) fn array<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Array {
    Array::from_data(TensorData::new(values, shape))
}

fn vector(values: Vec<f32>) -> Array {
    let n = values.len();
    array(values, [n])
}

fn rows(kept: Option<&KeptCrops<Flex>>) -> Option<&[i32]> {
    kept.map(|kept| kept.subset.rows.as_slice())
}

fn sum<'a>(kept: &'a KeptCrops<Flex>) -> residual::CpuResidualRows<'a> {
    residual::CpuResidualRows { rows: &kept.subset.rows, scale: &kept.subset.scale }
}

fn three([a, b, c]: [Array; 3]) -> Three<Flex> {
    (a, b, c)
}

impl KernelOps for Flex {
    fn matmul(a: Array, flip_a: bool, b: Array, flip_b: bool) -> Array {
        if !single(&a) || !single(&b) {
            return composed::matmul::<Flex>(a, flip_a, b, flip_b);
        }
        let ([ra, ca], [rb, cb]) = (sides::<Flex>(&a), sides::<Flex>(&b));
        let (a, b) = (values(&a), values(&b));
        let (m, n) = (if flip_a { ca } else { ra }, if flip_b { rb } else { cb });
        let (left, right) = (MatrixView::new(&a, ra, ca), MatrixView::new(&b, rb, cb));
        // Strides tell the product which way a matrix lies; nothing is copied.
        let left = if flip_a { left.transposed() } else { left };
        let right = if flip_b { right.transposed() } else { right };
        // SAFETY: the product writes all of it.
        let mut out = unsafe { unwritten(m * n) };
        product(&mut out, left, right, false);
        array(out, [m, n])
    }

    fn column_sums(x: Array) -> Array {
        if !single(&x) {
            return composed::column_sums::<Flex>(x);
        }
        let [_, width] = sides::<Flex>(&x);
        vector(column_sums(&values(&x), width))
    }

    fn add_bias(x: Array, bias: Array) -> Array {
        if !single(&x) || !single(&bias) {
            return composed::add_bias::<Flex>(x, bias);
        }
        let shape = sides::<Flex>(&x);
        array(add_rows(owned(x), &values(&bias)), shape)
    }

    fn layer_norm(
        x: Array,
        kept: Option<&KeptCrops<Flex>>,
        weight: Array,
        bias: Array,
        eps: f64,
    ) -> (Array, Array) {
        if !single(&x) {
            return composed::layer_norm(x, kept, weight, bias, eps);
        }
        let [_, dim] = sides::<Flex>(&x);
        let (y, stats) =
            layer_norm::forward(&values(&x), rows(kept), &values(&weight), &values(&bias), eps as f32);
        let n = stats.len() / 2;
        (array(y, [n, dim]), array(stats, [n, 2]))
    }

    fn layer_norm_backward(
        x: Array,
        kept: Option<&KeptCrops<Flex>>,
        weight: Array,
        stats: Array,
        dy: Array,
        past: Option<Array>,
    ) -> Three<Flex> {
        let all = [&x, &weight, &stats, &dy].into_iter().chain(&past).all(single);
        if !all {
            return composed::layer_norm_backward(x, kept, weight, stats, dy, past);
        }
        let shape = sides::<Flex>(&x);
        let (x, weight, stats, dy) = (values(&x), values(&weight), values(&stats), values(&dy));
        let g = layer_norm::backward(&x, rows(kept), &weight, &stats, &dy, past.map(owned));
        three([array(g.x, shape), vector(g.weight), vector(g.bias)])
    }

    fn l2_norm(x: Array, gain: Option<Array>, eps: f64) -> (Array, Array) {
        if ![&x].into_iter().chain(&gain).all(single) {
            return composed::l2_norm::<Flex>(x, gain, eps);
        }
        let shape = sides::<Flex>(&x);
        let (x, gain) = (values(&x), gain.as_ref().map(values));
        let (y, inverse) = l2_norm::forward(&x, gain.as_deref(), shape[1], eps as f32);
        (array(y, shape), vector(inverse))
    }

    fn l2_norm_backward(
        x: Array,
        gain: Option<Array>,
        inverse: Array,
        dy: Array,
        eps: f64,
    ) -> (Array, Array) {
        if ![&x, &inverse, &dy].into_iter().chain(&gain).all(single) {
            return composed::l2_norm_backward::<Flex>(x, gain, inverse, dy, eps);
        }
        let shape = sides::<Flex>(&x);
        let (x, gain) = (values(&x), gain.as_ref().map(values));
        let (dx, d_gain) =
            l2_norm::backward(&x, gain.as_deref(), &values(&inverse), &values(&dy), eps as f32);
        (array(dx, shape), vector(d_gain))
    }

    fn rotate(
        qkv: Array,
        bias: Option<Array>,
        table: Array,
        packing: &SequencePacking,
        heads: usize,
        turn: RopeTurn,
    ) -> Array {
        if ![&qkv].into_iter().chain(&bias).all(single) {
            return composed::rotate::<Flex>(qkv, bias, table, packing, heads, turn);
        }
        let shape = sides::<Flex>(&qkv);
        let (bias, table) = (bias.as_ref().map(values), values(&table));
        array(rope::rotate(owned(qkv), bias.as_deref(), &table, &sequences(packing), heads, turn), shape)
    }

    fn attention(qkv: Array, packing: &SequencePacking, heads: usize) -> (Array, Array) {
        if !single(&qkv) {
            return composed::attention::<Flex>(qkv, packing, heads);
        }
        let [tokens, columns] = sides::<Flex>(&qkv);
        let starts = starts(packing);
        let layout = CpuAttentionLayout { starts: &starts, heads, width: columns / 3 / heads };
        let (out, lse) = attention::forward(&values(&qkv), layout);
        (array(out, [tokens, columns / 3]), array(lse, [tokens, heads]))
    }

    fn attention_backward(
        qkv: Array,
        out: Array,
        lse: Array,
        d_out: Array,
        packing: &SequencePacking,
        heads: usize,
    ) -> Array {
        if ![&qkv, &out, &lse, &d_out].into_iter().all(single) {
            return composed::attention_backward::<Flex>(qkv, out, lse, d_out, packing, heads);
        }
        let shape = sides::<Flex>(&qkv);
        let starts = starts(packing);
        let layout = CpuAttentionLayout { starts: &starts, heads, width: shape[1] / 3 / heads };
        let gradient =
            attention::backward(&values(&qkv), &values(&out), &values(&lse), &values(&d_out), layout);
        array(gradient, shape)
    }

    fn gelu(hidden: Array, bias: Array) -> Array {
        if !single(&hidden) {
            return composed::gelu::<Flex>(hidden, bias);
        }
        let shape = sides::<Flex>(&hidden);
        array(activation::gelu(&values(&hidden), &values(&bias)), shape)
    }

    fn gelu_backward(hidden: Array, bias: Array, gradient: Array) -> Three<Flex> {
        if !single(&hidden) {
            return composed::gelu_backward::<Flex>(hidden, bias, gradient);
        }
        let shape = sides::<Flex>(&hidden);
        let back = activation::gelu_backward(&values(&hidden), &values(&bias), &values(&gradient));
        three([array(back.hidden, shape), array(back.activation, shape), vector(back.bias)])
    }

    fn swiglu(hidden: Array, bias: Array) -> Array {
        if !single(&hidden) {
            return composed::swiglu::<Flex>(hidden, bias);
        }
        let [n, columns] = sides::<Flex>(&hidden);
        array(activation::swiglu(&values(&hidden), &values(&bias)), [n, columns / 2])
    }

    fn swiglu_backward(hidden: Array, bias: Array, gradient: Array) -> Three<Flex> {
        if !single(&hidden) {
            return composed::swiglu_backward::<Flex>(hidden, bias, gradient);
        }
        let [n, columns] = sides::<Flex>(&hidden);
        let back = activation::swiglu_backward(&values(&hidden), &values(&bias), &values(&gradient));
        three([array(back.hidden, [n, columns]), array(back.activation, [n, columns / 2]), vector(back.bias)])
    }

    fn project(
        x: Array,
        kept: Option<&KeptCrops<Flex>>,
        a: Array,
        weight: Array,
        bias: Array,
        gamma: Option<Array>,
    ) -> Array {
        if ![&x, &a, &weight, &bias].into_iter().chain(&gamma).all(single) {
            return composed::project(x, kept, a, weight, bias, gamma);
        }
        let shape = sides::<Flex>(&x);
        if let Some(kept) = kept {
            let branch = Self::matmul(a, false, weight, true);
            let gamma = gamma.as_ref().map(values);
            let out = residual::forward(
                owned(x),
                Some(sum(kept)),
                &values(&branch),
                Some(&values(&bias)),
                gamma.as_deref(),
                shape[1],
            );
            return array(out, shape);
        }
        // LayerScale goes into the weights, so that the product can add itself to the residual stream.
        let (weight, bias) = match gamma {
            None => (weight, values(&bias).into_owned()),
            Some(gamma) => {
                let bias = values(&bias).iter().zip(values(&gamma).iter()).map(|(b, g)| b * g).collect();
                (composed::scale_rows::<Flex>(weight, gamma), bias)
            }
        };
        let [m, k] = sides::<Flex>(&a);
        let mut out = add_rows(owned(x), &bias);
        let (a, weight) = (values(&a), values(&weight));
        product(
            &mut out,
            MatrixView::new(&a, m, k),
            MatrixView::new(&weight, shape[1], k).transposed(),
            true,
        );
        array(out, shape)
    }

    fn gather_scaled(gradient: Array, kept: Option<&KeptCrops<Flex>>) -> Array {
        match kept {
            Some(kept) if single(&gradient) => {
                let [_, dim] = sides::<Flex>(&gradient);
                array(
                    residual::gather_scaled(&values(&gradient), sum(kept), dim),
                    [kept.subset.rows.len(), dim],
                )
            }
            _ => composed::gather_scaled(gradient, kept),
        }
    }

    fn weight_gradients(
        d_weight: Array,
        d_bias: Array,
        weight: Array,
        bias: Array,
        gamma: Array,
    ) -> Three<Flex> {
        if ![&d_weight, &d_bias, &weight, &bias, &gamma].into_iter().all(single) {
            return composed::weight_gradients::<Flex>(d_weight, d_bias, weight, bias, gamma);
        }
        let shape = sides::<Flex>(&weight);
        let g = residual::weight_gradients(
            owned(d_weight),
            owned(d_bias),
            &values(&weight),
            &values(&bias),
            &values(&gamma),
        );
        three([array(g.weight, shape), vector(g.bias), vector(g.gamma)])
    }

    fn cross_entropy(
        z: Array,
        directions: Array,
        targets: Array,
        pairs: &TargetPairs,
        temperature: f64,
    ) -> Three<Flex> {
        let [_, bottleneck] = sides::<Flex>(&z);
        let (z, directions, targets) = (values(&z), values(&directions), values(&targets));
        let inputs = inputs(&z, &directions, &targets, pairs, bottleneck, temperature);
        let got = cross_entropy::forward(&inputs);
        three([got.loss, got.lse, got.entropy].map(vector))
    }

    fn cross_entropy_backward(
        z: Array,
        directions: Array,
        targets: Array,
        pairs: &TargetPairs,
        temperature: f64,
        lse: Array,
        d_loss: Array,
    ) -> (Array, Array) {
        let (shape, of_directions) = (sides::<Flex>(&z), sides::<Flex>(&directions));
        let (z, directions, targets) = (values(&z), values(&directions), values(&targets));
        let inputs = inputs(&z, &directions, &targets, pairs, shape[1], temperature);
        let (dz, dd) = cross_entropy::backward(&inputs, &values(&lse), &values(&d_loss));
        (array(dz, shape), array(dd, of_directions))
    }

    fn neighbour_distances(x: Array, of: NeighbourViews) -> (Array, NeighbourState<Self>) {
        if !single(&x) {
            return composed::neighbour_distances::<Flex>(x, of);
        }
        let ([_, dim], rows, eps) = (sides::<Flex>(&x), of.rows(), of.eps as f32);
        let (y, inverse) = l2_norm::forward(&values(&x)[..rows * dim], None, dim, eps);
        let nearest = neighbours::nearest_in_views(&y, of.per_view, dim);
        let distance = vector(neighbours::distances(&y, &nearest, dim, eps));
        let state = NeighbourState {
            y: array(y, [rows, dim]),
            inverse: vector(inverse),
            nearest: IntTensor::<Flex>::from_data(TensorData::new(nearest, [rows])),
            distance: distance.clone(),
        };
        (distance, state)
    }

    fn neighbour_distances_backward(
        x: Array,
        state: NeighbourState<Self>,
        of: NeighbourViews,
        d_distance: Array,
    ) -> Array {
        if !single(&x) || !single(&d_distance) {
            return composed::neighbour_distances_backward::<Flex>(x, state, of, d_distance);
        }
        let (shape, rows, eps) = (sides::<Flex>(&x), of.rows(), of.eps as f32);
        let dim = shape[1];
        let nearest: Vec<i32> = state.nearest.into_data().iter().collect();
        let (y, distance, d) = (values(&state.y), values(&state.distance), values(&d_distance));
        let dy = neighbours::distances_backward(&y, &nearest, &distance, &d, dim, eps);
        let x = values(&x);
        let (mut dx, _) = l2_norm::backward(&x[..rows * dim], None, &values(&state.inverse), &dy, eps);
        dx.resize(x.len(), 0.0);
        array(dx, shape)
    }

    fn squared_norm(tensors: Vec<Array>, _: &Device<Flex>) -> Array {
        let sum: f64 = tensors.iter().map(|x| adamw::squared_norm(&values(x))).sum();
        vector(vec![sum as f32])
    }

    fn adamw(
        parameters: Vec<ParamUpdate<Array>>,
        factors: &[Array],
        rates: &UpdateHyperparams,
    ) -> Vec<ParamUpdate<Array>> {
        let factors: Vec<f32> = factors.iter().flat_map(|f| values(f).to_vec()).collect();
        parameters.into_iter().map(|p| update(p, &factors, rates)).collect()
    }
}

fn inputs<'a>(
    z: &'a [f32],
    directions: &'a [f32],
    targets: &'a [f32],
    pairs: &'a TargetPairs,
    bottleneck: usize,
    temperature: f64,
) -> CpuCrossEntropyInputs<'a> {
    let temperature = temperature as f32;
    CpuCrossEntropyInputs {
        z,
        directions,
        targets,
        first: &pairs.first,
        second: &pairs.second,
        bottleneck,
        temperature,
    }
}

/// One parameter.
fn update(p: ParamUpdate<Array>, factors: &[f32], rates: &UpdateHyperparams) -> ParamUpdate<Array> {
    let ParamUpdate { value, teacher, first, second, gradient, module, lr, decay } = p;
    let (mut value, mut teacher) = (owned(value), owned(teacher));
    let (mut first, mut second) = (owned(first), owned(second));
    let factor = factors.get(module).copied().unwrap_or(1.0);
    let gradient = gradient.filter(|_| !rates.skip_not_finite || factor.is_finite());
    let pair = |x: f64| [x as f32, (1.0 - x) as f32];
    let own = adamw::CpuAdamWParams {
        step: (lr / rates.correction1()) as f32,
        keep: (1.0 - lr * decay) as f32,
        gradient: factor,
        beta1: pair(rates.beta1),
        beta2: pair(rates.beta2),
        correction: (1.0 / rates.correction2()) as f32,
        eps: rates.eps as f32,
        momentum: pair(rates.momentum),
    };
    let slopes = gradient.as_ref().map(values);
    let parameter = adamw::AdamWParamSlices {
        value: &mut value,
        first: &mut first,
        second: &mut second,
        teacher: &mut teacher,
        gradient: slopes.as_deref(),
    };
    adamw::update(parameter, own);
    let [value, teacher, first, second] = [value, teacher, first, second].map(vector);
    ParamUpdate { value, teacher, first, second, gradient: None, module, lr, decay }
}
