//! k-means of rows that need not fit the memory: they are assigned in blocks by products of matrices.
//!
//! Source: Lloyd 1982; the beginning is k-means++ with `2 + ln k` candidates a step (Arthur and Vassilvitskii 2007, section 5, as
//! scikit-learn and ssl-data-curation have it), on a sample of the rows.

use std::ops::Range;

use dinoscope_base::bytes;
use dinoscope_base::rng::{self, RngExt};

use crate::nearest::{BlockPlan, FeatureRows, SearchOptions, SearchShape, nearest};
use crate::{CurateError, Heard};

/// Rows of the sample that centres begin from, for each of them, and at least so many.
const SAMPLE: (usize, usize) = (8, 4096);
/// Rows that are summed up at once.
const SUMMED: usize = 4096;

/// Which cluster each row belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowClusters {
    /// Numbers of a centre.
    pub dim: usize,
    /// `[clusters, dim]`
    pub centres: Vec<f32>,
    /// The cluster of each row.
    pub of: Vec<u32>,
    /// The squared distance of each row from the centre of its cluster.
    pub distance: Vec<f32>,
}

impl RowClusters {
    /// How many clusters there are.
    pub fn count(&self) -> usize {
        self.centres.len() / self.dim.max(1)
    }
}

/// How rows are clustered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KMeansOptions {
    /// Clusters; never more than rows.
    pub clusters: usize,
    /// Rounds at most; it ends before where nothing changes.
    pub rounds: usize,
    /// Seed of the beginning.
    pub seed: u64,
    /// Bytes of memory.
    pub memory: usize,
    /// Bytes that are held beside.
    pub beside: usize,
}

/// Rows in memory.
pub struct RowsInMemory<'a> {
    /// Numbers of a row.
    pub dim: usize,
    /// `[rows, dim]`
    pub data: &'a [f32],
}

impl FeatureRows for RowsInMemory<'_> {
    fn rows(&self) -> usize {
        self.data.len() / self.dim.max(1)
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), CurateError> {
        out.copy_from_slice(&self.data[rows.start * self.dim..rows.end * self.dim]);
        Ok(())
    }
}

/// Some rows of others.
pub struct RowSubset<'a> {
    /// The others.
    pub rows: &'a dyn FeatureRows,
    /// Which of them: rising.
    pub chosen: &'a [usize],
}

impl FeatureRows for RowSubset<'_> {
    fn rows(&self) -> usize {
        self.chosen.len()
    }

    fn dim(&self) -> usize {
        self.rows.dim()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), CurateError> {
        let dim = self.dim().max(1);
        self.chosen[rows]
            .iter()
            .zip(out.chunks_exact_mut(dim))
            .try_for_each(|(i, out)| self.rows.read(*i..*i + 1, out))
    }
}

/// Rows with a 1 behind them, so that a product with a centre and minus half its squared length behind it grows as the
/// distance shrinks.
struct WithOne<'a>(&'a dyn FeatureRows);

impl FeatureRows for WithOne<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn dim(&self) -> usize {
        self.0.dim() + 1
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), CurateError> {
        let dim = self.0.dim();
        let mut own = vec![0.0; rows.len() * dim];
        self.0.read(rows, &mut own)?;
        for (out, own) in out.chunks_exact_mut(dim + 1).zip(own.chunks_exact(dim)) {
            out[..dim].copy_from_slice(own);
            out[dim] = 1.0;
        }
        Ok(())
    }
}

/// Clusters rows.
///
/// # Errors
/// When rows can't be read, memory is too little, or whoever listens says stop.
pub fn k_means(
    rows: &dyn FeatureRows,
    options: KMeansOptions,
    heard: Heard<'_>,
) -> Result<RowClusters, CurateError> {
    let dim = rows.dim();
    let mut found = RowClusters { dim, centres: begin(rows, options)?, ..RowClusters::default() };
    for round in 0..options.rounds.max(1) {
        if !heard(round, options.rounds.max(1), "") {
            return Err(CurateError::Stopped);
        }
        let before = std::mem::take(&mut found.of);
        assign(rows, &mut found, options)?;
        fill_empty(rows, &mut found)?;
        if found.of == before {
            return Ok(found);
        }
        found.centres = means(rows, &found)?;
    }
    assign(rows, &mut found, options)?;
    Ok(found)
}

/// Puts every row to its nearest centre.
///
/// # Errors
/// As [`k_means`].
pub fn assign(
    rows: &dyn FeatureRows,
    found: &mut RowClusters,
    options: KMeansOptions,
) -> Result<(), CurateError> {
    let (dim, count, total) = (found.dim, found.count(), rows.rows());
    let mut keys = Vec::with_capacity(count * (dim + 1));
    for centre in found.centres.chunks_exact(dim.max(1)) {
        keys.extend_from_slice(centre);
        keys.push(-(length(centre) / 2.0) as f32);
    }
    let keys = RowsInMemory { dim: dim + 1, data: &keys };
    let beside = options.beside + count * dim * 16 + total * 8;
    let shape = SearchShape { dim: dim + 1, queries: total, keys: count, k: 1, beside };
    let plan = BlockPlan::new(options.memory, shape)?;
    (found.of, found.distance) = (Vec::with_capacity(total), Vec::with_capacity(total));
    let search = SearchOptions { k: 1, floor: f32::NEG_INFINITY, same: false };
    let mut block = Vec::new();
    for range in plan.blocks(total) {
        let near = nearest(&WithOne(rows), range.clone(), &keys, search, &plan, &mut |_, _, _| true)?;
        for (start, near) in range.clone().step_by(SUMMED).zip(near.chunks(SUMMED)) {
            block.resize(near.len() * dim, 0.0);
            rows.read(start..start + near.len(), &mut block)?;
            for (row, near) in block.chunks_exact(dim.max(1)).zip(near) {
                let near = near.first().map_or((0, f64::NAN), |near| (near.key, f64::from(near.similarity)));
                found.of.push(near.0);
                found.distance.push((length(row) - 2.0 * near.1).max(0.0) as f32);
            }
        }
    }
    Ok(())
}

/// Squared length.
fn length(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
}

/// The mean of each cluster's rows; that of an empty one stays.
fn means(rows: &dyn FeatureRows, found: &RowClusters) -> Result<Vec<f32>, CurateError> {
    let (dim, count) = (found.dim, found.count());
    let (mut sums, mut counts) = (vec![0f64; count * dim], vec![0usize; count]);
    let mut block = Vec::new();
    for start in (0..rows.rows()).step_by(SUMMED) {
        let end = (start + SUMMED).min(rows.rows());
        block.resize((end - start) * dim, 0.0);
        rows.read(start..end, &mut block)?;
        for (row, cluster) in block.chunks_exact(dim.max(1)).zip(&found.of[start..end]) {
            let cluster = *cluster as usize;
            counts[cluster] += 1;
            let sums = &mut sums[cluster * dim..(cluster + 1) * dim];
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
    }
    let mut centres = found.centres.clone();
    for (cluster, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        let range = cluster * dim..(cluster + 1) * dim;
        centres[range.clone()]
            .iter_mut()
            .zip(&sums[range])
            .for_each(|(c, sum)| *c = (sum / count as f64) as f32);
    }
    Ok(centres)
}

/// Gives each empty cluster the row that lies farthest from its centre.
fn fill_empty(rows: &dyn FeatureRows, found: &mut RowClusters) -> Result<(), CurateError> {
    let (dim, mut counts) = (found.dim, vec![0usize; found.count()]);
    found.of.iter().for_each(|cluster| counts[*cluster as usize] += 1);
    for empty in (0..counts.len()).filter(|cluster| counts[*cluster] == 0).collect::<Vec<_>>() {
        let farthest = (0..found.of.len())
            .filter(|row| counts[found.of[*row] as usize] > 1)
            .max_by(|a, b| found.distance[*a].total_cmp(&found.distance[*b]));
        let Some(row) = farthest else { return Ok(()) };
        counts[found.of[row] as usize] -= 1;
        counts[empty] = 1;
        (found.of[row], found.distance[row]) = (empty as u32, 0.0);
        rows.read(row..row + 1, &mut found.centres[empty * dim..(empty + 1) * dim])?;
    }
    Ok(())
}

/// Rows that centres begin from: as many as are wanted, fewer where memory is short, never fewer than centres.
pub(super) fn sample_rows(
    k: usize,
    total: usize,
    dim: usize,
    options: KMeansOptions,
) -> Result<usize, CurateError> {
    let wanted = (SAMPLE.0 * k).max(SAMPLE.1).min(total);
    // A row with its distances to the centres: those so far, of the candidate, and of the best one. All rows have a number.
    let (each, fixed) = (4 * dim + 3 * size_of::<f64>(), options.beside + total * size_of::<usize>());
    let fits = options.memory.saturating_sub(fixed) / each;
    if fits < k.min(wanted) {
        let least = (fixed + k.min(wanted) * each).div_ceil(1_000_000);
        return Err(CurateError::Option(format!(
            "--memory {} is too little for {k} clusters of {total} pictures: --memory {least}MB is the least",
            bytes::shown(options.memory as u64)
        )));
    }
    Ok(wanted.min(fits))
}

/// Centres to begin with, by k-means++ on a sample.
fn begin(rows: &dyn FeatureRows, options: KMeansOptions) -> Result<Vec<f32>, CurateError> {
    let (dim, total) = (rows.dim(), rows.rows());
    let k = options.clusters.clamp(1, total.max(1));
    let mut stream = rng::stream(options.seed, "k-means", k as u64, 0);
    let wanted = sample_rows(k, total, dim, options)?;
    // The first steps of a Fisher–Yates shuffle.
    let mut order: Vec<usize> = (0..total).collect();
    for i in 0..wanted {
        let other = stream.random_range(i..total);
        order.swap(i, other);
    }
    order.truncate(wanted);
    order.sort_unstable();
    let mut sample = vec![0.0; wanted * dim];
    RowSubset { rows, chosen: &order }.read(0..wanted, &mut sample)?;
    let row = |i: usize| &sample[i * dim..(i + 1) * dim];
    let apart = |a: usize, out: &mut [f64]| {
        let from = row(a);
        dinoscope_base::parallel::for_chunks(out, 256, |chunk, out| {
            for (i, out) in out.iter_mut().enumerate() {
                let other = row(chunk * 256 + i);
                *out = from.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().into();
            }
        });
    };
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let mut centres = vec![stream.random_range(0..wanted)];
    let mut nearest = vec![0f64; wanted];
    apart(centres[0], &mut nearest);
    let trials = 2 + (k as f64).ln() as usize;
    let (mut tried, mut best) = (vec![0f64; wanted], vec![0f64; wanted]);
    while centres.len() < k {
        let total: f64 = nearest.iter().sum();
        let mut lowest = (f64::INFINITY, 0);
        for _ in 0..trials {
            // A row by its squared distance; any where all lie on centres.
            let mut left = stream.random::<f64>() * total;
            let drawn = nearest.iter().position(|distance| {
                left -= distance;
                left < 0.0 && *distance > 0.0
            });
            let drawn = drawn.unwrap_or_else(|| stream.random_range(0..wanted));
            apart(drawn, &mut tried);
            tried.iter_mut().zip(&nearest).for_each(|(new, old)| *new = new.min(*old));
            let potential: f64 = tried.iter().sum();
            if potential < lowest.0 {
                lowest = (potential, drawn);
                std::mem::swap(&mut tried, &mut best);
            }
        }
        centres.push(lowest.1);
        std::mem::swap(&mut nearest, &mut best);
    }
    Ok(centres.into_iter().flat_map(|i| row(i).to_vec()).collect())
}
