//! The GPU programs, in CubeCL.
//!
//! No product of tokens with tokens is ever stored: a workgroup owns a tile of rows of one sequence and head, and keys
//! (or queries) pass through workgroup memory in tiles. Barriers stand only where all threads come by, and values that
//! decide about them are read as uniform, which browsers insist on. Row maxima travel through workgroup memory at a
//! barrier that is needed anyway; subgroup operations would save none, so there is one program for all devices.
//!
//! NaN in a sequence stays in it: rows past its end are zeros, never a neighbour's values.

mod backward;
mod forward;
mod packed;
mod plan;
mod rows;
mod tile;

pub use backward::backward;
pub use forward::forward;
pub use packed::PackedSequences;
pub use plan::AttentionSpec;
pub use rows::rows;

use cubecl::client::Client;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::cube::expect_len;

const PROGRAM: &str = "attention";

/// Bytes on the device beyond `qkv`, `out` and their gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionMemoryBytes {
    /// `lse`, kept from the forward to the backward pass.
    pub kept: usize,
    /// `D`, during the backward pass.
    pub scratch: usize,
    /// Work lists of a layout, about and at most; shared by all blocks.
    pub layout: usize,
}

/// What the passes need for `tokens` in `sequences`: linear in both, whatever the length of a sequence.
pub fn bytes_needed(tokens: usize, sequences: usize, heads: usize) -> AttentionMemoryBytes {
    let row = tokens * heads * size_of::<f32>();
    // Tiles of 8, 16 and 32 rows; each sequence may end inside of one.
    let tiles: usize = [8, 16, 32].into_iter().map(|rows| tokens.div_ceil(rows) + sequences).sum();
    AttentionMemoryBytes { kept: row, scratch: row, layout: tiles * 16 }
}

/// Rows (tokens times heads) of a launch. Each buffer is named with its rows a token and head.
fn check(
    client: &Client,
    packed: &PackedSequences,
    spec: &AttentionSpec,
    buffers: &[(&'static str, &Handle, usize)],
) -> Result<usize, ShaderError> {
    spec.supported_by(client)?;
    let rows = packed.tokens() * spec.heads;
    for (what, handle, parts) in buffers {
        expect_len(PROGRAM, what, handle, rows * parts * spec.width, spec.elem)?;
    }
    // Programs count vectors in 32 bits.
    let (count, allowed) = (rows * 3 * spec.width / spec.vector(), u32::MAX);
    if count > allowed as usize {
        let (needed, allowed) = (format!("{count} vectors"), allowed.to_string());
        return Err(ShaderError::TooLarge { program: PROGRAM, count, needed, allowed });
    }
    Ok(rows)
}
