//! What a person has decided about a heap, and what it leaves: at once for a window, as a table with reasons for the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::CuratedHeap;
use super::linkage::{CopyBounds, CopyComponents};
use crate::copies::choice::{NearestContent, decide, rank};
use crate::copies::{CopiesOptions, near_hashes};
use crate::quality::QualityOptions;
use crate::table::{CurationTable, file_digest};
use crate::{CurateError, names};

/// What a person has said about one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandChoice {
    /// It stays, whatever else would leave it out.
    Keep,
    /// It is left out.
    Drop,
}

/// Everything that decides which pictures stay.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapDecisions {
    /// What each has to have.
    pub quality: QualityOptions,
    /// From where on two pictures are copies.
    pub copies: CopyBounds,
    /// Rows that a person has decided about.
    pub hand: BTreeMap<u32, HandChoice>,
}

/// Why a row stays or not, without words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFate {
    /// It stays.
    Kept,
    /// It is a copy of one that stays.
    Copy,
    /// It lacks something.
    Poor,
    /// A person has left it out.
    Dropped,
    /// It can't be used.
    Unreadable,
}

/// What decisions leave of a heap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeapOutcome {
    /// Of each row.
    pub fates: Vec<RowFate>,
    /// How many components there are of each number of pictures, the smallest first.
    pub sizes: Vec<(usize, usize)>,
}

impl HeapOutcome {
    /// Rows of a fate.
    pub fn count(&self, fate: RowFate) -> usize {
        self.fates.iter().filter(|known| **known == fate).count()
    }
}

impl CuratedHeap {
    /// What decisions leave, quick enough for a slider.
    pub fn outcome(&self, decisions: &HeapDecisions) -> HeapOutcome {
        let components = self.linkage.components(decisions.copies);
        let mut fates: Vec<RowFate> = Vec::with_capacity(self.table.rows.len());
        let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
        for (at, row) in self.table.rows.iter().enumerate() {
            let fate = match (self.contents.of_row[at], decisions.hand.get(&(at as u32))) {
                (None, _) => RowFate::Unreadable,
                (_, Some(HandChoice::Drop)) => RowFate::Dropped,
                (_, Some(HandChoice::Keep)) => RowFate::Kept,
                // A copy, until it turns out to be the best one.
                (Some(_), None) if decisions.quality.fault(row).is_none() => RowFate::Copy,
                (Some(_), None) => RowFate::Poor,
            };
            if let Some(content) = self.contents.of_row[at] {
                *sizes.entry(components.roots[content as usize]).or_default() += 1;
            }
            fates.push(fate);
        }
        for best in self.best_rows(&components, &fates) {
            if fates[best as usize] == RowFate::Copy {
                fates[best as usize] = RowFate::Kept;
            }
        }
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        sizes.into_values().for_each(|size| *counts.entry(size).or_default() += 1);
        HeapOutcome { fates, sizes: counts.into_iter().collect() }
    }

    /// The best row of each component among those that may stay. Where a person keeps one of it, no other is needed.
    fn best_rows(&self, components: &CopyComponents, fates: &[RowFate]) -> Vec<u32> {
        let mut best: BTreeMap<u32, u32> = BTreeMap::new();
        for (at, fate) in fates.iter().enumerate() {
            let Some(content) = self.contents.of_row[at] else { continue };
            if !matches!(fate, RowFate::Copy | RowFate::Kept) {
                continue;
            }
            let root = components.roots[content as usize];
            let order = |row: u32| {
                let kept = fates[row as usize] == RowFate::Kept;
                (kept, rank(&self.table.rows[row as usize], row as usize))
            };
            best.entry(root)
                .and_modify(|known| {
                    if order(at as u32) > order(*known) {
                        *known = at as u32;
                    }
                })
                .or_insert(at as u32);
        }
        best.into_values().collect()
    }

    /// The table with every decision as a reason.
    pub fn decided(&self, decisions: &HeapDecisions) -> CurationTable {
        let components = self.linkage.components(decisions.copies);
        let mut nearest = vec![NearestContent::default(); self.contents.len()];
        for (content, near) in self.near.neighbours.iter().enumerate() {
            for near in near {
                let joins = near.similarity >= decisions.copies.threshold;
                nearest[content].feature(near.key, near.similarity, joins);
                if joins {
                    nearest[near.key as usize].feature(content as u32, near.similarity, true);
                }
            }
        }
        let enough = decisions.copies.agreement.unwrap_or(f32::INFINITY);
        for (a, b, agreement) in self.near.edges.iter().filter(|(.., agreement)| *agreement >= enough) {
            [a, b].into_iter().for_each(|content| nearest[*content as usize].edges(*agreement));
        }
        near_hashes(&self.contents, CopiesOptions::HASH, &mut |a, b, bits| {
            [a, b].into_iter().for_each(|content| nearest[content as usize].hash(bits));
        });
        let mut table = self.table.clone();
        let leaks = vec![None; self.contents.len()];
        decide(&mut table, &self.contents, &mut components.sets(), &nearest, &leaks);
        let outcome = self.outcome(decisions);
        let stays = self.stays(&components, &outcome);
        for (at, (row, fate)) in table.rows.iter_mut().zip(&outcome.fates).enumerate() {
            let by_hand = decisions.hand.get(&(at as u32));
            let (kept, why) = match (fate, by_hand) {
                (RowFate::Unreadable, _) => continue,
                (RowFate::Dropped, _) => (false, "left out by hand".to_owned()),
                (RowFate::Kept, Some(_)) => (true, "kept by hand".to_owned()),
                (RowFate::Poor, _) => (false, decisions.quality.fault(row).unwrap_or_default()),
                // The best one by itself, or because better ones are left out.
                (RowFate::Kept, None) if row.kept == Some(true) => continue,
                (RowFate::Kept, None) => (true, "the best of its copies that may stay".to_owned()),
                (RowFate::Copy, _) => {
                    let content = self.contents.of_row[at].unwrap_or_default();
                    let root = components.roots[content as usize];
                    row.copy_of = stays.get(&root).map(|best| self.table.rows[*best as usize].key.clone());
                    let why = row.why.take().filter(|_| row.kept == Some(false));
                    (false, why.unwrap_or_else(|| "a copy of one that stays".to_owned()))
                }
            };
            if kept || !matches!(fate, RowFate::Copy) {
                row.copy_of = None;
            }
            (row.kept, row.why) = (Some(kept), Some(why));
        }
        table
    }

    /// The row that stays of each component.
    fn stays(&self, components: &CopyComponents, outcome: &HeapOutcome) -> BTreeMap<u32, u32> {
        let kept = outcome.fates.iter().enumerate().filter(|(_, fate)| **fate == RowFate::Kept);
        let rooted = kept
            .filter_map(|(at, _)| Some((components.roots[self.contents.of_row[at]? as usize], at as u32)));
        rooted.collect::<Vec<_>>().into_iter().rev().collect()
    }

    /// Writes the table of what was decided into the folder; where it lies.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, decisions: &HeapDecisions) -> Result<PathBuf, CurateError> {
        let mut table = self.decided(decisions);
        table.from = Some(file_digest(&self.folder.join(names::EMBED))?);
        let (CopyBounds { threshold, agreement }, hand) = (decisions.copies, decisions.hand.len());
        table.made = Some(format!("copies from a cosine of {threshold}, {hand} decided by hand"));
        table.settings = decisions.quality.settings();
        table.settings.push(("threshold".to_owned(), threshold));
        table.settings.extend(agreement.map(|agreement| ("agreement".to_owned(), agreement)));
        let path = self.folder.join(names::CHOSEN);
        table.write(&path)?;
        Ok(path)
    }
}
