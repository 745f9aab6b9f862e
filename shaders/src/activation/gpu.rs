//! GELU and SwiGLU on the GPU. Each invocation walks down a few rows of its columns, so that biases are read once and
//! the bias's gradient costs no pass of its own.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, buffer};

const NAME: &str = "activation";
/// Invocations side by side.
const ACROSS: u32 = 64;

/// The activation between the two linear layers of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FfnActivation {
    /// `x Φ(x)` (Hendrycks & Gimpel 2016), with the exact error function.
    Gelu,
    /// `silu(gate) · value`, gate and value side by side in `hidden` (Shazeer 2020).
    SwiGlu,
}

impl FfnActivation {
    /// Columns of `hidden` for `width` columns of the activation.
    pub fn hidden(self, width: usize) -> usize {
        match self {
            Self::Gelu => width,
            Self::SwiGlu => 2 * width,
        }
    }
}

/// What the backward pass returns.
#[derive(Clone, Debug)]
pub struct ActivationGradients {
    /// Shaped and stored as `hidden`.
    pub hidden: Handle,
    /// The activation once more, `[rows, width]`, stored as `hidden`.
    pub activation: Handle,
    /// Column sums of the gradient of `hidden`, floats.
    pub bias: Handle,
}

/// The activation of `hidden + bias`, `[rows, width]`.
///
/// * `hidden`: `[rows, width]` (`[rows, 2 width]` for SwiGLU), stored as `elem`, as is the result; `bias`: floats.
///
/// # Errors
/// A buffer is too short.
pub fn forward(
    client: &Client,
    activation: FfnActivation,
    hidden: &Handle,
    bias: &Handle,
    rows: usize,
    width: usize,
    elem: ElemType,
) -> Result<Handle, ShaderError> {
    let out = launch::empty(client, rows * width, elem.size());
    if rows * width == 0 {
        return Ok(out);
    }
    let inner = activation.hidden(width);
    let (count, vector, depth) = strips(rows, width);
    let hidden = buffer(NAME, "hidden", hidden, rows * inner, elem.size())?;
    let bias = buffer(NAME, "bias", bias, inner, 4)?;
    let result = buffer(NAME, "activation", &out, rows * width, elem.size())?;
    // SAFETY: lengths were checked; `vector` divides `width`.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            count,
            CubeDim::new_1d(ACROSS),
            vector,
            hidden,
            bias,
            result,
            rows as u32,
            (width / vector) as u32,
            depth as u32,
            activation == FfnActivation::SwiGlu,
            elem,
        );
    }
    Ok(out)
}

/// The way back of [`forward`]; `gradient`: `[rows, width]`, stored as `elem`.
///
/// # Errors
/// A buffer is too short.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    client: &Client,
    activation: FfnActivation,
    gradient: &Handle,
    hidden: &Handle,
    bias: &Handle,
    rows: usize,
    width: usize,
    elem: ElemType,
) -> Result<ActivationGradients, ShaderError> {
    let inner = activation.hidden(width);
    let d_hidden = launch::empty(client, rows * inner, elem.size());
    let again = launch::empty(client, rows * width, elem.size());
    if rows * width == 0 {
        return Ok(ActivationGradients {
            hidden: d_hidden,
            activation: again,
            bias: launch::zeros(client, inner),
        });
    }
    let (count, vector, depth) = strips(rows, width);
    let blocks = rows.div_ceil(depth);
    let partial = launch::empty(client, blocks * inner, 4);
    let gradient = buffer(NAME, "gradient", gradient, rows * width, elem.size())?;
    let hidden = buffer(NAME, "hidden", hidden, rows * inner, elem.size())?;
    let bias = buffer(NAME, "bias", bias, inner, 4)?;
    let result = buffer(NAME, "gradient of hidden", &d_hidden, rows * inner, elem.size())?;
    let repeated = buffer(NAME, "activation", &again, rows * width, elem.size())?;
    let sums = buffer(NAME, "partial sums", &partial, blocks * inner, 4)?;
    // SAFETY: lengths were checked; `vector` divides `width`.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            count,
            CubeDim::new_1d(ACROSS),
            vector,
            gradient,
            hidden,
            bias,
            result,
            repeated,
            sums,
            rows as u32,
            (width / vector) as u32,
            depth as u32,
            activation == FfnActivation::SwiGlu,
            elem,
        );
    }
    let bias = launch::column_sums(NAME, client, &partial, blocks, inner)?;
    Ok(ActivationGradients { hidden: d_hidden, activation: again, bias })
}

/// Workgroups, vector width, and rows an invocation walks down.
fn strips(rows: usize, width: usize) -> (CubeCount, usize, usize) {
    let vector = launch::vector_size(width);
    let (blocks, depth) = launch::row_blocks(rows);
    let across = (width / vector).div_ceil(ACROSS as usize);
    (CubeCount::Static(across as u32, blocks as u32, 1), vector, depth)
}

#[cube(launch_unchecked)]
fn forward_kernel<E: Float, N: Size>(
    hidden: &[Vector<E, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<E, N>],
    rows: u32,
    width: u32,
    depth: u32,
    #[comptime] gated: bool,
    #[define(E)] _elem: ElemType,
) {
    let column = (CUBE_POS_X * ACROSS + UNIT_POS) as usize;
    let begin = CUBE_POS_Y * depth;
    let width = width as usize;
    if column < width {
        let first = bias[column];
        for row in begin..min(begin + depth, rows) {
            let row = row as usize;
            if gated {
                let at = row * 2 * width + column;
                let gate = Vector::<f32, N>::cast_from(hidden[at]) + first;
                let value = Vector::<f32, N>::cast_from(hidden[at + width]) + bias[column + width];
                out[row * width + column] = Vector::cast_from(gate * sigmoid(gate) * value);
            } else {
                let at = row * width + column;
                let value = Vector::<f32, N>::cast_from(hidden[at]) + first;
                out[at] = Vector::cast_from(value * normal_cdf(value));
            }
        }
    }
}

#[cube(launch_unchecked)]
fn backward_kernel<E: Float, N: Size>(
    gradient: &[Vector<E, N>],
    hidden: &[Vector<E, N>],
    bias: &[Vector<f32, N>],
    d_hidden: &mut [Vector<E, N>],
    again: &mut [Vector<E, N>],
    partial: &mut [Vector<f32, N>],
    rows: u32,
    width: u32,
    depth: u32,
    #[comptime] gated: bool,
    #[define(E)] _elem: ElemType,
) {
    let column = (CUBE_POS_X * ACROSS + UNIT_POS) as usize;
    let begin = CUBE_POS_Y * depth;
    let width = width as usize;
    let one = Vector::<f32, N>::new(1.0f32);
    if column < width {
        let first = bias[column];
        let mut first_sum = Vector::<f32, N>::new(0.0f32);
        let mut second_sum = Vector::<f32, N>::new(0.0f32);
        for row in begin..min(begin + depth, rows) {
            let row = row as usize;
            let outer = Vector::<f32, N>::cast_from(gradient[row * width + column]);
            if gated {
                let at = row * 2 * width + column;
                let gate = Vector::<f32, N>::cast_from(hidden[at]) + first;
                let value = Vector::<f32, N>::cast_from(hidden[at + width]) + bias[column + width];
                let open = sigmoid(gate);
                let d_gate = outer * value * open * (one + gate * (one - open));
                let d_value = outer * gate * open;
                d_hidden[at] = Vector::cast_from(d_gate);
                d_hidden[at + width] = Vector::cast_from(d_value);
                again[row * width + column] = Vector::cast_from(gate * open * value);
                first_sum += d_gate;
                second_sum += d_value;
            } else {
                let at = row * width + column;
                let value = Vector::<f32, N>::cast_from(hidden[at]) + first;
                let below = normal_cdf(value);
                // 1 / sqrt(2 pi)
                let density = (value * value * Vector::new(-0.5f32)).exp() * Vector::new(0.398_942_3f32);
                let inner = outer * (below + value * density);
                d_hidden[at] = Vector::cast_from(inner);
                again[at] = Vector::cast_from(value * below);
                first_sum += inner;
            }
        }
        if gated {
            let at = CUBE_POS_Y as usize * 2 * width + column;
            partial[at] = first_sum;
            partial[at + width] = second_sum;
        } else {
            partial[CUBE_POS_Y as usize * width + column] = first_sum;
        }
    }
}

/// `1 / (1 + exp(-x))`.
#[cube]
fn sigmoid<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let one = Vector::<f32, N>::new(1.0f32);
    one / (one + (-x).exp())
}

/// `Φ(x) = (1 + erf(x / √2)) / 2` to 7e-8: WGSL has no error function, and the usual five-term one is off by 1.5e-7.
///
/// Polynomials of N. Juffa: for `|x|` up to 1.3 an odd one for erf, beyond one for the logarithm of `1 - erf`. Far out
/// on the left it keeps its digits, where `1 + erf` would have none left. Not-a-number takes the first way and stays.
#[cube]
fn normal_cdf<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let one = Vector::<f32, N>::new(1.0f32);
    let half = Vector::<f32, N>::new(0.5f32);
    let z = x * Vector::new(0.707_106_77f32);
    let size = z.abs();
    let square = z * z;
    let mut near = Vector::<f32, N>::new(-5.967_617e-4f32);
    near = near * square + Vector::new(4.991_194e-3f32);
    near = near * square + Vector::new(-2.676_813_5e-2f32);
    near = near * square + Vector::new(1.128_199_25e-1f32);
    near = near * square + Vector::new(-3.761_253_4e-1f32);
    near = near * square + Vector::new(1.283_791_7e-1f32);
    let near = half + half * (near * z + z);

    // From 10 on nothing is left; without the bound powers would overflow.
    let ten = Vector::<f32, N>::new(10.0f32);
    let bounded = select_many(size.greater_than(&ten), ten, size);
    let square = bounded * bounded;
    let low = bounded * Vector::new(-3.883_964_4e-3f32) + Vector::new(2.425_462_2e-2f32);
    let mut far = bounded * Vector::new(-1.728_534_7e-5f32) + Vector::new(3.831_971_3e-4f32);
    far = far * square + low;
    far = far * bounded + Vector::new(-1.067_778_8e-1f32);
    far = far * bounded + Vector::new(-6.348_467e-1f32);
    far = far * bounded + Vector::new(-1.287_175_1e-1f32);
    let beyond = half * (far * bounded - bounded).exp();
    let far = select_many(x.less_than(&Vector::new(0.0f32)), beyond, one - beyond);

    select_many(size.greater_than(&Vector::new(0.927_734_4f32)), far, near)
}
