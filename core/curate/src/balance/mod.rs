//! The third step: as many pictures as are wanted, drawn so that what there is much of does not drown the rest.
//!
//! Source: Vo et al. 2024, "Automatic Data Curation for Self-Supervised Learning": k-means of the features, k-means of the centres,
//! and so on; at each level clusters are found again among the rows closest to each centre (resampling), which spreads them evenly
//! over what there is. From the coarsest level down each cluster gives its share of the target ([`sampling::shares`]).

pub(crate) mod k_means;
pub(crate) mod levels;
mod sampling;

use std::collections::HashMap;
use std::path::PathBuf;

use dinoscope_base::rng::{self, RngExt};

use crate::contents::{Contents, known_bytes};
use crate::features::FeatureStore;
use crate::nearest::StoredRows;
use crate::steps::{CurationStep, table_before};
use crate::table::{CurationTable, file_digest};
use crate::{CurateError, Heard, names};
use k_means::{KMeansOptions, RowClusters};
use levels::{ClusterLevels, find_levels};
use sampling::shares;

/// Which pictures of a cluster are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterDraw {
    /// Any, by the seed.
    #[default]
    Random,
    /// Those closest to the centre.
    Closest,
}

/// How a heap is balanced.
#[derive(Clone, Debug, PartialEq)]
pub struct BalanceOptions {
    /// The folder of curation.
    pub folder: PathBuf,
    /// Pictures that are wanted.
    pub target: usize,
    /// Clusters of each level, from the finest; chosen by the number of pictures where there are none.
    pub clusters: Vec<usize>,
    /// Rounds of k-means at most.
    pub rounds: usize,
    /// How often clusters of a level are found again among the rows closest to their centres.
    pub resampling: usize,
    /// Rows of each cluster for that.
    pub sample: usize,
    /// Which pictures of a cluster are drawn.
    pub draw: ClusterDraw,
    /// Seed of all choices.
    pub seed: u64,
    /// Bytes of memory.
    pub memory: usize,
}

impl BalanceOptions {
    /// The usual ones for a target.
    pub fn new(folder: impl Into<PathBuf>, target: usize) -> Self {
        Self {
            folder: folder.into(),
            target,
            clusters: Vec::new(),
            rounds: 50,
            resampling: 10,
            sample: 5,
            draw: ClusterDraw::Random,
            seed: 0,
            memory: 2_000_000_000,
        }
    }

    /// Clusters of each level for so many pictures, from the finest.
    ///
    /// The paper's are 10 M, 500 k, 50 k and 10 k of 743 M pictures: a cluster of the finest level has about 70.
    fn levels(&self, pictures: usize) -> Result<Vec<usize>, CurateError> {
        if self.target == 0 || self.clusters.contains(&0) {
            let reason = "--target and --clusters must be 1 or more";
            return Err(CurateError::Option(reason.to_owned()));
        }
        if self.clusters.windows(2).any(|pair| pair[0] <= pair[1]) {
            let reason = "--clusters must fall from level to level, such as 5000,500,50";
            return Err(CurateError::Option(reason.to_owned()));
        }
        if !self.clusters.is_empty() {
            return Ok(self.clusters.iter().map(|count| (*count).min(pictures.max(1))).collect());
        }
        let mut all = vec![(pictures / 70).max(2)];
        while let Some(above) =
            all.last().map(|count| count / 10).filter(|count| *count >= 2 && all.len() < 4)
        {
            all.push(above);
        }
        Ok(all)
    }
}

/// What was drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BalanceSummary {
    /// Pictures that could be drawn.
    pub pictures: usize,
    /// Those that were.
    pub drawn: usize,
    /// Clusters of each level, from the finest.
    pub clusters: Vec<usize>,
    /// Pictures in the largest and the smallest cluster of the coarsest level, before.
    pub before: (usize, usize),
    /// The same of those that were drawn.
    pub after: (usize, usize),
}

/// Draws a balanced set and writes which pictures stay.
///
/// # Errors
/// When there are no features, an option can't be, memory is too little, a file fails, or whoever listens says stop; levels that
/// are whole are kept.
pub fn balance(options: &BalanceOptions, heard: Heard<'_>) -> Result<BalanceSummary, CurateError> {
    let store = FeatureStore::open(&options.folder)?;
    let path = table_before(&options.folder, CurationStep::Balance)?;
    let mut table = CurationTable::read(&path)?;
    let kept: Vec<bool> = table.rows.iter().map(|row| row.kept != Some(false)).collect();
    let contents = Contents::of_rows(&store, &table, &path, &kept)?;
    let levels = options.levels(contents.len())?;
    if contents.len() == 0 {
        return Err(CurateError::unfit(&path, "no picture in it is kept: there is nothing to draw from"));
    }
    let beside = known_bytes(&table);
    let rows = StoredRows { store: &store, places: &contents.places };
    let found = find_levels(&rows, &contents.digests, &levels, beside, options, heard)?;

    let mut drawn = vec![false; contents.len()];
    let coarse = found.members(found.levels.len());
    let sizes: Vec<usize> = coarse.iter().map(Vec::len).collect();
    draw(&found, options, &mut drawn);
    let given: Vec<usize> =
        coarse.iter().map(|rows| rows.iter().filter(|row| drawn[**row]).count()).collect();
    let finest: Vec<(usize, usize)> = found
        .members(1)
        .iter()
        .map(|rows| (rows.iter().filter(|row| drawn[**row]).count(), rows.len()))
        .collect();
    // Of rows of one content the first.
    let mut first: HashMap<u32, usize> = HashMap::new();
    for (at, content) in contents.of_row.iter().enumerate() {
        let Some(content) = content else { continue };
        let is_first = *first.entry(*content).or_insert(at) == at;
        let row = &mut table.rows[at];
        let own = *content as usize;
        let (gives, size) = finest[found.levels[0].of[own] as usize];
        let is_drawn = drawn[own] && is_first;
        row.cluster = Some(found.path(own));
        row.similarity = Some(found.cosine(own));
        row.kept = Some(is_drawn);
        row.why = Some(match (is_drawn, is_first) {
            (true, _) => format!("drawn: its cluster gives {gives} of {size}"),
            (false, true) => format!("not drawn: its cluster gives {gives} of {size}"),
            (false, false) => "it has the same bytes as one before it".to_owned(),
        });
    }
    table.from = Some(file_digest(&path)?);
    table.settings = vec![("target".to_owned(), options.target as f32)];
    table.made = Some(format!("balance to {} over {levels:?} clusters", options.target));
    table.write(&options.folder.join(names::BALANCE))?;
    let ends = |counts: &[usize]| {
        (counts.iter().copied().max().unwrap_or(0), counts.iter().copied().min().unwrap_or(0))
    };
    Ok(BalanceSummary {
        pictures: contents.len(),
        drawn: drawn.iter().filter(|drawn| **drawn).count(),
        clusters: found.levels.iter().map(RowClusters::count).collect(),
        before: ends(&sizes),
        after: ends(&given),
    })
}

/// Marks what each cluster gives, from the coarsest level down.
fn draw(found: &ClusterLevels, options: &BalanceOptions, drawn: &mut [bool]) {
    let mut targets = vec![options.target];
    // Above the coarsest level stands one cluster that holds all of it.
    for level in (0..found.levels.len()).rev() {
        let sizes: Vec<usize> = found.members(level + 1).iter().map(Vec::len).collect();
        let mut below = vec![0; sizes.len()];
        for (above, children) in found.children(level).iter().enumerate() {
            let sizes: Vec<usize> = children.iter().map(|child| sizes[*child]).collect();
            let order = shuffled(children.len(), options.seed, level as u64, above as u64);
            let given = shares(&sizes, targets[above], &order);
            children.iter().zip(given).for_each(|(child, given)| below[*child] = given);
        }
        targets = below;
    }
    for (cluster, mut rows) in found.members(1).into_iter().enumerate() {
        match options.draw {
            ClusterDraw::Random => {
                let order = shuffled(rows.len(), options.seed, u64::MAX, cluster as u64);
                rows = order.into_iter().map(|i| rows[i]).collect();
            }
            ClusterDraw::Closest => {
                rows.sort_by(|a, b| found.levels[0].distance[*a].total_cmp(&found.levels[0].distance[*b]));
            }
        }
        rows.iter().take(targets[cluster]).for_each(|row| drawn[*row] = true);
    }
}

/// Numbers below `count` in an order that the seed draws.
fn shuffled(count: usize, seed: u64, a: u64, b: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut stream = rng::stream(seed, "balance", a, b);
    for i in 1..count {
        order.swap(i, stream.random_range(0..=i));
    }
    order
}

#[cfg(test)]
mod tests;
