//! Pictures by what is in their files: rows of the same bytes are one.

use std::path::Path;

use crate::CurateError;
use crate::features::{ContentDigest, FeaturePlace, FeatureStore, from_hex};
use crate::table::{CuratedPicture, CurationTable};

/// Bytes that are known of each picture beside its row of the table: its place, its set, its nearest one, its hashes, which
/// are sorted for the search of near ones.
const BESIDE: usize = 128;

/// Pictures by their contents, in the order in which features lie on the disk.
pub struct Contents {
    /// What each is known by.
    pub digests: Vec<ContentDigest>,
    /// Where its features lie: rising.
    pub places: Vec<FeaturePlace>,
    /// Its hash.
    pub hashes: Vec<Option<u64>>,
    /// That of the mirrored picture.
    pub mirror_hashes: Vec<Option<u64>>,
    /// The content of each row that can be used and was asked for.
    pub of_row: Vec<Option<u32>>,
}

impl Contents {
    /// The contents of a table that lies at `path`.
    ///
    /// # Errors
    /// When features of a row are not there.
    pub fn new(store: &FeatureStore, table: &CurationTable, path: &Path) -> Result<Self, CurateError> {
        Self::of_rows(store, table, path, &vec![true; table.rows.len()])
    }

    /// [`Contents::new`] of the rows that are `wanted`.
    ///
    /// # Errors
    /// When features of such a row are not there.
    pub fn of_rows(
        store: &FeatureStore,
        table: &CurationTable,
        path: &Path,
        wanted: &[bool],
    ) -> Result<Self, CurateError> {
        let mut rows: Vec<Option<(FeaturePlace, ContentDigest)>> = Vec::with_capacity(table.rows.len());
        for (row, wanted) in table.rows.iter().zip(wanted) {
            if row.unreadable.is_some() || !wanted {
                rows.push(None);
                continue;
            }
            let digest = row.digest.as_deref().and_then(from_hex);
            let place = digest.and_then(|digest| Some((store.place(&digest)?, digest)));
            let missing = || {
                CurateError::unfit(
                    path,
                    format!("there are no features of {}: `curate embed` makes them", row.key),
                )
            };
            rows.push(Some(place.ok_or_else(missing)?));
        }
        let mut all: Vec<(FeaturePlace, ContentDigest)> = rows.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        let at = |place: &FeaturePlace| all.binary_search_by_key(place, |(place, _)| *place).ok();
        let of_row = rows
            .iter()
            .map(|row| row.as_ref().and_then(|(place, _)| at(place)).map(|at| at as u32))
            .collect();
        let hash = |digest: &ContentDigest| store.picture(digest).and_then(|picture| picture.hash);
        let mirrored = |digest: &ContentDigest| store.picture(digest).and_then(|picture| picture.mirror_hash);
        Ok(Self {
            hashes: all.iter().map(|(_, digest)| hash(digest)).collect(),
            mirror_hashes: all.iter().map(|(_, digest)| mirrored(digest)).collect(),
            places: all.iter().map(|(place, _)| *place).collect(),
            digests: all.into_iter().map(|(_, digest)| digest).collect(),
            of_row,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Hashes, each with its content.
    pub fn hashed(&self) -> Vec<(u64, u32)> {
        numbered(&self.hashes, 0)
    }

    /// Hashes of the mirrored pictures, each with its content and so many more.
    pub fn mirror_hashed(&self, more: usize) -> Vec<(u64, u32)> {
        numbered(&self.mirror_hashes, more)
    }
}

fn numbered(hashes: &[Option<u64>], more: usize) -> Vec<(u64, u32)> {
    hashes.iter().enumerate().filter_map(|(i, hash)| Some(((*hash)?, (more + i) as u32))).collect()
}

/// Bytes that a table and what is known beside it take.
pub fn known_bytes(table: &CurationTable) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
    let row = |row: &CuratedPicture| {
        let texts = [&row.label, &row.cluster, &row.why, &row.digest, &row.stamp, &row.hash, &row.unreadable];
        // The store knows its digest, size and quality too, and a copy has the key of another picture in its row.
        2 * row.key.capacity() + texts.into_iter().map(text).sum::<usize>() + 2 * size_of::<CuratedPicture>()
    };
    table.rows.iter().map(|known| row(known) + BESIDE).sum()
}
