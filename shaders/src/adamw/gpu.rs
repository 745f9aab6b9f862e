//! The optimiser on the GPU: all parameters in a few launches, whatever their number.
//!
//! Parameters, moments, teacher and gradients are one flat buffer each ([`AdamWFlatBuffers`]) of the same [`ArenaLayout`]. A step
//! gathers the gradients, sums their squares for each sub-module, and then clips, updates and moves the teacher in one
//! launch. Norms and the decision to skip a step stay on the device.

mod layout;

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, ALIGN, UNITS, buffer, finite, row_sum};

pub use layout::{ArenaLayout, ArenaLayoutTable, ArenaParamGroup, ArenaSegment};

const NAME: &str = "adamw";
/// Sub-modules that are clipped each on its own: backbone, DINO head, iBOT head.
pub const MODULES: usize = 3;
/// Values of [`GradClipState`].
const STATE: usize = 8;
/// Gradients that one launch brings together: with the arena and the scalars that makes eight buffers.
const SOURCES: usize = 6;
/// Words of the table for one segment.
const WORDS: u32 = 4;
/// Values that one workgroup of the norm takes.
const CHUNK: usize = 16 * UNITS as usize;
/// Bits of a segment's last word beside the number of its sub-module.
const LAST_LAYER: u32 = 4;
const IDLE: u32 = 8;

/// Flat buffers of all parameters and what belongs to them, floats.
#[derive(Clone, Debug)]
pub struct AdamWFlatBuffers {
    /// Student.
    pub parameters: Handle,
    /// Running mean of gradients.
    pub first: Handle,
    /// Running mean of squared gradients.
    pub second: Handle,
    /// Teacher.
    pub teacher: Handle,
    /// Gradients of the step.
    pub gradients: Handle,
}

impl AdamWFlatBuffers {
    /// All zero. Fill the first and the fourth with [`gather`].
    pub fn new(client: &Client, layout: &ArenaLayout) -> Self {
        let zeros = || launch::zeros(client, layout.len);
        Self { parameters: zeros(), first: zeros(), second: zeros(), teacher: zeros(), gradients: zeros() }
    }
}

/// What a step found out about its gradients; `[8]` floats on the device, each of them a value.
///
/// 0 to 2: factor on the gradients of each sub-module (clipping, and the inverse of the loss scale); 3 to 5: norms
/// after unscaling and before clipping; 6: 1, or 0 where a norm is not finite and the step is skipped; 7: the inverse
/// of the loss scale.
#[derive(Clone, Debug)]
pub struct GradClipState(pub Handle);

/// Rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStepHyperparams {
    /// Learning rate.
    pub lr: f64,
    /// Learning rate of the last layers.
    pub last_layer_lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Updates so far, with this one.
    pub step: u64,
    /// Momentum of the teacher.
    pub momentum: f64,
}

/// Copies `sources` (floats) to their segments of an arena, six a launch.
///
/// # Errors
/// A source is shorter than its segment, or a segment leaves the arena.
pub fn gather<'a>(
    client: &Client,
    sources: impl IntoIterator<Item = (&'a Handle, ArenaSegment)>,
    arena: &Handle,
) -> Result<(), ShaderError> {
    let len = arena.size_in_used() as usize / 4;
    let sources: Vec<_> = sources.into_iter().filter(|(_, segment)| segment.length > 0).collect();
    for sources in sources.chunks(SOURCES) {
        let mut buffers = SequenceArg::<Box<[f32]>>::new();
        let (mut offsets, mut ends) = (SequenceArg::<u32>::new(), SequenceArg::<u32>::new());
        let mut end = 0;
        for (source, segment) in sources {
            if segment.offset + segment.length > len {
                let expected = segment.offset + segment.length;
                return Err(ShaderError::Length { program: NAME, what: "arena", found: len, expected });
            }
            end += segment.length;
            buffers.push(buffer(NAME, "gradient", source, segment.length, 4)?);
            offsets.push(segment.offset as u32);
            ends.push(end as u32);
        }
        let arena = buffer(NAME, "arena", arena, len, 4)?;
        let count = launch::grid(end, UNITS as usize);
        // SAFETY: lengths were checked.
        unsafe {
            gather_kernel::launch_unchecked(
                client,
                count,
                CubeDim::new_1d(UNITS),
                buffers,
                arena,
                offsets,
                ends,
            );
        }
    }
    Ok(())
}

/// Norms of the gradients by sub-module, and the factors that follow from them.
///
/// * `loss_scale`: one float that the loss was multiplied by, or none for 1; gradients are divided by it.
/// * `max_norm`: largest norm of a sub-module's gradient, or 0 for no limit.
///
/// # Errors
/// A buffer is too short.
pub fn norms(
    client: &Client,
    gradients: &Handle,
    table: &ArenaLayoutTable,
    loss_scale: Option<&Handle>,
    max_norm: f64,
) -> Result<GradClipState, ShaderError> {
    let state = launch::empty(client, STATE, 4);
    let one = loss_scale.is_none().then(|| launch::filled(client, 1, 1.0));
    let Some(scale) = loss_scale.or(one.as_ref()) else { return Ok(GradClipState(state)) };
    let count = table.len.div_ceil(CHUNK);
    let partial = launch::empty(client, (count * MODULES).max(1), 4);
    if table.len > 0 {
        let gradients = buffer(NAME, "gradients", gradients, table.len, 4)?;
        let words = buffer(NAME, "table", &table.handle, table.words, 4)?;
        let scale = buffer(NAME, "loss scale", scale, 1, 4)?;
        let sums = buffer(NAME, "partial sums", &partial, count * MODULES, 4)?;
        // SAFETY: lengths were checked.
        unsafe {
            squares_kernel::launch_unchecked(
                client,
                launch::grid(count, 1),
                CubeDim::new_1d(UNITS),
                gradients,
                words,
                scale,
                sums,
                table.segments as u32,
                table.len as u32,
                count as u32,
            );
        }
    }
    let sums = buffer(NAME, "partial sums", &partial, (count * MODULES).max(1), 4)?;
    let scale = buffer(NAME, "loss scale", scale, 1, 4)?;
    let result = buffer(NAME, "state", &state, STATE, 4)?;
    // SAFETY: lengths were checked.
    unsafe {
        state_kernel::launch_unchecked(
            client,
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(UNITS),
            sums,
            scale,
            result,
            count as u32,
            max_norm as f32,
        );
    }
    Ok(GradClipState(state))
}

/// Clips, updates by AdamW (Loshchilov & Hutter 2019) and moves the teacher, for every value in one launch.
///
/// Where a norm is not finite nothing changes; `rates.step` counts such a step all the same.
///
/// # Errors
/// A buffer is too short.
pub fn update(
    client: &Client,
    arenas: &AdamWFlatBuffers,
    table: &ArenaLayoutTable,
    state: &GradClipState,
    rates: AdamWStepHyperparams,
) -> Result<(), ShaderError> {
    if table.len == 0 {
        return Ok(());
    }
    let floats = |what, handle| buffer(NAME, what, handle, table.len, 4);
    let parameters = floats("parameters", &arenas.parameters)?;
    let first = floats("first moments", &arenas.first)?;
    let second = floats("second moments", &arenas.second)?;
    let teacher = floats("teacher", &arenas.teacher)?;
    let gradients = floats("gradients", &arenas.gradients)?;
    let words = buffer(NAME, "table", &table.handle, table.words, 4)?;
    let state = buffer(NAME, "state", &state.0, STATE, 4)?;
    // SAFETY: lengths were checked.
    unsafe {
        update_kernel::launch_unchecked(
            client,
            launch::grid(table.len, UNITS as usize),
            CubeDim::new_1d(UNITS),
            parameters,
            first,
            second,
            teacher,
            gradients,
            words,
            state,
            table.segments as u32,
            table.len as u32,
            rates.scalars(),
        );
    }
    Ok(())
}

impl AdamWStepHyperparams {
    /// For a launch.
    fn scalars(&self) -> AdamWKernelScalarsLaunch {
        let (b1, b2, steps) = (self.beta1, self.beta2, self.step as f64);
        AdamWKernelScalarsLaunch::new(
            self.lr as f32,
            self.last_layer_lr as f32,
            self.weight_decay as f32,
            (1.0 / (1.0 - b1.powf(steps))) as f32,
            (1.0 / (1.0 - b2.powf(steps)).sqrt()) as f32,
            b1 as f32,
            (1.0 - b1) as f32,
            b2 as f32,
            (1.0 - b2) as f32,
            self.eps as f32,
            self.momentum as f32,
            (1.0 - self.momentum) as f32,
        )
    }
}

/// [`AdamWStepHyperparams`] as the kernel takes them; differences from 1 are taken in f64.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
struct AdamWKernelScalars {
    lr: f32,
    last_layer_lr: f32,
    weight_decay: f32,
    /// `1 / (1 - beta1^step)`
    correction1: f32,
    /// `1 / √(1 - beta2^step)`
    correction2: f32,
    beta1: f32,
    less1: f32,
    beta2: f32,
    less2: f32,
    eps: f32,
    momentum: f32,
    less_momentum: f32,
}

/// A value after its step and its decay.
#[cube]
fn moved(value: f32, mean: f32, square: f32, lr: f32, decay: f32, rates: &AdamWKernelScalars) -> f32 {
    let step = lr * rates.correction1 * mean / (square.sqrt() * rates.correction2 + rates.eps);
    value - value * (lr * decay) - step
}

#[cube(launch_unchecked)]
fn gather_kernel(
    sources: Sequence<Box<[f32]>>,
    arena: &mut [f32],
    offsets: Sequence<u32>,
    ends: Sequence<u32>,
) {
    let at = ABSOLUTE_POS as u32;
    let mut begin = 0u32;
    #[unroll]
    for i in 0..comptime!(sources.len()) {
        let end = ends[i];
        if at >= begin && at < end {
            arena[(offsets[i] + at - begin) as usize] = sources[i][(at - begin) as usize];
        }
        begin = end;
    }
}

#[cube(launch_unchecked)]
fn squares_kernel(
    gradients: &[f32],
    table: &[u32],
    scale: &[f32],
    partial: &mut [f32],
    segments: u32,
    len: u32,
    count: u32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let group = CUBE_POS as u32;
    let inverse = 1.0f32 / scale[0];
    let mut first = 0.0f32;
    let mut second = 0.0f32;
    let mut third = 0.0f32;
    #[unroll]
    for i in 0..comptime!(CHUNK as u32 / UNITS) {
        let at = group * comptime!(CHUNK as u32) + comptime!(i * UNITS) + UNIT_POS;
        if at < len {
            let segment =
                (WORDS * table[(WORDS * segments + at / comptime!(ALIGN as u32)) as usize]) as usize;
            let flags = table[segment + 3];
            if at < table[segment] && flags & IDLE == 0u32 {
                let value = gradients[at as usize] * inverse;
                let square = value * value;
                let module = flags & 3u32;
                first += select(module == 0u32, square, 0.0f32);
                second += select(module == 1u32, square, 0.0f32);
                third += select(module == 2u32, square, 0.0f32);
            }
        }
    }
    let first = row_sum(&mut shared, first, UNITS);
    let second = row_sum(&mut shared, second, UNITS);
    let third = row_sum(&mut shared, third, UNITS);
    if UNIT_POS == 0 && group < count {
        let at = 3 * group as usize;
        partial[at] = first;
        partial[at + 1] = second;
        partial[at + 2] = third;
    }
}

#[cube(launch_unchecked)]
fn state_kernel(partial: &[f32], scale: &[f32], state: &mut [f32], count: u32, max_norm: f32) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let inverse = 1.0f32 / scale[0];
    let mut healthy = true;
    #[unroll]
    for module in 0..comptime!(MODULES) {
        let mut sum = 0.0f32;
        let mut group = UNIT_POS;
        while group < count {
            sum += partial[3 * group as usize + module];
            group += UNITS;
        }
        let squared = row_sum(&mut shared, sum, UNITS);
        healthy = healthy && finite(squared);
        if UNIT_POS == 0 {
            let norm = squared.sqrt();
            let limit = max_norm / (norm + 1e-6f32);
            let clip = select(max_norm > 0.0f32 && limit < 1.0f32, limit, 1.0f32);
            state[module] = clip * inverse;
            state[module + 3] = norm;
        }
    }
    if UNIT_POS == 0 {
        state[6] = select(healthy, 1.0f32, 0.0f32);
        state[7] = inverse;
    }
}

#[cube(launch_unchecked)]
fn update_kernel(
    parameters: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    teacher: &mut [f32],
    gradients: &[f32],
    table: &[u32],
    state: &[f32],
    segments: u32,
    len: u32,
    rates: AdamWKernelScalars,
) {
    let at = ABSOLUTE_POS;
    if at < len as usize && state[6] == 1.0f32 {
        let block = at as u32 / comptime!(ALIGN as u32);
        let segment = (WORDS * table[(WORDS * segments + block) as usize]) as usize;
        // Between the end of a parameter and the start of the next nothing is stored.
        if (at as u32) < table[segment] {
            let flags = table[segment + 3];
            let mut value = parameters[at];
            if flags & IDLE == 0u32 {
                let base = select(flags & LAST_LAYER == 0u32, rates.lr, rates.last_layer_lr);
                let lr = base * f32::reinterpret(table[segment + 1]);
                let decay = rates.weight_decay * f32::reinterpret(table[segment + 2]);
                let gradient = gradients[at] * state[(flags & 3u32) as usize];
                let mean = rates.beta1 * first[at] + rates.less1 * gradient;
                let square = rates.beta2 * second[at] + rates.less2 * gradient * gradient;
                first[at] = mean;
                second[at] = square;
                value = moved(value, mean, square, lr, decay, &rates);
                parameters[at] = value;
            }
            teacher[at] = rates.momentum * teacher[at] + rates.less_momentum * value;
        }
    }
}
