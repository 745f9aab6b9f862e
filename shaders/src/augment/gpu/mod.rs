//! The two launches.

mod colour;
mod cut;
mod finish;

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::table::{PROGRAM, WORDS, pack};
use super::{ChannelNormalization, CropSpec};
use crate::ShaderError;

/// Side of the square of pixels that a workgroup makes.
const TILE: u32 = 16;
/// Invocations of a workgroup, one a pixel.
const UNITS: u32 = TILE * TILE;
/// Workgroups along one dimension that every device can start.
const SIDE: usize = 65535;

/// Makes `views` of `pixels`: `[views, 3, size, size]` floats.
///
/// * `pixels`: 8-bit RGB of all pictures, filled up to whole 32-bit words; `bytes`: how many of them are pixels.
///
/// Kept until the end is one word for each pixel of the result. See [`augment`](super::cpu::augment), which defines
/// what comes out.
///
/// # Errors
/// A view reaches outside of its picture or of `pixels`, two of them share a slot, or there are more pixels or views
/// than 32-bit indices or one launch reach.
pub fn augment(
    client: &Client,
    pixels: &Handle,
    bytes: usize,
    views: &[CropSpec],
    size: usize,
    normalize: &ChannelNormalization,
) -> Result<Handle, ShaderError> {
    let table = pack(views, size, bytes)?;
    let (words, found) = (bytes.div_ceil(4), pixels.size_in_used() as usize / 4);
    if found < words {
        return Err(ShaderError::Length { program: PROGRAM, what: "pixels", found, expected: words });
    }
    if views.len() > SIDE {
        let (needed, allowed) = (format!("{} rows of workgroups", views.len()), format!("{SIDE}"));
        return Err(ShaderError::TooLarge { program: PROGRAM, count: views.len(), needed, allowed });
    }
    let count = views.len() * size * size;
    let out = client.empty((3 * count).max(4) * 4);
    if views.is_empty() {
        return Ok(out);
    }
    // At most 256², for the largest size.
    let tiles = (size as u32).div_ceil(TILE).pow(2);
    let table = client.create_from_slice(bytemuck::cast_slice(&table));
    let made = client.empty(count * 4);
    let sums = client.empty(views.len() * tiles as usize * 4);
    // Tiles of the largest size are one more than a dimension may have.
    let (across, rows) = (tiles.min(1 << 15), tiles.div_ceil(1 << 15));
    let cubes = CubeCount::Static(across, views.len() as u32, rows);
    // SAFETY: these are the lengths that the buffers were made with, or that were checked above.
    let arg = |handle: &Handle, count| unsafe { BufferArg::from_raw_parts(handle.clone(), count) };
    let lines = normalize.line();
    // SAFETY: views and tiles of the grid are those of the buffers, what a view reads was checked when it was packed,
    // and its slot is below the number of views.
    unsafe {
        cut::kernel::launch_unchecked(
            client,
            cubes.clone(),
            CubeDim::new_1d(UNITS),
            arg(pixels, words),
            arg(&table, views.len() * WORDS),
            arg(&made, count),
            arg(&sums, views.len() * tiles as usize),
            size as u32,
        );
        finish::kernel::launch_unchecked(
            client,
            cubes,
            CubeDim::new_1d(UNITS),
            arg(&made, count),
            arg(&table, views.len() * WORDS),
            arg(&sums, views.len() * tiles as usize),
            arg(&out, 3 * count),
            size as u32,
            lines[0].0,
            lines[1].0,
            lines[2].0,
            lines[0].1,
            lines[1].1,
            lines[2].1,
        );
    }
    Ok(out)
}

/// The sum of one number of every invocation, for all of them; `shared` has a word for each.
#[cube]
fn sum_of_all(shared: &mut Shared<[u32]>, value: u32) -> u32 {
    // What was here before has been read by all.
    sync_cube();
    shared[UNIT_POS as usize] = value;
    sync_cube();
    #[unroll]
    for step in 1..comptime!(UNITS.ilog2() + 1) {
        let half = comptime!(UNITS >> step);
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
    }
    shared[0]
}
