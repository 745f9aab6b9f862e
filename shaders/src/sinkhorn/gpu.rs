//! Sinkhorn–Knopp and softmax centering on the GPU. `exp(logits / t)` is never stored: taking it again costs less
//! than reading it back.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, LOWEST, UNITS, buffer, cube_max, row_sum};

const NAME: &str = "sinkhorn";
/// Columns that a workgroup sums at once.
const COLUMNS: u32 = 32;
/// Columns of one row that a workgroup of the last pass takes.
const STRIP: usize = 16 * UNITS as usize;

/// The teacher's logits.
#[derive(Clone, Debug)]
pub enum SinkhornLogits<'a> {
    /// Left as they are.
    Kept(&'a Handle),
    /// Overwritten with the targets, which saves a matrix of that size.
    Reused(Handle),
}

/// Sinkhorn–Knopp over `logits` `[rows, prototypes]`: targets of that shape, whose rows sum to 1.
///
/// `weights` `[rows]` is 1 for rows that take part and 0 for padding, which comes out as zeros whatever it holds; none
/// for all. Columns tie all rows together, so a not-a-number in a row that takes part reaches every target.
/// The shift that keeps the exponentials finite stays on the device. `iterations`: at least 1; the method takes 3.
///
/// # Errors
/// A buffer is too short.
pub fn sinkhorn(
    client: &Client,
    logits: SinkhornLogits,
    weights: Option<&Handle>,
    rows: usize,
    prototypes: usize,
    temperature: f32,
    iterations: usize,
) -> Result<Handle, ShaderError> {
    let ones = weights.is_none().then(|| launch::filled(client, rows, 1.0));
    let weights = weights.or(ones.as_ref());
    let Some(weights) = weights.filter(|_| rows * prototypes > 0) else {
        return Ok(launch::empty(client, rows * prototypes, 4));
    };
    let source = match &logits {
        SinkhornLogits::Kept(logits) => *logits,
        SinkhornLogits::Reused(logits) => logits,
    };
    let matrix = || buffer(NAME, "logits", source, rows * prototypes, 4);
    let floats = |what, handle: &Handle, count| buffer(NAME, what, handle, count, 4);
    let (tops, scalars) = (launch::empty(client, rows, 4), launch::empty(client, 2, 4));
    let (u, v) = (launch::empty(client, rows, 4), launch::empty(client, prototypes, 4));
    let cube = CubeDim::new_1d(UNITS);
    let (count, width, sharpness) = (rows as u32, prototypes as u32, 1.0 / temperature);
    // SAFETY: `buffer` checks every length; kernels stay below `rows` and `prototypes`.
    unsafe {
        largest_kernel::launch_unchecked(
            client,
            launch::grid(rows, 1),
            cube,
            matrix()?,
            floats("weights", weights, rows)?,
            floats("largest", &tops, rows)?,
            count,
            width,
        );
        scalars_kernel::launch_unchecked(
            client,
            CubeCount::Static(1, 1, 1),
            cube,
            floats("largest", &tops, rows)?,
            floats("weights", weights, rows)?,
            floats("scalars", &scalars, 2)?,
            count,
        );
        for iteration in 0..iterations.max(1) {
            // In the first round the rows' factors are their weights, which must not be bound twice.
            let factors = (iteration > 0).then(|| floats("u", &u, rows)).transpose()?;
            columns_kernel::launch_unchecked(
                client,
                launch::grid(prototypes, COLUMNS as usize),
                cube,
                matrix()?,
                floats("weights", weights, rows)?,
                factors.into(),
                floats("scalars", &scalars, 2)?,
                floats("v", &v, prototypes)?,
                count,
                width,
                sharpness,
            );
            rows_kernel::launch_unchecked(
                client,
                launch::grid(rows, 1),
                cube,
                matrix()?,
                floats("weights", weights, rows)?,
                floats("v", &v, prototypes)?,
                floats("scalars", &scalars, 2)?,
                floats("u", &u, rows)?,
                count,
                width,
                sharpness,
            );
        }
    }
    let (out, from) = destination(client, logits, rows * prototypes)?;
    let strips = prototypes.div_ceil(STRIP);
    // SAFETY: as above.
    unsafe {
        finish_kernel::launch_unchecked(
            client,
            launch::grid(rows * strips, 1),
            cube,
            from.into(),
            floats("weights", weights, rows)?,
            floats("u", &u, rows)?,
            floats("v", &v, prototypes)?,
            floats("scalars", &scalars, 2)?,
            floats("targets", &out, rows * prototypes)?,
            count,
            width,
            strips as u32,
            sharpness,
        );
    }
    Ok(out)
}

/// `softmax((logits - center) / temperature)`: `logits` `[rows, prototypes]`, `center` `[prototypes]` floats.
///
/// # Errors
/// A buffer is too short.
pub fn softmax_center(
    client: &Client,
    logits: SinkhornLogits,
    center: &Handle,
    rows: usize,
    prototypes: usize,
    temperature: f32,
) -> Result<Handle, ShaderError> {
    if rows * prototypes == 0 {
        return Ok(launch::empty(client, 0, 4));
    }
    let (out, from) = destination(client, logits, rows * prototypes)?;
    let center = buffer(NAME, "center", center, prototypes, 4)?;
    let targets = buffer(NAME, "targets", &out, rows * prototypes, 4)?;
    // SAFETY: lengths were checked.
    unsafe {
        center_kernel::launch_unchecked(
            client,
            launch::grid(rows, 1),
            CubeDim::new_1d(UNITS),
            from.into(),
            center,
            targets,
            rows as u32,
            prototypes as u32,
            1.0 / temperature,
        );
    }
    Ok(out)
}

/// Where targets go, and where their logits are read if not there.
fn destination(
    client: &Client,
    logits: SinkhornLogits,
    elements: usize,
) -> Result<(Handle, Option<BufferArg>), ShaderError> {
    Ok(match logits {
        SinkhornLogits::Kept(logits) => {
            (launch::empty(client, elements, 4), Some(buffer(NAME, "logits", logits, elements, 4)?))
        }
        SinkhornLogits::Reused(logits) => (logits, None),
    })
}

/// The value, or the smallest normal number if it is less; not-a-number stays one.
#[cube]
fn at_least_tiny(value: f32) -> f32 {
    select(value < 1.175_494_4e-38f32, 1.175_494_4e-38f32, value)
}

/// `weight · exp((logit - shift) / t)`, and 0 without weight, whatever the logit.
#[cube]
fn mass(logit: f32, weight: f32, shift: f32, sharpness: f32) -> f32 {
    let value = ((logit - shift) * sharpness).exp() * weight;
    select(weight == 0.0f32, 0.0f32, value)
}

/// Largest logit of every row that takes part.
#[cube(launch_unchecked)]
fn largest_kernel(logits: &[f32], weights: &[f32], tops: &mut [f32], rows: u32, prototypes: u32) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let wanted = CUBE_POS as u32;
    let row = min(wanted, rows - 1) as usize;
    let begin = row * prototypes as usize;
    let mut largest = f32::new(LOWEST);
    let mut column = UNIT_POS;
    while column < prototypes {
        let logit = logits[begin + column as usize];
        largest = select(logit > largest, logit, largest);
        column += UNITS;
    }
    let largest = cube_max(&mut shared, largest);
    if wanted < rows && UNIT_POS == 0 {
        tops[row] = select(weights[row] == 0.0f32, LOWEST, largest);
    }
}

/// The common shift, and how many rows take part (at least 1).
#[cube(launch_unchecked)]
fn scalars_kernel(tops: &[f32], weights: &[f32], scalars: &mut [f32], rows: u32) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut largest = f32::new(LOWEST);
    let mut total = 0.0f32;
    let mut row = UNIT_POS;
    while row < rows {
        let top = tops[row as usize];
        largest = select(top > largest, top, largest);
        total += weights[row as usize];
        row += UNITS;
    }
    let largest = cube_max(&mut shared, largest);
    let total = row_sum(&mut shared, total, UNITS);
    if UNIT_POS == 0 {
        scalars[0] = largest;
        scalars[1] = select(total < 1.0f32, 1.0f32, total);
    }
}

/// `v_j = 1 / (K Σ_i u_i q_ij)`: each prototype gets 1/K of the mass.
#[cube(launch_unchecked)]
fn columns_kernel(
    logits: &[f32],
    weights: &[f32],
    u: ComptimeOption<&[f32]>,
    scalars: &[f32],
    v: &mut [f32],
    rows: u32,
    prototypes: u32,
    sharpness: f32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let column = CUBE_POS as u32 * COLUMNS + UNIT_POS % COLUMNS;
    let shift = scalars[0];
    let mut sum = 0.0f32;
    if column < prototypes {
        let mut row = UNIT_POS / COLUMNS;
        while row < rows {
            let at = row as usize;
            let weight = weights[at];
            #[comptime]
            let factor = match &u {
                ComptimeOption::Some(u) => u[at],
                ComptimeOption::None => weight,
            };
            sum +=
                factor * mass(logits[at * prototypes as usize + column as usize], weight, shift, sharpness);
            row += comptime!(UNITS / COLUMNS);
        }
    }
    shared[UNIT_POS as usize] = sum;
    sync_cube();
    #[unroll]
    for step in 1..comptime!((UNITS / COLUMNS).ilog2() + 1) {
        let half = comptime!(UNITS >> step);
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
    }
    if UNIT_POS < COLUMNS && column < prototypes {
        v[column as usize] = 1.0f32 / at_least_tiny(shared[UNIT_POS as usize] * f32::cast_from(prototypes));
    }
}

/// `u_i = weight_i / (total Σ_j q_ij v_j)`: each sample gets 1 / total of the mass.
#[cube(launch_unchecked)]
fn rows_kernel(
    logits: &[f32],
    weights: &[f32],
    v: &[f32],
    scalars: &[f32],
    u: &mut [f32],
    rows: u32,
    prototypes: u32,
    sharpness: f32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let wanted = CUBE_POS as u32;
    let row = min(wanted, rows - 1) as usize;
    let begin = row * prototypes as usize;
    let weight = weights[row];
    let shift = scalars[0];
    let mut sum = 0.0f32;
    let mut column = UNIT_POS;
    while column < prototypes {
        let at = column as usize;
        sum += mass(logits[begin + at], weight, shift, sharpness) * v[at];
        column += UNITS;
    }
    let sum = row_sum(&mut shared, sum, UNITS);
    if wanted < rows && UNIT_POS == 0 {
        u[row] = weight / at_least_tiny(sum * scalars[1]);
    }
}

/// `targets = q v u total`.
#[cube(launch_unchecked)]
fn finish_kernel(
    logits: ComptimeOption<&[f32]>,
    weights: &[f32],
    u: &[f32],
    v: &[f32],
    scalars: &[f32],
    targets: &mut [f32],
    rows: u32,
    prototypes: u32,
    strips: u32,
    sharpness: f32,
) {
    let row = CUBE_POS as u32 / strips;
    if row < rows {
        let weight = weights[row as usize];
        let shift = scalars[0];
        let mut column = (CUBE_POS as u32 % strips) * comptime!(STRIP as u32) + UNIT_POS;
        let end = min(column - UNIT_POS + comptime!(STRIP as u32), prototypes);
        while column < end {
            let at = row as usize * prototypes as usize + column as usize;
            #[comptime]
            let logit = match &logits {
                ComptimeOption::Some(logits) => logits[at],
                ComptimeOption::None => targets[at],
            };
            let value = mass(logit, weight, shift, sharpness);
            targets[at] = value * v[column as usize] * (u[row as usize] * scalars[1]);
            column += UNITS;
        }
    }
}

#[cube(launch_unchecked)]
fn center_kernel(
    logits: ComptimeOption<&[f32]>,
    center: &[f32],
    targets: &mut [f32],
    rows: u32,
    prototypes: u32,
    sharpness: f32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let wanted = CUBE_POS as u32;
    let row = min(wanted, rows - 1) as usize;
    let begin = row * prototypes as usize;
    let mut largest = f32::new(LOWEST);
    let mut sum = 0.0f32;
    let mut column = UNIT_POS;
    while column < prototypes {
        let at = begin + column as usize;
        #[comptime]
        let logit = match &logits {
            ComptimeOption::Some(logits) => logits[at],
            ComptimeOption::None => targets[at],
        };
        let value = (logit - center[column as usize]) * sharpness;
        if value > largest {
            sum *= (largest - value).exp();
            largest = value;
        }
        sum += (value - largest).exp();
        column += UNITS;
    }
    let top = cube_max(&mut shared, largest);
    let sum = row_sum(&mut shared, sum * (largest - top).exp(), UNITS);
    let scale = 1.0f32 / sum;
    if wanted < rows {
        let mut column = UNIT_POS;
        while column < prototypes {
            let at = begin + column as usize;
            #[comptime]
            let logit = match &logits {
                ComptimeOption::Some(logits) => logits[at],
                ComptimeOption::None => targets[at],
            };
            targets[at] = ((logit - center[column as usize]) * sharpness - top).exp() * scale;
            column += UNITS;
        }
    }
}
