//! The end of a residual branch on the GPU, its way back, and the gradients of the layer before it.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, UNITS, buffer, position_of, row_sum};

const NAME: &str = "residual";
/// Lanes a row.
const LANES: u32 = 64;

/// Sizes of a residual branch: tokens of the stream, tokens of the branch, their width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidualShape {
    /// Rows of `x`.
    pub tokens: usize,
    /// Rows of the branch: the length of `rows`, or `tokens` without it.
    pub kept: usize,
    /// Width of a row.
    pub dim: usize,
}

/// `out = x`, `out[rows] += scale · gamma · (branch + bias)`: `[tokens, dim]` floats.
///
/// * `x`: `[tokens, dim]` floats; `branch`: `[kept, dim]`, stored as `elem`; `bias`, `gamma`: `[dim]` floats, or none for 0 and 1.
/// * `rows`: `[kept]` ascending 32-bit indices, or none for all; `scale`: `[kept]` floats, or none for 1.
///
/// # Errors
/// A buffer is too short for `shape`.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    client: &Client,
    x: &Handle,
    branch: &Handle,
    bias: Option<&Handle>,
    gamma: Option<&Handle>,
    rows: Option<&Handle>,
    scale: Option<&Handle>,
    shape: ResidualShape,
    elem: ElemType,
) -> Result<Handle, ShaderError> {
    let ResidualShape { tokens, kept, dim } = shape;
    if kept * dim == 0 {
        return launch::copy(NAME, client, x, tokens * dim);
    }
    let out = launch::empty(client, tokens * dim, 4);
    let vector = launch::vector_size(dim);
    let gamma = gamma.map(|gamma| buffer(NAME, "gamma", gamma, dim, 4)).transpose()?;
    let rows = rows.map(|rows| buffer(NAME, "rows", rows, kept, 4)).transpose()?;
    let scale = scale.map(|scale| buffer(NAME, "scale", scale, kept, 4)).transpose()?;
    let x = buffer(NAME, "x", x, tokens * dim, 4)?;
    let branch = buffer(NAME, "branch", branch, kept * dim, elem.size())?;
    let bias = bias.map(|bias| buffer(NAME, "bias", bias, dim, 4)).transpose()?;
    let result = buffer(NAME, "out", &out, tokens * dim, 4)?;
    // SAFETY: lengths were checked; `vector` divides `dim`.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            launch::grid(tokens, (UNITS / LANES) as usize),
            CubeDim::new_1d(UNITS),
            vector,
            x,
            branch,
            bias.into(),
            gamma.into(),
            rows.into(),
            scale.into(),
            result,
            tokens as u32,
            kept as u32,
            (dim / vector) as u32,
            elem,
        );
    }
    Ok(out)
}

/// What the branch sees on the way back: `scale · gradient[rows]`, `[kept, dim]` stored as `elem`, and its column
/// sums, `[dim]` floats: the gradient of the bias before LayerScale.
///
/// * `gradient`: `[tokens, dim]` floats; `rows`, `scale` as in [`forward`].
///
/// # Errors
/// A buffer is too short for `shape`.
pub fn gather_scaled(
    client: &Client,
    gradient: &Handle,
    rows: Option<&Handle>,
    scale: Option<&Handle>,
    shape: ResidualShape,
    elem: ElemType,
) -> Result<(Handle, Handle), ShaderError> {
    let ResidualShape { tokens, kept, dim } = shape;
    let out = launch::empty(client, kept * dim, elem.size());
    if kept * dim == 0 {
        return Ok((out, launch::zeros(client, dim)));
    }
    let vector = launch::vector_size(dim);
    let (blocks, depth) = launch::row_blocks(kept);
    let partial = launch::empty(client, blocks * dim, 4);
    let rows = rows.map(|rows| buffer(NAME, "rows", rows, kept, 4)).transpose()?;
    let scale = scale.map(|scale| buffer(NAME, "scale", scale, kept, 4)).transpose()?;
    let gradient = buffer(NAME, "gradient", gradient, tokens * dim, 4)?;
    let result = buffer(NAME, "gathered", &out, kept * dim, elem.size())?;
    let sums = buffer(NAME, "partial sums", &partial, blocks * dim, 4)?;
    let across = (dim / vector).div_ceil(LANES as usize) as u32;
    // SAFETY: lengths were checked; `vector` divides `dim`.
    unsafe {
        gather_kernel::launch_unchecked(
            client,
            CubeCount::Static(across, blocks as u32, 1),
            CubeDim::new_1d(LANES),
            vector,
            gradient,
            rows.into(),
            scale.into(),
            result,
            sums,
            kept as u32,
            (dim / vector) as u32,
            depth as u32,
            elem,
        );
    }
    let sums = launch::column_sums(NAME, client, &partial, blocks, dim)?;
    Ok((out, sums))
}

/// Gradients of a linear layer and of the LayerScale after it.
#[derive(Clone, Debug)]
pub struct LayerScaleGradients {
    /// `[out, in]` floats.
    pub weight: Handle,
    /// `[out]` floats.
    pub bias: Handle,
    /// `[out]` floats.
    pub gamma: Handle,
}

/// Gradients through LayerScale from those of the folded layer `W' = gamma ∘ W`, `b' = gamma · b`, in one launch.
///
/// `dW = gamma ∘ dW'` by rows, `db = gamma · db'`, `dgamma_j = Σ_k W_jk dW'_jk + b_j db'_j`.
///
/// * `d_weight`, `weight`: `[outputs, inputs]`; `d_bias`, `bias`, `gamma`: `[outputs]`; all floats.
///
/// # Errors
/// A buffer is too short.
#[allow(clippy::too_many_arguments)]
pub fn weight_gradients(
    client: &Client,
    d_weight: &Handle,
    d_bias: &Handle,
    weight: &Handle,
    bias: &Handle,
    gamma: &Handle,
    outputs: usize,
    inputs: usize,
) -> Result<LayerScaleGradients, ShaderError> {
    let out = launch::empty(client, outputs * inputs, 4);
    // The two vectors share a buffer, which keeps the launch within eight of them.
    let second = outputs.next_multiple_of(launch::ALIGN);
    let vectors = launch::empty(client, second + outputs, 4);
    if outputs > 0 && inputs > 0 {
        let d_weight = buffer(NAME, "gradient of the weight", d_weight, outputs * inputs, 4)?;
        let d_bias = buffer(NAME, "gradient of the bias", d_bias, outputs, 4)?;
        let weight = buffer(NAME, "weight", weight, outputs * inputs, 4)?;
        let bias = buffer(NAME, "bias", bias, outputs, 4)?;
        let gamma = buffer(NAME, "gamma", gamma, outputs, 4)?;
        let scaled = buffer(NAME, "scaled gradient", &out, outputs * inputs, 4)?;
        let pair = buffer(NAME, "vectors", &vectors, second + outputs, 4)?;
        // SAFETY: lengths were checked.
        unsafe {
            weight_kernel::launch_unchecked(
                client,
                launch::grid(outputs, (UNITS / LANES) as usize),
                CubeDim::new_1d(UNITS),
                d_weight,
                d_bias,
                weight,
                bias,
                gamma,
                scaled,
                pair,
                outputs as u32,
                inputs as u32,
                second as u32,
            );
        }
    }
    let bias = launch::view(&vectors, 0, outputs)?;
    Ok(LayerScaleGradients { weight: out, bias, gamma: launch::view(&vectors, second, outputs)? })
}

#[cube(launch_unchecked)]
fn forward_kernel<E: Float, N: Size>(
    x: &[Vector<f32, N>],
    branch: &[Vector<E, N>],
    bias: ComptimeOption<&[Vector<f32, N>]>,
    gamma: ComptimeOption<&[Vector<f32, N>]>,
    rows: ComptimeOption<&[u32]>,
    scale: ComptimeOption<&[f32]>,
    out: &mut [Vector<f32, N>],
    tokens: u32,
    kept: u32,
    width: u32,
    #[define(E)] _elem: ElemType,
) {
    let token = CUBE_POS as u32 * comptime!(UNITS / LANES) + UNIT_POS / LANES;
    if token < tokens {
        // Every lane searches by itself: the indices are in the cache, and a barrier would cost as much.
        #[comptime]
        let row = match rows {
            ComptimeOption::Some(rows) => position_of(rows, kept, token),
            ComptimeOption::None => token,
        };
        let begin = (token * width) as usize;
        let mut column = UNIT_POS % LANES;
        if row < kept {
            #[comptime]
            let factor = match &scale {
                ComptimeOption::Some(scale) => scale[row as usize],
                ComptimeOption::None => 1.0f32,
            };
            let factor = Vector::<f32, N>::new(factor);
            let from = (row * width) as usize;
            while column < width {
                let at = column as usize;
                let value = Vector::<f32, N>::cast_from(branch[from + at]);
                #[comptime]
                let value = match &bias {
                    ComptimeOption::Some(bias) => value + bias[at],
                    ComptimeOption::None => value,
                };
                let value = value * factor;
                #[comptime]
                let value = match &gamma {
                    ComptimeOption::Some(gamma) => gamma[at] * value,
                    ComptimeOption::None => value,
                };
                out[begin + at] = x[begin + at] + value;
                column += LANES;
            }
        } else {
            while column < width {
                let at = begin + column as usize;
                out[at] = x[at];
                column += LANES;
            }
        }
    }
}

#[cube(launch_unchecked)]
fn gather_kernel<E: Float, N: Size>(
    gradient: &[Vector<f32, N>],
    rows: ComptimeOption<&[u32]>,
    scale: ComptimeOption<&[f32]>,
    out: &mut [Vector<E, N>],
    partial: &mut [Vector<f32, N>],
    kept: u32,
    width: u32,
    depth: u32,
    #[define(E)] _elem: ElemType,
) {
    let column = (CUBE_POS_X * LANES + UNIT_POS) as usize;
    let begin = CUBE_POS_Y * depth;
    let width = width as usize;
    if column < width {
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for row in begin..min(begin + depth, kept) {
            let row = row as usize;
            #[comptime]
            let token = match &rows {
                ComptimeOption::Some(rows) => rows[row] as usize,
                ComptimeOption::None => row,
            };
            #[comptime]
            let factor = match &scale {
                ComptimeOption::Some(scale) => scale[row],
                ComptimeOption::None => 1.0f32,
            };
            let value = gradient[token * width + column] * Vector::new(factor);
            out[row * width + column] = Vector::cast_from(value);
            sum += value;
        }
        partial[CUBE_POS_Y as usize * width + column] = sum;
    }
}

#[cube(launch_unchecked)]
fn weight_kernel(
    d_weight: &[f32],
    d_bias: &[f32],
    weight: &[f32],
    bias: &[f32],
    gamma: &[f32],
    out: &mut [f32],
    vectors: &mut [f32],
    outputs: u32,
    inputs: u32,
    second: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let wanted = CUBE_POS as u32 * comptime!(UNITS / LANES) + UNIT_POS / LANES;
    let live = wanted < outputs;
    let row = min(wanted, outputs - 1) as usize;
    let scale = gamma[row];
    let begin = row * inputs as usize;
    let lane = UNIT_POS % LANES;
    let mut column = lane;
    let mut sum = 0.0f32;
    while column < inputs {
        let at = begin + column as usize;
        let gradient = d_weight[at];
        sum += weight[at] * gradient;
        if live {
            out[at] = scale * gradient;
        }
        column += LANES;
    }
    let sum = row_sum(&mut shared, sum, LANES);
    if live && lane == 0 {
        let gradient = d_bias[row];
        vectors[row] = scale * gradient;
        vectors[second as usize + row] = sum + bias[row] * gradient;
    }
}
