//! The same update for parameters that have buffers of their own.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::{CHUNK, NAME, Rates, SOURCES, Scalars, moved};
use crate::ShaderError;
use crate::launch::{self, UNITS, buffer, finite, row_sum};

/// One parameter in buffers of `length` floats, of which all but the gradient are written over.
#[derive(Clone, Copy, Debug)]
pub struct Single<'a> {
    /// Student.
    pub value: &'a Handle,
    /// Running mean of gradients.
    pub first: &'a Handle,
    /// Running mean of squared gradients.
    pub second: &'a Handle,
    /// Teacher.
    pub teacher: &'a Handle,
    /// Gradient, and one float that it is multiplied by; without, only the teacher moves.
    pub gradient: Option<(&'a Handle, &'a Handle)>,
    /// Values.
    pub length: usize,
}

/// One update of AdamW of one parameter, and its teacher's step; `rates.lr` and `rates.weight_decay` are the parameter's.
///
/// A factor that is not finite leaves student and moments as they were.
///
/// # Errors
/// A buffer is too short.
pub fn update_single(client: &Client, parameter: Single, rates: Rates) -> Result<(), ShaderError> {
    let length = parameter.length;
    if length == 0 {
        return Ok(());
    }
    let floats = |what, handle, count| buffer(NAME, what, handle, count, 4);
    let value = floats("parameter", parameter.value, length)?;
    let first = floats("first moment", parameter.first, length)?;
    let second = floats("second moment", parameter.second, length)?;
    let teacher = floats("teacher", parameter.teacher, length)?;
    let gradient =
        parameter.gradient.map(|(gradient, _)| floats("gradient", gradient, length)).transpose()?;
    let factor = parameter.gradient.map(|(_, factor)| floats("factor", factor, 1)).transpose()?;
    // SAFETY: lengths were checked.
    unsafe {
        single_kernel::launch_unchecked(
            client,
            launch::grid(length, UNITS as usize),
            CubeDim::new_1d(UNITS),
            value,
            first,
            second,
            teacher,
            gradient.into(),
            factor.into(),
            length as u32,
            rates.scalars(),
        );
    }
    Ok(())
}

/// Σ x² over all of several buffers of floats: one float on the device, added up in an order that never changes.
///
/// # Errors
/// A buffer is shorter than the length that comes with it.
pub fn squared_norm<'a>(
    client: &Client,
    buffers: impl IntoIterator<Item = (&'a Handle, usize)>,
) -> Result<Handle, ShaderError> {
    let buffers: Vec<_> = buffers.into_iter().filter(|(_, length)| *length > 0).collect();
    let lengths = |part: &[(&Handle, usize)]| part.iter().map(|(_, length)| length).sum::<usize>();
    let count: usize = buffers.chunks(SOURCES).map(|part| lengths(part).div_ceil(CHUNK)).sum();
    let (out, partial) = (launch::empty(client, 1, 4), launch::empty(client, count.max(1), 4));
    let mut base = 0;
    for part in buffers.chunks(SOURCES) {
        let groups = lengths(part).div_ceil(CHUNK);
        let mut sources = SequenceArg::<Box<[f32]>>::new();
        let mut ends = SequenceArg::<u32>::new();
        let mut end = 0;
        for (source, length) in part {
            end += length;
            sources.push(buffer(NAME, "gradient", source, *length, 4)?);
            ends.push(end as u32);
        }
        let sums = buffer(NAME, "partial sums", &partial, count, 4)?;
        // SAFETY: lengths were checked; `base + groups` is at most `count`.
        unsafe {
            sources_kernel::launch_unchecked(
                client,
                launch::grid(groups, 1),
                CubeDim::new_1d(UNITS),
                sources,
                sums,
                ends,
                base as u32,
                groups as u32,
            );
        }
        base += groups;
    }
    let sums = buffer(NAME, "partial sums", &partial, count.max(1), 4)?;
    let total = buffer(NAME, "sum", &out, 1, 4)?;
    // SAFETY: lengths were checked.
    unsafe {
        total_kernel::launch_unchecked(
            client,
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(UNITS),
            sums,
            total,
            count as u32,
        );
    }
    Ok(out)
}

// The outer `if` is decided when the kernel is compiled, the inner one when it runs.
#[allow(clippy::collapsible_if)]
#[cube(launch_unchecked)]
fn single_kernel(
    values: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    teacher: &mut [f32],
    gradients: ComptimeOption<&[f32]>,
    factor: ComptimeOption<&[f32]>,
    length: u32,
    rates: Scalars,
) {
    let at = ABSOLUTE_POS;
    if at < length as usize {
        let mut value = values[at];
        #[comptime]
        let scale = match &factor {
            ComptimeOption::Some(factor) => factor[0],
            ComptimeOption::None => 0.0f32,
        };
        #[comptime]
        if let ComptimeOption::Some(gradients) = &gradients {
            if finite(scale) {
                let gradient = gradients[at] * scale;
                let mean = rates.beta1 * first[at] + rates.less1 * gradient;
                let square = rates.beta2 * second[at] + rates.less2 * gradient * gradient;
                first[at] = mean;
                second[at] = square;
                value = moved(value, mean, square, rates.lr, rates.weight_decay, &rates);
                values[at] = value;
            }
        }
        teacher[at] = rates.momentum * teacher[at] + rates.less_momentum * value;
    }
}

#[cube(launch_unchecked)]
fn sources_kernel(
    sources: Sequence<Box<[f32]>>,
    partial: &mut [f32],
    ends: Sequence<u32>,
    base: u32,
    groups: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let group = CUBE_POS as u32;
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..comptime!(CHUNK as u32 / UNITS) {
        let at = group * comptime!(CHUNK as u32) + comptime!(i * UNITS) + UNIT_POS;
        let mut begin = 0u32;
        #[unroll]
        for source in 0..comptime!(sources.len()) {
            let end = ends[source];
            if at >= begin && at < end {
                let value = sources[source][(at - begin) as usize];
                sum += value * value;
            }
            begin = end;
        }
    }
    let sum = row_sum(&mut shared, sum, UNITS);
    if UNIT_POS == 0 && group < groups {
        partial[(base + group) as usize] = sum;
    }
}

#[cube(launch_unchecked)]
fn total_kernel(partial: &[f32], total: &mut [f32], count: u32) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut sum = 0.0f32;
    let mut at = UNIT_POS;
    while at < count {
        sum += partial[at as usize];
        at += UNITS;
    }
    let sum = row_sum(&mut shared, sum, UNITS);
    if UNIT_POS == 0 {
        total[0] = sum;
    }
}
