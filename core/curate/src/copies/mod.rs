//! The second step: pictures that are copies of each other, of which one stays, and those that came too near to a test set.
//!
//! Source: DINOv2 (Oquab et al. 2023), appendix A.3: the 64 nearest neighbours of every picture by the cosine of its features,
//! edges above a threshold, connected components by a disjoint set, one of each kept; whole components that come near a picture
//! of an evaluation set are dropped. Beside features, equal bytes, near hashes, mirrored too, and pictures whose edges agree are
//! edges of the graph too: to features that were not made for it a crop is another picture.

pub(crate) mod choice;
mod compared;
pub(crate) mod components;
pub(crate) mod found;
mod hash_pairs;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::contents::{Contents, known_bytes};
use crate::features::FeatureStore;
use crate::nearest::{BlockPlan, Neighbour, SearchOptions, SearchShape, StoredRows, nearest};
use crate::steps::{CurationStep, table_before};
use crate::table::{CurationTable, file_digest};
use crate::{CurateError, Heard, names};
use choice::{ComponentLeak, NearestContent, decide};
use compared::{CANDIDATES, NeighbourComparison, compared_bytes};
use components::DisjointSets;
use found::FoundBlocks;
use hash_pairs::{MOST_DISTANCE, hash_pairs};

/// Folder of neighbours that were found.
pub(crate) const FOUND: &str = "neighbours";

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
    /// Agreement of edges from which two pictures are copies; none where edges do not count.
    pub agreement: Option<f32>,
    /// Cosine from which neighbours are compared by their edges.
    pub compare: f32,
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
    /// Agreement of the edges of copies, with whatever weights: see docs/curation.md for what was measured.
    pub const AGREEMENT: f32 = 0.7;
    /// Cosine from which neighbours are compared: far below that of copies, since crops are far.
    pub const COMPARE: f32 = 0.4;

    /// The usual ones.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            threshold: Self::THRESHOLD,
            against_threshold: Self::AGAINST,
            against: false,
            hash_distance: Some(Self::HASH),
            agreement: Some(Self::AGREEMENT),
            compare: Self::COMPARE,
            k: 64,
            memory: 2_000_000_000,
        }
    }

    fn check(&self) -> Result<(), CurateError> {
        for (name, value) in [
            ("--threshold", self.threshold),
            ("--against-threshold", self.against_threshold),
            ("--compare", self.compare),
        ] {
            if !(value > -1.0 && value <= 1.0) {
                return Err(CurateError::Option(format!(
                    "{name} {value} is no cosine: give one above -1, 1 at most"
                )));
            }
        }
        if let Some(agreement) = self.agreement.filter(|agreement| !(*agreement >= 0.4 && *agreement <= 1.0))
        {
            return Err(CurateError::Option(format!(
                "--agreement {agreement}: give 0.4 to 1, or off; what agrees less does so by chance"
            )));
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
    /// Contents that were embedded before small pictures were kept: their edges are not compared.
    pub uncompared: usize,
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
    let path = table_before(&options.folder, CurationStep::Copies)?;
    let mut table = CurationTable::read(&path)?;
    // What was left out before is no copy of anything, and nothing is one of it.
    let wanted: Vec<bool> = table.rows.iter().map(|row| row.kept != Some(false)).collect();
    let contents = Contents::of_rows(&store, &table, &path, &wanted)?;
    let tests = match options.against {
        true => {
            let path = options.folder.join(names::AGAINST);
            let table = CurationTable::read(&path)?;
            let contents = Contents::new(&store, &table, &path)?;
            Some((table, contents))
        }
        false => None,
    };
    let beside = known_bytes(&table)
        + tests.as_ref().map_or(0, |(table, _)| known_bytes(table))
        + options.agreement.map_or(0, |_| compared_bytes());
    let search = CopySearch { options, store: &store, contents: &contents, beside };

    let mut sets = DisjointSets::new(contents.len());
    let mut known = vec![NearestContent::default(); contents.len()];
    search.near(&contents, true, options.threshold, heard, &mut |query, near, how| match how {
        CopySign::Cosine => {
            let joins = near.similarity >= options.threshold;
            known[query as usize].feature(near.key, near.similarity, joins);
            if joins {
                // The other one may have nearer neighbours than it looked for.
                known[near.key as usize].feature(query, near.similarity, true);
                sets.join(query, near.key);
            }
        }
        CopySign::Edges => {
            sets.join(query, near.key);
            [query, near.key].into_iter().for_each(|content| known[content as usize].edges(near.similarity));
        }
    })?;
    if let Some(distance) = options.hash_distance {
        near_hashes(&contents, distance, &mut |a, b, apart| {
            sets.join(a, b);
            [a, b].into_iter().for_each(|content| known[content as usize].hash(apart));
        });
    }
    let mut leaks: Vec<Option<ComponentLeak>> = vec![None; contents.len()];
    if let Some((tested, others)) = &tests {
        find_leaks(&search, others, tested, heard, &mut leaks)?;
    }
    let mut summary = decide(&mut table, &contents, &mut sets, &known, &leaks);
    if options.agreement.is_some() {
        summary.uncompared = contents.places.iter().filter(|place| !store.has_small(place)).count();
    }
    table.from = Some(file_digest(&path)?);
    let also =
        if options.against { format!(", against: {}", options.against_threshold) } else { String::new() };
    table.made = Some(format!("copies from a cosine of {}{also}", options.threshold));
    let bound = |name: &str, value: f32| (name.to_owned(), value);
    table.settings = vec![bound("threshold", options.threshold)];
    table.settings.extend(options.agreement.map(|agreement| bound("agreement", agreement)));
    table.settings.extend(options.hash_distance.map(|bits| bound("hash_distance", bits as f32)));
    table.settings.extend(options.against.then(|| bound("against_threshold", options.against_threshold)));
    table.write(&options.folder.join(names::COPIES))?;
    Ok(summary)
}

/// Contents whose hashes, mirrored or not, differ in `distance` bits at most, with in how many.
pub(crate) fn near_hashes(contents: &Contents, distance: u32, near: &mut dyn FnMut(u32, u32, u32)) {
    let count = contents.len() as u32;
    let both = [contents.hashed(), contents.mirror_hashed(contents.len())].concat();
    hash_pairs(&both, distance, |a, b, apart| {
        let (a, b) = (a % count, b % count);
        // A picture may be its own mirror.
        if a != b {
            near(a, b, apart);
        }
    });
}

/// What is near to each content: all its neighbours, the nearest first, and those whose edges agree with it, with how far.
#[derive(Default)]
pub(crate) struct NearContents {
    /// Of each content.
    pub neighbours: Vec<Vec<Neighbour>>,
    /// Two contents, and how far they agree.
    pub edges: Vec<(u32, u32, f32)>,
}

impl NearContents {
    /// Finds them, or reads what was kept. `beside` is what else is in memory.
    ///
    /// # Errors
    /// When memory is too little, a file fails, or whoever listens says stop.
    pub fn find(
        options: &CopiesOptions,
        store: &FeatureStore,
        contents: &Contents,
        beside: usize,
        heard: Heard<'_>,
    ) -> Result<Self, CurateError> {
        let beside = beside + options.agreement.map_or(0, |_| compared_bytes());
        let search = CopySearch { options, store, contents, beside };
        let mut all = Self { neighbours: vec![Vec::new(); contents.len()], edges: Vec::new() };
        search.near(contents, true, options.threshold, heard, &mut |query, near, how| match how {
            CopySign::Cosine => all.neighbours[query as usize].push(near),
            CopySign::Edges => all.edges.push((query, near.key, near.similarity)),
        })?;
        all.neighbours.iter_mut().for_each(|near| near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity)));
        Ok(all)
    }
}

/// What a pair of pictures is told to be copies by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CopySign {
    /// The cosine of features: every neighbour that was found, whether it is enough or not.
    Cosine,
    /// Edges that agree enough.
    Edges,
}

/// Who is told of neighbours, and by which sign.
type NeighbourTaken<'a> = &'a mut dyn FnMut(u32, Neighbour, CopySign);

/// A search among the pictures of a heap.
struct CopySearch<'a> {
    options: &'a CopiesOptions,
    store: &'a FeatureStore,
    contents: &'a Contents,
    beside: usize,
}

impl CopySearch<'_> {
    /// Calls `take` for neighbours among `keys` of all pictures: those of at least `floor`, the nearest one, and those whose edges
    /// agree.
    fn near(
        &self,
        keys: &Contents,
        same: bool,
        floor: f32,
        heard: Heard<'_>,
        take: NeighbourTaken<'_>,
    ) -> Result<(), CurateError> {
        let options = self.options;
        let compares = options.agreement.is_some();
        // Of a test set the nearest is enough, but where the next ones may agree.
        let k = match (same, compares) {
            (true, _) => options.k,
            (false, true) => CANDIDATES,
            (false, false) => 1,
        };
        let floor = if compares { floor.min(options.compare) } else { floor };
        let queries = self.contents.len();
        if queries == 0 || keys.len() == 0 {
            return Ok(());
        }
        let shape =
            SearchShape { dim: self.store.origin.dim, queries, keys: keys.len(), k, beside: self.beside };
        let plan = BlockPlan::new(options.memory, shape)?;
        let contents = self.contents.digests.iter().chain(&keys.digests);
        let folder = options.folder.join(FOUND);
        let found = FoundBlocks::new(&folder, contents, (k, plan.queries, floor));
        let (own, others) = (
            StoredRows { store: self.store, places: &self.contents.places },
            StoredRows { store: self.store, places: &keys.places },
        );
        let comparison = NeighbourComparison {
            store: self.store,
            queries: self.contents,
            keys,
            same,
            from: options.compare,
        };
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
            if let Some(enough) = options.agreement {
                let mut hear =
                    |done: usize, _: usize, _: &str| heard(range.start + done, queries, "pictures compared");
                let agreeing = comparison.agreeing(&folder, (block, range.clone()), &near, &mut hear)?;
                for (query, near) in range.clone().zip(agreeing) {
                    let near = near.into_iter().filter(|near| near.similarity >= enough);
                    near.for_each(|near| take(query as u32, near, CopySign::Edges));
                }
            }
            for (query, near) in range.clone().zip(near) {
                near.into_iter().for_each(|near| take(query as u32, near, CopySign::Cosine));
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
    let mut leak = |content: u32, test: u32, similarity: Option<f32>, agreement: Option<f32>| {
        let slot = &mut leaks[content as usize];
        let key = keys.get(&test).map(|key| (*key).to_owned()).unwrap_or_default();
        let found = ComponentLeak { key, similarity, agreement };
        if slot.as_ref().is_none_or(|known| found.is_nearer(known)) {
            *slot = Some(found);
        }
    };
    search.near(others, false, options.against_threshold, heard, &mut |query, near, how| match how {
        CopySign::Edges => leak(query, near.key, None, Some(near.similarity)),
        CopySign::Cosine if near.similarity >= options.against_threshold => {
            leak(query, near.key, Some(near.similarity.min(1.0)), None);
        }
        CopySign::Cosine => {}
    })?;
    for (i, place) in contents.places.iter().enumerate() {
        if let Ok(test) = others.places.binary_search(place) {
            leak(i as u32, test as u32, Some(1.0), None);
        }
    }
    let Some(distance) = options.hash_distance else { return Ok(()) };
    // Equal hashes are one: of each its contents here, and one there. A test picture that is mirrored counts too.
    let mut own: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    contents.hashed().into_iter().for_each(|(hash, i)| own.entry(hash).or_default().push(i));
    let mut theirs: BTreeMap<u64, u32> = BTreeMap::new();
    others.hashed().into_iter().chain(others.mirror_hashed(0)).for_each(|(hash, i)| {
        theirs.entry(hash).or_insert(i);
    });
    let own: Vec<(u64, Vec<u32>)> = own.into_iter().collect();
    let mut near = |at: u32, test: u32| own[at as usize].1.iter().for_each(|i| leak(*i, test, None, None));
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
pub(crate) mod tests;
