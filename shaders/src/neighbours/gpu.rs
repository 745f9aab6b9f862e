//! Nearest neighbours on the GPU: a product of the rows with themselves in tiles, of which only the best is kept.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, LOWEST, buffer};

const NAME: &str = "neighbours";
/// Rows and columns of a tile.
const TILE: u32 = 16;
/// Length of a row of a tile in memory: one more, so that columns lie in different banks.
const PITCH: u32 = TILE + 1;

/// Index of the row with the largest dot product, for each row of `x` `[rows, dim]` floats: `[rows]` signed 32-bit.
///
/// A row's product with itself counts as -1; the first of equals wins; products that are not numbers never win.
///
/// # Errors
/// A buffer is too short.
pub fn nearest(client: &Client, x: &Handle, rows: usize, dim: usize) -> Result<Handle, ShaderError> {
    let out = launch::empty(client, rows, 4);
    if rows == 0 {
        return Ok(out);
    }
    let x = buffer(NAME, "x", x, rows * dim, 4)?;
    let found = buffer(NAME, "nearest", &out, rows, 4)?;
    // SAFETY: lengths were checked.
    unsafe {
        nearest_kernel::launch_unchecked(
            client,
            launch::grid(rows, TILE as usize),
            CubeDim::new_1d(TILE * TILE),
            x,
            found,
            rows as u32,
            dim as u32,
        );
    }
    Ok(out)
}

#[cube(launch_unchecked)]
fn nearest_kernel(x: &[f32], found: &mut [i32], rows: u32, dim: u32) {
    let mut own = Shared::<[f32]>::new_slice(comptime!((TILE * PITCH) as usize));
    let mut others = Shared::<[f32]>::new_slice(comptime!((TILE * PITCH) as usize));
    let mut places = Shared::<[u32]>::new_slice(comptime!((TILE * PITCH) as usize));
    let down = UNIT_POS / TILE;
    let across = UNIT_POS % TILE;
    let place = (down * PITCH + across) as usize;
    let row = CUBE_POS as u32 * TILE + down;
    let mut best = f32::new(LOWEST);
    let mut at = rows;
    for tile in 0..(rows + comptime!(TILE - 1)) / TILE {
        let mut sum = 0.0f32;
        let loaded = tile * TILE + down;
        for part in 0..(dim + comptime!(TILE - 1)) / TILE {
            let column = part * TILE + across;
            let mut mine = 0.0f32;
            let mut theirs = 0.0f32;
            if column < dim && row < rows {
                mine = x[row as usize * dim as usize + column as usize];
            }
            if column < dim && loaded < rows {
                theirs = x[loaded as usize * dim as usize + column as usize];
            }
            sync_cube();
            own[place] = mine;
            others[place] = theirs;
            sync_cube();
            #[unroll]
            for k in 0..TILE {
                sum += own[(down * PITCH + k) as usize] * others[(across * PITCH + k) as usize];
            }
        }
        let other = tile * TILE + across;
        let product = select(other == row, -1.0f32, sum);
        if other < rows && product > best {
            best = product;
            at = other;
        }
    }
    // The sixteen columns of a row bring their best together; equals go to the first row.
    sync_cube();
    own[place] = best;
    places[place] = at;
    sync_cube();
    if across == 0 && row < rows {
        for k in 1..TILE {
            let there = (down * PITCH + k) as usize;
            let product = own[there];
            let index = places[there];
            if product > best || (product == best && index < at) {
                best = product;
                at = index;
            }
        }
        found[row as usize] = at as i32;
    }
}
