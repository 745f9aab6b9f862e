//! A heap in memory, to be looked at and decided on: rows, features, neighbours, a map, and what any threshold would leave.

mod decisions;
pub mod layout;
pub mod linkage;

use std::path::{Path, PathBuf};

use crate::contents::{Contents, known_bytes};
use crate::copies::{CopiesOptions, NearContents, near_hashes};
use crate::features::{FeatureOrigin, FeatureStore};
use crate::nearest::Neighbour;
use crate::table::CurationTable;
use crate::{CurateError, Heard, names};
pub use decisions::{HandChoice, HeapDecisions, HeapOutcome, RowFate};
use layout::{LAYOUT_NEIGHBOURS, arrange, first_components};
use linkage::{CopyLink, CopyLinkage};

/// Pictures that are looked at in memory at most: more belong to the command line, whose steps read them in pieces.
pub const MOST_IN_MEMORY: usize = 200_000;
/// Edges that agree less than this are not looked at: they do so by chance.
pub const LEAST_AGREEMENT: f32 = 0.5;
/// Rounds in which a map is arranged.
const ROUNDS: usize = 200;

/// Everything that is known of a heap.
pub struct CuratedHeap {
    /// The folder of curation.
    pub folder: PathBuf,
    /// A row for each picture, as `embed` has left them.
    pub table: CurationTable,
    /// What its features were made with.
    pub origin: FeatureOrigin,
    /// Where each row lies on the map, within -1 to 1; none of those that can't be used.
    pub places: Vec<Option<[f32; 2]>>,
    /// The cosine of each row to its nearest other picture; 1 where the same bytes are there twice.
    pub nearest: Vec<Option<f32>>,
    contents: Contents,
    /// Rows of each content.
    rows: Vec<Vec<u32>>,
    /// `[contents, dim]`, of length 1.
    features: Vec<f32>,
    near: NearContents,
    linkage: CopyLinkage,
}

impl CuratedHeap {
    /// Opens the folder that `embed` has filled: reads features, finds neighbours (which are kept there) and arranges the map.
    ///
    /// # Errors
    /// When there is no table, there are too many pictures for memory, a file fails, or whoever listens says stop.
    pub fn open(folder: &Path, heard: Heard<'_>) -> Result<Self, CurateError> {
        let store = FeatureStore::open(folder)?;
        let path = folder.join(names::EMBED);
        let table = CurationTable::read(&path)?;
        let contents = Contents::new(&store, &table, &path)?;
        if contents.len() > MOST_IN_MEMORY {
            let reason = format!(
                "it holds {} pictures, and {MOST_IN_MEMORY} can be looked at in memory: `dinoscope curate copies` and `balance` \
                 take any number",
                contents.len()
            );
            return Err(CurateError::unfit(folder, reason));
        }
        let dim = store.origin.dim;
        let mut features = vec![0.0; contents.len() * dim];
        store.read(&contents.places, &mut features)?;
        // What the search takes is beside what is held here.
        let options = CopiesOptions {
            threshold: -0.999,
            agreement: Some(LEAST_AGREEMENT),
            ..CopiesOptions::new(folder)
        };
        let near = NearContents::find(&options, &store, &contents, known_bytes(&table), heard)?;
        let origin = store.origin.clone();
        let mut rows = vec![Vec::new(); contents.len()];
        for (row, content) in contents.of_row.iter().enumerate() {
            content.iter().for_each(|content| rows[*content as usize].push(row as u32));
        }
        let mut cosines: Vec<CopyLink> = Vec::new();
        for (a, near) in near.neighbours.iter().enumerate() {
            let link = |near: &Neighbour| CopyLink { similarity: near.similarity, a: a as u32, b: near.key };
            cosines.extend(near.iter().map(link));
        }
        let edges =
            near.edges.iter().map(|(a, b, agreement)| CopyLink { similarity: *agreement, a: *a, b: *b });
        let mut hashes = Vec::new();
        near_hashes(&contents, CopiesOptions::HASH, &mut |a, b, _| hashes.push((a, b)));
        let linkage = CopyLinkage::new(contents.len(), cosines, edges.collect(), hashes);
        let start = first_components(&features, dim);
        let few = |near: &Vec<Neighbour>| near[..near.len().min(LAYOUT_NEIGHBOURS)].to_vec();
        let few: Vec<Vec<Neighbour>> = near.neighbours.iter().map(few).collect();
        let mut stopped = false;
        let map = arrange(&few, &start, (ROUNDS, 0), &mut |done, all| {
            stopped = !heard(done, all, "map");
            !stopped
        });
        if stopped {
            return Err(CurateError::Stopped);
        }
        let of_content = |content: &Option<u32>| content.map(|content| content as usize);
        let places = contents.of_row.iter().map(|content| Some(map[of_content(content)?])).collect();
        let nearest = contents.of_row.iter().map(|content| {
            let content = of_content(content)?;
            match rows[content].len() {
                1 => near.neighbours[content].first().map(|near| near.similarity.min(1.0)),
                _ => Some(1.0),
            }
        });
        let nearest = nearest.collect();
        Ok(Self {
            folder: folder.to_owned(),
            table,
            origin,
            places,
            nearest,
            contents,
            rows,
            features,
            near,
            linkage,
        })
    }

    /// The pictures most similar to that of a row, the nearest first: rows with their cosines. Of the same bytes one is named.
    pub fn similar(&self, row: usize, count: usize) -> Vec<(u32, f32)> {
        let Some(content) = self.contents.of_row.get(row).copied().flatten() else { return Vec::new() };
        let own = &self.rows[content as usize];
        let twice = own.iter().filter(|twin| **twin != row as u32).map(|twin| (*twin, 1.0));
        let near = self.near.neighbours[content as usize].iter();
        let near = near.filter_map(|near| Some((*self.rows[near.key as usize].first()?, near.similarity)));
        twice.chain(near).take(count).collect()
    }

    /// The pictures most similar to features of length 1, `[dim]`: what a picture that is none of the heap resembles.
    ///
    /// # Errors
    /// When features are as long as those of another model.
    pub fn similar_to(&self, features: &[f32], count: usize) -> Result<Vec<(u32, f32)>, CurateError> {
        let dim = self.origin.dim;
        if features.len() != dim {
            let reason = format!("its features have {dim} numbers, and these {}", features.len());
            return Err(CurateError::unfit(&self.folder, reason));
        }
        let cosine = |row: &[f32]| -> f32 { row.iter().zip(features).map(|(a, b)| a * b).sum() };
        let mut found: Vec<(u32, f32)> = self
            .features
            .chunks_exact(dim.max(1))
            .zip(&self.rows)
            .filter_map(|(row, rows)| Some((*rows.first()?, cosine(row))))
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.truncate(count);
        Ok(found)
    }

    /// The pairs next to a threshold of cosines, `count` on each side: those that are just copies of each other, and those that just
    /// are not, each as two rows and a cosine.
    pub fn pairs_at(&self, threshold: f32, count: usize) -> [Vec<(u32, u32, f32)>; 2] {
        self.linkage.at(threshold, count).map(|links| self.rows_of_links(&links))
    }

    /// The same next to a bound of the agreement of edges.
    pub fn pairs_agreeing_at(&self, agreement: f32, count: usize) -> [Vec<(u32, u32, f32)>; 2] {
        self.linkage.agreeing_at(agreement, count).map(|links| self.rows_of_links(&links))
    }

    fn rows_of_links(&self, links: &[CopyLink]) -> Vec<(u32, u32, f32)> {
        let first = |content: u32| self.rows[content as usize].first().copied();
        let rows = |link: &CopyLink| Some((first(link.a)?, first(link.b)?, link.similarity.min(1.0)));
        links.iter().filter_map(rows).collect()
    }
}

#[cfg(test)]
mod tests;
