//! Neighbours by their features that are compared by their edges: which of them are one picture.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use dinoscope_base::parallel;

use super::found::FoundBlocks;
use crate::contents::Contents;
use crate::features::FeatureStore;
use crate::nearest::Neighbour;
use crate::small_picture::{PIXELS, PictureComparison, SmallPicture};
use crate::{CurateError, Heard};

/// The nearest neighbours of a picture that are compared with it.
pub const CANDIDATES: usize = 16;
/// Queries whose small pictures, and those of their neighbours, are in memory at once.
const CHUNK: usize = 512;
/// Queries that a thread takes at a time.
const STRIP: usize = 8;
/// Agreements that are kept: a lower bound than this finds nothing but chance.
const FLOOR: f32 = 0.4;

/// Bytes that a comparison takes at most.
pub fn compared_bytes() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // A thread's windows, and pictures with their hash table's share.
    CHUNK * (CANDIDATES + 1) * (PIXELS + 64) + threads * (1 << 20)
}

/// Pictures that are compared with their neighbours.
pub struct NeighbourComparison<'a> {
    /// Where small pictures are.
    pub store: &'a FeatureStore,
    /// Pictures.
    pub queries: &'a Contents,
    /// Their neighbours.
    pub keys: &'a Contents,
    /// Whether both are the same.
    pub same: bool,
    /// Cosine from which neighbours are compared.
    pub from: f32,
}

impl NeighbourComparison<'_> {
    /// Of the neighbours of a block of queries those that agree, with how far in place of the cosine; from the disk where it was
    /// found before.
    ///
    /// # Errors
    /// When small pictures can't be read, or what was found can't be written, or whoever listens says stop.
    pub fn agreeing(
        &self,
        folder: &Path,
        (block, range): (usize, Range<usize>),
        near: &[Vec<Neighbour>],
        heard: Heard<'_>,
    ) -> Result<Vec<Vec<Neighbour>>, CurateError> {
        let digests = self.queries.digests[range.clone()].iter();
        let digests = digests.chain(near.iter().flatten().map(|near| &self.keys.digests[near.key as usize]));
        let found =
            FoundBlocks::new(folder, digests, (CANDIDATES, range.len(), self.from)).of_kind("agreement");
        if let Some(mut known) = found.read(block, range.len()) {
            // They may have been looked for among farther ones.
            for (agreeing, near) in known.iter_mut().zip(near) {
                agreeing.retain(|found| self.candidates(near).any(|candidate| candidate.key == found.key));
            }
            return Ok(known);
        }
        let comparison = PictureComparison::new();
        let mut all: Vec<Vec<Neighbour>> = vec![Vec::new(); range.len()];
        for (start, out) in (range.start..).step_by(CHUNK).zip(all.chunks_mut(CHUNK)) {
            if !heard(start - range.start, range.len(), "") {
                return Err(CurateError::Stopped);
            }
            let pictures = self.pictures(start, out.len(), &near[start - range.start..])?;
            parallel::for_chunks(out, STRIP, |strip, out| {
                for (i, out) in out.iter_mut().enumerate() {
                    let query = start + strip * STRIP + i;
                    *out = self.compare(&comparison, &pictures, query, range.start, near);
                }
            });
        }
        found.write(block, &all)?;
        Ok(all)
    }

    /// The small pictures of queries and of the neighbours that they are compared with.
    fn pictures(
        &self,
        start: usize,
        count: usize,
        near: &[Vec<Neighbour>],
    ) -> Result<SmallPictures, CurateError> {
        let queries = (start..start + count).map(|query| query as u32).collect();
        let mut keys: Vec<u32> =
            near[..count].iter().flat_map(|near| self.candidates(near)).map(|near| near.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let read = |contents: &Contents, all: Vec<u32>| -> Result<HashMap<u32, SmallPicture>, CurateError> {
            let places: Vec<_> = all.iter().map(|content| contents.places[*content as usize]).collect();
            let small = self.store.read_small(&places)?;
            Ok(all.into_iter().zip(small).filter_map(|(content, small)| Some((content, small?))).collect())
        };
        Ok(SmallPictures { queries: read(self.queries, queries)?, keys: read(self.keys, keys)? })
    }

    fn candidates<'n>(&self, near: &'n [Neighbour]) -> impl Iterator<Item = &'n Neighbour> + use<'n> {
        let from = self.from;
        near.iter().take(CANDIDATES).filter(move |near| near.similarity >= from)
    }

    fn compare(
        &self,
        comparison: &PictureComparison,
        pictures: &SmallPictures,
        query: usize,
        first: usize,
        near: &[Vec<Neighbour>],
    ) -> Vec<Neighbour> {
        let Some(own) = pictures.queries.get(&(query as u32)) else { return Vec::new() };
        let mut candidates = self.candidates(&near[query - first]).peekable();
        if candidates.peek().is_none() {
            return Vec::new();
        }
        let own = comparison.prepare(own);
        let windows = comparison.windows(&own);
        let mut out = Vec::new();
        for candidate in candidates {
            let Some(other) = pictures.keys.get(&candidate.key) else { continue };
            let other = comparison.prepare(other);
            let mut agreement = comparison.within(&windows, &own, &other);
            // Whether it is a window of this one is told when it is the query, if this one is among its neighbours.
            let is_mutual = || {
                let back = (candidate.key as usize).checked_sub(first).and_then(|at| near.get(at));
                let mut back = back.into_iter().flat_map(|near| self.candidates(near));
                self.same && back.any(|near| near.key as usize == query)
            };
            if agreement < 1.0 && !is_mutual() {
                agreement = agreement.max(comparison.within(&comparison.windows(&other), &other, &own));
            }
            if agreement >= FLOOR {
                out.push(Neighbour { key: candidate.key, similarity: agreement.min(1.0) });
            }
        }
        out
    }
}

/// Small pictures by their content.
struct SmallPictures {
    queries: HashMap<u32, SmallPicture>,
    keys: HashMap<u32, SmallPicture>,
}
