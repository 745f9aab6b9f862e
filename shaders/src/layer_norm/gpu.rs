//! LayerNorm on the GPU. One row is spread over 32 to 256 lanes, its values stay in registers between passes.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, UNITS, buffer, own_row, row_sum, row_sum_pair};

const NAME: &str = "layer_norm";
/// Most workgroups of the backward pass; each leaves one row of partial sums.
const GROUPS: usize = 512;

/// Sizes of a LayerNorm: rows of `x`, rows that are normalised, and their width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNormShape {
    /// Rows of `x`.
    pub tokens: usize,
    /// Rows that are normalised: the length of `rows`, or `tokens` without it.
    pub kept: usize,
    /// Width of a row.
    pub dim: usize,
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
pub struct LayerNormOutput {
    /// `[kept, dim]` in the branch's element type.
    pub y: Handle,
    /// `[kept, 2]` floats: mean and 1 / standard deviation.
    pub stats: Handle,
}

/// The gradient that flows around the branch.
#[derive(Clone, Debug)]
pub enum SkipGradient<'a> {
    /// There is none: rows that were not normalised get zeros.
    None,
    /// `[tokens, dim]` floats, left as they are.
    Kept(&'a Handle),
    /// `[tokens, dim]` floats that become the result, which saves a pass over the rows left out.
    Reused(Handle),
}

/// Gradients of a LayerNorm.
#[derive(Clone, Debug)]
pub struct LayerNormGradients {
    /// `[tokens, dim]` floats: `past`, plus the branch's share in the rows that were normalised.
    pub x: Handle,
    /// `[dim]` floats.
    pub weight: Handle,
    /// `[dim]` floats.
    pub bias: Handle,
}

/// `y = (x[rows] - mean) / √(variance + epsilon) · weight + bias`.
///
/// * `x`: `[tokens, dim]` floats; `rows`: `[kept]` ascending 32-bit indices into it, or none for all.
/// * `weight`, `bias`: `[dim]` floats. `elem`: how `y` is stored.
///
/// # Errors
/// A buffer is too short for `shape`.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    client: &Client,
    x: &Handle,
    rows: Option<&Handle>,
    weight: &Handle,
    bias: &Handle,
    shape: LayerNormShape,
    epsilon: f32,
    elem: ElemType,
) -> Result<LayerNormOutput, ShaderError> {
    let LayerNormShape { tokens, kept, dim } = shape;
    let out = LayerNormOutput {
        y: launch::empty(client, kept * dim, elem.size()),
        stats: launch::empty(client, kept * 2, 4),
    };
    if kept * dim == 0 {
        return Ok(out);
    }
    let (lanes, columns) = launch::lanes(dim);
    let rows = rows.map(|rows| buffer(NAME, "rows", rows, kept, 4)).transpose()?;
    let x = buffer(NAME, "x", x, tokens * dim, 4)?;
    let weight = buffer(NAME, "weight", weight, dim, 4)?;
    let bias = buffer(NAME, "bias", bias, dim, 4)?;
    let y = buffer(NAME, "y", &out.y, kept * dim, elem.size())?;
    let stats = buffer(NAME, "stats", &out.stats, kept * 2, 4)?;
    let count = launch::grid(kept, (UNITS / lanes) as usize);
    // SAFETY: lengths were checked; the kernel stays below `kept` rows and `dim` columns.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            count,
            CubeDim::new_1d(UNITS),
            x,
            rows.into(),
            weight,
            bias,
            y,
            stats,
            kept as u32,
            dim as u32,
            epsilon,
            lanes,
            columns as usize,
            elem,
        );
    }
    Ok(out)
}

/// The way back of [`forward`]: `dx = past; dx[rows] += ...`, and the gradients of weight and bias.
///
/// * `dy`: `[kept, dim]`, stored as `elem`; `stats`: of the forward pass; everything else as there.
///
/// # Errors
/// A buffer is too short for `shape`.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    client: &Client,
    dy: &Handle,
    x: &Handle,
    rows: Option<&Handle>,
    stats: &Handle,
    weight: &Handle,
    past: SkipGradient,
    shape: LayerNormShape,
    elem: ElemType,
) -> Result<LayerNormGradients, ShaderError> {
    let LayerNormShape { tokens, kept, dim } = shape;
    // With gathered rows the result starts out as what flows past; else every row is written once.
    let (dx, reads) = match (past, rows) {
        (SkipGradient::Reused(past), _) => (past, SkipGradientSource::Result),
        (SkipGradient::Kept(past), Some(_)) => {
            (launch::copy(NAME, client, past, tokens * dim)?, SkipGradientSource::Result)
        }
        (SkipGradient::Kept(past), None) => {
            (launch::empty(client, tokens * dim, 4), SkipGradientSource::Past(past))
        }
        (SkipGradient::None, Some(_)) => (launch::zeros(client, tokens * dim), SkipGradientSource::Nothing),
        (SkipGradient::None, None) => (launch::empty(client, tokens * dim, 4), SkipGradientSource::Nothing),
    };
    if kept * dim == 0 {
        return Ok(LayerNormGradients {
            x: dx,
            weight: launch::zeros(client, dim),
            bias: launch::zeros(client, dim),
        });
    }
    let (lanes, columns) = launch::lanes(dim);
    let in_group = (UNITS / lanes) as usize;
    let groups = kept.div_ceil(in_group).min(GROUPS);
    let partial = launch::empty(client, groups * 2 * dim, 4);
    let (past, adds) = match reads {
        SkipGradientSource::Nothing => (None, false),
        SkipGradientSource::Result => (None, true),
        SkipGradientSource::Past(past) => (Some(buffer(NAME, "past", past, tokens * dim, 4)?), false),
    };
    let rows = rows.map(|rows| buffer(NAME, "rows", rows, kept, 4)).transpose()?;
    let dy = buffer(NAME, "dy", dy, kept * dim, elem.size())?;
    let x = buffer(NAME, "x", x, tokens * dim, 4)?;
    let stats = buffer(NAME, "stats", stats, kept * 2, 4)?;
    let weight = buffer(NAME, "weight", weight, dim, 4)?;
    let result = buffer(NAME, "dx", &dx, tokens * dim, 4)?;
    let sums = buffer(NAME, "partial sums", &partial, groups * 2 * dim, 4)?;
    // SAFETY: lengths were checked; rows are below `kept`, and indices in `rows` below `tokens` by contract.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            CubeCount::Static(groups as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            dy,
            x,
            rows.into(),
            stats,
            weight,
            past.into(),
            result,
            sums,
            kept as u32,
            dim as u32,
            kept.div_ceil(in_group * groups) as u32,
            adds,
            lanes,
            columns as usize,
            elem,
        );
    }
    let (weight, bias) = launch::column_sums_pair(NAME, client, &partial, groups, 2 * dim, dim)?;
    Ok(LayerNormGradients { x: dx, weight, bias })
}

/// Where the backward kernel finds what it adds to.
enum SkipGradientSource<'a> {
    Nothing,
    Result,
    Past(&'a Handle),
}

#[cube(launch_unchecked)]
fn forward_kernel<E: Float>(
    x: &[f32],
    rows: ComptimeOption<&[u32]>,
    weight: &[f32],
    bias: &[f32],
    y: &mut [E],
    stats: &mut [f32],
    kept: u32,
    dim: u32,
    epsilon: f32,
    #[comptime] lanes: u32,
    #[comptime] columns: usize,
    #[define(E)] _elem: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let lane = UNIT_POS % lanes;
    let (row, live) = own_row(kept, lanes);
    let row = row as usize;
    #[comptime]
    let token = match &rows {
        ComptimeOption::Some(rows) => rows[row] as usize,
        ComptimeOption::None => row,
    };
    let begin = token * dim as usize;

    let mut values = Array::<f32>::new(columns);
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..columns {
        let column = lane + comptime!(i as u32 * lanes);
        let mut value = 0.0f32;
        if column < dim {
            value = x[begin + column as usize];
        }
        values[i] = value;
        sum += value;
    }
    let width = f32::cast_from(dim);
    let mean = row_sum(&mut shared, sum, lanes) / width;
    let mut squares = 0.0f32;
    #[unroll]
    for i in 0..columns {
        if lane + comptime!(i as u32 * lanes) < dim {
            let off = values[i] - mean;
            squares += off * off;
        }
    }
    let inverse = 1.0f32 / (row_sum(&mut shared, squares, lanes) / width + epsilon).sqrt();
    if live {
        #[unroll]
        for i in 0..columns {
            let column = lane + comptime!(i as u32 * lanes);
            if column < dim {
                let at = column as usize;
                let normal = (values[i] - mean) * inverse;
                y[row * dim as usize + at] = E::cast_from(normal * weight[at] + bias[at]);
            }
        }
        if lane == 0 {
            stats[2 * row] = mean;
            stats[2 * row + 1] = inverse;
        }
    }
}

#[cube(launch_unchecked)]
fn backward_kernel<E: Float>(
    dy: &[E],
    x: &[f32],
    rows: ComptimeOption<&[u32]>,
    stats: &[f32],
    weight: &[f32],
    past: ComptimeOption<&[f32]>,
    dx: &mut [f32],
    partial: &mut [f32],
    kept: u32,
    dim: u32,
    rounds: u32,
    #[comptime] adds: bool,
    #[comptime] lanes: u32,
    #[comptime] columns: usize,
    #[define(E)] _elem: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut other = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let lane = UNIT_POS % lanes;
    let width = dim as usize;
    let mut scales = Array::<f32>::new(columns);
    let mut d_weight = Array::<f32>::new(columns);
    let mut d_bias = Array::<f32>::new(columns);
    let mut normals = Array::<f32>::new(columns);
    let mut inner = Array::<f32>::new(columns);
    #[unroll]
    for i in 0..columns {
        let column = lane + comptime!(i as u32 * lanes);
        let mut scale = 0.0f32;
        if column < dim {
            scale = weight[column as usize];
        }
        scales[i] = scale;
        d_weight[i] = 0.0f32;
        d_bias[i] = 0.0f32;
    }

    for round in 0..rounds {
        let wanted =
            (round * CUBE_COUNT as u32 + CUBE_POS as u32) * comptime!(UNITS / lanes) + UNIT_POS / lanes;
        let live = wanted < kept;
        let row = min(wanted, kept - 1) as usize;
        #[comptime]
        let token = match &rows {
            ComptimeOption::Some(rows) => rows[row] as usize,
            ComptimeOption::None => row,
        };
        let mean = stats[2 * row];
        let inverse = stats[2 * row + 1];
        let mut sum = 0.0f32;
        let mut product = 0.0f32;
        #[unroll]
        for i in 0..columns {
            let column = lane + comptime!(i as u32 * lanes);
            let mut normal = 0.0f32;
            let mut gradient = 0.0f32;
            if column < dim {
                let at = column as usize;
                normal = (x[token * width + at] - mean) * inverse;
                let outer = f32::cast_from(dy[row * width + at]);
                gradient = outer * scales[i];
                if live {
                    d_weight[i] += outer * normal;
                    d_bias[i] += outer;
                }
            }
            normals[i] = normal;
            inner[i] = gradient;
            sum += gradient;
            product += gradient * normal;
        }
        let (sum, product) = row_sum_pair(&mut shared, &mut other, sum, product, lanes);
        let flat = sum / f32::cast_from(dim);
        let slope = product / f32::cast_from(dim);
        if live {
            #[unroll]
            for i in 0..columns {
                let column = lane + comptime!(i as u32 * lanes);
                if column < dim {
                    let at = token * width + column as usize;
                    let own = inverse * (inner[i] - flat - normals[i] * slope);
                    #[comptime]
                    let around = match &past {
                        ComptimeOption::Some(past) => past[at],
                        ComptimeOption::None => 0.0f32,
                    };
                    if adds {
                        dx[at] += own;
                    } else {
                        dx[at] = around + own;
                    }
                }
            }
        }
    }

    // One row of partial sums a workgroup: the rows side by side in it are added in their order.
    #[unroll]
    for i in 0..columns {
        sync_cube();
        shared[UNIT_POS as usize] = d_weight[i];
        other[UNIT_POS as usize] = d_bias[i];
        sync_cube();
        let column = lane + comptime!(i as u32 * lanes);
        if UNIT_POS < lanes && column < dim {
            let mut weight_sum = 0.0f32;
            let mut bias_sum = 0.0f32;
            #[unroll]
            for group in 0..comptime!(UNITS / lanes) {
                let from = (UNIT_POS + comptime!(group * lanes)) as usize;
                weight_sum += shared[from];
                bias_sum += other[from];
            }
            let at = CUBE_POS * 2 * width + column as usize;
            partial[at] = weight_sum;
            partial[at + width] = bias_sum;
        }
    }
}
