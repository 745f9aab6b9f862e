//! The programs on GPUs: CubeCL around burn's matrix products.

use burn::backend::cubecl::dtype_to_elem_type;
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::tensor::IntTensor;
use burn::backend::{DType, Shape, TensorMetadata};
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::ElemType;
use cubecl::server::Handle;
use dinoscope_shaders::ShaderError;
use dinoscope_shaders::activation::gpu::{self as activation, FfnActivation};
use dinoscope_shaders::attention::gpu::{self as attention, AttentionSpec, PackedSequences};
use dinoscope_shaders::cross_entropy::gpu::{
    self as cross_entropy, CrossEntropyChunk, CrossEntropyOutputs, CrossEntropyTargets,
};
use dinoscope_shaders::l2_norm::gpu as l2_norm;
use dinoscope_shaders::launch::{self, sum_columns};
use dinoscope_shaders::layer_norm::gpu::{self as layer_norm, SkipGradient};
use dinoscope_shaders::neighbours::gpu as neighbours;
use dinoscope_shaders::residual::gpu as residual;
use dinoscope_shaders::rope::{RopeTurn, gpu as rope};

use super::composed::{self, full, sides};
use super::loss::TargetPairs;
use super::optimiser;
use super::programs::{KeptCrops, KernelOps, NeighbourState, NeighbourViews, Three, sequences, starts};
use super::update::{GradNorms, ParamUpdate, UpdateArenas, UpdateHyperparams};
use crate::fused::packing::SequencePacking;

type Array = FloatTensor<CubeBackend>;

/// Logits that exist at once, in values: 64 MiB.
const LOGITS: usize = 1 << 24;

/// What a program gives. It refuses only what no device of this kind could do at these sizes.
///
/// # Panics
/// With the program's reason; the engine turns that into the run's error.
pub(super) fn done<T>(result: Result<T, ShaderError>) -> T {
    match result {
        Ok(value) => value,
        Err(e) => panic!("{e}"),
    }
}

/// A tensor around a buffer that a program filled, on the device of `near`.
pub(super) fn array<const D: usize>(
    near: &CubeTensor,
    handle: Handle,
    shape: [usize; D],
    dtype: DType,
) -> Array {
    CubeTensor::new_contiguous(near.client.clone(), near.device.clone(), Shape::new(shape), handle, dtype)
}

pub(super) fn floats<const D: usize>(near: &CubeTensor, handle: Handle, shape: [usize; D]) -> Array {
    array(near, handle, shape, DType::F32)
}

/// In order, and f32.
pub(super) fn plain(x: Array) -> Array {
    into_contiguous(full::<CubeBackend>(x))
}

fn elem(dtype: DType) -> ElemType {
    dtype_to_elem_type(dtype)
}

/// Buffers of a subset: rows and scale.
fn of(kept: Option<&KeptCrops<CubeBackend>>) -> (Option<&Handle>, Option<&Handle>) {
    (kept.map(|k| &k.rows.handle), kept.map(|k| &k.scale.handle))
}

fn kept_rows(kept: Option<&KeptCrops<CubeBackend>>, tokens: usize) -> usize {
    kept.map_or(tokens, |k| k.subset.rows.len())
}

/// The attention program for these heads, where the device can run it.
fn fused_attention(qkv: &CubeTensor, heads: usize) -> Option<AttentionSpec> {
    let [_, columns] = sides::<CubeBackend>(qkv);
    let spec = AttentionSpec::new(heads, columns / 3 / heads, elem(qkv.dtype));
    spec.supported_by(&qkv.client).is_ok().then_some(spec)
}

impl KernelOps for CubeBackend {
    fn column_sums(x: Array) -> Array {
        let [rows, width] = sides::<Self>(&x);
        let x = into_contiguous(x);
        let sums = sum_columns(&x.client, &x.handle, rows, width, elem(x.dtype));
        floats(&x, done(sums), [width])
    }

    fn layer_norm(
        x: Array,
        kept: Option<&KeptCrops<Self>>,
        weight: Array,
        bias: Array,
        eps: f64,
    ) -> (Array, Array) {
        let [tokens, dim] = sides::<Self>(&x);
        let (x, weight, bias) = (plain(x), plain(weight), plain(bias));
        let n = kept_rows(kept, tokens);
        let shape = layer_norm::LayerNormShape { tokens, kept: n, dim };
        let got = done(layer_norm::forward(
            &x.client,
            &x.handle,
            of(kept).0,
            &weight.handle,
            &bias.handle,
            shape,
            eps as f32,
            elem(DType::F32),
        ));
        (floats(&x, got.y, [n, dim]), floats(&x, got.stats, [n, 2]))
    }

    fn layer_norm_backward(
        x: Array,
        kept: Option<&KeptCrops<Self>>,
        weight: Array,
        stats: Array,
        dy: Array,
        past: Option<Array>,
    ) -> Three<Self> {
        let [tokens, dim] = sides::<Self>(&x);
        let dy = into_contiguous(dy);
        let (x, weight, stats) = (plain(x), plain(weight), plain(stats));
        let past = past.map(plain);
        let past = match &past {
            None => SkipGradient::None,
            Some(past) => SkipGradient::Kept(&past.handle),
        };
        let shape = layer_norm::LayerNormShape { tokens, kept: kept_rows(kept, tokens), dim };
        let g = done(layer_norm::backward(
            &x.client,
            &dy.handle,
            &x.handle,
            of(kept).0,
            &stats.handle,
            &weight.handle,
            past,
            shape,
            elem(dy.dtype),
        ));
        (floats(&x, g.x, [tokens, dim]), floats(&x, g.weight, [dim]), floats(&x, g.bias, [dim]))
    }

    fn l2_norm(x: Array, gain: Option<Array>, eps: f64) -> (Array, Array) {
        let [rows, dim] = sides::<Self>(&x);
        let (x, gain) = (plain(x), gain.map(plain));
        let gain = gain.as_ref().map(|gain| &gain.handle);
        let out = done(l2_norm::forward(&x.client, &x.handle, gain, rows, dim, eps as f32));
        (floats(&x, out.y, [rows, dim]), floats(&x, out.inverse, [rows]))
    }

    fn l2_norm_backward(
        x: Array,
        gain: Option<Array>,
        inverse: Array,
        dy: Array,
        eps: f64,
    ) -> (Array, Array) {
        let [rows, dim] = sides::<Self>(&x);
        let (x, gain, inverse, dy) = (plain(x), gain.map(plain), plain(inverse), plain(dy));
        let (gain, eps) = (gain.as_ref().map(|gain| &gain.handle), eps as f32);
        let (dy, of) = (&dy.handle, &x.handle);
        let out = done(l2_norm::backward(&x.client, dy, of, gain, &inverse.handle, rows, dim, eps, None));
        (floats(&x, out.x, [rows, dim]), floats(&x, out.gain, [rows]))
    }

    fn rotate(
        qkv: Array,
        bias: Option<Array>,
        table: Array,
        packing: &SequencePacking,
        heads: usize,
        turn: RopeTurn,
    ) -> Array {
        let (qkv, table, bias) = (into_contiguous(qkv), plain(table), bias.map(plain));
        let [tokens, columns] = sides::<Self>(&qkv);
        let (groups, each) = (sequences(packing), (heads, columns / 3 / heads));
        let bias = bias.as_ref().map(|bias| &bias.handle);
        let (from, table, elem) = (&qkv.handle, &table.handle, elem(qkv.dtype));
        let out = done(rope::rotate(&qkv.client, from, bias, table, &groups, each, turn, elem));
        array(&qkv, out, [tokens, columns], qkv.dtype)
    }

    fn attention(qkv: Array, packing: &SequencePacking, heads: usize) -> (Array, Array) {
        let qkv = into_contiguous(qkv);
        let Some(spec) = fused_attention(&qkv, heads) else {
            return composed::attention::<Self>(qkv, packing, heads);
        };
        let [tokens, columns] = sides::<Self>(&qkv);
        let packed = done(PackedSequences::new(&qkv.client, &starts(packing)));
        let (out, lse) = done(attention::forward(&qkv.client, &qkv.handle, &packed, &spec));
        (array(&qkv, out, [tokens, columns / 3], qkv.dtype), floats(&qkv, lse, [tokens, heads]))
    }

    fn attention_backward(
        qkv: Array,
        out: Array,
        lse: Array,
        d_out: Array,
        packing: &SequencePacking,
        heads: usize,
    ) -> Array {
        let Some(spec) = fused_attention(&qkv, heads) else {
            return composed::attention_backward::<Self>(qkv, out, lse, d_out, packing, heads);
        };
        let [qkv, out, d_out] = [qkv, out, d_out].map(into_contiguous);
        let shape = sides::<Self>(&qkv);
        let packed = done(PackedSequences::new(&qkv.client, &starts(packing)));
        let gradient = done(attention::backward(
            &qkv.client,
            &qkv.handle,
            &out.handle,
            &plain(lse).handle,
            &d_out.handle,
            &packed,
            &spec,
        ));
        array(&qkv, gradient, shape, qkv.dtype)
    }

    fn gelu(hidden: Array, bias: Array) -> Array {
        activate(FfnActivation::Gelu, hidden, bias)
    }

    fn gelu_backward(hidden: Array, bias: Array, gradient: Array) -> Three<Self> {
        activate_backward(FfnActivation::Gelu, hidden, bias, gradient)
    }

    fn swiglu(hidden: Array, bias: Array) -> Array {
        activate(FfnActivation::SwiGlu, hidden, bias)
    }

    fn swiglu_backward(hidden: Array, bias: Array, gradient: Array) -> Three<Self> {
        activate_backward(FfnActivation::SwiGlu, hidden, bias, gradient)
    }

    fn project(
        x: Array,
        kept: Option<&KeptCrops<Self>>,
        a: Array,
        weight: Array,
        bias: Array,
        gamma: Option<Array>,
    ) -> Array {
        let [tokens, dim] = sides::<Self>(&x);
        let branch = into_contiguous(<Self as KernelOps>::matmul(a, false, weight, true));
        let (x, bias, gamma) = (plain(x), plain(bias), gamma.map(plain));
        let (rows, scale) = of(kept);
        let shape = residual::ResidualShape { tokens, kept: kept_rows(kept, tokens), dim };
        let out = done(residual::forward(
            &x.client,
            &x.handle,
            &branch.handle,
            Some(&bias.handle),
            gamma.as_ref().map(|g| &g.handle),
            rows,
            scale,
            shape,
            elem(branch.dtype),
        ));
        floats(&x, out, [tokens, dim])
    }

    fn gather_scaled(gradient: Array, kept: Option<&KeptCrops<Self>>) -> Array {
        let Some(subset) = kept else { return gradient };
        let [tokens, dim] = sides::<Self>(&gradient);
        let gradient = plain(gradient);
        let n = subset.subset.rows.len();
        let (rows, scale) = of(kept);
        let shape = residual::ResidualShape { tokens, kept: n, dim };
        let (out, _) = done(residual::gather_scaled(
            &gradient.client,
            &gradient.handle,
            rows,
            scale,
            shape,
            elem(DType::F32),
        ));
        floats(&gradient, out, [n, dim])
    }

    fn weight_gradients(
        d_weight: Array,
        d_bias: Array,
        weight: Array,
        bias: Array,
        gamma: Array,
    ) -> Three<Self> {
        let [outputs, inputs] = sides::<Self>(&weight);
        let [d_weight, d_bias, weight, bias, gamma] = [d_weight, d_bias, weight, bias, gamma].map(plain);
        let g = done(residual::weight_gradients(
            &weight.client,
            &d_weight.handle,
            &d_bias.handle,
            &weight.handle,
            &bias.handle,
            &gamma.handle,
            outputs,
            inputs,
        ));
        (
            floats(&weight, g.weight, [outputs, inputs]),
            floats(&weight, g.bias, [outputs]),
            floats(&weight, g.gamma, [outputs]),
        )
    }

    fn cross_entropy(
        z: Array,
        directions: Array,
        targets: Array,
        pairs: &TargetPairs,
        temperature: f64,
    ) -> Three<Self> {
        let [rows, _] = sides::<Self>(&z);
        let targets = plain(targets);
        let indices = TargetIndices::new(&targets, pairs);
        let results = CrossEntropyOutputs::new(&z.client, rows);
        for chunk in chunks(rows, sides::<Self>(&directions)[0], temperature) {
            let logits = into_contiguous(logits(&z, &directions, chunk));
            done(cross_entropy::forward(
                &z.client,
                &logits.handle,
                indices.targets(&targets),
                chunk,
                &results,
            ));
        }
        let CrossEntropyOutputs { loss, entropy, stats } = results;
        (floats(&z, loss, [rows]), floats(&z, stats, [rows, 2]), floats(&z, entropy, [rows]))
    }

    fn cross_entropy_backward(
        z: Array,
        directions: Array,
        targets: Array,
        pairs: &TargetPairs,
        temperature: f64,
        stats: Array,
        d_loss: Array,
    ) -> (Array, Array) {
        let [rows, _] = sides::<Self>(&z);
        let (targets, stats, d_loss) = (plain(targets), plain(stats), plain(d_loss));
        let indices = TargetIndices::new(&targets, pairs);
        let empty = || z.client.empty(0);
        let results = CrossEntropyOutputs { loss: empty(), entropy: empty(), stats: stats.handle.clone() };
        let (mut d_z, mut d_directions) = (Vec::new(), None);
        for chunk in chunks(rows, sides::<Self>(&directions)[0], temperature) {
            let d = into_contiguous(logits(&z, &directions, chunk));
            let of = indices.targets(&targets);
            done(cross_entropy::backward(&z.client, &d.handle, of, chunk, &results, &d_loss.handle));
            d_z.push(Self::float_matmul(d.clone(), directions.clone()));
            let own = <Self as KernelOps>::matmul(d, true, part(&z, chunk), false);
            d_directions = Some(match d_directions {
                Some(sum) => Self::float_add(sum, own),
                None => own,
            });
        }
        let d_directions = d_directions.unwrap_or_else(|| Self::float_mul_scalar(directions, 0.0.into()));
        let d_z = if d_z.len() == 1 { d_z.swap_remove(0) } else { Self::float_cat(d_z, 0) };
        (d_z, d_directions)
    }

    fn neighbour_distances(x: Array, of: NeighbourViews) -> (Array, NeighbourState<Self>) {
        let [_, dim] = sides::<Self>(&x);
        let (x, rows, eps) = (plain(x), of.rows(), of.eps as f32);
        let norm = done(l2_norm::forward(&x.client, &x.handle, None, rows, dim, eps));
        let found = done(neighbours::distances(&x.client, &norm.y, rows, of.per_view, dim, eps));
        let distance = floats(&x, found.distance, [rows]);
        let state = NeighbourState {
            y: floats(&x, norm.y, [rows, dim]),
            inverse: floats(&x, norm.inverse, [rows]),
            nearest: array(&x, found.nearest, [rows], DType::I32),
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
        let [all, dim] = sides::<Self>(&x);
        let (x, d_distance) = (plain(x), plain(d_distance));
        let (client, rows, eps) = (&x.client, of.rows(), of.eps as f32);
        let found =
            neighbours::NeighbourDistances { nearest: state.nearest.handle, distance: state.distance.handle };
        let (d, y, inverse) = (&d_distance.handle, &state.y.handle, &state.inverse.handle);
        let dy = done(neighbours::distances_backward(client, d, y, &found, rows, of.per_view, dim, eps));
        let into = (all > rows).then(|| launch::zeros(client, all * dim));
        let out = done(l2_norm::backward(client, &dy, &x.handle, None, inverse, rows, dim, eps, into));
        floats(&x, out.x, [all, dim])
    }

    fn optimise(
        parameters: Vec<ParamUpdate<Array>>,
        loss_scale: Option<Array>,
        rates: &UpdateHyperparams,
        arenas: &mut UpdateArenas,
    ) -> (Vec<ParamUpdate<Array>>, GradNorms<Array>) {
        optimiser::optimise(parameters, loss_scale, rates, arenas)
    }
}

fn activate(kind: FfnActivation, hidden: Array, bias: Array) -> Array {
    let hidden = into_contiguous(hidden);
    let [rows, columns] = sides::<CubeBackend>(&hidden);
    let width = columns / kind.hidden(1);
    let bias = plain(bias);
    let (client, dtype) = (&hidden.client, hidden.dtype);
    let out = activation::forward(client, kind, &hidden.handle, &bias.handle, rows, width, elem(dtype));
    array(&hidden, done(out), [rows, width], dtype)
}

fn activate_backward(kind: FfnActivation, hidden: Array, bias: Array, gradient: Array) -> Three<CubeBackend> {
    let hidden = into_contiguous(hidden);
    let dtype = hidden.dtype;
    let gradient = into_contiguous(composed::like::<CubeBackend>(gradient, dtype));
    let [rows, columns] = sides::<CubeBackend>(&hidden);
    let width = columns / kind.hidden(1);
    let g = done(activation::backward(
        &hidden.client,
        kind,
        &gradient.handle,
        &hidden.handle,
        &plain(bias).handle,
        rows,
        width,
        elem(dtype),
    ));
    (
        array(&hidden, g.hidden, [rows, columns], dtype),
        array(&hidden, g.activation, [rows, width], dtype),
        floats(&hidden, g.bias, [columns]),
    )
}

/// Rows in chunks whose logits fit.
fn chunks(rows: usize, prototypes: usize, temperature: f64) -> impl Iterator<Item = CrossEntropyChunk> {
    let most = (LOGITS / prototypes.max(1)).max(1);
    (0..rows).step_by(most).map(move |start| CrossEntropyChunk {
        start,
        count: most.min(rows - start),
        rows,
        prototypes,
        temperature: temperature as f32,
    })
}

/// Rows of a chunk.
fn part(z: &Array, chunk: CrossEntropyChunk) -> Array {
    let [rows, width] = sides::<CubeBackend>(z);
    if chunk.count == rows {
        return z.clone();
    }
    CubeBackend::float_slice(z.clone(), &[(chunk.start..chunk.start + chunk.count).into(), (0..width).into()])
}

fn logits(z: &Array, directions: &Array, chunk: CrossEntropyChunk) -> Array {
    <CubeBackend as KernelOps>::matmul(part(z, chunk), false, directions.clone(), true)
}

/// Which targets rows meet, on the device.
struct TargetIndices {
    first: IntTensor<CubeBackend>,
    second: IntTensor<CubeBackend>,
}

impl TargetIndices {
    fn new(targets: &CubeTensor, pairs: &TargetPairs) -> Self {
        let upload = |rows: &[i32]| {
            let n = rows.len();
            CubeBackend::int_from_data(TensorData::new(rows.to_vec(), [n]), &targets.device())
        };
        Self { first: upload(&pairs.first), second: upload(&pairs.second) }
    }

    fn targets<'a>(&'a self, rows: &'a CubeTensor) -> CrossEntropyTargets<'a> {
        let [count, _] = sides::<CubeBackend>(rows);
        CrossEntropyTargets {
            rows: &rows.handle,
            count,
            first: &self.first.handle,
            second: &self.second.handle,
        }
    }
}
