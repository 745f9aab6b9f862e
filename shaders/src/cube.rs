//! What the CubeCL programs share: buffers, launch counts, element types.
//!
//! One source runs as WGSL, SPIR-V or MSL. Limits are those every WebGPU device has: 256 invocations and
//! [`SHARED_BYTES`] of workgroup memory, 8 storage buffers (one of them is cubecl's own), 65535 workgroups a side.

use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::{ShaderError, dispatch};

/// Workgroup memory that every WebGPU device has, in bytes.
pub const SHARED_BYTES: usize = 16 * 1024;

/// Workgroups along one dimension that every WebGPU device can start.
pub const MAX_GROUPS: u32 = 65535;

/// A new buffer for `count` elements. Its bytes are whatever lay there before.
pub fn empty(client: &Client, count: usize, elem: ElemType) -> Handle {
    // A binding of no bytes is refused, so an empty tensor gets room for one vector.
    client.empty((count * elem.size()).max(16))
}

/// A kernel argument for the first `count` elements of `handle`.
pub fn arg(handle: &Handle, count: usize) -> BufferArg {
    // SAFETY: callers pass the number of elements that they allocated, or that the length of the handle was checked
    // for with `expect_len`.
    unsafe { BufferArg::from_raw_parts(handle.clone(), count) }
}

/// Refuses a buffer that is too short for `count` elements.
pub fn expect_len(
    program: &'static str,
    what: &'static str,
    handle: &Handle,
    count: usize,
    elem: ElemType,
) -> Result<(), ShaderError> {
    let found = handle.size_in_used() as usize / elem.size();
    if found < count {
        return Err(ShaderError::Length { program, what, found, expected: count });
    }
    Ok(())
}

/// Refuses what is not f32, f16 or bf16, or what the device can't store.
pub fn expect_elem(program: &'static str, client: &Client, elem: ElemType) -> Result<(), ShaderError> {
    let known = matches!(elem, ElemType::Float(FloatKind::F32 | FloatKind::F16 | FloatKind::BF16));
    if known && client.properties().supports_type(elem) {
        return Ok(());
    }
    Err(ShaderError::Unsupported { program, what: format!("{elem} on {}", client.name()) })
}

/// Elements that one load takes: rows of a length that four divides are read as vectors of four.
pub fn vector_size(row: usize) -> usize {
    if row.is_multiple_of(4) { 4 } else { 1 }
}

/// Workgroups `(x, 1, z)` for `count` items with `per_group` a group, and the number of groups they make.
///
/// The group's number is `CUBE_POS_X + CUBE_COUNT_X * CUBE_POS_Z`; `y` is left to the program.
pub fn groups(program: &'static str, count: usize, per_group: usize) -> Result<(u32, u32), ShaderError> {
    dispatch::rows(count, per_group, MAX_GROUPS).ok_or_else(|| ShaderError::TooLarge {
        program,
        count,
        needed: format!("{} workgroups", count.div_ceil(per_group)),
        allowed: format!("{}", u64::from(MAX_GROUPS).pow(2)),
    })
}
