//! The second step: pictures that are copies of each other, of which one stays, and those that came too near to a test set.
//!
//! Source: DINOv2 (Oquab et al. 2023), appendix A.3: the 64 nearest neighbours of every picture by the cosine of its features,
//! edges above a threshold, connected components by a disjoint set, one of each kept; whole components that come near a picture
//! of an evaluation set are dropped. Beside features, equal bytes and near hashes are edges too.

mod choice;
mod components;
mod found;
mod hash_pairs;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::contents::{Contents, known_bytes};
use crate::features::FeatureStore;
use crate::nearest::{BlockPlan, SearchOptions, SearchShape, StoredRows, nearest};
use crate::table::{CurationTable, file_digest};
use crate::{CurateError, Heard, names};
use choice::{ComponentLeak, NearestContent, decide};
use components::DisjointSets;
use found::FoundBlocks;
use hash_pairs::{MOST_DISTANCE, hash_pairs};

/// Folder of neighbours that were found.
const FOUND: &str = "neighbours";

/// How copies are told.
#[derive(Clone, Debug, PartialEq)]
pub struct CopiesOptions {
    /// The folder of curation.
    pub folder: PathBuf,
    /// Cosine from which two pictures are copies.
    pub threshold: f32,
    /// Cosine from which a picture is too near to one of the test set.
    pub against_threshold: f32,
    /// Whether there is a test set: its pictures are in [`names::AGAINST`].
    pub against: bool,
    /// Bits in which the hashes of copies differ at most; none where hashes do not count.
    pub hash_distance: Option<u32>,
    /// Neighbours of each picture.
    pub k: usize,
    /// Bytes of memory.
    pub memory: usize,
}

impl CopiesOptions {
    /// A cosine that copies have with the starter weights: see docs/curation.md for what was measured.
    pub const THRESHOLD: f32 = 0.97;
    /// A cosine with a picture of a test set, of the starter weights.
    pub const AGAINST: f32 = 0.9;

    /// Bits in which hashes of copies differ at most.
    pub const HASH: u32 = 4;

    /// The usual ones.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            threshold: Self::THRESHOLD,
            against_threshold: Self::AGAINST,
            against: false,
            hash_distance: Some(Self::HASH),
            k: 64,
            memory: 2_000_000_000,
        }
    }

    fn check(&self) -> Result<(), CurateError> {
        for (name, value) in
            [("--threshold", self.threshold), ("--against-threshold", self.against_threshold)]
        {
            if !(value > -1.0 && value <= 1.0) {
                return Err(CurateError::Option(format!(
                    "{name} {value} is no cosine: give one above -1, 1 at most"
                )));
            }
        }
        if self.k == 0 {
            return Err(CurateError::Option("--neighbours 0: give 1 or more".to_owned()));
        }
        match self.hash_distance {
            Some(bits) if bits > MOST_DISTANCE => {
                Err(CurateError::Option(format!("--hash-distance {bits}: give {MOST_DISTANCE} bits at most")))
            }
            _ => Ok(()),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CopiesSummary {
    /// Pictures of the heap.
    pub pictures: usize,
    /// Those that stay.
    pub kept: usize,
    /// Those that are a copy of one that stays.
    pub copies: usize,
    /// Those whose component came near the test set.
    pub leaks: usize,
    /// Those that can't be used.
    pub unreadable: usize,
    /// Components of more than one picture.
    pub components: usize,
    /// Pictures of the largest.
    pub largest: usize,
    /// Rows with the cosine to their nearest picture in steps of a hundredth from 0 to 1.
    pub histogram: Vec<usize>,
}

/// Finds copies and writes which pictures stay.
///
/// # Errors
/// When there is no table of [`embed`](crate::embed()), an option can't be, memory is too little, a file fails, or whoever
/// listens says stop; neighbours that were found by then are kept.
pub fn copies(options: &CopiesOptions, heard: Heard<'_>) -> Result<CopiesSummary, CurateError> {
    options.check()?;
    let store = FeatureStore::open(&options.folder)?;
    let path = options.folder.join(names::EMBED);
    let mut table = CurationTable::read(&path)?;
    let contents = Contents::new(&store, &table, &path)?;
    let tests = match options.against {
        true => {
            let path = options.folder.join(names::AGAINST);
            let table = CurationTable::read(&path)?;
            let contents = Contents::new(&store, &table, &path)?;
            Some((table, contents))
        }
        false => None,
    };
    let beside = known_bytes(&table) + tests.as_ref().map_or(0, |(table, _)| known_bytes(table));
    let search = CopySearch { options, store: &store, contents: &contents, beside };

    let mut sets = DisjointSets::new(contents.len());
    let mut known = vec![NearestContent::default(); contents.len()];
    search.near(&contents, true, options.threshold, heard, &mut |query, near| {
        let joins = near.similarity >= options.threshold;
        known[query as usize].feature(near.similarity, joins);
        if joins {
            // The other one may have nearer neighbours than it looked for.
            known[near.key as usize].feature(near.similarity, true);
            sets.join(query, near.key);
        }
    })?;
    if let Some(distance) = options.hash_distance {
        hash_pairs(&contents.hashed(), distance, |a, b, apart| {
            sets.join(a, b);
            [a, b].into_iter().for_each(|content| known[content as usize].hash(apart));
        });
    }
    let mut leaks: Vec<Option<ComponentLeak>> = vec![None; contents.len()];
    if let Some((tested, others)) = &tests {
        find_leaks(&search, others, tested, heard, &mut leaks)?;
    }
    let summary = decide(&mut table, &contents, &mut sets, &known, &leaks);
    table.from = Some(file_digest(&path)?);
    let also =
        if options.against { format!(", against: {}", options.against_threshold) } else { String::new() };
    table.made = Some(format!("copies from a cosine of {}{also}", options.threshold));
    table.write(&options.folder.join(names::COPIES))?;
    Ok(summary)
}

/// A search among the pictures of a heap.
struct CopySearch<'a> {
    options: &'a CopiesOptions,
    store: &'a FeatureStore,
    contents: &'a Contents,
    beside: usize,
}

impl CopySearch<'_> {
    /// Calls `take` for neighbours among `keys` of all pictures: those of at least `floor`, and the nearest one.
    fn near(
        &self,
        keys: &Contents,
        same: bool,
        floor: f32,
        heard: Heard<'_>,
        take: &mut dyn FnMut(u32, crate::nearest::Neighbour),
    ) -> Result<(), CurateError> {
        let (queries, k) = (self.contents.len(), if same { self.options.k } else { 1 });
        if queries == 0 || keys.len() == 0 {
            return Ok(());
        }
        let shape =
            SearchShape { dim: self.store.origin.dim, queries, keys: keys.len(), k, beside: self.beside };
        let plan = BlockPlan::new(self.options.memory, shape)?;
        let contents = self.contents.digests.iter().chain(&keys.digests);
        let found = FoundBlocks::new(&self.options.folder.join(FOUND), contents, (k, plan.queries, floor));
        let (own, others) = (
            StoredRows { store: self.store, places: &self.contents.places },
            StoredRows { store: self.store, places: &keys.places },
        );
        let what = if same { "neighbours" } else { "neighbours in the test set" };
        for (block, range) in plan.blocks(queries).enumerate() {
            let near = match found.read(block, range.len()) {
                Some(near) => near,
                None => {
                    // Progress in pictures: a part of the keys is a part of the block.
                    let mut hear = |done: usize, all: usize, _: &str| {
                        heard(range.start + range.len() * done / all.max(1), queries, what)
                    };
                    let options = SearchOptions { k, floor, same };
                    let near = nearest(&own, range.clone(), &others, options, &plan, &mut hear)?;
                    found.write(block, &near)?;
                    near
                }
            };
            for (query, near) in range.clone().zip(near) {
                near.into_iter().for_each(|near| take(query as u32, near));
            }
            if !heard(range.end, queries, what) {
                return Err(CurateError::Stopped);
            }
        }
        Ok(())
    }
}

/// Which contents came near the test set, by features, bytes or hashes.
fn find_leaks(
    search: &CopySearch<'_>,
    others: &Contents,
    tested: &CurationTable,
    heard: Heard<'_>,
    leaks: &mut [Option<ComponentLeak>],
) -> Result<(), CurateError> {
    let (options, contents) = (search.options, search.contents);
    let mut keys: HashMap<u32, &str> = HashMap::new();
    for (row, content) in tested.rows.iter().zip(&others.of_row) {
        if let Some(content) = content {
            keys.entry(*content).or_insert(row.key.as_str());
        }
    }
    let mut leak = |content: u32, test: u32, similarity: Option<f32>| {
        let slot = &mut leaks[content as usize];
        let key = keys.get(&test).map(|key| (*key).to_owned()).unwrap_or_default();
        let found = ComponentLeak { key, similarity };
        if slot.as_ref().is_none_or(|known| found.is_nearer(known)) {
            *slot = Some(found);
        }
    };
    search.near(others, false, options.against_threshold, heard, &mut |query, near| {
        if near.similarity >= options.against_threshold {
            leak(query, near.key, Some(near.similarity));
        }
    })?;
    for (i, place) in contents.places.iter().enumerate() {
        if let Ok(test) = others.places.binary_search(place) {
            leak(i as u32, test as u32, Some(1.0));
        }
    }
    let Some(distance) = options.hash_distance else { return Ok(()) };
    // Equal hashes are one: of each its contents here, and one there.
    let mut own: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    contents.hashed().into_iter().for_each(|(hash, i)| own.entry(hash).or_default().push(i));
    let mut theirs: BTreeMap<u64, u32> = BTreeMap::new();
    others.hashed().into_iter().for_each(|(hash, i)| {
        theirs.entry(hash).or_insert(i);
    });
    let own: Vec<(u64, Vec<u32>)> = own.into_iter().collect();
    let mut near = |at: u32, test: u32| own[at as usize].1.iter().for_each(|i| leak(*i, test, None));
    for (at, (hash, _)) in own.iter().enumerate() {
        if let Some(test) = theirs.remove(hash) {
            near(at as u32, test);
        }
    }
    let count = own.len() as u32;
    let mut both: Vec<(u64, u32)> =
        own.iter().enumerate().map(|(at, (hash, _))| (*hash, at as u32)).collect();
    both.extend(theirs.iter().map(|(hash, test)| (*hash, count + test)));
    hash_pairs(&both, distance, |a, b, _| {
        let (a, b) = (a.min(b), a.max(b));
        if a < count && b >= count {
            near(a, b - count);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests;
