//! The step beside the balance: pictures of a heap that resemble those of a collection one has.
//!
//! Source: DINOv2 (Oquab et al. 2023), section 3 and appendix A.4. By sample: the nearest pictures of every query, few, since many
//! queries find the same ones. By cluster: the heap in clusters, and pictures of those that enough queries fall into.

use std::path::PathBuf;

use dinoscope_base::files;
use dinoscope_base::rng::{self, RngExt};
use sha2::{Digest, Sha256};

use crate::balance::k_means::{KMeansOptions, RowClusters, assign, k_means};
use crate::balance::levels;
use crate::contents::{Contents, known_bytes};
use crate::copies::FOUND;
use crate::copies::found::FoundBlocks;
use crate::features::FeatureStore;
use crate::nearest::{BlockPlan, SearchOptions, SearchShape, StoredRows, nearest};
use crate::steps::{CurationStep, table_before};
use crate::table::{CurationTable, file_digest};
use crate::{CurateError, Heard, names};

/// How pictures are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetrievalMethod {
    /// So many nearest ones of every query.
    Sample {
        /// How many.
        neighbours: usize,
    },
    /// Pictures of clusters.
    Cluster {
        /// Clusters of the heap.
        clusters: usize,
        /// Queries that must fall into one.
        least: usize,
        /// Pictures of each at most.
        each: usize,
        /// Pictures in all at most.
        cap: usize,
    },
}

/// What is looked for, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievalOptions {
    /// The folder of curation; the queries are in [`names::QUERIES`].
    pub folder: PathBuf,
    /// How.
    pub method: RetrievalMethod,
    /// Rounds of k-means at most.
    pub rounds: usize,
    /// Seed of clusters, and of what is drawn from them.
    pub seed: u64,
    /// Bytes of memory.
    pub memory: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetrievalSummary {
    /// Pictures that could be found.
    pub pictures: usize,
    /// Queries.
    pub queries: usize,
    /// Pictures that stay.
    pub found: usize,
    /// Finds of a picture that another query had found before.
    pub collisions: usize,
    /// Clusters that enough queries fell into.
    pub clusters: usize,
}

/// A picture that was found.
#[derive(Clone, Copy, Default)]
struct FoundPicture {
    queries: usize,
    similarity: f32,
    chosen: bool,
}

/// Finds pictures, and writes which stay.
///
/// # Errors
/// When there are no features or queries, an option can't be, memory is too little, a file fails, or whoever listens says stop.
pub fn retrieve(options: &RetrievalOptions, heard: Heard<'_>) -> Result<RetrievalSummary, CurateError> {
    let store = FeatureStore::open(&options.folder)?;
    let asked = options.folder.join(names::QUERIES);
    let path = table_before(&options.folder, CurationStep::Retrieve)?;
    let (mut table, queries) = (CurationTable::read(&path)?, CurationTable::read(&asked)?);
    let kept: Vec<bool> = table.rows.iter().map(|row| row.kept != Some(false)).collect();
    let heap = Contents::of_rows(&store, &table, &path, &kept)?;
    let wanted = Contents::new(&store, &queries, &asked)?;
    if heap.len() == 0 || wanted.len() == 0 {
        let empty = if wanted.len() == 0 { &asked } else { &path };
        return Err(CurateError::unfit(empty, "no picture in it can be used: there is nothing to find"));
    }
    let search = RetrievalSearch {
        heap: &heap,
        wanted: &wanted,
        rows: StoredRows { store: &store, places: &heap.places },
        queries: StoredRows { store: &store, places: &wanted.places },
        options,
        beside: known_bytes(&table) + known_bytes(&queries),
    };
    let mut found = vec![FoundPicture::default(); heap.len()];
    let mut summary =
        RetrievalSummary { pictures: heap.len(), queries: wanted.len(), ..RetrievalSummary::default() };
    match options.method {
        RetrievalMethod::Sample { neighbours } => search.by_sample(neighbours, &mut found, heard)?,
        RetrievalMethod::Cluster { clusters, least, each, cap } => {
            summary.clusters = search.by_cluster(clusters, (least, each, cap), &mut found, heard)?;
        }
    }
    let finds: usize = found.iter().filter(|found| found.chosen).map(|found| found.queries).sum();
    summary.found = found.iter().filter(|found| found.chosen).count();
    if matches!(options.method, RetrievalMethod::Sample { .. }) {
        summary.collisions = finds - summary.found;
    }
    let mut seen = vec![false; heap.len()];
    for (row, content) in table.rows.iter_mut().zip(&heap.of_row) {
        let Some(content) = content else { continue };
        let about = found[*content as usize];
        // Of rows of one content the first.
        let first = !std::mem::replace(&mut seen[*content as usize], true);
        row.kept = Some(about.chosen && first);
        row.queries = Some(about.queries as i64);
        row.similarity = (about.queries > 0).then_some(about.similarity.min(1.0)).or(row.similarity);
        let many = if about.queries == 1 { "query" } else { "queries" };
        row.why = Some(match options.method {
            _ if !first => "it has the same bytes as one before it".to_owned(),
            RetrievalMethod::Sample { .. } if about.chosen => format!("found for {} {many}", about.queries),
            RetrievalMethod::Sample { .. } => "found for no query".to_owned(),
            RetrievalMethod::Cluster { .. } if about.chosen => {
                format!("drawn from a cluster that {} {many} fell into", about.queries)
            }
            RetrievalMethod::Cluster { .. } => {
                format!("not drawn: {} {many} fell into its cluster", about.queries)
            }
        });
    }
    table.from = Some(file_digest(&path)?);
    table.settings = Vec::new();
    table.made = Some(format!("retrieve {:?}", options.method));
    table.write(&options.folder.join(names::RETRIEVE))?;
    Ok(summary)
}

/// Queries among a heap.
struct RetrievalSearch<'a> {
    heap: &'a Contents,
    wanted: &'a Contents,
    rows: StoredRows<'a>,
    queries: StoredRows<'a>,
    options: &'a RetrievalOptions,
    beside: usize,
}

impl RetrievalSearch<'_> {
    fn by_sample(
        &self,
        neighbours: usize,
        found: &mut [FoundPicture],
        heard: Heard<'_>,
    ) -> Result<(), CurateError> {
        if neighbours == 0 {
            return Err(CurateError::Option("--neighbours 0: give 1 or more".to_owned()));
        }
        let (queries, keys) = (self.queries.places.len(), self.rows.places.len());
        let dim = self.rows.store.origin.dim;
        let shape = SearchShape { dim, queries, keys, k: neighbours, beside: self.beside + 16 * keys };
        let plan = BlockPlan::new(self.options.memory, shape)?;
        let search = SearchOptions { k: neighbours, floor: f32::NEG_INFINITY, same: false };
        let contents = self.wanted.digests.iter().chain(&self.heap.digests);
        let known = FoundBlocks::new(
            &self.options.folder.join(FOUND),
            contents,
            (neighbours, plan.queries, search.floor),
        )
        .of_kind("retrieved");
        for (block, range) in plan.blocks(queries).enumerate() {
            let mut hear = |done: usize, all: usize, _: &str| {
                heard(range.start + range.len() * done / all.max(1), queries, "queries")
            };
            let near = match known.read(block, range.len()) {
                Some(near) => near,
                None => {
                    let near = nearest(&self.queries, range.clone(), &self.rows, search, &plan, &mut hear)?;
                    known.write(block, &near)?;
                    near
                }
            };
            for near in near.iter().flatten() {
                let slot = &mut found[near.key as usize];
                slot.similarity =
                    if slot.queries == 0 { near.similarity } else { slot.similarity.max(near.similarity) };
                slot.queries += 1;
                slot.chosen = true;
            }
        }
        Ok(())
    }

    /// Clusters of the heap, from the disk where they were found before.
    fn clusters(&self, how: KMeansOptions, heard: Heard<'_>) -> Result<RowClusters, CurateError> {
        let mut hash = Sha256::new();
        hash.update(format!("retrieve {} {} {}", how.clusters, how.rounds, how.seed));
        self.heap.digests.iter().for_each(|digest| hash.update(digest));
        let folder = self.options.folder.join(levels::FOLDER);
        let path =
            folder.join(format!("{}-retrieve.safetensors", crate::features::hex(&hash.finalize()[..8])));
        if let Some(known) = levels::read(&path, self.rows.store.origin.dim) {
            return Ok(known);
        }
        let found = k_means(&self.rows, how, &mut |done, all, _| heard(done, all, "clusters"))?;
        files::create_dir_all(&folder).map_err(CurateError::file(&folder))?;
        levels::write(&path, &found)?;
        Ok(found)
    }

    /// How many clusters gave pictures.
    fn by_cluster(
        &self,
        clusters: usize,
        (least, each, cap): (usize, usize, usize),
        found: &mut [FoundPicture],
        heard: Heard<'_>,
    ) -> Result<usize, CurateError> {
        if clusters == 0 || each == 0 || cap == 0 {
            return Err(CurateError::Option("--clusters, --each and --cap must be 1 or more".to_owned()));
        }
        let how = KMeansOptions {
            clusters,
            rounds: self.options.rounds,
            seed: self.options.seed,
            memory: self.options.memory,
            beside: self.beside,
        };
        let heap = self.clusters(how, heard)?;
        let mut asked =
            RowClusters { dim: heap.dim, centres: heap.centres.clone(), ..RowClusters::default() };
        assign(&self.queries, &mut asked, how)?;
        let mut counts = vec![0usize; heap.count()];
        asked.of.iter().for_each(|cluster| counts[*cluster as usize] += 1);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); heap.count()];
        for (row, cluster) in heap.of.iter().enumerate() {
            found[row].queries = counts[*cluster as usize];
            // |x - c|² is 2 less twice the cosine only where the centre has length 1: told is the nearness alone.
            found[row].similarity = 1.0 - heap.distance[row] / 2.0;
            members[*cluster as usize].push(row);
        }
        // Those that most queries fell into first, so that the cap leaves out the others.
        let mut order: Vec<usize> =
            (0..members.len()).filter(|cluster| counts[*cluster] >= least.max(1)).collect();
        order.sort_by_key(|cluster| (std::cmp::Reverse(counts[*cluster]), *cluster));
        let (mut left, mut giving) = (cap, 0);
        for cluster in order {
            let rows = &mut members[cluster];
            let mut stream = rng::stream(self.options.seed, "retrieve", cluster as u64, 0);
            let take = each.min(rows.len()).min(left);
            for i in 0..take {
                let other = stream.random_range(i..rows.len());
                rows.swap(i, other);
                found[rows[i]].chosen = true;
            }
            left -= take;
            giving += usize::from(take > 0);
        }
        Ok(giving)
    }
}

#[cfg(test)]
#[path = "retrieve_tests.rs"]
mod tests;
