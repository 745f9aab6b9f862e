//! Nearest neighbours on the GPU: a product of the rows with themselves in tiles, of which only the best is kept; then
//! distances, a row spread over 32 to 256 lanes.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::launch::{self, LOWEST, UNITS, buffer, own_row, row_sum};

const NAME: &str = "neighbours";
/// Rows and columns of a tile.
const TILE: u32 = 16;
/// Length of a row of a tile in memory: one more, so that columns lie in different banks.
const PITCH: u32 = TILE + 1;

/// What is known of the rows' neighbours.
#[derive(Clone, Debug)]
pub struct NeighbourDistances {
    /// `[rows]` signed 32-bit indices.
    pub nearest: Handle,
    /// `[rows]` floats.
    pub distance: Handle,
}

/// Index of the row with the largest dot product among those of its own view, for each row of `x` `[rows, dim]` floats:
/// `[rows]` signed 32-bit. A view is `per_view` rows.
///
/// A row's product with itself counts as -1; the first of equals wins; products that are not numbers never win.
///
/// # Errors
/// A buffer is too short.
pub fn nearest(
    client: &Client,
    x: &Handle,
    rows: usize,
    per_view: usize,
    dim: usize,
) -> Result<Handle, ShaderError> {
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
            per_view.max(1) as u32,
            dim as u32,
        );
    }
    Ok(out)
}

/// How far away each row's neighbour is: `y` `[rows, dim]` floats, L2-normalised, in views of `per_view` rows.
///
/// # Errors
/// A buffer is too short.
pub fn distances(
    client: &Client,
    y: &Handle,
    rows: usize,
    per_view: usize,
    dim: usize,
    epsilon: f32,
) -> Result<NeighbourDistances, ShaderError> {
    let nearest = nearest(client, y, rows, per_view, dim)?;
    let distance = launch::empty(client, rows, 4);
    if rows * dim > 0 {
        let (lanes, columns) = launch::lanes(dim);
        let y = buffer(NAME, "y", y, rows * dim, 4)?;
        let near = buffer(NAME, "nearest", &nearest, rows, 4)?;
        let out = buffer(NAME, "distance", &distance, rows, 4)?;
        // SAFETY: lengths were checked; neighbours are below `rows`, as the program above found them.
        unsafe {
            distance_kernel::launch_unchecked(
                client,
                launch::grid(rows, (UNITS / lanes) as usize),
                CubeDim::new_1d(UNITS),
                y,
                near,
                out,
                rows as u32,
                dim as u32,
                epsilon,
                lanes,
                columns as usize,
            );
        }
    }
    Ok(NeighbourDistances { nearest, distance })
}

/// The way back of [`distances`]: the gradient of `y` `[rows, dim]` floats for `d_distance` `[rows]` floats.
///
/// # Errors
/// A buffer is too short.
#[allow(clippy::too_many_arguments)]
pub fn distances_backward(
    client: &Client,
    d_distance: &Handle,
    y: &Handle,
    found: &NeighbourDistances,
    rows: usize,
    per_view: usize,
    dim: usize,
    epsilon: f32,
) -> Result<Handle, ShaderError> {
    let dy = launch::empty(client, rows * dim, 4);
    if rows * dim == 0 {
        return Ok(dy);
    }
    let (lanes, columns) = launch::lanes(dim);
    let d_distance = buffer(NAME, "gradient of the distance", d_distance, rows, 4)?;
    let y = buffer(NAME, "y", y, rows * dim, 4)?;
    let near = buffer(NAME, "nearest", &found.nearest, rows, 4)?;
    let distance = buffer(NAME, "distance", &found.distance, rows, 4)?;
    let out = buffer(NAME, "dy", &dy, rows * dim, 4)?;
    // SAFETY: lengths were checked; neighbours are below `rows`.
    unsafe {
        distance_backward_kernel::launch_unchecked(
            client,
            launch::grid(rows, (UNITS / lanes) as usize),
            CubeDim::new_1d(UNITS),
            d_distance,
            y,
            near,
            distance,
            out,
            rows as u32,
            per_view.max(1) as u32,
            dim as u32,
            epsilon,
            lanes,
            columns as usize,
        );
    }
    Ok(dy)
}

#[cube(launch_unchecked)]
fn distance_kernel(
    y: &[f32],
    nearest: &[i32],
    distance: &mut [f32],
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
    let width = dim as usize;
    let near = nearest[row] as usize;
    let mut squares = 0.0f32;
    #[unroll]
    for i in 0..columns {
        let column = lane + comptime!(i as u32 * lanes);
        if column < dim {
            let off = y[row * width + column as usize] - y[near * width + column as usize] + epsilon;
            squares += off * off;
        }
    }
    let sum = row_sum(&mut shared, squares, lanes);
    if live && lane == 0 {
        distance[row] = sum.sqrt();
    }
}

/// Each row gathers what reaches it, as the one that looks and as the neighbour of others: no sum depends on who comes first.
#[cube(launch_unchecked)]
fn distance_backward_kernel(
    d_distance: &[f32],
    y: &[f32],
    nearest: &[i32],
    distance: &[f32],
    dy: &mut [f32],
    rows: u32,
    per_view: u32,
    dim: u32,
    epsilon: f32,
    #[comptime] lanes: u32,
    #[comptime] columns: usize,
) {
    let lane = UNIT_POS % lanes;
    let wanted = CUBE_POS as u32 * comptime!(UNITS / lanes) + UNIT_POS / lanes;
    if wanted < rows {
        let row = wanted as usize;
        let width = dim as usize;
        let mut sums = Array::<f32>::new(columns);
        let near = nearest[row] as usize;
        let scale = d_distance[row] / distance[row];
        #[unroll]
        for i in 0..columns {
            let column = lane + comptime!(i as u32 * lanes);
            let mut sum = 0.0f32;
            if column < dim {
                let at = column as usize;
                sum = scale * (y[row * width + at] - y[near * width + at] + epsilon);
            }
            sums[i] = sum;
        }
        let first = wanted / per_view * per_view;
        for step in 0..min(per_view, rows - first) {
            let other = (first + step) as usize;
            if nearest[other] as usize == row {
                let scale = d_distance[other] / distance[other];
                #[unroll]
                for i in 0..columns {
                    let column = lane + comptime!(i as u32 * lanes);
                    if column < dim {
                        let at = column as usize;
                        sums[i] -= scale * (y[other * width + at] - y[row * width + at] + epsilon);
                    }
                }
            }
        }
        #[unroll]
        for i in 0..columns {
            let column = lane + comptime!(i as u32 * lanes);
            if column < dim {
                dy[row * width + column as usize] = sums[i];
            }
        }
    }
}

#[cube(launch_unchecked)]
fn nearest_kernel(x: &[f32], found: &mut [i32], rows: u32, per_view: u32, dim: u32) {
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
        if other < rows && other / per_view == row / per_view && product > best {
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
