//! Exact nearest neighbours by products of blocks, in memory that is told before.
//!
//! Queries and keys come from wherever they are kept in blocks; a strip of queries belongs to one thread, which multiplies it
//! with a tile of keys and looks through the products. So nothing grows with the number of pictures but the time.

use std::cmp::Ordering;
use std::ops::Range;

use dinoscope_base::{bytes, parallel};

use crate::features::{FeaturePlace, FeatureStore, MOST_AT_ONCE};
use crate::{CurateError, Heard};

/// Queries that a thread takes at a time.
const STRIP: usize = 256;
/// Keys that it takes at a time; with a strip of products they stay in the processor's second cache.
const TILE: usize = 256;
/// Products that are looked at in one step.
const LANES: usize = 16;
/// Keys that are read at once, where there is room.
const KEYS: usize = 8192;
/// Most queries of a block: what is lost where the program is killed.
const QUERIES: usize = 32_768;
/// What a product of matrices sets aside for a thread.
const PACKED: usize = 4 << 20;

/// A picture that is near to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Which of the keys.
    pub key: u32,
    /// The cosine.
    pub similarity: f32,
}

/// Rows of features of length 1 that are read in pieces.
pub trait FeatureRows: Sync {
    /// How many there are.
    fn rows(&self) -> usize;
    /// Numbers of each.
    fn dim(&self) -> usize;
    /// Reads some, `[rows, dim]`.
    ///
    /// # Errors
    /// When they can't be read.
    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), CurateError>;
}

/// Features of a store, in the order of their places.
pub struct StoredRows<'a> {
    /// Where they are.
    pub store: &'a FeatureStore,
    /// Which: rising.
    pub places: &'a [FeaturePlace],
}

impl FeatureRows for StoredRows<'_> {
    fn rows(&self) -> usize {
        self.places.len()
    }

    fn dim(&self) -> usize {
        self.store.origin.dim
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), CurateError> {
        self.store.read(&self.places[rows], out)
    }
}

/// How many rows are in memory at once, and what that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlan {
    /// Queries of a block.
    pub queries: usize,
    /// Keys of a block.
    pub keys: usize,
    /// Bytes that all of it takes.
    pub bytes: usize,
}

/// What is looked for, for the arithmetic of [`BlockPlan`].
#[derive(Clone, Copy, Debug)]
pub struct SearchShape {
    /// Numbers of a row.
    pub dim: usize,
    /// All queries.
    pub queries: usize,
    /// All keys.
    pub keys: usize,
    /// Neighbours of each.
    pub k: usize,
    /// Bytes that are held beside: what is known of all pictures.
    pub beside: usize,
}

impl BlockPlan {
    /// The largest blocks that fit `budget` bytes.
    ///
    /// # Errors
    /// With the least that is enough, when the budget is not.
    pub fn new(budget: usize, shape: SearchShape) -> Result<Self, CurateError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of_threads(budget, shape, threads)
    }

    fn of_threads(budget: usize, shape: SearchShape, threads: usize) -> Result<Self, CurateError> {
        let SearchShape { dim, queries, keys, k, beside } = shape;
        let row = 4 * dim;
        let query = row + list_capacity(k) * size_of::<Neighbour>() + size_of::<QueryState>();
        let fixed = beside + threads * (4 * STRIP * TILE + PACKED) + MOST_AT_ONCE * 2 * dim;
        let least_queries = queries.clamp(1, STRIP);
        let least_keys = keys.clamp(1, TILE);
        let least = fixed + least_queries * query + least_keys * row;
        if budget < least {
            // Rounded up to what is said, so that asking for it is enough.
            let megabytes = least.div_ceil(1_000_000);
            return Err(CurateError::Option(format!(
                "--memory {} is too little for {queries} pictures: --memory {megabytes}MB is the least",
                bytes::shown(budget as u64)
            )));
        }
        let room = budget - fixed;
        let keys = (room / 4 / row.max(1)).min(KEYS) / TILE * TILE;
        let keys = keys.clamp(least_keys, shape.keys.max(1));
        let queries = ((room - keys * row) / query).min(QUERIES);
        let queries = if queries >= STRIP { queries / STRIP * STRIP } else { queries };
        let queries = queries.clamp(least_queries, shape.queries.max(1));
        Ok(Self { queries, keys, bytes: fixed + keys * row + queries * query })
    }

    /// The blocks of `rows` queries.
    pub fn blocks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let size = self.queries;
        (0..rows.div_ceil(size)).map(move |i| i * size..((i + 1) * size).min(rows))
    }
}

/// Candidates pile up to three times `k` before the worst are dropped: amortised, one comparison each.
fn list_capacity(k: usize) -> usize {
    3 * k + LANES
}

/// What is known of a query so far.
struct QueryState {
    found: Vec<Neighbour>,
    /// What a key must exceed to be of interest.
    bar: f32,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchOptions {
    /// Neighbours of each query at most.
    pub k: usize,
    /// Similarity that they have at least; the nearest one is told whatever its similarity.
    pub floor: f32,
    /// Queries are keys too, and none is its own neighbour.
    pub same: bool,
}

/// The neighbours of some queries, nearest first, of equally near ones the first.
///
/// `heard` is told of the keys that were looked at, of all.
///
/// # Errors
/// When features can't be read, or whoever listens says stop.
pub fn nearest(
    queries: &dyn FeatureRows,
    range: Range<usize>,
    keys: &dyn FeatureRows,
    options: SearchOptions,
    plan: &BlockPlan,
    heard: Heard<'_>,
) -> Result<Vec<Vec<Neighbour>>, CurateError> {
    let (dim, k) = (keys.dim(), options.k.max(1));
    let mut own = vec![0.0; range.len() * dim];
    queries.read(range.clone(), &mut own)?;
    let start = || QueryState { found: Vec::with_capacity(list_capacity(k)), bar: f32::NEG_INFINITY };
    let mut states: Vec<QueryState> = range.clone().map(|_| start()).collect();
    let mut block = vec![0.0; plan.keys.min(keys.rows()) * dim];
    for first in (0..keys.rows()).step_by(plan.keys.max(1)) {
        let count = plan.keys.min(keys.rows() - first);
        let block = &mut block[..count * dim];
        keys.read(first..first + count, block)?;
        let block = &*block;
        parallel::for_chunks(&mut states, STRIP, |strip, states| {
            let from = strip * STRIP;
            let rows = &own[from * dim..(from + states.len()) * dim];
            let mut products = vec![0.0; states.len() * TILE];
            for tile in (0..count).step_by(TILE) {
                let width = TILE.min(count - tile);
                multiply(rows, &block[tile * dim..(tile + width) * dim], dim, &mut products, width);
                for (q, (state, products)) in states.iter_mut().zip(products.chunks_exact(width)).enumerate()
                {
                    let itself = options.same.then_some(range.start + from + q);
                    state.look(products, first + tile, itself, options.floor, k);
                }
            }
        });
        // What is whole is handed out.
        if !heard(first + count, keys.rows(), "") && first + count < keys.rows() {
            return Err(CurateError::Stopped);
        }
    }
    Ok(states.into_iter().map(|state| state.end(options.floor, k)).collect())
}

/// Inner products of all rows of `queries` with all of `keys`, `[queries, width]`.
fn multiply(queries: &[f32], keys: &[f32], dim: usize, out: &mut [f32], width: usize) {
    let count = queries.len() / dim.max(1);
    assert!(keys.len() == width * dim && out.len() >= count * width, "shapes of a product");
    // SAFETY: the assertion says that all rows and columns lie within the slices, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            width,
            count,
            dim,
            out.as_mut_ptr(),
            width as isize,
            1,
            false,
            keys.as_ptr(),
            1,
            dim as isize,
            queries.as_ptr(),
            dim as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// More similar first, then the earlier one.
fn order(a: &Neighbour, b: &Neighbour) -> Ordering {
    b.similarity.total_cmp(&a.similarity).then(a.key.cmp(&b.key))
}

impl QueryState {
    /// Looks through the similarities of the keys from `first` on.
    fn look(&mut self, similarities: &[f32], first: usize, itself: Option<usize>, floor: f32, k: usize) {
        for (chunk, lanes) in similarities.chunks(LANES).enumerate() {
            // One test for all of them first: nearly always nothing in it is near enough.
            let bar = self.bar;
            if !lanes.iter().fold(false, |any, s| any | (*s > bar)) {
                continue;
            }
            for (lane, similarity) in lanes.iter().enumerate() {
                let key = first + chunk * LANES + lane;
                // Later keys lose ties, so only more similar ones are of interest. What is no number is never more.
                if *similarity > self.bar && itself != Some(key) {
                    self.take(Neighbour { key: key as u32, similarity: *similarity }, floor);
                }
            }
            if self.found.len() >= 3 * k {
                self.found.select_nth_unstable_by(k - 1, order);
                self.found.truncate(k);
                self.bar = self.bar.max(self.found[k - 1].similarity);
            }
        }
    }

    /// Takes a neighbour that is above the bar. Below the floor the nearest alone is of interest.
    fn take(&mut self, near: Neighbour, floor: f32) {
        if near.similarity < floor {
            self.found.clear();
            self.bar = near.similarity;
        } else if self.bar < floor.next_down() {
            self.found.clear();
            self.bar = floor.next_down();
        }
        self.found.push(near);
    }

    fn end(mut self, floor: f32, k: usize) -> Vec<Neighbour> {
        self.found.sort_unstable_by(order);
        self.found.truncate(k);
        // One below the floor is alone.
        debug_assert!(self.found.len() < 2 || self.found.iter().all(|near| near.similarity >= floor));
        self.found
    }
}

#[cfg(test)]
#[path = "nearest_tests.rs"]
mod tests;
