//! Cross-entropy on the GPU, one chunk of rows at a time: the matrix product that gives a chunk its logits, and the two
//! that follow its gradient, are the caller's.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, LOWEST, UNITS, buffer, cube_max, row_sum_pair};

const NAME: &str = "cross_entropy";
/// Columns of one row that a workgroup of the backward pass takes.
const STRIP: usize = 16 * UNITS as usize;

/// Targets, and which of them every student row meets.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyTargets<'a> {
    /// `[count, prototypes]` floats; padded rows sum to 0.
    pub rows: &'a Handle,
    /// Rows of targets.
    pub count: usize,
    /// `[rows]` signed 32-bit indices; -1 is none.
    pub first: &'a Handle,
    /// As `first`.
    pub second: &'a Handle,
}

/// Student rows of one chunk, and what all chunks share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyChunk {
    /// First row.
    pub start: usize,
    /// Rows.
    pub count: usize,
    /// Student rows of all chunks.
    pub rows: usize,
    /// Columns of the logits.
    pub prototypes: usize,
    /// Divides the logits.
    pub temperature: f32,
}

/// Results for all rows, filled chunk by chunk.
#[derive(Clone, Debug)]
pub struct CrossEntropyOutputs {
    /// `[rows]` floats: `-Σ_targets Σ_k t_k log softmax(logits / temperature)_k`.
    pub loss: Handle,
    /// `[rows]` floats: entropy of the student's softmax.
    pub entropy: Handle,
    /// `[rows, 2]` floats for the way back: log-sum-exp of `logits / temperature`, and the sum of the row's targets.
    pub stats: Handle,
}

impl CrossEntropyOutputs {
    /// Room for `rows` rows.
    pub fn new(client: &Client, rows: usize) -> Self {
        let floats = |count| launch::empty(client, count, 4);
        Self { loss: floats(rows), entropy: floats(rows), stats: floats(2 * rows) }
    }
}

/// Loss, entropy and statistics of one chunk, from its `logits` `[count, prototypes]` (floats, not yet divided).
///
/// # Errors
/// A buffer is too short.
pub fn forward(
    client: &Client,
    logits: &Handle,
    targets: CrossEntropyTargets,
    chunk: CrossEntropyChunk,
    results: &CrossEntropyOutputs,
) -> Result<(), ShaderError> {
    let CrossEntropyChunk { start, count, rows, prototypes, temperature } = chunk;
    if count * prototypes == 0 {
        return Ok(());
    }
    let logits = buffer(NAME, "logits", logits, count * prototypes, 4)?;
    let all = buffer(NAME, "targets", targets.rows, targets.count * prototypes, 4)?;
    let first = buffer(NAME, "first targets", targets.first, rows, 4)?;
    let second = buffer(NAME, "second targets", targets.second, rows, 4)?;
    let loss = buffer(NAME, "loss", &results.loss, rows, 4)?;
    let entropy = buffer(NAME, "entropy", &results.entropy, rows, 4)?;
    let stats = buffer(NAME, "statistics", &results.stats, 2 * rows, 4)?;
    inside(start, count, rows)?;
    // SAFETY: lengths were checked; indices of targets are below their count by contract.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            launch::grid(count, 1),
            CubeDim::new_1d(UNITS),
            logits,
            all,
            first,
            second,
            loss,
            entropy,
            stats,
            start as u32,
            count as u32,
            prototypes as u32,
            1.0 / temperature,
        );
    }
    Ok(())
}

/// Overwrites a chunk's `logits` with their gradient, `d_loss (n softmax - Σ targets) / temperature`, where `n` is the
/// sum of the row's targets.
///
/// * `d_loss`: `[rows]` floats, gradient of every row's loss; `results`: of [`forward`].
///
/// # Errors
/// A buffer is too short.
pub fn backward(
    client: &Client,
    logits: &Handle,
    targets: CrossEntropyTargets,
    chunk: CrossEntropyChunk,
    results: &CrossEntropyOutputs,
    d_loss: &Handle,
) -> Result<(), ShaderError> {
    let CrossEntropyChunk { start, count, rows, prototypes, temperature } = chunk;
    if count * prototypes == 0 {
        return Ok(());
    }
    let logits = buffer(NAME, "logits", logits, count * prototypes, 4)?;
    let all = buffer(NAME, "targets", targets.rows, targets.count * prototypes, 4)?;
    let first = buffer(NAME, "first targets", targets.first, rows, 4)?;
    let second = buffer(NAME, "second targets", targets.second, rows, 4)?;
    let stats = buffer(NAME, "statistics", &results.stats, 2 * rows, 4)?;
    let d_loss = buffer(NAME, "gradient of the loss", d_loss, rows, 4)?;
    inside(start, count, rows)?;
    let strips = prototypes.div_ceil(STRIP);
    // SAFETY: as in `forward`.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            launch::grid(count * strips, 1),
            CubeDim::new_1d(UNITS),
            logits,
            all,
            first,
            second,
            stats,
            d_loss,
            start as u32,
            count as u32,
            prototypes as u32,
            strips as u32,
            1.0 / temperature,
        );
    }
    Ok(())
}

/// Refuses chunks that leave the rows.
fn inside(start: usize, count: usize, rows: usize) -> Result<(), ShaderError> {
    if start + count > rows {
        return Err(ShaderError::Length {
            program: NAME,
            what: "rows",
            found: rows,
            expected: start + count,
        });
    }
    Ok(())
}

/// Sum of a row's targets at `column`; each of them may be missing.
#[cube]
fn target_at(targets: &[f32], first: i32, second: i32, column: u32, prototypes: u32) -> f32 {
    let mut sum = 0.0f32;
    if first >= 0 {
        sum += targets[first as usize * prototypes as usize + column as usize];
    }
    if second >= 0 {
        sum += targets[second as usize * prototypes as usize + column as usize];
    }
    sum
}

#[cube(launch_unchecked)]
fn forward_kernel(
    logits: &[f32],
    targets: &[f32],
    first: &[i32],
    second: &[i32],
    loss: &mut [f32],
    entropy: &mut [f32],
    stats: &mut [f32],
    start: u32,
    count: u32,
    prototypes: u32,
    sharpness: f32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut other = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let wanted = CUBE_POS as u32;
    let live = wanted < count;
    let local = min(wanted, count - 1);
    let row = (start + local) as usize;
    let one = first[row];
    let two = second[row];
    let begin = local as usize * prototypes as usize;

    // Largest logit so far; relative to it, the sum of exponentials and of exponentials times distance.
    let mut largest = f32::new(LOWEST);
    let mut sum = 0.0f32;
    let mut weighted = 0.0f32;
    let mut mass = 0.0f32;
    let mut product = 0.0f32;
    let mut column = UNIT_POS;
    while column < prototypes {
        let logit = logits[begin + column as usize] * sharpness;
        if logit > largest {
            let down = largest - logit;
            let shrink = down.exp();
            weighted = (weighted + sum * down) * shrink;
            sum *= shrink;
            largest = logit;
        }
        let down = logit - largest;
        let share = down.exp();
        sum += share;
        weighted += share * down;
        let target = target_at(targets, one, two, column, prototypes);
        mass += target;
        product += target * logit;
        column += UNITS;
    }

    let top = cube_max(&mut shared, largest);
    let down = largest - top;
    let shrink = down.exp();
    let (sum, weighted) =
        row_sum_pair(&mut shared, &mut other, sum * shrink, (weighted + sum * down) * shrink, UNITS);
    let (mass, product) = row_sum_pair(&mut shared, &mut other, mass, product, UNITS);
    if live && UNIT_POS == 0 {
        let above = sum.ln();
        let lse = top + above;
        loss[row] = mass * lse - product;
        entropy[row] = above - weighted / sum;
        stats[2 * row] = lse;
        stats[2 * row + 1] = mass;
    }
}

#[cube(launch_unchecked)]
fn backward_kernel(
    logits: &mut [f32],
    targets: &[f32],
    first: &[i32],
    second: &[i32],
    stats: &[f32],
    d_loss: &[f32],
    start: u32,
    count: u32,
    prototypes: u32,
    strips: u32,
    sharpness: f32,
) {
    let local = CUBE_POS as u32 / strips;
    if local < count {
        let row = (start + local) as usize;
        let one = first[row];
        let two = second[row];
        let lse = stats[2 * row];
        let mass = stats[2 * row + 1];
        let weight = d_loss[row] * sharpness;
        let begin = local as usize * prototypes as usize;
        let mut column = (CUBE_POS as u32 % strips) * comptime!(STRIP as u32) + UNIT_POS;
        let end = min(column - UNIT_POS + comptime!(STRIP as u32), prototypes);
        while column < end {
            let at = begin + column as usize;
            let share = (logits[at] * sharpness - lse).exp();
            logits[at] = weight * (mass * share - target_at(targets, one, two, column, prototypes));
            column += UNITS;
        }
    }
}
