//! Clusters of clusters, each level kept on the disk when it is whole.

use std::collections::HashMap;
use std::path::Path;

use dinoscope_base::files;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::k_means::{RowSubset, RowsInMemory, assign, k_means};
use super::{BalanceOptions, KMeansOptions, RowClusters};
use crate::features::ContentDigest;
use crate::nearest::FeatureRows;
use crate::{CurateError, Heard};

/// Folder of levels.
pub(crate) const FOLDER: &str = "clusters";

/// Clusters of pictures, clusters of those, and so on.
pub struct ClusterLevels {
    /// From the finest: the rows of each are the centres of the one before.
    pub levels: Vec<RowClusters>,
    /// The length of every row's features, squared: 1, but for rounding.
    pub pictures: usize,
}

impl ClusterLevels {
    /// The cluster of a picture at a level, counted from 1; 0 is the picture itself.
    fn cluster(&self, picture: usize, level: usize) -> usize {
        self.levels[..level].iter().fold(picture, |at, level| level.of[at] as usize)
    }

    /// The pictures of each cluster of a level, counted from 1.
    pub fn members(&self, level: usize) -> Vec<Vec<usize>> {
        let count = self.levels[level - 1].count();
        let mut all = vec![Vec::new(); count];
        (0..self.pictures).for_each(|picture| all[self.cluster(picture, level)].push(picture));
        all
    }

    /// The clusters of a level, counted from 0, that lie in each of those above it; in one where there is nothing above.
    pub fn children(&self, level: usize) -> Vec<Vec<usize>> {
        let count = self.levels[level].count();
        match self.levels.get(level + 1) {
            None => vec![(0..count).collect()],
            Some(above) => {
                let mut all = vec![Vec::new(); above.count()];
                (0..count).for_each(|cluster| all[above.of[cluster] as usize].push(cluster));
                all
            }
        }
    }

    /// The clusters that a picture lies in, from the coarsest: `3/17/204`.
    pub fn path(&self, picture: usize) -> String {
        let numbers = (1..=self.levels.len()).rev().map(|level| self.cluster(picture, level).to_string());
        numbers.collect::<Vec<_>>().join("/")
    }

    /// The cosine of a picture with the centre of its finest cluster.
    pub fn cosine(&self, picture: usize) -> f32 {
        let level = &self.levels[0];
        let centre = &level.centres[level.of[picture] as usize * level.dim..][..level.dim];
        let squared: f64 = centre.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        // |x - c|² = 1 + |c|² - 2 x·c
        let product = (1.0 + squared - f64::from(level.distance[picture])) / 2.0;
        (product / squared.sqrt().max(1e-12)).clamp(-1.0, 1.0) as f32
    }
}

/// Finds all levels; those that are on the disk are read.
///
/// # Errors
/// As [`k_means`], and when a level can't be written.
pub fn find_levels(
    rows: &dyn FeatureRows,
    contents: &[ContentDigest],
    counts: &[usize],
    beside: usize,
    options: &BalanceOptions,
    heard: Heard<'_>,
) -> Result<ClusterLevels, CurateError> {
    let folder = options.folder.join(FOLDER);
    let mut hash = Sha256::new();
    hash.update(format!("1 {} {} {} {}", options.rounds, options.resampling, options.sample, options.seed));
    contents.iter().for_each(|digest| hash.update(digest));
    let mut levels: Vec<RowClusters> = Vec::new();
    for (number, clusters) in counts.iter().enumerate() {
        // A level depends on those before it.
        hash.update(clusters.to_le_bytes());
        let known = crate::features::hex(&hash.clone().finalize()[..8]);
        let path = folder.join(format!("{known}-{number}.safetensors"));
        let how = KMeansOptions {
            clusters: *clusters,
            rounds: options.rounds,
            seed: options.seed.wrapping_add(number as u64),
            memory: options.memory,
            beside,
        };
        let what = format!("clusters of level {}", number + 1);
        let mut hear = |done: usize, all: usize, _: &str| heard(done, all, &what);
        let level = match (read(&path, rows.dim()), levels.last()) {
            (Some(level), _) => level,
            (None, below) => {
                let level = match below {
                    None => find(rows, how, options, &mut hear)?,
                    Some(below) => {
                        let rows = RowsInMemory { dim: below.dim, data: &below.centres };
                        find(&rows, how, options, &mut hear)?
                    }
                };
                files::create_dir_all(&folder).map_err(CurateError::file(&folder))?;
                write(&path, &level)?;
                level
            }
        };
        levels.push(level);
    }
    Ok(ClusterLevels { levels, pictures: rows.rows() })
}

/// One level: k-means, and again among the rows closest to each centre.
fn find(
    rows: &dyn FeatureRows,
    how: KMeansOptions,
    options: &BalanceOptions,
    heard: Heard<'_>,
) -> Result<RowClusters, CurateError> {
    let total = how.rounds * (1 + options.resampling);
    let mut found = k_means(rows, how, &mut |round, _, _| heard(round, total, ""))?;
    for step in 0..options.resampling {
        let mut members: HashMap<u32, Vec<usize>> = HashMap::new();
        found.of.iter().enumerate().for_each(|(row, cluster)| members.entry(*cluster).or_default().push(row));
        let mut chosen: Vec<usize> = Vec::new();
        for (_, mut rows) in members {
            rows.sort_by(|a, b| found.distance[*a].total_cmp(&found.distance[*b]).then(a.cmp(b)));
            rows.truncate(options.sample.max(1));
            chosen.extend(rows);
        }
        chosen.sort_unstable();
        let subset = RowSubset { rows, chosen: &chosen };
        let done = how.rounds * (step + 1);
        let again = KMeansOptions { seed: how.seed.wrapping_add(1000 * (step as u64 + 1)), ..how };
        found.centres = k_means(&subset, again, &mut |round, _, _| heard(done + round, total, ""))?.centres;
        assign(rows, &mut found, how)?;
    }
    Ok(found)
}

/// Keeps a level.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write(path: &Path, level: &RowClusters) -> Result<(), CurateError> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let of: Vec<u8> = level.of.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (centres, distance) = (bytes(&level.centres), bytes(&level.distance));
    let unfit = |error: safetensors::SafeTensorError| CurateError::unfit(path, error.to_string());
    let tensors = [
        ("centres", TensorView::new(Dtype::F32, vec![level.count(), level.dim], &centres).map_err(unfit)?),
        ("distance", TensorView::new(Dtype::F32, vec![level.distance.len()], &distance).map_err(unfit)?),
        ("of", TensorView::new(Dtype::U32, vec![level.of.len()], &of).map_err(unfit)?),
    ];
    let whole = safetensors::serialize(tensors, None).map_err(unfit)?;
    files::write_and_rename(path, whole).map_err(CurateError::file(path))
}

/// A level of a file; none where it is absent or damaged.
pub(crate) fn read(path: &Path, dim: usize) -> Option<RowClusters> {
    let bytes = files::read(path).ok()?;
    let file = SafeTensors::deserialize(&bytes).ok()?;
    let numbers = |name: &str| -> Option<Vec<f32>> {
        let tensor = file.tensor(name).ok().filter(|tensor| tensor.dtype() == Dtype::F32)?;
        Some(tensor.data().as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v)).collect())
    };
    let of = file.tensor("of").ok().filter(|tensor| tensor.dtype() == Dtype::U32)?;
    let of: Vec<u32> = of.data().as_chunks::<4>().0.iter().map(|v| u32::from_le_bytes(*v)).collect();
    let level = RowClusters { dim, centres: numbers("centres")?, of, distance: numbers("distance")? };
    let count = level.count() as u32;
    let whole = level.of.len() == level.distance.len() && level.of.iter().all(|cluster| *cluster < count);
    (whole && level.centres.len() == level.count() * dim).then_some(level)
}
