//! The L2 normalisation on the GPU: a row is spread over 32 to 256 lanes.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, UNITS, buffer, own_row, row_sum};

const NAME: &str = "l2_norm";

/// What the forward pass leaves.
#[derive(Clone, Debug)]
pub struct L2NormOutput {
    /// `[rows, dim]` floats.
    pub y: Handle,
    /// `[rows]` floats: one over the length.
    pub inverse: Handle,
}

/// Gradients of the L2 normalisation.
#[derive(Clone, Debug)]
pub struct L2NormGradients {
    /// `[rows, dim]` floats.
    pub x: Handle,
    /// `[rows]` floats.
    pub gain: Handle,
}

/// `gain · x / max(|x|, epsilon)`: `x` `[rows, dim]` floats, `gain` `[rows]` floats, or none for 1.
///
/// # Errors
/// A buffer is too short.
pub fn forward(
    client: &Client,
    x: &Handle,
    gain: Option<&Handle>,
    rows: usize,
    dim: usize,
    epsilon: f32,
) -> Result<L2NormOutput, ShaderError> {
    let out =
        L2NormOutput { y: launch::empty(client, rows * dim, 4), inverse: launch::empty(client, rows, 4) };
    if rows * dim == 0 {
        return Ok(out);
    }
    let (lanes, columns) = launch::lanes(dim);
    let x = buffer(NAME, "x", x, rows * dim, 4)?;
    let gain = gain.map(|gain| buffer(NAME, "gain", gain, rows, 4)).transpose()?;
    let y = buffer(NAME, "y", &out.y, rows * dim, 4)?;
    let inverse = buffer(NAME, "inverse", &out.inverse, rows, 4)?;
    // SAFETY: lengths were checked; the kernel stays below `rows` and `dim`.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            launch::grid(rows, (UNITS / lanes) as usize),
            CubeDim::new_1d(UNITS),
            x,
            gain.into(),
            y,
            inverse,
            rows as u32,
            dim as u32,
            epsilon,
            lanes,
            columns as usize,
        );
    }
    Ok(out)
}

/// The way back of [`forward`]: `dy` `[rows, dim]` floats, everything else as there. The gradient of `x` is written into the
/// first rows of `into`, where that is given.
///
/// # Errors
/// A buffer is too short.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    client: &Client,
    dy: &Handle,
    x: &Handle,
    gain: Option<&Handle>,
    inverse: &Handle,
    rows: usize,
    dim: usize,
    epsilon: f32,
    into: Option<Handle>,
) -> Result<L2NormGradients, ShaderError> {
    let x_gradient = into.unwrap_or_else(|| launch::empty(client, rows * dim, 4));
    let out = L2NormGradients { x: x_gradient, gain: launch::empty(client, rows, 4) };
    if rows * dim == 0 {
        return Ok(out);
    }
    let (lanes, columns) = launch::lanes(dim);
    let dy = buffer(NAME, "dy", dy, rows * dim, 4)?;
    let x = buffer(NAME, "x", x, rows * dim, 4)?;
    let gain = gain.map(|gain| buffer(NAME, "gain", gain, rows, 4)).transpose()?;
    let inverse = buffer(NAME, "inverse", inverse, rows, 4)?;
    let dx = buffer(NAME, "dx", &out.x, rows * dim, 4)?;
    let d_gain = buffer(NAME, "gradient of the gain", &out.gain, rows, 4)?;
    // SAFETY: lengths were checked; the kernel stays below `rows` and `dim`.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            launch::grid(rows, (UNITS / lanes) as usize),
            CubeDim::new_1d(UNITS),
            dy,
            x,
            gain.into(),
            inverse,
            dx,
            d_gain,
            rows as u32,
            dim as u32,
            epsilon,
            lanes,
            columns as usize,
        );
    }
    Ok(out)
}

#[cube(launch_unchecked)]
fn forward_kernel(
    x: &[f32],
    gain: ComptimeOption<&[f32]>,
    y: &mut [f32],
    inverse: &mut [f32],
    rows: u32,
    dim: u32,
    epsilon: f32,
    #[comptime] lanes: u32,
    #[comptime] columns: usize,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let lane = UNIT_POS % lanes;
    let (row, live) = own_row(rows, lanes);
    let row = row as usize;
    let begin = row * dim as usize;
    let mut values = Array::<f32>::new(columns);
    let mut squares = 0.0f32;
    #[unroll]
    for i in 0..columns {
        let column = lane + comptime!(i as u32 * lanes);
        let mut value = 0.0f32;
        if column < dim {
            value = x[begin + column as usize];
        }
        values[i] = value;
        squares += value * value;
    }
    let length = row_sum(&mut shared, squares, lanes).sqrt();
    // A comparison, for a maximum would pass over what is no number.
    let over = 1.0f32 / select(length < epsilon, epsilon, length);
    #[comptime]
    let scale = match &gain {
        ComptimeOption::Some(gain) => over * gain[row],
        ComptimeOption::None => over,
    };
    if live {
        #[unroll]
        for i in 0..columns {
            let column = lane + comptime!(i as u32 * lanes);
            if column < dim {
                y[begin + column as usize] = values[i] * scale;
            }
        }
        if lane == 0 {
            inverse[row] = over;
        }
    }
}

#[cube(launch_unchecked)]
fn backward_kernel(
    dy: &[f32],
    x: &[f32],
    gain: ComptimeOption<&[f32]>,
    inverse: &[f32],
    dx: &mut [f32],
    d_gain: &mut [f32],
    rows: u32,
    dim: u32,
    epsilon: f32,
    #[comptime] lanes: u32,
    #[comptime] columns: usize,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let lane = UNIT_POS % lanes;
    let (row, live) = own_row(rows, lanes);
    let row = row as usize;
    let begin = row * dim as usize;
    let mut values = Array::<f32>::new(columns);
    let mut slopes = Array::<f32>::new(columns);
    let mut product = 0.0f32;
    #[unroll]
    for i in 0..columns {
        let column = lane + comptime!(i as u32 * lanes);
        let mut value = 0.0f32;
        let mut slope = 0.0f32;
        if column < dim {
            value = x[begin + column as usize];
            slope = dy[begin + column as usize];
        }
        values[i] = value;
        slopes[i] = slope;
        product += value * slope;
    }
    let over = inverse[row];
    let along = over * row_sum(&mut shared, product, lanes);
    // Short rows are not turned onto the sphere, only scaled.
    let turned = select(over * epsilon >= 1.0f32, 0.0f32, along * over);
    #[comptime]
    let scale = match &gain {
        ComptimeOption::Some(gain) => over * gain[row],
        ComptimeOption::None => over,
    };
    if live {
        #[unroll]
        for i in 0..columns {
            let column = lane + comptime!(i as u32 * lanes);
            if column < dim {
                dx[begin + column as usize] = scale * (slopes[i] - turned * values[i]);
            }
        }
        if lane == 0 {
            d_gain[row] = along;
        }
    }
}
